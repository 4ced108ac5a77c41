//! `kill -9` of server and field devices at random moments: nothing acknowledged is lost, nothing is there twice.
//!
//! A dozen kills with every `cargo test`; `cargo xtask kills --kills N` runs as many as wanted and prints the table that
//! `docs/operations.md` quotes. `TOSO_SEED` repeats a run's moments (not the machine's scheduling).

#![allow(clippy::print_stdout, reason = "the table is for the reader")]

use std::time::Duration;

use tempfile::TempDir;
use toso_tests::kills::server::Plan;
use toso_tests::kills::{Tally, field, server};
use toso_tests::{SmallDisk, seed};

/// Kills of the long form.
const KILLS_VARIABLE: &str = "TOSO_KILLS";

fn plan(kills: usize, devices: usize) -> Plan {
    let seed = seed();
    println!("TOSO_SEED={seed} repeats the moments");
    Plan { kills, devices, seed, life_max: Duration::from_millis(400) }
}

fn kill_servers(kills: usize, devices: usize) -> Tally {
    let data = TempDir::new().expect("a temporary folder");
    server::run(plan(kills, devices), data.path(), None)
}

fn kill_servers_on_a_small_disk(kills: usize, devices: usize) -> Option<Tally> {
    let disk = SmallDisk::mount(128)?;
    Some(server::run(plan(kills, devices), &disk.path().join("data"), Some(&disk)))
}

fn kill_field_devices(kills: usize) -> Tally {
    let folders = [(); 2].map(|()| TempDir::new().expect("a temporary folder"));
    field::run(kills, plan(kills, 0).seed, folders[0].path(), folders[1].path(), None)
}

fn kill_field_devices_on_a_small_disk(kills: usize) -> Option<Tally> {
    let data = TempDir::new().expect("a temporary folder");
    let disk = SmallDisk::mount(40)?;
    Some(field::run(kills, plan(kills, 0).seed, data.path(), &disk.path().join("homes"), Some(&disk)))
}

fn hold(tally: &Tally, acknowledged_min: usize) {
    println!("{}\n{tally}", Tally::heading());
    assert_eq!((tally.lost, tally.duplicated), (0, 0), "{tally:?}");
    assert!(tally.acknowledged >= acknowledged_min, "too little was acknowledged to show anything: {tally:?}");
}

#[test]
fn a_server_killed_again_and_again_loses_nothing() {
    hold(&kill_servers(6, 8), 20);
}

#[test]
fn a_server_killed_with_a_nearly_full_disk_loses_nothing() {
    if let Some(tally) = kill_servers_on_a_small_disk(3, 4) {
        hold(&tally, 3);
    }
}

#[test]
fn field_devices_killed_again_and_again_lose_nothing() {
    hold(&kill_field_devices(8), 4);
}

#[test]
fn field_devices_killed_with_a_nearly_full_disk_lose_nothing() {
    if let Some(tally) = kill_field_devices_on_a_small_disk(4) {
        hold(&tally, 4);
    }
}

#[test]
#[ignore = "the long form: cargo xtask kills"]
fn hundreds_of_kills() {
    let kills = std::env::var(KILLS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    let low = kills / 6;
    let mut tallies = vec![kill_servers(kills - low, 24)];
    println!("{}\n{}", Tally::heading(), tallies[0]);
    tallies.extend(kill_servers_on_a_small_disk(low, 12));
    tallies.push(kill_field_devices(kills - low));
    tallies.extend(kill_field_devices_on_a_small_disk(low));
    println!("{}", Tally::heading());
    for tally in &tallies {
        println!("{tally}");
    }
    for tally in &tallies {
        hold(tally, tally.kills() / 3);
    }
}
