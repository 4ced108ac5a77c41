//! How many invites officers make in a day, and how many devices enrol by them.
//!
//! Every device has a budget of its own, so somebody who makes devices without end writes without end. The admin token is not
//! bound: an operator at the machine may invite a country.
//!
//! | unit | a day | what it is made for |
//! | --- | ---: | --- |
//! | commune | 100 | its teams' volunteers, some dozens, each invited twice since the first invite was lost |
//! | district | 1,000 | the opening day of its communes, some 20 with some dozens each |
//! | province | 10,000 | the opening day of ten districts |
//! | country | 100,000 | all 48,538 teams twice |
//!
//! The bound of an officer's own unit holds for all that he makes; that of the invited unit for what all officers make for
//! it. The last day's are in memory, 40 bytes each; a start reads them out of the invites' records.

use parking_lot::Mutex;
use toso_catalog::{Catalog, Level};
use toso_core::id::AuthorId;
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::{RecordStore, StoreError};

use super::device::Devices;
use super::invite::{INVITE_READ_BYTES_MAX, InviteRecord};
use crate::quota::DAY_MS;
use crate::tables::INVITE_TABLE;

/// Invites for a commune, or of its officer, in a day; and as many enrolments by them.
pub const INVITES_OF_COMMUNE_DAY: usize = 100;
/// Of a district: 20 communes with 50 volunteers each.
pub const INVITES_OF_DISTRICT_DAY: usize = 1_000;
/// Of a province: ten districts.
pub const INVITES_OF_PROVINCE_DAY: usize = 10_000;
/// Of the country: its 48,538 teams twice.
pub const INVITES_OF_COUNTRY_DAY: usize = 100_000;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// An invite was made.
    Invite,
    /// A device has enrolled by one.
    Enrolment,
}

#[derive(Debug, Clone, Copy)]
struct Noted {
    what: What,
    at: TimestampMs,
    maker: AuthorId,
    unit: UnitRef,
}

/// A bound of the day is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{bound} {} of the last 24 hours are as many as {unit} can have in a day; go on in {} hours, or ask the server's operator",
    match what { What::Invite => "invites", What::Enrolment => "enrolments" },
    wait_ms.div_ceil(DAY_MS / 24)
)]
pub struct ManyInvited {
    what: What,
    bound: usize,
    unit: UnitRef,
    /// When so many of them are a day old that there is a place again.
    pub wait_ms: u64,
}

/// The last day's.
pub(super) struct Invited(Mutex<Vec<Noted>>);

impl Invited {
    /// Reads those that came after a time.
    pub(super) fn load(store: &dyn RecordStore, devices: &Devices, since: TimestampMs) -> Result<Self, StoreError> {
        let (mut noted, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let part = store.records_after(INVITE_TABLE, after.as_deref(), INVITE_READ_BYTES_MAX)?;
            let Some((last, _)) = part.last() else { break };
            after = Some(last.clone());
            for (_, value) in part {
                let InviteRecord { unit, created_by, created_at, used_by, .. } = InviteRecord::decode(&value)?;
                let Some(maker) = created_by else { continue };
                noted.push(Noted { what: What::Invite, at: created_at, maker, unit });
                let used = used_by.and_then(|device| devices.by_author(device)).map(|device| device.enrolled_at);
                noted.extend(used.map(|at| Noted { what: What::Enrolment, at, maker, unit }));
            }
            noted.retain(|noted| noted.at > since);
        }
        Ok(Self(Mutex::new(noted)))
    }

    /// Counts one more, made by an officer of `makers_unit` for `unit`, unless a bound is reached.
    pub(super) fn take(
        &self,
        what: What,
        (maker, makers_unit): (AuthorId, UnitRef),
        unit: UnitRef,
        now: TimestampMs,
    ) -> Result<(), ManyInvited> {
        let mut noted = self.0.lock();
        noted.retain(|noted| noted.at.0.saturating_add(DAY_MS) > now.0);
        let of = |bound: usize, bounds: UnitRef, counts: &dyn Fn(&Noted) -> bool| {
            let mut times: Vec<_> =
                noted.iter().filter(|noted| noted.what == what && counts(noted)).map(|noted| noted.at).collect();
            times.sort_unstable();
            // There is a place once all but `bound - 1` are a day old.
            let last = times.len().checked_sub(bound).and_then(|more| times.get(more))?;
            let wait_ms = last.plus_ms(DAY_MS).since_ms(now).max(1);
            Some(ManyInvited { what, bound, unit: bounds, wait_ms })
        };
        let of_maker = of(of_day(makers_unit), makers_unit, &|noted| noted.maker == maker);
        let of_unit = of(of_day(unit), unit, &|noted| noted.unit == unit);
        // Where both are reached, the longer wait is the true one.
        if let Some(many) = of_maker.into_iter().chain(of_unit).max_by_key(|many| many.wait_ms) {
            return Err(many);
        }
        noted.push(Noted { what, at: now, maker, unit });
        Ok(())
    }
}

/// A unit's bound.
fn of_day(unit: UnitRef) -> usize {
    match Catalog::shared().lookup(unit).map(|unit| unit.level) {
        Ok(Level::Country) => INVITES_OF_COUNTRY_DAY,
        Ok(Level::Province) => INVITES_OF_PROVINCE_DAY,
        Ok(Level::District) => INVITES_OF_DISTRICT_DAY,
        Ok(Level::Commune) | Err(_) => INVITES_OF_COMMUNE_DAY,
    }
}
