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
use toso_wire::{
    Challenge, ChallengeReason, Frame, Proof, RootProof, Welcome, WelcomeProof, same, signed_welcome, welcome_mac,
};

use super::session::ClientSession;
use super::{ClientEffect, ClientStart, SessionEnd};

/// CHALLENGEs that a session answers. One is due to a ticket or a clock that does not hold, one more to a proof that an
/// earlier connection has used up; who asks a third time asks for ever, and keeps a phone from noticing.
const CHALLENGES_MAX: u8 = 2;

/// CHALLENGEs so far, and what they asked for.
#[derive(Debug, Default)]
pub(super) struct Challenges {
    count: u8,
    /// The time that the last one named.
    asked: Option<TimestampMs>,
}

impl ClientSession {
    /// The server asks for one more proof.
    pub(super) fn on_challenge(&mut self, challenge: Challenge, effects: &mut Vec<ClientEffect>) {
        if self.challenges.count == CHALLENGES_MAX {
            return self.end(SessionEnd::Protocol("the server asks for one more proof again and again"), effects);
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
            ) => effects.push(ClientEffect::Prove(challenge)),
        }
    }

    /// WELCOME has proved the server: what is to be kept of it.
    pub(super) fn keep_session(
        &mut self,
        epoch: Option<Epoch>,
        proof: WelcomeProof,
        at: TimestampMs,
        effects: &mut Vec<ClientEffect>,
    ) {
        let root = match proof {
            WelcomeProof::Root(root) => Some(root),
            WelcomeProof::Ticket(_) => None,
        };
        effects.push(ClientEffect::KeepSession { epoch, root, at, asked: self.challenges.asked.take() });
    }
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
