//! The phone's session machine.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use toso_core::chunk::ChangeHash;
use toso_core::id::{DocId, Epoch, Sequence};
use toso_core::unit::UnitRef;
use toso_wire::limits::PROTOCOL_VERSION;
use toso_wire::{
    Ack, Carried, Delta, Frame, Goodbye, GoodbyeCode, Hello, Nack, NackCode, Proof, Push, Receipt, TEMPORARY_FROM,
    Welcome, push_fits,
};

use super::greeting::{Challenges, is_proved};
use super::moving::{Leaving, ToldToLeave};
use super::pacing::Pacing;
use super::reconciling::{PullingAnew, Reconciling};
use super::{ClientEffect, ClientEvent, ClientStart, OutboxBatch, OutboxItem, SessionEnd};

/// How long to stay away after a server that stops or cannot store: a restart takes seconds.
pub const RETRY_SOON_MS: u64 = 2_000;

/// One session.
#[derive(Debug)]
pub struct ClientSession {
    pub(super) start: ClientStart,
    pub(super) phase: Phase,
    pub(super) challenges: Challenges,
    /// The push inside HELLO.
    riding: Option<Push>,
    pub(super) follows: Vec<Follow>,
    /// The server's, once it has greeted.
    pub(super) epoch: Option<Epoch>,
    next_push: u64,
    pub(super) under_way: BTreeMap<u64, UnderWay>,
    pub(super) outbox_read: u64,
    pub(super) pacing: Pacing,
    /// Frames so far that answered something, and the count at the end of the last answer by request.
    answers: u64,
    answers_before: u64,
    reading_outbox: bool,
    /// Entries may have come since the outbox was last found empty.
    pub(super) outbox_dirty: bool,
    /// The centre takes nothing more of this device for now.
    pub(super) resting: bool,
    pushed: u64,
    pub(super) pulled: u64,
    pull_pending: u64,
    pub(super) acked_through: Sequence,
    /// Acknowledged while units are being compared or pulled anew.
    pub(super) acked_meanwhile: HashSet<(DocId, ChangeHash)>,
    pub(super) receipt_as_of: Option<Sequence>,
    pub(super) reported: Option<bool>,
    pub(super) leaving: Leaving,
    pub(super) told_to_leave: Vec<ToldToLeave>,
}

/// How far the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Dialing,
    Greeting,
    Live,
    Ended,
}

/// A unit being followed.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) unit: UnitRef,
    pub(super) caught_up: bool,
    pub(super) reconciling: Option<Reconciling>,
    /// Set while the whole of another epoch comes by pages.
    pub(super) pulling_anew: Option<PullingAnew>,
}

/// A push that is not acknowledged yet.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) items: Vec<OutboxItem>,
    pub(super) refused: BTreeMap<u32, (NackCode, String)>,
    /// Items that the server cannot take now: they stay in the outbox for another session.
    pub(super) postponed: BTreeSet<u32>,
}

impl ClientSession {
    /// A session and the HELLO to dial with.
    pub fn new(mut start: ClientStart) -> (Self, Hello) {
        let first = start.first.take();
        let mut session = Self {
            follows: start
                .interests
                .iter()
                .map(|interest| Follow { unit: interest.unit, caught_up: false, reconciling: None, pulling_anew: None })
                .collect(),
            epoch: None,
            resting: start.resting,
            pacing: Pacing::new(start.pace),
            answers: 0,
            answers_before: 0,
            start,
            phase: Phase::Dialing,
            challenges: Challenges::default(),
            riding: None,
            next_push: 1,
            under_way: BTreeMap::new(),
            outbox_read: 0,
            reading_outbox: false,
            outbox_dirty: true,
            pushed: 0,
            pulled: 0,
            pull_pending: 0,
            acked_through: Sequence::ZERO,
            acked_meanwhile: HashSet::new(),
            receipt_as_of: None,
            reported: None,
            leaving: Leaving::default(),
            told_to_leave: Vec::new(),
        };
        let riding_bytes_max = session.pacing.riding_bytes_max();
        let riding = first.filter(|batch| push_fits(&push_frame(1, batch), riding_bytes_max));
        session.riding = riding.map(|batch| session.register(batch));
        let hello = session.hello();
        (session, hello)
    }

    /// True when everything is exchanged (see [`ClientEffect::UpToDate`]).
    pub fn is_up_to_date(&self) -> bool {
        self.phase == Phase::Live && self.is_drained() && self.follows.iter().all(|follow| follow.caught_up)
    }

    /// True when nothing of the outbox is under way or still to be read.
    pub(super) fn is_drained(&self) -> bool {
        self.under_way.is_empty() && !self.reading_outbox && !self.outbox_dirty
    }

    /// True once the server has proved itself by WELCOME.
    pub fn is_greeted(&self) -> bool {
        !matches!(self.phase, Phase::Dialing | Phase::Greeting)
    }

    /// True while the server owes an answer: to HELLO, a push, a comparison, or for a page.
    pub fn awaits(&self) -> bool {
        match self.phase {
            Phase::Dialing | Phase::Greeting => true,
            Phase::Live => {
                !self.under_way.is_empty()
                    || self.leaving.awaits_end()
                    || self.follows.iter().any(|follow| !follow.caught_up)
            }
            Phase::Ended => false,
        }
    }

    /// Grows with every frame that answered something, or brought a page; by nothing else that is heard.
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// Takes one event.
    pub fn handle(&mut self, event: ClientEvent) -> Vec<ClientEffect> {
        let mut effects = Vec::new();
        if self.phase == Phase::Ended {
            return effects;
        }
        match event {
            ClientEvent::Connected => self.phase = Phase::Greeting,
            ClientEvent::Frame(frame) => self.on_frame(frame, &mut effects),
            ClientEvent::Proved(proof) => self.on_proved(proof, &mut effects),
            ClientEvent::Outbox(batch) => self.on_outbox(batch, &mut effects),
            ClientEvent::Carry(batch, carried) => self.on_carry(batch, carried, &mut effects),
            ClientEvent::Elements { unit, chunks } => self.on_elements(unit, chunks, &mut effects),
            ClientEvent::LocalEdit => {
                self.outbox_dirty = true;
                if self.resting {
                    // How much waits has changed.
                    self.reported = None;
                }
            }
            ClientEvent::Rested => self.on_rested(&mut effects),
            ClientEvent::Answered { pushes_through } => self.on_answered(pushes_through, &mut effects),
            ClientEvent::Disconnected => {
                self.slow_down(&mut effects);
                self.end(SessionEnd::Lost, &mut effects);
            }
        }
        if self.phase == Phase::Live {
            self.read_outbox(&mut effects);
            self.leave(&mut effects);
            self.report(&mut effects);
        }
        effects
    }

    fn is_answer(&self, frame: &Frame) -> bool {
        match frame {
            // Each request is greeted, and opens a comparison anew.
            Frame::Welcome(_) => self.phase == Phase::Greeting,
            Frame::Reconcile(reconcile) if self.start.by_request => !reconcile.message.is_empty(),
            other @ (Frame::Hello(_)
            | Frame::Challenge(_)
            | Frame::Push(_)
            | Frame::Ack(_)
            | Frame::Nack(_)
            | Frame::Delta(_)
            | Frame::Receipt(_)
            | Frame::Purge(_)
            | Frame::Erased(_)
            | Frame::RetryAfter(_)
            | Frame::Goodbye(_)
            | Frame::Reconcile(_)
            | Frame::Want(_)
            | Frame::Reviewed(_)
            | Frame::Moved(_)
            | Frame::Next(_)) => other.is_answer(),
        }
    }

    fn on_frame(&mut self, frame: Frame, effects: &mut Vec<ClientEffect>) {
        self.answers += u64::from(self.is_answer(&frame));
        match (frame, self.phase) {
            (Frame::Welcome(welcome), Phase::Greeting) => self.on_welcome(welcome, effects),
            // Each request is greeted.
            (Frame::Welcome(welcome), Phase::Live) if self.start.by_request => self.on_welcome_again(welcome, effects),
            (Frame::Challenge(_), Phase::Live) if self.start.by_request => self.end(SessionEnd::Unanswered, effects),
            (Frame::Challenge(challenge), Phase::Greeting) => self.on_challenge(challenge, effects),
            (Frame::Ack(ack), Phase::Live) => self.on_ack(&ack, effects),
            (Frame::Nack(nack), Phase::Live) => self.on_nack(&nack, effects),
            (Frame::Delta(delta), Phase::Live) => self.on_delta(delta, effects),
            (Frame::Receipt(receipt), Phase::Live) => self.on_receipt(receipt, effects),
            (Frame::Purge(purge), Phase::Live) => self.on_purge(purge, effects),
            (Frame::Erased(erased), Phase::Live) => effects.push(ClientEffect::Erase(erased)),
            (Frame::Reconcile(reconcile), Phase::Live) => self.on_reconcile(reconcile, effects),
            (Frame::Moved(moved), Phase::Live) => self.on_moved(moved, effects),
            (Frame::Reviewed(reviewed), Phase::Live) => self.on_reviewed(reviewed, effects),
            (Frame::RetryAfter(retry), _) => {
                self.end(SessionEnd::RetryAfter { delay_ms: retry.delay_ms }, effects);
            }
            (Frame::Goodbye(goodbye), _) => self.on_goodbye(goodbye, effects),
            (Frame::Hello(_) | Frame::Push(_) | Frame::Want(_) | Frame::Next(_), _) => {
                self.end(SessionEnd::Protocol("a client's frame came"), effects);
            }
            (Frame::Welcome(_) | Frame::Challenge(_), Phase::Live) => {
                self.end(SessionEnd::Protocol("a frame of the greeting came late"), effects);
            }
            (
                Frame::Welcome(_)
                | Frame::Challenge(_)
                | Frame::Ack(_)
                | Frame::Nack(_)
                | Frame::Delta(_)
                | Frame::Receipt(_)
                | Frame::Purge(_)
                | Frame::Erased(_)
                | Frame::Reconcile(_)
                | Frame::Moved(_)
                | Frame::Reviewed(_),
                Phase::Dialing | Phase::Greeting | Phase::Ended,
            ) => self.end(SessionEnd::Protocol("a frame came before WELCOME"), effects),
        }
    }

    /// Chunks that the server is going to send.
    pub(super) fn expect(&mut self, pending: u64) {
        self.pull_pending = pending;
    }

    /// True when anything was answered since this was last asked.
    pub(super) fn answered_since_last(&mut self) -> bool {
        let before = std::mem::replace(&mut self.answers_before, self.answers);
        self.answers > before
    }

    fn on_welcome(&mut self, welcome: Welcome, effects: &mut Vec<ClientEffect>) {
        let Some(epoch) = welcome.epoch.or(self.start.epoch) else {
            return self.end(SessionEnd::Protocol("WELCOME names no epoch"), effects);
        };
        if !is_proved(&welcome, epoch, &self.start) {
            return self.end(SessionEnd::NotProved, effects);
        }
        self.phase = Phase::Live;
        self.pull_pending = welcome.pending;
        self.epoch = Some(epoch);
        // Cursors of another epoch mean nothing in this one: the server opens a comparison, or sends the whole unit when it
        // is too large to compare. The end of either keeps the epoch.
        let stays = self.start.epoch.is_none_or(|known| known == epoch);
        for follow in &mut self.follows {
            follow.caught_up = welcome.pending == 0;
            follow.pulling_anew = (!stays).then(PullingAnew::default);
        }
        self.keep_session(stays.then_some(epoch), welcome.proof, welcome.at, effects);
        self.progress(effects);
    }

    /// HELLO goes once more with the fresh proof and the push that rode along: the server has taken nothing yet.
    fn on_proved(&mut self, proof: Proof, effects: &mut Vec<ClientEffect>) {
        if self.phase == Phase::Greeting {
            (self.start.proof, self.start.ticket) = (proof, None);
            effects.push(ClientEffect::Send(Frame::Hello(self.hello())));
        }
    }

    fn on_ack(&mut self, ack: &Ack, effects: &mut Vec<ClientEffect>) {
        let Some(under_way) = self.under_way.remove(&ack.number) else {
            return self.end(SessionEnd::Protocol("an ACK names a push that is not under way"), effects);
        };
        let (accepted, refused) = under_way.split();
        self.pacing.pushed();
        self.acked_through = self.acked_through.max(ack.through);
        self.pushed += accepted.len() as u64;
        if self.is_reconciling() || self.is_pulling_anew() {
            self.acked_meanwhile.extend(accepted.iter().map(|item| (item.change.doc, item.change.hash())));
        }
        let settled = match self.follows.as_slice() {
            [follow] if ack.settled && follow.reconciling.is_none() && follow.pulling_anew.is_none() => {
                Some(follow.unit)
            }
            _ => None,
        };
        effects.push(ClientEffect::CommitAck { accepted, through: ack.through, settled });
        Self::refuse(refused, effects);
        self.progress(effects);
    }

    fn on_nack(&mut self, nack: &Nack, effects: &mut Vec<ClientEffect>) {
        if nack.code == NackCode::OverQuota {
            return self.on_over_quota(nack, effects);
        }
        if nack.code.is_temporary() && nack.item.is_none() {
            // The entries stay in the outbox; the next session pushes them again.
            return self.end(SessionEnd::RetryAfter { delay_ms: RETRY_SOON_MS }, effects);
        }
        let Some(under_way) = self.under_way.get_mut(&nack.number) else {
            return self.end(SessionEnd::Protocol("a NACK names a push that is not under way"), effects);
        };
        let count = u32::try_from(under_way.items.len()).unwrap_or(u32::MAX);
        let named = match nack.item {
            Some(item) if item < count => item..item + 1,
            Some(_) => return self.end(SessionEnd::Protocol("a NACK names an item that was not pushed"), effects),
            None => 0..count,
        };
        for item in named {
            if nack.code.is_temporary() {
                under_way.postponed.insert(item);
            } else {
                under_way.refused.insert(item, (nack.code, nack.detail.clone()));
            }
        }
        self.close_if_answered(nack.number, effects);
    }

    /// A push of which nothing is taken gets no ACK.
    pub(super) fn close_if_answered(&mut self, number: u64, effects: &mut Vec<ClientEffect>) {
        let nothing_taken = |push: &UnderWay| push.refused.len() + push.postponed.len() == push.items.len();
        if self.under_way.get(&number).is_some_and(nothing_taken)
            && let Some(under_way) = self.under_way.remove(&number)
        {
            Self::refuse(under_way.split().1, effects);
        }
    }

    fn refuse(refused: Vec<(OutboxItem, NackCode, String)>, effects: &mut Vec<ClientEffect>) {
        if refused.is_empty() {
            return;
        }
        effects.push(ClientEffect::CommitRefused { refused });
    }

    fn on_delta(&mut self, delta: Delta, effects: &mut Vec<ClientEffect>) {
        let Some(delta) = self.on_wanted(delta, effects) else { return };
        let Some(follow) = self.follows.iter_mut().find(|follow| follow.unit == delta.unit) else {
            return self.end(SessionEnd::Protocol("a DELTA names a unit that was not asked for"), effects);
        };
        if let Some(pulling) = &mut follow.pulling_anew {
            pulling.absorb(&delta);
        }
        let complete = !delta.more && follow.pulling_anew.is_some();
        follow.caught_up = !delta.more && !complete;
        let unit = delta.unit;
        let items: usize = delta.groups.iter().map(|group| group.items.len()).sum();
        self.pulled += items as u64;
        self.pull_pending = self.pull_pending.saturating_sub(items as u64);
        if self.follows.iter().all(|follow| follow.caught_up) {
            self.pull_pending = 0;
        }
        effects.push(ClientEffect::CommitDelta(delta));
        self.ask_for_page(effects);
        if complete {
            effects.push(ClientEffect::ReadElements { unit });
        }
        if items > 0 {
            self.reported = None;
            self.progress(effects);
        }
    }

    fn on_receipt(&mut self, receipt: Receipt, effects: &mut Vec<ClientEffect>) {
        self.receipt_as_of = self.receipt_as_of.max(Some(receipt.as_of));
        effects.push(ClientEffect::KeepReceipt(receipt));
    }

    fn on_goodbye(&mut self, goodbye: Goodbye, effects: &mut Vec<ClientEffect>) {
        let end = match goodbye.code {
            GoodbyeCode::Shutdown | GoodbyeCode::Overload | GoodbyeCode::Unknown(TEMPORARY_FROM..) => {
                SessionEnd::RetryAfter { delay_ms: RETRY_SOON_MS }
            }
            code @ (GoodbyeCode::Done
            | GoodbyeCode::Protocol
            | GoodbyeCode::Version
            | GoodbyeCode::Unauthorized
            | GoodbyeCode::Revoked
            | GoodbyeCode::OutOfScope
            | GoodbyeCode::Internal
            | GoodbyeCode::Unknown(_)) => SessionEnd::Refused { code, detail: goodbye.detail },
        };
        self.end(end, effects);
    }

    fn on_outbox(&mut self, batch: Option<OutboxBatch>, effects: &mut Vec<ClientEffect>) {
        self.reading_outbox = false;
        if let Some(batch) = batch {
            let push = self.register(batch);
            effects.push(ClientEffect::Send(Frame::Push(push)));
            self.outbox_dirty = true;
        }
    }

    fn on_carry(&mut self, batch: OutboxBatch, carried: Carried, effects: &mut Vec<ClientEffect>) {
        self.reading_outbox = false;
        let push = Push { carried: Some(carried), ..self.register(batch) };
        effects.push(ClientEffect::Send(Frame::Push(push)));
        self.outbox_dirty = true;
    }

    fn read_outbox(&mut self, effects: &mut Vec<ClientEffect>) {
        let free = !self.reading_outbox && !self.is_reconciling() && self.under_way.len() < self.pacing.window();
        if self.outbox_dirty && free {
            self.reading_outbox = true;
            // Cleared before the read, so that an edit that comes while it runs sets it again.
            self.outbox_dirty = false;
            let bytes_max = self.pacing.next_push_bytes();
            let (after, resting) = (self.outbox_read, self.resting);
            effects.push(ClientEffect::ReadOutbox { after, bytes_max, resting });
        }
    }

    fn report(&mut self, effects: &mut Vec<ClientEffect>) {
        if !self.is_up_to_date() || self.leaving.has_begun() {
            self.reported = None;
            return;
        }
        let counted = self.receipt_as_of.is_some_and(|as_of| as_of >= self.acked_through);
        if self.reported != Some(counted) {
            if self.reported.is_none() {
                self.speed_up(effects);
            }
            self.reported = Some(counted);
            effects.push(ClientEffect::UpToDate { counted });
        }
    }

    pub(super) fn progress(&self, effects: &mut Vec<ClientEffect>) {
        effects.push(ClientEffect::Progress {
            pushed: self.pushed,
            pulled: self.pulled,
            pull_pending: self.pull_pending,
        });
    }

    pub(super) fn hello(&self) -> Hello {
        Hello {
            protocol: PROTOCOL_VERSION,
            proof: self.start.proof.clone(),
            epoch: self.start.epoch,
            interests: self.start.interests.clone(),
            live: self.start.live,
            push: self.riding.clone(),
            heard: self.start.heard,
            page_bytes: self.pacing.page().bytes(),
            receipt: None,
        }
    }

    fn register(&mut self, batch: OutboxBatch) -> Push {
        let number = self.next_push;
        self.next_push += 1;
        // Carried items have no number and leave the reading position where it is.
        self.outbox_read = batch.items.iter().map(|item| item.number).fold(self.outbox_read, u64::max);
        let push = push_frame(number, &batch);
        self.under_way.insert(number, UnderWay::new(batch.items));
        push
    }

    pub(super) fn end(&mut self, end: SessionEnd, effects: &mut Vec<ClientEffect>) {
        self.phase = Phase::Ended;
        effects.push(ClientEffect::End(end));
    }
}

impl UnderWay {
    fn new(items: Vec<OutboxItem>) -> Self {
        Self { items, refused: BTreeMap::new(), postponed: BTreeSet::new() }
    }

    fn split(mut self) -> (Vec<OutboxItem>, Vec<(OutboxItem, NackCode, String)>) {
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        for (index, item) in (0..).zip(self.items) {
            match self.refused.remove(&index) {
                Some((code, detail)) => refused.push((item, code, detail)),
                None if self.postponed.contains(&index) => {}
                None => accepted.push(item),
            }
        }
        (accepted, refused)
    }
}

fn push_frame(number: u64, batch: &OutboxBatch) -> Push {
    let items = batch.items.iter().map(|item| item.change.raw()).collect();
    Push { number, scope: batch.scope, items, carried: None }
}
