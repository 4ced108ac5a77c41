//! Why an edit cannot be made.

use crate::id::DocId;
use crate::text::{Date, TextError};

/// Why an edit cannot be made. Nothing was changed. Never quotes a value: it may be personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The value breaks a rule.
    #[error("{field}: {error}")]
    Value {
        /// Which field.
        field: String,
        /// Which rule.
        error: TextError,
    },
    /// No such field.
    #[error("a {kind} has no field {field:?}; its fields are {known}")]
    UnknownField {
        /// `team`, `member` or `commune`.
        kind: &'static str,
        /// What was asked for.
        field: String,
        /// Those there are.
        known: String,
    },
    /// Not one of the words that the field takes.
    #[error("{field}: the value must be one of {expected}")]
    Choice {
        /// Which field.
        field: String,
        /// The words.
        expected: String,
    },
    /// Not a number, or outside of what the field takes.
    #[error("{field}: the value must be a whole number from {min} to {max}")]
    Number {
        /// Which field.
        field: String,
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// A counter was to be set.
    #[error("{field}: people reached are added to, not set, since others may add too; write +5 or -5")]
    CounterIsAddedTo {
        /// Which field.
        field: String,
    },
    /// The field must have a value.
    #[error("{field} cannot be left empty")]
    Required {
        /// Which field.
        field: String,
    },
    /// Not an id, or one of another kind.
    #[error("{field}: the value must be the id of a {kind}; copy it whole, as the list command prints it")]
    Id {
        /// Which field.
        field: String,
        /// `team` or `member`.
        kind: &'static str,
    },
    /// A document merged into itself, or a hamlet that succeeds itself.
    #[error("{field}: a record cannot go into itself; name the other one")]
    IntoItself {
        /// Which field.
        field: String,
    },
    /// A hamlet's key that is not one, or the name of a hamlet with another key.
    #[error("{field}: the name belongs to another hamlet than the one edited; add it as a hamlet of its own")]
    OtherHamlet {
        /// Which field.
        field: String,
    },
    /// More women (or others) reached than people.
    #[error("{field}: a part cannot be larger than the whole; check the number of people reached")]
    PartLargerThanWhole {
        /// Which field.
        field: String,
    },
    /// A day that has not come yet.
    #[error(
        "{field}: this day lies ahead; by this device's clock and by what the centre last said, today is {} at the latest: \
         check day and year, or set the device's clock and sync",
        today.display_vi()
    )]
    DayToCome {
        /// Which field.
        field: String,
        /// The latest that today can be.
        today: Date,
    },
    /// A year of birth that no member can have.
    #[error("{field}: a member was born from {min} to {max}; check the year, or set the device's clock and sync")]
    BirthYear {
        /// Which field.
        field: String,
        /// The earliest year.
        min: u16,
        /// The latest year.
        max: u16,
    },
    /// Left before joined, consent withdrawn before given, joined before born.
    #[error("{field}: this lies before {earlier}; check both")]
    DaysOutOfOrder {
        /// The field that lies too early.
        field: String,
        /// The field that must lie before it.
        earlier: String,
    },
    /// The edit is for another kind of document.
    #[error("an edit of a {edit} cannot be made in {document}, which is a {kind}")]
    WrongKind {
        /// What the edit is for.
        edit: &'static str,
        /// What the document is.
        kind: &'static str,
        /// The document.
        document: DocId,
    },
    /// An activity that the document does not have.
    #[error("the team has no activity {id}; list its activities, or record it first")]
    UnknownActivity {
        /// Its id.
        id: String,
    },
    /// The save does not fit a change.
    #[error("the save cannot be kept as one change ({0}); save in smaller parts")]
    Change(#[from] crate::chunk::ChunkError),
    /// A hostile or damaged change has made the document unwritable.
    #[error("{document} cannot be edited because of a damaged change in it; fetch it again from the centre")]
    Broken {
        /// The document.
        document: DocId,
    },
}
