//! A phone's store in memory, small enough to hold one for every commune of the country.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;
use toso_core::change::{Body, Change, ErasedBody};
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::id::{DocId, Sequence};
use toso_core::unit::{Scope, UnitRef};

use crate::StoreError;
use crate::chunk_store::{ChunkStore, HeldChunk, Listed, OutboxEntry, Transaction};

/// A phone's store in memory.
#[derive(Debug, Default)]
pub struct MemoryChunkStore {
    /// Allocated by the first commit.
    state: Mutex<Option<Box<State>>>,
}

#[derive(Debug, Default, Clone)]
struct State {
    documents: BTreeMap<DocId, Document>,
    /// By rising number.
    outbox: VecDeque<OutboxEntry>,
    outbox_last: u64,
    held: BTreeMap<(DocId, ChangeHash), Mark>,
    /// The number that the next chunk gets.
    next_chunk: u64,
    cursors: BTreeMap<UnitRef, Sequence>,
    settings: BTreeMap<Box<str>, Box<[u8]>>,
}

#[derive(Debug, Clone)]
struct Document {
    scope: Scope,
    /// Something of it was erased: it is no document any more.
    is_erased: bool,
    shown: Option<Box<[u8]>>,
    /// In the order they were stored. Documents have tens of chunks, so a scan beats an index in time and memory.
    chunks: Vec<KeptChunk>,
}

impl Document {
    fn new(scope: Scope) -> Self {
        Self { scope, is_erased: false, shown: None, chunks: Vec::with_capacity(1) }
    }
}

#[derive(Debug, Clone)]
struct KeptChunk {
    number: u64,
    receipt: Option<Sequence>,
    chunk: Body,
}

#[derive(Debug, Clone)]
struct Mark {
    why: Box<[u8]>,
    copy: Option<(Scope, Chunk)>,
}

impl MemoryChunkStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn read<T: Default>(&self, read: impl FnOnce(&State) -> T) -> T {
        self.state.lock().as_deref().map(read).unwrap_or_default()
    }
}

impl Clone for MemoryChunkStore {
    fn clone(&self) -> Self {
        Self { state: Mutex::new(self.state.lock().clone()) }
    }
}

impl ChunkStore for MemoryChunkStore {
    fn waits_for_disk(&self) -> bool {
        false
    }

    fn commit(&self, transaction: Transaction) -> Result<(), StoreError> {
        transaction.check()?;
        let mut guard = self.state.lock();
        let state = guard.get_or_insert_default();
        // The only step that can fail comes before the first that changes anything.
        let outbox_add = state.resolve(&transaction)?;
        state.apply(transaction, outbox_add);
        Ok(())
    }

    fn chunks(&self, doc: DocId) -> Result<Vec<Chunk>, StoreError> {
        Ok(self.read(|state| {
            let document = state.documents.get(&doc).filter(|document| !document.is_erased);
            let chunks = document.into_iter().flat_map(|document| &document.chunks);
            chunks.filter_map(|kept| kept.whole().cloned()).collect()
        }))
    }

    fn contains(&self, doc: DocId, hash: &ChangeHash) -> Result<bool, StoreError> {
        Ok(self.read(|state| state.chunk(doc, hash).is_some()))
    }

    fn documents(&self) -> Result<Vec<(Scope, DocId)>, StoreError> {
        Ok(self.read(|state| state.documents().map(|(doc, document)| (document.scope, *doc)).collect()))
    }

    fn erased_documents(&self) -> Result<Vec<(Scope, DocId)>, StoreError> {
        Ok(self.read(|state| {
            let erased = state.documents.iter().filter(|(_, document)| document.is_erased);
            erased.map(|(doc, document)| (document.scope, *doc)).collect()
        }))
    }

    fn listed(&self) -> Result<Vec<Listed>, StoreError> {
        let listed = |(doc, document): (&DocId, &Document)| Listed {
            scope: document.scope,
            doc: *doc,
            shown: document.shown.as_deref().map(<[u8]>::to_vec),
        };
        Ok(self.read(|state| state.documents().map(listed).collect()))
    }

    fn shown(&self, doc: DocId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read(|state| state.document(doc)?.shown.as_deref().map(<[u8]>::to_vec)))
    }

    fn documents_len(&self) -> Result<usize, StoreError> {
        Ok(self.read(|state| state.documents().count()))
    }

    fn scope_of(&self, doc: DocId) -> Result<Option<Scope>, StoreError> {
        Ok(self.read(|state| state.document(doc).map(|document| document.scope)))
    }

    fn outbox(&self, after: u64, limit: usize) -> Result<Vec<OutboxEntry>, StoreError> {
        Ok(self.read(|state| {
            let start = state.outbox.partition_point(|entry| entry.number <= after);
            state.outbox.iter().skip(start).take(limit).cloned().collect()
        }))
    }

    fn outbox_len(&self) -> Result<usize, StoreError> {
        Ok(self.read(|state| state.outbox.len()))
    }

    fn chunk(&self, doc: DocId, hash: &ChangeHash) -> Result<Chunk, StoreError> {
        self.read(|state| state.chunk(doc, hash)?.whole().cloned()).ok_or(StoreError::NotFound(*hash))
    }

    fn receipts(&self, doc: DocId) -> Result<Vec<(ChangeHash, Sequence)>, StoreError> {
        Ok(self.read(|state| {
            let chunks = state.documents.get(&doc).into_iter().flat_map(|document| &document.chunks);
            let mut receipts: Vec<_> =
                chunks.filter_map(|kept| kept.receipt.map(|sequence| (kept.chunk.hash(), sequence))).collect();
            receipts.sort_unstable();
            receipts
        }))
    }

    fn last_receipt(&self) -> Result<Sequence, StoreError> {
        Ok(self.read(|state| {
            let chunks = state.documents.values().flat_map(|document| &document.chunks);
            chunks.filter_map(|chunk| chunk.receipt).max().unwrap_or_default()
        }))
    }

    fn last_receipts(&self) -> Result<BTreeMap<DocId, Sequence>, StoreError> {
        Ok(self.read(|state| {
            let documents = state.documents.iter();
            let last = |document: &Document| document.chunks.iter().filter_map(|chunk| chunk.receipt).max();
            documents.filter_map(|(doc, document)| Some((*doc, last(document)?))).collect()
        }))
    }

    fn keys(&self) -> Result<Vec<(Scope, DocId, ChangeHash)>, StoreError> {
        Ok(self.read(|state| {
            let chunks = state.documents.iter().flat_map(|(doc, document)| {
                document.chunks.iter().map(|kept| (kept.number, (document.scope, *doc, kept.chunk.hash())))
            });
            let mut keys: Vec<_> = chunks.collect();
            keys.sort_unstable_by_key(|(number, _)| *number);
            keys.into_iter().map(|(_, key)| key).collect()
        }))
    }

    fn held(&self) -> Result<Vec<HeldChunk>, StoreError> {
        Ok(self.read(|state| {
            let held = state.held.iter();
            held.map(|((doc, hash), mark)| HeldChunk { doc: *doc, hash: *hash, why: mark.why.to_vec() }).collect()
        }))
    }

    fn held_copy(&self, doc: DocId, hash: &ChangeHash) -> Result<Option<(Scope, Chunk)>, StoreError> {
        Ok(self.read(|state| state.held.get(&(doc, *hash)).and_then(|mark| mark.copy.clone())))
    }

    fn cursor(&self, unit: UnitRef) -> Result<Sequence, StoreError> {
        Ok(self.read(|state| state.cursors.get(&unit).copied().unwrap_or_default()))
    }

    fn setting(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read(|state| state.settings.get(key).map(|value| value.to_vec())))
    }
}

impl KeptChunk {
    fn whole(&self) -> Option<&Chunk> {
        match &self.chunk {
            Body::Whole(chunk) => Some(chunk),
            Body::Erased(_) => None,
        }
    }
}

impl State {
    /// The documents that are none of those of which something was erased.
    fn documents(&self) -> impl Iterator<Item = (&DocId, &Document)> {
        self.documents.iter().filter(|(_, document)| !document.is_erased)
    }

    fn document(&self, doc: DocId) -> Option<&Document> {
        self.documents.get(&doc).filter(|document| !document.is_erased)
    }

    /// Takes the bytes of a chunk away.
    fn erase(&mut self, scope: Scope, doc: DocId, hash: ChangeHash) {
        let document = self.documents.entry(doc).or_insert_with(|| Document::new(scope));
        (document.is_erased, document.shown) = (true, None);
        let chunk = Body::Erased(ErasedBody { hash, size: 0 });
        if let Some(kept) = document.chunks.iter_mut().find(|kept| kept.chunk.hash() == hash) {
            kept.chunk = chunk;
        } else {
            document.chunks.push(KeptChunk { number: self.next_chunk, receipt: None, chunk });
            self.next_chunk += 1;
        }
        if let Some(mark) = self.held.get_mut(&(doc, hash)) {
            mark.copy = None;
        }
        self.outbox.retain(|entry| (entry.doc, entry.hash) != (doc, hash));
    }

    fn chunk(&self, doc: DocId, hash: &ChangeHash) -> Option<&KeptChunk> {
        self.documents.get(&doc)?.chunks.iter().find(|kept| kept.chunk.hash() == *hash)
    }

    /// Finds the documents of the hashes that go into the outbox, as [`Transaction::outbox_add`] says.
    fn resolve(&self, transaction: &Transaction) -> Result<Vec<(Scope, DocId, ChangeHash)>, StoreError> {
        let mut resolved = Vec::with_capacity(transaction.outbox_add.len());
        let mut used = vec![false; transaction.chunks.len()];
        let nothing = BTreeMap::new();
        let documents = if transaction.empty { &nothing } else { &self.documents };
        for hash in &transaction.outbox_add {
            let mut matching =
                transaction.chunks.iter().zip(&mut used).filter(|((_, change), _)| change.hash() == *hash);
            // Named more often than it is there: the last again.
            let mut found = None;
            for (chunk, used) in matching.by_ref() {
                found = Some(chunk);
                if !*used {
                    *used = true;
                    break;
                }
            }
            if let Some((scope, Change { doc, .. })) = found {
                let before = documents.get(doc).map(|document| document.scope);
                let kept = before.filter(|_| !transaction.remove_documents.contains(doc));
                let first = || transaction.chunks.iter().find(|(_, other)| other.doc == *doc).map(|(scope, _)| *scope);
                resolved.push((kept.or_else(first).unwrap_or(*scope), *doc, *hash));
                continue;
            }
            let before = resolved.len();
            for (doc, document) in documents {
                let stays = !transaction.remove_documents.contains(doc);
                if stays && document.chunks.iter().any(|kept| kept.chunk.hash() == *hash) {
                    resolved.push((document.scope, *doc, *hash));
                }
            }
            if resolved.len() == before {
                return Err(StoreError::NotFound(*hash));
            }
        }
        Ok(resolved)
    }

    fn apply(&mut self, transaction: Transaction, outbox_add: Vec<(Scope, DocId, ChangeHash)>) {
        if transaction.empty {
            let Self { outbox_last, next_chunk, .. } = *self;
            *self = Self { outbox_last, next_chunk, ..Self::default() };
        }
        for doc in &transaction.remove_documents {
            self.documents.remove(doc);
            self.outbox.retain(|entry| entry.doc != *doc);
        }
        for (scope, Change { doc, chunk }) in transaction.chunks {
            let document = self.documents.entry(doc).or_insert_with(|| Document::new(scope));
            if document.chunks.iter().all(|kept| kept.chunk.hash() != chunk.hash()) {
                let chunk = Body::Whole(chunk);
                document.chunks.push(KeptChunk { number: self.next_chunk, receipt: None, chunk });
                self.next_chunk += 1;
                document.shown = None;
            }
        }
        for (scope, doc, hash) in &transaction.erased {
            self.erase(*scope, *doc, *hash);
        }
        for (doc, shown) in transaction.shown {
            if let Some(document) = self.documents.get_mut(&doc).filter(|document| !document.is_erased) {
                document.shown = Some(shown.into_boxed_slice());
            }
        }
        if let Some(reset) = transaction.receipts_reset {
            let chunks = self.documents.values_mut().flat_map(|document| &mut document.chunks);
            chunks.filter_map(|chunk| chunk.receipt.as_mut()).for_each(|receipt| *receipt = reset);
        }
        for (doc, hash, sequence) in transaction.receipts {
            let chunks = self.documents.get_mut(&doc).into_iter().flat_map(|document| &mut document.chunks);
            for chunk in chunks.filter(|kept| kept.chunk.hash() == hash) {
                chunk.receipt = Some(sequence);
            }
        }
        for number in &transaction.outbox_remove {
            if let Ok(index) = self.outbox.binary_search_by_key(number, |entry| entry.number) {
                self.outbox.remove(index);
            }
        }
        for (scope, doc, hash) in outbox_add {
            if self.chunk(doc, &hash).is_none_or(|kept| kept.whole().is_none()) {
                continue;
            }
            self.outbox_last += 1;
            self.outbox.push_back(OutboxEntry { number: self.outbox_last, scope, doc, hash });
        }
        if self.outbox.is_empty() {
            self.outbox.shrink_to_fit();
        }
        for (doc, hash, why) in transaction.held {
            let before = self.held.remove(&(doc, hash));
            if let Some(why) = why {
                let copy = before.and_then(|mark| mark.copy);
                self.held.insert((doc, hash), Mark { why: why.into_boxed_slice(), copy });
            }
        }
        for (doc, hash, copy) in transaction.held_copies {
            if let Some(mark) = self.held.get_mut(&(doc, hash)) {
                mark.copy = copy;
            }
        }
        self.cursors.extend(transaction.cursors);
        for (key, value) in transaction.settings {
            match value {
                Some(value) => self.settings.insert(key.into_boxed_str(), value.into_boxed_slice()),
                None => self.settings.remove(key.as_str()),
            };
        }
    }
}
