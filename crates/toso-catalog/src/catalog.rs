//! The whole catalogue: both lists, the lineage between them, and what is known about them.

mod crossing;

use std::sync::{LazyLock, OnceLock};

use serde::Serialize;
use toso_core::unit::{UnitCode, UnitList, UnitRef};

use crate::dispatch::{Dispatch, DispatchProvince, DispatchStatus};
use crate::embedded;
use crate::error::{CatalogError, DataError, Suggestion};
use crate::kind::Level;
use crate::lineage::LineageTable;
use crate::rename::{self, Rename};
use crate::search::{Hit, SearchIndex};
use crate::table::ListTable;
use crate::unit::Unit;

/// Both unit lists and the lineage between them. Immutable; one per process, from [`Catalog::shared`].
///
/// Each part is unpacked when it is first asked for: a phone that shows its commune needs one list, and not the other, nor
/// what became of 11,000 communes.
#[derive(Debug, Default)]
pub struct Catalog {
    l2022: OnceLock<ListTable>,
    l2025: OnceLock<ListTable>,
    lineage: OnceLock<LineageTable>,
    dispatch: OnceLock<Dispatch>,
    renames: OnceLock<Vec<Rename>>,
    /// By list; built by the first search, since most processes never search.
    search: [OnceLock<SearchIndex>; UnitList::ALL.len()],
}

/// How many units of each level lie at or below a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Provinces.
    pub provinces: usize,
    /// Districts; none since 2025.
    pub districts: usize,
    /// Communes.
    pub communes: usize,
    /// Units that documents belong to: communes, and districts that have none.
    pub scopes: usize,
}

impl Catalog {
    /// The catalogue of this process.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Catalog> = LazyLock::new(Catalog::default);
        &SHARED
    }

    /// Unpacks a whole catalogue of its own, and says what is wrong with it. [`Catalog::shared`] serves every ordinary need.
    pub fn load() -> Result<Self, DataError> {
        let l2022 = load_2022()?;
        let l2025 = load_2025()?;
        let lineage = load_lineage(&l2022, &l2025)?;
        Ok(Self {
            l2022: l2022.into(),
            l2025: l2025.into(),
            lineage: lineage.into(),
            dispatch: embedded::DISPATCH.read(Dispatch::load)?.into(),
            renames: embedded::RENAMES.read(rename::load)?.into(),
            search: Default::default(),
        })
    }

    fn l2022(&self) -> &ListTable {
        self.l2022.get_or_init(|| whole(load_2022()))
    }

    fn l2025(&self) -> &ListTable {
        self.l2025.get_or_init(|| whole(load_2025()))
    }

    fn lineage(&self) -> &LineageTable {
        self.lineage.get_or_init(|| whole(load_lineage(self.l2022(), self.l2025())))
    }

    fn dispatch(&self) -> &Dispatch {
        self.dispatch.get_or_init(|| whole(embedded::DISPATCH.read(Dispatch::load)))
    }

    /// A list's table.
    fn table(&self, list: UnitList) -> &ListTable {
        match list {
            UnitList::L2022 => self.l2022(),
            UnitList::L2025 => self.l2025(),
        }
    }

    /// The unit of a reference.
    pub fn get(&self, unit: UnitRef) -> Option<&Unit> {
        Some(&self.table(unit.list).find(unit.code)?.unit)
    }

    /// The unit of a reference, or an error that says what may have been meant.
    pub fn lookup(&self, unit: UnitRef) -> Result<&Unit, CatalogError> {
        self.get(unit).ok_or_else(|| CatalogError::UnknownUnit { unit, suggestion: self.suggestion(unit) })
    }

    /// The unit of a reference, if documents may belong to it.
    pub fn lookup_scope(&self, unit: UnitRef) -> Result<&Unit, CatalogError> {
        let found = self.lookup(unit)?;
        if self.is_scope(unit) { Ok(found) } else { Err(CatalogError::NotAScope { unit, name: found.name.clone() }) }
    }

    fn suggestion(&self, unit: UnitRef) -> Suggestion {
        let padded = match unit.code.as_str().len() {
            2..=4 => UnitRef::new(unit.list, &format!("{:0>5}", unit.code.as_str())).ok(),
            _ => None,
        };
        // The other list comes first: a code that is right there needs no repair.
        let other = UnitList::ALL.into_iter().filter(|list| *list != unit.list).find_map(|list| {
            let unit = UnitRef { list, code: unit.code };
            self.get(unit).map(|_| unit)
        });
        if let Some(other) = other {
            let now = self.default_successor(other).filter(|now| now.list == unit.list);
            return Suggestion::OtherList {
                unit: other,
                path: self.display_path(other),
                now: now.map(|now| (now, self.display_path(now))),
            };
        }
        match padded.filter(|padded| self.get(*padded).is_some()) {
            Some(padded) => Suggestion::LeadingZero { unit: padded, path: self.display_path(padded) },
            None => Suggestion::Nothing,
        }
    }

    /// Every unit of a list, each right before those below it, the country first, siblings by code.
    pub fn units(&self, list: UnitList) -> impl Iterator<Item = &Unit> {
        self.table(list).units()
    }

    /// The provinces of a list, in Vietnamese order.
    pub fn provinces(&self, list: UnitList) -> impl Iterator<Item = &Unit> {
        self.children(UnitRef::country(list))
    }

    /// The units right below one, in Vietnamese order of their names without kind words, numbers by value. None for an
    /// unknown unit.
    pub fn children(&self, unit: UnitRef) -> impl Iterator<Item = &Unit> {
        let table = self.table(unit.list);
        let below = table.position(unit.code).map(|position| table.children(position)).unwrap_or_default();
        below.iter().filter_map(|child| Some(&table.node(*child)?.unit))
    }

    /// The units above one, nearest first, the country last. None for the country and for an unknown unit.
    pub fn ancestors(&self, unit: UnitRef) -> impl Iterator<Item = &Unit> {
        self.table(unit.list).ancestors(unit.code)
    }

    /// The province that a unit is or lies in; `None` for the country and for an unknown unit.
    pub fn province_of(&self, unit: UnitRef) -> Option<&Unit> {
        let here = self.get(unit)?;
        std::iter::once(here).chain(self.ancestors(unit)).find(|unit| unit.level == Level::Province)
    }

    /// The district that a unit is or lies in; always `None` in the list of 2025.
    pub fn district_of(&self, unit: UnitRef) -> Option<&Unit> {
        let here = self.get(unit)?;
        std::iter::once(here).chain(self.ancestors(unit)).find(|unit| unit.level == Level::District)
    }

    /// Whether `ancestor` is `unit` or lies above it, within one list. False for unknown units: rights fail closed.
    ///
    /// [`Catalog::covers`] answers across lists.
    pub fn contains(&self, ancestor: UnitRef, unit: UnitRef) -> bool {
        ancestor.list == unit.list && self.table(unit.list).contains(ancestor.code, unit.code)
    }

    /// Whether documents may belong to a unit: a commune, or one of the five island districts that have none.
    pub fn is_scope(&self, unit: UnitRef) -> bool {
        self.table(unit.list).scope_index(unit.code).is_some()
    }

    /// The scopes of its own list at or below a unit, by the codes of district and commune. Costs nothing: a slice.
    pub fn scopes_under(&self, unit: UnitRef) -> &[UnitRef] {
        self.table(unit.list).scopes_under(unit.code)
    }

    /// The communes at or below a unit: [`Catalog::scopes_under`] without the districts among them.
    pub fn communes_under(&self, unit: UnitRef) -> impl Iterator<Item = UnitRef> {
        self.scopes_under(unit).iter().copied().filter(|scope| is_commune_code(scope.code))
    }

    /// How many units of each level lie at or below a unit; all zero for an unknown one. Walks the subtree.
    pub fn counts_under(&self, unit: UnitRef) -> Counts {
        let mut counts = Counts { scopes: self.scopes_under(unit).len(), ..Counts::default() };
        counts.communes = self.communes_under(unit).count();
        match self.get(unit).map(|unit| unit.level) {
            Some(Level::Country) => {
                for province in self.children(unit) {
                    counts.provinces += 1;
                    counts.districts +=
                        self.children(province.unit).filter(|unit| unit.level == Level::District).count();
                }
            }
            Some(Level::Province) => {
                counts.provinces = 1;
                counts.districts = self.children(unit).filter(|unit| unit.level == Level::District).count();
            }
            Some(Level::District) => counts.districts = 1,
            _ => {}
        }
        counts
    }

    /// A unit's name with those above it below the country, `Phường Trúc Bạch, Quận Ba Đình, Thành phố Hà Nội`, so that
    /// no two units of a list look alike. The reference itself (`2022/99999`) for an unknown unit.
    pub fn display_path(&self, unit: UnitRef) -> String {
        let Some(here) = self.get(unit) else { return unit.to_string() };
        let mut path = String::from(&*here.name);
        for above in self.ancestors(unit).filter(|unit| unit.level != Level::Country) {
            path.push_str(", ");
            path.push_str(&above.name);
        }
        path
    }

    /// The units of a list whose names fit a text, best first, at most `limit`.
    ///
    /// The text may have all marks, some or none, any case, kind words or their abbreviations (`p. 1`, `tp ha noi`) or
    /// none, and wider units after commas (`tan an, long an`) or just behind the name. Only its first
    /// [`QUERY_CHARS_MAX`](crate::QUERY_CHARS_MAX) characters are read. Many communes share a name: show hits with their
    /// [`Catalog::display_path`]. The first search of a list builds its index, which takes a
    /// tenth of a second.
    pub fn search(&self, list: UnitList, text: &str, limit: usize) -> Vec<Hit> {
        let Some(index) = self.search_index(list) else { return Vec::new() };
        index.search(self.table(list), text, limit)
    }

    fn search_index(&self, list: UnitList) -> Option<&SearchIndex> {
        let place = UnitList::ALL.iter().position(|other| *other == list)?;
        Some(self.search.get(place)?.get_or_init(|| SearchIndex::build(self.table(list))))
    }

    /// How far a province of 2022 had come by the dispatch of 19/9/2022; `None` for any other unit.
    pub fn dispatch_status(&self, province: UnitRef) -> Option<DispatchStatus> {
        Some(self.dispatch().province(province)?.status)
    }

    /// All 63 provinces of the dispatch, by code.
    pub fn dispatch_provinces(&self) -> &[DispatchProvince] {
        &self.dispatch().provinces
    }

    /// The provinces of one status, in the order of the dispatch's footnote; complete ones, which have none, by code.
    pub fn dispatch_listed(&self, status: DispatchStatus) -> Vec<DispatchProvince> {
        let mut listed: Vec<_> = self.dispatch().provinces.iter().filter(|p| p.status == status).copied().collect();
        listed.sort_by_key(|province| province.footnote_order);
        listed
    }

    /// What is known to have been renamed since a list was fixed: notes of one source, see [`Rename`].
    pub fn renames_since(&self, list: UnitList) -> impl Iterator<Item = &Rename> {
        let renames = self.renames.get_or_init(|| whole(embedded::RENAMES.read(rename::load)));
        renames.iter().filter(move |rename| rename.unit.list == list)
    }
}

fn load_2022() -> Result<ListTable, DataError> {
    embedded::UNITS_2022.read(|source| ListTable::load(UnitList::L2022, source))
}

fn load_2025() -> Result<ListTable, DataError> {
    embedded::UNITS_2025.read(|source| ListTable::load(UnitList::L2025, source))
}

fn load_lineage(old: &ListTable, new: &ListTable) -> Result<LineageTable, DataError> {
    embedded::LINEAGE.read(|lines| embedded::PROVINCES.read(|provinces| LineageTable::load(lines, provinces, old, new)))
}

/// What is built into the program cannot be damaged by any input.
fn whole<T>(loaded: Result<T, DataError>) -> T {
    loaded.expect("the embedded unit lists are whole; this crate's tests load all of them")
}

/// Only communes have five digits.
fn is_commune_code(code: UnitCode) -> bool {
    code.as_str().len() == toso_core::unit::UNIT_CODE_DIGITS_MAX
}
