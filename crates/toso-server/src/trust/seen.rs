//! Proofs that were accepted, so that none of them is accepted twice.
//!
//! A proof says when it was made, and is good for [`CLOCK_SKEW_MS_MAX`] before and after that. So what was seen is kept by
//! the minute in which it was made, and a minute is forgotten as soon as nothing made in it can be good any more.
//!
//! All of this is in memory. Before its start, a server may have accepted what a device dated up to [`CLOCK_SKEW_MS_MAX`]
//! after that start, since a device's clock may be so far ahead. So what is dated before the start **and five minutes** is
//! asked for again, with a time to sign with that nothing accepted before can have ([`NotFresh::Clock`]); so is what was
//! made in a minute that was forgotten. For five minutes after a start a device's first session costs one round trip more, and
//! every request is signed twice. What is made with a secret that this start has handed out was accepted by no earlier one.
//! A server's very first start knows that nothing was accepted before.

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

const MINUTE_MS: u64 = 60 * 1000;

#[derive(Default)]
pub(super) struct Seen {
    minutes: Mutex<Minutes>,
}

#[derive(Default)]
struct Minutes {
    /// When this start began; none at a server's first.
    start: Option<TimestampMs>,
    /// What was made before this may have been accepted by an earlier start.
    begun: TimestampMs,
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
    /// Takes nothing that a server which ran until `now` may have accepted.
    pub(super) fn begin(&self, now: TimestampMs) {
        let mut minutes = self.minutes.lock();
        minutes.start = Some(now);
        minutes.begun = now.plus_ms(CLOCK_SKEW_MS_MAX);
    }

    /// When this start began; none at a server's first.
    pub(super) fn start(&self) -> Option<TimestampMs> {
        self.minutes.lock().start
    }

    /// The same, while what an earlier start may have accepted is still asked for again.
    pub(super) fn young_start(&self, now: TimestampMs) -> Option<TimestampMs> {
        let minutes = self.minutes.lock();
        minutes.start.filter(|_| now < minutes.begun)
    }

    /// The time to sign with that a device is told.
    pub(super) fn sign_at(&self, now: TimestampMs) -> TimestampMs {
        let mut minutes = self.minutes.lock();
        minutes.forget(now);
        now.max(minutes.since).max(minutes.begun)
    }

    /// Accepts a device's proof that was made at `at`, once. `of_this_start`: by a secret that this start handed out.
    pub(super) fn accept(
        &self,
        device: DeviceId,
        at: TimestampMs,
        mark: Mark,
        of_this_start: bool,
        now: TimestampMs,
    ) -> Result<(), NotFresh> {
        let mut minutes = self.minutes.lock();
        minutes.forget(now);
        let first = if of_this_start { minutes.since } else { minutes.since.max(minutes.begun) };
        if now.0.abs_diff(at.0) > CLOCK_SKEW_MS_MAX || at < first {
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
        self.begun = self.begun.min(now.plus_ms(CLOCK_SKEW_MS_MAX));
        while let Some(entry) = self.by_minute.first_entry() {
            let end = (entry.key() + 1) * MINUTE_MS;
            if end + CLOCK_SKEW_MS_MAX > now.0 {
                break;
            }
            self.count -= entry.remove().marks.len();
            self.since = self.since.max(TimestampMs(end));
        }
        while let Some(entry) = self.by_minute.last_entry() {
            if entry.key() * MINUTE_MS <= now.0 + CLOCK_SKEW_MS_MAX {
                break;
            }
            self.count -= entry.remove().marks.len();
        }
    }
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
            assert_eq!(seen.accept(device(1), at, mark(1), false, NOW), Ok(()));
            for later in (0..=at.0 + CLOCK_SKEW_MS_MAX - NOW.0).step_by(7_000) {
                assert_eq!(
                    seen.accept(device(1), at, mark(1), false, NOW.plus_ms(later)),
                    Err(NotFresh::Seen),
                    "{later} ms"
                );
            }
            let past = TimestampMs(at.0 + CLOCK_SKEW_MS_MAX + 1);
            assert_eq!(seen.accept(device(1), at, mark(1), false, past), Err(NotFresh::Clock { sign_at: past }));
            assert_eq!(seen.accept(device(2), NOW, mark(2), false, NOW), Ok(()));
        }
    }

    #[test]
    fn what_was_made_before_the_memory_begins_is_asked_for_again() {
        let seen = Seen::default();
        seen.begin(NOW);
        let first = NOW.plus_ms(CLOCK_SKEW_MS_MAX);
        // A server that began in 2099 and was put right goes on.
        for begun in [NOW, TimestampMs(4_070_908_800_000)] {
            seen.begin(begun);
            for made in [NOW.0 - 1, NOW.0, first.0 - 1].map(TimestampMs) {
                assert_eq!(seen.accept(device(1), made, mark(1), false, NOW), Err(NotFresh::Clock { sign_at: first }));
            }
            assert_eq!(
                seen.accept(device(1), first, mark(usize::try_from(begun.0).unwrap()), false, NOW),
                Ok(()),
                "as it was asked for"
            );
        }
        let made = NOW.plus_ms(1);
        assert_eq!(
            seen.accept(device(1), made, mark(3), true, NOW),
            Ok(()),
            "this start handed out what it is made with"
        );
        assert_eq!(seen.accept(device(1), made, mark(3), true, NOW), Err(NotFresh::Seen));
        let later = first.plus_ms(1);
        assert_eq!(seen.accept(device(1), later, mark(2), false, later), Ok(()), "five minutes later all is as before");
    }

    #[test]
    fn a_device_fills_its_own_room_and_nobody_elses() {
        let seen = Seen::default();
        for number in 0..PROOFS_PER_DEVICE_MAX {
            assert_eq!(seen.accept(device(1), NOW.plus_ms(number as u64), mark(number), false, NOW), Ok(()));
        }
        let next = mark(PROOFS_PER_DEVICE_MAX);
        assert_eq!(seen.accept(device(1), NOW, next, false, NOW), Err(NotFresh::Full), "one past the limit");
        assert_eq!(seen.accept(device(2), NOW, next, false, NOW), Ok(()));
        let later = NOW.plus_ms(2 * CLOCK_SKEW_MS_MAX + MINUTE_MS);
        assert_eq!(seen.accept(device(1), later, next, false, later), Ok(()), "its room comes back");
        assert_eq!(seen.minutes.lock().count, 1, "and so does the memory");
    }

    #[test]
    fn the_whole_memory_is_bounded() {
        let seen = Seen::default();
        seen.minutes.lock().count = PROOFS_MAX - 1;
        assert_eq!(seen.accept(device(1), NOW, mark(1), false, NOW), Ok(()), "the last place");
        assert_eq!(seen.accept(device(2), NOW, mark(2), false, NOW), Err(NotFresh::Full));
    }
}
