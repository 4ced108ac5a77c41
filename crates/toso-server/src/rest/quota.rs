//! `POST /v1/devices/{id}/allow`: an officer allows a device to write more than its share of the day.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use toso_core::id::{DeviceId, DevicePrefix};
use toso_core::time::TimestampMs;

use super::admin::{below, blocking, device_named, officer};
use super::extract::{Id, NoBody};
use crate::problem::Problem;
use crate::quota::AllowError;
use crate::state::{Shared, now};
use crate::trust::Caller;

/// What a device may write on top of its share, and until when.
#[derive(Serialize)]
pub(super) struct Allowed {
    device: DeviceId,
    changes: u64,
    bytes: u64,
    until: TimestampMs,
}

/// Allows an import day, from now on, once a day.
pub(super) async fn allow(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Id(named): Id<DevicePrefix>,
    NoBody: NoBody,
) -> Result<axum::Json<Allowed>, Problem> {
    officer(&caller)?;
    let known = device_named(&shared, &caller, &named)?;
    let id = known.id();
    below(&shared, &caller, known.rank(), "allow more to")?;
    let allowed = blocking(&shared, move |shared| shared.quotas.allow(id.author(), now())).await?;
    let allowance = allowed.map_err(|error| match error {
        AllowError::AllowedToday { wait_ms } => Problem::many_today(wait_ms, error.to_string()),
        AllowError::Store(error) => error.into(),
    })?;
    let by = caller.device.map_or_else(|| "the admin token".to_owned(), |device| device.to_string());
    tracing::info!(device = %id, by, changes = allowance.changes, "an import day was allowed");
    Ok(axum::Json(Allowed { device: id, changes: allowance.changes, bytes: allowance.bytes, until: allowance.until }))
}
