//! One author id, one device: a device that enrols has proved its key, and the key is compared with the one that is known.
//!
//! Once the id alone was compared. It had 64 bits, and a device whose key gave another's id replaced that device's record: its
//! edits went into the register under the other's name. Two keys of one author id cannot be made in a test either, so these
//! put the record there by hand.

use toso_core::id::DevicePrefix;
use toso_store::{RecordChange, RecordStore as _};

use super::*;

fn record(public_key: [u8; 32], revoked: bool) -> DeviceRecord {
    DeviceRecord {
        public_key,
        name: None,
        unit: commune(),
        role: AccessRole::Officer.word().to_owned(),
        enrolled_at: NOW,
        expires_at: NOW.plus_ms(1000),
        invite: [1; 32],
        token: vec![1],
        revoked,
        former: Vec::new(),
        moves: 0,
        placed_in: None,
    }
}

fn id(seed: u8) -> DeviceId {
    DeviceId::from_public_key(&key(seed).verifying_key().to_bytes())
}

#[test]
fn a_key_whose_author_id_is_another_devices_is_refused_and_replaces_nothing() {
    let Place { store, trust, .. } = place();
    let victim = RecordChange { key: id(7).author().0.to_vec(), ..record([9; 32], false).to_change() };
    store.command(NOW, std::slice::from_ref(&victim)).unwrap();
    let invite = trust.invite(&order(AccessRole::Recorder), NOW).unwrap();
    let refused = trust.enrol(&request(trust.server(), &invite, &key(7)), NOW).unwrap_err();
    assert!(matches!(refused, EnrolError::OtherKey), "{refused}");
    assert!(refused.to_string().contains("fresh folder"), "it says how to mend it: {refused}");
    assert_eq!(store.record("devices", &victim.key).unwrap(), victim.value, "the record is as it was");
    assert!(trust.enrol(&request(trust.server(), &invite, &key(8)), NOW).is_ok(), "nor was the invite used");
}

#[test]
fn a_device_is_found_by_its_whole_id_alone_and_stands_under_half_of_it() {
    let Place { folder, store, trust } = place();
    let enrolled = enrolled(&trust, 7, AccessRole::Recorder).device;
    assert_eq!(enrolled, id(7));
    assert!(store.record("devices", &enrolled.author().0).unwrap().is_some(), "as the revision before had it");
    let mut other = enrolled;
    other.0[15] ^= 1;
    for trust in [&trust, &Trust::open(folder.path(), store.clone(), NOW).unwrap()] {
        assert_eq!(trust.device(enrolled).map(|device| device.id()), Some(enrolled));
        assert_eq!(trust.device_of_author(other.author()).map(|device| device.id()), Some(enrolled));
        assert!(trust.device(other).is_none() && !trust.is_welcome(other));
        assert!(!trust.revoke(other, NOW).unwrap());
        assert_eq!(trust.shown(enrolled.author()), enrolled.into());
        assert_eq!(trust.shown(id(9).author()), id(9).author().into(), "one that never enrolled here");
    }
}

#[test]
fn eight_digits_name_every_device_that_begins_so() {
    let Place { folder, store, .. } = place();
    // Two keys whose ids share 8 digits and not 16, as 100,000 keys have a pair of.
    let mut first_by_digits = std::collections::HashMap::new();
    let pair = (0_u32..).find_map(|number| {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        let digits = DeviceId::from_public_key(&key).to_string()[..8].to_owned();
        first_by_digits.insert(digits, key).map(|other| [other, key])
    });
    let pair = pair.expect("a pair");
    let changes: Vec<_> = pair.iter().map(|key| record(*key, false).to_change()).collect();
    store.command(NOW, &changes).unwrap();
    let trust = Trust::open(folder.path(), store, NOW).unwrap();
    let [one, other] = pair.map(|key| DeviceId::from_public_key(&key));
    let named = |text: &str| trust.devices_named(&text.parse::<DevicePrefix>().unwrap()).len();
    let text = one.to_string();
    assert_eq!((named(&text[..8]), named(&text[..16]), named(&text)), (2, 1, 1));
    assert_ne!(one.author(), other.author());
}

#[test]
fn a_revocation_in_the_middle_of_an_enrolment_stands() {
    let Place { store, trust, .. } = place();
    let enrolment = enrolled(&trust, 7, AccessRole::Recorder);
    let invite = trust.invite(&order(AccessRole::Officer), NOW).unwrap();
    let request = request(trust.server(), &invite, &key(7));
    // What an enrolment reads, before the revocation, and what it would write.
    let before = store.record("devices", &enrolment.device.author().0).unwrap();
    assert!(trust.revoke(enrolment.device, NOW).unwrap());
    let stale = RecordChange { expect: Some(before), ..record(request.public_key, false).to_change() };
    assert!(matches!(store.command(NOW, &[stale]), Err(toso_store::StoreError::Raced { .. })));
    assert!(matches!(trust.enrol(&request, NOW), Err(EnrolError::Revoked)));
    assert!(!trust.is_welcome(enrolment.device));
}
