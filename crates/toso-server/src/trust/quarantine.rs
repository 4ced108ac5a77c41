//! A server that does not know whom it has shut out takes nothing from anybody.
//!
//! Revocations lie in the records and in the list beside the root key. Where records come from a backup, or are gone, and
//! the list is not there or is older than the backup, devices that were revoked since would be let in again. So such a
//! server is in quarantine: it is read at the machine itself, and takes nothing from devices, until an operator has named
//! the devices that are shut out, or said that there are none.

use parking_lot::{Mutex, RwLock};
use toso_core::id::DeviceId;
use toso_core::time::TimestampMs;
use toso_store::{RecordChange, RecordStore, StoreError};

use super::keys::KeyError;
use super::{Entry, Trust};
use crate::tables::SERVER_TABLE;

/// What devices are told meanwhile.
pub(crate) const QUARANTINE_TEXT: &str = "the server was restored and waits until its operator has said which devices are \
     shut out; nothing is lost, everything stays on the device until then; try again later";

/// Set while the server is in quarantine: since when, 8 bytes big-endian.
pub(crate) const QUARANTINE_KEY: &[u8] = b"quarantine";

/// Why a quarantine was not ended. It goes on.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// The list could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The list or the records could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Since when an operator is awaited who says which devices are shut out, if one is.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    /// Every HELLO and `/healthz` read it, so nobody who holds it waits for the disk.
    pub(super) since: RwLock<Option<TimestampMs>>,
    /// Held while it is ended: a second operator waits for the first.
    ending: Mutex<()>,
}

impl Quarantine {
    pub(super) fn load(store: &dyn RecordStore) -> Result<Self, StoreError> {
        let value = store.record(SERVER_TABLE, QUARANTINE_KEY)?;
        let since = value.map(|value| TimestampMs(value.try_into().map_or(0, u64::from_be_bytes)));
        Ok(Self { since: RwLock::new(since), ending: Mutex::default() })
    }
}

impl Trust {
    /// Since when an operator is awaited; `None` for a server that works.
    pub fn quarantined_since(&self) -> Option<TimestampMs> {
        *self.quarantine.since.read()
    }

    /// Shuts devices out and ends the quarantine, durably. Ids that this server does not know go on the list all the same:
    /// they are devices that enrolled after the backup, and would show their tokens.
    pub fn end_quarantine(&self, shut_out: &[DeviceId], now: TimestampMs) -> Result<(), QuarantineError> {
        let _ending = self.quarantine.ending.lock();
        if self.quarantined_since().is_none() {
            return Ok(());
        }
        self.revocations.make()?;
        let entries: Vec<Entry> = shut_out.iter().copied().map(Entry::Device).collect();
        self.revocations.add_all(&entries, now)?;
        self.join_revocations(now)?;
        let lifted =
            RecordChange { table: SERVER_TABLE.to_owned(), key: QUARANTINE_KEY.to_vec(), value: None, expect: None };
        self.store.command(now, &[lifted])?;
        *self.quarantine.since.write() = None;
        Ok(())
    }

    /// Brings list and records together: each gets what only the other has.
    pub(super) fn join_revocations(&self, now: TimestampMs) -> Result<(), KeyError> {
        // A folder of before has none: its records are all that there is.
        self.revocations.make()?;
        let mut news = vec![Entry::Server(self.server())];
        let revoked = self.devices.all().into_iter().filter(|device| device.revoked);
        news.extend(revoked.map(|device| Entry::Device(device.id())));
        let moved = self.devices.all().into_iter().filter(|device| device.moves > 0);
        news.extend(moved.map(|device| Entry::Placed(device.id(), device.placement())));
        let used = self.used_invites()?;
        news.extend(used.iter().map(|(invite, by)| Entry::Used(*invite, *by)));
        news.push(Entry::Seen);
        self.revocations.add_all(&news, now)?;
        let listed = self.revocations.listed();
        for (invite, by) in listed.used.iter().filter(|(invite, _)| !used.contains_key(*invite)) {
            self.use_listed(invite, *by, now)?;
        }
        for (device, placed) in &listed.placed {
            self.place_listed(*device, *placed, now)?;
        }
        for invite in &listed.invites {
            self.withdraw_listed(invite, now)?;
        }
        for device in listed.devices {
            if self.device(device).is_some_and(|known| !known.revoked) {
                tracing::warn!(%device, "shut out again: the list of revocations has it, the records had not");
                self.shut_out(device, now)?;
            }
        }
        Ok(())
    }
}
