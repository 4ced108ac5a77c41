//! What enrolment gave the device: which server, which unit, which role, and the token that proves it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use toso_core::id::{Epoch, ServerId};
use toso_core::time::{ServerTime, TimestampMs};
use toso_core::unit::UnitRef;
use toso_store::{ChunkStore, StoreError, Transaction};
use toso_sync::AccessRole;
use toso_wire::proof::TICKET_SECRET_BYTES;
use toso_wire::{Proof, Ticket, TicketProof, TicketSecret, signed_hello};

use crate::identity::{Device, random_from};
use crate::reach::Reach;

/// How long before its token ends a device says so. The server has renewed it 60 days earlier, unless the device has not
/// synced since.
pub const TOKEN_WARNED_MS: u64 = 30 * 24 * 60 * 60 * 1000;

const SETTING_CREDENTIAL: &str = "credential";
const SETTING_SESSION: &str = "session";
/// Set once what an earlier role was refused has been offered again under the present one.
pub(crate) const SETTING_OFFERED_AGAIN: &str = "offered-again";
/// The server has shut the device out, and has said so at its last session.
pub(crate) const SETTING_SHUT_OUT: &str = "shut-out";

/// A device's capability at one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Base address, `https://host[:port]`; `http://…` on this machine, or where [`Reach::insecure_http`] allows it.
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
    /// When the token ends, by the server's clock; `None` until the server has said so. It is renewed long before.
    #[serde(default)]
    pub token_ends: Option<TimestampMs>,
    /// How the server is reached.
    #[serde(default)]
    pub reach: Reach,
}

/// Why there is no usable credential.
#[derive(Debug, Clone, thiserror::Error)]
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
    /// True when its role only reads: nothing of the device's own is pushed then, and what is unsent waits for another role.
    /// Of a role that a newer version knows nothing is known here.
    pub fn reads_only(&self) -> bool {
        self.role.parse().is_ok_and(|known: AccessRole| !known.may_write())
    }

    /// The credential of a store.
    pub fn load(store: &dyn ChunkStore) -> Result<Self, CredentialError> {
        let bytes = store.setting(SETTING_CREDENTIAL)?.ok_or(CredentialError::NotEnrolled)?;
        rmp_serde::from_slice(&bytes).map_err(|error| CredentialError::Unreadable(error.to_string()))
    }

    /// Stores it and forgets the session of an earlier one.
    pub fn keep(&self, store: &dyn ChunkStore) -> Result<(), CredentialError> {
        let mut settings = vec![self.setting()];
        let of_before = [SETTING_SESSION, SETTING_OFFERED_AGAIN, SETTING_SHUT_OUT];
        settings.extend(of_before.map(|name| (name.to_owned(), None)));
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
    /// The secret of a ticket; of any other length it is none.
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
    /// The server's clock until which the ticket is shown: half of its life. After that the device signs, so that it gets
    /// another one without a further round trip.
    #[serde(default)]
    pub(crate) ticket_shown_until: TimestampMs,
    /// The time that the server has last asked a proof for. After its start that lies minutes ahead, and an earlier proof
    /// would be asked for again.
    #[serde(default)]
    pub(crate) proofs_from: TimestampMs,
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

    /// Keeps a ticket that the server gave at `at`, by its clock.
    pub(crate) fn keep_ticket(&mut self, ticket: &Ticket, at: TimestampMs) {
        (self.ticket, self.ticket_expires_at) = (ticket.secret.0.to_vec(), ticket.expires_at);
        self.ticket_shown_until = at.plus_ms(ticket.expires_at.since_ms(at) / 2);
    }

    /// The server's clock, as far as this device can tell.
    pub(crate) fn server_now(&self, now: TimestampMs) -> TimestampMs {
        TimestampMs(now.0.saturating_add_signed(self.clock_offset_ms))
    }

    pub(crate) fn setting(&self) -> (String, Option<Vec<u8>>) {
        (SETTING_SESSION.to_owned(), rmp_serde::to_vec(self).ok())
    }

    /// A ticket's proof, with its secret, in the first half of its life; else a signature. Dated by the server's clock as far
    /// as it is known, and no earlier than the server has asked for.
    pub(crate) fn proof(
        &self,
        credential: &Credential,
        device: &Device,
        now: TimestampMs,
        fill: &dyn Fn(&mut [u8]),
    ) -> (Proof, Option<TicketSecret>) {
        let server_now = self.server_now(now);
        let whole_seconds = TimestampMs(self.proofs_from.0.div_ceil(1000).saturating_mul(1000));
        let at = server_now.max(whole_seconds);
        match <[u8; TICKET_SECRET_BYTES]>::try_from(self.ticket.as_slice()) {
            Ok(secret) if server_now < self.ticket_shown_until => {
                let secret = TicketSecret(secret);
                let ticket = Ticket { secret: secret.clone(), expires_at: self.ticket_expires_at };
                let shown = TicketProof::new(&ticket, device.id(), at, random_from(fill));
                (Proof::Ticket(shown), Some(secret))
            }
            _ => (credential.prove(device, at, &random_from::<8>(fill)), None),
        }
    }
}

#[cfg(test)]
mod tests;
