//! What a server that was restored, or has lost its records, learns again from devices' tokens, and what it does not.

use super::*;

fn unit(code: &str) -> UnitRef {
    UnitRef::new(UnitList::L2022, code).unwrap()
}

/// The server over a copy of its records as they were, under a new epoch.
fn restored(place: &Place, copy: &[RecordChange], epoch: u64) -> Trust {
    restored_at(place, copy, epoch, NOW)
}

pub(super) fn restored_at(place: &Place, copy: &[RecordChange], epoch: u64, at: TimestampMs) -> Trust {
    let store = Arc::new(MemoryChangeLog::new());
    store.command(NOW, copy).unwrap();
    put(&*store, b"epoch", &epoch.to_be_bytes(), NOW).unwrap();
    let from = [1, 1, at.0].map(u64::to_be_bytes).concat();
    put(&*store, crate::restored::RESTORED_KEY, &from, NOW).unwrap();
    Trust::open(place.folder.path(), store, at).unwrap()
}

pub(super) fn copy(store: &MemoryChangeLog) -> Vec<RecordChange> {
    let mut copy = Vec::new();
    for (table, _) in store.tables().unwrap() {
        for (key, value) in store.records(&table, &[]).unwrap() {
            copy.push(RecordChange { table: table.clone(), key, value: Some(value), expect: None });
        }
    }
    copy
}

/// A HELLO with a token, and with nothing else.
fn greet(trust: &Trust, token: &[u8]) -> Result<toso_sync::Authenticated, Refusal> {
    trust.authenticate(&proof(trust.server(), token, &key(1), NOW, &nonce()), None, FRESH, NOW)
}

fn token(trust: &Trust, device: DeviceId) -> Vec<u8> {
    trust.device(device).unwrap().token.clone()
}

fn formers(trust: &Trust, device: DeviceId) -> Vec<UnitRef> {
    trust.device(device).unwrap().former.iter().map(|former| former.unit).collect()
}

/// The story: a phone that had heard of a move was refused as outside its unit by a server that was restored from a backup
/// of before, until an officer made the move again, and nobody told an officer.
#[test]
fn a_restored_server_learns_from_a_token_of_moves_that_it_has_lost() {
    let place = place();
    let old = enrolled(&place.trust, 1, AccessRole::Recorder);
    let backup = copy(&place.store);
    for to in ["00004", "00006"] {
        assert!(place.trust.move_device(old.device, unit(to), None, NOW).unwrap());
    }
    let newest = token(&place.trust, old.device);
    let trust = restored(&place, &backup, 7);
    assert!(!greet(&trust, &old.token).unwrap().standing.reminded, "an older token tells nothing");
    let known = greet(&trust, &newest).unwrap();
    assert_eq!((known.principal.unit, known.standing.reminded), (unit("00006"), true));
    assert_eq!(formers(&trust, old.device), [commune(), unit("00004")], "also the move that nothing else is left of");
    // Another copy of the device, which has heard of nothing, is told.
    let late = greet(&trust, &old.token).unwrap();
    assert_eq!((late.principal.unit, late.standing.reminded), (unit("00006"), false));
    assert_eq!(greet(&trust, &late.standing.token).unwrap().principal, known.principal);
    assert!(!greet(&trust, &newest).unwrap().standing.reminded, "learned once");
}

#[test]
fn a_server_that_has_lost_its_records_knows_former_units_again() {
    let place = place();
    let old = enrolled(&place.trust, 1, AccessRole::Recorder);
    let list = std::fs::read(place.folder.path().join(REVOCATIONS_FILE)).unwrap();
    assert!(place.trust.move_device(old.device, unit("00004"), None, NOW).unwrap());
    let newest = token(&place.trust, old.device);
    // Of the list beside the root key an old copy is left, too.
    std::fs::write(place.folder.path().join(REVOCATIONS_FILE), list).unwrap();
    let trust = Trust::open(place.folder.path(), Arc::new(MemoryChangeLog::new()), NOW).unwrap();
    assert_eq!(greet(&trust, &old.token).unwrap().principal.unit, commune(), "the older copy comes first");
    assert_eq!(greet(&trust, &newest).unwrap().principal.unit, unit("00004"));
    assert_eq!(formers(&trust, old.device), [commune()]);
    assert_eq!(greet(&trust, &old.token).unwrap().standing.token, token(&trust, old.device), "and is told");
}

#[test]
fn what_an_officer_decides_after_the_restore_stands_and_what_was_lost_becomes_a_former_unit() {
    let place = place();
    let old = enrolled(&place.trust, 1, AccessRole::Recorder);
    let backup = copy(&place.store);
    for to in ["00004", "00007"] {
        assert!(place.trust.move_device(old.device, unit(to), None, NOW).unwrap());
    }
    let lost = token(&place.trust, old.device);
    let trust = restored(&place, &backup, 7);
    assert!(trust.move_device(old.device, unit("00006"), None, NOW).unwrap());
    let known = greet(&trust, &lost).unwrap();
    assert_eq!((known.principal.unit, known.standing.reminded), (unit("00006"), true));
    let mut former = formers(&trust, old.device);
    former.sort_unstable();
    assert_eq!(former, [commune(), unit("00004"), unit("00007")], "work for any of them is held and not refused");
    // After one more loss, of the officer's decision too, the token of that decision is the newer of the two.
    let decided = token(&trust, old.device);
    for tokens in [[&lost, &decided], [&decided, &lost]] {
        let trust = restored(&place, &backup, 8);
        for token in tokens {
            greet(&trust, token).unwrap();
        }
        assert_eq!(trust.device(old.device).unwrap().unit, unit("00006"));
    }
}

#[test]
fn a_token_teaches_nothing_to_a_server_that_has_lost_nothing_nor_undoes_a_revocation() {
    let place = place();
    let old = enrolled(&place.trust, 1, AccessRole::Recorder);
    let backup = copy(&place.store);
    let list = std::fs::read(place.folder.path().join(REVOCATIONS_FILE)).unwrap();
    assert!(place.trust.move_device(old.device, unit("00004"), None, NOW).unwrap());
    let newest = token(&place.trust, old.device);
    std::fs::write(place.folder.path().join(REVOCATIONS_FILE), list).unwrap();
    // The records of before without the mark of a restore: not a state that a server comes into by itself.
    let store = Arc::new(MemoryChangeLog::new());
    store.command(NOW, &backup).unwrap();
    let trust = Trust::open(place.folder.path(), store, NOW).unwrap();
    assert!(matches!(greet(&trust, &newest), Err(Refusal::Unauthorized(_))));
    // The token alone does not let anyone speak for the device.
    let trust = restored(&place, &backup, 7);
    let stolen = proof(trust.server(), &newest, &key(2), NOW, &nonce());
    assert!(trust.authenticate(&stolen, None, FRESH, NOW).is_err());
    let late = proof(trust.server(), &newest, &key(1), TimestampMs(1), &nonce());
    assert!(matches!(trust.authenticate(&late, None, FRESH, NOW), Err(Refusal::Challenge(_))));
    assert_eq!(trust.device(old.device).unwrap().unit, commune(), "learned from a whole proof only");
    assert!(trust.revoke(old.device, NOW).unwrap());
    assert!(greet(&trust, &newest).is_err() && trust.device(old.device).unwrap().unit == commune());
}

#[test]
fn so_many_former_units_are_learned_and_no_more_and_a_token_of_the_most_fits() {
    let place = place();
    let old = enrolled(&place.trust, 1, AccessRole::Recorder);
    let backup = copy(&place.store);
    for number in 0..=FORMER_UNITS_MAX {
        assert!(place.trust.move_device(old.device, unit(&format!("{:05}", 100 + number)), None, NOW).unwrap());
    }
    let newest = token(&place.trust, old.device);
    assert!(newest.len() <= toso_wire::limits::TOKEN_BYTES_MAX / 2, "{} bytes", newest.len());
    let trust = restored(&place, &backup, 7);
    assert!(greet(&trust, &newest).unwrap().standing.reminded);
    assert_eq!(formers(&trust, old.device).len(), FORMER_UNITS_MAX);
    assert!(!greet(&trust, &newest).unwrap().standing.reminded, "what finds no room is not learned again and again");
}

/// A ticket says who a device is and not where it was moved, so a restored server asks for the token.
#[test]
fn a_ticket_of_before_a_restore_is_challenged() {
    let place = place();
    let old = enrolled(&place.trust, 1, AccessRole::Recorder);
    let backup = copy(&place.store);
    let ticket = ticket_of(&greet(&place.trust, &old.token).unwrap()).unwrap();
    let shown = || Proof::Ticket(TicketProof::new(&ticket, old.device, NOW, nonce4()));
    assert!(place.trust.authenticate(&shown(), None, FRESH, NOW).is_ok());
    let challenged = restored(&place, &backup, 7).authenticate(&shown(), None, FRESH, NOW);
    assert!(matches!(challenged, Err(Refusal::Challenge(challenge)) if challenge.reason == ChallengeReason::Ticket));
}
