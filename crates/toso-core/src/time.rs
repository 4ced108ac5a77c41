//! Instants as the register stores them.
//!
//! Phone clocks are wrong by years, so an instant is shown to people and never decides a merge or an order. What a device
//! makes of its clock and of the server's when it judges a typed day is [`KnownTime`].

mod known;

pub use known::{EARLIEST_NOW, KnownTime, ServerTime};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimestampMs(pub u64);

impl TimestampMs {
    /// Whole seconds since 1970, the unit of Automerge's change time.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The instant `milliseconds` later; the end of time when it would pass it.
    pub const fn plus_ms(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds from `earlier` to `self`; 0 when `earlier` is later.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
