//! Finding a unit by its name, however it is typed.
//!
//! Every name is kept under three keys: as written, without tones, without any marks. A text is turned into the same
//! keys and compared with all names in turn, which takes 2 to 5 ms and leaves no structure to keep right. Ranking: a name that fits with its marks beats one that fits without tones, and that
//! beats one that fits without marks; within a tier, the whole name beats its beginning, and so on.

use std::collections::BTreeMap;

use serde::Serialize;
use toso_core::text;
use toso_core::unit::UnitRef;

use crate::kind::UnitKind;
use crate::table::ListTable;
use crate::unit::Unit;

/// How much of a text is read, in characters. The longest name is 40; a path of three is below 120.
pub const QUERY_CHARS_MAX: usize = 120;

/// How closely the letters fit. Best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// With all marks; where a tone stands (hòa, hoà) and case do not matter.
    Exact,
    /// But for the tones.
    ToneInsensitive,
    /// But for any marks; đ as d.
    Folded,
}

/// Where in the name the text was found. Best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// It is the name, with or without its kind word.
    Whole,
    /// The name begins with it.
    Prefix,
    /// It begins at a later word of the name.
    Inner,
    /// Each of its words begins a word of the name, in any order.
    Words,
    /// The name and those of its wider units have all its words together. Only when nothing fits better.
    Path,
    /// It is only (the beginning of) a kind word.
    Kind,
}

/// How well a unit fits. The better rank is the smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Rank {
    /// How closely.
    pub tier: Tier,
    /// Where.
    pub position: Match,
}

/// A unit found by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// The unit.
    pub unit: UnitRef,
    /// How well it fits.
    pub rank: Rank,
}

const TIERS: [Tier; 3] = [Tier::Exact, Tier::ToneInsensitive, Tier::Folded];

/// Abbreviations of kind words that may open a text.
const KIND_SHORT: [(&str, &str); 8] = [
    ("tp", "thành phố"),
    ("tx", "thị xã"),
    ("tt", "thị trấn"),
    ("p", "phường"),
    ("q", "quận"),
    ("h", "huyện"),
    ("x", "xã"),
    ("t", "tỉnh"),
];

/// Names that everybody shortens.
const NAME_SHORT: [(&str, &str); 2] = [("hcm", "hồ chí minh"), ("tphcm", "thành phố hồ chí minh")];

/// The names of one list as search keys, in Vietnamese order, so that equal hits stand in it too.
#[derive(Debug)]
pub(crate) struct SearchIndex {
    /// Positions in the list's table, in the order of the keys.
    order: Vec<u16>,
    /// The place in `order` by position.
    places: Vec<u16>,
    /// By [`TIERS`].
    keys: [KeyColumn; TIERS.len()],
}

/// One key of every unit, end to end in one text: 15,000 small allocations fewer.
#[derive(Debug, Default)]
struct KeyColumn {
    text: String,
    /// Where each key ends, and how long its kind word and the blank after it are.
    spans: Vec<(u32, u8)>,
}

/// A name's key.
#[derive(Clone, Copy)]
struct NameKey<'a> {
    full: &'a str,
    bare: &'a str,
}

impl SearchIndex {
    pub(crate) fn build(table: &ListTable) -> Self {
        let mut kind_words = BTreeMap::new();
        for kind in UnitKind::ALL {
            kind_words.insert(kind, TIERS.map(|tier| key(tier, kind.word())));
        }
        let mut keys: [KeyColumn; TIERS.len()] = Default::default();
        let order = table.vietnamese_order();
        let mut places = vec![0; order.len()];
        for (position, place) in order.iter().zip(0u16..) {
            if let Some(slot) = places.get_mut(usize::from(*position)) {
                *slot = place;
            }
        }
        for unit in order.iter().filter_map(|position| Some(&table.node(*position)?.unit)) {
            for ((column, tier), kind) in
                keys.iter_mut().zip(TIERS).zip(kind_words.get(&unit.kind).into_iter().flatten())
            {
                column.push(kind, &key(tier, unit.name_without_kind()));
            }
        }
        Self { order, places, keys }
    }

    pub(crate) fn search(&self, table: &ListTable, text: &str, limit: usize) -> Vec<Hit> {
        let queries = Query::readings(text);
        let mut hits = self.ranked(table, &queries, |names, query, _| query.rank(names));
        if hits.is_empty() {
            hits = self.ranked(table, &queries, |names, query, unit| {
                let [_, _, name] = names;
                let [_, _, text] = &query.name;
                let fits = name.begins_word_with(text.split(' ').next()?)
                    && text.split(' ').all(|word| {
                        name.begins_word_with(word)
                            || self.names_above(table, unit).any(|above| above.begins_word_with(word))
                    });
                fits.then_some(Rank { tier: Tier::Folded, position: Match::Path })
            });
        }
        // Wider units first among equals; then a stable sort keeps the Vietnamese order.
        hits.sort_by_key(|(rank, unit)| (*rank, unit.level));
        hits.into_iter().take(limit).map(|(rank, unit)| Hit { unit: unit.unit, rank }).collect()
    }

    /// The units that fit a reading of the text, each with its best rank, in Vietnamese order.
    fn ranked<'t>(
        &self,
        table: &'t ListTable,
        queries: &[Query],
        rank: impl Fn([NameKey<'_>; TIERS.len()], &Query, &Unit) -> Option<Rank>,
    ) -> Vec<(Rank, &'t Unit)> {
        let [exact, toneless, folded] = &self.keys;
        let names = exact.iter().zip(toneless.iter()).zip(folded.iter());
        names
            .zip(&self.order)
            .filter_map(|(((exact, toneless), folded), position)| {
                let unit = &table.node(*position)?.unit;
                let best = queries
                    .iter()
                    .filter(|query| self.lies_in(table, unit, query))
                    .filter_map(|query| rank([exact, toneless, folded], query, unit));
                Some((best.min()?, unit))
            })
            .collect()
    }

    /// Whether the units above have the names that the text gives after commas.
    fn lies_in(&self, table: &ListTable, unit: &Unit, query: &Query) -> bool {
        query.above.iter().all(|text| self.names_above(table, unit).any(|above| above.position(text).is_some()))
    }

    /// The folded keys of the units above one.
    fn names_above<'a>(&'a self, table: &'a ListTable, unit: &Unit) -> impl Iterator<Item = NameKey<'a>> {
        let [_, _, folded] = &self.keys;
        let places = &self.places;
        table.ancestors(unit.unit.code).filter_map(move |above| {
            let position = table.position(above.unit.code)?;
            folded.get(*places.get(usize::from(position))?)
        })
    }
}

impl KeyColumn {
    fn push(&mut self, kind: &str, bare: &str) {
        let start = self.text.len();
        if !kind.is_empty() {
            self.text.push_str(kind);
            self.text.push(' ');
        }
        let kind_len = u8::try_from(self.text.len() - start).unwrap_or_default();
        self.text.push_str(bare);
        // The names of a list together are a few hundred KB.
        self.spans.push((u32::try_from(self.text.len()).unwrap_or(u32::MAX), kind_len));
    }

    fn get(&self, place: u16) -> Option<NameKey<'_>> {
        let place = usize::from(place);
        let start = place.checked_sub(1).and_then(|before| self.spans.get(before)).map_or(0, |(end, _)| *end);
        self.spans.get(place).and_then(|span| self.slice(start, *span))
    }

    fn iter(&self) -> impl Iterator<Item = NameKey<'_>> {
        let mut start = 0;
        self.spans.iter().filter_map(move |span| {
            let name = self.slice(start, *span);
            start = span.0;
            name
        })
    }

    fn slice(&self, start: u32, (end, kind_len): (u32, u8)) -> Option<NameKey<'_>> {
        let full = self.text.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
        Some(NameKey { full, bare: full.get(usize::from(kind_len)..)? })
    }
}

impl NameKey<'_> {
    /// Where a text stands in the name.
    fn position(self, text: &str) -> Option<Match> {
        if text.is_empty() {
            None
        } else if text == self.bare || text == self.full {
            Some(Match::Whole)
        } else if self.bare.starts_with(text) {
            Some(Match::Prefix)
        } else if self.full.starts_with(text) {
            let beyond_kind = text.len() > self.full.len() - self.bare.len();
            Some(if beyond_kind { Match::Prefix } else { Match::Kind })
        } else if begins_later_word(self.bare, text) {
            Some(Match::Inner)
        } else if text.contains(' ') && text.split(' ').all(|word| self.begins_word_with(word)) {
            Some(Match::Words)
        } else {
            None
        }
    }

    /// Whether a word of the name or of its kind begins so.
    fn begins_word_with(self, word: &str) -> bool {
        self.full.split(' ').any(|own| own.starts_with(word))
    }
}

fn begins_later_word(name: &str, text: &str) -> bool {
    name.match_indices(' ').any(|(at, blank)| name.get(at + blank.len()..).is_some_and(|rest| rest.starts_with(text)))
}

/// One reading of what a person typed.
#[derive(Debug, PartialEq, Eq)]
struct Query {
    /// The name, by [`TIERS`].
    name: [String; TIERS.len()],
    /// The folded names of wider units, given after commas.
    above: Vec<String>,
}

impl Query {
    /// The text as it stands and with abbreviations spelt out.
    fn readings(text: &str) -> Vec<Self> {
        let text: String = text.chars().take(QUERY_CHARS_MAX).collect();
        if key(Tier::Folded, text.split(',').next().unwrap_or_default()).is_empty() {
            return Vec::new();
        }
        let mut readings = vec![Self::new(&text)];
        let spelt: Vec<_> = text.split(',').map(spell_out).collect();
        if spelt.iter().any(Option::is_some) {
            let parts: Vec<_> = text.split(',').zip(spelt).map(|(part, spelt)| spelt.unwrap_or(part.into())).collect();
            readings.push(Self::new(&parts.join(",")));
        }
        readings
    }

    /// How well a name fits.
    ///
    /// A text without any marks says nothing about them, so there only a whole name is better for having none: `dong`
    /// finds Dong, then Đông and Đồng, before names that merely contain Dong. A kind word tells least of all.
    fn rank(&self, names: [NameKey<'_>; TIERS.len()]) -> Option<Rank> {
        let [exact, _, folded] = &self.name;
        let marked = exact != folded;
        TIERS.into_iter().zip(names).zip(&self.name).find_map(|((tier, name), text)| {
            let position = name.position(text)?;
            let telling = match position {
                Match::Whole => true,
                Match::Kind => false,
                Match::Prefix | Match::Inner | Match::Words | Match::Path => marked,
            };
            (telling || tier == Tier::Folded).then_some(Rank { tier, position })
        })
    }

    fn new(text: &str) -> Self {
        let mut parts = text.split(',');
        let name = parts.next().unwrap_or_default();
        Self {
            name: TIERS.map(|tier| key(tier, name)),
            above: parts.map(|part| key(Tier::Folded, part)).filter(|part| !part.is_empty()).collect(),
        }
    }
}

/// The text with its abbreviations spelt out, if it has any: `p.1` → `phường 1`, `TP HCM` → `thành phố hồ chí minh`.
fn spell_out(text: &str) -> Option<String> {
    let text = key(Tier::Exact, text);
    let (first, rest) = text.split_once(' ').unwrap_or((&text, ""));
    // `q1`: letters and digits without a blank.
    let (letters, digits) = first.split_at(first.find(|c: char| c.is_ascii_digit()).unwrap_or(first.len()));
    let long = |table: &[(&str, &'static str)], short: &str| {
        table.iter().find(|(abbreviation, _)| *abbreviation == short).map(|(_, long)| *long)
    };
    let kind = long(&KIND_SHORT, letters).filter(|_| !(digits.is_empty() && rest.is_empty()));
    let rest_long = long(&NAME_SHORT, rest);
    let first_long = if rest.is_empty() { long(&NAME_SHORT, first) } else { None };
    if kind.is_none() && rest_long.is_none() && first_long.is_none() {
        return None;
    }
    let opening = [kind.or(first_long).unwrap_or(first), if kind.is_some() { digits } else { "" }];
    let words = opening.into_iter().chain([rest_long.unwrap_or(rest)]).filter(|words| !words.is_empty());
    Some(words.collect::<Vec<_>>().join(" "))
}

/// A text under a tier's key. All three keys part the same words, so what fits a stricter tier fits the looser ones.
fn key(tier: Tier, name: &str) -> String {
    match tier {
        Tier::Exact => text::same_name_key(name),
        Tier::ToneInsensitive => text::toneless_key(name),
        Tier::Folded => text::search_key(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abbreviations_are_spelt_out() {
        assert_eq!(spell_out("P.1").unwrap(), "phường 1");
        assert_eq!(spell_out("q1").unwrap(), "quận 1");
        assert_eq!(spell_out("TP. HCM").unwrap(), "thành phố hồ chí minh");
        assert_eq!(spell_out("tphcm").unwrap(), "thành phố hồ chí minh");
        assert_eq!(spell_out("tx Sơn Tây").unwrap(), "thị xã sơn tây");
        assert_eq!(spell_out("Phường 1"), None);
        assert_eq!(spell_out("x"), None, "a lone letter is the beginning of a name");
        assert_eq!(spell_out(""), None);
    }

    #[test]
    fn keys_part_words_and_drop_zeros() {
        assert_eq!(key(Tier::Folded, "Bà Rịa - Vũng Tàu"), "ba ria vung tau");
        assert_eq!(key(Tier::Exact, "Phường 01"), "phường 1");
        assert_eq!(key(Tier::Folded, "Cư M’gar"), "cu mgar");
        assert_eq!(key(Tier::Exact, "Hoà Bình"), key(Tier::Exact, "HÒA BÌNH"));
        assert_eq!(key(Tier::ToneInsensitive, "Hòa"), key(Tier::ToneInsensitive, "Hoạ"));
        assert_ne!(key(Tier::ToneInsensitive, "Đa"), key(Tier::ToneInsensitive, "Da"));
    }

    #[test]
    fn a_text_is_read_up_to_its_limit() {
        let at = "a".repeat(QUERY_CHARS_MAX);
        assert_eq!(Query::readings(&at), Query::readings(&format!("{at}b")));
        let below = "a".repeat(QUERY_CHARS_MAX - 1);
        assert_ne!(Query::readings(&below), Query::readings(&format!("{below}b")));
    }

    #[test]
    fn positions_are_told_apart() {
        let name = NameKey { full: "xa tan an hoi", bare: "tan an hoi" };
        for (text, position) in [
            ("tan an hoi", Some(Match::Whole)),
            ("xa tan an hoi", Some(Match::Whole)),
            ("tan a", Some(Match::Prefix)),
            ("xa tan", Some(Match::Prefix)),
            ("an h", Some(Match::Inner)),
            ("hoi an", Some(Match::Words)),
            ("xa", Some(Match::Kind)),
            ("xa ", Some(Match::Kind)),
            ("n an", None),
            ("", None),
        ] {
            assert_eq!(name.position(text), position, "{text:?}");
        }
    }
}
