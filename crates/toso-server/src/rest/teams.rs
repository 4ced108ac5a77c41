//! `GET /v1/teams` and `GET /v1/teams/{id}`.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use toso_core::id::DocId;
use toso_projection::{Cursor, Projector, TeamView};

use super::documents::{self, Detail, Item, List};
use super::extract::{Id, Params, cursor, limit, unit_within};
use crate::problem::Problem;
use crate::state::Shared;
use crate::trust::Caller;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    unit: String,
    after: Option<String>,
    limit: Option<usize>,
}

/// What the projection says of a team.
#[derive(Serialize)]
pub(super) struct View {
    counts: bool,
    members: u64,
}

impl From<&TeamView> for View {
    fn from(view: &TeamView) -> Self {
        Self { counts: view.counts, members: view.members }
    }
}

/// Teams of a unit that have been counted, by commune and id.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Params(query): Params<Query>,
) -> Result<axum::Json<List<Item<View>, DocId>>, Problem> {
    let unit = unit_within(&shared, &caller, &query.unit)?;
    let limit = limit(query.limit)?;
    let after = documents::position(&shared, &caller, cursor(query.after.as_deref())?)?;
    let place = |view: &TeamView| Cursor { scope: view.scope, doc: view.doc };
    let read = |projector: &Projector, after, limit| projector.teams_in(unit, after, limit);
    let (seen, next) = documents::page(&shared, &caller, (after, limit), place, read)?;
    let seen = seen.iter().map(|view| (view.doc, View::from(view))).collect();
    Ok(axum::Json(documents::items(&shared, &caller, seen, next).await?))
}

/// One team, with conflicts and history.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Id(id): Id<DocId>,
) -> Result<axum::Json<Detail<View>>, Problem> {
    let view = shared.views.lock().team(id);
    let missing = || Problem::missing("team", &id.to_string());
    // One answer for what is not there and what is elsewhere, so that ids tell nothing.
    let view = view.filter(|view| caller.covers(shared.catalog, view.scope)).ok_or_else(missing)?;
    documents::detail(&shared, &caller, id, View::from(&view)).await?.map(axum::Json).ok_or_else(missing)
}
