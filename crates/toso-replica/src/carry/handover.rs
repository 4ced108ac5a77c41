//! What two phones give each other: parcels, what the server said of earlier ones, and the centre's figures.

use serde::{Deserialize, Serialize};
use toso_core::id::{Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;

use super::parcel::{Parcel, Refs};

/// The load of one bundle or meeting.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// Own unsent changes and those carried for others.
    pub parcels: Vec<Parcel>,
    /// What the server has acknowledged of parcels that the giver carried.
    pub receipts: Vec<CarriedReceipt>,
    /// The centre's figures as the giver last heard them.
    pub totals: Option<CarriedTotals>,
}

/// A parcel that reached the server.
///
/// It is the carrier's word, not the server's: it is shown, but the author's outbox keeps its entries until the server
/// itself has acknowledged them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedReceipt {
    /// The server's history that the sequence belongs to.
    pub epoch: Epoch,
    /// All of these are in the log at or below it.
    pub through: Sequence,
    /// The changes.
    pub changes: Refs,
}

/// The centre's figures for a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedTotals {
    /// The server's history that the sequence belongs to.
    pub epoch: Epoch,
    /// The unit.
    pub unit: UnitRef,
    /// Teams.
    pub teams: u64,
    /// Members.
    pub members: u64,
    /// Up to this log position.
    pub as_of: Sequence,
    /// When, by the server's clock.
    pub at: TimestampMs,
}

/// What taking a handover did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TakeReport {
    /// Batches taken to carry.
    pub parcels: usize,
    /// Changes in them.
    pub changes: usize,
    /// Batches that were here already, or this device's own.
    pub known: usize,
    /// Changes of this device that the carrier brought to the server.
    pub received: usize,
}

impl TakeReport {
    /// Adds another's numbers.
    pub fn add(&mut self, other: Self) {
        self.parcels += other.parcels;
        self.changes += other.changes;
        self.known += other.known;
        self.received += other.received;
    }
}
