//! What a device signs for a REST request, and the header that carries the signature.
//!
//! The signature covers everything that decides what a request does: method, path, query and body. It is good once: the
//! server remembers it for as long as its time is near enough.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use toso_core::id::ServerId;
use toso_core::time::TimestampMs;

/// The HTTP header with a device's signature over a request: see [`RestSignature::to_text`].
pub const REST_SIGNATURE_HEADER: &str = "toso-signature";
/// The HTTP header by which the server says that an answer is the register's: its id. Networks that want a sign-in, proxies and
/// gateways answer in its place, with any status.
pub const REGISTER_HEADER: &str = "toso-register";
/// Bytes of the nonce: two requests of one millisecond must differ.
pub const REST_NONCE_BYTES: usize = 16;
/// The version in front of the header's value.
const VERSION: &str = "v2";
/// The longest header that is read: version, 20 digits of time, 22 characters of nonce, 86 of signature, three dots.
const HEADER_CHARS_MAX: usize = 133;

/// A device's signature over a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestSignature {
    /// The device's clock.
    pub at: TimestampMs,
    /// Random.
    pub nonce: [u8; REST_NONCE_BYTES],
    /// Ed25519 over [`signed_rest`].
    pub signature: [u8; 64],
}

impl RestSignature {
    /// The header's value: `v2.<unix ms>.<nonce>.<signature>`, the last two as base64url without padding.
    pub fn to_text(&self) -> String {
        let (nonce, signature) = (URL_SAFE_NO_PAD.encode(self.nonce), URL_SAFE_NO_PAD.encode(self.signature));
        format!("{VERSION}.{}.{nonce}.{signature}", self.at.0)
    }

    /// Reads [`Self::to_text`] back; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > HEADER_CHARS_MAX {
            return None;
        }
        let mut parts = text.split('.');
        let (version, at, nonce, signature) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version != VERSION || parts.next().is_some() || !at.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        Some(Self {
            at: TimestampMs(at.parse().ok()?),
            nonce: bytes(nonce)?.try_into().ok()?,
            signature: bytes(signature)?.try_into().ok()?,
        })
    }
}

/// What a device signs for a request: `b"toso rest v2" ‖ server id ‖ method ‖ path?query ‖ time (u64 BE) ‖ nonce (16) ‖
/// SHA-256 of the body (32)`. A request without a body has an empty one.
pub fn signed_rest(
    server: ServerId,
    method: &str,
    path_and_query: &str,
    at: TimestampMs,
    nonce: &[u8; REST_NONCE_BYTES],
    body: &[u8],
) -> Vec<u8> {
    let mut bytes = b"toso rest v2".to_vec();
    bytes.extend(server.0);
    // A method has no blanks and no slash, a path begins with a slash, all that follows has a fixed length: no two parts
    // can run into each other.
    bytes.extend(method.as_bytes());
    bytes.extend(path_and_query.as_bytes());
    bytes.extend(at.0.to_be_bytes());
    bytes.extend(nonce);
    bytes.extend(Sha256::digest(body));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_bytes_differ_by_server_request_time_nonce_and_body() {
        let base = (ServerId([1; 16]), "POST", "/v1/invites", TimestampMs(5), [6; 16], b"{}".as_slice());
        let signed = |(server, method, path, at, nonce, body): (_, _, _, _, _, &[u8])| {
            signed_rest(server, method, path, at, &nonce, body)
        };
        let all = [
            base,
            (ServerId([2; 16]), base.1, base.2, base.3, base.4, base.5),
            (base.0, "GET", base.2, base.3, base.4, base.5),
            (base.0, base.1, "/v1/invites?a", base.3, base.4, base.5),
            (base.0, base.1, base.2, TimestampMs(6), base.4, base.5),
            (base.0, base.1, base.2, base.3, [7; 16], base.5),
            (base.0, base.1, base.2, base.3, base.4, b"{ }"),
            (base.0, base.1, base.2, base.3, base.4, b""),
        ];
        let distinct: std::collections::BTreeSet<_> = all.into_iter().map(signed).collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn a_header_survives_its_text_and_anything_else_is_none() {
        let header = RestSignature { at: TimestampMs(u64::MAX), nonce: [0xff; 16], signature: [0xfe; 64] };
        let text = header.to_text();
        assert_eq!(text.len(), HEADER_CHARS_MAX, "the longest there is");
        assert_eq!(RestSignature::parse(&text), Some(header.clone()));
        for broken in [
            String::new(),
            format!("{text}."),
            format!("{text}A"),
            text.replacen("v2", "v1", 1),
            text.replacen("v2.", "v2.+", 1),
            text.replacen("v2.", "", 1),
            text.chars().take(text.len() - 2).collect(),
        ] {
            assert_eq!(RestSignature::parse(&broken), None, "{broken}");
        }
    }
}
