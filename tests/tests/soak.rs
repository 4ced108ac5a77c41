//! A steady load with kills: nothing acknowledged is lost, and nothing grows that has no reason to.
//!
//! A short form with every `cargo test`, which shows that the load runs and the checks hold; slopes need the long form,
//! `cargo xtask soak --minutes N --devices D`, whose figures `docs/operations.md` quotes.

#![allow(clippy::print_stdout, reason = "the figures are for the reader")]

use std::time::Duration;

use tempfile::TempDir;
use toso_tests::seed;
use toso_tests::soak::{Plan, run};

fn option(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn a_short_load_with_kills_loses_nothing() {
    let data = TempDir::new().expect("a temporary folder");
    let plan = Plan {
        time: Duration::from_secs(15),
        line_every: Duration::from_secs(2),
        devices: 24,
        edits_per_second: 40,
        records: 120,
        kills: 2,
        seed: seed(),
    };
    println!("TOSO_SEED={} repeats the plan", plan.seed);
    let verdict = run(plan, data.path(), |line| println!("{line}"));
    println!("{verdict}");
    assert_eq!((verdict.kills, verdict.lost, verdict.duplicated), (2, 0, 0));
    assert!(verdict.acknowledged > 200, "too little was done to show anything");
    assert!(verdict.samples.len() >= 5 && verdict.samples.iter().all(|figures| figures.handles > 0));
}

#[test]
#[ignore = "the long form: cargo xtask soak"]
fn a_steady_load_with_kills_leaves_nothing_growing() {
    let data = TempDir::new().expect("a temporary folder");
    let minutes = option("TOSO_SOAK_MINUTES", 10);
    let devices = usize::try_from(option("TOSO_SOAK_DEVICES", 200)).expect("a number of devices");
    let time = Duration::from_secs(60 * minutes);
    let plan = Plan {
        time,
        // Also after the last kill of one minute there are enough to tell what grows.
        line_every: (time / 30).min(Duration::from_secs(30)),
        devices,
        edits_per_second: 100,
        records: u32::try_from(devices * 25).expect("a number of records"),
        kills: 4,
        seed: seed(),
    };
    println!("TOSO_SEED={} repeats the plan", plan.seed);
    let verdict = run(plan, data.path(), |line| println!("{line}"));
    println!("{verdict}");
    assert_eq!(verdict.faults(), Vec::<String>::new());
}
