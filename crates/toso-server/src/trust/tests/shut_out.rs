//! Who is shut out stays so: through a restore, through the loss of all records, and where nobody can know, nobody is let
//! in until an operator has said who may not be.

use super::losses::{copy, restored_at};
use super::*;
use crate::tables::SERVER_TABLE;

const LATER: TimestampMs = NOW.plus_ms(60_000);

fn greet(trust: &Trust, token: &[u8], seed: u8) -> Result<toso_sync::Authenticated, Refusal> {
    trust.authenticate(&proof(trust.server(), token, &key(seed), LATER, &nonce()), None, FRESH, LATER)
}

fn list_of(place: &Place) -> std::path::PathBuf {
    place.folder.path().join(REVOCATIONS_FILE)
}

/// The story: a phone was stolen and revoked, the server was lost, and the restored one let the thief in again, since the
/// backup was older than the revocation. A device that had enrolled after the backup even enrolled itself, by its token.
#[test]
fn the_list_beside_the_root_key_outlives_the_records() {
    let place = place();
    let [thief, honest] = [1, 2].map(|seed| enrolled(&place.trust, seed, AccessRole::Recorder));
    let backup = copy(&place.store);
    let late = enrolled(&place.trust, 3, AccessRole::Officer);
    for device in [thief.device, late.device] {
        assert!(place.trust.revoke(device, NOW).unwrap());
    }
    let lost_all = || {
        std::fs::remove_file(place.folder.path().join(ADMIN_TOKEN_FILE)).unwrap();
        Trust::open(place.folder.path(), Arc::new(MemoryChangeLog::new()), LATER).unwrap()
    };
    let refused = |trust: &Trust, enrolment: &Enrolment, seed| match greet(trust, &enrolment.token, seed) {
        Ok(known) => known.standing.revoked,
        Err(refusal) => matches!(refusal, Refusal::Unauthorized(text) if text.contains("revoked")),
    };
    for (how, trust) in [("restored", restored_at(&place, &backup, 7, LATER)), ("emptied", lost_all())] {
        assert_eq!(trust.quarantined_since(), None, "{how}: the list is there");
        assert!(refused(&trust, &thief, 1) && refused(&trust, &late, 3), "{how}");
        assert!(!trust.is_welcome(late.device) && trust.revocations().has_device(late.device), "{how}");
        assert!(!greet(&trust, &honest.token, 2).unwrap().standing.revoked, "{how}: others come in as before");
        let invite = trust.invite(&order(AccessRole::Officer), LATER).unwrap();
        let again = trust.enrol(&request(trust.server(), &invite, &key(3)), LATER);
        assert!(matches!(again, Err(EnrolError::Revoked)), "{how}: nor by a new invite");
    }
}

/// An invite that was taken back after the backup is not open again in what is restored from it.
#[test]
fn a_withdrawn_invite_stays_so_through_a_restore() {
    let place = place();
    let invite = place.trust.invite(&order(AccessRole::Recorder), NOW).unwrap();
    let backup = copy(&place.store);
    let (found, _) = place.trust.invites(None, 10, |_| true).unwrap();
    place.trust.withdraw_invite(found[0].0, None, NOW).unwrap();
    let trust = restored_at(&place, &backup, 7, NOW);
    let used = trust.enrol(&request(trust.server(), &invite, &key(1)), NOW);
    assert!(matches!(used, Err(EnrolError::WithdrawnInvite)), "{:?}", used.err());
}

/// The story: after a restore with the newest list a used invite, whose text was in a chat, made an officer of a stranger; and
/// an officer who had been moved away worked in his old unit again, by his old token.
#[test]
fn used_invites_and_moves_of_after_the_backup_are_known_to_what_is_restored() {
    let place = place();
    let to: UnitRef = "2022/00004".parse().unwrap();
    let invite = place.trust.invite(&order(AccessRole::Officer), NOW).unwrap();
    let [moved, lesser] = [1, 2].map(|seed| enrolled(&place.trust, seed, AccessRole::Officer));
    let backup = copy(&place.store);
    let honest = place.trust.enrol(&request(place.trust.server(), &invite, &key(3)), NOW).unwrap();
    let late = enrolled(&place.trust, 4, AccessRole::Officer);
    for device in [moved.device, late.device] {
        assert!(place.trust.move_device(device, to, None, NOW).unwrap());
    }
    enrolled(&place.trust, 2, AccessRole::Viewer);
    let trust = restored_at(&place, &backup, 7, NOW);
    let stranger = trust.enrol(&request(trust.server(), &invite, &key(9)), NOW);
    assert!(matches!(stranger, Err(EnrolError::UsedInvite)), "{:?}", stranger.err());
    assert_eq!(greet(&trust, &honest.token, 3).unwrap().principal.device, honest.device, "who used it comes in");
    for (enrolment, seed) in [(&moved, 1), (&late, 4)] {
        let known = greet(&trust, &enrolment.token, seed).unwrap();
        assert_eq!(
            (known.principal.unit, known.standing.former),
            (to, vec![commune()]),
            "by its old token, device {seed}"
        );
        let bearer = URL_SAFE_NO_PAD.encode(&enrolment.token);
        assert!(trust.claimant(Some(&bearer)).is_err(), "device {seed}");
    }
    assert_eq!(trust.device(lesser.device).unwrap().role(), AccessRole::Viewer);
    assert!(greet(&trust, &lesser.token, 2).is_err(), "the token of the role it had");
    // A crash between a record and its line: the next start adds the line.
    std::fs::remove_file(list_of(&place)).unwrap();
    Trust::open(place.folder.path(), place.store.clone(), LATER).unwrap();
    let listed = Listed::read(&list_of(&place)).unwrap().unwrap();
    assert_eq!((listed.placed.len(), listed.placed.get(&moved.device).unwrap().unit), (3, to));
    assert!(listed.used.len() >= 5);
}

#[test]
fn a_revocation_is_on_the_list_before_it_is_in_the_records() {
    let Place { folder, store, trust } = place();
    let device = enrolled(&trust, 1, AccessRole::Recorder).device;
    // A crash between the two.
    trust.revocations().add(Entry::Device(device), NOW).unwrap();
    let again = Trust::open(folder.path(), store, NOW).unwrap();
    assert!(again.device(device).unwrap().revoked, "the list is believed");
    assert!(!again.revoke(DeviceId([0; 16]), NOW).unwrap());
    assert!(!again.revocations().has_device(DeviceId([0; 16])), "nobody is put on it who is nobody");
}

/// Folders of before have no list: it is made of their records, and nothing is in quarantine.
#[test]
fn a_folder_of_before_gets_its_list_from_its_records() {
    let place = place();
    let device = enrolled(&place.trust, 1, AccessRole::Recorder).device;
    assert!(place.trust.revoke(device, NOW).unwrap());
    std::fs::remove_file(list_of(&place)).unwrap();
    let again = Trust::open(place.folder.path(), place.store.clone(), LATER).unwrap();
    assert_eq!(again.quarantined_since(), None);
    let listed = Listed::read(&list_of(&place)).unwrap().unwrap();
    assert!(listed.devices.contains(&device) && listed.server == Some(again.server()) && listed.last == LATER);
}

#[test]
fn a_list_of_another_server_is_refused() {
    let (place, other) = (place(), self::place());
    std::fs::copy(list_of(&other), list_of(&place)).unwrap();
    let refused = Trust::open(place.folder.path(), place.store, NOW);
    assert!(matches!(refused, Err(KeyError::ForeignKey { path }) if path.ends_with(REVOCATIONS_FILE)));
}

/// Where records are gone and the list is not there, nobody knows who was shut out.
#[test]
fn a_lost_store_without_its_list_waits_for_an_operator() {
    let place = place();
    let thief = enrolled(&place.trust, 1, AccessRole::Recorder);
    std::fs::remove_file(list_of(&place)).unwrap();
    let store = Arc::new(MemoryChangeLog::new());
    let trust = Trust::open(place.folder.path(), store.clone(), NOW).unwrap();
    assert_eq!(trust.quarantined_since(), Some(NOW));
    let trust = Trust::open(place.folder.path(), store.clone(), LATER).unwrap();
    assert_eq!(trust.quarantined_since(), Some(NOW), "a restart ends nothing");
    assert!(!list_of(&place).exists(), "and makes no list that says nothing");
    trust.end_quarantine(&[thief.device], LATER).unwrap();
    for trust in [trust, Trust::open(place.folder.path(), store, LATER).unwrap()] {
        assert_eq!(trust.quarantined_since(), None);
        assert!(greet(&trust, &thief.token, 1).is_err(), "shut out, although no record knows it");
    }
    assert!(Listed::read(&list_of(&place)).unwrap().unwrap().devices.contains(&thief.device));
}

/// A first start that is killed at any moment is no server that has lost its records.
#[test]
fn a_first_start_that_was_cut_off_is_no_loss() {
    let place = place();
    for kept in [[REVOCATIONS_FILE].as_slice(), &[REVOCATIONS_FILE, ROOT_KEY_FILE]] {
        let folder = tempfile::tempdir().unwrap();
        for file in kept {
            std::fs::copy(place.folder.path().join(file), folder.path().join(file)).unwrap();
        }
        if kept.len() == 1 {
            // The list as it is begun, before there is a key.
            std::fs::remove_file(folder.path().join(REVOCATIONS_FILE)).unwrap();
            Revocations::open(folder.path()).unwrap().make().unwrap();
        }
        let trust = Trust::open(folder.path(), Arc::new(MemoryChangeLog::new()), NOW).unwrap();
        assert_eq!(trust.quarantined_since(), None);
    }
}

#[test]
fn what_is_returned_is_taken_as_a_recorders_of_the_commune_within_the_window_and_else_waits() {
    let place = place();
    let catalog = toso_catalog::Catalog::shared();
    let elsewhere = UnitRef::new(UnitList::L2022, "00004").unwrap();
    let recorder = enrolled(&place.trust, 1, AccessRole::Recorder).device;
    let officer = enrolled(&place.trust, 2, AccessRole::Officer).device;
    let moved = enrolled(&place.trust, 3, AccessRole::Recorder).device;
    let revoked = enrolled(&place.trust, 4, AccessRole::Recorder).device;
    let viewer = enrolled(&place.trust, 5, AccessRole::Viewer).device;
    assert!(place.trust.move_device(moved, elsewhere, None, NOW).unwrap());
    assert!(place.trust.revoke(revoked, NOW).unwrap());
    let trust = restored_at(&place, &copy(&place.store), 7, NOW);
    assert!(trust.began_with_a_loss() && !place.trust.began_with_a_loss());
    let last = NOW.plus_ms(RETURN_WINDOW_MS - 1);
    for (author, scope, at, verdict) in [
        (recorder, commune(), NOW, ReturnVerdict::Take),
        (recorder, commune(), last, ReturnVerdict::Take),
        (recorder, commune(), last.plus_ms(1), ReturnVerdict::Hold),
        (recorder, elsewhere, NOW, ReturnVerdict::Hold),
        (moved, commune(), NOW, ReturnVerdict::Take),
        (moved, elsewhere, NOW, ReturnVerdict::Take),
        (officer, commune(), NOW, ReturnVerdict::Hold),
        (revoked, commune(), NOW, ReturnVerdict::Hold),
        (viewer, commune(), NOW, ReturnVerdict::Hold),
        (DeviceId::from_public_key(&[99; 32]), commune(), NOW, ReturnVerdict::Hold),
    ] {
        assert_eq!(
            trust.judge_returned(catalog, author.author(), scope, at),
            verdict,
            "{author} in {scope} at {}",
            at.0
        );
    }
}

/// The window of an emptied store begins when it was found so, and a later restore begins another.
#[test]
fn the_window_begins_with_the_last_loss() {
    let place = place();
    let author = enrolled(&place.trust, 1, AccessRole::Recorder);
    let store = Arc::new(MemoryChangeLog::new());
    let catalog = toso_catalog::Catalog::shared();
    let taken =
        |trust: &Trust, at| trust.judge_returned(catalog, author.device.author(), commune(), at) == ReturnVerdict::Take;
    let emptied = Trust::open(place.folder.path(), store.clone(), NOW).unwrap();
    greet(&emptied, &author.token, 1).unwrap();
    let over = NOW.plus_ms(RETURN_WINDOW_MS);
    let emptied = Trust::open(place.folder.path(), store.clone(), over).unwrap();
    assert!(taken(&emptied, TimestampMs(over.0 - 1)) && !taken(&emptied, over), "a restart does not lengthen it");
    let restored = restored_at(&place, &copy(&store), 9, over);
    assert!(taken(&restored, over));
    // What an older version wrote, which did not note the time.
    let old =
        RecordChange { table: SERVER_TABLE.to_owned(), key: b"refilling".to_vec(), value: Some(vec![1]), expect: None };
    store.command(NOW, &[old]).unwrap();
    for at in [over, over.plus_ms(5)] {
        assert!(taken(&Trust::open(place.folder.path(), store.clone(), at).unwrap(), over.plus_ms(5)));
    }
}

#[test]
fn an_admin_token_has_an_end_and_is_made_anew_long_before() {
    let Place { folder, store, trust } = place();
    let text = || std::fs::read_to_string(folder.path().join(ADMIN_TOKEN_FILE)).unwrap();
    let is_good = |trust: &Trust, token: &str, at| admin_call(trust, token).is_ok() && trust.admin_token_lasts(at);
    let first = text();
    let last = NOW.plus_ms(ADMIN_TOKEN_LIFE_MS - 1);
    assert!(is_good(&trust, &first, last) && !is_good(&trust, &first, last.plus_ms(1)), "at its end and one past it");
    let half = NOW.plus_ms(ADMIN_TOKEN_LIFE_MS / 2);
    assert!(!trust.renew_admin_token(TimestampMs(half.0 - 1)).unwrap() && text() == first, "not before half of it");
    assert!(trust.renew_admin_token(half).unwrap() && text() != first);
    let mode = std::fs::metadata(folder.path().join(ADMIN_TOKEN_FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!is_good(&trust, &first, half) && is_good(&trust, &text(), half), "every copy of the first is void");
    let (second, late) = (text(), half.plus_ms(ADMIN_TOKEN_LIFE_MS));
    let again = Trust::open(folder.path(), store.clone(), late).unwrap();
    assert!(text() != second && is_good(&again, &text(), late), "a start makes it anew, too");
    // One that was made before tokens had an end.
    let no_end =
        RecordChange { table: SERVER_TABLE.to_owned(), key: b"admin_ends".to_vec(), value: None, expect: None };
    store.command(NOW, &[no_end]).unwrap();
    let third = text();
    let again = Trust::open(folder.path(), store, late).unwrap();
    assert!(text() != third && !is_good(&again, &third, late));
}
