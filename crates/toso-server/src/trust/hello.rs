//! HELLO's proof: token and signature on first contact, a ticket afterwards.

use std::sync::Arc;

use ed25519_dalek::{Signature, VerifyingKey};
use toso_core::time::TimestampMs;
use toso_sync::Refusal;
use toso_sync::server::Authenticated;
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
                let Some((id, ends)) = self.keys.check_ticket(ticket, now) else {
                    return challenge(ChallengeReason::Ticket);
                };
                let Some(device) = self.devices.find(id).filter(|device| now < device.expires_at) else {
                    return challenge(ChallengeReason::Ticket);
                };
                let past_half = ends.since_ms(now) < TICKET_LIFE_MS / 2;
                let ticket = (past_half && !device.revoked).then(|| self.keys.ticket(id, now, device.expires_at));
                Ok(Authenticated { principal: device.principal(), ticket, standing: device.standing() })
            }
            Proof::Token { token, at, nonce, signature } => {
                let device = self
                    .keys
                    .verify(token, now)
                    .and_then(|grant| match self.greeting_device(&grant) {
                        Err(TokenRefusal::UnknownDevice) => {
                            let learned = Self::told_by(&grant, now).ok_or(TokenRefusal::UnknownDevice)?;
                            Ok((Arc::new(learned), true))
                        }
                        known => known.map(|device| (device, false)),
                    })
                    .and_then(|(device, learned)| {
                        let signed = signed_hello(self.server(), *at, nonce);
                        let fits = nonce.len() <= NONCE_BYTES_MAX && verify(&device.public_key, &signed, signature);
                        if !fits {
                            return Err(TokenRefusal::BadSignature);
                        }
                        if learned {
                            self.learn(&device).map_err(|_| TokenRefusal::Unchecked)?;
                        }
                        Ok(device)
                    })
                    .map_err(|refusal| match refusal {
                        TokenRefusal::Unchecked => Refusal::Busy(refusal.to_string()),
                        _ => Refusal::Unauthorized(refusal.to_string()),
                    })?;
                let answers_ours = given.is_some_and(|given| given.as_slice() == nonce.as_slice());
                if !answers_ours && now.0.abs_diff(at.0) > CLOCK_SKEW_MS_MAX {
                    return challenge(ChallengeReason::Clock);
                }
                let ticket = (!device.revoked).then(|| self.keys.ticket(device.id(), now, device.expires_at));
                Ok(Authenticated { principal: device.principal(), ticket, standing: device.standing() })
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
