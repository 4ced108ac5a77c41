//! One account: what a device has written that has not faded yet.

use serde::{Deserialize, Serialize};
use toso_core::time::TimestampMs;

use super::{Budget, REOPENS_AT};

/// What an officer has allowed a device, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Changes.
    pub changes: u64,
    /// Bytes.
    pub bytes: u64,
    /// Ends then.
    pub until: TimestampMs,
}

/// What a batch has paid from one account, should the log not take the batch.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PaidOf {
    /// From the day's budget.
    day: Budget,
    /// From the import day, and when that ends.
    import: Option<Allowance>,
}

/// What a device has written that has not faded.
///
/// Spent changes and bytes are kept times the day's milliseconds, so that what fades in one millisecond is a whole number:
/// an account looked at every second fades as fast as one looked at once a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    /// Changes × day.
    changes: u64,
    /// Bytes × day.
    bytes: u64,
    /// As of then.
    at: TimestampMs,
    /// What fades in a millisecond.
    fades: (u64, u64),
    /// Used up, and not opened again yet.
    shut: bool,
    /// An import day; kept until its end, also when nothing of it is left.
    pub(super) allowed: Option<Allowance>,
    /// Written since the account was stored.
    #[serde(skip)]
    unnoted: Budget,
    /// There is a record of it.
    #[serde(skip)]
    pub(super) is_stored: bool,
}

impl Account {
    /// How many milliseconds until the account pays again; `None` when it pays now.
    pub(super) fn wait(&mut self, budget: Budget, day_ms: u64, now: TimestampMs) -> Option<u64> {
        self.fades = (budget.changes, budget.bytes);
        self.settle(now);
        if self.allowed.is_some_and(|allowed| allowed.changes > 0 && allowed.bytes > 0) {
            return None;
        }
        let spent =
            self.changes >= budget.changes.saturating_mul(day_ms) || self.bytes >= budget.bytes.saturating_mul(day_ms);
        self.shut |= spent;
        if !self.shut {
            return None;
        }
        let until_open = |spent: u64, budget: u64| {
            let whole = budget.saturating_mul(day_ms);
            spent.saturating_sub(whole - whole / REOPENS_AT).div_ceil(budget.max(1))
        };
        let wait = until_open(self.changes, budget.changes).max(until_open(self.bytes, budget.bytes));
        self.shut = wait > 0;
        self.shut.then_some(wait)
    }

    /// Pays for a change, after [`Self::wait`] has found that it can, and adds it to what a batch has `paid`. The last one
    /// may cost more than is left.
    pub(super) fn take(&mut self, day_ms: u64, bytes: u64, paid: &mut PaidOf) {
        self.unnoted.changes += 1;
        self.unnoted.bytes += bytes;
        if let Some(allowed) = self.allowed.as_mut().filter(|allowed| allowed.changes > 0 && allowed.bytes > 0) {
            let of_import = paid.import.get_or_insert(Allowance { changes: 0, bytes: 0, until: allowed.until });
            let bytes = bytes.min(allowed.bytes);
            of_import.changes += 1;
            of_import.bytes += bytes;
            allowed.changes = allowed.changes.saturating_sub(1);
            allowed.bytes -= bytes;
            return;
        }
        paid.day.changes += 1;
        paid.day.bytes += bytes;
        self.changes = self.changes.saturating_add(day_ms);
        self.bytes = self.bytes.saturating_add(bytes.saturating_mul(day_ms));
    }

    /// Takes back what was paid: each part to where it came from.
    pub(super) fn give_back(&mut self, day_ms: u64, paid: PaidOf) {
        self.changes = self.changes.saturating_sub(paid.day.changes.saturating_mul(day_ms));
        self.bytes = self.bytes.saturating_sub(paid.day.bytes.saturating_mul(day_ms));
        let Some(import) = paid.import else { return };
        // The batch may have used the import day up.
        let allowed = self.allowed.get_or_insert(Allowance { changes: 0, bytes: 0, ..import });
        allowed.changes = allowed.changes.saturating_add(import.changes);
        allowed.bytes = allowed.bytes.saturating_add(import.bytes);
    }

    /// Takes in an import day as it was granted, unless it is the one that the account was stored with.
    pub(super) fn grant(&mut self, granted: Allowance) {
        if self.allowed.is_none_or(|known| known.until != granted.until) {
            self.allowed = Some(granted);
        }
    }

    /// The account once it is in the store.
    pub(super) fn stored(self) -> Self {
        Self { unnoted: Budget::default(), is_stored: true, ..self }
    }

    /// True when an eighth of the budget was written since the account was stored.
    pub(super) fn note_is_due(&self, budget: Budget) -> bool {
        self.unnoted.changes.saturating_mul(REOPENS_AT) >= budget.changes
            || self.unnoted.bytes.saturating_mul(REOPENS_AT) >= budget.bytes
    }

    /// True when nothing is left to know.
    pub(super) fn has_faded(&mut self, now: TimestampMs) -> bool {
        self.settle(now);
        self.changes == 0 && self.bytes == 0 && self.allowed.is_none()
    }

    /// Lets fade what has, and ends an import day that is over. A clock that went back lets nothing fade.
    fn settle(&mut self, now: TimestampMs) {
        let elapsed = now.0.saturating_sub(self.at.0);
        self.changes = self.changes.saturating_sub(self.fades.0.saturating_mul(elapsed));
        self.bytes = self.bytes.saturating_sub(self.fades.1.saturating_mul(elapsed));
        self.at = now;
        self.allowed = self.allowed.filter(|of| of.until > now);
    }
}
