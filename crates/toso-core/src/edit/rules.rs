//! Rules that the types of an edit do not state.

use super::fields::{NEWER_KIND, REACHED, kind_name};
use super::{ActivityId, CommuneEdit, DocEdit, EditError, MemberEdit, Reached, TeamEdit};
use crate::id::{DocId, DocKind};
use crate::text::{TextError, check_birth_year, hamlet_key, place_key};

/// The most households of a hamlet or covered by a team: the largest wards of 2025 have about 60,000; with room to grow.
pub const HOUSEHOLDS_MAX: u32 = 200_000;
/// The most people that one save may add to an activity's counters: more than the largest commune has, less than a
/// typing error of a few digits makes.
pub const REACHED_MAX: i64 = 500_000;

impl DocEdit {
    /// Checks what the types do not: kinds, ranges, and that nothing goes into itself.
    pub(crate) fn check(&self, document: DocId) -> Result<(), EditError> {
        if Some(self.kind()) != document.kind() {
            let (edit, kind) = (kind_name(self.kind()), document.kind().map_or(NEWER_KIND, kind_name));
            return Err(EditError::WrongKind { edit, kind, document });
        }
        match self {
            Self::Commune(edit) => commune(edit),
            Self::Team(edit) => team(edit, document),
            Self::Member(edit) => member(edit, document),
        }
    }
}

fn commune(edit: &CommuneEdit) -> Result<(), EditError> {
    match edit {
        CommuneEdit::HamletName { key, name } => {
            let field = format!("hamlets/{key}/name");
            // Older builds have keys of names that are stored with another dash today.
            let is_its_name = hamlet_key(name.as_str()) == *key
                || hamlet_key(key) == *key && place_key(key) == place_key(name.as_str());
            if is_its_name { Ok(()) } else { Err(EditError::OtherHamlet { field }) }
        }
        CommuneEdit::HamletHouseholds { key, households } => {
            is_key(key)?;
            households_within(&format!("hamlets/{key}/households"), *households)
        }
        CommuneEdit::HamletSuccessor { key, successor, present } => {
            is_key(key)?;
            is_key(successor)?;
            if *present && key == successor {
                return Err(EditError::IntoItself { field: format!("hamlets/{key}/successors") });
            }
            Ok(())
        }
        CommuneEdit::HamletKind { key, .. } | CommuneEdit::HamletStatus { key, .. } => is_key(key),
        CommuneEdit::SignOff { .. } | CommuneEdit::SignedOffOn(_) | CommuneEdit::SignedOffBy(_) => Ok(()),
    }
}

/// A key is what [`hamlet_key`] makes, and so the key of itself.
fn is_key(key: &str) -> Result<(), EditError> {
    if !key.is_empty() && hamlet_key(key) == key {
        Ok(())
    } else {
        Err(EditError::OtherHamlet { field: "hamlets".to_owned() })
    }
}

fn team(edit: &TeamEdit, document: DocId) -> Result<(), EditError> {
    match edit {
        TeamEdit::MergedInto(Some(into)) => merge(*into, document),
        TeamEdit::HouseholdsCovered(households) => households_within("households_covered", *households),
        TeamEdit::AddActivity { id, reached, .. } => {
            within_reach(*id, *reached, 0)?;
            let [whole, parts @ ..] = reached.counts();
            match parts.iter().zip(REACHED.iter().skip(1)).find(|(part, _)| **part > whole) {
                Some((_, field)) => Err(EditError::PartLargerThanWhole { field: format!("activities/{id}/{field}") }),
                None => Ok(()),
            }
        }
        TeamEdit::AddReached { id, more } => within_reach(*id, *more, -REACHED_MAX),
        TeamEdit::Level(_)
        | TeamEdit::Hamlet(_)
        | TeamEdit::HamletKind(_)
        | TeamEdit::LocalName(_)
        | TeamEdit::DecisionNumber(_)
        | TeamEdit::DecisionDate(_)
        | TeamEdit::DecisionBody(_)
        | TeamEdit::EstablishedOn(_)
        | TeamEdit::Status(_)
        | TeamEdit::MergedInto(None)
        | TeamEdit::ZaloLink(_)
        | TeamEdit::Note(_)
        | TeamEdit::ActivityDate { .. }
        | TeamEdit::ActivityKind { .. }
        | TeamEdit::ActivitySkill { .. } => Ok(()),
    }
}

fn member(edit: &MemberEdit, document: DocId) -> Result<(), EditError> {
    match edit {
        MemberEdit::MergedInto(Some(into)) => merge(*into, document),
        MemberEdit::Team(Some(team)) if team.kind() != Some(DocKind::Team) => {
            Err(EditError::Id { field: "team".to_owned(), kind: kind_name(DocKind::Team) })
        }
        MemberEdit::BirthYear(Some(year)) => check_birth_year(*year)
            .map(|_| ())
            .map_err(|error: TextError| EditError::Value { field: "birth_year".to_owned(), error }),
        MemberEdit::Team(_)
        | MemberEdit::FullName(_)
        | MemberEdit::BirthYear(None)
        | MemberEdit::Gender(_)
        | MemberEdit::Phone(_)
        | MemberEdit::Role(_)
        | MemberEdit::Affiliation { .. }
        | MemberEdit::UnionMember(_)
        | MemberEdit::JoinedOn(_)
        | MemberEdit::LeftOn(_)
        | MemberEdit::Course { .. }
        | MemberEdit::ZaloOaFollowed(_)
        | MemberEdit::Consent { .. }
        | MemberEdit::ConsentMethod(_)
        | MemberEdit::ConsentDate(_)
        | MemberEdit::ConsentTextVersion(_)
        | MemberEdit::ConsentWithdrawn(_)
        | MemberEdit::MergedInto(None) => Ok(()),
    }
}

fn merge(into: DocId, document: DocId) -> Result<(), EditError> {
    let field = "merged_into".to_owned();
    if into == document {
        return Err(EditError::IntoItself { field });
    }
    if into.kind() != document.kind() {
        return Err(EditError::Id { field, kind: document.kind().map_or(NEWER_KIND, kind_name) });
    }
    Ok(())
}

fn households_within(field: &str, households: Option<u32>) -> Result<(), EditError> {
    if households.is_some_and(|households| households > HOUSEHOLDS_MAX) {
        return Err(EditError::Number { field: field.to_owned(), min: 0, max: i64::from(HOUSEHOLDS_MAX) });
    }
    Ok(())
}

fn within_reach(id: ActivityId, reached: Reached, min: i64) -> Result<(), EditError> {
    match REACHED.iter().zip(reached.counts()).find(|(_, count)| !(min..=REACHED_MAX).contains(count)) {
        Some((field, _)) => Err(EditError::Number { field: format!("activities/{id}/{field}"), min, max: REACHED_MAX }),
        None => Ok(()),
    }
}
