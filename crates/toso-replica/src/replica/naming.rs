//! Names of devices that come by themselves: after a sync that brought a clash with a device whose name is not known here, and
//! when somebody looks at a history with one. Never otherwise, so that a sync without such news costs no request more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use toso_core::id::{AuthorId, DocId};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::Transaction;

use super::Replica;
use super::receipts::{read_setting, setting};
use crate::error::ReplicaError;
use crate::observer::ReplicaEvent;

/// Which devices were asked about, and when.
const SETTING_ASKED: &str = "device-names-asked";
/// A device that had no name is asked about again after a day: it may have got one by enrolling again.
const ASKED_AGAIN_MS: u64 = 24 * 60 * 60 * 1000;
/// Devices remembered as asked about; of more the oldest are forgotten, and asked about again. At 30 bytes each they take half
/// of a setting.
const ASKED_MAX: usize = 500;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Asked {
    unit: Option<UnitRef>,
    at: BTreeMap<String, TimestampMs>,
}

/// Names are being asked for, until this is dropped: one call at a time asks.
#[derive(Debug)]
pub struct AskingNames<'a>(&'a AtomicBool);

impl Drop for AskingNames<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Replica {
    /// Begins to ask for names; `None` while another call is at it.
    pub fn begin_asking_names(&self) -> Option<AskingNames<'_>> {
        (!self.naming.swap(true, Ordering::Acquire)).then(|| AskingNames(&self.naming))
    }

    /// The devices of [`Self::devices_to_name`] whose names are not known here, and which were not asked about within a day.
    pub fn devices_without_names(&self, documents: &[DocId]) -> Result<Vec<String>, ReplicaError> {
        let devices = self.writers(documents)?;
        if devices.is_empty() {
            return Ok(Vec::new());
        }
        let (asked, names) = (self.asked_about()?, self.device_names()?);
        let nameless = devices.into_iter().filter(|device| !names.is_own(*device) && names.name(*device).is_none());
        Ok(nameless.map(|device| device.to_string()).filter(|device| !asked.at.contains_key(device)).collect())
    }

    /// Remembers that these devices were asked about, whatever the server said. `new` names came: observers hear of it.
    pub fn names_were_asked(&self, devices: Vec<String>, new: usize) -> Result<(), ReplicaError> {
        let now = (self.clock)();
        let mut asked = self.asked_about()?;
        asked.at.extend(devices.into_iter().map(|device| (device, now)));
        while asked.at.len() > ASKED_MAX {
            let oldest = asked.at.iter().min_by_key(|(_, at)| **at).map(|(device, _)| device.clone());
            asked.at.remove(&oldest.unwrap_or_default());
        }
        let settings = vec![setting(SETTING_ASKED, &asked)];
        self.store.commit(Transaction { settings, ..Transaction::default() })?;
        if new > 0 {
            self.announce(ReplicaEvent::Names);
        }
        Ok(())
    }

    /// The devices of the present unit that were asked about within a day, by a clock that was ahead, too.
    fn asked_about(&self) -> Result<Asked, ReplicaError> {
        let unit = self.credential()?.unit;
        let now = (self.clock)();
        let asked: Option<Asked> = read_setting(self.store.as_ref(), SETTING_ASKED)?;
        let asked = asked.filter(|asked| asked.unit == Some(unit));
        let mut asked = asked.unwrap_or_else(|| Asked { unit: Some(unit), at: BTreeMap::new() });
        asked.at.retain(|_, at| now.0.abs_diff(at.0) < ASKED_AGAIN_MS);
        Ok(asked)
    }

    /// The devices that wrote the values in conflict here, and those in the histories of some documents.
    pub(super) fn writers(&self, documents: &[DocId]) -> Result<BTreeSet<AuthorId>, ReplicaError> {
        let mut devices = BTreeSet::new();
        for conflict in self.conflicts()? {
            let values = conflict.values.iter();
            devices.extend(values.flat_map(|value| [Some(value.written.device), value.brought_back_by]).flatten());
        }
        for document in documents {
            let saves = self.history(*document)?;
            devices.extend(saves.iter().flat_map(|save| [Some(save.save.device), save.brought_back_by]).flatten());
        }
        Ok(devices)
    }
}
