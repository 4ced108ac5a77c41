//! How a device proves itself in HELLO, and the server in WELCOME.
//!
//! On first contact, and every few days, a device shows its token and signs with its key; the server answers with the root
//! key's signature and hands over a **ticket**: a secret that it can derive again. In between, the device shows that it has
//! the secret, and the secret itself never travels again; the server shows that it has it, too. A device believes nothing
//! of a server that has not shown one of the two.

use toso_core::id::{AuthorId, DeviceId, Epoch, ServerId};
use toso_core::time::TimestampMs;

/// Bytes of a keyed hash on the wire: 64 bits, to be guessed online, within a second, without ever hearing how near.
pub const MAC_BYTES: usize = 8;
/// Bytes of a ticket's secret.
pub const TICKET_SECRET_BYTES: usize = 32;
/// Bytes of an author id, which tells the server whose secret to derive: no two enrolled devices share one.
const AUTHOR_BYTES: usize = 8;
/// Bytes that tell sessions of one second apart.
pub const TICKET_NONCE_BYTES: usize = 4;
/// Bytes of [`TicketProof`]: every HELLO carries one.
pub const TICKET_PROOF_BYTES: usize = AUTHOR_BYTES + 4 + 4 + TICKET_NONCE_BYTES + MAC_BYTES;

/// Proof of a device's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The device has the secret of a ticket from an earlier WELCOME.
    Ticket(TicketProof),
    /// The capability token, with a signature by the device's key over [`signed_hello`].
    Token {
        /// Biscuit.
        token: Vec<u8>,
        /// The device's clock.
        at: TimestampMs,
        /// The server's nonce from CHALLENGE, else 8 random bytes.
        nonce: Vec<u8>,
        /// Ed25519 signature, 64 bytes.
        signature: Vec<u8>,
    },
}

/// A session ticket, good for as long as its end, its device and the server's epoch are what they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What the device keeps to itself.
    pub secret: TicketSecret,
    /// The server's clock at which it ends; whole seconds.
    pub expires_at: TimestampMs,
}

/// A ticket's secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketSecret(pub [u8; TICKET_SECRET_BYTES]);

impl std::fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketSecret(…)")
    }
}

/// What a device shows of a ticket: on the wire [`TICKET_PROOF_BYTES`], in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketProof {
    /// Whose it is.
    pub author: AuthorId,
    /// The ticket's end, in seconds since 1970.
    pub ends_s: u32,
    /// The device's clock, in seconds since 1970.
    pub at_s: u32,
    /// Random.
    pub nonce: [u8; TICKET_NONCE_BYTES],
    /// Keyed BLAKE3 over all of the above.
    pub mac: [u8; MAC_BYTES],
}

impl TicketProof {
    /// Shows that the device has a ticket.
    pub fn new(ticket: &Ticket, device: DeviceId, at: TimestampMs, nonce: [u8; TICKET_NONCE_BYTES]) -> Self {
        let (ends_s, at_s) = (seconds(ticket.expires_at), seconds(at));
        let mut proof = Self { author: device.author(), ends_s, at_s, nonce, mac: [0; MAC_BYTES] };
        proof.mac = proof.mac_by(&ticket.secret);
        proof
    }

    /// The same ticket once more, as a CHALLENGE about the time asks for it: dated with the time that it names, or with the
    /// whole second after it, since an earlier one would be asked for again. The server's nonce is as good as a random one.
    #[must_use]
    pub fn dated(self, secret: &TicketSecret, at: TimestampMs, nonce: &[u8]) -> Self {
        let nonce = take(&mut nonce.iter().copied());
        let at_s = u32::try_from(at.0.div_ceil(1000)).unwrap_or(u32::MAX);
        let mut proof = Self { at_s, nonce, ..self };
        proof.mac = proof.mac_by(secret);
        proof
    }

    /// True when its maker has the secret.
    pub fn is_by(&self, secret: &TicketSecret) -> bool {
        same(self.mac, self.mac_by(secret))
    }

    /// The device's clock.
    pub fn at(&self) -> TimestampMs {
        TimestampMs(u64::from(self.at_s) * 1000)
    }

    /// The ticket's end.
    pub fn ends(&self) -> TimestampMs {
        TimestampMs(u64::from(self.ends_s) * 1000)
    }

    /// As on the wire.
    pub fn to_bytes(self) -> [u8; TICKET_PROOF_BYTES] {
        let mut bytes = [0; TICKET_PROOF_BYTES];
        let parts = self.author.0.into_iter().chain(self.ends_s.to_be_bytes()).chain(self.at_s.to_be_bytes());
        for (byte, part) in bytes.iter_mut().zip(parts.chain(self.nonce).chain(self.mac)) {
            *byte = part;
        }
        bytes
    }

    /// Reads [`Self::to_bytes`] back.
    pub fn from_bytes(bytes: &[u8; TICKET_PROOF_BYTES]) -> Self {
        let mut bytes = bytes.iter().copied();
        Self {
            author: AuthorId(take(&mut bytes)),
            ends_s: u32::from_be_bytes(take(&mut bytes)),
            at_s: u32::from_be_bytes(take(&mut bytes)),
            nonce: take(&mut bytes),
            mac: take(&mut bytes),
        }
    }

    fn mac_by(&self, secret: &TicketSecret) -> [u8; MAC_BYTES] {
        let times = [self.ends_s.to_be_bytes(), self.at_s.to_be_bytes()].concat();
        keyed(secret, &[b"toso ticket proof v1", &self.author.0, &times, &self.nonce])
    }
}

/// The bytes that a device signs in [`Proof::Token`]: `b"toso hello v1" ‖ server id ‖ time (u64 BE) ‖ nonce`.
pub fn signed_hello(server: ServerId, at: TimestampMs, nonce: &[u8]) -> Vec<u8> {
    let mut bytes = b"toso hello v1".to_vec();
    bytes.extend(server.0);
    bytes.extend(at.0.to_be_bytes());
    bytes.extend(nonce);
    bytes
}

/// WELCOME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The server's history; cursors are valid within one epoch. `None` when it is the one that HELLO named.
    pub epoch: Option<Epoch>,
    /// The server's clock; whole seconds.
    pub at: TimestampMs,
    /// That the server is the one that the device joined.
    pub proof: WelcomeProof,
    /// Chunks the device will get in DELTA pages before it is up to date.
    pub pending: u64,
}

impl Welcome {
    /// The ticket that it hands over.
    pub fn ticket(&self) -> Option<&Ticket> {
        match &self.proof {
            WelcomeProof::Root(root) => root.ticket.as_ref(),
            WelcomeProof::Ticket(_) => None,
        }
    }
}

/// How the server proves itself: as the device has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WelcomeProof {
    /// It has the ticket's secret: [`welcome_mac`].
    Ticket([u8; MAC_BYTES]),
    /// It has the root key.
    Root(Box<RootProof>),
}

/// The server's answer to a token and a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootProof {
    /// The root public key, of which the server's id is the hash.
    pub root: [u8; 32],
    /// Ed25519 by the root key over [`signed_welcome`].
    pub signature: [u8; 64],
    /// The end of the device's token, or of the new one below.
    pub token_ends: TimestampMs,
    /// A ticket, unless the device was shut out.
    pub ticket: Option<Ticket>,
    /// A new token in place of the device's own, which is near its end; empty: the device keeps its own.
    pub token: Vec<u8>,
}

/// The keyed hash by which a server answers [`TicketProof`]: over that proof's own hash, epoch and time. So it belongs to
/// one HELLO.
pub fn welcome_mac(secret: &TicketSecret, shown: &TicketProof, epoch: Epoch, at: TimestampMs) -> [u8; MAC_BYTES] {
    let times = [epoch.0.to_be_bytes(), at.seconds().to_be_bytes()].concat();
    keyed(secret, &[b"toso welcome v1", &shown.mac, &times])
}

/// True when two hashes are the same; takes as long for any two.
pub fn same(one: [u8; MAC_BYTES], other: [u8; MAC_BYTES]) -> bool {
    one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

/// The bytes that the root key signs in WELCOME: `b"toso welcome v1" ‖ signature of HELLO (64) ‖ epoch ‖ time in seconds ‖
/// end of the token ‖ 0, or 1 ‖ the ticket's secret ‖ its end ‖ the new token`; numbers are u64 BE. HELLO's signature
/// belongs to one device and one moment, so no WELCOME fits another.
pub fn signed_welcome(hello_signature: &[u8], epoch: Epoch, at: TimestampMs, proof: &RootProof) -> Vec<u8> {
    let mut bytes = b"toso welcome v1".to_vec();
    bytes.extend(hello_signature);
    bytes.extend(epoch.0.to_be_bytes());
    bytes.extend(at.seconds().to_be_bytes());
    bytes.extend(proof.token_ends.0.to_be_bytes());
    bytes.push(u8::from(proof.ticket.is_some()));
    if let Some(ticket) = &proof.ticket {
        bytes.extend(ticket.secret.0);
        bytes.extend(ticket.expires_at.0.to_be_bytes());
    }
    bytes.extend(&proof.token);
    bytes
}

fn keyed(secret: &TicketSecret, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
    let mut hasher = blake3::Hasher::new_keyed(&secret.0);
    for part in parts {
        hasher.update(part);
    }
    let mut mac = [0; MAC_BYTES];
    hasher.finalize_xof().fill(&mut mac);
    mac
}

fn seconds(at: TimestampMs) -> u32 {
    u32::try_from(at.seconds()).unwrap_or(u32::MAX)
}

/// The next bytes; zeroes where there are none.
fn take<const N: usize>(bytes: &mut impl Iterator<Item = u8>) -> [u8; N] {
    std::array::from_fn(|_| bytes.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: TicketSecret = TicketSecret([7; TICKET_SECRET_BYTES]);

    fn shown() -> TicketProof {
        let ticket = Ticket { secret: SECRET, expires_at: TimestampMs(1_700_000_000_000) };
        let device = DeviceId::from_public_key(&[3; 32]);
        TicketProof::new(&ticket, device, TimestampMs(1_663_545_600_999), [1, 2, 3, 4])
    }

    #[test]
    fn no_single_changed_bit_of_a_proof_is_by_the_secret() {
        let proof = shown();
        assert!(proof.is_by(&SECRET) && !proof.is_by(&TicketSecret([8; 32])));
        assert_eq!((proof.at(), proof.ends()), (TimestampMs(1_663_545_600_000), TimestampMs(1_700_000_000_000)));
        let bytes = proof.to_bytes();
        assert_eq!(TicketProof::from_bytes(&bytes), proof);
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!TicketProof::from_bytes(&forged).is_by(&SECRET), "bit {bit}");
        }
    }

    #[test]
    fn a_ticket_that_is_shown_once_more_is_dated_no_earlier_than_it_was_asked_for() {
        let at = TimestampMs(1_663_545_900_000);
        for (asked, dated) in [(at, at), (at.plus_ms(1), at.plus_ms(1_000)), (at.plus_ms(1_000), at.plus_ms(1_000))] {
            let again = shown().dated(&SECRET, asked, &[9, 8, 7, 6, 5, 4, 3, 2]);
            assert!(again.is_by(&SECRET) && !shown().dated(&TicketSecret([8; 32]), asked, &[9; 8]).is_by(&SECRET));
            assert_eq!((again.at(), again.nonce), (dated, [9, 8, 7, 6]));
            assert_eq!((again.author, again.ends_s), (shown().author, shown().ends_s));
        }
        // Whatever a stranger names: no overflow, and a short nonce is filled up.
        let far = shown().dated(&SECRET, TimestampMs(u64::MAX), &[1]);
        assert_eq!((far.at_s, far.nonce), (u32::MAX, [1, 0, 0, 0]));
    }

    #[test]
    fn a_welcome_fits_one_hello_one_epoch_and_one_second() {
        let (proof, at) = (shown(), TimestampMs(5_000));
        let mac = welcome_mac(&SECRET, &proof, Epoch(1), at);
        let other = TicketProof { mac: [0; 8], ..proof };
        for wrong in [
            welcome_mac(&TicketSecret([8; 32]), &proof, Epoch(1), at),
            welcome_mac(&SECRET, &other, Epoch(1), at),
            welcome_mac(&SECRET, &proof, Epoch(2), at),
            welcome_mac(&SECRET, &proof, Epoch(1), TimestampMs(6_000)),
            proof.mac,
        ] {
            assert!(!same(mac, wrong));
        }
        assert!(same(mac, mac));
    }

    #[test]
    fn what_the_root_key_signs_differs_by_every_part_of_it() {
        let ticket = Some(Ticket { secret: SECRET, expires_at: TimestampMs(9) });
        let proof =
            RootProof { root: [1; 32], signature: [0; 64], token_ends: TimestampMs(4), ticket, token: Vec::new() };
        let signed = |hello: u8, epoch, at, proof: &RootProof| signed_welcome(&[hello; 64], Epoch(epoch), at, proof);
        let at = TimestampMs(1_000);
        let all = [
            signed(1, 1, at, &proof),
            signed(2, 1, at, &proof),
            signed(1, 2, at, &proof),
            signed(1, 1, TimestampMs(2_000), &proof),
            signed(1, 1, at, &RootProof { token_ends: TimestampMs(5), ..proof.clone() }),
            signed(1, 1, at, &RootProof { ticket: None, ..proof.clone() }),
            signed(1, 1, at, &RootProof { token: vec![1], ..proof.clone() }),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    }
}
