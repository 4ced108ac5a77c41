//! A phone that meets another epoch in a unit of more chunks than are compared: the unit comes whole, by pages.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics on what must not happen")]

use toso_core::change::Change;
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, DeviceId, Digest, DocId, Epoch, Sequence, ServerId};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;
use toso_sync::client;
use toso_sync::{ClientEffect, ClientEvent, ClientSession, ClientStart, OutboxBatch, OutboxItem, Pace};
use toso_wire::{Ack, Delta, DeltaGroup, DeltaItem, Frame, Interest};

#[path = "support/greeting.rs"]
mod greeting;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);

fn commune() -> Scope {
    "2022/00001".parse().unwrap()
}

fn change(place: u8) -> (DocId, Chunk) {
    let doc = DocId::hamlet_team(commune(), &format!("thôn {place}"), 0);
    let author = Author { actor: Actor::new(DeviceId([1; 16]), [2; 8]), at: NOW };
    let edit = DocEdit::Team(TeamEdit::HouseholdsCovered(Some(9)));
    (doc, Document::new(doc).unwrap().edit(author, &[edit]).unwrap().unwrap())
}

fn page((doc, chunk): &(DocId, Chunk), next: u64, more: bool) -> ClientEvent {
    let items = vec![DeltaItem::Change(Change { doc: *doc, chunk: chunk.raw() })];
    let groups = vec![DeltaGroup { scope: commune(), items }];
    ClientEvent::Frame(Frame::Delta(Delta { unit: commune(), groups, next: Sequence(next), more }))
}

fn key((doc, chunk): &(DocId, Chunk)) -> (DocId, ChangeHash) {
    (*doc, chunk.hash())
}

/// A session that knows an epoch and meets the second one, with a change on its way.
fn greeted(known: Option<Epoch>, own: &(DocId, Chunk)) -> ClientSession {
    let item = OutboxItem { number: 1, change: Change { doc: own.0, chunk: own.1.clone() } };
    let start = ClientStart {
        resting: false,
        server: ServerId([1; 16]),
        proof: greeting::proof(),
        ticket: Some(greeting::SECRET),
        epoch: known,
        interests: vec![Interest { unit: commune(), cursor: Sequence(90), digest: Digest::default() }],
        live: true,
        heard: None,
        pace: Pace::default(),
        by_request: false,
        first: Some(OutboxBatch { scope: commune(), items: vec![item] }),
    };
    let (mut session, _) = ClientSession::new(start);
    session.handle(ClientEvent::Connected);
    let welcome = greeting::welcome(Epoch(2), NOW, 2);
    session.handle(ClientEvent::Frame(Frame::Welcome(welcome)));
    session
}

#[test]
fn the_epoch_is_kept_when_the_whole_unit_has_come_and_what_did_not_come_is_handed_over() {
    let [there, newer, lost, own] = [1, 2, 3, 4].map(change);
    let mut session = greeted(Some(Epoch(1)), &own);
    let effects = session.handle(page(&there, 5, true));
    assert!(
        !effects.iter().any(|effect| matches!(effect, ClientEffect::Query(client::Query::ReadElements(_)))),
        "{effects:?}"
    );
    // Whatever it says, a cursor means nothing before the unit is whole.
    let ack = Ack { number: 1, through: Sequence(8), settled: true };
    let effects = session.handle(ClientEvent::Frame(Frame::Ack(ack)));
    assert!(
        effects.iter().any(|effect| matches!(effect, ClientEffect::Commit(client::Commit::Ack { settled: None, .. }))),
        "{effects:?}"
    );
    session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    let effects = session.handle(page(&newer, 7, false));
    assert!(
        effects.contains(&ClientEffect::Query(client::Query::ReadElements(client::ReadElements { unit: commune() }))),
        "{effects:?}"
    );
    assert!(!session.is_up_to_date(), "a session must not end before the epoch is kept");
    let chunks = [&there, &newer, &lost, &own].map(key).to_vec();
    let effects = session.handle(client::Answer::Elements { unit: commune(), chunks: chunks.clone() }.into());
    let kept = ClientEffect::Commit(client::Commit::Reconciled {
        unit: commune(),
        as_of: Sequence(7),
        epoch: Some(Epoch(2)),
        acknowledged: Sequence(8),
        lacking: vec![key(&lost)],
    });
    assert_eq!(effects[0], kept);
    session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    assert!(session.is_up_to_date());
    let effects = session.handle(page(&newer, 9, false));
    assert!(matches!(effects[0], ClientEffect::Commit(client::Commit::Delta(_))));
    assert!(
        !effects.contains(&ClientEffect::Query(client::Query::ReadElements(client::ReadElements { unit: commune() }))),
        "once: {effects:?}"
    );
}

#[test]
fn pages_of_the_known_epoch_or_of_the_first_read_nothing_back() {
    let [there, own] = [1, 2].map(change);
    for known in [None, Some(Epoch(2))] {
        let effects = greeted(known, &own).handle(page(&there, 5, false));
        assert!(matches!(effects[0], ClientEffect::Commit(client::Commit::Delta(_))));
        assert!(
            !effects
                .contains(&ClientEffect::Query(client::Query::ReadElements(client::ReadElements { unit: commune() }))),
            "{effects:?}"
        );
    }
}
