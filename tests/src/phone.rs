//! A phone within the test's own process, on a real store: for what a command does not tell.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use toso_client::{Invite, enrol, sync_once};
use toso_replica::{Replica, SyncOptions, SyncReport};
use toso_store_sled::{Options, SledChunkStore};

use crate::{COMMUNE, Server, toso};

/// A recorder of [`COMMUNE`] whose store is in this folder.
pub fn enrolled(server: &Server, home: &Path) -> Arc<Replica> {
    let invite = Invite::parse(&server.invite(COMMUNE, "recorder")).expect("it is an invite");
    let store = Arc::new(SledChunkStore::open(home, Options::phone()).expect("a folder"));
    enrol(store.as_ref(), &toso_client::rest::Rest::default(), &invite, None).expect("enrolled");
    Arc::new(Replica::open(store, &toso_client::system::options()).expect("opened"))
}

/// One sync that brings everything, and of which nothing is refused.
pub async fn sync(replica: &Arc<Replica>) -> SyncReport {
    let (report, result) = sync_once(replica, SyncOptions::default(), |_, _| {}).await;
    result.unwrap_or_else(|error| panic!("{error}: {report:?}"));
    assert!(report.up_to_date && report.refused == 0, "{report:?}");
    report
}

/// Nothing is fetched, pushed or compared: both sides' digests are equal.
pub async fn rests(replica: &Arc<Replica>) -> SyncReport {
    let report = sync(replica).await;
    assert_eq!((report.round_trips, report.pulled, report.pushed), (1, 0, 0), "{report:?}");
    report
}

/// What a command that succeeds prints.
pub fn said(args: &[&str]) -> String {
    let output = Command::new(toso()).args(args).output().expect("toso runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
