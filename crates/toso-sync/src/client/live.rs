//! A session that the server has greeted: it pushes, takes pages, and hears what is counted. What needs more than a few
//! lines has a room of its own beside this one.

use std::collections::{BTreeMap, HashSet};

use toso_core::chunk::ChangeHash;
use toso_core::id::{DocId, Epoch, Sequence};
use toso_core::unit::UnitRef;
use toso_wire::{Ack, Carried, Delta, Frame, Nack, NackCode, Push, Receipt};

use super::moving::{Leaving, ToldToLeave};
use super::pacing::Pacing;
use super::reconciling::{PullingAnew, Reconciling};
use super::session::{GoesOn, RETRY_SOON_MS};
use super::under_way::{UnderWay, push_frame};
use super::{
    Answer, ClientEffect, ClientStart, Commit, News, NextPush, OutboxBatch, OutboxItem, Query, ReadElements,
    ReadOutbox, SessionEnd,
};

/// A greeted session.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) start: ClientStart,
    pub(super) follows: Vec<Follow>,
    /// The server's.
    pub(super) epoch: Epoch,
    next_push: u64,
    pub(super) under_way: BTreeMap<u64, UnderWay>,
    pub(super) outbox_read: u64,
    pub(super) pacing: Pacing,
    reading_outbox: bool,
    /// Entries may have come since the outbox was last found empty.
    pub(super) outbox_dirty: bool,
    /// The centre takes nothing more of this device for now.
    pub(super) resting: bool,
    role: Role,
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

/// What the device may do, as far as this session has heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Writes,
    /// The server has said so: this session pushes nothing more.
    OnlyReads,
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

impl Live {
    /// A session that was just greeted, with the push that rode in HELLO.
    pub(super) fn new(start: ClientStart, epoch: Epoch, pacing: Pacing, riding: Option<UnderWay>) -> Self {
        let follow = |unit| Follow { unit, caught_up: false, reconciling: None, pulling_anew: None };
        Self {
            follows: start.interests.iter().map(|interest| follow(interest.unit)).collect(),
            epoch,
            next_push: 1 + u64::from(riding.is_some()),
            outbox_read: riding.as_ref().map_or(0, UnderWay::last_number),
            under_way: riding.into_iter().map(|riding| (1, riding)).collect(),
            resting: start.resting,
            role: Role::Writes,
            pacing,
            start,
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
        }
    }

    /// True when everything is exchanged (see [`News::UpToDate`]).
    pub(super) fn is_up_to_date(&self) -> bool {
        self.is_drained() && self.is_caught_up()
    }

    fn is_caught_up(&self) -> bool {
        self.follows.iter().all(|follow| follow.caught_up)
    }

    /// True when nothing of the outbox is under way or still to be read.
    pub(super) fn is_drained(&self) -> bool {
        self.under_way.is_empty() && !self.reading_outbox && !self.outbox_dirty
    }

    /// True while the server owes an answer: to a push, a comparison, or for a page.
    pub(super) fn awaits(&self) -> bool {
        !self.under_way.is_empty() || self.leaving.awaits_end() || !self.is_caught_up()
    }

    /// Says and asks what is due, after whatever has happened.
    pub(super) fn go_on(&mut self, effects: &mut Vec<ClientEffect>) -> GoesOn {
        self.read_outbox(effects);
        self.leave(effects)?;
        self.report(effects);
        Ok(())
    }

    pub(super) fn on_answer(&mut self, answer: Answer, effects: &mut Vec<ClientEffect>) -> GoesOn {
        match answer {
            Answer::Outbox(next) => {
                self.on_outbox(next, effects);
                Ok(())
            }
            Answer::Elements { unit, chunks } => self.on_elements(unit, chunks, effects),
            // The greeting is over: nobody waits for it.
            Answer::Proved(_) => Ok(()),
        }
    }

    /// New entries are in the outbox.
    pub(super) fn on_local_edit(&mut self) {
        self.outbox_dirty = true;
        if self.resting {
            // How much waits has changed.
            self.reported = None;
        }
    }

    /// Chunks that the server is going to send.
    pub(super) fn expect(&mut self, pending: u64) {
        self.pull_pending = pending;
    }

    pub(super) fn on_ack(&mut self, ack: &Ack, effects: &mut Vec<ClientEffect>) -> GoesOn {
        let Some(under_way) = self.under_way.remove(&ack.number) else {
            return Err(SessionEnd::Protocol("an ACK names a push that is not under way"));
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
        effects.push(ClientEffect::Commit(Commit::Ack { accepted, through: ack.through, settled }));
        Self::refuse(refused, effects);
        self.progress(effects);
        Ok(())
    }

    pub(super) fn on_nack(&mut self, nack: &Nack, effects: &mut Vec<ClientEffect>) -> GoesOn {
        if nack.code == NackCode::OverQuota {
            return self.on_over_quota(nack, effects);
        }
        if nack.code.is_temporary() && nack.item.is_none() {
            // The entries stay in the outbox; the next session pushes them again.
            return Err(SessionEnd::RetryAfter { delay_ms: RETRY_SOON_MS });
        }
        let Some(under_way) = self.under_way.get_mut(&nack.number) else {
            return Err(SessionEnd::Protocol("a NACK names a push that is not under way"));
        };
        let count = u32::try_from(under_way.items.len()).unwrap_or(u32::MAX);
        let named = match nack.item {
            Some(item) if item < count => item..item + 1,
            Some(_) => return Err(SessionEnd::Protocol("a NACK names an item that was not pushed")),
            None => 0..count,
        };
        // A whole push of its own is forbidden to a role that only reads, whatever is in it. The role may change again, so the
        // entries stay in the outbox for another session.
        let of_role = nack.code == NackCode::Forbidden && nack.item.is_none() && !under_way.carried;
        if of_role {
            self.role = Role::OnlyReads;
        }
        for item in named {
            if of_role || nack.code.is_temporary() {
                under_way.postponed.insert(item);
            } else {
                under_way.refused.insert(item, (nack.code, nack.detail.clone()));
            }
        }
        self.close_if_answered(nack.number, effects);
        Ok(())
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
        effects.push(ClientEffect::Commit(Commit::Refused { refused }));
    }

    pub(super) fn on_delta(&mut self, delta: Delta, effects: &mut Vec<ClientEffect>) -> GoesOn {
        let Some(delta) = self.on_wanted(delta, effects) else { return Ok(()) };
        let Some(follow) = self.follows.iter_mut().find(|follow| follow.unit == delta.unit) else {
            return Err(SessionEnd::Protocol("a DELTA names a unit that was not asked for"));
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
        if self.is_caught_up() {
            self.pull_pending = 0;
        }
        effects.push(ClientEffect::Commit(Commit::Delta(delta)));
        self.ask_for_page(effects);
        if complete {
            effects.push(ClientEffect::Query(Query::ReadElements(ReadElements { unit })));
        }
        if items > 0 {
            self.reported = None;
            self.progress(effects);
        }
        Ok(())
    }

    pub(super) fn on_receipt(&mut self, receipt: Receipt, effects: &mut Vec<ClientEffect>) {
        self.receipt_as_of = self.receipt_as_of.max(Some(receipt.as_of));
        effects.push(ClientEffect::Commit(Commit::KeepReceipt(receipt)));
    }

    fn on_outbox(&mut self, next: NextPush, effects: &mut Vec<ClientEffect>) {
        self.reading_outbox = false;
        let (batch, carried) = match next {
            NextPush::Own(batch) => (batch, None),
            NextPush::Carried(batch, carried) => (batch, Some(carried)),
            NextPush::Nothing => return,
        };
        let push = self.register(batch, carried);
        effects.push(ClientEffect::Send(Frame::Push(push)));
        self.outbox_dirty = true;
    }

    fn register(&mut self, batch: OutboxBatch, carried: Option<Carried>) -> Push {
        let number = self.next_push;
        self.next_push += 1;
        let push = Push { carried, ..push_frame(number, &batch) };
        let under_way = UnderWay::new(batch.items, push.carried.is_some());
        // Carried items have no number and leave the reading position where it is.
        self.outbox_read = self.outbox_read.max(under_way.last_number());
        self.under_way.insert(number, under_way);
        push
    }

    fn read_outbox(&mut self, effects: &mut Vec<ClientEffect>) {
        // What waits for another role is neither under way nor still to be read.
        self.outbox_dirty &= self.role == Role::Writes;
        let free = !self.reading_outbox && !self.is_reconciling() && self.under_way.len() < self.pacing.window();
        if self.outbox_dirty && free {
            self.reading_outbox = true;
            // Cleared before the read, so that an edit that comes while it runs sets it again.
            self.outbox_dirty = false;
            let bytes_max = self.pacing.next_push_bytes();
            let (after, resting) = (self.outbox_read, self.resting);
            effects.push(ClientEffect::Query(Query::ReadOutbox(ReadOutbox { after, bytes_max, resting })));
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
            effects.push(ClientEffect::Tell(News::UpToDate { counted }));
        }
    }

    pub(super) fn progress(&self, effects: &mut Vec<ClientEffect>) {
        let (pushed, pulled, pull_pending) = (self.pushed, self.pulled, self.pull_pending);
        effects.push(ClientEffect::Tell(News::Progress { pushed, pulled, pull_pending }));
    }
}
