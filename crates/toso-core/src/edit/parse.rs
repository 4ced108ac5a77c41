//! Reads an edit as a person types it.

use data_encoding::HEXLOWER;

use super::fields::{ActivityField, HamletPath, activity_path, fields, hamlet_path, kind_name};
use super::{ActivityId, CommuneEdit, DocEdit, EditError, HOUSEHOLDS_MAX, MemberEdit, REACHED_MAX, Reached, TeamEdit};
use crate::id::{DocId, DocKind};
use crate::record::{
    ActivityKind, Affiliation, ConsentMethod, Course, CourseStatus, Gender, HamletKind, HamletStatus, Role, TeamLevel,
    TeamStatus,
};
use crate::text::{
    Date, DocumentNumber, Label, Link, Note, PLACE_NAME_BYTES_MAX, PersonName, Phone, PlaceName, TextError, canonical,
    hamlet_key, parse_birth_year,
};

/// The longest field path quoted in an error, in characters.
const FIELD_SHOWN_MAX: usize = 80;

pub(super) fn parse(kind: DocKind, field: &str, text: &str) -> Result<DocEdit, EditError> {
    let input = Input { field: field.trim(), text };
    let edit = match kind {
        DocKind::Commune => commune(&input)?.map(DocEdit::Commune),
        DocKind::Team => team(&input)?.map(DocEdit::Team),
        DocKind::Member => member(&input)?.map(DocEdit::Member),
    };
    edit.ok_or_else(|| EditError::UnknownField {
        kind: kind_name(kind),
        field: input.field(),
        known: fields(kind).join(", "),
    })
}

fn commune(input: &Input<'_>) -> Result<Option<CommuneEdit>, EditError> {
    let Some(path) = input.field.strip_prefix("hamlets/") else {
        return Ok(Some(match input.field {
            "signed_off_on" => CommuneEdit::SignedOffOn(input.text(Date::parse)?),
            "signed_off_by" => CommuneEdit::SignedOffBy(input.text(Label::parse)?),
            _ => return Ok(None),
        }));
    };
    Ok(Some(match hamlet_path(path) {
        Some(HamletPath::Successor(name, other)) => CommuneEdit::HamletSuccessor {
            key: input.key(name)?,
            successor: input.key(other)?,
            present: input.required(input.yes_no()?)?,
        },
        Some(HamletPath::Field(name, field)) => {
            let key = input.key(name)?;
            match field {
                "name" => CommuneEdit::HamletName { key, name: input.required(input.text(PlaceName::parse)?)? },
                "kind" => CommuneEdit::HamletKind { key, kind: input.word(HamletKind::ALL, HamletKind::word)? },
                "households" => CommuneEdit::HamletHouseholds { key, households: input.households()? },
                "status" => CommuneEdit::HamletStatus {
                    key,
                    status: input.required(input.word(HamletStatus::ALL, HamletStatus::word)?)?,
                },
                _ => return Ok(None),
            }
        }
        None => return Ok(None),
    }))
}

fn team(input: &Input<'_>) -> Result<Option<TeamEdit>, EditError> {
    if let Some(path) = input.field.strip_prefix("activities/") {
        return activity(input, path);
    }
    Ok(Some(match input.field {
        "level" => TeamEdit::Level(input.required(input.word(TeamLevel::ALL, TeamLevel::word)?)?),
        "hamlet" => TeamEdit::Hamlet(input.text(PlaceName::parse)?),
        "hamlet_kind" => TeamEdit::HamletKind(input.word(HamletKind::ALL, HamletKind::word)?),
        "local_name" => TeamEdit::LocalName(input.text(PlaceName::parse)?),
        "decision_number" => TeamEdit::DecisionNumber(input.text(DocumentNumber::parse)?),
        "decision_date" => TeamEdit::DecisionDate(input.text(Date::parse)?),
        "decision_body" => TeamEdit::DecisionBody(input.text(Label::parse)?),
        "established_on" => TeamEdit::EstablishedOn(input.text(Date::parse)?),
        "status" => TeamEdit::Status(input.required(input.word(TeamStatus::ALL, TeamStatus::word)?)?),
        "merged_into" => TeamEdit::MergedInto(input.id(DocKind::Team)?),
        "zalo_link" => TeamEdit::ZaloLink(input.text(Link::parse)?),
        "households_covered" => TeamEdit::HouseholdsCovered(input.households()?),
        "note" => TeamEdit::Note(input.text(Note::parse)?),
        _ => return Ok(None),
    }))
}

fn activity(input: &Input<'_>, path: &str) -> Result<Option<TeamEdit>, EditError> {
    let Some((id, field)) = activity_path(path) else { return Ok(None) };
    let Some(id) = HEXLOWER.decode(id.as_bytes()).ok().and_then(|id| id.try_into().ok()).map(ActivityId) else {
        return Ok(None);
    };
    Ok(Some(match field {
        ActivityField::Date => TeamEdit::ActivityDate { id, date: input.required(input.text(Date::parse)?)? },
        ActivityField::Kind => {
            let kind = input.required(input.word(ActivityKind::ALL, ActivityKind::word)?)?;
            TeamEdit::ActivityKind { id, kind }
        }
        ActivityField::Skill(skill) => TeamEdit::ActivitySkill { id, skill, present: input.required(input.yes_no()?)? },
        ActivityField::Reached(index) => {
            let more = input.more()?;
            let of = |at| if at == index { more } else { 0 };
            let more = Reached { total: of(0), women: of(1), over_60: of(2), minority: of(3) };
            TeamEdit::AddReached { id, more }
        }
    }))
}

fn member(input: &Input<'_>) -> Result<Option<MemberEdit>, EditError> {
    if let Some(word) = input.field.strip_prefix("affiliations/") {
        let Some(affiliation) = Affiliation::from_word(word) else {
            return Err(choice("affiliations/…".to_owned(), Affiliation::ALL.iter().map(|a| a.word())));
        };
        return Ok(Some(MemberEdit::Affiliation { affiliation, present: input.yes_no()?.unwrap_or(false) }));
    }
    if let Some(word) = input.field.strip_prefix("courses/") {
        let Some(course) = Course::from_word(word) else {
            return Err(choice("courses/…".to_owned(), Course::ALL.iter().map(|course| course.word())));
        };
        return Ok(Some(MemberEdit::Course { course, status: input.word(CourseStatus::ALL, CourseStatus::word)? }));
    }
    Ok(Some(match input.field {
        "team" => MemberEdit::Team(input.id(DocKind::Team)?),
        "full_name" => MemberEdit::FullName(input.required(input.text(PersonName::parse)?)?),
        "birth_year" => MemberEdit::BirthYear(input.text(parse_birth_year)?),
        "gender" => MemberEdit::Gender(input.word(Gender::ALL, Gender::word)?),
        "phone" => MemberEdit::Phone(input.text(Phone::parse)?),
        "role" => MemberEdit::Role(input.required(input.word(Role::ALL, Role::word)?)?),
        "union_member" => MemberEdit::UnionMember(input.yes_no()?),
        "joined_on" => MemberEdit::JoinedOn(input.text(Date::parse)?),
        "left_on" => MemberEdit::LeftOn(input.text(Date::parse)?),
        "zalo_oa_followed" => MemberEdit::ZaloOaFollowed(input.yes_no()?),
        "consent/method" => {
            MemberEdit::ConsentMethod(input.required(input.word(ConsentMethod::ALL, ConsentMethod::word)?)?)
        }
        "consent/date" => MemberEdit::ConsentDate(input.required(input.text(Date::parse)?)?),
        "consent/text_version" => MemberEdit::ConsentTextVersion(input.required(input.text(Label::parse)?)?),
        "consent/withdrawn_on" => MemberEdit::ConsentWithdrawn(input.text(Date::parse)?),
        "merged_into" => MemberEdit::MergedInto(input.id(DocKind::Member)?),
        _ => return Ok(None),
    }))
}

/// A field's path and the text typed for it. Every reader gives `None` for an empty text, which clears.
struct Input<'a> {
    field: &'a str,
    text: &'a str,
}

impl Input<'_> {
    fn field(&self) -> String {
        self.field.chars().take(FIELD_SHOWN_MAX).collect()
    }

    fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    fn required<T>(&self, value: Option<T>) -> Result<T, EditError> {
        value.ok_or_else(|| EditError::Required { field: self.field() })
    }

    fn text<T>(&self, parse: impl FnOnce(&str) -> Result<T, TextError>) -> Result<Option<T>, EditError> {
        if self.is_empty() {
            return Ok(None);
        }
        parse(self.text).map(Some).map_err(|error| EditError::Value { field: self.field(), error })
    }

    /// A key is the key of itself, so both a name and a key are understood. A key that is spelled as no name is today stays
    /// what it is: older builds have stored such hamlets.
    fn key(&self, name: &str) -> Result<String, EditError> {
        if !name.is_empty() && name.len() <= PLACE_NAME_BYTES_MAX && hamlet_key(name) == name {
            return Ok(name.to_owned());
        }
        let name = PlaceName::parse(name).map_err(|error| EditError::Value { field: self.field(), error })?;
        Ok(hamlet_key(name.as_str()))
    }

    fn word<T: Copy>(&self, all: &[T], word: impl Fn(T) -> &'static str) -> Result<Option<T>, EditError> {
        if self.is_empty() {
            return Ok(None);
        }
        let typed = canonical(self.text).to_lowercase();
        let found = all.iter().copied().find(|value| word(*value) == typed);
        found.map(Some).ok_or_else(|| choice(self.field(), all.iter().map(|value| word(*value))))
    }

    fn yes_no(&self) -> Result<Option<bool>, EditError> {
        match canonical(self.text).to_lowercase().as_str() {
            "" => Ok(None),
            "yes" | "true" | "có" => Ok(Some(true)),
            "no" | "false" | "không" => Ok(Some(false)),
            _ => Err(choice(self.field(), ["yes", "no", "có", "không"].into_iter())),
        }
    }

    fn households(&self) -> Result<Option<u32>, EditError> {
        if self.is_empty() {
            return Ok(None);
        }
        let number = self.text.trim().parse::<u32>().ok().filter(|number| *number <= HOUSEHOLDS_MAX);
        let error = || EditError::Number { field: self.field(), min: 0, max: i64::from(HOUSEHOLDS_MAX) };
        number.map(Some).ok_or_else(error)
    }

    fn more(&self) -> Result<i64, EditError> {
        let text = self.text.trim();
        if !text.starts_with(['+', '-']) {
            return Err(EditError::CounterIsAddedTo { field: self.field() });
        }
        let number = text.parse().ok().filter(|number| (-REACHED_MAX..=REACHED_MAX).contains(number));
        number.ok_or_else(|| EditError::Number { field: self.field(), min: -REACHED_MAX, max: REACHED_MAX })
    }

    fn id(&self, kind: DocKind) -> Result<Option<DocId>, EditError> {
        if self.is_empty() {
            return Ok(None);
        }
        let id = self.text.trim().parse::<DocId>().ok().filter(|id| id.kind() == Some(kind));
        id.map(Some).ok_or_else(|| EditError::Id { field: self.field(), kind: kind_name(kind) })
    }
}

fn choice(field: String, words: impl Iterator<Item = &'static str>) -> EditError {
    EditError::Choice { field, expected: words.collect::<Vec<_>>().join(", ") }
}
