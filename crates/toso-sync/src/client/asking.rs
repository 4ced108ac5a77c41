//! What a phone's session asks: queries, each with its answer (see [`crate::ask`]), and commits.

use toso_core::chunk::ChangeHash;
use toso_core::id::{DocId, Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_wire::{Carried, Challenge, Delta, Erased, Moved, NackCode, Proof, Purge, Receipt, Reviewed, RootProof};

use super::{ClientEvent, OutboxBatch, OutboxItem};
use crate::ask::Ask;
use crate::pace::Pace;

/// What a session has to know before it goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Query {
    /// The device's signature.
    Prove(Prove),
    /// What is to be pushed.
    ReadOutbox(ReadOutbox),
    /// What is here.
    ReadElements(ReadElements),
}

/// Sign a challenge that the ticket does not answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Prove(pub Challenge);

/// Read the next run of the outbox after this number.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadOutbox {
    /// After this outbox number.
    pub after: u64,
    /// At most so many change bytes, unless the first change alone has more.
    pub bytes_max: usize,
    /// Nothing of this device's own, only what it carries for others.
    pub resting: bool,
}

/// Read which chunks of a unit are here.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadElements {
    /// The interest.
    pub unit: UnitRef,
}

/// The answer to a [`Query`]; made by [`Ask::answer`].
#[derive(Debug)]
pub enum Answer {
    /// To [`Prove`].
    Proved(Proof),
    /// To [`ReadOutbox`].
    Outbox(NextPush),
    /// To [`ReadElements`].
    Elements {
        /// The interest.
        unit: UnitRef,
        /// Every chunk of it here, in the order they were stored.
        chunks: Vec<(DocId, ChangeHash)>,
    },
}

/// What there is to push.
#[derive(Debug)]
pub enum NextPush {
    /// The next run of the outbox.
    Own(OutboxBatch),
    /// Nothing of this device follows: another's batch that it carries, one for each PUSH as its author signed it. Its items
    /// have the number 0, since they are in no outbox here.
    Carried(OutboxBatch, Carried),
    /// Nothing follows.
    Nothing,
}

impl Ask for Prove {
    type Answer = Proof;
    type Event = ClientEvent;

    fn answer(self, proof: Proof) -> ClientEvent {
        ClientEvent::Answer(Answer::Proved(proof))
    }
}

impl Ask for ReadOutbox {
    type Answer = NextPush;
    type Event = ClientEvent;

    fn answer(self, next: NextPush) -> ClientEvent {
        ClientEvent::Answer(Answer::Outbox(next))
    }
}

impl Ask for ReadElements {
    type Answer = Vec<(DocId, ChangeHash)>;
    type Event = ClientEvent;

    fn answer(self, chunks: Vec<(DocId, ChangeHash)>) -> ClientEvent {
        ClientEvent::Answer(Answer::Elements { unit: self.unit, chunks })
    }
}

/// What a session has kept. Each is one transaction, and done before anything later.
#[derive(Debug, PartialEq, Eq)]
pub enum Commit {
    /// Keep epoch, ticket and token in one transaction (durability is not needed: all can be had again).
    KeepSession {
        /// The server's epoch; absent while the cursors still belong to another, until [`Self::Reconciled`].
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
    Delta(Delta),
    /// Commit chunks that comparing showed to be missing; no cursor moves.
    Chunks(Delta),
    /// A comparison is complete, or a unit of another epoch has come whole. Commit in one transaction: the cursor, the
    /// epoch, all receipts, and, at the end of the outbox, the chunks that the server lacks (unless they wait in it already,
    /// or are held). When the epoch is another than the device's, what was held goes into the outbox too: the server may
    /// have lost its queue with its log.
    Reconciled {
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
    Ack {
        /// Accepted entries.
        accepted: Vec<OutboxItem>,
        /// They are in the server's log at or below it.
        through: Sequence,
        /// The unit whose cursor moves to `through`: nothing else has come into it.
        settled: Option<UnitRef>,
    },
    /// Take refused entries out of the outbox; their chunks stay on the device, marked with the reason. Of those that are
    /// held for review a copy stays when their document goes.
    Refused {
        /// The entries.
        refused: Vec<(OutboxItem, NackCode, String)>,
    },
    /// The device has written its share of the day. Keep that, and until when, so that no further session asks before.
    /// [`ClientEvent::Rested`] follows once the time is over.
    Rest {
        /// How long, in milliseconds; 0 when it may ask again.
        delay_ms: u64,
        /// Whose share is used up, in the server's words; empty when it may ask again.
        why: String,
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
        epoch: Epoch,
    },
    /// Keep how much goes through the link at a time.
    KeepPace(Pace),
    /// The device is shut out and has handed over what it had: drop the copies of held changes.
    DropHeldCopies,
    /// Forget scopes and documents, those with unsent changes as soon as these are acknowledged or held.
    Purge(Purge),
    /// Forget erased documents.
    Erase(Erased),
}
