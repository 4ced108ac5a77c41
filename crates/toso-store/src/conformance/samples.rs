//! Invented scopes, documents and chunks, each from a number.

use toso_core::change::Change;
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::id::{AuthorId, DocId};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitList, UnitRef};

use crate::change_log::LogBatch;
use crate::chunk_store::Transaction;

/// A commune.
pub fn scope(number: u32) -> Scope {
    UnitRef::new(UnitList::L2022, &format!("{number:05}")).unwrap()
}

/// A member document of a scope.
pub fn doc(of: Scope, number: u32) -> DocId {
    let mut unique = [0; 11];
    unique[..4].copy_from_slice(&number.to_be_bytes());
    DocId::member(of, unique)
}

/// A document of a kind that only a newer version knows.
pub fn further_doc(of: Scope, number: u32) -> DocId {
    let mut unique = [0; 11];
    unique[..4].copy_from_slice(&number.to_be_bytes());
    DocId::from_parts(b'z', of, unique).unwrap()
}

/// A hash. They do not sort in the order of their numbers, as real ones.
pub fn hash(number: u64) -> ChangeHash {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    ChangeHash(bytes)
}

/// Bytes of a change: its number, padded to a length that differs from its neighbours'.
pub fn bytes(number: u64) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(100 + usize::try_from(number % 100).unwrap(), 1);
    bytes
}

/// A change of document `of` in scope 1.
pub fn change(of: u32, number: u64) -> Change {
    item(doc(scope(1), of), number)
}

/// A transaction as a save in scope 1 makes it: chunks that also go into the outbox.
pub fn saved(changes: impl IntoIterator<Item = Change>) -> Transaction {
    saved_in(scope(1), changes)
}

/// The same in another scope.
pub fn saved_in(within: Scope, changes: impl IntoIterator<Item = Change>) -> Transaction {
    let chunks: Vec<_> = changes.into_iter().map(|change| (within, change)).collect();
    let outbox_add = chunks.iter().map(|(_, change)| change.hash()).collect();
    Transaction { chunks, outbox_add, ..Transaction::default() }
}

/// A change of a document.
pub fn item(of: DocId, number: u64) -> Change {
    sized(of, number, bytes(number))
}

/// A change of a document, with other bytes.
pub fn sized(of: DocId, number: u64, bytes: Vec<u8>) -> Change {
    Change { doc: of, chunk: Chunk::trusted(bytes, hash(number)) }
}

/// A batch of one document of a scope.
pub fn batch(of: Scope, numbers: impl IntoIterator<Item = u64>) -> LogBatch {
    let items = numbers.into_iter().map(|number| item(doc(of, 1), number)).collect();
    LogBatch { scope: of, author: AuthorId([9; 8]), received_at: TimestampMs(1_663_545_600_000), items }
}
