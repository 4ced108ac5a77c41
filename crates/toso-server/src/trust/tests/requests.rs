//! What a device signs for a request, and every way to be refused.

use toso_wire::rest::{RestSignature, signed_rest};

use super::*;

const PATH: &str = "/v1/invites?list=2022";
const BODY: &[u8] = br#"{"role":"viewer"}"#;

struct Calling {
    place: Place,
    bearer: String,
    device: DeviceId,
}

impl Calling {
    fn new() -> Self {
        let place = place();
        let enrolment = enrolled(&place.trust, 1, AccessRole::Officer);
        Self { bearer: URL_SAFE_NO_PAD.encode(&enrolment.token), device: enrolment.device, place }
    }

    fn sign(&self, method: &str, path: &str, body: &[u8], at: TimestampMs, nonce: u8) -> String {
        let signed = signed_rest(self.place.trust.server(), method, path, at, &[nonce; 16], body);
        RestSignature { at, nonce: [nonce; 16], signature: key(1).sign(&signed).to_bytes() }.to_text()
    }

    fn call(&self, signature: Option<&str>, body: &[u8], now: TimestampMs) -> Result<Caller, RestRefusal> {
        let trust = &self.place.trust;
        let Claimant::Device(claim) = trust.claimant(Some(&self.bearer))? else { panic!("a device's token") };
        trust.signer(&claim, SignedRequest { signature, method: "POST", path_and_query: PATH, body }, now)
    }
}

#[test]
fn a_devices_rest_call_must_be_signed_for_this_very_request_and_time() {
    let calling = Calling::new();
    let good = calling.sign("POST", PATH, BODY, NOW, 1);
    let caller = calling.call(Some(&good), BODY, NOW).unwrap();
    assert_eq!((caller.device, caller.role), (Some(calling.device), AccessRole::Officer));
    assert_eq!(calling.call(None, BODY, NOW), Err(RestRefusal::NoSignature));
    assert_eq!(calling.call(Some("now.please"), BODY, NOW), Err(RestRefusal::NoSignature));
    let old_form = format!("{}.{}", NOW.0, URL_SAFE_NO_PAD.encode([1; 64]));
    assert_eq!(calling.call(Some(&old_form), BODY, NOW), Err(RestRefusal::NoSignature), "no body is covered by it");
    for (method, path, body) in [
        ("GET", PATH, BODY),
        ("POST", "/v1/invites?list=2025", BODY),
        ("POST", PATH, br#"{"role":"officer"}"#.as_slice()),
        ("POST", PATH, b""),
    ] {
        let other = calling.sign(method, path, body, NOW, 2);
        assert_eq!(calling.call(Some(&other), BODY, NOW), Err(RestRefusal::Token(TokenRefusal::BadSignature)));
    }
    for (off, good) in [(CLOCK_SKEW_MS_MAX, true), (CLOCK_SKEW_MS_MAX + 1, false)] {
        let late = calling.sign("POST", PATH, BODY, NOW.plus_ms(off), 3);
        let answer = calling.call(Some(&late), BODY, NOW);
        assert_eq!(answer.is_ok(), good, "{answer:?}");
        assert!(good || answer == Err(RestRefusal::Clock { off_ms: off, sign_at: NOW }));
    }
}

/// The story: one signed call for a viewer's invite, sent again with other bodies for ten minutes, made twenty officers.
#[test]
fn a_signed_request_is_done_once() {
    let calling = Calling::new();
    let signed = calling.sign("POST", PATH, BODY, NOW.plus_ms(CLOCK_SKEW_MS_MAX), 1);
    assert!(calling.call(Some(&signed), BODY, NOW).is_ok());
    for later in [0, 1, CLOCK_SKEW_MS_MAX, 2 * CLOCK_SKEW_MS_MAX] {
        assert_eq!(calling.call(Some(&signed), BODY, NOW.plus_ms(later)), Err(RestRefusal::Replayed), "{later} ms");
    }
    let again = calling.sign("POST", PATH, BODY, NOW, 2);
    assert!(calling.call(Some(&again), BODY, NOW).is_ok(), "its owner signs it anew");
}

/// The story: a phone's clock was 280 s ahead, and everything that it had signed was good again after the server's restart,
/// since what is dated later than a start was taken for new.
#[test]
fn what_was_accepted_before_a_restart_is_not_accepted_after_it() {
    let mut calling = Calling::new();
    let ahead = NOW.plus_ms(CLOCK_SKEW_MS_MAX);
    let signed = calling.sign("POST", PATH, BODY, ahead, 1);
    assert!(calling.call(Some(&signed), BODY, NOW).is_ok());
    let token = URL_SAFE_NO_PAD.decode(&calling.bearer).unwrap();
    let hello = proof(calling.place.trust.server(), &token, &key(1), ahead, &[1; 8]);
    let known = calling.place.trust.authenticate(&hello, None, FRESH, NOW).unwrap();
    let ticket = ticket_of(&known).unwrap();
    let shown = Proof::Ticket(TicketProof::new(&ticket, calling.device, ahead, nonce4()));
    assert!(calling.place.trust.authenticate(&shown, None, FRESH, NOW).is_ok());

    let begun = NOW.plus_ms(1);
    calling.place.trust = Trust::open(calling.place.folder.path(), calling.place.store.clone(), begun).unwrap();
    calling.place.trust.begin(begun).unwrap();
    for later in (0..=2 * CLOCK_SKEW_MS_MAX).step_by(10_000) {
        let now = begun.plus_ms(later);
        let refused = calling.call(Some(&signed), BODY, now);
        let Err(RestRefusal::Clock { sign_at, .. }) = refused else { panic!("{later} ms: {refused:?}") };
        for proof in [&hello, &shown] {
            let answer = calling.place.trust.authenticate(proof, None, FRESH, now);
            let Err(Refusal::Challenge(challenge)) = answer else { panic!("{later} ms: {answer:?}") };
            assert_eq!((challenge.reason, challenge.at), (ChallengeReason::Clock, sign_at));
        }
        let again = calling.sign("POST", PATH, BODY, sign_at, u8::try_from(later / 10_000).unwrap());
        assert!(calling.call(Some(&again), BODY, now).is_ok(), "{later} ms: its owner signs once more");
        // By request a challenge's time is taken, and its nonce is not.
        let anew = proof(calling.place.trust.server(), &token, &key(1), sign_at, &nonce());
        assert!(calling.place.trust.authenticate(&anew, None, FRESH, now).is_ok(), "{later} ms");
    }
    let now = begun.plus_ms(CLOCK_SKEW_MS_MAX + 1_000);
    let usual = calling.sign("POST", PATH, BODY, now, 200);
    assert!(calling.call(Some(&usual), BODY, now).is_ok(), "and five minutes later nobody signs twice");
}

#[test]
fn a_device_that_signs_without_end_waits_and_nobody_else_does() {
    let calling = Calling::new();
    let full = || calling.sign("POST", PATH, BODY, NOW, 1);
    for number in 0..PROOFS_PER_DEVICE_MAX as u128 {
        calling.place.trust.seen.accept(calling.device, NOW, number.to_be_bytes(), NOW).unwrap();
    }
    assert_eq!(calling.call(Some(&full()), BODY, NOW), Err(RestRefusal::Busy));
    let other = enrolled(&calling.place.trust, 2, AccessRole::Recorder);
    let hello = proof(calling.place.trust.server(), &other.token, &key(2), NOW, &[1; 8]);
    assert!(calling.place.trust.authenticate(&hello, None, FRESH, NOW).is_ok());
    let token = URL_SAFE_NO_PAD.decode(&calling.bearer).unwrap();
    let hello = proof(calling.place.trust.server(), &token, &key(1), NOW, &[1; 8]);
    assert!(matches!(calling.place.trust.authenticate(&hello, None, FRESH, NOW), Err(Refusal::Busy(_))));
}

/// Who is refused costs the root key's signature and a look at the record, whatever else the request holds.
#[test]
fn a_stranger_is_told_before_the_request_is_looked_at() {
    let calling = Calling::new();
    let trust = &calling.place.trust;
    let refused = |bearer: Option<&str>| trust.claimant(bearer).err();
    assert_eq!(refused(None), Some(RestRefusal::NoToken));
    assert_eq!(refused(Some("!")), Some(RestRefusal::NoToken));
    assert_eq!(refused(Some("AAAA")), Some(TokenRefusal::Invalid.into()));
    trust.revoke(calling.device, NOW).unwrap();
    assert_eq!(refused(Some(&calling.bearer)), Some(TokenRefusal::Revoked.into()));
    assert_eq!(calling.call(None, BODY, NOW), Err(TokenRefusal::Revoked.into()));
}
