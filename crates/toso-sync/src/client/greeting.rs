//! Whether WELCOME was said by the server that the device has joined.
//!
//! Until then nothing of a server is believed: it may ask for a proof, ask to wait, or end the session, and that is all.

use ed25519_dalek::{Signature, VerifyingKey};
use toso_core::id::{Epoch, ServerId};
use toso_wire::{Proof, RootProof, Welcome, WelcomeProof, same, signed_welcome, welcome_mac};

use super::ClientStart;

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
