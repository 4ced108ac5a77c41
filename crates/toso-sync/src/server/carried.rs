//! Pushes that a device only carried for another: their author's signature and rights decide. And pushes that it returns to
//! a server which has lost them: no signature is left, so what they may say is less.

use toso_core::change::Change;
use toso_wire::{Carried, NackCode, Push, signed_carried};

use super::checking::{broken, may_write};
use super::live::Live;
use super::pushing::Pushed;
use super::refusing::nack;
use super::{CarriedRefusal, HoldReason, Query, ReturnVerdict, ServerEffect, VerifyCarried};
use crate::principal::{AccessRole, Principal};

impl Live {
    /// The signature is over all changes, so each of them must be one before it can be checked.
    pub(super) fn on_carried(&mut self, carried: Carried, push: Push, effects: &mut Vec<ServerEffect>) {
        let Carried { author, signature } = carried;
        let pushed = Pushed::of(push);
        let (number, scope) = (pushed.number, pushed.scope);
        let changes = pushed.items.iter().map(|item| item.as_ref().map(|change| (change.doc, change.hash())));
        match changes.collect::<Result<Vec<_>, _>>() {
            Ok(changes) => {
                let signed = signed_carried(scope, author, changes);
                self.verifying.insert(number, pushed);
                let verify = VerifyCarried { number, author, signed, signature };
                effects.push(ServerEffect::Query(Query::VerifyCarried(verify)));
            }
            Err(error) => {
                let (code, detail) = broken(error);
                nack(number, None, code, &detail, effects);
            }
        }
    }

    /// Nothing that is returned goes to the bin: what may not be taken as it comes waits for an officer.
    pub(super) fn on_returned_judged(&mut self, number: u64, verdict: ReturnVerdict, effects: &mut Vec<ServerEffect>) {
        let Some(push) = self.verifying.remove(&number) else { return };
        let Some(author) = push.carried.as_ref().map(|carried| carried.author) else { return };
        // Its author may have been an officer then, and be a recorder now.
        let role = AccessRole::Recorder;
        let is_more = |item: &Change| {
            may_write(author, role, push.scope, item).is_err_and(|(code, _)| code == NackCode::Forbidden)
        };
        if verdict == ReturnVerdict::Hold || push.items.iter().flatten().any(is_more) {
            return self.hold_checked(HoldReason::Returned { by: self.device.author() }, push, effects);
        }
        self.append_checked(author, role, push, effects);
    }

    /// What the carrier may do was checked when the push came; from here on the author's rights decide.
    pub(super) fn on_carried_verified(
        &mut self,
        number: u64,
        author: Result<Principal, CarriedRefusal>,
        effects: &mut Vec<ServerEffect>,
    ) {
        let Some(push) = self.verifying.remove(&number) else {
            return;
        };
        match author {
            Err(refusal) => nack(number, None, NackCode::Forbidden, &refusal.to_string(), effects),
            Ok(author) if !author.may_push(self.catalog, push.scope) => {
                let detail = format!(
                    "the author, {} of {}, may not write in {}",
                    author.role.with_article(),
                    author.unit,
                    push.scope
                );
                nack(number, None, NackCode::OutOfScope, &detail, effects);
            }
            Ok(author) => {
                self.carried.insert(number);
                self.append_checked(author.device.author(), author.role, push, effects);
            }
        }
    }
}
