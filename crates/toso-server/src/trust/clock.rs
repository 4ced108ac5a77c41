//! The server's clock, held against what the register has: a board without a clock battery starts in 1970, and until it has
//! asked for the time, every invite and token that it makes has ended before it is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use toso_core::time::TimestampMs;
use toso_projection::AsOf;

use super::Trust;

/// How far the clock may lie before the register's newest entry: an hour. A clock that is set back by NTP goes back by
/// seconds, one that was set by hand or from a board's local time by up to an hour for summer time; what an hour takes from
/// an invite's week or a token's year nobody notices. A clock that has lost its battery is years behind.
pub const CLOCK_BEHIND_MS_MAX: u64 = 60 * 60 * 1000;

/// When the register's newest entry came, by the server's clock then; clones share it.
#[derive(Debug, Clone, Default)]
pub struct NewestEntry(Arc<AtomicU64>);

impl NewestEntry {
    /// An entry that came at this time. An older one than the newest changes nothing: entries that come while the clock is
    /// wrong do not make it right.
    pub fn saw(&self, received_at: TimestampMs) {
        self.0.fetch_max(received_at.0, Ordering::Relaxed);
    }
}

/// The server's clock lies before what the register has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the server's clock says {}, but the register has entries of {}: invites and tokens made by it would be worthless; set \
     the server's clock (best by NTP: `timedatectl set-ntp true`), and try again; nothing else needs doing. Should the clock \
     be right, it was ahead before: restart the server once a device has synced something new",
    AsOf(*now),
    AsOf(*newest)
)]
pub struct ClockBehind {
    /// What the clock says.
    pub now: TimestampMs,
    /// When the newest entry came.
    pub newest: TimestampMs,
}

impl Trust {
    /// The newest entry, for the next append.
    pub fn newest_entry(&self) -> &NewestEntry {
        &self.newest
    }

    /// Refuses a clock that lies more than [`CLOCK_BEHIND_MS_MAX`] before the newest entry.
    pub fn check_clock(&self, now: TimestampMs) -> Result<(), ClockBehind> {
        let newest = TimestampMs(self.newest.0.load(Ordering::Relaxed));
        if newest.since_ms(now) > CLOCK_BEHIND_MS_MAX { Err(ClockBehind { now, newest }) } else { Ok(()) }
    }
}
