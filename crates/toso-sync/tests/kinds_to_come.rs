//! What a newer build brings into a session of this one: documents of a kind, and codes of GOODBYE, that this build does not
//! know. The story: a page with such a document was refused as no frame, and its phone fetched it again, for ever.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics on what must not happen")]

use toso_catalog::Catalog;
use toso_core::change::{Change, Entry};
use toso_core::chunk::RawChunk;
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, AuthorId, DeviceId, Digest, DocId, Epoch, Sequence, ServerId};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;
use toso_sync::client;
use toso_sync::server::{Answer, Append, Appending, Commit, Query};
use toso_sync::{
    AccessRole, Authenticated, ClientEffect, ClientEvent, ClientSession, ClientStart, Opened, OpenedInterest, Pace,
    PageEntry, PageRead, Principal, ServerEffect, ServerEvent, ServerSession, SessionEnd, Standing,
};
use toso_wire::{
    Delta, DeltaGroup, DeltaItem, Frame, Goodbye, GoodbyeCode, Hello, Interest, NackCode, Push, TEMPORARY_FROM, decode,
    encode,
};

#[path = "support/greeting.rs"]
mod greeting;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);
const EPOCH: Epoch = Epoch(1);
const DEVICE: DeviceId = DeviceId([1; 16]);

fn commune() -> Scope {
    "2022/00001".parse().unwrap()
}

/// A document of a further kind that was made for a commune, and its first change, by a device.
fn further(scope: &str, device: DeviceId) -> Change<RawChunk> {
    let scope: Scope = scope.parse().unwrap();
    let author = Author { actor: Actor::new(device, [2; 8]), at: NOW };
    let edit = DocEdit::Team(TeamEdit::HouseholdsCovered(Some(9)));
    let change = Document::first_save(DocId::hamlet_team(scope, "thôn 1", 0), author, &[edit]).unwrap().unwrap();
    Change { doc: DocId::from_parts(b'z', scope, [9; 11]).unwrap(), chunk: change.raw() }
}

/// As it comes over the wire.
fn carried(frame: &Frame) -> Frame {
    let read = decode(&encode(frame)).unwrap();
    assert_eq!(read, *frame);
    read
}

/// A live session at the server, of a device that follows its commune, with so much there that it has not.
fn at_server(role: AccessRole, pending: u64) -> (ServerSession, Vec<ServerEffect>) {
    let interests = vec![Interest { unit: commune(), cursor: Sequence::ZERO, digest: Digest::default() }];
    let hello = Hello {
        protocol: 1,
        proof: greeting::proof(),
        epoch: Some(EPOCH),
        interests,
        live: true,
        push: None,
        heard: None,
        page_bytes: None,
        receipt: None,
    };
    let mut session = ServerSession::new(Catalog::shared());
    session.handle(NOW, ServerEvent::Frame(carried(&Frame::Hello(hello))));
    let authenticated = Authenticated {
        principal: Principal { device: DEVICE, role, unit: commune() },
        greeting: greeting::greeting(EPOCH, NOW),
        standing: Standing::default(),
    };
    session.handle(NOW, Answer::Authenticated(Ok(authenticated)).into());
    let interests = vec![OpenedInterest { cursor: Sequence::ZERO, reconcile: None, last: Sequence(pending), pending }];
    let opened = Opened { epoch: EPOCH, takes_returns: false, interests, page: None };
    let effects = session.handle(NOW, Answer::Opened(opened).into());
    (session, effects)
}

/// A live session on a phone.
fn on_phone() -> ClientSession {
    let start = ClientStart {
        server: ServerId([7; 16]),
        proof: greeting::proof(),
        ticket: Some(greeting::SECRET),
        epoch: Some(EPOCH),
        interests: vec![Interest { unit: commune(), cursor: Sequence::ZERO, digest: Digest::default() }],
        live: true,
        heard: None,
        resting: false,
        pace: Pace::default(),
        by_request: false,
        first: None,
    };
    let (mut session, _) = ClientSession::new(start);
    session.handle(ClientEvent::Connected);
    session.handle(ClientEvent::Frame(Frame::Welcome(greeting::welcome(EPOCH, NOW, 1))));
    session
}

/// What an older server does with a newer phone's push: the rules of any document's, since all that they ask for stands in
/// the id, in the scope beside it and in the change's envelope.
#[test]
fn a_push_of_a_kind_to_come_is_judged_like_any() {
    let answer = |role, item: Change<RawChunk>| {
        let (mut session, _) = at_server(role, 0);
        let push = Frame::Push(Push { number: 1, scope: commune(), items: vec![item], carried: None });
        let mut codes = Vec::new();
        let mut appended = Vec::new();
        for effect in session.handle(NOW, ServerEvent::Frame(carried(&push))) {
            if let ServerEffect::Commit(Commit::Append(Append { push: Appending { scope, .. }, items })) = effect {
                assert_eq!(scope, commune());
                appended.extend(items.into_iter().map(|item| item.doc));
            } else if let ServerEffect::Send(Frame::Nack(nack)) = effect {
                codes.push(nack.code);
            }
        }
        (codes, appended)
    };
    let own = further("2022/00001", DEVICE);
    for role in [AccessRole::Recorder, AccessRole::Officer] {
        assert_eq!(answer(role, own.clone()), (vec![], vec![own.doc]));
    }
    assert_eq!(answer(AccessRole::Viewer, own), (vec![NackCode::Forbidden], vec![]));
    let elsewhere = answer(AccessRole::Recorder, further("2022/00004", DEVICE));
    assert_eq!(elsewhere, (vec![NackCode::WrongDocument], vec![]), "its id was made for another commune");
    let foreign = answer(AccessRole::Recorder, further("2022/00001", DeviceId([2; 16])));
    assert_eq!(foreign, (vec![NackCode::ForeignActor], vec![]));
}

#[test]
fn a_page_with_a_kind_to_come_goes_out_and_is_committed_with_its_cursor() {
    let further = further("2022/00001", DEVICE);
    let (mut session, effects) = at_server(AccessRole::Recorder, 1);
    assert!(effects.iter().any(|effect| matches!(effect, ServerEffect::Query(Query::ReadPage(_)))), "{effects:?}");
    let entry = Entry {
        sequence: Sequence(1),
        scope: commune(),
        author: AuthorId([3; 8]),
        received_at: NOW,
        change: further.check().unwrap().into(),
    };
    let entries = vec![PageEntry { entry, returned_by: None }];
    let page = PageRead { unit: commune(), entries, through: Sequence(1), more: false };
    let sent = session
        .handle(NOW, Answer::Page(page).into())
        .into_iter()
        .find_map(|effect| if let ServerEffect::Send(frame @ Frame::Delta(_)) = effect { Some(frame) } else { None });
    let frame = carried(&sent.unwrap());
    let groups = vec![DeltaGroup { scope: commune(), items: vec![DeltaItem::Change(further)] }];
    let delta = Delta { unit: commune(), groups, next: Sequence(1), more: false };
    assert_eq!(frame, Frame::Delta(delta.clone()));
    let effects = on_phone().handle(ClientEvent::Frame(frame));
    assert!(effects.contains(&ClientEffect::Commit(client::Commit::Delta(delta))), "{effects:?}");
}

/// By its number alone: below 128 the phone stops and says so, from there on it comes again by itself.
#[test]
fn a_phone_takes_an_unknown_goodbye_for_what_its_number_says() {
    for number in [9, TEMPORARY_FROM - 1, TEMPORARY_FROM, u8::MAX] {
        let code = GoodbyeCode::Unknown(number);
        let goodbye = carried(&Frame::Goodbye(Goodbye { code, detail: "a reason to come".to_owned() }));
        let effects = on_phone().handle(ClientEvent::Frame(goodbye));
        let ends: Vec<&SessionEnd> = effects
            .iter()
            .filter_map(|effect| if let ClientEffect::End(end) = effect { Some(end) } else { None })
            .collect();
        match ends.as_slice() {
            [SessionEnd::RetryAfter { delay_ms }] => assert!(number >= TEMPORARY_FROM && *delay_ms > 0, "{number}"),
            [SessionEnd::Refused { code: told, detail }] => {
                assert_eq!((*told, detail.as_str()), (code, "a reason to come"));
                assert!(number < TEMPORARY_FROM, "{number}");
            }
            other => panic!("{number}: {other:?}"),
        }
    }
}

#[test]
fn a_server_takes_any_goodbye_for_the_end() {
    for code in [GoodbyeCode::Done, GoodbyeCode::Unknown(9), GoodbyeCode::Unknown(200)] {
        let (mut session, _) = at_server(AccessRole::Recorder, 0);
        let goodbye = carried(&Frame::Goodbye(Goodbye { code, detail: String::new() }));
        let effects = session.handle(NOW, ServerEvent::Frame(goodbye));
        assert!(matches!(effects.as_slice(), [ServerEffect::Close]), "{code:?}: {effects:?}");
    }
}
