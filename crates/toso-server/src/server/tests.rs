//! The end of every part that the server cannot live without is noticed, and a start after it makes good.
//!
//! A server whose log thread had died by a panic once answered every push with "busy" for days, and `/healthz` said
//! that all was well; one whose folding worker had died told phones that their records were counted, and no restart
//! counted them.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::FutureExt as _;
use tokio::sync::oneshot;
use toso_core::change::Change;
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, DeviceId, DocId, Sequence};
use toso_core::record::{TeamLevel, TeamStatus};
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitList, UnitRef};
use toso_store::faulty::{FaultyChangeLog, LogCall};
use toso_store::{Holds, Log as _, LogBatch, Record, RecordChange};
use toso_sync::ServerEvent;
use toso_wire::limits::PROTOCOL_VERSION;
use toso_wire::{Frame, Hello, Proof, TicketProof};
use tower::ServiceExt as _;

use super::*;
use crate::checks::CHECKS_CONCURRENT_MAX;
use crate::driver::Driver;
use crate::tables::VIEW_TABLE;
use crate::trust::ADMIN_TOKEN_FILE;
use crate::turns::{Turns, append_in_turn};

const PATIENCE: Duration = Duration::from_secs(20);

struct Centre {
    folder: tempfile::TempDir,
    log: Arc<FaultyChangeLog>,
    rooms: Rooms,
}

fn open(folder: &tempfile::TempDir, log: &Arc<FaultyChangeLog>) -> Rooms {
    let mut config = ServerConfig::new(folder.path(), "127.0.0.1:0".parse().unwrap());
    (config.fold_workers, config.fold_cache_documents) = (2, 2);
    let records: Arc<dyn RecordStore> = Arc::clone(log) as _;
    Rooms::build(config, Arc::clone(log) as _, &records, Box::new(|| 0), Arc::default()).unwrap()
}

impl Centre {
    fn start() -> Self {
        let (folder, log) = (tempfile::tempdir().unwrap(), Arc::new(FaultyChangeLog::new()));
        let rooms = open(&folder, &log);
        Self { folder, log, rooms }
    }

    /// Waits for the end of a part, which must be the expected one.
    async fn assert_lost(&self, part: Part) {
        let lost = tokio::time::timeout(PATIENCE, self.rooms.shared.vitals.first_lost()).await;
        assert_eq!(lost.expect("the end of the part was not noticed"), part);
        let answer = self.health().await;
        assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, format!("{{\"part\":\"{part}\",\"status\":\"failed\"}}")));
    }

    async fn health(&self) -> (StatusCode, String) {
        let request = Request::get("/healthz").body(Body::empty()).unwrap();
        let answer = rest::router(Arc::clone(&self.rooms.shared)).oneshot(request).await.unwrap();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1024).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn counted(&self, through: Sequence) {
        let reached = tokio::time::timeout(PATIENCE, self.rooms.shared.counted.reached(through)).await;
        reached.expect("counted in time");
    }
}

/// The team's change number `round` of its device.
fn team(number: u32, round: usize) -> Change {
    let doc = DocId::hamlet_team(scope(), &format!("tổ {number}"), 0);
    let author = Author { actor: Actor::new(DeviceId([1; 16]), [1; 8]), at: TimestampMs(1_662_534_000_000) };
    let mut document = Document::new(doc).unwrap();
    let edits =
        [DocEdit::Team(TeamEdit::Level(TeamLevel::Hamlet)), DocEdit::Team(TeamEdit::Status(TeamStatus::Dissolved))];
    let mut changes = edits.iter().map(|edit| document.edit(author, std::slice::from_ref(edit)).unwrap().unwrap());
    let chunk = changes.nth(round).unwrap();
    Change { doc, chunk }
}

fn scope() -> UnitRef {
    UnitRef::new(UnitList::L2022, "00001").unwrap()
}

fn batch(items: Vec<Change>) -> LogBatch {
    LogBatch {
        scope: scope(),
        author: toso_core::id::AuthorId([1; 8]),
        received_at: TimestampMs(1_662_534_000_000),
        items,
    }
}

/// Records whose stored views cannot be read until somebody lets them be.
struct SlowViews {
    records: Arc<FaultyChangeLog>,
    let_go: parking_lot::Mutex<mpsc::Receiver<()>>,
}

impl RecordStore for SlowViews {
    fn record(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.records.record(table, key)
    }
    fn records(&self, table: &str, prefix: &[u8]) -> Result<Vec<Record>, StoreError> {
        self.records.records(table, prefix)
    }
    fn tables(&self) -> Result<Vec<(String, Holds)>, StoreError> {
        self.records.tables()
    }
    fn records_after(&self, table: &str, after: Option<&[u8]>, bytes_max: usize) -> Result<Vec<Record>, StoreError> {
        if table == VIEW_TABLE {
            // Err: the test has let all of them go.
            let _ = self.let_go.lock().recv();
        }
        self.records.records_after(table, after, bytes_max)
    }
    fn command(&self, at: TimestampMs, changes: &[RecordChange]) -> Result<Sequence, StoreError> {
        self.records.command(at, changes)
    }
    fn derive(&self, changes: &[RecordChange]) -> Result<(), StoreError> {
        self.records.derive(changes)
    }
}

/// A country's rows take a second to read back, ten countries' six. Phones are not kept waiting for them.
#[tokio::test]
async fn a_server_takes_changes_while_it_reads_its_stored_views() {
    let centre = Centre::start();
    centre.rooms.shared.writer.append(batch(vec![team(0, 0)])).await.unwrap();
    centre.counted(centre.log.last()).await;
    let Centre { folder, log, rooms } = centre;
    rooms.shared.vitals.stopping();
    tokio::task::spawn_blocking(move || rooms.folding.stop()).await.unwrap();

    let (let_go, waits) = mpsc::channel();
    let records: Arc<dyn RecordStore> =
        Arc::new(SlowViews { records: Arc::clone(&log), let_go: parking_lot::Mutex::new(waits) });
    let config = ServerConfig::new(folder.path(), "127.0.0.1:0".parse().unwrap());
    let rooms = Rooms::build(config, Arc::clone(&log) as _, &records, Box::new(|| 0), Arc::default()).unwrap();
    let again = Centre { folder, log, rooms };
    // Dropped first, so that a failure of this test does not wait for ever.
    let let_go = let_go;
    again.rooms.shared.writer.append(batch(vec![team(1, 0)])).await.unwrap();
    assert_eq!(again.health().await.0, StatusCode::OK);
    assert!(!again.rooms.shared.views.are_whole());
    let report = ask_as_admin(&again, "127.0.0.1:5000", "/v1/report?list=2022");
    let mut report = Box::pin(report);
    assert!((&mut report).now_or_never().is_none(), "figures without what is stored are wrong");
    drop(let_go);
    let (status, text) = tokio::time::timeout(PATIENCE, report).await.expect("the views are read");
    assert_eq!(status, StatusCode::OK, "{text}");
    again.counted(again.log.last()).await;
    assert_eq!(again.rooms.shared.views.lock().totals(scope()).unwrap().teams, 2);
}

#[tokio::test]
async fn a_server_that_lives_is_well() {
    let centre = Centre::start();
    centre.rooms.shared.writer.append(batch(vec![team(0, 0)])).await.unwrap();
    centre.counted(centre.log.last()).await;
    assert_eq!(centre.health().await, (StatusCode::OK, "{\"status\":\"ok\"}".to_owned()));
}

/// After a restore a change came to the log before what it builds on: both were returned by one session, and the note of the
/// second was the first on the disk.
#[tokio::test]
async fn pushes_reach_the_log_in_their_order_however_long_their_notes_take() {
    let centre = Centre::start();
    let writer = &centre.rooms.shared.writer;
    let end = centre.log.end();
    let mut turns = Turns::default();
    let (note, noted) = oneshot::channel();
    let first = async { noted.await.unwrap() };
    let first = append_in_turn(writer, turns.take(), batch(vec![team(0, 0)]).into(), first);
    let second = append_in_turn(writer, turns.take(), batch(vec![team(0, 1)]).into(), std::future::ready(true));
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    assert!((&mut second).now_or_never().is_none() && (&mut first).now_or_never().is_none());
    note.send(true).unwrap();
    let (first, second) = tokio::join!(first, second);
    let places = [first, second].map(|accepted| accepted.unwrap().appended.first_new);
    assert_eq!(places, [Some(end.plus(1)), Some(end.plus(2))]);
    // One that is not noted is not appended, and keeps nobody from his turn.
    let lost = append_in_turn(writer, turns.take(), batch(vec![team(1, 0)]).into(), std::future::ready(false));
    let third = append_in_turn(writer, turns.take(), batch(vec![team(2, 0)]).into(), std::future::ready(true));
    let (lost, third) = tokio::join!(lost, third);
    assert!(lost.is_err() && third.unwrap().appended.first_new == Some(end.plus(3)));
}

#[tokio::test]
async fn the_end_of_the_logs_thread_is_noticed() {
    let centre = Centre::start();
    centre.log.end_callers_of(Some(LogCall::Append));
    assert!(centre.rooms.shared.writer.append(batch(vec![team(0, 0)])).await.is_err());
    centre.assert_lost(Part::Log).await;
}

#[tokio::test]
async fn the_end_of_the_counting_thread_is_noticed() {
    let centre = Centre::start();
    centre.log.end_callers_of(Some(LogCall::Read));
    centre.rooms.shared.writer.append(batch(vec![team(0, 0)])).await.unwrap();
    centre.assert_lost(Part::Folding).await;
}

/// What was counted with the page of a dead worker was once counted without it for good: the checkpoint went past it.
#[tokio::test]
async fn the_end_of_a_worker_is_noticed_and_nothing_is_counted_without_it() {
    let centre = Centre::start();
    let shared = &centre.rooms.shared;
    // More teams than are kept in memory.
    let count = 12;
    shared.writer.append(batch((0..count).map(|number| team(number, 0)).collect())).await.unwrap();
    let before = centre.log.last();
    centre.counted(before).await;
    centre.log.end_callers_of(Some(LogCall::Document));
    shared.writer.append(batch((0..count).map(|number| team(number, 1)).collect())).await.unwrap();
    centre.assert_lost(Part::Merging).await;
    let Centre { folder, log, rooms } = centre;
    let (counted, views) = (Arc::clone(&rooms.shared.counted), Arc::clone(&rooms.shared.views));
    rooms.shared.vitals.stopping();
    tokio::task::spawn_blocking(move || rooms.folding.stop()).await.unwrap();
    assert_eq!((counted.current(), views.lock().as_of()), (before, before));
    log.end_callers_of(None);
    let fresh = || Projector::new(Catalog::shared());
    let loaded = crate::folding::Loaded::load(&*log, log.last(), &mut fresh(), fresh).unwrap();
    assert_eq!(loaded.through, before, "the checkpoint is the one before");
    let rooms = open(&folder, &log);
    let again = Centre { folder, log, rooms };
    again.counted(again.log.last()).await;
    let totals = again.rooms.shared.views.lock().totals(scope()).unwrap();
    assert_eq!(totals.teams, 0, "the page is counted anew");
}

/// Signatures take a core's time. A device that proves itself by a token waits for a place where that is spent; one that shows a
/// ticket does not wait with it.
#[tokio::test]
async fn tokens_wait_for_the_places_of_checks_and_tickets_do_not() {
    let centre = Centre::start();
    let shared = &centre.rooms.shared;
    let (mut held, mut busy) = (Vec::new(), Vec::new());
    for _ in 0..CHECKS_CONCURRENT_MAX {
        let (release, wait) = mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let of_check = Arc::clone(shared);
        let work = move || {
            begun.send(()).unwrap();
            // Err: let go.
            let _ = wait.recv();
        };
        busy.push(tokio::spawn(async move { of_check.checks.run(work).await }));
        has_begun.await.unwrap();
        held.push(release);
    }
    let hello = |proof| {
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            proof,
            epoch: None,
            interests: Vec::new(),
            live: false,
            push: None,
            heard: None,
            page_bytes: None,
            receipt: None,
        };
        let mut driver = Driver::new(Arc::clone(shared));
        driver.feed(ServerEvent::Frame(Frame::Hello(hello)));
        driver
    };
    let mut by_ticket = hello(Proof::Ticket(TicketProof::from_bytes(&[1; 28])));
    assert!(!by_ticket.is_proving() && by_ticket.pop_out().is_some(), "answered at once");
    let token = Proof::Token { token: vec![1; 64], at: now(), nonce: vec![2; 8], signature: vec![3; 64] };
    let mut by_token = hello(token);
    assert!(by_token.next().now_or_never().is_none() && by_token.is_proving() && by_token.pop_out().is_none());
    drop(held);
    let done = tokio::time::timeout(PATIENCE, by_token.next()).await.expect("checked in time");
    by_token.take(done);
    assert!(!by_token.is_proving() && by_token.is_ended() && by_token.pop_out().is_some(), "it proves nothing");
    for busy in busy {
        assert_eq!(busy.await.unwrap(), Some(()));
    }
}

/// An answer of REST to the admin token in a request for `path` that came from `peer`.
async fn ask_as_admin(centre: &Centre, peer: &str, path: &str) -> (StatusCode, String) {
    let token = std::fs::read_to_string(centre.folder.path().join(ADMIN_TOKEN_FILE)).unwrap();
    let mut request =
        Request::get(path).header("Host", "127.0.0.1:7878").header("Toso-Purpose", "test").body(Body::empty()).unwrap();
    request.headers_mut().insert("Authorization", format!("Bearer {}", token.trim()).parse().unwrap());
    request.extensions_mut().insert(connections::Peer(peer.parse().unwrap()));
    let answer = rest::router(Arc::clone(&centre.rooms.shared)).oneshot(request).await.unwrap();
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The admin token opens everything, so it is for the machine itself, and for a time.
#[tokio::test]
async fn the_admin_token_is_refused_from_another_machine_and_after_its_end() {
    let centre = Centre::start();
    assert_eq!(ask_as_admin(&centre, "127.0.0.1:5000", "/metrics").await.0, StatusCode::OK);
    assert_eq!(ask_as_admin(&centre, "[::1]:5000", "/metrics").await.0, StatusCode::OK);
    for elsewhere in ["192.168.1.4:5000", "[2001:db8::1]:5000"] {
        let (status, text) = ask_as_admin(&centre, elsewhere, "/metrics").await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
        assert!(text.contains("urn:toso:admin-from-elsewhere") && text.contains("from another machine"), "{text}");
    }
    // Made by a clock that lay a year behind: it has ended by now.
    let year_ago = TimestampMs(now().0 - 365 * 24 * 60 * 60 * 1000);
    assert!(centre.rooms.shared.trust.renew_admin_token(year_ago).unwrap());
    let (status, text) = ask_as_admin(&centre, "127.0.0.1:5000", "/metrics").await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
    assert!(text.contains("it has ended; read the file admin.token again"), "{text}");
}

/// A payload that panics once more when it is dropped: nothing that a thread does by itself is safe from everything.
struct Twice;

impl Drop for Twice {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new("a planted bug"));
    }
}

#[tokio::test]
async fn the_end_of_a_reading_thread_is_noticed() {
    let centre = Centre::start();
    let read = centre.rooms.shared.readers.run(false, || -> u32 { std::panic::resume_unwind(Box::new(Twice)) });
    assert_eq!(read.await, None);
    centre.assert_lost(Part::Reading).await;
}

#[tokio::test]
async fn the_end_of_the_accepting_loop_is_noticed() {
    let centre = Centre::start();
    centre.rooms.accept(connections::listen("127.0.0.1:0".parse().unwrap()).unwrap());
    centre.rooms.shared.stop.cancel();
    centre.assert_lost(Part::Accepting).await;
}

#[tokio::test]
async fn a_store_that_refuses_all_writes_is_noticed() {
    let centre = Centre::start();
    centre.rooms.shared.vitals.lose(Part::Storage);
    centre.assert_lost(Part::Storage).await;
}

/// Stopping waits for nothing that has ended, and a disk that cannot be read does not keep a worker from stopping.
#[tokio::test]
async fn a_server_without_its_log_thread_stops() {
    let centre = Centre::start();
    centre.log.end_callers_of(Some(LogCall::Append));
    assert!(centre.rooms.shared.writer.append(batch(vec![team(0, 0)])).await.is_err());
    centre.assert_lost(Part::Log).await;
    let addr = "127.0.0.1:0".parse().unwrap();
    let begun = Instant::now();
    RunningServer { addr, rooms: Some(centre.rooms) }.shutdown().await;
    assert!(begun.elapsed() < PATIENCE);
}

/// The command stands in the log to be copied, and must work there.
#[test]
fn the_command_that_ends_a_quarantine_calls_this_machine() {
    let called = |listening: &str| {
        let words = quarantine_words(listening.parse().unwrap(), Path::new("/data/admin.token"));
        let (_, after) = words.split_once("--server ").unwrap();
        after.split(' ').next().unwrap().to_owned()
    };
    assert_eq!(called("0.0.0.0:7878"), "http://127.0.0.1:7878");
    assert_eq!(called("[::]:7878"), "http://[::1]:7878");
    assert_eq!(called("127.0.0.1:80"), "http://127.0.0.1:80");
}
