//! The greeting: HELLO is looked at, its proof is checked, the units are opened, and WELCOME goes out.

use toso_core::id::Sequence;
use toso_core::unit::UnitRef;
use toso_wire::limits::{INTERESTS_MAX, PROTOCOL_VERSION};
use toso_wire::{Frame, GoodbyeCode, Hello, Welcome};

use super::session::Phase;
use super::subscription::Subscription;
use super::{Authenticated, Greeting, Opened, Refusal, RefusalKind, ServerEffect, ServerSession};

/// A device whose proof is challenged this often in one connection is not going to prove itself.
pub const CHALLENGES_MAX: u32 = 2;

impl ServerSession {
    pub(super) fn on_hello(&mut self, hello: Hello, effects: &mut Vec<ServerEffect>) {
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

    pub(super) fn on_authenticated(&mut self, result: Result<Authenticated, Refusal>, effects: &mut Vec<ServerEffect>) {
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
                self.subscriptions = followed
                    .iter()
                    .map(|interest| Subscription {
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

    pub(super) fn on_opened(&mut self, opened: Opened, effects: &mut Vec<ServerEffect>) {
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
        for (subscription, interest) in self.subscriptions.iter_mut().zip(&opened.interests) {
            subscription.cursor = interest.cursor;
            subscription.grown = subscription.grown.max(interest.last);
            // The device waits for the last page of every unit as soon as one has something for it.
            subscription.owed = pending > 0;
        }
        let Greeting { epoch, at, proof } = greeting;
        // The device knows the epoch that it has named.
        let epoch = (self.heard_epoch != Some(epoch)).then_some(epoch);
        let welcome = Welcome { epoch, at, proof, pending };
        effects.push(ServerEffect::Send(Frame::Welcome(welcome)));
        for (subscription, interest) in self.subscriptions.iter_mut().zip(&opened.interests) {
            if let Some(as_of) = interest.reconcile {
                subscription.reconciling = Some(Self::open_reconciling(subscription.unit, as_of, effects));
                subscription.owed = false;
            }
        }
        self.tell_leaving(effects);
        self.read_decisions(effects);
        if let Some(push) = push {
            self.on_push(push, effects);
        }
        if !self.subscriptions.is_empty() && !matches!(self.phase, Phase::Ended) {
            self.read_totals(effects);
            // After the push, so that it does not bring the device what it pushes once more.
            if let (Some(page), [subscription]) = (opened.page, self.subscriptions.as_slice())
                && subscription.unit == page.unit
                && subscription.wants_page()
            {
                self.on_page(page, effects);
            }
        }
    }
}
