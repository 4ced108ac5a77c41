//! Invites: one-time, expiring. Table `invites`: BLAKE3 of the secret → [`InviteRecord`]. The secret itself is kept
//! nowhere, so a stolen database invites nobody.

use serde::{Deserialize, Serialize};
use toso_core::id::DeviceId;
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::{Durability, RecordChange, StoreError};
use toso_sync::AccessRole;
use toso_wire::enrol::{INVITE_URL_BYTES_MAX, Invite};

use super::Trust;
use super::keys::KeyError;

pub(super) const INVITE_TABLE: &str = "invites";
/// How long an invite can be used unless the officer says otherwise: a week, for a village without signal.
pub const INVITE_LIFE_MS_DEFAULT: u64 = 7 * 24 * 60 * 60 * 1000;
/// The longest an invite can live: 30 days; older ones lie about in chat groups.
pub const INVITE_LIFE_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1000;

/// What the server remembers of an invite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InviteRecord {
    pub(super) unit: UnitRef,
    pub(super) role: String,
    pub(super) expires_at: TimestampMs,
    /// The inviting device; `None` for the admin token.
    pub(super) created_by: Option<DeviceId>,
    pub(super) created_at: TimestampMs,
    /// The device that has used it.
    pub(super) used_by: Option<DeviceId>,
}

/// What an officer asks for. The caller has checked that they may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteOrder {
    /// The server's address as devices reach it.
    pub url: String,
    /// The unit to join.
    pub unit: UnitRef,
    /// The role to get.
    pub role: AccessRole,
    /// How long it can be used, in milliseconds.
    pub life_ms: u64,
    /// Who invites; `None` for the admin token.
    pub created_by: Option<DeviceId>,
}

impl Trust {
    /// Makes an invite, durable when it returns.
    pub fn invite(&self, order: &InviteOrder, now: TimestampMs) -> Result<Invite, InviteError> {
        if order.life_ms == 0 || order.life_ms > INVITE_LIFE_MS_MAX {
            return Err(InviteError::Life { seconds: order.life_ms / 1000 });
        }
        let http = order.url.starts_with("http://") || order.url.starts_with("https://");
        if !http || order.url.len() > INVITE_URL_BYTES_MAX {
            return Err(InviteError::Url);
        }
        let secret = self.random()?;
        let expires_at = now.plus_ms(order.life_ms);
        let record = InviteRecord {
            unit: order.unit,
            role: order.role.word().to_owned(),
            expires_at,
            created_by: order.created_by,
            created_at: now,
            used_by: None,
        };
        let change = RecordChange {
            table: INVITE_TABLE.to_owned(),
            key: blake3::hash(&secret).as_bytes().to_vec(),
            value: Some(rmp_serde::to_vec(&record).unwrap_or_default()),
            expect: Some(None),
        };
        self.store.write(&[change], Durability::Durable)?;
        Ok(Invite {
            url: order.url.clone(),
            server: self.server(),
            secret,
            unit: order.unit,
            role: record.role,
            expires_at,
        })
    }
}

/// Why no invite was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// Outside 1 s to 30 days.
    #[error("an invite can live from 1 second to {} days, not {seconds} seconds", INVITE_LIFE_MS_MAX / 86_400_000)]
    Life {
        /// What was asked for.
        seconds: u64,
    },
    /// The server's address is unusable.
    #[error("the server's address must begin with http:// or https:// and have at most {INVITE_URL_BYTES_MAX} bytes")]
    Url,
    /// No randomness.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The record could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}
