//! News: what a request that may be held is answered for.

use toso_core::id::Sequence;
use toso_wire::Frame;

use super::ServerEffect;
use super::live::Live;

impl Live {
    /// True when an effect tells the device what it did not know.
    pub(super) fn is_news(&self, effect: &ServerEffect) -> bool {
        let ServerEffect::Send(frame) = effect else { return false };
        match frame {
            Frame::Welcome(_) => false,
            // Each request begins with one. It is news when all that the device has is counted, and it has not heard so.
            Frame::Receipt(receipt) => {
                let newest = self.newest();
                self.known_receipt.is_none_or(|known| newest > known && receipt.as_of >= newest)
            }
            // One without chunks only ends what was owed.
            Frame::Delta(delta) => !delta.groups.is_empty(),
            Frame::Hello(_)
            | Frame::Challenge(_)
            | Frame::Push(_)
            | Frame::Ack(_)
            | Frame::Nack(_)
            | Frame::Purge(_)
            | Frame::Erased(_)
            | Frame::RetryAfter(_)
            | Frame::Goodbye(_)
            | Frame::Reconcile(_)
            | Frame::Want(_)
            | Frame::Reviewed(_)
            | Frame::Moved(_)
            | Frame::Next(_) => true,
        }
    }

    /// The greatest sequence that the device has something at.
    pub(super) fn newest(&self) -> Sequence {
        let cursor = self.subscriptions.iter().map(|subscription| subscription.cursor).max().unwrap_or_default();
        cursor.max(self.acked_through)
    }
}
