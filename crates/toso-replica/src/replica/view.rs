//! What a replica shows.

use serde::{Deserialize, Serialize};
use toso_core::chunk::ChangeHash;
use toso_core::document::{ConflictValue, HistoryEntry};
use toso_core::id::{AuthorId, DeviceId, DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};

/// How far a document's changes have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Receipt {
    /// On this device only (at least one change of it).
    Saved,
    /// At least one change of it waits for an officer, or came back from one.
    Held,
    /// On the server's disk.
    Received,
    /// In the centre's figures.
    Counted,
}

/// How many records have come how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ReceiptCounts {
    /// With a change that is on this device only.
    pub saved: usize,
    /// With a change that waits for an officer, or came back from one.
    pub held: usize,
    /// On the server's disk.
    pub received: usize,
    /// In the centre's figures.
    pub counted: usize,
}

/// A document with its place and its receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DocView<R> {
    /// Its identity.
    pub id: DocId,
    /// Its commune.
    pub commune: Scope,
    /// Its fields.
    #[serde(flatten)]
    pub record: R,
    /// How far it has come: saved here, received by the server, counted by the centre.
    pub receipt: Receipt,
}

/// A field with several values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConflictView {
    /// The document.
    pub id: DocId,
    /// The field, as edits name it.
    pub field: String,
    /// The values, the shown one first.
    pub values: Vec<Candidate>,
}

/// One of the values of a field in conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The value, whose it is, and when it was written.
    #[serde(flatten)]
    pub written: ConflictValue,
    /// The device that brought it back after the centre had lost it: whose it is rests on that device's word.
    pub brought_back_by: Option<AuthorId>,
}

/// Where a change stands that the server did not take into the register at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldState {
    /// Refused: it stays on this device.
    Refused,
    /// Waits for an officer.
    Waiting,
    /// In the register.
    Accepted,
    /// Sent back, with a note; the officer can still accept it.
    Returned,
}

impl HeldState {
    /// True once an officer has decided.
    pub const fn is_decided(self) -> bool {
        match self {
            Self::Refused | Self::Waiting => false,
            Self::Accepted | Self::Returned => true,
        }
    }

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Waiting => "held for review",
            Self::Accepted => "accepted",
            Self::Returned => "returned",
        }
    }
}

/// A change that the server refused, or holds for an officer's review, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Its document.
    pub doc: DocId,
    /// The chunk.
    pub hash: ChangeHash,
    /// Why: `out_of_scope`, `forbidden`, `malformed`, `foreign_actor`, `wrong_document`, `too_large`, …
    pub code: String,
    /// In words.
    pub detail: String,
    /// `team`, `member` or `commune`; `newer` for a kind that only a newer version knows.
    pub kind: &'static str,
    /// What the volunteer called the record when it was sent: hamlet, team or person.
    pub label: String,
    /// The commune it is for.
    pub commune: Option<Scope>,
    /// The commune's name, whose officers review.
    pub unit_name: Option<String>,
    /// Where it stands.
    pub state: HeldState,
    /// The officer's words.
    pub note: String,
}

/// One save of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SaveView {
    /// The save.
    #[serde(flatten)]
    pub save: HistoryEntry,
    /// The device that brought it back after the centre had lost it: whose the save is rests on that device's word.
    pub brought_back_by: Option<AuthorId>,
}

/// A replica at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplicaStatus {
    /// The device.
    pub device: DeviceId,
    /// Its unit, once enrolled.
    pub unit: Option<UnitRef>,
    /// Its role.
    pub role: Option<String>,
    /// The server it syncs with.
    pub server: Option<String>,
    /// When its right to sync ends, by the server's clock, unless a sync renews it before.
    pub token_ends: Option<TimestampMs>,
    /// True when that is near and no sync has renewed it: a person must see to it.
    pub token_ends_soon: bool,
    /// True while everything goes over a network in the clear.
    pub in_the_clear: bool,
    /// Documents here.
    pub documents: usize,
    /// Of them, those of kinds that only a newer version knows: kept and passed on, and shown once the app is updated.
    pub newer: usize,
    /// Changes the server has not acknowledged.
    pub unsent: usize,
    /// Of them, those that wait for another role, since the device's only reads: with an invite as recorder they go out.
    pub waits_for_role: usize,
    /// The server has shut this device out, and said so at the last session: it receives nothing more, and what it still sends
    /// waits for officers. Its folder can be left, and joins as a new device then.
    pub shut_out: bool,
    /// For how many seconds the centre takes nothing more of this device, which has written its share of the day; what is
    /// unsent goes out by itself then.
    pub rests_for_s: Option<u64>,
    /// Whose share is used up then: this device's, or that of all devices in its unit. In the centre's words.
    pub rests_why: Option<String>,
    /// Changes the server refused or holds for review, and what officers decided.
    pub held: Vec<Held>,
    /// The centre's figures for the unit.
    pub totals: Option<CentreTotals>,
}

/// What the centre has counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CentreTotals {
    /// Teams.
    pub teams: u64,
    /// Members.
    pub members: u64,
    /// Up to this log position.
    pub as_of: Sequence,
    /// When, by the server's clock.
    pub at: TimestampMs,
}
