//! Tokens that are near their end: the WELCOME to a signed token brings a fresh one.
//!
//! A phone signs every few days, so one that comes by at all in the last quarter of its token's year stays in the register
//! for good. Nothing is taken away by it: the old token is good until its end, for a phone that did not hear the answer.

use toso_core::time::TimestampMs;
use toso_store::{RecordChange, StoreError};

use super::device::{self, DeviceRecord};
use super::token::{Grant, TOKEN_LIFE_MS};
use super::{KeyError, Trust};

/// How long before its end a token is replaced: a quarter of its life, 91 days. A phone without signal for three months
/// still gets one.
pub const TOKEN_RENEWED_MS: u64 = TOKEN_LIFE_MS / 4;

/// What a device's token is from now on.
pub(super) struct Renewal {
    /// When it ends.
    pub(super) ends: TimestampMs,
    /// A fresh one; empty when the device keeps its own.
    pub(super) token: Vec<u8>,
}

impl Trust {
    /// A fresh token for a device that has just proved itself, when it is time. A failure of the disk is no reason to turn it
    /// away: it is asked again in a few days.
    pub(super) fn renewal(&self, device: &DeviceRecord, grant: &Grant, now: TimestampMs) -> Renewal {
        let ends = grant.ends(device);
        let keeps = Renewal { ends, token: Vec::new() };
        // Of a device that was moved or learned anew, MOVED brings the token.
        if device.revoked || device.unit != grant.unit {
            return keeps;
        }
        match self.renew(device, ends, now) {
            Ok(renewed) => renewed.unwrap_or(keeps),
            // Somebody changed the device in this moment.
            Err(KeyError::Store(StoreError::Raced { .. })) => keeps,
            Err(error) => {
                tracing::error!(%error, device = %device.id(), "a token could not be renewed");
                keeps
            }
        }
    }

    fn renew(&self, device: &DeviceRecord, ends: TimestampMs, now: TimestampMs) -> Result<Option<Renewal>, KeyError> {
        let near = |end: TimestampMs| end.since_ms(now) < TOKEN_RENEWED_MS;
        // An older backup was restored: the device's own token is the newer.
        let is_lost = ends > device.expires_at;
        if !near(ends) && !is_lost {
            return Ok(None);
        }
        let known = device.expires_at.max(ends);
        let until = if near(known) { now.plus_ms(TOKEN_LIFE_MS) } else { known };
        let mut renewed = DeviceRecord { expires_at: until, ..device.clone() };
        let token = if until > ends { self.keys.mint(&renewed, self.random()?)? } else { Vec::new() };
        if until != device.expires_at {
            let Some((stored, record)) = device::stored_bytes(&*self.store, device.id())? else { return Ok(None) };
            renewed = DeviceRecord { expires_at: until, ..record };
            if !token.is_empty() {
                renewed.token.clone_from(&token);
            }
            let change = RecordChange { expect: Some(Some(stored)), ..renewed.to_change() };
            self.store.command(now, &[change])?;
            self.devices.keep(&*self.store, renewed);
            tracing::info!(device = %device.id(), "a device's token was renewed");
        }
        Ok(Some(Renewal { ends: until, token }))
    }
}
