//! The device's own key, made on first start and never leaving the device.

use std::sync::Arc;

use ed25519_dalek::{Signer, SigningKey};
use toso_core::id::{Actor, DeviceId};
use toso_store::{ChunkStore, StoreError, Transaction};
use zeroize::Zeroizing;

const SETTING_DEVICE_KEY: &str = "device-key";

/// A device: its Ed25519 key.
#[derive(Clone)]
pub struct Device {
    key: SigningKey,
}

impl Device {
    /// The device of a store; makes a key from the random source, and stores it, when there is none.
    pub fn of_store(store: &dyn ChunkStore, fill: &dyn Fn(&mut [u8])) -> Result<Self, StoreError> {
        if let Some(secret) = store.setting(SETTING_DEVICE_KEY)?.map(Zeroizing::new)
            && let Ok(secret) = <&[u8; 32]>::try_from(secret.as_slice())
        {
            return Ok(Self { key: SigningKey::from_bytes(secret) });
        }
        let mut secret = Zeroizing::new([0; 32]);
        fill(secret.as_mut_slice());
        let setting = (SETTING_DEVICE_KEY.to_owned(), Some(secret.to_vec()));
        store.commit(Transaction { settings: vec![setting], ..Transaction::default() })?;
        Ok(Self { key: SigningKey::from_bytes(&secret) })
    }

    /// The device of a secret key, 32 bytes.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(secret) }
    }

    /// The secret key, for a token file that the device's owner asked for.
    pub fn secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// The device's id.
    pub fn id(&self) -> DeviceId {
        DeviceId::from_public_key(&self.public_key())
    }

    /// Signs bytes.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// An actor for one opening of the store, told apart from all others by bytes of the random source.
    pub fn new_actor(&self, fill: &dyn Fn(&mut [u8])) -> Actor {
        Actor::new(self.id(), random_from(fill))
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Device({})", self.id())
    }
}

/// Where a replica takes random bytes from: keys, actors, ids of members, nonces.
pub type RandomSource = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Bytes from a given source.
pub fn random_from<const N: usize>(fill: &dyn Fn(&mut [u8])) -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}
