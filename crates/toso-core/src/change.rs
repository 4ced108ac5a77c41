//! A change with its document, and a change in a log: the same in every room.
//!
//! A save becomes one [`Chunk`]. From then on it moves as a [`Change`] through the store, the outbox, a session, the log and
//! back, and everybody shares the same bytes. Only envelopes differ: scope, author, time and sequence stand in [`Entry`], in a
//! log's batch, in a frame, and not in the change.

use crate::chunk::{Chunk, ChunkError, RawChunk};
use crate::id::{AuthorId, ChangeHash, DocId, Sequence};
use crate::time::TimestampMs;
use crate::unit::Scope;

/// A change and the document that it belongs to: `Change<RawChunk>` as it comes from outside, [`Change`] once it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<C = Chunk> {
    /// Its document.
    pub doc: DocId,
    /// The change itself.
    pub chunk: C,
}

impl Change {
    /// Its identity.
    pub fn hash(&self) -> ChangeHash {
        self.chunk.hash()
    }

    /// The change as Automerge encodes it.
    pub fn bytes(&self) -> &[u8] {
        self.chunk.bytes()
    }

    /// The same for sending; the bytes are shared.
    pub fn raw(&self) -> Change<RawChunk> {
        Change { doc: self.doc, chunk: self.chunk.raw() }
    }
}

impl Change<RawChunk> {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.chunk.bytes()
    }

    /// The same once it is checked; the bytes are shared.
    pub fn check(&self) -> Result<Change, ChunkError> {
        Ok(Change { doc: self.doc, chunk: self.chunk.check()? })
    }
}

/// A change in a server's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its position.
    pub sequence: Sequence,
    /// The scope of its document.
    pub scope: Scope,
    /// The device that made it.
    pub author: AuthorId,
    /// When the server got it.
    pub received_at: TimestampMs,
    /// The change.
    pub change: Change,
}
