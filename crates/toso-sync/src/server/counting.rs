//! What the device is told of counting: receipts, and when it is time for the next.

use toso_core::id::Sequence;
use toso_core::time::TimestampMs;
use toso_wire::{Frame, Receipt, UnitTotals};

use super::live::Live;
use super::{Query, ReadTotals, ServerEffect};

/// While a unit keeps changing, its figures are sent at most this often; when it rests they are sent at once.
const RECEIPT_INTERVAL_MS: u64 = 2_000;

impl Live {
    pub(super) fn on_totals(
        &mut self,
        now: TimestampMs,
        as_of: Sequence,
        totals: Vec<UnitTotals>,
        effects: &mut Vec<ServerEffect>,
    ) {
        self.reading_totals = false;
        self.counted = self.counted.max(as_of);
        self.receipt_as_of = Some(as_of);
        self.receipt_at = now;
        effects.push(ServerEffect::Send(Frame::Receipt(Receipt { as_of, at: now, totals })));
    }

    /// Reads the figures when all that the device has is counted, or when the last were told a while ago.
    pub(super) fn read_wanted_totals(&mut self, now: TimestampMs, effects: &mut Vec<ServerEffect>) {
        if let Some(told) = self.receipt_as_of
            && !self.reading_totals
            && self.counted > told
        {
            let newest = self.newest();
            let rested = now.since_ms(self.receipt_at) >= RECEIPT_INTERVAL_MS;
            if newest > told && (self.counted >= newest || rested) {
                self.read_totals(effects);
            }
        }
    }

    pub(super) fn read_totals(&mut self, effects: &mut Vec<ServerEffect>) {
        self.reading_totals = true;
        let units = self.subscriptions.iter().map(|subscription| subscription.unit).collect();
        effects.push(ServerEffect::Query(Query::ReadTotals(ReadTotals(units))));
    }
}
