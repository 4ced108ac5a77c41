//! Sessions of devices that were moved or shut out: what the server says in which order, what it holds, and when a phone
//! leaves.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics on what must not happen")]

use toso_catalog::Catalog;
use toso_core::change::Change;
use toso_core::chunk::Chunk;
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, ChangeHash, DeviceId, Digest, DocId, Epoch, Sequence, ServerId};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};
use toso_sync::client;
use toso_sync::server::{Answer, Append, Appending, Commit, Committed, Hold, KeepTold, Open, Query, ReadDecisions};
use toso_sync::{
    AccessRole, Authenticated, ClientEffect, ClientEvent, ClientSession, ClientStart, HoldFate, HoldOutcome,
    HoldReason, Opened, OutboxBatch, OutboxItem, Pace, Principal, ServerEffect, ServerEvent, ServerSession, SessionEnd,
    Standing,
};
use toso_wire::limits::DECISIONS_MAX;
use toso_wire::{Carried, Decision, Frame, GoodbyeCode, Hello, Interest, Moved, Nack, NackCode, Purge, Push, Reviewed};

#[path = "support/greeting.rs"]
mod greeting;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);
const DEVICE: DeviceId = DeviceId([1; 16]);

fn unit(text: &str) -> UnitRef {
    text.parse().unwrap()
}

fn hello(unit: UnitRef) -> Hello {
    Hello {
        protocol: 1,
        proof: greeting::proof(),
        epoch: None,
        interests: vec![Interest { unit, cursor: Sequence::ZERO, digest: Digest::default() }],
        live: true,
        push: None,
        heard: None,
        page_bytes: None,
        receipt: None,
    }
}

/// A session of a device of `now` that was in `former`, up to what it is told after a HELLO for `asked`.
fn greeted(now: &str, former: &[&str], revoked: bool, asked: &str) -> (ServerSession, Vec<ServerEffect>) {
    greeted_by(hello(unit(asked)), now, former, revoked)
}

fn greeted_by(hello: Hello, now: &str, former: &[&str], revoked: bool) -> (ServerSession, Vec<ServerEffect>) {
    let mut session = ServerSession::new(Catalog::shared());
    let asked = hello.interests[0].unit;
    session.handle(NOW, ServerEvent::Frame(Frame::Hello(hello)));
    let principal = Principal { device: DEVICE, role: AccessRole::Recorder, unit: unit(now) };
    let former = former.iter().map(|former| unit(former)).collect();
    let standing = Standing { former, token: vec![7; 4], revoked, reminded: false };
    let effects = session.handle(
        NOW,
        Answer::Authenticated(Ok(Authenticated { principal, greeting: greeting::greeting(Epoch(1), NOW), standing }))
            .into(),
    );
    if let Some(ServerEffect::Query(Query::Open(Open { interests, .. }))) = effects.first() {
        assert!(interests.is_empty() || interests[0].unit == asked);
        if interests.is_empty() {
            let opened = session.handle(
                NOW,
                Answer::Opened(Opened { epoch: Epoch(1), interests: Vec::new(), takes_returns: false, page: None })
                    .into(),
            );
            return (session, opened);
        }
    }
    (session, effects)
}

fn frames(effects: &[ServerEffect]) -> Vec<&Frame> {
    let sent =
        effects.iter().filter_map(|effect| if let ServerEffect::Send(frame) = effect { Some(frame) } else { None });
    sent.collect()
}

fn change(scope: Scope) -> (DocId, Vec<u8>) {
    change_of(DEVICE, scope)
}

fn change_of(device: DeviceId, scope: Scope) -> (DocId, Vec<u8>) {
    let doc = DocId::hamlet_team(scope, "thôn 1", 0);
    let author = Author { actor: Actor::new(device, [2; 8]), at: NOW };
    let edit = DocEdit::Team(TeamEdit::HouseholdsCovered(Some(9)));
    (doc, Document::new(doc).unwrap().edit(author, &[edit]).unwrap().unwrap().bytes().to_vec())
}

fn push(number: u64, scope: &str) -> Frame {
    let (doc, change) = change(unit(scope));
    Frame::Push(Push { number, scope: unit(scope), items: vec![Change { doc, chunk: change.into() }], carried: None })
}

#[test]
fn a_moved_device_is_told_where_it_belongs_then_what_to_forget_and_gets_no_pages() {
    let (_, effects) = greeted("2022/00004", &["2022/00001"], false, "2022/00001");
    let frames = frames(&effects);
    assert!(matches!(frames[0], Frame::Welcome(welcome) if welcome.pending == 0));
    let moved = Moved { unit: unit("2022/00004"), role: "recorder".to_owned(), token: vec![7; 4] };
    assert_eq!(frames[1], &Frame::Moved(moved));
    assert_eq!(frames[2], &Frame::Purge(Purge { scopes: vec![unit("2022/00001")], docs: Vec::new() }));
    assert_eq!(frames.len(), 3);
    let reads =
        |effect: &ServerEffect| matches!(effect, ServerEffect::Query(Query::ReadPage(_) | Query::ReadTotals(_)));
    assert!(!effects.iter().any(reads), "{effects:?}");
}

#[test]
fn a_device_moved_into_a_unit_that_contains_its_own_is_told_and_forgets_nothing() {
    let (_, effects) = greeted("2025/00004", &["2022/00004"], false, "2022/00004");
    let frames = frames(&effects);
    assert!(matches!(frames[1], Frame::Moved(moved) if moved.unit == unit("2025/00004")));
    assert_eq!(frames[2], &Frame::Purge(Purge { scopes: Vec::new(), docs: Vec::new() }));
}

#[test]
fn a_unit_that_was_never_its_own_stays_refused_and_the_present_one_is_served() {
    let (_, effects) = greeted("2022/00004", &["2022/00001"], false, "2022/00006");
    assert!(matches!(frames(&effects)[0], Frame::Goodbye(goodbye) if goodbye.code == GoodbyeCode::OutOfScope));
    let (session, effects) = greeted("2022/00004", &["2022/00001"], false, "2022/00004");
    assert!(
        frames(&effects).is_empty() && !session.device().is_some_and(toso_sync::KnownDevice::is_leaving),
        "an ordinary session: {effects:?}"
    );
}

#[test]
fn a_former_units_push_is_held_a_present_ones_goes_on_and_a_strangers_is_refused() {
    let (mut session, _) = greeted("2022/00004", &["2022/00001"], false, "2022/00001");
    let effects = session.handle(NOW, ServerEvent::Frame(push(1, "2022/00001")));
    let [ServerEffect::Commit(Commit::Hold(Hold { number: 1, reason: HoldReason::Moved, items, .. }))] =
        effects.as_slice()
    else {
        panic!("a former unit's push is held: {effects:?}")
    };
    assert_eq!(items.len(), 1);
    assert!(!session.is_quiescent());
    let outcome = HoldOutcome { fates: vec![HoldFate::Held], ..HoldOutcome::default() };
    let effects = session.handle(NOW, Committed::Held { number: 1, outcome: Ok(outcome) }.into());
    assert!(
        matches!(frames(&effects)[0], Frame::Nack(nack) if nack.code == NackCode::Held && nack.detail.contains("Phường Phúc Xá"))
    );
    assert!(session.is_quiescent());
    let effects = session.handle(NOW, ServerEvent::Frame(push(2, "2022/00004")));
    assert!(
        matches!(
            effects.as_slice(),
            [ServerEffect::Commit(Commit::Append(Append { push: Appending { number: 2, .. }, .. }))]
        ),
        "{effects:?}"
    );
    let effects = session.handle(NOW, ServerEvent::Frame(push(3, "2022/00006")));
    assert!(matches!(frames(&effects)[0], Frame::Nack(nack) if nack.code == NackCode::OutOfScope));
}

#[test]
fn what_the_register_has_already_is_acknowledged_and_a_full_queue_leaves_it_on_the_phone() {
    let (mut session, _) = greeted("2022/00004", &["2022/00001"], false, "2022/00001");
    for (number, fate) in [(1, HoldFate::Registered), (2, HoldFate::Full)] {
        session.handle(NOW, ServerEvent::Frame(push(number, "2022/00001")));
        let outcome = HoldOutcome { fates: vec![fate], through: Sequence(5), ..HoldOutcome::default() };
        let effects = session.handle(NOW, Committed::Held { number, outcome: Ok(outcome) }.into());
        let [answer] = frames(&effects)[..] else { panic!("one answer: {effects:?}") };
        match fate {
            HoldFate::Registered => assert!(matches!(answer, Frame::Ack(ack) if ack.through == Sequence(5))),
            HoldFate::Held | HoldFate::Full => assert!(
                matches!(answer, Frame::Nack(nack) if nack.code == NackCode::Unavailable && nack.item == Some(0))
            ),
        }
    }
}

#[test]
fn a_revoked_device_hands_over_and_is_shut_out() {
    let (mut session, effects) = greeted("2022/00001", &[], true, "2022/00001");
    let told = frames(&effects);
    assert_eq!(told[1], &Frame::Purge(Purge { scopes: vec![unit("2022/00001")], docs: Vec::new() }));
    assert_eq!(told.len(), 2, "no MOVED");
    let effects = session.handle(NOW, ServerEvent::Frame(push(1, "2022/00001")));
    assert!(
        matches!(effects.as_slice(), [ServerEffect::Commit(Commit::Hold(Hold { reason: HoldReason::Revoked, .. }))]),
        "{effects:?}"
    );
    let done = toso_wire::Goodbye { code: GoodbyeCode::Done, detail: String::new() };
    let effects = session.handle(NOW, ServerEvent::Frame(Frame::Goodbye(done)));
    assert!(matches!(frames(&effects)[0], Frame::Goodbye(goodbye) if goodbye.code == GoodbyeCode::Revoked));
}

/// A phone that has been greeted, with one entry in its outbox.
fn phone() -> (ClientSession, OutboxItem) {
    let (doc, change) = change(unit("2022/00001"));
    let item = OutboxItem { number: 1, change: Change { doc, chunk: Chunk::trusted(change, ChangeHash([3; 32])) } };
    let start = ClientStart {
        resting: false,
        server: ServerId([1; 16]),
        proof: greeting::proof(),
        ticket: Some(greeting::SECRET),
        epoch: None,
        interests: hello(unit("2022/00001")).interests,
        live: true,
        heard: None,
        pace: Pace::default(),
        by_request: false,
        first: Some(OutboxBatch { scope: unit("2022/00001"), items: vec![item.clone()] }),
    };
    let (mut session, _) = ClientSession::new(start);
    session.handle(ClientEvent::Connected);
    let welcome = greeting::welcome(Epoch(1), NOW, 0);
    session.handle(ClientEvent::Frame(Frame::Welcome(welcome)));
    (session, item)
}

fn held(code: NackCode) -> ClientEvent {
    ClientEvent::Frame(Frame::Nack(Nack { number: 1, item: Some(0), code, detail: String::new(), retry_after_s: None }))
}

#[test]
fn a_moved_phone_leaves_only_when_it_has_handed_over() {
    let (mut session, item) = phone();
    let moved = Moved { unit: unit("2022/00004"), role: "recorder".to_owned(), token: vec![7] };
    let effects = session.handle(ClientEvent::Frame(Frame::Moved(moved.clone())));
    assert_eq!(effects, [ClientEffect::Commit(client::Commit::Move(moved))]);
    let purge = Purge { scopes: vec![unit("2022/00001")], docs: Vec::new() };
    assert_eq!(
        session.handle(ClientEvent::Frame(Frame::Purge(purge.clone()))),
        [ClientEffect::Commit(client::Commit::Purge(purge))]
    );
    assert_eq!(
        session.handle(client::Answer::Outbox(client::NextPush::Nothing).into()),
        [],
        "the push in HELLO is not answered yet"
    );
    let effects = session.handle(held(NackCode::Held));
    let [
        ClientEffect::Commit(client::Commit::Refused { refused }),
        ClientEffect::Send(Frame::Goodbye(_)),
        ClientEffect::End(end),
    ] = effects.as_slice()
    else {
        panic!("held, then gone: {effects:?}")
    };
    assert_eq!((refused[0].0.number, end), (item.number, &SessionEnd::Moved));
}

#[test]
fn an_item_that_cannot_be_taken_now_stays_in_the_outbox_and_does_not_stop_the_others() {
    let (mut session, _) = phone();
    session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    let effects = session.handle(held(NackCode::Unavailable));
    let commits = |effect: &ClientEffect| {
        matches!(
            effect,
            ClientEffect::Commit(client::Commit::Refused { .. } | client::Commit::Ack { .. }) | ClientEffect::End(_)
        )
    };
    assert!(!effects.iter().any(commits), "it is neither taken out nor the end: {effects:?}");
    let (mut session, _) = phone();
    let (code, detail) = (NackCode::Unavailable, String::new());
    let whole = Nack { number: 1, item: None, code, detail, retry_after_s: None };
    let effects = session.handle(ClientEvent::Frame(Frame::Nack(whole)));
    assert!(matches!(effects.last(), Some(ClientEffect::End(SessionEnd::RetryAfter { .. }))), "{effects:?}");
}

#[test]
fn decisions_are_kept_before_they_are_confirmed() {
    let (mut session, _) = phone();
    let reviewed = Reviewed { number: 4, decisions: Vec::new() };
    let effects = session.handle(ClientEvent::Frame(Frame::Reviewed(reviewed.clone())));
    let confirmed = Frame::Reviewed(reviewed.clone());
    let kept = ClientEffect::Commit(client::Commit::KeepDecisions { reviewed, epoch: Epoch(1) });
    assert_eq!(effects, [kept, ClientEffect::Send(confirmed)]);
}

#[test]
fn decisions_are_read_after_what_the_device_says_it_has_heard() {
    let read = |effects: &[ServerEffect]| {
        effects.iter().find_map(|effect| {
            if let ServerEffect::Query(Query::ReadDecisions(ReadDecisions { after, .. })) = effect {
                Some(*after)
            } else {
                None
            }
        })
    };
    let said = |epoch, heard| {
        let hello = Hello { epoch, heard, ..hello(unit("2022/00001")) };
        read(&greeted_by(hello, "2022/00004", &["2022/00001"], false).1)
    };
    assert_eq!(said(Some(Epoch(1)), None), Some(None), "what it has confirmed counts");
    assert_eq!(said(Some(Epoch(1)), Some(3)), Some(Some(3)));
    assert_eq!(said(Some(Epoch(2)), Some(3)), Some(Some(0)), "another history's numbers mean nothing");
    let (mut session, _) = greeted("2022/00004", &["2022/00001"], false, "2022/00001");
    let confirmed = Frame::Reviewed(Reviewed { number: 5, decisions: Vec::new() });
    let effects = session.handle(NOW, ServerEvent::Frame(confirmed));
    assert!(
        matches!(effects.as_slice(), [ServerEffect::Commit(Commit::KeepTold(KeepTold { number: 5, .. }))]),
        "{effects:?}"
    );
    assert_eq!(read(&session.handle(NOW, ServerEvent::Decided)), Some(Some(5)));
}

/// The story: on a slow link, with an officer who decided one after the other, each confirmation called forth the decision that
/// was on its way already, and that another confirmation: hundreds of frames for a few dozen decisions.
#[test]
fn a_decision_is_told_once_however_late_the_ones_before_are_confirmed() {
    let (mut session, _) = greeted("2022/00004", &["2022/00001"], false, "2022/00001");
    let doc = change(unit("2022/00001")).0;
    let decision = Decision { doc, hash: ChangeHash([1; 32]), accepted: true, note: String::new() };
    let told = |session: &mut ServerSession, number| {
        let reviewed = Reviewed { number, decisions: vec![decision.clone()] };
        frames(&session.handle(NOW, Answer::Decisions(Some(reviewed)).into())).len()
    };
    let read_after = |session: &mut ServerSession| {
        let effects = session.handle(NOW, ServerEvent::Decided);
        let [ServerEffect::Query(Query::ReadDecisions(ReadDecisions { after, .. }))] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        *after
    };
    assert_eq!((told(&mut session, 4), told(&mut session, 5)), (1, 1));
    assert_eq!(told(&mut session, 5), 0, "read twice, told once");
    for confirmed in [4, 5, 4] {
        let frame = Frame::Reviewed(Reviewed { number: confirmed, decisions: Vec::new() });
        session.handle(NOW, ServerEvent::Frame(frame));
        assert_eq!(read_after(&mut session), Some(5), "{confirmed} is confirmed, 5 is on its way");
    }
    assert_eq!(told(&mut session, 6), 1, "what is new");
}

/// The story: an officer decided while a session was opening, its phone was told before WELCOME and took it for a breach.
#[test]
fn what_is_decided_while_a_session_opens_is_read_with_its_welcome() {
    let mut session = ServerSession::new(Catalog::shared());
    session.handle(NOW, ServerEvent::Frame(Frame::Hello(hello(unit("2022/00001")))));
    let principal = Principal { device: DEVICE, role: AccessRole::Recorder, unit: unit("2022/00004") };
    let standing = Standing { former: vec![unit("2022/00001")], ..Standing::default() };
    let known = Authenticated { principal, greeting: greeting::greeting(Epoch(1), NOW), standing };
    session.handle(NOW, Answer::Authenticated(Ok(known)).into());
    assert!(session.handle(NOW, ServerEvent::Decided).is_empty());
    let opened = Opened { epoch: Epoch(1), interests: Vec::new(), takes_returns: false, page: None };
    let effects = session.handle(NOW, Answer::Opened(opened).into());
    assert!(effects.iter().any(|effect| matches!(effect, ServerEffect::Query(Query::ReadDecisions(_)))), "{effects:?}");
}

#[test]
fn a_phone_that_is_shut_out_keeps_no_copies_and_one_that_moves_does() {
    for moved in [true, false] {
        let (mut session, _) = phone();
        if moved {
            let told = Moved { unit: unit("2022/00004"), role: "recorder".to_owned(), token: vec![1] };
            session.handle(ClientEvent::Frame(Frame::Moved(told)));
        }
        session.handle(ClientEvent::Frame(Frame::Purge(Purge { scopes: Vec::new(), docs: Vec::new() })));
        session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
        let effects = session.handle(held(NackCode::Held));
        assert_eq!(effects.contains(&ClientEffect::Commit(client::Commit::DropHeldCopies)), !moved, "{effects:?}");
    }
}

/// The story: a phone that left its unit was told a decision before it learned that the edit is held, then heard of later
/// decisions, and so never asked for the first one again. It waited for ever.
#[test]
fn what_was_decided_before_is_told_again_after_the_answer_that_it_is_held() {
    let told_again = |heard| {
        let hello = Hello { epoch: Some(Epoch(1)), heard, ..hello(unit("2022/00001")) };
        let (mut session, _) = greeted_by(hello, "2022/00004", &["2022/00001"], false);
        let Frame::Push(mut push) = push(1, "2022/00001") else { unreachable!() };
        push.items.push(push.items[0].clone());
        session.handle(NOW, ServerEvent::Frame(Frame::Push(push)));
        assert!(session.handle(NOW, ServerEvent::Decided).is_empty(), "not before the answer");
        let decision = Decision {
            doc: change(unit("2022/00001")).0,
            hash: ChangeHash([1; 32]),
            accepted: false,
            note: "thử".to_owned(),
        };
        let decided = vec![decision; DECISIONS_MAX + 1];
        let fates = vec![HoldFate::Held, HoldFate::Registered];
        let outcome = HoldOutcome { fates, decided, told: 9, ..HoldOutcome::default() };
        let effects = session.handle(NOW, Committed::Held { number: 1, outcome: Ok(outcome) }.into());
        assert!(
            matches!(effects.last(), Some(ServerEffect::Query(Query::ReadDecisions(_)))),
            "but after it: {effects:?}"
        );
        let told = frames(&effects).into_iter().map(|frame| {
            if let Frame::Reviewed(reviewed) = frame {
                return (reviewed.number, reviewed.decisions.len());
            }
            let held = matches!(frame, Frame::Nack(nack) if nack.code == NackCode::Held);
            assert!(held || matches!(frame, Frame::Ack(_)), "{frame:?}");
            (0, usize::from(!held))
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(told_again(None), [(0, 0), (0, 1), (9, DECISIONS_MAX), (9, 1)], "what it confirmed counts");
    assert_eq!(told_again(Some(4)), [(0, 0), (0, 1), (4, DECISIONS_MAX), (4, 1)], "what it says it kept counts");
}

/// A server that was restored has perhaps lost what a phone acknowledged long ago, or had from others. Before the phone
/// forgets a unit that it has to leave, all of it goes into the outbox.
#[test]
fn a_phone_that_leaves_a_restored_servers_unit_takes_all_along_before_it_forgets() {
    let own = unit("2022/00001");
    let (mut session, _) = ClientSession::new(ClientStart {
        resting: false,
        server: ServerId([1; 16]),
        proof: greeting::proof(),
        ticket: Some(greeting::SECRET),
        epoch: Some(Epoch(1)),
        interests: vec![Interest { unit: own, cursor: Sequence(5), digest: Digest::default() }],
        live: true,
        heard: None,
        pace: Pace::default(),
        by_request: false,
        first: None,
    });
    session.handle(ClientEvent::Connected);
    session.handle(ClientEvent::Frame(Frame::Welcome(greeting::welcome(Epoch(2), NOW, 0))));
    let moved = Moved { unit: unit("2022/00004"), role: "recorder".to_owned(), token: vec![1] };
    let purge = Purge { scopes: vec![own], docs: Vec::new() };
    let effects = session.handle(ClientEvent::Frame(Frame::Moved(moved.clone())));
    assert_eq!(effects, [ClientEffect::Query(client::Query::ReadElements(client::ReadElements { unit: own }))]);
    assert_eq!(session.handle(ClientEvent::Frame(Frame::Purge(purge.clone()))), [], "not before");
    session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    let (doc, _) = change(own);
    let here = vec![(doc, ChangeHash([1; 32]))];
    let effects = session.handle(client::Answer::Elements { unit: own, chunks: here.clone() }.into());
    let [
        ClientEffect::Commit(client::Commit::Reconciled { epoch, lacking, .. }),
        told,
        forget,
        ClientEffect::Query(client::Query::ReadOutbox(_)),
    ] = effects.as_slice()
    else {
        panic!("{effects:?}")
    };
    assert_eq!((epoch, lacking), (&Some(Epoch(2)), &here));
    assert_eq!(
        (told, forget),
        (&ClientEffect::Commit(client::Commit::Move(moved)), &ClientEffect::Commit(client::Commit::Purge(purge)))
    );
    let effects = session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    assert!(effects.contains(&ClientEffect::End(SessionEnd::Moved)), "{effects:?}");
}

/// What others made goes with it: over a server that has lost nothing only its author hands it over.
#[test]
fn what_others_made_is_held_when_it_is_returned_to_a_server_that_lost_it() {
    let author = DeviceId([2; 16]);
    for (takes_returns, signature, held) in [(true, 0, true), (false, 0, false), (true, 64, false)] {
        let mut session = ServerSession::new(Catalog::shared());
        session.handle(NOW, ServerEvent::Frame(Frame::Hello(hello(unit("2022/00001")))));
        let principal = Principal { device: author, role: AccessRole::Recorder, unit: unit("2022/00004") };
        let bringer = Principal { device: DeviceId([3; 16]), ..principal };
        let standing = Standing { former: vec![unit("2022/00001")], ..Standing::default() };
        let known = Authenticated { principal: bringer, greeting: greeting::greeting(Epoch(1), NOW), standing };
        session.handle(NOW, Answer::Authenticated(Ok(known)).into());
        let opened = Opened { epoch: Epoch(1), interests: Vec::new(), takes_returns, page: None };
        session.handle(NOW, Answer::Opened(opened).into());
        let (doc, change) = change_of(author, unit("2022/00001"));
        let carried = Some(Carried { author: author.author(), signature: vec![1; signature] });
        let items = vec![Change { doc, chunk: change.into() }];
        let push = Frame::Push(Push { number: 1, scope: unit("2022/00001"), items, carried });
        let effects = session.handle(NOW, ServerEvent::Frame(push));
        let by_author = |effect: &ServerEffect| matches!(effect, ServerEffect::Commit(Commit::Hold(Hold { author: of, .. })) if *of == author.author());
        assert_eq!(effects.iter().any(by_author), held, "{effects:?}");
        let refused = |frame: &&Frame| matches!(frame, Frame::Nack(nack) if nack.code == NackCode::OutOfScope);
        assert_eq!(frames(&effects).iter().any(refused), !held, "{effects:?}");
        // The decision is the author's to hear.
        let decision = Decision { doc, hash: ChangeHash([1; 32]), accepted: true, note: String::new() };
        let outcome = HoldOutcome { fates: vec![HoldFate::Held], decided: vec![decision], ..HoldOutcome::default() };
        let effects = session.handle(NOW, Committed::Held { number: 1, outcome: Ok(outcome) }.into());
        assert_eq!(frames(&effects).len(), usize::from(held), "{effects:?}");
    }
}
