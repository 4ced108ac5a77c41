//! How long the server waits for peers, and how many it waits for: at each limit and one past it. The times are short
//! here; the suite against the real binary has the real ones.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use toso_core::id::{Epoch, Sequence};
use toso_server::ServerConfig;
use toso_server::config::{CONTROL_FRAMES_MAX, SESSIONS_PER_DEVICE_MAX};
use toso_wire::{Frame, GoodbyeCode, Proof, TicketProof, decode_stream, encode, encode_stream};

use crate::support::{COMMUNE, Centre, Wire, dial, fresh, now};

async fn centre(change: impl FnOnce(&mut ServerConfig)) -> Centre {
    Centre::start_in(tempfile::tempdir().expect("a folder"), change).await
}

async fn counts(centre: &Centre, kind: &str, code: &str) -> u64 {
    let metrics = centre.get("/metrics").await.text;
    let line = format!(r#"toso_refusals_total{{kind="{kind}",code="{code}"}} "#);
    metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or_default()
}

/// Waits until a refusal is counted so often.
async fn until_counted(centre: &Centre, code: &str, count: u64) {
    let start = Instant::now();
    while counts(centre, "connection", code).await < count {
        assert!(start.elapsed() < Duration::from_secs(20), "{code} is not counted {count} times");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn goodbye(wire: &mut Wire) -> GoodbyeCode {
    wire.until(|frame| if let Frame::Goodbye(goodbye) = frame { Some(goodbye.code) } else { None }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_give_way_to_a_newcomer_and_one_that_is_served_does_not() {
    let centre = centre(|config| config.http_connections_max = 4).await;
    let device = centre.device(COMMUNE, "recorder").await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(centre.server.addr()).await.expect("connected"));
    }
    // Past the limit: each newcomer is served at once, long before any time-out.
    let start = Instant::now();
    for _ in 0..4 {
        let mut wire = Wire::open(&centre, &device.hello()).await;
        wire.welcome().await;
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let mut first = silent.remove(0);
    let ended = tokio::time::timeout(Duration::from_secs(10), first.read(&mut [0; 1])).await.expect("it is ended");
    assert!(!matches!(ended, Ok(1..)), "it got nothing");
    until_counted(&centre, "crowded_out", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_and_frames_that_never_end_cost_their_connection() {
    let centre = centre(|config| {
        config.times.head = Duration::from_millis(400);
        config.times.hello = Duration::from_millis(400);
        config.times.ping_after = Duration::from_millis(300);
        config.times.silence = Duration::from_millis(900);
    })
    .await;
    let device = centre.device(COMMUNE, "recorder").await;

    // A head, byte by byte.
    let mut slow = TcpStream::connect(centre.server.addr()).await.expect("connected");
    let start = Instant::now();
    for byte in b"GET /healthz HTTP/1.1\r\nHost: thu.example.vn\r\n".iter().cycle() {
        if slow.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(start.elapsed() < Duration::from_secs(20), "a head that never ends is still read");
    }
    until_counted(&centre, "slow_head", 1).await;

    // Half a frame of an authenticated session; the socket answers pings meanwhile.
    let mut half = Wire::open(&centre, &device.hello()).await;
    half.welcome().await;
    let payload = encode(&device.push(1, vec![device.team("tổ 1").1]));
    let stream = half.socket.get_mut();
    // A masked binary message of 200 bytes, of which half comes.
    stream.write_all(&[0x82, 0xfe, 0, 200, 0, 0, 0, 0]).await.expect("sent");
    stream.write_all(&payload[..100.min(payload.len())]).await.expect("sent");
    let start = Instant::now();
    while half.next().await.is_some() {}
    assert!(start.elapsed() < Duration::from_secs(20));
    until_counted(&centre, "silent", 1).await;

    // One without HELLO.
    let mut mute = dial(&centre, "toso.v1").await.expect("upgraded");
    assert_eq!(goodbye(&mut mute).await, GoodbyeCode::Protocol);

    // A live one that only answers pings stays.
    let mut idle = Wire::open(&centre, &device.hello()).await;
    idle.welcome().await;
    let listening = tokio::time::timeout(Duration::from_secs(2), async { while idle.next().await.is_some() {} });
    assert!(listening.await.is_err(), "who answers pings is not silent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_takes_nothing_loses_its_connection() {
    let centre = centre(|config| config.times.write = Duration::from_millis(300)).await;
    let mut greedy = TcpStream::connect(centre.server.addr()).await.expect("connected");
    // Requests whose answers nobody reads, until the buffers of both systems are full.
    let admin = &centre.admin;
    let request = format!(
        "GET /v1/units?list=2022&limit=200 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin}\r\nToso-Purpose: a test\r\n\r\n"
    );
    let start = Instant::now();
    let sending = async { while greedy.write_all(request.as_bytes()).await.is_ok() {} };
    let ended = tokio::time::timeout(Duration::from_secs(30), sending).await;
    assert!(ended.is_ok(), "after {:?} the server still holds the connection", start.elapsed());
    until_counted(&centre, "unread", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_have_few_places_and_proved_phones_need_none_of_them() {
    let centre = centre(|config| config.unproved_sessions_max = 2).await;
    let device = centre.device(COMMUNE, "recorder").await;
    let mut strangers = Vec::new();
    for _ in 0..2 {
        strangers.push(dial(&centre, "toso.v1").await.expect("upgraded"));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut third = dial(&centre, "toso.v1").await.expect("upgraded");
    assert!(matches!(third.next().await, Some(Frame::RetryAfter(retry)) if retry.delay_ms >= 5_000), "one past it");
    assert_eq!(third.next().await, None);
    assert_eq!(counts(&centre, "shed", "shed").await, 1);
    Wire::open(&centre, &device.hello()).await.welcome().await;
    // A stranger at the limit may still prove itself, and its place is free again.
    strangers[0].send(&Frame::Hello(device.hello())).await;
    strangers[0].welcome().await;
    let mut fourth = dial(&centre, "toso.v1").await.expect("upgraded");
    fourth.send(&Frame::Hello(device.hello())).await;
    fourth.welcome().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_opens_too_many_sessions_loses_its_oldest() {
    let centre = centre(|_| {}).await;
    let (device, other) = (centre.device(COMMUNE, "recorder").await, centre.device(COMMUNE, "recorder").await);
    let mut bystander = Wire::open(&centre, &other.hello()).await;
    bystander.welcome().await;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS_PER_DEVICE_MAX {
        let mut wire = Wire::open(&centre, &device.hello()).await;
        wire.welcome().await;
        sessions.push(wire);
    }
    sessions[0].send(&device.push(1, vec![device.team("tổ 1").1])).await;
    sessions[0].ack(1).await;
    let mut further = Wire::open(&centre, &device.hello()).await;
    further.welcome().await;
    assert_eq!(goodbye(&mut sessions[0]).await, GoodbyeCode::Overload);
    assert_eq!(sessions[0].next().await, None, "and closed");
    further.send(&device.push(1, vec![device.team("tổ 2").1])).await;
    let through = further.ack(1).await;
    bystander.receipt(through).await;
    assert_eq!(counts(&centre, "goodbye", "overload").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_are_answered_up_to_a_limit() {
    let centre = centre(|_| {}).await;
    let device = centre.device(COMMUNE, "recorder").await;
    let mut wire = Wire::open(&centre, &device.hello()).await;
    wire.welcome().await;
    for _ in 0..CONTROL_FRAMES_MAX {
        wire.socket.send(Message::Ping(vec![7; 125].into())).await.expect("sent");
    }
    wire.send(&device.push(1, vec![device.team("tổ 1").1])).await;
    wire.ack(1).await;
    wire.socket.send(Message::Ping(vec![7; 125].into())).await.expect("sent");
    assert_eq!(goodbye(&mut wire).await, GoodbyeCode::Overload);
    while let Some(Ok(_)) = wire.socket.next().await {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_makes_a_post_hold_no_body() {
    let centre = centre(|_| {}).await;
    let device = centre.device(COMMUNE, "recorder").await;
    // HELLO that proves nothing, then a megabyte: it is read and not kept, and answered by a challenge.
    let dead = device.hello_with(Proof::Ticket(TicketProof::from_bytes(&[7; 28])), None, Sequence::ZERO);
    let mut body = encode_stream(&[Frame::Hello(dead)]);
    body.resize(toso_wire::limits::POST_BODY_BYTES_MAX, 0xff);
    let (status, answer) = post(&centre, body.clone()).await;
    assert_eq!(status, 200);
    assert!(matches!(decode_stream(&answer, 9).expect("frames").as_slice(), [Frame::Challenge(_)]));
    body.push(0);
    assert_eq!(post(&centre, body).await.0, 413, "one byte past the limit");
    let long = [u32::MAX.to_be_bytes().to_vec(), vec![0; 9_000]].concat();
    assert_eq!(post(&centre, long).await.0, 400, "what claims to be a HELLO of 4 GiB");
    let cut = encode_stream(&[Frame::Hello(device.hello())]);
    assert_eq!(post(&centre, cut[..cut.len() - 1].to_vec()).await.0, 400, "a HELLO that breaks off");
    assert_eq!(post(&centre, vec![0, 0]).await.0, 400, "not even a length");
}

async fn post(centre: &Centre, body: Vec<u8>) -> (u16, Vec<u8>) {
    let url = format!("{}/v1/sync", centre.url());
    tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let mut response = ureq::Agent::from(config).post(&url).send(&body[..]).expect("an answer");
        (response.status().as_u16(), response.body_mut().read_to_vec().expect("bytes"))
    })
    .await
    .expect("the request's thread")
}

/// Its pongs counted as hearing, and a comparison that one side had left was awaited for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_owes_an_answer_does_not_pay_with_pongs() {
    let centre = centre(|config| {
        config.times.answer = Duration::from_millis(800);
        config.times.ping_after = Duration::from_millis(100);
        // Many pings long, so that a busy machine is not taken for a silent device.
        config.times.silence = Duration::from_millis(1_500);
    })
    .await;
    let device = centre.device(COMMUNE, "recorder").await;
    // Of another history: the server opens a comparison.
    let hello = device.hello_with(device.proof(now(), &fresh()), Some(Epoch(1)), Sequence(5));
    let mut wire = Wire::open(&centre, &hello).await;
    assert_eq!(goodbye(&mut wire).await, GoodbyeCode::Overload);
    // One that owes nothing may be silent but for its pongs.
    let mut wire = Wire::open(&centre, &device.hello()).await;
    wire.welcome().await;
    let heard = tokio::time::timeout(Duration::from_secs(3), goodbye(&mut wire)).await;
    assert!(heard.is_err(), "{heard:?}");
}
