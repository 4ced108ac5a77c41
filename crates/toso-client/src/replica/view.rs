//! What a replica shows.

use serde::{Deserialize, Serialize};
use toso_core::chunk::ChangeHash;
use toso_core::document::ConflictValue;
use toso_core::id::{DeviceId, DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};

/// How far a document's changes have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Receipt {
    /// On this device only (at least one change of it).
    Saved,
    /// On the server's disk.
    Received,
    /// In the centre's figures.
    Counted,
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
    pub values: Vec<ConflictValue>,
}

/// A chunk that the server refused. It stays on the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its document.
    pub doc: DocId,
    /// The chunk.
    pub hash: ChangeHash,
    /// Why: `out_of_scope`, `forbidden`, `malformed`, `foreign_actor`, `wrong_document`, `too_large`, …
    pub code: String,
    /// In words.
    pub detail: String,
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
    /// Documents here.
    pub documents: usize,
    /// Changes the server has not acknowledged.
    pub unsent: usize,
    /// Changes the server refused.
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
