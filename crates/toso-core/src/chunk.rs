//! One Automerge change: checked, never applied.
//!
//! A change is what travels and what is stored, and anybody may send one. So before Automerge sees the bytes, `scan`
//! walks them with every count bounded: a hundred bytes of run-length columns can stand for 2^60 operations, and a
//! compressed change of 194 KB for 800 MB.
//!
//! What comes from outside is a [`RawChunk`]. Checked once it is a [`Chunk`], which shares the same bytes with everybody who
//! has it: the store, the outbox, a session, the log. What a store or log gives back is a [`Chunk`] without a second check.

pub(crate) mod columns;
#[cfg(any(test, feature = "counted"))]
pub mod counted;
mod facts;
mod raw;
pub(crate) mod scan;
mod single;
mod tail;
mod whole;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use automerge::Change;

pub use crate::id::ChangeHash;
pub use facts::Facts;
pub use raw::RawChunk;
pub use tail::ChangeTail;
pub(crate) use whole::check_document_envelope;

/// The largest change accepted, in bytes. A store keeps values of at most 64 KiB; 4 KiB of those are left for its own
/// header, index and checksum.
pub const CHANGE_BYTES_MAX: usize = 60 * 1024;
/// The most dependencies of one change. A save depends on the document's heads; a commune has a handful of devices, so
/// 64 heads mean 64 devices that edited one document apart. 64 × 32 B = 2 KiB.
pub const CHANGE_DEPS_MAX: usize = 64;
/// The most operations of one change. The largest honest save is a commune's hamlet list from a file: 200 hamlets with
/// name, kind, households, status and two links = 1,200.
pub const CHANGE_OPS_MAX: usize = 2_048;
/// The most values that one change replaces: each operation replaces one, or all of a conflict. 4 × the operations.
pub const CHANGE_PREDS_MAX: usize = 4 * CHANGE_OPS_MAX;
/// The most other actors a change names, which are the authors of the values it replaces: a store opened daily for a
/// year by three devices makes 1,095.
pub const CHANGE_ACTORS_MAX: usize = 1_100;
/// The longest change message, in bytes. Saves write none; a tool of an operator may.
pub const CHANGE_MESSAGE_BYTES_MAX: usize = 256;
/// The longest map key, in bytes: two hamlet keys of at most 480 bytes each with what joins them.
pub const CHANGE_KEY_BYTES_MAX: usize = 1_024;

/// An uncompressed Automerge change chunk: its bytes, shared, and its hash. Cheap to clone; one allocation.
///
/// Its envelope, columns and checksum have been checked, here ([`Self::parse`], [`RawChunk::check`]) or once before
/// ([`Self::trusted`]).
#[derive(Clone)]
pub struct Chunk {
    bytes: Arc<[u8]>,
    hash: ChangeHash,
    /// True when this process has walked the bytes: Automerge may have them.
    scanned: bool,
}

impl Chunk {
    /// Parses a change without applying it (a few µs). Refuses compressed and other chunks, trailing bytes, changes
    /// over [`CHANGE_BYTES_MAX`], actors that are not 16 bytes, more dependencies or operations than a save makes, and
    /// operations that no edit of this register makes: only setting, clearing and adding to keys of the root and of
    /// the maps that genesis made.
    pub fn parse(bytes: &[u8]) -> Result<Self, ChunkError> {
        RawChunk::from(bytes).check()
    }

    fn checked(
        bytes: &Arc<[u8]>,
        more: impl FnOnce(&scan::Scanned<'_>) -> Result<(), ChunkError>,
    ) -> Result<Self, ChunkError> {
        let scanned = scan::scan(bytes)?;
        scan::in_limits(&scanned)?;
        more(&scanned)?;
        let change = decode(bytes)?;
        let hash = ChangeHash(change.hash().0);
        if hash.0.get(..scan::CHECKSUM_BYTES) != Some(scanned.checksum.as_slice()) {
            return Err(ChunkError::Checksum);
        }
        if change.len() as u64 != scanned.facts.ops {
            return Err(ChunkError::Malformed { what: "operation count" });
        }
        Ok(Self { bytes: Arc::clone(bytes), hash, scanned: true })
    }

    /// A change that Automerge has just made here, held to the limits of all changes. Automerge knows its hash.
    pub(crate) fn made(change: &Change) -> Result<Self, ChunkError> {
        scan::in_limits(&scan::scan(change.raw_bytes())?)?;
        Ok(Self::of(change))
    }

    /// A change of a document, as Automerge has kept it. It may name more than one that is made: see `document::without`.
    pub(crate) fn kept(change: &Change) -> Result<Self, ChunkError> {
        scan::scan(change.raw_bytes())?;
        Ok(Self::of(change))
    }

    fn of(scanned: &Change) -> Self {
        Self { bytes: scanned.raw_bytes().into(), hash: ChangeHash(scanned.hash().0), scanned: true }
    }

    /// A change that was checked before it was stored, with the hash under which the own store or log gives it: nothing is
    /// read, hashed or decoded.
    ///
    /// Stores check what they give by checksums. Where bytes are damaged all the same, or belong to another hash, nothing
    /// panics: [`Self::facts`] says what is wrong, [`crate::document::Document::apply`] quarantines the change, and
    /// [`crate::document::FlatDocument::apply`] leaves it to that.
    pub fn trusted(bytes: impl Into<Arc<[u8]>>, hash: ChangeHash) -> Self {
        Self { bytes: bytes.into(), hash, scanned: false }
    }

    /// The change as Automerge encodes it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same bytes for sending; they are shared.
    pub fn raw(&self) -> RawChunk {
        RawChunk(Arc::clone(&self.bytes))
    }

    /// Its identity.
    pub fn hash(&self) -> ChangeHash {
        self.hash
    }

    /// What it says of itself, read from its header (some 0.1 µs). An error only where a stored change was damaged.
    pub fn facts(&self) -> Result<Facts<'_>, ChunkError> {
        scan::facts(&self.bytes)
    }

    /// True when it writes one of these fields of the document itself (not of a map in it). Also true when its
    /// operations cannot be told apart: callers ask in order to keep somebody from writing them.
    pub fn writes_any(&self, fields: &[&str]) -> bool {
        let spares = scan::scan(&self.bytes).is_ok_and(|scanned| {
            let each = |operation: scan::Operation<'_, '_>| {
                let writes = operation.place == 0 && fields.iter().any(|field| field.as_bytes() == operation.key);
                if writes { Err(()) } else { Ok(()) }
            };
            scanned.operations(each).is_ok()
        });
        !spares
    }

    /// The change as Automerge wants it for applying. Bytes that nobody has walked are walked first: Automerge's decoder is
    /// not for damaged ones.
    pub(crate) fn change(&self) -> Result<Change, ChunkError> {
        let ops = if self.scanned { None } else { Some(scan::scan(&self.bytes)?.facts.ops) };
        let change = decode(&self.bytes)?;
        if change.hash().0 != self.hash.0 {
            return Err(ChunkError::Checksum);
        }
        if ops.is_some_and(|ops| ops != change.len() as u64) {
            return Err(ChunkError::Malformed { what: "operation count" });
        }
        Ok(change)
    }
}

/// Decodes bytes that were scanned. The scan has left nothing that is known to panic; the guard is for what is not known.
fn decode(bytes: &[u8]) -> Result<Change, ChunkError> {
    #[cfg(any(test, feature = "counted"))]
    counted::decoded();
    catch_unwind(AssertUnwindSafe(|| Change::from_bytes(bytes.to_vec())))
        .map_err(|_| ChunkError::Malformed { what: "operations" })?
        .map_err(|_| ChunkError::Malformed { what: "operations" })
}

/// Equal bytes under one hash, however each came.
impl PartialEq for Chunk {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.bytes == other.bytes
    }
}

impl Eq for Chunk {}

/// Without the bytes, which hold what people wrote.
impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({:?}, {} bytes)", self.hash, self.bytes.len())
    }
}

/// Why bytes are not an acceptable change. Their sender is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Over [`CHANGE_BYTES_MAX`].
    #[error("a change has {bytes} bytes; at most {CHANGE_BYTES_MAX} are accepted")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A document, a compressed change, a bundle, or nothing of Automerge's.
    #[error("chunk type {found}: only uncompressed changes (type 1) are accepted; send the change's raw bytes")]
    WrongType {
        /// The type byte.
        found: u8,
    },
    /// The bytes end early, go on too long, or break the format.
    #[error("not an Automerge change: bad {what}")]
    Malformed {
        /// The part that does not read.
        what: &'static str,
    },
    /// The first bytes of the hash do not match.
    #[error("the change's checksum does not match its bytes; it was damaged on the way, send it again")]
    Checksum,
    /// More of something than a save makes.
    #[error("a change has more than {max} {what}; split the save")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// An operation that no edit makes.
    #[error("a change holds {what}, which no edit of the register makes")]
    Foreign {
        /// What it holds.
        what: &'static str,
    },
}

#[cfg(test)]
mod tests;
