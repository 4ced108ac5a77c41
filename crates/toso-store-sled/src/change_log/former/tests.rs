//! A folder as format 1 had it is read, goes on, and says from then on what it is.

use std::fs;

use tempfile::TempDir;
use toso_core::change::{Body, Change};
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::document::DocumentSize;
use toso_core::id::AuthorId;
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitList, UnitRef};

use toso_store::RecordStore as _;

use super::super::documents::DocumentEntry;
use super::super::run::tests::former_body;
use super::super::summary::ScopeRun;
use super::super::*;
use super::*;
use crate::folder::FORMAT_VERSION;

fn scope(code: &str) -> Scope {
    UnitRef::new(UnitList::L2022, code).unwrap()
}

fn item(code: &str, doc: u8, hash: u8) -> Change {
    let doc = DocId::member(scope(code), [doc; 11]);
    Change { doc, chunk: Chunk::trusted(vec![hash; 10], ChangeHash([hash; 32])) }
}

fn batch(code: &str, items: Vec<Change>) -> LogBatch {
    LogBatch { scope: scope(code), author: AuthorId([1; 8]), received_at: TimestampMs(2), items }
}

/// Writes batches of new chunks, one for each scope, as format 1 did, and leaves the folder as it was left then.
fn write(folder: &TempDir, batches: &[LogBatch]) {
    let log = SledChangeLog::open(folder.path(), Options::phone()).unwrap();
    let mut staged = Staged::new(&log.engine);
    let mut sequence = 1_u64;
    for batch in batches {
        let first = Sequence(sequence);
        let mut through = Summary::default();
        for (offset, item) in (0_u16..).zip(&batch.items) {
            through.count += 1;
            through.digest.toggle(item.doc, &item.hash());
            let position = [sequence.to_be_bytes().as_slice(), &offset.to_be_bytes()].concat();
            staged.insert(&chunk_key(item.doc, &item.hash()), &position);
            let key = document_key(batch.scope, item.doc);
            let before = staged.get(&key).unwrap().and_then(|body| DocumentEntry::parse(&body));
            let (first, size) = before.unwrap_or((Sequence(sequence), None));
            let mut entry = DocumentEntry { first, size: size.unwrap_or_default() };
            entry.size.add(item.bytes().len());
            staged.put(&key, &entry.body()).unwrap();
            sequence += 1;
        }
        staged.insert(&run_key(first), &former_body(batch));
        let entries = u16::try_from(batch.items.len()).unwrap();
        staged.insert(&scope_key(batch.scope, first), &ScopeRun { first, entries, through }.body());
    }
    log.engine.apply(staged.into_batch(), || ()).unwrap();
    drop(log);
    fs::write(folder.path().join("FORMAT"), "toso storage\nformat 1\nkind server\n").unwrap();
}

fn assert_whole(log: &SledChangeLog) {
    log.check(&mut |finding| panic!("{finding}")).unwrap();
}

#[test]
fn a_folder_of_format_1_is_read_goes_on_and_becomes_one_of_format_4() {
    let folder = TempDir::new().unwrap();
    let old = [
        batch("00001", vec![item("00001", 1, 11), item("00001", 2, 12), item("00001", 1, 13)]),
        batch("00004", vec![item("00004", 3, 14)]),
    ];
    write(&folder, &old);
    let log = SledChangeLog::open(folder.path(), Options::phone()).unwrap();
    let format = fs::read_to_string(folder.path().join("FORMAT")).unwrap();
    assert_eq!(format, "toso storage\nformat 5\nkind server\n");
    assert_whole(&log);
    let page = log.read(Sequence::ZERO, 10, 10_000).unwrap();
    let read: Vec<_> = page.entries.iter().map(|entry| entry.change.clone()).collect();
    let written: Vec<_> = old.iter().flat_map(|batch| batch.items.clone()).map(Change::<Body>::from).collect();
    assert_eq!((read, page.through), (written, Sequence(4)));

    // Known chunks stay once, new ones of old and of new documents join them.
    let more = batch(
        "00001",
        vec![
            item("00001", 1, 11),
            item("00001", 1, 15),
            item("00001", 9, 16),
            item("00001", 9, 17),
            item("00001", 2, 12),
        ],
    );
    for round in 0..2 {
        let appended = log.append(std::slice::from_ref(&more)).unwrap().remove(0);
        assert_eq!((appended.new, appended.through), (if round == 0 { 3 } else { 0 }, Sequence(7)));
    }
    assert_whole(&log);
    drop(log);
    let log = SledChangeLog::open(folder.path(), Options::phone()).unwrap();
    let of = |doc: u8| DocId::member(scope("00001"), [doc; 11]);
    let hashes = |doc: u8| {
        let entries = log.document(of(doc)).unwrap();
        entries.iter().map(|entry| entry.change.hash().0[0]).collect::<Vec<_>>()
    };
    assert_eq!((hashes(1), hashes(2), hashes(9)), (vec![11, 13, 15], vec![12], vec![16, 17]));
    assert_eq!(log.documents(scope("00001")).unwrap(), [of(1), of(2), of(9)]);
    let size = |doc: u8| log.document_size(scope("00001"), of(doc)).unwrap();
    assert_eq!(size(1), DocumentSize { changes: 3, bytes: 30 });
    assert_eq!(size(9), DocumentSize { changes: 2, bytes: 20 });
    for known in [item("00001", 1, 11), item("00001", 1, 15), item("00001", 9, 16), item("00001", 9, 17)] {
        assert!(log.contains(known.doc, &known.hash()).unwrap());
    }
    assert!(!log.contains(of(9), &ChangeHash([99; 32])).unwrap());
    let summary = log.summary(&[scope("00001")], Sequence(6)).unwrap();
    assert_eq!(summary.count, 5);
}

/// Documents had no size at first, only where they begin.
#[test]
fn a_document_from_before_documents_were_counted_is_counted_when_it_is_read_and_written() {
    let folder = TempDir::new().unwrap();
    write(&folder, &[batch("00001", vec![item("00001", 1, 1), item("00001", 1, 2)])]);
    let log = SledChangeLog::open(folder.path(), Options::phone()).unwrap();
    let (scope, doc) = (scope("00001"), item("00001", 1, 1).doc);
    let key = document_key(scope, doc);
    let mut staged = Staged::new(&log.engine);
    staged.put(&key, &1_u64.to_be_bytes()).unwrap();
    log.engine.apply(staged.into_batch(), || ()).unwrap();
    assert_eq!(log.document_size(scope, doc).unwrap(), DocumentSize { changes: 2, bytes: 20 });
    assert_whole(&log);
    log.append(&[batch("00001", vec![item("00001", 1, 3), item("00001", 1, 4)])]).unwrap();
    assert_eq!(log.document_size(scope, doc).unwrap(), DocumentSize { changes: 4, bytes: 40 });
    assert_eq!(log.engine.get(&key).unwrap().unwrap().len(), 24, "it has its size from now on");
}

/// An id that does not belong to its scope, and one document in two scopes, as a forged push would have it.
#[test]
fn strange_documents_are_kept_in_the_former_index() {
    let folder = TempDir::new().unwrap();
    let log = SledChangeLog::open(folder.path(), Options::phone()).unwrap();
    let own = item("00001", 1, 1);
    let elsewhere = Change { chunk: Chunk::trusted(own.bytes(), ChangeHash([2; 32])), ..own.clone() };
    log.append(&[batch("00001", vec![own.clone()]), batch("00004", vec![elsewhere.clone(), own.clone()])]).unwrap();
    assert_whole(&log);
    assert_eq!(log.last(), Sequence(2));
    assert!(log.contains(own.doc, &own.hash()).unwrap() && log.contains(own.doc, &elsewhere.hash()).unwrap());
    assert_eq!(log.document(own.doc).unwrap().len(), 2);
    for code in ["00001", "00004"] {
        assert_eq!(log.documents(scope(code)).unwrap(), [own.doc]);
        assert_eq!(log.document_size(scope(code), own.doc).unwrap(), DocumentSize { changes: 1, bytes: 10 });
    }
}

/// An operator whose disk is full opens a folder with the new version, is refused, and goes back to the old one: it was marked
/// before it was known to fit, and then no version opened it.
#[test]
fn a_former_folder_without_room_for_its_records_stays_as_it_was() {
    let folder = TempDir::new().unwrap();
    let log = SledChangeLog::open(folder.path(), Options::phone()).unwrap();
    let mut staged = Staged::new(&log.engine);
    staged.insert(&[&[FORMER_RECORD_SPACE, 7], b"devices".as_slice(), b"a"].concat(), &[7; 200]);
    log.engine.apply(staged.into_batch(), || ()).unwrap();
    drop(log);
    let format = folder.path().join("FORMAT");
    let former = "toso storage\nformat 3\nkind server\n";
    fs::write(&format, former).unwrap();
    let full = Options { space_reserve_bytes: u64::MAX / 2, ..Options::phone() };
    for _ in 0..2 {
        assert!(matches!(SledChangeLog::open(folder.path(), full), Err(StoreError::Full { .. })));
        assert_eq!(fs::read_to_string(&format).unwrap(), former);
    }
    let log = SledChangeLog::open(folder.path(), Options::phone()).unwrap();
    assert_eq!(log.record("devices", b"a").unwrap(), Some(vec![7; 200]));
    assert_eq!(fs::read_to_string(&format).unwrap(), format!("toso storage\nformat {FORMAT_VERSION}\nkind server\n"));
}

/// Records of a folder of before were in no entry; one opening makes them entries, and no further one does.
#[test]
fn records_of_a_former_folder_become_commands_once() {
    let folder = TempDir::new().unwrap();
    let log = SledChangeLog::open(folder.path(), Options::phone()).unwrap();
    log.append(&[batch("00001", vec![item("00001", 1, 1)])]).unwrap();
    let mut staged = Staged::new(&log.engine);
    let former = |table: &str, key: u16| {
        let length = u8::try_from(table.len()).unwrap();
        [&[FORMER_RECORD_SPACE, length], table.as_bytes(), &key.to_be_bytes()].concat()
    };
    let devices = u16::try_from(STEP_RECORDS_MAX + 10).unwrap();
    for key in 0..devices {
        staged.insert(&former("devices", key), &[7; 200]);
    }
    staged.insert(&former("views", 1), &[8; 6_000]);
    staged.insert(&former("server", 1), b"");
    log.engine.apply(staged.into_batch(), || ()).unwrap();
    drop(log);
    fs::write(folder.path().join("FORMAT"), "toso storage\nformat 3\nkind server\n").unwrap();
    let mut end = None;
    for _ in 0..2 {
        let log = SledChangeLog::open(folder.path(), Options::phone()).unwrap();
        assert_whole(&log);
        let tables = [("devices", Holds::Truth), ("server", Holds::Truth), ("views", Holds::Derived)];
        assert_eq!(log.tables().unwrap(), tables.map(|(table, holds)| (table.to_owned(), holds)));
        assert_eq!(log.records("devices", &[]).unwrap().len(), usize::from(devices));
        assert_eq!(log.record("views", &1_u16.to_be_bytes()).unwrap(), Some(vec![8; 6_000]));
        assert_eq!(log.last(), Sequence(1));
        assert_eq!(*end.get_or_insert(log.end()), log.end(), "nothing is written again");
        let tail = log.tail(Sequence(1), usize::MAX, usize::MAX).unwrap();
        let changed: usize = tail
            .iter()
            .map(|entry| match entry {
                Logged::Command(command) => command.changes.len(),
                Logged::Change(_) => 0,
            })
            .sum();
        assert_eq!(changed, usize::from(devices) + 1, "each of them once");
        assert!(log.engine.keys(&[FORMER_RECORD_SPACE]).next().is_none());
    }
}
