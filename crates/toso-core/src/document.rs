//! A document: an Automerge document that always begins with the shared genesis change of its kind.
//!
//! Changes come from anybody. So the document keeps changes that wait for others itself and gives Automerge only those
//! that are ready, checked, and on a copy: whatever Automerge does to the copy, the document is sound.

mod apply;
mod conflicts;
mod equality;
mod first;
mod flat;
pub(crate) mod genesis;
mod history;
mod join;
mod read;
mod save;
mod size;
mod snapshot;
mod thin;
pub(crate) mod value;
mod without;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::Automerge;

pub use flat::{FlatDocument, NotFlat};
pub(crate) use genesis::Genesis;

use crate::chunk::{ChangeHash, Chunk};
use crate::edit::{DocEdit, EditError};
use crate::id::{Actor, AuthorId, DocId, DocKind};
use crate::record::Record;
use crate::time::TimestampMs;

pub use without::{Kept, without};

pub use size::{
    DOCUMENT_BYTES_MAX, DOCUMENT_CHANGES_MAX, DOCUMENT_RESERVE_BYTES, DOCUMENT_RESERVE_CHANGES, DOCUMENT_SHARE_BYTES,
    DOCUMENT_SHARE_CHANGES, DocumentSize, NoRoom,
};

/// Who saves, and when by their clock.
#[derive(Debug, Clone, Copy)]
pub struct Author {
    /// The actor of this opening of the store.
    pub actor: Actor,
    /// Their clock; shown to people only.
    pub at: TimestampMs,
}

impl Author {
    /// Their clock as a change carries it, in seconds since 1970.
    fn at_s(&self) -> i64 {
        i64::try_from(self.at.seconds()).unwrap_or(i64::MAX)
    }
}

/// A document in memory (about 20 KB).
#[derive(Debug, Clone)]
pub struct Document {
    id: DocId,
    kind: DocKind,
    doc: Automerge,
    /// The last sequence number of every actor in `doc`.
    seqs: BTreeMap<Actor, u64>,
    /// Chunks that are not ready. Automerge has a queue of its own, but what comes ready there is applied unchecked.
    waiting: BTreeMap<ChangeHash, Chunk>,
}

/// What [`Document::apply`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Chunks that came into the document by this call, formerly waiting ones among them.
    pub applied: usize,
    /// Chunks that now wait for a dependency nobody has brought yet (kept inside, applied when it comes).
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
    pub device: AuthorId,
    /// When, by their clock.
    pub at: TimestampMs,
    /// True for the value that every replica shows until somebody settles it.
    pub shown: bool,
}

/// The most values of a field that are listed. People who write apart leave two or three; who leaves 4,000 wants the list
/// to be long, and nobody reads it.
pub const CONFLICT_VALUES_MAX: usize = 64;

/// A field with more than one value. What differs only in spelling is one value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Conflict {
    /// Field path, as [`DocEdit::parse`] takes it.
    pub field: String,
    /// The values, the shown one first, at most [`CONFLICT_VALUES_MAX`].
    pub values: Vec<ConflictValue>,
    /// How many there are.
    pub count: usize,
}

/// One save in a document's history.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HistoryEntry {
    /// The change.
    pub hash: ChangeHash,
    /// Who.
    pub device: AuthorId,
    /// When, by their clock.
    pub at: TimestampMs,
    /// Field paths and new values as text (empty when cleared; counters as `+n`).
    pub changes: Vec<(String, String)>,
}

impl Document {
    /// A document with only its genesis; `None` for a kind that this version does not know, whose genesis it lacks.
    pub fn new(id: DocId) -> Option<Self> {
        id.kind().map(|kind| Self::of_kind(id, kind))
    }

    fn of_kind(id: DocId, kind: DocKind) -> Self {
        let doc = genesis::genesis(kind).doc.clone();
        Self { id, kind, doc, seqs: BTreeMap::new(), waiting: BTreeMap::new() }
    }
    /// A document made of its chunks; `None` as for [`Self::new`]. Never panics: what cannot be merged is named in
    /// [`Applied`].
    pub fn fold(id: DocId, chunks: &[Chunk]) -> Option<(Self, Applied)> {
        let mut document = Self::new(id)?;
        let applied = document.apply(chunks);
        Some((document, applied))
    }
    /// Its identity.
    pub fn id(&self) -> DocId {
        self.id
    }
    /// Merges chunks, in any order, any number of times. A chunk that Automerge refuses, or that makes it panic, is
    /// quarantined and the rest stays.
    ///
    /// Of two changes with one actor and sequence number (which the actor rule keeps honest devices from making) the
    /// first to come stays. So replicas agree when they take chunks in the order of the server's log, and nobody can
    /// take back, by a second change, what others have built on.
    pub fn apply(&mut self, chunks: &[Chunk]) -> Applied {
        apply::apply(self, chunks)
    }
    /// Makes room for a save of these edits: where the document has more heads than one change may depend on, changes that
    /// join them; where the written fields have more values than one change may replace, changes that leave the shown ones.
    /// None otherwise. They precede the save and belong into its transaction; without the save they need not be kept.
    pub fn make_room(&mut self, author: Author, edits: &[DocEdit]) -> Result<Vec<Chunk>, EditError> {
        join::make_room(self, author, edits)
    }
    /// Makes one change out of one save, after [`Self::make_room`]. `None` when everything already has these values. Of
    /// several edits of one field the last stands.
    pub fn edit(&mut self, author: Author, edits: &[DocEdit]) -> Result<Option<Chunk>, EditError> {
        save::save(self, author, edits, save::Same::IsNoChange)
    }
    /// The change of the first save of a new document: that of [`Self::edit`] on [`Self::new`], without building the
    /// document. `None` when no edit sets anything.
    pub fn first_save(id: DocId, author: Author, edits: &[DocEdit]) -> Result<Option<Chunk>, EditError> {
        first::save(id, author, edits)
    }
    /// What a document shows after [`Self::first_save`] of these edits, without building it. `None` where only building it
    /// tells.
    pub fn first_record(id: DocId, edits: &[DocEdit]) -> Option<Record> {
        first::read(id, edits)
    }
    /// Settles a conflict (or sets a field): one change whose value replaces all concurrent ones. Unlike [`Self::edit`]
    /// it also makes a change when the chosen value is the one already shown, and writes it anew: when two people
    /// settle a conflict apart and differently, both choices must show.
    pub fn resolve(&mut self, author: Author, edit: &DocEdit) -> Result<Chunk, EditError> {
        let chunk = save::save(self, author, std::slice::from_ref(edit), save::Same::IsWrittenAnew)?;
        chunk.ok_or(EditError::Broken { document: self.id })
    }
    /// The document as plain values. Values that no edit could have made (of the wrong type, too long, unknown words)
    /// are left out, as are fields of newer versions.
    pub fn read(&self) -> Record {
        read::read(self.kind, &self.doc)
    }
    /// Fields with more than one value, in the order of their paths. Devices that wrote the same value apart are not
    /// in conflict, however each has spelled it (of one value's spellings the later is shown), nor are fields that this
    /// version does not know.
    pub fn conflicts(&self) -> Vec<Conflict> {
        conflicts::conflicts(self.kind, &self.doc)
    }
    /// Every save, oldest first (a change comes after all it builds on); without genesis and what only joins heads.
    pub fn history(&self) -> Vec<HistoryEntry> {
        history::history(self.kind, &self.doc)
    }
    /// Every change in the document but the genesis, each after all it builds on.
    pub fn chunks(&self) -> Vec<Chunk> {
        history::chunks(&self.doc)
    }
    /// The heads: changes that nothing follows yet, sorted.
    pub fn heads(&self) -> Vec<ChangeHash> {
        let mut heads: Vec<_> = self.doc.get_heads().into_iter().map(|hash| ChangeHash(hash.0)).collect();
        heads.sort_unstable();
        heads
    }
    /// Hashes of dependencies that waiting chunks name and nobody has brought, sorted.
    pub fn missing(&self) -> Vec<ChangeHash> {
        let deps: BTreeSet<_> = self.waiting.values().flat_map(apply::deps).collect();
        deps.into_iter().filter(|dep| !self.contains(dep) && !self.waiting.contains_key(dep)).collect()
    }
    /// Chunks that wait for a dependency. They are not part of [`Self::snapshot`]: a caller that stores one keeps these.
    pub fn waiting(&self) -> impl Iterator<Item = &Chunk> {
        self.waiting.values()
    }
    /// True when a change is in the document.
    pub fn contains(&self, hash: &ChangeHash) -> bool {
        self.doc.get_change_meta_by_hash(&automerge::ChangeHash(hash.0)).is_some()
    }
    /// The document in Automerge's own compact form, after proving that it loads back to equal heads. Columns are not
    /// deflated: frames and stores compress them together with others, and what is not compressed cannot inflate.
    pub fn snapshot(&self) -> Result<Vec<u8>, SnapshotError> {
        snapshot::make(self)
    }
    /// Loads [`Self::snapshot`]'s bytes; refuses what would inflate beyond [`SNAPSHOT_BYTES_MAX`].
    pub fn from_snapshot(id: DocId, bytes: &[u8]) -> Result<Self, SnapshotError> {
        snapshot::load(id, bytes)
    }

    /// The changes of a snapshot, as [`Self::chunks`] has them: what is stored of one that came by sync. Of a kind that
    /// this version does not know as well, since genesis is told by its actor.
    pub fn snapshot_chunks(id: DocId, bytes: &[u8]) -> Result<Vec<Chunk>, SnapshotError> {
        snapshot::chunks(id, bytes)
    }
}

impl HistoryEntry {
    /// The save that a change is, without a document: that of [`Document::history`] where the document has it. Without its
    /// fields for a kind that this version does not know. `None` for what Automerge cannot read.
    pub fn of(id: DocId, chunk: &Chunk) -> Option<Self> {
        history::save(id.kind(), chunk)
    }
}

/// Runs what calls Automerge on changes made by others, which may panic. Neither the message nor the payload of a
/// panic is passed on: both may quote the document.
fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Panicked)
}

/// Automerge panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Automerge panicked")]
struct Panicked;

/// The largest snapshot that is made or loaded: 70 of the largest changes. A team with 100 edits has 2.4 KB.
pub const SNAPSHOT_BYTES_MAX: usize = 4 << 20;

/// Why a snapshot is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It does not load, or not to the same heads.
    #[error("the snapshot of {id} does not load back: {detail}; its chunks stay")]
    Unverified {
        /// The document.
        id: DocId,
        /// What went wrong.
        detail: String,
    },
    /// Over [`SNAPSHOT_BYTES_MAX`].
    #[error("the snapshot of {id} has {bytes} bytes, over {SNAPSHOT_BYTES_MAX}; its chunks stay")]
    TooLarge {
        /// The document.
        id: DocId,
        /// Its size.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests;
