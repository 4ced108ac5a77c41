//! Sync sessions: push, acknowledgement, delta, receipt, live, restart, and every refusal.

use std::time::Duration;

use tokio_tungstenite::tungstenite::Message;
use toso_core::change::Change;
use toso_core::id::{DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_server::{Server, ServerConfig, StartError};
use toso_store::StoreError;
use toso_wire::limits::{FRAME_BYTES_MAX, HELLO_TOKEN_CHARS_MAX, PUSH_WINDOW};
use toso_wire::{
    ChallengeReason, DeltaItem, Frame, Goodbye, GoodbyeCode, NackCode, Proof, Push, TicketProof, decode_stream,
    encode_stream, hello_token,
};

use crate::support::{COMMUNE, Centre, NEIGHBOUR, Wire, dial, now, unit};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_is_acknowledged_counted_and_reaches_the_other_device_live() {
    let centre = Centre::start().await;
    let (a, b) = (centre.device(COMMUNE, "recorder").await, centre.device(COMMUNE, "recorder").await);
    let far = centre.device(NEIGHBOUR, "recorder").await;
    let mut other = Wire::open(&centre, &b.hello()).await;
    assert_eq!(other.welcome().await.pending, 0);
    let mut elsewhere = Wire::open(&centre, &far.hello()).await;
    elsewhere.welcome().await;

    let (team, item) = a.team("tổ 1");
    let (_, person) = a.member(team, 1);
    let mut hello = a.hello();
    hello.push = Some(Push { number: 1, scope: a.unit, items: vec![item.clone(), person.clone()], carried: None });
    let mut first = Wire::open(&centre, &hello).await;
    let welcome = first.welcome().await;
    assert!(welcome.ticket().is_some(), "first contact brings a ticket");
    let through = first.ack(1).await;
    let receipt = first.receipt(through).await;
    assert_eq!((receipt.totals[0].teams, receipt.totals[0].members), (1, 1));

    let delta = other.until(|frame| if let Frame::Delta(delta) = frame { Some(delta.clone()) } else { None }).await;
    assert_eq!((delta.next, delta.more), (through, false));
    let items: Vec<_> = delta.groups.iter().flat_map(|group| &group.items).cloned().collect();
    assert_eq!(items, [DeltaItem::Change(item), DeltaItem::Change(person)]);
    assert_eq!(other.receipt(through).await.totals[0].teams, 1);
    let silence = tokio::time::timeout(Duration::from_millis(300), async {
        elsewhere.until(|frame| matches!(frame, Frame::Delta(_)).then_some(())).await;
    })
    .await;
    assert!(silence.is_err(), "another commune's device gets nothing of it");
    centre.until_teams(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_says_goodbye_and_goes_on_where_it_was() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let mut wire = Wire::open(&centre, &device.hello()).await;
    let welcome = wire.welcome().await;
    let mut through = Sequence::ZERO;
    for number in 1..=3 {
        wire.send(&device.push(number, vec![device.team(&format!("tổ {number}")).1])).await;
        through = wire.ack(number).await;
    }
    // Not the receipt: it may have come before the last ACK, and been passed over with it.
    centre.until_teams(3).await;
    let (centre, goodbye) = tokio::join!(centre.restart(), async {
        wire.until(|frame| if let Frame::Goodbye(goodbye) = frame { Some(goodbye.code) } else { None }).await
    });
    assert_eq!(goodbye, GoodbyeCode::Shutdown);
    let report = centre.get("/v1/report").await.json();
    assert_eq!(report["teams"], 3, "the views are there before anything is asked");

    // What is shown may be a proof that was recorded before the restart: the device signs the server's nonce, once.
    let mut again = device.open_again(&centre, welcome.epoch, through).await;
    let resumed = again.welcome().await;
    assert_eq!((resumed.epoch, resumed.pending), (None, 0), "the epoch that HELLO named");
    assert!(resumed.ticket().is_some());
    assert_eq!(again.receipt(through).await.totals[0].teams, 3);
    // Pushed again, as after a lost acknowledgement: acknowledged again, counted once.
    again.send(&device.push(1, vec![device.team("tổ 9").1])).await;
    again.ack(1).await;
    centre.until_teams(4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_push_is_acknowledged_and_changes_nothing() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let mut wire = Wire::open(&centre, &device.hello()).await;
    let item = device.team("tổ 1").1;
    let mut acknowledged = Vec::new();
    for number in 1..=3 {
        wire.send(&device.push(number, vec![item.clone()])).await;
        acknowledged.push(wire.ack(number).await);
    }
    assert!(acknowledged.iter().all(|through| *through == acknowledged[0]), "{acknowledged:?}");
    centre.until_teams(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_beyond_rights_and_bad_changes_are_refused_by_code() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let neighbour = centre.device(NEIGHBOUR, "recorder").await;
    let viewer = centre.device(COMMUNE, "viewer").await;
    let good = device.team("tổ 1").1;
    let foreign_scope =
        Frame::Push(Push { number: 1, scope: unit(NEIGHBOUR), items: vec![neighbour.team("tổ 1").1], carried: None });
    let elsewhere = Change { doc: DocId::hamlet_team(unit(NEIGHBOUR), "tổ 1", 0), chunk: good.chunk.clone() };
    let malformed = Change { doc: good.doc, chunk: vec![0; 40].into() };
    let foreign = Change { doc: good.doc, chunk: viewer.team("tổ 1").1.chunk };
    let cases = [
        (&device, foreign_scope, NackCode::OutOfScope, None),
        (&device, device.push(1, vec![elsewhere]), NackCode::WrongDocument, Some(0)),
        (&device, device.push(1, vec![malformed]), NackCode::Malformed, Some(0)),
        (&device, device.push(1, vec![foreign]), NackCode::ForeignActor, Some(0)),
        (&viewer, viewer.push(1, vec![viewer.team("tổ 1").1]), NackCode::Forbidden, None),
    ];
    for (who, push, code, item) in cases {
        let mut wire = Wire::open(&centre, &who.hello()).await;
        wire.send(&push).await;
        let nack = wire
            .until(|frame| {
                assert!(!matches!(frame, Frame::Ack(_)), "accepted: {frame:?}");
                if let Frame::Nack(nack) = frame { Some(nack.clone()) } else { None }
            })
            .await;
        assert_eq!((nack.code, nack.item), (code, item));
    }
    let mut wire = Wire::open(&centre, &device.hello()).await;
    wire.send(&device.push(1, vec![good])).await;
    wire.ack(1).await;
    let metrics = centre.get("/metrics").await.text;
    assert!(metrics.contains("toso_appended_chunks_total 1\n"), "nothing refused is in the log: {metrics}");
    assert!(metrics.contains(r#"toso_refusals_total{kind="nack",code="foreign_actor"} 1"#), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_and_a_dead_ticket_cost_one_more_signature() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let long_ago = TimestampMs(86_400_000);
    let stale = device.hello_with(device.proof(long_ago, &[1; 8]), None, Sequence::ZERO);
    let dead = device.hello_with(Proof::Ticket(TicketProof::from_bytes(&[7; 28])), None, Sequence::ZERO);
    for (hello, reason) in [(stale, ChallengeReason::Clock), (dead, ChallengeReason::Ticket)] {
        let mut wire = Wire::open(&centre, &hello).await;
        let Frame::Challenge(challenge) = wire.frame().await else { panic!("a challenge was expected") };
        assert_eq!(challenge.reason, reason);
        assert!(challenge.at.0.abs_diff(now().0) < 60_000);
        let signed = device.hello_with(device.proof(long_ago, &challenge.nonce), None, Sequence::ZERO);
        wire.send(&Frame::Hello(signed)).await;
        wire.welcome().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_device_is_cut_off_while_connected() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let mut wire = Wire::open(&centre, &device.hello()).await;
    wire.welcome().await;
    let answer = centre.post(&format!("/v1/devices/{}/revoke", device.id), serde_json::json!({})).await;
    assert_eq!((answer.status, &answer.json()["revoked"]), (200, &true.into()));
    let code = wire.until(|frame| if let Frame::Goodbye(goodbye) = frame { Some(goodbye.code) } else { None }).await;
    assert_eq!(code, GoodbyeCode::Revoked);
    assert_eq!(wire.next().await, None, "and closed");
    let mut again = Wire::open(&centre, &device.hello()).await;
    // It may hand over what it has not sent, gets nothing, and is shut out when it says that it is done.
    assert_eq!(again.welcome().await.pending, 0);
    let Frame::Purge(purge) = again.frame().await else { panic!("PURGE was expected") };
    assert_eq!(purge.scopes, [device.unit]);
    let (_, team) = device.team("thôn 1");
    let push = Push { number: 1, scope: device.unit, items: vec![team], carried: None };
    again.send(&Frame::Push(push)).await;
    assert!(matches!(again.frame().await, Frame::Nack(nack) if nack.code == NackCode::Held));
    again.send(&Frame::Goodbye(Goodbye { code: GoodbyeCode::Done, detail: String::new() })).await;
    assert!(matches!(again.frame().await, Frame::Goodbye(goodbye) if goodbye.code == GoodbyeCode::Revoked));
    assert_eq!(again.next().await, None, "and closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_no_sync_are_refused_before_the_upgrade() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let plain = centre.get("/v1/sync").await;
    assert_eq!((plain.status, plain.problem().as_str()), (426, "upgrade-required"));
    let token = hello_token(&device.hello());
    let long = "A".repeat(HELLO_TOKEN_CHARS_MAX + 1);
    for tokens in
        ["", "toso.v2", "toso.v1, AAAA", "toso.v1, a, b", &format!("{token}, toso.v1"), &format!("toso.v1, {long}")]
    {
        let (status, body) = dial(&centre, tokens).await.err().expect("a refusal");
        assert_eq!(status, 400, "{}", tokens.chars().take(40).collect::<String>());
        assert!(body.contains("urn:toso:bad-hello"), "{body}");
    }
    // HELLO may also come as the first frame.
    let mut wire = dial(&centre, "toso.v1").await.expect("accepted");
    wire.send(&Frame::Hello(device.hello())).await;
    wire.welcome().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_frames_end_the_session_and_nobody_elses() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let mut bystander = Wire::open(&centre, &device.hello()).await;
    bystander.welcome().await;
    let bad = [
        Message::Binary(vec![0xff; 20].into()),
        Message::Binary(Vec::new().into()),
        Message::Text("xin chào".into()),
        Message::Binary(vec![0; FRAME_BYTES_MAX].into()),
    ];
    for message in bad {
        let mut wire = Wire::open(&centre, &device.hello()).await;
        wire.welcome().await;
        wire.send_raw(message).await;
        let code =
            wire.until(|frame| if let Frame::Goodbye(goodbye) = frame { Some(goodbye.code) } else { None }).await;
        assert_eq!(code, GoodbyeCode::Protocol);
    }
    let mut wire = Wire::open(&centre, &device.hello()).await;
    wire.welcome().await;
    wire.send_raw(Message::Binary(vec![0; FRAME_BYTES_MAX + 1].into())).await;
    while let Some(frame) = wire.next().await {
        assert!(!matches!(frame, Frame::Ack(_)));
    }
    bystander.send(&device.push(1, vec![device.team("tổ 1").1])).await;
    bystander.ack(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_house_sends_phones_away_with_a_time_to_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let centre = Centre::start_in(folder, |config| config.sessions_max = 1).await;
    let device = centre.device(COMMUNE, "recorder").await;
    let mut only = Wire::open(&centre, &device.hello()).await;
    only.welcome().await;
    let tokens = format!("toso.v1, {}", hello_token(&device.hello()));
    let (status, body) = dial(&centre, &tokens).await.err().expect("a refusal");
    assert_eq!(status, 503);
    assert!(body.contains("urn:toso:overloaded"), "{body}");
    let posted = centre.call("POST", "/v1/sync", &[], Some(String::new())).await;
    assert_eq!((posted.status, posted.problem().as_str()), (503, "overloaded"));
    let seconds: u64 = posted.retry_after.parse().expect("seconds");
    assert!((5..=35).contains(&seconds), "{seconds}");
    drop(only);
    let start = std::time::Instant::now();
    while dial(&centre, &tokens).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "the place is free again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends frames to `POST /v1/sync`.
async fn exchange(centre: &Centre, body: Vec<u8>) -> (u16, Vec<u8>) {
    let url = format!("{}/v1/sync", centre.url());
    tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let mut response = ureq::Agent::from(config).post(&url).send(&body[..]).expect("an answer");
        (response.status().as_u16(), response.body_mut().read_to_vec().expect("bytes"))
    })
    .await
    .expect("the request's thread")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_syncs_as_a_session_does() {
    let centre = Centre::start().await;
    let (a, b) = (centre.device(COMMUNE, "recorder").await, centre.device(COMMUNE, "recorder").await);
    let mut frames = vec![Frame::Hello(a.hello())];
    let pushes = u64::try_from(PUSH_WINDOW * 3).expect("small");
    for number in 1..=pushes {
        frames.push(a.push(number, vec![a.team(&format!("tổ {number}")).1]));
    }
    let (status, body) = exchange(&centre, encode_stream(&frames)).await;
    assert_eq!(status, 200);
    let answers = decode_stream(&body, 100).expect("frames");
    assert!(matches!(answers.first(), Some(Frame::Welcome(_))));
    let acked = answers.iter().filter(|frame| matches!(frame, Frame::Ack(_))).count();
    assert_eq!(acked as u64, pushes, "more pushes than the window, each waits for its turn");
    centre.until_teams(pushes).await;

    let (_, body) = exchange(&centre, encode_stream(&[Frame::Hello(b.hello())])).await;
    let answers = decode_stream(&body, 100).expect("frames");
    let pulled: usize =
        answers
            .iter()
            .map(|frame| {
                if let Frame::Delta(delta) = frame {
                    delta.groups.iter().map(|group| group.items.len()).sum()
                } else {
                    0
                }
            })
            .sum();
    assert_eq!(pulled as u64, pushes);
    assert!(answers.iter().any(|frame| matches!(frame, Frame::Receipt(receipt) if receipt.totals[0].teams == pushes)));

    let dead = b.hello_with(Proof::Ticket(TicketProof::from_bytes(&[7; 28])), None, Sequence::ZERO);
    let frames = [Frame::Hello(dead), b.push(1, vec![b.team("tổ 99").1])];
    let (_, body) = exchange(&centre, encode_stream(&frames)).await;
    let answers = decode_stream(&body, 100).expect("frames");
    assert!(matches!(answers.as_slice(), [Frame::Challenge(_)]), "{answers:?}");
    let (status, _) = exchange(&centre, b"no frames".to_vec()).await;
    assert_eq!(status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_in_use_and_an_address_in_use_are_told_apart() {
    let centre = Centre::start().await;
    let again = ServerConfig::new(centre.folder.path(), "127.0.0.1:0".parse().expect("an address"));
    assert!(matches!(Server::start(again).await, Err(StartError::Store(StoreError::InUse { .. }))));
    let other = tempfile::tempdir().expect("a folder");
    let taken = ServerConfig::new(other.path(), centre.server.addr());
    assert!(matches!(Server::start(taken).await, Err(StartError::Listen { .. })));
    centre.until_teams(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_officer_of_a_province_gets_every_commune_live_and_in_pages() {
    let centre = Centre::start().await;
    let officer = centre.device("01", "officer").await;
    let recorder = centre.device(COMMUNE, "recorder").await;
    let mut field = Wire::open(&centre, &recorder.hello()).await;
    // 750 changes: more than one reading, so several pages.
    let mut through = Sequence::ZERO;
    for push in 1..=5_u64 {
        let items = (0..150).map(|number| recorder.team(&format!("tổ {}", push * 1000 + number)).1).collect();
        field.send(&recorder.push(push, items)).await;
        through = field.ack(push).await;
    }
    let mut wide = Wire::open(&centre, &officer.hello()).await;
    assert_eq!(wide.welcome().await.pending, 750);
    let (mut pulled, mut pages) = (0, 0);
    loop {
        let Frame::Delta(delta) = wide.frame().await else { continue };
        pages += 1;
        pulled += delta.groups.iter().map(|group| group.items.len()).sum::<usize>();
        if !delta.more {
            assert_eq!(delta.next, through);
            break;
        }
    }
    assert!(pulled == 750 && pages > 1, "{pulled} in {pages} pages");
    field.send(&recorder.push(6, vec![recorder.team("tổ mới").1])).await;
    wide.until(|frame| {
        if let Frame::Delta(delta) = frame
            && delta.next == through.plus(1)
        {
            Some(())
        } else {
            None
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_push_gets_its_receipt_however_counting_and_acknowledging_race() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let mut wire = Wire::open(&centre, &device.hello()).await;
    wire.send(&device.push(1, vec![device.team("tổ 1").1])).await;
    let first = wire.ack(1).await;
    centre.until_teams(1).await;
    for number in 2..=100 {
        wire.send(&device.push(number, vec![device.team(&format!("tổ {number}")).1])).await;
        assert_eq!(wire.receipt(first.plus(number - 1)).await.totals[0].teams, number);
    }
}

/// The story: one captured HELLO opened sessions for five minutes, each of which gave another ticket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hello_that_was_seen_is_challenged_on_the_socket_and_by_post() {
    let centre = Centre::start().await;
    let device = centre.device(COMMUNE, "recorder").await;
    let hello = device.hello();
    let mut first = Wire::open(&centre, &hello).await;
    first.welcome().await;
    let used = |frame: Frame| matches!(frame, Frame::Challenge(challenge) if challenge.reason == ChallengeReason::Used);
    let mut second = Wire::open(&centre, &hello).await;
    assert!(used(second.frame().await));
    let (_, posted) = exchange(&centre, encode_stream(&[Frame::Hello(hello)])).await;
    let posted = decode_stream(&posted, 8).expect("frames");
    assert!(posted.len() == 1 && posted.into_iter().all(used), "nothing but the challenge");
}
