//! Devices' signatures: whether one is good, and what it is remembered by.

use ed25519_dalek::{Signature, VerifyingKey};

use super::seen::Mark;

/// Checks an Ed25519 signature; strict, so that nobody but the key's owner can make a second one for a message.
pub(super) fn verify(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let key = VerifyingKey::from_bytes(public_key);
    key.is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

/// The first half of an Ed25519 signature tells it from every other: only its key makes two of them for one message.
pub(super) fn mark(signature: &[u8; 64]) -> Mark {
    let (mark, _) = signature.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
    *mark
}
