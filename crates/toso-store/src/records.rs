//! A server's small records beside its changes (devices, invites, decisions): ordered keys and values in named tables.
//!
//! A table holds **truth** or what is **derived**, never both. Truth is what was decided: it is changed by commands, each of
//! them an entry of the log, so that whoever applies the log has the same records. What is derived follows from the
//! entries and is kept to save the work of computing it again; it may be lost.

use toso_core::id::{DOC_ID_BYTES, DocId, Sequence};
use toso_core::time::TimestampMs;

use crate::StoreError;

/// The longest table name of a record, in bytes.
pub const RECORD_TABLE_BYTES_MAX: usize = 32;
/// The longest key of a record, in bytes.
pub const RECORD_KEY_BYTES_MAX: usize = 128;
/// The largest value of a record, in bytes: as large as a change.
pub const RECORD_BYTES_MAX: usize = 60 * 1024;
/// The most changes in one command or derived write.
pub const RECORD_CHANGES_MAX: usize = 4096;
/// The most bytes of one command, with what it expects: one value of a store that cuts values into 255 parts of 4 KiB
/// ends at twice as much. The largest that a server gives is what one push brings to the review queue, 32 KiB of changes
/// with their records.
pub const COMMAND_BYTES_MAX: usize = 512 * 1024;
/// The table of erased documents, of truth: its keys begin with the bytes of a document's id. A command that puts a record into
/// it erases the document.
pub const ERASURES_TABLE: &str = "erasures";
/// The most documents that one command erases. A document has at most 4,096 changes, each in a run of at most 16 KiB before
/// packing: 64 MiB for one, were each alone in its run; one that people wrote has a few dozen.
pub const COMMAND_ERASURES_MAX: usize = 16;
/// Bytes counted for a change of a record beside table, key and values: their lengths.
pub const RECORD_CHANGE_BYTES: usize = 16;

/// What a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holds {
    /// Decisions: commands change it.
    Truth,
    /// What follows from the log's entries.
    Derived,
}

/// The records of a log.
///
/// # Contract
///
/// - **Commands**: [`Self::command`] appends an entry to the log that the records belong to, with all its promises, and
///   changes the records with it: both or neither. All expectations are checked against the records as the entries before
///   leave them; when one does not hold, nothing is appended and nothing changes ([`StoreError::Raced`]). Changes happen in
///   their order. Reads see whole commands.
/// - **Erasures**: a command that puts a record into [`ERASURES_TABLE`] takes away the bodies of all changes of that document
///   that are in the log before it, with the command, both or neither. Readers see the entries of one document erased one
///   after the other. Nothing else changes: not sequences, sizes, sums, nor what is known. Erasing again changes nothing, and
///   removing the record brings nothing back.
/// - **Seen early**: readers of the log see a command's entry once it is durable. Readers of records may see its changes a
///   moment before, while the disk is asked; a crash in that moment takes entry and changes together. So who acts on a record
///   for somebody else waits for the call that wrote it, or appends to the log, which takes all before it along.
/// - **Derived writes**: [`Self::derive`] is atomic over all its changes, and seen whole.
/// - **Lost from the end**: a crash may take derived writes, whole, and only from the end: when one is lost, so is every
///   derived write after it, and a command or an append takes all before it along. A caller that keeps a position beside what
///   it stands for, both derived, finds after a crash a pair that belongs together.
/// - **Never mixed**: a table that has records of the one sort refuses writes of the other ([`StoreError::Mixed`]).
pub trait RecordStore: Send + Sync {
    /// Reads one record.
    fn record(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Reads all records whose key begins with `prefix`, by key.
    fn records(&self, table: &str, prefix: &[u8]) -> Result<Vec<Record>, StoreError>;
    /// The tables that have records, by name, and what they hold.
    fn tables(&self) -> Result<Vec<(String, Holds)>, StoreError>;
    /// Records of a table whose keys come after one, by key, until `bytes_max` of keys and values (at least one record,
    /// while there are any): to walk a table of any size.
    fn records_after(&self, table: &str, after: Option<&[u8]>, bytes_max: usize) -> Result<Vec<Record>, StoreError>;
    /// Changes records of truth, together, as an entry of the log; its sequence. Durable when it returns, and no promise to
    /// anybody before.
    fn command(&self, at: TimestampMs, changes: &[RecordChange]) -> Result<Sequence, StoreError>;
    /// Changes derived records, together. Not durable by itself.
    fn derive(&self, changes: &[RecordChange]) -> Result<(), StoreError>;
}

/// A record as [`RecordStore::records`] gives it: its key and its value.
pub type Record = (Vec<u8>, Vec<u8>);

/// One change of [`RecordStore::command`] or [`RecordStore::derive`].
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

impl RecordChange {
    /// The document that the change erases, when it is a new record of an erasure.
    pub fn erases(&self) -> Option<DocId> {
        self.value.as_ref().and(erased_document(&self.table, &self.key))
    }
}

/// The document that a record of the table of erasures names.
pub(crate) fn erased_document(table: &str, key: &[u8]) -> Option<DocId> {
    let id = if table == ERASURES_TABLE { key.first_chunk::<DOC_ID_BYTES>() } else { None };
    id.and_then(|id| DocId::from_bytes(*id).ok())
}
