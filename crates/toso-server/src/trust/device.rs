//! The devices that have enrolled. Table `devices`: author id, the first half of the device's → [`DeviceRecord`] as
//! MessagePack.
//!
//! So the table itself lets no two devices share an author id, by which actors and log entries name them; and a device is
//! never found by that alone where its whole id is known: the record's public key decides.
//!
//! All of them are in memory too (about 250 B each without the token), since every session and request asks.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use toso_core::id::{AuthorId, DeviceId, DevicePrefix, Epoch};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::{RecordChange, RecordStore, StoreError};
use toso_sync::{AccessRole, Principal, Rank};

use super::raced::again_when_raced;
use super::{Entry, Placement, Trust};
use crate::tables::DEVICE_TABLE;

/// An enrolled device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// Its Ed25519 public key.
    #[serde(with = "serde_bytes")]
    pub public_key: [u8; 32],
    /// What it calls itself; chosen by its user, so never logged.
    pub name: Option<String>,
    /// Where it may work.
    pub unit: UnitRef,
    /// Its role's word.
    pub role: String,
    /// When it enrolled.
    pub enrolled_at: TimestampMs,
    /// When its token ends.
    pub expires_at: TimestampMs,
    /// Hash of the invite that it used.
    #[serde(with = "serde_bytes")]
    pub invite: [u8; 32],
    /// Its token, so that a repeated exchange gets the same answer; left out in memory unless the device was moved.
    #[serde(with = "serde_bytes")]
    pub token: Vec<u8>,
    /// True once revoked.
    pub revoked: bool,
    /// Units that it belonged to before, newest first, at most [`super::FORMER_UNITS_MAX`].
    #[serde(default)]
    pub former: Vec<FormerUnit>,
    /// How often it was placed anew, by a move or an enrolment: of two tokens the one of more moves is the newer.
    #[serde(default)]
    pub moves: u32,
    /// The epoch in which it was placed where it is; `None` when a token told so.
    #[serde(default)]
    pub placed_in: Option<Epoch>,
}

/// A unit that a device left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerUnit {
    /// The unit.
    pub unit: UnitRef,
    /// When it was moved away.
    pub until: TimestampMs,
    /// The officer's device that moved it; `None` for the admin token, and for a new enrolment of its own.
    pub by: Option<AuthorId>,
}

impl DeviceRecord {
    /// Its identity.
    pub fn id(&self) -> DeviceId {
        DeviceId::from_public_key(&self.public_key)
    }

    /// Its role; the least one should the word be unknown to this version.
    pub fn role(&self) -> AccessRole {
        self.role.parse().unwrap_or(AccessRole::Viewer)
    }

    /// Where it belongs, for the list beside the root key.
    pub(super) fn placement(&self) -> Placement {
        Placement { unit: self.unit, role: self.role(), moves: self.moves }
    }

    /// Its place among others.
    pub fn rank(&self) -> Rank {
        Rank { role: self.role(), unit: self.unit }
    }

    pub(super) fn principal(&self) -> Principal {
        Principal { device: self.id(), role: self.role(), unit: self.unit }
    }

    /// In memory only a moved device's token is kept: its next session tells it.
    fn forget_token(&mut self) {
        if self.former.is_empty() {
            self.token = Vec::new();
        }
    }

    pub(super) fn to_change(&self) -> RecordChange {
        RecordChange {
            table: DEVICE_TABLE.to_owned(),
            key: self.id().author().0.to_vec(),
            // Plain structs of numbers, texts and bytes always encode.
            value: Some(rmp_serde::to_vec(self).unwrap_or_default()),
            expect: None,
        }
    }
}

pub(super) struct Devices {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    by_author: HashMap<AuthorId, Arc<DeviceRecord>>,
}

impl Devices {
    pub(super) fn load(store: &dyn RecordStore) -> Result<Self, StoreError> {
        let mut known = Known::default();
        for (key, value) in store.records(DEVICE_TABLE, &[])? {
            known.keep(decode(&key, &value)?);
        }
        Ok(Self { known: RwLock::new(known) })
    }

    pub(super) fn find(&self, id: DeviceId) -> Option<Arc<DeviceRecord>> {
        self.by_author(id.author()).filter(|device| device.id() == id)
    }

    pub(super) fn by_author(&self, author: AuthorId) -> Option<Arc<DeviceRecord>> {
        self.known.read().by_author.get(&author).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<DeviceRecord>> {
        self.known.read().by_author.values().cloned().collect()
    }

    /// Keeps a device whose record was just written. Of two that change one device, the one that comes last here may have
    /// written first: what stands in the store counts.
    pub(super) fn keep(&self, store: &dyn RecordStore, written: DeviceRecord) {
        let mut known = self.known.write();
        let stored = stored_bytes(store, written.id()).ok().flatten();
        known.keep(stored.map_or(written, |(_, stored)| stored));
    }
}

impl Known {
    fn keep(&mut self, mut device: DeviceRecord) {
        device.forget_token();
        self.by_author.insert(device.id().author(), Arc::new(device));
    }
}

/// The record that stands under an author id, of whichever device, and the very bytes of it.
pub(super) fn stored_under(
    store: &dyn RecordStore,
    author: AuthorId,
) -> Result<Option<(Vec<u8>, DeviceRecord)>, StoreError> {
    let Some(bytes) = store.record(DEVICE_TABLE, &author.0)? else { return Ok(None) };
    let record = decode(&author.0, &bytes)?;
    Ok(Some((bytes, record)))
}

/// A device's record, and the very bytes that are stored, for a write that expects them unchanged.
pub(super) fn stored_bytes(
    store: &dyn RecordStore,
    id: DeviceId,
) -> Result<Option<(Vec<u8>, DeviceRecord)>, StoreError> {
    Ok(stored_under(store, id.author())?.filter(|(_, record)| record.id() == id))
}

fn decode(key: &[u8], value: &[u8]) -> Result<DeviceRecord, StoreError> {
    rmp_serde::from_slice(value).map_err(|error| StoreError::Damaged {
        path: "the server's records".to_owned(),
        place: format!("{DEVICE_TABLE}/{}", data_encoding::HEXLOWER.encode(key)),
        detail: error.to_string(),
    })
}

impl Trust {
    /// An enrolled device.
    pub fn device(&self, id: DeviceId) -> Option<Arc<DeviceRecord>> {
        self.devices.find(id)
    }

    /// The enrolled device that an author id stands for.
    pub fn device_of_author(&self, author: AuthorId) -> Option<Arc<DeviceRecord>> {
        self.devices.by_author(author)
    }

    /// A device that only its author id is known of, as people are shown it: its whole id where the device is enrolled.
    pub fn shown(&self, author: AuthorId) -> DevicePrefix {
        self.device_of_author(author).map_or_else(|| author.into(), |device| device.id().into())
    }

    /// The enrolled devices whose id begins so.
    pub fn devices_named(&self, prefix: &DevicePrefix) -> Vec<Arc<DeviceRecord>> {
        self.devices.known.read().by_author.values().filter(|device| prefix.names(device.id())).cloned().collect()
    }

    /// Keeps what a token told of a device that has proved itself, durably.
    pub(super) fn learn(&self, device: &DeviceRecord, now: TimestampMs) -> Result<(), StoreError> {
        let stored = self.store.record(DEVICE_TABLE, &device.id().author().0)?;
        tracing::warn!(device = %device.id(), unit = %device.unit, "a device's token says more than its record here");
        let before = stored.as_deref().map(|bytes| decode(&device.id().author().0, bytes)).transpose()?;
        let knew = |unit: UnitRef| before.iter().flat_map(|before| &before.former).any(|former| former.unit == unit);
        let left: Vec<UnitRef> = device.former.iter().map(|former| former.unit).filter(|unit| !knew(*unit)).collect();
        // Only if nobody else changed the device meanwhile: a revocation must not be undone.
        let change = RecordChange { expect: Some(stored), ..device.to_change() };
        self.departures.write(&*self.store, &left, vec![change], now)?;
        self.devices.keep(&*self.store, device.clone());
        Ok(())
    }

    /// True when the device may still work.
    pub fn is_welcome(&self, id: DeviceId) -> bool {
        self.devices.find(id).is_some_and(|device| !device.revoked)
    }

    /// Devices that a test on their unit selects, by id.
    pub fn devices(&self, mut select: impl FnMut(UnitRef) -> bool) -> Vec<Arc<DeviceRecord>> {
        let mut found: Vec<_> =
            self.devices.known.read().by_author.values().filter(|device| select(device.unit)).cloned().collect();
        found.sort_by_key(|device| device.id());
        found
    }

    /// Revokes a device for good, durably. `false` when it is unknown. Repeating it changes nothing.
    pub fn revoke(&self, id: DeviceId, now: TimestampMs) -> Result<bool, StoreError> {
        if device_is_unknown(&*self.store, id)? {
            return Ok(false);
        }
        // First: a restore from a backup forgets the record, and not this.
        self.revocations.add(Entry::Device(id), now)?;
        self.shut_out(id, now)
    }

    /// Writes into a device's record that it is revoked. `false` when it has none.
    pub(super) fn shut_out(&self, id: DeviceId, now: TimestampMs) -> Result<bool, StoreError> {
        again_when_raced(|| self.shut_out_once(id, now))
    }

    fn shut_out_once(&self, id: DeviceId, now: TimestampMs) -> Result<bool, StoreError> {
        let Some((stored, mut device)) = stored_bytes(&*self.store, id)? else { return Ok(false) };
        if device.revoked {
            return Ok(true);
        }
        device.revoked = true;
        // Only if nobody else changed the device meanwhile: it must not go back to a unit it was moved from.
        let change = RecordChange { expect: Some(Some(stored)), ..device.to_change() };
        self.departures.write(&*self.store, &[device.unit], vec![change], now)?;
        self.devices.keep(&*self.store, device);
        Ok(true)
    }
}

/// The devices that records say are revoked.
pub(crate) fn revoked_in(store: &dyn RecordStore) -> Result<Vec<DeviceId>, StoreError> {
    let devices = store.records(DEVICE_TABLE, &[])?;
    let devices: Vec<_> = devices.iter().map(|(key, value)| decode(key, value)).collect::<Result<_, _>>()?;
    Ok(devices.iter().filter(|device| device.revoked).map(DeviceRecord::id).collect())
}

fn device_is_unknown(store: &dyn RecordStore, id: DeviceId) -> Result<bool, StoreError> {
    Ok(store.record(DEVICE_TABLE, &id.author().0)?.is_none())
}
