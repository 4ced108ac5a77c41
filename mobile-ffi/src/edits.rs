//! What a person can change, as an app says it. A value is checked when the call is made, by the rules of the register; what
//! breaks one is refused as [`TosoError::Invalid`] with the field's name, and nothing is changed.

mod parse;

use crate::records::Reached;
use crate::words::{
    ActivityKind, Affiliation, ConsentMethod, Course, CourseStatus, Gender, HamletKind, HamletStatus, Role, Skill,
    TeamLevel, TeamStatus,
};

pub(crate) use parse::{commune_edits, doc_id, draft, member_edits, scope, team_edits, unit};

#[cfg(doc)]
use crate::TosoError;

/// A new team.
#[derive(Clone, uniffi::Record)]
pub struct NewTeam {
    /// The hamlet served, as people write it; needed for a hamlet's team. Two phones that write the same hamlet apart make
    /// one team.
    #[uniffi(default = None)]
    pub hamlet: Option<String>,
    /// A hamlet's team when not said.
    #[uniffi(default = None)]
    pub level: Option<TeamLevel>,
    /// The commune (`2025/00004`); this device's own when not said and it has one only.
    #[uniffi(default = None)]
    pub commune: Option<String>,
    /// True for a further team of a hamlet that has one.
    #[uniffi(default = false)]
    pub another: bool,
    /// All else that is known.
    #[uniffi(default = [])]
    pub edits: Vec<TeamEdit>,
}

impl std::fmt::Debug for NewTeam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewTeam").field("level", &self.level).field("another", &self.another).finish_non_exhaustive()
    }
}

/// A new member.
#[derive(Clone, uniffi::Record)]
pub struct NewMember {
    /// The team's id.
    pub team: String,
    /// The full name, family name first.
    pub full_name: String,
    /// All else that is known.
    #[uniffi(default = [])]
    pub edits: Vec<MemberEdit>,
}

impl std::fmt::Debug for NewMember {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewMember").field("team", &self.team).finish_non_exhaustive()
    }
}

/// A change to a team. An absent value clears the field. Days are written `24/11/2026` or `2026-11-24`.
#[derive(Clone, uniffi::Enum)]
pub enum TeamEdit {
    /// Sets the level.
    Level {
        /// The level.
        level: TeamLevel,
    },
    /// Sets the hamlet served.
    Hamlet {
        /// Its name.
        name: Option<String>,
    },
    /// Sets the kind of the hamlet.
    HamletKind {
        /// The kind.
        kind: Option<HamletKind>,
    },
    /// Sets the name the team goes by.
    LocalName {
        /// The name.
        name: Option<String>,
    },
    /// Sets the number of the founding decision, `12/QĐ-UBND`.
    DecisionNumber {
        /// The number.
        number: Option<String>,
    },
    /// Sets its date.
    DecisionDate {
        /// The day.
        date: Option<String>,
    },
    /// Sets who decided.
    DecisionBody {
        /// The office.
        body: Option<String>,
    },
    /// Sets the day the team was set up.
    EstablishedOn {
        /// The day.
        date: Option<String>,
    },
    /// Sets where it stands.
    Status {
        /// The status.
        status: TeamStatus,
    },
    /// Sets the link to the Zalo group.
    ZaloLink {
        /// The link, with https.
        link: Option<String>,
    },
    /// Sets the households covered.
    HouseholdsCovered {
        /// How many.
        households: Option<u32>,
    },
    /// Sets the note.
    Note {
        /// The note.
        text: Option<String>,
    },
    /// Records an activity.
    AddActivity {
        /// New: from `new_activity_id`.
        id: String,
        /// The day.
        date: String,
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
        id: String,
        /// The day.
        date: String,
    },
    /// Corrects an activity's kind.
    ActivityKind {
        /// Which activity.
        id: String,
        /// What it was.
        kind: ActivityKind,
    },
    /// Adds or removes a skill that an activity covered.
    ActivitySkill {
        /// Which activity.
        id: String,
        /// Which skill.
        skill: Skill,
        /// False removes it.
        present: bool,
    },
    /// Adds to the people reached; what several phones add apart adds up.
    AddReached {
        /// Which activity.
        id: String,
        /// How many more; negative to correct.
        more: Reached,
    },
}

/// A change to a member. An absent value clears the field. Days are written `24/11/2026` or `2026-11-24`.
#[derive(Clone, uniffi::Enum)]
pub enum MemberEdit {
    /// Moves the member to another team.
    Team {
        /// The team's id.
        team: Option<String>,
    },
    /// Sets the full name.
    FullName {
        /// The name.
        name: String,
    },
    /// Sets the year of birth.
    BirthYear {
        /// The year.
        year: Option<u16>,
    },
    /// Sets the gender.
    Gender {
        /// The gender.
        gender: Option<Gender>,
    },
    /// Sets the phone, as people write it.
    Phone {
        /// The number.
        phone: Option<String>,
    },
    /// Sets the part in the team.
    Role {
        /// The part.
        role: Role,
    },
    /// Adds or removes an organisation.
    Affiliation {
        /// Which.
        affiliation: Affiliation,
        /// False removes it.
        present: bool,
    },
    /// Sets membership of the youth union.
    UnionMember {
        /// Whether.
        is_member: Option<bool>,
    },
    /// Sets the day of joining the team.
    JoinedOn {
        /// The day.
        date: Option<String>,
    },
    /// Sets the day of leaving the team.
    LeftOn {
        /// The day.
        date: Option<String>,
    },
    /// Sets how far the member is in a course.
    Course {
        /// Which course.
        course: Course,
        /// How far.
        status: Option<CourseStatus>,
    },
    /// Sets whether the member follows the Zalo OA.
    ZaloOaFollowed {
        /// Whether.
        followed: Option<bool>,
    },
    /// Records consent, and takes back an earlier withdrawal.
    Consent {
        /// How it was given.
        method: ConsentMethod,
        /// When.
        date: String,
        /// Version of the text that was agreed to.
        text_version: String,
    },
    /// Records that consent was withdrawn.
    ConsentWithdrawn {
        /// When.
        date: Option<String>,
    },
}

/// A change to a commune's hamlet list or sign-off. Hamlets are named by their key, see `hamlet_key`.
#[derive(Debug, Clone, uniffi::Enum)]
pub enum CommuneEdit {
    /// Adds a hamlet, or corrects how its name is written.
    AddHamlet {
        /// Its name; the key follows from it.
        name: String,
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
        /// How many.
        households: Option<u32>,
    },
    /// Sets its status.
    HamletStatus {
        /// Which hamlet.
        key: String,
        /// Whether it exists.
        status: HamletStatus,
    },
    /// Adds or removes a link to the hamlet that this one went into.
    HamletSuccessor {
        /// The hamlet that was.
        key: String,
        /// The hamlet that is.
        successor: String,
        /// False removes the link.
        present: bool,
    },
    /// Signs off, or withdraws the sign-off; officers only.
    SignOff {
        /// The day for which the figures are confirmed.
        date: Option<String>,
        /// The office.
        by: Option<String>,
    },
}
