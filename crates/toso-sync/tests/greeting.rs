//! Of a server that has not proved itself nothing is believed.
//!
//! The story: a server that merely repeated the server's id was sent a member's telephone number, acknowledged it, and had
//! the phone forget it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics on what must not happen")]

use ed25519_dalek::{Signer as _, SigningKey};
use toso_core::change::Change;
use toso_core::chunk::Chunk;
use toso_core::id::{ChangeHash, DocId, Epoch, Sequence, ServerId};
use toso_core::time::TimestampMs;
use toso_sync::client;
use toso_sync::{ClientEffect, ClientEvent, ClientSession, ClientStart, OutboxBatch, OutboxItem, Pace, SessionEnd};
use toso_wire::{
    Ack, Challenge, ChallengeReason, Frame, Proof, Purge, RootProof, Ticket, TicketProof, TicketSecret, Welcome,
    WelcomeProof, signed_hello, signed_welcome, welcome_mac,
};

#[path = "support/greeting.rs"]
mod greeting;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);
const EPOCH: Epoch = Epoch(5);

fn root() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn server() -> ServerId {
    ServerId::from_public_key(&root().verifying_key().to_bytes())
}

/// A phone that pushes something with its HELLO.
fn dialled(proof: Proof, epoch: Option<Epoch>) -> ClientSession {
    let scope = "2022/00001".parse().unwrap();
    let doc = DocId::commune(scope);
    let items =
        vec![OutboxItem { number: 1, change: Change { doc, chunk: Chunk::trusted(vec![1; 90], ChangeHash([1; 32])) } }];
    let ticket = matches!(proof, Proof::Ticket(_)).then_some(greeting::SECRET);
    let first = Some(OutboxBatch { scope, items });
    let start = ClientStart {
        server: server(),
        proof,
        ticket,
        epoch,
        interests: Vec::new(),
        live: true,
        heard: None,
        resting: false,
        pace: Pace::default(),
        by_request: false,
        first,
    };
    let (mut session, hello) = ClientSession::new(start);
    assert!(hello.push.is_some());
    assert!(session.handle(ClientEvent::Connected).is_empty());
    session
}

/// Whether WELCOME is believed; of one that is not, nothing afterwards is either.
fn believes(mut session: ClientSession, welcome: Welcome) -> bool {
    let effects = session.handle(ClientEvent::Frame(Frame::Welcome(welcome)));
    if effects != [ClientEffect::End(SessionEnd::NotProved)] {
        assert!(
            effects.iter().any(|effect| matches!(effect, ClientEffect::Commit(client::Commit::KeepSession { .. }))),
            "{effects:?}"
        );
        return true;
    }
    let purge = Purge { scopes: vec!["2022/00001".parse().unwrap()], docs: Vec::new() };
    let ack = Ack { number: 1, through: Sequence(1), settled: true };
    for frame in [Frame::Ack(ack), Frame::Purge(purge)] {
        assert_eq!(session.handle(ClientEvent::Frame(frame)), []);
    }
    false
}

#[test]
fn a_ticket_is_answered_by_the_holder_of_its_secret_alone() {
    let good = |epoch| Welcome { epoch, ..greeting::welcome(EPOCH, NOW, 0) };
    assert!(believes(dialled(greeting::proof(), None), good(Some(EPOCH))));
    assert!(believes(dialled(greeting::proof(), Some(EPOCH)), good(None)), "the epoch that HELLO named");
    assert!(!believes(dialled(greeting::proof(), Some(Epoch(6))), good(None)), "another epoch");
    assert!(!believes(dialled(greeting::proof(), None), greeting::welcome(EPOCH, NOW, 0).at_another_second()));
    for mac in [[0; 8], greeting::shown().mac] {
        let guessed = Welcome { proof: WelcomeProof::Ticket(mac), ..good(Some(EPOCH)) };
        assert!(!believes(dialled(greeting::proof(), None), guessed));
    }
    let rooted = Welcome { proof: signed(&root(), &[1; 64], false), ..good(Some(EPOCH)) };
    assert!(!believes(dialled(greeting::proof(), None), rooted), "a ticket is answered by its secret");
}

trait AnotherSecond {
    fn at_another_second(self) -> Self;
}

impl AnotherSecond for Welcome {
    fn at_another_second(mut self) -> Self {
        self.at = self.at.plus_ms(1_000);
        self
    }
}

fn signed(key: &SigningKey, hello_signature: &[u8], renewed: bool) -> WelcomeProof {
    let ticket = Some(Ticket { secret: TicketSecret([3; 32]), expires_at: NOW.plus_ms(1_000) });
    let root = key.verifying_key().to_bytes();
    let token = if renewed { vec![4; 9] } else { Vec::new() };
    let mut proof = RootProof { root, signature: [0; 64], token_ends: NOW, ticket, token };
    proof.signature = key.sign(&signed_welcome(hello_signature, EPOCH, NOW, &proof)).to_bytes();
    WelcomeProof::Root(Box::new(proof))
}

fn token_proof(nonce: u8) -> Proof {
    let nonce = vec![nonce; 8];
    let signature = SigningKey::from_bytes(&[2; 32]).sign(&signed_hello(server(), NOW, &nonce)).to_bytes().to_vec();
    Proof::Token { token: vec![1; 300], at: NOW, nonce, signature }
}

fn signature_of(proof: &Proof) -> Vec<u8> {
    let Proof::Token { signature, .. } = proof else { panic!("a token") };
    signature.clone()
}

#[test]
fn a_token_is_answered_by_the_root_key_over_this_very_hello() {
    let shown = token_proof(1);
    let welcome = |proof| Welcome { epoch: Some(EPOCH), at: NOW, proof, pending: 0 };
    let hello = signature_of(&shown);
    for renewed in [false, true] {
        assert!(believes(dialled(shown.clone(), None), welcome(signed(&root(), &hello, renewed))));
    }
    let another = SigningKey::from_bytes(&[8; 32]);
    assert!(!believes(dialled(shown.clone(), None), welcome(signed(&another, &hello, false))), "another root key");
    let other_hello = signature_of(&token_proof(2));
    assert!(!believes(dialled(shown.clone(), None), welcome(signed(&root(), &other_hello, false))), "another HELLO");
    let WelcomeProof::Root(good) = signed(&root(), &hello, false) else { panic!("a root's proof") };
    let changed = [
        RootProof { ticket: None, ..(*good).clone() },
        RootProof { token: vec![5; 9], ..(*good).clone() },
        RootProof { token_ends: NOW.plus_ms(1), ..(*good).clone() },
        RootProof { root: another.verifying_key().to_bytes(), ..(*good).clone() },
        RootProof { root: [0; 32], ..(*good).clone() },
    ];
    for proof in changed {
        let proof = WelcomeProof::Root(Box::new(proof));
        assert!(!believes(dialled(shown.clone(), None), welcome(proof)));
    }
    assert!(!believes(dialled(shown, None), greeting::welcome(EPOCH, NOW, 0)), "a token is answered by the root key");
}

#[test]
fn after_a_challenge_the_signature_is_what_must_be_answered() {
    let mut session = dialled(greeting::proof(), Some(EPOCH));
    let challenge = Challenge { at: NOW, nonce: vec![7; 8], reason: ChallengeReason::Ticket };
    session.handle(ClientEvent::Frame(Frame::Challenge(challenge)));
    let shown = token_proof(7);
    session.handle(client::Answer::Proved(shown.clone()).into());
    let welcome = Welcome { epoch: None, at: NOW, proof: signed(&root(), &signature_of(&shown), false), pending: 0 };
    assert!(believes(session, welcome));
}

/// The story: a server that had just started had every phone of the country sign, two checks and a signature each, where a
/// keyed hash over a time that it had not accepted before says the same.
#[test]
fn a_challenge_about_the_time_is_answered_by_the_ticket_once() {
    let named = NOW.plus_ms(300_000);
    let asks =
        |nonce, reason| ClientEvent::Frame(Frame::Challenge(Challenge { at: named, nonce: vec![nonce; 8], reason }));
    let mut session = dialled(greeting::proof(), Some(EPOCH));
    let answered = session.handle(asks(7, ChallengeReason::Clock));
    let [ClientEffect::Send(Frame::Hello(hello))] = answered.as_slice() else { panic!("{answered:?}") };
    let Proof::Ticket(shown) = hello.proof else { panic!("{hello:?}") };
    assert!(hello.push.is_some() && shown.is_by(&greeting::SECRET));
    assert_eq!((shown.at(), shown.nonce), (named, [7; 4]));
    // WELCOME must answer this proof, and not the first.
    let welcome = |shown: &TicketProof| {
        let mac = welcome_mac(&greeting::SECRET, shown, EPOCH, NOW);
        Frame::Welcome(Welcome { epoch: None, at: NOW, proof: WelcomeProof::Ticket(mac), pending: 0 })
    };
    let mut other = dialled(greeting::proof(), Some(EPOCH));
    other.handle(asks(7, ChallengeReason::Clock));
    let ended = other.handle(ClientEvent::Frame(welcome(&greeting::shown())));
    assert_eq!(ended, [ClientEffect::End(SessionEnd::NotProved)]);
    let kept = session.handle(ClientEvent::Frame(welcome(&shown)));
    let keeps = ClientEffect::Commit(client::Commit::KeepSession {
        epoch: Some(EPOCH),
        root: None,
        at: NOW,
        asked: Some(named),
    });
    assert!(kept.contains(&keeps), "later proofs are dated with it: {kept:?}");

    // A ticket that has ended, a proof that was used, and whatever only a newer server knows: signed at once.
    for reason in [ChallengeReason::Ticket, ChallengeReason::Used, ChallengeReason::Unknown(9)] {
        let asked = dialled(greeting::proof(), Some(EPOCH)).handle(asks(1, reason));
        assert!(matches!(asked.as_slice(), [ClientEffect::Query(client::Query::Prove(_))]), "{reason:?}: {asked:?}");
    }
    // Asked for a second time, whatever for: signed. And a third time never.
    for second in [ChallengeReason::Clock, ChallengeReason::Ticket] {
        let mut session = dialled(greeting::proof(), Some(EPOCH));
        session.handle(asks(1, ChallengeReason::Clock));
        let asked = session.handle(asks(2, second));
        assert!(matches!(asked.as_slice(), [ClientEffect::Query(client::Query::Prove(_))]), "{asked:?}");
        session.handle(client::Answer::Proved(token_proof(2)).into());
        let ended = session.handle(asks(3, ChallengeReason::Clock));
        assert!(matches!(ended.as_slice(), [ClientEffect::End(SessionEnd::Protocol(_))]), "{ended:?}");
    }
    // Who has no ticket signs.
    let asked = dialled(token_proof(1), None).handle(asks(1, ChallengeReason::Clock));
    assert!(matches!(asked.as_slice(), [ClientEffect::Query(client::Query::Prove(_))]), "{asked:?}");
}

/// The story: a server, or somebody between, answered each proof with one more CHALLENGE, and a sync went on for as long as
/// it liked.
#[test]
fn a_third_challenge_ends_the_session() {
    let mut session = dialled(greeting::proof(), Some(EPOCH));
    for nonce in 0..2 {
        let challenge = Challenge { at: NOW, nonce: vec![nonce; 8], reason: ChallengeReason::Used };
        let asked = session.handle(ClientEvent::Frame(Frame::Challenge(challenge)));
        assert!(matches!(asked.as_slice(), [ClientEffect::Query(client::Query::Prove(_))]), "{asked:?}");
        assert!(!session.handle(client::Answer::Proved(token_proof(nonce)).into()).is_empty());
        assert!(!session.is_greeted());
    }
    let third = Challenge { at: NOW, nonce: vec![3; 8], reason: ChallengeReason::Used };
    let ended = session.handle(ClientEvent::Frame(Frame::Challenge(third)));
    assert!(matches!(ended.as_slice(), [ClientEffect::End(SessionEnd::Protocol(_))]), "{ended:?}");
}
