//! Invites: one-time, expiring, void with their maker, withdrawable. Table `invites`: BLAKE3 of the secret →
//! [`InviteRecord`]. The secret itself is kept nowhere, so a stolen database invites nobody.
//!
//! An invite stands only while its maker could still make it. So a revoked, moved, demoted or expired officer leaves nothing
//! behind that lets anybody in, himself least of all. That is asked when it is used, of the records as they are then.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use toso_catalog::Catalog;
use toso_core::id::AuthorId;
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::{Record, RecordChange, StoreError};
use toso_sync::{AccessRole, Rank};
use toso_wire::enrol::{INVITE_URL_BYTES_MAX, Invite};

use super::clock::ClockBehind;
use super::invited::{ManyInvited, What};
use super::keys::KeyError;
use super::raced::again_when_raced;
use super::token::has_ended;
use super::{Entry, Trust};
use crate::tables::INVITE_TABLE;

/// How long an invite can be used unless the officer says otherwise: a week, for a village without signal.
pub const INVITE_LIFE_MS_DEFAULT: u64 = 7 * 24 * 60 * 60 * 1000;
/// The longest an invite can live: 30 days; older ones lie about in chat groups.
pub const INVITE_LIFE_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1000;
/// Bytes of an invite's number, the first of its secret's hash: of a million invites two share one with a chance of 3 in
/// 10^8, and then the later is not made.
const INVITE_NUMBER_BYTES: usize = 8;

/// Bytes of invites read at a time for a list: each takes about 100.
pub(super) const INVITE_READ_BYTES_MAX: usize = 16 * 1024;

/// The number that lists call an invite by. It tells nothing about the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InviteNumber([u8; INVITE_NUMBER_BYTES]);

impl InviteNumber {
    fn of_key(key: &[u8]) -> Option<Self> {
        key.first_chunk().copied().map(Self)
    }
}

impl fmt::Display for InviteNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for InviteNumber {
    type Err = NoInviteNumber;

    fn from_str(text: &str) -> Result<Self, NoInviteNumber> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(NoInviteNumber)
    }
}

impl Serialize for InviteNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that is no invite's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an invite's number has {} hexadecimal digits, as the list of invites shows it", 2 * INVITE_NUMBER_BYTES)]
pub struct NoInviteNumber;

/// Who did something to an invite, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// The officer's device; `None` for the admin token.
    pub by: Option<AuthorId>,
    /// When.
    pub at: TimestampMs,
}

/// What the server remembers of an invite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteRecord {
    /// The unit to join.
    pub unit: UnitRef,
    /// The role's word.
    pub role: String,
    /// Useless from then on.
    pub expires_at: TimestampMs,
    /// The inviting device; `None` for the admin token.
    pub created_by: Option<AuthorId>,
    /// When it was made.
    pub created_at: TimestampMs,
    /// The device that has used it.
    pub used_by: Option<AuthorId>,
    /// Taken back before it was used.
    #[serde(default)]
    pub withdrawn: Option<Withdrawal>,
}

impl InviteRecord {
    /// The place that it gives; the least role should the word be unknown to this version.
    pub fn rank(&self) -> Rank {
        Rank { role: self.role.parse().unwrap_or(AccessRole::Viewer), unit: self.unit }
    }

    pub(super) fn decode(stored: &[u8]) -> Result<Self, StoreError> {
        rmp_serde::from_slice(stored).map_err(|error| StoreError::Damaged {
            path: "the server's records".to_owned(),
            place: INVITE_TABLE.to_owned(),
            detail: error.to_string(),
        })
    }

    pub(super) fn to_change(&self, key: &[u8], expect: Option<Vec<u8>>) -> RecordChange {
        RecordChange {
            table: INVITE_TABLE.to_owned(),
            key: key.to_vec(),
            // Plain structs of numbers and texts always encode.
            value: Some(rmp_serde::to_vec(self).unwrap_or_default()),
            expect: Some(expect),
        }
    }
}

/// Where an invite stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InviteState {
    /// It can be used.
    Open,
    /// A device has used it.
    Used,
    /// Taken back.
    Withdrawn,
    /// Too old.
    Expired,
    /// Who made it could no longer make it: revoked, moved, demoted or expired.
    Void,
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
    pub created_by: Option<AuthorId>,
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
        self.check_clock(now)?;
        if let Some(maker) = order.created_by {
            self.invited.take(What::Invite, self.maker(maker, order.unit), order.unit, now)?;
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
            withdrawn: None,
        };
        let key = *blake3::hash(&secret).as_bytes();
        let number = key.get(..INVITE_NUMBER_BYTES).unwrap_or_default();
        if !self.store.records(INVITE_TABLE, number)?.is_empty() {
            return Err(KeyError::Random { detail: "it gave a number that is in use".to_owned() }.into());
        }
        self.store.command(now, &[record.to_change(&key, None)])?;
        Ok(Invite {
            url: order.url.clone(),
            server: self.server(),
            secret,
            unit: order.unit,
            role: record.role,
            expires_at,
        })
    }

    /// An officer with his unit, whose bound of the day is asked; of one who is not known any more, the invited one.
    pub(super) fn maker(&self, maker: AuthorId, invited: UnitRef) -> (AuthorId, UnitRef) {
        (maker, self.devices.by_author(maker).map_or(invited, |device| device.unit))
    }

    /// Where an invite stands now.
    pub(crate) fn invite_state(&self, invite: &InviteRecord, now: TimestampMs) -> InviteState {
        if invite.used_by.is_some() {
            InviteState::Used
        } else if invite.withdrawn.is_some() {
            InviteState::Withdrawn
        } else if has_ended(invite.expires_at, now) {
            InviteState::Expired
        } else if !self.could_make(invite, now) {
            InviteState::Void
        } else {
            InviteState::Open
        }
    }

    /// True while its maker could still make it.
    fn could_make(&self, invite: &InviteRecord, now: TimestampMs) -> bool {
        let Some(maker) = invite.created_by else { return true };
        self.devices.by_author(maker).is_some_and(|maker| {
            !maker.revoked
                && !has_ended(maker.expires_at, now)
                && maker.principal().rank().stands_above(Catalog::shared(), &invite.rank())
        })
    }

    /// Invites that a test on them selects, by number, after a number; at most `limit` and whether there are more. The table
    /// is walked in small parts, so that a country's 50,000 take the memory of a hundred.
    pub fn invites(
        &self,
        after: Option<InviteNumber>,
        limit: usize,
        mut select: impl FnMut(&InviteRecord) -> bool,
    ) -> Result<(Vec<(InviteNumber, InviteRecord)>, bool), StoreError> {
        let mut found = Vec::new();
        // Past every key that begins with the number.
        let mut after = after.map(|after| [after.0.as_slice(), &[u8::MAX; 32]].concat());
        loop {
            let part = self.store.records_after(INVITE_TABLE, after.as_deref(), INVITE_READ_BYTES_MAX)?;
            let Some((last, _)) = part.last() else { return Ok((found, false)) };
            after = Some(last.clone());
            for (key, value) in part {
                let Some(number) = InviteNumber::of_key(&key) else { continue };
                let record = InviteRecord::decode(&value)?;
                if !select(&record) {
                    continue;
                }
                if found.len() == limit {
                    return Ok((found, true));
                }
                found.push((number, record));
            }
        }
    }

    /// One invite.
    pub fn invite_numbered(&self, number: InviteNumber) -> Result<Option<InviteRecord>, StoreError> {
        self.stored_invite(number)?.map(|(_, stored)| InviteRecord::decode(&stored)).transpose()
    }

    /// Takes an invite back, durably; it is as it was when it had been used or taken back before. `None` when there is none.
    pub fn withdraw_invite(
        &self,
        number: InviteNumber,
        by: Option<AuthorId>,
        now: TimestampMs,
    ) -> Result<Option<InviteRecord>, StoreError> {
        again_when_raced(|| self.withdraw_once(number, by, now))
    }

    fn withdraw_once(
        &self,
        number: InviteNumber,
        by: Option<AuthorId>,
        now: TimestampMs,
    ) -> Result<Option<InviteRecord>, StoreError> {
        let Some((key, stored)) = self.stored_invite(number)? else { return Ok(None) };
        let mut invite = InviteRecord::decode(&stored)?;
        if invite.used_by.is_none() && invite.withdrawn.is_none() {
            // First: a restore from a backup forgets the record, and not this.
            if let Ok(hash) = key.as_slice().try_into() {
                self.revocations.add(Entry::Invite(hash), now)?;
            }
            invite.withdrawn = Some(Withdrawal { by, at: now });
            // Only if nobody has used it in the same moment.
            self.store.command(now, &[invite.to_change(&key, Some(stored))])?;
        }
        Ok(Some(invite))
    }

    /// Notes in an invite's record that it is on the list of what was taken back, should the record not know.
    pub(super) fn withdraw_listed(&self, secret_hash: &[u8; 32], now: TimestampMs) -> Result<(), StoreError> {
        let Some(stored) = self.store.record(INVITE_TABLE, secret_hash)? else { return Ok(()) };
        let mut invite = InviteRecord::decode(&stored)?;
        if invite.withdrawn.is_some() || invite.used_by.is_some() {
            return Ok(());
        }
        invite.withdrawn = Some(Withdrawal { by: None, at: now });
        self.store.command(now, &[invite.to_change(secret_hash, Some(stored))]).map(drop)
    }

    /// The invites that were used, by the hash of their secret, and by whom.
    pub(super) fn used_invites(&self) -> Result<HashMap<[u8; 32], AuthorId>, StoreError> {
        let (mut used, mut after) = (HashMap::new(), None::<Vec<u8>>);
        loop {
            let part = self.store.records_after(INVITE_TABLE, after.as_deref(), INVITE_READ_BYTES_MAX)?;
            let Some((last, _)) = part.last() else { return Ok(used) };
            after = Some(last.clone());
            for (key, value) in part {
                if let (Ok(hash), Some(by)) = (key.try_into(), InviteRecord::decode(&value)?.used_by) {
                    used.insert(hash, by);
                }
            }
        }
    }

    /// Notes in an invite's record that the list has it as used: nobody else can use it again.
    pub(super) fn use_listed(&self, secret_hash: &[u8; 32], by: AuthorId, now: TimestampMs) -> Result<(), StoreError> {
        let Some(stored) = self.store.record(INVITE_TABLE, secret_hash)? else { return Ok(()) };
        let mut invite = InviteRecord::decode(&stored)?;
        if invite.used_by.is_some() {
            return Ok(());
        }
        invite.used_by = Some(by);
        self.store.command(now, &[invite.to_change(secret_hash, Some(stored))]).map(drop)
    }

    /// Its key and the bytes that are stored.
    fn stored_invite(&self, number: InviteNumber) -> Result<Option<Record>, StoreError> {
        Ok(self.store.records(INVITE_TABLE, &number.0)?.into_iter().next())
    }
}

/// Why no invite was made.
#[derive(Debug, thiserror::Error)]
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
    /// The server's clock is wrong.
    #[error(transparent)]
    Clock(#[from] ClockBehind),
    /// Enough for a day.
    #[error(transparent)]
    ManyToday(#[from] ManyInvited),
    /// No randomness.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The record could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}
