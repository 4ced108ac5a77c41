//! Lists of documents under a unit, as ids with rows; code that shows them reads names from the documents.
//!
//! A unit's list holds exactly the documents that its counters can count: those of every scope, of either list, whose
//! figures go to the unit or to one below it.

use std::ops::Bound;

use serde::{Deserialize, Serialize};
use toso_core::id::DocId;
use toso_core::unit::{Scope, UnitRef};

use crate::counting::Counting;
use crate::projector::{Freshness, Place, Projector};
use crate::report::ProjectionError;
use crate::row::{MemberRow, Row, TeamRow};

/// The most items of one [`Page`]: a member's view is about 120 B, so a page stays near 120 KB.
pub const PAGE_ITEMS_MAX: usize = 1000;

/// Where a page ends; the next begins after it. Valid also when its document has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    /// Scope of the last item.
    pub scope: Scope,
    /// Its id.
    pub doc: DocId,
}

/// Some items of a list, by scope and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where to go on; `None` when there is no more.
    pub next: Option<Cursor>,
}

/// A team in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamView {
    /// Its scope.
    pub scope: Scope,
    /// Its id.
    pub doc: DocId,
    /// Its row.
    pub row: TeamRow,
    /// Whether it counts.
    pub counts: bool,
    /// The team that stands for it: itself unless merged.
    pub target: DocId,
    /// Its members that count, those of teams merged into it included.
    pub members: u64,
}

/// A member in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// Its scope.
    pub scope: Scope,
    /// Its id.
    pub doc: DocId,
    /// Its row.
    pub row: MemberRow,
    /// Whether it counts.
    pub counts: bool,
    /// The member that stands for it: itself unless merged.
    pub target: DocId,
    /// The team it is in now; `None` when that team is not here.
    pub team: Option<DocId>,
}

impl Projector {
    /// Teams under a unit, at most `limit` (and [`PAGE_ITEMS_MAX`]).
    pub fn teams_in(
        &self,
        unit: UnitRef,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<TeamView>, ProjectionError> {
        self.page(unit, after, limit, |scope, place, counting, doc| match place.rows.get(&doc) {
            Some(Row::Team(row)) => Some(team_view(scope, counting, doc, row)),
            _ => None,
        })
    }

    /// Members under a unit, at most `limit` (and [`PAGE_ITEMS_MAX`]).
    pub fn members_in(
        &self,
        unit: UnitRef,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<MemberView>, ProjectionError> {
        self.page(unit, after, limit, |scope, place, counting, doc| match place.rows.get(&doc) {
            Some(Row::Member(row)) => Some(member_view(scope, counting, doc, row)),
            _ => None,
        })
    }

    /// One team; `None` when it is not here.
    pub fn team(&self, team: DocId) -> Option<TeamView> {
        let scope = self.scope_of(team)?;
        let place = self.places.get(&scope)?;
        let Some(Row::Team(row)) = place.rows.get(&team) else { return None };
        Some(team_view(scope, &Counting::new(&place.rows), team, row))
    }

    /// Everybody who is or was in a team, by id; those of teams merged into it included.
    pub fn members_of(&self, team: DocId) -> Vec<MemberView> {
        let Some((scope, place)) = self.scope_of(team).and_then(|scope| Some((scope, self.places.get(&scope)?))) else {
            return Vec::new();
        };
        let counting = Counting::new(&place.rows);
        let members = place.rows.iter().filter_map(|(doc, row)| match row {
            Row::Member(row) => Some(member_view(scope, &counting, *doc, row)),
            Row::Commune(_) | Row::Team(_) | Row::Other => None,
        });
        members.filter(|member| member.team == Some(team)).collect()
    }

    /// The newest change under a unit; `None` when nothing ever came from there.
    pub fn freshness(&self, unit: UnitRef) -> Result<Option<Freshness>, ProjectionError> {
        Ok(self.places_under(unit, None)?.filter_map(|(_, place)| Self::changed(place)).max())
    }

    fn page<T>(
        &self,
        unit: UnitRef,
        after: Option<Cursor>,
        limit: usize,
        view: impl Fn(Scope, &Place, &Counting<'_>, DocId) -> Option<T>,
    ) -> Result<Page<T>, ProjectionError> {
        let limit = limit.clamp(1, PAGE_ITEMS_MAX);
        let mut page = Page { items: Vec::new(), next: None };
        let mut last = None;
        for (scope, place) in self.places_under(unit, after.map(|cursor| cursor.scope))? {
            let from = match after {
                Some(cursor) if cursor.scope == scope => Bound::Excluded(cursor.doc),
                _ => Bound::Unbounded,
            };
            let counting = Counting::new(&place.rows);
            for doc in place.rows.range((from, Bound::Unbounded)).map(|(doc, _)| *doc) {
                let Some(item) = view(scope, place, &counting, doc) else { continue };
                if page.items.len() == limit {
                    page.next = last;
                    return Ok(page);
                }
                page.items.push(item);
                last = Some(Cursor { scope, doc });
            }
        }
        Ok(page)
    }

    /// The scopes whose figures go to a unit or below it, from a scope on.
    fn places_under(
        &self,
        unit: UnitRef,
        from: Option<Scope>,
    ) -> Result<impl Iterator<Item = (Scope, &Place)>, ProjectionError> {
        self.units.catalog().lookup(unit)?;
        let node = self.units.node(unit);
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        let under = move |place: &Place| {
            let takers = &place.placement.takers;
            takers.iter().any(|taker| self.units.upward(taker.node).any(|above| Some(above) == node))
        };
        let places = self.places.range((from, Bound::Unbounded)).map(|(scope, place)| (*scope, place));
        Ok(places.filter(move |(_, place)| under(place)))
    }
}

fn team_view(scope: Scope, counting: &Counting<'_>, doc: DocId, row: &TeamRow) -> TeamView {
    TeamView {
        scope,
        doc,
        row: row.clone(),
        counts: counting.team_counts(doc, row),
        target: counting.target(doc),
        members: counting.size_of_team(doc),
    }
}

fn member_view(scope: Scope, counting: &Counting<'_>, doc: DocId, row: &MemberRow) -> MemberView {
    MemberView {
        scope,
        doc,
        row: row.clone(),
        counts: counting.member_counts(doc, row),
        target: counting.target(doc),
        team: counting.team_of(row).map(|(team, _)| team),
    }
}
