//! The server's side of a session: what happens to it, and what it wants done. The machine itself is in [`session`].

pub mod asking;
mod carried;
mod checking;
mod counting;
mod ending;
mod greeting;
mod holding;
mod known;
mod live;
mod news;
mod over_quota;
mod own;
mod paging;
mod pushing;
mod reconciling;
mod refusing;
pub mod session;
mod subscription;

pub use asking::{
    Answer, Append, Appending, Authenticate, Commit, Committed, Hold, JudgeReturned, KeepTold, Open, Query,
    ReadDecisions, ReadElements, ReadPage, ReadTotals, ReadWanted, VerifyCarried,
};
pub use checking::check_item;
pub use greeting::CHALLENGES_MAX;
pub use holding::{HoldFate, HoldOutcome, HoldReason, Standing};
pub use known::KnownDevice;
pub use reconciling::WantedRead;
pub use session::ServerSession;

use toso_core::change::{Body, Change, Entry};
use toso_core::document::NoRoom;
use toso_core::id::{AuthorId, Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_wire::{Challenge, DeltaEntry, DeltaItem, Frame, GoodbyeCode, NackCode, WelcomeProof};

use crate::principal::Principal;

/// What happens to a session.
#[derive(Debug)]
pub enum ServerEvent {
    /// The client sent a frame (HELLO from the upgrade request is the first).
    Frame(Frame),
    /// The client sent bytes that are no frame.
    BadFrame(String),
    /// Answer to a [`ServerEffect::Query`].
    Answer(Answer),
    /// Answer to a [`ServerEffect::Commit`].
    Committed(Committed),
    /// The log has durable chunks at or below `through` in a unit that this session subscribed to.
    Grew {
        /// The unit.
        unit: UnitRef,
        /// The greatest new sequence.
        through: Sequence,
    },
    /// The projection has counted everything at or below this.
    Counted(Sequence),
    /// An officer has decided something of the device's.
    Decided,
    /// The server is stopping.
    Shutdown,
    /// The server is too busy for this session.
    Shed {
        /// Ask it to wait this long.
        delay_ms: u64,
    },
}

/// What the IO loop does for a session, in order. It need not answer a session that it ends itself.
#[derive(Debug, PartialEq, Eq)]
pub enum ServerEffect {
    /// Find something out; answered by one [`ServerEvent::Answer`].
    Query(Query),
    /// Keep something; answered by one [`ServerEvent::Committed`]. May run beside other effects.
    Commit(Commit),
    /// Send a frame.
    Send(Frame),
    /// Count a refusal in the metrics.
    CountRefusal(RefusalKind),
    /// Close the connection after what was sent; the session is over, and what is still answered counts no more.
    Close,
}

/// An accepted proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// Who it is.
    pub principal: Principal,
    /// The server's own proof, for WELCOME.
    pub greeting: Greeting,
    /// Where it was before, and whether it was shut out.
    pub standing: Standing,
}

/// How the server greets a device that has proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The server's epoch.
    pub epoch: Epoch,
    /// The server's clock, in whole seconds.
    pub at: TimestampMs,
    /// The proof, over both.
    pub proof: WelcomeProof,
}

/// Why a proof was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Sign this and say HELLO again.
    Challenge(Challenge),
    /// Forged, expired, or another server's.
    Unauthorized(String),
    /// It could not be checked; the same proof may hold in a moment.
    Busy(String),
}

/// What becomes of changes that a device returns to a server which has lost them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnVerdict {
    /// They go to the register under their author's name.
    Take,
    /// They wait for an officer: the device's word for their author is not enough.
    Hold,
}

/// Why a carried push is not taken from its carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CarriedRefusal {
    /// Never enrolled here.
    #[error("the author's device is not enrolled at this server")]
    UnknownAuthor,
    /// Shut out.
    #[error("the author's device was revoked")]
    RevokedAuthor,
    /// Forged, or something in the push was changed on the way.
    #[error("the signature is not the author's over this scope and these changes; ask the author for a new bundle")]
    BadSignature,
}

/// The state of the log as a session begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The server's epoch.
    pub epoch: Epoch,
    /// True when this history began with a loss, so that devices may return what the log had: see [`Append`].
    pub takes_returns: bool,
    /// The units, in the order of [`Open`].
    pub interests: Vec<OpenedInterest>,
    /// What [`ReadPage`] would say first, of the only unit at its cursor, when that has something to say:
    /// the look-up of where the device stands has the place at hand. `None` costs that read, and nothing else.
    pub page: Option<PageRead>,
}

/// A unit as a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedInterest {
    /// The device's cursor; zero when there is none that means anything here.
    pub cursor: Sequence,
    /// When set, the device and the server must compare what they hold at or below this, before anything is sent: the
    /// cursor was of another epoch or beyond the log's end, or the digests at the cursor differ.
    pub reconcile: Option<Sequence>,
    /// The greatest sequence of the unit.
    pub last: Sequence,
    /// Chunks of the unit after the cursor; 0 only when there are none.
    pub pending: u64,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendOutcome {
    /// The first new sequence, when anything was new.
    pub first_new: Option<Sequence>,
    /// How many were new.
    pub new: u64,
    /// All items but the refused ones are in the log at or below it.
    pub through: Sequence,
    /// Places among the items of those that were not taken, since their document has no room for them; in order.
    pub refused: Vec<(usize, NoRoom)>,
    /// Where the items were cut off, since their author, or their carrier, has written its day's share. What comes after it
    /// is not in the log, unless it was there before.
    pub postponed: Option<Postponed>,
    /// The followed unit's last sequence before this batch's new changes. `None` when that is not told: the device follows
    /// several units, or a wide one.
    pub before: Option<Sequence>,
}

/// From where on a push has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Postponed {
    /// The place among the items of the first that waits.
    pub from: usize,
    /// When it may be sent again, in milliseconds from now.
    pub wait_ms: u64,
    /// What is used up.
    pub spent: Spent,
}

/// Whose share of the day is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// The device's own, or that of what it carries: an officer can allow it more.
    Device,
    /// That of all devices in the unit together: nothing but time gives it back.
    Unit,
}

/// Why nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendFailure {
    /// Disk full, store poisoned, shutting down.
    Unavailable,
}

/// An entry read for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageEntry {
    /// What the log has.
    pub entry: Entry,
    /// Who brought it back, after the log had lost it.
    pub returned_by: Option<AuthorId>,
}

impl PageEntry {
    /// As it goes into a page.
    fn into_delta(self) -> DeltaEntry {
        let doc = self.entry.change.doc;
        let item = match (self.entry.change.chunk, self.returned_by) {
            (Body::Whole(chunk), None) => DeltaItem::Change(Change { doc, chunk: chunk.raw() }),
            (Body::Whole(chunk), Some(by)) => DeltaItem::Returned(Change { doc, chunk: chunk.raw() }, by),
            (Body::Erased(erased), _) => DeltaItem::Erased(doc, erased.hash),
        };
        (self.entry.sequence, self.entry.scope, item)
    }
}

/// A page read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRead {
    /// The interest.
    pub unit: UnitRef,
    /// Chunks by rising sequence.
    pub entries: Vec<PageEntry>,
    /// Everything at or below this was considered.
    pub through: Sequence,
    /// True when there is more.
    pub more: bool,
}

/// Refusals as metrics count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// An item or push, by NACK code.
    Nack(NackCode),
    /// A session, by GOODBYE code.
    Goodbye(GoodbyeCode),
    /// A proof had to be signed again.
    Challenge,
    /// A session was shed.
    Shed,
}
