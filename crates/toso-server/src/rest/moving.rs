//! Moving devices: `POST /v1/devices/{id}/move`, `POST /v1/devices/move`.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use toso_core::id::{DeviceId, DevicePrefix};
use toso_core::unit::UnitRef;
use toso_sync::Rank;

use super::admin::{DeviceItem, below, blocking, device_item, device_named, officer};
use super::extract::{Id, Json, unit_within};
use crate::problem::Problem;
use crate::state::{Shared, now};
use crate::trust::{Caller, DeviceRecord, MoveError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveBody {
    unit: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveAllBody {
    from: String,
    to: String,
}

/// Which devices were moved.
#[derive(Serialize)]
pub(super) struct MovedAnswer {
    from: String,
    to: String,
    moved: Vec<DeviceId>,
}

/// Moves one device. Both units lie within the caller's.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Id(named): Id<DevicePrefix>,
    Json(body): Json<MoveBody>,
) -> Result<axum::Json<DeviceItem>, Problem> {
    officer(&caller)?;
    let known = device_named(&shared, &caller, &named)?;
    let id = known.id();
    let missing = || Problem::missing("device", &id.to_string());
    let unit = unit_within(&shared, &caller, &body.unit)?;
    may_move(&shared, &caller, &known, unit)?;
    if known.revoked {
        return Err(Problem::invalid("a revoked device is not moved; invite it anew under a new key"));
    }
    let by = caller.author();
    let moved = blocking(&shared, move |shared| shared.trust.move_device(id, unit, by, now())).await?;
    if !moved.map_err(problem)? {
        return Err(missing());
    }
    if known.unit != unit {
        shared.hub.moved(id.author());
        tracing::info!(device = %id, from = %known.unit, to = %unit, "device moved");
    }
    shared.trust.device(id).map(|device| axum::Json(device_item(&shared, &device))).ok_or_else(missing)
}

/// Moves all devices of a unit, for a unit that was merged or renamed. Those of units below it stay where they are.
pub(super) async fn all(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Json(body): Json<MoveAllBody>,
) -> Result<axum::Json<MovedAnswer>, Problem> {
    officer(&caller)?;
    let from = unit_within(&shared, &caller, &body.from)?;
    let to = unit_within(&shared, &caller, &body.to)?;
    let devices = shared.trust.devices(|of| of == from);
    let devices: Vec<_> = devices.into_iter().filter(|device| !device.revoked).collect();
    devices.iter().try_for_each(|device| may_move(&shared, &caller, device, to))?;
    let (ids, by): (Vec<DeviceId>, _) = (devices.iter().map(|device| device.id()).collect(), caller.author());
    let moved = blocking(&shared, move |shared| {
        let mut moved = Vec::new();
        let all = shared.trust.move_devices(&ids, to, by, now(), |id| {
            shared.hub.moved(id.author());
            tracing::info!(device = %id, %from, %to, "device moved");
            moved.push(id);
        });
        all.map(|()| moved)
    });
    let moved = moved.await?.map_err(problem)?;
    Ok(axum::Json(MovedAnswer { from: from.to_string(), to: to.to_string(), moved }))
}

/// Both where it is and where it would be, a device is below its mover: a move lifts nobody to one's own rank.
fn may_move(shared: &Shared, caller: &Caller, device: &DeviceRecord, to: UnitRef) -> Result<(), Problem> {
    below(shared, caller, device.rank(), "move")?;
    below(shared, caller, Rank { unit: to, ..device.rank() }, "make of somebody")
}

fn problem(error: MoveError) -> Problem {
    match error {
        MoveError::Store(error) => error.into(),
        MoveError::ManyToday { wait_ms } => Problem::many_today(wait_ms, error.to_string()),
        MoveError::Key(error) => {
            tracing::error!(%error, "a token could not be made");
            Problem::internal()
        }
    }
}
