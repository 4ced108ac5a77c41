//! A full disk: refused with `Full`, nothing acknowledged lost, and going on once there is space.
//!
//! The disk is a tmpfs of a few mebibytes, which only root may mount; elsewhere the tests say `SKIPPED` and why.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::print_stderr, reason = "a test that cannot prepare its disk has failed")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use toso_core::id::Sequence;
use toso_store::conformance::samples::{batch, change, doc, hash, saved, scope};
use toso_store::{ChunkStore, Index as _, Log as _, StoreError};
use toso_store_sled::{Options, SledChangeLog, SledChunkStore};

const DISK_BYTES: u64 = 24 * 1024 * 1024;
/// Chunks of a batch or a save: enough that a small disk is soon full.
const CHUNKS: u64 = 200;

struct SmallDisk {
    root: TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let root = TempDir::new().expect("a temporary folder");
        let size = format!("size={DISK_BYTES}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(root.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { root }),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                eprintln!("SKIPPED: no small disk can be mounted here ({why})");
                None
            }
            Err(error) => {
                eprintln!("SKIPPED: no small disk can be mounted here ({error})");
                None
            }
        }
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("store")
    }

    /// A file that takes space, to be removed when there is to be space again.
    fn ballast(&self) -> PathBuf {
        self.root.path().join("ballast")
    }

    fn fill_to(&self, free_bytes: u64) {
        let available = fs4::available_space(self.root.path()).expect("the disk answers");
        let bytes = usize::try_from(available.saturating_sub(free_bytes)).expect("a small disk");
        fs::write(self.ballast(), vec![1; bytes]).expect("the ballast fits");
    }
}

/// Makes the ballast as large as the disk allows.
fn fill(ballast: &Path) {
    let mut file = fs::OpenOptions::new().append(true).open(ballast).expect("the ballast");
    while file.write(&[1; 4096]).is_ok_and(|written| written > 0) {}
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: sled's last background write may still hold its file.
        let _ = Command::new("umount").arg("-l").arg(self.root.path()).status();
    }
}

/// Fails instead of waiting for ever when the engine hangs.
fn within_a_minute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    result.recv_timeout(Duration::from_secs(60)).expect("the store answers, with an error if need be, and never hangs")
}

fn open_log(folder: &Path, options: Options) -> SledChangeLog {
    SledChangeLog::open(folder, options).expect("the log opens")
}

/// Appends batches from `from` until one is refused; returns the number of the refused one and the error.
fn append_until_refused(log: &SledChangeLog, from: u64) -> (u64, StoreError) {
    (from..)
        .find_map(|number| {
            let numbers = number * CHUNKS..(number + 1) * CHUNKS;
            log.append(&[batch(scope(1), numbers)]).err().map(|error| (number, error))
        })
        .expect("a small disk ends")
}

fn assert_has_batches(log: &SledChangeLog, batches: u64) {
    for number in 0..batches * CHUNKS {
        assert!(log.contains(doc(scope(1), 1), &hash(number)).expect("the log reads"), "chunk {number} is gone");
    }
    let page = log.read(Sequence::ZERO, usize::MAX, usize::MAX).expect("the log reads");
    assert!(page.entries.iter().zip(1..).all(|(entry, sequence)| entry.sequence.0 == sequence));
    assert_eq!(page.entries.len() as u64, log.last().0);
}

#[test]
fn a_server_refuses_before_the_disk_is_full_and_goes_on_when_there_is_space() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (folder, ballast) = (disk.folder(), disk.ballast());
    let options = Options { space_reserve_bytes: 6 * 1024 * 1024, ..Options::server() };
    let log = open_log(&folder, options);
    log.append(&[batch(scope(1), 0..CHUNKS)]).unwrap();
    disk.fill_to(8 * 1024 * 1024);
    within_a_minute(move || {
        let (refused, error) = append_until_refused(&log, 1);
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        assert!(error.to_string().contains("free some space"));
        assert!(refused > 1, "some batches fit before");
        assert_has_batches(&log, refused);
        // Refused, not broken: with space, the same log goes on.
        fs::remove_file(&ballast).unwrap();
        log.append(&[batch(scope(1), refused * CHUNKS..(refused + 1) * CHUNKS)]).unwrap();
        drop(log);
        assert_has_batches(&open_log(&folder, options), refused + 1);
    });
}

#[test]
fn a_phone_refuses_before_the_disk_is_full_and_goes_on_when_there_is_space() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (folder, ballast) = (disk.folder(), disk.ballast());
    let store = SledChunkStore::open(&folder, Options::phone()).unwrap();
    disk.fill_to(3 * 1024 * 1024);
    within_a_minute(move || {
        let save = |number: u64| saved((number * CHUNKS..(number + 1) * CHUNKS).map(|number| change(1, number)));
        let refusal = (0..).find_map(|number| store.commit(save(number)).err().map(|error| (number, error)));
        let (refused, error) = refusal.unwrap();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        assert!(refused > 0, "some saves fit before");
        assert_eq!(store.outbox_len().unwrap() as u64, refused * CHUNKS, "a refused save leaves nothing");
        drop(store);
        // What is recorded can still be read.
        let store = SledChunkStore::open(&folder, Options::phone()).unwrap();
        assert_eq!(store.chunks(change(1, 0).doc).unwrap().len() as u64, refused * CHUNKS);
        drop(store);
        // With not a byte left, opening either needs none or says what it needs.
        fill(&ballast);
        match SledChunkStore::open(&folder, Options::phone()) {
            Ok(store) => assert_eq!(store.outbox_len().unwrap() as u64, refused * CHUNKS),
            Err(error) => assert!(matches!(error, StoreError::Full { .. }), "{error}"),
        }
        fs::remove_file(&ballast).unwrap();
        let store = SledChunkStore::open(&folder, Options::phone()).unwrap();
        assert_eq!(store.chunks(change(1, 0).doc).unwrap().len() as u64, refused * CHUNKS);
        store.commit(save(refused)).unwrap();
    });
}

/// Without the reserve sled itself meets the end of the disk. The log then stops, answers every further write with an
/// error, and holds after reopening at least what it acknowledged.
#[test]
fn a_server_whose_disk_fills_behind_its_back_stops_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (folder, ballast) = (disk.folder(), disk.ballast());
    let careless = Options { space_reserve_bytes: 0, ..Options::server() };
    let log = open_log(&folder, careless);
    let told = Arc::new(AtomicUsize::new(0));
    let telling = Arc::clone(&told);
    log.on_failure(move || {
        telling.fetch_add(1, Ordering::SeqCst);
    });
    log.append(&[batch(scope(1), 0..CHUNKS)]).unwrap();
    disk.fill_to(3 * 1024 * 1024);
    within_a_minute(move || {
        let (refused, error) = append_until_refused(&log, 1);
        assert!(matches!(error, StoreError::Poisoned { .. } | StoreError::Full { .. }), "{error}");
        fs::remove_file(&ballast).unwrap();
        let again = log.append(&[batch(scope(1), [u64::MAX])]);
        if matches!(error, StoreError::Poisoned { .. }) {
            assert!(matches!(again, Err(StoreError::Poisoned { .. })), "a failed flush is not forgotten");
        }
        let stops = matches!(again, Err(StoreError::Poisoned { .. }));
        assert_eq!(told.load(Ordering::SeqCst), usize::from(stops), "its server is told, once");
        drop(log);
        let log = open_log(&folder, careless);
        assert_has_batches(&log, refused);
        log.append(&[batch(scope(1), refused * CHUNKS..(refused + 1) * CHUNKS)]).unwrap();
        assert_has_batches(&log, refused + 1);
    });
}
