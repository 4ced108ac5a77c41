//! The kinds of documents: each one table of fields, from which all else comes.
//!
//! A kind's file (`commune`, `team`, `member`) holds its table and the rules between its fields. From a table come the
//! record with its defaults, the edits, what they write and how people type them ([`crate::edit`]), how a document is read
//! ([`crate::document`]), when two values are one, which fields are days, names or text of an older encoding
//! ([`crate::finding`]), the lists of fields, their names for people, and the types of the mobile library. The grammar is
//! described in `kind/table.rs`, how to add a field or a kind in `docs/adding.md`.
//!
//! A document keeps every field as one scalar under one key: root fields under their name, the others in a map of the
//! genesis under a composite key (`hamlets` → `thôn 1/households`). So two devices that add the same hamlet apart
//! merge field by field. The path of a field, as errors, conflicts and histories show it, is `map/key`.

#[macro_use]
mod table;

mod commune;
mod field;
mod input;
mod member;
pub mod part;
mod team;
pub mod value;
mod words;

pub(crate) use commune::CommuneKind;
pub use commune::{CommuneEdit, CommuneRecord, HamletKey, HamletRecord};
pub use field::{At, By, Field, Line, Seen, Within};
pub use input::{Input, Refusal};
pub(crate) use member::MemberKind;
pub use member::{ConsentRecord, MemberEdit, MemberRecord};
pub use part::{Always, Computed, Counter, Entries, EntryId, Given, Group, Key, Map, Member, Required, Set, Shown};
pub(crate) use team::TeamKind;
pub use team::{ActivityId, ActivityRecord, REACHED_MAX, Reached, TeamEdit, TeamRecord};
pub use value::{BirthYear, HOUSEHOLDS_MAX, Households, Is, MemberId, TeamId, TextVersion, YesNo};
pub use words::{
    ActivityKind, Affiliation, ConsentMethod, Course, CourseStatus, Gender, HamletKind, HamletStatus, Role, Skill,
    TeamLevel, TeamStatus, WORDS, Wording,
};

#[cfg(test)]
pub(crate) use commune::HAMLETS_MAX;

use crate::document::Genesis;
use crate::edit::{EditError, Write};
use crate::finding::Finding;
use crate::id::{DocId, DocKind};
use part::Fields;

/// A kind, as the macro `kind` makes it from its table.
pub(crate) trait Kind {
    /// What a document shows.
    type Record: Fields;
    /// What a person can change.
    type Edit: Edit;
    /// How it is called in messages.
    const NAME: &'static str;
    /// The maps of the genesis, one list per genesis change. Only ever appended to.
    const GENESIS: &'static [&'static [&'static str]];
    /// The root fields that only officers write.
    const OFFICERS: &'static [&'static str];

    /// Its fields, in the order of the table.
    fn fields() -> &'static [Field];
    /// A document with only its genesis, made once a process.
    fn genesis() -> &'static Genesis;
}

/// The rules between the fields of a kind, written by hand beside its table.
pub(crate) trait Rules: Kind {
    /// Fields of which the first must not lie after the second, where a save is refused.
    const IN_ORDER: &'static [(&'static str, &'static str)] = &[];

    /// What the types of an edit's values do not say.
    fn check(edit: &Self::Edit, document: DocId) -> Result<(), EditError>;
    /// Computes what follows from the fields, once all are read.
    fn finish(_record: &mut Self::Record) {}
    /// What is found in a record and never refused.
    fn findings(_id: DocId, _record: &Self::Record, _found: &mut Vec<Finding>) {}
}

/// The edits of a kind, as the macro `kind` makes them from its table.
pub(crate) trait Edit: Sized {
    /// Reads an edit as a person types it; `None` when the kind has no such field.
    fn parse(input: &Input<'_>) -> Result<Option<Self>, EditError>;
    /// Everything the edit writes.
    fn writes(&self) -> Vec<Write>;
    /// What the types of its values do not state by themselves.
    fn check(&self) -> Result<(), EditError>;
    /// The activity that must be there before it is corrected.
    fn must_exist(&self) -> Option<ActivityId>;
}

/// Does the same with the table of a kind, whichever it is.
macro_rules! of_kind {
    ($kind:expr, $of:ident => $body:expr) => {
        match $kind {
            $crate::id::DocKind::Commune => {
                type $of = $crate::kind::CommuneKind;
                $body
            }
            $crate::id::DocKind::Team => {
                type $of = $crate::kind::TeamKind;
                $body
            }
            $crate::id::DocKind::Member => {
                type $of = $crate::kind::MemberKind;
                $body
            }
        }
    };
}
pub(crate) use of_kind;

/// Makes what has a variant for every kind: a document's record, and an edit.
macro_rules! of_any_kind {
    ($($kind:ident: $table:ident, $record:ident, $edit:ident;)*) => {
        /// A document of any kind, read.
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
        #[serde(untagged)]
        pub enum Record {
            $(#[doc = concat!("A ", stringify!($kind), ".")] $kind($record),)*
        }

        /// A change to a document of any kind.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum DocEdit {
            $(#[doc = concat!("To a ", stringify!($kind), ".")] $kind($edit),)*
        }

        $(impl From<$record> for Record {
            fn from(record: $record) -> Self {
                Self::$kind(record)
            }
        }

        impl From<$edit> for DocEdit {
            fn from(edit: $edit) -> Self {
                Self::$kind(edit)
            }
        })*

        impl Record {
            /// Takes the value that a key of a map (`None`: the root) shows.
            pub(crate) fn show(&mut self, map: Option<&str>, key: &str, value: &automerge::ValueRef<'_>) -> bool {
                match self { $(Self::$kind(record) => record.show(map, key, value),)* }
            }

            /// Computes what follows from the fields, once all are read.
            pub(crate) fn finish(&mut self) {
                match self { $(Self::$kind(record) => <$table as Rules>::finish(record),)* }
            }

            /// Shows every value that is gone through: days, years of birth, names, phones, free text.
            pub fn each<'a>(&'a self, mut see: impl FnMut(Seen<'a>)) {
                match self { $(Self::$kind(record) => record.each(At::ROOT, &mut see),)* }
            }
        }

        impl DocEdit {
            /// The kind of document it applies to.
            pub fn kind(&self) -> DocKind {
                match self { $(Self::$kind(_) => DocKind::$kind,)* }
            }

            /// Everything the edit writes.
            pub(crate) fn writes(&self) -> Vec<Write> {
                match self { $(Self::$kind(edit) => edit.writes(),)* }
            }

            /// The activity that must be there before it is corrected.
            pub(crate) fn must_exist(&self) -> Option<ActivityId> {
                match self { $(Self::$kind(edit) => edit.must_exist(),)* }
            }

            /// Checks what the types do not: kinds, ranges, and that nothing goes into itself.
            pub(crate) fn check(&self, document: DocId) -> Result<(), EditError> {
                if document.kind() != Some(self.kind()) {
                    let (edit, kind) = (name(self.kind()), document.kind().map_or(NEWER_KIND, name));
                    return Err(EditError::WrongKind { edit, kind, document });
                }
                match self { $(Self::$kind(edit) => edit.check().and_then(|()| <$table as Rules>::check(edit, document)),)* }
            }
        }
    };
}

of_any_kind! {
    Commune: CommuneKind, CommuneRecord, CommuneEdit;
    Team: TeamKind, TeamRecord, TeamEdit;
    Member: MemberKind, MemberRecord, MemberEdit;
}

/// What a document is called whose kind only a newer version knows.
const NEWER_KIND: &str = "record of a newer version";

/// How a kind is called in messages.
pub(crate) fn name(kind: DocKind) -> &'static str {
    of_kind!(kind, Of => <Of as Kind>::NAME)
}

/// The fields of a kind, in the order of its table.
pub fn fields(kind: DocKind) -> &'static [Field] {
    of_kind!(kind, Of => <Of as Kind>::fields())
}

/// The field that a key of a map (`None`: the root) is, if this version knows it.
pub(crate) fn field(kind: DocKind, map: Option<&str>, key: &str) -> Option<&'static Field> {
    fields(kind).iter().find(|field| field.is_at(map, key))
}

/// The root fields of a kind that only officers write.
pub fn officers_fields(kind: DocKind) -> &'static [&'static str] {
    of_kind!(kind, Of => <Of as Kind>::OFFICERS)
}

/// Fields of a kind of which the first must not lie after the second, where a save is refused.
pub(crate) fn in_order(kind: DocKind) -> &'static [(&'static str, &'static str)] {
    of_kind!(kind, Of => <Of as Rules>::IN_ORDER)
}

/// What people call every field of every kind, keyed `field.member.full_name`.
pub fn field_wordings() -> impl Iterator<Item = Wording> {
    DocKind::ALL.into_iter().flat_map(|kind| {
        fields(kind).iter().map(move |field| Wording {
            key: format!("field.{}.{}", name(kind), field.path).into(),
            vi: field.line.vi,
            en: field.line.en,
        })
    })
}

/// The fields of a record, listed.
fn described<R: Fields>() -> Vec<Field> {
    let mut fields = Vec::new();
    R::describe(field::ROOT, &mut fields);
    fields
}

/// Nothing is a duplicate of itself.
fn merged_into_another(into: Option<DocId>, document: DocId) -> Result<(), EditError> {
    if into == Some(document) {
        return Err(EditError::IntoItself { field: "merged_into".to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
