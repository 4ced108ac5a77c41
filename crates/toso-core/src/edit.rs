//! What a person can change, as typed commands. A value that reached a command has already been checked.
//!
//! A document keeps every field as one scalar under one key: root fields under their name, the others in a map of the
//! genesis under a composite key (`hamlets` → `thôn 1/households`). So two devices that add the same hamlet apart
//! merge field by field. The path of a field, as errors, conflicts and histories show it, is `map/key`.

mod days;
mod error;
mod fields;
mod parse;
mod rules;
mod writes;

use data_encoding::HEXLOWER;

pub(crate) use days::{Days, OUT_OF_ORDER_IS_REFUSED, birth_years};
pub use days::{check_days, names_a_day};
pub use error::EditError;
pub(crate) use fields::{ActivityField, HamletPath, REACHED, activity_path, hamlet_path, is_field};
pub use rules::{HOUSEHOLDS_MAX, REACHED_MAX};
pub(crate) use writes::{Value, Write};

use crate::id::{DocId, DocKind};
use crate::record::{
    ActivityKind, Affiliation, ConsentMethod, Course, CourseStatus, Gender, HamletKind, HamletStatus, Role, Skill,
    TeamLevel, TeamStatus,
};
use crate::text::{Date, DocumentNumber, Label, Link, Note, PersonName, Phone, PlaceName};

/// Identifies an activity within its team; random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActivityId(pub [u8; 8]);

impl std::fmt::Display for ActivityId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl std::str::FromStr for ActivityId {
    type Err = crate::id::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| crate::id::IdError::Malformed(text.chars().take(40).collect()))
    }
}

/// The fields of a commune's document that only an officer writes: the sign-off.
pub const SIGN_OFF_FIELDS: [&str; 2] = ["signed_off_on", "signed_off_by"];

/// A change to a commune's document. Hamlets are named by [`crate::text::hamlet_key`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommuneEdit {
    /// Adds a hamlet, or corrects how its name is written.
    HamletName {
        /// Which hamlet.
        key: String,
        /// How its name is written; must have that key.
        name: PlaceName,
    },
    /// Sets its kind.
    HamletKind {
        /// Which hamlet.
        key: String,
        /// What it is.
        kind: Option<HamletKind>,
    },
    /// Sets its households.
    HamletHouseholds {
        /// Which hamlet.
        key: String,
        /// How many, at most [`HOUSEHOLDS_MAX`].
        households: Option<u32>,
    },
    /// Sets its status.
    HamletStatus {
        /// Which hamlet.
        key: String,
        /// Whether it exists.
        status: HamletStatus,
    },
    /// Adds or removes a link from `key` to the hamlet it went into.
    HamletSuccessor {
        /// The hamlet that was.
        key: String,
        /// The hamlet that is.
        successor: String,
        /// False removes the link.
        present: bool,
    },
    /// Signs off (or withdraws the sign-off).
    SignOff {
        /// The day for which the figures are confirmed.
        date: Option<Date>,
        /// The office.
        by: Option<Label>,
    },
    /// Corrects the day of the sign-off alone.
    SignedOffOn(Option<Date>),
    /// Corrects the office of the sign-off alone.
    SignedOffBy(Option<Label>),
}

/// A change to a team. `None` clears a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TeamEdit {
    /// Sets the level; a team without one is read as a hamlet's.
    Level(TeamLevel),
    /// Sets the hamlet served.
    Hamlet(Option<PlaceName>),
    /// Sets the kind of the hamlet.
    HamletKind(Option<HamletKind>),
    /// Sets the name the team goes by.
    LocalName(Option<PlaceName>),
    /// Sets the number of the founding decision.
    DecisionNumber(Option<DocumentNumber>),
    /// Sets its date.
    DecisionDate(Option<Date>),
    /// Sets who decided.
    DecisionBody(Option<Label>),
    /// Sets the day the team was set up.
    EstablishedOn(Option<Date>),
    /// Sets the status; a team without one is read as active.
    Status(TeamStatus),
    /// Marks the team as a duplicate of another, or (`None`) takes the mark back. The mark alone takes the team out of
    /// reports and moves its members over; the status stays, so that taking the mark back restores everything. A
    /// team that really went into another by decision also gets [`TeamStatus::Merged`].
    MergedInto(Option<DocId>),
    /// Sets the link to the Zalo group.
    ZaloLink(Option<Link>),
    /// Sets the households covered, at most [`HOUSEHOLDS_MAX`].
    HouseholdsCovered(Option<u32>),
    /// Sets the note.
    Note(Option<Note>),
    /// Records an activity with the people reached so far.
    AddActivity {
        /// Random, new.
        id: ActivityId,
        /// The day.
        date: Date,
        /// What it was.
        kind: ActivityKind,
        /// Skills covered.
        skills: Vec<Skill>,
        /// People reached.
        reached: Reached,
    },
    /// Corrects an activity's day.
    ActivityDate {
        /// Which activity.
        id: ActivityId,
        /// The day.
        date: Date,
    },
    /// Corrects an activity's kind.
    ActivityKind {
        /// Which activity.
        id: ActivityId,
        /// What it was.
        kind: ActivityKind,
    },
    /// Adds or removes a skill that an activity covered.
    ActivitySkill {
        /// Which activity.
        id: ActivityId,
        /// Which skill.
        skill: Skill,
        /// False removes it.
        present: bool,
    },
    /// Adds to the counters of an activity; additions made apart add up.
    AddReached {
        /// Which activity; it must be in the document.
        id: ActivityId,
        /// How many more; negative to correct.
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
pub enum MemberEdit {
    /// Sets the team.
    Team(Option<DocId>),
    /// Sets the full name.
    FullName(PersonName),
    /// Sets the year of birth, within [`crate::text::BIRTH_YEARS`].
    BirthYear(Option<u16>),
    /// Sets the gender.
    Gender(Option<Gender>),
    /// Sets the phone.
    Phone(Option<Phone>),
    /// Sets the part in the team; a member without one is read as a plain member.
    Role(Role),
    /// Adds or removes an organisation.
    Affiliation {
        /// Which.
        affiliation: Affiliation,
        /// False removes it.
        present: bool,
    },
    /// Sets membership of the youth union.
    UnionMember(Option<bool>),
    /// Sets the day of joining the team.
    JoinedOn(Option<Date>),
    /// Sets the day of leaving the team.
    LeftOn(Option<Date>),
    /// Sets how far the member is in a course.
    Course {
        /// Which course.
        course: Course,
        /// How far.
        status: Option<CourseStatus>,
    },
    /// Sets whether the member follows the Zalo OA.
    ZaloOaFollowed(Option<bool>),
    /// Records consent, and takes back an earlier withdrawal.
    Consent {
        /// How it was given.
        method: ConsentMethod,
        /// When.
        date: Date,
        /// Version of the text that was agreed to.
        text_version: Label,
    },
    /// Corrects how consent was given.
    ConsentMethod(ConsentMethod),
    /// Corrects when consent was given.
    ConsentDate(Date),
    /// Corrects the version of the text that was agreed to.
    ConsentTextVersion(Label),
    /// Records that consent was withdrawn.
    ConsentWithdrawn(Option<Date>),
    /// Marks the member as a duplicate of another, or (`None`) takes the mark back.
    MergedInto(Option<DocId>),
}

/// A change to a document of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocEdit {
    /// To a commune.
    Commune(CommuneEdit),
    /// To a team.
    Team(TeamEdit),
    /// To a member.
    Member(MemberEdit),
}

impl DocEdit {
    /// Reads `FIELD=VALUE` as a person types it. Field names are those of [`crate::record`]; an empty value clears
    /// where a field can be cleared. Nested fields: `affiliations/police=yes|no|có|không`, `courses/mooc=completed`,
    /// `consent/method=paper`, `activities/ID/kind=meeting`, `activities/ID/reached=+5` (counters are only added to),
    /// `hamlets/NAME/households=120`, `hamlets/NAME/successors/OTHER=yes`; a hamlet is named by its name or its key.
    pub fn parse(kind: DocKind, field: &str, text: &str) -> Result<Self, EditError> {
        parse::parse(kind, field, text)
    }
    /// The fields of a kind as [`Self::parse`] takes them; capitals stand for what differs.
    pub fn fields(kind: DocKind) -> &'static [&'static str] {
        fields::fields(kind)
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

#[cfg(test)]
mod tests;
