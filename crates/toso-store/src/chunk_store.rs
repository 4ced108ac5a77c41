//! A phone's store: chunks by document, the outbox, one cursor per scope, and small settings.

use std::collections::BTreeMap;

use toso_core::change::Change;
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::id::{DocId, Sequence};
use toso_core::unit::{Scope, UnitRef};

use crate::StoreError;

/// The longest key of a setting, in bytes.
pub const SETTING_KEY_BYTES_MAX: usize = 64;
/// The largest value of a setting, in bytes.
pub const SETTING_BYTES_MAX: usize = 32 * 1024;

/// A chunk made here that no server has acknowledged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Position: entries leave in the order they came. From 1, never reused.
    pub number: u64,
    /// The scope of its document.
    pub scope: Scope,
    /// Its document.
    pub doc: DocId,
    /// The chunk.
    pub hash: ChangeHash,
}

/// The largest reason kept with a held chunk, in bytes: 300 of words, and what helps a person to recognise the record.
pub const HELD_BYTES_MAX: usize = 1024;

/// The most bytes kept of what a document shows: a team with the longest note (2 KiB) and some activities has 5 KiB. What is
/// longer is read from the chunks each time.
pub const SHOWN_BYTES_MAX: usize = 16 * 1024;

/// A document as lists need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its scope.
    pub scope: Scope,
    /// Its identity.
    pub doc: DocId,
    /// What it shows, as the client encoded it; `None` when that is to be read from the chunks.
    pub shown: Option<Vec<u8>>,
}

/// A chunk that the server did not take into the register: refused, or waiting for an officer's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldChunk {
    /// Its document.
    pub doc: DocId,
    /// The chunk.
    pub hash: ChangeHash,
    /// Why, as the client encodes it; at most [`HELD_BYTES_MAX`] bytes.
    pub why: Vec<u8>,
}

/// Everything one call of [`ChunkStore::commit`] changes, together or not at all.
///
/// The steps happen in this order: emptying, removal of documents, chunks, erased chunks, what is shown, the reset of receipts, receipts, removal from the
/// outbox, additions to the outbox, held chunks, their copies, cursors, settings. So one transaction can replace a document whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Everything that the store has goes first: documents, outbox, held chunks, cursors, settings. The outbox goes on counting.
    pub empty: bool,
    /// Chunks to store, with the scope of their document; one that is stored already is left as it is. A document keeps the
    /// scope of its first chunk.
    pub chunks: Vec<(Scope, Change)>,
    /// Chunks whose bytes were erased at the centre, with the scope of their document. That they were there is kept, whether or
    /// not they are stored; their bytes, copies and outbox entries go, and so does what their document shows.
    pub erased: Vec<(Scope, DocId, ChangeHash)>,
    /// What documents show with all chunks that this transaction leaves them, at most [`SHOWN_BYTES_MAX`] bytes each. Of a
    /// document that is not stored it is ignored, and the last one set counts. A document that gets a new chunk without it
    /// has none from then on: what is kept never shows less than the chunks do.
    pub shown: Vec<(DocId, Vec<u8>)>,
    /// Chunks to put at the end of the outbox, in order. The n-th time a hash comes it means its n-th chunk in
    /// `chunks`; when `chunks` has none, it means every stored chunk with this hash (two documents made from the same
    /// words in the same second can share one; sending both is harmless, sending the wrong one would lose an edit).
    /// A hash that is neither gives [`StoreError::NotFound`]; one that is erased is passed over, since there is nothing to send.
    pub outbox_add: Vec<ChangeHash>,
    /// Outbox numbers to take out. Unknown numbers are ignored.
    pub outbox_remove: Vec<u64>,
    /// When set, all receipts that are stored become this one: sequences of a server's earlier history mean nothing.
    pub receipts_reset: Option<Sequence>,
    /// Receipts: the server sequence at or below which these chunks are in its log. The last one set counts; one for
    /// a chunk that is not stored is ignored.
    pub receipts: Vec<(DocId, ChangeHash, Sequence)>,
    /// Chunks to mark as held (`Some`: why) or no longer held (`None`). A mark does not need the chunk: what became of
    /// an edit can be told after its document has left the device.
    pub held: Vec<(DocId, ChangeHash, Option<Vec<u8>>)>,
    /// Copies of held chunks to keep (`Some`, with the scope of the document) or to drop (`None`), so that one can be handed over again when its document
    /// has left the device. A copy goes with its mark; one of a chunk that is not marked is ignored.
    #[allow(clippy::type_complexity, reason = "which chunk, and what of it: as the marks beside it have it")]
    pub held_copies: Vec<(DocId, ChangeHash, Option<(Scope, Chunk)>)>,
    /// Cursors to set, by interest (a commune, or a wider unit for officers).
    pub cursors: Vec<(UnitRef, Sequence)>,
    /// Settings to set (`Some`) or remove (`None`).
    pub settings: Vec<(String, Option<Vec<u8>>)>,
    /// Documents to remove with all their chunks, receipts and outbox entries (left the scope, or erased). Marks of held
    /// chunks stay, and so do their copies.
    pub remove_documents: Vec<DocId>,
}

/// A phone's store.
///
/// # Contract
///
/// - **Atomic**: after a crash at any moment either all of a transaction is there or none of it.
/// - **Durable**: when [`Self::commit`] returns `Ok`, the transaction survives `kill -9` and loss of power.
/// - **Ordered**: if transaction B was committed after A returned and B survives, so does A.
/// - **Idempotent**: storing a chunk again changes nothing, and does not put it into the outbox again unless asked.
/// - **Erased**: of an erased chunk its document and hash stay, so that what the device has is still compared with what the
///   centre has. [`Self::contains`] and [`Self::keys`] tell of it. Its bytes do not come back when it is stored again. A document of
///   which a chunk is erased is none any more, since what is left cannot be read without it: nothing but
///   [`Self::erased_documents`] lists it, and it has no chunks and no scope, whatever comes later.
/// - **Failure**: `Err` means that nothing of the transaction is visible, now or after reopening, except that after
///   [`StoreError::Poisoned`] the outcome of the failed transaction is known only after reopening.
/// - **Concurrent**: all methods may be called from several threads; reads see whole transactions.
pub trait ChunkStore: Send + Sync {
    /// Applies a transaction. Returns once it is durable.
    fn commit(&self, transaction: Transaction) -> Result<(), StoreError>;
    /// All chunks of a document, in the order they were stored; empty when there is none.
    fn chunks(&self, doc: DocId) -> Result<Vec<Chunk>, StoreError>;
    /// True when the chunk is stored, or was erased.
    fn contains(&self, doc: DocId, hash: &ChangeHash) -> Result<bool, StoreError>;
    /// True when a call may wait for a disk, so that callers who must not wait give it a thread of its own.
    fn waits_for_disk(&self) -> bool {
        true
    }
    /// Every document with its scope, by id.
    fn documents(&self) -> Result<Vec<(Scope, DocId)>, StoreError>;
    /// Every document of which something was erased, with its scope, by id.
    fn erased_documents(&self) -> Result<Vec<(Scope, DocId)>, StoreError>;
    /// How many documents there are.
    fn documents_len(&self) -> Result<usize, StoreError> {
        Ok(self.documents()?.len())
    }
    /// Every document with its scope and what it shows, by id.
    fn listed(&self) -> Result<Vec<Listed>, StoreError>;
    /// What one document shows, when that is kept.
    fn shown(&self, doc: DocId) -> Result<Option<Vec<u8>>, StoreError>;
    /// The scope of one document.
    fn scope_of(&self, doc: DocId) -> Result<Option<Scope>, StoreError>;
    /// Outbox entries with numbers greater than `after`, oldest first, at most `limit`.
    fn outbox(&self, after: u64, limit: usize) -> Result<Vec<OutboxEntry>, StoreError>;
    /// How many entries the outbox has.
    fn outbox_len(&self) -> Result<usize, StoreError>;
    /// One chunk; [`StoreError::NotFound`] when it is not stored.
    fn chunk(&self, doc: DocId, hash: &ChangeHash) -> Result<Chunk, StoreError>;
    /// Receipts of a document's chunks, by hash.
    fn receipts(&self, doc: DocId) -> Result<Vec<(ChangeHash, Sequence)>, StoreError>;
    /// The greatest receipt of all; zero when there is none.
    fn last_receipt(&self) -> Result<Sequence, StoreError>;
    /// The greatest receipt of every document that has one.
    fn last_receipts(&self) -> Result<BTreeMap<DocId, Sequence>, StoreError>;
    /// Every chunk, erased or not, with its scope, in the order they were stored.
    fn keys(&self) -> Result<Vec<(Scope, DocId, ChangeHash)>, StoreError>;
    /// Chunks marked as held, by document and hash.
    fn held(&self) -> Result<Vec<HeldChunk>, StoreError>;
    /// The copy that is kept of a held chunk, if any, with the scope of its document.
    fn held_copy(&self, doc: DocId, hash: &ChangeHash) -> Result<Option<(Scope, Chunk)>, StoreError>;
    /// The cursor of an interest; zero when never set.
    fn cursor(&self, unit: UnitRef) -> Result<Sequence, StoreError>;
    /// A setting.
    fn setting(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;
}
