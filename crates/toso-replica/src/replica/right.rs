//! Until when this device may sync: known ahead, so that nobody is shut out unawares.

use toso_core::time::TimestampMs;
use toso_store::{StoreError, Transaction};

use super::Replica;
use super::receipts::setting;
use crate::credential::{SETTING_SHUT_OUT, SessionMemory, TOKEN_WARNED_MS};
use crate::error::ReplicaError;
use crate::observer::ReplicaEvent;

/// This device's right to sync, by the server's clock as far as the device knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncRight {
    /// When it ends, unless a sync renews it before.
    pub ends: TimestampMs,
    /// How near that is.
    pub state: RightState,
}

/// How near the end of a device's right to sync is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RightState {
    /// More than 30 days off.
    Good,
    /// Within 30 days, and no sync has renewed it: a person must see to it.
    EndsSoon,
    /// Over: the device needs a new invite.
    Ended,
}

impl SyncRight {
    /// A right that ends then, as it stands now.
    pub fn of(ends: TimestampMs, now: TimestampMs) -> Self {
        let state = match ends.since_ms(now) {
            0 => RightState::Ended,
            left if left < TOKEN_WARNED_MS => RightState::EndsSoon,
            _ => RightState::Good,
        };
        Self { ends, state }
    }

    /// In how long it will stand otherwise, in milliseconds; `None` once it has ended.
    pub fn changes_in_ms(self, now: TimestampMs) -> Option<u64> {
        let left = self.ends.since_ms(now);
        match self.state {
            RightState::Good => Some(left.saturating_sub(TOKEN_WARNED_MS) + 1),
            RightState::EndsSoon => Some(left),
            RightState::Ended => None,
        }
    }
}

impl Replica {
    /// Until when this device may sync; `None` while it has not joined, or has not heard it.
    pub fn sync_right(&self) -> Result<Option<SyncRight>, ReplicaError> {
        let ends = self.credential().ok().and_then(|credential| credential.token_ends);
        let now = self.server_now()?;
        Ok(ends.map(|ends| SyncRight::of(ends, now)))
    }

    /// In how long that will stand otherwise, in milliseconds.
    pub fn sync_right_changes_in_ms(&self) -> Result<Option<u64>, ReplicaError> {
        let now = self.server_now()?;
        Ok(self.sync_right()?.and_then(|right| right.changes_in_ms(now)))
    }

    /// True when the server has shut this device out, by what it said at the last session that came to an end.
    pub fn is_shut_out(&self) -> Result<bool, StoreError> {
        Ok(self.store.setting(SETTING_SHUT_OUT)?.is_some())
    }

    /// Keeps whether the server has shut this device out: [`crate::SyncError::shut_out`] tells it of an exchange that ended.
    pub fn note_shut_out(&self, shut_out: bool) -> Result<(), StoreError> {
        if shut_out == self.is_shut_out()? {
            return Ok(());
        }
        let kept = if shut_out { setting(SETTING_SHUT_OUT, &true) } else { (SETTING_SHUT_OUT.to_owned(), None) };
        self.store.commit(Transaction { settings: vec![kept], ..Transaction::default() })?;
        self.announce(ReplicaEvent::Right);
        Ok(())
    }

    /// The server's clock, as far as this device can tell.
    fn server_now(&self) -> Result<TimestampMs, ReplicaError> {
        Ok(SessionMemory::load(self.store.as_ref())?.server_now((self.clock)()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_told_thirty_days_ahead_and_at_its_end() {
        let end = TimestampMs(1_793_466_000_000);
        let left = |ms: u64| {
            let now = TimestampMs(end.0 - ms);
            let right = SyncRight::of(end, now);
            (right.state, right.changes_in_ms(now))
        };
        assert_eq!(left(TOKEN_WARNED_MS), (RightState::Good, Some(1)), "at the limit");
        assert_eq!(left(TOKEN_WARNED_MS - 1), (RightState::EndsSoon, Some(TOKEN_WARNED_MS - 1)), "one past it");
        assert_eq!(left(TOKEN_WARNED_MS + 7), (RightState::Good, Some(8)));
        assert_eq!(left(1), (RightState::EndsSoon, Some(1)));
        assert_eq!(left(0), (RightState::Ended, None), "a server takes it before its end only");
        assert_eq!(SyncRight::of(end, end.plus_ms(9)).state, RightState::Ended);
    }
}
