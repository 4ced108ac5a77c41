//! Rows by scope, counters by unit, and the bookkeeping that keeps the second equal to the first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use toso_catalog::Catalog;
use toso_core::id::{DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};

use crate::counting::Counting;
use crate::figures::Figures;
use crate::row::Row;
use crate::units::{Node, Placement, Units};

/// The views and aggregates of everything that was applied.
///
/// Applying is cheap and order does not matter. Questions take `&mut self`, because the first one after a change settles
/// the counters of the changed scopes.
#[derive(Debug)]
pub struct Projector {
    pub(crate) units: Units,
    pub(crate) places: BTreeMap<Scope, Place>,
    /// The scope of every document.
    pub(crate) scopes: HashMap<DocId, Scope>,
    /// Counters by node of [`Units`].
    figures: Vec<Figures>,
    /// For each node, how many scopes with teams make it a commune with teams.
    scopes_with_teams: Vec<u32>,
    /// Scopes whose counters are behind their rows.
    dirty: BTreeSet<Scope>,
    /// Scopes that changed since the last [`Self::advance`].
    touched: BTreeSet<Scope>,
    through: Sequence,
    through_at: TimestampMs,
}

/// A scope's rows.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) rows: BTreeMap<DocId, Row>,
    pub(crate) placement: Placement,
    /// What the scope has added to the counters.
    added: Figures,
    changed: Option<Freshness>,
}

/// When something last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Freshness {
    /// The log's sequence through which the change was counted.
    pub sequence: Sequence,
    /// When the server got it.
    pub at: TimestampMs,
}

/// Where two projectors differ first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// One has documents in a scope that the other has not, or has them with other content.
    #[error("the documents of scope {0} differ between the two views; rebuild them from the log")]
    Rows(Scope),
    /// The rows are equal and a counter is not.
    #[error("the counters of unit {0} differ between the two views over equal documents; rebuild them from the log")]
    Figures(UnitRef),
}

impl Projector {
    /// A projector over nothing.
    pub fn new(catalog: &'static Catalog) -> Self {
        let units = Units::new(catalog);
        Self {
            places: BTreeMap::new(),
            scopes: HashMap::new(),
            figures: vec![Figures::default(); units.len()],
            scopes_with_teams: vec![0; units.len()],
            dirty: BTreeSet::new(),
            touched: BTreeSet::new(),
            through: Sequence::ZERO,
            through_at: TimestampMs::default(),
            units,
        }
    }

    /// Puts in a document's row, in the place of an older one. A scope that no list knows is kept and counted as
    /// unplaced.
    pub fn apply(&mut self, scope: Scope, doc: DocId, row: Row) {
        if let Some(before) = self.scopes.insert(doc, scope).filter(|before| *before != scope) {
            // Ids carry their scope, so this takes a forged one; it must not be counted twice.
            self.take_out(before, doc);
        }
        let place = self.places.entry(scope).or_insert_with(|| Place {
            rows: BTreeMap::new(),
            placement: self.units.place(scope),
            added: Figures::default(),
            changed: None,
        });
        if place.rows.get(&doc) != Some(&row) {
            place.rows.insert(doc, row);
            self.dirty.insert(scope);
        }
        // Also a change that no counter shows is news of the commune.
        self.touched.insert(scope);
    }

    /// Takes a document out, as an erasure does. Unknown ids are ignored.
    pub fn remove(&mut self, doc: DocId) {
        if let Some(scope) = self.scopes.remove(&doc) {
            self.take_out(scope, doc);
        }
    }

    fn take_out(&mut self, scope: Scope, doc: DocId) {
        if self.places.get_mut(&scope).is_some_and(|place| place.rows.remove(&doc).is_some()) {
            self.dirty.insert(scope);
            self.touched.insert(scope);
        }
    }

    /// Says that everything through a sequence has been applied, and when the server got the newest of it. Scopes
    /// changed since the last call are as fresh as this one. A sequence from the past changes nothing but that.
    pub fn advance(&mut self, through: Sequence, at: TimestampMs) {
        if through >= self.through {
            (self.through, self.through_at) = (through, at);
        }
        for scope in std::mem::take(&mut self.touched) {
            self.mark(scope, through, at);
        }
    }

    /// Sets how fresh a scope is, for a server that loads its rows from a table: [`Self::advance`] would call all of
    /// them fresh. An older mark than the known one is ignored.
    pub fn mark(&mut self, scope: Scope, sequence: Sequence, at: TimestampMs) {
        self.touched.remove(&scope);
        if let Some(place) = self.places.get_mut(&scope) {
            place.changed = place.changed.max(Some(Freshness { sequence, at }));
        }
    }

    /// Everything at or below this sequence is counted.
    pub fn as_of(&self) -> Sequence {
        self.through
    }

    /// When the server got the newest counted chunk; zero before the first.
    pub fn as_of_time(&self) -> TimestampMs {
        self.through_at
    }

    /// How many documents are here.
    pub fn documents(&self) -> usize {
        self.scopes.len()
    }

    /// The scope of a document.
    pub fn scope_of(&self, doc: DocId) -> Option<Scope> {
        self.scopes.get(&doc).copied()
    }

    /// A document's row.
    pub fn row(&self, doc: DocId) -> Option<&Row> {
        self.places.get(self.scopes.get(&doc)?)?.rows.get(&doc)
    }

    /// Every row, by scope and id.
    pub fn rows(&self) -> impl Iterator<Item = (Scope, DocId, &Row)> {
        self.places.iter().flat_map(|(scope, place)| place.rows.iter().map(|(doc, row)| (*scope, *doc, row)))
    }

    /// The last change of a scope itself.
    pub(crate) fn changed(place: &Place) -> Option<Freshness> {
        place.changed
    }

    /// Settles the counters of all changed scopes. Questions do it by themselves; a server may do it ahead of them.
    pub fn refresh(&mut self) {
        for scope in std::mem::take(&mut self.dirty) {
            let Some(place) = self.places.get_mut(&scope) else { continue };
            let now = Counting::new(&place.rows).figures();
            let before = std::mem::replace(&mut place.added, now);
            if now == before {
                continue;
            }
            for taker in &place.placement.takers {
                let (now, before) = (share(now, taker.own), share(before, taker.own));
                for node in self.units.upward(taker.node) {
                    if let Some(figures) = self.figures.get_mut(node) {
                        figures.add(&now);
                        figures.sub(&before);
                    }
                }
            }
            let (had, has) = (before.teams > 0, now.teams > 0);
            if had != has {
                for commune in place.placement.communes.clone() {
                    self.count_scope_with_teams(commune, has);
                }
            }
        }
    }

    /// A commune has one more, or one less, scope that gives it teams.
    fn count_scope_with_teams(&mut self, commune: Node, more: bool) {
        let Some(scopes) = self.scopes_with_teams.get_mut(commune) else { return };
        let before = *scopes;
        *scopes = if more { before + 1 } else { before - 1 };
        if (before > 0) == (*scopes > 0) {
            return;
        }
        for node in self.units.upward(commune) {
            if let Some(figures) = self.figures.get_mut(node) {
                let with_teams = &mut figures.communes_with_teams;
                *with_teams = if more { *with_teams + 1 } else { *with_teams - 1 };
            }
        }
    }

    /// A unit's counters; all zero for a unit that no list knows.
    pub fn figures(&mut self, unit: UnitRef) -> Figures {
        self.refresh();
        self.settled(unit)
    }

    /// A unit's counters after [`Self::refresh`].
    pub(crate) fn settled(&self, unit: UnitRef) -> Figures {
        self.units.node(unit).and_then(|node| self.figures.get(node)).copied().unwrap_or_default()
    }

    /// The same documents, counted afresh.
    pub fn rebuilt(&self) -> Self {
        let mut fresh = Self::new(self.units.catalog());
        for (scope, doc, row) in self.rows() {
            fresh.apply(scope, doc, row.clone());
        }
        fresh.advance(self.through, self.through_at);
        fresh
    }

    /// Where another projector differs; `None` when both give the same answer to every question about documents and
    /// counters. (Freshness is not compared: it depends on how the log was cut into steps.)
    pub fn first_difference(&mut self, other: &mut Self) -> Option<Difference> {
        self.refresh();
        other.refresh();
        let scopes: BTreeSet<_> = self.places.keys().chain(other.places.keys()).copied().collect();
        if let Some(scope) = scopes.into_iter().find(|scope| !self.equal_rows(other, *scope)) {
            return Some(Difference::Rows(scope));
        }
        let node = (0..self.units.len()).find(|node| {
            self.figures.get(*node) != other.figures.get(*node)
                || self.scopes_with_teams.get(*node) != other.scopes_with_teams.get(*node)
        })?;
        self.units.unit(node).map(Difference::Figures)
    }

    /// A scope whose documents were all removed equals one that never had any.
    fn equal_rows(&self, other: &Self, scope: Scope) -> bool {
        match (self.places.get(&scope), other.places.get(&scope)) {
            (Some(mine), Some(theirs)) => mine.rows == theirs.rows,
            (mine, theirs) => mine.or(theirs).is_none_or(|place| place.rows.is_empty()),
        }
    }

    /// True when [`Self::first_difference`] finds none.
    pub fn equal_views(&mut self, other: &mut Self) -> bool {
        self.first_difference(other).is_none()
    }
}

/// What a scope adds under a list: a sign-off speaks only for the list of the office that gave it.
fn share(mut figures: Figures, own: bool) -> Figures {
    if !own {
        figures.details.communes_signed_off = 0;
    }
    figures
}
