//! What a session does for a device that was moved to another unit, or shut out.
//!
//! Units are reorganised while phones are away, and a phone comes back with edits for where it was. Those must not be
//! lost, and the phone must not go on writing there: its edits go to a review queue, it is told its new unit, and it
//! forgets what lies outside it. A revoked device may hand over what it has not sent, into the same queue, and is shut
//! out.

use std::collections::{BTreeMap, BTreeSet};

use toso_core::id::{AuthorId, Sequence};
use toso_core::unit::{Scope, UnitRef};
use toso_wire::limits::{DECISIONS_MAX, PURGE_SCOPES_MAX};
use toso_wire::{Ack, Carried, Decision, Frame, Moved, NackCode, Purge, Push, Reviewed};

use super::live::Live;
use super::pushing::Pushed;
use super::refusing::nack;
use super::{AppendFailure, Commit, Hold, Query, ReadDecisions, ServerEffect};
use crate::principal::AccessRole;

/// What the server's record says of a device beside its [`Principal`](crate::Principal).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Units that it belonged to before, newest first.
    pub former: Vec<UnitRef>,
    /// The token of its present unit, when it was moved there: it may not know it yet.
    pub token: Vec<u8>,
    /// True once it was shut out: it may only hand over what it has not sent.
    pub revoked: bool,
    /// True when its token has just told the server of a move that the server had lost.
    pub reminded: bool,
}

/// Why a change goes to an officer instead of the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HoldReason {
    /// Its device was moved out of the change's unit.
    Moved,
    /// Its device was revoked.
    Revoked,
    /// Another device returned it to a server that has lost it, and its word for the author is not enough.
    Returned {
        /// The device that returned it.
        by: AuthorId,
    },
}

/// What became of one change that was to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldFate {
    /// It is in the queue, durably, now or since an earlier push.
    Held,
    /// The register has it: its acknowledgement was lost, or an officer has accepted it.
    Registered,
    /// The queue takes no more now; the device keeps it.
    Full,
}

/// What became of the changes of a push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HoldOutcome {
    /// For each item, in order.
    pub fates: Vec<HoldFate>,
    /// Those that the register has lie in the log at or below this.
    pub through: Sequence,
    /// Of those that are held: what officers had decided before.
    pub decided: Vec<Decision>,
    /// The last decision that the author has confirmed.
    pub told: u64,
}

/// Pushes on their way to the review queue.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    /// By number.
    pub(super) pushes: BTreeMap<u64, Holding>,
    /// An officer decided something while they were.
    decided_meanwhile: bool,
}

/// A push on its way to the review queue.
#[derive(Debug)]
pub(super) struct Holding {
    scope: Scope,
    author: AuthorId,
    /// The items' places in their push.
    places: Vec<u32>,
}

impl Live {
    /// Tells the device where it belongs, and what to forget once it has handed over what it has.
    pub(super) fn tell_leaving(&mut self, effects: &mut Vec<ServerEffect>) {
        if !self.device.is_leaving() {
            return;
        }
        let (principal, standing) = (&self.device.principal, &self.device.standing);
        if !standing.revoked {
            effects.push(ServerEffect::Send(Frame::Moved(Moved {
                unit: principal.unit,
                role: principal.role.word().to_owned(),
                token: standing.token.clone(),
            })));
        }
        let scopes: BTreeSet<Scope> =
            self.device.leaves.iter().flat_map(|unit| self.catalog.scopes_under_all_lists(*unit)).collect();
        let scopes: Vec<Scope> =
            scopes.into_iter().filter(|scope| standing.revoked || !principal.covers(self.catalog, *scope)).collect();
        let mut parts = scopes.chunks(PURGE_SCOPES_MAX);
        // Also when nothing is to be forgotten: it says that everything has been said.
        let first = parts.next().unwrap_or_default();
        for part in std::iter::once(first).chain(parts) {
            let purge = Purge { scopes: part.to_vec(), docs: Vec::new() };
            effects.push(ServerEffect::Send(Frame::Purge(purge)));
        }
    }

    /// Why a push goes to the review queue; `None` when they do not.
    pub(super) fn hold_reason(&self, push: &Push) -> Option<HoldReason> {
        let scope = push.scope;
        // What another device made is refused here, since its author hands it over itself; but not by a server that has
        // lost it, where the carrier may be the last that has it.
        let lost = |carried: &Carried| carried.signature.is_empty() && self.takes_returns;
        if !self.catalog.is_scope(scope) || !push.carried.as_ref().is_none_or(lost) {
            return None;
        }
        let inside = self.device.principal.covers(self.catalog, scope);
        let was_its_own = self.device.had(self.catalog, scope);
        let reason = match (self.device.standing.revoked, inside) {
            (true, _) => (inside || was_its_own).then_some(HoldReason::Revoked),
            (false, true) => None,
            (false, false) => was_its_own.then_some(HoldReason::Moved),
        };
        reason.map(|reason| match push.carried {
            Some(_) => HoldReason::Returned { by: self.device.author() },
            None => reason,
        })
    }

    /// Holds what the device could have written, and refuses the rest item by item.
    pub(super) fn hold_checked(&mut self, reason: HoldReason, push: Pushed, effects: &mut Vec<ServerEffect>) {
        let author = push.carried.as_ref().map_or(self.device.author(), |carried| carried.author);
        // What is returned waits for an officer, whose word it needs: it may be what only an officer writes.
        let role = if push.carried.is_some() { AccessRole::Officer } else { self.device.principal.role };
        let (number, scope) = (push.number, push.scope);
        let (places, items) = push.permitted(author, role, effects);
        if items.is_empty() {
            return;
        }
        self.holding.pushes.insert(number, Holding { scope, author, places });
        effects.push(ServerEffect::Commit(Commit::Hold(Hold { number, scope, author, reason, items })));
    }

    /// Every item gets its own answer; those that the register has are acknowledged like any other.
    pub(super) fn on_held(
        &mut self,
        number: u64,
        outcome: Result<HoldOutcome, AppendFailure>,
        effects: &mut Vec<ServerEffect>,
    ) {
        let Some(Holding { scope, author, places }) = self.holding.pushes.remove(&number) else { return };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(AppendFailure::Unavailable) => {
                let detail = "the server cannot store at the moment";
                return nack(number, None, NackCode::Unavailable, detail, effects);
            }
        };
        let mut registered = false;
        for (place, fate) in places.into_iter().zip(outcome.fates) {
            match fate {
                HoldFate::Held => {
                    let detail = format!("held for review by an officer of {}", self.catalog.display_path(scope));
                    nack(number, Some(place), NackCode::Held, &detail, effects);
                }
                HoldFate::Full => {
                    let detail = "the review queue is full; it is kept on the device until officers have decided some";
                    nack(number, Some(place), NackCode::Unavailable, detail, effects);
                }
                HoldFate::Registered => registered = true,
            }
        }
        if registered {
            // Its receipt is due once that is counted, as of any other acknowledgement.
            self.acked_through = self.acked_through.max(outcome.through);
            effects.push(ServerEffect::Send(Frame::Ack(Ack { number, through: outcome.through, settled: false })));
        }
        if self.device.author() == author {
            // The decision came before: to another copy of the device, or when this one had no mark yet, since the answer
            // that it is held was lost. It is told once more, after the whole answer (a phone marks what is held when its
            // push is through), and under a number that passes over no later decision.
            let number = self.heard.unwrap_or(outcome.told);
            for decisions in outcome.decided.chunks(DECISIONS_MAX) {
                let reviewed = Reviewed { number, decisions: decisions.to_vec() };
                effects.push(ServerEffect::Send(Frame::Reviewed(reviewed)));
            }
        }
        if self.holding.pushes.is_empty() && std::mem::take(&mut self.holding.decided_meanwhile) {
            self.read_decisions(effects);
        }
    }

    /// An officer has decided something. It may be about what is being held just now, and is told after that answer.
    pub(super) fn on_decided(&mut self, effects: &mut Vec<ServerEffect>) {
        if self.holding.pushes.is_empty() {
            self.read_decisions(effects);
        } else {
            self.holding.decided_meanwhile = true;
        }
    }

    /// Tells what officers have decided that the device has not confirmed. Two readings may have been under way.
    pub(super) fn on_decisions(&mut self, decisions: Option<Reviewed>, effects: &mut Vec<ServerEffect>) {
        if let Some(reviewed) = decisions.filter(|reviewed| Some(reviewed.number) > self.told) {
            self.told = Some(reviewed.number);
            effects.push(ServerEffect::Send(Frame::Reviewed(reviewed)));
        }
    }

    pub(super) fn read_decisions(&self, effects: &mut Vec<ServerEffect>) {
        let (author, after) = (self.device.author(), self.heard.max(self.told));
        effects.push(ServerEffect::Query(Query::ReadDecisions(ReadDecisions { author, after })));
    }
}
