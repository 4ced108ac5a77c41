//! The server's session machine: HELLO → prove → open → live, then pushes, pages and receipts side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use toso_catalog::Catalog;
use toso_core::chunk::ChangeHash;
use toso_core::id::{Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_wire::limits::PAGE_BYTES_FIRST;
use toso_wire::{Frame, Goodbye, GoodbyeCode, Hello, Push, RetryAfter};

use super::holding::{Holdings, Standing};
use super::paging::Demand;
use super::pushing::Pushed;
use super::reconciling::Reconciling;
use super::refusing::shortened;
use super::subscription::Subscription;
use super::{Greeting, RefusalKind, ServerEffect, ServerEvent};
use crate::principal::Principal;

/// One session.
#[derive(Debug)]
pub struct ServerSession {
    pub(super) catalog: &'static Catalog,
    pub(super) phase: Phase,
    pub(super) principal: Option<Principal>,
    pub(super) standing: Standing,
    /// Units of HELLO that the device has to leave.
    pub(super) leaves: Vec<UnitRef>,
    /// Pushes on their way to the review queue.
    pub(super) holding: Holdings,
    /// The last decisions that the device says it has kept, and the epoch that numbered them.
    pub(super) heard: Option<u64>,
    pub(super) heard_epoch: Option<Epoch>,
    /// The last decision that this session has told. Its link keeps the order, so none of them is told twice: on a slow link
    /// each confirmation would call forth the one that is on its way, and that another confirmation, without end.
    pub(super) told: Option<u64>,
    /// The log's, once the session is open.
    pub(super) epoch: Option<Epoch>,
    pub(super) challenges: u32,
    /// What the device has heard counted, when it asks by a request that may be held: see [`Self::has_news`].
    pub(super) known_receipt: Option<Sequence>,
    /// Frames that told the device what it did not know.
    pub(super) news: u64,
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

/// How far the session is.
#[derive(Debug)]
pub(super) enum Phase {
    AwaitHello,
    Proving(Box<Hello>),
    Opening { push: Option<Push>, greeting: Greeting },
    Live,
    Ended,
}

impl ServerSession {
    /// A session that waits for HELLO.
    pub fn new(catalog: &'static Catalog) -> Self {
        Self {
            catalog,
            phase: Phase::AwaitHello,
            principal: None,
            standing: Standing::default(),
            leaves: Vec::new(),
            holding: Holdings::default(),
            heard: None,
            heard_epoch: None,
            told: None,
            epoch: None,
            challenges: 0,
            known_receipt: None,
            news: 0,
            subscriptions: Vec::new(),
            answers: 0,
            next_push: 1,
            appending: BTreeMap::new(),
            verifying: BTreeMap::new(),
            carried: BTreeSet::new(),
            postponed: 0,
            own: Vec::new(),
            takes_returns: false,
            reading_page: false,
            page_bytes_max: PAGE_BYTES_FIRST,
            demand: None,
            reading_totals: false,
            acked_through: Sequence::ZERO,
            counted: Sequence::ZERO,
            receipt_as_of: None,
            receipt_at: TimestampMs::default(),
        }
    }

    /// Who the session belongs to, once known.
    pub fn principal(&self) -> Option<Principal> {
        self.principal
    }

    /// The unit that the device follows, when it is one.
    pub fn only_unit(&self) -> Option<UnitRef> {
        let [subscription] = self.subscriptions.as_slice() else { return None };
        Some(subscription.unit)
    }

    /// True when no answer is outstanding and nothing is left to send: `POST /v1/sync` answers then.
    pub fn is_quiescent(&self) -> bool {
        self.is_quiescent_but_for_totals() && !(self.reading_totals && matches!(self.phase, Phase::Live))
    }

    /// As [`Self::is_quiescent`], whether or not figures are being read.
    pub fn is_quiescent_but_for_totals(&self) -> bool {
        match self.phase {
            Phase::Proving(_) | Phase::Opening { .. } => false,
            Phase::AwaitHello | Phase::Ended => true,
            Phase::Live => {
                self.appending.is_empty()
                    && self.holding.pushes.is_empty()
                    && self.verifying.is_empty()
                    && !self.reading_page
                    && !(self.may_send_page() && self.subscriptions.iter().any(Subscription::wants_page))
                    && self
                        .subscriptions
                        .iter()
                        .filter_map(|subscription| subscription.reconciling.as_ref())
                        .all(Reconciling::is_theirs)
            }
        }
    }

    /// Takes one event. `now` is the server's clock.
    pub fn handle(&mut self, now: TimestampMs, event: ServerEvent) -> Vec<ServerEffect> {
        let mut effects = Vec::new();
        if matches!(self.phase, Phase::Ended) {
            return effects;
        }
        match event {
            ServerEvent::Frame(frame) => self.on_frame(frame, &mut effects),
            ServerEvent::BadFrame(detail) => self.goodbye(GoodbyeCode::Protocol, &detail, &mut effects),
            ServerEvent::Authenticated(result) => self.on_authenticated(result, &mut effects),
            ServerEvent::Opened(opened) => self.on_opened(opened, &mut effects),
            ServerEvent::Appended { number, outcome } => self.on_appended(number, outcome, &mut effects),
            ServerEvent::CarriedVerified { number, author } => self.on_carried_verified(number, author, &mut effects),
            ServerEvent::ReturnedJudged { number, verdict } => {
                self.on_returned_judged(number, verdict, &mut effects);
            }
            ServerEvent::Page(page) => self.on_page(page, &mut effects),
            ServerEvent::Elements { unit, chunks } => self.on_elements(unit, chunks, &mut effects),
            ServerEvent::Wanted(read) => self.on_wanted(read, &mut effects),
            ServerEvent::Grew { unit, through } => self.grow(unit, through),
            ServerEvent::Counted(through) => self.counted = self.counted.max(through),
            ServerEvent::Totals { as_of, totals } => self.on_totals(now, as_of, totals, &mut effects),
            ServerEvent::Holding { number, outcome } => self.on_holding(number, outcome, &mut effects),
            ServerEvent::Decided => self.on_decided(matches!(self.phase, Phase::Live), &mut effects),
            // Of officers, which the device has not confirmed.
            ServerEvent::Decisions(reviewed) => {
                // Two readings may have been under way.
                if let Some(reviewed) = reviewed.filter(|reviewed| Some(reviewed.number) > self.told) {
                    self.told = Some(reviewed.number);
                    effects.push(ServerEffect::Send(Frame::Reviewed(reviewed)));
                }
            }
            ServerEvent::Shutdown => self.goodbye(GoodbyeCode::Shutdown, "the server is stopping", &mut effects),
            ServerEvent::Shed { delay_ms } => {
                effects.push(ServerEffect::CountRefusal(RefusalKind::Shed));
                effects.push(ServerEffect::Send(Frame::RetryAfter(RetryAfter { delay_ms })));
                self.end(&mut effects);
            }
        }
        if matches!(self.phase, Phase::Live) {
            self.read_wanted_page(&mut effects);
            self.read_wanted_totals(now, &mut effects);
        }
        self.news += effects.iter().filter(|effect| self.is_news(effect)).count() as u64;
        effects
    }

    /// While the device owes an answer to a comparison: how many it has given so far, about all its units.
    pub fn awaits(&self) -> Option<u32> {
        let mut comparing = self.subscriptions.iter().filter_map(|subscription| subscription.reconciling.as_ref());
        comparing.any(Reconciling::is_theirs).then_some(self.answers)
    }

    fn on_frame(&mut self, frame: Frame, effects: &mut Vec<ServerEffect>) {
        match (frame, &self.phase) {
            (Frame::Hello(hello), Phase::AwaitHello) => self.on_hello(hello, effects),
            (Frame::Push(push), Phase::Live) => self.on_push(push, effects),
            (Frame::Reconcile(reconcile), Phase::Live) => self.on_reconcile(reconcile, effects),
            (Frame::Want(want), Phase::Live) => self.on_want(want, effects),
            (Frame::Next(next), Phase::Live) => self.on_next(next, effects),
            (Frame::Reviewed(reviewed), Phase::Live) if reviewed.decisions.is_empty() => {
                self.heard = self.heard.max(Some(reviewed.number));
                let told = |principal: Principal| ServerEffect::KeepTold {
                    author: principal.device.author(),
                    number: reviewed.number,
                };
                effects.extend(self.principal.map(told));
            }
            // It has handed over what it had.
            (Frame::Goodbye(_), _) if self.standing.revoked => {
                self.goodbye(GoodbyeCode::Revoked, "the device was revoked; ask your officer", effects);
            }
            (Frame::Goodbye(_), _) => self.end(effects),
            (
                frame @ (Frame::Hello(_)
                | Frame::Welcome(_)
                | Frame::Challenge(_)
                | Frame::Push(_)
                | Frame::Ack(_)
                | Frame::Nack(_)
                | Frame::Delta(_)
                | Frame::Receipt(_)
                | Frame::Purge(_)
                | Frame::Erased(_)
                | Frame::RetryAfter(_)
                | Frame::Reconcile(_)
                | Frame::Want(_)
                | Frame::Reviewed(_)
                | Frame::Moved(_)
                | Frame::Next(_)),
                Phase::AwaitHello | Phase::Proving(_) | Phase::Opening { .. } | Phase::Live | Phase::Ended,
            ) => {
                let detail = format!("{} was not expected here", frame.name());
                self.goodbye(GoodbyeCode::Protocol, &detail, effects);
            }
        }
    }

    pub(super) fn goodbye(&mut self, code: GoodbyeCode, detail: &str, effects: &mut Vec<ServerEffect>) {
        if code != GoodbyeCode::Shutdown {
            effects.push(ServerEffect::CountRefusal(RefusalKind::Goodbye(code)));
        }
        effects.push(ServerEffect::Send(Frame::Goodbye(Goodbye { code, detail: shortened(detail) })));
        self.end(effects);
    }

    fn end(&mut self, effects: &mut Vec<ServerEffect>) {
        self.phase = Phase::Ended;
        effects.push(ServerEffect::Close);
    }
}
