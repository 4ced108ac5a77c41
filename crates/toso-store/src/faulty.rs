//! The storage traits on disks that fail on demand: for simulations.
//!
//! A fault is set on the store, and the next write meets it. What a fault may do is what the traits' contracts allow and
//! no more: a failed write leaves all of a transaction or nothing of it, a crash leaves whole batches in their order, a
//! derived write is lost from the end. So code that breaks on these disks breaks on real ones.
//!
//! [`FaultyChunkStore::reopen`] and [`FaultyChangeLog::crash`] stand for the end of the process and its next start.

mod change_log;
mod chunk_store;
#[cfg(test)]
mod tests;

pub use change_log::{FaultyChangeLog, LogCall, LogDefect};
pub use chunk_store::{ChunkDefect, FaultyChunkStore};

use crate::StoreError;

/// What happens to the next write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// No space: nothing is written, later writes may succeed.
    Full,
    /// The write fails and nothing of it is on the disk. Further writes are refused until the store is opened again.
    Lost,
    /// The write fails, but all of it is on the disk and comes to light when the store is opened again, as after a kill
    /// between the flush and the answer. Further writes are refused until then.
    Unanswered,
}

/// Where errors say that they happened.
const PLACE: &str = "the simulated disk";

fn full(operation: &'static str) -> StoreError {
    StoreError::Full { operation, path: PLACE.to_owned() }
}

fn failed(operation: &'static str) -> StoreError {
    StoreError::Io { operation, path: PLACE.to_owned(), detail: "the simulated disk failed".to_owned() }
}

fn poisoned() -> StoreError {
    StoreError::Poisoned { path: PLACE.to_owned(), cause: "the simulated disk failed".to_owned() }
}
