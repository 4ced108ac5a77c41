//! Which folders are refused, with which words, and who may read the others.
#![allow(clippy::expect_used, reason = "a test that cannot prepare its folder has failed")]

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use toso_core::id::Sequence;
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitList, UnitRef};
use toso_store::{ChunkStore, RecordStore, StoreError, Transaction};
use toso_store_sled::{FORMAT_VERSION, Options, SledChangeLog, SledChunkStore};

fn open(folder: &Path) -> Result<SledChunkStore, StoreError> {
    SledChunkStore::open(folder, Options::phone())
}

fn refusal(folder: &Path) -> StoreError {
    open(folder).expect_err("the folder is refused")
}

#[test]
fn a_folder_in_use_is_refused_until_it_is_closed() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("made").join("on the way");
    let store = open(&folder).unwrap();
    assert!(matches!(refusal(&folder), StoreError::InUse { .. }));
    drop(store);
    open(&folder).unwrap();
}

/// A process that was killed is not gone at once, and one that starts another lends it its locks until that has begun:
/// the next opening then waits for a moment instead of refusing.
#[test]
fn a_folder_that_is_about_to_be_free_is_waited_for() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("phone");
    drop(open(&folder).unwrap());
    let lock = fs::File::open(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let end = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(60));
        drop(lock);
    });
    open(&folder).unwrap();
    end.join().unwrap();
}

#[test]
fn a_newer_format_another_kind_and_a_strange_file_are_refused_untouched() {
    let root = TempDir::new().unwrap();
    drop(open(root.path()).unwrap());
    let format = root.path().join("FORMAT");
    assert_eq!(fs::read_to_string(&format).unwrap(), "toso storage\nformat 1\nkind field\n");

    fs::write(&format, format!("toso storage\nformat {}\nkind field\n", FORMAT_VERSION + 1)).unwrap();
    let refused = refusal(root.path());
    assert!(matches!(refused, StoreError::NewerFormat { found, supported, .. } if found == supported + 1));
    assert!(refused.to_string().contains("use a newer version"));

    fs::write(&format, "toso storage\nformat 1\nkind server\n").unwrap();
    assert!(
        matches!(refusal(root.path()), StoreError::WrongKind { found, expected: "field", .. } if found == "server")
    );

    for strange in ["", "hello", "toso storage\n", "toso storage\nformat x\nkind field\n", "toso storage\nformat 1\n"] {
        fs::write(&format, strange).unwrap();
        assert!(matches!(refusal(root.path()), StoreError::Damaged { .. }), "{strange:?}");
        assert_eq!(fs::read_to_string(&format).unwrap(), strange);
    }
    fs::remove_file(&format).unwrap();
    assert!(matches!(refusal(root.path()), StoreError::Damaged { .. }), "data without a format is not made over");
    fs::write(&format, "toso storage\nformat 1\nkind field\n").unwrap();
    open(root.path()).unwrap();
}

#[test]
fn a_phones_folder_is_no_servers() {
    let root = TempDir::new().unwrap();
    drop(open(root.path()).unwrap());
    let refused = SledChangeLog::open(root.path(), Options::server()).expect_err("the folder is refused");
    assert!(matches!(refused, StoreError::WrongKind { expected: "server", .. }));
}

#[test]
fn a_folder_that_cannot_be_made_says_so() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(refusal(&file), StoreError::Io { operation: "creating the folder", .. }));
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let root = TempDir::new().unwrap();
    let folder = root.path().join("private");
    let store = open(&folder).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.path());
        files += 1;
    }
    assert!(files >= 4, "lock, FORMAT, db, conf");
    drop(store);
}

/// The proof that an answer follows a sync: the engine counts a sync only after `sync_data` has returned without an
/// error, and a call returns only after its count went up.
#[test]
fn every_durable_answer_follows_a_sync_and_a_derived_write_does_not() {
    let root = TempDir::new().unwrap();
    let unit = UnitRef::country(UnitList::L2022);
    let store = open(&root.path().join("phone")).unwrap();
    for round in 1..=5 {
        let before = store.syncs();
        store.commit(Transaction { cursors: vec![(unit, Sequence(round))], ..Transaction::default() }).unwrap();
        assert_eq!(store.syncs(), before + 1);
    }
    let log = SledChangeLog::open(root.path().join("server"), Options::server()).unwrap();
    let change = |table: &str| toso_store::RecordChange {
        table: table.to_owned(),
        key: vec![1],
        value: Some(vec![2]),
        expect: None,
    };
    let before = log.syncs();
    log.derive(&[change("derived")]).unwrap();
    assert_eq!(log.syncs(), before);
    log.command(TimestampMs(1), &[change("truth")]).unwrap();
    assert_eq!(log.syncs(), before + 1);
}

/// A kill or a full disk while a store was being opened used to leave it unreadable for ever: sled took the snapshot that
/// it had not finished for a damaged one.
#[test]
fn what_an_interrupted_opening_leaves_is_no_damage() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("phone");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("FORMAT"), "toso storage\nformat 1\nkind field\n").unwrap();
    fs::write(folder.join("conf"), "segment_si").unwrap();
    let store = open(&folder).unwrap();
    let settings = vec![("key".to_owned(), Some(vec![1]))];
    store.commit(Transaction { settings, ..Transaction::default() }).unwrap();
    drop(store);
    for unfinished in ["", "half of a snapshot that a full disk has cut"] {
        fs::write(folder.join("snap.7FFFFFFFFFFFFFFF.generating"), unfinished).unwrap();
        assert_eq!(open(&folder).unwrap().setting("key").unwrap(), Some(vec![1]));
    }
}

/// sled writes its configuration without a sync, just before the data file is made. A power cut then used to leave a store
/// that never opened again.
#[test]
fn a_configuration_that_a_power_cut_has_torn_is_no_damage() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("phone");
    let store = open(&folder).unwrap();
    let settings = vec![("key".to_owned(), Some(vec![1]))];
    store.commit(Transaction { settings, ..Transaction::default() }).unwrap();
    drop(store);
    let whole = fs::read(folder.join("conf")).unwrap();
    let torn = (0..whole.len()).map(|len| whole[..len].to_vec()).chain([vec![0; whole.len()]]);
    for torn in torn.chain([[&[0; 16], &whole[16..]].concat()]) {
        fs::write(folder.join("conf"), &torn).unwrap();
        let opened = open(&folder).unwrap_or_else(|error| panic!("with {} bytes of it: {error}", torn.len()));
        assert_eq!(opened.setting("key").unwrap(), Some(vec![1]));
        drop(opened);
        assert_eq!(fs::read(folder.join("conf")).unwrap(), whole, "it is written anew, after {} bytes", torn.len());
    }
}

/// A flipped byte anywhere in the data is an error or gone with sled's own recovery, never a wrong value.
#[test]
fn damaged_data_is_never_read_as_if_it_were_whole() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("phone");
    let value = vec![0xA5; 3_000];
    let store = open(&folder).unwrap();
    store
        .commit(Transaction { settings: vec![("key".to_owned(), Some(value.clone()))], ..Transaction::default() })
        .unwrap();
    drop(store);
    let data = fs::read(folder.join("db")).unwrap();
    let inside = data.windows(100).position(|window| window.iter().all(|byte| *byte == 0xA5)).unwrap();
    let mut damaged = data;
    for byte in &mut damaged[inside + 50..inside + 60] {
        *byte ^= 0xFF;
    }
    fs::write(folder.join("db"), damaged).unwrap();
    let read = std::panic::catch_unwind(|| open(&folder).and_then(|store| store.setting("key")));
    assert!(!matches!(read, Ok(Ok(Some(_)))), "a damaged value was served");
}

/// A store is not made among another's files, such as a server's keys around its log.
#[test]
fn a_folder_with_strange_files_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("root.key"), "x").unwrap();
    let error = SledChunkStore::open(folder.path(), Options::phone()).unwrap_err();
    assert!(matches!(&error, StoreError::NotEmpty { stranger, .. } if stranger == "root.key"), "{error}");
    assert!(!folder.path().join("lock").exists(), "it is as it was");
    std::fs::remove_file(folder.path().join("root.key")).unwrap();
    SledChunkStore::open(folder.path(), Options::phone()).unwrap();
}
