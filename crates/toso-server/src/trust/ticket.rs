//! Session tickets: what a device shows instead of its token once it is known. 28 bytes, nothing stored per ticket.
//!
//! Layout: author id (8) ‖ end, in seconds since 1970 (u32 BE) ‖ keyed BLAKE3 over label, server, epoch, device and end (16).
//!
//! A ticket is good within one epoch. After a restore a device shows its token again, which can tell the server of a move
//! that it has lost; a ticket tells nothing but the device.

use subtle::ConstantTimeEq as _;
use toso_core::id::{AuthorId, Epoch};
use toso_core::time::TimestampMs;
use toso_wire::Ticket;

use super::keys::RootKeys;

/// Bytes of a ticket.
pub const TICKET_BYTES: usize = 8 + 4 + MAC_BYTES;
/// How long a ticket lives: a week; past half of it the device gets a new one.
pub const TICKET_LIFE_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// 128 bits cannot be guessed online.
const MAC_BYTES: usize = 16;

impl RootKeys {
    /// A ticket that ends a week from now, or with the device's token if that is sooner.
    pub(super) fn ticket(&self, epoch: Epoch, author: AuthorId, now: TimestampMs, token_ends: TimestampMs) -> Ticket {
        let expires_at = now.plus_ms(TICKET_LIFE_MS).min(token_ends);
        let seconds = u32::try_from(expires_at.seconds()).unwrap_or(u32::MAX);
        let mut bytes = author.0.to_vec();
        bytes.extend(seconds.to_be_bytes());
        bytes.extend(self.mac(epoch, author, seconds));
        Ticket { bytes, expires_at: TimestampMs(u64::from(seconds) * 1000) }
    }

    /// The device of a valid ticket, and the ticket's end.
    pub(super) fn check_ticket(
        &self,
        epoch: Epoch,
        ticket: &[u8],
        now: TimestampMs,
    ) -> Option<(AuthorId, TimestampMs)> {
        let (author, rest) = ticket.split_first_chunk::<8>()?;
        let (seconds, mac) = rest.split_first_chunk::<4>()?;
        let (author, seconds) = (AuthorId(*author), u32::from_be_bytes(*seconds));
        let expires_at = TimestampMs(u64::from(seconds) * 1000);
        let genuine = mac.len() == MAC_BYTES && bool::from(self.mac(epoch, author, seconds).ct_eq(mac));
        (genuine && now < expires_at).then_some((author, expires_at))
    }

    fn mac(&self, epoch: Epoch, author: AuthorId, seconds: u32) -> [u8; MAC_BYTES] {
        let mut mac = [0; MAC_BYTES];
        let mut hasher = blake3::Hasher::new_keyed(&self.ticket);
        hasher.update(b"toso ticket v2").update(&self.server().0).update(&epoch.0.to_be_bytes());
        hasher.update(&author.0).update(&seconds.to_be_bytes());
        hasher.finalize_xof().fill(&mut mac);
        mac
    }
}
