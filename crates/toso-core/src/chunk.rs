//! One validated Automerge change: parsed, never applied.

use std::sync::Arc;

use crate::id::Actor;
pub use crate::id::ChangeHash;

/// The largest change accepted, in bytes. A store keeps values of at most 64 KiB; 4 KiB of those are left for its own
/// header, index and checksum.
pub const CHANGE_BYTES_MAX: usize = 60 * 1024;

/// An uncompressed Automerge change chunk whose envelope and checksum have been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    bytes: Arc<[u8]>,
    hash: ChangeHash,
    actor: Actor,
    seq: u64,
    deps: Vec<ChangeHash>,
    time_s: i64,
}

impl Chunk {
    /// Parses a change without applying it (5 µs). Refuses compressed and other chunks, trailing bytes, changes over
    /// [`CHANGE_BYTES_MAX`], actors that are not 16 bytes, and more dependencies or operations than a save makes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ChunkError> {
        todo!()
    }
    /// The change as Automerge encodes it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// Its identity.
    pub fn hash(&self) -> ChangeHash {
        self.hash
    }
    /// Who made it.
    pub fn actor(&self) -> Actor {
        self.actor
    }
    /// The actor's count of changes in this document, from 1.
    pub fn seq(&self) -> u64 {
        self.seq
    }
    /// The changes it was made on top of.
    pub fn deps(&self) -> &[ChangeHash] {
        &self.deps
    }
    /// The author's clock when it was made, in seconds since 1970; shown, never trusted.
    pub fn time_s(&self) -> i64 {
        self.time_s
    }
}

/// Why bytes are not an acceptable change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// Over [`CHANGE_BYTES_MAX`].
    #[error("a change has {bytes} bytes; at most {CHANGE_BYTES_MAX} are accepted")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}
