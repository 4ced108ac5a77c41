//! Which exchange follows which, and when: what keeps a device in touch while networks come and go. A machine like the exchange
//! itself, with time as an event.

use std::time::Duration;

use serde::Serialize;
use toso_sync::Backoff;
use toso_sync::backoff::BACKOFF_MAX_MS;

use super::report::SyncError;
use super::step::{ExchangeNews, Moment};
use crate::between::Between;

/// Moves to other units in a row that are followed at once: one, one more for an officer who corrects himself meanwhile, and one
/// to spare. More end an exchange, and wait like a broken connection that brought nothing.
pub const MOVES_MAX: u32 = 3;
/// Moves are in a row when each comes within this time of the one before. Officers who move a device do so days apart; five
/// minutes are also the longest wait, so that a server which moves a device each time it comes is asked ever more seldom.
const MOVES_APART_MS: u64 = BACKOFF_MAX_MS;

/// What a person sees of sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SyncState {
    /// No network, or waiting to try again.
    Offline,
    /// Dialling.
    Connecting,
    /// Exchanging: `done` of `total` changes.
    Syncing {
        /// Exchanged so far.
        done: u64,
        /// Known to be exchanged.
        total: u64,
    },
    /// Everything is exchanged; live changes come as they happen.
    UpToDate,
    /// The centre takes no more of this device today: so many changes wait here, and go out by themselves. All else is
    /// exchanged, and goes on.
    Waiting {
        /// How many.
        changes: u64,
    },
    /// It does not work, and why.
    Error {
        /// Which case, for programs: [`SyncError::word`].
        code: &'static str,
        /// In words.
        reason: String,
        /// True when trying again by itself is useless.
        needs_a_person: bool,
    },
}

/// What happens to who keeps a device in touch.
#[derive(Debug, Clone)]
pub enum TouchEvent {
    /// The platform says that the network went, came, or is another one. When there is one, it dials at once, and leaves the
    /// socket that may be open: that can belong to a network which is gone, and looks alive for minutes.
    Network {
        /// There is one.
        online: bool,
    },
    /// A person wants it now: it dials at once, also in place of a socket that only looks alive. A live one costs no more
    /// than one round trip to replace.
    DialNow,
    /// The exchange under way tells this.
    News(ExchangeNews),
    /// It has ended.
    Ended {
        /// Why, when it failed.
        error: Option<SyncError>,
        /// Fresh random bits: phones that were cut off together should not come back together.
        entropy: u64,
    },
    /// [`Touch::deadline`] has come.
    Time,
}

/// What it wants done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TouchEffect {
    /// Show this.
    Show(SyncState),
    /// What was remembered of the network before is not true of this one: [`crate::Replica::network_is_another`].
    ForgetNetwork,
    /// Begin a live exchange.
    Begin,
    /// Drop the exchange under way. Nothing that it told counts any more.
    Leave,
}

/// Keeps a device in touch.
#[derive(Debug)]
pub struct Touch {
    online: bool,
    /// What is remembered of the network is to be forgotten before the next dial.
    another: bool,
    backoff: Backoff,
    /// Moves in a row, and when the last of them came.
    moves: u32,
    moved_at: Moment,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is no network.
    Away,
    Exchanging {
        /// Something was exchanged: a link that breaks again and again but brings something each time is no failure to wait
        /// longer for.
        worked: bool,
    },
    /// Until then, when nothing happens.
    Waiting(Moment),
}

impl Touch {
    /// Begins, and says what to do first: without a network nothing, until there is one.
    pub fn start(online: bool) -> (Self, Vec<TouchEffect>) {
        let (backoff, moved_at) = (Backoff::default(), Moment::default());
        let mut touch = Self { online, another: false, backoff, moves: 0, moved_at, phase: Phase::Away };
        let mut out = Vec::new();
        if online {
            touch.dial(&mut out);
        } else {
            out.push(TouchEffect::Show(SyncState::Offline));
        }
        (touch, out)
    }

    /// When [`TouchEvent::Time`] is due.
    pub fn deadline(&self) -> Option<Moment> {
        match self.phase {
            Phase::Waiting(until) => Some(until),
            Phase::Away | Phase::Exchanging { .. } => None,
        }
    }

    /// Takes what happened and says what is to be done, in order.
    pub fn handle(&mut self, now: Moment, event: TouchEvent) -> Vec<TouchEffect> {
        let mut out = Vec::new();
        match event {
            TouchEvent::Network { online } => {
                (self.online, self.another) = (online, true);
                self.leave(&mut out);
                if online {
                    self.backoff.reset();
                    self.dial(&mut out);
                } else {
                    self.phase = Phase::Away;
                    out.push(TouchEffect::Show(SyncState::Offline));
                }
            }
            TouchEvent::DialNow => {
                if self.online {
                    self.leave(&mut out);
                    self.backoff.reset();
                    self.dial(&mut out);
                }
            }
            TouchEvent::News(news) => {
                if let Phase::Exchanging { worked } = &mut self.phase {
                    *worked |= match news {
                        ExchangeNews::Connected => false,
                        ExchangeNews::Progress { done, .. } => done > 0,
                        ExchangeNews::UpToDate { .. } => true,
                    };
                    out.push(TouchEffect::Show(shown(news)));
                }
            }
            TouchEvent::Ended { error, entropy } => {
                if let Phase::Exchanging { worked } = self.phase {
                    self.ended(now, worked, error, entropy, &mut out);
                }
            }
            TouchEvent::Time => {
                if self.deadline().is_some_and(|until| until <= now) {
                    self.dial(&mut out);
                }
            }
        }
        out
    }

    fn ended(&mut self, now: Moment, worked: bool, error: Option<SyncError>, entropy: u64, out: &mut Vec<TouchEffect>) {
        let moved = matches!(error, Some(SyncError::Moved));
        if moved {
            let in_a_row = now.since(self.moved_at) < Duration::from_millis(MOVES_APART_MS);
            self.moves = if in_a_row { self.moves + 1 } else { 1 };
            self.moved_at = now;
        }
        let too_often = moved && self.moves > MOVES_MAX;
        if worked && !too_often {
            self.backoff.reset();
        }
        if moved && !too_often {
            return self.dial(out);
        }
        let at_least_ms = if let Some(SyncError::RetryAfter { delay_ms }) = &error { *delay_ms } else { 0 };
        out.push(TouchEffect::Show(shown_failure(error)));
        self.phase = Phase::Waiting(now.plus_ms(self.backoff.next_delay_ms(entropy, at_least_ms)));
    }

    fn dial(&mut self, out: &mut Vec<TouchEffect>) {
        if std::mem::take(&mut self.another) {
            out.push(TouchEffect::ForgetNetwork);
        }
        self.phase = Phase::Exchanging { worked: false };
        out.extend([TouchEffect::Show(SyncState::Connecting), TouchEffect::Begin]);
    }

    fn leave(&self, out: &mut Vec<TouchEffect>) {
        if matches!(self.phase, Phase::Exchanging { .. }) {
            out.push(TouchEffect::Leave);
        }
    }
}

fn shown(news: ExchangeNews) -> SyncState {
    match news {
        ExchangeNews::Connected => SyncState::Syncing { done: 0, total: 0 },
        ExchangeNews::Progress { done, total } => SyncState::Syncing { done, total },
        ExchangeNews::UpToDate { waiting: 0 } => SyncState::UpToDate,
        ExchangeNews::UpToDate { waiting } => SyncState::Waiting { changes: waiting },
    }
}

fn shown_failure(error: Option<SyncError>) -> SyncState {
    match error {
        None
        | Some(
            SyncError::Moved
            | SyncError::Unreachable { .. }
            | SyncError::Lost
            | SyncError::Stalled { .. }
            | SyncError::RetryAfter { .. }
            // A gateway whose server is away is a bad network.
            | SyncError::Between { what: Between::Gateway, .. },
        ) => SyncState::Offline,
        Some(error) => SyncState::Error {
            code: error.word(),
            reason: error.to_string(),
            needs_a_person: error.needs_a_person(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(5_000);

    fn begun() -> Touch {
        let (touch, first) = Touch::start(true);
        assert_eq!(first, [TouchEffect::Show(SyncState::Connecting), TouchEffect::Begin]);
        touch
    }

    fn ends(touch: &mut Touch, error: SyncError, entropy: u64) -> Vec<TouchEffect> {
        touch.handle(NOW, TouchEvent::Ended { error: Some(error), entropy })
    }

    fn begins(effects: &[TouchEffect]) -> bool {
        effects.contains(&TouchEffect::Begin)
    }

    #[test]
    fn tries_that_fail_come_further_apart_and_one_that_brought_something_begins_anew() {
        let mut touch = begun();
        for bound in [1_000, 2_000, 4_000] {
            assert_eq!(ends(&mut touch, SyncError::Lost, bound), [TouchEffect::Show(SyncState::Offline)]);
            let due = NOW.plus_ms(bound);
            assert_eq!(touch.deadline(), Some(due));
            assert!(touch.handle(Moment(due.0 - 1), TouchEvent::Time).is_empty(), "a millisecond early");
            assert!(begins(&touch.handle(due, TouchEvent::Time)));
            assert_eq!(touch.deadline(), None);
        }
        touch.handle(NOW, TouchEvent::News(ExchangeNews::Progress { done: 1, total: 9 }));
        ends(&mut touch, SyncError::Lost, 1_000);
        assert_eq!(touch.deadline(), Some(NOW.plus_ms(1_000)));
    }

    #[test]
    fn a_server_that_asks_to_wait_is_obeyed_and_the_jitter_comes_on_top() {
        let mut touch = begun();
        ends(&mut touch, SyncError::RetryAfter { delay_ms: 30_000 }, 7);
        assert_eq!(touch.deadline(), Some(NOW.plus_ms(30_007)));
    }

    #[test]
    fn a_device_that_was_moved_goes_on_at_once_but_not_for_ever() {
        let mut touch = begun();
        for _ in 0..MOVES_MAX {
            assert!(begins(&ends(&mut touch, SyncError::Moved, 9)));
        }
        assert!(!begins(&ends(&mut touch, SyncError::Moved, 9)));
        assert_eq!(touch.deadline(), Some(NOW.plus_ms(9)));
    }

    /// The story: each exchange had done some work before it was moved, so moves were never in a row, and a device that two
    /// officers (or a server that is ill) sent to and fro dialled without a pause.
    #[test]
    fn moves_are_in_a_row_whatever_was_exchanged_between_them_and_wait_longer_each_time() {
        let mut touch = begun();
        let mut moved = |now: Moment| {
            touch.handle(now, TouchEvent::News(ExchangeNews::Progress { done: 1, total: 1 }));
            touch.handle(now, TouchEvent::News(ExchangeNews::UpToDate { waiting: 0 }));
            let ended = TouchEvent::Ended { error: Some(SyncError::Moved), entropy: 2_000 };
            if begins(&touch.handle(now, ended)) {
                return None;
            }
            let due = touch.deadline().unwrap();
            assert!(begins(&touch.handle(due, TouchEvent::Time)));
            Some(due.since(now).as_millis())
        };
        let waits: Vec<_> = (0..MOVES_MAX + 2).map(|_| moved(NOW)).collect();
        // Uniform in [0, 1 s], then in [0, 2 s]: 2,000 is what is left of it in each.
        assert_eq!(waits, [None, None, None, Some(2_000 % 1_001), Some(2_000)]);
        assert!(moved(NOW.plus_ms(MOVES_APART_MS - 1)).is_some(), "still in a row");
        let apart = NOW.plus_ms(2 * MOVES_APART_MS - 1);
        assert_eq!(moved(apart), None, "a move of its own");
    }

    #[test]
    fn without_a_network_nothing_is_dialled_until_there_is_one() {
        let (mut touch, first) = Touch::start(false);
        assert_eq!(first, [TouchEffect::Show(SyncState::Offline)]);
        assert!(touch.handle(NOW, TouchEvent::DialNow).is_empty());
        assert_eq!(touch.deadline(), None);
        let came = touch.handle(NOW, TouchEvent::Network { online: true });
        assert_eq!(came, [TouchEffect::ForgetNetwork, TouchEffect::Show(SyncState::Connecting), TouchEffect::Begin]);
        let went = touch.handle(NOW, TouchEvent::Network { online: false });
        assert_eq!(went, [TouchEffect::Leave, TouchEffect::Show(SyncState::Offline)]);
        assert!(touch.handle(NOW, TouchEvent::News(ExchangeNews::Connected)).is_empty(), "of what was left");
    }

    #[test]
    fn another_network_and_a_persons_wish_replace_what_is_open() {
        let mut touch = begun();
        touch.handle(NOW, TouchEvent::News(ExchangeNews::UpToDate { waiting: 0 }));
        let wanted = touch.handle(NOW, TouchEvent::DialNow);
        assert_eq!(wanted, [TouchEffect::Leave, TouchEffect::Show(SyncState::Connecting), TouchEffect::Begin]);
        let other = touch.handle(NOW, TouchEvent::Network { online: true });
        assert_eq!(other.first(), Some(&TouchEffect::Leave));
        assert!(other.contains(&TouchEffect::ForgetNetwork) && begins(&other));
        // Also while it waits, and from the bottom again.
        for _ in 0..5 {
            ends(&mut touch, SyncError::Lost, 0);
            touch.handle(NOW, TouchEvent::Time);
        }
        ends(&mut touch, SyncError::Lost, 0);
        assert!(begins(&touch.handle(NOW, TouchEvent::DialNow)));
        ends(&mut touch, SyncError::Lost, 1_000);
        assert_eq!(touch.deadline(), Some(NOW.plus_ms(1_000)));
    }

    #[test]
    fn what_a_person_must_see_to_is_said_and_a_bad_network_is_none() {
        let mut touch = begun();
        let shown = ends(&mut touch, SyncError::Panicked, 0);
        assert!(matches!(&shown[..], [TouchEffect::Show(SyncState::Error { code: "internal", .. })]), "{shown:?}");
        touch.handle(NOW, TouchEvent::Time);
        let url = "https://register.invalid".to_owned();
        let gateway = SyncError::Between { url, status: 502, what: Between::Gateway };
        assert_eq!(ends(&mut touch, gateway, 0), [TouchEffect::Show(SyncState::Offline)]);
        touch.handle(NOW, TouchEvent::Time);
        let waits = touch.handle(NOW, TouchEvent::News(ExchangeNews::UpToDate { waiting: 3 }));
        assert_eq!(waits, [TouchEffect::Show(SyncState::Waiting { changes: 3 })]);
    }
}
