//! What a person can change, as typed commands. A value that reached a command has already been checked.
//! Their shapes come from the tables of [`crate::kind`].

mod days;
mod error;
mod writes;

pub(crate) use days::{Days, birth_years, is_to_come};
pub use days::{check_days, names_a_day};
pub use error::EditError;
pub(crate) use writes::{Value, Write};

pub use crate::kind::{
    ActivityId, CommuneEdit, DocEdit, HOUSEHOLDS_MAX, MemberEdit, REACHED_MAX, Reached, TeamEdit, officers_fields,
};

use crate::id::DocKind;
use crate::kind::{self, Edit, Input, Kind, of_kind};

impl DocEdit {
    /// Reads `FIELD=VALUE` as a person types it. Field names are those of [`crate::record`]; an empty value clears
    /// where a field can be cleared. Nested fields: `affiliations/police=yes|no|có|không`, `courses/mooc=completed`,
    /// `consent/method=paper`, `activities/ID/kind=meeting`, `activities/ID/reached=+5` (counters are only added to),
    /// `hamlets/NAME/households=120`, `hamlets/NAME/successors/OTHER=yes`; a hamlet is named by its name or its key.
    pub fn parse(kind: DocKind, field: &str, text: &str) -> Result<Self, EditError> {
        let input = Input { field: field.trim(), text };
        let edit = of_kind!(kind, Of => <Of as Kind>::Edit::parse(&input)?.map(Self::from));
        edit.ok_or_else(|| EditError::UnknownField {
            kind: kind::name(kind),
            field: input.field(),
            known: Self::fields(kind).join(", "),
        })
    }
    /// The fields of a kind as [`Self::parse`] takes them; capitals stand for what differs.
    pub fn fields(kind: DocKind) -> Vec<&'static str> {
        kind::fields(kind).iter().map(|field| field.path.as_str()).collect()
    }
}

#[cfg(test)]
mod tests;
