//! Storage as the register needs it: [`ChunkStore`] for a phone's replica; for a server [`Log`], [`Index`] and
//! [`RecordStore`].
//!
//! All say in `# Contract` what an implementation owes: atomicity, durability, order, and what a crash may leave. The
//! [`memory`] implementation keeps the same promises except surviving the process; the `conformance` module (behind the
//! feature of that name, for tests only) proves them for every implementation. `faulty` (behind its feature) has
//! disks that fail on demand, as far as the contracts allow it.
//!
//! Calls block. Async callers give them a thread of their own.

pub mod change_log;
pub mod chunk_store;
#[cfg(any(test, feature = "conformance", feature = "faulty"))]
pub mod compare;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod export;
#[cfg(any(test, feature = "faulty"))]
pub mod faulty;
pub mod index;
pub mod limits;
pub mod memory;
pub mod page;
pub mod records;

pub use change_log::{Appended, Command, Log, LogBatch, Logged, Page};
pub use chunk_store::{ChunkStore, HeldChunk, Listed, OutboxEntry, Transaction};
pub use index::{ChangeLog, Index, Lookup, Summary};
pub use records::{Holds, Record, RecordChange, RecordStore};

use toso_core::chunk::ChangeHash;
use toso_core::id::Sequence;

/// Why a store could not do what was asked. Nothing of the failed call has taken effect, unless the variant says so.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk is full or over quota. Free space; nothing already acknowledged is affected.
    #[error(
        "no space left while {operation} in {path}: free some space and try again; nothing stored before is affected"
    )]
    Full {
        /// What was being done.
        operation: &'static str,
        /// Where.
        path: String,
    },
    /// The operating system refused.
    #[error("{operation} failed in {path}: {detail}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// Where.
        path: String,
        /// What the system said.
        detail: String,
    },
    /// Another process has the folder open.
    #[error("{path} is in use by another process; stop that process or choose another folder")]
    InUse {
        /// The folder.
        path: String,
    },
    /// The folder was written by a newer version.
    #[error("{path} has storage format {found}, this version reads up to {supported}; use a newer version of toso")]
    NewerFormat {
        /// The folder.
        path: String,
        /// Its format.
        found: u32,
        /// The newest that is understood.
        supported: u32,
    },
    /// The folder holds another kind of store (a phone's where a server's is expected, or the reverse).
    #[error("{path} holds a {found} store, not a {expected} store; choose another folder")]
    WrongKind {
        /// The folder.
        path: String,
        /// What it holds.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The key given does not open the folder, or none was given where one is needed, or one where none is.
    #[error("{path}: {mismatch}")]
    WrongKey {
        /// The folder.
        path: String,
        /// In which way key and folder do not fit.
        mismatch: StoreKeyMismatch,
    },
    /// A store would be made among files that are not its own.
    #[error("{path} is no empty folder (it holds {stranger}); choose another folder or a new name")]
    NotEmpty {
        /// The folder.
        path: String,
        /// One of the files.
        stranger: String,
    },
    /// A stored value does not match its checksum or cannot be read.
    #[error("{path}: damaged value in {place}: {detail}; restore from a backup, or export what can be read")]
    Damaged {
        /// The folder.
        path: String,
        /// Tree and key, hexadecimal.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// The store holds less than it is known to have held: its data was cut short, emptied or lost.
    #[error("{path} has lost what it held: {held} entries were sure to be there, {found} are left; {mend}")]
    Lost {
        /// The folder.
        path: String,
        /// Entries that it is known to have held.
        held: u64,
        /// Entries that are there.
        found: u64,
        /// What to do.
        mend: &'static str,
    },
    /// A value is larger than a store keeps.
    #[error("{what} has {bytes} bytes, a store keeps at most {max}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// More items in one call than a store takes.
    #[error("{what} has {items} items; at most {max} are accepted, send the rest in another")]
    TooMany {
        /// What.
        what: &'static str,
        /// How many it has.
        items: usize,
        /// The limit.
        max: usize,
    },
    /// An earlier write failed in a way that leaves memory and disk possibly apart: the store refuses all further
    /// writes until it is opened again.
    #[error(
        "{path} refuses writes since an earlier failure ({cause}); restart to recover, nothing acknowledged is lost"
    )]
    Poisoned {
        /// The folder.
        path: String,
        /// The first failure.
        cause: String,
    },
    /// A record did not have the expected value; nothing was written.
    #[error("a record of table {table} was changed by somebody else at the same moment; read it again")]
    Raced {
        /// The table.
        table: String,
    },
    /// A table of truth was to be written as a derived one, or the reverse; nothing was written. A mistake of the program.
    #[error("table {table} holds {}, and nothing else can be written into it; this is a mistake of the program, report it",
        match .holds { Holds::Truth => "what was decided", Holds::Derived => "what follows from the log" })]
    Mixed {
        /// The table.
        table: String,
        /// What it holds.
        holds: Holds,
    },
    /// Entries of another log do not follow this one's.
    #[error("entry {sequence} does not follow this log, which ends at {end}: {detail}; begin again with an empty store",
        sequence = .sequence.0, end = .end.0)]
    NotNext {
        /// The first entry that does not.
        sequence: Sequence,
        /// Where the log ends.
        end: Sequence,
        /// Why not.
        detail: &'static str,
    },
    /// Something asked for is not there.
    #[error("no chunk {0} is stored")]
    NotFound(ChangeHash),
}

/// In which way a key and a folder do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreKeyMismatch {
    /// The folder is encrypted under another key.
    #[error(
        "it is encrypted under another key; open it with the key it was made or last rotated with, nothing is lost"
    )]
    Other,
    /// The folder is encrypted, and no key was given.
    #[error("it is encrypted; give the key it was made with")]
    NoKeyGiven,
    /// A key was given for a folder that is not encrypted.
    #[error("it is not encrypted; open it without a key, or use a new folder for encrypted data")]
    NotEncrypted,
}
