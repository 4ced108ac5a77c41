//! Questions that span the two lists. All go by lineage, and where lineage leaves a choice, by the default line.

use toso_core::unit::{UnitList, UnitRef};

use super::Catalog;
use crate::error::CatalogError;
use crate::kind::Level;
use crate::lineage::{Lineage, Translation};

impl Catalog {
    /// What became of a scope of 2022: its default successor first. Empty for any other unit.
    pub fn successors(&self, old: UnitRef) -> &[Lineage] {
        let index =
            Some(old).filter(|old| old.list == UnitList::L2022).and_then(|old| self.l2022().scope_index(old.code));
        index.map(|index| self.lineage().successors(index)).unwrap_or_default()
    }

    /// What a commune of 2025 was made of: those whose default successor it is first. Empty for any other unit.
    pub fn predecessors(&self, new: UnitRef) -> impl Iterator<Item = &Lineage> {
        let index =
            Some(new).filter(|new| new.list == UnitList::L2025).and_then(|new| self.l2025().scope_index(new.code));
        index.into_iter().flat_map(|index| self.lineage().predecessors(index))
    }

    /// The unit of 2025 that stands for a scope, a province or the country of 2022. `None` for districts, which have no
    /// successor, and for units of 2025.
    pub fn default_successor(&self, old: UnitRef) -> Option<UnitRef> {
        if old.list != UnitList::L2022 {
            return None;
        }
        let list = UnitList::L2025;
        match self.get(old)?.level {
            Level::Country => Some(UnitRef::country(list)),
            Level::Province => Some(UnitRef { list, code: self.lineage().province_successor(old.code)? }),
            Level::District | Level::Commune => {
                self.successors(old).first().filter(|line| line.is_default).map(|line| line.to)
            }
        }
    }

    /// The provinces of 2022 that a province of 2025 was made of, in Vietnamese order. No old province was split.
    pub fn province_predecessors(&self, new: UnitRef) -> impl Iterator<Item = UnitRef> {
        self.provinces(UnitList::L2022)
            .map(|province| province.unit)
            .filter(move |old| self.default_successor(*old) == Some(new))
    }

    /// What a unit of either list is in a list. A unit of that very list is itself.
    ///
    /// Works for scopes, provinces and the country. A district that has communes has no counterpart: that is an error.
    pub fn translate(&self, unit: UnitRef, to: UnitList) -> Result<Translation, CatalogError> {
        let found = self.lookup(unit)?;
        if unit.list == to {
            return Ok(Translation::Exact(unit));
        }
        let candidates: Vec<UnitRef> = match (found.level, to) {
            (Level::Country, UnitList::L2022 | UnitList::L2025) => vec![UnitRef::country(to)],
            (Level::Province, UnitList::L2025) => self.default_successor(unit).into_iter().collect(),
            (Level::Province, UnitList::L2022) => self.province_predecessors(unit).collect(),
            (Level::District | Level::Commune, UnitList::L2025) => {
                self.successors(unit).iter().map(|line| line.to).collect()
            }
            (Level::District | Level::Commune, UnitList::L2022) => {
                self.predecessors(unit).map(|line| line.from).collect()
            }
        };
        match (candidates.as_slice(), to) {
            ([], _) => Err(CatalogError::NoCounterpart { unit, name: found.name.clone(), to }),
            ([only], _) => Ok(Translation::Exact(*only)),
            ([default, others @ ..], UnitList::L2025) => {
                Ok(Translation::Partial { default: *default, others: others.to_vec() })
            }
            _ => Ok(Translation::Ambiguous { candidates }),
        }
    }

    /// Whether a right over `ancestor` is a right over `unit`, whichever lists they are of. False for unknown units.
    ///
    /// Across lists: a scope of 2022 is covered where its default successor lies. A commune of 2025 is covered by a unit
    /// of 2022 that contains *every* scope whose default successor it is (for the one commune that is nobody's default,
    /// 00340 Yên Sở: every scope it took a part of), since a right over one of several merged communes is none over the
    /// others. A wider unit is covered when every scope below it is.
    pub fn covers(&self, ancestor: UnitRef, unit: UnitRef) -> bool {
        if ancestor.list == unit.list {
            return self.contains(ancestor, unit);
        }
        if self.get(ancestor).is_none() {
            return false;
        }
        let scopes = self.scopes_under(unit);
        !scopes.is_empty() && scopes.iter().all(|scope| self.covers_scope(ancestor, *scope))
    }

    /// [`Catalog::covers`] of a scope of the other list.
    fn covers_scope(&self, ancestor: UnitRef, scope: UnitRef) -> bool {
        if scope.list == UnitList::L2022 {
            return self.default_successor(scope).is_some_and(|new| self.contains(ancestor, new));
        }
        let any_default = self.predecessors(scope).any(|line| line.is_default);
        let mut heirs = self.predecessors(scope).filter(|line| line.is_default || !any_default).peekable();
        heirs.peek().is_some() && heirs.all(|line| self.contains(ancestor, line.from))
    }

    /// Every scope of any list that a right over a unit covers: those of its own list, then those of the other, each in
    /// the order of [`Catalog::scopes_under`]. Agrees with [`Catalog::covers`].
    pub fn scopes_under_all_lists(&self, unit: UnitRef) -> Vec<UnitRef> {
        let own = self.scopes_under(unit);
        let (mut other, table) = if unit.list == UnitList::L2022 {
            let new: Vec<_> = own.iter().flat_map(|scope| self.successors(*scope)).map(|line| line.to).collect();
            (new, self.l2025())
        } else {
            let old: Vec<_> = own.iter().flat_map(|scope| self.predecessors(*scope)).map(|line| line.from).collect();
            (old, self.l2022())
        };
        other.sort_by_cached_key(|scope| table.scope_index(scope.code));
        other.dedup();
        other.retain(|scope| self.covers_scope(unit, *scope));
        own.iter().copied().chain(other).collect()
    }
}
