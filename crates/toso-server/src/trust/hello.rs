//! HELLO's proof: token and signature on first contact, a ticket afterwards.

use std::sync::Arc;

use ed25519_dalek::{Signature, VerifyingKey};
use toso_core::time::TimestampMs;
use toso_sync::server::Authenticated;
use toso_sync::{Refusal, Standing};
use toso_wire::{Challenge, ChallengeReason, Proof, signed_hello};

use super::ticket::TICKET_LIFE_MS;
use super::{TokenRefusal, Trust};

/// How far a device's clock may be off before it has to sign the server's nonce: 5 minutes, the life of a captured
/// proof.
pub const CLOCK_SKEW_MS_MAX: u64 = 5 * 60 * 1000;
/// Bytes of a server's nonce.
pub const NONCE_BYTES: usize = 8;
/// The longest nonce a device may sign.
const NONCE_BYTES_MAX: usize = 32;

impl Trust {
    /// Checks a proof. `given` is the nonce of this connection's last CHALLENGE; a proof that signs it is fresh
    /// whatever the device's clock says. `fresh` goes into a new CHALLENGE.
    pub fn authenticate(
        &self,
        proof: &Proof,
        given: Option<[u8; NONCE_BYTES]>,
        fresh: [u8; NONCE_BYTES],
        now: TimestampMs,
    ) -> Result<Authenticated, Refusal> {
        let challenge = |reason| Err(Refusal::Challenge(Challenge { at: now, nonce: fresh.to_vec(), reason }));
        match proof {
            Proof::Ticket(ticket) => {
                let Some((id, ends)) = self.keys.check_ticket(self.epoch(), ticket, now) else {
                    return challenge(ChallengeReason::Ticket);
                };
                let Some(device) = self.devices.find(id).filter(|device| now < device.expires_at) else {
                    return challenge(ChallengeReason::Ticket);
                };
                let past_half = ends.since_ms(now) < TICKET_LIFE_MS / 2;
                let epoch = self.epoch();
                let ticket =
                    (past_half && !device.revoked).then(|| self.keys.ticket(epoch, id, now, device.expires_at));
                Ok(Authenticated { principal: device.principal(), ticket, standing: device.standing() })
            }
            Proof::Token { token, at, nonce, signature } => {
                let refused = |refusal: TokenRefusal| match refusal {
                    TokenRefusal::Unchecked => Refusal::Busy(refusal.to_string()),
                    _ => Refusal::Unauthorized(refusal.to_string()),
                };
                let grant = self.keys.verify(token, now).map_err(refused)?;
                let told = self.told_by(&grant, now).map_err(refused)?;
                let reminded = told.is_some();
                let device = match told {
                    Some(told) => Arc::new(told),
                    None => self.greeting_device(&grant).map_err(refused)?,
                };
                let signed = signed_hello(self.server(), *at, nonce);
                if nonce.len() > NONCE_BYTES_MAX || !verify(&device.public_key, &signed, signature) {
                    return Err(refused(TokenRefusal::BadSignature));
                }
                let answers_ours = given.is_some_and(|given| given.as_slice() == nonce.as_slice());
                if !answers_ours && now.0.abs_diff(at.0) > CLOCK_SKEW_MS_MAX {
                    return challenge(ChallengeReason::Clock);
                }
                if reminded {
                    self.learn(&device).map_err(|_| refused(TokenRefusal::Unchecked))?;
                }
                let epoch = self.epoch();
                let ticket = (!device.revoked).then(|| self.keys.ticket(epoch, device.id(), now, device.expires_at));
                let standing = Standing { reminded, ..device.standing() };
                Ok(Authenticated { principal: device.principal(), ticket, standing })
            }
            _ => Err(Refusal::Unauthorized("this server does not know this kind of proof".to_owned())),
        }
    }
}

/// Checks an Ed25519 signature of any length of input; strict, so that no two signatures fit one message.
pub(super) fn verify(public_key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(public_key), Signature::from_slice(signature)) else {
        return false;
    };
    key.verify_strict(message, &signature).is_ok()
}
