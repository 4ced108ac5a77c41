//! A server's log: every accepted entry once, in one order.
//!
//! An entry is a **change** that a device made, with who brought it and when; or a **command**, a decision of the server:
//! who enrolled, who was revoked, what an officer ruled ([`crate::records`]). Both have sequences of one count.
//! Whatever else a server knows follows from its entries, in their order: its index, its records, its figures.

use toso_core::change::{Change, Entry};
use toso_core::chunk::Chunk;
use toso_core::id::{AuthorId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;

use crate::StoreError;
use crate::records::RecordChange;

/// The most chunks in one [`LogBatch`].
pub const LOG_BATCH_ITEMS_MAX: usize = 1024;
/// The most change bytes in one [`LogBatch`].
pub const LOG_BATCH_BYTES_MAX: usize = 256 * 1024;

/// Why an entry of another log is not taken: it is not the next.
pub const NOT_THE_NEXT: &str = "it is not the next";
/// Why an entry of another log is not taken: its change is there already.
pub const KNOWN_ALREADY: &str = "its change is there already";
/// Why an entry of another log is not taken: its command expects other records.
pub const OTHER_RECORDS: &str = "it expects other records";

/// Chunks that one device pushed together. All belong to one scope. What is pushed is there by type; entries of another log
/// ([`Log::apply`]) may be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBatch<C = Chunk> {
    /// Their scope.
    pub scope: Scope,
    /// The device that made them.
    pub author: AuthorId,
    /// The server's clock when they came.
    pub received_at: TimestampMs,
    /// The chunks.
    pub items: Vec<Change<C>>,
}

/// What [`Log::append`] did with one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Sequence of the first chunk that was new; `None` when all were in the log already.
    pub first_new: Option<Sequence>,
    /// How many were new; they have consecutive sequences.
    pub new: usize,
    /// The greatest sequence among all chunks of the batch, new or known: all are in the log at or below it. Zero for
    /// an empty batch.
    pub through: Sequence,
}

/// A run of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Entries by rising sequence.
    pub entries: Vec<Entry>,
    /// Every change at or below this has been read. The last entry's sequence when `more`; else the log's last change
    /// when the page was read, which may be past the last entry.
    pub through: Sequence,
    /// True when more matches.
    pub more: bool,
}

/// A command in a log: changes of records that were made together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its position.
    pub sequence: Sequence,
    /// The server's clock when it was given.
    pub at: TimestampMs,
    /// What it changes. What it expected held when it was appended; so it does wherever the same entries are applied.
    pub changes: Vec<RecordChange>,
}

/// An entry, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logged {
    /// A device's change.
    Change(Entry),
    /// A decision of the server.
    Command(Command),
}

impl Logged {
    /// Its position.
    pub fn sequence(&self) -> Sequence {
        match self {
            Self::Change(entry) => entry.sequence,
            Self::Command(command) => command.sequence,
        }
    }

    /// Bytes of the change, none when it was erased, or of the command.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Change(entry) => entry.change.bytes().len(),
            Self::Command(command) => RecordChange::bytes_of(&command.changes),
        }
    }
}

/// A server's log.
///
/// # Contract
///
/// - **Durable**: when [`Self::append`] or [`Self::apply`] returns `Ok`, what it took survives `kill -9` and loss of power.
/// - **Atomic**: after a crash a batch is there whole or not at all; batches of one call may be there as a prefix. So are
///   commands.
/// - **Ordered**: sequences rise by one from 1 without gaps, over changes and commands; a reader never sees a sequence
///   before all lower ones.
/// - **Once**: a (document, hash) pair is in the log at most once, however often and in however many batches it comes.
/// - **Visible when durable**: readers do not see entries whose append has not become durable.
/// - **Erased**: an entry's body can go ([`crate::RecordStore::command`], [`crate::records::ERASURES_TABLE`]); its place,
///   document, hash and size stay. A change that was erased is known: pushed again it is not appended, and its bytes do not
///   come back.
/// - **Deterministic**: two stores that hold the same entries give the same answers to every question of [`Log`], of
///   [`crate::Index`] and about tables of truth ([`crate::RecordStore`]), however the entries came there.
/// - **Failure**: `Err` means that the caller must not acknowledge anything; the log either has the batches or not,
///   and a repeated append settles it.
pub trait Log: Send + Sync {
    /// Appends batches of changes in order; one flush for all. Returns once all are durable, an answer for each batch.
    /// Commands are appended by [`crate::RecordStore::command`].
    fn append(&self, batches: &[LogBatch]) -> Result<Vec<Appended>, StoreError>;
    /// Takes entries of another log as they are, after [`Self::end`]. Entries that do not follow it, that bring a change a
    /// second time, or whose command finds other records than it expects are [`StoreError::NotNext`]: the two logs are not
    /// the same up to there. Those over a limit are refused as by [`Self::append`] and [`crate::RecordStore::command`]. What came
    /// before such an entry may have been taken.
    fn apply(&self, entries: &[Logged]) -> Result<(), StoreError>;
    /// The sequence of the last change; zero when there is none. Never waits for a disk.
    fn last(&self) -> Sequence;
    /// The sequence of the last entry, change or command; zero when empty. Never waits for a disk.
    fn end(&self) -> Sequence;
    /// Changes of any scope after `after`, until `bytes_max` of change bytes or `items_max` (at least one entry).
    fn read(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Page, StoreError>;
    /// All entries after `after`, with the same limits; none at the log's end.
    fn tail(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Vec<Logged>, StoreError>;
}
