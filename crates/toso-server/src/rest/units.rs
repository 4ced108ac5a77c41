//! `GET /v1/units` and `GET /v1/units/{list}/{code}`: the catalogue, for clients that do not carry it.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use toso_catalog::{Catalog, Level, Lineage, UnitKind};
use toso_core::unit::{UnitCode, UnitList, UnitRef};

use super::documents::List;
use super::extract::{Params, limit};
use crate::problem::Problem;
use crate::state::Shared;
use crate::trust::Caller;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    list: Option<String>,
    parent: Option<String>,
    q: Option<String>,
    limit: Option<usize>,
}

/// A unit.
#[derive(Serialize)]
pub(super) struct UnitItem {
    list: UnitList,
    code: UnitCode,
    name: String,
    kind: UnitKind,
    level: Level,
    parent: Option<UnitCode>,
    /// The name with those above it.
    path: String,
}

/// A unit with its surroundings.
#[derive(Serialize)]
pub(super) struct UnitDetail {
    #[serde(flatten)]
    unit: UnitItem,
    ancestors: Vec<UnitItem>,
    children: usize,
    /// What became of a unit of 2022.
    successors: Vec<Lineage>,
    /// What a unit of 2025 was made of.
    predecessors: Vec<Lineage>,
}

/// The units below one (provinces by default), in Vietnamese order, or what a search finds, best first.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    _caller: Caller,
    Params(query): Params<Query>,
) -> Result<axum::Json<List<UnitItem, UnitCode>>, Problem> {
    let catalog = shared.catalog;
    let list: UnitList = parse(query.list.as_deref().unwrap_or("2022"), "list")?;
    if query.q.is_some() && query.parent.is_some() {
        return Err(Problem::invalid(
            "q searches the whole list, and parent lists what is below a unit; send one of the two",
        ));
    }
    let items = if let Some(text) = &query.q {
        let hits = catalog.search(list, text, limit(query.limit)?);
        hits.iter().filter_map(|hit| item(catalog, hit.unit)).collect()
    } else {
        let parent = match &query.parent {
            Some(code) => UnitRef { list, code: parse(code, "parent")? },
            None => UnitRef::country(list),
        };
        catalog.lookup(parent)?;
        // A unit has at most some 600 below it, so all of them are one page.
        catalog.children(parent).filter_map(|child| item(catalog, child.unit)).collect()
    };
    Ok(axum::Json(List { items, next: None }))
}

/// One unit with ancestors and lineage.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    _caller: Caller,
    Path((list, code)): Path<(String, String)>,
) -> Result<axum::Json<UnitDetail>, Problem> {
    let catalog = shared.catalog;
    let unit = UnitRef { list: parse(&list, "list")?, code: parse(&code, "code")? };
    catalog.lookup(unit)?;
    let found = item(catalog, unit).ok_or_else(|| Problem::missing("unit", &unit.to_string()))?;
    let detail = UnitDetail {
        unit: found,
        ancestors: catalog.ancestors(unit).filter_map(|above| item(catalog, above.unit)).collect(),
        children: catalog.children(unit).count(),
        successors: catalog.successors(unit).to_vec(),
        predecessors: catalog.predecessors(unit).copied().collect(),
    };
    Ok(axum::Json(detail))
}

fn item(catalog: &Catalog, unit: UnitRef) -> Option<UnitItem> {
    let found = catalog.get(unit)?;
    Some(UnitItem {
        list: unit.list,
        code: unit.code,
        name: found.name.to_string(),
        kind: found.kind,
        level: found.level,
        parent: found.parent.map(|parent| parent.code),
        path: catalog.display_path(unit),
    })
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str, what: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::invalid(format!("{what}: {error}")))
}
