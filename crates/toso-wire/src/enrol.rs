//! How a device joins: the invite that an officer hands over, and the bytes that a device's key signs.
//!
//! Both sides build the signed bytes here, so that they can never differ. Each begins with its own label: a signature
//! made for one purpose is worth nothing for another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use toso_core::id::ServerId;
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;

/// The label in front of an invite's text; a later layout takes another number.
pub const INVITE_PREFIX: &str = "toso1.";
/// Bytes of an invite's secret: 128 bits cannot be guessed.
pub const INVITE_SECRET_BYTES: usize = 16;
/// The longest server address in an invite, in bytes.
pub const INVITE_URL_BYTES_MAX: usize = 300;
/// The longest invite as text: 300 B of address and 70 B of the rest, as base64 (4/3), with the prefix; it still fits a
/// QR code.
pub const INVITE_TEXT_CHARS_MAX: usize = 512;

/// An invitation to join a unit. As text: `toso1.` and the base64url of its MessagePack array.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// The server's address, `https://host[:port]`.
    pub url: String,
    /// The server that made it; a device enrols with no other.
    pub server: ServerId,
    /// The one-time secret.
    #[serde(with = "serde_bytes")]
    pub secret: [u8; INVITE_SECRET_BYTES],
    /// The unit to join.
    pub unit: UnitRef,
    /// The role's word (`recorder`, `officer`, …); shown before joining, the server's own record decides.
    pub role: String,
    /// Useless from then on, by the server's clock.
    pub expires_at: TimestampMs,
}

impl std::fmt::Debug for Invite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invite").field("url", &self.url).field("unit", &self.unit).finish_non_exhaustive()
    }
}

impl Invite {
    /// The text that is shown, sent or drawn as a QR code.
    pub fn to_text(&self) -> String {
        // Only a map with keys that are no strings could fail here; these fields cannot.
        let bytes = rmp_serde::to_vec(self).unwrap_or_default();
        format!("{INVITE_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads [`Self::to_text`] back; blanks around it are ignored.
    pub fn parse(text: &str) -> Result<Self, InviteError> {
        let text = text.trim();
        if text.len() > INVITE_TEXT_CHARS_MAX {
            return Err(InviteError::TooLong { chars: text.len() });
        }
        let body = text.strip_prefix(INVITE_PREFIX).ok_or(InviteError::NotAnInvite)?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| InviteError::Damaged)?;
        let invite: Self = rmp_serde::from_slice(&bytes).map_err(|_| InviteError::Damaged)?;
        let http = invite.url.starts_with("http://") || invite.url.starts_with("https://");
        if http && invite.url.len() <= INVITE_URL_BYTES_MAX { Ok(invite) } else { Err(InviteError::Damaged) }
    }
}

/// Why a text is no invite. Never quotes it: an invite is a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// Another kind of text.
    #[error("this is no invite; an invite begins with {INVITE_PREFIX}")]
    NotAnInvite,
    /// Over [`INVITE_TEXT_CHARS_MAX`].
    #[error("an invite has at most {INVITE_TEXT_CHARS_MAX} characters, this text has {chars}")]
    TooLong {
        /// Its length.
        chars: usize,
    },
    /// Cut off or mistyped.
    #[error("the invite is damaged; copy it whole or scan it again")]
    Damaged,
}

/// What a device signs to enrol: `b"toso enrol v1" ‖ server id ‖ BLAKE3 of the secret (32) ‖ public key (32)`.
/// `secret_hash` is plain `blake3::hash(secret)`.
pub fn signed_enrol(server: ServerId, secret_hash: &[u8; 32], public_key: &[u8; 32]) -> Vec<u8> {
    let mut bytes = b"toso enrol v1".to_vec();
    bytes.extend(server.0);
    bytes.extend(secret_hash);
    bytes.extend(public_key);
    bytes
}

#[cfg(test)]
mod tests {
    use toso_core::unit::UnitList;

    use super::*;

    fn invite(url: String) -> Invite {
        Invite {
            url,
            server: ServerId([7; 16]),
            secret: [9; INVITE_SECRET_BYTES],
            unit: UnitRef::country(UnitList::L2022),
            role: "recorder".to_owned(),
            expires_at: TimestampMs(1_663_545_600_000),
        }
    }

    #[test]
    fn an_invite_survives_its_text_with_blanks_around_it() {
        let invite = invite("https://toso.example".to_owned());
        let text = invite.to_text();
        assert!(text.starts_with(INVITE_PREFIX));
        assert_eq!(Invite::parse(&format!("  {text}\n")), Ok(invite));
    }

    #[test]
    fn the_longest_address_fits_and_one_byte_more_does_not() {
        let url = format!("https://{}", "a".repeat(INVITE_URL_BYTES_MAX - 8));
        assert!(Invite::parse(&invite(url.clone()).to_text()).is_ok());
        assert_eq!(Invite::parse(&invite(format!("{url}a")).to_text()), Err(InviteError::Damaged));
    }

    #[test]
    fn other_texts_are_refused_by_name() {
        let text = invite("https://toso.example".to_owned()).to_text();
        assert_eq!(Invite::parse("https://toso.example"), Err(InviteError::NotAnInvite));
        assert_eq!(Invite::parse(text.get(..text.len() - 5).unwrap()), Err(InviteError::Damaged));
        assert_eq!(Invite::parse(&invite("ftp://toso.example".to_owned()).to_text()), Err(InviteError::Damaged));
        let long = "x".repeat(INVITE_TEXT_CHARS_MAX + 1);
        assert_eq!(Invite::parse(&long), Err(InviteError::TooLong { chars: INVITE_TEXT_CHARS_MAX + 1 }));
    }
}
