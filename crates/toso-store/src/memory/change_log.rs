//! A server's log and records in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::ops::Bound;

use parking_lot::RwLock;
use toso_core::change::Entry;
use toso_core::chunk::ChangeHash;
use toso_core::document::DocumentSize;
use toso_core::id::{DocId, Sequence};
use toso_core::unit::Scope;

use crate::StoreError;
use crate::change_log::{Appended, ChangeLog, Durability, LogBatch, Page, Record, RecordChange, RecordStore, Summary};
use crate::page::PageBuilder;

/// A server's log and records in memory.
#[derive(Debug, Default)]
pub struct MemoryChangeLog {
    log: RwLock<Log>,
    records: RwLock<BTreeMap<Place, Vec<u8>>>,
}

/// Table and key of a record.
pub(crate) type Place = (String, Vec<u8>);

#[derive(Debug, Default, Clone)]
struct Log {
    /// The entry with sequence `n` is at `n - 1`.
    entries: Vec<Entry>,
    sequences: HashMap<(DocId, ChangeHash), Sequence>,
    of_scope: HashMap<Scope, Vec<Sequence>>,
    of_document: HashMap<DocId, Vec<Sequence>>,
    documents: HashMap<Scope, BTreeSet<DocId>>,
    sizes: HashMap<(Scope, DocId), DocumentSize>,
}

impl MemoryChangeLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// All records, by table and key.
    #[cfg(any(test, feature = "faulty"))]
    pub(crate) fn all_records(&self) -> BTreeMap<Place, Vec<u8>> {
        self.records.read().clone()
    }

    /// Puts other records in the place of all there are.
    #[cfg(any(test, feature = "faulty"))]
    pub(crate) fn replace_records(&self, records: BTreeMap<Place, Vec<u8>>) {
        *self.records.write() = records;
    }

    /// Forgets which chunks the log has, as a log whose index is damaged.
    #[cfg(any(test, feature = "faulty"))]
    pub(crate) fn forget_identities(&self) {
        self.log.write().sequences.clear();
    }
}

impl Clone for MemoryChangeLog {
    fn clone(&self) -> Self {
        Self { log: RwLock::new(self.log.read().clone()), records: RwLock::new(self.records.read().clone()) }
    }
}

impl ChangeLog for MemoryChangeLog {
    fn append(&self, batches: &[LogBatch]) -> Result<Vec<Appended>, StoreError> {
        batches.iter().try_for_each(LogBatch::check)?;
        let mut log = self.log.write();
        Ok(batches.iter().map(|batch| log.append(batch)).collect())
    }

    fn last(&self) -> Sequence {
        self.log.read().last()
    }

    fn read(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Page, StoreError> {
        let log = self.log.read();
        let mut page = PageBuilder::new(items_max, bytes_max);
        for entry in log.entries.iter().skip(usize::try_from(after.0).unwrap_or(usize::MAX)) {
            if !page.fits(entry.change.bytes().len()) {
                return Ok(page.full());
            }
            page.push(entry.clone());
        }
        Ok(page.complete(after, log.last()))
    }

    fn read_scopes(
        &self,
        scopes: &[Scope],
        after: Sequence,
        items_max: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let log = self.log.read();
        let scopes: HashSet<_> = scopes.iter().copied().collect();
        let mut heads = BinaryHeap::new();
        for scope in scopes {
            if let Some(first) = log.after(scope, after).first() {
                heads.push((Reverse(*first), scope));
            }
        }
        let mut page = PageBuilder::new(items_max, bytes_max);
        while let Some((Reverse(sequence), scope)) = heads.pop() {
            if let Some(entry) = log.entry(sequence) {
                if !page.fits(entry.change.bytes().len()) {
                    return Ok(page.full());
                }
                page.push(entry.clone());
            }
            if let Some(next) = log.after(scope, sequence).first() {
                heads.push((Reverse(*next), scope));
            }
        }
        Ok(page.complete(after, log.last()))
    }

    fn last_of_scopes(&self, scopes: &[Scope]) -> Result<Sequence, StoreError> {
        let log = self.log.read();
        let last = scopes.iter().filter_map(|scope| log.of_scope.get(scope)?.last().copied()).max();
        Ok(last.unwrap_or_default())
    }

    fn summary(&self, scopes: &[Scope], at: Sequence) -> Result<Summary, StoreError> {
        let log = self.log.read();
        let scopes: HashSet<_> = scopes.iter().copied().collect();
        let mut summary = Summary::default();
        let sequences = scopes.iter().filter_map(|scope| log.of_scope.get(scope)).flatten();
        for entry in sequences.filter(|sequence| **sequence <= at).filter_map(|sequence| log.entry(*sequence)) {
            summary.count += 1;
            summary.digest.toggle(entry.change.doc, &entry.change.hash());
        }
        Ok(summary)
    }

    fn document(&self, doc: DocId) -> Result<Vec<Entry>, StoreError> {
        let log = self.log.read();
        let sequences = log.of_document.get(&doc).into_iter().flatten();
        Ok(sequences.filter_map(|sequence| log.entry(*sequence).cloned()).collect())
    }

    fn document_size(&self, scope: Scope, doc: DocId) -> Result<DocumentSize, StoreError> {
        Ok(self.log.read().sizes.get(&(scope, doc)).copied().unwrap_or_default())
    }

    fn documents(&self, scope: Scope) -> Result<Vec<DocId>, StoreError> {
        let log = self.log.read();
        Ok(log.documents.get(&scope).into_iter().flatten().copied().collect())
    }

    fn contains(&self, doc: DocId, hash: &ChangeHash) -> Result<bool, StoreError> {
        Ok(self.log.read().sequences.contains_key(&(doc, *hash)))
    }
}

impl Log {
    fn last(&self) -> Sequence {
        Sequence::ZERO.plus(self.entries.len() as u64)
    }

    fn entry(&self, sequence: Sequence) -> Option<&Entry> {
        self.entries.get(usize::try_from(sequence.0).ok()?.checked_sub(1)?)
    }

    /// The scope's sequences after one.
    fn after(&self, scope: Scope, after: Sequence) -> &[Sequence] {
        let all = self.of_scope.get(&scope).map_or(&[][..], Vec::as_slice);
        let start = all.partition_point(|sequence| *sequence <= after);
        all.get(start..).unwrap_or_default()
    }

    fn append(&mut self, batch: &LogBatch) -> Appended {
        let mut appended = Appended { first_new: None, new: 0, through: Sequence::ZERO };
        for item in &batch.items {
            let next = self.last().plus(1);
            let sequence = *self.sequences.entry((item.doc, item.hash())).or_insert(next);
            appended.through = appended.through.max(sequence);
            if sequence != next {
                continue;
            }
            appended.first_new.get_or_insert(sequence);
            appended.new += 1;
            self.of_scope.entry(batch.scope).or_default().push(sequence);
            self.of_document.entry(item.doc).or_default().push(sequence);
            self.sizes.entry((batch.scope, item.doc)).or_default().add(item.bytes().len());
            self.documents.entry(batch.scope).or_default().insert(item.doc);
            self.entries.push(Entry {
                sequence,
                scope: batch.scope,
                author: batch.author,
                received_at: batch.received_at,
                change: item.clone(),
            });
        }
        appended
    }
}

impl RecordStore for MemoryChangeLog {
    fn record(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.records.read().get(&(table.to_owned(), key.to_vec())).cloned())
    }

    fn records(&self, table: &str, prefix: &[u8]) -> Result<Vec<Record>, StoreError> {
        let records = self.records.read();
        let from = records.range((table.to_owned(), prefix.to_vec())..);
        let matching = from.take_while(|((of, key), _)| of == table && key.starts_with(prefix));
        Ok(matching.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    fn tables(&self) -> Result<Vec<String>, StoreError> {
        let tables: BTreeSet<_> = self.records.read().keys().map(|(table, _)| table.clone()).collect();
        Ok(tables.into_iter().collect())
    }

    fn records_after(&self, table: &str, after: Option<&[u8]>, bytes_max: usize) -> Result<Vec<Record>, StoreError> {
        let records = self.records.read();
        let from = after.map_or(Bound::Included((table.to_owned(), Vec::new())), |key| {
            Bound::Excluded((table.to_owned(), key.to_vec()))
        });
        let (mut bytes, mut first) = (0, true);
        let page = records.range((from, Bound::Unbounded)).take_while(|((of, key), value)| {
            bytes += key.len() + value.len();
            // The first, however large.
            of == table && (std::mem::take(&mut first) || bytes <= bytes_max)
        });
        Ok(page.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    fn write(&self, changes: &[RecordChange], _durability: Durability) -> Result<(), StoreError> {
        RecordChange::check_all(changes)?;
        let mut records = self.records.write();
        for change in changes {
            if let Some(expected) = &change.expect
                && records.get(&(change.table.clone(), change.key.clone())) != expected.as_ref()
            {
                return Err(StoreError::Raced { table: change.table.clone() });
            }
        }
        for change in changes {
            let place = (change.table.clone(), change.key.clone());
            match &change.value {
                Some(value) => records.insert(place, value.clone()),
                None => records.remove(&place),
            };
        }
        Ok(())
    }
}
