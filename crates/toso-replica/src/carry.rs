//! Helping each other where no server is in reach: a phone carries what another recorded.
//!
//! An author's phone signs its unsent changes in batches ([`Parcel`]) when it makes a bundle or meets another phone. A phone
//! that takes a parcel applies its changes, keeps author's card and signature in its *carry box*, pushes the parcel when it
//! meets the server, and hands back at the next meeting what the server said. All of this is a [`Handover`]; it travels in a
//! file ([`bundle`]) or over any byte pipe ([`peer`]).
//!
//! What is *not* carried: changes that no author signed for the way, such as those that a phone had from the server. A
//! carrier could make up such changes in another's name, and an invented change under a real actor's number would keep the
//! real one out of the document for ever.

pub mod bundle;
pub mod handover;
pub(crate) mod keep;
mod noise;
pub mod parcel;
pub mod pass;
pub mod peer;

pub use bundle::{BUNDLE_BYTES_MAX, BundleReport};
pub use handover::{CarriedReceipt, CarriedTotals, Handover, TakeReport};
pub use keep::CARRY_PARCELS_MAX;
pub use parcel::{Parcel, ParcelId};
pub use pass::{BundleKey, CarryPass};
pub use peer::{PeerEffect, PeerError, PeerReport, PeerSession, Side};

use toso_core::id::ServerId;
use toso_core::unit::UnitRef;
use toso_store::StoreError;

use crate::credential::CredentialError;
use crate::error::ReplicaError;

/// Why something could not be carried. Nothing was changed, unless the variant says so.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CarryError {
    /// The device has no card yet.
    #[error("this device has no card yet; fetch one with `bundle key` (needs the network), or enrol again")]
    NoPass,
    /// The device has no bundle key of the unit.
    #[error("this device has no bundle key of {unit}; fetch it with `bundle key` (needs the network)")]
    NoKey {
        /// The unit.
        unit: UnitRef,
    },
    /// The bundle was made with a key that came after the newest one here.
    #[error(
        "the bundle was made with key {generation} of {unit}, which this device does not have yet; sync, or fetch it with \
         `bundle key` (both need the network), and open the bundle again"
    )]
    NewerKey {
        /// The unit.
        unit: UnitRef,
        /// The key's generation.
        generation: u32,
    },
    /// The bundle was made with a key from before this device joined, which nobody gives it any more.
    #[error(
        "the bundle was made with key {generation} of {unit}, which was replaced before this device joined, and no server \
         gives it any more; ask its maker to sync (or `bundle key`) and to make it anew"
    )]
    OlderKey {
        /// The unit.
        unit: UnitRef,
        /// The key's generation.
        generation: u32,
    },
    /// Not a bundle.
    #[error("this is no bundle of the register; a bundle is made with `bundle make`")]
    NotABundle,
    /// Cut off or changed.
    #[error("the bundle is cut off or was changed on the way ({0}); ask for it again")]
    Damaged(&'static str),
    /// Too large.
    #[error("a bundle has at most {BUNDLE_BYTES_MAX} bytes, this one has {bytes}")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// For a unit that is not this device's.
    #[error("this is for {unit}, outside this device's unit {own}")]
    OutsideUnit {
        /// Whose it is.
        unit: UnitRef,
        /// The device's own.
        own: UnitRef,
    },
    /// Of another server.
    #[error("this belongs to another server ({other}), not to the one that this device is enrolled at")]
    OtherServer {
        /// That server.
        other: ServerId,
    },
    /// A card or a signature is forged, or something signed was changed.
    #[error("{0}; nothing of it was taken")]
    Forged(&'static str),
    /// A change in a parcel is not what may be pushed.
    #[error("a carried change is refused: {0}; nothing of its batch was taken")]
    Refused(String),
    /// The carry box is full.
    #[error("this device already carries {CARRY_PARCELS_MAX} batches for others, the most it keeps; sync it first")]
    BoxFull,
    /// The credential.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The replica.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
}

#[cfg(test)]
mod tests;
