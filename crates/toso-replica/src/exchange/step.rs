//! What happens to an exchange, and what it wants done.

use std::time::Duration;

use toso_sync::{ClientEvent, ClientStart};
use toso_wire::Hello;

use super::report::SyncError;
use crate::replica::Work;

/// A moment, in milliseconds from wherever its owner began to count. It only grows, whatever is done to the device's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// So much later.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        self.plus_ms(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    /// So many milliseconds later.
    #[must_use]
    pub fn plus_ms(self, time_ms: u64) -> Self {
        Self(self.0.saturating_add(time_ms))
    }

    /// How long ago an earlier moment was.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// What a session begins with.
#[derive(Debug)]
pub struct Beginning {
    /// [`crate::Replica::session_start`].
    pub start: ClientStart,
    /// Entries in the outbox.
    pub waiting: u64,
    /// [`crate::Replica::rests_for_ms`].
    pub rests_for_ms: Option<u64>,
}

/// Why there is no socket.
#[derive(Debug)]
pub enum DialFailure {
    /// Nothing else would work either, or the server itself has spoken.
    Final(SyncError),
    /// The server is in reach, and the upgrade did not work: networks that break it often let other requests through.
    Upgrade(SyncError),
}

/// What happens to an exchange.
#[derive(Debug)]
pub enum ExchangeEvent {
    /// Answer to [`ExchangeEffect::ReadWay`].
    Way {
        /// Sockets did not work a while ago, and requests did.
        by_requests: bool,
    },
    /// Answer to [`ExchangeEffect::Begin`].
    Begun(Box<Beginning>),
    /// Answer to [`ExchangeEffect::Dial`]: the upgrade was accepted.
    Dialled,
    /// Answer to [`ExchangeEffect::Dial`].
    NotDialled(DialFailure),
    /// Answer to [`ExchangeEffect::Perform`].
    Performed {
        /// As it was said there.
        line: u32,
        /// One for each, in order.
        answers: Vec<ClientEvent>,
    },
    /// Answer to [`ExchangeEffect::CountOutbox`].
    Counted {
        /// As it was said there.
        line: u32,
        /// Entries in the outbox.
        waiting: u64,
    },
    /// Answer to [`ExchangeEffect::ReadStart`].
    Started(Box<ClientStart>),
    /// The bytes of a frame came.
    Frame(Vec<u8>),
    /// Bytes came that say only that the other side is there.
    Sign,
    /// The answer to a request is whole.
    Answered,
    /// The connection broke.
    Gone,
    /// It cannot go on over this line, or the device itself failed: effects that were not performed yet are to be dropped.
    Failed(SyncError),
    /// An edit was made, while [`super::Exchange::hears_edits`].
    OutboxGrew {
        /// Entries in the outbox.
        waiting: u64,
    },
    /// [`super::Exchange::deadline`] has come.
    Time,
}

/// What an exchange wants done, in order.
#[derive(Debug)]
pub enum ExchangeEffect {
    /// Read whether requests are the way here; answer with [`ExchangeEvent::Way`].
    ReadWay,
    /// Remember that they are, or forget it.
    KeepWay {
        /// They are.
        by_requests: bool,
    },
    /// Read what a session begins with; answer with [`ExchangeEvent::Begun`].
    Begin {
        /// It stays for live changes.
        live: bool,
    },
    /// Read where the device stands now, for a further request of the session; answer with [`ExchangeEvent::Started`].
    ReadStart,
    /// Dial a socket with this HELLO; answer with [`ExchangeEvent::Dialled`] or [`ExchangeEvent::NotDialled`].
    Dial(Box<Hello>),
    /// Send the bytes of a frame over the socket. One that does not take them within [`super::SyncOptions::silence_max`] is
    /// as good as gone: [`ExchangeEvent::Gone`].
    Send(Vec<u8>),
    /// Make a request. The frames of its answer follow, then [`ExchangeEvent::Answered`].
    Ask {
        /// What it has to say.
        body: Vec<u8>,
        /// It only waits for news: a proxy that does not let it wait has broken it, not refused it.
        polls: bool,
    },
    /// Leave the request under way. What it brings no longer counts.
    LeaveRequest,
    /// Do this on the replica ([`crate::Replica::perform`]), one after the other; answer with [`ExchangeEvent::Performed`].
    Perform {
        /// To be repeated in the answer.
        line: u32,
        /// What the session waits for.
        work: Vec<Work>,
    },
    /// Count what waits in the outbox; answer with [`ExchangeEvent::Counted`].
    CountOutbox {
        /// To be repeated in the answer.
        line: u32,
    },
    /// Tell who watches.
    Tell(ExchangeNews),
    /// Ask for the device's card and its unit's bundle key, when that is due; nothing waits for it.
    FetchPass,
    /// Close the line, when one is open.
    Close,
    /// The exchange is over.
    End(Result<(), SyncError>),
}

/// What is told of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeNews {
    /// The server has answered, or is being asked.
    Connected,
    /// Some of the work is done.
    Progress {
        /// Exchanged so far.
        done: u64,
        /// Known to be exchanged.
        total: u64,
    },
    /// Everything is exchanged, but for so many changes that the centre does not take now.
    UpToDate {
        /// How many.
        waiting: u64,
    },
}
