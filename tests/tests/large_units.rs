//! A unit of more chunks than are compared, after the server was restored: real server, real socket, real sled. It comes
//! whole once, the device gives back what the server lost, and from then on only what is new travels.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use toso_client::rest::{Caller, Rest};
use toso_client::{Invite, enrol, make_invite, sync_once};
use toso_core::text::PlaceName;
use toso_core::time::TimestampMs;
use toso_replica::{Replica, SyncOptions, SyncReport, TeamDraft};
use toso_server::upkeep::backup;
use toso_server::upkeep::restore::{Mode, Sources, restore};
use toso_server::{RunningServer, Server, ServerConfig};
use toso_store::memory::MemoryChunkStore;
use toso_tests::COMMUNE;

/// What is compared in this test.
const KEYS_MAX: u64 = 12;

async fn start(data: &Path, listen: SocketAddr) -> RunningServer {
    let mut config = ServerConfig::new(data, listen);
    (config.cache_bytes, config.reconcile_keys_max) = (8 << 20, KEYS_MAX);
    Server::start(config).await.expect("it starts")
}

async fn device(server: &RunningServer) -> Arc<Replica> {
    let admin = std::fs::read_to_string(server.admin_token_path().expect("running")).expect("the admin token");
    let url = format!("http://{}", server.addr());
    let enrolled = tokio::task::spawn_blocking(move || {
        let (rest, officer) =
            (Rest::default(), Caller::Bearer { token: admin.trim().to_owned(), purpose: "a test".to_owned() });
        let unit = format!("2022/{COMMUNE}").parse().expect("a unit");
        let invite = make_invite(&rest, &url, &officer, unit, "recorder", Duration::from_secs(60)).expect("an invite");
        let store = Arc::new(MemoryChunkStore::default());
        enrol(store.as_ref(), &rest, &Invite::parse(&invite.text).expect("an invite"), None).expect("enrolled");
        Arc::new(Replica::open(store, &toso_client::system::options()).expect("opened"))
    });
    enrolled.await.expect("the thread")
}

async fn sync(replica: &Arc<Replica>) -> SyncReport {
    let (report, result) = sync_once(replica, SyncOptions::default(), |_, _| {}).await;
    result.expect("it syncs");
    assert!(report.up_to_date, "{report:?}");
    report
}

fn add_team(replica: &Replica, hamlet: &str) {
    let hamlet = Some(PlaceName::parse(hamlet).expect("a name"));
    replica.add_team(TeamDraft { hamlet, ..TeamDraft::default() }).expect("saved");
}

fn teams(replica: &Replica) -> u64 {
    replica.teams().expect("a list").len() as u64
}

fn now() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    TimestampMs(u64::try_from(since.as_millis()).expect("before the year 500 million"))
}

/// A unit of so many chunks; the server is restored from a backup that lacks one more, which only one phone has.
async fn a_restore_of(chunks: u64) {
    let folder = TempDir::new().expect("a temporary folder");
    let (data, again, file) =
        (folder.path().join("centre"), folder.path().join("again"), folder.path().join("backup.zst"));
    let server = start(&data, "127.0.0.1:0".parse().expect("an address")).await;
    let address = server.addr();
    let (holder, other) = (device(&server).await, device(&server).await);
    for number in 0..chunks {
        add_team(&holder, &format!("Thôn {number}"));
    }
    assert_eq!(sync(&holder).await.acked, chunks);
    assert_eq!(sync(&other).await.pulled, chunks);
    server.shutdown().await;
    backup::export(&data, now(), &mut |lost| panic!("{lost}"), &mut std::fs::File::create(&file).expect("a file"))
        .expect("a backup");

    let server = start(&data, address).await;
    add_team(&holder, "Thôn Mới");
    assert_eq!(sync(&holder).await.acked, 1);
    server.shutdown().await;
    let key = data.join("root.key");
    let sources = Sources { from: &file, key: Some(&key), revocations: None };
    restore(sources, &again, Mode::Restore, now()).expect("restored");
    let server = start(&again, address).await;

    let report = sync(&holder).await;
    let whole = if chunks > KEYS_MAX { chunks } else { 0 };
    assert_eq!((report.pulled, report.acked), (whole, 1), "{chunks} chunks: what was lost comes back: {report:?}");
    // Its epoch is the server's now, and its cursor is of it: nothing is compared or sent again, but perhaps the one change
    // that the cursor had not passed yet when the exchange ended.
    let report = sync(&holder).await;
    assert_eq!((report.pushed, report.round_trips), (0, 1), "{chunks} chunks: {report:?}");
    assert!(report.pulled <= 1, "{chunks} chunks: {report:?}");

    // With what came back, the unit is past the bound for the other phone in either case.
    assert_eq!(sync(&other).await.pulled, chunks + 1);
    assert_eq!((teams(&other), teams(&holder)), (chunks + 1, chunks + 1));
    add_team(&other, "Thôn Sau Cùng");
    let report = sync(&other).await;
    assert_eq!((report.pulled, report.acked), (0, 1), "{report:?}");
    assert_eq!(sync(&holder).await.pulled, 1, "only what is new");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_at_the_limit_is_compared_after_a_restore() {
    a_restore_of(KEYS_MAX).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_one_past_the_limit_comes_whole_once_after_a_restore() {
    a_restore_of(KEYS_MAX + 1).await;
}
