//! Who acts on whom: the whole matrix of roles and units over the REST interface, and what becomes of invites and sessions
//! when an officer is no longer one.

#![allow(clippy::indexing_slicing, reason = "JSON answers are indexed; a missing field fails the test, as it should")]

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use toso_core::id::{DeviceId, Sequence};
use toso_core::time::TimestampMs;
use toso_server::review::ReviewQueue;
use toso_server::trust::{CLOCK_SKEW_MS_MAX, DeviceRecord};
use toso_store::{RecordChange, RecordStore};
use toso_store_sled::{Options, SledChangeLog};
use toso_sync::HoldReason;
use toso_wire::enrol::Invite;
use toso_wire::{ChallengeReason, Frame, GoodbyeCode, Proof, TicketProof};

use crate::support::{Answer, COMMUNE, Centre, Device, NEIGHBOUR, Wire, enrol_body, now};

const DISTRICT: &str = "001";
const PROVINCE: &str = "01";

async fn invite(centre: &Centre, by: &Device, unit: &str, role: &str) -> u16 {
    by.post(centre, "/v1/invites", json!({ "unit": format!("2022/{unit}"), "role": role })).await.status
}

/// An officer used to invite and revoke officers of his own unit, so that one who had been found out could be replaced by a
/// friend, or could shut out the colleague who had found him out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn officers_act_below_their_rank_and_not_on_it() {
    let centre = Centre::start().await;
    let actors = [
        ("admin of the province", centre.device(PROVINCE, "admin").await),
        ("officer of the province", centre.device(PROVINCE, "officer").await),
        ("officer of the district", centre.device(DISTRICT, "officer").await),
        ("officer of the commune", centre.device(COMMUNE, "officer").await),
        ("recorder of the province", centre.device(PROVINCE, "recorder").await),
    ];
    // For each rank: who of the actors, in their order, may give it, take it and move it.
    for (unit, role, may) in [
        (PROVINCE, "admin", [false, false, false, false, false]),
        (PROVINCE, "officer", [true, false, false, false, false]),
        (PROVINCE, "recorder", [true, true, false, false, false]),
        (DISTRICT, "admin", [true, false, false, false, false]),
        (DISTRICT, "officer", [true, true, false, false, false]),
        (DISTRICT, "recorder", [true, true, true, false, false]),
        (COMMUNE, "officer", [true, true, true, false, false]),
        (COMMUNE, "recorder", [true, true, true, true, false]),
        (COMMUNE, "viewer", [true, true, true, true, false]),
        (NEIGHBOUR, "viewer", [true, true, true, false, false]),
        ("79", "viewer", [false, false, false, false, false]),
    ] {
        let target = centre.device(unit, role).await;
        for ((who, actor), may) in actors.iter().zip(may) {
            let what = format!("{who}, {role} of {unit}");
            assert_eq!(invite(&centre, actor, unit, role).await, if may { 201 } else { 403 }, "invites: {what}");
            let stays = json!({ "unit": format!("2022/{unit}") });
            let moved = actor.post(&centre, &format!("/v1/devices/{}/move", target.id), stays).await;
            assert_eq!(moved.status == 200, may, "moves: {what}: {}", moved.text);
        }
        for (what, actor, may) in actors.iter().zip(may).map(|((who, actor), may)| (who, actor, may)) {
            let revoked = actor.post(&centre, &format!("/v1/devices/{}/revoke", target.id), json!({})).await;
            assert_eq!(revoked.status == 200, may, "revokes: {what}, {role} of {unit}: {}", revoked.text);
            assert!(may || [403, 404].contains(&revoked.status), "{}", revoked.text);
        }
    }
    let (_, district) = &actors[2];
    let lifted = centre.device(COMMUNE, "officer").await;
    let to_itself = json!({ "unit": format!("2022/{DISTRICT}") });
    let refused = district.post(&centre, &format!("/v1/devices/{}/move", lifted.id), to_itself).await;
    assert_eq!(refused.problem(), "forbidden", "a move lifts nobody to one's own rank");
    let whole = json!({ "from": format!("2022/{COMMUNE}"), "to": format!("2022/{DISTRICT}") });
    assert_eq!(district.post(&centre, "/v1/devices/move", whole).await.problem(), "forbidden");
    for (who, actor) in &actors {
        for path in ["/metrics", "/v1/backup"] {
            assert_eq!(actor.get(&centre, path).await.problem(), "forbidden", "{who}: {path} is the country's");
        }
        let devices = actor.get(&centre, &format!("/v1/devices?unit=2022/{COMMUNE}")).await.status;
        assert_eq!(devices, if who.starts_with("recorder") { 403 } else { 200 }, "{who}");
        let own = format!("/v1/devices/{}/revoke", actor.id);
        assert_eq!(actor.post(&centre, &own, json!({})).await.status, 403, "{who} does not revoke himself");
    }
    let national = centre.device("00", "admin").await;
    assert_eq!(national.get(&centre, "/metrics").await.status, 200);
    assert_eq!(national.get(&centre, "/v1/backup").await.status, 200);
}

fn text_of_invite(answer: &Answer) -> Invite {
    assert_eq!(answer.status, 201, "{}", answer.text);
    Invite::parse(answer.json().get("invite").and_then(Value::as_str).expect("a text")).expect("an invite")
}

/// A revoked officer came back with one of five invites that he had laid aside, under a new key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invites_are_void_with_their_maker_listed_and_withdrawn() {
    let centre = Centre::start().await;
    let officer = centre.device(DISTRICT, "officer").await;
    let (beside, other) = (centre.device(DISTRICT, "officer").await, centre.device(NEIGHBOUR, "officer").await);
    let order = |role: &str| json!({ "unit": format!("2022/{COMMUNE}"), "role": role });
    let made = |role: &'static str| officer.post(&centre, "/v1/invites", order(role));
    let aside = text_of_invite(&made("officer").await);
    let withdrawn = text_of_invite(&made("recorder").await);
    let used = text_of_invite(&made("viewer").await);
    let key = |seed| ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
    let enrol =
        |invite: &Invite, seed| centre.call("POST", "/v1/enrol", &[], Some(enrol_body(invite, &key(seed)).to_string()));
    assert_eq!(enrol(&used, 211).await.status, 200);

    let list = |by: &Device, unit: &str| {
        let (path, by) = (format!("/v1/invites?unit=2022/{unit}"), by.clone_of());
        let centre = &centre;
        async move { by.get(centre, &path).await }
    };
    let listed = list(&officer, COMMUNE).await;
    let items = listed.json()["items"].as_array().unwrap().clone();
    let by_role = |role: &str| items.iter().find(|item| item["role"] == role).expect("it is listed").clone();
    let number = |role: &str| by_role(role)["number"].as_str().unwrap().to_owned();
    assert_eq!(by_role("officer")["state"], "open");
    assert_eq!(by_role("officer")["created_by"], officer.id.to_string());
    assert_eq!((&by_role("viewer")["state"], &by_role("viewer")["used_by_name"]), (&json!("used"), &json!("Máy thử")));
    let secret = aside.to_text();
    assert!(!listed.text.contains(secret.get(20..40).unwrap()), "no secret in a list");
    assert_eq!(list(&other, COMMUNE).await.problem(), "forbidden", "another commune's");
    let recorder = centre.device(COMMUNE, "recorder").await;
    assert_eq!(list(&recorder, COMMUNE).await.problem(), "forbidden", "invites are for officers");

    let withdraw = |role: &str| format!("/v1/invites/{}/withdraw", number(role));
    assert_eq!(other.post(&centre, &withdraw("recorder"), json!({})).await.problem(), "not-found", "out of sight");
    assert_eq!(recorder.post(&centre, &withdraw("recorder"), json!({})).await.problem(), "forbidden");
    let done = beside.post(&centre, &withdraw("recorder"), json!({})).await;
    assert_eq!((done.status, &done.json()["state"]), (200, &json!("withdrawn")), "{}", done.text);
    assert_eq!(done.json()["withdrawn_by"], beside.id.to_string());
    assert_eq!(enrol(&withdrawn, 212).await.problem(), "withdrawn-invite");
    assert_eq!(officer.post(&centre, &withdraw("viewer"), json!({})).await.problem(), "used-invite");
    let nobody = "/v1/invites/0011223344556677/withdraw";
    assert_eq!(officer.post(&centre, nobody, json!({})).await.problem(), "not-found");
    assert_eq!(officer.post(&centre, "/v1/invites/x/withdraw", json!({})).await.problem(), "invalid");

    let path = format!("/v1/devices/{}/revoke", officer.id);
    assert_eq!(centre.post(&path, json!({})).await.status, 200);
    assert_eq!(enrol(&aside, 213).await.problem(), "void-invite");
    let admins = centre.get(&format!("/v1/invites?unit=2022/{COMMUNE}")).await.json();
    let void = admins["items"].as_array().unwrap().iter().find(|item| item["role"] == "officer").unwrap().clone();
    assert_eq!(void["state"], "void");
}

/// A session that a device had begun in its former role went on in it for as long as it stayed connected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_enrolment_ends_the_sessions_of_the_old_one() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "officer").await;
    let mut wire = Wire::open(&centre, &device.hello()).await;
    wire.welcome().await;
    let invite = centre.invite(COMMUNE, "viewer").await;
    let again = centre.call("POST", "/v1/enrol", &[], Some(enrol_body(&invite, &device.key).to_string())).await;
    assert_eq!(again.status, 200, "{}", again.text);
    let code = wire.until(|frame| if let Frame::Goodbye(goodbye) = frame { Some(goodbye.code) } else { None }).await;
    assert_eq!(code, GoodbyeCode::Shutdown, "it comes back as what it is now");
}

/// A session that was open when the device's token ended went on for as long as it stayed connected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_with_the_devices_token() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    // By a ticket, since a device that signs so near the end is given another token.
    let welcome = Wire::open(&centre, &device.hello()).await.welcome().await;
    let ticket = welcome.ticket().expect("a ticket");
    centre.server.shutdown().await;
    let folder = centre.folder;
    // A year has nearly passed.
    let ends = now().plus_ms(4_000);
    let log = folder.path().join("log");
    tokio::task::spawn_blocking(move || {
        let store = SledChangeLog::open(log, Options::server()).expect("it is free");
        let mut records = store.records("devices", &[]).expect("read");
        let (key, value) = records.pop().expect("one device");
        let mut record: DeviceRecord = rmp_serde::from_slice(&value).expect("a device");
        record.expires_at = ends;
        let value = Some(rmp_serde::to_vec(&record).expect("it encodes"));
        let change = RecordChange { table: "devices".to_owned(), key, value, expect: None };
        store.command(now(), &[change]).expect("written");
    })
    .await
    .expect("the store's thread");
    let centre = Centre::start_in(folder, |config| config.times.ping_after = Duration::from_millis(200)).await;
    let show = |at| {
        let shown = Proof::Ticket(TicketProof::new(ticket, device.id, at, [1; 4]));
        device.hello_with(shown, welcome.epoch, Sequence::ZERO)
    };
    // A ticket says whole seconds: the first whole one that the server takes so soon after its start.
    let frame = Wire::open(&centre, &show(now())).await.frame().await;
    let Frame::Challenge(asked) = frame else { panic!("CHALLENGE expected: {frame:?}") };
    let at = TimestampMs(asked.at.0.div_ceil(1_000) * 1_000);
    tokio::time::sleep(Duration::from_millis(at.since_ms(now()).saturating_sub(CLOCK_SKEW_MS_MAX))).await;
    // On a busy machine it may come too late for WELCOME; what it is told is the same.
    let mut wire = Wire::open(&centre, &show(at)).await;
    let code = wire
        .until(|frame| {
            if let Frame::Challenge(challenge) = frame {
                return Some(Err(challenge.reason));
            }
            if let Frame::Goodbye(goodbye) = frame { Some(Ok(goodbye.code)) } else { None }
        })
        .await;
    assert!(matches!(code, Ok(GoodbyeCode::Unauthorized) | Err(ChallengeReason::Ticket)), "{code:?}");
    assert!(now() >= ends, "and not before");
}

/// After a loss an officer's phone brought back a change in the name of a device that nobody knew any more, and the same
/// officer accepted it: so anything got into the register on one device's word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_decides_on_what_his_own_device_brought_back() {
    let centre = Centre::start().await;
    let officer = centre.device(COMMUNE, "officer").await;
    let above = centre.device(DISTRICT, "officer").await;
    let key = SigningKey::from_bytes(&[77; 32]);
    let id = DeviceId::from_public_key(key.verifying_key().as_bytes());
    let forgotten = Device { key, token: Vec::new(), id, ..officer.clone_of() };
    let (author, scope, by) = (id.author(), officer.unit, officer.id.author());
    let (_, item) = forgotten.team("Thôn 1");
    let change = item.check().expect("a change");
    centre.server.shutdown().await;
    let folder = centre.folder;
    let log = folder.path().join("log");
    tokio::task::spawn_blocking(move || {
        let store = Arc::new(SledChangeLog::open(log, Options::server()).expect("it is free"));
        let queue = ReviewQueue::load(Arc::clone(&store) as Arc<dyn RecordStore>).expect("read");
        let items = [change];
        queue.hold(&*store, (author, scope), HoldReason::Returned { by }, &items, now()).expect("held");
    })
    .await
    .expect("the store's thread");
    let centre = Centre::start_in(folder, |_| {}).await;
    for (decision, body) in [("accept", json!({})), ("return", json!({ "note": "sai" }))] {
        let answer = officer.post(&centre, &format!("/v1/review/1/{decision}"), body).await;
        assert_eq!(answer.problem(), "forbidden", "{decision}: {}", answer.text);
    }
    let accepted = above.post(&centre, "/v1/review/1/accept", json!({})).await;
    assert_eq!((accepted.status, &accepted.json()["status"]), (200, &json!("accepted")), "{}", accepted.text);
}

/// Words of a decision turned the lines of an officer's screen around.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_of_a_decision_that_act_unseen_are_refused() {
    let centre = Centre::start().await;
    let officer = centre.device(COMMUNE, "officer").await;
    let recorder = centre.device(COMMUNE, "recorder").await;
    let path = format!("/v1/devices/{}/set-aside", recorder.id);
    for (why, kind) in [("mất\u{202e}máy", "invalid"), ("\u{1b}[2J", "invalid"), ("mất\n máy", "decided")] {
        let body = json!({ "unit": format!("2022/{COMMUNE}"), "why": why });
        assert_eq!(officer.post(&centre, &path, body).await.problem(), kind, "{why:?}");
    }
}

/// A phone's name cleared an officer's screen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_acts_unseen_is_refused_and_the_invite_stays_good() {
    let centre = Centre::start().await;
    let invite = centre.invite(COMMUNE, "recorder").await;
    let key = ed25519_dalek::SigningKey::from_bytes(&[221; 32]);
    let enrol = |name: &str| {
        let mut body = enrol_body(&invite, &key);
        body["device_name"] = json!(name);
        centre.call("POST", "/v1/enrol", &[], Some(body.to_string()))
    };
    for name in
        ["a\u{1b}[2J", "a\nb", "a\u{202e}b", "a\u{9b}31m", "\u{200b}\u{200b}", "a\u{e0041}", "a\u{ad}b", "a\u{2028}b"]
    {
        let refused = enrol(name).await;
        assert_eq!((refused.status, refused.problem().as_str()), (400, "invalid"), "{name:?}");
        assert!(refused.text.contains("the device's name: character"), "{}", refused.text);
    }
    assert_eq!(enrol("Máy của chị Lan ❤\u{fe0f}").await.status, 200);
}

/// Names are told for devices that could have written in the caller's unit, and for no others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_devices_are_told_within_the_unit() {
    let centre = Centre::start().await;
    let (own, above) = (centre.device(COMMUNE, "recorder").await, centre.device(PROVINCE, "officer").await);
    let elsewhere = centre.device(NEIGHBOUR, "recorder").await;
    let asked = |by: &Device, ids: String| {
        let (path, by) = (format!("/v1/devices/names?ids={ids}"), by.clone_of());
        let centre = &centre;
        async move { by.get(centre, &path).await }
    };
    let ids = [&own, &above, &elsewhere].map(|device| device.id.author().to_string());
    let all = format!("{},{}", ids.join(","), "0".repeat(16));
    let names = asked(&own, all.clone()).await.json()["names"].clone();
    let told: Vec<&String> = names.as_object().unwrap().keys().collect();
    let mut expected = [own.id.author().to_string(), above.id.author().to_string()];
    expected.sort();
    assert_eq!(told, expected.iter().collect::<Vec<_>>());
    assert!(names.as_object().unwrap().values().all(|name: &Value| name == "Máy thử"));
    assert_eq!(asked(&above, all).await.json()["names"].as_object().unwrap().len(), 3);
    let many = |count: usize| vec![own.id.author().to_string(); count].join(",");
    assert_eq!(asked(&own, many(100)).await.status, 200);
    assert_eq!(asked(&own, many(101)).await.problem(), "invalid", "one past the limit");
    assert_eq!(asked(&own, String::new()).await.problem(), "invalid");
}
