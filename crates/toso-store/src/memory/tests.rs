//! The in-memory stores pass the suite.

use super::{MemoryChangeLog, MemoryChunkStore};
use crate::conformance::Subject;

struct Phone;

impl Subject for Phone {
    type Store = MemoryChunkStore;
    fn fresh(&self) -> MemoryChunkStore {
        MemoryChunkStore::new()
    }
    fn reopen(&self, store: MemoryChunkStore) -> MemoryChunkStore {
        store
    }
    fn crash(&self, store: MemoryChunkStore) -> MemoryChunkStore {
        store
    }
}

struct Server;

impl Subject for Server {
    type Store = MemoryChangeLog;
    fn fresh(&self) -> MemoryChangeLog {
        MemoryChangeLog::new()
    }
    fn reopen(&self, log: MemoryChangeLog) -> MemoryChangeLog {
        log
    }
    fn crash(&self, log: MemoryChangeLog) -> MemoryChangeLog {
        log
    }
}

crate::chunk_store_conformance!(Phone);
crate::change_log_conformance!(Server);

/// The national simulation holds ten thousand stores: an empty one must stay two words.
#[test]
fn an_empty_memory_store_is_small() {
    assert!(size_of::<MemoryChunkStore>() <= 16);
}
