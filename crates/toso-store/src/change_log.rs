//! A server's log: every accepted chunk once, in one order, with who brought it and when.

use toso_core::change::{Change, Entry};
use toso_core::chunk::ChangeHash;
use toso_core::document::DocumentSize;
use toso_core::id::{AuthorId, Digest, DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;

use crate::StoreError;

/// The longest table name of a record, in bytes.
pub const RECORD_TABLE_BYTES_MAX: usize = 32;
/// The longest key of a record, in bytes.
pub const RECORD_KEY_BYTES_MAX: usize = 128;
/// The largest value of a record, in bytes: as large as a change.
pub const RECORD_BYTES_MAX: usize = 60 * 1024;
/// The most changes in one [`RecordStore::write`].
pub const RECORD_CHANGES_MAX: usize = 4096;
/// The most chunks in one [`LogBatch`].
pub const LOG_BATCH_ITEMS_MAX: usize = 1024;
/// The most change bytes in one [`LogBatch`].
pub const LOG_BATCH_BYTES_MAX: usize = 256 * 1024;

/// Chunks that one device pushed together. All belong to one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBatch {
    /// Their scope.
    pub scope: Scope,
    /// The device that made them.
    pub author: AuthorId,
    /// The server's clock when they came.
    pub received_at: TimestampMs,
    /// The chunks.
    pub items: Vec<Change>,
}

/// What [`ChangeLog::append`] did with one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Sequence of the first chunk that was new; `None` when all were in the log already.
    pub first_new: Option<Sequence>,
    /// How many were new; they have consecutive sequences.
    pub new: usize,
    /// The greatest sequence among all chunks of the batch, new or known: all are in the log at or below it. Zero for
    /// an empty batch.
    pub through: Sequence,
}

/// A run of entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Entries by rising sequence.
    pub entries: Vec<Entry>,
    /// Everything at or below this has been read. The last entry's sequence when `more`; else the log's last sequence
    /// when the page was read, which may be past the last entry.
    pub through: Sequence,
    /// True when more matches.
    pub more: bool,
}

/// How many chunks scopes have up to a position, and which.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many.
    pub count: u64,
    /// Digest of all of them.
    pub digest: Digest,
}

/// What a chunk that may be new meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// What its document comes to.
    pub size: DocumentSize,
    /// True when the chunk is in the log.
    pub known: bool,
}

/// A server's log.
///
/// # Contract
///
/// - **Durable**: when [`Self::append`] returns `Ok`, its batches survive `kill -9` and loss of power.
/// - **Atomic**: after a crash a batch is there whole or not at all; batches of one call may be there as a prefix.
/// - **Ordered**: sequences rise by one from 1 without gaps; a reader never sees a sequence before all lower ones.
/// - **Once**: a (document, hash) pair is in the log at most once, however often and in however many batches it comes.
/// - **Visible when durable**: readers do not see entries whose append has not become durable.
/// - **Failure**: `Err` means that the caller must not acknowledge anything; the log either has the batches or not,
///   and a repeated append settles it.
pub trait ChangeLog: Send + Sync {
    /// Appends batches in order; one flush for all. Returns once all are durable, an answer for each batch.
    fn append(&self, batches: &[LogBatch]) -> Result<Vec<Appended>, StoreError>;
    /// The greatest sequence in the log; zero when empty.
    fn last(&self) -> Sequence;
    /// Entries of any scope after `after`, until `bytes_max` of change bytes or `items_max` (at least one entry).
    fn read(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Page, StoreError>;
    /// Entries of the given scopes after `after`, merged by sequence, with the same limits.
    fn read_scopes(
        &self,
        scopes: &[Scope],
        after: Sequence,
        items_max: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError>;
    /// The greatest sequence among the given scopes; zero when there is none.
    fn last_of_scopes(&self, scopes: &[Scope]) -> Result<Sequence, StoreError>;
    /// The chunks of the given scopes at or below `at`, in sum. A scope that is given twice counts once. Costs a few
    /// look-ups for each scope, however many chunks it has.
    fn summary(&self, scopes: &[Scope], at: Sequence) -> Result<Summary, StoreError>;
    /// All entries of one document, by rising sequence.
    fn document(&self, doc: DocId) -> Result<Vec<Entry>, StoreError>;
    /// What the chunks of one document come to, by its index: costs the same however many it has. What is being made
    /// durable may be counted already.
    fn document_size(&self, scope: Scope, doc: DocId) -> Result<DocumentSize, StoreError>;
    /// [`Self::document_size`] and [`Self::contains`] in one look-up.
    fn standing(&self, scope: Scope, doc: DocId, hash: &ChangeHash) -> Result<Standing, StoreError> {
        Ok(Standing { size: self.document_size(scope, doc)?, known: self.contains(doc, hash)? })
    }
    /// The documents of a scope, by id.
    fn documents(&self, scope: Scope) -> Result<Vec<DocId>, StoreError>;
    /// True when the chunk is in the log.
    fn contains(&self, doc: DocId, hash: &ChangeHash) -> Result<bool, StoreError>;
}

/// A server's small durable records beside the log (devices, invites, keys): ordered keys and values in named tables.
///
/// # Contract
///
/// As [`ChangeLog`]'s: [`Self::write`] is atomic over all its changes and durable when it returns `Ok` (unless it is
/// [`Durability::Disposable`]). All expectations of a write are checked against the records before the write; changes
/// happen in their order. Reads see whole writes.
///
/// - **Lost from the end**: a crash may take disposable writes, whole, and only from the end: when one is lost, so is every
///   disposable write after it, and a durable write (of records or of the log) takes all before it along. A caller that keeps a
///   position beside what it stands for, both disposable, finds after a crash a pair that belongs together.
pub trait RecordStore: Send + Sync {
    /// Reads one record.
    fn record(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Reads all records whose key begins with `prefix`, by key.
    fn records(&self, table: &str, prefix: &[u8]) -> Result<Vec<Record>, StoreError>;
    /// The tables that have records, by name.
    fn tables(&self) -> Result<Vec<String>, StoreError>;
    /// Records of a table whose keys come after one, by key, until `bytes_max` of keys and values (at least one record,
    /// while there are any): to walk a table of any size.
    fn records_after(&self, table: &str, after: Option<&[u8]>, bytes_max: usize) -> Result<Vec<Record>, StoreError>;
    /// Writes (`Some`) and removes (`None`) records, together.
    fn write(&self, changes: &[RecordChange], durability: Durability) -> Result<(), StoreError>;
}

/// A record as [`RecordStore::records`] gives it: its key and its value.
pub type Record = (Vec<u8>, Vec<u8>);

/// One change of [`RecordStore::write`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordChange {
    /// Table, at most [`RECORD_TABLE_BYTES_MAX`] bytes.
    pub table: String,
    /// Key, at most [`RECORD_KEY_BYTES_MAX`] bytes.
    pub key: Vec<u8>,
    /// New value (at most [`RECORD_BYTES_MAX`] bytes), or `None` to remove.
    pub value: Option<Vec<u8>>,
    /// When set, the whole write happens only if the record has this value now (`Some(None)`: is absent); else
    /// nothing is written and the call returns [`StoreError::Raced`]. Makes one-time invites one-time.
    pub expect: Option<Option<Vec<u8>>>,
}

/// Whether a write must survive a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Durable when the call returns.
    Durable,
    /// May be lost by a crash (never torn, and only from the end); for what can be computed again.
    Disposable,
}
