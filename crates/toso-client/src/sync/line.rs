//! What a session's frames go over: a WebSocket, or requests one after the other.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;
use toso_replica::SyncError;

use super::post::PostLine;
use super::transport::{Socket, message_bytes};

/// An open line.
pub(super) enum Line {
    Socket(Box<Socket>),
    Post(Box<PostLine>),
}

/// What came over it.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A frame, and the bytes it took.
    Frame(Vec<u8>, u64),
    /// The answer to a request is whole.
    Answered,
    /// Bytes that say only that the other side is there.
    Sign(u64),
    /// The connection broke.
    Gone,
    /// It cannot go on over this line.
    Failed(SyncError),
}

impl Line {
    /// Sends the bytes of a frame over a socket; `false` when it is gone.
    pub(super) async fn send(&mut self, frame: Vec<u8>) -> bool {
        match self {
            Self::Socket(socket) => socket.send(Message::binary(frame)).await.is_ok(),
            // What is said by requests stands in their bodies.
            Self::Post(_) => false,
        }
    }

    /// Waits for what comes next. Dropped before that, it loses nothing of a socket, and leaves a request.
    pub(super) async fn next(&mut self) -> Incoming {
        match self {
            Self::Socket(socket) => match socket.next().await {
                Some(Ok(message)) => of_message(message),
                Some(Err(_)) | None => Incoming::Gone,
            },
            Self::Post(post) => post.next().await,
        }
    }

    pub(super) async fn close(&mut self) {
        match self {
            // Dropping the socket without a close frame would look like a cut; how the peer answers no longer matters.
            Self::Socket(socket) => drop(socket.close().await),
            Self::Post(post) => post.close().await,
        }
    }
}

fn of_message(message: Message) -> Incoming {
    let bytes = message_bytes(&message);
    match message {
        Message::Binary(frame) => Incoming::Frame(frame.into(), bytes),
        Message::Close(_) => Incoming::Gone,
        // A text is no frame, and is told to be none where frames are read.
        Message::Text(text) => Incoming::Frame(text.as_bytes().to_vec(), bytes),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Incoming::Sign(bytes),
    }
}
