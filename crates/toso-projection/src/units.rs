//! Where a scope's figures go under each list.
//!
//! **Teams and members** go to exactly one unit of each list, so sums always add up. In its own list that is the scope
//! itself. A scope of 2022 goes to its default successor. A commune of 2025 goes to its only predecessor, or, when it
//! was made of several, to the narrowest unit of 2022 that holds all of them (a district, a province, at worst the
//! country): nobody can say which of them the team belongs to. A scope that is in no list goes to the country. What
//! stands at a unit without belonging to any below it is what reports call *unplaced*.
//!
//! **Having a team** is asked of communes and is more generous. When a commune of 2022 was split, its team may live in
//! any piece, so every commune of 2025 that took a piece is *with teams*; else a commune that inherited only pieces
//! (00340 Yên Sở is nobody's default successor) could never be complete, and a complete province would stop being
//! complete by being read under another list. The other way round, a commune of 2025 tells of a commune of 2022 only
//! when that is its only predecessor.
//!
//! The five island districts of 2022 have no communes, so they never keep a province of 2022 from being complete. Under
//! the list of 2025 they are special zones of commune rank and do: Hải Phòng without a team on Bạch Long Vĩ is complete
//! as of then and incomplete as of now.

use std::collections::HashMap;

use toso_catalog::{Catalog, Level, Translation};
use toso_core::unit::{Scope, UnitList, UnitRef};

/// A unit's place in [`Units`].
pub(crate) type Node = usize;

/// Both lists as one array of nodes.
#[derive(Debug)]
pub(crate) struct Units {
    catalog: &'static Catalog,
    nodes: Vec<UnitNode>,
    by_unit: HashMap<UnitRef, Node>,
}

#[derive(Debug)]
struct UnitNode {
    unit: UnitRef,
    parent: Option<Node>,
    is_commune: bool,
    communes_total: u64,
}

/// Where a scope's figures go.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    /// For each list of [`UnitList::ALL`], the unit that takes the figures.
    pub(crate) takers: Vec<Taker>,
    /// The communes of any list that have a team when the scope has one.
    pub(crate) communes: Vec<Node>,
}

/// The unit that takes a scope's figures under one list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taker {
    pub(crate) node: Node,
    /// Whether the list is the scope's own.
    pub(crate) own: bool,
}

impl Units {
    pub(crate) fn new(catalog: &'static Catalog) -> Self {
        let mut units = Self { catalog, nodes: Vec::new(), by_unit: HashMap::new() };
        for unit in UnitList::ALL.into_iter().flat_map(|list| catalog.units(list)) {
            units.by_unit.insert(unit.unit, units.nodes.len());
            units.nodes.push(UnitNode {
                unit: unit.unit,
                // Parents come first.
                parent: unit.parent.and_then(|parent| units.node(parent)),
                is_commune: unit.level == Level::Commune,
                communes_total: catalog.communes_under(unit.unit).map(|_| 1).sum(),
            });
        }
        units
    }

    pub(crate) fn catalog(&self) -> &'static Catalog {
        self.catalog
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, unit: UnitRef) -> Option<Node> {
        self.by_unit.get(&unit).copied()
    }

    pub(crate) fn unit(&self, node: Node) -> Option<UnitRef> {
        self.nodes.get(node).map(|node| node.unit)
    }

    pub(crate) fn communes_total(&self, unit: UnitRef) -> u64 {
        self.node(unit).and_then(|node| self.nodes.get(node)).map_or(0, |node| node.communes_total)
    }

    /// A node and those above it, nearest first.
    pub(crate) fn upward(&self, node: Node) -> impl Iterator<Item = Node> {
        std::iter::successors(Some(node), |node| self.nodes.get(*node)?.parent)
    }

    /// Where a scope's figures go.
    pub(crate) fn place(&self, scope: Scope) -> Placement {
        let takers = UnitList::ALL
            .into_iter()
            .filter_map(|list| Some(Taker { node: self.taker(scope, list)?, own: list == scope.list }))
            .collect();
        let predecessors: Vec<_> = self.catalog.predecessors(scope).map(|line| line.from).collect();
        let only_predecessor = <[UnitRef; 1]>::try_from(predecessors).into_iter().flatten();
        let communes = std::iter::once(scope)
            .chain(self.catalog.successors(scope).iter().map(|line| line.to))
            .chain(only_predecessor)
            .filter_map(|unit| self.node(unit))
            .filter(|node| self.nodes.get(*node).is_some_and(|node| node.is_commune))
            .collect();
        Placement { takers, communes }
    }

    /// The unit of a list that takes a scope's figures. A district of 2022 with communes has no counterpart, so what
    /// somebody recorded there goes where its province goes.
    fn taker(&self, scope: Scope, list: UnitList) -> Option<Node> {
        std::iter::once(scope)
            .chain(self.catalog.ancestors(scope).map(|unit| unit.unit))
            .find_map(|unit| match self.catalog.translate(unit, list).ok()? {
                Translation::Ambiguous { candidates } => self.narrowest_above(&candidates),
                one @ (Translation::Exact(_) | Translation::Partial { .. }) => self.node(one.unit()?),
            })
            .or_else(|| self.node(UnitRef::country(list)))
    }

    /// The narrowest unit that is or holds each of the candidates.
    fn narrowest_above(&self, candidates: &[UnitRef]) -> Option<Node> {
        let (first, others) = candidates.split_first()?;
        let others: Option<Vec<_>> = others.iter().map(|unit| self.node(*unit)).collect();
        let others = others?;
        self.upward(self.node(*first)?)
            .find(|node| others.iter().all(|other| self.upward(*other).any(|above| above == *node)))
    }
}
