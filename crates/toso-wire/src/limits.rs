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
/// The outbox bytes (encoded) that may ride in the upgrade request; proxies accept headers of 8 KiB.
pub const HELLO_PUSH_BYTES_MAX: usize = 2 * 1024;
/// HELLO's token as text: token proof (~700 B), interests and push, as base64.
pub const HELLO_TOKEN_CHARS_MAX: usize = 6 * 1024;
/// The most chunks in a PUSH.
pub const PUSH_ITEMS_MAX: usize = 256;
/// The most change bytes in a PUSH before compression, unless a single change is larger.
pub const PUSH_BYTES_MAX: usize = 32 * 1024;
/// PUSH frames a client may have unacknowledged.
pub const PUSH_WINDOW: usize = 4;
/// Units that one HELLO may ask for.
pub const INTERESTS_MAX: usize = 16;
/// The longest detail text in NACK and GOODBYE, in bytes.
pub const DETAIL_BYTES_MAX: usize = 300;
/// The most bytes in a body of `POST /v1/sync`: HELLO and 16 pushes.
pub const POST_BODY_BYTES_MAX: usize = 16 * FRAME_BYTES_MAX;
