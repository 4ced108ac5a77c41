//! Poor networks for real: far, slow, cut every few kilobytes, stalling, and sockets that nobody says are dead.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use toso_client::{
    AutoSync, AutoSyncHandle, Invite, Replica, ReplicaOptions, SyncOptions, SyncState, TeamDraft, enrol,
};
use toso_core::text::PlaceName;
use toso_store::memory::MemoryChunkStore;
use toso_tests::{COMMUNE, LinkShape, Server, SlowLink};

/// A device whose server is behind a link.
fn device(server: &Server, url: &str) -> Arc<Replica> {
    let mut invite = Invite::parse(&server.invite(COMMUNE, "recorder")).expect("it is an invite");
    server.url().clone_into(&mut invite.url);
    let store = Arc::new(MemoryChunkStore::default());
    let mut credential = enrol(store.as_ref(), &toso_client::rest::Rest::default(), &invite, None).expect("enrolled");
    // Enrolment went directly: only sync is looked at.
    url.clone_into(&mut credential.server_url);
    credential.keep(store.as_ref()).expect("kept");
    Arc::new(Replica::open(store, &ReplicaOptions::default()).expect("opened"))
}

fn add_team(replica: &Replica, hamlet: &str) {
    let hamlet = PlaceName::parse(hamlet).expect("a name");
    replica.add_team(TeamDraft { hamlet: Some(hamlet), ..TeamDraft::default() }).expect("recorded");
}

async fn reach(sync: &AutoSyncHandle, wanted: SyncState, within: Duration) {
    let mut state = sync.state();
    let reached = tokio::time::timeout(within, state.wait_for(|state| *state == wanted)).await;
    reached.unwrap_or_else(|_| panic!("not {wanted:?} within {within:?}: {:?}", sync.state().borrow())).expect("runs");
}

async fn unsent_gone(replica: &Replica, within: Duration) -> Duration {
    let start = Instant::now();
    while replica.status().expect("readable").unsent > 0 {
        assert!(start.elapsed() < within, "still unsent after {within:?}: {:?}", replica.status());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    start.elapsed()
}

/// A phone that changes from one network to another keeps a socket on which nothing will ever come. The platform tells
/// of the new network; the device must not wait until two minutes of silence are over.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_network_replaces_a_stale_socket_at_once() {
    let data = TempDir::new().expect("a temporary folder");
    let server = Server::start(data.path());
    let link = SlowLink::shaped(server.address(), LinkShape::far(Duration::from_millis(100)));
    let replica = device(&server, link.url());
    let sync = AutoSync::start(Arc::clone(&replica), SyncOptions::default());
    reach(&sync, SyncState::UpToDate, Duration::from_secs(10)).await;
    for hint in [|sync: &AutoSyncHandle| sync.network_changed(true), AutoSyncHandle::sync_now] {
        link.go_deaf();
        add_team(&replica, &format!("Thôn {}", link.passed().len()));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(replica.status().expect("readable").unsent, 1, "the old socket is dead");
        hint(&sync);
        unsent_gone(&replica, Duration::from_secs(5)).await;
    }
}
