//! The greeting: HELLO is looked at, its proof is checked, the units are opened, and WELCOME goes out.

use toso_core::id::Sequence;
use toso_core::unit::UnitRef;
use toso_wire::limits::{INTERESTS_MAX, PROTOCOL_VERSION};
use toso_wire::{Frame, GoodbyeCode, Hello, Welcome};

use super::ending::{Ending, GoesOn};
use super::live::Live;
use super::session::Phase;
use super::subscription::Subscription;
use super::{
    Authenticate, Authenticated, Greeting, KnownDevice, Open, Opened, Query, Refusal, RefusalKind, ServerEffect,
    ServerSession,
};

/// A device whose proof is challenged this often in one connection is not going to prove itself.
pub const CHALLENGES_MAX: u32 = 2;

/// A session whose proof is accepted, while its units are looked up.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) device: KnownDevice,
    hello: Box<Hello>,
    greeting: Greeting,
    pub(super) subscriptions: Vec<Subscription>,
    /// What was counted meanwhile.
    pub(super) counted: Sequence,
}

impl ServerSession {
    pub(super) fn on_hello(&mut self, hello: Hello, effects: &mut Vec<ServerEffect>) -> GoesOn {
        if hello.protocol != PROTOCOL_VERSION {
            let detail = format!("this server speaks protocol {PROTOCOL_VERSION}, not {}", hello.protocol);
            return Err(Ending::Goodbye(GoodbyeCode::Version, detail));
        }
        if hello.interests.len() > INTERESTS_MAX {
            let detail = format!("{} units asked for, at most {INTERESTS_MAX} are followed", hello.interests.len());
            return Err(Ending::protocol(detail));
        }
        let mut units: Vec<UnitRef> = hello.interests.iter().map(|interest| interest.unit).collect();
        units.sort_unstable();
        // Pages are told apart by their unit: of two equal interests one would ask for ever.
        if units.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            return Err(Ending::protocol("a unit is asked for twice"));
        }
        effects.push(ServerEffect::Query(Query::Authenticate(Authenticate(hello.proof.clone()))));
        self.phase = Phase::Proving(Box::new(hello));
        Ok(())
    }

    pub(super) fn on_authenticated(
        &mut self,
        hello: Box<Hello>,
        result: Result<Authenticated, Refusal>,
        effects: &mut Vec<ServerEffect>,
    ) -> GoesOn {
        let Authenticated { principal, greeting, standing } = match result {
            Ok(authenticated) => authenticated,
            Err(Refusal::Challenge(challenge)) => {
                self.challenges += 1;
                if self.challenges > CHALLENGES_MAX {
                    let detail = "the device did not prove itself".to_owned();
                    return Err(Ending::Goodbye(GoodbyeCode::Unauthorized, detail));
                }
                effects.push(ServerEffect::CountRefusal(RefusalKind::Challenge));
                effects.push(ServerEffect::Send(Frame::Challenge(challenge)));
                return Ok(());
            }
            Err(Refusal::Unauthorized(detail)) => return Err(Ending::Goodbye(GoodbyeCode::Unauthorized, detail)),
            Err(Refusal::Busy(detail)) => return Err(Ending::Goodbye(GoodbyeCode::Overload, detail)),
        };
        let device = KnownDevice::greeted(self.catalog, principal, standing, &hello.interests).map_err(|outside| {
            let detail = format!("{outside} is outside the device's unit {}", principal.unit);
            Ending::Goodbye(GoodbyeCode::OutOfScope, detail)
        })?;
        let followed = if device.is_leaving() { &[] } else { hello.interests.as_slice() };
        effects.push(ServerEffect::Query(Query::Open(Open {
            by: principal,
            revoked: device.standing.revoked,
            epoch: hello.epoch,
            interests: followed.to_vec(),
        })));
        let subscriptions = followed.iter().map(Subscription::new).collect();
        self.phase =
            Phase::Opening(Box::new(Opening { device, hello, greeting, subscriptions, counted: Sequence::ZERO }));
        Ok(())
    }

    pub(super) fn on_opened(&mut self, opening: Opening, opened: Opened, effects: &mut Vec<ServerEffect>) -> GoesOn {
        let Opening { device, mut hello, greeting, subscriptions, counted } = opening;
        let push = hello.push.take();
        let mut live = Box::new(Live::new(self.catalog, device, subscriptions, &hello, &opened));
        live.counted = counted;
        live.greet(greeting, &opened, effects);
        let goes_on = push.map_or(Ok(()), |push| live.on_push(push, effects));
        if goes_on.is_ok() && !live.subscriptions.is_empty() {
            live.read_totals(effects);
            // After the push, so that it does not bring the device what it pushes once more.
            if let (Some(page), [subscription]) = (opened.page, live.subscriptions.as_slice())
                && subscription.unit == page.unit
                && subscription.wants_page()
            {
                live.on_page(page, effects);
            }
        }
        self.phase = Phase::Live(live);
        goes_on
    }
}

impl Live {
    /// WELCOME, and what else is said before anything that the device asks.
    fn greet(&mut self, greeting: Greeting, opened: &Opened, effects: &mut Vec<ServerEffect>) {
        let comparing = opened.interests.iter().any(|interest| interest.reconcile.is_some());
        // At least one, so that the device waits for the end of a comparison.
        let pending = opened.interests.iter().map(|interest| interest.pending).sum::<u64>().max(u64::from(comparing));
        let Greeting { epoch, at, proof } = greeting;
        // The device knows the epoch that it has named.
        let epoch = (self.heard_epoch != Some(epoch)).then_some(epoch);
        effects.push(ServerEffect::Send(Frame::Welcome(Welcome { epoch, at, proof, pending })));
        for (subscription, interest) in self.subscriptions.iter_mut().zip(&opened.interests) {
            subscription.cursor = interest.cursor;
            subscription.grown = subscription.grown.max(interest.last);
            // The device waits for the last page of every unit as soon as one has something for it.
            subscription.owed = pending > 0;
            if let Some(as_of) = interest.reconcile {
                subscription.reconciling = Some(Self::open_reconciling(subscription.unit, as_of, effects));
                subscription.owed = false;
            }
        }
        self.tell_leaving(effects);
        self.read_decisions(effects);
    }
}
