//! One list of units as a tree laid out flat.
//!
//! Units stand in preorder with siblings by code, so a unit's whole subtree is one run of the table, the scopes below it
//! are one slice, and "does A contain B" is two comparisons. The Vietnamese order of siblings is found when somebody first
//! asks for them: for all units it takes 30 ms, which a phone that opens one commune must not pay.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::OnceLock;

use toso_core::text::Collator;
use toso_core::unit::{UnitCode, UnitList, UnitRef};

use crate::embedded::{Line, Source};
use crate::error::DataError;
use crate::kind::{Level, UnitKind};
use crate::unit::Unit;

/// Marks a code that the list does not use.
const NO_POSITION: u16 = u16::MAX;

/// A unit and its place in the tree.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) unit: Unit,
    /// Position of the parent; the country's own.
    parent: u16,
    /// The position after the last unit of the subtree.
    end: u16,
    /// The subtree's run of [`ListTable::scopes`].
    scopes: Range<u16>,
    /// The place among [`ListTable::orders`]; none for a unit without units below.
    order: Option<u16>,
}

#[derive(Debug)]
pub(crate) struct ListTable {
    /// In preorder; the country first, siblings by code.
    nodes: Vec<Node>,
    /// Position by [`slot`] of a code.
    positions: Vec<u16>,
    /// Every scope, in preorder.
    scopes: Vec<UnitRef>,
    /// The positions of a wide unit's children in Vietnamese order, once asked for.
    orders: Vec<OnceLock<Box<[u16]>>>,
}

/// A row of a unit file.
struct Row<'a> {
    unit: UnitRef,
    name: &'a str,
    kind: UnitKind,
    level: Level,
}

impl ListTable {
    pub(crate) fn load(list: UnitList, source: Source<'_>) -> Result<Self, DataError> {
        let mut rows = vec![Row {
            unit: UnitRef::country(list),
            name: "Việt Nam",
            kind: UnitKind::Country,
            level: Level::Country,
        }];
        let mut children: Vec<Vec<u16>> = vec![Vec::new()];
        let mut index_by_slot: Vec<u16> = Vec::new();
        set(&mut index_by_slot, UnitCode::COUNTRY, 0);
        for row in source.rows::<5>("code,name,kind,parent_code,level")? {
            let (line, [code, name, kind, parent, level]) = row?;
            let unit = UnitRef::new(list, code).map_err(|_| line.error("the code is malformed"))?;
            let kind = UnitKind::from_key(kind).ok_or_else(|| line.error("the kind is unknown"))?;
            let level = level_of(list, level).ok_or_else(|| line.error("the level is unknown"))?;
            let parent = if parent.is_empty() {
                UnitCode::COUNTRY
            } else {
                parent.parse().map_err(|_| line.error("the parent's code is malformed"))?
            };
            let parent = at(&index_by_slot, parent).ok_or_else(|| line.error("the parent is not above this line"))?;
            let index = index(rows.len(), line)?;
            if at(&index_by_slot, unit.code).is_some() || !set(&mut index_by_slot, unit.code, index) {
                return Err(line.error("the code is taken or has no room"));
            }
            rows.push(Row { unit, name, kind, level });
            children.push(Vec::new());
            children.get_mut(usize::from(parent)).ok_or_else(|| line.error("the parent is unknown"))?.push(index);
        }
        for siblings in &mut children {
            siblings.sort_by_key(|index| rows.get(usize::from(*index)).map(|row| row.unit.code));
        }
        let mut table = Self {
            nodes: Vec::with_capacity(rows.len()),
            positions: Vec::new(),
            scopes: Vec::new(),
            orders: Vec::new(),
        };
        table.positions.resize(index_by_slot.len(), NO_POSITION);
        table.emit(&rows, &children, 0, None);
        Ok(table)
    }

    /// Appends a row and all below it. As deep as the tree: 4 at most.
    fn emit(&mut self, rows: &[Row<'_>], children: &[Vec<u16>], index: u16, parent: Option<(u16, UnitRef)>) {
        let Some((row, below)) = rows.get(usize::from(index)).zip(children.get(usize::from(index))) else { return };
        let position = short(self.nodes.len());
        let scopes_start = short(self.scopes.len());
        if below.is_empty() {
            self.scopes.push(row.unit);
        }
        set(&mut self.positions, row.unit.code, position);
        self.nodes.push(Node {
            unit: Unit {
                unit: row.unit,
                name: row.name.into(),
                kind: row.kind,
                level: row.level,
                parent: parent.map(|(_, unit)| unit),
            },
            parent: parent.map_or(position, |(position, _)| position),
            end: 0,
            scopes: scopes_start..scopes_start,
            order: (!below.is_empty()).then_some(short(self.orders.len())),
        });
        if !below.is_empty() {
            self.orders.push(OnceLock::new());
        }
        for child in below {
            self.emit(rows, children, *child, Some((position, row.unit)));
        }
        let (end, scopes_end) = (short(self.nodes.len()), short(self.scopes.len()));
        if let Some(node) = self.nodes.get_mut(usize::from(position)) {
            node.end = end;
            node.scopes.end = scopes_end;
        }
    }

    /// The position of a code.
    pub(crate) fn position(&self, code: UnitCode) -> Option<u16> {
        at(&self.positions, code)
    }

    pub(crate) fn node(&self, position: u16) -> Option<&Node> {
        self.nodes.get(usize::from(position))
    }

    pub(crate) fn find(&self, code: UnitCode) -> Option<&Node> {
        self.node(self.position(code)?)
    }

    /// All units in preorder, the country first.
    pub(crate) fn units(&self) -> impl ExactSizeIterator<Item = &Unit> {
        self.nodes.iter().map(|node| &node.unit)
    }

    /// Every scope, in preorder.
    pub(crate) fn scopes(&self) -> &[UnitRef] {
        &self.scopes
    }

    /// The scopes at or below a unit.
    pub(crate) fn scopes_under(&self, code: UnitCode) -> &[UnitRef] {
        let scopes = self.find(code).map(|node| usize::from(node.scopes.start)..usize::from(node.scopes.end));
        scopes.and_then(|range| self.scopes.get(range)).unwrap_or_default()
    }

    /// The place of a scope among [`Self::scopes`].
    pub(crate) fn scope_index(&self, code: UnitCode) -> Option<u16> {
        let position = self.position(code)?;
        let node = self.node(position)?;
        (node.end == position + 1).then_some(node.scopes.start)
    }

    /// Whether one unit is the other or lies above it.
    pub(crate) fn contains(&self, ancestor: UnitCode, unit: UnitCode) -> bool {
        let Some((start, unit)) = self.position(ancestor).zip(self.position(unit)) else { return false };
        self.node(start).is_some_and(|node| (start..node.end).contains(&unit))
    }

    /// The positions of the units right below one, in Vietnamese order.
    pub(crate) fn children(&self, position: u16) -> &[u16] {
        let order =
            self.node(position).and_then(|node| node.order).and_then(|order| self.orders.get(usize::from(order)));
        order.map(|order| &**order.get_or_init(|| self.sorted_children(position))).unwrap_or_default()
    }

    /// As a person reads them: the Vietnamese way, numbers by value, kind words left aside.
    fn sorted_children(&self, position: u16) -> Box<[u16]> {
        let end = self.node(position).map_or(position, |node| node.end);
        let next = |sibling: &u16| self.node(*sibling).map(|node| node.end).filter(|next| *next < end);
        let first = Some(position + 1).filter(|first| *first < end);
        let mut children: Vec<u16> = std::iter::successors(first, next).collect();
        let collator = Collator::shared();
        children.sort_by_cached_key(|child| {
            let unit = self.node(*child).map(|node| &node.unit);
            unit.map(|unit| (collator.sort_key(unit.name_without_kind()), unit.kind, unit.unit.code))
        });
        children.into()
    }

    /// The positions of all units, each before those below it, siblings in Vietnamese order.
    pub(crate) fn vietnamese_order(&self) -> Vec<u16> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut ahead = vec![0];
        while let Some(position) = ahead.pop() {
            order.push(position);
            ahead.extend(self.children(position).iter().rev());
        }
        order
    }

    /// The units above one, nearest first, the country last.
    pub(crate) fn ancestors(&self, code: UnitCode) -> impl Iterator<Item = &Unit> {
        let mut position = self.position(code);
        std::iter::from_fn(move || {
            let here = position?;
            let above = self.node(here)?.parent;
            position = (above != here).then_some(above);
            Some(&self.node(position?)?.unit)
        })
    }
}

/// The level that a file's number means: level 2 is a district in 2022 and a commune since.
fn level_of(list: UnitList, level: &str) -> Option<Level> {
    match (list, level) {
        (_, "1") => Some(Level::Province),
        (UnitList::L2022, "2") => Some(Level::District),
        (UnitList::L2022, "3") | (UnitList::L2025, "2") => Some(Level::Commune),
        _ => None,
    }
}

/// A dense number for every well-formed code: provinces, then districts, then communes; none for other lengths.
fn slot(code: UnitCode) -> Option<usize> {
    let text = code.as_str();
    let number: usize = text.parse().ok()?;
    match text.len() {
        2 => Some(number),
        3 => Some(100 + number),
        5 => Some(1_100 + number),
        _ => None,
    }
}

fn at(table: &[u16], code: UnitCode) -> Option<u16> {
    table.get(slot(code)?).copied().filter(|position| *position != NO_POSITION)
}

/// False when the code has no slot.
fn set(table: &mut Vec<u16>, code: UnitCode, value: u16) -> bool {
    let Some(slot) = slot(code) else { return false };
    if table.len() <= slot {
        table.resize(slot + 1, NO_POSITION);
    }
    table.get_mut(slot).map(|entry| *entry = value).is_some()
}

/// Lists are far shorter than 65,535 units; [`index`] has checked it for every row.
fn short(position: usize) -> u16 {
    u16::try_from(position).unwrap_or(NO_POSITION)
}

fn index(position: usize, line: Line) -> Result<u16, DataError> {
    match u16::try_from(position).map(|index| index.cmp(&NO_POSITION)) {
        Ok(Ordering::Less) => Ok(short(position)),
        _ => Err(line.error("the list is longer than 65,534 units")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(rows: &str) -> Result<ListTable, DataError> {
        let text = format!("code,name,kind,parent_code,level\n{rows}");
        ListTable::load(UnitList::L2022, Source { name: "x.csv", text: &text })
    }

    #[test]
    fn a_small_list_loads() {
        let table = load("02,Tỉnh B,tinh,,1\n01,Tỉnh Ă,tinh,,1\n001,Huyện C,huyen,01,2\n").unwrap();
        let names =
            |order: Vec<u16>| order.iter().map(|at| table.node(*at).unwrap().unit.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(table.vietnamese_order()), ["Việt Nam", "Tỉnh Ă", "Huyện C", "Tỉnh B"].map(Box::from));
        assert_eq!(table.scopes().len(), 2, "a unit with none below it is a scope");
    }

    #[test]
    fn wrong_rows_are_named() {
        for (rows, problem) in [
            ("x1,Tỉnh A,tinh,,1\n", "line 2: the code is malformed"),
            ("01,Tỉnh A,state,,1\n", "line 2: the kind is unknown"),
            ("01,Tỉnh A,tinh,,4\n", "line 2: the level is unknown"),
            ("001,Huyện A,huyen,01,2\n", "line 2: the parent is not above this line"),
            ("01,Tỉnh A,tinh,,1\n01,Tỉnh B,tinh,,1\n", "line 3: the code is taken or has no room"),
            ("00,Tỉnh A,tinh,,1\n", "line 2: the code is taken or has no room"),
            ("0001,Xã A,xa,,3\n", "line 2: the code is taken or has no room"),
        ] {
            assert_eq!(load(rows).unwrap_err().to_string(), format!("x.csv {problem}"));
        }
    }

    #[test]
    fn a_list_has_room_for_65_534_units() {
        let rows = |count| (0..count).map(|n| format!("{n:0>5},Xã A,xa,,3\n")).collect::<Vec<_>>().concat();
        assert!(load(&rows(65_534)).is_ok_and(|table| table.position("65533".parse().unwrap()).is_some()));
        let full = load(&rows(65_535)).unwrap_err().to_string();
        assert_eq!(full, "x.csv line 65536: the list is longer than 65,534 units");
    }
}
