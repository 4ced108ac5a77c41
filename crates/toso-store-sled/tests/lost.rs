//! A data file that was cut short, emptied, zeroed or lost.
//!
//! sled takes it for the end of its log, and opens. So a server whose file was cut to 100 bytes was an empty register of a
//! new history and called itself healthy, and a phone's looked as if it had never enrolled.

#![allow(clippy::unwrap_used, reason = "a test that cannot prepare its folder has failed")]

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use toso_core::id::Sequence;
use toso_core::time::TimestampMs;
use toso_store::conformance::samples::{batch, change, saved, scope};
use toso_store::{ChunkStore as _, Index as _, Log as _, RecordChange, RecordStore as _, StoreError, Transaction};
use toso_store_sled::{Options, SledChangeLog, SledChunkStore};

/// What happens to the file.
type Loss = fn(&Path);

/// Everything that leaves nothing.
const LOSSES: [(&str, Loss); 5] = [
    ("cut", |data| resize(data, 100)),
    ("emptied", |data| resize(data, 0)),
    ("zeroed", |data| fs::write(data, vec![0; usize::try_from(fs::metadata(data).unwrap().len()).unwrap()]).unwrap()),
    ("lost", |data| fs::remove_file(data).unwrap()),
    ("lost but for what says what it was", |data| {
        for entry in fs::read_dir(data.parent().unwrap()).unwrap() {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
            if path.is_file() && name != "FORMAT" && name != "low-water" {
                fs::remove_file(path).unwrap();
            }
        }
    }),
];

fn resize(data: &Path, bytes: u64) {
    fs::OpenOptions::new().write(true).open(data).unwrap().set_len(bytes).unwrap();
}

fn server(folder: &Path) -> Result<SledChangeLog, StoreError> {
    SledChangeLog::open(folder, Options::phone())
}

fn phone(folder: &Path) -> Result<SledChunkStore, StoreError> {
    SledChunkStore::open(folder, Options::phone())
}

/// Lost, or so damaged that it does not open: never new. And so it stays, however often it is tried.
fn assert_refused<T: std::fmt::Debug>(name: &str, open: impl Fn() -> Result<T, StoreError>) {
    for _ in 0..3 {
        let refused = open().unwrap_err();
        let told = matches!(refused, StoreError::Lost { found: 0, .. } | StoreError::Damaged { .. });
        assert!(told, "{name}: {refused}");
    }
}

#[test]
fn a_servers_log_that_lost_everything_is_refused() {
    for (name, lose) in LOSSES {
        let folder = TempDir::new().unwrap();
        let log = server(folder.path()).unwrap();
        for round in 0..50 {
            log.append(&[batch(scope(1), [round, 1_000 + round])]).unwrap();
        }
        drop(log);
        lose(&folder.path().join("db"));
        assert_refused(name, || server(folder.path()));
    }
}

/// A command alone is something, too: a server's identity is one.
#[test]
fn a_servers_first_command_is_known_at_once() {
    let folder = TempDir::new().unwrap();
    let log = server(folder.path()).unwrap();
    let change = RecordChange { table: "server".to_owned(), key: vec![1], value: Some(vec![2]), expect: None };
    log.command(TimestampMs(1), &[change]).unwrap();
    // As after a kill: without what closing writes.
    assert_eq!(fs::read_to_string(folder.path().join("low-water")).unwrap(), "toso low-water 1\n");
    drop(log);
    resize(&folder.path().join("db"), 100);
    assert_refused("cut", || server(folder.path()));
}

#[test]
fn a_phones_store_that_lost_everything_is_refused() {
    // One that has only enrolled, and one with records.
    let enrolled =
        || Transaction { settings: vec![("credential".to_owned(), Some(vec![7; 100]))], ..Transaction::default() };
    for records in [0, 30] {
        for (name, lose) in LOSSES {
            let folder = TempDir::new().unwrap();
            let store = phone(folder.path()).unwrap();
            store.commit(enrolled()).unwrap();
            for number in 0..records {
                store.commit(saved([change(1, number)])).unwrap();
            }
            drop(store);
            lose(&folder.path().join("db"));
            assert_refused(name, || phone(folder.path()));
        }
    }
}

/// Nothing was lost by these: a store that never held anything, and one that was emptied on purpose.
#[test]
fn a_store_that_is_empty_by_right_opens() {
    let folder = TempDir::new().unwrap();
    for _ in 0..2 {
        drop(server(&folder.path().join("server")).unwrap());
        drop(phone(&folder.path().join("phone")).unwrap());
    }
    let store = phone(&folder.path().join("phone")).unwrap();
    store.commit(saved([change(1, 1)])).unwrap();
    store.commit(Transaction { empty: true, ..Transaction::default() }).unwrap();
    drop(store);
    let settings = |value| Transaction { settings: vec![("credential".to_owned(), value)], ..Transaction::default() };
    let store = phone(&folder.path().join("other phone")).unwrap();
    store.commit(settings(Some(vec![1]))).unwrap();
    store.commit(settings(None)).unwrap();
    drop(store);
    for name in ["phone", "other phone"] {
        phone(&folder.path().join(name)).unwrap();
    }
}

/// A log that lost its end is refused, too, and what is left of it can be read and saved.
#[test]
fn a_log_that_lost_its_end_is_refused_and_can_be_saved() {
    let folder = TempDir::new().unwrap();
    let log = server(folder.path()).unwrap();
    log.append(&[batch(scope(1), 0..10)]).unwrap();
    drop(log);
    let before = fs::read(folder.path().join("db")).unwrap();
    let log = server(folder.path()).unwrap();
    log.append(&[batch(scope(1), 10..15)]).unwrap();
    drop(log);
    // The disk has the file of the day before.
    for entry in fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    fs::write(folder.path().join("db"), before).unwrap();
    let refused = server(folder.path()).unwrap_err();
    assert!(matches!(refused, StoreError::Lost { held: 15, found: 10, .. }), "{refused}");
    let left = SledChangeLog::open_what_is_left(folder.path(), Options::phone()).unwrap();
    assert_eq!(left.read(Sequence::ZERO, 100, 100_000).unwrap().entries.len(), 10);
    assert_eq!(left.last_of_scopes(&[scope(1)]).unwrap(), Sequence(10));
    drop(left);
    assert!(server(folder.path()).is_err(), "looking at it has not made it whole");
}
