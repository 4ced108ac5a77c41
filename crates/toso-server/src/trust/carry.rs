//! What phones need to help each other where no server is in reach: cards, bundle keys, and the check of what one carried
//! for another.
//!
//! A bundle key belongs to a unit and a generation. The generation is the number of devices that could read the unit and no
//! longer may, since they were revoked, moved away or enrolled elsewhere ([`super::departures`]). It rises with each of
//! them and never falls, so a device that left lacks the keys of all later bundles.
//!
//! A server that was restored, or has lost its records, has lost some of that count. So its generations begin at the second
//! of the loss, above all that it gave before, and its keys are of its epoch: the number may come again after one more loss,
//! the key does not.

use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use toso_catalog::Catalog;
use toso_core::id::{AuthorId, DeviceId};
use toso_core::unit::UnitRef;
use toso_sync::{CarriedRefusal, Principal};
use toso_wire::DeviceCard;
use zeroize::Zeroizing;

use super::Trust;
use super::keys::RootKeys;

/// What bundle keys are derived from the root key for.
const BUNDLE_KEY_CONTEXT: &str = "toso 2022-09-19 bundle key v1";
/// The same in a history that began with a loss.
const LATER_BUNDLE_KEY_CONTEXT: &str = "toso 2022-09-19 bundle key of a later epoch v1";
/// Where generations after a loss are counted from: 19/9/2022, in seconds. A `u32` of seconds lasts until 2158, and no
/// country has more departures than seconds between two losses.
const GENERATIONS_SINCE_S: u64 = 1_663_545_600;

/// A unit's key for bundles.
#[derive(Clone)]
pub struct BundleKey {
    /// The unit.
    pub unit: UnitRef,
    /// Rises when a device leaves the unit.
    pub generation: u32,
    /// The key.
    pub key: Zeroizing<[u8; 32]>,
}

impl Trust {
    /// The card of an enrolled device that may still work.
    pub fn card(&self, id: DeviceId) -> Option<DeviceCard> {
        let device = self.device(id).filter(|device| !device.revoked)?;
        let mut card = DeviceCard {
            root: self.keys.public_bytes().try_into().ok()?,
            key: device.public_key,
            unit: device.unit,
            role: device.role.clone(),
            signature: [0; 64],
        };
        card.signature = self.keys.signing.sign(&card.signed()).to_bytes();
        Some(card)
    }

    /// A unit's present bundle key. Whether the asker may have it is for the caller to say.
    pub fn bundle_key(&self, catalog: &Catalog, unit: UnitRef) -> BundleKey {
        let generation = self.bundle_generation(catalog, unit);
        let secret = self.keys.secret();
        let (context, epoch) = match self.loss {
            None => (BUNDLE_KEY_CONTEXT, Vec::new()),
            Some(_) => (LATER_BUNDLE_KEY_CONTEXT, self.epoch().0.to_be_bytes().to_vec()),
        };
        let material = [&*secret, unit.to_key().as_slice(), &generation.to_be_bytes(), &epoch].concat();
        let material = Zeroizing::new(material);
        let key = Zeroizing::new(blake3::derive_key(context, &material));
        BundleKey { unit, generation, key }
    }

    /// Who made a carried batch, when the signature is its.
    pub fn verify_carried(
        &self,
        author: AuthorId,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<Principal, CarriedRefusal> {
        let device = self.device_of_author(author).ok_or(CarriedRefusal::UnknownAuthor)?;
        if device.revoked {
            return Err(CarriedRefusal::RevokedAuthor);
        }
        let signature = Signature::from_slice(signature).map_err(|_| CarriedRefusal::BadSignature)?;
        let key = VerifyingKey::from_bytes(&device.public_key).map_err(|_| CarriedRefusal::BadSignature)?;
        key.verify_strict(signed, &signature).map_err(|_| CarriedRefusal::BadSignature)?;
        Ok(device.principal())
    }
}

impl Trust {
    /// The generation of a unit's present bundle key.
    pub(super) fn bundle_generation(&self, catalog: &Catalog, unit: UnitRef) -> u32 {
        let departed = self.departures.count(|of| of == unit || catalog.covers(of, unit));
        let lost_at_s = self.loss.map(|at| at.seconds().saturating_sub(GENERATIONS_SINCE_S));
        u32::try_from(lost_at_s.unwrap_or_default().saturating_add(departed)).unwrap_or(u32::MAX)
    }
}

impl RootKeys {
    /// The root key's secret, to derive from.
    fn secret(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.root.private().to_bytes().to_vec())
    }
}
