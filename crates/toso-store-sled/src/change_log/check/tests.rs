//! A check finds nothing in a whole folder, and each kind of damage in one that is not.

use tempfile::TempDir;
use toso_core::chunk::Chunk;
use toso_core::id::{AuthorId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitList, UnitRef};
use toso_store::{LogBatch, RecordChange, RecordStore};

use super::*;
use crate::Options;

fn scope(code: &str) -> Scope {
    UnitRef::new(UnitList::L2022, code).unwrap()
}

fn item(code: &str, number: u8, bytes: usize) -> Change {
    let chunk = Chunk::trusted(vec![number; bytes], ChangeHash([number; 32]));
    Change { doc: DocId::member(scope(code), [number; 11]), chunk }
}

fn batch(code: &str, items: Vec<Change>) -> LogBatch {
    LogBatch { scope: scope(code), author: AuthorId([1; 8]), received_at: TimestampMs(2), items }
}

/// Runs at 1 (three entries), 4 (one that needs two parts) and 5 (two entries of a known document), a command with
/// two records at 7, and a derived record.
fn filled(folder: &TempDir) -> SledChangeLog {
    let log = SledChangeLog::open(folder.path(), Options::phone()).unwrap();
    let again = |hash: u8| Change { doc: item("00001", 1, 40).doc, ..item("00001", hash, 40) };
    log.append(&[
        batch("00001", vec![item("00001", 1, 40), item("00001", 2, 40), item("00001", 3, 40)]),
        batch("00004", vec![item("00004", 4, 6_000)]),
        batch("00001", vec![again(101), again(102)]),
    ])
    .unwrap();
    let record = |table: &str, key: u8| RecordChange {
        table: table.to_owned(),
        key: vec![key],
        value: Some(vec![key; 50]),
        expect: None,
    };
    log.command(TimestampMs(3), &[record("t", 1), record("t", 2)]).unwrap();
    log.derive(&[record("v", 1)]).unwrap();
    log
}

fn findings(log: &SledChangeLog) -> Vec<String> {
    let mut found = Vec::new();
    log.check(&mut |error| found.push(error.to_string())).unwrap();
    found
}

/// Writes a body under a key behind the log's back.
fn raw(log: &SledChangeLog, key: &[u8], body: &[u8]) {
    for (key, value) in value::encode(key, body, None) {
        log.engine.tree().insert(key, value).unwrap();
    }
}

#[test]
fn a_whole_folder_has_no_findings() {
    let folder = TempDir::new().unwrap();
    let log = filled(&folder);
    let mut found = Vec::new();
    let checked = log.check(&mut |error| found.push(error.to_string())).unwrap();
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(
        checked,
        Checked { values: 4 + 9 + 3, runs: 3, entries: 6, commands: 1, index_keys: 3 + 4 + 2, records: 3 }
    );
    let empty = TempDir::new().unwrap();
    let log = SledChangeLog::open(empty.path(), Options::phone()).unwrap();
    assert!(findings(&log).is_empty());
}

#[test]
fn a_flipped_byte_in_any_value_is_found() {
    let folder = TempDir::new().unwrap();
    let log = filled(&folder);
    let all: Vec<_> = log.engine.tree().iter().map(|entry| entry.unwrap()).collect();
    for (key, value) in all {
        let mut damaged = value.to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        log.engine.tree().insert(&key, damaged).unwrap();
        let found = findings(&log);
        assert!(found.iter().any(|text| text.contains("checksum")), "{key:?}: {found:?}");
        log.engine.tree().insert(&key, value).unwrap();
    }
    assert!(findings(&log).is_empty());
}

#[test]
fn a_removed_key_of_any_space_but_derived_records_is_found() {
    let folder = TempDir::new().unwrap();
    let log = filled(&folder);
    let all: Vec<_> = log.engine.tree().iter().map(|entry| entry.unwrap()).collect();
    for (key, value) in all.into_iter().filter(|(key, _)| key[0] != DERIVED_SPACE) {
        log.engine.tree().remove(&key).unwrap();
        assert!(!findings(&log).is_empty(), "{key:?}");
        log.engine.tree().insert(&key, value).unwrap();
    }
    assert!(findings(&log).is_empty());
}

#[test]
fn keys_and_bodies_that_name_nothing_are_found() {
    let doc = DocId::member(scope("00001"), [1; 11]);
    let stranger = DocId::member(scope("00001"), [9; 11]);
    let position = |sequence: u64, offset: u16| [&sequence.to_be_bytes()[..], &offset.to_be_bytes()].concat();
    let sums = |entries: u16, count: u64| [&entries.to_be_bytes()[..], &count.to_be_bytes(), &[0; 8]].concat();
    let head = |first: u64, offset: u16, changes: u64, tag: u8| {
        let (first, tag) = (Position { sequence: Sequence(first), offset }, [tag; 16]);
        Head { scope: scope("00001"), first, size: DocumentSize { changes, bytes: 40 * changes }, tag }.body()
    };
    let devices = |expect: u8| RecordChange {
        table: "t".to_owned(),
        key: vec![1],
        value: None,
        expect: Some(Some(vec![expect; 50])),
    };
    let cases: [(&str, Vec<u8>, Vec<u8>, &str); 18] = [
        ("a scope key too many", scope_key(scope("00007"), Sequence(1)), sums(3, 3), "no run of this scope"),
        ("a wrong count", scope_key(scope("00001"), Sequence(1)), sums(2, 2), "2 entries"),
        ("a wrong sum", scope_key(scope("00001"), Sequence(1)), sums(3, 3), "sum of the scope"),
        ("a chunk key too many", chunk_key(stranger, &ChangeHash([9; 32])), position(2, 1), "is not this chunk"),
        ("a former chunk key beside", chunk_key(doc, &ChangeHash([1; 32])), position(2, 1), "is not this chunk"),
        ("a wrong sequence", head_key(doc), head(2, 1, 3, 1), "where its entry is"),
        ("a wrong size", head_key(doc), head(1, 0, 2, 1), "3 chunks of 120 bytes"),
        ("a head too many", head_key(stranger), head(2, 1, 1, 9), "is not of this document"),
        ("a later chunk too many", later_key(doc, &ChangeHash([9; 32])), vec![2, 1], "is not this chunk"),
        (
            "a former document key too many",
            document_key(scope("00001"), stranger),
            position(2, 0),
            "is not of this document",
        ),
        ("a document that begins late", head_key(doc), head(5, 0, 3, 101), "after an entry at 1"),
        ("a run after a gap", run_key(Sequence(9)), vec![1; 30], "expected 8"),
        ("a command cut short", run_key(Sequence(8)), vec![2; 9], "command's fields"),
        (
            "a command that was raced",
            run_key(Sequence(8)),
            command::body(TimestampMs(4), &[devices(9)]),
            "expects other records",
        ),
        (
            "a command that its records lack",
            run_key(Sequence(8)),
            command::body(TimestampMs(4), &[devices(1)]),
            "not what the log's commands make",
        ),
        ("a record of no command", record_key(Holds::Truth, "t", &[3]), vec![], "not what the log's commands make"),
        ("a strange key", b"?".to_vec(), vec![], "no known space"),
        ("a record without a table", vec![DERIVED_SPACE, 9, 1], vec![], "no record key"),
    ];
    for (what, key, body, detail) in cases {
        let folder = TempDir::new().unwrap();
        let log = filled(&folder);
        raw(&log, &key, &body);
        let found = findings(&log);
        assert!(found.iter().any(|text| text.contains(detail)), "{what}: {found:?}");
    }
    let folder = TempDir::new().unwrap();
    let log = filled(&folder);
    log.engine.tree().insert(value::overflow_key(b"l", 1), vec![1]).unwrap();
    assert!(findings(&log).iter().any(|text| text.contains("further part")));
}
