//! What one change costs on its way: from a phone's save to the report, and back to another phone.
//!
//! The story: one change wore a shape of its own in every room, was copied at each door and parsed again by whoever had it
//! from its own store. Here the way is walked once, in one thread, and at each part the walks through a change, its decodings
//! by Automerge, and the memory asked for are counted. `docs/performance.md` (*One change's way*) tells the figures in words.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics on what must not happen, and says its figures"
)]

use std::sync::Arc;

use parking_lot::Mutex;
use toso_catalog::Catalog;
use toso_core::chunk::counted::{Work, take};
use toso_core::edit::TeamEdit;
use toso_core::id::{DeviceId, Digest, DocId, Epoch, Sequence, ServerId};
use toso_core::text::{Note, PlaceName};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;
use toso_projection::Projector;
use toso_replica::{Credential, Reach, Replica, ReplicaOptions, TeamDraft};
use toso_server::folding::{FoldByPage, Loaded};
use toso_server::set_aside::SetAside;
use toso_server::views::Views;
use toso_store::memory::{MemoryChangeLog, MemoryChunkStore};
use toso_store::{ChangeLog, ChunkStore, LogBatch, RecordStore};
use toso_store_sled::{Options, SledChangeLog, SledChunkStore};
use toso_sync::client;
use toso_sync::server::{Answer, Append, Appending, Commit};
use toso_sync::{
    AccessRole, Authenticated, ClientEvent, Opened, OpenedInterest, PageEntry, PageRead, Principal, ServerEffect,
    ServerEvent, ServerSession, Standing,
};
use toso_wire::{Frame, Hello, Interest, Push, decode, encode};

#[path = "../../crates/toso-sync/tests/support/greeting.rs"]
mod greeting;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);

fn commune() -> Scope {
    "2022/00001".parse().unwrap()
}

/// A part of the way: what was done with changes, and how many bytes of memory were asked for.
#[derive(Debug, Clone, Copy)]
struct Part {
    name: &'static str,
    work: Work,
    bytes: u64,
}

fn part<T>(name: &'static str, parts: &mut Vec<Part>, run: impl FnOnce() -> T) -> T {
    take();
    let mut result = None;
    let asked = allocation_counter::measure(|| result = Some(run()));
    parts.push(Part { name, work: take(), bytes: asked.bytes_total });
    result.unwrap()
}

fn credential() -> Credential {
    Credential {
        server_url: "http://127.0.0.1:9".to_owned(),
        server_id: ServerId([1; 16]),
        token: vec![1],
        unit: commune(),
        role: "recorder".to_owned(),
        token_ends: None,
        reach: Reach::default(),
    }
}

fn phone(store: Arc<dyn ChunkStore>, seed: u8) -> Replica {
    credential().keep(store.as_ref()).unwrap();
    let next = Mutex::new(seed);
    let random = Arc::new(move |bytes: &mut [u8]| {
        let mut next = next.lock();
        for byte in bytes {
            *next = next.wrapping_mul(37).wrapping_add(101);
            *byte = *next;
        }
    });
    Replica::open(store, &ReplicaOptions::new(Arc::new(|| NOW), random)).unwrap()
}

/// A session of a device that follows the commune from the log's beginning.
fn session(device: DeviceId, last: u64) -> ServerSession {
    let hello = Hello {
        protocol: 1,
        proof: greeting::proof(),
        epoch: Some(Epoch(1)),
        interests: vec![Interest { unit: commune(), cursor: Sequence::ZERO, digest: Digest::default() }],
        live: true,
        push: None,
        heard: None,
        page_bytes: None,
        receipt: None,
    };
    let mut session = ServerSession::new(Catalog::shared());
    session.handle(NOW, ServerEvent::Frame(Frame::Hello(hello)));
    let principal = Principal { device, role: AccessRole::Recorder, unit: commune() };
    let greeting = greeting::greeting(Epoch(1), NOW);
    let known = Authenticated { principal, greeting, standing: Standing::default() };
    session.handle(NOW, Answer::Authenticated(Ok(known)).into());
    let opened = OpenedInterest { cursor: Sequence::ZERO, reconcile: None, last: Sequence(last), pending: last };
    let opened = Opened { epoch: Epoch(1), takes_returns: false, interests: vec![opened], page: None };
    session.handle(NOW, Answer::Opened(opened).into());
    session
}

/// A note of letters that repeat as little as they can.
fn note(letters: usize) -> Note {
    let mut state = 7_u32;
    let letter = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + u8::try_from((*state >> 24) % 26).unwrap())
    };
    Note::parse(&(0..letters).map(|_| letter(&mut state)).collect::<String>()).unwrap()
}

/// Walks the way of one change, and gives its size and what each part cost.
fn walk<L>(letters: usize, log: &Arc<L>, own: Arc<dyn ChunkStore>, other: Arc<dyn ChunkStore>) -> (usize, Vec<Part>)
where
    L: ChangeLog + RecordStore + 'static,
{
    let (store, credential) = (Arc::clone(&own), credential());
    let (author, reader) = (phone(own, 1), phone(other, 2));
    let as_log = Arc::clone(log) as Arc<dyn ChangeLog>;
    let records = Arc::clone(log) as Arc<dyn RecordStore>;
    let catalog = Catalog::shared();
    let mut projector = Projector::new(catalog);
    let loaded = Loaded::load(&*records, log.last(), &mut projector, || Projector::new(catalog)).unwrap();
    let views = Arc::new(Views::new(projector));
    let aside = Arc::new(SetAside::load(catalog, &*as_log, Arc::clone(&records)).unwrap());
    let mut folder = FoldByPage::new(Arc::clone(&as_log), records, views, loaded, 16, aside);
    let (mut pushing, mut pulling) = (session(author.device().id(), 0), session(reader.device().id(), 1));
    let mut parts = Vec::new();
    let name = PlaceName::parse("Thôn 1").unwrap();
    let draft =
        TeamDraft { hamlet: Some(name), edits: vec![TeamEdit::Note(Some(note(letters)))], ..TeamDraft::default() };

    let doc: DocId = part("save", &mut parts, || author.add_team(draft).unwrap());
    let size = store.chunks(doc).unwrap().first().unwrap().bytes().len();
    let pushed = part("push", &mut parts, || {
        let read = toso_replica::Work::Query(client::Query::ReadOutbox(client::ReadOutbox {
            after: 0,
            bytes_max: usize::MAX,
            resting: false,
        }));
        let ClientEvent::Answer(client::Answer::Outbox(client::NextPush::Own(batch))) =
            author.perform(&credential, read).unwrap()
        else {
            panic!()
        };
        let items = batch.items.iter().map(|item| item.change.raw()).collect();
        encode(&Frame::Push(Push { number: 1, scope: batch.scope, items, carried: None }))
    });
    let batch = part("accept", &mut parts, || {
        let effects = pushing.handle(NOW, ServerEvent::Frame(decode(&pushed).unwrap()));
        let batch = effects.into_iter().find_map(|effect| {
            let ServerEffect::Commit(Commit::Append(Append { push: Appending { scope, author, .. }, items })) = effect
            else {
                return None;
            };
            Some(LogBatch { scope, author, received_at: NOW, items })
        });
        batch.unwrap()
    });
    part("append", &mut parts, || log.append(&[batch]).unwrap());
    part("count", &mut parts, || folder.fold_page().unwrap().unwrap());
    let delta = part("page", &mut parts, || {
        let page = log.read_scopes(&[commune()], Sequence::ZERO, 512, 1 << 16).unwrap();
        let entries = page.entries.into_iter().map(|entry| PageEntry { entry, returned_by: None }).collect();
        let page = PageRead { unit: commune(), entries, through: page.through, more: page.more };
        let effects = pulling.handle(NOW, Answer::Page(page).into());
        let frame = effects.into_iter().find_map(|effect| {
            let ServerEffect::Send(frame @ Frame::Delta(_)) = effect else { return None };
            Some(frame)
        });
        encode(&frame.unwrap())
    });
    part("receive", &mut parts, || {
        let Frame::Delta(delta) = decode(&delta).unwrap() else { panic!() };
        reader.perform(&credential, toso_replica::Work::Commit(client::Commit::Delta(delta))).unwrap();
    });
    assert_eq!(reader.team(doc).unwrap().record.note, author.team(doc).unwrap().record.note);
    (size, parts)
}

/// A long note and a short one: what the long one needs more, in times of what it is longer, is how often its bytes were
/// copied. All that has nothing to do with its length is needed by both.
const LONG: usize = 1_900;
const SHORT: usize = 100;

/// Copies in each part, in tenths. The first walk of all makes what stays for the process, and does not count.
fn copies(walk: impl Fn(usize) -> (usize, Vec<Part>)) -> Vec<(&'static str, u64)> {
    walk(LONG);
    let ((short, of_short), (long, of_long)) = (walk(SHORT), walk(LONG));
    let longer = u64::try_from(long - short).unwrap();
    let copies = of_short.iter().zip(&of_long).map(|(short, long)| {
        let tenths = 10 * long.bytes.saturating_sub(short.bytes) / longer;
        println!("{}: {:?}, {}.{} copies, {} bytes", long.name, long.work, tenths / 10, tenths % 10, long.bytes);
        (long.name, tenths)
    });
    copies.collect()
}

/// Whoever has a change from outside walks and decodes it once; whoever folds it walks it once; nobody else looks at it.
fn assert_work(parts: &[Part]) {
    let work: Vec<_> = parts.iter().map(|part| (part.name, part.work.scans, part.work.decodes)).collect();
    let expected = [
        ("save", 1, 0),
        ("push", 0, 0),
        ("accept", 1, 1),
        ("append", 0, 0),
        ("count", 1, 0),
        ("page", 0, 0),
        // Checked, since it comes from outside, and read for what the list shows.
        ("receive", 2, 1),
    ];
    assert_eq!(work, expected);
}

fn in_memory(letters: usize) -> (usize, Vec<Part>) {
    let log = Arc::new(MemoryChangeLog::new());
    walk(letters, &log, Arc::new(MemoryChunkStore::new()), Arc::new(MemoryChunkStore::new()))
}

#[test]
fn a_change_is_walked_once_where_it_comes_in_and_once_where_it_is_folded() {
    let (_, parts) = in_memory(LONG);
    assert_work(&parts);
    for ((part, found), (expected, at_most)) in copies(in_memory).into_iter().zip([
        ("save", 180),
        ("push", 60),
        ("accept", 45),
        ("append", 1),
        ("count", 110),
        ("page", 180),
        ("receive", 200),
    ]) {
        assert_eq!(part, expected);
        assert!(found <= at_most, "{part}: {found} tenths of a copy, at most {at_most}");
    }
}

#[test]
fn stores_on_a_disk_give_changes_back_without_a_look_at_them() {
    let on_disk = |letters| {
        let root = tempfile::tempdir().unwrap();
        let store = |name: &str| Arc::new(SledChunkStore::open(root.path().join(name), Options::phone()).unwrap());
        let log = Arc::new(SledChangeLog::open(root.path().join("log"), Options::phone()).unwrap());
        walk(letters, &log, store("own"), store("other"))
    };
    let (_, parts) = on_disk(LONG);
    assert_work(&parts);
    copies(on_disk);
}
