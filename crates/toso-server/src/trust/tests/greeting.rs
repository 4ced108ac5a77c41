//! Tickets, the server's own proof, and tokens that are renewed.

use ed25519_dalek::{Signature, VerifyingKey};
use toso_wire::{RootProof, TicketSecret, signed_welcome, welcome_mac};

use super::*;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A phone as far as proving goes.
struct Phone {
    device: DeviceId,
    token: Vec<u8>,
    token_ends: TimestampMs,
    ticket: Option<Ticket>,
}

impl Phone {
    fn enrolled(trust: &Trust) -> Self {
        let Enrolment { device, token, expires_at, .. } = enrolled(trust, 1, AccessRole::Recorder);
        Self { device, token, token_ends: expires_at, ticket: None }
    }

    /// Proves itself by its token, and checks the server's answer as a phone does.
    fn sign(&mut self, trust: &Trust, now: TimestampMs) -> Result<RootProof, Refusal> {
        let shown = proof(trust.server(), &self.token, &key(1), now, &nonce());
        let known = trust.authenticate(&shown, None, FRESH, now)?;
        let (Proof::Token { signature, .. }, WelcomeProof::Root(root)) = (shown, known.greeting.proof) else {
            panic!("a token is answered by the root key")
        };
        assert_eq!(ServerId::from_public_key(&root.root), trust.server());
        let signed = signed_welcome(&signature, known.greeting.epoch, known.greeting.at, &root);
        let public = VerifyingKey::from_bytes(&root.root).unwrap();
        public.verify_strict(&signed, &Signature::from_bytes(&root.signature)).unwrap();
        self.ticket.clone_from(&root.ticket);
        self.token_ends = root.token_ends;
        if !root.token.is_empty() {
            self.token.clone_from(&root.token);
        }
        Ok(*root)
    }

    fn show(&self, now: TimestampMs) -> TicketProof {
        TicketProof::new(self.ticket.as_ref().expect("it has signed"), self.device, now, nonce4())
    }
}

fn reason(answer: Result<Authenticated, Refusal>) -> Option<ChallengeReason> {
    match answer {
        Err(Refusal::Challenge(challenge)) => Some(challenge.reason),
        _ => None,
    }
}

#[test]
fn a_tickets_secret_proves_the_device_and_the_server_and_brings_no_other_ticket() {
    let Place { folder: _folder, trust, .. } = place();
    let mut phone = Phone::enrolled(&trust);
    let root = phone.sign(&trust, NOW).unwrap();
    let ticket = root.ticket.unwrap();
    assert_eq!(ticket.expires_at, NOW.plus_ms(TICKET_LIFE_MS));
    // To its last second, also past the half of its life at which the device signs by itself.
    for at in [NOW, NOW.plus_ms(TICKET_LIFE_MS / 2 + 1000), NOW.plus_ms(TICKET_LIFE_MS - 1)] {
        let shown = phone.show(at);
        let known = trust.authenticate(&Proof::Ticket(shown), None, FRESH, at).unwrap();
        assert_eq!(known.principal.device, phone.device);
        let mac = welcome_mac(&ticket.secret, &shown, trust.epoch(), known.greeting.at);
        assert_eq!(known.greeting.proof, WelcomeProof::Ticket(mac), "and nothing else is handed over");
    }
    let ended = trust.authenticate(&Proof::Ticket(phone.show(ticket.expires_at)), None, FRESH, ticket.expires_at);
    assert_eq!(reason(ended), Some(ChallengeReason::Ticket));
}

/// The story: a ticket was all that was shown, so one who read it once could exchange it for a new one, for a year.
#[test]
fn what_a_ticket_shows_is_worth_nothing_a_second_time_or_with_a_changed_bit() {
    let Place { folder: _folder, trust, .. } = place();
    let mut phone = Phone::enrolled(&trust);
    phone.sign(&trust, NOW).unwrap();
    let shown = phone.show(NOW);
    assert!(trust.authenticate(&Proof::Ticket(shown), None, FRESH, NOW).is_ok());
    for later in [0, CLOCK_SKEW_MS_MAX] {
        let again = trust.authenticate(&Proof::Ticket(shown), None, FRESH, NOW.plus_ms(later));
        assert_eq!(reason(again), Some(ChallengeReason::Used));
    }
    let late = trust.authenticate(&Proof::Ticket(phone.show(NOW)), None, FRESH, NOW.plus_ms(CLOCK_SKEW_MS_MAX + 1));
    assert_eq!(reason(late), Some(ChallengeReason::Clock));
    let bytes = phone.show(NOW).to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut forged = bytes;
        forged[bit / 8] ^= 1 << (bit % 8);
        let answer = trust.authenticate(&Proof::Ticket(TicketProof::from_bytes(&forged)), None, FRESH, NOW);
        assert_eq!(reason(answer), Some(ChallengeReason::Ticket), "bit {bit}");
    }
    let record = trust.device(phone.device).unwrap();
    let foreign = place().trust.keys.ticket(trust.epoch(), &record, 0, NOW, phone.token_ends);
    let guessed = Ticket { secret: TicketSecret([0; 32]), ..foreign.clone() };
    for ticket in [foreign, guessed] {
        let shown = TicketProof::new(&ticket, phone.device, NOW, nonce4());
        assert_eq!(reason(trust.authenticate(&Proof::Ticket(shown), None, FRESH, NOW)), Some(ChallengeReason::Ticket));
    }
}

/// The story: after a restart each phone signed once, which took the server five times as long as all of the rush before.
#[test]
fn after_a_restart_a_ticket_is_enough_and_what_it_showed_before_is_not() {
    let Place { folder, store, trust } = place();
    let mut phone = Phone::enrolled(&trust);
    phone.sign(&trust, NOW).unwrap();
    let ahead = NOW.plus_ms(CLOCK_SKEW_MS_MAX);
    let before = [phone.show(NOW), phone.show(ahead)];
    for shown in before {
        assert!(trust.authenticate(&Proof::Ticket(shown), None, FRESH, NOW).is_ok());
    }
    let mut used = before.to_vec();
    let mut trust = trust;
    // Two starts within one second, and one right after.
    for begun in [NOW, NOW, NOW.plus_ms(999), NOW.plus_ms(1_000)] {
        trust = Trust::open(folder.path(), store.clone(), begun).unwrap();
        trust.begin(begun).unwrap();
        for shown in &used {
            assert_eq!(
                reason(trust.authenticate(&Proof::Ticket(*shown), None, FRESH, begun)),
                Some(ChallengeReason::Clock)
            );
        }
        let asked = trust.authenticate(&Proof::Ticket(phone.show(begun)), None, FRESH, begun);
        let Err(Refusal::Challenge(Challenge { at, nonce, reason: ChallengeReason::Clock })) = asked else {
            panic!("{asked:?}")
        };
        let secret = phone.ticket.clone().unwrap().secret;
        let again = phone.show(begun).dated(&secret, at, &nonce);
        assert!(trust.authenticate(&Proof::Ticket(again), None, FRESH, begun).is_ok(), "{begun:?}");
        let twice = trust.authenticate(&Proof::Ticket(again), None, FRESH, begun);
        assert_eq!(reason(twice), Some(ChallengeReason::Used));
        // Its next sessions, with that date until its own clock is there.
        for later in [1, 60_000, CLOCK_SKEW_MS_MAX] {
            let shown = phone.show(at);
            assert!(trust.authenticate(&Proof::Ticket(shown), None, FRESH, begun.plus_ms(later)).is_ok(), "{later} ms");
        }
        used.push(again);
    }
    // What ends a ticket ends it here, too: the device signs.
    let now = NOW.plus_ms(CLOCK_SKEW_MS_MAX);
    assert!(trust.revoke(phone.device, now).unwrap());
    let shut_out = trust.authenticate(&Proof::Ticket(phone.show(now)), None, FRESH, now);
    assert_eq!(reason(shut_out), Some(ChallengeReason::Ticket));
}

/// The story: a device that was enrolled anew, as one that may less, went on with the ticket of its old enrolment.
#[test]
fn a_new_enrolment_voids_the_tickets_of_the_one_before_and_a_move_does_not() {
    let Place { folder: _folder, trust, .. } = place();
    let mut phone = Phone::enrolled(&trust);
    phone.sign(&trust, NOW).unwrap();
    let to = UnitRef::new(UnitList::L2022, "00004").expect("a code");
    assert!(trust.move_device(phone.device, to, None, NOW).unwrap());
    let known = trust.authenticate(&Proof::Ticket(phone.show(NOW)), None, FRESH, NOW).unwrap();
    assert_eq!(known.principal.unit, to, "a moved device reads its new place at no cost");
    enrolled(&trust, 1, AccessRole::Viewer);
    let old = trust.authenticate(&Proof::Ticket(phone.show(NOW)), None, FRESH, NOW);
    assert_eq!(reason(old), Some(ChallengeReason::Ticket));
}

/// Virtual time: a phone that signs every third week for five years, and never sees an officer.
#[test]
fn a_phone_that_comes_by_keeps_its_place_for_years() {
    let Place { folder, store, trust } = place();
    let mut phone = Phone::enrolled(&trust);
    let (first, mut renewed) = (phone.token.clone(), 0);
    let mut trust = trust;
    for day in (0..5 * 365).step_by(21) {
        let now = NOW.plus_ms(day * DAY_MS);
        let before = phone.token.clone();
        let root = phone.sign(&trust, now).unwrap_or_else(|refusal| panic!("day {day}: {refusal:?}"));
        assert!(root.token_ends.since_ms(now) >= TOKEN_RENEWED_MS, "day {day}");
        renewed += u32::from(before != phone.token);
        if day % 7 == 0 {
            trust = Trust::open(folder.path(), store.clone(), NOW).unwrap();
        }
    }
    assert!((5..=7).contains(&renewed), "{renewed} times, each in the last quarter");
    let now = NOW.plus_ms(TOKEN_LIFE_MS + 1);
    let old = trust.authenticate(&proof(trust.server(), &first, &key(1), now, &nonce()), None, FRESH, now);
    assert!(matches!(old, Err(Refusal::Unauthorized(_))), "the first one has ended");
    assert_eq!(trust.device(phone.device).unwrap().expires_at, phone.token_ends, "what officers are shown");
}

#[test]
fn a_token_is_renewed_in_its_last_quarter_and_again_when_the_answer_was_lost() {
    let Place { folder: _folder, trust, .. } = place();
    let mut phone = Phone::enrolled(&trust);
    let quarter = NOW.plus_ms(TOKEN_LIFE_MS - TOKEN_RENEWED_MS);
    assert!(phone.sign(&trust, quarter).unwrap().token.is_empty(), "three quarters of its life are not over");
    let old = phone.token.clone();
    let later = quarter.plus_ms(1);
    let until = phone.sign(&trust, later).unwrap().token_ends;
    assert_eq!(until, later.plus_ms(TOKEN_LIFE_MS));
    let heard = std::mem::replace(&mut phone.token, old);
    // The answer was lost: the phone shows its old token again, and gets one with the same end.
    let again = phone.sign(&trust, later.plus_ms(DAY_MS)).unwrap();
    assert!(!again.token.is_empty());
    assert_eq!(again.token_ends, until);
    phone.token = heard;
    assert!(phone.sign(&trust, later.plus_ms(2 * DAY_MS)).unwrap().token.is_empty(), "either is good");
    assert!(trust.revoke(phone.device, NOW).unwrap());
    let root = phone.sign(&trust, later.plus_ms(TOKEN_LIFE_MS - DAY_MS)).unwrap();
    assert!(root.token.is_empty() && root.ticket.is_none(), "a revoked device gets neither");
}

/// An older backup was restored: the record says an end that the device's own token is past.
#[test]
fn a_server_that_lost_a_renewal_believes_its_own_token() {
    let Place { folder, store, trust } = place();
    let mut phone = Phone::enrolled(&trust);
    let before = store.record(crate::tables::DEVICE_TABLE, &phone.device.0).unwrap();
    let now = NOW.plus_ms(TOKEN_LIFE_MS - DAY_MS);
    let until = phone.sign(&trust, now).unwrap().token_ends;
    let table = crate::tables::DEVICE_TABLE.to_owned();
    let lost = RecordChange { table, key: phone.device.0.to_vec(), value: before, expect: None };
    store.command(NOW, &[lost]).unwrap();
    let trust = Trust::open(folder.path(), store, NOW).unwrap();
    let later = now.plus_ms(2 * DAY_MS);
    let root = phone.sign(&trust, later).unwrap();
    assert_eq!((root.token_ends, root.token.as_slice()), (until, [].as_slice()));
    assert!(trust.authenticate(&Proof::Ticket(phone.show(later)), None, FRESH, later).is_ok(), "its ticket is good");
}
