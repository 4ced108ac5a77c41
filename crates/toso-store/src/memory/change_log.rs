//! A server's log and records in memory.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

use parking_lot::RwLock;
use toso_core::change::Entry;
use toso_core::chunk::{CHANGE_BYTES_MAX, ChangeHash};
use toso_core::document::DocumentSize;
use toso_core::id::{DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;

use super::records::Tables;
use crate::StoreError;
use crate::change_log::{Appended, Command, KNOWN_ALREADY, Log, LogBatch, Logged, NOT_THE_NEXT, OTHER_RECORDS, Page};
use crate::index::{Index, Summary};
use crate::limits::within;
use crate::page::PageBuilder;
use crate::records::{Holds, RecordChange};

/// A server's log, its index and its records in memory.
#[derive(Debug, Default)]
pub struct MemoryChangeLog {
    pub(super) state: RwLock<State>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct State {
    /// The entry with sequence `n` is at `n - 1`.
    entries: Vec<Logged>,
    /// Of the last change.
    last: Sequence,
    /// What commands made.
    pub(super) truth: Tables,
    /// What follows from entries.
    pub(super) derived: Tables,
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

    /// The derived records.
    #[cfg(any(test, feature = "faulty"))]
    pub(crate) fn derived(&self) -> Tables {
        self.state.read().derived.clone()
    }

    /// Puts other derived records in the place of all there are.
    #[cfg(any(test, feature = "faulty"))]
    pub(crate) fn replace_derived(&self, derived: Tables) {
        self.state.write().derived = derived;
    }

    /// Forgets which chunks the log has, as a log whose index is damaged.
    #[cfg(any(test, feature = "faulty"))]
    pub(crate) fn forget_identities(&self) {
        self.state.write().sequences.clear();
    }
}

impl Clone for MemoryChangeLog {
    fn clone(&self) -> Self {
        Self { state: RwLock::new(self.state.read().clone()) }
    }
}

impl Log for MemoryChangeLog {
    fn append(&self, batches: &[LogBatch]) -> Result<Vec<Appended>, StoreError> {
        batches.iter().try_for_each(LogBatch::check)?;
        let mut state = self.state.write();
        Ok(batches.iter().map(|batch| state.append(batch)).collect())
    }

    fn apply(&self, entries: &[Logged]) -> Result<(), StoreError> {
        let mut state = self.state.write();
        entries.iter().try_for_each(|entry| state.take(entry))
    }

    fn last(&self) -> Sequence {
        self.state.read().last
    }

    fn end(&self) -> Sequence {
        self.state.read().end()
    }

    fn read(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Page, StoreError> {
        let state = self.state.read();
        let mut page = PageBuilder::new(items_max, bytes_max);
        for entry in state.after(after) {
            let Logged::Change(entry) = entry else { continue };
            if !page.fits(entry.change.bytes().len()) {
                return Ok(page.full());
            }
            page.push(entry.clone());
        }
        Ok(page.complete(after, state.last))
    }

    fn tail(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Vec<Logged>, StoreError> {
        let state = self.state.read();
        let (mut tail, mut bytes) = (Vec::new(), 0_usize);
        for entry in state.after(after) {
            bytes = bytes.saturating_add(entry.bytes());
            if !tail.is_empty() && (tail.len() >= items_max || bytes > bytes_max) {
                break;
            }
            tail.push(entry.clone());
        }
        Ok(tail)
    }
}

impl Index for MemoryChangeLog {
    fn read_scopes(
        &self,
        scopes: &[Scope],
        after: Sequence,
        items_max: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let state = self.state.read();
        let scopes: HashSet<_> = scopes.iter().copied().collect();
        let mut heads = BinaryHeap::new();
        for scope in scopes {
            if let Some(first) = state.of_scope_after(scope, after).first() {
                heads.push((Reverse(*first), scope));
            }
        }
        let mut page = PageBuilder::new(items_max, bytes_max);
        while let Some((Reverse(sequence), scope)) = heads.pop() {
            if let Some(entry) = state.change(sequence) {
                if !page.fits(entry.change.bytes().len()) {
                    return Ok(page.full());
                }
                page.push(entry.clone());
            }
            if let Some(next) = state.of_scope_after(scope, sequence).first() {
                heads.push((Reverse(*next), scope));
            }
        }
        Ok(page.complete(after, state.last))
    }

    fn last_of_scopes(&self, scopes: &[Scope]) -> Result<Sequence, StoreError> {
        let state = self.state.read();
        let last = scopes.iter().filter_map(|scope| state.of_scope.get(scope)?.last().copied()).max();
        Ok(last.unwrap_or_default())
    }

    fn summary(&self, scopes: &[Scope], at: Sequence) -> Result<Summary, StoreError> {
        let state = self.state.read();
        let scopes: HashSet<_> = scopes.iter().copied().collect();
        let mut summary = Summary::default();
        let sequences = scopes.iter().filter_map(|scope| state.of_scope.get(scope)).flatten();
        for entry in sequences.filter(|sequence| **sequence <= at).filter_map(|sequence| state.change(*sequence)) {
            summary.count += 1;
            summary.digest.toggle(entry.change.doc, &entry.change.hash());
        }
        Ok(summary)
    }

    fn document(&self, doc: DocId) -> Result<Vec<Entry>, StoreError> {
        let state = self.state.read();
        let sequences = state.of_document.get(&doc).into_iter().flatten();
        Ok(sequences.filter_map(|sequence| state.change(*sequence).cloned()).collect())
    }

    fn document_size(&self, scope: Scope, doc: DocId) -> Result<DocumentSize, StoreError> {
        Ok(self.state.read().sizes.get(&(scope, doc)).copied().unwrap_or_default())
    }

    fn documents(&self, scope: Scope) -> Result<Vec<DocId>, StoreError> {
        let state = self.state.read();
        Ok(state.documents.get(&scope).into_iter().flatten().copied().collect())
    }

    fn contains(&self, doc: DocId, hash: &ChangeHash) -> Result<bool, StoreError> {
        Ok(self.state.read().sequences.contains_key(&(doc, *hash)))
    }
}

impl State {
    /// The sequence of the last entry.
    fn end(&self) -> Sequence {
        Sequence::ZERO.plus(self.entries.len() as u64)
    }

    fn change(&self, sequence: Sequence) -> Option<&Entry> {
        match self.entries.get(usize::try_from(sequence.0).ok()?.checked_sub(1)?)? {
            Logged::Change(entry) => Some(entry),
            Logged::Command(_) => None,
        }
    }

    /// The entries after one.
    fn after(&self, after: Sequence) -> impl Iterator<Item = &Logged> {
        self.entries.iter().skip(usize::try_from(after.0).unwrap_or(usize::MAX))
    }

    /// The scope's sequences after one.
    fn of_scope_after(&self, scope: Scope, after: Sequence) -> &[Sequence] {
        let all = self.of_scope.get(&scope).map_or(&[][..], Vec::as_slice);
        let start = all.partition_point(|sequence| *sequence <= after);
        all.get(start..).unwrap_or_default()
    }

    fn append(&mut self, batch: &LogBatch) -> Appended {
        let mut appended = Appended { first_new: None, new: 0, through: Sequence::ZERO };
        for item in &batch.items {
            let next = self.end().plus(1);
            let known = self.sequences.get(&(item.doc, item.hash())).copied();
            appended.through = appended.through.max(known.unwrap_or(next));
            if known.is_some() {
                continue;
            }
            appended.first_new.get_or_insert(next);
            appended.new += 1;
            self.put(Entry {
                sequence: next,
                scope: batch.scope,
                author: batch.author,
                received_at: batch.received_at,
                change: item.clone().into(),
            });
        }
        appended
    }

    /// Appends a change that is new, and what follows from it.
    fn put(&mut self, entry: Entry) {
        let Entry { sequence, scope, change, .. } = &entry;
        self.sequences.insert((change.doc, change.hash()), *sequence);
        self.of_scope.entry(*scope).or_default().push(*sequence);
        self.of_document.entry(change.doc).or_default().push(*sequence);
        self.sizes.entry((*scope, change.doc)).or_default().add(change.size());
        self.documents.entry(*scope).or_default().insert(change.doc);
        self.last = *sequence;
        self.entries.push(Logged::Change(entry));
    }

    /// Appends a command and makes its changes; refuses one that expects other records.
    pub(super) fn command(&mut self, at: TimestampMs, changes: &[RecordChange]) -> Result<Sequence, StoreError> {
        self.derived.refuse_mixed(changes, Holds::Derived)?;
        self.truth.check(changes)?;
        self.truth.put(changes);
        changes.iter().filter_map(RecordChange::erases).for_each(|doc| self.erase(doc));
        let sequence = self.end().plus(1);
        self.entries.push(Logged::Command(Command { sequence, at, changes: changes.to_vec() }));
        Ok(sequence)
    }

    /// Takes the bodies of a document's changes away.
    fn erase(&mut self, doc: DocId) {
        for sequence in self.of_document.get(&doc).into_iter().flatten() {
            let place = usize::try_from(sequence.0).ok().and_then(|place| place.checked_sub(1));
            if let Some(Logged::Change(entry)) = place.and_then(|place| self.entries.get_mut(place)) {
                entry.change = entry.change.erased();
            }
        }
    }

    /// Takes an entry of another log.
    fn take(&mut self, entry: &Logged) -> Result<(), StoreError> {
        let (sequence, end) = (entry.sequence(), self.end());
        let not_next = |detail| StoreError::NotNext { sequence, end, detail };
        if sequence != end.plus(1) {
            return Err(not_next(NOT_THE_NEXT));
        }
        match entry {
            Logged::Change(entry) => {
                if self.sequences.contains_key(&(entry.change.doc, entry.change.hash())) {
                    return Err(not_next(KNOWN_ALREADY));
                }
                within("a change", entry.change.size(), CHANGE_BYTES_MAX)?;
                self.put(entry.clone());
                Ok(())
            }
            Logged::Command(Command { at, changes, .. }) => {
                RecordChange::check_command(changes)?;
                match self.command(*at, changes) {
                    Ok(_) => Ok(()),
                    Err(StoreError::Raced { .. }) => Err(not_next(OTHER_RECORDS)),
                    Err(error) => Err(error),
                }
            }
        }
    }
}
