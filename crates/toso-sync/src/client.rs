//! The phone's side of a session: what happens to it, and what it wants done. The machine itself is in [`session`].

mod greeting;
mod moving;
mod pacing;
mod reconciling;
pub mod resting;
pub mod session;

pub use session::ClientSession;

use toso_core::change::Change;
use toso_core::chunk::ChangeHash;
use toso_core::id::{DocId, Epoch, Sequence, ServerId};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};
use toso_wire::{
    Carried, Challenge, Delta, Erased, Frame, GoodbyeCode, Interest, Moved, NackCode, Proof, Purge, Receipt, Reviewed,
    RootProof, TicketSecret,
};

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
    /// The centre takes nothing more of this device for now ([`ClientEffect::Rest`]): it pulls, brings what it carries for
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
#[derive(Debug, Clone)]
pub enum ClientEvent {
    /// The upgrade was accepted; HELLO has arrived with it.
    Connected,
    /// The server sent a frame.
    Frame(Frame),
    /// Answer to [`ClientEffect::Prove`].
    Proved(Proof),
    /// Answer to [`ClientEffect::ReadOutbox`]: the next run, or `None` when nothing follows.
    Outbox(Option<OutboxBatch>),
    /// Answer to [`ClientEffect::ReadOutbox`] when nothing of this device follows: another's batch that it carries, one
    /// for each PUSH as its author signed it. Its items have the number 0, since they are in no outbox here.
    Carry(OutboxBatch, Carried),
    /// Answer to [`ClientEffect::ReadElements`].
    Elements {
        /// The interest.
        unit: UnitRef,
        /// Every chunk of it here, in the order they were stored.
        chunks: Vec<(DocId, ChangeHash)>,
    },
    /// New entries are in the outbox.
    LocalEdit,
    /// The time of [`ClientEffect::Rest`] is over.
    Rested,
    /// The answer to a request is whole. The request had this session's pushes up to this number.
    Answered {
        /// See above; 0 when it had none.
        pushes_through: u64,
    },
    /// The connection is gone.
    Disconnected,
}

/// What the IO loop does for a session, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEffect {
    /// Sign a challenge that the ticket does not answer; answer with [`ClientEvent::Proved`].
    Prove(Challenge),
    /// Send a frame.
    Send(Frame),
    /// Read the next run of the outbox after this number; answer with [`ClientEvent::Outbox`].
    ReadOutbox {
        /// After this outbox number.
        after: u64,
        /// At most so many change bytes, unless the first change alone has more.
        bytes_max: usize,
        /// Nothing of this device's own, only what it carries for others.
        resting: bool,
    },
    /// The device has written its share of the day. Keep that, and until when, so that no further session asks before;
    /// answer with [`ClientEvent::Rested`] once the time is over.
    Rest {
        /// How long, in milliseconds; 0 when it may ask again.
        delay_ms: u64,
        /// Whose share is used up, in the server's words; empty when it may ask again.
        why: String,
    },
    /// Keep epoch, ticket and token in one transaction (durability is not needed: all can be had again).
    KeepSession {
        /// The server's epoch; absent while the cursors still belong to another, until [`Self::CommitReconciled`].
        epoch: Option<Epoch>,
        /// What the server handed over: a ticket, the end of the device's token, a new one. Absent when the device has
        /// shown a ticket.
        root: Option<Box<RootProof>>,
        /// The server's clock.
        at: TimestampMs,
        /// The time that the server has asked this session's proof for, if it has: later proofs are dated no earlier.
        asked: Option<TimestampMs>,
    },
    /// Commit a page together with its cursor, in one transaction, before anything later.
    CommitDelta(Delta),
    /// Read which chunks of a unit are here; answer with [`ClientEvent::Elements`].
    ReadElements {
        /// The interest.
        unit: UnitRef,
    },
    /// Commit chunks that comparing showed to be missing; no cursor moves.
    CommitChunks(Delta),
    /// A comparison is complete, or a unit of another epoch has come whole. Commit in one transaction: the cursor, the
    /// epoch, all receipts, and, at the end of the outbox, the chunks that the server lacks (unless they wait in it already,
    /// or are held). When the epoch is another than the device's, what was held goes into the outbox too: the server may
    /// have lost its queue with its log.
    CommitReconciled {
        /// The interest.
        unit: UnitRef,
        /// Its new cursor.
        as_of: Sequence,
        /// The epoch it belongs to; absent while other units are still being compared.
        epoch: Option<Epoch>,
        /// What the server has of this device's changes is in its log at or below this.
        acknowledged: Sequence,
        /// Here and not there, in the order they were stored.
        lacking: Vec<(DocId, ChangeHash)>,
    },
    /// Take acknowledged entries out of the outbox and note their receipts, in one transaction.
    CommitAck {
        /// Accepted entries.
        accepted: Vec<OutboxItem>,
        /// They are in the server's log at or below it.
        through: Sequence,
        /// The unit whose cursor moves to `through`: nothing else has come into it.
        settled: Option<UnitRef>,
    },
    /// Take refused entries out of the outbox; their chunks stay on the device, marked with the reason. Of those that are
    /// held for review a copy stays when their document goes.
    CommitRefused {
        /// The entries.
        refused: Vec<(OutboxItem, NackCode, String)>,
    },
    /// Keep what the centre has counted.
    KeepReceipt(Receipt),
    /// The device belongs to another unit now. Keep the new credential, with its unit's cursor at zero, in one
    /// transaction; documents outside the new unit go once nothing of theirs is unsent.
    Move(Moved),
    /// Keep what officers decided about held changes, durably, before it is confirmed.
    KeepDecisions {
        /// What they are.
        reviewed: Reviewed,
        /// The epoch that numbered them.
        epoch: Option<Epoch>,
    },
    /// Keep how much goes through the link at a time.
    KeepPace(Pace),
    /// The device is shut out and has handed over what it had: drop the copies of held changes.
    DropHeldCopies,
    /// Forget scopes and documents, those with unsent changes as soon as these are acknowledged or held.
    Purge(Purge),
    /// Forget erased documents.
    Erase(Erased),
    /// Show how far it is: pushed and pulled entries so far, entries still expected.
    Progress {
        /// Acknowledged in this session.
        pushed: u64,
        /// Committed from DELTA in this session.
        pulled: u64,
        /// Still to come from the server, as far as known.
        pull_pending: u64,
    },
    /// Everything is exchanged, but for what the centre does not take now ([`Self::Rest`]).
    UpToDate {
        /// The centre has counted all that this session pushed.
        counted: bool,
    },
    /// Close the connection; the session is over.
    End(SessionEnd),
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
