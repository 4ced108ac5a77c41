//! What a device is, without a socket, a runtime, a clock or a source of randomness of its own.
//!
//! A save goes through [`Replica`]: typed edit → one Automerge change → store and outbox in one durable transaction,
//! and only then does the call return. Nothing here waits for a network. A session's machine (`toso-sync`) says what it
//! wants of the device, and [`Replica::perform`] does it; the machine around it ([`exchange`]) says when to dial, over what,
//! and when to give up, and needs somebody who moves bytes and time. Where no server is in reach, devices help each other
//! ([`carry`]).
//!
//! The store, the clock and the random source are given ([`ReplicaOptions`]); who wants to hear what happens here gives an
//! [`Observer`]. So the same replica runs under tokio, in a simulation and in a browser.

pub mod between;
pub mod carry;
pub mod credential;
pub mod error;
pub mod exchange;
pub mod identity;
pub mod limits;
pub mod meeting;
pub mod observer;
pub mod reach;
pub mod register;
pub mod replica;
#[cfg(test)]
mod testing;

pub use between::Between;
pub use carry::{BundleReport, CarryError, PeerEffect, PeerError, PeerReport, PeerSession, Side, TakeReport};
pub use credential::{Credential, CredentialError};
pub use error::ReplicaError;
pub use exchange::{SyncError, SyncOptions, SyncReport, SyncState};
pub use identity::{Device, RandomSource};
pub use meeting::Meeting;
pub use observer::{Listens, News, Observer, ReplicaEvent};
pub use reach::{Reach, ReachError};
pub use register::{LeaveError, leave_register};
pub use replica::{
    Candidate, CentreTotals, ConflictView, ConflictWatch, DeviceNames, DocView, Found, Held, HeldState, Receipt,
    ReceiptCounts, Replica, ReplicaOptions, ReplicaStatus, RightState, SaveView, SyncRight, TeamDraft, Work,
};
