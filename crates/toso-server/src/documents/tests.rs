//! What an answer may cost: a full record always fits, and a list ends once its bound is reached.

use toso_core::change::Change;
use toso_core::document::{Author, DOCUMENT_BYTES_MAX, DOCUMENT_CHANGES_MAX};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, AuthorId};
use toso_core::unit::{UnitList, UnitRef};
use toso_store::memory::MemoryChangeLog;
use toso_store::{Log as _, LogBatch};

use super::*;

fn scope() -> UnitRef {
    UnitRef::new(UnitList::L2022, "00001").unwrap()
}

fn append(log: &MemoryChangeLog, doc: DocId, changes: impl Iterator<Item = Vec<u8>>) {
    let item = |bytes: Vec<u8>| {
        let hash = Chunk::parse(&bytes).map_or(ChangeHash([7; 32]), |chunk| chunk.hash());
        Change { doc, chunk: Chunk::trusted(bytes, hash) }
    };
    let items = changes.map(item).collect();
    let batch =
        LogBatch { scope: scope(), author: AuthorId([1; 8]), received_at: TimestampMs(1_662_534_000_000), items };
    log.append(&[batch]).unwrap();
}

fn team(number: usize) -> DocId {
    DocId::hamlet_team(scope(), &format!("tổ {number}"), 0)
}

/// One save of a team.
fn saved(log: &MemoryChangeLog, number: usize) -> DocId {
    let doc = team(number);
    let author =
        Author { actor: Actor::new(toso_core::id::DeviceId([1; 16]), [1; 8]), at: TimestampMs(1_662_534_000_000) };
    let chunk = Document::new(doc).unwrap().edit(author, &[DocEdit::Team(TeamEdit::HouseholdsCovered(Some(7)))]);
    append(log, doc, std::iter::once(chunk.unwrap().unwrap().bytes().to_vec()));
    doc
}

fn effort() -> Effort {
    Effort::new(Arc::default(), nothing_aside())
}

#[test]
fn the_bounds_are_those_of_full_records() {
    assert_eq!(READ_CHANGES_MAX as u64, 12 * DOCUMENT_CHANGES_MAX);
    assert_eq!(READ_BYTES_MAX as u64, 12 * DOCUMENT_BYTES_MAX);
    assert_eq!(MERGE_CHANGES_MAX as u64, DOCUMENT_CHANGES_MAX);
}

#[test]
fn plain_values_are_read_without_automerge_and_a_document_that_needs_it_is_merged() {
    let log = MemoryChangeLog::new();
    let plain = saved(&log, 1);
    let mut spent = effort();
    spent.merged = 0;
    let folded = fold(&log, plain, &mut spent).unwrap().unwrap();
    assert_eq!(folded.document.history().len(), 1);
    assert_eq!(folded.received.len(), 1);
    // What Automerge must judge: a change that is none.
    let odd = saved(&log, 2);
    append(&log, odd, std::iter::once(b"no change at all".to_vec()));
    assert!(matches!(fold(&log, odd, &mut spent), Err(ReadError::Spent)), "its two changes are more than are left");
    spent.merged = 2;
    let folded = fold(&log, odd, &mut spent).unwrap().unwrap();
    assert_eq!((folded.document.history().len(), folded.received.len()), (1, 2));
    assert_eq!(spent.merged, 0);
}

#[test]
fn the_first_document_is_read_and_what_passes_the_bound_is_left_to_the_next_answer() {
    let log = MemoryChangeLog::new();
    let docs: Vec<DocId> = (0..4).map(|number| saved(&log, number)).collect();
    let mut effort = effort();
    effort.changes = 0;
    assert!(fold(&log, docs[0], &mut effort).unwrap().is_some(), "the first fits whatever is left");
    effort.changes = 2;
    assert!(fold(&log, docs[1], &mut effort).unwrap().is_some());
    assert!(fold(&log, docs[2], &mut effort).unwrap().is_some(), "at the limit");
    assert!(matches!(fold(&log, docs[3], &mut effort), Err(ReadError::Spent)), "one past it");
    let mut effort = Effort { bytes: 1, ..super::Effort::new(Arc::default(), nothing_aside()) };
    assert!(fold(&log, docs[0], &mut effort).unwrap().is_some());
    assert!(matches!(fold(&log, docs[1], &mut effort), Err(ReadError::Spent)), "bytes count, too");
}

/// 150 requests that nobody waited for any more once kept 94 threads at work for three minutes.
#[test]
fn what_nobody_waits_for_ends_at_its_next_document() {
    let log = MemoryChangeLog::new();
    let docs = [saved(&log, 0), saved(&log, 1)];
    let given_up = Arc::new(AtomicBool::new(false));
    let mut effort = Effort::new(Arc::clone(&given_up), nothing_aside());
    assert!(fold(&log, docs[0], &mut effort).unwrap().is_some());
    given_up.store(true, Ordering::Relaxed);
    assert!(matches!(fold(&log, docs[1], &mut effort), Err(ReadError::Abandoned)));
}

fn nothing_aside() -> Arc<SetAside> {
    let store = Arc::new(toso_store::memory::MemoryChangeLog::new());
    Arc::new(SetAside::load(toso_catalog::Catalog::shared(), &*store, Arc::clone(&store) as _).expect("readable"))
}
