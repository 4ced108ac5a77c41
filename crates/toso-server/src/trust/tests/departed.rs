//! Bundle keys: a device that has left a unit, by whatever way, lacks the keys of all later bundles, and no number of a key comes
//! again for another.

use super::*;

fn unit(code: &str) -> UnitRef {
    UnitRef::new(UnitList::L2022, code).unwrap()
}

fn key_of(trust: &Trust, of: UnitRef) -> (u32, [u8; 32]) {
    let key = trust.bundle_key(toso_catalog::Catalog::shared(), of);
    (key.generation, *key.key)
}

/// The story: a device that was moved away opened bundles that were made after it had left, since only revocations counted.
#[test]
fn every_way_out_of_a_unit_gives_it_another_key() {
    let Place { folder, store, trust } = place();
    let [moved, enrolled_elsewhere, revoked] =
        [1, 2, 3].map(|seed| enrolled(&trust, seed, AccessRole::Recorder).device);
    let (own, other) = (commune(), unit("00004"));
    let mut keys = vec![key_of(&trust, own)];
    let mut next = |trust: &Trust, how: &str| {
        let key = key_of(trust, own);
        let (last, _) = *keys.last().unwrap();
        assert!(key.0 > last && !keys.iter().any(|(_, known)| *known == key.1), "{how}: {} after {last}", key.0);
        keys.push(key);
    };
    trust.move_device(moved, other, None, NOW).unwrap();
    next(&trust, "moved away");
    assert_eq!(key_of(&trust, other).0, 0, "a device that comes may have the key that is there");
    trust.move_device(moved, own, None, NOW).unwrap();
    trust.move_device(moved, other, None, NOW).unwrap();
    next(&trust, "moved back and away again");
    let order = InviteOrder { unit: other, ..order(AccessRole::Recorder) };
    let invite = trust.invite(&order, NOW).unwrap();
    trust.enrol(&request(trust.server(), &invite, &key(2)), NOW).unwrap();
    assert_eq!(trust.device(enrolled_elsewhere).unwrap().unit, other);
    next(&trust, "enrolled elsewhere");
    trust.revoke(revoked, NOW).unwrap();
    next(&trust, "revoked");
    // More units than a record remembers: each of them keeps its count.
    for number in 0..2 * FORMER_UNITS_MAX {
        trust.move_device(moved, unit(&format!("{:05}", 100 + number)), None, NOW).unwrap();
    }
    assert_eq!(key_of(&trust, own), *keys.last().unwrap(), "and nobody else's");
    let again = Trust::open(folder.path(), store, NOW).unwrap();
    assert_eq!(key_of(&again, own), *keys.last().unwrap(), "a restart changes nothing");
    assert_eq!(key_of(&again, other), key_of(&trust, other));
}

#[test]
fn who_could_read_a_wider_unit_takes_the_keys_of_all_within_it_along() {
    let Place { trust, .. } = place();
    let order = InviteOrder { unit: unit("01"), ..order(AccessRole::Officer) };
    let invite = trust.invite(&order, NOW).unwrap();
    let officer = trust.enrol(&request(trust.server(), &invite, &key(1)), NOW).unwrap().device;
    let before = key_of(&trust, commune());
    let elsewhere = key_of(&trust, unit("10"));
    trust.move_device(officer, unit("10"), None, NOW).unwrap();
    assert_ne!(key_of(&trust, commune()), before);
    assert_eq!(key_of(&trust, unit("10")), elsewhere);
}

/// A restored server has forgotten departures. Its numbers go on above all that it gave, and whatever number comes again,
/// the key does not.
#[test]
fn no_key_comes_again_after_a_restore() {
    let place = place();
    let device = enrolled(&place.trust, 1, AccessRole::Recorder).device;
    let backup = super::losses::copy(&place.store);
    let mut keys = vec![key_of(&place.trust, commune())];
    for to in [unit("00004"), commune(), unit("00004"), commune()] {
        place.trust.move_device(device, to, None, NOW).unwrap();
        keys.push(key_of(&place.trust, commune()));
    }
    let mut highest = keys.last().unwrap().0;
    for (epoch, seconds) in [(7, 60), (8, 120), (9, 120)] {
        let at = NOW.plus_ms(seconds * 1000);
        let trust = super::losses::restored_at(&place, &backup, epoch, at);
        let key = key_of(&trust, commune());
        assert!(key.0 >= highest && keys.iter().all(|(_, known)| *known != key.1), "epoch {epoch}: {}", key.0);
        highest = key.0;
        keys.push(key);
    }
}

/// Folders of before have no counts: what their records tell of departures is counted, and stays.
#[test]
fn a_folder_without_counts_begins_with_what_its_records_know() {
    let Place { folder, store, trust } = place();
    let [moved, revoked] = [1, 2].map(|seed| enrolled(&trust, seed, AccessRole::Recorder).device);
    trust.move_device(moved, unit("00004"), None, NOW).unwrap();
    trust.revoke(revoked, NOW).unwrap();
    let counts = store.records("departures", &[]).unwrap();
    let forget = |key| RecordChange { table: "departures".to_owned(), key, value: None, expect: None };
    let forget: Vec<_> = counts.into_iter().map(|(key, _)| forget(key)).collect();
    store.command(NOW, &forget).unwrap();
    let trust = Trust::open(folder.path(), store.clone(), NOW).unwrap();
    assert_eq!(key_of(&trust, commune()).0, 2);
    trust.move_device(moved, commune(), None, NOW).unwrap();
    let trust = Trust::open(folder.path(), store, NOW).unwrap();
    assert_eq!(key_of(&trust, commune()).0, 2, "a device that comes back takes no departure back");
}

/// The story: a phone was shut out, and its colleagues, who were online every day, went on sealing bundles with the key that
/// it had. Nothing told them of the new one.
#[test]
fn who_stays_signs_again_after_a_departure_and_knows_by_that_of_the_new_key() {
    let Place { folder: _folder, trust, .. } = place();
    let [stays, leaves] = [1, 2].map(|seed| enrolled(&trust, seed, AccessRole::Recorder));
    let ticket = |now| {
        let shown = proof(trust.server(), &stays.token, &key(1), now, &nonce());
        let root = trust.authenticate(&shown, None, FRESH, now).unwrap().greeting.proof;
        let WelcomeProof::Root(root) = root else { panic!("a signature is answered by the root key") };
        root.ticket.unwrap()
    };
    let shows = |ticket: &Ticket, now| {
        let shown = TicketProof::new(ticket, stays.device, now, nonce4());
        trust.authenticate(&Proof::Ticket(shown), None, FRESH, now)
    };
    let first = ticket(NOW);
    assert!(shows(&first, NOW).is_ok());
    trust.revoke(leaves.device, NOW).unwrap();
    assert!(matches!(shows(&first, NOW), Err(Refusal::Challenge(asked)) if asked.reason == ChallengeReason::Ticket));
    let second = ticket(NOW.plus_ms(1_000));
    assert!(shows(&second, NOW.plus_ms(1_000)).is_ok(), "once");
}

/// Each move is in the log for good: an officer's stolen token in a loop would fill the disk with them.
#[test]
fn officers_move_a_device_so_often_a_day_and_no_more() {
    let Place { trust, .. } = place();
    let [moved, other, officer] = [(1, AccessRole::Recorder), (2, AccessRole::Recorder), (3, AccessRole::Officer)]
        .map(|(seed, role)| enrolled(&trust, seed, role).device);
    let by = Some(officer.author());
    let to = |number: u32| if number.is_multiple_of(2) { unit("00004") } else { commune() };
    for number in 0..MOVES_OF_DEVICE_DAY {
        assert!(trust.move_device(moved, to(number), by, NOW).unwrap(), "move {number}");
    }
    let (away, later) = (to(MOVES_OF_DEVICE_DAY), NOW.plus_ms(DAY_MS - 1));
    for ids in [&[moved][..], &[other, moved]] {
        let refused = trust.move_devices(ids, away, by, later, |_| ());
        assert!(matches!(refused, Err(MoveError::ManyToday { wait_ms: 1 })), "{refused:?}");
    }
    assert_eq!(trust.device(other).unwrap().unit, commune(), "none of a call is moved");
    assert!(trust.move_device(moved, commune(), by, later).unwrap(), "where it is already");
    assert!(trust.move_device(other, away, by, later).unwrap(), "another device");
    assert!(trust.move_device(moved, away, None, later).unwrap(), "the admin token is not bound");
    assert!(trust.move_device(moved, commune(), by, later.plus_ms(1)).unwrap(), "a day later");
}
