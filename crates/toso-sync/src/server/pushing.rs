//! Pushes: whether a device may make one at all, what of it goes to the log, and what the device is told of that.

use toso_core::change::Change;
use toso_core::chunk::{Chunk, ChunkError};
use toso_core::id::AuthorId;
use toso_core::unit::Scope;
use toso_wire::limits::{PUSH_BYTES_MAX, PUSH_ITEMS_MAX, PUSH_WINDOW};
use toso_wire::{Ack, Carried, Frame, NackCode, Push};

use super::checking::{broken, may_write};
use super::ending::{Ending, GoesOn};
use super::live::Live;
use super::refusing::nack;
use super::{Append, AppendFailure, AppendOutcome, Appending, Commit, JudgeReturned, Query, ServerEffect};
use crate::principal::AccessRole;

/// A push whose items were each checked once: they are changes, or they are not.
#[derive(Debug)]
pub(super) struct Pushed {
    pub(super) number: u64,
    pub(super) scope: Scope,
    pub(super) carried: Option<Carried>,
    pub(super) items: Vec<Result<Change, ChunkError>>,
}

impl Pushed {
    pub(super) fn of(push: Push) -> Self {
        let Push { number, scope, items, carried } = push;
        // What is returned to a server that has lost it was in the register, whatever it is.
        let is_returned = carried.as_ref().is_some_and(|carried| carried.signature.is_empty());
        let check = if is_returned { Change::check } else { Change::check_new };
        Self { number, scope, carried, items: items.iter().map(check).collect() }
    }

    /// What the author may write here in this role, with the places; refuses the rest item by item.
    pub(super) fn permitted(
        self,
        author: AuthorId,
        role: AccessRole,
        effects: &mut Vec<ServerEffect>,
    ) -> (Vec<u32>, Vec<Change>) {
        let (mut places, mut items) = (Vec::with_capacity(self.items.len()), Vec::with_capacity(self.items.len()));
        for (place, item) in (0..).zip(self.items) {
            let item = item.map_err(|error| broken(&error));
            match item.and_then(|change| may_write(author, role, self.scope, &change).map(|()| change)) {
                Ok(change) => {
                    places.push(place);
                    items.push(change);
                }
                Err((code, detail)) => nack(self.number, Some(place), code, &detail, effects),
            }
        }
        (places, items)
    }
}

impl Live {
    pub(super) fn on_push(&mut self, push: Push, effects: &mut Vec<ServerEffect>) -> GoesOn {
        let under_way = self.appending.len() + self.verifying.len() + self.holding.pushes.len();
        if push.number != self.next_push || under_way >= PUSH_WINDOW {
            let detail = format!(
                "push {} came while {} was expected and {under_way} of at most {PUSH_WINDOW} were under way",
                push.number, self.next_push
            );
            return Err(Ending::protocol(detail));
        }
        self.next_push += 1;
        self.take_push(push, effects);
        Ok(())
    }

    fn take_push(&mut self, push: Push, effects: &mut Vec<ServerEffect>) {
        let principal = self.device.principal;
        let bytes: usize = push.items.iter().map(|item| item.bytes().len()).sum();
        let held = self.hold_reason(&push);
        let whole = if push.items.is_empty() || push.items.len() > PUSH_ITEMS_MAX {
            Some((NackCode::TooLarge, format!("{} items, 1 to {PUSH_ITEMS_MAX} are accepted", push.items.len())))
        } else if bytes > PUSH_BYTES_MAX && push.items.len() > 1 {
            Some((NackCode::TooLarge, format!("{bytes} bytes, at most {PUSH_BYTES_MAX} in several items are accepted")))
        } else if !principal.role.may_write() {
            Some((NackCode::Forbidden, format!("{} does not write", principal.role.with_article())))
        } else if held.is_none() && (self.device.standing.revoked || !principal.may_push(self.catalog, push.scope)) {
            let detail = format!("{} is no commune inside the device's unit {}", push.scope, principal.unit);
            Some((NackCode::OutOfScope, detail))
        } else {
            None
        };
        if let Some((code, detail)) = whole {
            return nack(push.number, None, code, &detail, effects);
        }
        if let Some(reason) = held {
            return self.hold_checked(reason, Pushed::of(push), effects);
        }
        match &push.carried {
            Some(carried) if carried.signature.is_empty() && !self.takes_returns => {
                let detail = "a carried push needs its author's signature; this server has lost nothing to be returned";
                nack(push.number, None, NackCode::Forbidden, detail, effects);
            }
            Some(carried) if carried.signature.is_empty() => {
                let (number, author, scope) = (push.number, carried.author, push.scope);
                self.verifying.insert(number, Pushed::of(push));
                effects.push(ServerEffect::Query(Query::JudgeReturned(JudgeReturned { number, author, scope })));
            }
            Some(carried) => self.on_carried(carried.clone(), push, effects),
            None => {
                self.append_checked(principal.device.author(), principal.role, Pushed::of(push), effects);
            }
        }
    }

    /// Appends what `author` may write in this role, and refuses the rest item by item.
    pub(super) fn append_checked(
        &mut self,
        author: AuthorId,
        role: AccessRole,
        pushed: Pushed,
        effects: &mut Vec<ServerEffect>,
    ) {
        let (number, scope) = (pushed.number, pushed.scope);
        let returned = pushed.carried.as_ref().is_some_and(|carried| carried.signature.is_empty());
        let (places, items) = pushed.permitted(author, role, effects);
        if items.is_empty() {
            return;
        }
        self.appending.insert(number, places.into_iter().zip(items.iter().map(Change::<Chunk>::hash)).collect());
        let (by, only_unit) = (self.device.principal, self.only_unit());
        let push = Appending { number, by, only_unit, scope, returned, author };
        effects.push(ServerEffect::Commit(Commit::Append(Append { push, items })));
    }

    pub(super) fn on_appended(
        &mut self,
        number: u64,
        outcome: Result<AppendOutcome, AppendFailure>,
        effects: &mut Vec<ServerEffect>,
    ) -> GoesOn {
        let Some(places) = self.appending.remove(&number) else { return Ok(()) };
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
                    self.postpone(number, &places, postponed, effects)?;
                }
                // A push of which nothing is taken gets no ACK.
                if left_out >= places.len() {
                    return Ok(());
                }
                // What it carried for another comes back to it like anyone's: the carrier may have forgotten it since.
                if let Some(first) = outcome.first_new.filter(|_| outcome.new > 0 && !carried) {
                    self.remember_own(first.0..=first.0 + (outcome.new - 1));
                }
                self.acked_through = self.acked_through.max(outcome.through);
                let settled = !carried && self.settle(&outcome);
                effects.push(ServerEffect::Send(Frame::Ack(Ack { number, through: outcome.through, settled })));
                // The pushed chunks lie in one of the followed units; reading on moves the device's cursor past them.
                for subscription in &mut self.subscriptions {
                    subscription.grow(outcome.through);
                }
            }
            Err(AppendFailure::Unavailable) => {
                nack(number, None, NackCode::Unavailable, "the server cannot store at the moment", effects);
            }
        }
        Ok(())
    }
}
