//! Every scenario of `toso bench`, once and very small, so that none rots; and the counts that no noise can change: bytes,
//! messages, round trips, syncs. Times are printed there and asserted nowhere.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::process::Command;

use serde_json::Value;
use toso_tests::toso;

/// Frames each way of a phone with nothing new.
const UNCHANGED_BYTES_MAX: f64 = 150.0;
/// What one changed field adds to them upwards.
const EDIT_BYTES_MAX: f64 = 160.0;
/// What a commune of 10 teams and 50 members takes downwards.
const FIRST_SYNC_BYTES_MAX: f64 = 16.0 * 1024.0;
/// What 60 teams with 68 KB of text take downwards, HTTP's head too: gzip makes 18 KB of all the text at once.
const FIRST_TEXT_BYTES_MAX: f64 = 18.0 * 1024.0;
/// HTTP's heads and all frames of a phone with nothing new, both ways.
const UNCHANGED_WITH_HTTP_BYTES_MAX: f64 = 600.0;
/// Past this a round trip too many has crept in: a noisy machine adds a quarter of one at most.
const NOISE_ROUND_TRIPS: f64 = 0.5;
/// Each document of a load costs at most so much upwards: the goal is 65 in the long run, and small runs share less.
const LOAD_BYTES_EACH_MAX: f64 = 100.0;

/// A server with more behind it counts in larger numbers, which take some bytes more: three numbers, and base64 around.
const LONGER_NUMBERS_BYTES: f64 = 8.0;

/// The scenarios' figures, by scenario: those of the only step and round.
struct Run(Value);

impl Run {
    fn of(options: &[&str]) -> Self {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let file = folder.path().join("bench.json");
        let output = Command::new(toso())
            .args(["bench", "--rounds", "1", "--json"])
            .arg(&file)
            .args(options)
            .output()
            .expect("toso runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let table = String::from_utf8(output.stdout).expect("text");
        println!("{table}");
        let json: Value = serde_json::from_slice(&std::fs::read(&file).expect("it was written")).expect("it is JSON");
        for scenario in json["scenarios"].as_array().expect("a list") {
            let name = scenario["name"].as_str().expect("a name");
            assert!(table.contains(&format!("{name}: ")), "{name} is missing in the table");
        }
        Self(json)
    }

    fn names(&self) -> Vec<&str> {
        self.0["scenarios"].as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect()
    }

    /// A figure at a step.
    fn at(&self, step: usize, scenario: &str, figure: &str) -> f64 {
        let scenarios = self.0["scenarios"].as_array().expect("a list");
        let one = scenarios.iter().find(|one| one["name"] == scenario).unwrap_or_else(|| panic!("{scenario} ran"));
        let round = &one["steps"][step]["rounds"][0];
        round[figure].as_f64().unwrap_or_else(|| panic!("{figure} in {round}"))
    }

    fn figure(&self, scenario: &str, figure: &str) -> f64 {
        self.at(0, scenario, figure)
    }
}

/// A whole number, or nearly.
fn about(value: f64, wanted: f64, tolerance: f64) -> bool {
    (value - wanted).abs() <= tolerance
}

#[test]
fn every_scenario_runs_and_its_counts_are_within_budget() {
    let run = Run::of(&["--scale", "0.001", "--steps", "10"]);
    let listed = Command::new(toso()).args(["bench", "--list"]).output().expect("toso runs");
    let listed = String::from_utf8(listed.stdout).expect("text");
    let listed: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(run.names(), listed, "all scenarios run, in the order of the list");

    for (figure, most) in [
        ("frames_up_bytes", UNCHANGED_BYTES_MAX),
        ("frames_down_bytes", UNCHANGED_BYTES_MAX),
        ("http_and_frames_bytes", UNCHANGED_WITH_HTTP_BYTES_MAX),
    ] {
        let bytes = run.figure("reconnect", figure);
        assert!((1.0..=most).contains(&bytes), "reconnect: {figure} is {bytes}");
    }
    assert!(about(run.figure("reconnect", "messages_up"), 0.0, 0.0), "HELLO is all it says");
    assert!(about(run.figure("reconnect", "syncs_each"), 0.0, 0.0), "nothing is written");
    for scenario in ["reconnect", "edit"] {
        let round_trips = run.figure(scenario, "round_trips");
        assert!(about(round_trips, 2.0, NOISE_ROUND_TRIPS), "{scenario}: {round_trips} round trips, TCP's included");
    }
    let added = run.figure("edit", "edit_adds_up_bytes");
    assert!((1.0..=EDIT_BYTES_MAX).contains(&added), "an edit adds {added} bytes");
    assert!(about(run.figure("edit", "messages_up"), 0.0, 0.0), "one edit rides in HELLO");
    let syncs = run.figure("edit", "syncs_each");
    assert!((1.0..=2.0).contains(&syncs), "an acknowledged edit takes one sync, and counting at most another: {syncs}");
    assert!(about(run.figure("kept", "kept_of_one"), 1.0, 0.0), "an acknowledged edit is on disk");

    let first = run.figure("first", "frames_down_bytes");
    assert!(first <= FIRST_SYNC_BYTES_MAX, "a first sync takes {first} bytes");
    assert!(about(run.figure("first", "changes"), 60.0, 0.0));
    let round_trips = run.figure("first", "round_trips");
    assert!(about(round_trips, 2.0, NOISE_ROUND_TRIPS), "pages come unasked: {round_trips} round trips");
    assert!(about(run.figure("first-text", "changes"), 60.0, 0.0));
    let text = run.figure("first-text", "down_bytes");
    assert!(text <= FIRST_TEXT_BYTES_MAX, "a first sync of 68 KB of text takes {text} bytes with HTTP");

    let load = run.figure("load", "up_each_bytes");
    assert!(load <= LOAD_BYTES_EACH_MAX, "a document of a load takes {load} bytes upwards");
    assert!(run.figure("load", "syncs") < 60.0, "many documents share a sync");
    assert!(run.figure("rush", "syncs_each") <= 2.0, "sessions share syncs");
    assert!(run.figure("phone", "edit_syncs") >= 1.0, "a save on a phone is on its disk");
    assert!(run.figure("phone-lists", "found") >= 1.0, "a name is found without its diacritics");
}

/// What a phone pays does not depend on what others have.
#[test]
fn an_edits_bytes_and_syncs_do_not_grow_with_the_server() {
    let run = Run::of(&["--scale", "0.003", "--steps", "1,10", "--only", "reconnect", "edit"]);
    assert_eq!(run.names(), ["reconnect", "edit"]);
    for (scenario, figure) in
        [("reconnect", "frames_up_bytes"), ("reconnect", "frames_down_bytes"), ("edit", "edit_adds_up_bytes")]
    {
        let (small, large) = (run.at(0, scenario, figure), run.at(1, scenario, figure));
        assert!(about(large, small, LONGER_NUMBERS_BYTES), "{scenario}: {figure} goes from {small} to {large}");
    }
    let (small, large) = (run.at(0, "edit", "syncs_each"), run.at(1, "edit", "syncs_each"));
    assert!(large <= small + 1.0, "an edit takes {small} syncs, beside more documents {large}");
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    for (options, part) in [
        (&["--only", "storm"][..], "there is no scenario"),
        (&["--scale", "0"], "--scale"),
        (&["--rounds", "0"], "0 rounds"),
    ] {
        let output = Command::new(toso()).arg("bench").args(options).output().expect("toso runs");
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(part), "{said}");
    }
}
