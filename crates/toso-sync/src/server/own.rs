//! What of the log is the device's own of this session: it is not sent back, and where there is nothing else, the
//! acknowledgement says so.

use std::ops::RangeInclusive;

use toso_core::chunk::ChangeHash;
use toso_core::id::Sequence;

use super::AppendOutcome;
use super::live::Live;

impl Live {
    /// True when the device has everything of its only unit once it knows that its push is there: no page needs to be read
    /// to tell that. Moves the cursor.
    pub(super) fn settle(&mut self, outcome: &AppendOutcome) -> bool {
        let ([subscription], Some(before), Some(first)) =
            (self.subscriptions.as_mut_slice(), outcome.before, outcome.first_new)
        else {
            return false;
        };
        // Without gaps from the first new one to the end, nothing of the push is older and still to be passed.
        let all_new = outcome.new > 0 && first.0 + (outcome.new - 1) == outcome.through.0;
        // Cursors of another history are moved by a comparison or by pages only.
        let of_this_history = self.heard_epoch.is_none_or(|heard| heard == self.epoch);
        let waits = subscription.owed || subscription.reconciling.is_some();
        let settled = of_this_history && all_new && before <= subscription.cursor && !waits;
        if settled {
            subscription.cursor = subscription.cursor.max(outcome.through);
        }
        settled
    }

    /// Consecutive pushes usually get consecutive sequences, so the list stays short.
    pub(super) fn remember_own(&mut self, range: RangeInclusive<u64>) {
        match self.own.last_mut() {
            Some(last) if last.end() + 1 == *range.start() => *last = *last.start()..=*range.end(),
            _ => self.own.push(range),
        }
    }

    pub(super) fn is_own(&self, sequence: Sequence, hash: &ChangeHash) -> bool {
        self.own.iter().any(|range| range.contains(&sequence.0))
            || self.appending.iter().any(|(number, hashes)| {
                !self.carried.contains(number) && hashes.iter().any(|(_, of_push)| of_push == hash)
            })
    }
}
