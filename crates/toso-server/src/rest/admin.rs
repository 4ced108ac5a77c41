//! Devices, for officers: `GET /v1/devices`, `POST /v1/devices/{id}/revoke`. An officer sees every device of his unit and of
//! those below it, and acts on those below his rank.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use toso_core::id::{AuthorId, DeviceId, DevicePrefix};
use toso_core::time::TimestampMs;
use toso_sync::Rank;

use super::documents::List;
use super::extract::{Id, NoBody, Params, limit, unit_within};
use crate::problem::Problem;
use crate::state::{Shared, now};
use crate::trust::{Caller, DeviceRecord, FormerUnit};

/// A device as officers see it.
#[derive(Serialize)]
pub(super) struct DeviceItem {
    id: DeviceId,
    name: Option<String>,
    unit: String,
    role: String,
    enrolled_at: TimestampMs,
    expires_at: TimestampMs,
    revoked: bool,
    /// Where it was before, newest first.
    former: Vec<FormerItem>,
}

/// A unit that a device left.
#[derive(Serialize)]
pub(super) struct FormerItem {
    unit: String,
    until: TimestampMs,
    /// The officer's device; null for the admin token and for an enrolment of its own.
    by: Option<DevicePrefix>,
    by_name: Option<String>,
}

impl FormerItem {
    fn of(shared: &Shared, former: &FormerUnit) -> Self {
        let by_name = former.by.and_then(|by| name_of(shared, by));
        let by = former.by.map(|by| shared.trust.shown(by));
        Self { unit: former.unit.to_string(), until: former.until, by, by_name }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DevicesQuery {
    unit: String,
    after: Option<String>,
    limit: Option<usize>,
}

/// The devices of a unit and of those below it, by id.
pub(super) async fn devices(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Params(query): Params<DevicesQuery>,
) -> Result<axum::Json<List<DeviceItem, DeviceId>>, Problem> {
    officer(&caller)?;
    let unit = unit_within(&shared, &caller, &query.unit)?;
    let limit = limit(query.limit)?;
    let after: Option<Result<DeviceId, _>> = query.after.filter(|text| !text.is_empty()).map(|text| text.parse());
    let after = after.transpose().map_err(|error| Problem::invalid(format!("after: {error}")))?;
    let within = |of| (of == unit || shared.catalog.covers(unit, of)) && caller.covers(shared.catalog, of);
    let mut devices = shared.trust.devices(within);
    devices.retain(|device| after.is_none_or(|after| device.id() > after));
    let next = devices.get(limit).and_then(|_| devices.get(limit - 1)).map(|last| last.id());
    devices.truncate(limit);
    let items = devices.iter().map(|device| device_item(&shared, device)).collect();
    Ok(axum::Json(List { items, next }))
}

/// Revokes a device: its sessions end now, its tokens and tickets are void.
pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Id(named): Id<DevicePrefix>,
    NoBody: NoBody,
) -> Result<axum::Json<DeviceItem>, Problem> {
    officer(&caller)?;
    let known = device_named(&shared, &caller, &named)?;
    let id = known.id();
    let missing = || Problem::missing("device", &id.to_string());
    below(&shared, &caller, known.rank(), "revoke")?;
    if !blocking(&shared, move |shared| shared.trust.revoke(id, now())).await?? {
        return Err(missing());
    }
    shared.hub.revoke(id.author());
    tracing::info!(device = %id, "device revoked");
    shared.trust.device(id).map(|device| axum::Json(device_item(&shared, &device))).ok_or_else(missing)
}

pub(super) fn officer(caller: &Caller) -> Result<(), Problem> {
    if caller.directs() {
        return Ok(());
    }
    Err(Problem::forbidden(format!("devices and invites are for officers; you are {}", caller.role.with_article())))
}

/// Refuses what somebody would do to his own rank or one above it.
pub(super) fn below(shared: &Shared, caller: &Caller, other: Rank, what: &str) -> Result<(), Problem> {
    if caller.stands_above(shared.catalog, &other) {
        return Ok(());
    }
    let (role, unit) = (caller.role.with_article(), caller.unit);
    Err(Problem::forbidden(format!(
        "{role} of {unit} cannot {what} a device that is {} of {}; that is for somebody who stands above both",
        other.role.with_article(),
        other.unit
    )))
}

/// What a device calls itself.
pub(super) fn name_of(shared: &Shared, device: AuthorId) -> Option<String> {
    shared.trust.device_of_author(device).and_then(|device| device.name.clone())
}

/// The device that the caller means by the first digits of its id, among those that it can see.
pub(super) fn device_named(
    shared: &Shared,
    caller: &Caller,
    named: &DevicePrefix,
) -> Result<Arc<DeviceRecord>, Problem> {
    device_among(shared, named, |device| caller.covers(shared.catalog, device.unit))
}

/// The device that somebody means by the first digits of its id, among those that `sees` selects.
pub(super) fn device_among(
    shared: &Shared,
    named: &DevicePrefix,
    sees: impl Fn(&DeviceRecord) -> bool,
) -> Result<Arc<DeviceRecord>, Problem> {
    let mut devices = shared.trust.devices_named(named);
    devices.retain(|device| sees(device));
    match devices.pop() {
        Some(device) if devices.is_empty() => Ok(device),
        Some(_) => {
            let count = devices.len() + 1;
            Err(Problem::invalid(format!(
                "{count} devices have an id that begins with {named}; give more digits of it"
            )))
        }
        None => Err(Problem::missing("device", &named.to_string())),
    }
}

pub(super) fn device_item(shared: &Shared, device: &DeviceRecord) -> DeviceItem {
    DeviceItem {
        id: device.id(),
        name: device.name.clone(),
        unit: device.unit.to_string(),
        role: device.role.clone(),
        enrolled_at: device.enrolled_at,
        expires_at: device.expires_at,
        revoked: device.revoked,
        former: device.former.iter().map(|former| FormerItem::of(shared, former)).collect(),
    }
}

/// Runs a durable write on a blocking thread.
pub(super) async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> T + Send + 'static,
) -> Result<T, Problem> {
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    Ok(tasks.spawn_blocking(move || work(&shared)).await?)
}
