//! One session as a server performs it: what is answered at once, what needs a disk, and in which order.
//!
//! The driver performs it on threads and sockets, a simulation in virtual time. Both ask here what an effect comes to, so
//! that what is simulated is what runs.

use std::sync::Arc;

use toso_catalog::Catalog;
use toso_core::change::Change;
use toso_core::id::{AuthorId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;
use toso_store::LogBatch;
use toso_sync::server::RefusalKind;
use toso_sync::{AccessRole, Authenticated, HoldReason, Principal, Refusal, ServerEffect, ServerEvent, ServerSession};
use toso_wire::{Frame, Proof};

use crate::counted::Wish;
use crate::desk::Desk;
use crate::hub::{Hub, Subscription};
use crate::log_writer::{UNIT_SCOPES_MAX, UnitBatch};
use crate::quota::Charge;
use crate::trust::{Footing, NONCE_BYTES, QUARANTINE_TEXT};

/// A session with what is kept beside it while it runs.
pub struct Serving {
    session: ServerSession,
    /// The nonce of this connection's last challenge.
    nonce: Option<[u8; NONCE_BYTES]>,
    /// A proof is being checked.
    proving: bool,
    subscription: Option<Subscription>,
    /// What the session wants counted.
    wish: Wish,
    opened: bool,
}

/// What an effect comes to.
pub enum Step {
    /// Answered; the session goes on with it at once.
    Answer(ServerEvent),
    /// Nothing is to be done.
    Nothing,
    /// [`Desk::answer`] it on a thread of its own: it waits for the disk, or computes.
    Read(ServerEffect),
    /// [`Desk::answer`] it once the views are whole.
    ReadViews(ServerEffect),
    /// [`Proving::check`] it on a thread of its own, and go on with [`Serving::proved`].
    Prove(Proving),
    /// Append durably; answer with [`ServerEvent::Appended`].
    Append {
        /// The push.
        number: u64,
        /// True when its device had the items from the server, which has lost them.
        returned: bool,
        /// What is to be appended.
        batch: UnitBatch,
    },
    /// [`Desk::hold`] it on a thread of its own.
    Hold {
        /// The push.
        number: u64,
        /// Author and scope.
        from: (AuthorId, Scope),
        /// Why.
        reason: HoldReason,
        /// The items.
        items: Vec<Change>,
    },
    /// Send a frame.
    Send(Frame),
    /// Count a refusal.
    Count(RefusalKind),
    /// The device's record has changed since it said HELLO: end the session, the next HELLO tells.
    Moved,
    /// The device's token has ended: end the session, an officer must see it again.
    Ended,
    /// Close the connection after what was sent.
    Close,
}

/// A proof that takes signatures to check, with the nonce that it may be over.
pub struct Proving {
    proof: Proof,
    nonce: Option<[u8; NONCE_BYTES]>,
}

/// What a proof came to.
pub struct Proved {
    answer: Result<Authenticated, Refusal>,
    /// Of the challenge, if it is one.
    nonce: Option<[u8; NONCE_BYTES]>,
}

impl Proving {
    /// Checks it. Computes for some 0.3 ms, and may write to the store.
    pub fn check(mut self, desk: &Desk, now: TimestampMs) -> Proved {
        let answer = desk.authenticate(&self.proof, &mut self.nonce, now);
        Proved { answer, nonce: self.nonce }
    }
}

impl Serving {
    /// A session that waits for HELLO.
    pub fn new(catalog: &'static Catalog) -> Self {
        Self {
            session: ServerSession::new(catalog),
            nonce: None,
            proving: false,
            subscription: None,
            wish: Wish::default(),
            opened: false,
        }
    }

    /// The machine.
    pub fn session(&self) -> &ServerSession {
        &self.session
    }

    /// What it follows, once it is open.
    pub fn subscription(&self) -> Option<&Subscription> {
        self.subscription.as_ref()
    }

    /// True once it takes pushes.
    pub fn is_open(&self) -> bool {
        self.opened
    }

    /// True while a HELLO is checked, and from its acceptance to the first read of the log: nothing else is taken from its
    /// socket meanwhile.
    pub fn is_opening(&self) -> bool {
        self.proving || self.session.principal().is_some() && !self.opened
    }

    /// True while a HELLO is checked.
    pub fn is_proving(&self) -> bool {
        self.proving
    }

    /// Takes an event; every effect is to go through [`Self::step`], in order, before the next event. Notes what the session
    /// wants counted from now on.
    pub fn handle(&mut self, now: TimestampMs, event: ServerEvent) -> Vec<ServerEffect> {
        self.wish.care(Wish::concern(&event));
        self.opened |= matches!(event, ServerEvent::Opened(_));
        self.session.handle(now, event)
    }

    /// What an effect comes to.
    pub fn step(&mut self, desk: &Desk, hub: &Arc<Hub>, now: TimestampMs, effect: ServerEffect) -> Step {
        match effect {
            // It knows whom it has let in, and not whom it has shut out since.
            ServerEffect::Authenticate(_) if desk.trust.quarantined_since().is_some() => {
                let refusal = Refusal::Busy(QUARANTINE_TEXT.to_owned());
                Step::Answer(ServerEvent::Authenticated(Err(refusal)))
            }
            ServerEffect::Authenticate(proof) => {
                self.proving = true;
                let proving = Proving { proof, nonce: self.nonce.take() };
                match &proving.proof {
                    // A keyed hash, in memory.
                    Proof::Ticket(_) => Step::Answer(self.proved(hub, proving.check(desk, now))),
                    Proof::Token { .. } => Step::Prove(proving),
                }
            }
            ServerEffect::Open { ref interests, .. } => {
                if let Some(principal) = self.session.principal() {
                    let units: Vec<_> = interests.iter().map(|interest| interest.unit).collect();
                    // Before the read, so that nothing falls between the two.
                    self.subscription = Some(hub.subscribe(principal.device.author(), &units));
                    let revoked = self.session.is_revoked();
                    match desk.trust.footing(&principal, revoked, now) {
                        Footing::Firm => {}
                        Footing::Another => return Step::Moved,
                        Footing::Ended => return Step::Ended,
                    }
                }
                // On a disk error the reader reports the failure, so the session does not wait forever.
                let at_hand =
                    if desk.opens_from_memory(&effect) { desk.answer(&effect, now).ok().flatten() } else { None };
                at_hand.map_or(Step::Read(effect), Step::Answer)
            }
            ServerEffect::ReadPage { .. }
            | ServerEffect::ReadElements { .. }
            | ServerEffect::ReadWanted { .. }
            | ServerEffect::VerifyCarried { .. }
            | ServerEffect::KeepTold { .. } => Step::Read(effect),
            ServerEffect::ReadTotals(_) if !desk.views.are_whole() => Step::ReadViews(effect),
            // In memory.
            ServerEffect::ReadTotals(_) | ServerEffect::ReadDecisions { .. } => {
                desk.answer(&effect, now).ok().flatten().map_or(Step::Nothing, Step::Answer)
            }
            ServerEffect::JudgeReturned { number, author, scope } => {
                let verdict = desk.trust.judge_returned(desk.catalog, author, scope, now);
                Step::Answer(ServerEvent::ReturnedJudged { number, verdict })
            }
            ServerEffect::Append { number, scope, returned, author, items } => {
                let batch = LogBatch { scope, author, received_at: now, items };
                let unit = self.session.only_unit().map(|unit| desk.scopes(unit)).unwrap_or_default();
                let unit = if unit.len() <= UNIT_SCOPES_MAX { unit } else { Arc::default() };
                let charge = self.charge(desk, author, returned);
                Step::Append { number, returned, batch: UnitBatch { batch, unit, charge } }
            }
            ServerEffect::Hold { number, scope, author, reason, items } => {
                Step::Hold { number, from: (author, scope), reason, items }
            }
            ServerEffect::Send(frame) => Step::Send(frame),
            ServerEffect::CountRefusal(refusal) => Step::Count(refusal),
            ServerEffect::Close => Step::Close,
        }
    }

    /// Goes on with what a proof came to.
    pub fn proved(&mut self, hub: &Hub, Proved { answer, nonce }: Proved) -> ServerEvent {
        (self.proving, self.nonce) = (false, nonce);
        // Sessions of other copies of the device began under what was known before.
        if let Some(known) = answer.as_ref().ok().filter(|known| known.standing.reminded) {
            hub.moved(known.principal.device.author());
        }
        ServerEvent::Authenticated(answer)
    }

    /// Who pays for a push.
    fn charge(&self, desk: &Desk, author: AuthorId, returned: bool) -> Charge {
        let role_of = |author| desk.trust.device_of_author(author).map_or(AccessRole::Recorder, |device| device.role());
        self.session.principal().map_or(Charge::Free, |principal| charge(&principal, author, returned, role_of))
    }

    /// What the session is to be told now that everything up to `current` is counted. Asked after every event, no matter who
    /// answered it.
    pub fn tell_counted(&mut self, current: Sequence) -> Option<ServerEvent> {
        self.wish.tell(current).map(ServerEvent::Counted)
    }

    /// What it waits for to be counted.
    pub fn awaits_count(&self, current: Sequence) -> Option<Sequence> {
        self.wish.awaited(current)
    }
}

/// Who pays for what a device pushes in an author's name.
fn charge(
    principal: &Principal,
    author: AuthorId,
    returned: bool,
    role_of: impl FnOnce(AuthorId) -> AccessRole,
) -> Charge {
    let carrier = principal.device.author();
    if returned {
        Charge::Returned { carrier }
    } else if carrier == author {
        Charge::Own { role: principal.role }
    } else {
        Charge::Carried { role: role_of(author), carrier }
    }
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("session", &self.session).field("opened", &self.opened).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use toso_core::id::{Digest, Epoch};
    use toso_sync::{Greeting, Opened, OpenedInterest, Standing};
    use toso_wire::{Hello, Interest, TicketProof, WelcomeProof};

    use super::*;

    /// What was returned cost nobody anything, so that one device could append without end in other names.
    #[test]
    fn who_returns_pays_in_whatever_name() {
        let devices = [1, 2].map(|number| toso_core::id::DeviceId([number; 16]));
        let [own, other] = devices.map(|device| device.author());
        let unit = "2022/00001".parse().unwrap();
        let principal = Principal { device: devices[0], role: AccessRole::Recorder, unit };
        let of = |author, returned| charge(&principal, author, returned, |_| AccessRole::Officer);
        for author in [own, other] {
            assert_eq!(of(author, true), Charge::Returned { carrier: own });
        }
        assert_eq!(of(own, false), Charge::Own { role: AccessRole::Recorder });
        assert_eq!(of(other, false), Charge::Carried { role: AccessRole::Officer, carrier: own });
    }

    /// An opening that is answered from memory must be awaited like one that a thread brings.
    #[test]
    fn what_a_session_wants_counted_is_noted_also_from_memory() {
        let unit = "2022/00001".parse().unwrap();
        let (device, now) = (toso_core::id::DeviceId([1; 16]), TimestampMs(1_663_545_600_000));
        let mut serving = Serving::new(Catalog::shared());
        let hello = Hello {
            protocol: 1,
            proof: Proof::Ticket(TicketProof::from_bytes(&[1; 28])),
            epoch: Some(Epoch(1)),
            interests: vec![Interest { unit, cursor: Sequence(5), digest: Digest::default() }],
            live: true,
            push: None,
            heard: None,
            page_bytes: None,
            receipt: None,
        };
        let principal = Principal { device, role: AccessRole::Recorder, unit };
        let greeting = Greeting { epoch: Epoch(1), at: now, proof: WelcomeProof::Ticket([0; 8]) };
        let authenticated = Authenticated { principal, greeting, standing: Standing::default() };
        let interest = OpenedInterest { cursor: Sequence(5), reconcile: None, last: Sequence(5), pending: 0 };
        let opened = Opened { epoch: Epoch(1), takes_returns: false, interests: vec![interest], page: None };
        serving.handle(now, ServerEvent::Frame(Frame::Hello(hello)));
        serving.handle(now, ServerEvent::Authenticated(Ok(authenticated)));
        assert_eq!(serving.awaits_count(Sequence(3)), None);
        serving.handle(now, ServerEvent::Opened(opened));
        assert_eq!(serving.awaits_count(Sequence(3)), Some(Sequence(5)));
        assert!(matches!(serving.tell_counted(Sequence(5)), Some(ServerEvent::Counted(Sequence(5)))));
        assert!(serving.awaits_count(Sequence(5)).is_none() && serving.tell_counted(Sequence(6)).is_none());
    }
}
