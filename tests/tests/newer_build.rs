//! A phone of a newer build records a kind of document that this build does not know, and sends a frame of a type that it does
//! not know either. Older phones fetched the page with the document again and again, since they could not read it. Now
//! everybody keeps and relays it (by sync, by bundle, by backup), nobody reads it, and all say how many there are.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message;
use toso_client::fetch_carry_pass;
use toso_core::edit::{DocEdit, MemberEdit};
use toso_core::id::DocId;
use toso_core::text::{PersonName, PlaceName};
use toso_core::unit::Scope;
use toso_replica::{Replica, ReplicaError, SyncReport, TeamDraft};
use toso_tests::phone::{self, enrolled, said};
use toso_tests::rogue::Rogue;
use toso_tests::{COMMUNE, Server, http};
use toso_wire::Frame;

fn commune() -> Scope {
    format!("2022/{COMMUNE}").parse().expect("a unit")
}

/// A sync that hears, too, that everything is counted.
async fn sync(replica: &Arc<Replica>) -> SyncReport {
    let report = phone::sync(replica).await;
    assert!(report.counted, "{report:?}");
    report
}

async fn rests(replica: &Arc<Replica>) {
    let report = phone::rests(replica).await;
    assert!(report.counted, "{report:?}");
}

fn save(replica: &Replica, id: DocId, name: &str) {
    let edit = DocEdit::Member(MemberEdit::FullName(PersonName::parse(name).expect("a name")));
    replica.save_further(commune(), id, &[edit]).expect("saved");
}

fn changes(replica: &Replica, id: DocId) -> usize {
    replica.store().chunks(id).expect("readable").len()
}

/// The server counts its one team, beside so many documents that it does not read.
fn counted(server: &Server, newer: u64) {
    server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 1 && report["members"] == 0);
    let line = format!("toso_documents_newer {newer}");
    let metrics = || http::get(&format!("{}/metrics", server.url()), Some(&server.admin_token())).body;
    let start = Instant::now();
    while !metrics().lines().any(|found| found == line) {
        assert!(start.elapsed() < Duration::from_secs(30), "{line} is not in the metrics");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_newer_build_knows_is_kept_and_relayed_and_shown_as_a_number() {
    let place = TempDir::new().expect("a temporary folder");
    let at = |name: &str| place.path().join(name);
    let mut server = Server::start(&at("centre"));
    let address = server.address().to_owned();
    let (newer, older) = (enrolled(&server, &at("newer")), enrolled(&server, &at("older")));

    // Through today's server.
    let hamlet = PlaceName::parse("Thôn 1").expect("a name");
    let team = newer.add_team(TeamDraft { hamlet: Some(hamlet), ..TeamDraft::default() }).expect("saved");
    let strange = Replica::further_id(commune(), [7; 11]);
    save(&newer, strange, "Nguyễn Văn Thử");
    save(&newer, strange, "Trần Thị Thử");
    assert_eq!(sync(&newer).await.acked, 3);
    counted(&server, 1);
    rests(&newer).await;

    // To today's phone, which shows a number and everything else.
    assert_eq!(sync(&older).await.pulled, 3);
    assert_eq!(changes(&older, strange), 2, "kept, for the day it is updated");
    let status = older.status().expect("readable");
    assert_eq!((status.documents, status.newer), (2, 1));
    assert_eq!(older.teams().expect("readable").len(), 1);
    assert_eq!(older.members(None).expect("readable"), []);
    assert!(older.findings().is_ok() && older.conflicts().is_ok());
    assert_eq!(older.receipt_counts().expect("readable").counted, 1);
    let refused = older.history(strange).expect_err("nobody here reads it");
    assert!(matches!(refused, ReplicaError::NeedsNewerVersion { .. }), "{refused}");
    rests(&older).await;

    // By way of today's phone, when the newer one has no network.
    save(&newer, strange, "Lê Văn Thử");
    let with_pass = |replica: &Arc<Replica>| {
        let replica = Arc::clone(replica);
        async move { tokio::task::spawn_blocking(move || fetch_carry_pass(&replica, None)).await.expect("it ends") }
    };
    with_pass(&newer).await.expect("a pass");
    with_pass(&older).await.expect("a pass");
    let (bundle, _) = newer.make_bundle(None).expect("a bundle");
    assert_eq!(older.open_bundle(&bundle).expect("opened").changes, 1);
    assert_eq!(changes(&older, strange), 3);
    assert_eq!(sync(&older).await.acked, 1);
    sync(&newer).await;
    rests(&newer).await;
    // Its cursor may not have passed yet what it brought of the other's.
    sync(&older).await;
    rests(&older).await;

    // Frames of a type to come are passed over.
    let rogue = Rogue::enrol(&server, COMMUNE, "recorder", 7);
    let mut wire = rogue.open(&server, &rogue.hello()).await;
    wire.socket.send(Message::Binary(vec![0x00, 0x92, 0x7f, 0x01].into())).await.expect("sent");
    wire.send(&rogue.push(1, vec![rogue.team("thôn 1", 5)])).await;
    wire.until(|frame| {
        assert!(!matches!(frame, Frame::Nack(_) | Frame::Goodbye(_)), "{frame:?}");
        matches!(frame, Frame::Ack(_)).then_some(())
    })
    .await;
    drop(wire);
    sync(&older).await;

    // A server that starts again, and one from a backup.
    server.stop();
    let verified = said(&["verify", "--data", text(&at("centre"))]);
    assert!(verified.contains("1 more documents need a newer version") && verified.contains("nothing is wrong"));
    let backup = at("backup.zst");
    let mut server = Server::start_on(&at("centre"), &address);
    counted(&server, 1);
    // Once after a start a device signs again.
    sync(&older).await;
    rests(&older).await;
    said(&[
        "backup",
        "--server",
        server.url(),
        "--admin-token-file",
        text(&server.admin_token_file()),
        "--to",
        text(&backup),
    ]);
    server.stop();
    let key = at("centre").join("root.key");
    let restored = at("restored");
    said(&["restore", "--from", text(&backup), "--data", text(&restored), "--root-key", text(&key)]);
    let server = Server::start_on(&restored, &address);
    counted(&server, 1);
    sync(&older).await;
    rests(&older).await;
    assert_eq!((changes(&older, strange), older.team(team).is_ok()), (3, true));
}
