//! Changes that travel by other phones: what an author signs, and the card by which phones know each other without a
//! server.
//!
//! All signed bytes are built here, so that those who sign and those who check can never differ. Each begins with its own
//! label: a signature made for one purpose is worth nothing for another.

use serde::{Deserialize, Serialize};
use toso_core::id::{AuthorId, ChangeHash, DeviceId, DocId, ServerId};
use toso_core::unit::{Scope, UnitRef};

use crate::limits::ROLE_BYTES_MAX;

/// What the author of a batch signs, so that another phone can carry it: `b"toso carried v1" ‖ scope (8) ‖ author id
/// (8) ‖ for each change: document (16) ‖ change hash (32)`, in the order of the batch. A carrier can therefore change
/// nothing in it, leave nothing out, put nothing into another scope, and claim no other author.
pub fn signed_carried(
    scope: Scope,
    author: AuthorId,
    changes: impl IntoIterator<Item = (DocId, ChangeHash)>,
) -> Vec<u8> {
    let mut bytes = b"toso carried v1".to_vec();
    bytes.extend(scope.to_key());
    bytes.extend(author.0);
    for (doc, hash) in changes {
        bytes.extend(doc.as_bytes());
        bytes.extend(hash.0);
    }
    bytes
}

/// What the maker of a bundle signs: `b"toso bundle v1" ‖ BLAKE3 of the bundle's header and content (32)`.
pub fn signed_bundle(digest: &[u8; 32]) -> Vec<u8> {
    [b"toso bundle v1".as_slice(), digest].concat()
}

/// What a device signs to another one that it meets: `b"toso peer v1" ‖ 0 when it called, 1 when it was called ‖ the
/// handshake's hash`. The hash is of this one connection, so nobody in the middle can pass the signature on.
pub fn signed_peer(called: bool, handshake: &[u8]) -> Vec<u8> {
    [b"toso peer v1".as_slice(), &[u8::from(called)], handshake].concat()
}

/// A device's card: the server says who the device is, for those who cannot ask it. Who knows the server's id can check
/// a card, since the id is the hash of the key that signed it.
///
/// A card has no end: phones' clocks are wrong by years. Whether a device still belongs is the server's to say, which takes
/// nothing from a revoked one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceCard {
    /// The server's root public key.
    #[serde(with = "serde_bytes")]
    pub root: [u8; 32],
    /// The device's public key.
    #[serde(with = "serde_bytes")]
    pub key: [u8; 32],
    /// Where it works.
    pub unit: UnitRef,
    /// Its role's word.
    pub role: String,
    /// The server's signature over [`Self::signed`].
    #[serde(with = "serde_bytes")]
    pub signature: [u8; 64],
}

impl DeviceCard {
    /// The device.
    pub fn device(&self) -> DeviceId {
        DeviceId::from_public_key(&self.key)
    }

    /// The server that made the card, once its signature is checked.
    pub fn server(&self) -> ServerId {
        ServerId::from_public_key(&self.root)
    }

    /// True when every field is within its limit.
    pub fn is_within_limits(&self) -> bool {
        self.role.len() <= ROLE_BYTES_MAX
    }

    /// What the server signs: `b"toso card v1" ‖ device public key (32) ‖ unit (8) ‖ role's word`.
    pub fn signed(&self) -> Vec<u8> {
        let mut bytes = b"toso card v1".to_vec();
        bytes.extend(self.key);
        bytes.extend(self.unit.to_key());
        bytes.extend(self.role.as_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use toso_core::unit::UnitList;

    use super::*;

    fn commune(code: &str) -> Scope {
        UnitRef::new(UnitList::L2022, code).unwrap()
    }

    /// Golden: what phones have signed must stay checkable for ever. Another layout takes another label.
    #[test]
    fn the_signed_bytes_of_a_carried_batch_are_pinned() {
        let scope = commune("00001");
        let doc = DocId::member(scope, [5; 11]);
        let bytes = signed_carried(scope, AuthorId([2; 8]), [(doc, ChangeHash([3; 32])), (doc, ChangeHash([4; 32]))]);
        let mut expected = b"toso carried v1".to_vec();
        expected.extend([0x07, 0xE6]);
        expected.extend(b"00001\0");
        expected.extend([2; 8]);
        for hash in [[3; 32], [4; 32]] {
            expected.extend(doc.as_bytes());
            expected.extend(hash);
        }
        assert_eq!(bytes, expected);
        assert_eq!(bytes.len(), 15 + 8 + 8 + 2 * 48);
    }

    #[test]
    fn whatever_a_carrier_could_change_changes_the_signed_bytes() {
        let (scope, author) = (commune("00001"), AuthorId([2; 8]));
        let doc = |byte| DocId::member(scope, [byte; 11]);
        let (one, other) = ((doc(1), ChangeHash([3; 32])), (doc(2), ChangeHash([4; 32])));
        let signed = signed_carried(scope, author, [one, other]);
        for changed in [
            signed_carried(commune("00004"), author, [one, other]),
            signed_carried(scope, AuthorId([9; 8]), [one, other]),
            signed_carried(scope, author, [other, one]),
            signed_carried(scope, author, [one]),
            signed_carried(scope, author, [(one.0, other.1), (other.0, one.1)]),
        ] {
            assert_ne!(changed, signed);
        }
    }

    #[test]
    fn the_signed_bytes_of_cards_bundles_and_meetings_are_pinned() {
        let card = DeviceCard {
            root: [1; 32],
            key: [2; 32],
            unit: commune("00001"),
            role: "recorder".to_owned(),
            signature: [3; 64],
        };
        let expected = [b"toso card v1".as_slice(), &[2; 32], &[0x07, 0xE6], b"00001\0recorder"].concat();
        assert_eq!(card.signed(), expected);
        assert_eq!(card.server(), ServerId::from_public_key(&[1; 32]));
        assert_eq!(signed_bundle(&[7; 32]), [b"toso bundle v1".as_slice(), &[7; 32]].concat());
        assert_eq!(signed_peer(true, &[8, 9]), b"toso peer v1\x01\x08\x09");
        let longest = DeviceCard { role: "r".repeat(ROLE_BYTES_MAX), ..card.clone() };
        assert!(longest.is_within_limits());
        assert!(!DeviceCard { role: "r".repeat(ROLE_BYTES_MAX + 1), ..card }.is_within_limits());
    }
}
