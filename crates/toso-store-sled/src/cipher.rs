//! What an encrypted folder does to keys and values on their way to the disk and back.
//!
//! **Values** are sealed by XChaCha20-Poly1305 with the key they stand under as associated data: a value moved to another
//! key does not open. Each has a nonce of its own, drawn by a keyed hash over a number that never repeats while the folder
//! is open, the key and the value, keyed afresh from the system's random bytes at each opening. So a value may not share a
//! nonce with another one even if a phone were copied while it runs.
//!
//! **Keys** must stay searchable by their prefix, and most say nothing about anybody: numbers, words of ours, hashes of
//! changes that hold random bytes. Document ids do: a team's id is a hash of its hamlet's name, and a commune has few
//! hamlets, so a thief of the phone could try all names and learn which hamlets are registered here. Therefore the 16
//! bytes of a document id are enciphered as one AES block: always to the same 16 bytes, so that prefixes keep working,
//! and in no order.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aes::Aes256;
use aes::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::OVERFLOW_SPACE;
#[cfg(test)]
use crate::key::TAG_BYTES;
use crate::key::{DataKey, KEY_BYTES, NONCE_BYTES};

/// Bytes that sealing adds to a body.
#[cfg(test)]
pub(crate) const SEAL_BYTES: usize = NONCE_BYTES + TAG_BYTES;
/// What the data key is turned into, and for what.
const VALUE_CONTEXT: &str = "toso storage 1 values";
const KEY_CONTEXT: &str = "toso storage 1 document ids in keys";
/// Bytes of a document id, and of an AES block.
const ID_BYTES: usize = 16;

/// Seals and opens what a folder holds.
pub(crate) struct Cipher {
    values: XChaCha20Poly1305,
    ids: Aes256,
    /// The key spaces whose keys begin with a document id after their first byte.
    id_spaces: &'static [u8],
    nonce_key: Zeroizing<[u8; KEY_BYTES]>,
    nonces: AtomicU64,
}

impl Cipher {
    /// For a folder with this data key, where the keys of `id_spaces` begin with document ids.
    pub(crate) fn new(key: &DataKey, id_spaces: &'static [u8]) -> Result<Self, getrandom::Error> {
        let mut nonce_key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *nonce_key)?;
        Ok(Self {
            values: XChaCha20Poly1305::new((&*key.derive(VALUE_CONTEXT)).into()),
            ids: Aes256::new((&*key.derive(KEY_CONTEXT)).into()),
            id_spaces,
            nonce_key,
            nonces: AtomicU64::new(0),
        })
    }

    /// `nonce (24) ‖ ciphertext ‖ tag (16)`, bound to the key.
    pub(crate) fn seal(&self, key: &[u8], body: &[u8]) -> Vec<u8> {
        let nonce = self.nonce(key, body);
        let sealed = self.values.encrypt(&XNonce::from(nonce), Payload { msg: body, aad: key }).unwrap_or_else(|_| {
            debug_assert!(false, "limits keep bodies far below the cipher's 256 GiB");
            Vec::new()
        });
        [nonce.as_slice(), &sealed].concat()
    }

    /// The body of a sealed value; `None` when it is not what was sealed under this key.
    pub(crate) fn open(&self, key: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        self.values.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: key }).ok()
    }

    /// A key, or the beginning of one, as the disk has it. A beginning must end before the document id or after it.
    pub(crate) fn conceal(&self, key: &[u8]) -> Vec<u8> {
        self.with_id(key, |block| self.ids.encrypt_block(block))
    }

    /// The reverse of [`Self::conceal`].
    pub(crate) fn reveal(&self, key: &[u8]) -> Vec<u8> {
        self.with_id(key, |block| self.ids.decrypt_block(block))
    }

    fn with_id(&self, key: &[u8], change: impl FnOnce(&mut Block<Aes256>)) -> Vec<u8> {
        let mut key = key.to_vec();
        let space = usize::from(key.first() == Some(&OVERFLOW_SPACE));
        if key.get(space).is_some_and(|space| self.id_spaces.contains(space)) {
            let id = key.get_mut(space + 1..).unwrap_or_default();
            debug_assert!(id.is_empty() || id.len() >= ID_BYTES, "a prefix ends within a document id");
            if let Some(id) = id.first_chunk_mut::<ID_BYTES>() {
                let mut block = Block::<Aes256>::from(*id);
                change(&mut block);
                *id = block.into();
            }
        }
        key
    }

    fn nonce(&self, key: &[u8], body: &[u8]) -> [u8; NONCE_BYTES] {
        let number = self.nonces.fetch_add(1, Ordering::Relaxed);
        let mut hasher = blake3::Hasher::new_keyed(&self.nonce_key);
        hasher.update(&number.to_be_bytes()).update(&(key.len() as u64).to_be_bytes()).update(key).update(body);
        let mut nonce = [0; NONCE_BYTES];
        hasher.finalize_xof().fill(&mut nonce);
        nonce
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Cipher(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn cipher() -> Cipher {
        Cipher::new(&DataKey::random().unwrap(), b"dc").unwrap()
    }

    #[test]
    fn a_sealed_value_opens_under_its_own_key_and_unchanged_only() {
        let cipher = cipher();
        let sealed = cipher.seal(b"key", b"Nguyen Van Mau");
        assert_eq!(sealed.len(), b"Nguyen Van Mau".len() + SEAL_BYTES);
        assert_eq!(cipher.open(b"key", &sealed).unwrap(), b"Nguyen Van Mau");
        assert_eq!(cipher.open(b"yek", &sealed), None);
        assert_eq!(cipher.open(b"key", &sealed[..20]), None);
        for index in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[index] ^= 1;
            assert_eq!(cipher.open(b"key", &damaged), None, "byte {index}");
        }
        assert_eq!(self::cipher().open(b"key", &sealed), None, "another data key opens nothing");
    }

    #[test]
    fn equal_values_never_share_a_nonce_not_even_across_openings() {
        let key = DataKey::random().unwrap();
        let mut nonces = HashSet::new();
        for _opening in 0..2 {
            let cipher = Cipher::new(&key, b"").unwrap();
            for _ in 0..1_000 {
                assert!(nonces.insert(cipher.seal(b"key", b"same")[..NONCE_BYTES].to_vec()));
            }
        }
    }

    #[test]
    fn document_ids_are_hidden_and_come_back_and_prefixes_still_match() {
        let cipher = cipher();
        let key = [b"d".as_slice(), &[7; 16], &[9; 32]].concat();
        let disk = cipher.conceal(&key);
        assert_eq!(cipher.reveal(&disk), key);
        assert_eq!((disk.len(), disk[0], &disk[17..]), (key.len(), b'd', &key[17..]));
        assert_ne!(disk[1..17], key[1..17]);
        assert!(disk.starts_with(&cipher.conceal(&key[..17])));
        assert_eq!(cipher.conceal(b"d"), b"d");
        let overflow = [b"+".as_slice(), &key, &[1]].concat();
        assert_eq!(cipher.conceal(&overflow)[1..18], disk[..17]);
        let outside = [b"s".as_slice(), &[7; 16]].concat();
        assert_eq!(cipher.conceal(&outside), outside);
    }
}
