//! `GET /v1/devices/names?ids=`: what devices call themselves, for phones that show who wrote what.
//!
//! A phone knows other devices by their author ids, from the changes that it holds. A name is told for a device that could have
//! written in the caller's unit: its unit, or one that it has left, is within the caller's or around it. For every other id
//! nothing is told, not even that there is such a device.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use toso_core::id::AuthorId;
use toso_core::unit::UnitRef;

use super::extract::Params;
use crate::problem::Problem;
use crate::state::Shared;
use crate::trust::Caller;

/// Devices asked about at a time: at 17 characters an id the address stays below 2 KiB.
const IDS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    ids: String,
}

/// Names by id; without those that are not told.
#[derive(Serialize)]
pub(super) struct Names {
    names: BTreeMap<String, String>,
}

/// Names of devices.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Params(query): Params<Query>,
) -> Result<axum::Json<Names>, Problem> {
    let ids = query.ids.split(',').filter(|id| !id.is_empty()).map(str::parse).collect::<Result<Vec<AuthorId>, _>>();
    let ids = ids.map_err(|error| Problem::invalid(format!("ids: {error}")))?;
    if ids.is_empty() || ids.len() > IDS_MAX {
        return Err(Problem::invalid(format!("ids has {}; ask for 1 to {IDS_MAX}, with commas between", ids.len())));
    }
    let near = |unit: UnitRef| caller.covers(shared.catalog, unit) || shared.catalog.covers(unit, caller.unit);
    let names = ids.into_iter().filter_map(|id| {
        let device = shared.trust.device_of_author(id)?;
        let mut units = device.former.iter().map(|former| former.unit).chain([device.unit]);
        Some((id.to_string(), units.any(near).then(|| device.name.clone())??))
    });
    let names = names.collect();
    Ok(axum::Json(Names { names }))
}
