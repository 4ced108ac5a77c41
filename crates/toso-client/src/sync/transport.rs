//! Dialling: TCP without delay, TLS where the address says so, the upgrade with HELLO inside, and the bytes counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::Uri;
use http::header::{RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use toso_wire::limits::{FRAME_BYTES_MAX, SUBPROTOCOL};
use toso_wire::{Hello, hello_token};

use super::report::SyncError;

/// A connected socket.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<CountedStream>>;

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

/// A connection whose upgrade was accepted.
pub(super) struct Dialled {
    pub(super) socket: Socket,
    pub(super) meter: Arc<Meter>,
    /// Characters of HELLO's token in the request.
    pub(super) hello_bytes: u64,
    /// All other bytes of the request.
    pub(super) http_bytes_up: u64,
}

/// Connects and upgrades.
pub(super) async fn dial(server_url: &str, hello: &Hello) -> Result<Dialled, SyncError> {
    let unreachable = |detail: &dyn std::fmt::Display| SyncError::Unreachable {
        url: server_url.to_owned(),
        detail: detail.to_string(),
    };
    let protocol = |detail: String| SyncError::Protocol { url: server_url.to_owned(), detail };
    let address =
        socket_address(server_url).ok_or_else(|| protocol("the address is not http(s)://host[:port]".into()))?;
    let token = hello_token(hello);
    let hello_bytes = token.len() as u64;
    let mut request = address.url.as_str().into_client_request().map_err(|error| protocol(error.to_string()))?;
    let subprotocols = format!("{SUBPROTOCOL}, {token}");
    let value = subprotocols.parse().map_err(|_| protocol("HELLO does not fit a header".to_owned()))?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, value);

    let stream =
        TcpStream::connect((address.host.as_str(), address.port)).await.map_err(|error| unreachable(&error))?;
    // A push of 100 bytes must not wait for the acknowledgement of the segment before it.
    stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
    let meter = Arc::new(Meter::default());
    let counted = CountedStream { stream, meter: Arc::clone(&meter) };
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX))
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0);
    match client_async_tls_with_config(request, counted, Some(config), None).await {
        Ok((socket, _)) => {
            let http_bytes_up = meter.up().saturating_sub(hello_bytes);
            Ok(Dialled { socket, meter, hello_bytes, http_bytes_up })
        }
        Err(WsError::Http(response)) => {
            let seconds =
                response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            match (response.status().as_u16(), seconds) {
                (429 | 503, seconds) => {
                    Err(SyncError::RetryAfter { delay_ms: seconds.unwrap_or(1).saturating_mul(1000) })
                }
                (status, _) => Err(protocol(format!("the upgrade was answered with status {status}"))),
            }
        }
        Err(WsError::Io(error)) => Err(unreachable(&error)),
        Err(error) => Err(protocol(error.to_string())),
    }
}

/// Where to connect.
struct Address {
    host: String,
    port: u16,
    url: String,
}

fn socket_address(server_url: &str) -> Option<Address> {
    let uri: Uri = server_url.trim_end_matches('/').parse().ok()?;
    let (scheme, port) = match uri.scheme_str()? {
        "http" | "ws" => ("ws", 80),
        "https" | "wss" => ("wss", 443),
        _ => return None,
    };
    let authority = uri.authority()?;
    let port = authority.port_u16().unwrap_or(port);
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let base = uri.path().trim_end_matches('/');
    Some(Address { host, port, url: format!("{scheme}://{authority}{base}/v1/sync") })
}

/// The bytes that a message takes on the wire: payload, and a header of 2, 4 or 10 bytes (a client's has 4 more).
pub(super) fn message_bytes(message: &Message) -> u64 {
    let payload = message.len() as u64;
    payload
        + match payload {
            0..=125 => 2,
            126..=65_535 => 4,
            _ => 10,
        }
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
        let of = |url| socket_address(url).map(|a| (a.host, a.port, a.url));
        let plain = ("127.0.0.1".to_owned(), 7878, "ws://127.0.0.1:7878/v1/sync".to_owned());
        assert_eq!(of("http://127.0.0.1:7878"), Some(plain));
        let secure = ("toso.example.vn".to_owned(), 443, "wss://toso.example.vn/tinh/v1/sync".to_owned());
        assert_eq!(of("https://toso.example.vn/tinh/"), Some(secure));
        assert_eq!(of("http://[::1]:9").map(|a| (a.0, a.1)), Some(("::1".to_owned(), 9)));
        assert_eq!(of("ftp://x"), None);
        assert_eq!(of("127.0.0.1:7878"), None);
    }

    #[test]
    fn a_messages_header_grows_with_its_payload() {
        for (payload, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            assert_eq!(message_bytes(&Message::binary(vec![0; payload])), payload as u64 + header);
        }
    }
}
