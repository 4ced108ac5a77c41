//! The fields of each kind, as people name them.

use crate::id::DocKind;
use crate::record::{Affiliation, Course, Skill};

/// What a document is called whose kind only a newer version knows.
pub(super) const NEWER_KIND: &str = "record of a newer version";

/// How a kind is called in messages.
pub(crate) fn kind_name(kind: DocKind) -> &'static str {
    match kind {
        DocKind::Commune => "commune",
        DocKind::Team => "team",
        DocKind::Member => "member",
    }
}

pub(super) fn fields(kind: DocKind) -> &'static [&'static str] {
    match kind {
        DocKind::Commune => &[
            "signed_off_on",
            "signed_off_by",
            "hamlets/NAME/name",
            "hamlets/NAME/kind",
            "hamlets/NAME/households",
            "hamlets/NAME/status",
            "hamlets/NAME/successors/OTHER",
        ],
        DocKind::Team => &[
            "level",
            "hamlet",
            "hamlet_kind",
            "local_name",
            "decision_number",
            "decision_date",
            "decision_body",
            "established_on",
            "status",
            "merged_into",
            "zalo_link",
            "households_covered",
            "note",
            "activities/ID/date",
            "activities/ID/kind",
            "activities/ID/skills/SKILL",
            "activities/ID/reached",
            "activities/ID/reached_women",
            "activities/ID/reached_over_60",
            "activities/ID/reached_minority",
        ],
        DocKind::Member => &[
            "team",
            "full_name",
            "birth_year",
            "gender",
            "phone",
            "role",
            "affiliations/ORGANISATION",
            "union_member",
            "joined_on",
            "left_on",
            "courses/COURSE",
            "zalo_oa_followed",
            "consent/method",
            "consent/date",
            "consent/text_version",
            "consent/withdrawn_on",
            "merged_into",
        ],
    }
}

/// A field of an entry in the `hamlets` map.
pub(crate) enum HamletPath<'a> {
    /// Key and field.
    Field(&'a str, &'a str),
    /// Key and the key of its successor.
    Successor(&'a str, &'a str),
}

/// Splits `KEY/households` or `KEY/successors/OTHER`. A hamlet's own name may hold a slash ("Khu phố 3/2"), so the
/// field is what follows the last one.
pub(crate) fn hamlet_path(path: &str) -> Option<HamletPath<'_>> {
    if let Some((key, other)) = path.split_once("/successors/") {
        return (!key.is_empty() && !other.is_empty()).then_some(HamletPath::Successor(key, other));
    }
    let (key, field) = path.rsplit_once('/')?;
    (!key.is_empty() && matches!(field, "name" | "kind" | "households" | "status"))
        .then_some(HamletPath::Field(key, field))
}

/// A field of an entry in the `activities` map.
pub(crate) enum ActivityField {
    /// The day.
    Date,
    /// What it was.
    Kind,
    /// Whether it covered a skill.
    Skill(Skill),
    /// One of [`REACHED`], by its index.
    Reached(usize),
}

/// The counters of an activity, in the order of [`super::Reached`].
pub(crate) const REACHED: [&str; 4] = ["reached", "reached_women", "reached_over_60", "reached_minority"];

/// Splits `ID/kind` into the id's text and the field.
pub(crate) fn activity_path(path: &str) -> Option<(&str, ActivityField)> {
    let (id, field) = path.split_once('/')?;
    if id.len() != 16 || !id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let field = match field.split_once('/') {
        Some(("skills", skill)) => ActivityField::Skill(Skill::from_word(skill)?),
        Some(_) => return None,
        None if field == "date" => ActivityField::Date,
        None if field == "kind" => ActivityField::Kind,
        None => ActivityField::Reached(REACHED.iter().position(|name| *name == field)?),
    };
    Some((id, field))
}

/// True when a key of a map (`None`: the root) is a field that this version knows.
pub(crate) fn is_field(kind: DocKind, map: Option<&str>, key: &str) -> bool {
    match map {
        None => fields(kind).contains(&key),
        Some("hamlets") => hamlet_path(key).is_some(),
        Some("activities") => activity_path(key).is_some(),
        Some("affiliations") => Affiliation::from_word(key).is_some(),
        Some("courses") => Course::from_word(key).is_some(),
        Some("consent") => matches!(key, "method" | "date" | "text_version" | "withdrawn_on"),
        Some(_) => false,
    }
}
