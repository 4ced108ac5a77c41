//! The report of the dispatch: who has teams, who has none, who is not complete, and how many.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::macros::offset;
use time::{OffsetDateTime, UtcOffset};
use toso_catalog::{Catalog, CatalogError, Unit};
use toso_core::id::Sequence;
use toso_core::record::Affiliation;
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitCode, UnitList, UnitRef};

use crate::figures::{Details, Figures};
use crate::projector::Projector;

/// Viet Nam has one time zone and no summer time.
const VIET_NAM: UtcOffset = offset!(+7);

/// What a report is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// The list to read everything under.
    pub list: UnitList,
    /// A unit of that list; none for the whole country.
    pub unit: Option<UnitCode>,
}

/// How far a unit has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has no team.
    None,
    /// It has teams, and a commune without.
    Incomplete,
    /// Every commune has a team. (An island district without communes: it has one itself.)
    Complete,
}

impl Status {
    /// The word in JSON and CSV.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Incomplete => "incomplete",
            Self::Complete => "complete",
        }
    }

    fn of(figures: &Figures, communes_total: u64) -> Self {
        if figures.teams == 0 && figures.communes_with_teams == 0 {
            Self::None
        } else if figures.communes_with_teams == communes_total {
            Self::Complete
        } else {
            Self::Incomplete
        }
    }
}

/// An instant, written as ISO 8601 in the time of Viet Nam: `2022-09-07T14:00:00+07:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AsOf(pub TimestampMs);

impl AsOf {
    /// The instant as people read it: `14:00 ngày 7/9/2022`.
    pub fn display_vi(self) -> String {
        let at = self.local();
        format!("{:02}:{:02} ngày {}/{}/{}", at.hour(), at.minute(), at.day(), u8::from(at.month()), at.year())
    }

    /// Instants beyond the year 9999 are that year's end, which says loudly enough that a clock is wrong.
    fn local(self) -> OffsetDateTime {
        let last = time::macros::datetime!(9999-12-31 23:59:59 +7);
        let seconds = i64::try_from(self.0.seconds()).unwrap_or(i64::MAX).min(last.unix_timestamp());
        OffsetDateTime::from_unix_timestamp(seconds).map_or(last, |at| at.to_offset(VIET_NAM))
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.local().format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for AsOf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AsOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at = OffsetDateTime::parse(&text, &Rfc3339).map_err(serde::de::Error::custom)?;
        let seconds = u64::try_from(at.unix_timestamp()).map_err(serde::de::Error::custom)?;
        Ok(Self(TimestampMs(seconds.saturating_mul(1000))))
    }
}

/// A unit and its full name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedUnit {
    /// Code in the report's list.
    pub code: UnitCode,
    /// Name with its kind: `Tỉnh Nam Định`.
    pub name: String,
}

/// What stands at the asked unit and at none of its rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unplaced {
    /// Teams.
    pub teams: u64,
    /// Their members.
    pub members: u64,
}

/// A line of the report's table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRow {
    /// Code in the report's list.
    pub code: UnitCode,
    /// Name with its kind.
    pub name: String,
    /// Teams that count.
    pub teams: u64,
    /// Members that count.
    pub members: u64,
    /// Communes.
    pub communes_total: u64,
    /// Communes with at least one team that counts. Under the list of 2025 that includes those that took a piece of a
    /// commune with teams, so a row can have more such communes than teams.
    pub communes_with_teams: u64,
    /// How far it has come.
    pub status: Status,
    /// The rest.
    pub details: Details,
}

/// The report. Its JSON has the fields in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The list that everything is read under.
    pub list: UnitList,
    /// The asked unit; `00` is the country.
    pub unit: UnitCode,
    /// When the server got the newest chunk that is counted here; the time of asking while nothing has come yet.
    pub as_of: AsOf,
    /// The provinces that the unit consists of or lies in: all for the country, else one. The next fields that begin
    /// with `provinces` speak of the same provinces, whole, also when the unit is a part of one.
    pub provinces_total: u64,
    /// Those with at least one team.
    pub provinces_with_teams: u64,
    /// Teams that count in the unit.
    pub teams: u64,
    /// Members that count in the unit.
    pub members: u64,
    /// Provinces without a team, in Vietnamese order.
    pub provinces_without: Vec<NamedUnit>,
    /// Provinces with teams and with communes without, in Vietnamese order.
    pub provinces_incomplete: Vec<NamedUnit>,
    /// The units right below the asked one, in Vietnamese order; the unit itself when there are none.
    pub rows: Vec<ReportRow>,
    /// Name of the asked unit with its kind.
    pub name: String,
    /// How far the asked unit has come.
    pub status: Status,
    /// The log's sequence through which everything is counted.
    pub as_of_sequence: Sequence,
    /// Communes of the unit.
    pub communes_total: u64,
    /// Those with at least one team that counts.
    pub communes_with_teams: u64,
    /// Part of `teams` and `members` that no row has: those of communes of 2025 that were made of several communes of
    /// 2022, read under 2022, and those of scopes that no list has. Rows and this always add up to the totals.
    pub unplaced: Unplaced,
    /// The rest, for the whole unit.
    pub details: Details,
    /// Members by affiliation; a person with two is in both.
    pub affiliations: BTreeMap<Affiliation, u64>,
}

/// A unit's main sums, for receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The unit.
    pub unit: UnitRef,
    /// Teams that count.
    pub teams: u64,
    /// Members that count.
    pub members: u64,
    /// Communes.
    pub communes_total: u64,
    /// Communes with at least one team that counts.
    pub communes_with_teams: u64,
    /// Everything through this sequence is counted.
    pub as_of_sequence: Sequence,
    /// When the server got the newest of it; zero before the first.
    pub as_of: TimestampMs,
}

/// Why a question has no answer. The caller named a unit that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionError {
    /// No list has the unit.
    #[error(transparent)]
    Unit(#[from] CatalogError),
}

impl Projector {
    /// A unit's main sums. Costs what the changed communes cost.
    pub fn totals(&mut self, unit: UnitRef) -> Result<Totals, ProjectionError> {
        self.units.catalog().lookup(unit)?;
        let figures = self.figures(unit);
        Ok(Totals {
            unit,
            teams: figures.teams,
            members: figures.members,
            communes_total: self.units.communes_total(unit),
            communes_with_teams: figures.communes_with_teams,
            as_of_sequence: self.as_of(),
            as_of: self.as_of_time(),
        })
    }

    /// The report of a unit. Costs what the changed communes cost, and one step for each row and province.
    pub fn report(&mut self, query: &Query, asked_at: TimestampMs) -> Result<Report, ProjectionError> {
        let catalog = self.units.catalog();
        let country = UnitRef::country(query.list);
        let unit = catalog.lookup(query.unit.map_or(country, |code| UnitRef { list: query.list, code }))?;
        self.refresh();

        let mut rows: Vec<_> = catalog.children(unit.unit).map(|child| self.report_row(child)).collect();
        let whole = self.report_row(unit);
        if rows.is_empty() {
            rows.push(whole.clone());
        }
        let provinces: Vec<_> = match catalog.province_of(unit.unit) {
            Some(province) => vec![self.report_row(province)],
            None => rows.clone(),
        };
        let named = |status| {
            let having = provinces.iter().filter(|row| row.status == status);
            having.map(|row| NamedUnit { code: row.code, name: row.name.clone() }).collect::<Vec<_>>()
        };
        let provinces_without = named(Status::None);
        let total = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        let affiliations = self.settled(unit.unit).affiliations;
        Ok(Report {
            list: query.list,
            unit: unit.unit.code,
            as_of: AsOf(if self.as_of() == Sequence::ZERO { asked_at } else { self.as_of_time() }),
            provinces_total: total(provinces.len()),
            provinces_with_teams: total(provinces.len() - provinces_without.len()),
            teams: whole.teams,
            members: whole.members,
            provinces_without,
            provinces_incomplete: named(Status::Incomplete),
            name: whole.name,
            status: whole.status,
            as_of_sequence: self.as_of(),
            communes_total: whole.communes_total,
            communes_with_teams: whole.communes_with_teams,
            unplaced: Unplaced {
                teams: whole.teams - rows.iter().map(|row| row.teams).sum::<u64>(),
                members: whole.members - rows.iter().map(|row| row.members).sum::<u64>(),
            },
            rows,
            details: whole.details,
            affiliations: Affiliation::ALL.iter().copied().zip(affiliations).collect(),
        })
    }

    /// A unit as a line. The counters must be settled.
    fn report_row(&self, unit: &Unit) -> ReportRow {
        let figures = self.settled(unit.unit);
        let communes_total = self.units.communes_total(unit.unit);
        ReportRow {
            code: unit.unit.code,
            name: unit.name.to_string(),
            teams: figures.teams,
            members: figures.members,
            communes_total,
            communes_with_teams: figures.communes_with_teams,
            status: Status::of(&figures, communes_total),
            details: figures.details,
        }
    }

    /// The catalogue that everything is read under.
    pub fn catalog(&self) -> &'static Catalog {
        self.units.catalog()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_in_the_time_of_viet_nam() {
        let at = AsOf(TimestampMs(1_662_534_000_999));
        assert_eq!(at.to_string(), "2022-09-07T14:00:00+07:00");
        assert_eq!(at.display_vi(), "14:00 ngày 7/9/2022");
        let read: AsOf = serde_json::from_str("\"2022-09-07T14:00:00+07:00\"").unwrap();
        assert_eq!(read, AsOf(TimestampMs(1_662_534_000_000)));
    }

    #[test]
    fn an_instant_beyond_the_calendar_is_its_end() {
        // 9999-12-31T23:59:59+07:00 is second 253,402,275,599.
        assert_eq!(AsOf(TimestampMs(253_402_275_599_000)).to_string(), "9999-12-31T23:59:59+07:00");
        assert_eq!(AsOf(TimestampMs(253_402_275_600_000)).to_string(), "9999-12-31T23:59:59+07:00");
        assert_eq!(AsOf(TimestampMs(u64::MAX)).to_string(), "9999-12-31T23:59:59+07:00");
    }
}
