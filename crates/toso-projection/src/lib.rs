//! From folded documents to views, aggregates and the report of the dispatch.
//!
//! The server folds a document, reads it as a [`Record`](toso_core::record::Record), shrinks that to a [`Row`] and
//! hands it to the [`Projector`]. The projector keeps the rows by scope and marks the scope as changed. The next
//! question recomputes only changed scopes (each from its own rows, so it costs what one commune costs) and adds the
//! difference to the counters of every unit above, under the list of 2022 and under the list of 2025. A national report
//! is then a walk over 63 or 34 ready sums.
//!
//! ```
//! use toso_catalog::Catalog;
//! use toso_core::{id::{DocId, Sequence}, record::TeamLevel, time::TimestampMs, unit::{UnitList, UnitRef}};
//! use toso_projection::{Projector, Query, Row, TeamRow};
//!
//! let mut projector = Projector::new(Catalog::shared());
//! let commune = UnitRef::new(UnitList::L2022, "00004")?;
//! projector.apply(commune, DocId::commune_team(commune, 0), Row::Team(TeamRow::active(TeamLevel::Commune)));
//! projector.advance(Sequence(1), TimestampMs(1_662_534_000_000));
//!
//! let country = Query { list: UnitList::L2025, unit: None };
//! let report = projector.report(&country, TimestampMs(0))?;
//! assert_eq!((report.teams, report.provinces_with_teams, report.provinces_total), (1, 1, 34));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What counts: a team counts while it is active and not merged into another; a member counts while in the team, not
//! merged into another, and their team counts. Members of a merged team belong to the team it went into. A merge that
//! leads to a document that is not here, or in a circle, is read as if it had not been made, so that nobody disappears.
//!
//! Everything here is disposable: [`Projector::first_difference`] proves that a rebuild gives the same.
//!
//! The crate is pure. Rows hold no names and no phones; code that shows a list reads those from the documents.

mod counting;
mod figures;
mod merges;
mod projector;
pub mod render;
mod report;
mod row;
mod units;
mod views;

pub use figures::{Details, Figures};
pub use projector::{Difference, Freshness, Projector};
pub use report::{AsOf, NamedUnit, ProjectionError, Query, Report, ReportRow, Status, Totals, Unplaced};
pub use row::{AffiliationSet, CommuneRow, CourseProgress, HamletTag, MemberRow, ROW_VERSION, Row, TeamRow};
pub use views::{Cursor, MemberView, PAGE_ITEMS_MAX, Page, TeamView};
