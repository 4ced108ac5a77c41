//! The storage traits in memory: for simulations, tests, and callers whose store may end with their process.
//!
//! They keep every clause of the contracts except surviving the process. A [`MemoryChunkStore`] that holds nothing
//! costs 16 bytes, since a simulation of the whole country holds ten thousand of them at once.

pub(crate) mod change_log;
mod chunk_store;
pub(crate) mod records;
#[cfg(test)]
mod tests;

pub use change_log::MemoryChangeLog;
pub use chunk_store::MemoryChunkStore;
