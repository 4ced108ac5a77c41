//! What the server gave for helping others: this device's card, and keys of bundles.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use toso_catalog::Catalog;
use toso_core::id::ServerId;
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::{ChunkStore, StoreError, Transaction};
use toso_sync::Principal;
use toso_wire::DeviceCard;
use zeroize::Zeroize;

use super::CarryError;

pub(crate) const SETTING_PASS: &str = "carry-pass";
/// There when card and bundle key are to be asked for at the next chance.
const SETTING_PASS_DUE: &str = "carry-pass-due";
/// When they were given, by the device's clock.
const SETTING_PASS_AT: &str = "carry-pass-at";
/// How old a pass may be that a device's first session does not ask for anew: enrolment has just given it.
const PASS_FRESH_MS: u64 = 10 * 60 * 1000;
/// Bundle keys kept, newest last: own unit through 60 revocations, in 50 bytes each.
const KEYS_MAX: usize = 60;

/// A unit's key for bundles.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleKey {
    /// The unit.
    pub unit: UnitRef,
    /// Rises when a device of the unit is revoked.
    pub generation: u32,
    #[serde(with = "serde_bytes")]
    pub(super) key: [u8; 32],
}

impl Drop for BundleKey {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl std::fmt::Debug for BundleKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BundleKey({}, {})", self.unit, self.generation)
    }
}

/// Card and keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarryPass {
    /// This device's card.
    pub card: DeviceCard,
    /// Keys of bundles.
    pub keys: Vec<BundleKey>,
}

/// The pass as the server's REST interface writes it.
#[derive(Debug, Deserialize)]
pub struct PassAnswer {
    root: String,
    key: String,
    unit: UnitRef,
    role: String,
    signature: String,
    bundle_unit: UnitRef,
    bundle_generation: u32,
    bundle_key: String,
}

impl PassAnswer {
    /// The pass, checked.
    pub fn read(self, server: ServerId) -> Result<CarryPass, CarryError> {
        let card = DeviceCard {
            root: bytes(&self.root)?,
            key: bytes(&self.key)?,
            unit: self.unit,
            role: self.role,
            signature: bytes(&self.signature)?,
        };
        check_card(&card, server)?;
        let key =
            BundleKey { unit: self.bundle_unit, generation: self.bundle_generation, key: bytes(&self.bundle_key)? };
        Ok(CarryPass { card, keys: vec![key] })
    }
}

/// True when they were given within [`PASS_FRESH_MS`], by the device's clock.
pub(crate) fn is_fresh(store: &dyn ChunkStore, now: TimestampMs) -> Result<bool, StoreError> {
    let at = store.setting(SETTING_PASS_AT)?.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
    Ok(at.is_some_and(|at| now.0.checked_sub(at).is_some_and(|age| age <= PASS_FRESH_MS)))
}

/// What makes card and bundle key due: to be committed with what tells that they may be others now.
pub(crate) fn due() -> (String, Option<Vec<u8>>) {
    (SETTING_PASS_DUE.to_owned(), Some(vec![1]))
}

/// True when they are to be asked for.
pub(crate) fn is_due(store: &dyn ChunkStore) -> Result<bool, StoreError> {
    Ok(store.setting(SETTING_PASS_DUE)?.is_some())
}

impl CarryPass {
    /// The pass of a store.
    pub fn load(store: &dyn ChunkStore) -> Result<Self, CarryError> {
        let bytes = store.setting(SETTING_PASS)?.ok_or(CarryError::NoPass)?;
        rmp_serde::from_slice(&bytes).map_err(|_| CarryError::NoPass)
    }

    /// Stores it, as given at this time of the device's clock; keys that an earlier one had are kept, so that older bundles stay readable.
    pub fn keep(mut self, store: &dyn ChunkStore, now: TimestampMs) -> Result<(), StoreError> {
        if let Ok(earlier) = Self::load(store) {
            let mut keys: Vec<BundleKey> = earlier.keys.into_iter().filter(|key| !self.keys.contains(key)).collect();
            keys.append(&mut self.keys);
            keys.drain(..keys.len().saturating_sub(KEYS_MAX));
            self.keys = keys;
        }
        let settings = vec![
            (SETTING_PASS.to_owned(), rmp_serde::to_vec(&self).ok()),
            (SETTING_PASS_DUE.to_owned(), None),
            (SETTING_PASS_AT.to_owned(), Some(now.0.to_be_bytes().to_vec())),
        ];
        store.commit(Transaction { settings, ..Transaction::default() })
    }

    /// The newest key of a unit.
    pub(super) fn key_of(&self, unit: UnitRef) -> Result<&BundleKey, CarryError> {
        let keys = self.keys.iter().filter(|key| key.unit == unit);
        keys.max_by_key(|key| key.generation).ok_or(CarryError::NoKey { unit })
    }

    /// The key that a bundle names.
    pub(super) fn key_for(&self, unit: UnitRef, generation: u32) -> Result<&BundleKey, CarryError> {
        let named = |key: &&BundleKey| key.unit == unit && key.generation == generation;
        self.keys.iter().find(named).ok_or_else(|| match self.key_of(unit) {
            Ok(newest) if generation < newest.generation => CarryError::OlderKey { unit, generation },
            Ok(_) | Err(_) => CarryError::NewerKey { unit, generation },
        })
    }
}

/// Who a card says its device is, when this server signed it.
pub(super) fn check_card(card: &DeviceCard, server: ServerId) -> Result<Principal, CarryError> {
    if card.server() != server {
        return Err(CarryError::OtherServer { other: card.server() });
    }
    let forged = CarryError::Forged("a device's card was not signed by the server");
    if !card.is_within_limits() {
        return Err(forged);
    }
    verify(&card.root, &card.signed(), &card.signature).map_err(|()| forged.clone())?;
    let role = card.role.parse().map_err(|_| forged)?;
    Ok(Principal { device: card.device(), role, unit: card.unit })
}

/// Checks an Ed25519 signature strictly.
pub(super) fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), ()> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| ())?;
    key.verify_strict(message, &Signature::from_bytes(signature)).map_err(|_| ())
}

/// True when `unit` lies within `own`, under either list.
pub(crate) fn covers(own: UnitRef, unit: UnitRef) -> bool {
    own == unit || Catalog::shared().covers(own, unit)
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], CarryError> {
    let decoded = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    decoded.ok_or(CarryError::Forged("the server's answer has a field that is not base64url of its length"))
}
