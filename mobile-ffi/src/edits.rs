//! What a person can change, as an app says it. A value is checked when the call is made, by the rules of the register; what
//! breaks one is refused as [`TosoError::Invalid`] with the field's name, and nothing is changed.

mod parse;

use crate::kinds::{MemberEdit, TeamEdit};
use crate::words::TeamLevel;

pub(crate) use parse::{commune_edits, draft, member_edits, scope, team_edits};

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
