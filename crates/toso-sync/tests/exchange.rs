//! Both session machines against each other, frames through the real codec, in any order a network allows: frames
//! delayed, connections cut at any moment, appends and counting late. After healing, every device of the commune and the
//! server hold the same chunks; at no moment does an acknowledged chunk lack from the log, a chunk stand in it twice, or
//! a cursor run ahead of its data.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test panics on what must not happen"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use toso_catalog::Catalog;
use toso_core::change::{Change, Entry};
use toso_core::chunk::ChangeHash;
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, AuthorId, DeviceId, Digest, DocId, Epoch, Sequence, ServerId};
use toso_core::text::{PlaceName, hamlet_key};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};
use toso_sync::client;
use toso_sync::server::{Answer, Append, Appending, Commit, Committed, Open, Query, ReadPage, ReadTotals};
use toso_sync::{
    AccessRole, AppendOutcome, Authenticated, ClientEffect, ClientEvent, ClientSession, ClientStart, Opened,
    OpenedInterest, OutboxBatch, OutboxItem, Pace, PageEntry, PageRead, Principal, ServerEffect, ServerEvent,
    ServerSession, Standing,
};
use toso_wire::{Frame, Interest, UnitTotals, decode, encode, hello_from_token, hello_token};

#[path = "support/greeting.rs"]
mod greeting;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);
const EPOCH: Epoch = Epoch(7);
/// Small, so that paging happens.
const PAGE_ENTRIES: usize = 3;
const PUSH_ENTRIES: usize = 2;

fn commune() -> Scope {
    "2022/00001".parse().unwrap()
}

#[derive(Default)]
struct Log {
    entries: Vec<(AuthorId, Change)>,
    counted: usize,
}

impl Log {
    fn position(&self, hash: &ChangeHash) -> Option<Sequence> {
        self.entries.iter().position(|(_, change)| change.hash() == *hash).map(|index| Sequence(index as u64 + 1))
    }

    fn last(&self) -> Sequence {
        Sequence(self.entries.len() as u64)
    }
}

struct Phone {
    device: DeviceId,
    actor: Actor,
    documents: BTreeMap<DocId, Document>,
    chunks: BTreeSet<ChangeHash>,
    outbox: Vec<OutboxItem>,
    next_number: u64,
    cursor: Sequence,
    /// Of its link; kept over connections.
    pace: Pace,
    acked: BTreeSet<ChangeHash>,
    counted: bool,
    connection: Option<Connection>,
    echoes: usize,
}

struct Connection {
    client: ClientSession,
    server: ServerSession,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
    appends: VecDeque<(u64, Vec<(AuthorId, Change)>)>,
    /// What this session put into the log; what an earlier one did may come back once.
    pushed: BTreeSet<ChangeHash>,
}

impl Phone {
    fn new(index: u8) -> Self {
        let device = DeviceId([index; 16]);
        Self {
            device,
            actor: Actor::new(device, [index; 8]),
            documents: BTreeMap::new(),
            chunks: BTreeSet::new(),
            outbox: Vec::new(),
            next_number: 1,
            cursor: Sequence::ZERO,
            pace: Pace::default(),
            acked: BTreeSet::new(),
            counted: false,
            connection: None,
            echoes: 0,
        }
    }

    fn edit(&mut self, hamlet: u8, households: u32) {
        let name = format!("Thôn {hamlet}");
        let doc = DocId::hamlet_team(commune(), &hamlet_key(&name), 0);
        let author = Author { actor: self.actor, at: NOW };
        let edits = [
            DocEdit::Team(TeamEdit::Hamlet(Some(PlaceName::parse(&name).unwrap()))),
            DocEdit::Team(TeamEdit::HouseholdsCovered(Some(households))),
        ];
        let document = self.documents.entry(doc).or_insert_with(|| Document::new(doc).unwrap());
        if let Some(chunk) = document.edit(author, &edits).unwrap() {
            self.chunks.insert(chunk.hash());
            self.outbox.push(OutboxItem { number: self.next_number, change: Change { doc, chunk } });
            self.next_number += 1;
        }
    }

    fn batch(&self, after: u64) -> Option<OutboxBatch> {
        let items: Vec<_> = self.outbox.iter().filter(|item| item.number > after).take(PUSH_ENTRIES).cloned().collect();
        (!items.is_empty()).then(|| OutboxBatch { scope: commune(), items })
    }

    fn connect(&mut self, log: &mut Log, live: bool) {
        let start = ClientStart {
            resting: false,
            heard: None,
            pace: self.pace,
            by_request: false,
            server: ServerId([1; 16]),
            proof: greeting::proof(),
            ticket: Some(greeting::SECRET),
            epoch: Some(EPOCH),
            interests: vec![Interest { unit: commune(), cursor: self.cursor, digest: Digest::default() }],
            live,
            first: self.batch(0),
        };
        let (client, hello) = ClientSession::new(start);
        let hello = hello_from_token(&hello_token(&hello)).unwrap();
        let mut connection = Connection {
            client,
            server: ServerSession::new(Catalog::shared()),
            up: VecDeque::new(),
            down: VecDeque::new(),
            appends: VecDeque::new(),
            pushed: BTreeSet::new(),
        };
        connection.serve(self.device, ServerEvent::Frame(Frame::Hello(hello)), log);
        self.connection = Some(connection);
        self.client_event(ClientEvent::Connected);
    }

    fn client_event(&mut self, event: ClientEvent) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some(mut connection) = self.connection.take() else { return };
            let mut ended = false;
            for effect in connection.client.handle(event) {
                if matches!(effect, ClientEffect::Commit(_)) {
                    events.push_back(ClientEvent::Committed);
                }
                match effect {
                    ClientEffect::Send(frame) => connection.up.push_back(encode(&frame)),
                    ClientEffect::Query(client::Query::ReadOutbox(client::ReadOutbox { after, .. })) => events
                        .push_back(
                            client::Answer::Outbox(
                                self.batch(after).map_or(client::NextPush::Nothing, client::NextPush::Own),
                            )
                            .into(),
                        ),
                    ClientEffect::Commit(client::Commit::Delta(delta)) => {
                        for group in delta.groups {
                            assert_eq!(group.scope, commune());
                            for item in group.items {
                                let toso_wire::DeltaItem::Change(change) = item else { panic!("a snapshot") };
                                let Change { doc, chunk } = change.check().unwrap();
                                if connection.pushed.contains(&chunk.hash()) {
                                    self.echoes += 1;
                                }
                                self.chunks.insert(chunk.hash());
                                self.documents
                                    .entry(doc)
                                    .or_insert_with(|| Document::new(doc).unwrap())
                                    .apply(&[chunk]);
                            }
                        }
                        self.cursor = delta.next;
                    }
                    ClientEffect::Commit(client::Commit::Ack { accepted, through, settled }) => {
                        if settled.is_some() {
                            assert!(through > self.cursor, "a cursor never goes back");
                            self.cursor = through;
                        }
                        for item in accepted {
                            self.acked.insert(item.change.hash());
                            self.outbox.retain(|waiting| waiting.number != item.number);
                        }
                    }
                    ClientEffect::Tell(client::News::UpToDate { counted }) => self.counted = counted,
                    ClientEffect::Commit(client::Commit::KeepPace(pace)) => self.pace = pace,
                    ClientEffect::End(end) => {
                        assert_eq!(end, toso_sync::SessionEnd::Lost, "only cuts end a session here");
                        ended = true;
                    }
                    ClientEffect::Commit(client::Commit::KeepSession { .. } | client::Commit::KeepReceipt(_))
                    | ClientEffect::Tell(client::News::Progress { .. }) => {}
                    other @ (ClientEffect::Query(client::Query::Prove(_) | client::Query::ReadElements(_))
                    | ClientEffect::Commit(
                        client::Commit::Rest { .. }
                        | client::Commit::Chunks(_)
                        | client::Commit::Reconciled { .. }
                        | client::Commit::Refused { .. }
                        | client::Commit::Move(_)
                        | client::Commit::KeepDecisions { .. }
                        | client::Commit::DropHeldCopies
                        | client::Commit::Purge(_)
                        | client::Commit::Erase(_),
                    )) => panic!("unexpected {other:?}"),
                }
            }
            if !ended {
                self.connection = Some(connection);
            }
        }
        let answered = self.connection.as_ref().is_none_or(|connection| connection.client.is_answered());
        assert!(answered, "each query and each commit was answered");
    }
}

impl Connection {
    fn serve(&mut self, device: DeviceId, event: ServerEvent, log: &mut Log) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for effect in self.server.handle(NOW, event) {
                match effect {
                    ServerEffect::Query(Query::Authenticate(_)) => {
                        let principal = Principal { device, role: AccessRole::Recorder, unit: commune() };
                        events.push_back(
                            Answer::Authenticated(Ok(Authenticated {
                                principal,
                                greeting: greeting::greeting(EPOCH, NOW),
                                standing: Standing::default(),
                            }))
                            .into(),
                        );
                    }
                    ServerEffect::Query(Query::Open(Open { interests, .. })) => {
                        // Sometimes at hand, sometimes not: it must make no difference.
                        let page = match interests.as_slice() {
                            [only] if log.last() > only.cursor && log.last().0.is_multiple_of(2) => {
                                Some(page(log, only.unit, only.cursor))
                            }
                            _ => None,
                        };
                        let interests = interests
                            .iter()
                            .map(|interest| OpenedInterest {
                                cursor: interest.cursor,
                                reconcile: None,
                                last: log.last(),
                                pending: log.last().0 - interest.cursor.0,
                            })
                            .collect();
                        events.push_back(
                            Answer::Opened(Opened { epoch: EPOCH, takes_returns: false, interests, page }).into(),
                        );
                    }
                    ServerEffect::Commit(Commit::Append(Append { push: Appending { number, author, .. }, items })) => {
                        self.appends.push_back((number, items.into_iter().map(|item| (author, item)).collect()));
                    }
                    ServerEffect::Query(Query::ReadDecisions(_)) => events.push_back(Answer::Decisions(None).into()),
                    ServerEffect::Query(Query::ReadPage(ReadPage { unit, after })) => {
                        events.push_back(Answer::Page(page(log, unit, after)).into());
                    }
                    ServerEffect::Query(Query::ReadTotals(ReadTotals(units))) => {
                        let as_of = Sequence(log.counted as u64);
                        let totals =
                            units.iter().map(|unit| UnitTotals { unit: *unit, teams: 0, members: 0 }).collect();
                        events.push_back(Answer::Totals { as_of, totals }.into());
                    }
                    ServerEffect::Send(frame) => self.down.push_back(encode(&frame)),
                    other @ (ServerEffect::Query(
                        Query::VerifyCarried(_)
                        | Query::JudgeReturned(_)
                        | Query::ReadElements(_)
                        | Query::ReadWanted(_),
                    )
                    | ServerEffect::Commit(Commit::Hold(_) | Commit::KeepTold(_))
                    | ServerEffect::CountRefusal(_)
                    | ServerEffect::Close) => panic!("unexpected {other:?}"),
                }
            }
        }
    }
}

fn page(log: &Log, unit: UnitRef, after: Sequence) -> PageRead {
    let from = after.0 as usize;
    let to = log.entries.len().min(from + PAGE_ENTRIES);
    let entries: Vec<PageEntry> = (from..to)
        .map(|index| {
            let (author, change) = log.entries[index].clone();
            let entry = Entry {
                sequence: Sequence(index as u64 + 1),
                scope: commune(),
                author,
                received_at: NOW,
                change: change.into(),
            };
            PageEntry { entry, returned_by: None }
        })
        .collect();
    PageRead { unit, entries, through: Sequence(to as u64), more: to < log.entries.len() }
}

struct World {
    log: Log,
    phones: Vec<Phone>,
}

impl World {
    fn append(&mut self, index: usize) {
        let Some(connection) = &mut self.phones[index].connection else { return };
        let Some((number, entries)) = connection.appends.pop_front() else { return };
        let (through, before) = (Sequence::ZERO, Some(self.log.last()));
        let mut outcome =
            AppendOutcome { first_new: None, new: 0, through, refused: Vec::new(), postponed: None, before };
        for (author, change) in entries {
            let sequence = self.log.position(&change.hash()).unwrap_or_else(|| {
                connection.pushed.insert(change.hash());
                self.log.entries.push((author, change));
                outcome.first_new.get_or_insert(self.log.last());
                outcome.new += 1;
                self.log.last()
            });
            outcome.through = outcome.through.max(sequence);
        }
        self.server_event(index, Committed::Appended { number, outcome: Ok(outcome) }.into());
        let through = self.log.last();
        for other in 0..self.phones.len() {
            self.server_event(other, ServerEvent::Grew { unit: commune(), through });
        }
    }

    fn server_event(&mut self, index: usize, event: ServerEvent) {
        let phone = &mut self.phones[index];
        if let Some(connection) = &mut phone.connection {
            connection.serve(phone.device, event, &mut self.log);
        }
    }

    fn deliver_up(&mut self, index: usize) {
        let frame = self.phones[index].connection.as_mut().and_then(|connection| connection.up.pop_front());
        if let Some(bytes) = frame {
            self.server_event(index, ServerEvent::Frame(decode(&bytes).unwrap()));
        }
    }

    fn deliver_down(&mut self, index: usize) {
        let phone = &mut self.phones[index];
        if let Some(bytes) = phone.connection.as_mut().and_then(|connection| connection.down.pop_front()) {
            phone.client_event(ClientEvent::Frame(decode(&bytes).unwrap()));
        }
    }

    fn count(&mut self) {
        self.log.counted = self.log.entries.len();
        let through = self.log.last();
        for index in 0..self.phones.len() {
            self.server_event(index, ServerEvent::Counted(through));
        }
    }

    fn step(&mut self, action: u8, index: usize, value: u8) {
        let index = index % self.phones.len();
        match action {
            0 | 1 => {
                self.phones[index].edit(value % 4, u32::from(value));
                self.phones[index].client_event(ClientEvent::LocalEdit);
            }
            2 if self.phones[index].connection.is_none() => {
                let log = &mut self.log;
                self.phones[index].connect(log, true);
            }
            3 => self.phones[index].client_event(ClientEvent::Disconnected),
            4..=6 => self.deliver_up(index),
            7..=10 => self.deliver_down(index),
            11 | 12 => self.append(index),
            13 => self.count(),
            _ => {}
        }
        self.check();
    }

    fn check(&self) {
        let hashes: BTreeSet<ChangeHash> = self.log.entries.iter().map(|(_, change)| change.hash()).collect();
        assert_eq!(hashes.len(), self.log.entries.len(), "no chunk stands in the log twice");
        for phone in &self.phones {
            assert!(phone.acked.is_subset(&hashes), "an acknowledged chunk is in the log");
            assert!(phone.acked.is_subset(&phone.chunks), "and stays on the phone");
            let below = self.log.entries.iter().take(phone.cursor.0 as usize);
            for (_, change) in below {
                assert!(phone.chunks.contains(&change.hash()), "the cursor never runs ahead of its data");
            }
        }
    }

    /// Everything is delivered until nothing moves.
    fn heal(&mut self) {
        for index in 0..self.phones.len() {
            if self.phones[index].connection.is_none() {
                let log = &mut self.log;
                self.phones[index].connect(log, true);
            }
        }
        for _ in 0..2_000 {
            for index in 0..self.phones.len() {
                self.deliver_up(index);
                self.append(index);
                self.deliver_down(index);
            }
            self.count();
            let quiet = self.phones.iter().all(|phone| {
                phone.connection.as_ref().is_some_and(|connection| {
                    connection.up.is_empty()
                        && connection.down.is_empty()
                        && connection.appends.is_empty()
                        && connection.server.is_quiescent()
                        && connection.client.is_up_to_date()
                })
            });
            if quiet {
                return;
            }
        }
        panic!("the system did not come to rest");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_converge_after_any_weather(steps in prop::collection::vec((0..14_u8, 0..3_usize, any::<u8>()), 0..120)) {
        let mut world = World { log: Log::default(), phones: (1..=3).map(Phone::new).collect() };
        for (action, index, value) in steps {
            world.step(action, index, value);
        }
        world.heal();
        world.check();
        let logged: BTreeSet<ChangeHash> = world.log.entries.iter().map(|(_, change)| change.hash()).collect();
        for phone in &world.phones {
            prop_assert_eq!(&phone.chunks, &logged);
            prop_assert!(phone.outbox.is_empty());
            prop_assert!(phone.counted, "everything pushed is counted and said so");
            prop_assert_eq!(phone.echoes, 0, "what a session pushed does not come back to it");
            prop_assert_eq!(phone.cursor, world.log.last());
            for (id, document) in &phone.documents {
                prop_assert_eq!(document.read(), world.phones[0].documents[id].read());
                prop_assert_eq!(document.conflicts(), world.phones[0].documents[id].conflicts());
            }
        }
    }
}

/// A device with nothing new: one flight there, one back, and nothing but the greeting and the receipt in it.
#[test]
fn nothing_new_is_one_round_trip() {
    let mut world = World { log: Log::default(), phones: vec![Phone::new(1)] };
    world.phones[0].edit(1, 10);
    world.heal();
    world.phones[0].client_event(ClientEvent::Disconnected);
    let log = &mut world.log;
    world.phones[0].connect(log, false);
    let connection = world.phones[0].connection.as_ref().unwrap();
    let names: Vec<&str> = connection.down.iter().map(|bytes| decode(bytes).unwrap().name()).collect();
    assert_eq!(names, ["WELCOME", "RECEIPT"]);
    assert!(connection.up.is_empty());
}

/// A small outbox rides in HELLO; its acknowledgement is in the server's first flight.
#[test]
fn one_edit_rides_in_hello() {
    let mut world = World { log: Log::default(), phones: vec![Phone::new(1)] };
    world.phones[0].edit(1, 10);
    let log = &mut world.log;
    world.phones[0].connect(log, false);
    world.append(0);
    let connection = world.phones[0].connection.as_ref().unwrap();
    let names: Vec<&str> = connection.down.iter().map(|bytes| decode(bytes).unwrap().name()).collect();
    assert_eq!(names, ["WELCOME", "RECEIPT", "ACK"], "the acknowledgement moves the cursor");
    assert!(connection.up.is_empty(), "nothing further was sent");
    while !world.phones[0].connection.as_ref().unwrap().down.is_empty() {
        world.deliver_down(0);
    }
    assert_eq!(world.phones[0].cursor, world.log.last(), "so that its own edit does not come next time");
}
