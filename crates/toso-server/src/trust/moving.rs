//! Moving devices to other units: when units are merged, split or renamed, or when a volunteer changes commune.
//!
//! A move is one durable write: the device's record gets the new unit, a new token for it, and remembers the unit it left,
//! with when and by whose order. Whatever the device still has for a former unit is held for an officer's review.
//!
//! A server that was restored, or has lost its records, has perhaps forgotten moves. Devices remember them: a token bears
//! this server's signature over the unit, the number of moves that led there, and the units before. What it says beyond the
//! record is learned when the device says HELLO with it ([`Trust::told_by`]). Two rules decide between the two:
//!
//! - a placement that an officer has made in this epoch stands, whatever tokens of an earlier one say;
//! - else the one of more moves is the newer.
//!
//! Either way the other's units are remembered as former ones, so that nothing which the device has for them is refused.

use std::collections::HashMap;

use parking_lot::Mutex;
use toso_core::id::{AuthorId, DeviceId, Epoch};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::{RecordChange, StoreError};
use toso_sync::{Principal, Standing};

use super::device::{self, DeviceRecord, FormerUnit};
use super::keys::KeyError;
use super::raced::again_when_raced;
use super::{Entry, Placement, TokenRefusal, Trust};
use crate::quota::DAY_MS;
use crate::trust::token::{Grant, has_ended};

/// Devices that are moved by one command: with the records before and after, each at most 1.2 KiB (a token of 400 B, a name
/// of 200 B, eight former units of 40 B), and the counts of the units that they left, it stays below three quarters of
/// [`toso_store::records::COMMAND_BYTES_MAX`].
const MOVED_TOGETHER_MAX: usize = 128;
/// How often officers may move one device in a day. Each move is an entry of the log for good, some 1.2 KiB: a rogue officer's
/// token makes 0.8 MB a day of a commune's 20 devices, 40 MB of a province's 1,000. Who puts right what was moved wrongly in a
/// reorganisation moves a device two or three times.
pub const MOVES_OF_DEVICE_DAY: u32 = 32;
/// Former units that a device's record remembers, newest first. The lists changed once in forty years; a volunteer who
/// changes commune every year is known by eight years of them, at about 30 B each.
pub const FORMER_UNITS_MAX: usize = 8;

/// How often officers have moved each device in its day, which begins with the first move. In memory, some 40 bytes for each device
/// that was moved; a restart begins new days.
#[derive(Debug, Default)]
pub(super) struct MovedToday(Mutex<HashMap<AuthorId, (TimestampMs, u32)>>);

impl MovedToday {
    /// Refuses when a device was moved as often as a day allows.
    fn check(&self, devices: impl Iterator<Item = AuthorId>, now: TimestampMs) -> Result<(), MoveError> {
        let days = self.0.lock();
        let spent = devices.filter_map(|device| days.get(&device)).filter(|(_, moves)| *moves >= MOVES_OF_DEVICE_DAY);
        let wait_ms = spent.map(|(began, _)| DAY_MS.saturating_sub(now.since_ms(*began))).max();
        wait_ms.filter(|wait_ms| *wait_ms > 0).map_or(Ok(()), |wait_ms| Err(MoveError::ManyToday { wait_ms }))
    }

    fn note(&self, devices: impl Iterator<Item = AuthorId>, now: TimestampMs) {
        let mut days = self.0.lock();
        for device in devices {
            let (began, moves) = days.entry(device).or_insert((now, 0));
            if now.since_ms(*began) >= DAY_MS {
                (*began, *moves) = (now, 0);
            }
            *moves += 1;
        }
    }
}

/// Why devices were not moved, or not all of them.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// A device was moved as often as officers may in a day.
    #[error("a device was moved {MOVES_OF_DEVICE_DAY} times in 24 hours; move it again in {} hours", wait_ms.div_ceil(DAY_MS / 24))]
    ManyToday {
        /// When the day is over.
        wait_ms: u64,
    },
    /// No token could be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The records could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DeviceRecord {
    /// Puts the device into another unit, remembering the one it leaves.
    pub(super) fn leave_for(&mut self, unit: UnitRef, by: Option<AuthorId>, now: TimestampMs, epoch: Epoch) {
        self.former = joined(&self.former, self.unit, unit, by, now);
        self.unit = unit;
        self.moves = self.moves.saturating_add(1);
        self.placed_in = Some(epoch);
    }

    /// Remembers units of a token as former ones, as far as there is room.
    fn remember(&mut self, units: impl Iterator<Item = UnitRef>, now: TimestampMs) {
        for unit in units {
            if self.former.len() < FORMER_UNITS_MAX && !self.knows(unit) {
                self.former.push(FormerUnit { unit, until: now, by: None });
            }
        }
    }

    fn knows(&self, unit: UnitRef) -> bool {
        self.unit == unit || self.former.iter().any(|former| former.unit == unit)
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            former: self.former.iter().map(|former| former.unit).collect(),
            token: self.token.clone(),
            revoked: self.revoked,
            reminded: false,
        }
    }
}

/// A device's former units once it goes from `left` to `unit`.
pub(super) fn joined(
    former: &[FormerUnit],
    left: UnitRef,
    unit: UnitRef,
    by: Option<AuthorId>,
    now: TimestampMs,
) -> Vec<FormerUnit> {
    if left == unit {
        return former.to_vec();
    }
    let older = former.iter().copied().filter(|former| former.unit != left && former.unit != unit);
    std::iter::once(FormerUnit { unit: left, until: now, by }).chain(older).take(FORMER_UNITS_MAX).collect()
}

impl Trust {
    /// Moves a device, durably. `false` when it is unknown or revoked. Moving it to where it is changes nothing.
    pub fn move_device(
        &self,
        id: DeviceId,
        unit: UnitRef,
        by: Option<AuthorId>,
        now: TimestampMs,
    ) -> Result<bool, MoveError> {
        if self.device(id).is_none_or(|device| device.revoked) {
            return Ok(false);
        }
        self.move_devices(&[id], unit, by, now, |_| ()).map(|()| true)
    }

    /// Moves devices to a unit; those that are revoked, unknown, or there already are left alone. `moved` is told of each that
    /// was moved, also of those before a failure.
    pub fn move_devices(
        &self,
        ids: &[DeviceId],
        unit: UnitRef,
        by: Option<AuthorId>,
        now: TimestampMs,
        mut moved: impl FnMut(DeviceId),
    ) -> Result<(), MoveError> {
        // The admin token is not bound.
        if by.is_some() {
            let leaves = |id: &&DeviceId| self.device(**id).is_some_and(|device| device.unit != unit);
            self.moved_today.check(ids.iter().filter(leaves).map(DeviceId::author), now)?;
        }
        // A reorganisation moves at most the devices of a province, some thousands; each part of them moves whole, with
        // the count of those that left each unit.
        for part in ids.chunks(MOVED_TOGETHER_MAX) {
            for record in self.move_part(part, unit, by, now)? {
                let id = record.id();
                self.devices.keep(&*self.store, record);
                moved(id);
            }
        }
        Ok(())
    }

    /// Moves a part of the devices, all of it or nothing; made anew when one of them was changed meanwhile.
    fn move_part(
        &self,
        part: &[DeviceId],
        unit: UnitRef,
        by: Option<AuthorId>,
        now: TimestampMs,
    ) -> Result<Vec<DeviceRecord>, MoveError> {
        let mut not_made = None;
        let made = again_when_raced(|| {
            let (mut changes, mut records, mut left) = (Vec::new(), Vec::new(), Vec::new());
            for id in part {
                let Some((stored, mut record)) = device::stored_bytes(&*self.store, *id)? else { continue };
                if record.revoked || record.unit == unit {
                    continue;
                }
                left.push(record.unit);
                record.leave_for(unit, by, now, self.epoch());
                record.token = match self.random().and_then(|random| self.keys.mint(&record, random)) {
                    Ok(token) => token,
                    Err(error) => {
                        not_made = Some(error);
                        return Ok(Vec::new());
                    }
                };
                // Only if nobody else changed the device meanwhile: a revocation must not be undone.
                changes.push(RecordChange { expect: Some(Some(stored)), ..record.to_change() });
                records.push(record);
            }
            if !changes.is_empty() {
                self.departures.write(&*self.store, &left, changes, now)?;
            }
            Ok(records)
        });
        let records = made?;
        if let Some(error) = not_made {
            return Err(error.into());
        }
        if by.is_some() {
            self.moved_today.note(records.iter().map(|record| record.id().author()), now);
        }
        let placed: Vec<Entry> = records.iter().map(|record| Entry::Placed(record.id(), record.placement())).collect();
        if !placed.is_empty() {
            self.note(&placed, now);
        }
        Ok(records)
    }

    /// Puts into the list beside the root key what is done. Where that fails it is done all the same: the next start adds it.
    pub(super) fn note(&self, done: &[Entry], now: TimestampMs) {
        if let Err(error) = self.revocations.add_all(done, now) {
            tracing::warn!(%error, "the list beside the root key lacks a move or a used invite until the next start");
        }
    }

    /// Puts a device where the list beside the root key has it, should its record be older: a restore has lost a move.
    pub(super) fn place_listed(&self, id: DeviceId, placed: Placement, now: TimestampMs) -> Result<(), KeyError> {
        let Some((stored, mut record)) = device::stored_bytes(&*self.store, id)? else { return Ok(()) };
        if record.moves >= placed.moves {
            return Ok(());
        }
        tracing::warn!(device = %id, unit = %placed.unit, "moved again: the list beside the root key has it, the records had not");
        let left: Vec<UnitRef> = Some(record.unit).filter(|unit| *unit != placed.unit).into_iter().collect();
        record.former = joined(&record.former, record.unit, placed.unit, None, now);
        (record.unit, record.moves, record.placed_in) = (placed.unit, placed.moves, None);
        placed.role.word().clone_into(&mut record.role);
        record.token = self.keys.mint(&record, self.random()?)?;
        let change = RecordChange { expect: Some(Some(stored)), ..record.to_change() };
        self.departures.write(&*self.store, &left, vec![change], now)?;
        self.devices.keep(&*self.store, record);
        Ok(())
    }

    /// What a device's token says beyond the record: the whole record when there is none, and, in a history that began with
    /// a loss, a newer placement or units that the device had. `None` when it says nothing new.
    pub(super) fn told_by(&self, grant: &Grant, now: TimestampMs) -> Result<Option<DeviceRecord>, TokenRefusal> {
        let id = grant.device.ok_or(TokenRefusal::NotBound)?;
        let bound = grant.key.filter(|(key, _)| DeviceId::from_public_key(key) == id);
        let listed = self.revocations.placement(id).filter(|listed| listed.moves > grant.moves);
        let tokens_units = || grant.former.iter().copied().chain([grant.unit]);
        let mut told = match (self.devices.find(id), bound) {
            // Shut out since what this server has was written down.
            (None, _) if self.revocations.has_device(id) => return Err(TokenRefusal::Revoked),
            (None, None) => return Err(TokenRefusal::UnknownDevice),
            // Another key's device has its author id here: enrolled since, under a history that knows nothing of this one.
            (None, Some(_)) if self.devices.by_author(id.author()).is_some() => {
                return Err(TokenRefusal::UnknownDevice);
            }
            // Its name is gone, and so is a revocation, if there was one.
            (None, Some((public_key, expires_at))) => DeviceRecord {
                public_key,
                name: None,
                // An old token of a device that was moved since.
                unit: listed.map_or(grant.unit, |listed| listed.unit),
                role: listed.map_or(grant.role, |listed| listed.role).word().to_owned(),
                enrolled_at: now,
                expires_at,
                invite: [0; 32],
                token: Vec::new(),
                revoked: false,
                former: Vec::new(),
                moves: listed.map_or(grant.moves, |listed| listed.moves),
                placed_in: None,
            },
            (Some(record), Some((_, expires_at))) if self.began_with_a_loss() && !record.revoked => {
                let stands = record.placed_in == Some(self.epoch());
                let mut told = DeviceRecord::clone(&record);
                if grant.moves > record.moves && !stands {
                    told.former = joined(&record.former, record.unit, grant.unit, None, now);
                    (told.unit, told.moves, told.placed_in) = (grant.unit, grant.moves, None);
                    (told.role, told.expires_at) = (grant.role.word().to_owned(), expires_at);
                } else if grant.role != record.role() {
                    return Ok(None);
                } else {
                    let room = record.former.len() < FORMER_UNITS_MAX;
                    let news = room && tokens_units().any(|unit| !record.knows(unit));
                    if !news && (grant.unit == record.unit || grant.moves < record.moves) {
                        return Ok(None);
                    }
                    // So that after another loss this placement is known for the newer, too.
                    told.moves = record.moves.max(grant.moves.saturating_add(u32::from(grant.unit != record.unit)));
                }
                told
            }
            _ => return Ok(None),
        };
        told.remember(tokens_units(), now);
        // Also for another copy of the device, which has not heard of what this one tells.
        let fresh = self.random().map_err(|_| TokenRefusal::Unchecked)?;
        told.token = self.keys.mint(&told, fresh).map_err(|_| TokenRefusal::Unchecked)?;
        Ok(Some(told))
    }

    /// Who says HELLO with a token. One that was made for a unit the device has left still proves who it is: what it may
    /// do is read from its record. So does a revoked device's: it may hand over what it has not sent.
    pub(super) fn greeting_device(&self, grant: &Grant) -> Result<std::sync::Arc<DeviceRecord>, TokenRefusal> {
        let id = grant.device.ok_or(TokenRefusal::NotBound)?;
        let device = self.devices.find(id).ok_or(TokenRefusal::UnknownDevice)?;
        let its_own = device.unit == grant.unit || device.former.iter().any(|former| former.unit == grant.unit);
        if its_own && device.role() == grant.role { Ok(device) } else { Err(TokenRefusal::Superseded) }
    }

    /// How the record of a device that has begun a session compares with what it began with.
    pub(crate) fn footing(&self, began: &Principal, revoked: bool, now: TimestampMs) -> Footing {
        match self.devices.find(began.device) {
            Some(device) if has_ended(device.expires_at, now) => Footing::Ended,
            Some(device) if device.principal() == *began && device.revoked == revoked => Footing::Firm,
            Some(_) | None => Footing::Another,
        }
    }
}

/// Whether a session may go on as it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Footing {
    /// The record says what the session began with.
    Firm,
    /// The device was moved, revoked, or enrolled anew; its next HELLO tells.
    Another,
    /// The device's token has ended.
    Ended,
}

#[cfg(test)]
mod tests {
    use toso_core::unit::UnitList;

    use super::*;

    fn unit(number: usize) -> UnitRef {
        UnitRef::new(UnitList::L2022, &format!("{number:05}")).unwrap()
    }

    #[test]
    fn so_many_former_units_are_remembered_and_no_more_each_once() {
        let mut former = Vec::new();
        for number in 1..=FORMER_UNITS_MAX {
            former = joined(&former, unit(number), unit(number + 1), None, TimestampMs(number as u64));
        }
        assert_eq!(former.len(), FORMER_UNITS_MAX);
        let last = FORMER_UNITS_MAX + 1;
        former = joined(&former, unit(last), unit(last + 1), None, TimestampMs(99));
        assert_eq!(former.len(), FORMER_UNITS_MAX, "one past the limit");
        assert_eq!(former.first().unwrap().unit, unit(last), "newest first");
        assert!(former.iter().all(|former| former.unit != unit(1)), "the oldest is forgotten");
        let back = joined(&former, unit(last + 1), unit(last), None, TimestampMs(100));
        assert!(back.iter().all(|former| former.unit != unit(last)), "where it is now is no former unit");
        assert_eq!(joined(&back, unit(last), unit(last), None, TimestampMs(101)), back, "a move to where it is");
    }
}
