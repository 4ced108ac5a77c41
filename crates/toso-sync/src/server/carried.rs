//! Pushes that a device only carried for another: their author's signature and rights decide.

use toso_core::chunk::Chunk;
use toso_wire::{Carried, NackCode, Push, signed_carried};

use super::session::{ServerSession, chunk_code, nack};
use super::{CarriedRefusal, ServerEffect};
use crate::principal::Principal;

impl ServerSession {
    /// The signature is over all changes, so each of them must be one before it can be checked.
    pub(super) fn on_carried(&mut self, push: Push, effects: &mut Vec<ServerEffect>) {
        let Some(Carried { device, signature }) = push.carried.clone() else {
            return;
        };
        let hashes = push.items.iter().map(|item| Chunk::parse(&item.change).map(|chunk| (item.doc, chunk.hash())));
        match hashes.collect::<Result<Vec<_>, _>>() {
            Ok(changes) => {
                let (number, signed) = (push.number, signed_carried(push.scope, device, changes));
                self.verifying.insert(number, push);
                effects.push(ServerEffect::VerifyCarried { number, author: device, signed, signature });
            }
            Err(error) => nack(push.number, None, chunk_code(&error), &error.to_string(), effects),
        }
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
                let detail =
                    format!("the author, a {} of {}, may not write in {}", author.role, author.unit, push.scope);
                nack(number, None, NackCode::OutOfScope, &detail, effects);
            }
            Ok(author) => {
                self.carried.insert(number);
                self.append_checked(&author, push, effects);
            }
        }
    }
}
