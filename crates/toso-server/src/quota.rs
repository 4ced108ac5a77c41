//! How much one device may write: in a day, and of one document.
//!
//! A volunteer makes 20 edits on a busy day; a device that was stolen, or tampered with, could fill the disk in an hour
//! and a commune's sheet in a second. So each device has a **budget** of changes and bytes. What it has written fades
//! evenly, a whole budget in a day, so that no midnight brings a rush. A device that has used its budget up is told when to
//! come back; what it has waits in its outbox, and nothing is lost. Only what is new to the log costs anything:
//! repetitions are free. What a device carries for others costs their authors, and the carrier by an account of its own.
//! What it returns after a restore costs that account alone: nobody knows that its authors wrote it.
//!
//! Of one document, a device may write a share, and the last of it is for officers of its unit
//! ([`toso_core::document::DocumentSize::no_room`]).
//!
//! | budget a day | changes | bytes | what it is made for |
//! | --- | ---: | ---: | --- |
//! | [`RECORDER_DAY`] | 4,000 | 8 MiB | 200 days of 20 edits; an import of 2,000 rows, each written and corrected once, at 2 KiB each |
//! | [`OFFICER_DAY`] | 16,000 | 32 MiB | four such imports |
//! | [`CARRIED_DAY`] | 40,000 | 80 MiB | the season (90 days of 20 edits) of 22 phones |
//! | [`IMPORT_DAY`], once a day, granted by an officer | 40,000 | 80 MiB | ten such imports |
//! | [`UNIT_DAY`], of all devices in one unit together | 128,000 | 256 MiB | an import day, and the whole days of 22 recorders |
//!
//! A phone that comes home with 5,000 documents of three changes each has 15,000 changes: they are in within four days, or
//! in one when its officer allows it an import day.
//!
//! Accounts live in memory (about 100 B) only while something of them has not faded: a phone with 20 edits is forgotten
//! after 7 minutes. All 48,538 phones of a country at once are 5 MiB, ten countries 50 MiB. An account is written to the
//! store with every eighth of a budget (table `quota`), riding on the append that it pays for: a restart gives back at
//! most that eighth, and honest phones cost no write at all. What was written follows from the log, so accounts are
//! derived and in no backup; that an officer has allowed an import day is a decision, and stands in `quota_allowed`.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `quota` | author id or unit (8) ‖ which account (1) | `Account` as MessagePack |
//! | `quota_allowed` | author id (8) | [`Allowance`] as MessagePack, as it was granted last |

mod account;
mod shares;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use toso_core::id::AuthorId;
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::{RecordChange, RecordStore, StoreError};
use toso_sync::{AccessRole, Spent};

use crate::tables::{ALLOWED_TABLE, QUOTA_TABLE};

pub use account::Allowance;
use account::{Account, PaidOf};
pub(crate) use shares::Shares;

/// In which a budget fades.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Of a recorder's device in a day: 200 days of 20 edits, or an import of 2,000 rows that are written and corrected once,
/// at 2 KiB each (a member with notes of 1.5 KiB).
pub const RECORDER_DAY: Budget = Budget { changes: 4_000, bytes: 8 << 20 };
/// Of an officer's device: four imports of a commune.
pub const OFFICER_DAY: Budget = Budget { changes: 16_000, bytes: 32 << 20 };
/// What a device may bring for others, beside what it writes itself: the season (90 days of 20 edits) of 22 phones. Their
/// authors pay, too.
///
/// After a restore the same bounds what it may return in others' names. A commune's 22 phones make 440 changes a day, so since a
/// daily backup each of them holds 440 that are lost; and 39,600 since a backup as old as
/// [`crate::trust::RETURN_WINDOW_MS`]: one phone alone gives them back in a day.
pub const CARRIED_DAY: Budget = Budget { changes: 40_000, bytes: 80 << 20 };
/// What an officer can allow a device once in a day, for that day: ten imports of a commune.
pub const IMPORT_DAY: Budget = Budget { changes: 40_000, bytes: 80 << 20 };
/// What all devices together may write into one unit: an import day, and beside it the whole days of 22 recorders, a
/// commune's volunteers. Devices that are made for their budgets share it.
pub const UNIT_DAY: Budget = Budget { changes: 128_000, bytes: 256 << 20 };
/// A device that has used its budget up is let in again once this part of it has faded (an eighth, three hours), so that
/// it does not come back for every single change.
pub const REOPENS_AT: u64 = 8;
/// Accounts kept before the faded ones are looked for.
const SWEPT_AT_LEAST: usize = 1_024;

/// Changes and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// How many.
    pub changes: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What devices may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// A recorder's.
    pub recorder: Budget,
    /// An officer's, and an admin's.
    pub officer: Budget,
    /// What a device brings for others.
    pub carried: Budget,
    /// What an officer can allow.
    pub import: Budget,
    /// What all devices bring into one unit.
    pub unit: Budget,
    /// In which each but `import` fades.
    pub day_ms: u64,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            recorder: RECORDER_DAY,
            officer: OFFICER_DAY,
            carried: CARRIED_DAY,
            import: IMPORT_DAY,
            unit: UNIT_DAY,
            day_ms: DAY_MS,
        }
    }
}

impl Budgets {
    fn of_role(&self, role: AccessRole) -> Budget {
        if role.may_sign_off() { self.officer } else { self.recorder }
    }
}

/// Whose a batch is, and who pays for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// Nobody pays, and only a document's last limit counts: what an officer has accepted.
    Free,
    /// Returned to a server that has lost it: its author does not pay, on whose name a device has only its own word, and only a
    /// document's last limit counts.
    Returned {
        /// Who returns it, also its own.
        carrier: AuthorId,
    },
    /// The author's device brings it.
    Own {
        /// The author's role.
        role: AccessRole,
    },
    /// Another device brings it.
    Carried {
        /// The author's role.
        role: AccessRole,
        /// Who brings it.
        carrier: AuthorId,
    },
}

impl Charge {
    /// The author's role, where it matters.
    pub(crate) fn role(self) -> Option<AccessRole> {
        match self {
            Self::Free | Self::Returned { .. } => None,
            Self::Own { role } | Self::Carried { role, .. } => Some(role),
        }
    }
}

/// Whose account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    /// A device's, of what it wrote itself.
    Own(AuthorId),
    /// A device's, of what it brought for others.
    Carrying(AuthorId),
    /// A unit's.
    Unit(UnitRef),
}

/// Why a device is not allowed more.
#[derive(Debug, thiserror::Error)]
pub enum AllowError {
    /// Its import day of before goes on, or was used up.
    #[error("the device was allowed an import day already; the next one can be allowed in {} hours", wait_ms.div_ceil(DAY_MS / 24))]
    AllowedToday {
        /// When a day has passed.
        wait_ms: u64,
    },
    /// The records could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The budgets of all devices.
pub struct Quotas {
    budgets: Budgets,
    store: Arc<dyn RecordStore>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    accounts: HashMap<Key, Account>,
    swept_at: usize,
    shares: Shares,
}

impl Quotas {
    /// What is known of devices that have written much.
    pub fn load(store: Arc<dyn RecordStore>, budgets: Budgets) -> Result<Self, StoreError> {
        let mut known = Known::default();
        for (key, value) in store.records(QUOTA_TABLE, &[])? {
            // One that cannot be read is forgotten: its device begins with a fresh budget, and nothing else happens.
            if let Some(key) = parse_key(&key)
                && let Ok(account) = rmp_serde::from_slice::<Account>(&value)
            {
                known.accounts.insert(key, account.stored());
            }
        }
        for (key, value) in store.records(ALLOWED_TABLE, &[])? {
            // What is left of a day that is under way, its account knows.
            if let Ok(device) = key.as_slice().try_into()
                && let Ok(granted) = rmp_serde::from_slice::<Allowance>(&value)
            {
                known.accounts.entry(Key::Own(AuthorId(device))).or_default().grant(granted);
            }
        }
        Ok(Self { budgets, store, known: Mutex::new(known) })
    }

    /// Allows a device an import day from now on, durably, unless it has or had one within a day. What is left of it ends
    /// with the day.
    pub fn allow(&self, device: AuthorId, now: TimestampMs) -> Result<Allowance, AllowError> {
        let Budget { changes, bytes } = self.budgets.import;
        let allowance = Allowance { changes, bytes, until: TimestampMs(now.0.saturating_add(self.budgets.day_ms)) };
        let key = Key::Own(device);
        let mut known = self.known.lock();
        let mut account = known.accounts.get(&key).copied().unwrap_or_default();
        if let Some(before) = account.allowed.filter(|before| before.until > now) {
            return Err(AllowError::AllowedToday { wait_ms: before.until.since_ms(now) });
        }
        account.allowed = Some(allowance);
        let granted = RecordChange {
            table: ALLOWED_TABLE.to_owned(),
            key: device.0.to_vec(),
            // Plain numbers always encode.
            value: Some(rmp_serde::to_vec(&allowance).unwrap_or_default()),
            expect: None,
        };
        self.store.command(now, &[granted])?;
        known.accounts.insert(key, account);
        Ok(allowance)
    }

    /// The accounts, for one group of batches.
    pub(crate) fn open(&self) -> Ledger<'_> {
        Ledger { quotas: self, known: self.known.lock(), changes: Vec::new() }
    }
}

impl std::fmt::Debug for Quotas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quotas").field("budgets", &self.budgets).finish_non_exhaustive()
    }
}

/// The accounts while a group is judged; kept from all others meanwhile.
pub(crate) struct Ledger<'a> {
    quotas: &'a Quotas,
    known: MutexGuard<'a, Known>,
    changes: Vec<RecordChange>,
}

/// What one batch is paid from.
pub(crate) struct Purse {
    payers: Vec<Payer>,
    now: TimestampMs,
    day_ms: u64,
}

/// One of the accounts that a batch is paid from.
struct Payer {
    key: Key,
    budget: Budget,
    account: Account,
    paid: PaidOf,
}

impl Purse {
    /// Pays for one change from all accounts, or tells in how many milliseconds to try again, and for whose sake.
    pub(crate) fn pay(&mut self, bytes: usize) -> Result<(), (u64, Spent)> {
        let bytes = bytes as u64;
        let waits = self.payers.iter_mut().filter_map(|of| {
            let spent = match of.key {
                Key::Own(_) | Key::Carrying(_) => Spent::Device,
                Key::Unit(_) => Spent::Unit,
            };
            Some((of.account.wait(of.budget, self.day_ms, self.now)?, spent))
        });
        // Where several are used up, the longest wait is the true one.
        if let Some(longest) = waits.max_by_key(|(wait_ms, _)| *wait_ms) {
            return Err(longest);
        }
        for Payer { account, paid, .. } in &mut self.payers {
            account.take(self.day_ms, bytes, paid);
        }
        Ok(())
    }
}

/// What a batch has paid, to be given back should the batch fail.
#[derive(Debug)]
pub(crate) struct Paid(Vec<(Key, PaidOf)>);

impl Ledger<'_> {
    /// What the batch of an author is paid from.
    pub(crate) fn purse(&self, charge: Charge, author: AuthorId, unit: UnitRef, now: TimestampMs) -> Purse {
        let budgets = &self.quotas.budgets;
        let of = |key: Key, budget| {
            let account = self.known.accounts.get(&key).copied().unwrap_or_default();
            Payer { key, budget, account, paid: PaidOf::default() }
        };
        let payers = match charge {
            Charge::Free => Vec::new(),
            Charge::Returned { carrier } => vec![of(Key::Carrying(carrier), budgets.carried)],
            Charge::Own { role } => {
                vec![of(Key::Own(author), budgets.of_role(role)), of(Key::Unit(unit), budgets.unit)]
            }
            Charge::Carried { role, carrier } => vec![
                of(Key::Own(author), budgets.of_role(role)),
                of(Key::Carrying(carrier), budgets.carried),
                of(Key::Unit(unit), budgets.unit),
            ],
        };
        Purse { payers, now, day_ms: budgets.day_ms }
    }

    /// Keeps what a batch has paid.
    pub(crate) fn keep(&mut self, purse: Purse) -> Paid {
        let mut each = Vec::with_capacity(purse.payers.len());
        for Payer { key, budget, mut account, paid } in purse.payers {
            each.push((key, paid));
            if account.note_is_due(budget) {
                account = account.stored();
                self.changes.push(change(key, Some(&account)));
            }
            self.known.accounts.insert(key, account);
        }
        self.sweep(purse.now);
        Paid(each)
    }

    /// Writes what is to survive a restart. Not durable by itself: the append that follows takes it along.
    pub(crate) fn note(&mut self) -> Result<(), StoreError> {
        if self.changes.is_empty() {
            return Ok(());
        }
        self.quotas.store.derive(&std::mem::take(&mut self.changes))
    }

    /// What devices have written of documents.
    pub(crate) fn shares(&mut self) -> &mut Shares {
        &mut self.known.shares
    }

    /// Forgets accounts of which everything has faded, when there have come to be twice as many as after the last time.
    fn sweep(&mut self, now: TimestampMs) {
        if self.known.accounts.len() <= self.known.swept_at {
            return;
        }
        let changes = &mut self.changes;
        self.known.accounts.retain(|key, account| {
            let kept = !account.has_faded(now);
            if !kept && account.is_stored {
                changes.push(change(*key, None));
            }
            kept
        });
        self.known.swept_at = (2 * self.known.accounts.len()).max(SWEPT_AT_LEAST);
    }
}

impl Quotas {
    /// Gives back what a batch has paid that the log did not take after all.
    pub(crate) fn give_back(&self, Paid(each): &Paid) {
        let mut known = self.known.lock();
        for (key, paid) in each {
            if let Some(account) = known.accounts.get_mut(key) {
                account.give_back(self.budgets.day_ms, *paid);
            }
        }
        // What was counted of documents on the way may not be there.
        known.shares.clear();
    }
}

fn change(key: Key, account: Option<&Account>) -> RecordChange {
    let (whose, which) = match key {
        Key::Own(device) => (device.0, 0),
        Key::Carrying(device) => (device.0, 1),
        Key::Unit(unit) => (unit.to_key(), 2),
    };
    RecordChange {
        table: QUOTA_TABLE.to_owned(),
        key: [whose.as_slice(), &[which]].concat(),
        // Plain numbers always encode.
        value: account.map(|account| rmp_serde::to_vec(account).unwrap_or_default()),
        expect: None,
    }
}

fn parse_key(key: &[u8]) -> Option<Key> {
    let (which, whose) = key.split_last()?;
    let whose: [u8; 8] = whose.try_into().ok()?;
    match which {
        0 => Some(Key::Own(AuthorId(whose))),
        1 => Some(Key::Carrying(AuthorId(whose))),
        2 => UnitRef::from_key(whose).ok().map(Key::Unit),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
