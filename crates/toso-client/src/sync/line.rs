//! What a session's frames go over: a WebSocket, or requests one after the other.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;
use toso_wire::{Frame, encode};

use super::post::PostLine;
use super::report::SyncError;
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
    Answered {
        /// It had the session's pushes up to this number.
        pushes_through: u64,
    },
    /// Bytes that say only that the other side is there.
    Sign(u64),
    /// The connection broke.
    Gone,
    /// It cannot go on over this line.
    Failed(SyncError),
}

impl Line {
    /// Sends a frame; `false` when the line is gone.
    pub(super) async fn send(&mut self, frame: Frame) -> bool {
        match self {
            Self::Socket(socket) => socket.send(Message::binary(encode(&frame))).await.is_ok(),
            Self::Post(post) => {
                post.queue(frame);
                true
            }
        }
    }

    /// Waits for what comes next. Dropped before that, it loses nothing of a socket, and leaves a request: which one may
    /// do where [`Self::may_be_left`] says so.
    pub(super) async fn next(&mut self) -> Incoming {
        match self {
            Self::Socket(socket) => match socket.next().await {
                Some(Ok(message)) => of_message(message),
                Some(Err(_)) | None => Incoming::Gone,
            },
            Self::Post(post) => post.next().await,
        }
    }

    /// True when something else may be done before the next frame has come.
    pub(super) fn may_be_left(&self) -> bool {
        match self {
            Self::Socket(_) => true,
            Self::Post(post) => post.may_be_left(),
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
