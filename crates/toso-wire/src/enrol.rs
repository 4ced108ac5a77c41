//! How a device joins: the invite that an officer hands over, and the bytes that a device's key signs.
//!
//! Both sides build the signed bytes here, so that they can never differ. Each begins with its own label: a signature
//! made for one purpose is worth nothing for another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use toso_core::id::ServerId;
use toso_core::text::pasted;
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
/// The longest text that an invite is looked for in, in bytes: an invite broken into pieces, between some hundred words.
const PASTED_BYTES_MAX: usize = 4 * 1024;

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

    /// Reads [`Self::to_text`] back, as it comes by chat, SMS, e-mail and paper: broken into lines, with characters in it
    /// that nobody sees, in quotes, between words, with a capital letter that a keyboard has put first.
    pub fn parse(text: &str) -> Result<Self, InviteError> {
        if text.len() > PASTED_BYTES_MAX {
            return Err(InviteError::TooLong { chars: text.chars().count() });
        }
        let text = pasted::plain(text);
        // The same length, so that what is found in one stands there in the other.
        let lower = text.to_ascii_lowercase();
        let mut found: Option<Self> = None;
        let mut wrong = InviteError::NotAnInvite;
        for (at, _) in lower.match_indices(INVITE_PREFIX) {
            match Self::parse_body(text.get(at + INVITE_PREFIX.len()..).unwrap_or_default()) {
                Ok(invite) if found.as_ref().is_some_and(|found| *found != invite) => return Err(InviteError::Several),
                Ok(invite) => found = Some(invite),
                Err(error) => wrong = error,
            }
        }
        found.ok_or(wrong)
    }

    /// The first pieces that make an invite together. A shorter part of one never reads as a whole, since its last field
    /// would be cut; words behind it are not reached.
    fn parse_body(text: &str) -> Result<Self, InviteError> {
        let mut body = String::new();
        for piece in pasted::pieces(text) {
            body.push_str(piece);
            if INVITE_PREFIX.len() + body.len() > INVITE_TEXT_CHARS_MAX {
                return Err(InviteError::TooLong { chars: INVITE_PREFIX.len() + body.chars().count() });
            }
            // Marks of emphasis are characters of the code, too.
            for body in [body.as_str(), body.trim_end_matches(['_', '-'])] {
                if let Some(invite) = Self::decode(body) {
                    return Ok(invite);
                }
            }
        }
        Err(InviteError::Damaged)
    }

    fn decode(body: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(body).ok()?;
        let invite: Self = rmp_serde::from_slice(&bytes).ok()?;
        let http = invite.url.starts_with("http://") || invite.url.starts_with("https://");
        (http && invite.url.len() <= INVITE_URL_BYTES_MAX).then_some(invite)
    }
}

/// Why a text is no invite. Never quotes it: an invite is a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// Another kind of text.
    #[error("this is no invite; an invite begins with {INVITE_PREFIX}")]
    NotAnInvite,
    /// Over [`INVITE_TEXT_CHARS_MAX`], or in a text over 4 KiB.
    #[error("an invite has at most {INVITE_TEXT_CHARS_MAX} characters, this text has {chars}; copy the invite alone")]
    TooLong {
        /// Its characters.
        chars: usize,
    },
    /// Two or more, and nobody knows which is meant.
    #[error("there are several invites in this text; copy one of them alone")]
    Several,
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

/// What the root key signs to a device that has enrolled: `b"toso enrolled v1" ‖ BLAKE3 of the secret (32) ‖ public key (32)
/// ‖ end of the token (u64 BE) ‖ token`. So the answer is the inviting server's, to this device and this invite.
pub fn signed_enrolled(
    secret_hash: &[u8; 32],
    public_key: &[u8; 32],
    token_ends: TimestampMs,
    token: &[u8],
) -> Vec<u8> {
    let mut bytes = b"toso enrolled v1".to_vec();
    bytes.extend(secret_hash);
    bytes.extend(public_key);
    bytes.extend(token_ends.0.to_be_bytes());
    bytes.extend(token);
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
        let body = |chars: usize| format!("{INVITE_PREFIX}{}", "x".repeat(chars - INVITE_PREFIX.len()));
        assert_eq!(Invite::parse(&body(INVITE_TEXT_CHARS_MAX)), Err(InviteError::Damaged));
        let chars = INVITE_TEXT_CHARS_MAX + 1;
        assert_eq!(Invite::parse(&body(chars)), Err(InviteError::TooLong { chars }));
        let words = |bytes: usize| Invite::parse(&"x".repeat(bytes));
        assert_eq!(words(PASTED_BYTES_MAX), Err(InviteError::NotAnInvite));
        assert_eq!(words(PASTED_BYTES_MAX + 1), Err(InviteError::TooLong { chars: PASTED_BYTES_MAX + 1 }));
        let vietnamese = "ợ".repeat(PASTED_BYTES_MAX);
        assert_eq!(Invite::parse(&vietnamese), Err(InviteError::TooLong { chars: PASTED_BYTES_MAX }), "no bytes");
    }

    /// Volunteers get their invites by Zalo and SMS, which wrap and decorate them; they were called damaged, or no invite.
    #[test]
    fn an_invite_is_read_as_it_comes_by_chat() {
        let invite = invite("https://toso.example".to_owned());
        let text = invite.to_text();
        let (head, tail) = text.split_at(70);
        for (what, sent) in [
            ("line ends", format!("\r\n {text} \r\n")),
            ("an SMS's break", format!("{head}\n{tail}")),
            ("a break with blanks", format!("{head} \r\n  {tail}")),
            ("unseen blanks", format!("\u{200B}{head}\u{200B}\u{FEFF}{tail}\u{2060}")),
            ("wide blanks", format!("\u{A0}{head}\u{202F}{tail}\u{3000}")),
            ("direction marks", format!("\u{2066}{text}\u{2069}")),
            ("a byte order mark", format!("\u{FEFF}{text}")),
            ("quotes", format!("\"{text}\"")),
            ("Vietnamese quotes", format!("“{text}”")),
            ("French quotes", format!("« {text} »")),
            ("a stop", format!("{text}.")),
            ("words before", format!("Mã mời của chị: {text}")),
            ("words behind", format!("{text} cảm ơn anh")),
            ("words on the next line", format!("{head}\n{tail}\nGui tu Zalo")),
            ("emphasis", format!("*_{text}_*")),
            ("brackets", format!("<{text}>")),
            ("a link", format!("https://chat.example/#{text}")),
            ("a keyboard's capital", format!("T{}", text.get(1..).unwrap())),
            ("padding", format!("{text}=")),
            ("twice", format!("{text}\n> {text}")),
        ] {
            assert_eq!(Invite::parse(&sent).as_ref(), Ok(&invite), "{what}");
        }
        let mut other = invite.clone();
        other.secret = [1; INVITE_SECRET_BYTES];
        assert_eq!(Invite::parse(&format!("{text} {}", other.to_text())), Err(InviteError::Several));
        for cut in 1..text.len() {
            let shorter = text.get(..cut).unwrap();
            assert!(Invite::parse(shorter).is_err(), "a part of {cut} characters is no invite");
        }
    }
}
