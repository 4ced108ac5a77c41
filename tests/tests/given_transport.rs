//! The client over a transport that is not tokio's: one thread, no runtime, virtual time, and the real desk at the other end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use toso_client::{AutoSync, Doing, Transport, enrol_over, subscribe, sync_once_over, sync_until_over};
use toso_core::text::PlaceName;
use toso_replica::{Reach, Replica, SyncError, SyncOptions, SyncState, TeamDraft};
use toso_store::ChunkStore;
use toso_store::faulty::FaultyChunkStore;
use toso_store::memory::MemoryChunkStore;
use toso_tests::sim::Centre;

const UNIT: &str = "2022/00001";

fn transport(centre: &Centre) -> Arc<dyn Transport> {
    Arc::new(centre.clone())
}

fn joined(centre: &Centre, name: &str) -> Arc<Replica> {
    joined_on(centre, name, Arc::new(MemoryChunkStore::new()))
}

fn joined_on(centre: &Centre, name: &str, store: Arc<dyn ChunkStore>) -> Arc<Replica> {
    let asks = centre.asks(&Reach::default()).expect("a way to ask");
    let invite = centre.invite(UNIT.parse().expect("a unit"));
    let credential = centre.run(enrol_over(store.as_ref(), &*asks, &invite, Some(name))).expect("enrolled");
    assert_eq!(credential.unit.to_string(), UNIT);
    Arc::new(Replica::open(store, &centre.options()).expect("opened"))
}

fn record(replica: &Replica, hamlet: &str) {
    let hamlet = Some(PlaceName::parse(hamlet).expect("a name"));
    replica.add_team(TeamDraft { hamlet, ..TeamDraft::default() }).expect("saved");
}

/// Runs what keeps in touch beside what a test does.
async fn beside<T>(task: Doing<'static, ()>, test: impl Future<Output = T>) -> T {
    tokio::select! {
        () = task => panic!("what keeps in touch has ended"),
        done = test => done,
    }
}

#[test]
fn a_device_enrols_and_exchanges_everything_once() {
    let centre = Centre::start(1);
    let phone = joined(&centre, "Máy A");
    record(&phone, "Thôn Một");
    let (report, result) = centre.run(sync_once_over(&transport(&centre), &phone, SyncOptions::default(), |_, _| {}));
    result.expect("exchanged");
    assert_eq!((report.pushed, report.acked, report.up_to_date, report.counted), (1, 1, true, true));
    assert_eq!((centre.changes(), phone.outbox_len().expect("a length"), centre.lines()), (1, 0, 0));
    let other = joined(&centre, "Máy B");
    let (report, result) = centre.run(sync_once_over(&transport(&centre), &other, SyncOptions::default(), |_, _| {}));
    result.expect("exchanged");
    assert_eq!((report.pulled, other.teams().expect("teams").len()), (1, 1));
}

#[test]
fn a_device_hears_live_and_comes_back_by_itself_when_its_line_was_cut() {
    let centre = Centre::start(2);
    let (watching, writing) = (joined(&centre, "Máy A"), joined(&centre, "Máy B"));
    let (handle, task) = AutoSync::over(transport(&centre), Arc::clone(&watching), SyncOptions::default(), true);
    let (mut state, mut heard) = (handle.state(), subscribe(&watching));
    centre.run(beside(task, async {
        drop(state.wait_for(|state| *state == SyncState::UpToDate).await.expect("in touch"));
        record(&writing, "Thôn Một");
        let (_, sent) = sync_once_over(&transport(&centre), &writing, SyncOptions::default(), |_, _| {}).await;
        sent.expect("exchanged");
        while watching.teams().expect("teams").is_empty() {
            heard.recv().await.expect("it comes without being asked for");
        }

        let cut_at = centre.now();
        centre.cut(true);
        record(&watching, "Thôn Hai");
        drop(state.wait_for(|state| *state == SyncState::Offline).await.expect("it notices"));
        let (_, refused) = sync_once_over(&transport(&centre), &writing, SyncOptions::default(), |_, _| {}).await;
        assert!(matches!(refused, Err(SyncError::Unreachable { .. })), "{refused:?}");
        centre.cut(false);
        drop(state.wait_for(|state| *state == SyncState::UpToDate).await.expect("in touch again"));
        assert_eq!((centre.changes(), watching.outbox_len().expect("a length")), (2, 0));
        assert!(centre.now() > cut_at, "it waited before it dialled again");
    }));
    drop(handle);
}

#[test]
fn what_keeps_in_touch_ends_with_its_handle() {
    let centre = Centre::start(3);
    let phone = joined(&centre, "Máy A");
    let (handle, task) = AutoSync::over(transport(&centre), Arc::clone(&phone), SyncOptions::default(), true);
    let mut state = handle.state();
    let test = async {
        drop(state.wait_for(|state| *state == SyncState::UpToDate).await.expect("in touch"));
        assert_eq!(centre.lines(), 1);
        drop(handle);
    };
    centre.run(async { tokio::join!(task, test) });
    assert_eq!(centre.lines(), 0, "its line is closed");
}

/// The story: a page that was being stored when the time was over came to be after the documents had been counted, and the app
/// showed the old ones until something else changed.
#[tokio::test]
async fn a_page_that_is_being_stored_when_the_time_is_over_is_among_the_documents() {
    let centre = Centre::start(4);
    let writing = joined(&centre, "Máy A");
    record(&writing, "Thôn Một");
    let options = SyncOptions::default();
    sync_once_over(&transport(&centre), &writing, options, |_, _| {}).await.1.expect("exchanged");
    let store = Arc::new(FaultyChunkStore::new());
    let reading = joined_on(&centre, "Máy B", Arc::clone(&store) as _);
    let (over, is_over) = oneshot::channel();
    let (goes_on, storing) = mpsc::channel();
    let (over, storing) = (Mutex::new(Some(over)), Mutex::new(storing));
    store.set_waits(move |transaction| {
        if !transaction.chunks.is_empty() {
            // The time is over while the page is on its way to the disk.
            let over = over.lock().take().expect("one page");
            over.send(()).expect("awaited");
            storing.lock().recv().expect("it goes on");
        }
    });
    let over = async {
        is_over.await.expect("a page came");
        std::thread::spawn(move || goes_on.send(()));
    };
    let done = sync_until_over(&transport(&centre), &reading, options, over, |_, _| {}).await;
    assert!(done.result.is_none(), "{:?}", done.result);
    let teams = reading.teams().expect("teams");
    assert_eq!(done.documents, teams.iter().map(|team| team.id).collect::<Vec<_>>());
    assert_eq!(teams.len(), 1);
}

/// The story: when the network was another one, the task that keeps in touch itself waited for the disk, and everything else on
/// its thread with it.
#[tokio::test]
async fn no_task_waits_for_a_disk() {
    let centre = Centre::start(5);
    let store = Arc::new(FaultyChunkStore::new());
    let phone = joined_on(&centre, "Máy A", Arc::clone(&store) as _);
    phone.go_by_requests(&phone.credential().expect("joined")).expect("kept");
    let (commits, runtime) = (Arc::new(AtomicUsize::new(0)), std::thread::current().id());
    let counted = Arc::clone(&commits);
    store.set_waits(move |_| {
        assert_ne!(std::thread::current().id(), runtime, "a thread of its own");
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let (handle, task) = AutoSync::over(transport(&centre), Arc::clone(&phone), SyncOptions::default(), false);
    let mut state = handle.state();
    handle.network_changed(true);
    let in_touch = async { drop(state.wait_for(|state| *state == SyncState::UpToDate).await.expect("in touch")) };
    beside(task, in_touch).await;
    let credential = phone.credential().expect("joined");
    assert!(!phone.goes_by_requests(&credential).expect("a way"), "it was forgotten");
    assert!(commits.load(Ordering::Relaxed) >= 2, "that, and what the server said");
    drop(handle);
}
