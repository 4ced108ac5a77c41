//! Until when the centre takes nothing more of this device: kept, so that a phone that is started again, or comes and goes
//! with its network, does not ask at every session.

use toso_core::time::TimestampMs;
use toso_store::{StoreError, Transaction};

use super::Replica;
use super::receipts::{read_setting, setting};

/// From when until when, by this device's clock, and why, in the centre's words.
const SETTING_RESTS: &str = "rests";

impl Replica {
    /// For how long the centre takes nothing more of this device; `None` when it may be asked. With a clock that was set
    /// back it may: it is told anew.
    pub fn rests_for_ms(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.rest()?.map(|(left_ms, _)| left_ms))
    }

    /// [`Self::rests_for_ms`], and whose share is used up in the centre's words.
    pub(super) fn rest(&self) -> Result<Option<(u64, String)>, StoreError> {
        let rest: Option<(TimestampMs, TimestampMs, String)> = read_setting(self.store.as_ref(), SETTING_RESTS)?;
        let now = (self.clock)();
        let rest = rest.filter(|(from, until, _)| *from <= now && now < *until);
        Ok(rest.map(|(_, until, why)| (until.0 - now.0, why)))
    }

    /// Asks the centre at the next session, whatever it has said: a person wants it, perhaps because an officer has
    /// allowed more.
    pub fn end_rest(&self) -> Result<(), StoreError> {
        if self.rests_for_ms()?.is_some() {
            self.keep_rest(0, String::new())?;
        }
        Ok(())
    }

    pub(super) fn keep_rest(&self, delay_ms: u64, why: String) -> Result<(), StoreError> {
        let now = (self.clock)();
        let rest = setting(SETTING_RESTS, &(now, TimestampMs(now.0.saturating_add(delay_ms)), why));
        self.store.commit(Transaction { settings: vec![rest], ..Transaction::default() })
    }
}
