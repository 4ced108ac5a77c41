//! A server that has just started knows no proof that it had accepted before, and asks every phone for another. That is to cost
//! no signature, on either side: with the country's phones waiting it was five times the work of all else.

use std::sync::Arc;

use tempfile::TempDir;
use toso_client::{Invite, enrol, sync_once};
use toso_core::text::PlaceName;
use toso_replica::{Replica, SyncOptions, TeamDraft};
use toso_store::memory::MemoryChunkStore;
use toso_tests::middlebox::{Breaks, Middlebox};
use toso_tests::{COMMUNE, Server, http};

/// A phone that reaches the server at an address of its own.
fn phone(server: &Server, url: &str) -> Arc<Replica> {
    let store = Arc::new(MemoryChunkStore::default());
    let invite = Invite::parse(&server.invite(COMMUNE, "recorder")).expect("it is an invite");
    let mut credential = enrol(store.as_ref(), &toso_client::rest::Rest::default(), &invite, None).expect("enrolled");
    url.clone_into(&mut credential.server_url);
    credential.keep(store.as_ref()).expect("kept");
    Arc::new(Replica::open(store, &toso_client::system::options()).expect("opened"))
}

/// One edit, and a sync that brings it.
async fn bring(phone: &Arc<Replica>, hamlet: &str) {
    let hamlet = Some(PlaceName::parse(hamlet).expect("a name"));
    phone.add_team(TeamDraft { hamlet, ..TeamDraft::default() }).expect("recorded");
    let (report, ended) = sync_once(phone, SyncOptions::default(), |_, _| ()).await;
    ended.expect("synced");
    assert_eq!(report.acked, 1, "{report:?}");
}

/// Signatures that the server has checked in HELLOs, and proofs that it has asked for once more.
fn signed_and_asked(server: &Server) -> (u64, u64) {
    let metrics = http::get(&format!("{}/metrics", server.url()), Some(&server.admin_token())).body;
    let value = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0);
    let asked = r#"toso_refusals_total{kind="challenge",code="challenge"}"#;
    (value("toso_hellos_signed_total"), value(asked))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_costs_each_phone_one_round_trip_and_no_signature() {
    let data = TempDir::new().expect("a temporary folder");
    let server = Server::start(data.path());
    // Sockets do not work for the second, which goes by requests.
    let middlebox = Middlebox::start(server.address(), Breaks::Answers(400)).await;
    let phones = [phone(&server, server.url()), phone(&server, middlebox.url())];
    for phone in &phones {
        bring(phone, "Thôn Một").await;
    }
    assert_eq!(signed_and_asked(&server), (2, 0), "first contacts");
    let mut server = server;
    for hamlet in ["Thôn Hai", "Thôn Ba"] {
        server = server.kill_and_restart();
        for phone in &phones {
            bring(phone, hamlet).await;
        }
        assert_eq!(signed_and_asked(&server), (0, 2));
        // And not again and again, although their clocks lie before the time that they were asked for.
        for phone in &phones {
            bring(phone, &format!("{hamlet} Trên")).await;
        }
        assert_eq!(signed_and_asked(&server), (0, 2));
    }
}
