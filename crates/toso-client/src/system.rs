//! What the system gives a device: its clock, and randomness.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use toso_core::edit::ActivityId;
use toso_core::time::TimestampMs;
use toso_replica::{Device, ReplicaOptions};
use toso_store::{ChunkStore, StoreError};

/// How a replica is opened on this system: with its clock and its randomness.
pub fn options() -> ReplicaOptions {
    ReplicaOptions::new(Arc::new(now), Arc::new(fill))
}

/// The device of a store; makes and stores a key when there is none.
pub fn device(store: &dyn ChunkStore) -> Result<Device, StoreError> {
    Device::of_store(store, &fill)
}

/// An id for a new activity.
pub fn new_activity_id() -> ActivityId {
    ActivityId(random())
}

/// The system's clock.
pub fn now() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Fills from the system's generator.
///
/// # Panics
/// When the system gives no random bytes: one that cannot, cannot keep a secret either.
pub fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

/// Bytes from the system's generator.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}
