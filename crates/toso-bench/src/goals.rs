//! What each figure should be, and what the best of others reaches with the same work.
//!
//! Goals are the register's budgets. The others' figures were measured side by side with 60 small documents, 600 ms of
//! round trip and two cores; their round trips include TCP and the upgrade, their bytes include HTTP's headers, as the
//! figures here do that they stand beside.

/// A bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) scenario: &'static str,
    pub(crate) figure: &'static str,
    pub(crate) bound: Bound,
    /// The goal is for this size; see [`Self::judge`]. Zero: for any.
    pub(crate) from_size: f64,
}

impl Goal {
    /// Whether a run of a size met the goal. Smaller runs are not judged, and of much larger ones only that they met it.
    pub(crate) fn judge(&self, size: f64, value: f64) -> Option<bool> {
        let met = self.bound.met(value);
        let larger = self.from_size > 0.0 && size > self.from_size * LARGER;
        (size >= self.from_size && (met || !larger)).then_some(met)
    }
}

/// What the best of others reaches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) scenario: &'static str,
    pub(crate) figure: &'static str,
    pub(crate) name: &'static str,
    pub(crate) value: f64,
}

impl Bound {
    /// Whether a value is within, seen with the digits that are printed.
    pub(crate) fn met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most * (1.0 + ROUNDING),
            Self::AtLeast(least) => value >= least * (1.0 - ROUNDING),
        }
    }

    pub(crate) const fn value(self) -> f64 {
        match self {
            Self::AtMost(value) | Self::AtLeast(value) => value,
        }
    }
}

/// A run of so many times a goal's size is of another size.
const LARGER: f64 = 1.5;
/// Three digits are printed; 2.009 round trips are 2.01 of which the 0.01 is the link's own timer.
const ROUNDING: f64 = 0.01;
/// Teams and members of the country as of 7/9/2022.
pub(crate) const NATIONAL_DOCUMENTS: f64 = 273_955.0;
/// Phones of the whole country, one a team.
pub(crate) const NATIONAL_PHONES: usize = 48_538;
const KIBIBYTE: f64 = 1_024.0;

const fn at_most(scenario: &'static str, figure: &'static str, value: f64) -> Goal {
    Goal { scenario, figure, bound: Bound::AtMost(value), from_size: 0.0 }
}

const fn at_least(scenario: &'static str, figure: &'static str, value: f64) -> Goal {
    Goal { scenario, figure, bound: Bound::AtLeast(value), from_size: 0.0 }
}

const fn national(scenario: &'static str, figure: &'static str, value: f64) -> Goal {
    Goal { scenario, figure, bound: Bound::AtMost(value), from_size: NATIONAL_DOCUMENTS }
}

pub(crate) const GOALS: [Goal; 28] = [
    at_most("reconnect", "round_trips", 2.0),
    at_most("reconnect", "http_and_frames_bytes", 600.0),
    at_most("reconnect", "frames_up_bytes", 150.0),
    at_most("reconnect", "frames_down_bytes", 150.0),
    at_most("edit", "round_trips", 2.0),
    at_most("edit", "up_bytes", 600.0),
    at_most("edit", "edit_adds_up_bytes", 160.0),
    at_least("kept", "kept_of_one", 1.0),
    at_most("first", "frames_down_bytes", 16.0 * KIBIBYTE),
    at_most("first-text", "frames_down_bytes", 18.0 * KIBIBYTE),
    at_least("load", "acknowledged_per_s", 6_500.0),
    at_most("load", "server_cpu_each_ms", 0.25),
    at_most("load", "disk_each_bytes", 600.0),
    at_most("load-text", "server_cpu_each_ms", 0.12),
    at_most("load-text", "phone_cpu_ms", 0.4),
    at_least("rush", "sessions_per_s", 1_600.0),
    at_most("rush", "server_cpu_each_ms", 0.5),
    at_least("rush", "restarted_sessions_per_s", 1_600.0),
    Goal { scenario: "rush", figure: "wall_s", bound: Bound::AtMost(30.0), from_size: NATIONAL_PHONES as f64 },
    at_most("idle", "memory_each_bytes", 16.0 * KIBIBYTE),
    national("national", "whole_s", 45.0),
    national("national", "server_memory_peak_mib", 1_024.0),
    national("national", "disk_each_bytes", 600.0),
    national("report", "ms", 5.0),
    national("start", "clean_s", 3.0),
    national("start", "killed_s", 3.0),
    at_most("phone", "open_ms", 20.0),
    at_most("compaction", "disk_each_bytes", 600.0),
];

const fn peer(scenario: &'static str, figure: &'static str, name: &'static str, value: f64) -> Peer {
    Peer { scenario, figure, name, value }
}

pub(crate) const PEERS: [Peer; 12] = [
    peer("reconnect", "round_trips", "Evolu", 3.0),
    peer("reconnect", "http_and_frames_bytes", "Evolu", 703.0),
    peer("edit", "round_trips", "Evolu", 4.0),
    peer("edit", "up_bytes", "Evolu", 1_100.0),
    peer("kept", "kept_of_one", "Subduction", 1.0),
    peer("first-text", "down_bytes", "PouchDB", 26_000.0),
    peer("load", "acknowledged_per_s", "Subduction", 3_273.0),
    peer("load", "server_cpu_each_ms", "Evolu", 0.10),
    peer("load-text", "server_cpu_each_ms", "Evolu", 0.23),
    peer("rush", "sessions_per_s", "Subduction", 477.0),
    peer("rush", "server_cpu_each_ms", "Subduction", 1.5),
    peer("rush", "restarted_sessions_per_s", "Subduction", 257.0),
];

/// The goal of a figure, when it has one.
pub(crate) fn goal(scenario: &str, figure: &str) -> Option<&'static Goal> {
    GOALS.iter().find(|goal| goal.scenario == scenario && goal.figure == figure)
}

/// The best of others, where there is one.
pub(crate) fn best_peer(scenario: &str, figure: &str) -> Option<&'static Peer> {
    PEERS.iter().find(|peer| peer.scenario == scenario && peer.figure == figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_met_at_it_and_missed_past_it() {
        assert!(Bound::AtMost(600.0).met(600.0));
        assert!(!Bound::AtMost(600.0).met(607.0));
        assert!(Bound::AtLeast(1_600.0).met(1_600.0));
        assert!(!Bound::AtLeast(1_600.0).met(1_583.0));
    }

    #[test]
    fn a_run_is_judged_by_goals_of_its_size() {
        let goal = national("start", "clean_s", 3.0);
        let of = |size: f64, value| goal.judge(size * NATIONAL_DOCUMENTS, value);
        assert_eq!((of(0.99, 2.0), of(0.99, 4.0)), (None, None), "a smaller country says nothing");
        assert_eq!((of(1.0, 2.0), of(1.0, 4.0), of(1.5, 4.0)), (Some(true), Some(false), Some(false)));
        assert_eq!((of(10.0, 2.0), of(10.0, 4.0)), (Some(true), None), "ten countries may take longer than one");
        assert_eq!(at_most("edit", "round_trips", 2.0).judge(1e9, 3.0), Some(false), "a goal for any size");
    }
}
