//! Whether WELCOME was said by the server that the device has joined.
//!
//! Until then nothing of a server is believed: it may ask for a proof, ask to wait, or end the session, and that is all.
//!
//! A server that has just started does not know what it had accepted before, so it asks for a proof of a time that none
//! before can have. The ticket that was shown serves for that, and costs neither side a signature. What it does not serve
//! for is signed: a ticket that has ended, a proof that was used, and whatever is asked for a second time.

use ed25519_dalek::{Signature, VerifyingKey};
use toso_core::id::{Epoch, ServerId};
use toso_core::time::TimestampMs;
use toso_wire::limits::PROTOCOL_VERSION;
use toso_wire::{
    Challenge, ChallengeReason, Frame, Hello, Proof, Push, RootProof, Welcome, WelcomeProof, push_fits, same,
    signed_welcome, welcome_mac,
};

use super::live::Live;
use super::pacing::Pacing;
use super::reconciling::PullingAnew;
use super::session::GoesOn;
use super::under_way::{UnderWay, push_frame};
use super::{ClientEffect, ClientStart, Commit, OutboxBatch, Prove, Query, SessionEnd};

/// CHALLENGEs that a session answers. One is due to a ticket or a clock that does not hold, one more to a proof that an
/// earlier connection has used up; who asks a third time asks for ever, and keeps a phone from noticing.
const CHALLENGES_MAX: u8 = 2;

/// CHALLENGEs so far, and what they asked for.
#[derive(Debug, Default)]
struct Challenges {
    count: u8,
    /// The time that the last one named.
    asked: Option<TimestampMs>,
}

/// A session that the server has not greeted yet.
#[derive(Debug)]
pub(super) struct Greeting {
    start: ClientStart,
    challenges: Challenges,
    pacing: Pacing,
    /// The push inside HELLO, and what it has.
    riding: Option<(Push, UnderWay)>,
}

impl Greeting {
    pub(super) fn new(mut start: ClientStart) -> Self {
        let pacing = Pacing::new(start.pace);
        let push = |batch: OutboxBatch| (push_frame(1, &batch), batch);
        let riding = start.first.take().map(push).filter(|(push, _)| push_fits(push, pacing.riding_bytes_max()));
        let riding = riding.map(|(push, batch)| (push, UnderWay::new(batch.items, false)));
        Self { start, challenges: Challenges::default(), pacing, riding }
    }

    pub(super) fn hello(&self) -> Hello {
        Hello { push: self.riding.as_ref().map(|(push, _)| push.clone()), ..hello(&self.start, &self.pacing) }
    }

    /// HELLO of a further request, when the first answer had none.
    pub(super) fn hello_again(&mut self, start: ClientStart, live: bool) -> Hello {
        (self.start.proof, self.start.ticket, self.start.epoch) = (start.proof, start.ticket, start.epoch);
        let (interests, heard) = (start.interests, start.heard);
        Hello { interests, heard, live, ..hello(&self.start, &self.pacing) }
    }

    /// The centre may be asked again.
    pub(super) fn on_rested(&mut self, effects: &mut Vec<ClientEffect>) {
        self.start.resting = false;
        effects.push(ClientEffect::Commit(Commit::Rest { delay_ms: 0, why: String::new() }));
    }

    /// The link broke before anything was answered.
    pub(super) fn slow_down(&self, effects: &mut Vec<ClientEffect>) {
        self.pacing.slow_down(true, self.riding.is_some(), self.start.pace, effects);
    }

    /// The server asks for one more proof.
    pub(super) fn on_challenge(&mut self, challenge: Challenge, effects: &mut Vec<ClientEffect>) -> GoesOn {
        if self.challenges.count == CHALLENGES_MAX {
            return Err(SessionEnd::Protocol("the server asks for one more proof again and again"));
        }
        self.challenges.count += 1;
        self.challenges.asked = Some(challenge.at);
        match (&self.start.proof, &self.start.ticket, challenge.reason) {
            (Proof::Ticket(shown), Some(secret), ChallengeReason::Clock) if self.challenges.count == 1 => {
                self.start.proof = Proof::Ticket(shown.dated(secret, challenge.at, &challenge.nonce));
                effects.push(ClientEffect::Send(Frame::Hello(self.hello())));
            }
            (
                Proof::Ticket(_) | Proof::Token { .. },
                _,
                ChallengeReason::Clock | ChallengeReason::Ticket | ChallengeReason::Used | ChallengeReason::Unknown(_),
            ) => effects.push(ClientEffect::Query(Query::Prove(Prove(challenge)))),
        }
        Ok(())
    }

    /// HELLO goes once more with the fresh proof and the push that rode along: the server has taken nothing yet.
    pub(super) fn on_proved(&mut self, proof: Proof, effects: &mut Vec<ClientEffect>) {
        (self.start.proof, self.start.ticket) = (proof, None);
        effects.push(ClientEffect::Send(Frame::Hello(self.hello())));
    }

    /// The session goes on as a live one.
    pub(super) fn on_welcome(self, welcome: Welcome, effects: &mut Vec<ClientEffect>) -> Result<Live, SessionEnd> {
        let epoch = welcome.epoch.or(self.start.epoch).ok_or(SessionEnd::Protocol("WELCOME names no epoch"))?;
        if !is_proved(&welcome, epoch, &self.start) {
            return Err(SessionEnd::NotProved);
        }
        // Cursors of another epoch mean nothing in this one: the server opens a comparison, or sends the whole unit when it
        // is too large to compare. The end of either keeps the epoch.
        let stays = self.start.epoch.is_none_or(|known| known == epoch);
        let mut live = Live::new(self.start, epoch, self.pacing, self.riding.map(|(_, under_way)| under_way));
        live.expect(welcome.pending);
        for follow in &mut live.follows {
            follow.caught_up = welcome.pending == 0;
            follow.pulling_anew = (!stays).then(PullingAnew::default);
        }
        effects.push(keep_session(stays.then_some(epoch), welcome.proof, welcome.at, self.challenges.asked));
        live.progress(effects);
        Ok(live)
    }
}

/// HELLO from where the device stands.
pub(super) fn hello(start: &ClientStart, pacing: &Pacing) -> Hello {
    Hello {
        protocol: PROTOCOL_VERSION,
        proof: start.proof.clone(),
        epoch: start.epoch,
        interests: start.interests.clone(),
        live: start.live,
        push: None,
        heard: start.heard,
        page_bytes: pacing.page().bytes(),
        receipt: None,
    }
}

/// WELCOME has proved the server: what is to be kept of it.
pub(super) fn keep_session(
    epoch: Option<Epoch>,
    proof: WelcomeProof,
    at: TimestampMs,
    asked: Option<TimestampMs>,
) -> ClientEffect {
    let root = match proof {
        WelcomeProof::Root(root) => Some(root),
        WelcomeProof::Ticket(_) => None,
    };
    ClientEffect::Commit(Commit::KeepSession { epoch, root, at, asked })
}

/// True when the server has proved itself as the device did: by the ticket's secret, or by the root key.
pub(super) fn is_proved(welcome: &Welcome, epoch: Epoch, start: &ClientStart) -> bool {
    match (&start.proof, &welcome.proof) {
        (Proof::Ticket(shown), WelcomeProof::Ticket(mac)) => {
            let secret = start.ticket.as_ref();
            secret.is_some_and(|secret| same(*mac, welcome_mac(secret, shown, epoch, welcome.at)))
        }
        (Proof::Token { signature, .. }, WelcomeProof::Root(root)) => {
            ServerId::from_public_key(&root.root) == start.server && is_signed(welcome, epoch, signature, root)
        }
        _ => false,
    }
}

fn is_signed(welcome: &Welcome, epoch: Epoch, hello_signature: &[u8], root: &RootProof) -> bool {
    let signed = signed_welcome(hello_signature, epoch, welcome.at, root);
    let key = VerifyingKey::from_bytes(&root.root);
    key.is_ok_and(|key| key.verify_strict(&signed, &Signature::from_bytes(&root.signature)).is_ok())
}
