//! When an acknowledgement moves the device's cursor: it must know everything at or below it, and nobody else's change may
//! be passed over.

#![allow(clippy::unwrap_used, reason = "a test panics on what must not happen")]

use toso_catalog::Catalog;
use toso_core::change::{Change, Entry};
use toso_core::chunk::RawChunk;
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, AuthorId, DeviceId, Digest, DocId, Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};
use toso_sync::server::{Answer, Committed, Query};
use toso_sync::{
    AccessRole, AppendOutcome, Authenticated, Opened, OpenedInterest, PageEntry, PageRead, Principal, ServerEffect,
    ServerEvent, ServerSession, Standing,
};
use toso_wire::{DeltaItem, Frame, Hello, Interest, Push, decode, encode};

#[path = "support/greeting.rs"]
mod greeting;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);
const DEVICE: DeviceId = DeviceId([1; 16]);
/// Where the device's cursor stands.
const CURSOR: Sequence = Sequence(10);

fn commune() -> Scope {
    "2022/00001".parse().unwrap()
}

/// A session of a device that follows these units, with so much pending in each.
fn session(units: &[UnitRef], pending: u64) -> ServerSession {
    session_of(Epoch(1), units, pending)
}

fn session_of(epoch: Epoch, units: &[UnitRef], pending: u64) -> ServerSession {
    opened(epoch, units, pending, None, None).0
}

/// A session with its first page at hand, whose HELLO may bring a push; and what it does at once.
fn opened(
    epoch: Epoch,
    units: &[UnitRef],
    pending: u64,
    page: Option<PageRead>,
    push: Option<Push>,
) -> (ServerSession, Vec<ServerEffect>) {
    let interest = |unit: &UnitRef| Interest { unit: *unit, cursor: CURSOR, digest: Digest::default() };
    let hello = Hello {
        protocol: 1,
        proof: greeting::proof(),
        epoch: Some(epoch),
        interests: units.iter().map(interest).collect(),
        live: true,
        push,
        heard: None,
        page_bytes: None,
        receipt: None,
    };
    let mut session = ServerSession::new(Catalog::shared());
    session.handle(NOW, ServerEvent::Frame(Frame::Hello(hello)));
    let principal = Principal { device: DEVICE, role: AccessRole::Recorder, unit: "2022/01".parse().unwrap() };
    let authenticated =
        Authenticated { principal, greeting: greeting::greeting(Epoch(1), NOW), standing: Standing::default() };
    session.handle(NOW, Answer::Authenticated(Ok(authenticated)).into());
    let opened = OpenedInterest { cursor: CURSOR, reconcile: None, last: Sequence(CURSOR.0 + pending), pending };
    let interests = vec![opened; units.len()];
    let opened = Opened { epoch: Epoch(1), takes_returns: false, interests, page };
    let effects = session.handle(NOW, Answer::Opened(opened).into());
    (session, effects)
}

fn item(number: u32) -> Change<RawChunk> {
    let doc = DocId::hamlet_team(commune(), "thôn 1", 0);
    let author = Author { actor: Actor::new(DEVICE, [2; 8]), at: NOW };
    let edit = DocEdit::Team(TeamEdit::HouseholdsCovered(Some(number)));
    let change = Document::new(doc).unwrap().edit(author, &[edit]).unwrap().unwrap().bytes().to_vec();
    Change { doc, chunk: change.into() }
}

/// A page with these changes, which are the last in the log.
fn page(unit: UnitRef, items: &[Change<RawChunk>]) -> PageRead {
    let entries = (CURSOR.0 + 1..).zip(items).map(|(sequence, item)| {
        let entry = Entry {
            sequence: Sequence(sequence),
            scope: commune(),
            author: AuthorId([3; 8]),
            received_at: NOW,
            change: item.check().unwrap().into(),
        };
        PageEntry { entry, returned_by: None }
    });
    let through = Sequence(CURSOR.0 + items.len() as u64);
    PageRead { unit, entries: entries.collect(), through, more: false }
}

/// Changes in the first DELTA, and its cursor; and whether a page is read.
fn delta(effects: &[ServerEffect]) -> (Option<(usize, Sequence)>, bool) {
    let sent = effects.iter().find_map(|effect| {
        if let ServerEffect::Send(Frame::Delta(delta)) = effect {
            Some((delta.groups.iter().map(|group| group.items.len()).sum(), delta.next))
        } else {
            None
        }
    });
    (sent, effects.iter().any(|effect| matches!(effect, ServerEffect::Query(Query::ReadPage(_)))))
}

#[test]
fn a_page_that_is_at_hand_is_sent_and_not_read() {
    let (one, two) = (item(1), item(2));
    let first = page(commune(), &[one.clone(), two.clone()]);
    let (_, effects) = opened(Epoch(1), &[commune()], 2, Some(first.clone()), None);
    assert_eq!(delta(&effects), (Some((2, Sequence(12))), false));
    let (_, effects) = opened(Epoch(1), &[commune()], 2, None, None);
    assert_eq!(delta(&effects), (None, true), "without it the session asks");
    // The log has gone on since: what is after the page is asked for.
    let (_, effects) = opened(Epoch(1), &[commune()], 3, Some(first.clone()), None);
    assert_eq!(delta(&effects), (Some((2, Sequence(12))), true));
    // What the device pushes itself, its ACK lost last time, does not come back to it.
    let push = Push { number: 1, scope: commune(), items: vec![two], carried: None };
    let (_, effects) = opened(Epoch(1), &[commune()], 2, Some(first.clone()), Some(push));
    assert_eq!(delta(&effects), (Some((1, Sequence(12))), false));
    // Of a unit that the device does not follow, or follows beside another, it says nothing.
    let others: UnitRef = "2022/00004".parse().unwrap();
    for units in [vec![others], vec![commune(), others]] {
        let (_, effects) = opened(Epoch(1), &units, 2, Some(first.clone()), None);
        assert_eq!(delta(&effects), (None, true));
    }
}

/// Of an erased change a page has document and hash, whoever brought it back; it counts as any other for the cursor.
#[test]
fn an_erased_change_goes_as_its_hash() {
    let (one, two) = (item(1), item(2));
    let mut read = page(commune(), &[one, two.clone()]);
    let erased = &mut read.entries[1];
    (erased.entry.change, erased.returned_by) = (erased.entry.change.erased(), Some(AuthorId([5; 8])));
    let hash = erased.entry.change.hash();
    let (_, effects) = opened(Epoch(1), &[commune()], 2, Some(read), None);
    assert_eq!(delta(&effects), (Some((2, Sequence(12))), false));
    let sent = effects.iter().find_map(|effect| {
        let ServerEffect::Send(frame @ Frame::Delta(delta)) = effect else { return None };
        Some((frame, delta.groups[0].items[1].clone()))
    });
    let (frame, second) = sent.unwrap();
    assert_eq!(second, DeltaItem::Erased(two.doc, hash));
    assert_eq!(&decode(&encode(frame)).unwrap(), frame);
}

/// Whether the ACK of one change says that all is known, and whether a page is read after it.
fn answer(session: &mut ServerSession, outcome: AppendOutcome) -> (bool, bool) {
    let push = Push { number: 1, scope: commune(), items: vec![item(9)], carried: None };
    session.handle(NOW, ServerEvent::Frame(Frame::Push(push)));
    let effects = session.handle(NOW, Committed::Appended { number: 1, outcome: Ok(outcome) }.into());
    let settled = effects
        .iter()
        .find_map(|effect| if let ServerEffect::Send(Frame::Ack(ack)) = effect { Some(ack.settled) } else { None });
    (settled.unwrap(), effects.iter().any(|effect| matches!(effect, ServerEffect::Query(Query::ReadPage(_)))))
}

fn outcome(before: Option<u64>) -> AppendOutcome {
    let (first_new, through, refused) = (Some(Sequence(15)), Sequence(15), Vec::new());
    AppendOutcome { first_new, new: 1, through, refused, postponed: None, before: before.map(Sequence) }
}

#[test]
fn a_device_that_lacks_nothing_is_told_so_and_no_page_is_read() {
    assert_eq!(answer(&mut session(&[commune()], 0), outcome(Some(CURSOR.0))), (true, false));
}

#[test]
fn what_came_between_is_read() {
    assert_eq!(answer(&mut session(&[commune()], 0), outcome(Some(CURSOR.0 + 1))), (false, true));
    assert_eq!(answer(&mut session(&[commune()], 0), outcome(None)), (false, true), "not told what was there");
}

/// Its cursors mean nothing here, whatever the comparison came to: only pages and the end of a comparison move them.
#[test]
fn a_device_of_another_history_is_not_told() {
    assert_eq!(answer(&mut session_of(Epoch(2), &[commune()], 0), outcome(Some(CURSOR.0))), (false, true));
}

#[test]
fn a_push_of_which_something_was_there_before_is_not_all_there_is() {
    let known = AppendOutcome { first_new: None, new: 0, through: Sequence(12), ..outcome(Some(CURSOR.0)) };
    assert_eq!(answer(&mut session(&[commune()], 0), known), (false, true));
    // Of two changes only the second is new, and others have come between the two.
    let gap = AppendOutcome { first_new: Some(Sequence(14)), ..outcome(Some(CURSOR.0)) };
    assert_eq!(answer(&mut session(&[commune()], 0), gap), (false, true));
}

#[test]
fn a_device_that_waits_for_a_page_or_follows_several_units_waits_on() {
    let others: UnitRef = "2022/00004".parse().unwrap();
    assert_eq!(answer(&mut session(&[commune(), others], 0), outcome(Some(CURSOR.0))), (false, true));
    assert_eq!(answer(&mut session(&[commune()], 1), outcome(Some(CURSOR.0))), (false, false), "a page is on its way");
}
