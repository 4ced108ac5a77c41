//! A field's path and the text that a person typed for it.

use super::value::FieldValue;
use crate::edit::EditError;
use crate::id::DocKind;
use crate::text::TextError;

/// The longest field path quoted in an error, in characters.
const FIELD_SHOWN_MAX: usize = 80;

/// Why a value is not one, before it is known of which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A text breaks a rule.
    Text(TextError),
    /// Not one of these words.
    Choice(String),
    /// Not a whole number of this range.
    Number {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// Not the id of a document of this kind.
    Id(DocKind),
}

impl From<TextError> for Refusal {
    fn from(error: TextError) -> Self {
        Self::Text(error)
    }
}

impl Refusal {
    /// Only these words can be chosen.
    pub(crate) fn choice(words: impl IntoIterator<Item = &'static str>) -> Self {
        Self::Choice(words.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// The error of a field.
    pub fn at(self, field: impl Into<String>) -> EditError {
        let field = field.into();
        match self {
            Self::Text(error) => EditError::Value { field, error },
            Self::Choice(expected) => EditError::Choice { field, expected },
            Self::Number { min, max } => EditError::Number { field, min, max },
            Self::Id(kind) => EditError::Id { field, kind: super::name(kind) },
        }
    }
}

/// Refuses a count outside of a range; `path` is that of the counter with a name.
pub(crate) fn check_counts(
    mut counts: impl Iterator<Item = (&'static str, i64)>,
    range: std::ops::RangeInclusive<i64>,
    path: impl Fn(&str) -> String,
) -> Result<(), EditError> {
    match counts.find(|(_, count)| !range.contains(count)) {
        Some((name, _)) => Err(Refusal::Number { min: *range.start(), max: *range.end() }.at(path(name))),
        None => Ok(()),
    }
}

/// A field's path and the text typed for it; an empty text clears.
#[derive(Debug)]
pub struct Input<'a> {
    /// The path, without blanks around it.
    pub field: &'a str,
    /// As it was typed.
    pub text: &'a str,
}

impl Input<'_> {
    /// The field as errors name it.
    pub fn field(&self) -> String {
        self.field.chars().take(FIELD_SHOWN_MAX).collect()
    }

    /// The value, or `None` for an empty text.
    pub fn value<V: FieldValue>(&self) -> Result<Option<V::Given>, EditError> {
        if self.text.trim().is_empty() {
            return Ok(None);
        }
        V::parse(self.text).map(Some).map_err(|refusal| refusal.at(self.field()))
    }

    /// The value, which must be there.
    pub fn required<V: FieldValue>(&self) -> Result<V::Given, EditError> {
        self.value::<V>()?.ok_or_else(|| EditError::Required { field: self.field() })
    }

    /// How many more to add to a counter; at most `most` either way.
    pub(crate) fn more(&self, most: i64) -> Result<i64, EditError> {
        let text = self.text.trim();
        if !text.starts_with(['+', '-']) {
            return Err(EditError::CounterIsAddedTo { field: self.field() });
        }
        let number = text.parse().ok().filter(|number| (-most..=most).contains(number));
        number.ok_or_else(|| Refusal::Number { min: -most, max: most }.at(self.field()))
    }
}
