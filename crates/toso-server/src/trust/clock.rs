//! The server's clock, held against times that have passed for certain: a board without a clock battery starts in 1970, and
//! until it has asked for the time, every invite and token that it makes has ended before it is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use toso_core::time::TimestampMs;
use toso_projection::AsOf;

use super::Trust;

/// How far the clock may lie before the register's newest entry: an hour. A clock that is set back by NTP goes back by
/// seconds, one that was set by hand or from a board's local time by up to an hour for summer time; what an hour takes from
/// an invite's week or a token's year nobody notices. A clock that has lost its battery is years behind.
pub const CLOCK_BEHIND_MS_MAX: u64 = 60 * 60 * 1000;

/// When this version of the software was released: 1/11/2026, in Vietnam. It ran nowhere before, so a clock that shows an
/// earlier time is wrong, also where the register is empty. To be raised with each release: a system without a clock often
/// starts at the time at which it was last shut down, and the later this is, the more of them are noticed.
pub const RELEASED_AT: TimestampMs = TimestampMs(1_793_466_000_000);

/// Times that have passed for certain; clones share them.
#[derive(Debug, Clone, Default)]
pub struct PassedTimes(Arc<Times>);

#[derive(Debug, Default)]
struct Times {
    /// When the register's newest entry came, by the server's clock then.
    newest_entry: AtomicU64,
    /// When the software was released; 0 in tests and simulations, whose clocks begin where they like.
    released: AtomicU64,
}

impl PassedTimes {
    /// An entry that came at this time. An older one than the newest changes nothing: entries that come while the clock is
    /// wrong do not make it right.
    pub fn saw_entry(&self, received_at: TimestampMs) {
        self.0.newest_entry.fetch_max(received_at.0, Ordering::Relaxed);
    }

    /// The software was released at this time.
    pub fn saw_release(&self, released_at: TimestampMs) {
        self.0.released.fetch_max(released_at.0, Ordering::Relaxed);
    }
}

/// The server's clock lies before a time that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockBehind {
    /// Before the software.
    #[error(
        "the server's clock says {}, but this version of its software was released on {}: invites and tokens made by it would \
         be worthless; set the server's clock (best by NTP: `timedatectl set-ntp true`), and try again; nothing else needs doing",
        AsOf(*now),
        AsOf(*released)
    )]
    Release {
        /// What the clock says.
        now: TimestampMs,
        /// When the software was released.
        released: TimestampMs,
    },
    /// Before what the register has.
    #[error(
        "the server's clock says {}, but the register has entries of {}: invites and tokens made by it would be worthless; \
         set the server's clock (best by NTP: `timedatectl set-ntp true`), and try again; nothing else needs doing. Should \
         the clock be right, it was ahead before: restart the server once a device has synced something new",
        AsOf(*now),
        AsOf(*newest)
    )]
    Register {
        /// What the clock says.
        now: TimestampMs,
        /// When the newest entry came.
        newest: TimestampMs,
    },
}

impl Trust {
    /// The times that have passed for certain.
    pub fn passed_times(&self) -> &PassedTimes {
        &self.passed
    }

    /// Refuses a clock that lies before the software's release, or more than [`CLOCK_BEHIND_MS_MAX`] before the newest entry.
    pub fn check_clock(&self, now: TimestampMs) -> Result<(), ClockBehind> {
        let Times { newest_entry, released } = &*self.passed.0;
        let [newest, released] = [newest_entry, released].map(|time| TimestampMs(time.load(Ordering::Relaxed)));
        if now < released {
            Err(ClockBehind::Release { now, released })
        } else if newest.since_ms(now) > CLOCK_BEHIND_MS_MAX {
            Err(ClockBehind::Register { now, newest })
        } else {
            Ok(())
        }
    }
}
