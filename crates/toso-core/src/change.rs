//! A change with its document, and a change in a log: the same in every room.
//!
//! A save becomes one [`Chunk`]. From then on it moves as a [`Change`] through the store, the outbox, a session, the log and
//! back, and everybody shares the same bytes. Only envelopes differ: scope, author, time and sequence stand in [`Entry`], in a
//! log's batch, in a frame, and not in the change.
//!
//! What was saved can be erased later: its [`Body`] is then gone, and its document and hash stay. A device saves and pushes
//! [`Change`]s, whose bytes are there by type; only what a log or a phone's store keeps may be erased.

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

    /// The same for one that is new to the register ([`RawChunk::check_new`]).
    pub fn check_new(&self) -> Result<Change, ChunkError> {
        Ok(Change { doc: self.doc, chunk: self.chunk.check_new()? })
    }
}

impl From<Change> for Change<Body> {
    fn from(change: Change) -> Self {
        Self { doc: change.doc, chunk: Body::Whole(change.chunk) }
    }
}

impl PartialEq<Change> for Change<Body> {
    fn eq(&self, other: &Change) -> bool {
        self.doc == other.doc && self.chunk() == Some(&other.chunk)
    }
}

impl Change<Body> {
    /// Its identity.
    pub fn hash(&self) -> ChangeHash {
        self.chunk.hash()
    }

    /// The change, unless it was erased.
    pub fn chunk(&self) -> Option<&Chunk> {
        match &self.chunk {
            Body::Whole(chunk) => Some(chunk),
            Body::Erased(_) => None,
        }
    }

    /// The bytes that are there: none of an erased change.
    pub fn bytes(&self) -> &[u8] {
        self.chunk().map_or(&[], Chunk::bytes)
    }

    /// How many bytes it has or, when it was erased, had: what sizes and quotas count.
    pub fn size(&self) -> usize {
        match &self.chunk {
            Body::Whole(chunk) => chunk.bytes().len(),
            Body::Erased(erased) => usize::try_from(erased.size).unwrap_or(usize::MAX),
        }
    }

    /// The same without its bytes.
    pub fn erased(&self) -> Self {
        let size = u32::try_from(self.size()).unwrap_or(u32::MAX);
        Self { doc: self.doc, chunk: Body::Erased(ErasedBody { hash: self.hash(), size }) }
    }
}

/// What a log has of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// All of it.
    Whole(Chunk),
    /// Its bytes were erased.
    Erased(ErasedBody),
}

impl Body {
    /// The change's identity.
    pub fn hash(&self) -> ChangeHash {
        match self {
            Self::Whole(chunk) => chunk.hash(),
            Self::Erased(erased) => erased.hash,
        }
    }
}

/// What stays of an erased change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasedBody {
    /// Its identity.
    pub hash: ChangeHash,
    /// How many bytes it had.
    pub size: u32,
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
    pub change: Change<Body>,
}
