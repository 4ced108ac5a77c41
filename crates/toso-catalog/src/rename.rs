//! What was renamed or raised in rank after the 2025 list was fixed.

use serde::Serialize;
use toso_core::unit::{UnitList, UnitRef};

use crate::embedded::Source;
use crate::error::DataError;

/// A unit that has another official name since its list was fixed. One source, unconfirmed: a note, not a new list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rename {
    /// The unit, in the list that still has its former name.
    pub unit: UnitRef,
    /// The later name with its kind word.
    pub name: Box<str>,
    /// The resolution that decided it.
    pub resolution: Box<str>,
    /// The day of the resolution, ISO 8601. Not the day it came into force, which the source does not give.
    pub resolved: Box<str>,
}

pub(crate) fn load(source: Source<'_>) -> Result<Vec<Rename>, DataError> {
    let rows = source.rows::<5>("code,name_2025,name_2026,resolution,resolution_date")?;
    rows.map(|row| {
        let (line, [code, _, name, resolution, resolved]) = row?;
        let unit = UnitRef::new(UnitList::L2025, code).map_err(|_| line.error("the code is malformed"))?;
        Ok(Rename { unit, name: name.into(), resolution: resolution.into(), resolved: resolved.into() })
    })
    .collect()
}
