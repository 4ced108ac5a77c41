//! A server in a temporary folder, devices that enrol with it, and a raw WebSocket client.

#![allow(clippy::indexing_slicing, reason = "JSON answers are indexed; a missing field fails the test, as it should")]

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use toso_core::change::Change;
use toso_core::chunk::RawChunk;
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, MemberEdit, TeamEdit};
use toso_core::id::{Actor, DeviceId, Digest, DocId, Epoch, Sequence, ServerId};
use toso_core::record::{TeamLevel, TeamStatus};
use toso_core::text::{PersonName, PlaceName};
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitList, UnitRef};
use toso_server::{RunningServer, Server, ServerConfig};
use toso_wire::enrol::{Invite, signed_enrol};
use toso_wire::rest::{RestSignature, signed_rest};
use toso_wire::{
    Challenge, ChallengeReason, Frame, Hello, Interest, Proof, Push, Receipt, Welcome, decode, encode, hello_token,
    signed_hello,
};

pub(crate) const COMMUNE: &str = "00001";
pub(crate) const NEIGHBOUR: &str = "00004";
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn unit(code: &str) -> UnitRef {
    UnitRef::new(UnitList::L2022, code).expect("a code")
}

pub(crate) fn now() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    TimestampMs(u64::try_from(since.as_millis()).expect("before the year 500 million"))
}

/// A running server with its folder and admin token.
pub(crate) struct Centre {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) server: RunningServer,
    pub(crate) admin: String,
}

impl Centre {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), |_| {}).await
    }

    pub(crate) async fn start_in(folder: tempfile::TempDir, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = ServerConfig::new(folder.path(), "127.0.0.1:0".parse().expect("an address"));
        config.cache_bytes = 8 << 20;
        config.fold_workers = 2;
        change(&mut config);
        let server = Server::start(config).await.expect("it starts");
        let path = server.admin_token_path().expect("running");
        let admin = std::fs::read_to_string(path).expect("the admin token");
        Self { folder, server, admin }
    }

    pub(crate) async fn restart(self) -> Self {
        self.server.shutdown().await;
        Self::start_in(self.folder, |_| {}).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.addr())
    }

    pub(crate) fn id(&self) -> ServerId {
        self.server.server_id().expect("running")
    }

    /// The headers of a use of the admin token.
    pub(crate) fn as_admin(&self) -> [(&'static str, String); 2] {
        [("Authorization", format!("Bearer {}", self.admin)), ("Toso-Purpose", "a test".to_owned())]
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &self.as_admin(), None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, &self.as_admin(), Some(body.to_string())).await
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: Option<String>,
    ) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url()));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if body.is_some() && !headers.iter().any(|(name, _)| *name == "Content-Type") {
            request = request.header("Content-Type", "application/json");
        }
        let request = request.body(body.unwrap_or_default()).expect("a request");
        tokio::task::spawn_blocking(move || {
            let config = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .allow_non_standard_methods(true)
                .timeout_global(Some(PATIENCE))
                .build();
            let mut response = ureq::Agent::from(config).run(request).expect("an answer");
            let header = |name: &str| {
                response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
            };
            Answer {
                status: response.status().as_u16(),
                content_type: header("content-type"),
                retry_after: header("retry-after"),
                caching: [header("cache-control"), header("x-content-type-options")],
                disposition: header("content-disposition"),
                text: String::from_utf8_lossy(&response.body_mut().read_to_vec().expect("a body")).into_owned(),
            }
        })
        .await
        .expect("the request's thread")
    }

    /// Makes an invite as the admin.
    pub(crate) async fn invite(&self, code: &str, role: &str) -> Invite {
        let answer = self.post("/v1/invites", json!({ "unit": format!("2022/{code}"), "role": role })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        Invite::parse(answer.json()["invite"].as_str().expect("a text")).expect("an invite")
    }

    /// A new device of a commune.
    pub(crate) async fn device(&self, code: &str, role: &str) -> Device {
        static SEED: AtomicU8 = AtomicU8::new(1);
        let invite = self.invite(code, role).await;
        let key = SigningKey::from_bytes(&[SEED.fetch_add(1, Ordering::Relaxed); 32]);
        let answer = self.call("POST", "/v1/enrol", &[], Some(enrol_body(&invite, &key).to_string())).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let token = URL_SAFE_NO_PAD.decode(answer.json()["token"].as_str().expect("a text")).expect("a token");
        let id = DeviceId::from_public_key(&key.verifying_key().to_bytes());
        Device { key, token, id, server: self.id(), unit: unit(code) }
    }

    /// Waits until the report counts so many teams.
    pub(crate) async fn until_teams(&self, teams: u64) {
        let start = std::time::Instant::now();
        loop {
            let answer = self.get("/v1/report").await;
            let counted = answer.json()["teams"].as_u64().expect("a number");
            if counted == teams {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{counted} teams are counted, {teams} were expected");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(crate) fn enrol_body(invite: &Invite, key: &SigningKey) -> Value {
    let public_key = key.verifying_key().to_bytes();
    let signed = signed_enrol(invite.server, blake3::hash(&invite.secret).as_bytes(), &public_key);
    json!({
        "secret": URL_SAFE_NO_PAD.encode(invite.secret),
        "public_key": URL_SAFE_NO_PAD.encode(public_key),
        "signature": URL_SAFE_NO_PAD.encode(key.sign(&signed).to_bytes()),
        "device_name": "Máy thử",
    })
}

/// An answer of the REST interface.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) retry_after: String,
    /// What keeps it out of caches, and from being taken for something else.
    pub(crate) caching: [String; 2],
    pub(crate) disposition: String,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }

    /// The time that a server asks to sign with, as it does for the minutes after a restart.
    pub(crate) fn sign_at(&self) -> Option<TimestampMs> {
        let problem: Value = serde_json::from_str(&self.text).ok()?;
        let asks = self.status == 401 && problem["type"] == "urn:toso:clock";
        asks.then(|| problem["server_time"].as_u64().map(TimestampMs)).flatten()
    }

    /// The problem's type, having checked its shape.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.content_type, "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"].as_u64(), Some(u64::from(self.status)));
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        let kind = problem["type"].as_str().and_then(|kind| kind.strip_prefix("urn:toso:"));
        kind.expect("a type of ours").to_owned()
    }
}

/// An enrolled device.
pub(crate) struct Device {
    pub(crate) key: SigningKey,
    pub(crate) token: Vec<u8>,
    pub(crate) id: DeviceId,
    pub(crate) server: ServerId,
    pub(crate) unit: UnitRef,
}

impl Device {
    /// The same device, for a call that outlives a borrow.
    pub(crate) fn clone_of(&self) -> Self {
        Self { key: self.key.clone(), token: self.token.clone(), ..*self }
    }

    pub(crate) fn author(&self) -> Author {
        Author { actor: Actor::new(self.id, [1; 8]), at: now() }
    }

    /// A team of a hamlet, made by this device.
    pub(crate) fn team(&self, hamlet: &str) -> (DocId, Change<RawChunk>) {
        let doc = DocId::hamlet_team(self.unit, hamlet, 0);
        let edits = [
            DocEdit::Team(TeamEdit::Level(TeamLevel::Hamlet)),
            DocEdit::Team(TeamEdit::Status(TeamStatus::Active)),
            DocEdit::Team(TeamEdit::Hamlet(Some(PlaceName::parse(hamlet).expect("a name")))),
        ];
        (doc, self.first_change(doc, &edits))
    }

    /// A member of a team, made by this device.
    pub(crate) fn member(&self, team: DocId, number: u8) -> (DocId, Change<RawChunk>) {
        let doc = DocId::member(self.unit, [number; 11]);
        let name = PersonName::parse("Nguyễn Văn Thử").expect("a name");
        let edits = [DocEdit::Member(MemberEdit::Team(Some(team))), DocEdit::Member(MemberEdit::FullName(name))];
        (doc, self.first_change(doc, &edits))
    }

    pub(crate) fn first_change(&self, doc: DocId, edits: &[DocEdit]) -> Change<RawChunk> {
        let chunk =
            Document::new(doc).expect("a known kind").edit(self.author(), edits).expect("valid").expect("a change");
        Change { doc, chunk: chunk.raw() }
    }

    pub(crate) fn push(&self, number: u64, items: Vec<Change<RawChunk>>) -> Frame {
        Frame::Push(Push { number, scope: self.unit, items, carried: None })
    }

    pub(crate) fn proof(&self, at: TimestampMs, nonce: &[u8]) -> Proof {
        let signature = self.key.sign(&signed_hello(self.server, at, nonce)).to_bytes().to_vec();
        Proof::Token { token: self.token.clone(), at, nonce: nonce.to_vec(), signature }
    }

    /// First contact, staying connected.
    pub(crate) fn hello(&self) -> Hello {
        self.hello_with(self.proof(now(), &fresh()), None, Sequence::ZERO)
    }

    pub(crate) fn hello_with(&self, proof: Proof, epoch: Option<Epoch>, cursor: Sequence) -> Hello {
        Hello {
            protocol: toso_wire::limits::PROTOCOL_VERSION,
            proof,
            epoch,
            interests: vec![Interest { unit: self.unit, cursor, digest: Digest::default() }],
            live: true,
            push: None,
            heard: None,
            page_bytes: None,
            receipt: None,
        }
    }

    /// Headers of a signed request.
    pub(crate) fn headers(&self, method: &str, path: &str, at: TimestampMs) -> Vec<(&'static str, String)> {
        self.headers_over(method, path, at, b"")
    }

    /// The same with a body.
    pub(crate) fn headers_over(
        &self,
        method: &str,
        path: &str,
        at: TimestampMs,
        body: &[u8],
    ) -> Vec<(&'static str, String)> {
        let [high, low] = [fresh(), fresh()];
        let nonce: [u8; 16] = [high, low].concat().try_into().expect("16 bytes");
        let signature = self.key.sign(&signed_rest(self.server, method, path, at, &nonce, body)).to_bytes();
        vec![
            ("Authorization", format!("Bearer {}", URL_SAFE_NO_PAD.encode(&self.token))),
            ("Toso-Signature", RestSignature { at, nonce, signature }.to_text()),
        ]
    }

    pub(crate) async fn get(&self, centre: &Centre, path: &str) -> Answer {
        let ask = async |at| centre.call("GET", path, &self.headers("GET", path, at), None).await;
        let answer = ask(now()).await;
        match answer.sign_at() {
            Some(at) => ask(at).await,
            None => answer,
        }
    }

    pub(crate) async fn post(&self, centre: &Centre, path: &str, body: Value) -> Answer {
        let body = body.to_string();
        let ask = async |at| {
            let headers = self.headers_over("POST", path, at, body.as_bytes());
            centre.call("POST", path, &headers, Some(body.clone())).await
        };
        let answer = ask(now()).await;
        match answer.sign_at() {
            Some(at) => ask(at).await,
            None => answer,
        }
    }

    /// A session with a server that has restarted, and so asks for the proof once more.
    pub(crate) async fn open_again(&self, centre: &Centre, epoch: Option<Epoch>, cursor: Sequence) -> Wire {
        let hello = |proof| self.hello_with(proof, epoch, cursor);
        let mut wire = Wire::open(centre, &hello(self.proof(now(), &fresh()))).await;
        let frame = wire.frame().await;
        let Frame::Challenge(Challenge { at, nonce, reason }) = frame else { panic!("CHALLENGE expected: {frame:?}") };
        assert_eq!(reason, ChallengeReason::Clock);
        wire.send(&Frame::Hello(hello(self.proof(at, &nonce)))).await;
        wire
    }
}

/// A nonce that no proof has had: the server takes none twice.
pub(crate) fn fresh() -> [u8; 8] {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()
}

/// A raw sync connection.
pub(crate) struct Wire {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// Dials with subprotocol tokens; the error is the HTTP answer.
pub(crate) async fn dial(centre: &Centre, tokens: &str) -> Result<Wire, (u16, String)> {
    let mut request = format!("ws://{}/v1/sync", centre.server.addr()).into_client_request().expect("a request");
    if !tokens.is_empty() {
        request.headers_mut().insert("Sec-WebSocket-Protocol", tokens.parse().expect("a header"));
    }
    match tokio_tungstenite::connect_async(request).await {
        Ok((socket, answer)) => {
            let chosen = answer.headers().get("Sec-WebSocket-Protocol").and_then(|value| value.to_str().ok());
            assert_eq!(chosen, Some("toso.v1"));
            Ok(Wire { socket })
        }
        Err(WsError::Http(answer)) => {
            let body = answer.body().clone().unwrap_or_default();
            Err((answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
        }
        Err(error) => panic!("dialling failed: {error}"),
    }
}

impl Wire {
    /// Dials with HELLO in the upgrade.
    pub(crate) async fn open(centre: &Centre, hello: &Hello) -> Self {
        dial(centre, &format!("toso.v1, {}", hello_token(hello))).await.expect("the upgrade is accepted")
    }

    pub(crate) async fn send(&mut self, frame: &Frame) {
        self.send_raw(Message::Binary(encode(frame).into())).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        self.socket.send(message).await.expect("sent");
    }

    /// The next frame; `None` when the server closes.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("an answer in time")?;
            match message {
                Ok(Message::Binary(bytes)) => return Some(decode(&bytes).expect("a frame")),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub(crate) async fn frame(&mut self) -> Frame {
        self.next().await.expect("a frame, not the end")
    }

    pub(crate) async fn welcome(&mut self) -> Welcome {
        let frame = self.frame().await;
        let Frame::Welcome(welcome) = frame else { panic!("WELCOME was expected, not {frame:?}") };
        welcome
    }

    /// Reads on until a frame fits.
    pub(crate) async fn until<T>(&mut self, mut fits: impl FnMut(&Frame) -> Option<T>) -> T {
        loop {
            let frame = self.frame().await;
            if let Some(found) = fits(&frame) {
                return found;
            }
        }
    }

    /// Reads on until a receipt as of a sequence.
    pub(crate) async fn receipt(&mut self, through: Sequence) -> Receipt {
        self.until(|frame| {
            if let Frame::Receipt(receipt) = frame
                && receipt.as_of >= through
            {
                Some(receipt.clone())
            } else {
                None
            }
        })
        .await
    }

    /// Reads on until the acknowledgement of a push.
    pub(crate) async fn ack(&mut self, number: u64) -> Sequence {
        self.until(|frame| {
            assert!(!matches!(frame, Frame::Nack(_)), "refused: {frame:?}");
            if let Frame::Ack(ack) = frame
                && ack.number == number
            {
                Some(ack.through)
            } else {
                None
            }
        })
        .await
    }
}
