//! The part of a change that says something: its first eight bytes and its hash follow from the rest.
//!
//! A change is `magic (4) ‖ checksum (4) ‖ type, length, body`. Its hash is SHA-256 over what comes after the checksum, and
//! the checksum is the first four bytes of the hash. A store of many changes can so leave out 40 bytes of each, none
//! of which any compression could save.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::scan::{CHECKSUM_BYTES, MAGIC};
use super::{ChangeHash, Chunk};

/// A change without magic bytes and checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeTail<'a>(pub &'a [u8]);

impl<'a> ChangeTail<'a> {
    /// The tail of a change; `None` when [`Self::chunk`] would not give exactly its hash and its bytes.
    pub fn of(chunk: &'a Chunk) -> Option<Self> {
        let (magic, rest) = chunk.bytes().split_first_chunk()?;
        let (checksum, tail) = rest.split_first_chunk::<CHECKSUM_BYTES>()?;
        let hash = chunk.hash();
        let whole = *magic == MAGIC && hash.0.starts_with(checksum) && Self(tail).hash() == hash;
        whole.then_some(Self(tail))
    }

    /// The change's hash.
    pub fn hash(self) -> ChangeHash {
        ChangeHash(Sha256::digest(self.0).into())
    }

    /// The whole change, of a store that has left out the rest: trusted, and written where it stays.
    pub fn chunk(self) -> Chunk {
        let hash = self.hash();
        let (checksum, _) = hash.0.split_at(CHECKSUM_BYTES);
        let head = MAGIC.iter().chain(checksum);
        // One allocation: the length is known before.
        let mut bytes: Arc<[u8]> = head.copied().chain(std::iter::repeat_n(0, self.0.len())).collect();
        if let Some(tail) = Arc::get_mut(&mut bytes).and_then(|bytes| bytes.get_mut(MAGIC.len() + CHECKSUM_BYTES..)) {
            tail.copy_from_slice(self.0);
        }
        Chunk::trusted(bytes, hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Author, Document};
    use crate::edit::{DocEdit, MemberEdit};
    use crate::id::{Actor, DeviceId, DocId};
    use crate::time::TimestampMs;
    use crate::unit::{UnitList, UnitRef};

    #[test]
    fn a_change_follows_from_its_tail_and_nothing_else_is_taken_for_one() {
        let doc = DocId::member(UnitRef::new(UnitList::L2022, "00001").unwrap(), [1; 11]);
        let author = Author { actor: Actor::new(DeviceId([1; 16]), [2; 8]), at: TimestampMs(1_662_534_000_000) };
        let team = DocId::hamlet_team(UnitRef::new(UnitList::L2022, "00001").unwrap(), "1", 0);
        let edits = [DocEdit::Member(MemberEdit::Team(Some(team)))];
        let chunk: Chunk = Document::first_save(doc, author, &edits).unwrap().unwrap();
        let tail = ChangeTail::of(&chunk).unwrap();
        assert_eq!(tail.0.len() + 8, chunk.bytes().len());
        assert_eq!(tail.chunk(), chunk);
        for at in 0..chunk.bytes().len() {
            let mut other = chunk.bytes().to_vec();
            other[at] ^= 1;
            assert_eq!(ChangeTail::of(&Chunk::trusted(other, chunk.hash())), None, "byte {at}");
        }
        assert_eq!(ChangeTail::of(&Chunk::trusted(chunk.bytes(), ChangeHash([0; 32]))), None);
        assert_eq!(ChangeTail::of(&Chunk::trusted(&chunk.bytes()[..7], chunk.hash())), None);
    }
}
