//! Places for long reads: comparisons of whole units, answers to REST callers.
//!
//! A place belongs to the work and not to the one who waits for it: work that was begun ends in its own time, also when its
//! caller has hung up, and until then its place is taken. So no more work runs at once than there are places, whatever
//! callers do; what has not begun when its caller goes is never begun. And one device has few of them, so that the others'
//! questions do not wait behind all of its own.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use toso_core::id::DeviceId;

use crate::config::{READS_CONCURRENT_MAX, READS_PER_DEVICE_MAX};

/// Devices that are known before those that read nothing are forgotten.
const DEVICES_KEPT: usize = 1_024;

/// The places.
pub(crate) struct ReadPlaces {
    all: Arc<Semaphore>,
    devices: Mutex<HashMap<DeviceId, Arc<Semaphore>>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _own: Option<OwnedSemaphorePermit>,
    _of_all: OwnedSemaphorePermit,
}

impl Default for ReadPlaces {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(READS_CONCURRENT_MAX)), devices: Mutex::default() }
    }
}

impl ReadPlaces {
    /// Waits for a place. `device` is who asks; `None` is the operator, whose own places are not counted.
    pub(crate) async fn take(&self, device: Option<DeviceId>) -> Option<Place> {
        let own = match device {
            // Its own first, so that a device that waits for its own takes none of the others'.
            Some(device) => Some(self.of_device(device).acquire_owned().await.ok()?),
            None => None,
        };
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Place { _own: own, _of_all: of_all })
    }

    fn of_device(&self, device: DeviceId) -> Arc<Semaphore> {
        let mut devices = self.devices.lock();
        if devices.len() >= DEVICES_KEPT {
            // What waits or works holds its semaphore.
            devices.retain(|_, places| Arc::strong_count(places) > 1);
        }
        Arc::clone(devices.entry(device).or_insert_with(|| Arc::new(Semaphore::new(READS_PER_DEVICE_MAX))))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const ONE: Option<DeviceId> = Some(DeviceId([1; 16]));
    const OTHER: Option<DeviceId> = Some(DeviceId([2; 16]));

    #[tokio::test]
    async fn a_device_takes_its_own_places_and_leaves_the_others() {
        let places = ReadPlaces::default();
        let mut held = Vec::new();
        for _ in 0..READS_PER_DEVICE_MAX {
            held.push(places.take(ONE).await.unwrap());
        }
        assert!(places.take(ONE).now_or_never().is_none(), "one past its own");
        held.push(places.take(OTHER).now_or_never().flatten().expect("others do not wait for it"));
        held.remove(0);
        held.push(places.take(ONE).now_or_never().flatten().expect("a place that was given back"));
        while held.len() < READS_CONCURRENT_MAX {
            held.push(places.take(None).now_or_never().flatten().expect("a place of all"));
        }
        assert!(places.take(None).now_or_never().is_none(), "one past all");
    }

    #[tokio::test]
    async fn devices_that_read_nothing_are_forgotten() {
        let places = ReadPlaces::default();
        let held = places.take(ONE).await.unwrap();
        for number in 0..2 * DEVICES_KEPT as u64 {
            drop(places.take(Some(DeviceId(u128::from(number + 1_000).to_be_bytes()))).await.unwrap());
        }
        assert!(places.devices.lock().len() <= DEVICES_KEPT);
        assert!(places.devices.lock().contains_key(&DeviceId([1; 16])), "one that reads is not");
        drop(held);
    }
}
