//! What an encrypted folder shows to a thief of the phone who lacks its key, and which keys open it.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot prepare its folder has failed")]

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use toso_core::id::{DocId, Sequence};
use toso_store::conformance::samples::{change, doc, hash, saved, scope, sized};
use toso_store::{ChunkStore, StoreError, StoreKeyMismatch, Transaction};
use toso_store_sled::{Options, SledChunkStore, StoreKey};

const NAME: &str = "Nguyễn Văn Mẫu";
const PHONE: &str = "+84900000001";
const DEVICE_KEY: [u8; 32] = *b"\xA1secret of a device, 32 bytes\xB2\xC3\xD4";

fn key(number: u8) -> StoreKey {
    StoreKey::from_bytes(&[number; 32])
}

fn open(folder: &Path, key: Option<&StoreKey>) -> Result<SledChunkStore, StoreError> {
    match key {
        Some(key) => SledChunkStore::open_encrypted(folder, Options::phone(), key),
        None => SledChunkStore::open(folder, Options::phone()),
    }
}

/// Everything a phone keeps, with words that can be looked for: small and large values, replaced and removed ones.
fn fill(store: &SledChunkStore) {
    for number in 0..40 {
        let words = format!("{NAME} {PHONE} ").repeat(1 + 300 * usize::from(number % 4 == 0)).into_bytes();
        let change = sized(doc(scope(1), number), u64::from(number), words);
        store.commit(saved([change])).unwrap();
    }
    let utf_16: Vec<u8> = NAME.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for value in [DEVICE_KEY.to_vec(), utf_16, DEVICE_KEY.to_vec()] {
        let settings = vec![("device.key".to_owned(), Some(value))];
        store.commit(Transaction { settings, ..Transaction::default() }).unwrap();
    }
    store.commit(Transaction { remove_documents: vec![doc(scope(1), 4)], ..Transaction::default() }).unwrap();
    let receipts = vec![(doc(scope(1), 5), hash(5), Sequence(7))];
    store.commit(Transaction { receipts, outbox_remove: vec![6], ..Transaction::default() }).unwrap();
}

/// Which of the words some file of the folder holds.
fn found(folder: &Path) -> Vec<&'static str> {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let ids: Vec<DocId> = (0..40).map(|number| doc(scope(1), number)).collect();
    let mut words = vec![
        ("name", NAME.as_bytes().to_vec()),
        ("name as UTF-16", wide(NAME)),
        ("phone", PHONE.as_bytes().to_vec()),
        ("device key", DEVICE_KEY.to_vec()),
        ("device key in hexadecimal", data_encoding::HEXLOWER.encode(&DEVICE_KEY).into_bytes()),
    ];
    words.extend(ids.iter().map(|id| ("document id", id.as_bytes().to_vec())));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder").map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        let contents = fs::read(entry.path()).expect("a file of the folder");
        for (what, word) in &words {
            if contents.windows(word.len()).any(|window| window == word.as_slice()) && !found.contains(what) {
                found.push(what);
            }
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn nothing_of_what_a_phone_keeps_can_be_read_in_an_encrypted_folder() {
    let root = TempDir::new().unwrap();
    let (plain, encrypted) = (root.path().join("plain"), root.path().join("encrypted"));
    let key = key(1);
    for (folder, key) in [(&plain, None), (&encrypted, Some(&key))] {
        let store = open(folder, key).unwrap();
        fill(&store);
        drop(store);
        // Opening writes a snapshot of sled's page table.
        open(folder, key).unwrap();
    }
    // The same search finds all of it where it is not encrypted, so it can find.
    assert_eq!(found(&plain), ["device key", "document id", "name", "name as UTF-16", "phone"]);
    assert_eq!(found(&encrypted), [""; 0]);
}

#[test]
fn only_the_right_key_opens_and_every_refusal_says_what_to_do() {
    let root = TempDir::new().unwrap();
    let (plain, encrypted) = (root.path().join("plain"), root.path().join("encrypted"));
    drop(open(&plain, None).unwrap());
    let store = open(&encrypted, Some(&key(1))).unwrap();
    store.commit(saved([change(1, 1)])).unwrap();
    drop(store);
    let format = fs::read_to_string(encrypted.join("FORMAT")).unwrap();
    assert!(format.starts_with("toso storage\nformat 2\nkind field\ncipher xchacha20-poly1305\nkey "), "{format}");
    for (folder, key, expected, words) in [
        (&encrypted, Some(key(2)), StoreKeyMismatch::Other, "encrypted under another key"),
        (&encrypted, None, StoreKeyMismatch::NoKeyGiven, "give the key"),
        (&plain, Some(key(1)), StoreKeyMismatch::NotEncrypted, "open it without a key"),
    ] {
        let error = open(folder, key.as_ref()).expect_err("the folder is refused");
        assert!(matches!(error, StoreError::WrongKey { mismatch, .. } if mismatch == expected), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(fs::read_to_string(encrypted.join("FORMAT")).unwrap(), format, "a refusal changes nothing");
    assert_eq!(open(&encrypted, Some(&key(1))).unwrap().outbox_len().unwrap(), 1);
}

#[test]
fn a_damaged_wrapped_key_is_damage_and_not_a_wrong_key() {
    let root = TempDir::new().unwrap();
    drop(open(root.path(), Some(&key(1))).unwrap());
    let format = root.path().join("FORMAT");
    let whole = fs::read_to_string(&format).unwrap();
    for damaged in [
        whole.replace("\nkey ", "\nkey 00"),
        whole.replace("\nkey ", "\nyek "),
        whole.replace("xchacha20", "rot13"),
        whole.split_inclusive('\n').take(3).collect(),
    ] {
        fs::write(&format, &damaged).unwrap();
        let error = open(root.path(), Some(&key(1))).expect_err("the folder is refused");
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }
    fs::write(&format, whole).unwrap();
    open(root.path(), Some(&key(1))).unwrap();
}

#[test]
fn a_rotated_key_opens_and_the_old_one_does_not() {
    let root = TempDir::new().unwrap();
    let store = open(root.path(), Some(&key(1))).unwrap();
    fill(&store);
    let refused = store.rotate_key(&key(3), &key(2)).expect_err("the old key is another");
    assert!(matches!(refused, StoreError::WrongKey { mismatch: StoreKeyMismatch::Other, .. }), "{refused}");
    let documents = store.documents().unwrap();
    store.rotate_key(&key(1), &key(2)).unwrap();
    store.commit(saved([change(50, 50)])).unwrap();
    drop(store);
    open(root.path(), Some(&key(1))).expect_err("the old key opens no more");
    let store = open(root.path(), Some(&key(2))).unwrap();
    assert_eq!(store.documents().unwrap().len(), documents.len() + 1);
    assert_eq!(store.setting("device.key").unwrap().unwrap(), DEVICE_KEY);
    let plain = root.path().join("plain");
    let refused = open(&plain, None).unwrap().rotate_key(&key(1), &key(2)).expect_err("there is no key to rotate");
    assert!(matches!(refused, StoreError::WrongKey { mismatch: StoreKeyMismatch::NotEncrypted, .. }), "{refused}");
}

/// A thief who can write to the folder can lose data, but not move a value to another key or serve a plain one.
#[test]
fn a_flipped_byte_is_never_read_as_if_it_were_whole() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("phone");
    let store = open(&folder, Some(&key(1))).unwrap();
    let settings = vec![("key".to_owned(), Some(vec![0xA5; 3_000]))];
    store.commit(Transaction { settings, ..Transaction::default() }).unwrap();
    drop(store);
    let data = fs::read(folder.join("db")).unwrap();
    let inside = data.windows(4).position(|window| window == b"skey").expect("the setting's key");
    let mut damaged = data;
    for byte in &mut damaged[inside + 500..inside + 510] {
        *byte ^= 0xFF;
    }
    fs::write(folder.join("db"), damaged).unwrap();
    let read = std::panic::catch_unwind(|| open(&folder, Some(&key(1))).and_then(|store| store.setting("key")));
    assert!(!matches!(read, Ok(Ok(Some(_)))), "a damaged value was served");
}
