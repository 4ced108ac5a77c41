//! The administrative units of Viet Nam as dated lists, and the lineage between them.
//!
//! The country was reorganised in the middle of the register's life: 63 provinces, 705 districts and 10,599 communes
//! became 34 provinces and 3,321 communes on 1/7/2025. Codes were reused, so a unit is always (list, code), a
//! [`UnitRef`](toso_core::unit::UnitRef), and every question that spans the two lists goes through lineage.
//!
//! [`Catalog::shared`] unpacks the embedded data on first use. From there:
//!
//! - look up: [`Catalog::get`], [`Catalog::lookup`] (with a helpful error), [`Catalog::display_path`]
//! - walk: [`Catalog::children`], [`Catalog::ancestors`], [`Catalog::scopes_under`], [`Catalog::contains`]
//! - cross lists: [`Catalog::successors`], [`Catalog::predecessors`], [`Catalog::translate`], [`Catalog::covers`],
//!   [`Catalog::scopes_under_all_lists`]
//! - find by name, however it is typed: [`Catalog::search`]
//! - what the dispatch of 19/9/2022 said of each province: [`dispatch`]
//!
//! A *scope* is a unit that documents belong to: a commune, or one of the five island districts of 2022 that have none.
//!
//! The crate is pure. What a person sees (children, provinces, hits) is sorted the Vietnamese way, by name without its
//! kind word; what only a program walks (scopes) by code. Where the data come from, and how sure they are, is told in the crate's `data/README.md`.
//!
//! ```
//! use toso_catalog::Catalog;
//! use toso_core::unit::{UnitList, UnitRef};
//!
//! let catalog = Catalog::shared();
//! let old = UnitRef::new(UnitList::L2022, "00004")?;
//! assert_eq!(catalog.display_path(old), "Phường Trúc Bạch, Quận Ba Đình, Thành phố Hà Nội");
//! let new = catalog.default_successor(old).expect("every scope of 2022 has one");
//! assert_eq!(catalog.display_path(new), "Phường Ba Đình, Thành phố Hà Nội");
//! # Ok::<(), toso_core::unit::UnitError>(())
//! ```

mod catalog;
pub mod dispatch;
mod embedded;
mod error;
mod kind;
mod lineage;
mod rename;
mod search;
mod table;
mod unit;

pub use catalog::{Catalog, Counts};
pub use error::{CatalogError, DataError, Suggestion};
pub use kind::{Level, UnitKind};
pub use lineage::{Lineage, Quality, Translation};
pub use rename::Rename;
pub use search::{Hit, Match, QUERY_CHARS_MAX, Rank, Tier};
pub use unit::Unit;
