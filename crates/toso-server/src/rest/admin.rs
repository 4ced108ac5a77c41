//! Invites and devices: `POST /v1/invites`, `GET /v1/devices`, `POST /v1/devices/{id}/revoke`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use toso_core::id::DeviceId;
use toso_core::time::TimestampMs;
use toso_sync::AccessRole;

use super::documents::List;
use super::extract::{Id, Json, Params, unit_within};
use super::problem::Problem;
use crate::state::{Shared, now};
use crate::trust::{Caller, DeviceRecord, FormerUnit, INVITE_LIFE_MS_DEFAULT, InviteError, InviteOrder};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InviteRequest {
    unit: String,
    role: String,
    expires_in_s: Option<u64>,
    url: Option<String>,
}

/// An invite, once: the server keeps only the secret's hash.
#[derive(Serialize)]
pub(super) struct InviteAnswer {
    invite: String,
    unit: String,
    role: String,
    expires_at: TimestampMs,
}

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
    by: Option<DeviceId>,
}

impl From<&FormerUnit> for FormerItem {
    fn from(former: &FormerUnit) -> Self {
        Self { unit: former.unit.to_string(), until: former.until, by: former.by }
    }
}

#[derive(Deserialize)]
pub(super) struct DevicesQuery {
    unit: String,
}

/// Makes an invite for a unit within the caller's, with a role that the caller may give.
pub(super) async fn invite(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    headers: HeaderMap,
    Json(request): Json<InviteRequest>,
) -> Result<(StatusCode, axum::Json<InviteAnswer>), Problem> {
    let role: AccessRole = request.role.parse().map_err(|error| Problem::invalid(format!("role: {error}")))?;
    let unit = unit_within(&shared, &caller, &request.unit)?;
    if !caller.role.may_invite(role) {
        return Err(Problem::forbidden(format!("a {} cannot invite a device as {role}", caller.role)));
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let url = request
        .url
        .or_else(|| shared.config.public_url.clone())
        .or_else(|| host.map(|host| format!("http://{host}")))
        .ok_or_else(|| Problem::invalid("say under which url devices reach this server"))?;
    let order = InviteOrder {
        url,
        unit,
        role,
        life_ms: request.expires_in_s.map_or(INVITE_LIFE_MS_DEFAULT, |seconds| seconds.saturating_mul(1000)),
        created_by: caller.device,
    };
    let invite = blocking(&shared, move |shared| shared.trust.invite(&order, now())).await?;
    let invite = invite.map_err(|error| match error {
        InviteError::Life { .. } | InviteError::Url => Problem::invalid(error.to_string()),
        InviteError::Store(error) => error.into(),
        _ => {
            tracing::error!(%error, "an invite could not be made");
            Problem::internal()
        }
    })?;
    let answer = InviteAnswer {
        invite: invite.to_text(),
        unit: invite.unit.to_string(),
        role: invite.role,
        expires_at: invite.expires_at,
    };
    Ok((StatusCode::CREATED, axum::Json(answer)))
}

/// The devices of a unit and of those below it.
pub(super) async fn devices(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Params(query): Params<DevicesQuery>,
) -> Result<axum::Json<List<DeviceItem, DeviceId>>, Problem> {
    officer(&caller)?;
    let unit = unit_within(&shared, &caller, &query.unit)?;
    let devices = shared.trust.devices(|of| shared.catalog.covers(unit, of));
    let items = devices.iter().map(|device| device_item(device)).collect();
    std::future::ready(Ok(axum::Json(List { items, next: None }))).await
}

/// Revokes a device: its sessions end now, its tokens and tickets are void.
pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Id(id): Id<DeviceId>,
) -> Result<axum::Json<DeviceItem>, Problem> {
    officer(&caller)?;
    let missing = || Problem::missing("device", &id.to_string());
    let known = shared.trust.device(id).filter(|device| caller.covers(shared.catalog, device.unit));
    let known = known.ok_or_else(missing)?;
    if caller.device.is_some() && !caller.role.may_invite(known.role()) {
        return Err(Problem::forbidden(format!("a {} cannot revoke a device that is {}", caller.role, known.role())));
    }
    if !blocking(&shared, move |shared| shared.trust.revoke(id)).await?? {
        return Err(missing());
    }
    shared.hub.revoke(id);
    tracing::info!(device = %id, "device revoked");
    shared.trust.device(id).map(|device| axum::Json(device_item(&device))).ok_or_else(missing)
}

pub(super) fn officer(caller: &Caller) -> Result<(), Problem> {
    match caller.role {
        AccessRole::Officer | AccessRole::Admin => Ok(()),
        role => Err(Problem::forbidden(format!("devices are for officers; you are a {role}"))),
    }
}

pub(super) fn device_item(device: &DeviceRecord) -> DeviceItem {
    DeviceItem {
        id: device.id(),
        name: device.name.clone(),
        unit: device.unit.to_string(),
        role: device.role.clone(),
        enrolled_at: device.enrolled_at,
        expires_at: device.expires_at,
        revoked: device.revoked,
        former: device.former.iter().map(FormerItem::from).collect(),
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
