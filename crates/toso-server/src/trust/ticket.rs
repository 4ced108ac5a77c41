//! Session tickets: a secret that a device shares with the server once it is known. Nothing is stored per ticket: the
//! secret is a keyed BLAKE3 over label, server, epoch, device, enrolment, generation and end, so the server derives it again.
//!
//! The secret travels once, inside the WELCOME that answers a signed token. HELLO shows that the device has it
//! ([`TicketProof`]), WELCOME that the server has it. A ticket never yields another: for that the device signs again.
//!
//! A ticket is good until a device leaves the unit: its generation is that of the unit's bundle key. The others then sign
//! again, once, and know by that to fetch the new key. So a device that was shut out cannot read what they carry from then on.
//!
//! A ticket is good within one epoch. After a restore a device shows its token again, which can tell the server of a move
//! that it has lost; a ticket tells nothing but the device. It is good within one enrolment, too: a device that enrols
//! anew voids its tickets as it voids its token. A move leaves the token good, and the ticket where both units
//! have the same generation.

use toso_core::id::Epoch;
use toso_core::time::TimestampMs;
use toso_wire::proof::TICKET_SECRET_BYTES;
use toso_wire::{Ticket, TicketProof, TicketSecret};

use super::DeviceRecord;
use super::keys::RootKeys;
use super::seen::Mark;

/// How long a ticket lives: a week. Past half of it the device signs again and gets a new one.
pub const TICKET_LIFE_MS: u64 = 7 * 24 * 60 * 60 * 1000;

impl RootKeys {
    /// A ticket that ends a week from now, or with the device's token if that is sooner.
    pub(super) fn ticket(
        &self,
        epoch: Epoch,
        device: &DeviceRecord,
        generation: u32,
        now: TimestampMs,
        token_ends: TimestampMs,
    ) -> Ticket {
        let expires_at = now.plus_ms(TICKET_LIFE_MS).min(token_ends);
        let ends_s = u32::try_from(expires_at.seconds()).unwrap_or(u32::MAX);
        let secret = self.ticket_secret(epoch, device, generation, ends_s);
        Ticket { secret, expires_at: TimestampMs(u64::from(ends_s) * 1000) }
    }

    /// The secret of a device's ticket with this end.
    pub(super) fn ticket_secret(
        &self,
        epoch: Epoch,
        device: &DeviceRecord,
        generation: u32,
        ends_s: u32,
    ) -> TicketSecret {
        let mut secret = [0; TICKET_SECRET_BYTES];
        let mut hasher = blake3::Hasher::new_keyed(&self.ticket);
        hasher.update(b"toso ticket v5").update(&self.server().0).update(&epoch.0.to_be_bytes());
        hasher
            .update(&device.id().0)
            .update(&device.invite)
            .update(&generation.to_be_bytes())
            .update(&ends_s.to_be_bytes());
        hasher.finalize_xof().fill(&mut secret);
        TicketSecret(secret)
    }
}

/// What tells a ticket's proof from every other one of its device.
pub(super) fn mark(shown: &TicketProof) -> Mark {
    let mut mark = [0; 16];
    let parts = shown.mac.into_iter().chain(shown.nonce).chain(shown.at_s.to_be_bytes());
    for (byte, part) in mark.iter_mut().zip(parts) {
        *byte = part;
    }
    mark
}
