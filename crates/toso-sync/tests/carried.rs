//! Pushes that another device carries: whose rights count, what is checked before the log sees anything, and how each
//! refusal is said. The signature itself is the driver's to check; here its answer is given.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics on what must not happen")]

use toso_catalog::Catalog;
use toso_core::change::{Change, Entry};
use toso_core::chunk::RawChunk;
use toso_core::document::{Author, Document};
use toso_core::edit::{CommuneEdit, DocEdit, TeamEdit};
use toso_core::id::{Actor, AuthorId, DeviceId, Digest, DocId, Epoch, Sequence, ServerId};
use toso_core::text::Date;
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};
use toso_sync::client;
use toso_sync::server::{Answer, Append, Appending, Commit, Committed, Hold, JudgeReturned, Query, VerifyCarried};
use toso_sync::{
    AccessRole, AppendOutcome, Authenticated, CarriedRefusal, ClientEffect, ClientEvent, ClientSession, ClientStart,
    HoldReason, Opened, OpenedInterest, OutboxBatch, OutboxItem, Pace, PageEntry, PageRead, Principal, ReturnVerdict,
    ServerEffect, ServerEvent, ServerSession, Standing,
};
use toso_wire::limits::PUSH_WINDOW;
use toso_wire::{Carried, Frame, Hello, Interest, NackCode, Push, signed_carried};

#[path = "support/greeting.rs"]
mod greeting;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);
const CARRIER: DeviceId = DeviceId([1; 16]);
const AUTHOR: DeviceId = DeviceId([2; 16]);

fn unit(text: &str) -> UnitRef {
    text.parse().unwrap()
}

fn commune() -> Scope {
    unit("2022/00001")
}

fn principal(device: DeviceId, role: AccessRole, unit: UnitRef) -> Principal {
    Principal { device, role, unit }
}

/// A live session of the carrier.
fn session(role: AccessRole) -> ServerSession {
    session_of(role, false)
}

fn session_of(role: AccessRole, takes_returns: bool) -> ServerSession {
    let mut session = ServerSession::new(Catalog::shared());
    let interest = Interest { unit: commune(), cursor: Sequence::ZERO, digest: Digest::default() };
    let hello = Hello {
        protocol: 1,
        proof: greeting::proof(),
        epoch: None,
        interests: vec![interest],
        live: true,
        push: None,
        heard: None,
        page_bytes: None,
        receipt: None,
    };
    session.handle(NOW, ServerEvent::Frame(Frame::Hello(hello)));
    let authenticated = Authenticated {
        principal: principal(CARRIER, role, commune()),
        greeting: greeting::greeting(Epoch(1), NOW),
        standing: Standing::default(),
    };
    session.handle(NOW, Answer::Authenticated(Ok(authenticated)).into());
    let interests = vec![OpenedInterest { cursor: Sequence::ZERO, reconcile: None, last: Sequence::ZERO, pending: 0 }];
    session.handle(NOW, Answer::Opened(Opened { epoch: Epoch(1), takes_returns, interests, page: None }).into());
    session
}

fn item(author: DeviceId, doc: DocId, edit: DocEdit) -> Change<RawChunk> {
    let author = Author { actor: Actor::new(author, [2; 8]), at: NOW };
    Change { doc, chunk: Document::new(doc).unwrap().edit(author, &[edit]).unwrap().unwrap().raw() }
}

fn team(author: DeviceId, hamlet: &str) -> Change<RawChunk> {
    let doc = DocId::hamlet_team(commune(), hamlet, 0);
    item(author, doc, DocEdit::Team(TeamEdit::HouseholdsCovered(Some(9))))
}

fn push(number: u64, items: Vec<Change<RawChunk>>) -> Frame {
    let carried = Some(Carried { author: AUTHOR.author(), signature: vec![7; 64] });
    Frame::Push(Push { number, scope: commune(), items, carried })
}

/// The refusals among effects, and what goes to the log.
#[allow(clippy::type_complexity, reason = "two lists, read at once")]
fn outcome(effects: &[ServerEffect]) -> (Vec<(Option<u32>, NackCode)>, Vec<(AuthorId, usize)>) {
    let nacks = effects.iter().filter_map(|effect| {
        if let ServerEffect::Send(Frame::Nack(nack)) = effect { Some((nack.item, nack.code)) } else { None }
    });
    let appends = effects.iter().filter_map(|effect| {
        if let ServerEffect::Commit(Commit::Append(Append { push: Appending { author, .. }, items })) = effect {
            Some((*author, items.len()))
        } else {
            None
        }
    });
    (nacks.collect(), appends.collect())
}

fn verified(session: &mut ServerSession, author: Result<Principal, CarriedRefusal>) -> Vec<ServerEffect> {
    session.handle(NOW, Answer::CarriedVerified { number: 1, author }.into())
}

#[test]
fn a_carried_push_is_verified_first_and_stands_in_the_log_as_its_authors() {
    let mut session = session(AccessRole::Recorder);
    let items = vec![team(AUTHOR, "thôn 1"), team(AUTHOR, "thôn 2")];
    let changes: Vec<_> = items.iter().map(|item| (item.doc, item.check().unwrap().hash())).collect();
    let effects = session.handle(NOW, ServerEvent::Frame(push(1, items)));
    assert_eq!(outcome(&effects), (vec![], vec![]), "nothing goes to the log before the signature is checked");
    assert!(!session.is_quiescent());
    let Some(ServerEffect::Query(Query::VerifyCarried(VerifyCarried { number: 1, author, signed, signature }))) =
        effects.first()
    else {
        panic!("{effects:?}");
    };
    assert_eq!((*author, signature.as_slice()), (AUTHOR.author(), [7; 64].as_slice()));
    assert_eq!(*signed, signed_carried(commune(), AUTHOR.author(), changes));
    let effects = verified(&mut session, Ok(principal(AUTHOR, AccessRole::Recorder, commune())));
    assert_eq!(outcome(&effects), (vec![], vec![(AUTHOR.author(), 2)]));
    assert_eq!(
        outcome(&verified(&mut session, Ok(principal(AUTHOR, AccessRole::Recorder, commune())))),
        (vec![], vec![])
    );
}

#[test]
fn every_refusal_of_an_author_is_told_and_appends_nothing() {
    for (answer, code) in [
        (Err(CarriedRefusal::UnknownAuthor), NackCode::Forbidden),
        (Err(CarriedRefusal::RevokedAuthor), NackCode::Forbidden),
        (Err(CarriedRefusal::BadSignature), NackCode::Forbidden),
        (Ok(principal(AUTHOR, AccessRole::Viewer, commune())), NackCode::OutOfScope),
        (Ok(principal(AUTHOR, AccessRole::Recorder, unit("2022/00004"))), NackCode::OutOfScope),
    ] {
        let mut session = session(AccessRole::Recorder);
        session.handle(NOW, ServerEvent::Frame(push(1, vec![team(AUTHOR, "thôn 1")])));
        let effects = verified(&mut session, answer);
        assert_eq!(outcome(&effects), (vec![(None, code)], vec![]), "{answer:?}");
        assert!(session.is_quiescent() || !effects.is_empty());
    }
}

#[test]
fn a_carrier_without_rights_and_what_is_no_change_are_refused_unverified() {
    for (role, frame) in [
        (AccessRole::Viewer, push(1, vec![team(AUTHOR, "thôn 1")])),
        (AccessRole::Recorder, push(1, vec![Change { chunk: vec![0; 9].into(), ..team(AUTHOR, "thôn 1") }])),
    ] {
        let effects = session(role).handle(NOW, ServerEvent::Frame(frame));
        let (nacks, appends) = outcome(&effects);
        assert_eq!((nacks.len(), appends.len()), (1, 0));
        assert!(!effects.iter().any(|effect| matches!(effect, ServerEffect::Query(Query::VerifyCarried(_)))));
    }
}

/// The carrier is an officer, the author is none: carrying gives nobody more rights than they have.
#[test]
fn actor_and_role_are_the_authors_and_not_the_carriers() {
    let signed_off = DocEdit::Commune(CommuneEdit::SignedOffOn(Some(Date::parse("7/9/2022").unwrap())));
    let items =
        vec![team(CARRIER, "thôn 1"), item(AUTHOR, DocId::commune(commune()), signed_off), team(AUTHOR, "thôn 2")];
    for (role, nacks, appended) in [
        (AccessRole::Recorder, vec![(Some(0), NackCode::ForeignActor), (Some(1), NackCode::Forbidden)], 1),
        (AccessRole::Officer, vec![(Some(0), NackCode::ForeignActor)], 2),
    ] {
        let mut session = session(AccessRole::Officer);
        session.handle(NOW, ServerEvent::Frame(push(1, items.clone())));
        let effects = verified(&mut session, Ok(principal(AUTHOR, role, commune())));
        assert_eq!(outcome(&effects), (nacks, vec![(AUTHOR.author(), appended)]));
    }
}

#[test]
fn pushes_being_verified_count_against_the_window() {
    let mut session = session(AccessRole::Recorder);
    let number = |number: usize| u64::try_from(number).unwrap();
    for index in 1..=PUSH_WINDOW {
        let effects = session.handle(NOW, ServerEvent::Frame(push(number(index), vec![team(AUTHOR, "thôn 1")])));
        assert!(matches!(effects.first(), Some(ServerEffect::Query(Query::VerifyCarried(_)))));
    }
    let effects = session.handle(NOW, ServerEvent::Frame(push(number(PUSH_WINDOW + 1), vec![team(AUTHOR, "thôn 1")])));
    assert!(effects.iter().any(|effect| matches!(effect, ServerEffect::Send(Frame::Goodbye(_)))), "{effects:?}");
}

/// A carrier that has forgotten since what it carried must be able to get it back, so it is sent like anyone's.
#[test]
fn what_was_carried_comes_back_to_the_carrier() {
    let mut session = session(AccessRole::Recorder);
    let item = team(AUTHOR, "thôn 1");
    session.handle(NOW, ServerEvent::Frame(push(1, vec![item.clone()])));
    verified(&mut session, Ok(principal(AUTHOR, AccessRole::Recorder, commune())));
    let (first_new, through, before) = (Some(Sequence(1)), Sequence(1), Some(Sequence::ZERO));
    let outcome = AppendOutcome { first_new, new: 1, through, refused: Vec::new(), postponed: None, before };
    let effects = session.handle(NOW, Committed::Appended { number: 1, outcome: Ok(outcome) }.into());
    assert!(
        effects.iter().any(|effect| matches!(effect, ServerEffect::Send(Frame::Ack(ack)) if !ack.settled)),
        "{effects:?}"
    );
    let entry = Entry {
        sequence: Sequence(1),
        scope: commune(),
        author: AUTHOR.author(),
        received_at: NOW,
        change: item.check().unwrap().into(),
    };
    let entries = vec![PageEntry { entry, returned_by: None }];
    let page = PageRead { unit: commune(), entries, through: Sequence(1), more: false };
    let effects = session.handle(NOW, Answer::Page(page).into());
    let delta = effects
        .iter()
        .find_map(|effect| if let ServerEffect::Send(Frame::Delta(delta)) = effect { Some(delta) } else { None });
    assert_eq!(delta.unwrap().groups[0].items.len(), 1);
}

/// The phone's side: a carried batch goes out as its author signed it, and its items leave the reading position alone.
#[test]
fn a_phone_pushes_what_it_carries_after_its_own_and_goes_on_with_its_own() {
    let start = ClientStart {
        resting: false,
        server: ServerId([1; 16]),
        proof: greeting::proof(),
        ticket: Some(greeting::SECRET),
        epoch: None,
        interests: Vec::new(),
        live: true,
        heard: None,
        pace: Pace::default(),
        by_request: false,
        first: None,
    };
    let (mut session, _) = ClientSession::new(start);
    let batch = |number, author| {
        let change = team(author, "thôn 1").check().unwrap();
        OutboxBatch { scope: commune(), items: vec![OutboxItem { number, change }] }
    };
    let pushed = |effects: &[ClientEffect]| {
        effects.iter().find_map(|effect| {
            if let ClientEffect::Send(Frame::Push(push)) = effect {
                Some((push.number, push.carried.clone()))
            } else {
                None
            }
        })
    };
    session.handle(ClientEvent::Connected);
    let welcome = greeting::welcome(Epoch(1), NOW, 0);
    session.handle(ClientEvent::Frame(Frame::Welcome(welcome)));
    let effects = session.handle(client::Answer::Outbox(client::NextPush::Own(batch(5, CARRIER))).into());
    assert_eq!(pushed(&effects), Some((1, None)));
    let carried = Carried { author: AUTHOR.author(), signature: vec![7; 64] };
    let effects =
        session.handle(client::Answer::Outbox(client::NextPush::Carried(batch(0, AUTHOR), carried.clone())).into());
    assert_eq!(pushed(&effects), Some((2, Some(carried))));
    let goes_on = effects.iter().any(|effect| {
        matches!(effect, ClientEffect::Query(client::Query::ReadOutbox(client::ReadOutbox { after: 5, .. })))
    });
    assert!(goes_on, "{effects:?}");
}

/// The story: after a restore any device could push in an officer's name, for ever, and the audit trail named the officer.
/// Now each push that is returned is judged, and what a recorder's word is not enough for waits for an officer.
#[test]
fn what_is_returned_is_judged_first_and_goes_to_the_log_or_to_an_officer_and_never_to_the_bin() {
    let signs_off = || {
        let edit = CommuneEdit::SignedOffOn(Some(Date::parse("7/9/2022").unwrap()));
        item(AUTHOR, DocId::commune(commune()), DocEdit::Commune(edit))
    };
    for (what, items, verdict, taken) in [
        ("a recorder's", vec![team(AUTHOR, "thôn 1")], ReturnVerdict::Take, true),
        ("an officer's, or too late", vec![team(AUTHOR, "thôn 1")], ReturnVerdict::Hold, false),
        ("more than a recorder writes", vec![team(AUTHOR, "thôn 1"), signs_off()], ReturnVerdict::Take, false),
        ("an officer's word", vec![signs_off()], ReturnVerdict::Hold, false),
    ] {
        let (count, mut session) = (items.len(), session_of(AccessRole::Recorder, true));
        let carried = Some(Carried { author: AUTHOR.author(), signature: Vec::new() });
        let effects =
            session.handle(NOW, ServerEvent::Frame(Frame::Push(Push { number: 1, scope: commune(), items, carried })));
        let asked = |effect: &ServerEffect| matches!(effect, ServerEffect::Query(Query::JudgeReturned(JudgeReturned { author, .. })) if *author == AUTHOR.author());
        assert!(effects.iter().any(asked) && outcome(&effects) == (vec![], vec![]), "{what}: {effects:?}");
        assert!(!session.is_quiescent());
        let effects = session.handle(NOW, Answer::ReturnedJudged { number: 1, verdict }.into());
        let appended = if taken { vec![(AUTHOR.author(), count)] } else { vec![] };
        assert_eq!(outcome(&effects), (vec![], appended), "{what}");
        let held = effects.iter().any(|effect| {
            matches!(effect, ServerEffect::Commit(Commit::Hold(Hold { author, items, reason: HoldReason::Returned { by }, .. }))
                if (*author, *by, items.len()) == (AUTHOR.author(), CARRIER.author(), count))
        });
        assert_eq!(held, !taken, "{what}: {effects:?}");
    }
}
