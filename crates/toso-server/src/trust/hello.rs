//! HELLO's proof: token and signature on first contact, a ticket afterwards.

use std::sync::Arc;

use ed25519_dalek::Signer as _;
use toso_catalog::Catalog;
use toso_core::time::TimestampMs;
use toso_sync::server::Authenticated;
use toso_sync::{Greeting, Refusal, Standing};
use toso_wire::{
    Challenge, ChallengeReason, Proof, RootProof, TicketProof, TicketSecret, WelcomeProof, signed_hello,
    signed_welcome, welcome_mac,
};

use super::renewal::Renewal;
use super::seen::NotFresh;
use super::signature::{mark, verify};
use super::token::{Grant, has_ended};
use super::{DeviceRecord, RestRefusal, TokenRefusal, Trust, ticket};

/// Bytes of a server's nonce.
pub const NONCE_BYTES: usize = 8;
/// The longest nonce a device may sign.
const NONCE_BYTES_MAX: usize = 32;

impl Trust {
    /// Checks a proof, and proves the server in turn. `given` is the nonce of this connection's last CHALLENGE; a proof that
    /// signs it is fresh whatever the device's clock says. `fresh` goes into a new CHALLENGE.
    pub fn authenticate(
        &self,
        proof: &Proof,
        given: Option<[u8; NONCE_BYTES]>,
        fresh: [u8; NONCE_BYTES],
        now: TimestampMs,
    ) -> Result<Authenticated, Refusal> {
        let ask = |at, reason| Refusal::Challenge(Challenge { at, nonce: fresh.to_vec(), reason });
        let challenge = |reason| ask(self.seen.sign_at(now), reason);
        let accept = |device, at, mark| {
            self.seen.accept(device, at, mark, now).map_err(|refusal| match refusal {
                NotFresh::Clock { sign_at } => ask(sign_at, ChallengeReason::Clock),
                NotFresh::Seen => challenge(ChallengeReason::Used),
                NotFresh::Full => Refusal::Busy(RestRefusal::Busy.to_string()),
            })
        };
        match proof {
            Proof::Ticket(shown) => {
                let (device, secret) = self.holder(shown, now).ok_or_else(|| challenge(ChallengeReason::Ticket))?;
                accept(device.id(), shown.at(), ticket::mark(shown))?;
                let (epoch, at) = (self.epoch(), whole_seconds(now));
                let proof = WelcomeProof::Ticket(welcome_mac(&secret, shown, epoch, at));
                let (principal, standing) = (device.principal(), device.standing());
                Ok(Authenticated { principal, greeting: Greeting { epoch, at, proof }, standing })
            }
            Proof::Token { token, at, nonce, signature } => {
                let refused = |refusal: TokenRefusal| match refusal {
                    TokenRefusal::Unchecked => Refusal::Busy(refusal.to_string()),
                    TokenRefusal::Invalid
                    | TokenRefusal::Ended
                    | TokenRefusal::NotBound
                    | TokenRefusal::UnknownDevice
                    | TokenRefusal::Superseded
                    | TokenRefusal::Revoked
                    | TokenRefusal::BadSignature => Refusal::Unauthorized(refusal.to_string()),
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
                let ends = grant.ends(&device);
                if has_ended(ends, now) {
                    return Err(refused(TokenRefusal::Ended));
                }
                // A signature over this connection's own nonce is fresh by that.
                if given.is_none_or(|given| given.as_slice() != nonce.as_slice()) {
                    accept(device.id(), *at, mark(&signature))?;
                }
                if reminded {
                    self.learn(&device, now).map_err(|_| refused(TokenRefusal::Unchecked))?;
                }
                let greeting = self.greet_with_root(&device, &grant, &signature, now);
                let standing = Standing { reminded, ..device.standing() };
                Ok(Authenticated { principal: device.principal(), greeting, standing })
            }
        }
    }

    /// Whose ticket is shown, with its secret.
    fn holder(&self, shown: &TicketProof, now: TimestampMs) -> Option<(Arc<DeviceRecord>, TicketSecret)> {
        if has_ended(shown.ends(), now) {
            return None;
        }
        let device = self.devices.by_author(shown.author).filter(|device| !has_ended(device.expires_at, now))?;
        let generation = self.bundle_generation(Catalog::shared(), device.unit);
        let secret = self.keys.ticket_secret(self.epoch(), &device, generation, shown.ends_s);
        shown.is_by(&secret).then_some((device, secret))
    }

    /// The root key's answer to a signed token: with a ticket, and a new token when the device's is near its end.
    fn greet_with_root(
        &self,
        device: &DeviceRecord,
        grant: &Grant,
        hello_signature: &[u8; 64],
        now: TimestampMs,
    ) -> Greeting {
        let (epoch, at) = (self.epoch(), whole_seconds(now));
        let Renewal { ends, token } = self.renewal(device, grant, now);
        let generation = self.bundle_generation(Catalog::shared(), device.unit);
        let ticket = (!device.revoked).then(|| self.keys.ticket(epoch, device, generation, now, ends));
        let root = self.keys.signing.verifying_key().to_bytes();
        let mut proof = RootProof { root, signature: [0; 64], token_ends: ends, ticket, token };
        proof.signature = self.keys.signing.sign(&signed_welcome(hello_signature, epoch, at, &proof)).to_bytes();
        Greeting { epoch, at, proof: WelcomeProof::Root(Box::new(proof)) }
    }
}

/// As WELCOME says a time.
fn whole_seconds(at: TimestampMs) -> TimestampMs {
    TimestampMs(at.seconds() * 1000)
}
