//! From what an app says to edits that have passed every rule.

use toso_core::edit::{self, DocEdit};
use toso_core::text::PlaceName;
use toso_core::unit::Scope;
use toso_replica::TeamDraft;

use super::NewTeam;
use crate::error::TosoError;
use crate::ids::unit;
use crate::kinds::{CommuneEdit, FromApp, MemberEdit, TeamEdit};

/// Reads the unit that records belong to.
pub(crate) fn scope(text: Option<&String>) -> Result<Option<Scope>, TosoError> {
    text.map(|text| unit(text)).transpose()
}

/// Reads a new team.
pub(crate) fn draft(team: NewTeam) -> Result<TeamDraft, TosoError> {
    Ok(TeamDraft {
        commune: scope(team.commune.as_ref())?,
        level: team.level,
        hamlet: Option::<PlaceName>::from_app(team.hamlet, "hamlet")?,
        another: team.another,
        edits: team_edits(team.edits)?,
    })
}

/// Reads changes to a team.
pub(crate) fn team_edits(edits: Vec<TeamEdit>) -> Result<Vec<edit::TeamEdit>, TosoError> {
    edits.into_iter().map(TeamEdit::read).collect()
}

/// Reads changes to a member.
pub(crate) fn member_edits(edits: Vec<MemberEdit>) -> Result<Vec<edit::MemberEdit>, TosoError> {
    edits.into_iter().map(MemberEdit::read).collect()
}

/// Reads changes to a commune.
pub(crate) fn commune_edits(edits: Vec<CommuneEdit>) -> Result<Vec<DocEdit>, TosoError> {
    edits.into_iter().map(|edit| edit.read().map(DocEdit::Commune)).collect()
}
