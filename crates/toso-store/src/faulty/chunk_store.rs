//! A phone's disk that fails on demand.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::id::{DocId, Sequence};
use toso_core::unit::{Scope, UnitRef};

use super::{WriteFault, failed, full, poisoned};
use crate::StoreError;
use crate::chunk_store::{ChunkStore, HeldChunk, Listed, OutboxEntry, Transaction};
use crate::memory::MemoryChunkStore;

/// A breach of the contract, to prove that a simulation would see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkDefect {
    /// Cursors are written before the rest of their transaction, so that a crash can fall between.
    CursorsFirst,
    /// Every so many commits (the number) that bring chunks, the last of them is not stored, and nobody is told.
    DropsChunks(u32),
}

/// A phone's disk that fails on demand. It is one disk: cloning is copying it, as a backup does.
#[derive(Debug, Default)]
pub struct FaultyChunkStore {
    live: MemoryChunkStore,
    state: Mutex<State>,
}

#[derive(Debug, Default, Clone)]
struct State {
    next: Option<WriteFault>,
    full: bool,
    poisoned: bool,
    /// On the disk, unknown to the process.
    hidden: Option<Transaction>,
    defect: Option<ChunkDefect>,
    bringing: u32,
    commits: u64,
    waits: Option<Waits>,
}

/// What a commit waits for.
#[derive(Clone)]
struct Waits(Arc<dyn Fn(&Transaction) + Send + Sync>);

impl std::fmt::Debug for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waits")
    }
}

impl FaultyChunkStore {
    /// An empty disk that does not fail.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next commit meets this fault.
    pub fn fail_next(&self, fault: WriteFault) {
        self.state.lock().next = Some(fault);
    }

    /// The disk is full, or has space again.
    pub fn set_full(&self, full: bool) {
        self.state.lock().full = full;
    }

    /// The disk breaches its contract from now on.
    pub fn set_defect(&self, defect: Option<ChunkDefect>) {
        self.state.lock().defect = defect;
    }

    /// It is a disk that is waited for: each commit calls this first.
    pub fn set_waits(&self, waits: impl Fn(&Transaction) + Send + Sync + 'static) {
        self.state.lock().waits = Some(Waits(Arc::new(waits)));
    }

    /// True once a write has failed so that only opening the store again helps.
    pub fn is_poisoned(&self) -> bool {
        self.state.lock().poisoned
    }

    /// Transactions that have been committed.
    pub fn commits(&self) -> u64 {
        self.state.lock().commits
    }

    /// The process ends, at any moment, and the store is opened again.
    pub fn reopen(&self) {
        let mut state = self.state.lock();
        (state.next, state.poisoned) = (None, false);
        if let Some(transaction) = state.hidden.take() {
            // It was checked when it was written.
            let _ = self.live.commit(transaction);
        }
    }
}

impl Clone for FaultyChunkStore {
    fn clone(&self) -> Self {
        Self { live: self.live.clone(), state: Mutex::new(self.state.lock().clone()) }
    }
}

impl ChunkStore for FaultyChunkStore {
    fn waits_for_disk(&self) -> bool {
        self.state.lock().waits.is_some()
    }

    fn commit(&self, mut transaction: Transaction) -> Result<(), StoreError> {
        let waits = self.state.lock().waits.clone();
        if let Some(Waits(waits)) = waits {
            waits(&transaction);
        }
        let mut state = self.state.lock();
        if state.poisoned {
            return Err(poisoned());
        }
        if state.full {
            return Err(full("committing"));
        }
        let fault = state.next.take();
        if fault == Some(WriteFault::Full) {
            return Err(full("committing"));
        }
        match state.defect {
            Some(ChunkDefect::CursorsFirst) => {
                let cursors = std::mem::take(&mut transaction.cursors);
                self.live.commit(Transaction { cursors, ..Transaction::default() })?;
            }
            Some(ChunkDefect::DropsChunks(every)) if !transaction.chunks.is_empty() => {
                state.bringing += 1;
                if state.bringing.is_multiple_of(every.max(1)) && transaction.outbox_add.is_empty() {
                    let dropped = transaction.chunks.pop();
                    transaction.shown.retain(|(doc, _)| dropped.as_ref().is_none_or(|(_, change)| change.doc != *doc));
                }
            }
            _ => {}
        }
        match fault {
            Some(WriteFault::Lost) => {
                state.poisoned = true;
                Err(failed("committing"))
            }
            Some(WriteFault::Unanswered) => {
                // What would not have been accepted has not been written either.
                self.live.clone().commit(transaction.clone())?;
                state.poisoned = true;
                state.hidden = Some(transaction);
                Err(failed("committing"))
            }
            _ => {
                self.live.commit(transaction)?;
                state.commits += 1;
                Ok(())
            }
        }
    }

    fn chunks(&self, doc: DocId) -> Result<Vec<Chunk>, StoreError> {
        self.live.chunks(doc)
    }

    fn contains(&self, doc: DocId, hash: &ChangeHash) -> Result<bool, StoreError> {
        self.live.contains(doc, hash)
    }

    fn documents(&self) -> Result<Vec<(Scope, DocId)>, StoreError> {
        self.live.documents()
    }

    fn erased_documents(&self) -> Result<Vec<(Scope, DocId)>, StoreError> {
        self.live.erased_documents()
    }

    fn listed(&self) -> Result<Vec<Listed>, StoreError> {
        self.live.listed()
    }

    fn shown(&self, doc: DocId) -> Result<Option<Vec<u8>>, StoreError> {
        self.live.shown(doc)
    }

    fn documents_len(&self) -> Result<usize, StoreError> {
        self.live.documents_len()
    }

    fn scope_of(&self, doc: DocId) -> Result<Option<Scope>, StoreError> {
        self.live.scope_of(doc)
    }

    fn outbox(&self, after: u64, limit: usize) -> Result<Vec<OutboxEntry>, StoreError> {
        self.live.outbox(after, limit)
    }

    fn outbox_len(&self) -> Result<usize, StoreError> {
        self.live.outbox_len()
    }

    fn chunk(&self, doc: DocId, hash: &ChangeHash) -> Result<Chunk, StoreError> {
        self.live.chunk(doc, hash)
    }

    fn receipts(&self, doc: DocId) -> Result<Vec<(ChangeHash, Sequence)>, StoreError> {
        self.live.receipts(doc)
    }

    fn last_receipt(&self) -> Result<Sequence, StoreError> {
        self.live.last_receipt()
    }

    fn last_receipts(&self) -> Result<BTreeMap<DocId, Sequence>, StoreError> {
        self.live.last_receipts()
    }

    fn keys(&self) -> Result<Vec<(Scope, DocId, ChangeHash)>, StoreError> {
        self.live.keys()
    }

    fn held(&self) -> Result<Vec<HeldChunk>, StoreError> {
        self.live.held()
    }

    fn held_copy(&self, doc: DocId, hash: &ChangeHash) -> Result<Option<(Scope, Chunk)>, StoreError> {
        self.live.held_copy(doc, hash)
    }

    fn cursor(&self, unit: UnitRef) -> Result<Sequence, StoreError> {
        self.live.cursor(unit)
    }

    fn setting(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.live.setting(key)
    }
}
