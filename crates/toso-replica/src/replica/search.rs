//! Finding a team or a member by name, however it is typed, and a member by phone.
//!
//! Like the catalogue's search: a name that fits with its marks beats one that fits without tones, and that beats one that
//! fits without any marks; within a tier the whole name beats its beginning, and that beats the beginning of a later word. A
//! phone has at most [`crate::limits::DOCUMENTS_MAX`] documents, so all names are compared in turn, and no index has to be kept right.

use std::borrow::Cow;

use toso_core::id::{DocId, DocKind};
use toso_core::kind::Is;
use toso_core::record::Record;
use toso_core::text::{Collator, same_name_key, search_key, toneless_key};
use toso_core::unit::Scope;

use super::Replica;
use crate::error::ReplicaError;

/// How much of a text is read, in characters; the longest name has 120.
pub const SEARCH_CHARS_MAX: usize = 120;
/// The fewest digits that are looked for in phone numbers: fewer fit half of all.
const PHONE_DIGITS_MIN: usize = 3;
/// The country code in stored phone numbers, which people type as 0.
const COUNTRY_CODE: &str = "84";

/// A record found by its name or phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The team or member.
    pub id: DocId,
    /// Which of the two.
    pub kind: DocKind,
    /// Its commune.
    pub commune: Scope,
    /// The name to show: hamlet or local name of a team, full name of a member.
    pub name: String,
    /// The team that a member belongs to.
    pub team: Option<DocId>,
}

/// How well a name fits; the better rank is the smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    tier: u8,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Whole,
    Beginning,
    LaterWord,
    /// Each of the text's words begins a word of the name, in any order.
    Words,
}

/// From strict to loose: with all marks, without tones, without any marks.
const KEYS: [fn(&str) -> String; 3] = [same_name_key, toneless_key, search_key];

/// What people search for in a record, by the types of its fields.
#[derive(Default)]
struct Searched<'a> {
    names: Vec<Cow<'a, str>>,
    phones: Vec<Cow<'a, str>>,
}

impl<'a> Searched<'a> {
    fn of(record: &'a Record) -> Self {
        let mut found = Self::default();
        record.each(|seen| match seen.is {
            Is::Name | Is::Place => found.names.push(seen.text),
            Is::Phone => found.phones.push(seen.text),
            Is::Day | Is::BirthYear | Is::Text | Is::Other => {}
        });
        found
    }
}

/// What a person typed.
struct Query {
    /// By [`KEYS`].
    names: [String; KEYS.len()],
    digits: Option<String>,
}

impl Replica {
    /// The teams and members whose name fits a text, best first, at most `limit`. A text of digits also finds phones that
    /// contain them. Records for which another stands are left out. Nothing for an empty text.
    pub fn search(&self, text: &str, limit: usize) -> Result<Vec<Found>, ReplicaError> {
        let query = Query::new(text);
        let mut found = Vec::new();
        self.each_shown(
            |kind| kind != DocKind::Commune,
            |commune, id, shown| {
                found.extend(query.find(commune, id, &shown.record));
                Ok(())
            },
        )?;
        let collator = Collator::shared();
        found.sort_by(|(a_rank, a), (b_rank, b)| {
            a_rank.cmp(b_rank).then_with(|| collator.compare(&a.name, &b.name)).then(a.id.cmp(&b.id))
        });
        Ok(found.into_iter().map(|(_, found)| found).take(limit).collect())
    }
}

impl Rank {
    /// After every name.
    const PHONE: Self = Self { tier: u8::MAX, place: Place::Words };
}

impl Query {
    fn new(text: &str) -> Self {
        let text: String = text.chars().take(SEARCH_CHARS_MAX).collect();
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let only_digits = text.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '.' | '-' | '+'));
        let digits = Some(digits).filter(|digits| only_digits && digits.len() >= PHONE_DIGITS_MIN);
        Self { names: KEYS.map(|key| key(&text)), digits }
    }

    fn rank(&self, name: &str) -> Option<Rank> {
        (0..)
            .zip(KEYS)
            .zip(&self.names)
            .find_map(|((tier, key), text)| place(&key(name), text).map(|place| Rank { tier, place }))
    }

    /// A record, when it fits.
    fn find(&self, commune: Scope, id: DocId, record: &Record) -> Option<(Rank, Found)> {
        let (kind, team) = match record {
            Record::Team(team) if team.merged_into.is_none() => (DocKind::Team, None),
            Record::Member(member) if member.merged_into.is_none() => (DocKind::Member, member.team),
            Record::Commune(_) | Record::Team(_) | Record::Member(_) => return None,
        };
        let Searched { names, phones } = Searched::of(record);
        let by_phone = phones.iter().any(|phone| self.fits_phone(phone));
        let by_name = names.iter().filter_map(|name| Some((self.rank(name)?, name))).min();
        let (rank, name) = match by_name {
            Some((rank, name)) => (rank, name.to_string()),
            None => (Rank::PHONE, names.first().filter(|_| by_phone)?.to_string()),
        };
        Some((rank, Found { id, kind, commune, name, team }))
    }

    fn fits_phone(&self, phone: &str) -> bool {
        let Some(digits) = &self.digits else { return false };
        let stored = phone.trim_start_matches('+');
        let national = stored.strip_prefix(COUNTRY_CODE).map(|rest| format!("0{rest}"));
        stored.contains(digits) || national.is_some_and(|national| national.contains(digits))
    }
}

/// Where a text stands in a name, both under one key.
fn place(name: &str, text: &str) -> Option<Place> {
    if text.is_empty() {
        return None;
    }
    let begins = |word: &str| name.split(' ').any(|own| own.starts_with(word));
    if name == text {
        Some(Place::Whole)
    } else if name.starts_with(text) {
        Some(Place::Beginning)
    } else if name
        .match_indices(' ')
        .any(|(at, blank)| name.get(at + blank.len()..).is_some_and(|rest| rest.starts_with(text)))
    {
        Some(Place::LaterWord)
    } else if text.contains(' ') && text.split(' ').all(begins) {
        Some(Place::Words)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
