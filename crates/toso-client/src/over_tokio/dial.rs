//! Dialling: TCP without delay, TLS where the address says so, the upgrade with HELLO inside, and the bytes counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderValue, Uri};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, client_async_with_config};
use toso_replica::between::PROBLEM_TYPE;
use toso_replica::exchange::DialFailure;
use toso_replica::{Between, Reach, SyncError};
use toso_wire::limits::{FRAME_BYTES_MAX, SUBPROTOCOL};
use toso_wire::{Hello, hello_token};

use super::socket::TokioSocket;
use crate::tls::{client_tls, of_certificate};

/// Bytes through a stream so far.
#[derive(Debug, Default)]
pub(super) struct Meter {
    up: AtomicU64,
    down: AtomicU64,
}

impl Meter {
    pub(super) fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    pub(super) fn down(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
    }
}

/// A TCP stream that counts.
#[derive(Debug)]
pub(super) struct CountedStream {
    stream: TcpStream,
    meter: Arc<Meter>,
}

/// A stream to the server, inside TLS where its address says so.
pub(super) type Stream = MaybeTlsStream<CountedStream>;

/// Connects and upgrades; each of the two within `time`.
pub(super) async fn dial(
    server_url: &str,
    reach: &Reach,
    hello: &Hello,
    time: Duration,
) -> Result<TokioSocket, DialFailure> {
    let meter = Arc::new(Meter::default());
    let protocol = |detail: String| SyncError::Protocol { url: server_url.to_owned(), detail };
    let address = Address::of(server_url, reach).map_err(DialFailure::Final)?;
    let token = hello_token(hello);
    let hello_bytes = token.len() as u64;
    let request = address.socket_url().as_str().into_client_request();
    let mut request = request.map_err(|error| DialFailure::Final(protocol(error.to_string())))?;
    let subprotocols = format!("{SUBPROTOCOL}, {token}");
    let value = subprotocols.parse();
    let value = value.map_err(|_| DialFailure::Final(protocol("HELLO does not fit a header".to_owned())))?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, value);

    let stream = timeout(time, connect(&address, &meter)).await;
    let stream = stream.unwrap_or_else(|_| Err(address.unreachable(&no_answer(time)))).map_err(DialFailure::Final)?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX))
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0);
    let before = meter.up();
    match timeout(time, client_async_with_config(request, stream, Some(config))).await {
        Ok(Ok((socket, _))) => {
            let http_bytes_up = (meter.up() - before).saturating_sub(hello_bytes);
            Ok(TokioSocket::new(socket, meter, http_bytes_up))
        }
        Ok(Err(error)) => Err(address.refused(error)),
        Err(_) => Err(DialFailure::Upgrade(address.unreachable(&no_answer(time)))),
    }
}

fn no_answer(time: Duration) -> String {
    format!("no answer within {} s", time.as_secs())
}

/// Connects, through TLS where the address says so.
pub(super) async fn connect(address: &Address, meter: &Arc<Meter>) -> Result<Stream, SyncError> {
    let tls = client_tls(&address.reach)?;
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await;
    let stream = stream.map_err(|error| address.unreachable(&error))?;
    // A push of 100 bytes must not wait for the acknowledgement of the segment before it.
    stream.set_nodelay(true).map_err(|error| address.unreachable(&error))?;
    let counted = CountedStream { stream, meter: Arc::clone(meter) };
    if !address.secure {
        return Ok(MaybeTlsStream::Plain(counted));
    }
    let name = ServerName::try_from(address.host.clone());
    let name = name.map_err(|error| address.unreachable(&error))?;
    let connected = TlsConnector::from(tls).connect(name, counted).await;
    connected.map(MaybeTlsStream::Rustls).map_err(|error| {
        of_certificate(&address.given, &error).map_or_else(|| address.unreachable(&error), SyncError::Reach)
    })
}

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// As it was given.
    given: String,
    host: String,
    port: u16,
    secure: bool,
    reach: Reach,
    /// Host and port, as a request names them.
    pub(super) authority: String,
    /// Of the sync address.
    pub(super) path: String,
}

impl Address {
    pub(super) fn of(server_url: &str, reach: &Reach) -> Result<Self, SyncError> {
        reach.check(server_url)?;
        let address = Self::parse(server_url).map(|address| Self { reach: reach.clone(), ..address });
        address.ok_or_else(|| SyncError::Protocol {
            url: server_url.to_owned(),
            detail: "the address is not http(s)://host[:port]".to_owned(),
        })
    }

    fn parse(server_url: &str) -> Option<Self> {
        let uri: Uri = server_url.trim_end_matches('/').parse().ok()?;
        let (secure, port) = match uri.scheme_str()? {
            "http" | "ws" => (false, 80),
            "https" | "wss" => (true, 443),
            _ => return None,
        };
        let authority = uri.authority()?;
        let port = authority.port_u16().unwrap_or(port);
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = format!("{}/v1/sync", uri.path().trim_end_matches('/'));
        let (given, authority) = (server_url.to_owned(), authority.to_string());
        Some(Self { given, host, port, secure, reach: Reach::default(), authority, path })
    }

    fn socket_url(&self) -> String {
        format!("{}://{}{}", if self.secure { "wss" } else { "ws" }, self.authority, self.path)
    }

    pub(super) fn unreachable(&self, detail: &dyn std::fmt::Display) -> SyncError {
        SyncError::Unreachable { url: self.given.clone(), detail: detail.to_string() }
    }

    pub(super) fn between(&self, status: u16, what: Between) -> SyncError {
        SyncError::Between { url: self.given.clone(), status, what }
    }

    pub(super) fn foreign(&self, detail: String) -> SyncError {
        SyncError::Protocol { url: self.given.clone(), detail }
    }

    /// What an upgrade that did not work means. A connection that ends before the answer is whole is a bad network: the
    /// server has not spoken.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "another crate's errors: all but these say what they are themselves"
    )]
    fn refused(&self, error: WsError) -> DialFailure {
        match error {
            WsError::Http(response) => {
                let status = response.status().as_u16();
                let told = SyncError::RetryAfter { delay_ms: retry_after_ms(response.headers().get(RETRY_AFTER)) };
                let by_server = response.headers().get(CONTENT_TYPE).is_some_and(|of| of == PROBLEM_TYPE);
                match status {
                    429 | 503 if by_server => DialFailure::Final(told),
                    429 | 503 => DialFailure::Upgrade(told),
                    _ if !by_server && let Some(what) = Between::of_status(status) => {
                        DialFailure::Upgrade(self.between(status, what))
                    }
                    _ => DialFailure::Upgrade(self.foreign(format!("the upgrade was answered with status {status}"))),
                }
            }
            WsError::Io(_)
            | WsError::ConnectionClosed
            | WsError::AlreadyClosed
            | WsError::Protocol(ProtocolError::HandshakeIncomplete | ProtocolError::ResetWithoutClosingHandshake) => {
                DialFailure::Upgrade(self.unreachable(&"the connection broke while it was being set up"))
            }
            error => DialFailure::Upgrade(self.foreign(error.to_string())),
        }
    }
}

/// What a server asks to wait; a second when it does not say how long.
pub(super) fn retry_after_ms(header: Option<&HeaderValue>) -> u64 {
    let seconds = header.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    seconds.unwrap_or(1).saturating_mul(1_000)
}

impl AsyncRead for CountedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.meter.down.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        result
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &result {
            self.meter.up.fetch_add(*written as u64, Ordering::Relaxed);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_sockets() {
        let of = |url| Address::parse(url).map(|a| (a.host.clone(), a.port, a.socket_url()));
        let plain = ("127.0.0.1".to_owned(), 7878, "ws://127.0.0.1:7878/v1/sync".to_owned());
        assert_eq!(of("http://127.0.0.1:7878"), Some(plain));
        let secure = ("toso.example.vn".to_owned(), 443, "wss://toso.example.vn/tinh/v1/sync".to_owned());
        assert_eq!(of("https://toso.example.vn/tinh/"), Some(secure));
        assert_eq!(of("http://[::1]:9").map(|a| (a.0, a.1)), Some(("::1".to_owned(), 9)));
        assert_eq!(of("ftp://x"), None);
        assert_eq!(of("127.0.0.1:7878"), None);
    }

    #[test]
    fn a_server_says_how_long_to_wait_and_nonsense_is_a_second() {
        let of = |text: &'static str| retry_after_ms(Some(&HeaderValue::from_static(text)));
        assert_eq!(of("7"), 7_000);
        assert_eq!(of("99999999999999999999"), 1_000);
        assert_eq!(of("18446744073709551615"), u64::MAX);
        assert_eq!(retry_after_ms(None), 1_000);
    }
}
