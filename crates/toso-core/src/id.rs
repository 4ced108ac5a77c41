//! Identities: documents, devices, actors, servers and their epochs, log sequences.

mod prefix;

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::unit::Scope;

use prefix::DEVICE_ID_DIGITS;
pub use prefix::{DEVICE_PREFIX_DIGITS_MIN, DevicePrefix};

/// Length of a document id in bytes: 1 of kind, 4 of scope tag, 11 derived or random.
pub const DOC_ID_BYTES: usize = 1 + SCOPE_TAG_BYTES + DOC_ID_UNIQUE_BYTES;
/// Bytes of a document id that bind it to the scope it was made in.
pub const SCOPE_TAG_BYTES: usize = 4;
/// Bytes of a document id that tell it from the others of its scope (88 bits).
pub const DOC_ID_UNIQUE_BYTES: usize = 11;

/// What a document describes, of the kinds that this version knows. [`DocId::kind`] has none for an id of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocKind {
    /// A commune's hamlet list and sign-off.
    Commune,
    /// A community digital technology team.
    Team,
    /// A person who is or was in a team.
    Member,
}

impl DocKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Commune, Self::Team, Self::Member];

    /// The first byte of an id of this kind, also its letter in text.
    pub const fn letter(self) -> u8 {
        match self {
            Self::Commune => b'c',
            Self::Team => b't',
            Self::Member => b'm',
        }
    }

    /// The kind of a first byte; `None` for one that this version does not know.
    pub const fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'c' => Some(Self::Commune),
            b't' => Some(Self::Team),
            b'm' => Some(Self::Member),
            _ => None,
        }
    }
}

/// A document's identity: kind, scope tag, and 11 bytes that are derived (communes, teams) or random (members).
///
/// The scope tag lets a server see, without opening anything, that an id was made for the scope it is pushed into, so
/// that nobody can occupy another commune's derived ids.
///
/// As text: the kind's letter and 24 characters of lower-case base32.
///
/// # Kinds to come
///
/// The kind is a small letter, and a newer version may know more of them than this one. All that this version needs to
/// keep, authorise, relay, count in digests and remove a document stands in its id, in the scope named beside it, and in the
/// envelope of its changes, so it does all that for any letter. It merges, reads, lists and counts a document only when it
/// knows its kind ([`Self::kind`]). What a new kind has to keep so that this stays true is in `docs/wire-format.md`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocId([u8; DOC_ID_BYTES]);

impl DocId {
    /// Joins the parts of an id.
    pub fn new(kind: DocKind, scope: Scope, unique: [u8; DOC_ID_UNIQUE_BYTES]) -> Self {
        Self(collected([kind.letter()].into_iter().chain(scope_tag(scope)).chain(unique)))
    }

    /// The commune document of a scope.
    pub fn commune(scope: Scope) -> Self {
        Self::derived(DocKind::Commune, scope, &[])
    }

    /// The team of a commune itself (level `commune`); `ordinal` is 0 for the first.
    pub fn commune_team(scope: Scope, ordinal: u32) -> Self {
        Self::derived(DocKind::Team, scope, &[b"commune", &ordinal.to_be_bytes()])
    }

    /// The team of a hamlet. `hamlet_key` comes from [`crate::text::hamlet_key`]; `ordinal` is 0 for the first team.
    pub fn hamlet_team(scope: Scope, hamlet_key: &str, ordinal: u32) -> Self {
        Self::derived(DocKind::Team, scope, &[b"hamlet", hamlet_key.as_bytes(), &ordinal.to_be_bytes()])
    }

    /// A new member; `random` must come from the system's generator.
    pub fn member(scope: Scope, random: [u8; DOC_ID_UNIQUE_BYTES]) -> Self {
        Self::new(DocKind::Member, scope, random)
    }

    fn derived(kind: DocKind, scope: Scope, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("toso 2022-09-19 document id v1");
        hasher.update(&[kind.letter()]);
        hasher.update(&scope.to_key());
        for part in parts {
            // Length-prefixed, so that no two lists of parts run together into the same bytes.
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let mut unique = [0; DOC_ID_UNIQUE_BYTES];
        hasher.finalize_xof().fill(&mut unique);
        Self::new(kind, scope, unique)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; DOC_ID_BYTES] {
        &self.0
    }

    /// Reads an id. Its kind may be one that only a newer version knows.
    pub fn from_bytes(bytes: [u8; DOC_ID_BYTES]) -> Result<Self, IdError> {
        let [letter, ..] = bytes;
        if letter.is_ascii_lowercase() { Ok(Self(bytes)) } else { Err(IdError::NoKind(letter)) }
    }

    /// Joins the parts of an id whose kind may be one that only a newer version knows.
    pub fn from_parts(letter: u8, scope: Scope, unique: [u8; DOC_ID_UNIQUE_BYTES]) -> Result<Self, IdError> {
        Self::from_bytes(collected([letter].into_iter().chain(scope_tag(scope)).chain(unique)))
    }

    /// What the document describes; `None` when only a newer version knows.
    pub const fn kind(&self) -> Option<DocKind> {
        DocKind::from_letter(self.letter())
    }

    /// The letter of its kind, known or not.
    pub const fn letter(&self) -> u8 {
        let [letter, ..] = self.0;
        letter
    }

    /// True when the id was made for `scope`.
    pub fn belongs_to(&self, scope: Scope) -> bool {
        let [_, t0, t1, t2, t3, ..] = self.0;
        [t0, t1, t2, t3] == scope_tag(scope)
    }
}

/// The first `N` bytes of a sequence that has at least as many.
fn collected<const N: usize>(bytes: impl IntoIterator<Item = u8>) -> [u8; N] {
    let mut array = [0; N];
    for (slot, byte) in array.iter_mut().zip(bytes) {
        *slot = byte;
    }
    array
}

fn scope_tag(scope: Scope) -> [u8; SCOPE_TAG_BYTES] {
    let mut tag = [0; SCOPE_TAG_BYTES];
    let mut hasher = blake3::Hasher::new_derive_key("toso 2022-09-19 scope tag v1");
    hasher.update(&scope.to_key()).finalize_xof().fill(&mut tag);
    tag
}

impl fmt::Display for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [letter, rest @ ..] = &self.0;
        write!(f, "{}{}", char::from(*letter), BASE32_NOPAD.encode(rest).to_ascii_lowercase())
    }
}

impl fmt::Debug for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DocId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let malformed = || IdError::Malformed(text.chars().take(40).collect());
        let (letter, rest) = text.as_bytes().split_first().ok_or_else(malformed)?;
        let decoded = BASE32_NOPAD.decode(rest.to_ascii_uppercase().as_slice()).map_err(|_| malformed())?;
        let mut bytes = vec![*letter];
        bytes.extend(decoded);
        Self::from_bytes(bytes.try_into().map_err(|_| malformed())?).map_err(|_| malformed())
    }
}

impl Serialize for DocId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for DocId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            Self::from_bytes(deserialize_bytes(deserializer)?).map_err(serde::de::Error::custom)
        }
    }
}

/// Reads a MessagePack binary of exactly `N` bytes.
fn deserialize_bytes<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
    struct Visitor<const N: usize>;
    impl<const N: usize> serde::de::Visitor<'_> for Visitor<N> {
        type Value = [u8; N];
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{N} bytes")
        }
        fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
            bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
        }
    }
    deserializer.deserialize_bytes(Visitor::<N>)
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
                bytes.map(Self).ok_or_else(|| IdError::Malformed(text.chars().take(80).collect()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_bytes(&self.0) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
                } else {
                    deserialize_bytes(deserializer).map(Self)
                }
            }
        }
    };
}

byte_id!(
    /// A device: the first 16 bytes of BLAKE3 over its Ed25519 public key. As text: 32 hexadecimal digits.
    ///
    /// 128 bits, so that nobody can make a key whose id is another device's (2^128 tries), nor two keys of one id (2^64).
    DeviceId,
    16
);
byte_id!(
    /// A device where bytes are dear: the first 8 bytes of its [`DeviceId`]. As text: 16 hexadecimal digits.
    ///
    /// Actors begin with it, and log entries, pushes, reviews and tickets name a device by it. A server enrols no two devices
    /// of one author id, so there it names one device; a check of a signature takes the key from that device's record
    /// or card, never from here.
    AuthorId,
    8
);
byte_id!(
    /// An Automerge actor: 8 bytes of the device's author id, 8 random bytes chosen each time a store is opened.
    Actor,
    16
);
byte_id!(
    /// A server: the first 16 bytes of BLAKE3 over its root public key.
    ServerId,
    16
);
byte_id!(
    /// The hash of an Automerge change, SHA-256 as Automerge defines it: a chunk's identity everywhere.
    ChangeHash,
    32
);

impl DeviceId {
    /// The device of an Ed25519 public key.
    pub fn from_public_key(public_key: &[u8; 32]) -> Self {
        let mut id = [0; 16];
        let mut hasher = blake3::Hasher::new_derive_key("toso 2022-09-19 device id v1");
        hasher.update(public_key).finalize_xof().fill(&mut id);
        Self(id)
    }

    /// What stands for the device in actors and logs.
    pub fn author(&self) -> AuthorId {
        AuthorId(collected(self.0))
    }
}

impl ServerId {
    /// The server of a root public key.
    pub fn from_public_key(public_key: &[u8]) -> Self {
        let mut id = [0; 16];
        let mut hasher = blake3::Hasher::new_derive_key("toso 2022-09-19 server id v1");
        hasher.update(public_key).finalize_xof().fill(&mut id);
        Self(id)
    }
}

impl Actor {
    /// The actor of one opening of a device's store; `random` must come from the system's generator, so that a phone
    /// restored from a backup, or cloned, never repeats an (actor, sequence number) pair.
    pub fn new(device: DeviceId, random: [u8; 8]) -> Self {
        Self(collected(device.author().0.into_iter().chain(random)))
    }

    /// Whose the actor is.
    pub fn author(&self) -> AuthorId {
        AuthorId(collected(self.0))
    }
}

/// A position in a server's log. The first chunk has sequence 1; 0 means "before everything".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Before the first chunk.
    pub const ZERO: Self = Self(0);

    /// The sequence `count` further on.
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

/// One uninterrupted history of a server's log; a restore from backup starts another. Random, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// A chunk's name in set reconciliation: BLAKE3 over document and change hash. Two documents made from the same words in
/// the same second can share a change hash, but never this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey(pub [u8; 32]);

impl ChunkKey {
    /// The key of a document's chunk.
    pub fn of(doc: DocId, hash: &ChangeHash) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("toso chunk key v1");
        hasher.update(doc.as_bytes());
        hasher.update(&hash.0);
        Self(*hasher.finalize().as_bytes())
    }
}

/// Order-independent digest of a set of chunks: XOR over the first 8 bytes of each chunk's [`ChunkKey`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub u64);

impl Digest {
    /// Adds a chunk that is not in the set, or takes one out that is.
    pub fn toggle(&mut self, doc: DocId, hash: &ChangeHash) {
        let ChunkKey(key) = ChunkKey::of(doc, hash);
        self.0 ^= u64::from_be_bytes(collected(key));
    }

    /// Adds the chunks of a set that shares none with this one; takes them out when they are all in it.
    pub fn combine(&mut self, other: Self) {
        self.0 ^= other.0;
    }
}

/// Why a text or bytes are no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// No small letter.
    #[error("a document id begins with a small letter, its kind, not with byte {0:#04x}")]
    NoKind(u8),
    /// Wrong length or alphabet.
    #[error("{0:?} is not an id; copy it whole, as the list or show command prints it")]
    Malformed(String),
    /// Too few digits to name a device, too many, or none.
    #[error(
        "{0:?} names no device; give {DEVICE_PREFIX_DIGITS_MIN} to {DEVICE_ID_DIGITS} hexadecimal digits of its id, as \
         `device list` prints it"
    )]
    NotADevice(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().expect("a unit")
    }

    /// Derived ids must never change: phones apart must derive the same. Made anew by printing them; a change here makes
    /// every team of every phone another one.
    #[test]
    fn derived_ids_are_pinned() {
        let commune = scope("2022/00001");
        assert_eq!(DocId::commune(commune).to_string(), GOLDEN[0]);
        assert_eq!(DocId::commune_team(commune, 0).to_string(), GOLDEN[1]);
        assert_eq!(DocId::hamlet_team(commune, "thôn 1", 0).to_string(), GOLDEN[2]);
        assert_eq!(DocId::hamlet_team(commune, "thôn 1", 1).to_string(), GOLDEN[3]);
        assert_eq!(DocId::hamlet_team(scope("2025/00004"), "thôn 1", 0).to_string(), GOLDEN[4]);
    }

    const GOLDEN: [&str; 5] = [
        "ce6y6oepohcwljk6xedllpwfq",
        "te6y6oeonjdzt4zzxvfhkwn4u",
        "te6y6oendjnrlxo7lq4v25ax2",
        "te6y6oem4v3z4fkqorwldlbg5",
        "tilrnecjr2xntuzgj25y4n3iq",
    ];

    #[test]
    fn an_id_survives_its_text_and_tells_its_kind_and_scope() {
        let commune = scope("2022/00001");
        let id = DocId::member(commune, [0xab; DOC_ID_UNIQUE_BYTES]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), 25);
        assert_eq!(id.kind(), Some(DocKind::Member));
        assert!(id.belongs_to(commune));
        for other in ["2022/00004", "2025/00001", "2025/00004"] {
            assert!(!id.belongs_to(scope(other)), "{other}");
        }
        for wrong in
            ["", "m", "x234567", "Người", &id.to_string()[..24], &format!("{id}a"), &id.to_string().replace('m', "M")]
        {
            assert!(wrong.parse::<DocId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn any_small_letter_is_a_kind_that_may_come() {
        let commune = scope("2022/00001");
        for letter in b'a'..=b'z' {
            let id = DocId::from_parts(letter, commune, [7; DOC_ID_UNIQUE_BYTES]).unwrap();
            assert_eq!((id.letter(), id.kind()), (letter, DocKind::from_letter(letter)));
            assert_eq!((id.to_string().parse(), DocId::from_bytes(*id.as_bytes())), (Ok(id), Ok(id)));
            assert!(id.belongs_to(commune) && !id.belongs_to(scope("2022/00004")));
        }
        let unknown = (b'a'..=b'z').filter(|letter| DocKind::from_letter(*letter).is_none()).count();
        assert_eq!(unknown, 23, "letters that are left");
        for letter in [0, b'0', b'A', b'a' - 1, b'z' + 1, b'm' | 0x80, u8::MAX] {
            assert_eq!(DocId::from_parts(letter, commune, [7; DOC_ID_UNIQUE_BYTES]), Err(IdError::NoKind(letter)));
        }
    }

    #[test]
    fn an_actor_begins_with_its_author() {
        let device = DeviceId([1, 2, 3, 4, 5, 6, 7, 8, 0xa, 0xa, 0xa, 0xa, 0xa, 0xa, 0xa, 0xa]);
        let actor = Actor::new(device, [9; 8]);
        assert_eq!(actor.author(), device.author());
        assert_eq!(device.author().to_string(), "0102030405060708");
        assert_eq!(actor.to_string(), "01020304050607080909090909090909");
    }

    #[test]
    /// What phones have signed and logs have written begins with these bytes.
    fn the_ids_of_a_key_are_pinned() {
        let device = DeviceId::from_public_key(&[7; 32]);
        assert_eq!(device.to_string(), "df84fe1fdde44f26fbf688730dd8507b");
        assert_eq!(device.author().to_string(), "df84fe1fdde44f26");
    }

    #[test]
    fn a_digest_does_not_know_order() {
        let (a, b) = (ChangeHash([1; 32]), ChangeHash([2; 32]));
        let doc = DocId::commune(scope("2022/00001"));
        let (mut one, mut other) = (Digest::default(), Digest::default());
        one.toggle(doc, &a);
        one.toggle(doc, &b);
        other.toggle(doc, &b);
        other.toggle(doc, &a);
        assert_eq!(one, other);
        one.toggle(doc, &a);
        one.toggle(doc, &b);
        assert_eq!(one, Digest::default());
        one.combine(other);
        assert_eq!(one, other);
    }

    #[test]
    fn the_same_change_in_two_documents_does_not_cancel_out() {
        let (hash, mut digest) = (ChangeHash([1; 32]), Digest::default());
        digest.toggle(DocId::commune(scope("2022/00001")), &hash);
        digest.toggle(DocId::commune(scope("2022/00004")), &hash);
        assert_ne!(digest, Digest::default());
    }
}
