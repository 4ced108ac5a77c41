//! A socket of tokio's, with its bytes counted.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::dial::{Meter, Stream};
use crate::doing::Doing;
use crate::transport::{Incoming, Line, LineBytes, Socket};

/// A connection whose upgrade was accepted.
pub(super) struct TokioSocket {
    socket: WebSocketStream<Stream>,
    meter: Arc<Meter>,
    /// Bytes of the upgrade request, but for HELLO's token in it.
    http_bytes_up: u64,
    /// Bytes of frames received.
    frames_down: u64,
}

impl TokioSocket {
    pub(super) fn new(socket: WebSocketStream<Stream>, meter: Arc<Meter>, http_bytes_up: u64) -> Self {
        Self { socket, meter, http_bytes_up, frames_down: 0 }
    }
}

impl Line for TokioSocket {
    fn next(&mut self) -> Doing<'_, Incoming> {
        Box::pin(async move {
            let Some(Ok(message)) = self.socket.next().await else { return Incoming::Gone };
            let bytes = message_bytes(&message);
            let incoming = match message {
                Message::Close(_) => return Incoming::Gone,
                Message::Binary(frame) => Incoming::Frame(frame.into()),
                // A text is no frame, and is told to be none where frames are read.
                Message::Text(text) => Incoming::Frame(text.as_bytes().to_vec()),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Incoming::Sign,
            };
            self.frames_down += bytes;
            incoming
        })
    }

    fn close(&mut self) -> Doing<'_, ()> {
        // Dropping the socket without a close frame would look like a cut; how the peer answers no longer matters.
        Box::pin(async move { drop(SinkExt::close(&mut self.socket).await) })
    }

    fn bytes(&self) -> LineBytes {
        LineBytes {
            up: self.meter.up().saturating_sub(self.http_bytes_up),
            down: self.frames_down,
            http_up: self.http_bytes_up,
            http_down: self.meter.down().saturating_sub(self.frames_down),
        }
    }
}

impl Socket for TokioSocket {
    fn send(&mut self, frame: Vec<u8>) -> Doing<'_, bool> {
        Box::pin(async move { self.socket.send(Message::binary(frame)).await.is_ok() })
    }
}

/// The bytes that a message takes on the wire: payload, and a header of 2, 4 or 10 bytes (a client's has 4 more).
fn message_bytes(message: &Message) -> u64 {
    let payload = message.len() as u64;
    payload
        + match payload {
            0..=125 => 2,
            126..=65_535 => 4,
            _ => 10,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_messages_header_grows_with_its_payload() {
        for (payload, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            assert_eq!(message_bytes(&Message::binary(vec![0; payload])), payload as u64 + header);
        }
    }
}
