//! The scenarios by name: what each measures, what grows in it, and how.

mod connected;
mod exchange;
mod folder;
mod handset;
mod load;
mod national;

use crate::bench::Bench;
use crate::error::BenchError;
use crate::figures::Expected::{Flat, Proportional};
use crate::figures::{Expected, Step};

/// At which of its steps a scenario has the size that budgets speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// At the first: what grows is something that the figures should not depend on, or a further look.
    First,
    /// At the last.
    Last,
}

/// One scenario.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// What there is more of from step to step; a scenario without it has one step.
    pub(crate) grows: Option<&'static str>,
    pub(crate) slopes: &'static [(&'static str, Expected)],
    pub(crate) full: Full,
    /// Runs all rounds of one step. The factor is 1, 3 or 10.
    pub(crate) run: fn(&Bench, u32) -> Result<Step, BenchError>,
}

pub(crate) const SCENARIOS: [Scenario; 18] = [
    Scenario {
        name: "reconnect",
        what: "a phone with 60 documents and nothing new comes online",
        grows: Some("documents on the server"),
        slopes: &[("frames_up_bytes", Flat), ("frames_down_bytes", Flat), ("ms", Flat), ("server_cpu_each_ms", Flat)],
        full: Full::First,
        run: exchange::reconnect,
    },
    Scenario {
        name: "edit",
        what: "a phone with 60 documents comes online with one changed field, until it is acknowledged",
        grows: Some("documents on the server"),
        slopes: &[("frames_up_bytes", Flat), ("syncs_each", Flat), ("ms", Flat), ("server_cpu_each_ms", Flat)],
        full: Full::First,
        run: exchange::edit,
    },
    Scenario {
        name: "edit-history",
        what: "the same edit of a document that has been edited many times before",
        grows: Some("earlier edits of the document"),
        slopes: &[("frames_up_bytes", Flat), ("record_ms", Flat), ("ms", Flat)],
        full: Full::Last,
        run: exchange::edit_history,
    },
    Scenario {
        name: "kept",
        what: "the server is killed the moment an edit is acknowledged; is the edit there when it is back?",
        grows: None,
        slopes: &[],
        full: Full::First,
        run: exchange::kept,
    },
    Scenario {
        name: "first",
        what: "a new phone fetches its commune, 10 teams and 50 members, over three links",
        grows: Some("documents of the commune"),
        slopes: &[("frames_down_bytes", Proportional), ("ms", Proportional)],
        full: Full::First,
        run: exchange::first,
    },
    Scenario {
        name: "first-text",
        what: "a new phone fetches 60 teams with 68 KB of text",
        grows: None,
        slopes: &[],
        full: Full::First,
        run: exchange::first_text,
    },
    Scenario {
        name: "load",
        what: "phones come online, each with 60 new documents",
        grows: Some("phones"),
        slopes: &[("wall_s", Proportional), ("server_cpu_each_ms", Flat), ("server_memory_peak_mib", Proportional)],
        full: Full::Last,
        run: load::load,
    },
    Scenario {
        name: "load-text",
        what: "phones come online, each with 60 texts of 1 KB: 20 at a time, and fewer, and more; and a phone's own cost",
        grows: None,
        slopes: &[],
        full: Full::Last,
        run: load::load_text,
    },
    Scenario {
        name: "rush",
        what: "phones come online at once, each with one edit; then the same after a restart of the server",
        grows: Some("phones"),
        slopes: &[("wall_s", Proportional), ("server_cpu_each_ms", Flat), ("restarted_wall_s", Proportional)],
        full: Full::Last,
        run: load::rush,
    },
    Scenario {
        name: "idle",
        what: "phones stay connected and have nothing to say",
        grows: Some("connections"),
        slopes: &[("memory_each_bytes", Flat), ("connect_s", Proportional)],
        full: Full::Last,
        run: connected::idle,
    },
    Scenario {
        name: "push",
        what: "one edit reaches all phones of its commune that are connected",
        grows: Some("connections"),
        slopes: &[("last_heard_ms", Proportional), ("server_cpu_each_ms", Flat)],
        full: Full::Last,
        run: connected::push,
    },
    Scenario {
        name: "national",
        what: "the country as of 7/9/2022: every phone enrols, records, syncs; until all is counted",
        grows: Some("teams and members"),
        slopes: &[
            ("whole_s", Proportional),
            ("server_cpu_each_ms", Flat),
            ("server_memory_peak_mib", Proportional),
            ("disk_mib", Proportional),
        ],
        full: Full::Last,
        run: national::load,
    },
    Scenario {
        name: "report",
        what: "the national report, as JSON over HTTP",
        grows: Some("teams and members"),
        slopes: &[("ms", Flat)],
        full: Full::Last,
        run: national::report,
    },
    Scenario {
        name: "start",
        what: "a server with the national data starts: after a clean stop, and after kill -9 under load",
        grows: Some("teams and members"),
        slopes: &[("clean_s", Proportional), ("killed_s", Proportional), ("memory_mib", Proportional)],
        full: Full::Last,
        run: folder::start,
    },
    Scenario {
        name: "rebuild",
        what: "a server without stored views counts everything again from its log",
        grows: Some("teams and members"),
        slopes: &[("wall_s", Proportional)],
        full: Full::Last,
        run: folder::rebuild,
    },
    Scenario {
        name: "compaction",
        what: "a stopped server's data is rewritten (`toso compact`)",
        grows: Some("teams and members"),
        slopes: &[("wall_s", Proportional), ("disk_mib", Proportional)],
        full: Full::Last,
        run: folder::compaction,
    },
    Scenario {
        name: "phone",
        what: "a phone's own work on its disk, in a process of its own: open 60 documents, edit, 1,000 edits",
        grows: Some("earlier edits"),
        slopes: &[("edit_p50_ms", Flat), ("disk_mib", Proportional)],
        full: Full::First,
        run: handset::phone,
    },
    Scenario {
        name: "phone-lists",
        what: "a phone with as many documents as it may hold: open, list, search",
        grows: Some("documents on the phone"),
        slopes: &[("open_ms", Proportional), ("list_ms", Proportional), ("memory_peak_mib", Proportional)],
        full: Full::Last,
        run: handset::lists,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::goals::{GOALS, PEERS};

    #[test]
    fn names_are_unique_and_goals_are_of_scenarios() {
        let names: HashSet<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), SCENARIOS.len());
        assert!(GOALS.iter().all(|goal| names.contains(goal.scenario)));
        assert!(PEERS.iter().all(|peer| names.contains(peer.scenario)));
    }

    #[test]
    fn what_has_slopes_grows() {
        assert!(SCENARIOS.iter().all(|scenario| scenario.grows.is_some() != scenario.slopes.is_empty()));
    }
}
