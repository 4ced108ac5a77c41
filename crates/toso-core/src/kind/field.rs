//! A field as data: how people call it, where it lies, when two of its values are one.

use std::borrow::Cow;

use super::part::MemberKey;
use super::value::{FieldValue, Is};
use crate::text::canonical;

/// Who may write a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// All who may write in the commune.
    Anyone,
    /// Officers.
    Officers,
}

/// What a line of a table says of its field.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// Its name in documents, JSON and commands.
    pub name: &'static str,
    /// What people call it in Vietnamese.
    pub vi: &'static str,
    /// What people call it in English.
    pub en: &'static str,
    /// Who may write it.
    pub by: By,
}

/// Splits the key of a map into the key of an entry and the path in it.
pub(super) type Split = fn(&str) -> Option<(&str, &str)>;

/// Where a line stands.
#[derive(Debug, Clone, Copy)]
pub struct Within {
    /// The map; `None` is the root.
    pub(super) map: Option<&'static str>,
    /// How the map's entries are named, when it has some, and what stands for a name in a list of fields.
    pub(super) entry: Option<(Split, &'static str)>,
}

/// The root of a document.
pub(super) const ROOT: Within = Within { map: None, entry: None };

/// A field of a kind.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its path as people name it; capitals stand for what differs.
    pub path: String,
    /// What the table says of it.
    pub line: Line,
    /// What it is to those who go through a record.
    pub is: Is,
    map: Option<&'static str>,
    entry: Option<Split>,
    /// The name in the map or entry; none where the map itself has the name.
    name: Option<&'static str>,
    is_member: Option<fn(&str) -> bool>,
    equal: fn(&str) -> String,
    is_set: bool,
}

impl Field {
    pub(super) fn value<V: FieldValue>(line: Line, within: Within) -> Self {
        Self::new(line, within, V::IS, V::equal)
    }

    pub(super) fn counter(line: Line, within: Within) -> Self {
        Self::new(line, within, Is::Other, canonical)
    }

    pub(super) fn set<K: MemberKey>(line: Line, within: Within) -> Self {
        Self { is_set: true, ..Self::members::<K>(Self::new(line, within, Is::Other, canonical)) }
    }

    pub(super) fn map<K: MemberKey, V: FieldValue>(line: Line, within: Within) -> Self {
        Self::members::<K>(Self::new(line, within, V::IS, V::equal))
    }

    fn new(line: Line, within: Within, is: Is, equal: fn(&str) -> String) -> Self {
        let entry = within.entry.map(|(_, capitals)| capitals);
        let steps = [within.map, entry, Some(line.name)];
        Self {
            path: steps.into_iter().flatten().collect::<Vec<_>>().join("/"),
            line,
            is,
            map: within.map,
            entry: within.entry.map(|(split, _)| split),
            name: Some(line.name),
            is_member: None,
            equal,
            is_set: false,
        }
    }

    /// The same line with members.
    fn members<K: MemberKey>(mut self) -> Self {
        self.path = format!("{}/{}", self.path, K::CAPITALS);
        self.is_member = Some(|text| K::read(text).is_some());
        if self.map.is_none() {
            self.map = self.name.take();
        }
        self
    }

    /// True when the key of a map (`None`: the root) is this field.
    pub(crate) fn is_at(&self, map: Option<&str>, key: &str) -> bool {
        let path = match self.entry {
            Some(split) => split(key).map(|(_, path)| path),
            None => Some(key),
        };
        let Some(path) = path.filter(|_| self.map == map) else { return false };
        match (self.name, self.is_member) {
            (Some(name), None) => path == name,
            (Some(name), Some(is_member)) => {
                path.strip_prefix(name).and_then(|member| member.strip_prefix('/')).is_some_and(is_member)
            }
            (None, is_member) => is_member.is_some_and(|is_member| is_member(path)),
        }
    }

    /// The key under which two stored texts are one value.
    pub(crate) fn equal(&self, text: &str) -> String {
        (self.equal)(text)
    }

    /// True when a value says no more than that something belongs to a set.
    pub(crate) fn is_set(&self) -> bool {
        self.is_set
    }
}

/// Where a value of a record was seen.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The map; `None` is the root.
    pub(super) map: Option<&'static str>,
    /// The key of the entry.
    pub(super) entry: Option<&'a str>,
}

impl At<'_> {
    /// The root of a record.
    pub(crate) const ROOT: Self = At { map: None, entry: None };
}

/// A value that somebody who goes through a record sees.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    /// Where.
    pub at: At<'a>,
    /// The field's own name.
    pub name: &'static str,
    /// What it is.
    pub is: Is,
    /// Its text: of a day ISO 8601, so the order of text is the order of time, also of a year and a day in it.
    pub text: Cow<'a, str>,
}

impl Seen<'_> {
    /// The field's path.
    pub fn path(&self) -> String {
        let steps = [self.at.map, self.at.entry, Some(self.name)];
        steps.into_iter().flatten().collect::<Vec<_>>().join("/")
    }

    /// True when both are one field, of whatever entries.
    pub(crate) fn is_of_field(&self, other: &Seen<'_>) -> bool {
        self.at.map == other.at.map && self.name == other.name
    }
}
