//! The keys of an encrypted folder: the app's, which stays outside, and the folder's own, which the app's key wraps.
//!
//! Values are encrypted under a random *data key* that never changes while the folder lives. The app's [`StoreKey`] only
//! encrypts the data key. So the app can take another key by writing 80 bytes, however much the folder holds.

use std::fmt;

use blake3::Hasher;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use toso_core::text::pasted;
use zeroize::Zeroizing;

/// Bytes of every key here.
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes of an `XChaCha20` nonce: long enough to be drawn at random for ever.
pub(crate) const NONCE_BYTES: usize = 24;
/// Bytes that Poly1305 adds.
pub(crate) const TAG_BYTES: usize = 16;
/// Nonce, encrypted data key, tag, and a checksum that tells damage from a wrong key.
const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES + CHECK_BYTES;
const CHECK_BYTES: usize = 8;
/// What the wrapping is bound to, so that the bytes mean nothing elsewhere.
const WRAP_DOMAIN: &[u8] = b"toso storage data key 1";

/// The key that an app gives to open an encrypted folder: 32 bytes that the phone's own key store (Android Keystore, iOS
/// Keychain) made at random and keeps. It is wiped from memory when dropped.
#[derive(Clone)]
pub struct StoreKey(Zeroizing<[u8; KEY_BYTES]>);

impl StoreKey {
    /// A key from its bytes. They must be random: this is no password, and nothing here slows down guessing.
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// A key as files hold it: 32 bytes, or 64 hexadecimal digits, however an editor has left them.
    pub fn parse(contents: &[u8]) -> Option<Self> {
        if let Ok(bytes) = contents.try_into() {
            return Some(Self::from_bytes(bytes));
        }
        let digits = Zeroizing::new(pasted::whole(&pasted::file_text(contents)?)?);
        let decoded = Zeroizing::new(data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?);
        decoded.as_slice().try_into().ok().map(Self::from_bytes)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StoreKey(…)")
    }
}

/// Why a wrapped data key gives none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnwrapError {
    /// The bytes are not what was written.
    Damaged,
    /// They are, and another key wrapped them.
    WrongKey,
}

/// The key that a folder's values are encrypted under.
pub(crate) struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl DataKey {
    /// A new one, from the system's random bytes.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// A key for one purpose.
    pub(crate) fn derive(&self, context: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        Zeroizing::new(blake3::derive_key(context, &*self.0))
    }

    /// Encrypted under the app's key: `nonce (24) ‖ data key and tag (48) ‖ checksum (8)`.
    pub(crate) fn wrap(&self, key: &StoreKey) -> Result<Vec<u8>, getrandom::Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let payload = Payload { msg: &*self.0, aad: WRAP_DOMAIN };
        let sealed = key.cipher().encrypt(&XNonce::from(nonce), payload).unwrap_or_else(|_| {
            debug_assert!(false, "48 bytes fit every cipher");
            Vec::new()
        });
        let mut wrapped = [nonce.as_slice(), &sealed].concat();
        let check = checksum(&wrapped);
        wrapped.extend_from_slice(&check);
        Ok(wrapped)
    }

    /// The reverse of [`Self::wrap`].
    pub(crate) fn unwrap(wrapped: &[u8], key: &StoreKey) -> Result<Self, UnwrapError> {
        let wrapped: &[u8; WRAPPED_BYTES] = wrapped.try_into().map_err(|_| UnwrapError::Damaged)?;
        let (envelope, check) = wrapped.split_at(WRAPPED_BYTES - CHECK_BYTES);
        if checksum(envelope) != *check {
            return Err(UnwrapError::Damaged);
        }
        let (nonce, sealed) = envelope.split_first_chunk::<NONCE_BYTES>().ok_or(UnwrapError::Damaged)?;
        let opened = key.cipher().decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: WRAP_DOMAIN });
        let opened = Zeroizing::new(opened.map_err(|_| UnwrapError::WrongKey)?);
        opened.as_slice().try_into().map(|bytes| Self(Zeroizing::new(bytes))).map_err(|_| UnwrapError::Damaged)
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let mut check = [0; CHECK_BYTES];
    Hasher::new().update(bytes).finalize_xof().fill(&mut check);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_comes_back_under_its_key_only() {
        let (key, other) = (StoreKey::from_bytes(&[1; 32]), StoreKey::from_bytes(&[2; 32]));
        let data = DataKey::random().unwrap();
        let wrapped = data.wrap(&key).unwrap();
        assert_eq!(wrapped.len(), WRAPPED_BYTES);
        assert_eq!(DataKey::unwrap(&wrapped, &key).ok().unwrap().0, data.0);
        assert_eq!(DataKey::unwrap(&wrapped, &other).err(), Some(UnwrapError::WrongKey));
        assert!(!wrapped.windows(KEY_BYTES).any(|window| *window == *data.0));
        assert_ne!(wrapped, data.wrap(&key).unwrap(), "each wrapping has a nonce of its own");
    }

    #[test]
    fn every_flipped_bit_of_a_wrapped_key_is_damage_and_never_taken_for_a_wrong_key() {
        let key = StoreKey::from_bytes(&[1; 32]);
        let wrapped = DataKey::random().unwrap().wrap(&key).unwrap();
        for index in 0..wrapped.len() {
            let mut damaged = wrapped.clone();
            damaged[index] ^= 1;
            assert_eq!(DataKey::unwrap(&damaged, &key).err(), Some(UnwrapError::Damaged), "byte {index}");
        }
        assert_eq!(DataKey::unwrap(&wrapped[1..], &key).err(), Some(UnwrapError::Damaged));
    }

    #[test]
    fn key_files_hold_bytes_or_digits_and_nothing_else() {
        let key = [0xAB; 32];
        let same = |contents: &[u8]| StoreKey::parse(contents).is_some_and(|parsed| *parsed.0 == key);
        assert!(same(&key));
        assert!(same("ab".repeat(32).as_bytes()));
        assert!(same(format!("{}\r\n", "AB".repeat(32)).as_bytes()));
        assert!(same(format!("\u{FEFF}{}\n{}", "ab".repeat(16), "ab".repeat(16)).as_bytes()));
        assert!(same(format!("“{}”", "ab".repeat(32)).as_bytes()));
        assert!(same(&"ab".repeat(32).encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()));
        for wrong in [&[0xAB; 31][..], &[0xAB; 33], b"", "ab".repeat(31).as_bytes(), "xy".repeat(32).as_bytes()] {
            assert!(StoreKey::parse(wrong).is_none(), "{wrong:?}");
        }
        assert_eq!(format!("{:?}", StoreKey::from_bytes(&key)), "StoreKey(…)");
    }
}
