//! Kills a writing process at random moments and looks at what is left.
//!
//! The victim is this test binary run again. It says on its output what the store acknowledged, so whatever arrived in
//! the pipe before the kill must be there after it: each whole, in order, without a gap. Loss of power cannot be shown
//! this way (the system keeps what a killed process wrote); `folder.rs` shows that syncs come before answers.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "test processes that cannot go on have failed"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use toso_core::id::{ChangeHash, Sequence};
use toso_core::time::TimestampMs;
use toso_store::conformance::samples::{batch, change, doc, hash, saved, scope};
use toso_store::{ChunkStore, Index as _, Log as _, RecordChange, RecordStore as _};
use toso_store_sled::{Options, SledChangeLog, SledChunkStore, StoreKey};

const KILLS: u64 = 12;
/// On a busy machine the victims get little done in their lifetimes; then there are more of them, up to so many: with
/// lifetimes of some 0.2 s, under a minute.
const KILLS_MAX: u64 = 10 * KILLS;
/// With less work done before the kills, a test would show nothing.
const ACKNOWLEDGED_MIN: usize = 50;
const ROTATIONS_MIN: usize = 20;
/// Where the victims find their folder.
const FOLDER_VARIABLE: &str = "TOSO_STORE_CRASH_FOLDER";
const WRITERS: u64 = 4;

/// Runs a victim for a while; returns the numbers that it acknowledged.
fn run_and_kill(victim: &str, folder: &Path, lifetime: Duration) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args([victim, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER_VARIABLE, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the victim starts");
    let output = child.stdout.take().expect("the pipe");
    let reader = thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        // A line cut by the kill was not acknowledged.
        lines.filter_map(|line| line.strip_prefix("ack ")?.strip_suffix('.')?.parse().ok()).collect::<Vec<u64>>()
    });
    thread::sleep(lifetime);
    child.kill().expect("the victim is killed");
    child.wait().expect("the victim is gone");
    reader.join().expect("the pipe is read to its end")
}

fn victims_folder() -> PathBuf {
    std::env::var_os(FOLDER_VARIABLE)
        .map(PathBuf::from)
        .expect("this test is only run by the crash tests, as their victim")
}

fn acknowledge(number: u64) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "ack {number}.").and_then(|()| output.flush()).expect("the parent listens");
}

/// Lifetimes from just after the opening to well into the work, never twice the same.
fn lifetime(kill: u64) -> Duration {
    Duration::from_millis(60 + kill * 37 % 300)
}

#[test]
#[ignore = "the victim of a_killed_server_keeps_what_it_acknowledged"]
fn server_victim() {
    let log = SledChangeLog::open(victims_folder(), Options::server()).unwrap();
    let start = log.last().0 + 1_000_000;
    thread::scope(|threads| {
        for writer in 0..WRITERS {
            let log = &log;
            threads.spawn(move || {
                for round in 0.. {
                    let number = start + (round * WRITERS + writer) * 10;
                    let within = scope(u32::try_from(number / 10 % 7).unwrap());
                    log.append(&[batch(within, number..number + 1 + number / 10 % 9)]).unwrap();
                    // Two records of a decision, one of several parts, and the entry that they come from.
                    let record = |key: &[u8], bytes: usize| RecordChange {
                        table: "decided".to_owned(),
                        key: [key, number.to_be_bytes().as_slice()].concat(),
                        value: Some(vec![7; bytes]),
                        expect: None,
                    };
                    log.command(TimestampMs(number), &[record(b"a", 10), record(b"b", 6_000)]).unwrap();
                    acknowledge(number);
                }
            });
        }
    });
}

#[test]
fn a_killed_server_keeps_what_it_acknowledged() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("log");
    let mut acknowledged = Vec::new();
    let mut last = Sequence::ZERO;
    for kill in 0..KILLS_MAX {
        if kill >= KILLS && acknowledged.len() > ACKNOWLEDGED_MIN {
            break;
        }
        acknowledged.extend(run_and_kill("server_victim", &folder, lifetime(kill)));
        let log = SledChangeLog::open(&folder, Options::server()).unwrap();
        assert!(log.last() >= last, "the log only grows");
        last = log.last();
        let entries = log.read(Sequence::ZERO, usize::MAX, usize::MAX).unwrap().entries;
        let all = log.tail(Sequence::ZERO, usize::MAX, usize::MAX).unwrap();
        assert!(all.iter().zip(1..).all(|(entry, number)| entry.sequence().0 == number), "no gap");
        assert_eq!(all.len() as u64, log.end().0);
        log.check(&mut |finding| panic!("{finding}")).unwrap();
        let hashes: std::collections::HashSet<ChangeHash> = entries.iter().map(|entry| entry.change.hash()).collect();
        for number in &acknowledged {
            let of = doc(scope(u32::try_from(number / 10 % 7).unwrap()), 1);
            for part in *number..number + 1 + number / 10 % 9 {
                assert!(hashes.contains(&hash(part)), "chunk {part} was acknowledged and is gone");
                assert!(log.contains(of, &hash(part)).unwrap(), "the index has lost chunk {part}");
            }
            for key in [b"a", b"b"] {
                let key = [key.as_slice(), &number.to_be_bytes()].concat();
                assert!(
                    log.record("decided", &key).unwrap().is_some(),
                    "decision {number} was acknowledged and is gone"
                );
            }
        }
        for within in (0..7).map(scope) {
            let of_scope = log.read_scopes(&[within], Sequence::ZERO, usize::MAX, usize::MAX).unwrap().entries;
            assert!(of_scope.iter().eq(entries.iter().filter(|entry| entry.scope == within)), "the index is whole");
            let expected = of_scope.last().map_or(Sequence::ZERO, |entry| entry.sequence);
            assert_eq!(log.last_of_scopes(&[within]).unwrap(), expected);
        }
    }
    assert!(
        acknowledged.len() > ACKNOWLEDGED_MIN,
        "the victims did only {} batches; the test shows nothing",
        acknowledged.len()
    );
}

#[test]
#[ignore = "the victim of a_killed_phone_keeps_what_it_acknowledged"]
fn phone_victim() {
    save_for_ever(&open_plain(&victims_folder()));
}

#[test]
#[ignore = "the victim of a_killed_encrypted_phone_keeps_what_it_acknowledged"]
fn encrypted_phone_victim() {
    save_for_ever(&open_encrypted(&victims_folder()));
}

fn open_plain(folder: &Path) -> SledChunkStore {
    SledChunkStore::open(folder, Options::phone()).expect("the store opens")
}

fn open_encrypted(folder: &Path) -> SledChunkStore {
    SledChunkStore::open_encrypted(folder, Options::phone(), &StoreKey::from_bytes(&[7; 32])).expect("the store opens")
}

fn save_for_ever(store: &SledChunkStore) {
    let start = store.outbox(0, usize::MAX).unwrap().last().map_or(0, |entry| entry.number / 3);
    for number in start.. {
        let chunks = (0..3).map(|part| change(u32::try_from(number % 5).unwrap(), number * 3 + part));
        let mut transaction = saved(chunks);
        transaction.cursors.push((scope(1), Sequence(number)));
        store.commit(transaction).unwrap();
        acknowledge(number);
    }
}

#[test]
fn a_killed_phone_keeps_what_it_acknowledged() {
    kill_phones("phone_victim", open_plain);
}

#[test]
fn a_killed_encrypted_phone_keeps_what_it_acknowledged() {
    kill_phones("encrypted_phone_victim", open_encrypted);
}

fn kill_phones(victim: &str, open: impl Fn(&Path) -> SledChunkStore) {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("phone");
    let mut acknowledged = Vec::new();
    for kill in 0..KILLS_MAX {
        if kill >= KILLS && acknowledged.len() > ACKNOWLEDGED_MIN {
            break;
        }
        acknowledged.extend(run_and_kill(victim, &folder, lifetime(kill)));
        let store = open(&folder);
        let outbox = store.outbox(0, usize::MAX).unwrap();
        assert_eq!(outbox.len() % 3, 0, "a transaction is there whole or not at all");
        assert_eq!(outbox.len(), store.outbox_len().unwrap());
        assert!(outbox.iter().zip(1..).all(|(entry, number)| entry.number == number));
        let expected = (outbox.len() as u64 / 3).saturating_sub(1);
        assert_eq!(store.cursor(scope(1)).unwrap(), Sequence(expected), "the cursor moved with its chunks");
        for number in &acknowledged {
            for part in 0..3 {
                let of = change(u32::try_from(number % 5).unwrap(), number * 3 + part);
                assert_eq!(store.chunk(of.doc, &of.hash()).unwrap(), of.chunk);
            }
        }
    }
    assert!(
        acknowledged.len() > ACKNOWLEDGED_MIN,
        "the victims did only {} saves; the test shows nothing",
        acknowledged.len()
    );
}

#[test]
#[ignore = "the victim of a_kill_while_the_key_is_rotated_leaves_one_key_that_opens"]
fn rotation_victim() {
    let folder = victims_folder();
    let key = |number: u64| StoreKey::from_bytes(&[u8::try_from(number % 7).unwrap() + 1; 32]);
    let mut number = opening_key(&folder, key);
    let store = SledChunkStore::open_encrypted(&folder, Options::phone(), &key(number)).unwrap();
    loop {
        store.rotate_key(&key(number), &key(number + 1)).unwrap();
        number += 1;
        acknowledge(number);
    }
}

/// The one of seven keys that opens a folder.
fn opening_key(folder: &Path, key: impl Fn(u64) -> StoreKey) -> u64 {
    let opens = |number: &u64| SledChunkStore::open_encrypted(folder, Options::phone(), &key(*number)).is_ok();
    let opening: Vec<u64> = (0..7).filter(opens).collect();
    assert_eq!(opening.len(), 1, "exactly one key opens the folder");
    opening[0]
}

#[test]
fn a_kill_while_the_key_is_rotated_leaves_one_key_that_opens() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("phone");
    let key = |number: u64| StoreKey::from_bytes(&[u8::try_from(number % 7).unwrap() + 1; 32]);
    let store = SledChunkStore::open_encrypted(&folder, Options::phone(), &key(0)).unwrap();
    store.commit(saved([change(1, 1)])).unwrap();
    drop(store);
    let mut rotations = 0;
    for kill in 0..KILLS_MAX {
        if kill >= KILLS && rotations > ROTATIONS_MIN {
            break;
        }
        let acknowledged = run_and_kill("rotation_victim", &folder, lifetime(kill) + Duration::from_millis(100));
        rotations += acknowledged.len();
        let opening = opening_key(&folder, key);
        if let Some(last) = acknowledged.last() {
            // The rotation after the last one answered may have happened too.
            assert!([last % 7, (last + 1) % 7].contains(&opening), "{opening} opens, {last} was acknowledged");
        }
        let store = SledChunkStore::open_encrypted(&folder, Options::phone(), &key(opening)).unwrap();
        let kept = change(1, 1);
        assert_eq!(store.chunk(kept.doc, &kept.hash()).unwrap(), kept.chunk);
    }
    assert!(rotations > ROTATIONS_MIN, "the victims rotated only {rotations} times; the test shows nothing");
}
