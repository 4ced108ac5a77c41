//! Pages of what a device lacks: how large they are, and whether the next one waits until it is asked for.

use toso_wire::limits::PAGE_BYTES_MAX;
use toso_wire::{Frame, Next, pack_delta};

use super::live::Live;
use super::{PageEntry, PageRead, Query, ReadPage, ServerEffect};

/// Pages on demand: whether the device waits for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// It does.
    Asked,
    /// It was sent one, and has not asked again.
    Sent,
}

impl Live {
    /// Reads the next page, of the first unit that has one for the device.
    pub(super) fn read_wanted_page(&mut self, effects: &mut Vec<ServerEffect>) {
        if !self.reading_page
            && self.may_send_page()
            && let Some(subscription) = self.subscriptions.iter().find(|subscription| subscription.wants_page())
        {
            self.reading_page = true;
            let read = ReadPage { unit: subscription.unit, after: subscription.cursor };
            effects.push(ServerEffect::Query(Query::ReadPage(read)));
        }
    }

    /// The device says how large pages may be, and asks for one; or that they may come as they are.
    pub(super) fn demand(&mut self, page_bytes: Option<u32>) {
        let Some(bytes) = page_bytes else { return };
        self.page_bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX).min(PAGE_BYTES_MAX);
        self.demand = Some(Demand::Asked);
    }

    pub(super) fn on_next(&mut self, next: Next, effects: &mut Vec<ServerEffect>) {
        if next.page_bytes.is_none() {
            self.page_bytes_max = PAGE_BYTES_MAX;
            self.demand = None;
        }
        self.demand(next.page_bytes);
        self.send_more_wanted(effects);
    }

    /// False while the device keeps what it was sent.
    pub(super) fn may_send_page(&self) -> bool {
        self.demand != Some(Demand::Sent)
    }

    /// A page goes. Where each is asked for, the device says how large; elsewhere they grow.
    pub(super) fn page_sent(&mut self, more: bool) {
        match &mut self.demand {
            Some(demand) => *demand = Demand::Sent,
            None if more => self.page_bytes_max = (2 * self.page_bytes_max).min(PAGE_BYTES_MAX),
            None => {}
        }
    }

    pub(super) fn on_page(&mut self, page: PageRead, effects: &mut Vec<ServerEffect>) {
        self.reading_page = false;
        let Some(position) = self.subscriptions.iter().position(|subscription| subscription.unit == page.unit) else {
            return;
        };
        let is_foreign = |PageEntry { entry, .. }: &PageEntry| !self.is_own(entry.sequence, &entry.change.hash());
        let foreign: Vec<_> = page.entries.into_iter().filter(is_foreign).collect();
        let count = foreign.len();
        let entries = foreign.into_iter().map(PageEntry::into_delta);
        let (mut delta, packed) = pack_delta(page.unit, entries, self.page_bytes_max);
        let grows = delta.more;
        if packed == count {
            // All that was read went in, so the cursor passes what was left out as the device's own, too.
            (delta.next, delta.more) = (page.through, page.more);
        }
        let Some(subscription) = self.subscriptions.get_mut(position) else {
            return;
        };
        let news = delta.next > subscription.cursor || subscription.owed;
        subscription.cursor = subscription.cursor.max(delta.next);
        if !delta.more {
            subscription.owed = false;
        }
        if news {
            self.page_sent(grows);
            effects.push(ServerEffect::Send(Frame::Delta(delta)));
        }
    }
}
