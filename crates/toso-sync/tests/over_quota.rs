//! A device that has written its share of the day: what the server says, and what the phone does about it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics on what must not happen")]

use toso_catalog::Catalog;
use toso_core::change::Change;
use toso_core::chunk::RawChunk;
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, AuthorId, DeviceId, Digest, DocId, Epoch, Sequence, ServerId};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_sync::client;
use toso_sync::client::resting::{REST_MS_MAX, REST_MS_MIN};
use toso_sync::server::{Answer, Committed};
use toso_sync::{
    AccessRole, AppendOutcome, Authenticated, ClientEffect, ClientEvent, ClientSession, ClientStart, Opened,
    OpenedInterest, OutboxBatch, OutboxItem, Postponed, Principal, ServerEffect, ServerEvent, ServerSession,
    SessionEnd, Spent, Standing,
};
use toso_wire::{
    Ack, Carried, Frame, Goodbye, GoodbyeCode, Hello, Interest, Moved, Nack, NackCode, Proof, Purge, Push,
};

#[path = "support/greeting.rs"]
mod greeting;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);
const DEVICE: DeviceId = DeviceId([1; 16]);

fn commune() -> UnitRef {
    "2022/00001".parse().unwrap()
}

fn interest() -> Interest {
    Interest { unit: commune(), cursor: Sequence::ZERO, digest: Digest::default() }
}

fn proof() -> Proof {
    greeting::proof()
}

fn item(device: DeviceId, number: u8) -> Change<RawChunk> {
    let doc = DocId::hamlet_team(commune(), "thôn 1", 0);
    let author = Author { actor: Actor::new(device, [number; 8]), at: NOW };
    let edit = DocEdit::Team(TeamEdit::HouseholdsCovered(Some(9)));
    Change { doc, chunk: Document::first_save(doc, author, &[edit]).unwrap().unwrap().raw() }
}

fn greeted_server() -> ServerSession {
    let mut session = ServerSession::new(Catalog::shared());
    let hello = Hello {
        protocol: 1,
        proof: proof(),
        epoch: None,
        interests: vec![interest()],
        live: true,
        push: None,
        heard: None,
        page_bytes: None,
        receipt: None,
    };
    session.handle(NOW, ServerEvent::Frame(Frame::Hello(hello)));
    let principal = Principal { device: DEVICE, role: AccessRole::Recorder, unit: commune() };
    let authenticated =
        Authenticated { principal, greeting: greeting::greeting(Epoch(1), NOW), standing: Standing::default() };
    session.handle(NOW, Answer::Authenticated(Ok(authenticated)).into());
    let interests = vec![OpenedInterest { cursor: Sequence::ZERO, reconcile: None, last: Sequence::ZERO, pending: 0 }];
    session.handle(NOW, Answer::Opened(Opened { epoch: Epoch(1), takes_returns: false, interests, page: None }).into());
    session
}

/// What the server answers to a push of which the log has taken some.
fn answer(session: &mut ServerSession, number: u64, taken: usize, postponed: Option<Postponed>) -> Vec<Frame> {
    // The second is another device's: refused by the session, so that places in the push and in the append differ.
    let items = vec![item(DEVICE, 1), item(DeviceId([9; 16]), 1), item(DEVICE, 2), item(DEVICE, 3)];
    session.handle(NOW, ServerEvent::Frame(Frame::Push(Push { number, scope: commune(), items, carried: None })));
    let outcome = AppendOutcome {
        first_new: (taken > 0).then_some(Sequence(4)),
        new: taken as u64,
        through: Sequence(3 + taken as u64),
        refused: Vec::new(),
        postponed,
        before: None,
    };
    let effects = session.handle(NOW, Committed::Appended { number, outcome: Ok(outcome) }.into());
    let frames = effects
        .into_iter()
        .filter_map(|effect| if let ServerEffect::Send(frame) = effect { Some(frame) } else { None });
    frames.filter(|frame| !matches!(frame, Frame::Delta(_) | Frame::Receipt(_))).collect()
}

/// One word for all that waits: 256 of them would take longer than the push.
#[test]
fn the_first_item_that_waits_is_named_and_stands_for_all_after_it() {
    let mut session = greeted_server();
    let some = answer(&mut session, 1, 1, Some(Postponed { from: 1, wait_ms: 10_799_001, spent: Spent::Unit }));
    let [Frame::Nack(nack), Frame::Ack(ack)] = some.as_slice() else { panic!("{some:?}") };
    assert_eq!((nack.item, nack.code, nack.retry_after_s), (Some(2), NackCode::OverQuota, Some(10_800)));
    assert!(nack.detail.contains("180 minutes") && nack.detail.contains("the unit's share"), "{}", nack.detail);
    assert_eq!((ack.number, ack.through), (1, Sequence(4)));
    let none = answer(&mut session, 2, 0, Some(Postponed { from: 0, wait_ms: 1, spent: Spent::Device }));
    let [Frame::Nack(nack)] = none.as_slice() else { panic!("no acknowledgement when nothing was taken: {none:?}") };
    assert_eq!((nack.item, nack.code, nack.retry_after_s), (Some(0), NackCode::OverQuota, Some(1)));
    assert!(nack.detail.contains("the device has written its share"), "{}", nack.detail);
}

#[test]
fn who_goes_on_asking_is_sent_away() {
    let mut session = greeted_server();
    let ended = (1..=1_000).find(|number| {
        let frames =
            answer(&mut session, *number, 0, Some(Postponed { from: 0, wait_ms: 1_000, spent: Spent::Device }));
        matches!(frames.last(), Some(Frame::Goodbye(Goodbye { code: GoodbyeCode::Overload, .. })))
    });
    assert_eq!(ended, Some(265), "a phone offers all that it carries, and no more");
}

fn outbox(numbers: std::ops::RangeInclusive<u64>) -> OutboxBatch {
    let items = numbers.map(|number| {
        let change = item(DEVICE, u8::try_from(number).unwrap()).check().unwrap();
        OutboxItem { number, change }
    });
    OutboxBatch { scope: commune(), items: items.collect() }
}

fn phone(resting: bool) -> ClientSession {
    let start = ClientStart {
        server: ServerId([1; 16]),
        ticket: Some(greeting::SECRET),
        proof: proof(),
        epoch: None,
        interests: vec![interest()],
        live: true,
        heard: None,
        pace: toso_sync::Pace::default(),
        by_request: false,
        first: (!resting).then(|| outbox(1..=3)),
        resting,
    };
    let (mut session, _) = ClientSession::new(start);
    session.handle(ClientEvent::Connected);
    let welcome = greeting::welcome(Epoch(1), NOW, 0);
    session.handle(ClientEvent::Frame(Frame::Welcome(welcome)));
    session
}

/// What a server says.
const UNITS_SHARE: &str = "the unit's share is used up";

fn over_quota(number: u64, item: u32, retry_after_s: u32) -> ClientEvent {
    let nack = Nack {
        number,
        item: Some(item),
        code: NackCode::OverQuota,
        detail: UNITS_SHARE.to_owned(),
        retry_after_s: Some(retry_after_s),
    };
    ClientEvent::Frame(Frame::Nack(nack))
}

fn reads(effects: &[ClientEffect]) -> Vec<(u64, bool)> {
    let read = |effect: &ClientEffect| {
        if let ClientEffect::Query(client::Query::ReadOutbox(client::ReadOutbox { after, resting, .. })) = effect {
            Some((*after, *resting))
        } else {
            None
        }
    };
    effects.iter().filter_map(read).collect()
}

/// What is taken is acknowledged, what waits stays in the outbox, and the phone is up to date with everything else; a new
/// edit waits with the rest. Once the time is over, all of it is read from the beginning.
#[test]
fn a_phone_keeps_what_waits_and_asks_again_when_it_was_told_to() {
    let mut session = phone(false);
    session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    let effects = session.handle(over_quota(1, 1, 10_800));
    assert_eq!(
        effects,
        [ClientEffect::Commit(client::Commit::Rest { delay_ms: 10_800_000, why: UNITS_SHARE.to_owned() })]
    );
    let ack = Ack { number: 1, through: Sequence(7), settled: true };
    let effects = session.handle(ClientEvent::Frame(Frame::Ack(ack)));
    let [
        ClientEffect::Commit(client::Commit::Ack { accepted, .. }),
        _,
        ClientEffect::Tell(client::News::UpToDate { counted: false }),
    ] = effects.as_slice()
    else {
        panic!("the first is acknowledged, nothing is refused: {effects:?}")
    };
    assert_eq!(accepted.iter().map(|item| item.number).collect::<Vec<_>>(), [1]);
    assert_eq!(reads(&session.handle(ClientEvent::LocalEdit)), [(3, true)], "only for what it carries for others");
    let effects = session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    assert_eq!(
        effects,
        [ClientEffect::Tell(client::News::UpToDate { counted: false })],
        "told again, since more waits"
    );
    let effects = session.handle(ClientEvent::Rested);
    assert_eq!(effects[0], ClientEffect::Commit(client::Commit::Rest { delay_ms: 0, why: String::new() }));
    assert_eq!(reads(&effects), [(0, false)]);
    assert!(!session.is_up_to_date());
}

/// Pushes that were under way when the first was postponed are answered like it; the phone rests once.
#[test]
fn a_phone_rests_once_and_within_bounds() {
    for (said, rests) in [(0, REST_MS_MIN), (u32::MAX, REST_MS_MAX), (7_200, 7_200_000)] {
        let mut session = phone(false);
        session.handle(client::Answer::Outbox(client::NextPush::Own(outbox(4..=5))).into());
        session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
        assert_eq!(
            session.handle(over_quota(1, 0, said)),
            [ClientEffect::Commit(client::Commit::Rest { delay_ms: rests, why: UNITS_SHARE.to_owned() })]
        );
        assert_eq!(
            session.handle(over_quota(2, 0, said)),
            [ClientEffect::Tell(client::News::UpToDate { counted: false })]
        );
    }
    let mut session = phone(false);
    let effects = session.handle(over_quota(1, 3, 1));
    assert!(matches!(effects.as_slice(), [ClientEffect::End(SessionEnd::Protocol(_))]), "no such item: {effects:?}");
}

#[test]
fn a_phone_that_rests_from_before_pushes_nothing_of_its_own() {
    let mut session = phone(true);
    assert_eq!(
        session.handle(client::Answer::Outbox(client::NextPush::Nothing).into()),
        [ClientEffect::Tell(client::News::UpToDate { counted: false })]
    );
    assert_eq!(reads(&session.handle(ClientEvent::Rested)), [(0, false)]);
}

/// What it carries may be too much of its author's: the carrier's own changes go on.
#[test]
fn a_carrier_does_not_rest_for_what_it_carries() {
    let mut session = phone(true);
    session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    session.handle(ClientEvent::Rested);
    let carried = Carried { author: AuthorId([9; 8]), signature: vec![1; 64] };
    let mut parcel = outbox(1..=2);
    parcel.items.iter_mut().for_each(|item| item.number = 0);
    session.handle(client::Answer::Outbox(client::NextPush::Carried(parcel, carried)).into());
    session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    assert_eq!(
        session.handle(over_quota(1, 0, 10_800)),
        [ClientEffect::Tell(client::News::UpToDate { counted: false })]
    );
    assert_eq!(reads(&session.handle(ClientEvent::LocalEdit)), [(0, false)]);
}

/// What a device has of a unit that it leaves goes to officers for review, however much it has written.
#[test]
fn a_moved_phone_hands_over_what_waits() {
    let mut session = phone(true);
    session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    let moved = Moved { unit: "2022/00004".parse().unwrap(), role: "recorder".to_owned(), token: vec![7] };
    session.handle(ClientEvent::Frame(Frame::Moved(moved)));
    let purge = Purge { scopes: vec![commune()], docs: Vec::new() };
    let effects = session.handle(ClientEvent::Frame(Frame::Purge(purge)));
    assert!(!effects.iter().any(|effect| matches!(effect, ClientEffect::End(_))), "{effects:?}");
    assert!(!session.is_up_to_date());
}

/// The same kind: a role that only reads. The story: a server's "a viewer does not write" took changes out of the outbox for
/// good. They stay, nothing more is pushed in that session, and the phone is done with everything else.
#[test]
fn a_phone_whose_role_only_reads_keeps_what_waits_and_pushes_no_more() {
    let forbidden = |number, item| {
        let (code, detail) = (NackCode::Forbidden, "a viewer does not write".to_owned());
        ClientEvent::Frame(Frame::Nack(Nack { number, item, code, detail, retry_after_s: None }))
    };
    let mut session = phone(false);
    session.handle(client::Answer::Outbox(client::NextPush::Own(outbox(4..=5))).into());
    session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    assert_eq!(session.handle(forbidden(1, None)), [], "nothing is refused");
    let up_to_date = [ClientEffect::Tell(client::News::UpToDate { counted: false })];
    assert_eq!(session.handle(forbidden(2, None)), up_to_date);
    assert_eq!(session.handle(ClientEvent::LocalEdit), [], "nothing is read to be pushed");

    // Of one change it says that this is not the role's to write: that is the change's, and the others go on.
    let mut session = phone(false);
    let effects = session.handle(forbidden(1, Some(0)));
    session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    assert_eq!(effects, []);
    let effects =
        session.handle(ClientEvent::Frame(Frame::Ack(Ack { number: 1, through: Sequence(7), settled: true })));
    let refused = effects.iter().any(|effect| matches!(effect, ClientEffect::Commit(client::Commit::Refused { .. })));
    assert!(refused, "{effects:?}");

    // A push in another's name is forbidden by that other's rights, or since nothing was lost.
    let mut session = phone(true);
    let batch = outbox(4..=4);
    let carried = Carried { author: AuthorId([7; 8]), signature: Vec::new() };
    session.handle(client::Answer::Outbox(client::NextPush::Carried(batch, carried)).into());
    session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    let effects = session.handle(forbidden(1, None));
    assert!(matches!(effects[0], ClientEffect::Commit(client::Commit::Refused { .. })), "{effects:?}");
}
