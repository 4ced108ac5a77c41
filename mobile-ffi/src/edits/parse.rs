//! From what an app says to edits that have passed every rule.

use toso_client::TeamDraft;
use toso_core::edit::{self, ActivityId, DocEdit, EditError};
use toso_core::id::DocId;
use toso_core::text::{
    Date, DocumentNumber, Label, Link, Note, PersonName, Phone, PlaceName, TextError, check_birth_year, hamlet_key,
};
use toso_core::unit::{Scope, UnitRef};

use super::{CommuneEdit, MemberEdit, NewTeam, TeamEdit};
use crate::error::TosoError;
use crate::records::Reached;

/// Reads an id.
pub(crate) fn doc_id(text: &str) -> Result<DocId, TosoError> {
    // The text is not quoted: whoever mixes up two fields may have passed a name.
    let detail = "this is not an id; pass one as the lists give it";
    text.parse().map_err(|_| TosoError::invalid("id", "edit.id", &detail))
}

/// Reads a unit, `2025/00004`.
pub(crate) fn unit(text: &str) -> Result<UnitRef, TosoError> {
    let detail = "this is not a unit; pass one as the lists give it, like 2025/00004";
    text.parse().map_err(|_| TosoError::invalid("unit", "edit.unit", &detail))
}

/// Reads the unit that records belong to.
pub(crate) fn scope(text: Option<&String>) -> Result<Option<Scope>, TosoError> {
    text.map(|text| unit(text)).transpose()
}

/// Reads a new team.
pub(crate) fn draft(team: NewTeam) -> Result<TeamDraft, TosoError> {
    Ok(TeamDraft {
        commune: scope(team.commune.as_ref())?,
        level: team.level.map(Into::into),
        hamlet: optional("hamlet", team.hamlet.as_deref(), PlaceName::parse)?,
        another: team.another,
        edits: team_edits(team.edits)?,
    })
}

/// Reads changes to a team.
pub(crate) fn team_edits(edits: Vec<TeamEdit>) -> Result<Vec<edit::TeamEdit>, TosoError> {
    edits.into_iter().map(team_edit).collect()
}

/// Reads changes to a member.
pub(crate) fn member_edits(edits: Vec<MemberEdit>) -> Result<Vec<edit::MemberEdit>, TosoError> {
    edits.into_iter().map(member_edit).collect()
}

/// Reads changes to a commune.
pub(crate) fn commune_edits(edits: Vec<CommuneEdit>) -> Result<Vec<DocEdit>, TosoError> {
    edits.into_iter().map(|edit| commune_edit(edit).map(DocEdit::Commune)).collect()
}

fn team_edit(edit: TeamEdit) -> Result<edit::TeamEdit, TosoError> {
    use edit::TeamEdit as E;
    Ok(match edit {
        TeamEdit::Level { level } => E::Level(level.into()),
        TeamEdit::Hamlet { name } => E::Hamlet(optional("hamlet", name.as_deref(), PlaceName::parse)?),
        TeamEdit::HamletKind { kind } => E::HamletKind(kind.map(Into::into)),
        TeamEdit::LocalName { name } => E::LocalName(optional("local_name", name.as_deref(), PlaceName::parse)?),
        TeamEdit::DecisionNumber { number } => {
            E::DecisionNumber(optional("decision_number", number.as_deref(), DocumentNumber::parse)?)
        }
        TeamEdit::DecisionDate { date } => E::DecisionDate(optional("decision_date", date.as_deref(), Date::parse)?),
        TeamEdit::DecisionBody { body } => E::DecisionBody(optional("decision_body", body.as_deref(), Label::parse)?),
        TeamEdit::EstablishedOn { date } => E::EstablishedOn(optional("established_on", date.as_deref(), Date::parse)?),
        TeamEdit::Status { status } => E::Status(status.into()),
        TeamEdit::ZaloLink { link } => E::ZaloLink(optional("zalo_link", link.as_deref(), Link::parse)?),
        TeamEdit::HouseholdsCovered { households } => E::HouseholdsCovered(households),
        TeamEdit::Note { text } => E::Note(optional("note", text.as_deref(), Note::parse)?),
        TeamEdit::AddActivity { id, date, kind, skills, reached } => E::AddActivity {
            id: activity(&id)?,
            date: checked("activities/date", &date, Date::parse)?,
            kind: kind.into(),
            skills: skills.into_iter().map(Into::into).collect(),
            reached: reached.into(),
        },
        TeamEdit::ActivityDate { id, date } => {
            E::ActivityDate { id: activity(&id)?, date: checked("activities/date", &date, Date::parse)? }
        }
        TeamEdit::ActivityKind { id, kind } => E::ActivityKind { id: activity(&id)?, kind: kind.into() },
        TeamEdit::ActivitySkill { id, skill, present } => {
            E::ActivitySkill { id: activity(&id)?, skill: skill.into(), present }
        }
        TeamEdit::AddReached { id, more } => E::AddReached { id: activity(&id)?, more: more.into() },
    })
}

fn member_edit(edit: MemberEdit) -> Result<edit::MemberEdit, TosoError> {
    use edit::MemberEdit as E;
    Ok(match edit {
        MemberEdit::Team { team } => E::Team(team.as_deref().map(doc_id).transpose()?),
        MemberEdit::FullName { name } => E::FullName(checked("full_name", &name, PersonName::parse)?),
        MemberEdit::BirthYear { year } => {
            E::BirthYear(year.map(check_birth_year).transpose().map_err(|error| value("birth_year", error))?)
        }
        MemberEdit::Gender { gender } => E::Gender(gender.map(Into::into)),
        MemberEdit::Phone { phone } => E::Phone(optional("phone", phone.as_deref(), Phone::parse)?),
        MemberEdit::Role { role } => E::Role(role.into()),
        MemberEdit::Affiliation { affiliation, present } => E::Affiliation { affiliation: affiliation.into(), present },
        MemberEdit::UnionMember { is_member } => E::UnionMember(is_member),
        MemberEdit::JoinedOn { date } => E::JoinedOn(optional("joined_on", date.as_deref(), Date::parse)?),
        MemberEdit::LeftOn { date } => E::LeftOn(optional("left_on", date.as_deref(), Date::parse)?),
        MemberEdit::Course { course, status } => E::Course { course: course.into(), status: status.map(Into::into) },
        MemberEdit::ZaloOaFollowed { followed } => E::ZaloOaFollowed(followed),
        MemberEdit::Consent { method, date, text_version } => E::Consent {
            method: method.into(),
            date: checked("consent/date", &date, Date::parse)?,
            text_version: checked("consent/text_version", &text_version, Label::parse)?,
        },
        MemberEdit::ConsentWithdrawn { date } => {
            E::ConsentWithdrawn(optional("consent/withdrawn_on", date.as_deref(), Date::parse)?)
        }
    })
}

fn commune_edit(edit: CommuneEdit) -> Result<edit::CommuneEdit, TosoError> {
    use edit::CommuneEdit as E;
    Ok(match edit {
        CommuneEdit::AddHamlet { name } => {
            let name = checked("hamlets/name", &name, PlaceName::parse)?;
            E::HamletName { key: hamlet_key(name.as_str()), name }
        }
        CommuneEdit::HamletKind { key, kind } => E::HamletKind { key, kind: kind.map(Into::into) },
        CommuneEdit::HamletHouseholds { key, households } => E::HamletHouseholds { key, households },
        CommuneEdit::HamletStatus { key, status } => E::HamletStatus { key, status: status.into() },
        CommuneEdit::HamletSuccessor { key, successor, present } => E::HamletSuccessor { key, successor, present },
        CommuneEdit::SignOff { date, by } => E::SignOff {
            date: optional("signed_off_on", date.as_deref(), Date::parse)?,
            by: optional("signed_off_by", by.as_deref(), Label::parse)?,
        },
    })
}

fn activity(id: &str) -> Result<ActivityId, TosoError> {
    let detail = "this is not an activity's id; a new one comes from new_activity_id";
    id.parse().map_err(|_| TosoError::invalid("activities", "edit.id", &detail))
}

fn checked<T>(field: &str, text: &str, parse: impl Fn(&str) -> Result<T, TextError>) -> Result<T, TosoError> {
    parse(text).map_err(|error| value(field, error))
}

fn optional<T>(
    field: &str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, TextError>,
) -> Result<Option<T>, TosoError> {
    text.map(|text| checked(field, text, parse)).transpose()
}

fn value(field: &str, error: TextError) -> TosoError {
    EditError::Value { field: field.to_owned(), error }.into()
}

impl From<Reached> for edit::Reached {
    fn from(reached: Reached) -> Self {
        Self { total: reached.total, women: reached.women, over_60: reached.over_60, minority: reached.minority }
    }
}
