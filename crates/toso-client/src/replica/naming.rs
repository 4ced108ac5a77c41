//! Names of devices that come by themselves: after a sync that brought a clash with a device whose name is not known here, and
//! when somebody looks at a history with one. Never otherwise, so that a sync without such news costs no request more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use toso_core::id::{AuthorId, DocId};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::Transaction;

use super::names::NamesError;
use super::receipts::{read_setting, setting};
use super::{Replica, ReplicaError, ReplicaEvent};
use crate::rest::RestError;

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

impl Replica {
    /// Asks the server for the names of devices that wrote the values in conflict here, and the saves of some documents, when
    /// there are any that are not known and were not asked about within a day; tells how many names are new, also by
    /// [`ReplicaEvent::Names`]. Blocks; returns at once when another call of it is under way.
    pub fn fetch_missing_names(&self, documents: &[DocId]) -> Result<usize, NamesError> {
        if self.naming.swap(true, Ordering::Acquire) {
            return Ok(0);
        }
        let fetched = self.fetch_missing(documents);
        self.naming.store(false, Ordering::Release);
        fetched
    }

    fn fetch_missing(&self, documents: &[DocId]) -> Result<usize, NamesError> {
        let unit = self.credential().map_err(ReplicaError::from)?.unit;
        let now = (self.clock)();
        let asked: Option<Asked> = read_setting(self.store.as_ref(), SETTING_ASKED).map_err(ReplicaError::from)?;
        let mut asked = asked.filter(|asked| asked.unit == Some(unit)).unwrap_or_default();
        // By a clock that was ahead, too.
        asked.at.retain(|_, at| now.0.abs_diff(at.0) < ASKED_AGAIN_MS);
        let names = self.device_names()?;
        let missing: Vec<String> = self
            .writers(documents)?
            .into_iter()
            .filter(|device| !names.is_own(*device) && names.name(*device).is_none())
            .map(|device| device.to_string())
            .filter(|device| !asked.at.contains_key(device))
            .collect();
        if missing.is_empty() {
            return Ok(0);
        }
        let fetched = self.fetch_device_names(documents);
        if matches!(fetched, Err(NamesError::Rest(RestError::Unreachable { .. } | RestError::Interrupted { .. }))) {
            return fetched;
        }
        // A server that refuses is not asked each time either.
        asked.unit = Some(unit);
        asked.at.extend(missing.into_iter().map(|device| (device, now)));
        while asked.at.len() > ASKED_MAX {
            let oldest = asked.at.iter().min_by_key(|(_, at)| **at).map(|(device, _)| device.clone());
            asked.at.remove(&oldest.unwrap_or_default());
        }
        let settings = vec![setting(SETTING_ASKED, &asked)];
        self.store.commit(Transaction { settings, ..Transaction::default() }).map_err(ReplicaError::from)?;
        if matches!(fetched, Ok(new) if new > 0) {
            self.announce(ReplicaEvent::Names);
        }
        fetched
    }

    /// The devices that wrote the values in conflict here, and those in the histories of some documents.
    pub(super) fn writers(&self, documents: &[DocId]) -> Result<BTreeSet<AuthorId>, ReplicaError> {
        let mut devices = BTreeSet::new();
        for conflict in self.conflicts()? {
            devices.extend(conflict.values.iter().map(|value| value.device));
        }
        for document in documents {
            let saves = self.history(*document)?;
            devices.extend(saves.iter().flat_map(|save| [Some(save.save.device), save.brought_back_by]).flatten());
        }
        Ok(devices)
    }
}
