//! What a device does once it has written its share of the day: it keeps what is left, and asks again when it was told to.

use toso_wire::Nack;

use super::live::Live;
use super::session::GoesOn;
use super::{ClientEffect, Commit, SessionEnd};

/// The shortest rest, whatever the server says (three hours as it comes): a minute, so that no phone is made to hammer.
pub const REST_MS_MIN: u64 = 60 * 1_000;
/// The longest rest, whatever the server says: a day, after which a whole share is there again.
pub const REST_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

impl Live {
    /// The item that is named and all after it stay in the outbox.
    pub(super) fn on_over_quota(&mut self, nack: &Nack, effects: &mut Vec<ClientEffect>) -> GoesOn {
        let Some(under_way) = self.under_way.get_mut(&nack.number) else {
            return Err(SessionEnd::Protocol("a NACK names a push that is not under way"));
        };
        let count = u32::try_from(under_way.items.len()).unwrap_or(u32::MAX);
        let first = nack.item.unwrap_or_default();
        if first >= count {
            return Err(SessionEnd::Protocol("a NACK names an item that was not pushed"));
        }
        under_way.postponed.extend((first..count).filter(|item| !under_way.refused.contains_key(item)));
        // What is carried has no number. It is offered once a session, and may be too much of its author's, not of ours.
        let is_own = under_way.items.iter().any(|item| item.number > 0);
        self.close_if_answered(nack.number, effects);
        if is_own && !std::mem::replace(&mut self.resting, true) {
            let delay_ms = u64::from(nack.retry_after_s.unwrap_or_default()).saturating_mul(1_000);
            let delay_ms = delay_ms.clamp(REST_MS_MIN, REST_MS_MAX);
            effects.push(ClientEffect::Commit(Commit::Rest { delay_ms, why: nack.detail.clone() }));
        }
        Ok(())
    }

    /// A device that leaves a unit hands over what it has of it, however much it has written: that goes to officers for review.
    pub(super) fn hand_over_all(&mut self, effects: &mut Vec<ClientEffect>) {
        if self.resting {
            self.on_rested(effects);
        }
    }

    /// Everything that waits is read again, from the beginning of the outbox.
    pub(super) fn on_rested(&mut self, effects: &mut Vec<ClientEffect>) {
        self.resting = false;
        effects.push(ClientEffect::Commit(Commit::Rest { delay_ms: 0, why: String::new() }));
        self.outbox_dirty = true;
        if self.under_way.is_empty() {
            self.outbox_read = 0;
        }
    }
}
