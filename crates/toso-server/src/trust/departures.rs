//! How many devices have left each unit: by revocation, by a move, by an enrolment elsewhere.
//!
//! Table `departures`: unit → the count, 8 bytes big-endian. Written with the record of the device that leaves, in one
//! transaction. It only rises: a device that comes back does not take its departure back, since it has read what it has
//! read, and counting former units in records would forget the ninth.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::records::RECORD_CHANGES_MAX;
use toso_store::{RecordChange, RecordStore, StoreError};

use super::device::DeviceRecord;
use crate::tables::DEPARTURE_TABLE;

/// The counts. All of them are in memory: only units that somebody has left have one.
pub(super) struct Departures {
    /// Nobody who holds it waits for the disk.
    counts: RwLock<HashMap<UnitRef, u64>>,
    /// Held over a write: two devices that leave one unit at the same moment are two.
    writing: Mutex<()>,
}

impl Departures {
    /// Reads them. Folders of before have no counts, and as many departures as revoked devices and former units: these are
    /// written down, since a record forgets.
    pub(super) fn load(
        store: &dyn RecordStore,
        devices: &[Arc<DeviceRecord>],
        now: TimestampMs,
    ) -> Result<Self, StoreError> {
        let mut counts: HashMap<UnitRef, u64> = HashMap::new();
        for device in devices {
            let revoked = device.revoked.then_some(device.unit);
            for unit in device.former.iter().map(|former| former.unit).chain(revoked) {
                *counts.entry(unit).or_default() += 1;
            }
        }
        let mut told = counts.clone();
        for (key, value) in store.records(DEPARTURE_TABLE, &[])? {
            let unit = <[u8; 8]>::try_from(key.as_slice()).ok().and_then(|key| UnitRef::from_key(key).ok());
            let count = value.try_into().ok().map(u64::from_be_bytes);
            let (Some(unit), Some(count)) = (unit, count) else {
                return Err(StoreError::Damaged {
                    path: "the server's records".to_owned(),
                    place: DEPARTURE_TABLE.to_owned(),
                    detail: "a count cannot be read".to_owned(),
                });
            };
            told.retain(|of, told| *of != unit || *told > count);
            let known = counts.entry(unit).or_default();
            *known = count.max(*known);
        }
        let told: Vec<RecordChange> = told.into_iter().map(|(unit, count)| record(unit, count)).collect();
        for part in told.chunks(RECORD_CHANGES_MAX) {
            store.command(now, part)?;
        }
        Ok(Self { counts: RwLock::new(counts), writing: Mutex::default() })
    }

    /// Writes changes of the records, durably, with one departure more for each unit in `left`.
    pub(super) fn write(
        &self,
        store: &dyn RecordStore,
        left: &[UnitRef],
        mut changes: Vec<RecordChange>,
        now: TimestampMs,
    ) -> Result<(), StoreError> {
        if left.is_empty() {
            return store.command(now, &changes).map(drop);
        }
        let _writing = self.writing.lock();
        let mut raised: HashMap<UnitRef, u64> = HashMap::new();
        {
            let counts = self.counts.read();
            for unit in left {
                let before = counts.get(unit).copied().unwrap_or_default();
                *raised.entry(*unit).or_insert(before) += 1;
            }
        }
        changes.extend(raised.iter().map(|(unit, count)| record(*unit, *count)));
        store.command(now, &changes)?;
        self.counts.write().extend(raised);
        Ok(())
    }

    /// How many devices have left the units that a test selects.
    pub(super) fn count(&self, mut select: impl FnMut(UnitRef) -> bool) -> u64 {
        self.counts.read().iter().filter(|(unit, _)| select(**unit)).map(|(_, count)| count).sum()
    }
}

fn record(unit: UnitRef, count: u64) -> RecordChange {
    RecordChange {
        table: DEPARTURE_TABLE.to_owned(),
        key: unit.to_key().to_vec(),
        value: Some(count.to_be_bytes().to_vec()),
        expect: None,
    }
}
