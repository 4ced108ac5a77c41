//! What a session does when its device is moved to another unit, or shut out: hand over first, forget then, leave.
//!
//! The order matters. An edit that is in no other place than this phone must be acknowledged or held before its document
//! may go, so the session goes on until the outbox is empty and only then says GOODBYE. After a move the phone dials again
//! at once, for its new unit.

use toso_wire::{Frame, Goodbye, GoodbyeCode, Moved, Purge, Reviewed};

use super::session::ClientSession;
use super::{ClientEffect, SessionEnd};

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

impl Leaving {
    /// True once the session only hands over.
    pub(super) fn has_begun(self) -> bool {
        self.moved || self.purged
    }
}

impl ClientSession {
    pub(super) fn on_moved(&mut self, moved: Moved, effects: &mut Vec<ClientEffect>) {
        self.leaving.moved = true;
        effects.push(ClientEffect::Move(moved));
    }

    pub(super) fn on_purge(&mut self, purge: Purge, effects: &mut Vec<ClientEffect>) {
        self.leaving.purged |= purge.docs.is_empty();
        effects.push(ClientEffect::Purge(purge));
    }

    /// Kept first, confirmed then: the server repeats what is not confirmed.
    pub(super) fn on_reviewed(&self, reviewed: Reviewed, effects: &mut Vec<ClientEffect>) {
        let number = reviewed.number;
        effects.push(ClientEffect::KeepDecisions { reviewed, epoch: self.epoch });
        effects.push(ClientEffect::Send(Frame::Reviewed(Reviewed { number, decisions: Vec::new() })));
    }

    /// Leaves, once there is nothing more to hand over.
    pub(super) fn leave(&mut self, effects: &mut Vec<ClientEffect>) {
        if !self.leaving.purged || self.leaving.done || !self.is_drained() {
            return;
        }
        self.leaving.done = true;
        if !self.leaving.moved {
            effects.push(ClientEffect::DropHeldCopies);
        }
        let detail = "everything is handed over".to_owned();
        effects.push(ClientEffect::Send(Frame::Goodbye(Goodbye { code: GoodbyeCode::Done, detail })));
        if self.leaving.moved {
            self.end(SessionEnd::Moved, effects);
        }
    }
}
