//! The server's session machine: HELLO → prove → open → live, then pushes, pages and receipts side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use toso_catalog::Catalog;
use toso_core::chunk::{ChangeHash, Chunk, ChunkError};
use toso_core::edit::SIGN_OFF_FIELDS;
use toso_core::id::{AuthorId, DocKind, Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_wire::limits::{
    DETAIL_BYTES_MAX, INTERESTS_MAX, PAGE_BYTES_FIRST, PROTOCOL_VERSION, PUSH_BYTES_MAX, PUSH_ITEMS_MAX, PUSH_WINDOW,
};
use toso_wire::{
    Ack, Frame, Goodbye, GoodbyeCode, Hello, Nack, NackCode, Push, Receipt, RetryAfter, UnitTotals, Welcome,
};

use super::holding::{Holdings, Standing};
use super::paging::Demand;
use super::reconciling::Reconciling;
use super::{
    AppendFailure, AppendItem, AppendOutcome, Authenticated, Greeting, Opened, Refusal, RefusalKind, ServerEffect,
    ServerEvent,
};
use crate::principal::{AccessRole, Principal};

/// A device whose proof is challenged this often in one connection is not going to prove itself.
pub const CHALLENGES_MAX: u32 = 2;
/// While a unit keeps changing, its figures are sent at most this often; when it rests they are sent at once.
pub const RECEIPT_INTERVAL_MS: u64 = 2_000;

/// One session.
#[derive(Debug)]
pub struct ServerSession {
    pub(super) catalog: &'static Catalog,
    phase: Phase,
    pub(super) principal: Option<Principal>,
    pub(super) standing: Standing,
    /// Units of HELLO that the device has to leave.
    pub(super) leaves: Vec<UnitRef>,
    /// Pushes on their way to the review queue.
    pub(super) holding: Holdings,
    /// The last decisions that the device says it has kept, and the epoch that numbered them.
    pub(super) heard: Option<u64>,
    pub(super) heard_epoch: Option<Epoch>,
    /// The log's, once the session is open.
    pub(super) epoch: Option<Epoch>,
    challenges: u32,
    /// What the device has heard counted, when it asks by a request that may be held: see [`Self::has_news`].
    known_receipt: Option<Sequence>,
    /// Frames that told the device what it did not know.
    news: u64,
    pub(super) follows: Vec<Follow>,
    next_push: u64,
    pub(super) appending: BTreeMap<u64, Vec<(u32, ChangeHash)>>,
    /// Carried pushes whose author's signature is being checked.
    pub(super) verifying: BTreeMap<u64, Push>,
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
    reading_totals: bool,
    pub(super) acked_through: Sequence,
    counted: Sequence,
    receipt_as_of: Option<Sequence>,
    receipt_at: TimestampMs,
}

/// How far the session is.
#[derive(Debug)]
enum Phase {
    AwaitHello,
    Proving(Box<Hello>),
    Opening { push: Option<Push>, greeting: Greeting },
    Live,
    Ended,
}

/// A unit the device follows.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) unit: UnitRef,
    /// The device has been sent everything at or below it.
    pub(super) cursor: Sequence,
    /// Set until both sides know what the other holds; no pages are sent meanwhile.
    pub(super) reconciling: Option<Reconciling>,
    /// The unit has chunks up to here.
    grown: Sequence,
    /// The device waits for a page that says "no more", even an empty one.
    pub(super) owed: bool,
}

impl Follow {
    fn wants_page(&self) -> bool {
        self.reconciling.is_none() && (self.owed || self.grown > self.cursor)
    }
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
            epoch: None,
            challenges: 0,
            known_receipt: None,
            news: 0,
            follows: Vec::new(),
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
        let [follow] = self.follows.as_slice() else { return None };
        Some(follow.unit)
    }

    /// True when no answer is outstanding and nothing is left to send: `POST /v1/sync` answers then.
    pub fn is_quiescent(&self) -> bool {
        match self.phase {
            Phase::Proving(_) | Phase::Opening { .. } => false,
            Phase::AwaitHello | Phase::Ended => true,
            Phase::Live => {
                self.appending.is_empty()
                    && self.holding.pushes.is_empty()
                    && self.verifying.is_empty()
                    && !self.reading_page
                    && !self.reading_totals
                    && !(self.may_send_page() && self.follows.iter().any(Follow::wants_page))
                    && self.follows.iter().filter_map(|follow| follow.reconciling.as_ref()).all(Reconciling::is_theirs)
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
                effects.extend(reviewed.map(|reviewed| ServerEffect::Send(Frame::Reviewed(reviewed))));
            }
            ServerEvent::Shutdown => self.goodbye(GoodbyeCode::Shutdown, "the server is stopping", &mut effects),
            ServerEvent::Shed { delay_ms } => {
                effects.push(ServerEffect::CountRefusal(RefusalKind::Shed));
                effects.push(ServerEffect::Send(Frame::RetryAfter(RetryAfter { delay_ms })));
                self.end(&mut effects);
            }
        }
        if matches!(self.phase, Phase::Live) {
            self.read_what_is_wanted(now, &mut effects);
        }
        self.news += effects.iter().filter(|effect| self.is_news(effect)).count() as u64;
        effects
    }

    /// While the device owes an answer to a comparison: how many it has given so far.
    pub fn awaits(&self) -> Option<u32> {
        let owed = self.follows.iter().filter_map(|follow| follow.reconciling.as_ref()).filter(|of| of.is_theirs());
        owed.map(Reconciling::answers).max()
    }

    /// True once the device was told anything that it did not know, so that a request which waits for that is answered.
    pub fn has_news(&self) -> bool {
        self.news > 0
    }

    fn is_news(&self, effect: &ServerEffect) -> bool {
        let ServerEffect::Send(frame) = effect else { return matches!(effect, ServerEffect::Close) };
        match frame {
            Frame::Welcome(_) => false,
            // Each request begins with one. It is news when all that the device has is counted, and it has not heard so.
            Frame::Receipt(receipt) => {
                let newest = self.newest();
                self.known_receipt.is_none_or(|known| newest > known && receipt.as_of >= newest)
            }
            // One without chunks only ends what was owed.
            Frame::Delta(delta) => !delta.groups.is_empty(),
            _ => true,
        }
    }

    /// The greatest sequence that the device has something at.
    fn newest(&self) -> Sequence {
        let cursor = self.follows.iter().map(|follow| follow.cursor).max().unwrap_or_default();
        cursor.max(self.acked_through)
    }

    fn on_frame(&mut self, frame: Frame, effects: &mut Vec<ServerEffect>) {
        match (frame, &self.phase) {
            (Frame::Hello(hello), Phase::AwaitHello) => self.on_hello(hello, effects),
            (Frame::Push(push), Phase::Live) => self.on_push(push, effects),
            (Frame::Reconcile(reconcile), Phase::Live) => self.on_reconcile(reconcile, effects),
            (Frame::Want(want), Phase::Live) => self.on_want(want, effects),
            (Frame::Next(next), Phase::Live) => self.on_next(next, effects),
            (Frame::Reviewed(reviewed), Phase::Live) if reviewed.decisions.is_empty() => {
                self.heard = Some(reviewed.number);
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
            (frame, _) => {
                let detail = format!("{} was not expected here", frame.name());
                self.goodbye(GoodbyeCode::Protocol, &detail, effects);
            }
        }
    }

    fn on_hello(&mut self, hello: Hello, effects: &mut Vec<ServerEffect>) {
        if hello.protocol != PROTOCOL_VERSION {
            let detail = format!("this server speaks protocol {PROTOCOL_VERSION}, not {}", hello.protocol);
            return self.goodbye(GoodbyeCode::Version, &detail, effects);
        }
        if hello.interests.len() > INTERESTS_MAX {
            let detail = format!("{} units asked for, at most {INTERESTS_MAX} are followed", hello.interests.len());
            return self.goodbye(GoodbyeCode::Protocol, &detail, effects);
        }
        let mut units: Vec<UnitRef> = hello.interests.iter().map(|interest| interest.unit).collect();
        units.sort_unstable();
        // Pages are told apart by their unit: of two equal interests one would ask for ever.
        if units.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            return self.goodbye(GoodbyeCode::Protocol, "a unit is asked for twice", effects);
        }
        effects.push(ServerEffect::Authenticate(hello.proof.clone()));
        self.phase = Phase::Proving(Box::new(hello));
    }

    fn on_authenticated(&mut self, result: Result<Authenticated, Refusal>, effects: &mut Vec<ServerEffect>) {
        let Phase::Proving(hello) = std::mem::replace(&mut self.phase, Phase::AwaitHello) else {
            return;
        };
        match result {
            Ok(Authenticated { principal, greeting, standing }) => {
                self.principal = Some(principal);
                self.standing = standing;
                (self.heard, self.heard_epoch) = (hello.heard, hello.epoch);
                self.demand(hello.page_bytes);
                self.known_receipt = hello.receipt;
                match self.interests_left(&principal, &hello) {
                    Ok(left) => self.leaves = left,
                    Err(outside) => {
                        let detail = format!("{outside} is outside the device's unit {}", principal.unit);
                        return self.goodbye(GoodbyeCode::OutOfScope, &detail, effects);
                    }
                }
                let followed = if self.is_leaving() { &[] } else { hello.interests.as_slice() };
                effects.push(ServerEffect::Open { epoch: hello.epoch, interests: followed.to_vec() });
                self.follows = followed
                    .iter()
                    .map(|interest| Follow {
                        unit: interest.unit,
                        cursor: interest.cursor,
                        reconciling: None,
                        grown: Sequence::ZERO,
                        owed: false,
                    })
                    .collect();
                self.phase = Phase::Opening { push: hello.push, greeting };
            }
            Err(Refusal::Challenge(challenge)) => {
                self.challenges += 1;
                if self.challenges > CHALLENGES_MAX {
                    return self.goodbye(GoodbyeCode::Unauthorized, "the device did not prove itself", effects);
                }
                effects.push(ServerEffect::CountRefusal(RefusalKind::Challenge));
                effects.push(ServerEffect::Send(Frame::Challenge(challenge)));
            }
            Err(Refusal::Unauthorized(detail)) => self.goodbye(GoodbyeCode::Unauthorized, &detail, effects),
            Err(Refusal::Busy(detail)) => self.goodbye(GoodbyeCode::Overload, &detail, effects),
        }
    }

    fn on_opened(&mut self, opened: Opened, effects: &mut Vec<ServerEffect>) {
        let Phase::Opening { push, greeting } = std::mem::replace(&mut self.phase, Phase::Live) else {
            return;
        };
        self.takes_returns = opened.takes_returns;
        self.epoch = Some(opened.epoch);
        // Numbers of another history mean nothing here: all decisions are told.
        self.heard = self.heard.map(|heard| if self.heard_epoch == Some(opened.epoch) { heard } else { 0 });
        let comparing = opened.interests.iter().any(|interest| interest.reconcile.is_some());
        // At least one, so that the device waits for the end of a comparison.
        let pending = opened.interests.iter().map(|interest| interest.pending).sum::<u64>().max(u64::from(comparing));
        for (follow, interest) in self.follows.iter_mut().zip(&opened.interests) {
            follow.cursor = interest.cursor;
            follow.grown = follow.grown.max(interest.last);
            // The device waits for the last page of every unit as soon as one has something for it.
            follow.owed = pending > 0;
        }
        let Greeting { epoch, at, proof } = greeting;
        // The device knows the epoch that it has named.
        let epoch = (self.heard_epoch != Some(epoch)).then_some(epoch);
        let welcome = Welcome { epoch, at, proof, pending };
        effects.push(ServerEffect::Send(Frame::Welcome(welcome)));
        for (follow, interest) in self.follows.iter_mut().zip(&opened.interests) {
            if let Some(as_of) = interest.reconcile {
                follow.reconciling = Some(Self::open_reconciling(follow.unit, as_of, effects));
                follow.owed = false;
            }
        }
        self.tell_leaving(effects);
        self.read_decisions(effects);
        if let Some(push) = push {
            self.on_push(push, effects);
        }
        if !self.follows.is_empty() && !matches!(self.phase, Phase::Ended) {
            self.read_totals(effects);
            // After the push, so that it does not bring the device what it pushes once more.
            if let (Some(page), [follow]) = (opened.page, self.follows.as_slice())
                && follow.unit == page.unit
                && follow.wants_page()
            {
                self.on_page(page, effects);
            }
        }
    }

    fn on_push(&mut self, push: Push, effects: &mut Vec<ServerEffect>) {
        let Some(principal) = self.principal else {
            return;
        };
        let under_way = self.appending.len() + self.verifying.len() + self.holding.pushes.len();
        if push.number != self.next_push || under_way >= PUSH_WINDOW {
            let detail = format!(
                "push {} came while {} was expected and {under_way} of at most {PUSH_WINDOW} were under way",
                push.number, self.next_push
            );
            return self.goodbye(GoodbyeCode::Protocol, &detail, effects);
        }
        self.next_push += 1;
        let bytes: usize = push.items.iter().map(|item| item.change.len()).sum();
        let held = self.hold_reason(&principal, &push);
        let whole = if push.items.is_empty() || push.items.len() > PUSH_ITEMS_MAX {
            Some((NackCode::TooLarge, format!("{} items, 1 to {PUSH_ITEMS_MAX} are accepted", push.items.len())))
        } else if bytes > PUSH_BYTES_MAX && push.items.len() > 1 {
            Some((NackCode::TooLarge, format!("{bytes} bytes, at most {PUSH_BYTES_MAX} in several items are accepted")))
        } else if !principal.role.may_write() {
            Some((NackCode::Forbidden, format!("a {} does not write", principal.role)))
        } else if held.is_none() && (self.standing.revoked || !principal.may_push(self.catalog, push.scope)) {
            let detail = format!("{} is no commune inside the device's unit {}", push.scope, principal.unit);
            Some((NackCode::OutOfScope, detail))
        } else {
            None
        };
        if let Some((code, detail)) = whole {
            return nack(push.number, None, code, &detail, effects);
        }
        if let Some(reason) = held {
            return self.hold_checked(&principal, reason, push, effects);
        }
        match &push.carried {
            Some(carried) if carried.signature.is_empty() && !self.takes_returns => {
                let detail = "a carried push needs its author's signature; this server has lost nothing to be returned";
                nack(push.number, None, NackCode::Forbidden, detail, effects);
            }
            Some(carried) if carried.signature.is_empty() => {
                let (number, author, scope) = (push.number, carried.author, push.scope);
                self.verifying.insert(number, push);
                effects.push(ServerEffect::JudgeReturned { number, author, scope });
            }
            Some(_) => self.on_carried(push, effects),
            None => self.append_checked(principal.device.author(), principal.role, push, effects),
        }
    }

    /// Appends what `author` may write in this role, and refuses the rest item by item.
    pub(super) fn append_checked(
        &mut self,
        author: AuthorId,
        role: AccessRole,
        push: Push,
        effects: &mut Vec<ServerEffect>,
    ) {
        let (mut items, mut places) = (Vec::with_capacity(push.items.len()), Vec::with_capacity(push.items.len()));
        for (index, item) in (0..).zip(push.items) {
            match check_item(author, role, push.scope, item) {
                Ok(item) => {
                    places.push((index, item.hash));
                    items.push(item);
                }
                Err((code, detail)) => nack(push.number, Some(index), code, &detail, effects),
            }
        }
        if items.is_empty() {
            return;
        }
        self.appending.insert(push.number, places);
        let returned = push.carried.is_some_and(|carried| carried.signature.is_empty());
        let (number, scope) = (push.number, push.scope);
        effects.push(ServerEffect::Append { number, scope, returned, author, items });
    }

    fn on_appended(
        &mut self,
        number: u64,
        outcome: Result<AppendOutcome, AppendFailure>,
        effects: &mut Vec<ServerEffect>,
    ) {
        let Some(places) = self.appending.remove(&number) else { return };
        let carried = self.carried.remove(&number);
        match outcome {
            Ok(outcome) => {
                for (index, no_room) in &outcome.refused {
                    if let Some((place, _)) = places.get(*index) {
                        nack(number, Some(*place), NackCode::TooLarge, &no_room.text(), effects);
                    }
                }
                let mut left_out = outcome.refused.len();
                if let Some(postponed) = outcome.postponed {
                    left_out += places.len().saturating_sub(postponed.from);
                    self.postpone(number, &places, postponed, effects);
                }
                // A push of which nothing is taken gets no ACK.
                if left_out >= places.len() || matches!(self.phase, Phase::Ended) {
                    return;
                }
                // What it carried for another comes back to it like anyone's: the carrier may have forgotten it since.
                if let Some(first) = outcome.first_new.filter(|_| outcome.new > 0 && !carried) {
                    self.remember_own(first.0..=first.0 + (outcome.new - 1));
                }
                self.acked_through = self.acked_through.max(outcome.through);
                let settled = !carried && self.settle(&outcome);
                effects.push(ServerEffect::Send(Frame::Ack(Ack { number, through: outcome.through, settled })));
                // The pushed chunks lie in one of the followed units; reading on moves the device's cursor past them.
                for follow in &mut self.follows {
                    follow.grown = follow.grown.max(outcome.through);
                }
            }
            Err(AppendFailure::Unavailable) => {
                nack(number, None, NackCode::Unavailable, "the server cannot store at the moment", effects);
            }
        }
    }

    fn grow(&mut self, unit: UnitRef, through: Sequence) {
        for follow in self.follows.iter_mut().filter(|follow| follow.unit == unit) {
            follow.grown = follow.grown.max(through);
        }
    }

    fn on_totals(
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

    fn read_what_is_wanted(&mut self, now: TimestampMs, effects: &mut Vec<ServerEffect>) {
        if !self.reading_page
            && self.may_send_page()
            && let Some(follow) = self.follows.iter().find(|follow| follow.wants_page())
        {
            self.reading_page = true;
            effects.push(ServerEffect::ReadPage { unit: follow.unit, after: follow.cursor });
        }
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

    fn read_totals(&mut self, effects: &mut Vec<ServerEffect>) {
        self.reading_totals = true;
        effects.push(ServerEffect::ReadTotals(self.follows.iter().map(|follow| follow.unit).collect()));
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

/// Envelope limits → parse (not apply) → document made for this scope → actor is the author's → role may write it.
///
/// The same check is made by a phone that takes another's changes to carry them, so that it takes nothing that the server
/// would refuse.
pub fn check_item(
    author: AuthorId,
    role: AccessRole,
    scope: UnitRef,
    item: toso_wire::PushItem,
) -> Result<AppendItem, (NackCode, String)> {
    let chunk = Chunk::parse(&item.change).map_err(|error| (chunk_code(&error), error.to_string()))?;
    if !item.doc.belongs_to(scope) {
        return Err((NackCode::WrongDocument, format!("document {} was not made for {scope}", item.doc)));
    }
    if chunk.actor().author() != author {
        return Err((NackCode::ForeignActor, "the change was made by another device".to_owned()));
    }
    if item.doc.kind() == DocKind::Commune && !role.may_sign_off() && chunk.writes_any(&SIGN_OFF_FIELDS) {
        return Err((NackCode::Forbidden, format!("a {role} does not sign off; an officer does")));
    }
    Ok(AppendItem { doc: item.doc, hash: chunk.hash(), change: item.change })
}

pub(super) fn chunk_code(error: &ChunkError) -> NackCode {
    match error {
        ChunkError::TooLarge { .. } => NackCode::TooLarge,
        _ => NackCode::Malformed,
    }
}

pub(super) fn nack(number: u64, item: Option<u32>, code: NackCode, detail: &str, effects: &mut Vec<ServerEffect>) {
    effects.push(ServerEffect::CountRefusal(RefusalKind::Nack(code)));
    let detail = shortened(detail);
    effects.push(ServerEffect::Send(Frame::Nack(Nack { number, item, code, detail, retry_after_s: None })));
}

/// Cut at a character boundary to what a frame carries.
pub(super) fn shortened(detail: &str) -> String {
    let mut end = detail.len().min(DETAIL_BYTES_MAX);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    detail.get(..end).unwrap_or_default().to_owned()
}
