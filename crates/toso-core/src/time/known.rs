//! What a device knows of the time when it judges a day that somebody typed.
//!
//! A phone's clock may be years behind or ahead, and the server may have been out of reach for weeks. So there are two
//! readings. [`KnownTime::latest`] gives the benefit of the doubt: a save is refused only for what lies ahead of everything
//! the device has heard. [`KnownTime::likely`] is the best guess: what lies ahead of it is shown as a finding, which
//! refuses nothing.

use super::TimestampMs;

/// No build with the unit list of 1/7/2025 runs before that day (in Vietnam): a clock that says so is wrong.
pub const EARLIEST_NOW: TimestampMs = TimestampMs(1_751_302_800_000);
/// How long a build may be in use. A phone whose clock is wrong and that has never met a server takes days up to here.
const USE_MS_MAX: u64 = 10 * 366 * 24 * 60 * 60 * 1000;

/// What a device knows of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownTime {
    /// Its clock.
    pub device: TimestampMs,
    /// What the server said when they last met.
    pub server: Option<ServerTime>,
}

/// A server's clock, as a device last heard it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTime {
    /// What it showed.
    pub at: TimestampMs,
    /// That minus the device's clock of the same moment, in milliseconds.
    pub offset_ms: i64,
}

impl KnownTime {
    /// What a server knows: its own clock.
    pub const fn of_server(now: TimestampMs) -> Self {
        Self { device: now, server: None }
    }

    /// The latest that it can be: the later of the device's clock and what the server last said. A clock that lies behind the
    /// server's last word is known to be wrong, and is read as far behind as it was then.
    pub fn latest(self) -> TimestampMs {
        let server = self.server.map(|server| server.at);
        let behind = server.is_some_and(|server| self.device < server);
        let corrected = self.corrected().filter(|_| behind);
        let readings = [Some(self.device), server, corrected].into_iter().flatten();
        readings.filter(|reading| *reading >= EARLIEST_NOW).max().unwrap_or(EARLIEST_NOW.plus_ms(USE_MS_MAX))
    }

    /// What it probably is: the earliest reading of the device's clock, as it is or corrected by what the server said, that
    /// does not lie before the server's last word. [`Self::latest`] when nothing is known.
    pub fn likely(self) -> TimestampMs {
        let server = self.server.map(|server| server.at).filter(|at| *at >= EARLIEST_NOW);
        let floor = server.unwrap_or(EARLIEST_NOW);
        let readings = [Some(self.device), self.corrected()].into_iter().flatten();
        readings.filter(|reading| *reading >= floor).min().or(server).unwrap_or_else(|| self.latest())
    }

    fn corrected(self) -> Option<TimestampMs> {
        self.server.map(|server| TimestampMs(self.device.0.saturating_add_signed(server.offset_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    const YEAR_MS: u64 = 365 * DAY_MS;
    /// Some day of 2026.
    const NOW: TimestampMs = TimestampMs(EARLIEST_NOW.0 + YEAR_MS);

    /// A device that met the server ten days ago, when its clock was off by so many days; since then somebody may have set
    /// it, to be off by `now`.
    fn met(off_then_days: i64, off_now_days: i64) -> KnownTime {
        let shifted = |at: u64, days: i64| at.saturating_add_signed(days * DAY_MS.cast_signed());
        let at = TimestampMs(NOW.0 - 10 * DAY_MS);
        let server = ServerTime { at, offset_ms: -off_then_days * DAY_MS.cast_signed() };
        KnownTime { device: TimestampMs(shifted(NOW.0, off_now_days)), server: Some(server) }
    }

    #[test]
    fn a_right_clock_is_believed() {
        for known in [KnownTime::of_server(NOW), met(0, 0)] {
            assert_eq!((known.latest(), known.likely()), (NOW, NOW));
        }
    }

    #[test]
    fn a_clock_years_behind_is_read_as_far_behind_as_it_was() {
        let known = met(-2_000, -2_000);
        assert_eq!((known.latest(), known.likely()), (NOW, NOW));
        // Set right since then.
        assert_eq!((met(-2_000, 0).latest(), met(-2_000, 0).likely()), (NOW, NOW));
        // Set back since then, as by an empty battery: nothing later than the server's word is known.
        let server = TimestampMs(NOW.0 - 10 * DAY_MS);
        assert_eq!((met(0, -9_000).latest(), met(0, -9_000).likely()), (server, server));
    }

    #[test]
    fn a_clock_years_ahead_refuses_nothing_and_is_found_out() {
        let known = met(3_000, 3_000);
        assert_eq!((known.latest(), known.likely()), (NOW.plus_ms(3_000 * DAY_MS), NOW));
        // Set right since then.
        assert_eq!((met(3_000, 0).latest(), met(3_000, 0).likely()), (NOW, NOW));
    }

    #[test]
    fn a_phone_that_knows_nothing_takes_what_a_build_may_live_to_see() {
        let end = EARLIEST_NOW.plus_ms(USE_MS_MAX);
        for device in [TimestampMs(0), TimestampMs(EARLIEST_NOW.0 - 1)] {
            let known = KnownTime { device, server: None };
            assert_eq!((known.latest(), known.likely()), (end, end));
        }
        let known = KnownTime { device: EARLIEST_NOW, server: None };
        assert_eq!((known.latest(), known.likely()), (EARLIEST_NOW, EARLIEST_NOW));
    }
}
