//! A session that is open: it has its device, and takes pushes, sends pages and tells what is counted side by side. Each
//! of these has a room of its own beside this one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use toso_catalog::Catalog;
use toso_core::chunk::ChangeHash;
use toso_core::id::{Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_wire::Hello;
use toso_wire::limits::PAGE_BYTES_FIRST;

use super::holding::Holdings;
use super::paging::Demand;
use super::pushing::Pushed;
use super::reconciling::Reconciling;
use super::subscription::Subscription;
use super::{KnownDevice, Opened};

/// An open session.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) catalog: &'static Catalog,
    /// Whom it belongs to.
    pub(super) device: KnownDevice,
    /// Pushes on their way to the review queue.
    pub(super) holding: Holdings,
    /// The last decisions that the device says it has kept, and the epoch that numbered them.
    pub(super) heard: Option<u64>,
    pub(super) heard_epoch: Option<Epoch>,
    /// The last decision that this session has told. Its link keeps the order, so none of them is told twice: on a slow link
    /// each confirmation would call forth the one that is on its way, and that another confirmation, without end.
    pub(super) told: Option<u64>,
    /// The log's.
    pub(super) epoch: Epoch,
    /// What the device has heard counted, when it asks by a request that may be held: see [`super::ServerSession::has_news`].
    pub(super) known_receipt: Option<Sequence>,
    pub(super) subscriptions: Vec<Subscription>,
    /// Frames that the device has sent to its comparisons.
    pub(super) answers: u32,
    pub(super) next_push: u64,
    pub(super) appending: BTreeMap<u64, Vec<(u32, ChangeHash)>>,
    /// Carried pushes whose author's signature is being checked.
    pub(super) verifying: BTreeMap<u64, Pushed>,
    /// Pushes being appended that this device only carried.
    pub(super) carried: BTreeSet<u64>,
    /// Pushes that were postponed in this session.
    pub(super) postponed: u32,
    pub(super) own: Vec<RangeInclusive<u64>>,
    /// See [`Opened::takes_returns`].
    pub(super) takes_returns: bool,
    pub(super) reading_page: bool,
    /// How large the next page may be.
    pub(super) page_bytes_max: usize,
    /// Set on a link that breaks: a page goes only when the device asked for one.
    pub(super) demand: Option<Demand>,
    pub(super) reading_totals: bool,
    pub(super) acked_through: Sequence,
    pub(super) counted: Sequence,
    pub(super) receipt_as_of: Option<Sequence>,
    pub(super) receipt_at: TimestampMs,
}

impl Live {
    /// A session whose units were just looked up.
    pub(super) fn new(
        catalog: &'static Catalog,
        device: KnownDevice,
        subscriptions: Vec<Subscription>,
        hello: &Hello,
        opened: &Opened,
    ) -> Self {
        // Numbers of another history mean nothing here: all decisions are told.
        let heard = hello.heard.map(|heard| if hello.epoch == Some(opened.epoch) { heard } else { 0 });
        let mut live = Self {
            catalog,
            device,
            holding: Holdings::default(),
            heard,
            heard_epoch: hello.epoch,
            told: None,
            epoch: opened.epoch,
            known_receipt: hello.receipt,
            subscriptions,
            answers: 0,
            next_push: 1,
            appending: BTreeMap::new(),
            verifying: BTreeMap::new(),
            carried: BTreeSet::new(),
            postponed: 0,
            own: Vec::new(),
            takes_returns: opened.takes_returns,
            reading_page: false,
            page_bytes_max: PAGE_BYTES_FIRST,
            demand: None,
            reading_totals: false,
            acked_through: Sequence::ZERO,
            counted: Sequence::ZERO,
            receipt_as_of: None,
            receipt_at: TimestampMs::default(),
        };
        live.demand(hello.page_bytes);
        live
    }

    /// The unit that the device follows, when it is one.
    pub(super) fn only_unit(&self) -> Option<UnitRef> {
        let [subscription] = self.subscriptions.as_slice() else { return None };
        Some(subscription.unit)
    }

    /// True when no answer is outstanding but for figures, and nothing is left to send.
    pub(super) fn is_quiescent_but_for_totals(&self) -> bool {
        self.appending.is_empty()
            && self.holding.pushes.is_empty()
            && self.verifying.is_empty()
            && !self.reading_page
            && !(self.may_send_page() && self.subscriptions.iter().any(Subscription::wants_page))
            && self.comparisons().all(Reconciling::is_theirs)
    }

    /// While the device owes an answer to a comparison: how many it has given so far, about all its units.
    pub(super) fn awaits(&self) -> Option<u32> {
        self.comparisons().any(Reconciling::is_theirs).then_some(self.answers)
    }

    fn comparisons(&self) -> impl Iterator<Item = &Reconciling> {
        self.subscriptions.iter().filter_map(|subscription| subscription.reconciling.as_ref())
    }
}
