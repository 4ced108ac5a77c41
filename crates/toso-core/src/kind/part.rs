//! What a line of a kind's table can be: one value, a set, a group of fields under fixed names, entries under keys.
//!
//! A document keeps single values of a kind in its root and everything else in maps of the genesis. Inside a group or
//! an entry the key of the map is a path: `kind`, `skills/safety`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use automerge::{ScalarValue, ValueRef};

use super::ActivityId;
use super::field::{At, Field, Line, Seen, Within};
use super::input::{Input, Refusal};
use super::value::FieldValue;
use crate::document::value::{boolean, counter};
use crate::edit::EditError;

/// What a record shows of a line.
pub type Shown<P> = <P as Part>::Shown;
/// What an edit of a single value holds.
pub type Given<S> = <S as Slot>::Given;
/// How an edit names a member of a set or map.
pub type Key<S> = <<S as Members>::Key as MemberKey>::Given;
/// What an edit says of a member.
pub type Member<S> = <S as Members>::Given;
/// How an edit names an entry.
pub type EntryId<E> = <<E as HasEntries>::Key as EntryKey>::Given;

/// A line of a table, as a record shows it.
pub trait Part {
    /// What the record holds.
    type Shown;
    /// True when the line has a map (in a document) or a folder (in an entry) of its own.
    const IS_MAP: bool = false;
    /// True for sets and maps of members.
    const HAS_MEMBERS: bool = false;

    /// Takes the value that a key shows; the key of a single value is its name. False when the key names no field.
    fn show(shown: &mut Self::Shown, key: &str, value: &ValueRef<'_>) -> bool;
    /// Shows every value that is gone through (`Is::Other` is not).
    fn each<'a>(_shown: &'a Self::Shown, _name: &'static str, _at: At<'a>, _see: &mut dyn FnMut(Seen<'a>)) {}
    /// Lists its fields.
    fn describe(_line: Line, _within: Within, _into: &mut Vec<Field>) {}
}

/// A line with one value.
pub trait Slot: Part {
    /// The type of the value.
    type Value: FieldValue;
    /// What an edit holds.
    type Given;

    /// Reads what a person typed.
    fn parse(input: &Input<'_>) -> Result<Self::Given, EditError>;
    /// The value that is given; `None` clears.
    fn given(given: &Self::Given) -> Option<&<Self::Value as FieldValue>::Given>;
    /// As it is stored. A cleared field is written as null, so that clearing and correcting apart shows as a conflict.
    fn scalar(given: &Self::Given) -> ScalarValue {
        Self::given(given).map_or(ScalarValue::Null, Self::Value::scalar)
    }
    /// What the type of a given value does not state by itself.
    fn check(given: &Self::Given) -> Result<(), Refusal> {
        Self::given(given).map_or(Ok(()), Self::Value::check)
    }
}

/// Lines with one value of a type `V`: what an edit holds and how it is read, what a record shows and how it takes what is
/// read.
macro_rules! slots {
    ($($slot:ty:
        given $given:ty, by $input:ident, $edit:ident => $value:expr;
        shown $shown:ty, $record:ident => $known:expr, $place:ident, $read:ident => $take:expr;
    )*) => {$(
        impl<V: FieldValue> Part for $slot {
            type Shown = $shown;

            fn show($place: &mut Self::Shown, _: &str, value: &ValueRef<'_>) -> bool {
                let $read = V::read(value);
                $take;
                true
            }
            fn each<'a>($record: &'a Self::Shown, name: &'static str, at: At<'a>, see: &mut dyn FnMut(Seen<'a>)) {
                let known: Option<&V::Shown> = $known;
                if let Some(text) = known.and_then(V::text) {
                    see(Seen { at, name, is: V::IS, text });
                }
            }
            fn describe(line: Line, within: Within, into: &mut Vec<Field>) {
                into.push(Field::value::<V>(line, within));
            }
        }

        impl<V: FieldValue> Slot for $slot {
            type Value = V;
            type Given = $given;

            fn parse(input: &Input<'_>) -> Result<Self::Given, EditError> {
                input.$input::<V>()
            }
            fn given($edit: &Self::Given) -> Option<&V::Given> {
                $value
            }
        }
    )*};
}

slots! {
    // Can be cleared.
    Option<V>:
        given Option<V::Given>, by value, given => given.as_ref();
        shown Option<V::Shown>, shown => shown.as_ref(), shown, read => *shown = read;
    Required<V>:
        given V::Given, by required, given => Some(given);
        shown Option<V::Shown>, shown => shown.as_ref(), shown, read => *shown = read;
    Always<V>:
        given V::Given, by required, given => Some(given);
        shown V::Shown, shown => Some(shown), shown, read => if let Some(read) = read { *shown = read };
}

/// A value that an edit cannot clear, and that a record lacks until somebody has given it.
#[derive(Debug)]
pub struct Required<V>(PhantomData<V>);

/// A value that an edit cannot clear, and that every record has: the table says which one until somebody gives another.
#[derive(Debug)]
pub struct Always<V>(PhantomData<V>);

/// A counter: devices only add to it. It is a field of an entry, see `counters` in a table.
#[derive(Debug)]
pub enum Counter {}

impl Part for Counter {
    type Shown = i64;

    fn show(shown: &mut i64, _: &str, value: &ValueRef<'_>) -> bool {
        if let Some(count) = counter(value) {
            // Corrections made apart may go below nothing.
            *shown = count.max(0);
        }
        true
    }
    fn describe(line: Line, within: Within, into: &mut Vec<Field>) {
        into.push(Field::counter(line, within));
    }
}

/// What a record shows beside its fields, computed from them.
#[derive(Debug)]
pub struct Computed<T>(PhantomData<T>);

impl<T> Part for Computed<T> {
    type Shown = T;

    fn show(_: &mut T, _: &str, _: &ValueRef<'_>) -> bool {
        false
    }
}

/// What names a member of a set or map: a word of the register, a hamlet's key.
pub trait MemberKey {
    /// How an edit names it.
    type Given;
    /// How a record names it.
    type Shown: Ord;
    /// What stands for it in a list of fields.
    const CAPITALS: &'static str;
    /// The most members that are read.
    const MAX: usize;

    /// Reads a name; `set` is the path of the set, for errors.
    fn parse(text: &str, set: &str) -> Result<Self::Given, EditError>;
    /// As it stands in a path.
    fn text(given: &Self::Given) -> &str;
    /// What the type of a given key does not state by itself.
    fn check(given: &Self::Given) -> Result<(), EditError>;
    /// The member that a path names.
    fn read(text: &str) -> Option<Self::Shown>;
}

/// A line with members, each under a key of its own.
pub trait Members: Part {
    /// What names a member.
    type Key: MemberKey;
    /// What an edit says of it.
    type Given;

    /// Reads what a person typed for a member.
    fn parse(input: &Input<'_>) -> Result<Self::Given, EditError>;
    /// As it is stored.
    fn scalar(given: &Self::Given) -> ScalarValue;
}

/// A set: each member is there or not.
#[derive(Debug)]
pub struct Set<K>(PhantomData<K>);

impl<K: MemberKey> Part for Set<K> {
    type Shown = Vec<K::Shown>;
    const IS_MAP: bool = true;
    const HAS_MEMBERS: bool = true;

    fn show(shown: &mut Self::Shown, key: &str, value: &ValueRef<'_>) -> bool {
        let Some(member) = K::read(key) else { return false };
        if boolean(value) == Some(true) && shown.len() < K::MAX {
            // In the order of their list, in whatever order they come.
            shown.insert(shown.partition_point(|other| *other < member), member);
        }
        true
    }
    fn describe(line: Line, within: Within, into: &mut Vec<Field>) {
        into.push(Field::set::<K>(line, within));
    }
}

impl<K: MemberKey> Members for Set<K> {
    type Key = K;
    type Given = bool;

    fn parse(input: &Input<'_>) -> Result<bool, EditError> {
        Ok(input.value::<super::value::YesNo>()?.unwrap_or(false))
    }
    fn scalar(given: &bool) -> ScalarValue {
        ScalarValue::Boolean(*given)
    }
}

/// A map: each member has a value, which can be cleared.
#[derive(Debug)]
pub struct Map<K, V>(PhantomData<(K, V)>);

impl<K: MemberKey, V: FieldValue> Part for Map<K, V> {
    type Shown = BTreeMap<K::Shown, V::Shown>;
    const IS_MAP: bool = true;
    const HAS_MEMBERS: bool = true;

    fn show(shown: &mut Self::Shown, key: &str, value: &ValueRef<'_>) -> bool {
        let Some(member) = K::read(key) else { return false };
        if let Some(value) = V::read(value).filter(|_| shown.len() < K::MAX) {
            shown.insert(member, value);
        }
        true
    }
    fn describe(line: Line, within: Within, into: &mut Vec<Field>) {
        into.push(Field::map::<K, V>(line, within));
    }
}

impl<K: MemberKey, V: FieldValue> Members for Map<K, V> {
    type Key = K;
    type Given = Option<V::Given>;

    fn parse(input: &Input<'_>) -> Result<Option<V::Given>, EditError> {
        input.value::<V>()
    }
    fn scalar(given: &Option<V::Given>) -> ScalarValue {
        given.as_ref().map_or(ScalarValue::Null, V::scalar)
    }
}

/// The fields of a record, as the macro `record` makes them from the lines of a table.
pub trait Fields: Default {
    /// The names of its sets and maps; empty for other lines.
    const SETS: &'static [&'static str];

    /// Takes the value that a key of a map (`None`: the root, or the entry itself) shows. False when no field is there.
    fn show(&mut self, map: Option<&str>, key: &str, value: &ValueRef<'_>) -> bool;
    /// Shows every value that is gone through.
    fn each<'a>(&'a self, at: At<'a>, see: &mut dyn FnMut(Seen<'a>));
    /// Lists its fields.
    fn describe(within: Within, into: &mut Vec<Field>);

    /// Takes the value of a path within a group or an entry.
    fn show_path(&mut self, path: &str, value: &ValueRef<'_>) -> bool {
        match path.split_once('/') {
            Some((set, member)) => self.show(Some(set), member, value),
            None => self.show(None, path, value),
        }
    }
}

/// Fields under fixed names in a map of their own.
#[derive(Debug)]
pub struct Group<R>(PhantomData<R>);

impl<R: Fields> Part for Group<R> {
    type Shown = R;
    const IS_MAP: bool = true;

    fn show(shown: &mut R, key: &str, value: &ValueRef<'_>) -> bool {
        shown.show_path(key, value)
    }
    fn each<'a>(shown: &'a R, name: &'static str, _: At<'a>, see: &mut dyn FnMut(Seen<'a>)) {
        shown.each(At { map: Some(name), entry: None }, see);
    }
    fn describe(line: Line, _: Within, into: &mut Vec<Field>) {
        R::describe(Within { map: Some(line.name), entry: None }, into);
    }
}

/// How entries of a map are named.
pub trait EntryKey {
    /// How an edit names one.
    type Given;
    /// What stands for it in a list of fields.
    const CAPITALS: &'static str;
    /// The most entries that are read.
    const MAX: usize;

    /// Splits a path into the key of the entry and the path in it. `sets` are the names of the entry's sets.
    fn split<'a>(path: &'a str, sets: &[&str]) -> Option<(&'a str, &'a str)>;
    /// The key that a person means.
    fn parse(text: &str, input: &Input<'_>) -> Result<Self::Given, EditError>;
    /// As it stands in a path.
    fn text(given: &Self::Given) -> Cow<'_, str>;
    /// What the type of a given key does not state by itself.
    fn check(given: &Self::Given) -> Result<(), EditError>;
    /// The activity that must be there before it is corrected.
    fn must_exist(given: &Self::Given) -> Option<ActivityId>;
}

/// An entry of a map.
pub trait Entry: Fields {
    /// An entry of which only the key is known.
    fn of(key: &str) -> Self;
}

/// A line with entries.
pub trait HasEntries: Part {
    /// How they are named.
    type Key: EntryKey;
    /// Splits a path into the key of the entry and the path in it.
    fn split(path: &str) -> Option<(&str, &str)>;
}

/// Entries with fields of their own: each under a key that edits make (`thôn 1/households`), so that two devices that add
/// the same entry apart merge field by field.
#[derive(Debug)]
pub struct Entries<K, R>(PhantomData<(K, R)>);

impl<K: EntryKey, R: Entry> Part for Entries<K, R> {
    type Shown = BTreeMap<String, R>;
    const IS_MAP: bool = true;

    fn show(shown: &mut Self::Shown, key: &str, value: &ValueRef<'_>) -> bool {
        let Some((entry, path)) = Self::split(key) else { return false };
        if let Some(known) = shown.get_mut(entry) {
            return known.show_path(path, value);
        }
        // A field of a newer version alone is no entry.
        let mut new = R::of(entry);
        let is_field = new.show_path(path, value);
        if is_field && shown.len() < K::MAX {
            shown.insert(entry.to_owned(), new);
        }
        is_field
    }
    fn each<'a>(shown: &'a Self::Shown, name: &'static str, _: At<'a>, see: &mut dyn FnMut(Seen<'a>)) {
        for (key, entry) in shown {
            entry.each(At { map: Some(name), entry: Some(key) }, see);
        }
    }
    fn describe(line: Line, _: Within, into: &mut Vec<Field>) {
        let entry = Some((Self::split as super::field::Split, K::CAPITALS));
        R::describe(Within { map: Some(line.name), entry }, into);
    }
}

impl<K: EntryKey, R: Entry> HasEntries for Entries<K, R> {
    type Key = K;
    fn split(path: &str) -> Option<(&str, &str)> {
        K::split(path, R::SETS)
    }
}
