//! `GET /v1/members` and `GET /v1/members/{id}`: person records. Each reading leaves an event in the log (target
//! `toso::access`): who read how many, never whom by name.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use toso_core::id::DocId;
use toso_core::unit::Scope;
use toso_projection::{Cursor, MemberView, Projector, Row};

use super::documents::{self, Detail, Item, List};
use super::extract::{Id, Params, cursor, limit, unit_within};
use crate::problem::Problem;
use crate::state::Shared;
use crate::trust::Caller;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    unit: Option<String>,
    team: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// What the projection says of a member.
#[derive(Serialize)]
pub(super) struct View {
    counts: bool,
}

/// Members of a unit, by commune and id, or of a team, by id.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Params(query): Params<Query>,
) -> Result<axum::Json<List<Item<View>, DocId>>, Problem> {
    let (limit, after) = (limit(query.limit)?, cursor(query.after.as_deref())?);
    let (views, next) = match (&query.unit, &query.team) {
        (Some(unit), None) => {
            let unit = unit_within(&shared, &caller, unit)?;
            let after = documents::position(&shared, &caller, after)?;
            let place = |view: &MemberView| Cursor { scope: view.scope, doc: view.doc };
            let read = |projector: &Projector, after, limit| projector.members_in(unit, after, limit);
            documents::page(&shared, &caller, (after, limit), place, read)?
        }
        (None, Some(team)) => {
            let team: DocId = team.parse().map_err(|error| Problem::invalid(format!("team: {error}")))?;
            let projector = shared.views.lock();
            let scope = projector.team(team).map(|team| team.scope);
            if !scope.is_some_and(|scope| caller.covers(shared.catalog, scope)) {
                return Err(Problem::missing("team", &team.to_string()));
            }
            let mut members = projector.members_of(team);
            drop(projector);
            members.retain(|member| after.is_none_or(|after| member.doc > after));
            let more = members.len() > limit;
            members.truncate(limit);
            let next = members.last().filter(|_| more).map(|member| member.doc);
            (members, next)
        }
        _ => return Err(Problem::invalid("ask with unit=… or with team=…, one of the two")),
    };
    let seen: Vec<_> = views.iter().filter(|view| caller.covers(shared.catalog, view.scope)).map(described).collect();
    record_access(&caller, "list", seen.len());
    Ok(axum::Json(documents::items(&shared, &caller, seen, next).await?))
}

/// One member, with conflicts and history.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Id(id): Id<DocId>,
) -> Result<axum::Json<Detail<View>>, Problem> {
    let missing = || Problem::missing("member", &id.to_string());
    let view = member(&shared, id).filter(|(scope, _)| caller.covers(shared.catalog, *scope));
    let (_, counts) = view.ok_or_else(missing)?;
    record_access(&caller, "show", 1);
    documents::detail(&shared, &caller, id, View { counts }).await?.map(axum::Json).ok_or_else(missing)
}

fn described(view: &MemberView) -> (DocId, View) {
    (view.doc, View { counts: view.counts })
}

/// Where a member is, and whether they count.
fn member(shared: &Shared, id: DocId) -> Option<(Scope, bool)> {
    let projector = shared.views.lock();
    let scope = projector.scope_of(id)?;
    let Some(Row::Member(row)) = projector.row(id) else { return None };
    let team = row.team.and_then(|team| projector.team(team)).map(|team| team.target);
    let counts = team.is_some_and(|team| projector.members_of(team).iter().any(|view| view.doc == id && view.counts));
    Some((scope, counts))
}

fn record_access(caller: &Caller, action: &'static str, members: usize) {
    let device = caller.device.map_or_else(|| "admin".to_owned(), |device| device.to_string());
    tracing::info!(target: "toso::access", %device, action, members, "person records read");
}
