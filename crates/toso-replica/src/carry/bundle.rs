//! A handover as a file: encrypted for a unit, signed by its maker. `docs/bundle-format.md` has the bytes.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use toso_core::id::ServerId;
use toso_core::unit::UnitRef;
use toso_wire::{DeviceCard, signed_bundle};

use super::CarryError;
use super::handover::Handover;
use super::pass::{BundleKey, CarryPass, check_card, covers, verify};
use crate::identity::Device;

/// The largest bundle: what messengers and Bluetooth send without asking, and 100 batches of the largest size.
pub const BUNDLE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of parcels after which no more go into a bundle: the rest is receipts (at most 256 × 14 KiB, but those are cut at
/// what is left), card and signature.
pub(crate) const PARCEL_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Bytes of receipts that go into a bundle.
pub(crate) const RECEIPT_BYTES_MAX: usize = 512 * 1024;

const MAGIC: &[u8; 8] = b"tosobnd1";
const NONCE_BYTES: usize = 24;
const HEADER_BYTES: usize = 8 + 16 + 8 + 4 + NONCE_BYTES;

/// What making or opening a bundle did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BundleReport {
    /// Batches in it.
    pub parcels: usize,
    /// Batches that found no place; make another bundle after these are delivered.
    pub left: usize,
    /// Its size.
    pub bytes: usize,
}

/// What a bundle's content is.
#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    maker: DeviceCard,
    #[serde(with = "serde_bytes")]
    signature: [u8; 64],
    #[serde(with = "serde_bytes")]
    handover: Vec<u8>,
}

/// An opened bundle.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) handover: Handover,
}

/// Encrypts and signs a handover for a unit.
pub(crate) fn seal(
    device: &Device,
    pass: &CarryPass,
    server: ServerId,
    unit: UnitRef,
    handover: &Handover,
    nonce: [u8; NONCE_BYTES],
) -> Result<Vec<u8>, CarryError> {
    let key = pass.key_of(unit)?;
    let mut header = MAGIC.to_vec();
    header.extend(server.0);
    header.extend(unit.to_key());
    header.extend(key.generation.to_be_bytes());
    header.extend(nonce);
    let encoding = |_| CarryError::Damaged("it could not be encoded");
    let handover = rmp_serde::to_vec(handover).map_err(encoding)?;
    let signature = device.sign(&signed_bundle(&digest(&header, &handover)));
    let sealed = Sealed { maker: pass.card.clone(), signature, handover };
    let content = rmp_serde::to_vec(&sealed).map_err(encoding)?;
    let payload = Payload { msg: &content, aad: &header };
    let encrypted =
        cipher(key).encrypt(&XNonce::from(nonce), payload).map_err(|_| CarryError::Damaged("encryption"))?;
    header.extend(encrypted);
    if header.len() > BUNDLE_BYTES_MAX {
        return Err(CarryError::TooLarge { bytes: header.len() as u64 });
    }
    Ok(header)
}

/// Decrypts a bundle and checks its maker. Its parcels are checked when they are taken.
pub(crate) fn open(pass: &CarryPass, server: ServerId, own: UnitRef, bytes: &[u8]) -> Result<Opened, CarryError> {
    if bytes.len() > BUNDLE_BYTES_MAX {
        return Err(CarryError::TooLarge { bytes: bytes.len() as u64 });
    }
    if !bytes.starts_with(MAGIC) {
        return Err(CarryError::NotABundle);
    }
    let cut = || CarryError::Damaged("its header is not whole");
    let (header, encrypted) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(cut)?;
    let (_, rest) = header.split_first_chunk::<8>().ok_or_else(cut)?;
    let (made_at, rest) = rest.split_first_chunk::<16>().ok_or_else(cut)?;
    let (unit, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
    let (generation, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
    let nonce: [u8; NONCE_BYTES] = rest.try_into().map_err(|_| cut())?;
    if ServerId(*made_at) != server {
        return Err(CarryError::OtherServer { other: ServerId(*made_at) });
    }
    let unit = UnitRef::from_key(*unit).map_err(|_| CarryError::Damaged("its header names no unit"))?;
    if !covers(own, unit) && !covers(unit, own) {
        return Err(CarryError::OutsideUnit { unit, own });
    }
    let key = pass.key_for(unit, u32::from_be_bytes(*generation))?;
    let payload = Payload { msg: encrypted, aad: header };
    let content = cipher(key).decrypt(&XNonce::from(nonce), payload);
    let content = content.map_err(|_| CarryError::Damaged("it does not open with the unit's key"))?;
    let unreadable = |_| CarryError::Damaged("its content cannot be read");
    let sealed: Sealed = rmp_serde::from_slice(&content).map_err(unreadable)?;
    let maker = check_card(&sealed.maker, server)?;
    verify(&sealed.maker.key, &signed_bundle(&digest(header, &sealed.handover)), &sealed.signature)
        .map_err(|()| CarryError::Forged("the bundle is not what its maker signed"))?;
    if !covers(maker.unit, unit) && !covers(unit, maker.unit) {
        return Err(CarryError::OutsideUnit { unit, own: maker.unit });
    }
    Ok(Opened { handover: rmp_serde::from_slice(&sealed.handover).map_err(unreadable)? })
}

fn cipher(key: &BundleKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&key.key).into())
}

fn digest(header: &[u8], handover: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(header).update(handover).finalize().as_bytes()
}
