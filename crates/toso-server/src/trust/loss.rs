//! Whether and when a server's history began with a loss: a restore from a backup, or an empty store under keys that were
//! there.
//!
//! After a loss devices return what they had from the server, without their authors' signatures, which nobody kept. What
//! such a change says of its author rests on the device that returns it, so there is a time for it ([`RETURN_WINDOW_MS`]),
//! and within it only what a recorder could have written is taken as it comes ([`Trust::judge_returned`]).

use toso_catalog::Catalog;
use toso_core::id::AuthorId;
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};
use toso_store::{RecordStore, StoreError};
use toso_sync::{AccessRole, ReturnVerdict};

use super::{QUARANTINE_KEY, Trust, put};
use crate::restored::{RESTORED_KEY, Restored};
use crate::tables::SERVER_TABLE;

/// Set when the store was found empty under keys that were there: when, 8 bytes big-endian (1 byte in older folders).
const REFILLING_KEY: &[u8] = b"refilling";

/// How long after a loss devices may return others' changes: 90 days. A phone comes by within days, and the longest that
/// communes were cut off after a storm is some weeks; 90 days are a season. What comes later is a hundredth, and an officer
/// looks at it.
pub const RETURN_WINDOW_MS: u64 = 90 * 24 * 60 * 60 * 1000;

/// Notes that the store was lost. Without the list of revocations nobody knows who was shut out.
pub(super) fn mark_lost_store(store: &dyn RecordStore, has_list: bool, now: TimestampMs) -> Result<(), StoreError> {
    if !has_list {
        put(store, QUARANTINE_KEY, &now.0.to_be_bytes(), now)?;
    }
    put(store, REFILLING_KEY, &now.0.to_be_bytes(), now)
}

/// When this history began with a loss; the later, when it did so twice.
pub(super) fn when(store: &dyn RecordStore, now: TimestampMs) -> Result<Option<TimestampMs>, StoreError> {
    let restored = match (Restored::load(store)?, store.record(SERVER_TABLE, RESTORED_KEY)?) {
        (Some(restored), _) => Some(restored.at),
        (None, Some(_)) => Some(TimestampMs::default()),
        (None, None) => None,
    };
    let Some(refilling) = store.record(SERVER_TABLE, REFILLING_KEY)? else { return Ok(restored) };
    let refilling = if let Ok(at) = refilling.try_into().map(u64::from_be_bytes) {
        TimestampMs(at)
    } else {
        // An older version did not note the time: it counts from now on.
        put(store, REFILLING_KEY, &now.0.to_be_bytes(), now)?;
        now
    };
    Ok(restored.max(Some(refilling)))
}

impl Trust {
    /// True when this history began with a loss. Only then may devices return others' changes without their authors'
    /// signatures, and does a token tell of moves.
    pub fn began_with_a_loss(&self) -> bool {
        self.loss.is_some()
    }

    /// What becomes of changes of `author` in `scope` that another device returns, which had them from the server.
    ///
    /// Taken is what a recorder of the commune could have written, within the window. Anything that would speak with more
    /// than a recorder's word waits for an officer: an officer's or an admin's name, that of a device which this server does
    /// not know, which it has shut out, or which never was of this commune.
    pub fn judge_returned(&self, catalog: &Catalog, author: AuthorId, scope: Scope, now: TimestampMs) -> ReturnVerdict {
        let within = self.loss.is_some_and(|at| now.since_ms(at) < RETURN_WINDOW_MS);
        let known =
            self.device_of_author(author).filter(|device| !device.revoked && device.role() == AccessRole::Recorder);
        let covers = |unit: UnitRef| unit == scope || catalog.covers(unit, scope);
        let of_here =
            known.is_some_and(|device| covers(device.unit) || device.former.iter().any(|former| covers(former.unit)));
        if within && of_here { ReturnVerdict::Take } else { ReturnVerdict::Hold }
    }
}
