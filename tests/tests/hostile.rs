//! Attacks on a running server. Each must end in a refusal that is counted, within a bound of memory, while another
//! device syncs. `docs/threats.md` says who would do such a thing, and what is not defended.

#![cfg(target_os = "linux")]
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use toso_core::change::Change;
use toso_core::chunk::RawChunk;
use toso_core::document::DOCUMENT_SHARE_CHANGES;
use toso_core::id::{Digest, DocId, Epoch, Sequence};
use toso_core::unit::{UnitList, UnitRef};
use toso_tests::rogue::{Rogue, Wire, enrolment, unit};
use toso_tests::{COMMUNE, FieldDevice, OTHER_COMMUNE, Server, http, memory};
use toso_wire::enrol::Invite;
use toso_wire::limits::FRAME_INFLATED_BYTES_MAX;
use toso_wire::{Frame, GoodbyeCode, Interest, NackCode, Proof, Push, TicketProof, encode, hello_token};

/// What the server may grow by for one session, whatever it does: a frame that is coming (64 KiB) and one that is
/// decoded (128 KiB and as much again as values), a page that was read (64 KiB and as much again as values), frames that
/// wait for the peer (100 KiB), and 64 KiB for buffers and allocator.
const SESSION_BYTES_MAX: u64 = (64 + 2 * 128 + 2 * 64 + 100 + 64) * 1024;
/// What it may grow by for one connection that has not brought a request: 16 KiB of head and 16 KiB of state.
const CONNECTION_BYTES_MAX: u64 = 32 * 1024;
/// What it may grow by for what the honest device does meanwhile: caches, threads, the fold. The database's own cache
/// may grow to 160 MiB; the suites write a hundredth of that.
const HONEST_BYTES_MAX: u64 = 64 << 20;
/// An honest device syncs within this, processes started included, on a busy machine.
const SYNC_TIME_MAX: Duration = Duration::from_secs(25);

struct Attacked {
    server: Server,
    honest: FieldDevice,
    before: u64,
    _folders: [TempDir; 2],
}

impl Attacked {
    fn start() -> Self {
        let folders = [(); 2].map(|()| TempDir::new().expect("a temporary folder"));
        let server = Server::start(folders[0].path());
        let honest = server.device(folders[1].path(), COMMUNE);
        honest.sync();
        let before = memory::resident(server.pid());
        Self { server, honest, before, _folders: folders }
    }

    /// The honest device records a team and syncs, in time.
    fn honest_device_syncs(&self, hamlet: &str) {
        self.honest.ok(&["team", "add", "--hamlet", hamlet]);
        let start = Instant::now();
        self.honest.sync();
        assert!(start.elapsed() < SYNC_TIME_MAX, "the honest device took {:?}", start.elapsed());
    }

    /// How often a refusal was counted.
    fn counted(&self, kind: &str, code: &str) -> u64 {
        let metrics = http::get(&format!("{}/metrics", self.server.url()), Some(&self.server.admin_token())).body;
        let line = format!(r#"toso_refusals_total{{kind="{kind}",code="{code}"}} "#);
        metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or_default()
    }

    async fn until_counted(&self, kind: &str, code: &str, count: u64, patience: Duration) {
        let start = Instant::now();
        while self.counted(kind, code) < count {
            assert!(start.elapsed() < patience, "{kind}/{code} is not counted {count} times");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    fn grew_at_most(&self, bytes: u64) {
        let grown = memory::peak(self.server.pid()).saturating_sub(self.before);
        println!("the server grew by {} KiB, {} KiB are allowed", grown / 1024, (bytes + HONEST_BYTES_MAX) / 1024);
        assert!(grown <= bytes + HONEST_BYTES_MAX, "the server grew by {grown} bytes");
    }
}

/// Files that this process may open; the server has the same limit.
fn open_files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux tells");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("it is listed");
    line.split_whitespace().next().and_then(|soft| soft.parse().ok()).unwrap_or(usize::MAX)
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address()).await.expect("connected")
}

fn goodbye(frames: &[Frame]) -> Option<GoodbyeCode> {
    frames.iter().find_map(|frame| if let Frame::Goodbye(goodbye) = frame { Some(goodbye.code) } else { None })
}

/// More connections than the server has places, and none says a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_silent_connections() {
    const PLACES: usize = 4_096;
    let attacked = Attacked::start();
    let wanted = (PLACES + 500).min(open_files_max().saturating_sub(200));
    let mut flood = Vec::new();
    for _ in 0..wanted {
        flood.push(connect(&attacked.server).await);
    }
    attacked.honest_device_syncs("Thôn 1");
    if wanted > PLACES {
        attacked.until_counted("connection", "crowded_out", 1, SYNC_TIME_MAX).await;
    }
    attacked.grew_at_most(wanted as u64 * CONNECTION_BYTES_MAX);
}

/// Heads byte by byte, bodies byte by byte, upgrades without HELLO, frames of which half comes.
#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_slow_bodies_and_half_frames() {
    const EACH: usize = 40;
    let attacked = Attacked::start();
    let rogue = Rogue::enrol(&attacked.server, COMMUNE, "recorder", 1);
    let mut slow = Vec::new();
    for start in [
        "GET /v1/sync HTTP/1.1\r\nHost: thu.example.vn\r\n",
        "POST /v1/sync HTTP/1.1\r\nHost: thu.example.vn\r\nContent-Length: 1000000\r\n\r\n",
    ] {
        for _ in 0..EACH {
            let mut stream = connect(&attacked.server).await;
            stream.write_all(start.as_bytes()).await.expect("sent");
            slow.push(stream);
        }
    }
    let mut half = Vec::new();
    for authenticated in [false, true] {
        for _ in 0..if authenticated { 4 } else { EACH } {
            let mut wire = if authenticated {
                rogue.open(&attacked.server, &rogue.hello()).await
            } else {
                Wire::dial(&attacked.server, "toso.v1").await.expect("upgraded")
            };
            // A masked binary message of 64,000 bytes, of which one byte short comes.
            let mut message = vec![0x82, 0xfe, 0xfa, 0x00, 0, 0, 0, 0];
            message.resize(8 + 63_999, 0);
            wire.socket.get_mut().write_all(&message).await.expect("sent");
            half.push(wire);
        }
    }
    let dripping = tokio::spawn(async move {
        loop {
            for stream in &mut slow {
                // The server may have ended it by now.
                let _ = stream.write_all(b"x").await;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    attacked.honest_device_syncs("Thôn 1");
    // Both end in 20 s: heads by the time for a head, sessions by the time for HELLO.
    attacked.until_counted("connection", "slow_head", EACH as u64, Duration::from_secs(60)).await;
    attacked.until_counted("goodbye", "protocol", EACH as u64, Duration::from_secs(60)).await;
    dripping.abort();
    attacked.honest_device_syncs("Thôn 2");
    attacked.grew_at_most(half.len() as u64 * SESSION_BYTES_MAX + 2 * EACH as u64 * CONNECTION_BYTES_MAX);
}

/// A device that asks for everything and takes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads() {
    let attacked = Attacked::start();
    let writer = Rogue::enrol(&attacked.server, COMMUNE, "recorder", 1);
    let greedy = Rogue::enrol(&attacked.server, COMMUNE, "recorder", 2);
    // About 2 MiB that no compression shrinks much.
    let mut wire = writer.open(&attacked.server, &writer.hello()).await;
    for number in 1..=80_u64 {
        let items = (0..14).map(|item| noisy_team(&writer, number * 100 + item)).collect();
        wire.send(&writer.push(number, items)).await;
        wire.until(|frame| matches!(frame, Frame::Ack(ack) if ack.number == number).then_some(())).await;
    }
    let before = memory::resident(attacked.server.pid());
    let mut deaf = Vec::new();
    for _ in 0..4 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4 * 1024).expect("a small window");
        let stream = socket.connect(attacked.server.address().parse().expect("an address")).await.expect("connected");
        let mut request = format!("ws://{}/v1/sync", attacked.server.address()).into_client_request().expect("sound");
        let protocols = format!("toso.v1, {}", hello_token(&greedy.hello()));
        request.headers_mut().insert("sec-websocket-protocol", protocols.parse().expect("a header"));
        deaf.push(client_async(request, stream).await.expect("upgraded").0);
    }
    attacked.honest_device_syncs("Thôn 1");
    // 30 s without a byte taken while there is more to send. The system's own buffers must not take it all, or the server
    // would notice nothing until 100 s of silence.
    attacked.until_counted("connection", "unread", 4, Duration::from_secs(90)).await;
    let grown = memory::peak(attacked.server.pid()).saturating_sub(before);
    assert!(grown <= 4 * SESSION_BYTES_MAX + HONEST_BYTES_MAX, "{grown} bytes for four deaf sessions");
    attacked.honest_device_syncs("Thôn 2");
}

/// A team whose note is base64-like noise.
fn noisy_team(device: &Rogue, number: u64) -> Change<RawChunk> {
    let hamlet = format!("Thôn {number}");
    let noise: String = (0..48_u64)
        .map(|part| blake3::hash(&(number * 1_000 + part).to_be_bytes()).to_hex().to_string())
        .flat_map(|hex| hex.chars().take(40).collect::<Vec<_>>())
        .collect();
    device.team_with_note(&hamlet, &noise)
}

/// Messages that are too large, in too many pieces, no frames, bombs; and pings without end.
#[tokio::test(flavor = "multi_thread")]
async fn giant_fragmented_and_bursting_messages() {
    let attacked = Attacked::start();
    let rogue = Rogue::enrol(&attacked.server, COMMUNE, "recorder", 1);
    let open = || async {
        let mut wire = rogue.open(&attacked.server, &rogue.hello()).await;
        wire.until(|frame| matches!(frame, Frame::Welcome(_)).then_some(())).await;
        wire
    };
    // Over the limit at once, and in pieces that are each below it. The server may cut while it is still being sent.
    let mut giant = open().await;
    let _ = giant.socket.send(Message::Binary(vec![0; 8 << 20].into())).await;
    assert_eq!(goodbye(&giant.rest().await), None);
    let mut pieces = open().await;
    for number in 0..200 {
        let code = if number == 0 { Data::Binary } else { Data::Continue };
        let piece = RawFrame::message(vec![0; 60_000], OpCode::Data(code), false);
        if pieces.socket.send(Message::Frame(piece)).await.is_err() {
            break;
        }
    }
    assert_eq!(goodbye(&pieces.rest().await), None);
    attacked.until_counted("connection", "not_web_socket", 2, SYNC_TIME_MAX).await;

    // A whole frame in pieces of one byte is a frame like any other.
    let mut crumbs = open().await;
    let bytes = encode(&rogue.push(1, vec![rogue.team("Thôn 9", 5)]));
    for (number, byte) in bytes.iter().enumerate() {
        let code = if number == 0 { Data::Binary } else { Data::Continue };
        let piece = RawFrame::message(vec![*byte], OpCode::Data(code), number + 1 == bytes.len());
        crumbs.socket.send(Message::Frame(piece)).await.expect("sent");
    }
    crumbs.until(|frame| matches!(frame, Frame::Ack(ack) if ack.number == 1).then_some(())).await;

    // Text, invalid UTF-8, and blocks that would inflate past the limit.
    let size = u32::try_from(FRAME_INFLATED_BYTES_MAX).expect("small") + (1 << 16);
    let literals = 0b01 | 0b11 << 2 | size << 4;
    let bomb = [&[0x01], &literals.to_le_bytes()[..3], &[7, 0]].concat();
    for message in
        [Message::Text("xin chào".into()), Message::Binary(bomb.into()), Message::Binary(vec![0xc1; 9].into())]
    {
        let mut wire = open().await;
        wire.socket.send(message).await.expect("sent");
        assert_eq!(goodbye(&wire.rest().await), Some(GoodbyeCode::Protocol));
    }
    let mut torn = open().await;
    let piece = RawFrame::message(vec![0xff, 0xfe, 0xfd], OpCode::Data(Data::Text), true);
    torn.socket.send(Message::Frame(piece)).await.expect("sent");
    assert_eq!(goodbye(&torn.rest().await), None);
    attacked.until_counted("connection", "not_web_socket", 3, SYNC_TIME_MAX).await;

    let mut pings = open().await;
    let flooding = async { while pings.socket.send(Message::Ping(vec![7; 125].into())).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(60), flooding).await.expect("a flood of pings is ended");
    while let Some(Ok(_)) = pings.socket.next().await {}
    attacked.until_counted("goodbye", "overload", 1, SYNC_TIME_MAX).await;
    attacked.honest_device_syncs("Thôn 1");
    attacked.grew_at_most(8 * SESSION_BYTES_MAX);
}

/// HELLOs that lie about what the device has and where it belongs.
#[tokio::test(flavor = "multi_thread")]
async fn lies_in_hello() {
    let attacked = Attacked::start();
    let rogue = Rogue::enrol(&attacked.server, COMMUNE, "recorder", 1);
    let mut first = rogue.open(&attacked.server, &rogue.hello()).await;
    let Some(Frame::Welcome(welcome)) = first.next().await else { panic!("welcome expected") };
    first.send(&rogue.push(1, vec![rogue.team("Thôn 9", 5)])).await;
    first.until(|frame| matches!(frame, Frame::Ack(_)).then_some(())).await;

    // Cursors, epochs and digests that cannot be: the device is served, from the beginning or after comparing.
    for (cursor, epoch) in
        [(2, None), (u64::MAX, welcome.epoch), (u64::MAX, Some(Epoch(u64::MAX))), (1 << 40, Some(Epoch(0)))]
    {
        for digest in [Digest::default(), Digest(u64::MAX)] {
            let interest = Interest { unit: rogue.unit, cursor: Sequence(cursor), digest };
            let mut wire = rogue.open(&attacked.server, &rogue.hello_for(vec![interest], epoch)).await;
            wire.until(|frame| matches!(frame, Frame::Welcome(_)).then_some(())).await;
            wire.send(&Frame::Goodbye(toso_wire::Goodbye { code: GoodbyeCode::Done, detail: String::new() })).await;
            wire.rest().await;
        }
    }
    // Units that are another's, wider, of nobody, or asked for twice.
    let interest = |unit| Interest { unit, cursor: Sequence::ZERO, digest: Digest::default() };
    let nobodys = UnitRef::new(UnitList::L2022, "99998").expect("a code");
    let asked = [
        (vec![interest(unit(OTHER_COMMUNE))], GoodbyeCode::OutOfScope),
        (vec![interest(unit("01"))], GoodbyeCode::OutOfScope),
        (vec![interest(UnitRef::country(UnitList::L2025))], GoodbyeCode::OutOfScope),
        (vec![interest(nobodys)], GoodbyeCode::OutOfScope),
        (vec![interest(rogue.unit); 2], GoodbyeCode::Protocol),
    ];
    for (interests, code) in asked {
        let mut wire = rogue.open(&attacked.server, &rogue.hello_for(interests, None)).await;
        assert_eq!(goodbye(&wire.rest().await), Some(code));
    }
    assert_eq!(attacked.counted("goodbye", "out_of_scope"), 4);
    attacked.honest_device_syncs("Thôn 1");
    attacked.grew_at_most(4 * SESSION_BYTES_MAX);
}

/// Proofs that were another's: another server's token, another device's, a used invite.
#[tokio::test(flavor = "multi_thread")]
async fn proofs_that_are_borrowed_or_used() {
    let attacked = Attacked::start();
    let other_data = TempDir::new().expect("a temporary folder");
    let other = Server::start(other_data.path());
    let (rogue, foreign) =
        (Rogue::enrol(&attacked.server, COMMUNE, "recorder", 1), Rogue::enrol(&other, COMMUNE, "recorder", 1));
    // The same key at two servers: neither token nor signature of one is worth anything at the other.
    let mut wire = foreign.open(&attacked.server, &foreign.hello()).await;
    assert_eq!(goodbye(&wire.rest().await), Some(GoodbyeCode::Unauthorized));
    let mut mixed = rogue.hello();
    if let (Proof::Token { signature, .. }, Proof::Token { signature: theirs, .. }) =
        (&mut mixed.proof, foreign.proof())
    {
        *signature = theirs;
    }
    let mut wire = rogue.open(&attacked.server, &mixed).await;
    assert_eq!(goodbye(&wire.rest().await), Some(GoodbyeCode::Unauthorized), "a signature made for another server");
    let mut stolen = rogue.clone();
    stolen.key = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let mut wire = stolen.open(&attacked.server, &stolen.hello()).await;
    assert_eq!(goodbye(&wire.rest().await), Some(GoodbyeCode::Unauthorized), "a token without its key");
    // A ticket of the other server, and one with its end moved.
    let mut wire = foreign.open(&other, &foreign.hello()).await;
    let Some(Frame::Welcome(welcome)) = wire.next().await else { panic!("welcome expected") };
    let ticket = welcome.ticket().expect("a ticket");
    let shown = TicketProof::new(ticket, foreign.id(), toso_tests::rogue::now(), [1; 4]);
    for shown in [shown, TicketProof { ends_s: shown.ends_s + 1, ..shown }] {
        let mut hello = rogue.hello();
        hello.proof = Proof::Ticket(shown);
        let mut wire = rogue.open(&attacked.server, &hello).await;
        assert!(matches!(wire.next().await, Some(Frame::Challenge(_))), "a ticket of elsewhere is asked to prove more");
    }
    assert_eq!(attacked.counted("challenge", "challenge"), 2);
    assert_eq!(attacked.counted("goodbye", "unauthorized"), 3);
    // An invite works for the device that used it first, and for no other.
    let invite = Invite::parse(&attacked.server.invite(COMMUNE, "recorder")).expect("an invite");
    let url = format!("{}/v1/enrol", attacked.server.url());
    let [mine, others] = [5, 6].map(|seed| enrolment(&invite, &ed25519_dalek::SigningKey::from_bytes(&[seed; 32])));
    assert_eq!(http::post(&url, None, &mine).status, 200);
    assert!(matches!(http::post(&url, None, &others).status, 400..500));
    assert_eq!(http::post(&url, None, &mine).status, 200, "its answer may have been lost");
    attacked.honest_device_syncs("Thôn 1");
}

/// Pushes that lie about number, scope, document and author.
#[tokio::test(flavor = "multi_thread")]
async fn lies_in_push() {
    let attacked = Attacked::start();
    let rogue = Rogue::enrol(&attacked.server, COMMUNE, "recorder", 1);
    let other = Rogue::enrol(&attacked.server, COMMUNE, "recorder", 2);
    let good = rogue.team("Thôn 9", 5);
    let in_scope = |scope, items| Frame::Push(Push { number: 1, scope, items, carried: None });
    let elsewhere = DocId::hamlet_team(unit(OTHER_COMMUNE), "Thôn 9", 0);
    let refused = [
        (in_scope(unit(OTHER_COMMUNE), vec![good.clone()]), NackCode::OutOfScope),
        (in_scope(unit("01"), vec![good.clone()]), NackCode::OutOfScope),
        (in_scope(UnitRef::country(UnitList::L2022), vec![good.clone()]), NackCode::OutOfScope),
        (in_scope(rogue.unit, vec![Change { doc: elsewhere, chunk: good.chunk.clone() }]), NackCode::WrongDocument),
        (in_scope(rogue.unit, vec![other.team("Thôn 9", 5)]), NackCode::ForeignActor),
        (in_scope(rogue.unit, vec![Change { doc: good.doc, chunk: vec![0; 60].into() }]), NackCode::Malformed),
        (in_scope(rogue.unit, vec![Change { doc: good.doc, chunk: Vec::new().into() }]), NackCode::Malformed),
        (in_scope(rogue.unit, Vec::new()), NackCode::TooLarge),
    ];
    for (push, code) in refused {
        let mut wire = rogue.open(&attacked.server, &rogue.hello()).await;
        wire.send(&push).await;
        let nack = wire
            .until(|frame| {
                assert!(!matches!(frame, Frame::Ack(_)), "accepted: {frame:?} for {code:?}");
                if let Frame::Nack(nack) = frame { Some(nack.code) } else { None }
            })
            .await;
        assert_eq!(nack, code);
    }
    for (code, count) in
        [("out_of_scope", 3), ("wrong_document", 1), ("foreign_actor", 1), ("malformed", 2), ("too_large", 1)]
    {
        assert_eq!(attacked.counted("nack", code), count, "{code}");
    }
    for number in [0, 2, u64::MAX] {
        let mut wire = rogue.open(&attacked.server, &rogue.hello()).await;
        wire.send(&rogue.push(number, vec![good.clone()])).await;
        assert_eq!(goodbye(&wire.rest().await), Some(GoodbyeCode::Protocol), "push {number}");
    }
    // One frame after the other that is refused item by item: the session ends, and not only the frames.
    let mut noise = rogue.open(&attacked.server, &rogue.hello()).await;
    let items: Vec<_> = (0..256).map(|_| Change { doc: good.doc, chunk: vec![0; 8].into() }).collect();
    let (mut end, mut number) = (None, 0);
    while end.is_none() && number < 40 {
        number += 1;
        let _ = noise.socket.send(Message::Binary(encode(&rogue.push(number, items.clone())).into())).await;
        for _ in 0..256 {
            match noise.next().await {
                Some(Frame::Goodbye(goodbye)) => end = Some(goodbye.code),
                Some(_) => continue,
                None => {}
            }
            break;
        }
    }
    assert_eq!(end, Some(GoodbyeCode::Overload), "after {number} pushes");
    assert_eq!(attacked.server.report(&["--unit", COMMUNE])["teams"], 0, "nothing refused is in the register");
    attacked.honest_device_syncs("Thôn 1");
    attacked.grew_at_most(8 * SESSION_BYTES_MAX);
}

/// A record that grows without end: it ends at its limit, what is past it is named, and nothing else of the push suffers.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_grows_without_end() {
    const PUSH_ITEMS: usize = 200;
    let attacked = Attacked::start();
    let rogue = Rogue::enrol(&attacked.server, COMMUNE, "recorder", 1);
    let most = u32::try_from(DOCUMENT_SHARE_CHANGES).expect("a small number");
    let mut saves = rogue.saves("Thôn 9", most + 1);
    let (last, past) = (saves.split_off(saves.len() - 2), saves);
    let mut wire = rogue.open(&attacked.server, &rogue.hello()).await;
    let mut number = 0;
    for items in past.chunks(PUSH_ITEMS) {
        number += 1;
        wire.send(&rogue.push(number, items.to_vec())).await;
        wire.until(|frame| matches!(frame, Frame::Ack(ack) if ack.number == number).then_some(())).await;
    }
    // The last that it takes, one past it, another record's, and one that the register has.
    let items = vec![last[0].clone(), last[1].clone(), rogue.team("Thôn 8", 5), past[0].clone()];
    wire.send(&rogue.push(number + 1, items)).await;
    let nack = wire.until(|frame| if let Frame::Nack(nack) = frame { Some(nack) } else { None }).await;
    assert_eq!((nack.number, nack.item, nack.code), (number + 1, Some(1), NackCode::TooLarge), "{nack:?}");
    assert!(nack.detail.starts_with("this device has written its share"), "{}", nack.detail);
    wire.until(|frame| matches!(frame, Frame::Ack(ack) if ack.number == number + 1).then_some(())).await;
    assert_eq!(attacked.counted("nack", "too_large"), 1);
    attacked.server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 2);
    attacked.honest_device_syncs("Thôn 1");
    attacked.grew_at_most(SESSION_BYTES_MAX);
}

/// A recorder fills what it may of the commune's own sheet. Its officer works on it all the same, before and after the
/// recorder is revoked, and what it wrote goes out of the centre's answers by one decision.
#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_that_a_recorder_fills_stays_its_officers() {
    const PUSH_ITEMS: usize = 200;
    let attacked = Attacked::start();
    let folder = TempDir::new().expect("a temporary folder");
    let officer = FieldDevice::new(folder.path());
    officer.ok(&["enrol", &attacked.server.invite(COMMUNE, "officer")]);
    let rogue = Rogue::enrol(&attacked.server, COMMUNE, "recorder", 1);
    let share = u32::try_from(DOCUMENT_SHARE_CHANGES).expect("a small number");
    let mut wire = rogue.open(&attacked.server, &rogue.hello()).await;
    let (mut number, mut refused) = (0, 0);
    for items in rogue.sheet_saves(share + 1).chunks(PUSH_ITEMS) {
        number += 1;
        wire.send(&rogue.push(number, items.to_vec())).await;
        let last = number * 200 > u64::from(share);
        wire.until(|frame| {
            if let Frame::Nack(nack) = &frame {
                refused += 1;
                return (last && nack.code == NackCode::TooLarge).then_some(());
            }
            matches!(frame, Frame::Ack(ack) if !last && ack.number == number).then_some(())
        })
        .await;
    }
    assert_eq!(refused, 1, "its share, and not one change more");

    officer.ok(&["hamlet", "add", "--name", "Thôn 1", "--kind", "thon"]);
    assert_eq!(officer.sync()["acked"], 1, "while the recorder is welcome");
    let device = rogue.id().to_string();
    let order = |args: &[&str]| {
        let admin = attacked.server.admin_token_file();
        let mut command = std::process::Command::new(toso_tests::toso());
        command.args(["device", args[0], "--server", attacked.server.url(), "--device", &device]).args(&args[1..]);
        let output = command.arg("--admin-token-file").arg(admin).output().expect("toso runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    order(&["revoke"]);
    officer.ok(&["hamlet", "add", "--name", "Thôn 2", "--kind", "thon"]);
    assert_eq!(officer.sync()["acked"], 1, "and once it is revoked");
    order(&["set-aside", "--list", "2022", "--unit", COMMUNE, "--why", "a rogue device"]);
    let (mut after, mut saves) = (Some(0), Vec::new());
    while let Some(from) = after {
        let url = format!("{}/v1/activity?unit=2022/{COMMUNE}&limit=200&after={from}", attacked.server.url());
        let page = http::get(&url, Some(&attacked.server.admin_token())).json();
        saves.extend(page["items"].as_array().expect("a list").iter().cloned());
        after = page["next"].as_u64();
    }
    assert_eq!(saves.len(), 2, "the officer's alone: {saves:?}");
}
