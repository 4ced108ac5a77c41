//! Without a fault these stores pass the suite; with one they do what it says and nothing else.

use toso_core::change::Change;
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::id::{AuthorId, DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;

use super::{FaultyChangeLog, FaultyChunkStore, WriteFault};
use crate::conformance::Subject;
use crate::{ChunkStore, Log, LogBatch, RecordChange, RecordStore, StoreError, Transaction};

struct Phone;

impl Subject for Phone {
    type Store = FaultyChunkStore;
    fn fresh(&self) -> FaultyChunkStore {
        FaultyChunkStore::new()
    }
    fn reopen(&self, store: FaultyChunkStore) -> FaultyChunkStore {
        store.reopen();
        store
    }
    fn crash(&self, store: FaultyChunkStore) -> FaultyChunkStore {
        self.reopen(store)
    }
}

struct Server;

impl Subject for Server {
    type Store = FaultyChangeLog;
    fn fresh(&self) -> FaultyChangeLog {
        FaultyChangeLog::new()
    }
    fn reopen(&self, log: FaultyChangeLog) -> FaultyChangeLog {
        // A clean end flushes everything.
        let all = log.unflushed();
        log.crash(&[], all);
        log
    }
    fn crash(&self, log: FaultyChangeLog) -> FaultyChangeLog {
        let some = log.unflushed() / 2;
        log.crash(&[], some);
        log
    }
}

crate::chunk_store_conformance!(Phone);
crate::change_log_conformance!(Server);

fn scope() -> UnitRef {
    "2022/00001".parse().unwrap()
}

fn change(byte: u8) -> Change {
    Change { doc: DocId::commune(scope()), chunk: Chunk::trusted(vec![byte], ChangeHash([byte; 32])) }
}

fn transaction(byte: u8) -> Transaction {
    Transaction {
        chunks: vec![(scope(), change(byte))],
        outbox_add: vec![ChangeHash([byte; 32])],
        ..Transaction::default()
    }
}

#[test]
fn a_failed_commit_is_whole_or_nothing_and_only_reopening_tells() {
    for (fault, there) in [(WriteFault::Lost, 0), (WriteFault::Unanswered, 1)] {
        let store = FaultyChunkStore::new();
        store.fail_next(fault);
        assert!(matches!(store.commit(transaction(1)), Err(StoreError::Io { .. })));
        assert_eq!(store.outbox_len().unwrap(), 0, "not visible before");
        assert!(matches!(store.commit(transaction(2)), Err(StoreError::Poisoned { .. })));
        store.reopen();
        assert_eq!(store.outbox_len().unwrap(), there);
        store.commit(transaction(3)).unwrap();
    }
}

#[test]
fn a_full_disk_takes_nothing_and_recovers_without_reopening() {
    let store = FaultyChunkStore::new();
    store.set_full(true);
    assert!(matches!(store.commit(transaction(1)), Err(StoreError::Full { .. })));
    store.set_full(false);
    store.commit(transaction(1)).unwrap();
    assert_eq!(store.outbox_len().unwrap(), 1);
}

fn batch(byte: u8) -> LogBatch {
    LogBatch { scope: scope(), author: AuthorId([1; 8]), received_at: TimestampMs(1), items: vec![change(byte)] }
}

#[test]
fn a_crash_leaves_whole_batches_and_commands_and_takes_derived_records_from_the_end() {
    let log = FaultyChangeLog::new();
    log.append(&[batch(1)]).unwrap();
    let put = |table: &str, key: u8| RecordChange {
        table: table.to_owned(),
        key: vec![key],
        value: Some(vec![key]),
        expect: None,
    };
    log.derive(&[put("derived", 1)]).unwrap();
    log.command(TimestampMs(1), &[put("truth", 2)]).unwrap();
    log.derive(&[put("derived", 3)]).unwrap();
    log.derive(&[put("derived", 4)]).unwrap();
    log.crash(&[batch(2)], 1);
    assert_eq!((log.last(), log.end()), (Sequence(3), Sequence(3)));
    let there = [1, 3, 4].map(|key| log.record("derived", &[key]).unwrap().is_some());
    assert_eq!(there, [true, true, false]);
    assert!(log.record("truth", &[2]).unwrap().is_some());
}

#[test]
fn an_unanswered_append_comes_to_light_at_the_next_start() {
    let log = FaultyChangeLog::new();
    log.fail_next(WriteFault::Unanswered);
    assert!(log.append(&[batch(1)]).is_err());
    assert!(matches!(log.append(&[batch(2)]), Err(StoreError::Poisoned { .. })));
    assert_eq!(log.last(), Sequence::ZERO);
    log.crash(&[], 0);
    assert_eq!(log.last(), Sequence(1));
}
