//! Every limit of the protocol, with its arithmetic.

use toso_core::chunk::CHANGE_BYTES_MAX;

/// The protocol version that this code speaks.
pub const PROTOCOL_VERSION: u8 = 1;
/// The WebSocket subprotocol both sides name.
pub const SUBPROTOCOL: &str = "toso.v1";
/// The largest frame on the wire: the largest change and 4 KiB of envelope.
pub const FRAME_BYTES_MAX: usize = CHANGE_BYTES_MAX + 4 * 1024;
/// The largest frame once inflated: a page of small chunks compresses about 4:1, so 4 pages of 16 KiB and the largest
/// change.
pub const FRAME_INFLATED_BYTES_MAX: usize = 4 * PAGE_BYTES_MAX + CHANGE_BYTES_MAX + 4 * 1024;
/// A DELTA page as encoded, unless a single chunk is larger: what a 2G phone gets in about 5 s, and loses at most when
/// the link breaks.
pub const PAGE_BYTES_MAX: usize = 16 * 1024;
/// The first DELTA page of a session; each that follows may be twice as large, up to [`PAGE_BYTES_MAX`]. A link that
/// breaks every few kilobytes brings the first page at least, where a page of 16 KiB would begin anew for ever; a good
/// link is at full pages after 15 KiB.
pub const PAGE_BYTES_FIRST: usize = 1024;
/// The outbox bytes (encoded) that may ride in the upgrade request; proxies accept headers of 8 KiB.
pub const HELLO_PUSH_BYTES_MAX: usize = 2 * 1024;
/// HELLO's token as text: token proof (2 KiB and 130 B), 16 interests of 24 B and a push of 2 KiB are 4.5 KiB, as base64
/// 6 KiB.
pub const HELLO_TOKEN_CHARS_MAX: usize = 6 * 1024;
/// The most chunks in a PUSH.
pub const PUSH_ITEMS_MAX: usize = 256;
/// The most change bytes in a PUSH before compression, unless a single change is larger.
pub const PUSH_BYTES_MAX: usize = 32 * 1024;
/// The change bytes of a session's first PUSH, for the same reason as [`PAGE_BYTES_FIRST`]; each that follows may be
/// twice as large, up to [`PUSH_BYTES_MAX`]. About 25 saves, 2.8 KiB on the wire.
pub const PUSH_BYTES_FIRST: usize = 4 * 1024;
/// PUSH frames a client may have unacknowledged.
pub const PUSH_WINDOW: usize = 4;
/// Units that one HELLO may ask for.
pub const INTERESTS_MAX: usize = 16;
/// The most chunks in one DELTA: 1,024 of the smallest real changes (about 100 B) are 100 KiB, as much as inflates.
pub const DELTA_ITEMS_MAX: usize = 1024;
/// The most units with totals in one RECEIPT: one for each interest.
pub const RECEIPT_TOTALS_MAX: usize = INTERESTS_MAX;
/// The most scopes in one PURGE; a province of 2022 has at most 600 communes.
pub const PURGE_SCOPES_MAX: usize = 1024;
/// The most documents in one PURGE or ERASED: 18 B each, 36 KiB; more go into further frames.
pub const DOCS_MAX: usize = 2048;
/// The largest message of RECONCILE: 16 fingerprints of ranges (about 20 B each) or 400 chunk keys; what does not fit
/// goes into the next round.
pub const RECONCILE_BYTES_MAX: usize = PAGE_BYTES_MAX;
/// The most chunk keys in one WANT: 32 B each, 8 KiB.
pub const WANT_KEYS_MAX: usize = 256;
/// The most decisions in one REVIEWED: at most 353 B each, 22 KiB.
pub const DECISIONS_MAX: usize = 64;
/// The longest word for a role.
pub const ROLE_BYTES_MAX: usize = 32;
/// The largest capability token: about 400 B as issued, and 30 B more for each of 8 former units.
pub const TOKEN_BYTES_MAX: usize = 2 * 1024;
/// The longest nonce.
pub const NONCE_BYTES_MAX: usize = 32;
/// The longest signature: Ed25519's 64 bytes.
pub const SIGNATURE_BYTES_MAX: usize = 64;
/// The longest detail text in NACK and GOODBYE, in bytes.
pub const DETAIL_BYTES_MAX: usize = 300;
/// The most bytes in a body of `POST /v1/sync`: HELLO and 16 pushes.
pub const POST_BODY_BYTES_MAX: usize = 16 * FRAME_BYTES_MAX;
