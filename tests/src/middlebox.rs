//! Networks that people really meet between a phone and the server: proxies that break WebSockets in each of their ways,
//! and links that are reset every few kilobytes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is sent within this time is under way together, and is lost together.
const FLIGHT: Duration = Duration::from_millis(15);

/// What a middlebox does with an upgrade. Other requests always pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaks {
    /// Nothing: it passes.
    Nothing,
    /// The headers that ask for it are left out on the way up.
    UpgradeUp,
    /// The subprotocols are left out on the way up.
    SubprotocolUp,
    /// The subprotocol is left out on the way down.
    SubprotocolDown,
    /// It is answered with this status, and a page.
    Answers(u16),
    /// The connection is closed instead of an answer.
    Closes,
    /// The connection is closed within the head of the answer.
    ClosesWithinHead,
    /// The upgrade passes, and the connection is closed then.
    ClosesAfter,
    /// The upgrade passes, and no byte after it does.
    MutesAfter,
    /// The upgrade and what the server says pass, and nothing that the phone says.
    MutesPhone,
}

/// A proxy that breaks WebSockets.
#[derive(Debug)]
pub struct Middlebox {
    url: String,
    breaks: Arc<Mutex<Breaks>>,
    upgrades: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Middlebox {
    /// In front of `server` (`127.0.0.1:PORT`), for as long as the runtime lives.
    pub async fn start(server: &str, breaks: Breaks) -> Self {
        let (listener, url, server) = listen(server).await;
        let this =
            Self { url, breaks: Arc::new(Mutex::new(breaks)), upgrades: Arc::default(), requests: Arc::default() };
        let (breaks, upgrades) = (Arc::clone(&this.breaks), Arc::clone(&this.upgrades));
        let requests = Arc::clone(&this.requests);
        tokio::spawn(async move {
            while let Ok((phone, _)) = listener.accept().await {
                let (breaks, upgrades) = (*breaks.lock(), Arc::clone(&upgrades));
                let requests = Arc::clone(&requests);
                tokio::spawn(async move { pass(phone, server, breaks, &upgrades, &requests).await });
            }
        });
        this
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From the next connection on.
    pub fn set(&self, breaks: Breaks) {
        *self.breaks.lock() = breaks;
    }

    /// Connections that asked for an upgrade.
    pub fn upgrades(&self) -> usize {
        self.upgrades.load(Ordering::Relaxed)
    }

    /// Connections that began with another request.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn listen(server: &str) -> (TcpListener, String, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    (listener, url, server.parse().expect("an address"))
}

async fn pass(
    mut phone: TcpStream,
    server: SocketAddr,
    breaks: Breaks,
    upgrades: &AtomicUsize,
    requests: &AtomicUsize,
) -> io::Result<()> {
    let (head, rest) = read_head(&mut phone).await?;
    let is_upgrade = head.to_ascii_lowercase().contains("upgrade: websocket");
    (if is_upgrade { upgrades } else { requests }).fetch_add(1, Ordering::Relaxed);
    let breaks = if is_upgrade { breaks } else { Breaks::Nothing };
    match breaks {
        Breaks::Answers(status) => {
            let page = "<!DOCTYPE html><title>No</title>";
            let length = page.len();
            let answer =
                format!("HTTP/1.1 {status} No\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{page}");
            return phone.write_all(answer.as_bytes()).await;
        }
        Breaks::Closes => return Ok(()),
        Breaks::ClosesWithinHead => return phone.write_all(b"HTTP/1.1 101 Switching Prot").await,
        Breaks::Nothing
        | Breaks::UpgradeUp
        | Breaks::SubprotocolUp
        | Breaks::SubprotocolDown
        | Breaks::ClosesAfter
        | Breaks::MutesAfter
        | Breaks::MutesPhone => {}
    }
    let left_out: &[&str] = match breaks {
        Breaks::UpgradeUp => &["upgrade", "connection", "sec-websocket-key", "sec-websocket-version"],
        Breaks::SubprotocolUp => &["sec-websocket-protocol"],
        Breaks::Nothing
        | Breaks::SubprotocolDown
        | Breaks::Answers(_)
        | Breaks::Closes
        | Breaks::ClosesWithinHead
        | Breaks::ClosesAfter
        | Breaks::MutesAfter
        | Breaks::MutesPhone => &[],
    };
    let mut far = TcpStream::connect(server).await?;
    far.write_all(without(&head, left_out).as_bytes()).await?;
    far.write_all(&rest).await?;
    if is_upgrade {
        let (answer, rest) = read_head(&mut far).await?;
        let left_out: &[&str] = if breaks == Breaks::SubprotocolDown { &["sec-websocket-protocol"] } else { &[] };
        phone.write_all(without(&answer, left_out).as_bytes()).await?;
        match breaks {
            Breaks::ClosesAfter => return Ok(()),
            Breaks::MutesAfter => {
                // Both stay open, and nothing passes; the phone's leaving ends it.
                let mut sink = [0; 1_024];
                while phone.read(&mut sink).await? > 0 {}
                return Ok(());
            }
            Breaks::MutesPhone => {
                phone.write_all(&rest).await?;
                let (mut phone_in, mut phone_out) = phone.split();
                let (mut far_in, _far_out) = far.split();
                let mut sink = tokio::io::sink();
                tokio::select! {
                    done = tokio::io::copy(&mut far_in, &mut phone_out) => done?,
                    done = tokio::io::copy(&mut phone_in, &mut sink) => done?,
                };
                return Ok(());
            }
            Breaks::Nothing
            | Breaks::UpgradeUp
            | Breaks::SubprotocolUp
            | Breaks::SubprotocolDown
            | Breaks::Answers(_)
            | Breaks::Closes
            | Breaks::ClosesWithinHead => phone.write_all(&rest).await?,
        }
    }
    tokio::io::copy_bidirectional(&mut phone, &mut far).await.map(drop)
}

async fn read_head(stream: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// A head without some of its fields.
fn without(head: &str, names: &[&str]) -> String {
    let is_left_out =
        |line: &str| line.split_once(':').is_some_and(|(name, _)| names.contains(&name.to_ascii_lowercase().as_str()));
    head.split_inclusive("\r\n").filter(|line| !is_left_out(line)).collect()
}

/// A link that is reset, with what is under way lost, once so many bytes have gone through it in one direction.
#[derive(Debug)]
pub struct ResetLink {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl ResetLink {
    /// In front of `server` (`127.0.0.1:PORT`), for as long as the runtime lives. `posts` says whether requests that ask for
    /// no upgrade come through, too.
    pub async fn start(server: &str, bytes_max: usize, posts: bool) -> Self {
        let (listener, url, server) = listen(server).await;
        let this = Self { url, connections: Arc::default() };
        let connections = Arc::clone(&this.connections);
        tokio::spawn(async move {
            while let Ok((phone, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut begins = [0; 4];
                    if !posts && phone.peek(&mut begins).await.is_ok() && &begins == b"POST" {
                        return;
                    }
                    let Ok(far) = TcpStream::connect(server).await else { return };
                    // Errors are an end like any other.
                    let _ = carry(&phone, &far, bytes_max).await;
                    for stream in [phone, far] {
                        // Closed like this, it is reset, and what the other side has not read is gone.
                        let _ = stream.set_zero_linger();
                    }
                });
            }
        });
        this
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn carry(phone: &TcpStream, far: &TcpStream, bytes_max: usize) -> io::Result<()> {
    let (mut up, mut down) = (0, 0);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let (from, to, passed) = tokio::select! {
            ready = phone.readable() => { ready?; (phone, far, &mut up) }
            ready = far.readable() => { ready?; (far, phone, &mut down) }
        };
        tokio::time::sleep(FLIGHT).await;
        let count = match from.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        *passed += count;
        if *passed > bytes_max {
            return Ok(());
        }
        let mut rest = buffer.get(..count).unwrap_or_default();
        while !rest.is_empty() {
            to.writable().await?;
            match to.try_write(rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}
