//! What the dispatch of 19/9/2022 (Công văn 10528-CV/TWĐTN) says of each province on 7/9/2022.
//!
//! It is the register's reference picture: the national simulation sets it up and the tests ask the report for it. The
//! 11 provinces without teams and the 23 not complete to commune level are named in the two footnotes; that the other 29
//! are complete is inferred.

use std::collections::HashMap;

use serde::Serialize;
use toso_core::unit::{UnitCode, UnitList, UnitRef};

use crate::embedded::Source;
use crate::error::DataError;

/// The day the figures are of, ISO 8601.
pub const AS_OF: &str = "2022-09-07";
/// Teams in the whole country on that day.
pub const TEAMS_TOTAL: u32 = 48_538;
/// Their members.
pub const MEMBERS_TOTAL: u32 = 225_417;
/// Provinces that had teams.
pub const PROVINCES_WITH_TEAMS: u32 = 52;
/// All provinces.
pub const PROVINCES_TOTAL: u32 = 63;

/// How far a province had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatchStatus {
    /// No commune has a team.
    None,
    /// Some communes have teams.
    Incomplete,
    /// Every commune has one.
    Complete,
}

/// A province in the dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DispatchProvince {
    /// The province, of the 2022 list.
    pub unit: UnitRef,
    /// How far it had come.
    pub status: DispatchStatus,
    /// Its place in its status's footnote, from 1; complete provinces are in none.
    pub footnote_order: Option<u8>,
}

/// The dispatch's provinces by code.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) provinces: Vec<DispatchProvince>,
    by_code: HashMap<UnitCode, usize>,
}

impl Dispatch {
    pub(crate) fn load(source: Source<'_>) -> Result<Self, DataError> {
        let rows = source.rows::<6>("code,name,status_2022_09_07,footnote_order,new_code_2025,new_name_2025")?;
        let provinces = rows
            .map(|row| {
                let (line, [code, _, status, order, _, _]) = row?;
                let unit = UnitRef::new(UnitList::L2022, code).map_err(|_| line.error("the code is malformed"))?;
                let status = match status {
                    "none" => DispatchStatus::None,
                    "incomplete" => DispatchStatus::Incomplete,
                    "complete" => DispatchStatus::Complete,
                    _ => return Err(line.error("the status is none of none, incomplete, complete")),
                };
                let footnote_order = match (status, order) {
                    (DispatchStatus::Complete, "") => None,
                    _ => Some(order.parse().map_err(|_| line.error("the footnote order is no number"))?),
                };
                Ok(DispatchProvince { unit, status, footnote_order })
            })
            .collect::<Result<Vec<_>, DataError>>()?;
        let by_code = provinces.iter().enumerate().map(|(index, province)| (province.unit.code, index)).collect();
        Ok(Self { provinces, by_code })
    }

    pub(crate) fn province(&self, unit: UnitRef) -> Option<&DispatchProvince> {
        if unit.list != UnitList::L2022 {
            return None;
        }
        self.provinces.get(*self.by_code.get(&unit.code)?)
    }
}
