//! What a phone makes of servers and networks that stop in the middle: it ends by itself, says what it is, and keeps
//! everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use toso_core::id::{Epoch, Sequence, ServerId};
use toso_core::text::PlaceName;
use toso_core::time::TimestampMs;
use toso_replica::{Credential, Reach, Replica, SyncError, SyncOptions, TeamDraft};
use toso_store::ChunkStore;
use toso_store::memory::MemoryChunkStore;
use toso_wire::{
    Frame, Hello, Proof, Receipt, RootProof, Welcome, WelcomeProof, encode, hello_from_token, signed_welcome,
};

use crate::sync_once;
use crate::system;

/// The key of the server that the phone has joined.
fn root() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

/// A phone with an unsent team, whose server is at this address.
fn phone(url: &str) -> Arc<Replica> {
    let store: Arc<dyn ChunkStore> = Arc::new(MemoryChunkStore::new());
    let credential = Credential {
        server_url: url.to_owned(),
        server_id: ServerId::from_public_key(&root().verifying_key().to_bytes()),
        token: vec![1],
        unit: "2022/00001".parse().unwrap(),
        role: "recorder".to_owned(),
        token_ends: None,
        reach: Reach::default(),
    };
    credential.keep(store.as_ref()).unwrap();
    let replica = Replica::open(store, &system::options()).unwrap();
    let hamlet = Some(PlaceName::parse("Thôn 1").unwrap());
    replica.add_team(TeamDraft { hamlet, ..TeamDraft::default() }).unwrap();
    Arc::new(replica)
}

/// A peer that does this with every connection.
async fn peer<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(stream));
        }
    });
    (url, count)
}

fn options() -> SyncOptions {
    let (greeting_max, answer_max) = (Duration::from_millis(500), Duration::from_millis(700));
    SyncOptions { greeting_max, answer_max, connect_timeout: Duration::from_secs(5), ..SyncOptions::default() }
}

async fn fails(replica: &Arc<Replica>) -> SyncError {
    let synced = sync_once(replica, options(), |_, _| {});
    let (_, result) = tokio::time::timeout(Duration::from_secs(60), synced).await.expect("it ends by itself");
    assert_eq!(replica.outbox_len().unwrap(), 1, "kept");
    result.expect_err("nobody answered")
}

/// Reads a request's head.
async fn head(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|four| four == b"\r\n\r\n") && stream.read_buf(&mut bytes).await.unwrap_or(0) > 0 {}
}

/// It was called a stranger to the protocol, which sends people to look for another address.
#[tokio::test]
async fn a_cut_while_the_connection_is_set_up_is_a_bad_network() {
    let halves: [&'static [u8]; 4] = [b"", b"HTTP/1.1 ", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso", b"H"];
    for half in halves {
        for reset in [false, true] {
            let (url, _) = peer(move |mut stream| async move {
                head(&mut stream).await;
                let _ = stream.write_all(half).await;
                if reset {
                    let _ = stream.set_zero_linger();
                }
            })
            .await;
            let error = fails(&phone(&url)).await;
            assert!(matches!(error, SyncError::Unreachable { .. }), "{half:?}: {error}");
            assert_eq!((error.word(), error.needs_a_person()), ("offline", false));
        }
    }
    let (url, _) = peer(|stream| async move { drop(stream) }).await;
    assert_eq!(fails(&phone(&url)).await.word(), "offline", "not even the request was read");
}

/// A page of somebody else is no cut.
#[tokio::test]
async fn who_speaks_something_else_is_told_apart() {
    let answers: [&'static [u8]; 2] = [
        b"\x15\x03\x01\x00\x02\x02\x16\x15\x03\x01",
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n<!DOCTYPE html>",
    ];
    for answer in answers {
        let (url, count) = peer(move |mut stream| async move {
            head(&mut stream).await;
            let _ = stream.write_all(answer).await;
        })
        .await;
        let error = fails(&phone(&url)).await;
        assert_eq!(error.word(), "not_a_server", "{error}");
        assert_eq!(count.load(Ordering::Relaxed), 2, "the socket, and a request");
    }
}

/// A socket as the register's server accepts it.
async fn accepted(stream: TcpStream) -> Option<(WebSocketStream<TcpStream>, Hello)> {
    let mut offered = String::new();
    #[expect(clippy::result_large_err, reason = "the library's own signature")]
    let choose = |request: &Request, mut response: Response| {
        let protocols = request.headers()["Sec-WebSocket-Protocol"].to_str().expect("plain");
        protocols.rsplit(", ").next().expect("a token").clone_into(&mut offered);
        response.headers_mut().insert("Sec-WebSocket-Protocol", "toso.v1".parse().expect("plain"));
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, choose).await.ok()?;
    Some((socket, hello_from_token(&offered).ok()?))
}

/// WELCOME as the server says it that has the root key.
fn welcome(hello: &Hello, at: TimestampMs) -> Welcome {
    let Proof::Token { signature, .. } = &hello.proof else { panic!("first contact") };
    let root_key = root().verifying_key().to_bytes();
    let mut proof = RootProof { root: root_key, signature: [0; 64], token_ends: at, ticket: None, token: Vec::new() };
    proof.signature = root().sign(&signed_welcome(signature, Epoch(1), at, &proof)).to_bytes();
    Welcome { epoch: Some(Epoch(1)), at, proof: WelcomeProof::Root(Box::new(proof)), pending: 0 }
}

/// How a server goes on that has said WELCOME and never acknowledges.
#[derive(Clone, Copy)]
enum Alive {
    Pings,
    Receipts,
}

async fn never_acknowledges(stream: TcpStream, alive: Alive) {
    let Some((mut socket, hello)) = accepted(stream).await else { return };
    let at = TimestampMs(1_663_545_600_000);
    let welcome = Frame::Welcome(welcome(&hello, at));
    let _ = socket.send(Message::binary(encode(&welcome))).await;
    loop {
        let receipt = Frame::Receipt(Receipt { as_of: Sequence(1), at, totals: Vec::new() });
        let message = match alive {
            Alive::Pings => Message::Ping(Vec::new().into()),
            Alive::Receipts => Message::binary(encode(&receipt)),
        };
        if socket.send(message).await.is_err() {
            return;
        }
        // What the phone says is swallowed.
        let _ = tokio::time::timeout(Duration::from_millis(50), socket.next()).await;
    }
}

/// Its pings counted as hearing, and the phone waited for ever.
#[tokio::test]
async fn an_answer_that_never_comes_is_not_awaited_for_ever_however_alive_the_server_is() {
    for alive in [Alive::Pings, Alive::Receipts] {
        let (url, _) = peer(move |stream| never_acknowledges(stream, alive)).await;
        let error = fails(&phone(&url)).await;
        assert!(matches!(error, SyncError::Stalled { .. }), "{error}");
        assert_eq!((error.word(), error.needs_a_person()), ("offline", false));
    }
}

/// A socket that opens and says nothing; and one on which only pings come.
#[tokio::test]
async fn a_socket_without_a_greeting_is_given_up() {
    let (url, count) = peer(|stream| async move {
        let Some((mut socket, _)) = accepted(stream).await else { return };
        while socket.send(Message::Ping(Vec::new().into())).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let error = fails(&phone(&url)).await;
    assert!(matches!(error, SyncError::Stalled { .. }), "{error}");
    assert_eq!(count.load(Ordering::Relaxed), 2, "the socket, and a request");
}
