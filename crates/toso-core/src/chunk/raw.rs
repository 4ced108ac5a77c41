//! A change as it comes from outside: bytes, shared and not looked at.

use std::fmt;
use std::sync::Arc;

use super::{Chunk, ChunkError, single};

/// Bytes that somebody says are a change. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct RawChunk(pub(super) Arc<[u8]>);

impl RawChunk {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What [`Chunk::parse`] makes of the bytes; the chunk shares them.
    pub fn check(&self) -> Result<Chunk, ChunkError> {
        Chunk::checked(&self.0, |_| Ok(()))
    }

    /// The same for a change that is new to the register: it also leaves one value at most of each key that it writes. What
    /// a register has already is read as it is.
    pub fn check_new(&self) -> Result<Chunk, ChunkError> {
        Chunk::checked(&self.0, single::check)
    }
}

impl From<&[u8]> for RawChunk {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for RawChunk {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

/// Without the bytes, which hold what people wrote.
impl fmt::Debug for RawChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawChunk({} bytes)", self.0.len())
    }
}
