//! HELLO's proof: token and signature on first contact, a ticket afterwards.

use std::sync::Arc;

use ed25519_dalek::{Signature, VerifyingKey};
use toso_core::time::TimestampMs;
use toso_sync::server::Authenticated;
use toso_sync::{Refusal, Standing};
use toso_wire::{Challenge, ChallengeReason, Proof, signed_hello};

use super::rest::mark;
use super::seen::NotFresh;
use super::ticket::TICKET_LIFE_MS;
use super::{RestRefusal, TokenRefusal, Trust};

/// How far a device's clock may be off before it has to sign the server's nonce: 5 minutes. A proof is remembered for as
/// long, so that a captured one is worth nothing.
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
                let Some((author, ends)) = self.keys.check_ticket(self.epoch(), ticket, now) else {
                    return challenge(ChallengeReason::Ticket);
                };
                let Some(device) = self.devices.by_author(author).filter(|device| now < device.expires_at) else {
                    return challenge(ChallengeReason::Ticket);
                };
                let past_half = ends.since_ms(now) < TICKET_LIFE_MS / 2;
                let epoch = self.epoch();
                let ticket =
                    (past_half && !device.revoked).then(|| self.keys.ticket(epoch, author, now, device.expires_at));
                Ok(Authenticated { principal: device.principal(), ticket, standing: device.standing() })
            }
            Proof::Token { token, at, nonce, signature } => {
                let refused = |refusal: TokenRefusal| match refusal {
                    TokenRefusal::Unchecked => Refusal::Busy(refusal.to_string()),
                    _ => Refusal::Unauthorized(refusal.to_string()),
                };
                let grant = self.keys.verify(token).map_err(refused)?;
                let told = self.told_by(&grant, now).map_err(refused)?;
                let reminded = told.is_some();
                let device = match told {
                    Some(told) => Arc::new(told),
                    None => self.greeting_device(&grant).map_err(refused)?,
                };
                let signed = signed_hello(self.server(), *at, nonce);
                let signature = <[u8; 64]>::try_from(signature.as_slice()).ok();
                let signature = signature.filter(|signature| verify(&device.public_key, &signed, signature));
                let Some(signature) = signature.filter(|_| nonce.len() <= NONCE_BYTES_MAX) else {
                    return Err(refused(TokenRefusal::BadSignature));
                };
                if now > grant.ends(&device) {
                    return Err(refused(TokenRefusal::Ended));
                }
                // A signature over this connection's own nonce is fresh by that.
                if given.is_none_or(|given| given.as_slice() != nonce.as_slice()) {
                    match self.seen.accept(device.id(), *at, mark(&signature), now) {
                        Ok(()) => {}
                        Err(NotFresh::Clock) => return challenge(ChallengeReason::Clock),
                        Err(NotFresh::Seen) => return challenge(ChallengeReason::Used),
                        Err(NotFresh::Full) => return Err(Refusal::Busy(RestRefusal::Busy.to_string())),
                    }
                }
                if reminded {
                    self.learn(&device).map_err(|_| refused(TokenRefusal::Unchecked))?;
                }
                let epoch = self.epoch();
                let ticket =
                    (!device.revoked).then(|| self.keys.ticket(epoch, device.id().author(), now, device.expires_at));
                let standing = Standing { reminded, ..device.standing() };
                Ok(Authenticated { principal: device.principal(), ticket, standing })
            }
            _ => Err(Refusal::Unauthorized("this server does not know this kind of proof".to_owned())),
        }
    }
}

/// Checks an Ed25519 signature; strict, so that nobody but the key's owner can make a second one for a message.
pub(super) fn verify(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let key = VerifyingKey::from_bytes(public_key);
    key.is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}
