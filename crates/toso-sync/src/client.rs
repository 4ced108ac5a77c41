//! The phone's side of a session: what happens to it, and what it wants done. The machine itself is in [`session`].

pub mod asking;
mod greeting;
mod live;
mod moving;
mod pacing;
mod reconciling;
pub mod resting;
pub mod session;
mod under_way;

pub use asking::{Answer, Commit, NextPush, Prove, Query, ReadElements, ReadOutbox};
pub use session::ClientSession;

use toso_core::change::Change;
use toso_core::id::{Epoch, ServerId};
use toso_core::unit::Scope;
use toso_wire::{Frame, GoodbyeCode, Interest, Proof, TicketSecret};

use crate::pace::Pace;

/// What a session starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientStart {
    /// The server that the device has joined.
    pub server: ServerId,
    /// Ticket or signed token.
    pub proof: Proof,
    /// The secret of the ticket that `proof` shows.
    pub ticket: Option<TicketSecret>,
    /// The epoch that the cursors belong to.
    pub epoch: Option<Epoch>,
    /// Units and cursors.
    pub interests: Vec<Interest>,
    /// Stay connected for live changes.
    pub live: bool,
    /// While the device waits to hear what officers decide: the number of the last decisions that it has kept under `epoch`.
    pub heard: Option<u64>,
    /// How much goes through the link at a time.
    pub pace: Pace,
    /// True when each exchange is a request and its answer (`POST /v1/sync`), and not a connection that stays.
    pub by_request: bool,
    /// The head of the outbox; rides along in HELLO when it is small enough, else it is pushed right after WELCOME.
    pub first: Option<OutboxBatch>,
    /// The centre takes nothing more of this device for now ([`Commit::Rest`]): it pulls, brings what it carries for
    /// others, and pushes nothing of its own until [`ClientEvent::Rested`].
    pub resting: bool,
}

/// A run of outbox entries of one scope: the content of one PUSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxBatch {
    /// Their scope.
    pub scope: Scope,
    /// The entries, oldest first; within PUSH's limits.
    pub items: Vec<OutboxItem>,
}

/// One outbox entry with its chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxItem {
    /// Outbox number.
    pub number: u64,
    /// The change.
    pub change: Change,
}

/// What happens to a session.
#[derive(Debug)]
pub enum ClientEvent {
    /// The upgrade was accepted; HELLO has arrived with it.
    Connected,
    /// The server sent a frame.
    Frame(Frame),
    /// Answer to a [`ClientEffect::Query`].
    Answer(Answer),
    /// Answer to a [`ClientEffect::Commit`].
    Committed,
    /// New entries are in the outbox.
    LocalEdit,
    /// The time of [`Commit::Rest`] is over.
    Rested,
    /// The answer to a request is whole. The request had this session's pushes up to this number.
    Answered {
        /// See above; 0 when it had none.
        pushes_through: u64,
    },
    /// The connection is gone.
    Disconnected,
}

impl From<Answer> for ClientEvent {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// What the IO loop does for a session, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientEffect {
    /// Find something out; answered by one [`ClientEvent::Answer`].
    Query(Query),
    /// Keep something; answered by one [`ClientEvent::Committed`].
    Commit(Commit),
    /// Send a frame.
    Send(Frame),
    /// Tell who watches.
    Tell(News),
    /// Close the connection; the session is over, and what is still answered counts no more.
    End(SessionEnd),
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Pushed and pulled entries so far, entries still expected.
    Progress {
        /// Acknowledged in this session.
        pushed: u64,
        /// Committed from DELTA in this session.
        pulled: u64,
        /// Still to come from the server, as far as known.
        pull_pending: u64,
    },
    /// Everything is exchanged, but for what the centre does not take now ([`Commit::Rest`]).
    UpToDate {
        /// The centre has counted all that this session pushed.
        counted: bool,
    },
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEnd {
    /// The connection broke; try again.
    Lost,
    /// The server asks to wait.
    RetryAfter {
        /// At least this long.
        delay_ms: u64,
    },
    /// Everything is handed over and the device belongs to another unit: dial again at once.
    Moved,
    /// The server ended it.
    Refused {
        /// Why.
        code: GoodbyeCode,
        /// Detail for developers.
        detail: String,
    },
    /// The server did not prove that it is the one which the device has joined. Nothing that it said counts.
    NotProved,
    /// The server broke the protocol.
    Protocol(&'static str),
    /// An answer by request left out what it had to answer.
    Unanswered,
}
