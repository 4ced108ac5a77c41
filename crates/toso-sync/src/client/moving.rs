//! What a session does when its device is moved to another unit, or shut out: hand over first, forget then, leave.
//!
//! The order matters. An edit that is in no other place than this phone must be acknowledged or held before its document
//! may go, so the session goes on until the outbox is empty and only then says GOODBYE. After a move the phone dials again
//! at once, for its new unit.
//!
//! A server of another epoch has perhaps lost what the phone has long handed over, and what others made. Before it forgets,
//! the phone puts all that it has of the unit into its outbox: what the server has, it knows by its hash.

use toso_wire::{Frame, Goodbye, GoodbyeCode, Moved, Purge, Reviewed};

use super::live::Live;
use super::session::GoesOn;
use super::{ClientEffect, Commit, Query, ReadElements, SessionEnd};

/// How far a session is with leaving.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Leaving {
    /// MOVED has come.
    moved: bool,
    /// PURGE of scopes has come: everything has been said that the phone must know before it leaves.
    purged: bool,
    /// GOODBYE has been said.
    done: bool,
}

/// What the server said while this session still had to take something along.
#[derive(Debug)]
pub(super) enum ToldToLeave {
    Moved(Moved),
    Purge(Purge),
}

impl Leaving {
    /// True once the session only hands over.
    pub(super) fn has_begun(self) -> bool {
        self.moved || self.purged
    }

    /// True once GOODBYE has been said and the server has the last word.
    pub(super) fn awaits_end(self) -> bool {
        self.done
    }
}

impl Live {
    pub(super) fn on_moved(&mut self, moved: Moved, effects: &mut Vec<ClientEffect>) {
        if self.takes_all_along(effects) {
            self.told_to_leave.push(ToldToLeave::Moved(moved));
        } else {
            self.leaving.moved = true;
            self.hand_over_all(effects);
            effects.push(ClientEffect::Commit(Commit::Move(moved)));
        }
    }

    pub(super) fn on_purge(&mut self, purge: Purge, effects: &mut Vec<ClientEffect>) {
        if purge.docs.is_empty() && self.takes_all_along(effects) {
            self.told_to_leave.push(ToldToLeave::Purge(purge));
        } else {
            if purge.docs.is_empty() {
                self.leaving.purged = true;
                self.hand_over_all(effects);
            }
            effects.push(ClientEffect::Commit(Commit::Purge(purge)));
        }
    }

    /// True while what is here must first go into the outbox, as all of it that this epoch may have lost.
    fn takes_all_along(&mut self, effects: &mut Vec<ClientEffect>) -> bool {
        if self.told_to_leave.is_empty() {
            let unknown = self.follows.iter().filter(|follow| follow.pulling_anew.is_some());
            effects.extend(
                unknown.map(|follow| ClientEffect::Query(Query::ReadElements(ReadElements { unit: follow.unit }))),
            );
        }
        self.is_reconciling() || self.is_pulling_anew()
    }

    /// Goes on with leaving, once all that is here waits in the outbox.
    pub(super) fn leave_after_all(&mut self, effects: &mut Vec<ClientEffect>) {
        for told in std::mem::take(&mut self.told_to_leave) {
            match told {
                ToldToLeave::Moved(moved) => self.on_moved(moved, effects),
                ToldToLeave::Purge(purge) => self.on_purge(purge, effects),
            }
        }
    }

    /// Kept first, confirmed then: the server repeats what is not confirmed.
    pub(super) fn on_reviewed(&self, reviewed: Reviewed, effects: &mut Vec<ClientEffect>) {
        let number = reviewed.number;
        effects.push(ClientEffect::Commit(Commit::KeepDecisions { reviewed, epoch: self.epoch }));
        effects.push(ClientEffect::Send(Frame::Reviewed(Reviewed { number, decisions: Vec::new() })));
    }

    /// Leaves, once there is nothing more to hand over.
    pub(super) fn leave(&mut self, effects: &mut Vec<ClientEffect>) -> GoesOn {
        if !self.leaving.purged || self.leaving.done || !self.is_drained() {
            return Ok(());
        }
        self.leaving.done = true;
        if !self.leaving.moved {
            effects.push(ClientEffect::Commit(Commit::DropHeldCopies));
        }
        let detail = "everything is handed over".to_owned();
        effects.push(ClientEffect::Send(Frame::Goodbye(Goodbye { code: GoodbyeCode::Done, detail })));
        if self.leaving.moved { Err(SessionEnd::Moved) } else { Ok(()) }
    }
}
