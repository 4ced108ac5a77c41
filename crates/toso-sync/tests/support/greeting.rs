//! A ticket that a device and its server share, for tests whose subject comes after the greeting.

#![allow(dead_code, reason = "each test file uses a part of it")]

use toso_core::id::{DeviceId, Epoch};
use toso_core::time::TimestampMs;
use toso_sync::Greeting;
use toso_wire::{Proof, Ticket, TicketProof, TicketSecret, Welcome, WelcomeProof, welcome_mac};

pub(crate) const SECRET: TicketSecret = TicketSecret([7; 32]);

pub(crate) fn shown() -> TicketProof {
    let ticket = Ticket { secret: SECRET, expires_at: TimestampMs(2_000_000_000_000) };
    TicketProof::new(&ticket, DeviceId::from_public_key(&[1; 32]), TimestampMs(1_663_545_600_000), [1; 4])
}

/// The device's proof.
pub(crate) fn proof() -> Proof {
    Proof::Ticket(shown())
}

/// The server's answer to it.
pub(crate) fn greeting(epoch: Epoch, at: TimestampMs) -> Greeting {
    Greeting { epoch, at, proof: WelcomeProof::Ticket(welcome_mac(&SECRET, &shown(), epoch, at)) }
}

/// The same as a frame.
pub(crate) fn welcome(epoch: Epoch, at: TimestampMs, pending: u64) -> Welcome {
    let Greeting { epoch, at, proof } = greeting(epoch, at);
    Welcome { epoch: Some(epoch), at, proof, pending }
}
