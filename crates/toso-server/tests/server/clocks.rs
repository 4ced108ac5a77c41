//! A server whose clock lies before what its register has: it says so and makes nothing that has ended before it is used,
//! and takes what phones send as ever.

#![allow(clippy::indexing_slicing, reason = "JSON answers are indexed; a missing field fails the test, as it should")]

use ed25519_dalek::SigningKey;
use serde_json::json;
use toso_core::change::Change;
use toso_core::document::Document;
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{DocId, Sequence};
use toso_core::record::TeamStatus;
use toso_store::{Log as _, LogBatch};
use toso_store_sled::{Options, SledChangeLog};

use crate::support::{COMMUNE, Centre, enrol_body, now, unit};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_behind_its_register_refuses_to_invite_and_enrol_and_goes_on_otherwise() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let invite = centre.invite(COMMUNE, "recorder").await;
    let Centre { server, folder, .. } = centre;
    server.shutdown().await;

    // To the register it is the day after tomorrow.
    let (log, author) = (folder.path().join("log"), device.author());
    let written = tokio::task::spawn_blocking(move || {
        let doc = DocId::hamlet_team(unit(COMMUNE), "Thôn Một", 0);
        let edits = [DocEdit::Team(TeamEdit::Status(TeamStatus::Active))];
        let chunk = Document::new(doc).expect("a known kind").edit(author, &edits).expect("valid").expect("a change");
        let items = vec![Change { doc, chunk }];
        let batch = LogBatch {
            scope: unit(COMMUNE),
            author: author.actor.author(),
            received_at: now().plus_ms(2 * DAY_MS),
            items,
        };
        SledChangeLog::open(log, Options::server()).expect("it is free").append(&[batch]).expect("appended");
    });
    written.await.expect("the store's thread");
    let centre = Centre::start_in(folder, |_| {}).await;

    let invited = centre.post("/v1/invites", json!({ "unit": format!("2022/{COMMUNE}"), "role": "recorder" })).await;
    let body = enrol_body(&invite, &SigningKey::from_bytes(&[99; 32])).to_string();
    let enrolled = centre.call("POST", "/v1/enrol", &[], Some(body)).await;
    for answer in [invited, enrolled] {
        assert_eq!((answer.status, answer.problem().as_str()), (503, "server-clock"), "{}", answer.text);
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains("the server's clock says") && detail.contains("NTP"), "{detail}");
    }
    told_to_its_operator(&centre).await;
    let mut wire = device.open_again(&centre, None, Sequence::ZERO).await;
    wire.welcome().await;
    wire.send(&device.push(1, vec![device.team("Thôn Hai").1])).await;
    wire.ack(1).await;
}

/// An empty register has no entry to hold the clock against, and the first invites and tokens of a board that started in
/// 1970 had all ended when its clock was set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_server_behind_its_own_release_refuses_to_invite() {
    let folder = tempfile::tempdir().expect("a folder");
    let released_at = now().plus_ms(DAY_MS);
    let centre = Centre::start_in(folder, |config| config.released_at = released_at).await;
    let invited = centre.post("/v1/invites", json!({ "unit": format!("2022/{COMMUNE}"), "role": "recorder" })).await;
    assert_eq!((invited.status, invited.problem().as_str()), (503, "server-clock"), "{}", invited.text);
    let detail = invited.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains("this version of its software was released on") && detail.contains("NTP"), "{detail}");
    told_to_its_operator(&centre).await;
    let Centre { server, folder, .. } = centre;
    server.shutdown().await;

    let centre = Centre::start_in(folder, |_| {}).await;
    centre.device(COMMUNE, "recorder").await;
    let health = centre.call("GET", "/healthz", &[], None).await;
    assert_eq!((health.status, health.json()), (200, json!({ "status": "ok" })));
}

/// Who watches `/healthz` and `/metrics` is told; phones are kept away by neither.
async fn told_to_its_operator(centre: &Centre) {
    let health = centre.call("GET", "/healthz", &[], None).await;
    assert_eq!((health.status, health.json()), (200, json!({ "status": "clock-behind" })));
    let metrics = centre.get("/metrics").await.text;
    assert!(metrics.contains("toso_clock_behind 1"), "{metrics}");
}
