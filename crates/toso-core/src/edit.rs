//! What a person can change, as typed commands. A value that reached a command has already been checked.

use crate::id::{DocId, DocKind};
use crate::record::{
    ActivityKind, Affiliation, ConsentMethod, Course, CourseStatus, Gender, HamletKind, HamletStatus, Role, Skill,
    TeamLevel, TeamStatus,
};
use crate::text::{Date, DocumentNumber, Label, Link, Note, PersonName, Phone, PlaceName, TextError};

/// Identifies an activity within its team; random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActivityId(pub [u8; 8]);

/// A change to a commune's document. Hamlets are named by [`crate::text::hamlet_key`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommuneEdit {
    /// Adds a hamlet, or corrects how its name is written.
    HamletName { key: String, name: PlaceName },
    /// Sets its kind.
    HamletKind { key: String, kind: Option<HamletKind> },
    /// Sets its households.
    HamletHouseholds { key: String, households: Option<u32> },
    /// Sets its status.
    HamletStatus { key: String, status: HamletStatus },
    /// Adds or removes a link from `key` to the hamlet it went into.
    HamletSuccessor { key: String, successor: String, present: bool },
    /// Signs off (or withdraws the sign-off).
    SignOff { date: Option<Date>, by: Option<Label> },
}

/// A change to a team. `None` clears a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TeamEdit {
    Level(TeamLevel),
    Hamlet(Option<PlaceName>),
    HamletKind(Option<HamletKind>),
    LocalName(Option<PlaceName>),
    DecisionNumber(Option<DocumentNumber>),
    DecisionDate(Option<Date>),
    DecisionBody(Option<Label>),
    EstablishedOn(Option<Date>),
    Status(TeamStatus),
    MergedInto(Option<DocId>),
    ZaloLink(Option<Link>),
    HouseholdsCovered(Option<u32>),
    Note(Option<Note>),
    /// Records an activity with the people reached so far.
    AddActivity {
        id: ActivityId,
        date: Date,
        kind: ActivityKind,
        skills: Vec<Skill>,
        reached: Reached,
    },
    ActivityDate {
        id: ActivityId,
        date: Date,
    },
    ActivityKind {
        id: ActivityId,
        kind: ActivityKind,
    },
    ActivitySkill {
        id: ActivityId,
        skill: Skill,
        present: bool,
    },
    /// Adds to the counters of an activity; additions made apart add up.
    AddReached {
        id: ActivityId,
        more: Reached,
    },
}

/// People reached; counts only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reached {
    /// All.
    pub total: i64,
    /// Of them women.
    pub women: i64,
    /// Of them over 60.
    pub over_60: i64,
    /// Of them of an ethnic minority.
    pub minority: i64,
}

/// A change to a member. `None` clears a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberEdit {
    Team(Option<DocId>),
    FullName(PersonName),
    BirthYear(Option<u16>),
    Gender(Option<Gender>),
    Phone(Option<Phone>),
    Role(Role),
    Affiliation { affiliation: Affiliation, present: bool },
    UnionMember(Option<bool>),
    JoinedOn(Option<Date>),
    LeftOn(Option<Date>),
    Course { course: Course, status: Option<CourseStatus> },
    ZaloOaFollowed(Option<bool>),
    Consent { method: ConsentMethod, date: Date, text_version: Label },
    ConsentWithdrawn(Option<Date>),
    MergedInto(Option<DocId>),
}

/// A change to a document of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DocEdit {
    /// To a commune.
    Commune(CommuneEdit),
    /// To a team.
    Team(TeamEdit),
    /// To a member.
    Member(MemberEdit),
}

impl DocEdit {
    /// Reads `FIELD=VALUE` as a person types it. Field names are those of [`crate::record`]; an empty value clears.
    /// Nested: `affiliations/police=yes|no`, `courses/mooc=completed`, `consent/method`, `activities/ID/kind`,
    /// `hamlets/KEY/households`. One text may give several edits to be saved together.
    pub fn parse(_kind: DocKind, _field: &str, _text: &str) -> Result<Self, EditError> {
        todo!()
    }
    /// The kind of document it applies to.
    pub fn kind(&self) -> DocKind {
        match self {
            Self::Commune(_) => DocKind::Commune,
            Self::Team(_) => DocKind::Team,
            Self::Member(_) => DocKind::Member,
        }
    }
}

/// Why an edit cannot be made. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
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
}
