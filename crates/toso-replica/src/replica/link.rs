//! What the device remembers of the network that it last synced over: how much goes through at a time, and whether sockets
//! work there.

use serde::{Deserialize, Serialize};
use toso_core::time::TimestampMs;
use toso_store::{StoreError, Transaction};
use toso_sync::Pace;

use super::Replica;
use super::receipts::{read_setting, setting};
use crate::credential::Credential;

const SETTING_LINK: &str = "link";
/// After so long by requests the socket is tried again: a few seconds of one try, against the rest of a day by requests
/// when the network has changed and nobody told. A platform that tells ([`Replica::network_is_another`]) need not wait.
pub const SOCKET_AGAIN_MS: u64 = 30 * 60 * 1_000;

/// The memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct LinkMemory {
    /// See [`Pace`].
    #[serde(default)]
    pace_bytes: Option<u32>,
    /// Sockets did not work, and requests did.
    #[serde(default)]
    requests: Option<Requests>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Requests {
    /// The address that was dialled.
    server_url: String,
    /// The device's clock when the socket last failed.
    since: TimestampMs,
}

impl Replica {
    /// How much goes through the link at a time.
    pub(super) fn pace(&self) -> Result<Pace, StoreError> {
        Ok(Pace::of_bytes(self.link()?.pace_bytes))
    }

    pub(super) fn keep_pace(&self, pace: Pace) -> Result<(), StoreError> {
        self.change_link(|link| link.pace_bytes = pace.bytes())
    }

    /// True while the device goes to this server by requests, since sockets did not work a while ago.
    pub fn goes_by_requests(&self, credential: &Credential) -> Result<bool, StoreError> {
        let Some(requests) = self.link()?.requests else { return Ok(false) };
        let since = requests.since.0;
        // A clock that was set back says nothing.
        let fresh = (since..since.saturating_add(SOCKET_AGAIN_MS)).contains(&(self.clock)().0);
        Ok(fresh && requests.server_url == credential.server_url)
    }

    /// Sockets do not work here, and requests do.
    pub fn go_by_requests(&self, credential: &Credential) -> Result<(), StoreError> {
        let (server_url, since) = (credential.server_url.clone(), (self.clock)());
        self.change_link(|link| link.requests = Some(Requests { server_url, since }))
    }

    /// The device is in another network, or has been by requests for long enough: the socket is tried first.
    pub fn network_is_another(&self) -> Result<(), StoreError> {
        self.change_link(|link| link.requests = None)
    }

    fn link(&self) -> Result<LinkMemory, StoreError> {
        Ok(read_setting(self.store.as_ref(), SETTING_LINK)?.unwrap_or_default())
    }

    fn change_link(&self, change: impl FnOnce(&mut LinkMemory)) -> Result<(), StoreError> {
        let before = self.link()?;
        let mut link = before.clone();
        change(&mut link);
        if link == before {
            return Ok(());
        }
        let settings = vec![setting(SETTING_LINK, &link)];
        match self.store.commit(Transaction { settings, ..Transaction::default() }) {
            // Without room it is not remembered, and found out again.
            Ok(()) | Err(StoreError::Full { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
