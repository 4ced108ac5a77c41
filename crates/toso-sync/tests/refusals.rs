//! What a server session refuses, and how it says so: each rule of acceptance by itself.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics on what must not happen")]

use toso_catalog::Catalog;
use toso_core::change::Change;
use toso_core::chunk::{ChangeHash, RawChunk};
use toso_core::document::{Author, Document, NoRoom};
use toso_core::edit::{CommuneEdit, DocEdit, TeamEdit};
use toso_core::id::{Actor, AuthorId, ChunkKey, DeviceId, Digest, DocId, Epoch, Sequence};
use toso_core::text::Date;
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitList, UnitRef};
use toso_sync::reconcile::{Elements, WANT_FRAMES_MAX, want_frames_max};
use toso_sync::server::CHALLENGES_MAX;
use toso_sync::server::{Answer, Append, Appending, Commit, Committed, Query};
use toso_sync::{
    AccessRole, AppendOutcome, Authenticated, Opened, OpenedInterest, Principal, Refusal, RefusalKind, ServerEffect,
    ServerEvent, ServerSession, Standing, WantedRead,
};
use toso_wire::limits::{INTERESTS_MAX, PUSH_BYTES_MAX, PUSH_ITEMS_MAX, PUSH_WINDOW};
use toso_wire::{
    Carried, Challenge, ChallengeReason, Frame, GoodbyeCode, Hello, Interest, NackCode, Push, Reconcile, Want,
};

#[path = "support/greeting.rs"]
mod greeting;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);
const DEVICE: DeviceId = DeviceId([1; 16]);

fn unit(text: &str) -> UnitRef {
    text.parse().unwrap()
}

fn commune() -> Scope {
    unit("2022/00001")
}

fn hello(interests: &[UnitRef]) -> Hello {
    let interest = |unit: &UnitRef| Interest { unit: *unit, cursor: Sequence::ZERO, digest: Digest::default() };
    Hello {
        protocol: 1,
        proof: greeting::proof(),
        epoch: None,
        interests: interests.iter().map(interest).collect(),
        live: true,
        push: None,
        heard: None,
        page_bytes: None,
        receipt: None,
    }
}

fn principal(role: AccessRole) -> Principal {
    Principal { device: DEVICE, role, unit: commune() }
}

fn greeted(role: AccessRole) -> ServerSession {
    let mut session = ServerSession::new(Catalog::shared());
    session.handle(NOW, ServerEvent::Frame(Frame::Hello(hello(&[commune()]))));
    let authenticated = Authenticated {
        principal: principal(role),
        greeting: greeting::greeting(Epoch(1), NOW),
        standing: Standing::default(),
    };
    session.handle(NOW, Answer::Authenticated(Ok(authenticated)).into());
    let interests = vec![OpenedInterest { cursor: Sequence::ZERO, reconcile: None, last: Sequence::ZERO, pending: 0 }];
    session.handle(NOW, Answer::Opened(Opened { epoch: Epoch(1), takes_returns: false, interests, page: None }).into());
    session
}

/// One valid change of a team of the commune, by the given device.
fn item(device: DeviceId, scope: Scope) -> Change<RawChunk> {
    let doc = DocId::hamlet_team(scope, "thôn 1", 0);
    let author = Author { actor: Actor::new(device, [2; 8]), at: NOW };
    let edit = DocEdit::Team(TeamEdit::HouseholdsCovered(Some(9)));
    let change = Document::new(doc).unwrap().edit(author, &[edit]).unwrap().unwrap().bytes().to_vec();
    Change { doc, chunk: change.into() }
}

fn push(scope: Scope, items: Vec<Change<RawChunk>>) -> Push {
    Push { number: 1, scope, items, carried: None }
}

/// The NACKs that a push gets, and how many items went on to the log.
fn answer(role: AccessRole, push: Push) -> (Vec<(Option<u32>, NackCode)>, usize) {
    let effects = greeted(role).handle(NOW, ServerEvent::Frame(Frame::Push(push)));
    let mut nacks = Vec::new();
    let mut appended = 0;
    for effect in effects {
        if let ServerEffect::Commit(Commit::Append(Append { push: Appending { .. }, items })) = effect {
            appended += items.len();
        } else if let ServerEffect::Send(Frame::Nack(nack)) = effect {
            nacks.push((nack.item, nack.code));
        } else {
            assert!(matches!(effect, ServerEffect::CountRefusal(RefusalKind::Nack(_))), "unexpected {effect:?}");
        }
    }
    (nacks, appended)
}

fn goodbye(effects: &[ServerEffect]) -> Option<GoodbyeCode> {
    effects.iter().find_map(|effect| {
        if let ServerEffect::Send(Frame::Goodbye(goodbye)) = effect { Some(goodbye.code) } else { None }
    })
}

/// The log takes no more of a full document; the session names what was not taken by its place in the push, and
/// acknowledges the rest.
#[test]
fn what_a_full_document_does_not_take_is_named_and_the_rest_acknowledged() {
    let answers = |refused: Vec<usize>| {
        let refused = refused.into_iter().map(|place| (place, NoRoom::Full)).collect();
        let mut session = greeted(AccessRole::Recorder);
        // The first is refused by the session, so that places in the push and in the append differ.
        let items = vec![item(DeviceId([9; 16]), commune()), item(DEVICE, commune()), item(DEVICE, commune())];
        session.handle(NOW, ServerEvent::Frame(Frame::Push(push(commune(), items))));
        let (first_new, through) = (Some(Sequence(4)), Sequence(4));
        let outcome = Ok(AppendOutcome { first_new, new: 1, through, refused, postponed: None, before: None });
        let effects = session.handle(NOW, Committed::Appended { number: 1, outcome }.into());
        let frames = effects.into_iter().filter_map(|effect| {
            if let ServerEffect::Send(Frame::Nack(nack)) = effect {
                assert!(nack.detail.starts_with("the record is full"), "{}", nack.detail);
                return Some((nack.item, Some(nack.code)));
            }
            matches!(effect, ServerEffect::Send(Frame::Ack(_))).then_some((None, None))
        });
        frames.collect::<Vec<_>>()
    };
    assert_eq!(answers(vec![1]), [(Some(2), Some(NackCode::TooLarge)), (None, None)]);
    let both = [(Some(1), Some(NackCode::TooLarge)), (Some(2), Some(NackCode::TooLarge))];
    assert_eq!(answers(vec![0, 1]), both, "no acknowledgement when nothing was taken");
}

#[test]
fn good_items_go_on_and_bad_ones_are_named() {
    let mut mutated = item(DEVICE, commune());
    let mut bytes = mutated.bytes().to_vec();
    bytes[12] ^= 0x40;
    mutated.chunk = bytes.into();
    let items = vec![
        item(DEVICE, commune()),
        item(DeviceId([9; 16]), commune()),
        mutated,
        item(DEVICE, unit("2022/00004")),
        Change { doc: DocId::commune(commune()), chunk: Vec::new().into() },
    ];
    let (nacks, appended) = answer(AccessRole::Recorder, push(commune(), items));
    assert_eq!(appended, 1);
    assert_eq!(
        nacks,
        [
            (Some(1), NackCode::ForeignActor),
            (Some(2), NackCode::Malformed),
            (Some(3), NackCode::WrongDocument),
            (Some(4), NackCode::Malformed),
        ]
    );
}

/// No save leaves two values of one key; thousands of them in a few bytes would make a field that no change can replace. This
/// change is like that of [`item`] but that it sets the note to "a" and to "b".
#[test]
fn a_change_that_leaves_two_values_of_a_key_is_refused() {
    const TWO: &[u8] = b"\x85\x6f\x4a\x83\x72\x60\x9b\x59\x01\x57\
        \x01\x52\x99\x30\x0b\xee\x0d\x78\x8d\xca\x88\x27\xe6\x17\xd6\xcc\xf5\x15\x64\x90\xad\x62\x8c\x13\x86\xc7\x5a\x67\x40\x2d\xfe\x5b\x64\
        \x10\x01\x01\x01\x01\x01\x01\x01\x01\x02\x02\x02\x02\x02\x02\x02\x02\x01\x02\x80\xbe\xdf\x98\x06\x00\x00\
        \x06\x15\x06\x34\x01\x42\x02\x56\x02\x57\x02\x70\x02\
        \x02\x04note\x02\x02\x01\x02\x16ab\x02\x00";
    let two = Change { chunk: RawChunk::from(TWO), ..item(DEVICE, commune()) };
    assert!(two.check().is_ok(), "where a register has it already, it is read");
    let (nacks, appended) = answer(AccessRole::Recorder, push(commune(), vec![two, item(DEVICE, commune())]));
    assert_eq!((nacks, appended), (vec![(Some(0), NackCode::Malformed)], 1));
}

#[test]
fn whole_pushes_are_refused_for_role_scope_size_and_carriage() {
    let good = || vec![item(DEVICE, commune())];
    assert_eq!(answer(AccessRole::Recorder, push(commune(), good())), (vec![], 1));
    assert_eq!(answer(AccessRole::Officer, push(commune(), good())), (vec![], 1));
    assert_eq!(answer(AccessRole::Viewer, push(commune(), good())), (vec![(None, NackCode::Forbidden)], 0));
    for outside in ["2022/00004", "2022/001", "2022/99999", "2025/00004"] {
        let refused = answer(AccessRole::Recorder, push(unit(outside), good()));
        assert_eq!(refused, (vec![(None, NackCode::OutOfScope)], 0), "{outside}");
    }
    assert_eq!(answer(AccessRole::Recorder, push(commune(), vec![])), (vec![(None, NackCode::TooLarge)], 0));
    let carried =
        Push { carried: Some(Carried { author: AuthorId([9; 8]), signature: Vec::new() }), ..push(commune(), good()) };
    assert_eq!(answer(AccessRole::Recorder, carried), (vec![(None, NackCode::Forbidden)], 0));
}

#[test]
fn only_an_officer_signs_off() {
    let doc = DocId::commune(commune());
    let author = Author { actor: Actor::new(DEVICE, [2; 8]), at: NOW };
    let item = |edit| {
        let change = Document::new(doc).unwrap().edit(author, &[DocEdit::Commune(edit)]).unwrap().unwrap();
        vec![Change { doc, chunk: change.raw() }]
    };
    let sign_off = || item(CommuneEdit::SignedOffOn(Some(Date::parse("7/9/2022").unwrap())));
    let households = || item(CommuneEdit::HamletHouseholds { key: "thôn 1".to_owned(), households: Some(90) });
    let refused = (vec![(Some(0), NackCode::Forbidden)], 0);
    assert_eq!(answer(AccessRole::Recorder, push(commune(), sign_off())), refused);
    assert_eq!(answer(AccessRole::Officer, push(commune(), sign_off())), (vec![], 1));
    assert_eq!(
        answer(AccessRole::Recorder, push(commune(), households())),
        (vec![], 1),
        "hamlets are a recorder's work"
    );
}

#[test]
fn a_push_at_its_limits_is_taken_and_one_past_is_not() {
    let many = |count| (0..count).map(|_| item(DEVICE, commune())).collect::<Vec<_>>();
    assert_eq!(answer(AccessRole::Recorder, push(commune(), many(PUSH_ITEMS_MAX))), (vec![], PUSH_ITEMS_MAX));
    let refused = answer(AccessRole::Recorder, push(commune(), many(PUSH_ITEMS_MAX + 1)));
    assert_eq!(refused, (vec![(None, NackCode::TooLarge)], 0));

    let filler =
        |bytes| vec![item(DEVICE, commune()), Change { doc: DocId::commune(commune()), chunk: vec![0; bytes].into() }];
    let room = PUSH_BYTES_MAX - item(DEVICE, commune()).bytes().len();
    assert_eq!(answer(AccessRole::Recorder, push(commune(), filler(room))).1, 1, "the filler alone is refused");
    assert_eq!(answer(AccessRole::Recorder, push(commune(), filler(room + 1))), (vec![(None, NackCode::TooLarge)], 0));
}

#[test]
fn the_window_and_the_numbers_of_pushes_are_kept() {
    let numbered = |number| Push { number, ..push(commune(), vec![item(DEVICE, commune())]) };
    let mut session = greeted(AccessRole::Recorder);
    for number in 1..=PUSH_WINDOW as u64 {
        assert_eq!(goodbye(&session.handle(NOW, ServerEvent::Frame(Frame::Push(numbered(number))))), None);
    }
    let over = session.handle(NOW, ServerEvent::Frame(Frame::Push(numbered(PUSH_WINDOW as u64 + 1))));
    assert_eq!(goodbye(&over), Some(GoodbyeCode::Protocol));
    let after = session.handle(NOW, ServerEvent::Frame(Frame::Push(numbered(PUSH_WINDOW as u64 + 2))));
    assert!(after.is_empty(), "an ended session does nothing more");

    for wrong in [0, 2, u64::MAX] {
        let effects = greeted(AccessRole::Recorder).handle(NOW, ServerEvent::Frame(Frame::Push(numbered(wrong))));
        assert_eq!(goodbye(&effects), Some(GoodbyeCode::Protocol), "push number {wrong}");
    }
}

#[test]
fn a_hello_of_another_version_or_for_too_many_or_foreign_units_ends_the_session() {
    let say = |hello| ServerSession::new(Catalog::shared()).handle(NOW, ServerEvent::Frame(Frame::Hello(hello)));
    assert_eq!(goodbye(&say(Hello { protocol: 2, ..hello(&[]) })), Some(GoodbyeCode::Version));
    let units: Vec<UnitRef> = Catalog::shared().communes_under(unit("2022/01")).take(INTERESTS_MAX + 1).collect();
    assert_eq!(goodbye(&say(hello(&units[..INTERESTS_MAX]))), None);
    assert_eq!(goodbye(&say(hello(&units))), Some(GoodbyeCode::Protocol));
    assert_eq!(goodbye(&say(hello(&[commune(), commune()]))), Some(GoodbyeCode::Protocol), "the same unit twice");
    for outside in [unit("2022/00004"), unit("2022/001"), UnitRef::country(UnitList::L2022), unit("2025/00004")] {
        let mut session = ServerSession::new(Catalog::shared());
        session.handle(NOW, ServerEvent::Frame(Frame::Hello(hello(&[commune(), outside]))));
        let accepted = Authenticated {
            principal: principal(AccessRole::Recorder),
            greeting: greeting::greeting(Epoch(1), NOW),
            standing: Standing::default(),
        };
        let effects = session.handle(NOW, Answer::Authenticated(Ok(accepted)).into());
        assert_eq!(goodbye(&effects), Some(GoodbyeCode::OutOfScope), "{outside}");
    }
}

#[test]
fn frames_out_of_place_end_the_session() {
    let mut fresh = ServerSession::new(Catalog::shared());
    let early = fresh.handle(NOW, ServerEvent::Frame(Frame::Push(push(commune(), vec![]))));
    assert_eq!(goodbye(&early), Some(GoodbyeCode::Protocol));
    let again = greeted(AccessRole::Recorder).handle(NOW, ServerEvent::Frame(Frame::Hello(hello(&[]))));
    assert_eq!(goodbye(&again), Some(GoodbyeCode::Protocol));
    let garbage = greeted(AccessRole::Recorder).handle(NOW, ServerEvent::BadFrame("no frame".repeat(100)));
    assert_eq!(goodbye(&garbage), Some(GoodbyeCode::Protocol));
}

#[test]
fn a_device_that_never_proves_itself_is_let_go() {
    let challenge = || Challenge { at: NOW, nonce: vec![3; 8], reason: ChallengeReason::Clock };
    let mut session = ServerSession::new(Catalog::shared());
    for round in 0..=CHALLENGES_MAX {
        session.handle(NOW, ServerEvent::Frame(Frame::Hello(hello(&[commune()]))));
        let effects = session.handle(NOW, Answer::Authenticated(Err(Refusal::Challenge(challenge()))).into());
        let challenged = effects.iter().any(|effect| matches!(effect, ServerEffect::Send(Frame::Challenge(_))));
        assert_eq!(challenged, round < CHALLENGES_MAX, "round {round}");
        assert_eq!(goodbye(&effects).is_some(), round == CHALLENGES_MAX, "round {round}");
    }
}

const AS_OF: Sequence = Sequence(9_000);

/// A session that compares its commune; `chunks` are the server's, once a message was answered from them.
fn comparing(chunks: Option<u32>) -> ServerSession {
    let mut session = ServerSession::new(Catalog::shared());
    session.handle(NOW, ServerEvent::Frame(Frame::Hello(hello(&[commune()]))));
    let principal = principal(AccessRole::Viewer);
    let authenticated =
        Authenticated { principal, greeting: greeting::greeting(Epoch(1), NOW), standing: Standing::default() };
    session.handle(NOW, Answer::Authenticated(Ok(authenticated)).into());
    let interests = vec![OpenedInterest { cursor: Sequence::ZERO, reconcile: Some(AS_OF), last: AS_OF, pending: 1 }];
    session.handle(NOW, Answer::Opened(Opened { epoch: Epoch(2), takes_returns: false, interests, page: None }).into());
    if let Some(count) = chunks {
        let message = Elements::new([]).open().unwrap();
        let reconcile = Reconcile { unit: commune(), as_of: AS_OF, message };
        session.handle(NOW, ServerEvent::Frame(Frame::Reconcile(reconcile)));
        let doc = |number: u32| DocId::hamlet_team(commune(), &format!("thôn {number}"), 0);
        let chunks = (0..count).map(|number| (doc(number), ChangeHash([7; 32]))).collect();
        session.handle(NOW, Answer::Elements { unit: commune(), chunks }.into());
    }
    session
}

/// What a session says to a WANT of so many keys that nobody has: `None` when it serves it.
fn want(session: &mut ServerSession, keys: u32) -> Option<String> {
    let key = |number: u32| ChunkKey([u8::try_from(number % 251).unwrap(); 32]);
    let want = Want { unit: commune(), as_of: AS_OF, keys: (0..keys).map(key).collect(), last: false };
    let effects = session.handle(NOW, ServerEvent::Frame(Frame::Want(want)));
    if let Some(detail) = effects.iter().find_map(|effect| {
        if let ServerEffect::Send(Frame::Goodbye(goodbye)) = effect { Some(goodbye.detail.clone()) } else { None }
    }) {
        return Some(detail);
    }
    assert!(matches!(effects[..], [ServerEffect::Query(Query::ReadWanted(_))]), "{effects:?}");
    let read = WantedRead { unit: commune(), entries: Vec::new(), through: AS_OF, more: false };
    session.handle(NOW, Answer::Wanted(read).into());
    None
}

/// A viewer once asked for keys that nobody has, 50 bytes each time, and each cost a walk through its whole unit: 1,639
/// of them were answered in six seconds, and nothing would have ended it.
#[test]
fn a_comparison_wants_each_chunk_once_in_a_bounded_number_of_frames() {
    let count = 300;
    let mut session = comparing(Some(count));
    for keys in [256, 44] {
        assert_eq!(want(&mut session, keys), None, "as many keys as there are chunks");
    }
    let detail = want(&mut session, 1).expect("one key past them");
    assert!(detail.contains("301 chunks were wanted of a unit that has 300"), "{detail}");

    let mut session = comparing(Some(count));
    for number in 0..count {
        assert_eq!(want(&mut session, 1), None, "each chunk by itself: frame {number}");
    }

    // A larger unit, of which each walk costs more.
    let count = 4_000;
    let frames = want_frames_max(count.into());
    assert_eq!((frames, want_frames_max(300), WANT_FRAMES_MAX), (16 + 1_000, 302, 993), "as the documents say");
    let mut session = comparing(Some(count));
    for number in 0..frames {
        assert_eq!(want(&mut session, 1), None, "frame {number}");
    }
    let detail = want(&mut session, 1).expect("one frame past them");
    assert!(detail.contains("4000 chunks takes at most 1016 WANT frames"), "{detail}");
}

#[test]
fn one_want_before_anything_was_compared_is_served_as_by_requests_and_a_second_refused() {
    let mut session = comparing(None);
    assert_eq!(want(&mut session, 1), None, "by requests, the session that compared was another");
    let detail = want(&mut session, 1).expect("it knows no keys");
    assert!(detail.contains("compare first"), "{detail}");
}

/// A phone that compared two communes over a slow link was taken for one that answers nothing: only the unit that was
/// ahead counted.
#[test]
fn an_answer_about_any_unit_is_one() {
    let units = [commune(), unit("2022/00004")];
    let mut session = ServerSession::new(Catalog::shared());
    session.handle(NOW, ServerEvent::Frame(Frame::Hello(hello(&units))));
    let authenticated = Authenticated {
        principal: Principal { unit: unit("2022/001"), ..principal(AccessRole::Officer) },
        greeting: greeting::greeting(Epoch(1), NOW),
        standing: Standing::default(),
    };
    session.handle(NOW, Answer::Authenticated(Ok(authenticated)).into());
    let at = Sequence(5);
    let interests = vec![OpenedInterest { cursor: Sequence::ZERO, reconcile: Some(at), last: at, pending: 1 }; 2];
    session.handle(NOW, Answer::Opened(Opened { epoch: Epoch(1), takes_returns: false, interests, page: None }).into());

    let mut before = session.awaits().unwrap();
    for unit in [units[0], units[0], units[1]] {
        let message = Elements::new(Vec::new()).open().unwrap();
        session.handle(NOW, ServerEvent::Frame(Frame::Reconcile(Reconcile { unit, as_of: at, message })));
        session.handle(NOW, Answer::Elements { unit, chunks: Vec::new() }.into());
        let now = session.awaits().unwrap();
        assert!(now > before, "{unit}");
        before = now;
    }
}
