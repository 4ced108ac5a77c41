//! A server is its log: an empty one that applies the entries of one that has lived has the same index, the same records and the
//! same figures.

use std::sync::Arc;

use serde_json::json;
use toso_catalog::Catalog;
use toso_core::id::Sequence;
use toso_projection::Projector;
use toso_server::folding::{FoldByPage, Loaded};
use toso_server::set_aside::SetAside;
use toso_server::tables::{TABLES, Table};
use toso_server::upkeep::verify;
use toso_server::views::Views;
use toso_store::compare::first_difference;
use toso_store::memory::MemoryChangeLog;
use toso_store::{Log as _, Logged, RecordStore as _};
use toso_store_sled::{Options, SledChangeLog};

use crate::support::{COMMUNE, Centre, NEIGHBOUR, Wire};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_server_that_applies_anothers_log_is_the_same() {
    let centre = Centre::start().await;
    let officer = centre.device(COMMUNE, "officer").await;
    let [recorder, rogue, stolen] = [
        centre.device(COMMUNE, "recorder").await,
        centre.device(COMMUNE, "recorder").await,
        centre.device(COMMUNE, "recorder").await,
    ];
    for (device, hamlet) in [(&recorder, "Thôn 1"), (&rogue, "Thôn 2"), (&stolen, "Thôn 3")] {
        let (team, item) = device.team(hamlet);
        let mut wire = Wire::open(&centre, &device.hello()).await;
        wire.welcome().await;
        wire.send(&device.push(1, vec![item, device.member(team, 1).1])).await;
        wire.ack(1).await;
    }
    centre.until_teams(3).await;
    // Every sort of decision: to shut out, to set aside, to move, to allow an import day.
    let unit = |code: &str| format!("2022/{code}");
    for (path, body) in [
        (format!("/v1/devices/{}/revoke", stolen.id), json!({})),
        (format!("/v1/devices/{}/set-aside", rogue.id), json!({ "unit": unit(COMMUNE), "why": "máy bị mất" })),
        (format!("/v1/devices/{}/move", recorder.id), json!({ "unit": unit(NEIGHBOUR) })),
        (format!("/v1/devices/{}/allow", recorder.id), json!({})),
    ] {
        let by = if path.ends_with("set-aside") {
            officer.post(&centre, &path, body).await
        } else {
            centre.post(&path, body).await
        };
        assert!((200..300).contains(&by.status), "{path}: {} {}", by.status, by.text);
    }
    centre.until_teams(2).await;
    let centre = centre.restart().await;
    centre.server.shutdown().await;
    let folder = centre.folder;
    tokio::task::spawn_blocking(move || {
        let verified = verify::folder(folder.path()).expect("readable");
        assert!(verified.is_whole(), "{:?}", verified.findings);
        compare(&SledChangeLog::open(folder.path().join("log"), Options::server()).expect("it is free"));
    })
    .await
    .expect("the stores' thread");
}

fn compare(log: &SledChangeLog) {
    let catalog = Catalog::shared();
    let twin = Arc::new(MemoryChangeLog::new());
    let mut commands = 0;
    while twin.end() < log.end() {
        let entries = log.tail(twin.end(), 3, usize::MAX).expect("readable");
        commands += entries.iter().filter(|entry| matches!(entry, Logged::Command(_))).count();
        twin.apply(&entries).expect("they follow each other");
    }
    assert!(commands > 10, "{commands} commands");
    assert_eq!(first_difference(log, &*twin).expect("readable"), None);
    // What the log's records are, the server has named.
    for (name, holds) in log.tables().expect("readable") {
        let named = TABLES.iter().find(|table| table.name == name);
        assert_eq!(named.map(|Table { holds, .. }| *holds), Some(holds), "{name}");
    }

    let mut stored = Projector::new(catalog);
    let loaded = Loaded::load(log, log.last(), &mut stored, || Projector::new(catalog)).expect("readable");
    assert_eq!(loaded.through, log.last(), "all of it was counted");
    let set_aside = SetAside::load(catalog, &*twin, Arc::clone(&twin) as _).expect("readable");
    let mut empty = Projector::new(catalog);
    let none = Loaded::load(&*twin, Sequence::ZERO, &mut empty, || Projector::new(catalog)).expect("readable");
    let counted = Arc::new(Views::new(empty));
    let mut folder = FoldByPage::new(
        Arc::clone(&twin) as _,
        Arc::clone(&twin) as _,
        Arc::clone(&counted),
        none,
        8,
        Arc::new(set_aside),
    );
    while folder.fold_page().expect("readable").is_some() {}
    assert_eq!(counted.lock().first_difference(&mut stored), None);
}
