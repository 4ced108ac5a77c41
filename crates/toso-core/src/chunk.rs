//! One validated Automerge change: parsed, never applied.
//!
//! A change is what travels and what is stored, and anybody may send one. So before Automerge sees the bytes, `scan`
//! walks them with every count bounded: a hundred bytes of run-length columns can stand for 2^60 operations, and a
//! compressed change of 194 KB for 800 MB.

pub(crate) mod columns;
pub(crate) mod scan;
mod tail;
mod whole;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use automerge::Change;
use automerge::legacy::{Key, ObjectId};

use crate::id::Actor;
pub use crate::id::ChangeHash;
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

/// An uncompressed Automerge change chunk whose envelope, columns and checksum have been checked. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    bytes: Arc<[u8]>,
    deps: Arc<[ChangeHash]>,
    hash: ChangeHash,
    actor: Actor,
    seq: u64,
    time_s: i64,
    start_op: u64,
    ops: u64,
}

impl Chunk {
    /// Parses a change without applying it (a few µs). Refuses compressed and other chunks, trailing bytes, changes
    /// over [`CHANGE_BYTES_MAX`], actors that are not 16 bytes, more dependencies or operations than a save makes, and
    /// operations that no edit of this register makes: only setting, clearing and adding to keys of the root and of
    /// the maps that genesis made.
    pub fn parse(bytes: &[u8]) -> Result<Self, ChunkError> {
        let scanned = scan::scan(bytes)?;
        // The scan has left nothing that is known to panic; the guard is for what is not known.
        let change = catch_unwind(AssertUnwindSafe(|| Change::from_bytes(bytes.to_vec())))
            .map_err(|_| ChunkError::Malformed { what: "operations" })?
            .map_err(|_| ChunkError::Malformed { what: "operations" })?;
        let hash = ChangeHash(change.hash().0);
        if hash.0.get(..scan::CHECKSUM_BYTES) != Some(scanned.checksum.as_slice()) {
            return Err(ChunkError::Checksum);
        }
        if change.len() as u64 != scanned.ops {
            return Err(ChunkError::Malformed { what: "operation count" });
        }
        Ok(Self {
            bytes: bytes.into(),
            deps: scanned.deps.into(),
            hash,
            actor: scanned.actor,
            seq: scanned.seq,
            time_s: scanned.time_s,
            start_op: scanned.start_op,
            ops: scanned.ops,
        })
    }
    /// The actor of a change that was accepted once, without parsing it again.
    pub fn actor_of(bytes: &[u8]) -> Result<Actor, ChunkError> {
        scan::scan(bytes).map(|change| change.actor)
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
    /// The changes it was made on top of; never empty, since every document begins with its genesis.
    pub fn deps(&self) -> &[ChangeHash] {
        &self.deps
    }
    /// The author's clock when it was made, in seconds since 1970; shown, never trusted.
    pub fn time_s(&self) -> i64 {
        self.time_s
    }
    /// True when it writes one of these fields of the document itself (not of a map in it). Also true when its
    /// operations cannot be told apart: callers ask in order to keep somebody from writing them.
    pub fn writes_any(&self, fields: &[&str]) -> bool {
        let spares = catch_unwind(AssertUnwindSafe(|| {
            Change::from_bytes(self.bytes.to_vec()).is_ok_and(|change| {
                !change.decode().operations.iter().any(|op| {
                    matches!(op.obj, ObjectId::Root)
                        && matches!(&op.key, Key::Map(key) if fields.contains(&key.as_str()))
                })
            })
        }));
        !spares.unwrap_or(false)
    }
    /// The counter of its first operation.
    pub(crate) fn start_op(&self) -> u64 {
        self.start_op
    }
    /// The counter of its last operation.
    pub(crate) fn max_op(&self) -> u64 {
        self.start_op + self.ops - 1
    }
    /// The change as Automerge wants it for applying.
    pub(crate) fn change(&self) -> Result<Change, automerge::LoadChangeError> {
        Change::try_from(self.bytes())
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
