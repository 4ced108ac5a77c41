//! A document: an Automerge document that always begins with the shared genesis change of its kind.

use automerge::Automerge;

use crate::chunk::{ChangeHash, Chunk};
use crate::edit::{DocEdit, EditError};
use crate::id::{Actor, DeviceId, DocId};
use crate::record::Record;
use crate::time::TimestampMs;

/// Who saves, and when by their clock.
#[derive(Debug, Clone, Copy)]
pub struct Author {
    /// The actor of this opening of the store.
    pub actor: Actor,
    /// Their clock; shown to people only.
    pub at: TimestampMs,
}

/// A document in memory (about 20 KB).
#[derive(Debug, Clone)]
pub struct Document {
    id: DocId,
    doc: Automerge,
}

/// What [`Document::apply`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// Chunks that are in the document now.
    pub applied: usize,
    /// Chunks that wait for a dependency nobody has brought yet (kept inside, applied when it comes).
    pub waiting: usize,
    /// Chunks that Automerge refused or that broke it; the document goes on without them.
    pub quarantined: Vec<(ChangeHash, String)>,
}

/// One of the values that devices wrote into the same field without knowing of each other.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ConflictValue {
    /// The value as [`DocEdit::parse`] would read it; empty when cleared.
    pub value: String,
    /// Who wrote it.
    pub device: DeviceId,
    /// When, by their clock.
    pub at: TimestampMs,
    /// True for the value that every replica shows until somebody settles it.
    pub shown: bool,
}

/// A field with more than one value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Conflict {
    /// Field path, as [`DocEdit::parse`] takes it.
    pub field: String,
    /// All values, the shown one first.
    pub values: Vec<ConflictValue>,
}

/// One save in a document's history.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HistoryEntry {
    /// The change.
    pub hash: ChangeHash,
    /// Who.
    pub device: DeviceId,
    /// When, by their clock.
    pub at: TimestampMs,
    /// Field paths and new values as text (empty when cleared; counters as `+n`).
    pub changes: Vec<(String, String)>,
}

impl Document {
    /// A document with only its genesis.
    pub fn new(_id: DocId) -> Self {
        todo!()
    }
    /// Its identity.
    pub fn id(&self) -> DocId {
        self.id
    }
    /// Merges chunks, in any order, any number of times. A chunk that Automerge refuses, or that makes it panic, is
    /// quarantined and the rest stays.
    pub fn apply(&mut self, _chunks: &[Chunk]) -> Applied {
        todo!()
    }
    /// Makes one change out of one save. `None` when everything already has these values.
    pub fn edit(&mut self, _author: Author, _edits: &[DocEdit]) -> Result<Option<Chunk>, EditError> {
        todo!()
    }
    /// Settles a conflict (or sets a field): one change whose value replaces all concurrent ones. Unlike [`Self::edit`]
    /// it also makes a change when the chosen value is the one already shown.
    pub fn resolve(&mut self, _author: Author, _edit: &DocEdit) -> Result<Chunk, EditError> {
        todo!()
    }
    /// The document as plain values.
    pub fn read(&self) -> Record {
        todo!()
    }
    /// Fields with more than one value.
    pub fn conflicts(&self) -> Vec<Conflict> {
        todo!()
    }
    /// Every save, oldest first, genesis left out.
    pub fn history(&self) -> Vec<HistoryEntry> {
        todo!()
    }
    /// The heads: changes that nothing follows yet.
    pub fn heads(&self) -> Vec<ChangeHash> {
        todo!()
    }
    /// Hashes of dependencies that waiting chunks name and nobody has brought.
    pub fn missing(&self) -> Vec<ChangeHash> {
        todo!()
    }
    /// True when a change is in the document.
    pub fn contains(&self, _hash: &ChangeHash) -> bool {
        todo!()
    }
    /// The document in Automerge's own compact form, after proving that it loads back to equal heads.
    pub fn snapshot(&self) -> Result<Vec<u8>, SnapshotError> {
        todo!()
    }
    /// Loads [`Self::snapshot`]'s bytes; refuses what would inflate beyond [`SNAPSHOT_BYTES_MAX`].
    pub fn from_snapshot(_id: DocId, _bytes: &[u8]) -> Result<Self, SnapshotError> {
        todo!()
    }
}

/// The largest snapshot that is made or loaded.
pub const SNAPSHOT_BYTES_MAX: usize = 4 << 20;

/// Why a snapshot is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It does not load, or not to the same heads.
    #[error("the snapshot of {id} does not load back: {detail}; its chunks stay")]
    Unverified {
        /// The document.
        id: DocId,
        /// What went wrong.
        detail: String,
    },
}
