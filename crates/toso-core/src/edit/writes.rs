//! What an edit writes into a document.

use std::borrow::Cow;

use automerge::ScalarValue;

use super::fields::REACHED;
use super::{ActivityId, CommuneEdit, DocEdit, MemberEdit, Reached, TeamEdit};
use crate::id::DocId;

/// One key of one map, and what happens to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Write {
    /// The map that genesis made; `None` for the root.
    pub(crate) map: Option<&'static str>,
    /// The key in it.
    pub(crate) key: Cow<'static, str>,
    /// What to write.
    pub(crate) value: Value,
}

/// What happens to a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Replaces. A cleared field is written as null, so that clearing and correcting apart shows as a conflict.
    Set(ScalarValue),
    /// Adds to a counter that must exist.
    Add(i64),
}

impl Reached {
    /// The counts in the order of [`REACHED`].
    pub(crate) fn counts(self) -> [i64; REACHED.len()] {
        [self.total, self.women, self.over_60, self.minority]
    }
}

impl DocEdit {
    /// Everything the edit writes.
    pub(crate) fn writes(&self) -> Vec<Write> {
        match self {
            Self::Commune(edit) => commune(edit),
            Self::Team(edit) => team(edit),
            Self::Member(edit) => member(edit),
        }
    }
}

fn commune(edit: &CommuneEdit) -> Vec<Write> {
    let hamlet = |key: &str, field: &str, value| vec![set(Some("hamlets"), format!("{key}/{field}"), value)];
    match edit {
        CommuneEdit::HamletName { key, name } => hamlet(key, "name", text(name.as_str())),
        CommuneEdit::HamletKind { key, kind } => hamlet(key, "kind", option(*kind, |kind| text(kind.word()))),
        CommuneEdit::HamletHouseholds { key, households } => hamlet(key, "households", option(*households, int)),
        CommuneEdit::HamletStatus { key, status } => hamlet(key, "status", text(status.word())),
        CommuneEdit::HamletSuccessor { key, successor, present } => {
            hamlet(key, &format!("successors/{successor}"), (*present).into())
        }
        CommuneEdit::SignOff { date, by } => vec![
            set(None, "signed_off_on", option(date.as_ref(), |date| text(date.as_str()))),
            set(None, "signed_off_by", option(by.as_ref(), |by| text(by.as_str()))),
        ],
        CommuneEdit::SignedOffOn(date) => {
            vec![set(None, "signed_off_on", option(date.as_ref(), |date| text(date.as_str())))]
        }
        CommuneEdit::SignedOffBy(by) => vec![set(None, "signed_off_by", option(by.as_ref(), |by| text(by.as_str())))],
    }
}

fn team(edit: &TeamEdit) -> Vec<Write> {
    let (key, value) = match edit {
        TeamEdit::Level(level) => ("level", text(level.word())),
        TeamEdit::Hamlet(name) => ("hamlet", option(name.as_ref(), |name| text(name.as_str()))),
        TeamEdit::HamletKind(kind) => ("hamlet_kind", option(*kind, |kind| text(kind.word()))),
        TeamEdit::LocalName(name) => ("local_name", option(name.as_ref(), |name| text(name.as_str()))),
        TeamEdit::DecisionNumber(number) => ("decision_number", option(number.as_ref(), |n| text(n.as_str()))),
        TeamEdit::DecisionDate(date) => ("decision_date", option(date.as_ref(), |date| text(date.as_str()))),
        TeamEdit::DecisionBody(body) => ("decision_body", option(body.as_ref(), |body| text(body.as_str()))),
        TeamEdit::EstablishedOn(date) => ("established_on", option(date.as_ref(), |date| text(date.as_str()))),
        TeamEdit::Status(status) => ("status", text(status.word())),
        TeamEdit::MergedInto(id) => ("merged_into", option(*id, doc)),
        TeamEdit::ZaloLink(link) => ("zalo_link", option(link.as_ref(), |link| text(link.as_str()))),
        TeamEdit::HouseholdsCovered(households) => ("households_covered", option(*households, int)),
        TeamEdit::Note(note) => ("note", option(note.as_ref(), |note| text(note.as_str()))),
        TeamEdit::AddActivity { id, date, kind, skills, reached } => {
            let mut writes = vec![
                activity(*id, "date", Value::Set(text(date.as_str()))),
                activity(*id, "kind", Value::Set(text(kind.word()))),
            ];
            writes.extend(skills.iter().map(|s| activity(*id, &format!("skills/{s}"), Value::Set(true.into()))));
            let counters = REACHED.iter().zip(reached.counts());
            writes.extend(counters.map(|(name, n)| activity(*id, name, Value::Set(ScalarValue::counter(n)))));
            return writes;
        }
        TeamEdit::ActivityDate { id, date } => return vec![activity(*id, "date", Value::Set(text(date.as_str())))],
        TeamEdit::ActivityKind { id, kind } => return vec![activity(*id, "kind", Value::Set(text(kind.word())))],
        TeamEdit::ActivitySkill { id, skill, present } => {
            return vec![activity(*id, &format!("skills/{skill}"), Value::Set((*present).into()))];
        }
        TeamEdit::AddReached { id, more } => {
            let counters = REACHED.iter().zip(more.counts()).filter(|(_, n)| *n != 0);
            return counters.map(|(name, n)| activity(*id, name, Value::Add(n))).collect();
        }
    };
    vec![set(None, key, value)]
}

fn member(edit: &MemberEdit) -> Vec<Write> {
    let consent = |key, value| set(Some("consent"), key, value);
    vec![match edit {
        MemberEdit::Team(id) => set(None, "team", option(*id, doc)),
        MemberEdit::FullName(name) => set(None, "full_name", text(name.as_str())),
        MemberEdit::BirthYear(year) => set(None, "birth_year", option(*year, |year| int(u32::from(year)))),
        MemberEdit::Gender(gender) => set(None, "gender", option(*gender, |gender| text(gender.word()))),
        MemberEdit::Phone(phone) => set(None, "phone", option(phone.as_ref(), |phone| text(phone.as_str()))),
        MemberEdit::Role(role) => set(None, "role", text(role.word())),
        MemberEdit::Affiliation { affiliation, present } => {
            set(Some("affiliations"), affiliation.word(), (*present).into())
        }
        MemberEdit::UnionMember(yes) => set(None, "union_member", option(*yes, ScalarValue::from)),
        MemberEdit::JoinedOn(date) => set(None, "joined_on", option(date.as_ref(), |date| text(date.as_str()))),
        MemberEdit::LeftOn(date) => set(None, "left_on", option(date.as_ref(), |date| text(date.as_str()))),
        MemberEdit::Course { course, status } => {
            set(Some("courses"), course.word(), option(*status, |status| text(status.word())))
        }
        MemberEdit::ZaloOaFollowed(yes) => set(None, "zalo_oa_followed", option(*yes, ScalarValue::from)),
        MemberEdit::Consent { method, date, text_version } => {
            return vec![
                consent("method", text(method.word())),
                consent("date", text(date.as_str())),
                consent("text_version", text(text_version.as_str())),
                consent("withdrawn_on", ScalarValue::Null),
            ];
        }
        MemberEdit::ConsentMethod(method) => consent("method", text(method.word())),
        MemberEdit::ConsentDate(date) => consent("date", text(date.as_str())),
        MemberEdit::ConsentTextVersion(version) => consent("text_version", text(version.as_str())),
        MemberEdit::ConsentWithdrawn(date) => {
            consent("withdrawn_on", option(date.as_ref(), |date| text(date.as_str())))
        }
        MemberEdit::MergedInto(id) => set(None, "merged_into", option(*id, doc)),
    }]
}

fn set(map: Option<&'static str>, key: impl Into<Cow<'static, str>>, value: ScalarValue) -> Write {
    Write { map, key: key.into(), value: Value::Set(value) }
}

fn activity(id: ActivityId, field: &str, value: Value) -> Write {
    Write { map: Some("activities"), key: format!("{id}/{field}").into(), value }
}

fn option<T>(value: Option<T>, scalar: impl FnOnce(T) -> ScalarValue) -> ScalarValue {
    value.map_or(ScalarValue::Null, scalar)
}

fn text(text: &str) -> ScalarValue {
    text.into()
}

fn int(number: u32) -> ScalarValue {
    ScalarValue::Int(i64::from(number))
}

/// Ids are kept as their 16 bytes; their text has 25.
fn doc(id: DocId) -> ScalarValue {
    ScalarValue::Bytes(id.as_bytes().to_vec())
}
