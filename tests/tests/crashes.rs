//! `kill -9`, at the worst moments: nothing acknowledged is lost, and everything else arrives later.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use toso_client::system::fill;
use toso_client::{AutoSync, Invite, enrol, subscribe};
use toso_core::id::DocId;
use toso_core::text::{PlaceName, hamlet_key};
use toso_core::unit::{UnitList, UnitRef};
use toso_replica::{Device, Replica, SyncOptions, SyncState, TeamDraft};
use toso_store::memory::MemoryChunkStore;
use toso_tests::{COMMUNE, FieldDevice, Server};

/// Devices that edit while the server dies.
const DEVICES: usize = 50;
/// Teams that each records.
const TEAMS_EACH: usize = 8;
/// How long everything may take to arrive after the restart.
const PATIENCE: Duration = Duration::from_secs(90);

fn replica(server: &Server) -> Arc<Replica> {
    let store = Arc::new(MemoryChunkStore::default());
    let invite = Invite::parse(&server.invite(COMMUNE, "recorder")).expect("it is an invite");
    enrol(store.as_ref(), &toso_client::rest::Rest::default(), &invite, None).expect("enrolled");
    Arc::new(Replica::open(store, &toso_client::system::options()).expect("opened"))
}

/// The team of a hamlet of the suites' commune.
fn team(hamlet: &str) -> DocId {
    DocId::hamlet_team(UnitRef::new(UnitList::L2022, COMMUNE).expect("a unit"), &hamlet_key(hamlet), 0)
}

/// Of these teams, recorded by this replica itself, those that it has seen acknowledged.
fn acknowledged(replica: &Replica, own: impl IntoIterator<Item = DocId>) -> usize {
    own.into_iter().filter(|id| !replica.store().receipts(*id).expect("readable").is_empty()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_keeps_every_acknowledged_edit_and_gets_the_others() {
    let data = TempDir::new().expect("a temporary folder");
    let server = Server::start(data.path());
    let replicas: Vec<Arc<Replica>> = (0..DEVICES).map(|_| replica(&server)).collect();
    let syncs: Vec<_> =
        replicas.iter().map(|replica| AutoSync::start(Arc::clone(replica), SyncOptions::default())).collect();

    let killed = Arc::new(tokio::sync::Semaphore::new(0));
    let editing: Vec<_> = replicas
        .iter()
        .enumerate()
        .map(|(index, replica)| {
            let (replica, killed) = (Arc::clone(replica), Arc::clone(&killed));
            tokio::spawn(async move {
                for number in 0..TEAMS_EACH {
                    if number + 1 == TEAMS_EACH {
                        // At least one edit of every device meets a dead server.
                        let _killed = killed.acquire().await.expect("never closed");
                    }
                    let hamlet = PlaceName::parse(&format!("Thôn {index} {number}")).expect("a name");
                    let draft = TeamDraft { hamlet: Some(hamlet), ..TeamDraft::default() };
                    replica.add_team(draft).expect("recorded");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
        })
        .collect();
    // In the middle of the burst: some edits are acknowledged, others are on their way.
    let acknowledged_now = || -> usize {
        let of = |(index, replica): (usize, &Arc<Replica>)| {
            acknowledged(replica, (0..TEAMS_EACH).map(|number| team(&format!("Thôn {index} {number}"))))
        };
        replicas.iter().enumerate().map(of).sum()
    };
    while acknowledged_now() < DEVICES {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut server = server;
    server.kill();
    let acknowledged_before = acknowledged_now();
    killed.add_permits(DEVICES);
    for task in editing {
        task.await.expect("editing goes on without a server");
    }
    println!("{acknowledged_before} teams were acknowledged before the kill");
    assert!(acknowledged_before < DEVICES * TEAMS_EACH, "the kill came while edits were under way");

    // On the same folder and port; the devices come back by themselves.
    let server = server.kill_and_restart();
    let admin = server.admin_token();
    let url = server.url().to_owned();
    let counted = tokio::task::spawn_blocking(move || {
        let start = Instant::now();
        loop {
            let report =
                toso_tests::http::get(&format!("{url}/v1/report?list=2022&unit={COMMUNE}&format=json"), Some(&admin))
                    .json();
            if report["teams"] == (DEVICES * TEAMS_EACH) as u64 {
                return report;
            }
            assert!(start.elapsed() < PATIENCE, "the report stays at {} teams", report["teams"]);
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    assert!(counted.await.expect("counted").is_object());
    for (replica, sync) in replicas.iter().zip(&syncs) {
        let mut state = sync.state();
        let settled = tokio::time::timeout(PATIENCE, state.wait_for(|state| *state == SyncState::UpToDate)).await;
        settled.expect("the device is up to date by itself").expect("sync runs");
        // Every team of every device comes to every device, and none is waiting.
        let start = Instant::now();
        while replica.teams().expect("readable").len() < DEVICES * TEAMS_EACH
            || replica.status().expect("readable").unsent > 0
        {
            assert!(start.elapsed() < PATIENCE, "{:?}", replica.status());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What the server had acknowledged is in its log by itself: no device helps.
#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_edits_are_there_without_the_devices() {
    let data = TempDir::new().expect("a temporary folder");
    let server = Server::start(data.path());
    let replica = replica(&server);
    let sync = AutoSync::start(Arc::clone(&replica), SyncOptions::default());
    let mut receipts = subscribe(&replica);
    let mut server = server;
    let own = || (0..20).map(|number| team(&format!("Thôn {number}")));
    for number in 0..20 {
        let hamlet = PlaceName::parse(&format!("Thôn {number}")).expect("a name");
        replica.add_team(TeamDraft { hamlet: Some(hamlet), ..TeamDraft::default() }).expect("recorded");
    }
    // Dies with the first acknowledgements, in the middle of the others.
    while acknowledged(&replica, own()) == 0 {
        receipts.recv().await.expect("events come");
    }
    server.kill();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let kept = acknowledged(&replica, own()) as u64;
    drop(sync);
    drop(replica);
    let server = server.kill_and_restart();
    let report = tokio::task::spawn_blocking(move || {
        server.report_when(&["--unit", COMMUNE], |report| report["teams"].as_u64() >= Some(kept))
    });
    let report = report.await.expect("counted");
    println!("{kept} acknowledged, {} there after the restart", report["teams"]);
}

#[test]
fn a_killed_field_device_keeps_the_team_it_told_of() {
    let folders = [(); 2].map(|()| TempDir::new().expect("a temporary folder"));
    let server = Server::start(folders[0].path());
    let device = server.device(folders[1].path(), COMMUNE);
    for round in 0..5 {
        // `sync --watch` keeps the store open and busy while it is killed.
        let mut watching =
            device.command(&["sync", "--watch"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
        std::thread::sleep(Duration::from_millis(150 + 40 * round));
        watching.kill().expect("ours to kill");
        watching.wait().expect("it ends");
        let team = device.ok(&["team", "add", "--hamlet", &format!("Thôn {round}")]);
        let teams = device.json(&["team", "list"]);
        assert!(teams.as_array().expect("a list").iter().any(|shown| shown["id"] == team.as_str()), "{teams}");
    }
    device.sync();
    server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 5);
}

/// The id is printed after the commit: whenever it can be read, the team is there, however the process ended.
#[test]
fn a_printed_id_means_a_stored_team() {
    use std::io::{BufRead, BufReader};
    let folders = [(); 2].map(|()| TempDir::new().expect("a temporary folder"));
    let server = Server::start(folders[0].path());
    let device: FieldDevice = server.device(folders[1].path(), COMMUNE);
    for round in 0..5 {
        let hamlet = format!("Bản {round}");
        let mut adding =
            device.command(&["team", "add", "--hamlet", &hamlet]).stdout(Stdio::piped()).spawn().expect("runs");
        let mut id = String::new();
        BufReader::new(adding.stdout.take().expect("piped")).read_line(&mut id).expect("readable");
        adding.kill().expect("ours to kill");
        adding.wait().expect("it ends");
        let shown = device.json(&["team", "show", id.trim()]);
        assert_eq!(shown["hamlet"], hamlet.as_str());
    }
}

/// Two openings of one store never share an actor, so a restored or cloned device cannot repeat itself.
#[test]
fn each_opening_has_an_actor_of_its_own() {
    let device = Device::from_secret(&[7; 32]);
    let actors: HashSet<_> = (0..100).map(|_| device.new_actor(&fill)).collect();
    assert_eq!(actors.len(), 100);
    assert!(actors.iter().all(|actor| actor.author() == device.id().author()));
}
