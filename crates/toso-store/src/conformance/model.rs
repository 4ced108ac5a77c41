//! Models of both stores that are too simple to be wrong, and random scripts to run against them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use toso_core::change::{Change, Entry};
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::document::DocumentSize;
use toso_core::id::{DocId, Sequence};
use toso_core::unit::Scope;

use super::samples::{bytes, change, doc, hash, scope, sized};
use crate::change_log::LogBatch;
use crate::chunk_store::{ChunkStore, Listed, OutboxEntry, Transaction};
use crate::index::{ChangeLog, Lookup, Summary};

/// Documents, scopes and hashes of a script: few, so that they meet often.
const DOCUMENTS: u32 = 4;
const SCOPES: u32 = 3;
const HASHES: u64 = 12;

/// A step of a script for a chunk store.
#[derive(Debug, Clone)]
pub enum ChunkStep {
    /// Commit a transaction.
    Commit(Box<Transaction>),
    /// Close and open.
    Reopen,
}

/// Random scripts for a chunk store.
pub fn chunk_scripts() -> impl Strategy<Value = Vec<ChunkStep>> {
    let any_chunk = || (0..DOCUMENTS, 0..HASHES, 1..=SCOPES);
    let chunks = prop::collection::vec(any_chunk(), 0..5);
    let outbox_add = prop::collection::vec(0..HASHES, 0..3);
    let outbox_remove = prop::collection::vec(0..30_u64, 0..4);
    let receipts = prop::collection::vec((0..DOCUMENTS, 0..HASHES, 1..100_u64), 0..3);
    let cursors = prop::collection::vec((1..=SCOPES, 0..50_u64), 0..2);
    let settings = prop::collection::vec((0..3_u8, prop::option::of(0..9_000_usize)), 0..2);
    let remove = prop::collection::vec(0..DOCUMENTS * 4, 0..2);
    let reset = prop::option::weighted(0.1, 1..100_u64);
    let held = prop::collection::vec((0..DOCUMENTS, 0..HASHES, prop::option::of(0..900_usize)), 0..3);
    let copies = prop::collection::vec((0..DOCUMENTS, 0..HASHES, any::<bool>()), 0..3);
    let shown = prop::collection::vec((0..DOCUMENTS, 0..9_000_usize), 0..2);
    let held = (held, copies, shown, prop::bool::weighted(0.05));
    let transaction = (chunks, outbox_add, outbox_remove, receipts, cursors, settings, remove, reset, held).prop_map(
        |(
            chunks,
            outbox_add,
            outbox_remove,
            receipts,
            cursors,
            settings,
            remove,
            reset,
            (held, copies, shown, empty),
        )| {
            let stored = |(of, number, within)| (scope(within), change(of, number));
            Transaction {
                empty,
                chunks: chunks.into_iter().map(stored).collect(),
                // Has tests of its own.
                erased: Vec::new(),
                shown: shown.into_iter().map(|(of, n)| (change(of, 0).doc, vec![3; n])).collect(),
                outbox_add: outbox_add.into_iter().map(hash).collect(),
                outbox_remove,
                receipts_reset: reset.map(Sequence),
                held: held
                    .into_iter()
                    .map(|(of, n, why)| (change(of, 0).doc, hash(n), why.map(|n| vec![7; n])))
                    .collect(),
                held_copies: copies
                    .into_iter()
                    .map(|(of, n, keep)| (change(of, 0).doc, hash(n), keep.then(|| (scope(1), change(of, n).chunk))))
                    .collect(),
                receipts: receipts.into_iter().map(|(of, n, at)| (change(of, 0).doc, hash(n), Sequence(at))).collect(),
                cursors: cursors.into_iter().map(|(unit, at)| (scope(unit), Sequence(at))).collect(),
                settings: settings.into_iter().map(|(key, n)| (format!("s{key}"), n.map(|n| vec![key; n]))).collect(),
                remove_documents: remove.into_iter().map(|of| change(of, 0).doc).collect(),
            }
        },
    );
    let step = prop_oneof![
        9 => transaction.prop_map(|transaction| ChunkStep::Commit(Box::new(transaction))),
        1 => Just(ChunkStep::Reopen),
    ];
    prop::collection::vec(step, 1..25)
}

/// A chunk store as lists.
#[derive(Debug, Default, Clone)]
pub struct ChunkModel {
    chunks: Vec<(Scope, Change)>,
    shown: BTreeMap<DocId, Vec<u8>>,
    receipts: BTreeMap<(DocId, ChangeHash), Sequence>,
    outbox: Vec<OutboxEntry>,
    outbox_last: u64,
    held: BTreeMap<(DocId, ChangeHash), Vec<u8>>,
    held_copies: BTreeMap<(DocId, ChangeHash), (Scope, Chunk)>,
    cursors: BTreeMap<u32, Sequence>,
    settings: BTreeMap<String, Vec<u8>>,
}

impl ChunkModel {
    /// Does what the documentation of [`Transaction`] says, step by step; false, and nothing done, when it is refused.
    pub fn commit(&mut self, transaction: &Transaction) -> bool {
        let mut next = self.clone();
        let accepted = next.try_commit(transaction);
        if accepted {
            *self = next;
        }
        accepted
    }

    fn try_commit(&mut self, transaction: &Transaction) -> bool {
        if transaction.empty {
            *self = Self { outbox_last: self.outbox_last, ..Self::default() };
        }
        for removed in &transaction.remove_documents {
            self.chunks.retain(|(_, change)| change.doc != *removed);
            self.shown.remove(removed);
            self.receipts.retain(|(of, _), _| of != removed);
            self.outbox.retain(|entry| entry.doc != *removed);
        }
        for (scope, new) in &transaction.chunks {
            if !self.has(new.doc, &new.hash()) {
                let within = self.scope_of(new.doc).unwrap_or(*scope);
                self.chunks.push((within, new.clone()));
                self.shown.remove(&new.doc);
            }
        }
        for (of, shown) in &transaction.shown {
            if self.scope_of(*of).is_some() {
                self.shown.insert(*of, shown.clone());
            }
        }
        if let Some(reset) = transaction.receipts_reset {
            self.receipts.values_mut().for_each(|receipt| *receipt = reset);
        }
        for (of, hash, sequence) in &transaction.receipts {
            if self.has(*of, hash) {
                self.receipts.insert((*of, *hash), *sequence);
            }
        }
        self.outbox.retain(|entry| !transaction.outbox_remove.contains(&entry.number));
        for (index, hash) in transaction.outbox_add.iter().enumerate() {
            let nth = transaction.outbox_add[..index].iter().filter(|earlier| *earlier == hash).count();
            let named = transaction.chunks.iter().filter(|(_, change)| change.hash() == *hash);
            let named: Vec<_> = named.map(|(_, change)| change.doc).collect();
            let stored = self.chunks.iter().filter(|(_, change)| change.hash() == *hash).map(|(_, change)| change.doc);
            let mut docs: Vec<DocId> = named.get(nth).or(named.last()).copied().into_iter().collect();
            if docs.is_empty() {
                docs.extend(stored);
                docs.sort_unstable();
            }
            if docs.is_empty() {
                return false;
            }
            for doc in docs {
                self.outbox_last += 1;
                let (number, scope) = (self.outbox_last, self.scope_of(doc).unwrap());
                self.outbox.push(OutboxEntry { number, scope, doc, hash: *hash });
            }
        }
        for (of, hash, why) in &transaction.held {
            self.held.remove(&(*of, *hash));
            self.held.extend(why.clone().map(|why| ((*of, *hash), why)));
        }
        for (of, hash, copy) in &transaction.held_copies {
            self.held_copies.remove(&(*of, *hash));
            self.held_copies.extend(copy.clone().map(|copy| ((*of, *hash), copy)));
        }
        self.held_copies.retain(|of, _| self.held.contains_key(of));
        for (unit, sequence) in &transaction.cursors {
            self.cursors.insert(unit.code.as_str().parse().unwrap(), *sequence);
        }
        for (key, value) in &transaction.settings {
            self.settings.remove(key);
            if let Some(value) = value {
                self.settings.insert(key.clone(), value.clone());
            }
        }
        true
    }

    fn has(&self, doc: DocId, hash: &ChangeHash) -> bool {
        self.chunks.iter().any(|(_, change)| change.doc == doc && change.hash() == *hash)
    }

    fn scope_of(&self, doc: DocId) -> Option<Scope> {
        self.chunks.iter().find(|(_, change)| change.doc == doc).map(|(scope, _)| *scope)
    }

    /// Panics unless the store answers every question as the model does.
    pub fn assert_equal(&self, store: &impl ChunkStore) {
        let mut documents = Vec::new();
        for number in 0..DOCUMENTS {
            let of = change(number, 0).doc;
            let expected = self.chunks.iter().filter(|(_, change)| change.doc == of);
            let expected: Vec<_> = expected.map(|(_, change)| change.chunk.clone()).collect();
            documents.extend(self.scope_of(of).map(|scope| (scope, of)));
            assert_eq!(store.chunks(of).unwrap(), expected);
            assert_eq!(store.scope_of(of).unwrap(), self.scope_of(of));
            assert_eq!(store.shown(of).unwrap().as_ref(), self.shown.get(&of));
            let receipts = self.receipts.iter().filter(|((doc, _), _)| *doc == of);
            assert_eq!(store.receipts(of).unwrap(), receipts.map(|((_, hash), at)| (*hash, *at)).collect::<Vec<_>>());
            for number in 0..HASHES {
                let hash = hash(number);
                assert_eq!(store.contains(of, &hash).unwrap(), self.has(of, &hash));
                assert_eq!(store.chunk(of, &hash).is_ok(), self.has(of, &hash));
                assert_eq!(store.held_copy(of, &hash).unwrap(), self.held_copies.get(&(of, hash)).cloned());
            }
        }
        documents.sort_unstable_by_key(|(_, doc)| *doc);
        assert_eq!(store.documents().unwrap(), documents);
        assert_eq!(store.documents_len().unwrap(), documents.len());
        let listed = documents.iter().map(|(scope, doc)| {
            let shown = self.shown.get(doc).cloned();
            Listed { scope: *scope, doc: *doc, shown }
        });
        assert_eq!(store.listed().unwrap(), listed.collect::<Vec<_>>());
        let mut last: BTreeMap<DocId, Sequence> = BTreeMap::new();
        for ((doc, _), at) in &self.receipts {
            let entry = last.entry(*doc).or_default();
            *entry = (*entry).max(*at);
        }
        assert_eq!(store.last_receipts().unwrap(), last);
        assert_eq!(store.outbox(0, usize::MAX).unwrap(), self.outbox);
        assert_eq!(store.outbox_len().unwrap(), self.outbox.len());
        let keys: Vec<_> = self.chunks.iter().map(|(scope, change)| (*scope, change.doc, change.hash())).collect();
        assert_eq!(store.keys().unwrap(), keys);
        assert_eq!(store.last_receipt().unwrap(), self.receipts.values().copied().max().unwrap_or_default());
        let held = store.held().unwrap().into_iter().map(|held| ((held.doc, held.hash), held.why));
        assert_eq!(held.collect::<Vec<_>>(), self.held.clone().into_iter().collect::<Vec<_>>());
        for unit in 1..=SCOPES {
            assert_eq!(store.cursor(scope(unit)).unwrap(), self.cursors.get(&unit).copied().unwrap_or_default());
        }
        for key in 0..3 {
            let key = format!("s{key}");
            assert_eq!(store.setting(&key).unwrap().as_ref(), self.settings.get(&key));
        }
    }
}

/// A step of a script for a log.
#[derive(Debug, Clone)]
pub enum LogStep {
    /// Append batches in one call.
    Append(Vec<LogBatch>),
    /// Close and open.
    Reopen,
}

/// Random scripts for a log: many small chunks, a few of several kilobytes, many repetitions.
pub fn log_scripts() -> impl Strategy<Value = Vec<LogStep>> {
    let size = prop_oneof![20 => 0..300_usize, 1 => 3_000..20_000_usize];
    let items = prop::collection::vec((0..DOCUMENTS, 0..60_u64, size), 0..40);
    let batch = (1..=SCOPES, 0..3_u8, items).prop_map(|(within, device, items)| LogBatch {
        author: toso_core::id::AuthorId([device; 8]),
        items: items
            .into_iter()
            .map(|(of, number, size)| {
                let mut bytes = bytes(number);
                bytes.resize(size, 5);
                sized(doc(scope(within), of), number, bytes)
            })
            .collect(),
        ..super::samples::batch(scope(within), [])
    });
    let step = prop_oneof![
        9 => prop::collection::vec(batch, 0..4).prop_map(LogStep::Append),
        1 => Just(LogStep::Reopen),
    ];
    prop::collection::vec(step, 1..15)
}

/// A log as one list.
#[derive(Debug, Default)]
pub struct LogModel {
    entries: Vec<Entry>,
}

impl LogModel {
    /// Appends what is new.
    pub fn append(&mut self, batches: &[LogBatch]) {
        for batch in batches {
            for item in &batch.items {
                if self.entries.iter().all(|entry| (entry.change.doc, entry.change.hash()) != (item.doc, item.hash())) {
                    self.entries.push(Entry {
                        sequence: Sequence(self.entries.len() as u64 + 1),
                        scope: batch.scope,
                        author: batch.author,
                        received_at: batch.received_at,
                        change: item.clone().into(),
                    });
                }
            }
        }
    }

    /// Panics unless the log answers every question as the model does.
    pub fn assert_equal(&self, log: &impl ChangeLog) {
        let last = Sequence(self.entries.len() as u64);
        assert_eq!(log.last(), last);
        for (items_max, bytes_max) in [(7, usize::MAX), (usize::MAX, 4_000), (1, 0), (usize::MAX, usize::MAX)] {
            let mut after = Sequence::ZERO;
            let mut read = Vec::new();
            loop {
                let page = log.read(after, items_max, bytes_max).unwrap();
                assert!(page.entries.len() <= items_max);
                let bytes: usize = page.entries.iter().map(|entry| entry.change.bytes().len()).sum();
                assert!(bytes <= bytes_max || page.entries.len() == 1);
                read.extend(page.entries);
                after = page.through;
                if !page.more {
                    break;
                }
            }
            assert_eq!(after, last);
            assert_eq!(read, self.entries);
        }
        for within in 1..=SCOPES {
            let scopes = [scope(within), scope(1)];
            let expected: Vec<_> = self.entries.iter().filter(|entry| scopes.contains(&entry.scope)).cloned().collect();
            assert_eq!(log.read_scopes(&scopes, Sequence::ZERO, usize::MAX, usize::MAX).unwrap().entries, expected);
            let middle = Sequence(last.0 / 2);
            let page = log.read_scopes(&scopes, middle, 5, usize::MAX).unwrap();
            let rest: Vec<_> = expected.iter().filter(|entry| entry.sequence > middle).cloned().collect();
            assert_eq!(page.entries, rest[..rest.len().min(5)]);
            assert_eq!(page.more, rest.len() > 5);
            // Also in the middle of runs.
            for at in (0..=last.0.min(40)).chain([last.0 / 2, last.0]).map(Sequence) {
                let mut summary = Summary::default();
                for entry in expected.iter().filter(|entry| entry.sequence <= at) {
                    summary.count += 1;
                    summary.digest.toggle(entry.change.doc, &entry.change.hash());
                }
                assert_eq!(log.summary(&scopes, at).unwrap(), summary, "at {}", at.0);
            }
            let of_scopes = expected.last().map_or(Sequence::ZERO, |entry| entry.sequence);
            assert_eq!(log.last_of_scopes(&scopes).unwrap(), of_scopes);
            let mut documents = Vec::new();
            for number in 0..DOCUMENTS {
                let of = doc(scope(within), number);
                let expected: Vec<_> = self.entries.iter().filter(|entry| entry.change.doc == of).cloned().collect();
                documents.extend(expected.first().map(|_| of));
                let size = DocumentSize::of(expected.iter().map(|entry| entry.change.bytes().len()));
                assert_eq!(log.document(of).unwrap(), expected);
                assert_eq!(log.document_size(scope(within), of).unwrap(), size);
                let looked_up = |hash: &ChangeHash| log.look_up(scope(within), of, hash).unwrap();
                assert_eq!(looked_up(&ChangeHash([0xee; 32])), Lookup { size, known: false });
                for entry in &expected {
                    assert_eq!(looked_up(&entry.change.hash()), Lookup { size, known: true });
                }
            }
            documents.sort_unstable();
            assert_eq!(log.documents(scope(within)).unwrap(), documents);
        }
    }
}
