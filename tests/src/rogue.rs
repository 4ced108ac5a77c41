//! An enrolled device that does as it likes: it speaks frames by hand, over a raw WebSocket, and keeps no rules.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use toso_core::change::Change;
use toso_core::chunk::RawChunk;
use toso_core::document::{Author, Document};
use toso_core::edit::{CommuneEdit, DocEdit, TeamEdit};
use toso_core::id::{Actor, DeviceId, Digest, DocId, Epoch, Sequence, ServerId};
use toso_core::text::{PlaceName, hamlet_key};
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitList, UnitRef};
use toso_wire::enrol::{Invite, signed_enrol};
use toso_wire::{Frame, Hello, Interest, Proof, Push, decode, encode, hello_token, signed_hello};

use crate::{Server, http};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A unit of the list of 2022.
pub fn unit(code: &str) -> UnitRef {
    UnitRef::new(UnitList::L2022, code).expect("a code")
}

/// The clock.
pub fn now() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    TimestampMs(u64::try_from(since.as_millis()).expect("milliseconds fit"))
}

/// A nonce that no proof has had: the server takes none twice.
pub fn fresh() -> [u8; 8] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()
}

/// A device with a key and a token.
#[derive(Debug, Clone)]
pub struct Rogue {
    /// Its key.
    pub key: SigningKey,
    /// Its capability token.
    pub token: Vec<u8>,
    /// The server that gave it.
    pub server: ServerId,
    /// Its unit.
    pub unit: UnitRef,
}

/// The exchange of an invite, as JSON.
pub fn enrolment(invite: &Invite, key: &SigningKey) -> serde_json::Value {
    let public_key = key.verifying_key().to_bytes();
    let signed = signed_enrol(invite.server, blake3::hash(&invite.secret).as_bytes(), &public_key);
    json!({
        "secret": URL_SAFE_NO_PAD.encode(invite.secret),
        "public_key": URL_SAFE_NO_PAD.encode(public_key),
        "signature": URL_SAFE_NO_PAD.encode(key.sign(&signed).to_bytes()),
    })
}

impl Rogue {
    /// Enrols with a new invite; `seed` makes its key.
    pub fn enrol(server: &Server, unit_code: &str, role: &str, seed: u8) -> Self {
        let invite = Invite::parse(&server.invite(unit_code, role)).expect("an invite");
        let key = SigningKey::from_bytes(&[seed; 32]);
        let answer = http::post(&format!("{}/v1/enrol", server.url()), None, &enrolment(&invite, &key));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let token = URL_SAFE_NO_PAD.decode(answer.json()["token"].as_str().expect("a text")).expect("a token");
        Self { key, token, server: invite.server, unit: unit(unit_code) }
    }

    /// Its id.
    pub fn id(&self) -> DeviceId {
        DeviceId::from_public_key(&self.key.verifying_key().to_bytes())
    }

    /// A fresh proof.
    pub fn proof(&self) -> Proof {
        let (at, nonce) = (now(), fresh().to_vec());
        let signature = self.key.sign(&signed_hello(self.server, at, &nonce)).to_bytes().to_vec();
        Proof::Token { token: self.token.clone(), at, nonce, signature }
    }

    /// A sound first HELLO that stays connected.
    pub fn hello(&self) -> Hello {
        self.hello_for(vec![Interest { unit: self.unit, cursor: Sequence::ZERO, digest: Digest::default() }], None)
    }

    /// HELLO with any interests and epoch.
    pub fn hello_for(&self, interests: Vec<Interest>, epoch: Option<Epoch>) -> Hello {
        Hello {
            protocol: 1,
            proof: self.proof(),
            epoch,
            interests,
            live: true,
            push: None,
            heard: None,
            page_bytes: None,
            receipt: None,
        }
    }

    /// The first change of a hamlet's team, with a note that makes it as large as wanted.
    pub fn team(&self, hamlet: &str, note_bytes: usize) -> Change<RawChunk> {
        self.team_with_note(hamlet, &"x".repeat(note_bytes))
    }

    /// The same with any note.
    pub fn team_with_note(&self, hamlet: &str, note: &str) -> Change<RawChunk> {
        let doc = DocId::hamlet_team(self.unit, hamlet, 0);
        let note = DocEdit::parse(doc.kind().expect("a known kind"), "note", note).expect("a note");
        let edits = [DocEdit::Team(TeamEdit::Hamlet(Some(PlaceName::parse(hamlet).expect("a name")))), note];
        let author = Author { actor: Actor::new(self.id(), [1; 8]), at: now() };
        let chunk = Document::new(doc).expect("a known kind").edit(author, &edits).expect("valid").expect("a change");
        Change { doc, chunk: chunk.raw() }
    }

    /// So many changes of one team, each of which builds on the one before.
    pub fn saves(&self, hamlet: &str, count: u32) -> Vec<Change<RawChunk>> {
        let doc = DocId::hamlet_team(self.unit, hamlet, 0);
        let author = Author { actor: Actor::new(self.id(), [2; 8]), at: now() };
        let mut document = Document::new(doc).expect("a known kind");
        let save = |number| {
            let edit = DocEdit::Team(TeamEdit::HouseholdsCovered(Some(number)));
            let chunk = document.edit(author, &[edit]).expect("valid").expect("a change");
            Change { doc, chunk: chunk.raw() }
        };
        (1..=count).map(save).collect()
    }

    /// So many changes of the commune's own sheet.
    pub fn sheet_saves(&self, count: u32) -> Vec<Change<RawChunk>> {
        let doc = DocId::commune(self.unit);
        let author = Author { actor: Actor::new(self.id(), [3; 8]), at: now() };
        let mut document = Document::new(doc).expect("a known kind");
        let save = |number| {
            let key = hamlet_key("Thôn 9");
            let edit = DocEdit::Commune(CommuneEdit::HamletHouseholds { key, households: Some(number) });
            let chunk = document.edit(author, &[edit]).expect("valid").expect("a change");
            Change { doc, chunk: chunk.raw() }
        };
        (1..=count).map(save).collect()
    }

    /// A push into its own unit.
    pub fn push(&self, number: u64, items: Vec<Change<RawChunk>>) -> Frame {
        Frame::Push(Push { number, scope: self.unit, items, carried: None })
    }

    /// Dials with a HELLO in the upgrade request.
    pub async fn open(&self, server: &Server, hello: &Hello) -> Wire {
        Wire::dial(server, &format!("toso.v1, {}", hello_token(hello))).await.expect("upgraded")
    }
}

/// A raw sync connection.
#[derive(Debug)]
pub struct Wire {
    /// The socket, to be abused.
    pub socket: WebSocketStream<TcpStream>,
}

impl Wire {
    /// Dials with these subprotocols; the error is the HTTP status.
    pub async fn dial(server: &Server, protocols: &str) -> Result<Self, u16> {
        let stream = TcpStream::connect(server.address()).await.expect("connected");
        let mut request = format!("ws://{}/v1/sync", server.address()).into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", protocols.parse().expect("a header"));
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: &Frame) {
        self.socket.send(Message::Binary(encode(frame).into())).await.expect("sent");
    }

    /// The next frame; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("the server answers or closes")? {
                Ok(Message::Binary(bytes)) => return Some(decode(&bytes).expect("a frame")),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Reads on until a frame fits; fails when the connection ends first.
    pub async fn until<T>(&mut self, mut fits: impl FnMut(Frame) -> Option<T>) -> T {
        loop {
            let frame = self.next().await.expect("a frame, not the end");
            if let Some(found) = fits(frame) {
                return found;
            }
        }
    }

    /// Everything until the server closes.
    pub async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }
}
