//! What enrolment gave the device: which server, which unit, which role, and the token that proves it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use toso_core::id::{Epoch, ServerId};
use toso_core::time::{ServerTime, TimestampMs};
use toso_core::unit::UnitRef;
use toso_store::{ChunkStore, StoreError, Transaction};
use toso_wire::{Proof, Ticket, signed_hello};

use crate::identity::{Device, random_from};

const SETTING_CREDENTIAL: &str = "credential";
const SETTING_SESSION: &str = "session";

/// A device's capability at one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Base address, `https://host[:port]` or `http://…` on a trusted network.
    pub server_url: String,
    /// The server that gave the token.
    pub server_id: ServerId,
    /// Biscuit, bound to the device's key.
    #[serde(with = "serde_bytes")]
    pub token: Vec<u8>,
    /// The unit that the device may see and write.
    pub unit: UnitRef,
    /// `recorder`, `officer`, `viewer`.
    pub role: String,
}

/// Why there is no usable credential.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The device has not been enrolled.
    #[error("this device is not enrolled; ask your officer for an invite and run the enrol command with it")]
    NotEnrolled,
    /// The stored credential cannot be read.
    #[error("the stored credential cannot be read ({0}); enrol again")]
    Unreadable(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Credential {
    /// The credential of a store.
    pub fn load(store: &dyn ChunkStore) -> Result<Self, CredentialError> {
        let bytes = store.setting(SETTING_CREDENTIAL)?.ok_or(CredentialError::NotEnrolled)?;
        rmp_serde::from_slice(&bytes).map_err(|error| CredentialError::Unreadable(error.to_string()))
    }

    /// Stores it and forgets the session of an earlier one.
    pub fn keep(&self, store: &dyn ChunkStore) -> Result<(), CredentialError> {
        let settings = vec![self.setting(), (SETTING_SESSION.to_owned(), None)];
        Ok(store.commit(Transaction { settings, ..Transaction::default() })?)
    }

    /// The setting that keeps it, to be committed with what belongs to it.
    pub(crate) fn setting(&self) -> (String, Option<Vec<u8>>) {
        // A plain struct of numbers, texts and bytes always encodes.
        (SETTING_CREDENTIAL.to_owned(), rmp_serde::to_vec(self).ok())
    }

    /// A fresh proof by the device's key.
    pub fn prove(&self, device: &Device, at: TimestampMs, nonce: &[u8]) -> Proof {
        let signature = device.sign(&signed_hello(self.server_id, at, nonce)).to_vec();
        Proof::Token { token: self.token.clone(), at, nonce: nonce.to_vec(), signature }
    }

    /// The token as text, as it goes into an `Authorization` header.
    pub fn token_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.token)
    }
}

/// How far the server's time that is kept may lie back: what it is for are days, and an unchanged reconnect should not
/// write.
pub(crate) const SERVER_TIME_KEPT_MS: u64 = 12 * 60 * 60 * 1000;

/// What one session leaves for the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionMemory {
    pub(crate) epoch: Option<Epoch>,
    #[serde(with = "serde_bytes")]
    pub(crate) ticket: Vec<u8>,
    /// The server's clock at which the ticket ends.
    pub(crate) ticket_expires_at: TimestampMs,
    /// Server clock minus device clock when they last met, in milliseconds.
    pub(crate) clock_offset_ms: i64,
    /// The server is of another epoch than what is here, and the two have not been compared to the end.
    #[serde(default)]
    pub(crate) foreign: bool,
    /// The server's clock when they last met, kept every [`SERVER_TIME_KEPT_MS`]; 0 when they never did.
    #[serde(default)]
    pub(crate) server_at: TimestampMs,
}

impl SessionMemory {
    pub(crate) fn load(store: &dyn ChunkStore) -> Result<Self, StoreError> {
        let stored = store.setting(SETTING_SESSION)?;
        // It can be had again at the price of one signature, so an unreadable one is simply forgotten.
        Ok(stored.and_then(|bytes| rmp_serde::from_slice(&bytes).ok()).unwrap_or_default())
    }

    /// What the server last said of the time.
    pub(crate) fn server_time(&self) -> Option<ServerTime> {
        let met = self.server_at > TimestampMs(0);
        met.then_some(ServerTime { at: self.server_at, offset_ms: self.clock_offset_ms })
    }

    pub(crate) fn keep_ticket(&mut self, ticket: Ticket) {
        (self.ticket, self.ticket_expires_at) = (ticket.bytes, ticket.expires_at);
    }

    pub(crate) fn setting(&self) -> (String, Option<Vec<u8>>) {
        (SETTING_SESSION.to_owned(), rmp_serde::to_vec(self).ok())
    }

    /// The ticket when it is good for a while yet, else a signature.
    pub(crate) fn proof(
        &self,
        credential: &Credential,
        device: &Device,
        now: TimestampMs,
        fill: &dyn Fn(&mut [u8]),
    ) -> Proof {
        let server_now = TimestampMs(now.0.saturating_add_signed(self.clock_offset_ms));
        if !self.ticket.is_empty() && server_now < self.ticket_expires_at {
            Proof::Ticket(self.ticket.clone())
        } else {
            credential.prove(device, server_now, &random_from::<8>(fill))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a session of an older build left has no server time.
    #[test]
    fn the_memory_of_an_older_build_is_read() {
        let older = rmp_serde::to_vec(&(Some(Epoch(3)), serde_bytes::Bytes::new(b"t"), TimestampMs(5), -7_i64, true));
        let memory: SessionMemory = rmp_serde::from_slice(&older.unwrap()).unwrap();
        assert_eq!((memory.epoch, memory.clock_offset_ms, memory.foreign), (Some(Epoch(3)), -7, true));
        assert_eq!(memory.server_time(), None);
    }
}
