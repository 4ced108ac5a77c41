//! Every door for strangers' bytes, for a few seconds in every build: sound inputs, inputs that once broke something,
//! and seeded mutations of both. The fuzzer goes on where this stops (`fuzz/README.md`).

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use toso_tests::hostile_input::{TARGETS, seeds};

/// Mutations of each door: some seconds in all without optimisation.
const MUTATIONS: usize = 1_500;
/// Mutations of unit names: each is searched for among 14,000 names, twice.
const SEARCHES: usize = 60;
/// Bytes that a parser is likely to treat as special: signs, lengths and run-length counts at their ends.
const EDGES: [u8; 10] = [0x00, 0x01, 0x7e, 0x7f, 0x80, 0x81, 0xc0, 0xc1, 0xfe, 0xff];

fn fixtures(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile").join(target);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("readable")).collect()
}

fn mutate(rng: &mut SmallRng, pool: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = pool[rng.random_range(0..pool.len())].clone();
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] = EDGES[rng.random_range(0..EDGES.len())],
            1 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, EDGES[rng.random_range(0..EDGES.len())]),
            4 => {
                let other = &pool[rng.random_range(0..pool.len())];
                let from = rng.random_range(0..=other.len());
                bytes.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let end = (at + rng.random_range(0..16)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
    bytes
}

fn run(number: u64, input: &[u8]) {
    let (name, target) = TARGETS[usize::try_from(number).expect("few")];
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        let hex = data_encoding::HEXLOWER.encode(input);
        panic!("{name} broke on {hex}");
    }
}

/// Else nothing would be tried of the form that only servers send.
#[test]
fn a_seed_travels_by_prediction() {
    assert!(seeds("frame").iter().any(|seed| seed.first() == Some(&0x02)));
}

fn short_run(number: u64) {
    let (name, _) = TARGETS[usize::try_from(number).expect("few")];
    let mut pool = seeds(name);
    assert!(!pool.is_empty(), "{name} has no seeds");
    pool.extend(fixtures(name));
    for input in &pool {
        run(number, input);
    }
    run(number, &[]);
    let mut rng = SmallRng::seed_from_u64(number);
    for _ in 0..if name == "unit" { SEARCHES } else { MUTATIONS } {
        run(number, &mutate(&mut rng, &pool));
    }
}

#[test]
fn frames() {
    short_run(0);
}

#[test]
fn hello_tokens() {
    short_run(1);
}

#[test]
fn sessions() {
    short_run(2);
}

#[test]
fn changes() {
    short_run(3);
}

#[test]
fn snapshots() {
    short_run(4);
}

#[test]
fn invites() {
    short_run(5);
}

#[test]
fn units() {
    short_run(6);
}

#[test]
fn texts() {
    short_run(7);
}

#[test]
fn every_door_is_tested_here_and_has_a_fuzz_target() {
    assert_eq!(TARGETS.len(), 8, "give the new door a test of its own above");
    for (name, _) in TARGETS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets").join(format!("{name}.rs"));
        assert!(path.is_file(), "{} is missing", path.display());
    }
}
