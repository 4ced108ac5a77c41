//! Invites, enrolment, proofs and REST callers: what is accepted, and every way to be refused.

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use toso_core::id::{DeviceId, ServerId};
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitList, UnitRef};
use toso_store::memory::MemoryChangeLog;
use toso_sync::{AccessRole, Authenticated, CarriedRefusal, Principal, Refusal, ReturnVerdict};
use toso_wire::enrol::{Invite, signed_enrol};
use toso_wire::{Challenge, ChallengeReason, Proof, Ticket, TicketProof, WelcomeProof, signed_hello};

use super::*;

mod clocks;
mod departed;
mod greeting;
mod identities;
mod invites;
mod losses;
mod races;
mod requests;
mod shut_out;
mod tokens;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);
const FRESH: [u8; 8] = [8; 8];

struct Place {
    folder: tempfile::TempDir,
    store: Arc<MemoryChangeLog>,
    trust: Trust,
}

fn place() -> Place {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Arc::new(MemoryChangeLog::new());
    let trust = Trust::open(folder.path(), store.clone(), NOW).expect("a first start");
    Place { folder, store, trust }
}

fn commune() -> UnitRef {
    UnitRef::new(UnitList::L2022, "00001").expect("a code")
}

fn order(role: AccessRole) -> InviteOrder {
    InviteOrder { url: "https://toso.example".to_owned(), unit: commune(), role, life_ms: 1000, created_by: None }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn request(server: ServerId, invite: &Invite, key: &SigningKey) -> EnrolRequest {
    let public_key = key.verifying_key().to_bytes();
    let signed = signed_enrol(server, blake3::hash(&invite.secret).as_bytes(), &public_key);
    EnrolRequest { secret: invite.secret, public_key, signature: key.sign(&signed).to_bytes(), name: None }
}

fn enrolled(trust: &Trust, seed: u8, role: AccessRole) -> Enrolment {
    let invite = trust.invite(&order(role), NOW).expect("an invite");
    trust.enrol(&request(trust.server(), &invite, &key(seed)), NOW).expect("enrolled")
}

fn proof(server: ServerId, token: &[u8], key: &SigningKey, at: TimestampMs, nonce: &[u8]) -> Proof {
    let signature = key.sign(&signed_hello(server, at, nonce)).to_bytes().to_vec();
    Proof::Token { token: token.to_vec(), at, nonce: nonce.to_vec(), signature }
}

/// Another one for every proof.
fn nonce() -> [u8; 8] {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_be_bytes()
}

fn nonce4() -> [u8; 4] {
    let [.., a, b, c, d] = nonce();
    [a, b, c, d]
}

/// The ticket that came with WELCOME.
fn ticket_of(known: &Authenticated) -> Option<Ticket> {
    match &known.greeting.proof {
        WelcomeProof::Root(root) => root.ticket.clone(),
        WelcomeProof::Ticket(_) => None,
    }
}

/// A call with a token that needs no signature.
fn admin_call(trust: &Trust, bearer: &str) -> Result<Caller, RestRefusal> {
    match trust.claimant(Some(bearer))? {
        Claimant::Admin(caller) => Ok(caller),
        Claimant::Device(_) => panic!("no admin token"),
    }
}

#[test]
fn a_restart_keeps_identity_epoch_and_admin_token() {
    let Place { folder, store, trust } = place();
    let (server, epoch) = (trust.server(), trust.epoch());
    assert!(epoch.0 > 0 && epoch.0 < 1 << EPOCH_BITS);
    let admin = std::fs::read_to_string(trust.admin_token_path()).unwrap();
    for file in [ROOT_KEY_FILE, ADMIN_TOKEN_FILE] {
        let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file} is for its owner only");
    }
    let again = Trust::open(folder.path(), store, NOW).unwrap();
    assert_eq!((again.server(), again.epoch()), (server, epoch));
    assert!(admin_call(&again, &admin).is_ok());
}

#[test]
fn a_lost_a_foreign_and_a_damaged_key_are_told_apart() {
    let Place { folder, store, .. } = place();
    let path = folder.path().join(ROOT_KEY_FILE);
    let other = place();
    std::fs::copy(other.folder.path().join(ROOT_KEY_FILE), &path).unwrap();
    assert!(matches!(Trust::open(folder.path(), store.clone(), NOW), Err(KeyError::ForeignKey { .. })));
    std::fs::write(&path, "toso-root-key-1 00ff").unwrap();
    assert!(matches!(Trust::open(folder.path(), store.clone(), NOW), Err(KeyError::Malformed { .. })));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(Trust::open(folder.path(), store, NOW), Err(KeyError::Missing { .. })));
    assert!(!path.exists(), "a lost key is never replaced silently");
}

/// A key that was restored through an editor, with a byte order mark or in UTF-16, was called damaged.
#[test]
fn a_root_key_is_read_however_its_file_was_left() {
    let Place { folder, store, trust } = place();
    let path = folder.path().join(ROOT_KEY_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    let wide: Vec<u8> = "\u{FEFF}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for bytes in [
        format!("\u{FEFF}{text}").into_bytes(),
        text.replace('\n', "\r\n").into_bytes(),
        format!("{}\n{}", &text[..40], &text[40..]).into_bytes(),
        format!("\"{}\"", text.trim()).into_bytes(),
        text.to_uppercase().replace("TOSO-ROOT-KEY-1", ROOT_KEY_LABEL).into_bytes(),
        wide,
    ] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Trust::open(folder.path(), store.clone(), NOW).unwrap().server(), trust.server());
    }
    std::fs::write(&path, format!("{}0", text.trim())).unwrap();
    assert!(matches!(Trust::open(folder.path(), store, NOW), Err(KeyError::Malformed { .. })), "a digit too many");
}

#[test]
fn deleting_the_admin_token_file_voids_every_copy() {
    let Place { folder, store, trust } = place();
    let old = std::fs::read_to_string(trust.admin_token_path()).unwrap();
    std::fs::remove_file(trust.admin_token_path()).unwrap();
    let again = Trust::open(folder.path(), store, NOW).unwrap();
    let new = std::fs::read_to_string(again.admin_token_path()).unwrap();
    assert_eq!(admin_call(&again, &old), Err(RestRefusal::Token(TokenRefusal::Invalid)), "the old serial is void");
    let caller = admin_call(&again, &new).unwrap();
    assert_eq!((caller.device, caller.role), (None, AccessRole::Admin));
}

/// The story: the disk was full while the file was written, and the server ran on with an empty one that nobody could use.
#[test]
fn an_admin_token_file_that_holds_something_else_is_made_anew() {
    let Place { folder, store, trust } = place();
    let path = trust.admin_token_path().to_owned();
    let old = std::fs::read_to_string(&path).unwrap();
    let again = || Trust::open(folder.path(), store.clone(), NOW).unwrap();
    std::fs::write(&path, format!("\u{FEFF}{old}\r\n")).unwrap();
    assert!(admin_call(&again(), &old).is_ok(), "an editor's marks change nothing");
    let mut before = old;
    for garbage in ["", "\n", "hello", &"a".repeat(200), &before.clone()] {
        std::fs::write(&path, garbage).unwrap();
        let trust = again();
        let new = std::fs::read_to_string(&path).unwrap();
        assert!(admin_call(&trust, &new).is_ok(), "{garbage:?}");
        assert!(admin_call(&trust, &before).is_err(), "{garbage:?}: the one before is void");
        before = new;
    }
}

#[test]
fn an_invite_is_used_once_and_its_lost_answer_is_repeated() {
    let Place { trust, .. } = place();
    let invite = trust.invite(&order(AccessRole::Recorder), NOW).unwrap();
    let first = request(trust.server(), &invite, &key(1));
    let enrolment = trust.enrol(&first, NOW).unwrap();
    assert_eq!(enrolment.device, DeviceId::from_public_key(&key(1).verifying_key().to_bytes()));
    assert_eq!((enrolment.unit, enrolment.role), (commune(), AccessRole::Recorder));
    assert_eq!(trust.enrol(&first, NOW.plus_ms(5000)).unwrap(), enrolment, "the very same answer");
    let other = request(trust.server(), &invite, &key(2));
    assert!(matches!(trust.enrol(&other, NOW), Err(EnrolError::UsedInvite)));
}

#[test]
fn two_devices_that_race_for_one_invite_get_one_token_between_them() {
    let Place { trust, .. } = place();
    let invite = trust.invite(&order(AccessRole::Recorder), NOW).unwrap();
    let won = std::thread::scope(|scope| {
        let tries: Vec<_> = (1..=8)
            .map(|seed| {
                let (trust, invite) = (&trust, &invite);
                scope.spawn(move || trust.enrol(&request(trust.server(), invite, &key(seed)), NOW).is_ok())
            })
            .collect();
        tries.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(won, 1);
}

#[test]
fn expired_unknown_and_foreign_invites_are_refused() {
    let Place { trust, .. } = place();
    let invite = trust.invite(&order(AccessRole::Recorder), NOW).unwrap();
    let request = request(trust.server(), &invite, &key(1));
    let mut unknown = request.clone();
    unknown.secret = [0; 16];
    assert!(matches!(trust.enrol(&unknown, NOW), Err(EnrolError::BadSignature)), "the secret is signed");
    let foreign = place().trust.invite(&order(AccessRole::Recorder), NOW).unwrap();
    let foreign = super::tests::request(trust.server(), &foreign, &key(1));
    assert!(matches!(trust.enrol(&foreign, NOW), Err(EnrolError::UnknownInvite)));
    let elsewhere = super::tests::request(ServerId([9; 16]), &invite, &key(1));
    assert!(matches!(trust.enrol(&elsewhere, NOW), Err(EnrolError::BadSignature)), "the server is signed");
    assert!(matches!(trust.enrol(&request, NOW.plus_ms(1000)), Err(EnrolError::ExpiredInvite)));
    assert!(trust.enrol(&request, NOW.plus_ms(999)).is_ok(), "good until its last millisecond");
}

#[test]
fn an_invite_lives_up_to_30_days_and_a_device_name_has_up_to_80_characters() {
    let Place { trust, .. } = place();
    let life = |life_ms| trust.invite(&InviteOrder { life_ms, ..order(AccessRole::Viewer) }, NOW);
    assert!(life(INVITE_LIFE_MS_MAX).is_ok());
    assert!(matches!(life(INVITE_LIFE_MS_MAX + 1), Err(InviteError::Life { .. })));
    assert!(matches!(life(0), Err(InviteError::Life { .. })));
    let invite = life(1000).unwrap();
    let mut named = request(trust.server(), &invite, &key(1));
    named.name = Some("ạ".repeat(81));
    assert!(matches!(trust.enrol(&named, NOW), Err(EnrolError::NameTooLong)));
    for pasted in ["M¸y cña chÞ Lª", "Maùy cuûa Nguyeãn", "Th\u{AD}"] {
        named.name = Some(pasted.to_owned());
        assert!(matches!(trust.enrol(&named, NOW), Err(EnrolError::Name(_))), "{pasted}");
    }
    named.name = Some("ạ".repeat(80));
    assert!(trust.enrol(&named, NOW).is_ok());
}

#[test]
fn a_clock_that_is_years_off_is_challenged_and_then_accepted_once() {
    let Place { trust, .. } = place();
    let token = enrolled(&trust, 1, AccessRole::Recorder).token;
    let at = TimestampMs(1);
    let wrong = proof(trust.server(), &token, &key(1), at, &nonce());
    let Err(Refusal::Challenge(challenge)) = trust.authenticate(&wrong, None, FRESH, NOW) else {
        panic!("a challenge expected")
    };
    assert_eq!((challenge.reason, challenge.at), (ChallengeReason::Clock, NOW));
    let signed = proof(trust.server(), &token, &key(1), at, &challenge.nonce);
    assert!(trust.authenticate(&signed, Some(FRESH), [9; 8], NOW).is_ok(), "our nonce proves freshness");
    assert!(trust.authenticate(&signed, None, [9; 8], NOW).is_err(), "not on another connection");
    for (off, good) in [(CLOCK_SKEW_MS_MAX, true), (CLOCK_SKEW_MS_MAX + 1, false)] {
        let slow = proof(trust.server(), &token, &key(1), NOW, &nonce());
        assert_eq!(trust.authenticate(&slow, None, FRESH, NOW.plus_ms(off)).is_ok(), good, "{off} ms");
    }
}

#[test]
fn a_revoked_device_is_shut_out_at_once_and_for_good() {
    let Place { folder, store, trust } = place();
    let enrolment = enrolled(&trust, 1, AccessRole::Recorder);
    let ticket =
        trust.keys.ticket(trust.epoch(), &trust.device(enrolment.device).unwrap(), 0, NOW, enrolment.expires_at);
    assert!(trust.revoke(enrolment.device, NOW).unwrap());
    assert!(!trust.revoke(DeviceId([0; 16]), NOW).unwrap(), "nobody to revoke");
    let invite = trust.invite(&order(AccessRole::Recorder), NOW).unwrap();
    let again = trust.enrol(&request(trust.server(), &invite, &key(1)), NOW);
    assert!(matches!(again, Err(EnrolError::Revoked)));
    for trust in [trust, Trust::open(folder.path(), store, NOW).unwrap()] {
        let hello = proof(trust.server(), &enrolment.token, &key(1), NOW, &nonce());
        let known = trust.authenticate(&hello, None, FRESH, NOW).unwrap();
        assert!(known.standing.revoked, "it may hand over what it has not sent, and nothing else");
        assert_eq!(ticket_of(&known), None);
        let by_ticket = Proof::Ticket(TicketProof::new(&ticket, enrolment.device, NOW, nonce4()));
        let by_ticket = trust.authenticate(&by_ticket, None, FRESH, NOW);
        assert!(matches!(by_ticket, Err(Refusal::Challenge(_))), "its ticket ended when it was shut out");
        assert!(!trust.is_welcome(enrolment.device));
    }
}

#[test]
fn a_new_enrolment_voids_the_older_token() {
    let Place { trust, .. } = place();
    let old = enrolled(&trust, 1, AccessRole::Officer).token;
    let new = enrolled(&trust, 1, AccessRole::Viewer).token;
    let with =
        |token: &[u8]| trust.authenticate(&proof(trust.server(), token, &key(1), NOW, &nonce()), None, FRESH, NOW);
    assert!(matches!(with(&old), Err(Refusal::Unauthorized(_))));
    assert_eq!(with(&new).unwrap().principal.role, AccessRole::Viewer);
}

#[test]
fn a_moved_device_proves_itself_with_its_old_token_and_gets_the_new_one() {
    let Place { folder, store, trust } = place();
    let old = enrolled(&trust, 1, AccessRole::Recorder);
    let to = UnitRef::new(UnitList::L2022, "00004").expect("a code");
    let officer = DeviceId([7; 16]);
    assert!(trust.move_device(old.device, to, Some(officer.author()), NOW).unwrap());
    assert!(!trust.move_device(DeviceId([0; 16]), to, None, NOW).unwrap(), "nobody to move");
    for trust in [trust, Trust::open(folder.path(), store.clone(), NOW).unwrap()] {
        let with =
            |token: &[u8]| trust.authenticate(&proof(trust.server(), token, &key(1), NOW, &nonce()), None, FRESH, NOW);
        let known = with(&old.token).unwrap();
        assert_eq!((known.principal.unit, known.standing.former.as_slice()), (to, [commune()].as_slice()));
        assert_ne!(known.standing.token, old.token);
        assert_eq!(with(&known.standing.token).unwrap().principal, known.principal);
        assert!(trust.keys.verify(&old.token).is_ok_and(|grant| trust.device_of(&grant).is_err()), "REST is closed");
        let record = trust.device(old.device).unwrap();
        assert_eq!(record.former.first().map(|former| (former.until, former.by)), Some((NOW, Some(officer.author()))));
        let began = Principal { device: old.device, role: AccessRole::Recorder, unit: commune() };
        let here = Principal { unit: to, ..began };
        assert_eq!(trust.footing(&here, false, NOW), Footing::Firm);
        for another in [began, Principal { role: AccessRole::Viewer, ..here }] {
            assert_eq!(trust.footing(&another, false, NOW), Footing::Another);
        }
        assert_eq!(trust.footing(&here, true, NOW), Footing::Another, "it was let in as one that is revoked");
        assert_eq!(trust.footing(&here, false, NOW.plus_ms(TOKEN_LIFE_MS - 1)), Footing::Firm);
        assert_eq!(trust.footing(&here, false, NOW.plus_ms(TOKEN_LIFE_MS)), Footing::Ended);
    }
    let trust = Trust::open(folder.path(), store, NOW).unwrap();
    assert!(trust.revoke(old.device, NOW).unwrap());
    assert!(!trust.move_device(old.device, commune(), None, NOW).unwrap(), "a revoked device stays where it was");
}

#[test]
fn a_card_says_who_a_device_is_and_is_signed_by_the_servers_key() {
    let Place { trust, .. } = place();
    let enrolment = enrolled(&trust, 1, AccessRole::Recorder);
    let card = trust.card(enrolment.device).unwrap();
    assert_eq!((card.device(), card.server()), (enrolment.device, trust.server()));
    assert_eq!((card.unit, card.role.as_str()), (commune(), "recorder"));
    let root = ed25519_dalek::VerifyingKey::from_bytes(&card.root).unwrap();
    let signature = ed25519_dalek::Signature::from_bytes(&card.signature);
    root.verify_strict(&card.signed(), &signature).unwrap();
    assert!(trust.card(DeviceId([9; 16])).is_none());
    trust.revoke(enrolment.device, NOW).unwrap();
    assert!(trust.card(enrolment.device).is_none(), "a revoked device gets no card");
}

#[test]
fn a_carried_batch_counts_only_under_its_authors_own_signature_while_it_is_welcome() {
    let Place { trust, .. } = place();
    let author = enrolled(&trust, 1, AccessRole::Recorder).device;
    let other = enrolled(&trust, 2, AccessRole::Recorder).device;
    let signature = key(1).sign(b"batch").to_bytes();
    assert_eq!(trust.verify_carried(author.author(), b"batch", &signature).unwrap().device, author);
    for (device, signed, signature, refusal) in [
        (author, b"other".as_slice(), signature.as_slice(), CarriedRefusal::BadSignature),
        (author, b"batch", &signature[1..], CarriedRefusal::BadSignature),
        (author, b"batch", &[], CarriedRefusal::BadSignature),
        (other, b"batch", &signature, CarriedRefusal::BadSignature),
        (DeviceId([9; 16]), b"batch", &signature, CarriedRefusal::UnknownAuthor),
    ] {
        assert_eq!(trust.verify_carried(device.author(), signed, signature), Err(refusal));
    }
    trust.revoke(author, NOW).unwrap();
    assert_eq!(trust.verify_carried(author.author(), b"batch", &signature), Err(CarriedRefusal::RevokedAuthor));
}

#[test]
fn a_revocation_gives_the_units_that_the_device_could_read_another_bundle_key() {
    let Place { trust, .. } = place();
    let catalog = toso_catalog::Catalog::shared();
    let neighbour = UnitRef::new(UnitList::L2022, "00004").unwrap();
    let device = enrolled(&trust, 1, AccessRole::Recorder).device;
    let before = [commune(), neighbour].map(|unit| trust.bundle_key(catalog, unit));
    assert_ne!(before[0].key, before[1].key, "each unit has a key of its own");
    assert_eq!(trust.bundle_key(catalog, commune()).key, before[0].key, "the same until somebody is revoked");
    trust.revoke(device, NOW).unwrap();
    let after = [commune(), neighbour].map(|unit| trust.bundle_key(catalog, unit));
    assert_eq!((before[0].generation, after[0].generation), (0, 1));
    assert_ne!(before[0].key, after[0].key);
    assert_eq!(before[1].key, after[1].key, "a unit that it could not read keeps its key");
    trust.revoke(device, NOW).unwrap();
    assert_eq!(trust.bundle_key(catalog, commune()).generation, 1, "repeating it changes nothing");
}
