//! The replica on a phone.
//!
//! A save goes through [`Replica`]: typed edit → one Automerge change → store and outbox in one durable transaction,
//! and only then does the call return. Nothing here waits for a network. [`AutoSync`] keeps a session with the server
//! alive whenever there is a network, [`sync_once`] makes one bounded exchange; both drive the same pure session
//! machine (`toso-sync`) over one IO loop ([`sync::io_loop`]).

pub mod between;
pub mod carry;
pub mod credential;
pub mod enrol;
pub mod identity;
pub mod reach;
pub mod register;
pub mod replica;
pub mod rest;
pub mod sync;

pub use between::Between;
pub use carry::{BundleReport, CarryError, Meeting, PeerEffect, PeerError, PeerReport, PeerSession, Side, TakeReport};
pub use credential::{Credential, CredentialError};
pub use enrol::{EnrolError, Invite, InviteError, MadeInvite, enrol, make_invite};
pub use identity::{Device, RandomSource};
pub use reach::{Reach, ReachError};
pub use register::{LeaveError, leave_register};
pub use replica::{
    CentreTotals, ConflictView, ConflictWatch, DeviceNames, DocView, Found, Held, HeldState, NamesError, Receipt,
    ReceiptCounts, Replica, ReplicaError, ReplicaEvent, ReplicaOptions, ReplicaStatus, RightState, SaveView, SyncRight,
    TeamDraft,
};
pub use sync::{
    AutoSync, AutoSyncHandle, BoundedSync, SyncError, SyncOptions, SyncReport, SyncState, sync_once, sync_until,
};
