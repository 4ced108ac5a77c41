//! Proofs that were accepted, so that none of them is accepted twice.
//!
//! A proof says when it was made, and is good for [`CLOCK_SKEW_MS_MAX`] before and after that. So what was seen is kept by
//! the minute in which it was made, and a minute is forgotten as soon as nothing made in it can be good any more.
//!
//! All of this is in memory. Before its start, a server may have accepted what a device dated up to [`CLOCK_SKEW_MS_MAX`]
//! after that start, since a device's clock may be so far ahead. So what is dated before the whole second after that is
//! asked for again, with that very second as its date ([`NotFresh::Clock`]): nothing accepted before can have it. Two starts
//! within one second name two different ones, for which the last is kept in the store. So is asked for again what was made
//! in a minute that was forgotten. For five minutes after a start a device's first session costs one round trip more, and
//! it dates its proofs with the time it was told until its own clock is there; every request is signed twice. A server's
//! very first start knows that nothing was accepted before.

use std::collections::{BTreeMap, HashMap, HashSet};

use parking_lot::Mutex;
use toso_core::id::DeviceId;
use toso_core::time::TimestampMs;

/// How far a device's clock may be off before it has to sign the server's nonce: 5 minutes. A proof is remembered for as
/// long, so that a captured one is worth nothing.
pub const CLOCK_SKEW_MS_MAX: u64 = 5 * 60 * 1000;
/// Proofs of one device that are remembered at a time, for sessions and requests together: a proof is remembered for at
/// most ten minutes, so these are seven a second, where a screen that pages through a province's 10,000 members signs 50 in
/// all. A device that signs more waits, and takes nobody else's room.
pub const PROOFS_PER_DEVICE_MAX: usize = 4_096;
/// Proofs that are remembered at a time: 48,538 phones that connect 40 times in ten minutes. At 16 bytes each in tables
/// that are half full, 64 MiB; 512 devices at their own bound fill it.
pub const PROOFS_MAX: usize = 1 << 21;

/// What tells a proof from every other: bytes that nobody but its maker can make.
pub(super) type Mark = [u8; 16];

const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
/// How far beyond [`CLOCK_SKEW_MS_MAX`] the time may lie that a start names: a second, and one more for each start before it
/// within the same second, of which no machine has as many. What is further ahead was named by a clock that was wrong.
const FIRST_AHEAD_MS_MAX: u64 = 2 * MINUTE_MS;

#[derive(Default)]
pub(super) struct Seen {
    minutes: Mutex<Minutes>,
}

#[derive(Default)]
struct Minutes {
    /// What was made before this may have been accepted by an earlier start. A whole second, as tickets' proofs have.
    begun: TimestampMs,
    /// What is dated `begun` is accepted although that lies too far ahead still: no other start accepts it.
    takes_begun: bool,
    /// Nothing that was made before this is remembered.
    since: TimestampMs,
    by_minute: BTreeMap<u64, Minute>,
    count: usize,
}

#[derive(Default)]
struct Minute {
    marks: HashSet<Mark>,
    by_device: HashMap<DeviceId, usize>,
}

/// Why a proof that is good in itself is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotFresh {
    /// Made too long ago, too far ahead, or before the memory begins.
    Clock {
        /// A time to sign with instead: the server's own, or the first that nothing accepted before its start can have.
        sign_at: TimestampMs,
    },
    /// It was accepted before.
    Seen,
    /// No room to remember it: the device's own, or all there is.
    Full,
}

impl Seen {
    /// Takes nothing that a server which ran until `now` may have accepted. `before` is what the start before this returned;
    /// this returns the first time that is taken, which is to be kept.
    pub(super) fn begin(&self, now: TimestampMs, before: Option<TimestampMs>) -> TimestampMs {
        let after_before = before.map(|before| before.plus_ms(SECOND_MS)).filter(|first| *first <= first_max(now));
        let mut minutes = self.minutes.lock();
        minutes.begun = first_of(now).max(after_before.unwrap_or_default());
        minutes.begun
    }

    /// That time is kept: no later start returns it. Until then it is taken from a second on that no other start is in.
    pub(super) fn accept_first(&self) {
        self.minutes.lock().takes_begun = true;
    }

    /// The time to sign with that a device is told.
    pub(super) fn sign_at(&self, now: TimestampMs) -> TimestampMs {
        let mut minutes = self.minutes.lock();
        minutes.forget(now);
        now.max(minutes.since).max(minutes.begun)
    }

    /// Accepts a device's proof that was made at `at`, once.
    pub(super) fn accept(
        &self,
        device: DeviceId,
        at: TimestampMs,
        mark: Mark,
        now: TimestampMs,
    ) -> Result<(), NotFresh> {
        let mut minutes = self.minutes.lock();
        minutes.forget(now);
        let first = minutes.since.max(minutes.begun);
        let is_near = now.0.abs_diff(at.0) <= CLOCK_SKEW_MS_MAX || minutes.takes_begun && at == minutes.begun;
        if !is_near || at < first {
            return Err(NotFresh::Clock { sign_at: now.max(first) });
        }
        let minute = at.0 / MINUTE_MS;
        if minutes.by_minute.get(&minute).is_some_and(|minute| minute.marks.contains(&mark)) {
            return Err(NotFresh::Seen);
        }
        let of_device: usize = minutes.by_minute.values().filter_map(|minute| minute.by_device.get(&device)).sum();
        if of_device >= PROOFS_PER_DEVICE_MAX || minutes.count >= PROOFS_MAX {
            return Err(NotFresh::Full);
        }
        let kept = minutes.by_minute.entry(minute).or_default();
        kept.marks.insert(mark);
        *kept.by_device.entry(device).or_default() += 1;
        minutes.count += 1;
        Ok(())
    }
}

impl Minutes {
    /// Drops minutes whose proofs are not good now, before or after.
    fn forget(&mut self, now: TimestampMs) {
        // The clock was set back: what is dated later than this is remembered, or out of reach.
        self.since = self.since.min(now.plus_ms(CLOCK_SKEW_MS_MAX));
        if self.begun > first_max(now) {
            (self.begun, self.takes_begun) = (first_of(now), false);
        }
        while let Some(entry) = self.by_minute.first_entry() {
            let end = (entry.key() + 1) * MINUTE_MS;
            if end + CLOCK_SKEW_MS_MAX > now.0 {
                break;
            }
            self.count -= entry.remove().marks.len();
            self.since = self.since.max(TimestampMs(end));
        }
        while let Some(entry) = self.by_minute.last_entry() {
            if entry.key() * MINUTE_MS <= first_max(now).0 {
                break;
            }
            self.count -= entry.remove().marks.len();
        }
    }
}

/// The first whole second that nothing can have which was accepted before `now`.
fn first_of(now: TimestampMs) -> TimestampMs {
    TimestampMs((now.plus_ms(CLOCK_SKEW_MS_MAX).seconds() + 1) * SECOND_MS)
}

/// The last that a start may name.
fn first_max(now: TimestampMs) -> TimestampMs {
    now.plus_ms(CLOCK_SKEW_MS_MAX + FIRST_AHEAD_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimestampMs = TimestampMs(1_663_545_600_000);

    fn device(number: u32) -> DeviceId {
        DeviceId::from_public_key(blake3::hash(&number.to_be_bytes()).as_bytes())
    }

    fn mark(number: usize) -> Mark {
        (number as u128).to_be_bytes()
    }

    #[test]
    fn a_proof_is_accepted_once_for_as_long_as_it_could_be_good() {
        for at in [NOW.0 - CLOCK_SKEW_MS_MAX, NOW.0, NOW.0 + CLOCK_SKEW_MS_MAX].map(TimestampMs) {
            let seen = Seen::default();
            assert_eq!(seen.accept(device(1), at, mark(1), NOW), Ok(()));
            for later in (0..=at.0 + CLOCK_SKEW_MS_MAX - NOW.0).step_by(7_000) {
                assert_eq!(seen.accept(device(1), at, mark(1), NOW.plus_ms(later)), Err(NotFresh::Seen), "{later} ms");
            }
            let past = TimestampMs(at.0 + CLOCK_SKEW_MS_MAX + 1);
            assert_eq!(seen.accept(device(1), at, mark(1), past), Err(NotFresh::Clock { sign_at: past }));
            assert_eq!(seen.accept(device(2), NOW, mark(2), NOW), Ok(()));
        }
    }

    #[test]
    fn what_was_made_before_the_memory_begins_is_asked_for_again() {
        // A server that began in 2099 and was put right goes on.
        for begun in [NOW, TimestampMs(4_070_908_800_000)] {
            let seen = Seen::default();
            seen.begin(begun, None);
            seen.accept_first();
            let first = NOW.plus_ms(CLOCK_SKEW_MS_MAX + SECOND_MS);
            for made in [NOW.0 - 1, NOW.0, first.0 - SECOND_MS, first.0 - 1].map(TimestampMs) {
                assert_eq!(seen.accept(device(1), made, mark(1), NOW), Err(NotFresh::Clock { sign_at: first }));
            }
            // As it was asked for: at once, or, where the clock was wrong, a moment later.
            let then = if begun == NOW { NOW } else { NOW.plus_ms(SECOND_MS) };
            assert_eq!(seen.accept(device(1), first, mark(2), then), Ok(()));
            for now in [then, first, first.plus_ms(CLOCK_SKEW_MS_MAX)] {
                assert_eq!(seen.accept(device(1), first, mark(2), now), Err(NotFresh::Seen), "once");
            }
            let later = first.plus_ms(1);
            assert_eq!(seen.accept(device(1), later, mark(3), later), Ok(()), "five minutes later all is as before");
        }
    }

    /// The time that a start names lies beyond everything that was accepted before, by starts in the same second, too.
    #[test]
    fn no_two_starts_take_one_proof() {
        let mut before = None;
        let mut named = Vec::new();
        for ms in [0, 0, 1, 999, 1_000, 1_000, 5_000] {
            let now = NOW.plus_ms(ms);
            let seen = Seen::default();
            let first = seen.begin(now, before);
            assert!(first > now.plus_ms(CLOCK_SKEW_MS_MAX) && first.0.is_multiple_of(SECOND_MS));
            for earlier in &named {
                assert!(seen.accept(device(1), *earlier, mark(1), now).is_err(), "{ms} ms");
            }
            if before.is_some() {
                // Not kept: taken only once that second is over, in which there may be another start.
                assert_eq!(seen.accept(device(1), first, mark(2), now), Err(NotFresh::Clock { sign_at: first }));
            }
            seen.accept_first();
            assert_eq!(seen.accept(device(1), first, mark(2), now), Ok(()), "{ms} ms");
            before = Some(first);
            named.push(first);
        }
        assert!(named.windows(2).all(|pair| pair[0] < pair[1]), "{named:?}");
        // One that a clock in 2099 named is passed over.
        let far = Some(TimestampMs(4_070_908_800_000));
        assert_eq!(Seen::default().begin(NOW, far), NOW.plus_ms(CLOCK_SKEW_MS_MAX + SECOND_MS));
        let last = Some(TimestampMs(first_max(NOW).0 - SECOND_MS));
        assert_eq!(Seen::default().begin(NOW, last), first_max(NOW), "the last that a start may name");
        assert_eq!(Seen::default().begin(NOW, Some(first_max(NOW))), NOW.plus_ms(CLOCK_SKEW_MS_MAX + SECOND_MS));
    }

    #[test]
    fn a_device_fills_its_own_room_and_nobody_elses() {
        let seen = Seen::default();
        for number in 0..PROOFS_PER_DEVICE_MAX {
            assert_eq!(seen.accept(device(1), NOW.plus_ms(number as u64), mark(number), NOW), Ok(()));
        }
        let next = mark(PROOFS_PER_DEVICE_MAX);
        assert_eq!(seen.accept(device(1), NOW, next, NOW), Err(NotFresh::Full), "one past the limit");
        assert_eq!(seen.accept(device(2), NOW, next, NOW), Ok(()));
        let later = NOW.plus_ms(2 * CLOCK_SKEW_MS_MAX + MINUTE_MS);
        assert_eq!(seen.accept(device(1), later, next, later), Ok(()), "its room comes back");
        assert_eq!(seen.minutes.lock().count, 1, "and so does the memory");
    }

    #[test]
    fn the_whole_memory_is_bounded() {
        let seen = Seen::default();
        seen.minutes.lock().count = PROOFS_MAX - 1;
        assert_eq!(seen.accept(device(1), NOW, mark(1), NOW), Ok(()), "the last place");
        assert_eq!(seen.accept(device(2), NOW, mark(2), NOW), Err(NotFresh::Full));
    }
}
