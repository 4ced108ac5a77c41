//! One session as a server performs it: what is answered at once, what needs a disk, and in which order.
//!
//! The driver performs it on threads and sockets, a simulation in virtual time. Both ask here what an effect comes to, so
//! that what is simulated is what runs.

use std::sync::Arc;

use toso_catalog::Catalog;
use toso_core::id::{AuthorId, Sequence};
use toso_core::time::TimestampMs;
use toso_store::LogBatch;
use toso_sync::server::{Append, Appending, Authenticate, Commit, Hold, Open, Query, RefusalKind};
use toso_sync::{AccessRole, Ask as _, Authenticated, Refusal, ServerEffect, ServerEvent, ServerSession};
use toso_wire::{Frame, Proof};

use crate::counted::Wish;
use crate::desk::{Desk, Work};
use crate::hub::{Hub, Subscription};
use crate::log_writer::{UNIT_SCOPES_MAX, UnitBatch};
use crate::quota::Charge;
use crate::trust::{Footing, NONCE_BYTES, QUARANTINE_TEXT};

/// A session with what is kept beside it while it runs.
pub struct Serving {
    session: ServerSession,
    /// The nonce of this connection's last challenge.
    nonce: Option<[u8; NONCE_BYTES]>,
    subscription: Option<Subscription>,
    /// What the session wants counted.
    wish: Wish,
}

/// What an effect comes to.
pub enum Step {
    /// Answered; the session goes on with it at once.
    Answer(ServerEvent),
    /// [`Desk::perform`] it elsewhere.
    Work(Work),
    /// [`Proving::check`] it on a thread of its own, and go on with [`Serving::proved`].
    Prove(Proving),
    /// Append durably.
    Append(Appending, UnitBatch),
    /// [`Desk::hold`] it on a thread of its own.
    Hold(Hold),
    /// Send a frame.
    Send(Frame),
    /// Count a refusal.
    Count(RefusalKind),
    /// The device's record has changed since it said HELLO, so its session is not opened: end it, the next HELLO tells.
    Moved(Open),
    /// The device's token has ended: end the session, an officer must see it again.
    Ended,
    /// Close the connection after what was sent.
    Close,
}

/// A proof that takes signatures to check, with the nonce that it may be over.
pub struct Proving {
    proof: Authenticate,
    nonce: Option<[u8; NONCE_BYTES]>,
}

/// What a proof came to.
pub struct Proved {
    proof: Authenticate,
    answer: Result<Authenticated, Refusal>,
    /// Of the challenge, if it is one.
    nonce: Option<[u8; NONCE_BYTES]>,
}

impl Proving {
    /// Checks it. Computes for some 0.3 ms, and may write to the store.
    pub fn check(self, desk: &Desk, now: TimestampMs) -> Proved {
        let Self { proof, mut nonce } = self;
        let answer = desk.authenticate(&proof.0, &mut nonce, now);
        Proved { proof, answer, nonce }
    }
}

impl Serving {
    /// A session that waits for HELLO.
    pub fn new(catalog: &'static Catalog) -> Self {
        Self { session: ServerSession::new(catalog), nonce: None, subscription: None, wish: Wish::default() }
    }

    /// The machine.
    pub fn session(&self) -> &ServerSession {
        &self.session
    }

    /// What it follows, once it is open.
    pub fn subscription(&self) -> Option<&Subscription> {
        self.subscription.as_ref()
    }

    /// True while a HELLO is checked, and from its acceptance to the first read of the log: nothing else is taken from its
    /// socket meanwhile.
    pub fn is_opening(&self) -> bool {
        self.session.is_proving() || self.session.device().is_some() && !self.session.is_live()
    }

    /// Takes an event; every effect is to go through [`Self::step`], in order, before the next event. Notes what the session
    /// wants counted from now on.
    pub fn handle(&mut self, now: TimestampMs, event: ServerEvent) -> Vec<ServerEffect> {
        self.wish.care(Wish::concern(&event));
        self.session.handle(now, event)
    }

    /// What an effect comes to.
    pub fn step(&mut self, desk: &Desk, hub: &Arc<Hub>, now: TimestampMs, effect: ServerEffect) -> Step {
        match effect {
            ServerEffect::Query(query) => self.find_out(desk, hub, now, query),
            ServerEffect::Commit(Commit::Append(Append { push, items })) => {
                let batch = LogBatch { scope: push.scope, author: push.author, received_at: now, items };
                let unit = push.only_unit.map(|unit| desk.scopes(unit)).unwrap_or_default();
                let unit = if unit.len() <= UNIT_SCOPES_MAX { unit } else { Arc::default() };
                let role_of =
                    |author| desk.trust.device_of_author(author).map_or(AccessRole::Recorder, |device| device.role());
                let charge = charge(&push, role_of);
                Step::Append(push, UnitBatch { batch, unit, charge })
            }
            ServerEffect::Commit(Commit::Hold(hold)) => Step::Hold(hold),
            ServerEffect::Commit(Commit::KeepTold(told)) => Step::Work(Work::KeepTold(told)),
            ServerEffect::Send(frame) => Step::Send(frame),
            ServerEffect::CountRefusal(refusal) => Step::Count(refusal),
            ServerEffect::Close => Step::Close,
        }
    }

    fn find_out(&mut self, desk: &Desk, hub: &Arc<Hub>, now: TimestampMs, query: Query) -> Step {
        match query {
            // It knows whom it has let in, and not whom it has shut out since.
            Query::Authenticate(proof) if desk.trust.quarantined_since().is_some() => {
                Step::Answer(proof.answer(Err(Refusal::Busy(QUARANTINE_TEXT.to_owned()))))
            }
            Query::Authenticate(proof) => {
                let proving = Proving { proof, nonce: self.nonce.take() };
                match &proving.proof.0 {
                    // A keyed hash, in memory.
                    Proof::Ticket(_) => Step::Answer(self.proved(hub, proving.check(desk, now))),
                    Proof::Token { .. } => Step::Prove(proving),
                }
            }
            Query::Open(open) => {
                let units: Vec<_> = open.interests.iter().map(|interest| interest.unit).collect();
                // Before the read, so that nothing falls between the two.
                self.subscription = Some(hub.subscribe(open.by.device.author(), &units));
                match desk.trust.footing(&open.by, open.revoked, now) {
                    Footing::Firm => {}
                    Footing::Another => return Step::Moved(open),
                    Footing::Ended => return Step::Ended,
                }
                // On a disk error the reader reports the failure, so the session does not wait forever.
                let at_hand = desk.opens_from_memory(&open).then(|| desk.open(open.epoch, &open.interests));
                match at_hand {
                    Some(Ok(opened)) => Step::Answer(open.answer(opened)),
                    Some(Err(_)) | None => Step::Work(Work::Open(open)),
                }
            }
            Query::ReadPage(read) => Step::Work(Work::ReadPage(read)),
            Query::ReadElements(read) => Step::Work(Work::ReadElements(read)),
            Query::ReadWanted(read) => Step::Work(Work::ReadWanted(read)),
            Query::VerifyCarried(verify) => Step::Work(Work::VerifyCarried(verify)),
            Query::ReadTotals(read) if !desk.views.are_whole() => Step::Work(Work::ReadTotals(read)),
            // In memory.
            Query::ReadTotals(read) => {
                let totals = desk.totals(&read.0);
                Step::Answer(read.answer(totals))
            }
            Query::ReadDecisions(read) => {
                let decisions = desk.review.untold(read.author, read.after);
                Step::Answer(read.answer(decisions))
            }
            Query::JudgeReturned(judge) => {
                let verdict = desk.trust.judge_returned(desk.catalog, judge.author, judge.scope, now);
                Step::Answer(judge.answer(verdict))
            }
        }
    }

    /// Goes on with what a proof came to.
    pub fn proved(&mut self, hub: &Hub, Proved { proof, answer, nonce }: Proved) -> ServerEvent {
        self.nonce = nonce;
        // Sessions of other copies of the device began under what was known before.
        if let Some(known) = answer.as_ref().ok().filter(|known| known.standing.reminded) {
            hub.moved(known.principal.device.author());
        }
        proof.answer(answer)
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
fn charge(push: &Appending, role_of: impl FnOnce(AuthorId) -> AccessRole) -> Charge {
    let (carrier, author) = (push.by.device.author(), push.author);
    if push.returned {
        Charge::Returned { carrier }
    } else if carrier == author {
        Charge::Own { role: push.by.role }
    } else {
        Charge::Carried { role: role_of(author), carrier }
    }
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("session", &self.session).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use toso_core::id::{Digest, Epoch};
    use toso_sync::server::Answer;
    use toso_sync::{Greeting, Opened, OpenedInterest, Principal, Standing};
    use toso_wire::{Hello, Interest, TicketProof, WelcomeProof};

    use super::*;

    /// What was returned cost nobody anything, so that one device could append without end in other names.
    #[test]
    fn who_returns_pays_in_whatever_name() {
        let devices = [1, 2].map(|number| toso_core::id::DeviceId([number; 16]));
        let [own, other] = devices.map(|device| device.author());
        let unit = "2022/00001".parse().unwrap();
        let principal = Principal { device: devices[0], role: AccessRole::Recorder, unit };
        let of = |author, returned| {
            let push = Appending { number: 1, by: principal, only_unit: Some(unit), scope: unit, returned, author };
            charge(&push, |_| AccessRole::Officer)
        };
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
        serving.handle(now, Answer::Authenticated(Ok(authenticated)).into());
        assert_eq!(serving.awaits_count(Sequence(3)), None);
        serving.handle(now, Answer::Opened(opened).into());
        assert_eq!(serving.awaits_count(Sequence(3)), Some(Sequence(5)));
        assert!(matches!(serving.tell_counted(Sequence(5)), Some(ServerEvent::Counted(Sequence(5)))));
        assert!(serving.awaits_count(Sequence(5)).is_none() && serving.tell_counted(Sequence(6)).is_none());
    }
}
