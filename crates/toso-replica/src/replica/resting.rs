//! Until when the centre takes nothing more of this device: kept, so that a phone that is started again, or comes and goes
//! with its network, does not ask at every session.

use toso_core::time::TimestampMs;
use toso_store::{StoreError, Transaction};

use super::Replica;
use super::receipts::{read_setting, setting};

/// From when until when, by this device's clock.
const SETTING_RESTS: &str = "rests";

impl Replica {
    /// For how long the centre takes nothing more of this device; `None` when it may be asked. With a clock that was set
    /// back it may: it is told anew.
    pub fn rests_for_ms(&self) -> Result<Option<u64>, StoreError> {
        let rest: Option<(TimestampMs, TimestampMs)> = read_setting(self.store.as_ref(), SETTING_RESTS)?;
        let now = (self.clock)();
        Ok(rest.filter(|(from, until)| *from <= now && now < *until).map(|(_, until)| until.0 - now.0))
    }

    /// Asks the centre at the next session, whatever it has said: a person wants it, perhaps because an officer has
    /// allowed more.
    pub fn end_rest(&self) -> Result<(), StoreError> {
        if self.rests_for_ms()?.is_some() {
            self.keep_rest(0)?;
        }
        Ok(())
    }

    pub(super) fn keep_rest(&self, delay_ms: u64) -> Result<(), StoreError> {
        let now = (self.clock)();
        let rest = setting(SETTING_RESTS, &(now, TimestampMs(now.0.saturating_add(delay_ms))));
        self.store.commit(Transaction { settings: vec![rest], ..Transaction::default() })
    }
}
