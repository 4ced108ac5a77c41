//! Who a device is: what this one was called when it enrolled, and what others are called, as far as the server has told.
//!
//! A change says which device wrote it by its number. Names do not travel with changes: they are asked for when somebody
//! looks, kept for the unit, and shown without network from then on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toso_core::id::{AuthorId, DocId};
use toso_core::unit::UnitRef;
use toso_store::chunk_store::SETTING_BYTES_MAX;
use toso_store::{ChunkStore, StoreError, Transaction};

use super::Replica;
use super::receipts::{read_setting, setting};
use crate::error::ReplicaError;

/// What other devices are called.
pub(super) const SETTING_NAMES: &str = "device-names";
/// What this device was called when it enrolled.
const SETTING_OWN_NAME: &str = "device-name";
/// Bytes of names kept, so that they fit in one setting with the unit: 125 devices with the longest names (80 characters of
/// three bytes), and 700 with usual ones. A commune has some ten, and some hundred wrote in its documents over the years.
const NAMES_BYTES_MAX: usize = SETTING_BYTES_MAX - 128;
/// What MessagePack puts around an id and its name.
const NAME_FRAME_BYTES: usize = 6;

/// What the server has told, of which unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    unit: Option<UnitRef>,
    names: BTreeMap<String, String>,
}

/// What devices are called, as far as it is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceNames {
    own: AuthorId,
    own_name: Option<String>,
    told: BTreeMap<String, String>,
}

impl DeviceNames {
    /// True for this very device.
    pub fn is_own(&self, device: AuthorId) -> bool {
        device == self.own
    }

    /// What this device is called.
    pub fn own_name(&self) -> Option<&str> {
        self.own_name.as_deref()
    }

    /// What a device is called.
    pub fn name(&self, device: AuthorId) -> Option<&str> {
        if self.is_own(device) {
            self.own_name.as_deref()
        } else {
            self.told.get(&device.to_string()).map(String::as_str)
        }
    }
}

/// Keeps what this device is called.
pub fn keep_own_name(store: &dyn ChunkStore, name: Option<&str>) -> Result<(), StoreError> {
    let own = name.map(|name| name.as_bytes().to_vec());
    store.commit(Transaction { settings: vec![(SETTING_OWN_NAME.to_owned(), own)], ..Transaction::default() })
}

/// What this device is called.
pub fn own_name(store: &dyn ChunkStore) -> Result<Option<String>, StoreError> {
    Ok(store.setting(SETTING_OWN_NAME)?.and_then(|bytes| String::from_utf8(bytes).ok()))
}

impl Replica {
    /// What devices are called, as far as it is known here.
    pub fn device_names(&self) -> Result<DeviceNames, ReplicaError> {
        let own_name = own_name(self.store.as_ref())?;
        Ok(DeviceNames { own: self.device.id().author(), own_name, told: self.told_names()?.names })
    }

    /// The devices whose names are worth asking for: those that wrote the values in conflict here, and those in the histories
    /// of some documents. This very device is none of them.
    pub fn devices_to_name(&self, documents: &[DocId]) -> Result<Vec<String>, ReplicaError> {
        let mut devices = self.writers(documents)?;
        devices.remove(&self.device.id().author());
        Ok(devices.iter().map(ToString::to_string).collect())
    }

    /// Keeps the names that the server gave for devices that it was asked about; tells how many are new.
    pub fn keep_device_names(&self, asked: &[String], told: BTreeMap<String, String>) -> Result<usize, ReplicaError> {
        let unit = self.credential()?.unit;
        let known = self.told_names()?.names;
        let mut names = known.clone();
        names.extend(told);
        let names = within_setting(names, asked);
        let new = names.keys().filter(|id| !known.contains_key(*id)).count();
        let settings = vec![setting(SETTING_NAMES, &Told { unit: Some(unit), names })];
        self.store.commit(Transaction { settings, ..Transaction::default() })?;
        Ok(new)
    }

    /// What was told for the present unit; a former unit's names are nobody's here any more.
    fn told_names(&self) -> Result<Told, ReplicaError> {
        let told: Option<Told> = read_setting(self.store.as_ref(), SETTING_NAMES)?;
        let unit = self.credential().ok().map(|credential| credential.unit);
        Ok(told.filter(|told| told.unit == unit).unwrap_or_default())
    }
}

/// The names that fit in the setting, first those that were asked about now.
fn within_setting(names: BTreeMap<String, String>, asked: &[String]) -> BTreeMap<String, String> {
    let (asked, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|(id, _)| asked.contains(id));
    let mut left = NAMES_BYTES_MAX;
    let fits = |(id, name): &(String, String)| {
        let rest = left.checked_sub(id.len() + name.len() + NAME_FRAME_BYTES);
        left = rest.unwrap_or(left);
        rest.is_some()
    };
    asked.into_iter().chain(others).filter(fits).collect()
}

#[cfg(test)]
mod tests;
