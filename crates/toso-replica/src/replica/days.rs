//! What this device knows of the time, and the days that it refuses by it.

use toso_core::document::Document;
use toso_core::edit::{DocEdit, check_days, names_a_day};
use toso_core::text::Date;
use toso_core::time::{KnownTime, ServerTime};
use toso_store::StoreError;

use super::Replica;
use super::receipts::{SETTING_TOTALS, read_setting};
use super::view::CentreTotals;
use crate::credential::SessionMemory;
use crate::error::ReplicaError;

impl Replica {
    /// Refuses edits that bring a day to come into a document, or an impossible order; `known` is the document before.
    pub(super) fn check_days(&self, edits: &[DocEdit], known: Option<&Document>) -> Result<(), ReplicaError> {
        // Most saves name no day, and need not read the document for it.
        if edits.iter().any(names_a_day) {
            check_days(edits, known.map(Document::read).as_ref(), self.known_time()?)?;
        }
        Ok(())
    }

    /// Today in Vietnam, as far as this device can tell.
    pub(super) fn likely_today(&self) -> Result<Date, StoreError> {
        Ok(Date::in_vietnam(self.known_time()?.likely()))
    }

    fn known_time(&self) -> Result<KnownTime, StoreError> {
        let memory = SessionMemory::load(self.store.as_ref())?;
        let totals: Option<CentreTotals> = read_setting(self.store.as_ref(), SETTING_TOTALS)?;
        // Of a device that was enrolled anew only the totals know when it last met the server.
        let told = totals.map(|totals| ServerTime { at: totals.at, offset_ms: memory.clock_offset_ms });
        let server = memory.server_time().into_iter().chain(told).max_by_key(|time| time.at);
        Ok(KnownTime { device: (self.clock)(), server })
    }
}

#[cfg(test)]
mod tests;
