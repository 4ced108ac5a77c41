//! Both sled stores pass the suite that every implementation passes, opened again from their folders.
#![allow(clippy::expect_used, reason = "a test that cannot open its store has failed")]

use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use toso_store::conformance::Subject;
use toso_store_sled::{Options, SledChangeLog, SledChunkStore, StoreKey};

/// Makes stores in folders of its own.
struct Folders {
    root: TempDir,
    count: AtomicU32,
}

impl Folders {
    fn new() -> Self {
        Self { root: TempDir::new().expect("a temporary folder"), count: AtomicU32::new(0) }
    }

    fn next(&self) -> std::path::PathBuf {
        self.root.path().join(self.count.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

/// The folder as the process has left it up to now: what it would find there had it been killed.
fn as_it_is(folder: &std::path::Path, to: std::path::PathBuf) -> std::path::PathBuf {
    std::fs::create_dir(&to).expect("a folder");
    for entry in std::fs::read_dir(folder).expect("the store's folder") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_dir() {
            as_it_is(&entry.path(), to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
    to
}

/// No page may ever become a file of its own: nothing syncs those.
fn assert_no_blobs(folder: &std::path::Path) {
    let blobs = std::fs::read_dir(folder.join("blobs")).expect("sled's folder").count();
    assert_eq!(blobs, 0, "a page grew over sled's limit");
}

struct Phone(Folders);

impl Subject for Phone {
    type Store = SledChunkStore;
    fn fresh(&self) -> SledChunkStore {
        SledChunkStore::open(self.0.next(), Options::phone()).expect("a new store opens")
    }
    fn reopen(&self, store: SledChunkStore) -> SledChunkStore {
        let folder = store.path().to_owned();
        drop(store);
        assert_no_blobs(&folder);
        SledChunkStore::open(folder, Options::phone()).expect("the store opens again")
    }
    fn crash(&self, store: SledChunkStore) -> SledChunkStore {
        let left = as_it_is(store.path(), self.0.next());
        SledChunkStore::open(left, Options::phone()).expect("the store opens after a crash")
    }
}

struct EncryptedPhone(Folders);

impl EncryptedPhone {
    fn open(folder: &std::path::Path) -> SledChunkStore {
        SledChunkStore::open_encrypted(folder, Options::phone(), &StoreKey::from_bytes(&[7; 32]))
            .expect("the encrypted store opens")
    }
}

impl Subject for EncryptedPhone {
    type Store = SledChunkStore;
    fn fresh(&self) -> SledChunkStore {
        Self::open(&self.0.next())
    }
    fn reopen(&self, store: SledChunkStore) -> SledChunkStore {
        let folder = store.path().to_owned();
        drop(store);
        assert_no_blobs(&folder);
        Self::open(&folder)
    }
    fn crash(&self, store: SledChunkStore) -> SledChunkStore {
        Self::open(&as_it_is(store.path(), self.0.next()))
    }
}

struct Server(Folders);

impl Subject for Server {
    type Store = SledChangeLog;
    fn fresh(&self) -> SledChangeLog {
        SledChangeLog::open(self.0.next(), Options::server()).expect("a new log opens")
    }
    fn reopen(&self, log: SledChangeLog) -> SledChangeLog {
        let folder = log.path().to_owned();
        drop(log);
        assert_no_blobs(&folder);
        SledChangeLog::open(folder, Options::server()).expect("the log opens again")
    }
    fn crash(&self, log: SledChangeLog) -> SledChangeLog {
        let left = as_it_is(log.path(), self.0.next());
        SledChangeLog::open(left, Options::server()).expect("the log opens after a crash")
    }
}

toso_store::chunk_store_conformance!(Phone(Folders::new()));
toso_store::change_log_conformance!(Server(Folders::new()));

mod encrypted {
    use super::*;

    toso_store::chunk_store_conformance!(EncryptedPhone(Folders::new()));
}
