//! The review queue: edits for units that their device no longer holds, waiting for an officer's decision.
//!
//! Never to the bin: what comes in is durable before the device is told so; what is accepted goes into the log under its
//! own scope and author; what is returned stays, with the officer's words, and can be accepted later.
//!
//! Two tables: `review` (number → [`ReviewRecord`]) and `review_changes` (number → the change, until it is accepted).
//! `review_told` has, by device, the last decision that the device has confirmed. All but the changes are in memory too.

mod queue;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use toso_core::id::{AuthorId, ChangeHash, DocId};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;
use toso_sync::HoldReason;

pub use queue::{DecideError, Deciding, ReviewQueue};

/// Changes of one device that wait or were returned. A phone that was away for a season has some hundreds.
pub const HELD_PER_DEVICE_MAX: usize = 2_000;
/// Their bytes: 2,000 changes of 150 B are 300 KB, so this leaves room for long ones and none for a warehouse.
pub const HELD_BYTES_PER_DEVICE_MAX: usize = 4 << 20;
/// Changes of all devices that wait or were returned: a tenth of the 10,000 devices with a full outbox of 100 each, at
/// about 200 B of memory each 20 MB.
pub const HELD_MAX: usize = 100_000;
/// Their bytes on disk.
pub const HELD_BYTES_MAX: usize = 512 << 20;

/// Where an item of the queue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewStatus {
    /// Waits for a decision.
    Open,
    /// In the register.
    Accepted,
    /// Sent back with the officer's words; it can still be accepted.
    Returned,
}

impl ReviewStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Open, Self::Accepted, Self::Returned];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Returned => "returned",
        }
    }
}

/// An item of the queue, without its change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewRecord {
    /// Who made the change.
    pub author: AuthorId,
    /// The commune it is for.
    pub scope: Scope,
    /// Its document.
    pub doc: DocId,
    /// Its identity.
    pub hash: ChangeHash,
    /// Its size.
    pub bytes: u32,
    /// `moved`, `revoked` or `returned`.
    pub reason: String,
    /// When the server got it.
    pub received_at: TimestampMs,
    /// Where it stands.
    pub status: ReviewStatus,
    /// The number of the last decision about it; rises over the whole queue. 0 while there is none.
    pub decision: u64,
    /// The officer's device; `None` for the admin token.
    pub decided_by: Option<AuthorId>,
    /// When.
    pub decided_at: TimestampMs,
    /// The officer's words.
    pub note: String,
    /// The device that returned it to a server which had lost it; `None` when its author brought it.
    #[serde(default)]
    pub returned_by: Option<AuthorId>,
}

impl ReviewRecord {
    /// Whose room in the queue it takes: of the device that brought it, whatever name it brought it under.
    pub(crate) fn brought_by(&self) -> AuthorId {
        self.returned_by.unwrap_or(self.author)
    }
}

/// The word that a record keeps for a reason.
pub(crate) const fn reason_word(reason: HoldReason) -> &'static str {
    match reason {
        HoldReason::Revoked => "revoked",
        HoldReason::Returned { .. } => "returned",
        HoldReason::Moved => "moved",
    }
}
