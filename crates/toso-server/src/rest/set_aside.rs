//! What a device wrote, set aside by an officer, and let in again: `POST /v1/devices/{id}/set-aside`, `GET /v1/set-aside`,
//! `POST /v1/set-aside/{number}/undo`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use toso_core::id::{DeviceId, DevicePrefix, DocId};
use toso_core::time::TimestampMs;

use super::admin::{below, blocking, device_among, name_of, officer};
use super::documents::List;
use super::extract::{Id, Json, Params, limit, said, unit_within};
use crate::problem::Problem;
use crate::set_aside::{Order, SetAsideError, SetAsideRecord, Undone};
use crate::state::{Shared, now};
use crate::trust::Caller;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetAsideBody {
    unit: String,
    since: Option<TimestampMs>,
    document: Option<DocId>,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UndoBody {
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    unit: String,
    after: Option<u32>,
    limit: Option<usize>,
}

/// A decision as officers see it.
#[derive(Serialize)]
pub(super) struct Item {
    number: u32,
    device: DevicePrefix,
    /// What the device calls itself.
    device_name: Option<String>,
    unit: String,
    since: Option<TimestampMs>,
    document: Option<DocId>,
    /// How many documents it changes.
    documents: u64,
    /// The officer's device; null for the admin token.
    by: Option<DevicePrefix>,
    at: TimestampMs,
    why: String,
    undone: Option<UndoneItem>,
    /// True once figures have followed.
    counted: bool,
}

/// Who let changes in again.
#[derive(Serialize)]
pub(super) struct UndoneItem {
    by: Option<DevicePrefix>,
    at: TimestampMs,
    why: String,
}

/// Sets aside what a device wrote in a unit until now.
pub(super) async fn set_aside(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Id(named): Id<DevicePrefix>,
    Json(body): Json<SetAsideBody>,
) -> Result<axum::Json<Item>, Problem> {
    officer(&caller)?;
    let unit = unit_within(&shared, &caller, &body.unit)?;
    let id = above(&shared, &caller, &named)?;
    let why = said("why", &body.why)?;
    let order =
        Order { author: id.author(), unit, since: body.since, document: body.document, by: caller.author(), why };
    let decided = blocking(&shared, move |shared| shared.set_aside.set_aside(&*shared.log, order, now())).await?;
    let (number, record) = decided.map_err(problem)?;
    tracing::info!(device = %id, number, documents = record.documents, "changes were set aside");
    Ok(axum::Json(item(&shared, number, &record)))
}

/// What was set aside in a unit and in those below it, newest first; `after` a number come the older ones.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Params(query): Params<Query>,
) -> Result<axum::Json<List<Item, u32>>, Problem> {
    officer(&caller)?;
    let unit = unit_within(&shared, &caller, &query.unit)?;
    let limit = limit(query.limit)?;
    // A unit's figures may take in communes that a right over it does not cover.
    let of_unit = |record: &SetAsideRecord| {
        (unit == record.unit || shared.catalog.covers(unit, record.unit)) && caller.covers(shared.catalog, record.unit)
    };
    let (found, more) = shared.set_aside.page(query.after, limit, of_unit);
    let next = found.last().filter(|_| more).map(|(number, _)| *number);
    let items = found.iter().map(|(number, record)| item(&shared, *number, record)).collect();
    Ok(axum::Json(List { items, next }))
}

/// Lets in again what was set aside.
pub(super) async fn undo(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Id(number): Id<u32>,
    Json(body): Json<UndoBody>,
) -> Result<axum::Json<Item>, Problem> {
    officer(&caller)?;
    let record = shared.set_aside.record(number).filter(|record| caller.covers(shared.catalog, record.unit));
    let record = record.ok_or_else(|| Problem::missing("decision", &number.to_string()))?;
    above(&shared, &caller, &record.author.into())?;
    let (why, by) = (said("why", &body.why)?, caller.author());
    let undone = blocking(&shared, move |shared| shared.set_aside.undo(&*shared.log, number, by, why, now())).await?;
    let (number, record) = undone.map_err(problem)?;
    tracing::info!(device = %record.author, number, "changes that were set aside count again");
    Ok(axum::Json(item(&shared, number, &record)))
}

/// The device is, or was, of a unit of the caller's, and stands below it; to all others it is not there.
fn above(shared: &Shared, caller: &Caller, named: &DevicePrefix) -> Result<DeviceId, Problem> {
    let known = device_among(shared, named, |device| {
        let mut units = std::iter::once(device.unit).chain(device.former.iter().map(|former| former.unit));
        units.any(|unit| caller.covers(shared.catalog, unit))
    })?;
    below(shared, caller, known.rank(), "set aside what was written by")?;
    Ok(known.id())
}

fn problem(error: SetAsideError) -> Problem {
    match error {
        SetAsideError::Store(error) => error.into(),
        SetAsideError::Unknown(number) => Problem::missing("decision", &number.to_string()),
        SetAsideError::ManyToday { wait_ms, .. } => Problem::many_today(wait_ms, error.to_string()),
        refused @ (SetAsideError::Nothing | SetAsideError::TooMany | SetAsideError::Undone(_)) => {
            Problem::new(StatusCode::CONFLICT, "decided", "This cannot be decided so").detail(refused.to_string())
        }
    }
}

fn item(shared: &Shared, number: u32, record: &SetAsideRecord) -> Item {
    let undone = |Undone { by, at, why, .. }: &Undone| UndoneItem {
        by: by.map(|by| shared.trust.shown(by)),
        at: *at,
        why: why.clone(),
    };
    Item {
        number,
        device: shared.trust.shown(record.author),
        device_name: name_of(shared, record.author),
        unit: record.unit.to_string(),
        since: record.since,
        document: record.document,
        documents: record.documents,
        by: record.by.map(|by| shared.trust.shown(by)),
        at: record.at,
        why: record.why.clone(),
        undone: record.undone.as_ref().map(undone),
        counted: record.settled,
    }
}
