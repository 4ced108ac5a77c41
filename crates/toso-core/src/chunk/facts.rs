//! What a change says of itself, read where it stands in its bytes.

use super::ChangeHash;
use crate::id::Actor;

/// What a change says of itself, besides its operations. Borrowed from its bytes: reading it allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Hashes, one after another.
    pub(super) deps: &'a [u8],
    /// Who made it.
    pub actor: Actor,
    /// The actor's count of changes in this document, from 1.
    pub seq: u64,
    /// The author's clock when it was made, in seconds since 1970; shown, never trusted.
    pub time_s: i64,
    /// The counter of its first operation.
    pub(crate) start_op: u64,
    /// How many operations it has, at least one.
    pub(crate) ops: u64,
}

impl<'a> Facts<'a> {
    /// The changes it was made on top of; never empty, since every document begins with its genesis.
    pub fn deps(&self) -> impl ExactSizeIterator<Item = ChangeHash> + Clone + use<'a> {
        let (hashes, _) = self.deps.as_chunks();
        hashes.iter().copied().map(ChangeHash)
    }

    /// The counter of its last operation.
    pub(crate) fn max_op(&self) -> u64 {
        self.start_op + self.ops - 1
    }
}
