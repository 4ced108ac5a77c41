//! A link that breaks every few kilobytes lost everything, since pages came back to back: whatever was under way at the
//! break was gone, the page before among it. After a cut pages come one by one, each only once the one before is kept.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics on what must not happen")]

use toso_catalog::Catalog;
use toso_core::change::{Change, Entry};
use toso_core::chunk::Chunk;
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, AuthorId, DeviceId, Digest, DocId, Epoch, Sequence, ServerId};
use toso_core::text::{PlaceName, hamlet_key};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;
use toso_sync::client;
use toso_sync::pace::{PACE_FIRST_BYTES, PACE_MIN_BYTES};
use toso_sync::server::{Answer, Commit, Query, ReadPage};
use toso_sync::{
    AccessRole, Authenticated, ClientEffect, ClientEvent, ClientSession, ClientStart, Opened, OpenedInterest,
    OutboxBatch, OutboxItem, Pace, PageEntry, PageRead, Principal, ServerEffect, ServerEvent, ServerSession, Standing,
};
use toso_wire::{Ack, Delta, Frame, Hello, Interest, Next, encode};

#[path = "support/greeting.rs"]
mod greeting;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);
const DEVICE: DeviceId = DeviceId([1; 16]);

fn commune() -> Scope {
    "2022/00001".parse().unwrap()
}

/// A team's first change.
fn saved(hamlet: u64) -> (DocId, Vec<u8>, toso_core::chunk::ChangeHash) {
    let name = format!("Thôn {hamlet}");
    let doc = DocId::hamlet_team(commune(), &hamlet_key(&name), 0);
    let edits = [DocEdit::Team(TeamEdit::Hamlet(Some(PlaceName::parse(&name).unwrap())))];
    let author = Author { actor: Actor::new(DeviceId([9; 16]), [9; 8]), at: NOW };
    let chunk = Document::new(doc).unwrap().edit(author, &edits).unwrap().unwrap();
    (doc, chunk.bytes().to_vec(), chunk.hash())
}

/// A page of everything after a sequence, of a log with so many entries.
fn page(after: Sequence, entries: u64) -> PageRead {
    let entry = |sequence| {
        let (doc, change, hash) = saved(sequence);
        let entry = Entry {
            sequence: Sequence(sequence),
            scope: commune(),
            author: AuthorId([9; 8]),
            received_at: NOW,
            change: Change { doc, chunk: Chunk::trusted(change, hash) }.into(),
        };
        PageEntry { entry, returned_by: None }
    };
    let entries: Vec<_> = (after.0 + 1..=entries).map(entry).collect();
    let through = entries.last().map_or(after, |read| read.entry.sequence);
    PageRead { unit: commune(), entries, through, more: false }
}

/// A server's session over a log with so many entries; the DELTA pages that an event brings.
struct Centre {
    session: ServerSession,
    entries: u64,
}

impl Centre {
    fn say(&mut self, event: ServerEvent) -> Vec<Delta> {
        let mut events = vec![event];
        let mut pages = Vec::new();
        while !events.is_empty() {
            for effect in self.session.handle(NOW, events.remove(0)) {
                match effect {
                    ServerEffect::Query(Query::Authenticate(_)) => {
                        let principal = Principal { device: DEVICE, role: AccessRole::Recorder, unit: commune() };
                        let standing = Standing::default();
                        events.push(
                            Answer::Authenticated(Ok(Authenticated {
                                principal,
                                greeting: greeting::greeting(Epoch(1), NOW),
                                standing,
                            }))
                            .into(),
                        );
                    }
                    ServerEffect::Query(Query::Open(_)) => {
                        let interest = OpenedInterest {
                            cursor: Sequence::ZERO,
                            reconcile: None,
                            last: Sequence(self.entries),
                            pending: self.entries,
                        };
                        let interests = vec![interest];
                        events.push(
                            Answer::Opened(Opened { epoch: Epoch(1), takes_returns: false, interests, page: None })
                                .into(),
                        );
                    }
                    ServerEffect::Query(Query::ReadPage(ReadPage { after, .. })) => {
                        events.push(Answer::Page(page(after, self.entries)).into());
                    }
                    ServerEffect::Query(Query::ReadTotals(_)) => {
                        events.push(Answer::Totals { as_of: Sequence(self.entries), totals: Vec::new() }.into());
                    }
                    ServerEffect::Send(Frame::Delta(delta)) => pages.push(delta),
                    ServerEffect::Send(_)
                    | ServerEffect::Query(
                        Query::VerifyCarried(_)
                        | Query::JudgeReturned(_)
                        | Query::ReadDecisions(_)
                        | Query::ReadElements(_)
                        | Query::ReadWanted(_),
                    )
                    | ServerEffect::Commit(Commit::Append(_) | Commit::Hold(_) | Commit::KeepTold(_))
                    | ServerEffect::CountRefusal(_)
                    | ServerEffect::Close => {}
                }
            }
        }
        pages
    }
}

fn hello(page_bytes: Option<u32>) -> Hello {
    Hello {
        protocol: 1,
        proof: greeting::proof(),
        epoch: Some(Epoch(1)),
        interests: vec![Interest { unit: commune(), cursor: Sequence::ZERO, digest: Digest::default() }],
        live: true,
        push: None,
        heard: None,
        page_bytes,
        receipt: None,
    }
}

#[test]
fn the_next_page_waits_until_it_is_asked_for_and_keeps_to_its_size() {
    let mut centre = Centre { session: ServerSession::new(Catalog::shared()), entries: 120 };
    let mut got = centre.say(ServerEvent::Frame(Frame::Hello(hello(Some(256)))));
    assert_eq!(got.len(), 1, "one page, not all of them");
    assert!(centre.session.is_quiescent(), "a request is answered with it");
    assert_eq!(
        centre.say(ServerEvent::Grew { unit: commune(), through: Sequence(120) }),
        [],
        "growth asks for nothing"
    );
    let mut sizes = vec![256];
    while got.last().unwrap().more {
        let bytes = sizes.last().unwrap() * 2;
        let next = centre.say(ServerEvent::Frame(Frame::Next(Next { page_bytes: Some(bytes) })));
        assert_eq!(next.len(), 1);
        got.extend(next);
        sizes.push(bytes);
    }
    assert!(got.len() > 2, "{} pages", got.len());
    for (page, bytes_max) in got.iter().zip(sizes) {
        let bytes = encode(&Frame::Delta(page.clone())).len();
        assert!(bytes <= bytes_max as usize, "{bytes} bytes where {bytes_max} were asked for");
    }
    let items: usize = got.iter().flat_map(|page| &page.groups).map(|group| group.items.len()).sum();
    assert_eq!((items, got.last().unwrap().next), (120, Sequence(120)), "everything came, once");
}

#[test]
fn a_page_of_the_smallest_size_has_one_change_and_a_good_link_is_not_asked() {
    let mut centre = Centre { session: ServerSession::new(Catalog::shared()), entries: 40 };
    let got = centre.say(ServerEvent::Frame(Frame::Hello(hello(Some(PACE_MIN_BYTES)))));
    let items: usize = got.iter().flat_map(|page| &page.groups).map(|group| group.items.len()).sum();
    assert_eq!((got.len(), items), (1, 1));
    let rest = centre.say(ServerEvent::Frame(Frame::Next(Next { page_bytes: None })));
    assert_eq!(rest.iter().flat_map(|page| &page.groups).map(|group| group.items.len()).sum::<usize>(), 39);

    let mut centre = Centre { session: ServerSession::new(Catalog::shared()), entries: 60 };
    assert!(centre.say(ServerEvent::Frame(Frame::Hello(hello(None)))).len() > 1, "back to back");
}

fn start(pace: Pace, first: Option<OutboxBatch>) -> (ClientSession, Hello) {
    ClientSession::new(ClientStart {
        server: ServerId([1; 16]),
        ticket: Some(greeting::SECRET),
        proof: greeting::proof(),
        epoch: Some(Epoch(1)),
        interests: vec![Interest { unit: commune(), cursor: Sequence::ZERO, digest: Digest::default() }],
        live: true,
        heard: None,
        pace,
        by_request: false,
        first,
        resting: false,
    })
}

fn greeted(session: &mut ClientSession, pending: u64) -> Vec<ClientEffect> {
    session.handle(ClientEvent::Connected);
    let welcome = greeting::welcome(Epoch(1), NOW, pending);
    session.handle(ClientEvent::Frame(Frame::Welcome(welcome)))
}

fn kept(effects: &[ClientEffect]) -> Vec<Option<u32>> {
    let pace = |effect: &ClientEffect| {
        if let ClientEffect::Commit(client::Commit::KeepPace(pace)) = effect { Some(pace.bytes()) } else { None }
    };
    effects.iter().filter_map(pace).collect()
}

fn asked(effects: &[ClientEffect]) -> Vec<Option<u32>> {
    let next = |effect: &ClientEffect| {
        if let ClientEffect::Send(Frame::Next(next)) = effect { Some(next.page_bytes) } else { None }
    };
    effects.iter().filter_map(next).collect()
}

fn delta(more: bool) -> ClientEvent {
    ClientEvent::Frame(Frame::Delta(Delta { unit: commune(), groups: Vec::new(), next: Sequence(1), more }))
}

#[test]
fn a_phone_asks_for_less_after_each_cut_and_for_more_after_each_page() {
    let (mut session, hello) = start(Pace::default(), None);
    assert_eq!(hello.page_bytes, None, "a good link costs nothing");
    greeted(&mut session, 9);
    assert_eq!(asked(&session.handle(delta(true))), [], "pages come by themselves");
    assert_eq!(kept(&session.handle(ClientEvent::Disconnected)), [Some(PACE_FIRST_BYTES)]);

    let slow = Pace::of_bytes(Some(PACE_FIRST_BYTES));
    let (mut session, hello) = start(slow, None);
    assert_eq!(hello.page_bytes, Some(PACE_FIRST_BYTES));
    // Nothing came: half.
    assert_eq!(kept(&session.handle(ClientEvent::Disconnected)), [Some(PACE_FIRST_BYTES / 2)]);

    let (mut session, _) = start(Pace::of_bytes(Some(4_096)), None);
    greeted(&mut session, 9);
    let effects = session.handle(delta(true));
    let commit =
        effects.iter().position(|effect| matches!(effect, ClientEffect::Commit(client::Commit::Delta(_)))).unwrap();
    let next = effects.iter().position(|effect| matches!(effect, ClientEffect::Send(Frame::Next(_)))).unwrap();
    assert!(commit < next, "what is asked for next comes after what is kept");
    assert_eq!(asked(&effects), [Some(8_192)]);
    assert_eq!(asked(&session.handle(delta(true))), [None], "full pages come by themselves again");
    assert_eq!(asked(&session.handle(delta(true))), []);
}

#[test]
fn a_session_that_exchanged_everything_lets_the_next_ask_for_more() {
    let (mut session, _) = start(Pace::of_bytes(Some(256)), None);
    greeted(&mut session, 0);
    let effects = session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    assert_eq!(kept(&effects), [Some(512)]);
    assert_eq!(kept(&session.handle(ClientEvent::Disconnected)), [], "nothing was awaited: the cut says nothing");
}

#[test]
fn pushes_go_one_by_one_and_grow_with_their_acknowledgements() {
    let item = |number| {
        let (doc, change, hash) = saved(number);
        OutboxItem { number, change: Change { doc, chunk: Chunk::trusted(change, hash) } }
    };
    let batch = OutboxBatch { scope: commune(), items: vec![item(1), item(2), item(3)] };
    let (mut session, hello) = start(Pace::of_bytes(Some(PACE_MIN_BYTES)), Some(batch.clone()));
    assert_eq!(hello.push, None, "too large to ride on such a link");
    let effects = greeted(&mut session, 0);
    let reads = |effects: &[ClientEffect]| -> Vec<usize> {
        let read = |effect: &ClientEffect| {
            if let ClientEffect::Query(client::Query::ReadOutbox(client::ReadOutbox { bytes_max, .. })) = effect {
                Some(*bytes_max)
            } else {
                None
            }
        };
        effects.iter().filter_map(read).collect()
    };
    assert_eq!(reads(&effects), [64]);
    let one = OutboxBatch { items: vec![item(1)], ..batch };
    assert_eq!(reads(&session.handle(client::Answer::Outbox(client::NextPush::Own(one)).into())), [], "one at a time");
    let ack = Ack { number: 1, through: Sequence(1), settled: false };
    assert_eq!(reads(&session.handle(ClientEvent::Frame(Frame::Ack(ack)))), [128]);
}

#[test]
fn what_is_told_unasked_is_no_answer() {
    let (doc, change, hash) = saved(1);
    let items = vec![OutboxItem { number: 1, change: Change { doc, chunk: Chunk::trusted(change, hash) } }];
    let (mut session, hello) = start(Pace::default(), Some(OutboxBatch { scope: commune(), items }));
    assert!(hello.push.is_some() && session.awaits());
    greeted(&mut session, 0);
    session.handle(client::Answer::Outbox(client::NextPush::Nothing).into());
    let before = session.answers();
    let receipt = toso_wire::Receipt { as_of: Sequence(9), at: NOW, totals: Vec::new() };
    session.handle(ClientEvent::Frame(Frame::Receipt(receipt)));
    assert!(session.awaits() && session.answers() == before, "the push is awaited still");
    let ack = Ack { number: 1, through: Sequence(1), settled: true };
    session.handle(ClientEvent::Frame(Frame::Ack(ack)));
    assert!(!session.awaits() && session.answers() > before);
}
