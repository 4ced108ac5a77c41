//! The types of values that a field can have. Each type states once how its values are typed, limited, stored, read and
//! compared, and what they are to those who look for days, names or text of an older encoding.

use std::borrow::Cow;

use automerge::{ScalarValue, ValueRef};

use super::input::Refusal;
use crate::document::value::{boolean, count, doc, str};
use crate::id::{DocId, DocKind};
use crate::text::{
    BIRTH_YEARS, DOCUMENT_NUMBER_CHARS_MAX, Date, DocumentNumber, LABEL_BYTES_MAX, LINK_BYTES_MAX, Label, Link,
    NOTE_BYTES_MAX, Note, PERSON_NAME_BYTES_MAX, PLACE_NAME_BYTES_MAX, PersonName, Phone, PlaceName, canonical,
    canonical_lines, canonical_name, check_birth_year, parse_birth_year, place_key, same_name_key,
};

/// The most households of a hamlet or covered by a team: the largest wards of 2025 have about 60,000; with room to grow.
pub const HOUSEHOLDS_MAX: u32 = 200_000;
/// A date has 10 bytes (`2022-09-19`).
const DATE_BYTES: usize = 10;
/// E.164: a plus and at most 15 digits.
const PHONE_BYTES_MAX: usize = 16;
/// 4 bytes a character.
const DOCUMENT_NUMBER_BYTES_MAX: usize = DOCUMENT_NUMBER_CHARS_MAX * 4;
/// The longest word of the register has 17 bytes (`commune_authority`); a newer version may have longer ones.
pub(super) const WORD_BYTES_MAX: usize = 32;

/// What a value is to those who go through a record: findings, the check of days, the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    /// A day.
    Day,
    /// A year of birth.
    BirthYear,
    /// The name of a person: people search for it, and it may have come in an older encoding.
    Name,
    /// The name of a place: the same, and its first word may tell the encoding, too.
    Place,
    /// A phone number: people search for it.
    Phone,
    /// Free text: it may have come in an older encoding.
    Text,
    /// Nothing of these.
    Other,
}

/// A type of values.
pub trait FieldValue {
    /// What an edit holds: a value that has been checked.
    type Given;
    /// What a record shows.
    type Shown;
    /// What it is to those who go through a record.
    const IS: Is;

    /// Reads what a person typed; never empty.
    fn parse(text: &str) -> Result<Self::Given, Refusal>;
    /// What the type of a given value does not state by itself.
    fn check(_given: &Self::Given) -> Result<(), Refusal> {
        Ok(())
    }
    /// As it is stored.
    fn scalar(given: &Self::Given) -> ScalarValue;
    /// What is shown of a stored value; `None` for what no edit makes.
    fn read(value: &ValueRef<'_>) -> Option<Self::Shown>;
    /// The key under which two stored texts are one value.
    fn equal(text: &str) -> String {
        canonical(text)
    }
    /// The text of a shown value; `None` where nobody goes through it ([`Is::Other`]).
    fn text(_shown: &Self::Shown) -> Option<Cow<'_, str>> {
        None
    }
}

/// Checked texts: the type, what an edit holds, what it is, the bytes that a stored one may have, its equality.
macro_rules! texts {
    ($($value:ty, $given:ty, $is:ident, $bytes:expr, $equal:path;)*) => {$(
        impl FieldValue for $value {
            type Given = $given;
            type Shown = String;
            const IS: Is = Is::$is;

            fn parse(text: &str) -> Result<$given, Refusal> {
                Ok(<$given>::parse(text)?)
            }
            fn scalar(given: &$given) -> ScalarValue {
                given.as_str().into()
            }
            fn read(value: &ValueRef<'_>) -> Option<String> {
                let bytes = $bytes;
                str(value, *bytes.end()).filter(|text| bytes.contains(&text.len())).map(str::to_owned)
            }
            fn equal(text: &str) -> String {
                $equal(text)
            }
            fn text(shown: &String) -> Option<Cow<'_, str>> {
                (Self::IS != Is::Other).then_some(Cow::Borrowed(shown))
            }
        }
    )*};
}

texts! {
    PlaceName, PlaceName, Place, 1..=PLACE_NAME_BYTES_MAX, place_key;
    PersonName, PersonName, Name, 1..=PERSON_NAME_BYTES_MAX, same_name_key;
    Label, Label, Text, 1..=LABEL_BYTES_MAX, same_name_key;
    Note, Note, Text, 1..=NOTE_BYTES_MAX, canonical_lines;
    Date, Date, Day, DATE_BYTES..=DATE_BYTES, date_key;
    Phone, Phone, Phone, 1..=PHONE_BYTES_MAX, phone_key;
    DocumentNumber, DocumentNumber, Other, 1..=DOCUMENT_NUMBER_BYTES_MAX, document_number_key;
    Link, Link, Other, 1..=LINK_BYTES_MAX, link_key;
    TextVersion, Label, Other, 1..=LABEL_BYTES_MAX, canonical;
}

/// The version of a text that people agreed to: a name of its own, so 1.1 is not 1.01.
#[derive(Debug)]
pub enum TextVersion {}

fn date_key(text: &str) -> String {
    Date::parse(text).map_or_else(|_| canonical(text), |date| date.to_string())
}

fn phone_key(text: &str) -> String {
    Phone::parse(text).map_or_else(|_| canonical(text), |phone| phone.to_string())
}

/// Number and sign without regard to case and leading zeros: 03/QĐ-UBND = 3/QĐ-UBND = 3/qđ-ubnd.
fn document_number_key(text: &str) -> String {
    let number: String = canonical_name(text).split(' ').collect();
    number.to_lowercase().trim_start_matches('0').to_owned()
}

/// A site's name has no case, and a slash at the end leads nowhere else.
fn link_key(text: &str) -> String {
    let Ok(link) = Link::parse(text) else { return canonical(text) };
    let link = link.as_str().trim_end_matches('/');
    let host_ends = link.find("://").and_then(|at| link.get(at + 3..)?.find('/').map(|end| at + 3 + end));
    let (site, page) = link.split_at_checked(host_ends.unwrap_or(link.len())).unwrap_or((link, ""));
    format!("{}{page}", site.to_lowercase())
}

/// Households of a hamlet, or covered by a team; at most [`HOUSEHOLDS_MAX`].
#[derive(Debug)]
pub enum Households {}

impl FieldValue for Households {
    type Given = u32;
    type Shown = i64;
    const IS: Is = Is::Other;

    fn parse(text: &str) -> Result<u32, Refusal> {
        let number = text.trim().parse().map_err(|_| Refusal::Number { min: 0, max: i64::from(HOUSEHOLDS_MAX) })?;
        Self::check(&number).map(|()| number)
    }
    fn check(given: &u32) -> Result<(), Refusal> {
        if *given <= HOUSEHOLDS_MAX {
            return Ok(());
        }
        Err(Refusal::Number { min: 0, max: i64::from(HOUSEHOLDS_MAX) })
    }
    fn scalar(given: &u32) -> ScalarValue {
        ScalarValue::Int(i64::from(*given))
    }
    fn read(value: &ValueRef<'_>) -> Option<i64> {
        count(value, HOUSEHOLDS_MAX)
    }
}

/// A year of birth within [`BIRTH_YEARS`].
#[derive(Debug)]
pub enum BirthYear {}

impl FieldValue for BirthYear {
    type Given = u16;
    type Shown = i64;
    const IS: Is = Is::BirthYear;

    fn parse(text: &str) -> Result<u16, Refusal> {
        Ok(parse_birth_year(text)?)
    }
    fn check(given: &u16) -> Result<(), Refusal> {
        check_birth_year(*given)?;
        Ok(())
    }
    fn scalar(given: &u16) -> ScalarValue {
        ScalarValue::Int(i64::from(*given))
    }
    fn read(value: &ValueRef<'_>) -> Option<i64> {
        count(value, u32::from(*BIRTH_YEARS.end())).filter(|year| *year >= i64::from(*BIRTH_YEARS.start()))
    }
    fn text(shown: &i64) -> Option<Cow<'_, str>> {
        Some(Cow::Owned(shown.to_string()))
    }
}

/// Yes or no, in both languages.
#[derive(Debug)]
pub enum YesNo {}

impl FieldValue for YesNo {
    type Given = bool;
    type Shown = bool;
    const IS: Is = Is::Other;

    fn parse(text: &str) -> Result<bool, Refusal> {
        match canonical(text).to_lowercase().as_str() {
            "yes" | "true" | "có" => Ok(true),
            "no" | "false" | "không" => Ok(false),
            _ => Err(Refusal::choice(["yes", "no", "có", "không"])),
        }
    }
    fn scalar(given: &bool) -> ScalarValue {
        ScalarValue::Boolean(*given)
    }
    fn read(value: &ValueRef<'_>) -> Option<bool> {
        boolean(value)
    }
}

/// Ids of documents of one kind, kept as their 16 bytes; their text has 25.
macro_rules! ids {
    ($($(#[$doc:meta])* $value:ident = $kind:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $value {}

        impl FieldValue for $value {
            type Given = DocId;
            type Shown = DocId;
            const IS: Is = Is::Other;

            fn parse(text: &str) -> Result<DocId, Refusal> {
                let id = text.trim().parse().map_err(|_| Refusal::Id(DocKind::$kind))?;
                Self::check(&id).map(|()| id)
            }
            fn check(given: &DocId) -> Result<(), Refusal> {
                if given.kind() == Some(DocKind::$kind) { Ok(()) } else { Err(Refusal::Id(DocKind::$kind)) }
            }
            fn scalar(given: &DocId) -> ScalarValue {
                ScalarValue::Bytes(given.as_bytes().to_vec())
            }
            fn read(value: &ValueRef<'_>) -> Option<DocId> {
                doc(value, DocKind::$kind)
            }
        }
    )*};
}

ids! {
    /// The id of a team.
    TeamId = Team;
    /// The id of a member.
    MemberId = Member;
}
