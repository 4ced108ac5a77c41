//! Why a replica could not do what was asked.

use toso_core::document::{DocumentSize, NoRoom};
use toso_core::edit::EditError;
use toso_core::id::DocId;
use toso_store::StoreError;

use crate::credential::CredentialError;
use crate::limits::DOCUMENTS_MAX;

/// Why a replica could not do what was asked. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReplicaError {
    /// The edit breaks a rule.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The device has no usable credential.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// No such document here.
    #[error("there is no {kind} {id} on this device; the list command shows those there are")]
    NotFound {
        /// What was looked for.
        kind: &'static str,
        /// Its id.
        id: DocId,
    },
    /// Only a newer version reads the document.
    #[error("{id} is a kind of record that only a newer version of this app can show and edit; update the app")]
    NeedsNewerVersion {
        /// The document.
        id: DocId,
    },
    /// The hamlet has a team.
    #[error("this hamlet already has a team here, {id}: edit that one, or say that it is another team of the hamlet")]
    TeamExists {
        /// The team.
        id: DocId,
    },
    /// The commune has a team of its own.
    #[error(
        "this commune already has a team of its own here, {id}: edit that one, or say that it is another team (--another)"
    )]
    CommuneTeamExists {
        /// The team.
        id: DocId,
    },
    /// The device's role only reads.
    #[error(
        "this device's role is {role}, which reads and records nothing; ask your officer for an invite as recorder"
    )]
    ReadsOnly {
        /// The role.
        role: String,
    },
    /// A hamlet's team and a commune's are told apart by their ids.
    #[error(
        "{id} was recorded as a hamlet's team, or as a commune's own, and stays one; record another team, and merge this one into it"
    )]
    OtherLevel {
        /// The team.
        id: DocId,
    },
    /// A hamlet team needs a hamlet.
    #[error("a team of level hamlet needs the hamlet's name; a team of the whole commune has level commune")]
    HamletMissing,
    /// The device's unit has several communes.
    #[error("{unit} is not one commune; say which commune of it the record belongs to")]
    CommuneNeeded {
        /// The device's unit.
        unit: String,
    },
    /// The commune is outside the device's unit.
    #[error("{unit} is not a commune inside this device's unit {own}")]
    OutsideUnit {
        /// What was asked for.
        unit: String,
        /// The device's unit.
        own: String,
    },
    /// The device is full.
    #[error("this device holds {DOCUMENTS_MAX} documents, the most it keeps; ask for a device with a smaller unit")]
    TooManyDocuments,
    /// The record takes no further change of this device. Nothing was saved.
    #[error("nothing was saved: {}", why.text())]
    DocumentFull {
        /// The document.
        id: DocId,
        /// What it has.
        size: DocumentSize,
        /// Why.
        why: NoRoom,
    },
    /// The field has no conflict.
    #[error("{field} of {id} has one value only; there is nothing to settle")]
    NoConflict {
        /// The document.
        id: DocId,
        /// The field.
        field: String,
    },
    /// Documents that cannot be merged with each other.
    #[error("{from} cannot be merged into {into}: {reason}")]
    CannotMerge {
        /// The duplicate.
        from: DocId,
        /// The one to keep.
        into: DocId,
        /// Why.
        reason: &'static str,
    },
}
