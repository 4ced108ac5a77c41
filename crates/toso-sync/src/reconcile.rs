//! Comparing what two sides hold, by fingerprints of ranges.
//!
//! Both sides sort their chunks by [`ChunkKey`]. One sends fingerprints of 16 ranges; the other answers, for each range
//! that differs, with finer ranges or with the keys in it. So the cost follows the differences and the logarithm of the
//! size. The ranges are the `negentropy` crate's; see `docs/adr/0008-reconcile-by-ranges.md`.
//!
//! The server keeps nothing between rounds: it is given its chunks anew and answers one message.

use std::collections::HashSet;

use negentropy::{Id, Negentropy, NegentropyStorageVector};
use toso_core::chunk::ChangeHash;
use toso_core::id::{ChunkKey, DocId};
use toso_wire::limits::{RECONCILE_BYTES_MAX, WANT_KEYS_MAX};

/// The most rounds of one comparison. Each round splits a range by 16 or ends it, so 16⁵ = 1 million chunks take 5; a
/// message that is full leaves the rest to a further round, at some 400 keys each.
pub const RECONCILE_ROUNDS_MAX: u32 = 1_000;
/// The most chunks that are compared: 5,000 documents, the most a device holds, with 50 changes each. At 40 bytes each
/// this is 10 MB for as long as one answer takes.
pub const RECONCILE_KEYS_MAX: u64 = 250_000;
/// WANT frames of any comparison beside those that its chunks fill: a device that begins with one key and doubles (1, 2,
/// … 128) needs 8, and may begin so twice.
const WANT_FRAMES_SPARE: u64 = 16;
/// Chunks that a server walks through for further WANT frames that are not full: on a link that breaks all the time a
/// phone wants one chunk at a time, and of a unit of 2,000 chunks may have each so (2,000 × 2,000), some 4 s of reading.
const WANT_WALK_CHUNKS_MAX: u64 = 4_000_000;
/// The most WANT frames of the comparison of the largest unit that is compared: 250,000 / 256 + 16 = 993. Each walks
/// through the unit once, whether it has the keys or not. A session compares at most 16 units, each once.
pub const WANT_FRAMES_MAX: u64 = want_frames_max(RECONCILE_KEYS_MAX);

/// The most WANT frames of the comparison of a unit of so many chunks. A device wants each of them at most once.
pub const fn want_frames_max(chunks: u64) -> u64 {
    let single = match WANT_WALK_CHUNKS_MAX.checked_div(chunks) {
        Some(walks) if walks < chunks => walks,
        _ => chunks,
    };
    let spare = if single > WANT_FRAMES_SPARE { single } else { WANT_FRAMES_SPARE };
    chunks.div_ceil(WANT_KEYS_MAX as u64) + spare
}

/// Messages stop growing here; the last range written may pass it by 32 keys.
const MESSAGE_BYTES_TARGET: u64 = RECONCILE_BYTES_MAX as u64 - 2 * 1024;

/// One side's chunks.
#[derive(Debug)]
pub struct Elements {
    storage: NegentropyStorageVector,
    /// In the order they were given.
    chunks: Vec<(ChunkKey, DocId, ChangeHash)>,
}

/// What the asking side has found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Here and not there.
    pub have: Vec<ChunkKey>,
    /// There and not here.
    pub need: Vec<ChunkKey>,
}

/// A message that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a RECONCILE message cannot be read: {0}")]
pub struct ReconcileError(String);

impl Elements {
    /// The chunks of one side. One that comes twice counts once.
    pub fn new(chunks: impl IntoIterator<Item = (DocId, ChangeHash)>) -> Self {
        let (mut storage, mut kept, mut seen) = (NegentropyStorageVector::new(), Vec::new(), HashSet::new());
        for (doc, hash) in chunks {
            let key = ChunkKey::of(doc, &hash);
            if seen.insert(key) {
                kept.push((key, doc, hash));
                // Only a sealed storage refuses.
                let _ = storage.insert(0, Id::from_byte_array(key.0));
            }
        }
        let _ = storage.seal();
        Self { storage, chunks: kept }
    }

    /// The asking side's first message.
    pub fn open(&self) -> Result<Vec<u8>, ReconcileError> {
        self.negentropy()?.initiate().map_err(refused)
    }

    /// The other side's answer to a message.
    pub fn answer(&self, message: &[u8]) -> Result<Vec<u8>, ReconcileError> {
        self.negentropy()?.reconcile(message).map_err(refused)
    }

    /// The asking side reads an answer and notes what it says; the next message, or `None` when all is known.
    pub fn absorb(&self, message: &[u8], found: &mut Found) -> Result<Option<Vec<u8>>, ReconcileError> {
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let mut negentropy = self.negentropy()?;
        negentropy.set_initiator();
        let next = negentropy.reconcile_with_ids(message, &mut have, &mut need).map_err(refused)?;
        found.have.extend(have.iter().map(|id| ChunkKey(id.to_bytes())));
        found.need.extend(need.iter().map(|id| ChunkKey(id.to_bytes())));
        Ok(next)
    }

    /// The chunks of keys that are here, in the order they were given to [`Self::new`].
    pub fn chunks(&self, keys: &[ChunkKey]) -> Vec<(DocId, ChangeHash)> {
        let wanted: HashSet<_> = keys.iter().collect();
        let in_order = self.chunks.iter().filter(|(key, ..)| wanted.contains(key));
        in_order.map(|(_, doc, hash)| (*doc, *hash)).collect()
    }

    fn negentropy(&self) -> Result<Negentropy<'_, NegentropyStorageVector>, ReconcileError> {
        Negentropy::borrowed(&self.storage, MESSAGE_BYTES_TARGET).map_err(refused)
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it maps errors")]
fn refused(error: negentropy::Error) -> ReconcileError {
    ReconcileError(error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use toso_core::unit::UnitRef;

    use super::*;

    fn chunk(number: u32) -> (DocId, ChangeHash) {
        let scope: UnitRef = "2022/00001".parse().unwrap();
        let [a, b, c, d] = number.to_be_bytes();
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        (DocId::member(scope, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0]), ChangeHash(hash))
    }

    fn elements(numbers: impl IntoIterator<Item = u32>) -> Elements {
        Elements::new(numbers.into_iter().map(chunk))
    }

    /// What is found, the rounds and the bytes there and back.
    fn compare(here: &Elements, there: &Elements) -> (Found, u32, usize, usize) {
        let (mut found, mut rounds, mut up, mut down) = (Found::default(), 0, 0, 0);
        let mut next = Some(here.open().unwrap());
        while let Some(message) = next {
            assert!(message.len() <= RECONCILE_BYTES_MAX, "{} bytes", message.len());
            let answer = there.answer(&message).unwrap();
            assert!(answer.len() <= RECONCILE_BYTES_MAX, "{} bytes", answer.len());
            (rounds, up, down) = (rounds + 1, up + message.len(), down + answer.len());
            next = here.absorb(&answer, &mut found).unwrap();
            assert!(rounds <= RECONCILE_ROUNDS_MAX);
        }
        (found, rounds, up, down)
    }

    fn keys(numbers: &[u32]) -> Vec<ChunkKey> {
        let mut keys: Vec<_> =
            numbers.iter().map(|number| chunk(*number)).map(|(doc, hash)| ChunkKey::of(doc, &hash)).collect();
        keys.sort_unstable();
        keys
    }

    /// The figures of `docs/adr/0008-reconcile-by-ranges.md`. Run with `--nocapture` to see them.
    #[test]
    fn the_cost_follows_the_differences() {
        type Case = (&'static str, u32, Vec<u32>, Vec<u32>, u32, usize);
        let cases: [Case; 5] = [
            ("a commune of 60, nothing missing", 60, vec![], vec![], 1, 400),
            ("a commune of 60, one missing there", 60, vec![], vec![7], 2, 1_000),
            ("a commune of 60, one missing here", 60, vec![7], vec![], 2, 1_000),
            ("a commune of 60, the server empty", 60, vec![], (0..60).collect(), 2, 2_600),
            ("a replica of 20,000 chunks, 10 differ", 20_000, (0..5).collect(), (5..10).collect(), 4, 16_000),
        ];
        for (name, count, without_here, without_there, rounds_max, bytes_max) in cases {
            let here = elements((0..count).filter(|number| !without_here.contains(number)));
            let there = elements((0..count).filter(|number| !without_there.contains(number)));
            let (mut found, rounds, up, down) = compare(&here, &there);
            found.have.sort_unstable();
            found.need.sort_unstable();
            assert_eq!(found, Found { have: keys(&without_there), need: keys(&without_here) }, "{name}");
            println!("{name}: {rounds} rounds, {up} B up, {down} B down");
            assert!(rounds <= rounds_max && up + down <= bytes_max, "{name}: {rounds} rounds, {} B", up + down);
        }
    }

    #[test]
    fn a_large_difference_takes_more_rounds_and_is_found_whole() {
        let (here, there) = (elements(0..3_000), elements(2_000..6_000));
        let (mut found, rounds, ..) = compare(&here, &there);
        found.have.sort_unstable();
        found.need.sort_unstable();
        assert_eq!(found.have, keys(&(0..2_000).collect::<Vec<_>>()));
        assert_eq!(found.need, keys(&(3_000..6_000).collect::<Vec<_>>()));
        assert!(rounds > 2);
        assert_eq!(here.chunks(&found.have), (0..2_000).map(chunk).collect::<Vec<_>>(), "in the order they were given");
    }

    proptest! {
        #[test]
        fn any_two_sets_are_told_apart(
            here in prop::collection::btree_set(0..400_u32, 0..200),
            there in prop::collection::btree_set(0..400_u32, 0..200),
        ) {
            let (mut found, ..) = compare(&elements(here.clone()), &elements(there.clone()));
            found.have.sort_unstable();
            found.need.sort_unstable();
            prop_assert_eq!(found.have, keys(&here.difference(&there).copied().collect::<Vec<_>>()));
            prop_assert_eq!(found.need, keys(&there.difference(&here).copied().collect::<Vec<_>>()));
        }

        /// Whatever a peer sends, the answer is an error or a message within the limit.
        #[test]
        fn hostile_messages_are_errors(
            count in 0..2_000_u32,
            noise in prop::collection::vec(any::<u8>(), 0..600),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            let elements = elements(0..count);
            let mut message = elements.open().unwrap();
            for (index, byte) in flips {
                let at = index.index(message.len());
                message[at] ^= byte;
            }
            for message in [message, [&[0x61], noise.as_slice()].concat(), noise] {
                if let Ok(answer) = elements.answer(&message) {
                    prop_assert!(answer.len() <= RECONCILE_BYTES_MAX);
                }
                let _ = elements.absorb(&message, &mut Found::default());
            }
        }
    }
}
