//! The frames as Rust values. How each becomes bytes is said in `codec/body.rs` and `docs/wire-format.md`, field by
//! field: the wire has its own compact forms, so these types carry no serde.

use toso_core::change::Change;
use toso_core::chunk::RawChunk;
use toso_core::id::{AuthorId, ChangeHash, ChunkKey, Digest, DocId, Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};

use crate::proof::{Proof, Welcome};

/// Codes of NACK and GOODBYE from here on say that trying again later can help, also to those who do not know them.
pub const TEMPORARY_FROM: u8 = 128;

/// One protocol message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Client: who it is and what it has. Always first; rides in the upgrade request.
    Hello(Hello),
    /// Server: HELLO was accepted.
    Welcome(Welcome),
    /// Server: HELLO's proof was not accepted for its time; sign again with this nonce.
    Challenge(Challenge),
    /// Client: chunks for one scope.
    Push(Push),
    /// Server: a push is durable.
    Ack(Ack),
    /// Server: a push, or one item of it, was refused.
    Nack(Nack),
    /// Server: chunks after the cursor.
    Delta(Delta),
    /// Server: what has been counted.
    Receipt(Receipt),
    /// Server: forget these scopes or documents (left the device's unit).
    Purge(Purge),
    /// Server: these documents were erased by law.
    Erased(Erased),
    /// Server: come back later.
    RetryAfter(RetryAfter),
    /// Either: the session ends.
    Goodbye(Goodbye),
    /// Either: compare what both hold of a unit. Opened by the server, with an empty message.
    Reconcile(Reconcile),
    /// Client: chunks that comparing showed to be missing here.
    Want(Want),
    /// Server: what an officer decided about held changes. Client: these decisions are kept.
    Reviewed(Reviewed),
    /// Server: the device now belongs to another unit.
    Moved(Moved),
    /// Client: a page is kept, the next may come.
    Next(Next),
}

impl Frame {
    /// The frame's name in documents, logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "HELLO",
            Self::Welcome(_) => "WELCOME",
            Self::Challenge(_) => "CHALLENGE",
            Self::Push(_) => "PUSH",
            Self::Ack(_) => "ACK",
            Self::Nack(_) => "NACK",
            Self::Delta(_) => "DELTA",
            Self::Receipt(_) => "RECEIPT",
            Self::Purge(_) => "PURGE",
            Self::Erased(_) => "ERASED",
            Self::RetryAfter(_) => "RETRY_AFTER",
            Self::Goodbye(_) => "GOODBYE",
            Self::Reconcile(_) => "RECONCILE",
            Self::Want(_) => "WANT",
            Self::Reviewed(_) => "REVIEWED",
            Self::Moved(_) => "MOVED",
            Self::Next(_) => "NEXT",
        }
    }

    /// False for what a server tells unasked: it shows that the server is there, and answers nothing.
    pub const fn is_answer(&self) -> bool {
        match self {
            Self::Receipt(_) | Self::Reviewed(_) | Self::Erased(_) => false,
            Self::Hello(_)
            | Self::Welcome(_)
            | Self::Challenge(_)
            | Self::Push(_)
            | Self::Ack(_)
            | Self::Nack(_)
            | Self::Delta(_)
            | Self::Purge(_)
            | Self::RetryAfter(_)
            | Self::Goodbye(_)
            | Self::Reconcile(_)
            | Self::Want(_)
            | Self::Moved(_)
            | Self::Next(_) => true,
        }
    }
}

/// HELLO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// [`crate::limits::PROTOCOL_VERSION`].
    pub protocol: u8,
    /// Who the device is.
    pub proof: Proof,
    /// The server epoch that the cursors belong to; `None` on first contact.
    pub epoch: Option<Epoch>,
    /// What the device wants, at most [`crate::limits::INTERESTS_MAX`].
    pub interests: Vec<Interest>,
    /// True when the device stays connected for live changes.
    pub live: bool,
    /// A small push that rides along.
    pub push: Option<Push>,
    /// Present while the device waits to hear what officers decide: the number of the last decisions that it has kept under
    /// `epoch`, 0 for none. What it confirmed earlier counts no more: it may have been restored from an older copy.
    pub heard: Option<u64>,
    /// Present on a link that breaks: pages have at most so many encoded bytes, and only one is under way at a time. What
    /// follows it waits for NEXT.
    pub page_bytes: Option<u32>,
    /// In a request of `POST /v1/sync` that is live: what the last RECEIPT here counted up to. The server answers at once
    /// when it has more to tell, and holds the request otherwise.
    pub receipt: Option<Sequence>,
}

/// A unit that a device follows, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// A commune, or a wider unit for officers.
    pub unit: UnitRef,
    /// Everything of the unit at or below this sequence is on the device.
    pub cursor: Sequence,
    /// Digest of the unit's chunks at the cursor; zero when the device keeps none.
    pub digest: Digest,
}

/// CHALLENGE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// What the next proof is to be dated with: the server's clock or, after its start, a time that no proof before can have.
    pub at: TimestampMs,
    /// To be signed; valid for this connection only.
    pub nonce: Vec<u8>,
    /// Why.
    pub reason: ChallengeReason,
}

/// Why a device must sign (again).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeReason {
    /// The ticket has ended or is not this server's.
    Ticket,
    /// The device's clock is too far off.
    Clock,
    /// This very proof was accepted before.
    Used,
    /// One that only a newer version knows; the device signs again.
    Unknown(u8),
}

impl ChallengeReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Ticket, Self::Clock, Self::Used];
}

/// PUSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Rises by one with every push of a connection, from 1.
    pub number: u64,
    /// The scope of all items.
    pub scope: Scope,
    /// Chunks in the order they were made.
    pub items: Vec<Change<RawChunk>>,
    /// Set when another device made the chunks and this one only carries them.
    pub carried: Option<Carried>,
}

/// Who made chunks that another device pushes, and their signature over them.
///
/// Without a signature the chunks are *returned*: this device had them from the server, which has lost them since (an
/// older backup was restored). Then the author stands in the changes, and the returning device answers for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The author.
    pub author: AuthorId,
    /// Ed25519 signature over scope and change hashes, 64 bytes; empty when returned.
    pub signature: Vec<u8>,
}

/// ACK: every item of the push that no NACK named is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The push.
    pub number: u64,
    /// All its accepted items are in the log at or below this sequence.
    pub through: Sequence,
    /// Nothing else has come into the one unit that the device follows since what it was sent: its cursor moves to
    /// `through`.
    pub settled: bool,
}

/// NACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nack {
    /// The push.
    pub number: u64,
    /// The item, from 0; `None` when the whole push is refused. With [`NackCode::OverQuota`] the item and all after it.
    pub item: Option<u32>,
    /// Why.
    pub code: NackCode,
    /// For the log of the app developer, at most [`crate::limits::DETAIL_BYTES_MAX`]; no personal data.
    pub detail: String,
    /// When to send it again, in seconds; only with [`NackCode::OverQuota`].
    pub retry_after_s: Option<u32>,
}

/// Why a push or an item was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NackCode {
    /// The scope is outside the device's unit.
    OutOfScope,
    /// The role may not write this.
    Forbidden,
    /// Not an uncompressed Automerge change within limits.
    Malformed,
    /// The change's actor is another device's.
    ForeignActor,
    /// The document id was made for another scope.
    WrongDocument,
    /// Too many or too large.
    TooLarge,
    /// The server cannot store now (disk full, shutting down); try later.
    Unavailable,
    /// Held for review by an officer.
    Held,
    /// The document was erased.
    Erased,
    /// The device has written its day's share: the item named and all after it wait on the device, and go out later.
    OverQuota,
    /// One that only a newer version knows, kept as its number: temporary from 128 on, a refusal for good below.
    Unknown(u8),
}

impl NackCode {
    /// Every code.
    pub const ALL: [Self; 10] = [
        Self::OutOfScope,
        Self::Forbidden,
        Self::Malformed,
        Self::ForeignActor,
        Self::WrongDocument,
        Self::TooLarge,
        Self::Unavailable,
        Self::Held,
        Self::Erased,
        Self::OverQuota,
    ];

    /// True when sending the same again later can succeed.
    pub const fn is_temporary(self) -> bool {
        match self {
            Self::Unavailable | Self::OverQuota => true,
            Self::OutOfScope
            | Self::Forbidden
            | Self::Malformed
            | Self::ForeignActor
            | Self::WrongDocument
            | Self::TooLarge
            | Self::Held
            | Self::Erased => false,
            Self::Unknown(code) => code >= TEMPORARY_FROM,
        }
    }
}

/// DELTA: one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// The interest.
    pub unit: UnitRef,
    /// Chunks, grouped by scope in log order.
    pub groups: Vec<DeltaGroup>,
    /// The cursor to commit together with the chunks.
    pub next: Sequence,
    /// True when another page follows without being asked for.
    pub more: bool,
}

/// Consecutive chunks of one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaGroup {
    /// Their scope.
    pub scope: Scope,
    /// The chunks.
    pub items: Vec<DeltaItem>,
}

/// A chunk, or a document folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeltaItem {
    /// One change.
    Change(Change<RawChunk>),
    /// One change that the register had lost and that this device has brought back: it answers for whose the change is.
    Returned(Change<RawChunk>, AuthorId),
    /// Automerge's compact form of a whole document.
    Snapshot(DocId, Vec<u8>),
    /// One change whose bytes were erased: it is there, and nothing else is known of it.
    Erased(DocId, ChangeHash),
}

/// RECEIPT: everything of these units at or below `as_of` is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The log position that is counted.
    pub as_of: Sequence,
    /// The server's clock.
    pub at: TimestampMs,
    /// Totals by interest.
    pub totals: Vec<UnitTotals>,
}

/// The centre's figures for a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitTotals {
    /// The unit.
    pub unit: UnitRef,
    /// Teams that count.
    pub teams: u64,
    /// Members that count.
    pub members: u64,
}

/// PURGE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// Scopes that left the device's unit.
    pub scopes: Vec<Scope>,
    /// Single documents to forget.
    pub docs: Vec<DocId>,
}

/// ERASED.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// The documents.
    pub docs: Vec<DocId>,
}

/// RECONCILE.
///
/// The server opens it in its first flight, when the device's cursor is of another epoch or from the future, or when
/// its digest is not the server's; then the client asks and the server answers until the client knows what each side
/// lacks. Both compare what they hold of `unit` at or below `as_of`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconcile {
    /// The interest.
    pub unit: UnitRef,
    /// The server's log position that is compared; the client repeats it.
    pub as_of: Sequence,
    /// Range fingerprints, at most [`crate::limits::RECONCILE_BYTES_MAX`]; empty in the server's opening.
    pub message: Vec<u8>,
}

/// WANT: answered with DELTA pages whose `next` is zero, since they move no cursor; after the last WANT, the last page
/// has `as_of` as its `next`, and ordinary pages follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The interest.
    pub unit: UnitRef,
    /// As in RECONCILE.
    pub as_of: Sequence,
    /// The chunks, at most [`crate::limits::WANT_KEYS_MAX`]; may be empty in the last one.
    pub keys: Vec<ChunkKey>,
    /// True when nothing more is wanted.
    pub last: bool,
}

/// REVIEWED. The server repeats it until the client has answered with the same number and no decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    /// The number of the last decision told; rises for ever for a device.
    pub number: u64,
    /// The decisions, at most [`crate::limits::DECISIONS_MAX`].
    pub decisions: Vec<Decision>,
}

/// What became of a held change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Its document.
    pub doc: DocId,
    /// Its identity.
    pub hash: ChangeHash,
    /// True when it is in the register now; false when it was returned.
    pub accepted: bool,
    /// The officer's words, at most [`crate::limits::DETAIL_BYTES_MAX`]; may be empty.
    pub note: String,
}

/// MOVED. PUSHes for scopes outside the new unit are held for review; PURGE names what the device forgets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The new unit.
    pub unit: UnitRef,
    /// The new role's word, at most [`crate::limits::ROLE_BYTES_MAX`].
    pub role: String,
    /// The new capability token.
    pub token: Vec<u8>,
}

/// NEXT: the page before it is kept. It asks for one more page of what HELLO follows, now or once there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// As in HELLO; absent when the link has proved itself, and pages come back to back again.
    pub page_bytes: Option<u32>,
}

/// RETRY_AFTER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryAfter {
    /// Wait at least this long; add jitter.
    pub delay_ms: u64,
}

/// GOODBYE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goodbye {
    /// Why.
    pub code: GoodbyeCode,
    /// At most [`crate::limits::DETAIL_BYTES_MAX`]; no personal data.
    pub detail: String,
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GoodbyeCode {
    /// Nothing more to say.
    Done,
    /// The server is stopping; connect again soon.
    Shutdown,
    /// The peer broke the protocol.
    Protocol,
    /// No common protocol version.
    Version,
    /// The token is forged, expired or not this server's: enrol again.
    Unauthorized,
    /// The device was revoked.
    Revoked,
    /// Asked for a unit outside the token's.
    OutOfScope,
    /// The client reads too slowly or asks too much.
    Overload,
    /// The server failed.
    Internal,
    /// One that only a newer version knows, kept as its number: temporary from 128 on, a refusal for good below.
    Unknown(u8),
}

impl GoodbyeCode {
    /// Every code.
    pub const ALL: [Self; 9] = [
        Self::Done,
        Self::Shutdown,
        Self::Protocol,
        Self::Version,
        Self::Unauthorized,
        Self::Revoked,
        Self::OutOfScope,
        Self::Overload,
        Self::Internal,
    ];
}
