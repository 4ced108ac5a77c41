//! What became of the scopes of 2022 in the list of 2025.

use std::collections::HashMap;
use std::ops::Range;

use serde::Serialize;
use toso_core::unit::{UnitCode, UnitList, UnitRef};

use crate::embedded::{Line, Source};
use crate::error::DataError;
use crate::table::ListTable;

/// How sure a line of descent is. Best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Quality {
    /// Two sources give the same targets.
    A,
    /// Only one source gives these.
    B,
    /// Found through a merger of 2023–2025 with one target.
    C,
    /// Found through a merger whose own successor was split, or unsure.
    D,
}

/// One line of descent, from a scope of 2022 to a commune of 2025.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lineage {
    /// The old scope.
    pub from: UnitRef,
    /// The new commune that took it, or a part of it.
    pub to: UnitRef,
    /// Whether the old scope was split, so that `to` took only a part.
    pub partial: bool,
    /// Whether `to` stands for the old scope when one answer is needed. Exactly one of a scope's lines is.
    pub is_default: bool,
    /// The commune that the old scope had been merged into between 2023 and 1/2025, by its code then.
    pub via: Option<UnitCode>,
    /// How sure this is.
    pub quality: Quality,
}

/// What a unit of one list is in the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Translation {
    /// All of the unit lies in this one; the two are not always equal in extent.
    Exact(UnitRef),
    /// The unit was split: most of it, or its name, went to `default`.
    Partial {
        /// What stands for it when one answer is needed.
        default: UnitRef,
        /// The others that took a part.
        others: Vec<UnitRef>,
    },
    /// The unit was made of several, any of which may be meant. Those whose default successor it is come first.
    Ambiguous {
        /// At least two.
        candidates: Vec<UnitRef>,
    },
}

impl Translation {
    /// The one unit that stands for the asked one, when there is one.
    pub fn unit(&self) -> Option<UnitRef> {
        match self {
            Self::Exact(unit) | Self::Partial { default: unit, .. } => Some(*unit),
            Self::Ambiguous { .. } => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct LineageTable {
    /// By old scope in the order of its list; a scope's default first, then by code.
    lines: Vec<Lineage>,
    /// Run of `lines` by index of the old scope.
    by_old: Vec<Range<u16>>,
    /// Indices of `lines`, by new scope in the order of its list; defaults first.
    line_by_new: Vec<u16>,
    /// Run of `line_by_new` by index of the new scope.
    by_new: Vec<Range<u16>>,
    /// New province by old.
    provinces: HashMap<UnitCode, UnitCode>,
}

impl LineageTable {
    pub(crate) fn load(
        lines: Source<'_>,
        provinces: Source<'_>,
        old: &ListTable,
        new: &ListTable,
    ) -> Result<Self, DataError> {
        let mut keyed = Vec::new();
        for row in lines.rows::<6>("old_code,new_code,partial,is_default,via_2025_01_code,quality")? {
            let (line, [from, to, partial, is_default, via, quality]) = row?;
            let from = UnitRef::new(UnitList::L2022, from).map_err(|_| line.error("the old code is malformed"))?;
            let to = UnitRef::new(UnitList::L2025, to).map_err(|_| line.error("the new code is malformed"))?;
            let old_index = old.scope_index(from.code).ok_or_else(|| line.error("the old code is no scope of 2022"))?;
            let new_index = new.scope_index(to.code).ok_or_else(|| line.error("the new code is no scope of 2025"))?;
            let lineage = Lineage {
                from,
                to,
                partial: flag(partial, line)?,
                is_default: flag(is_default, line)?,
                via: match via {
                    "" => None,
                    via => Some(via.parse().map_err(|_| line.error("the code between is malformed"))?),
                },
                quality: match quality {
                    "A" => Quality::A,
                    "B" => Quality::B,
                    "C" => Quality::C,
                    "D" => Quality::D,
                    _ => return Err(line.error("the quality is none of A, B, C, D")),
                },
            };
            keyed.push((old_index, new_index, lineage));
        }
        keyed.sort_by_key(|(old, _, line)| (*old, !line.is_default, line.to.code));
        let by_old = runs(keyed.iter().map(|(old, _, _)| *old), old.scopes().len());
        let mut new_order: Vec<_> =
            keyed.iter().zip(0u16..).map(|((old, new, line), index)| (*new, !line.is_default, *old, index)).collect();
        new_order.sort_unstable();
        let by_new = runs(new_order.iter().map(|(new, ..)| *new), new.scopes().len());

        let mut province_map = HashMap::new();
        for row in provinces.rows::<4>("old_code,old_name,new_code,new_name")? {
            let (line, [from, _, to, _]) = row?;
            let from: UnitCode = from.parse().map_err(|_| line.error("the old code is malformed"))?;
            let to: UnitCode = to.parse().map_err(|_| line.error("the new code is malformed"))?;
            province_map.insert(from, to);
        }
        Ok(Self {
            lines: keyed.into_iter().map(|(_, _, line)| line).collect(),
            by_old,
            line_by_new: new_order.into_iter().map(|(.., index)| index).collect(),
            by_new,
            provinces: province_map,
        })
    }

    /// The lines from the old scope of an index.
    pub(crate) fn successors(&self, old_index: u16) -> &[Lineage] {
        run(&self.by_old, old_index).and_then(|range| self.lines.get(range)).unwrap_or_default()
    }

    /// The lines to the new scope of an index.
    pub(crate) fn predecessors(&self, new_index: u16) -> impl Iterator<Item = &Lineage> {
        let indices = run(&self.by_new, new_index).and_then(|range| self.line_by_new.get(range)).unwrap_or_default();
        indices.iter().filter_map(|index| self.lines.get(usize::from(*index)))
    }

    pub(crate) fn province_successor(&self, old: UnitCode) -> Option<UnitCode> {
        self.provinces.get(&old).copied()
    }
}

fn flag(cell: &str, line: Line) -> Result<bool, DataError> {
    match cell {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(line.error("a flag is neither 0 nor 1")),
    }
}

/// The run of equal keys for each key below `len`, of ascending keys. The file has 11,220 lines, far below 65,535.
fn runs(keys: impl Iterator<Item = u16>, len: usize) -> Vec<Range<u16>> {
    let mut runs = vec![0..0; len];
    for (key, index) in keys.zip(0u16..) {
        if let Some(run) = runs.get_mut(usize::from(key)) {
            let start = if run.start == run.end { index } else { run.start };
            *run = start..index + 1;
        }
    }
    runs
}

fn run(runs: &[Range<u16>], index: u16) -> Option<Range<usize>> {
    runs.get(usize::from(index)).map(|run| usize::from(run.start)..usize::from(run.end))
}
