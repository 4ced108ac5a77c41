//! `GET /v1/quarantine`, `POST /v1/quarantine/end`: for the operator of a server that does not know whom it has shut out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use toso_core::id::DeviceId;
use toso_core::time::TimestampMs;

use super::admin::blocking;
use super::extract::Json;
use crate::problem::Problem;
use crate::state::{Shared, now};
use crate::trust::{Caller, QuarantineError};

/// Whether the server is in quarantine, and what it knows.
#[derive(Serialize)]
pub(super) struct Answer {
    /// Since when; null for a server that works.
    quarantined_since: Option<TimestampMs>,
    /// Devices on the list of revocations.
    listed_devices: usize,
    /// Withdrawn invites on it.
    listed_invites: usize,
    /// The time of its last line; 0 without a list.
    listed_until: TimestampMs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndBody {
    /// Devices to shut out; an empty list says that there are none.
    revoke: Vec<DeviceId>,
}

/// How the server stands.
pub(super) async fn show(State(shared): State<Arc<Shared>>, caller: Caller) -> Result<axum::Json<Answer>, Problem> {
    operator(&caller)?;
    Ok(axum::Json(answer(&shared)))
}

/// Shuts devices out and lets the others in.
pub(super) async fn end(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Json(body): Json<EndBody>,
) -> Result<axum::Json<Answer>, Problem> {
    operator(&caller)?;
    if shared.trust.quarantined_since().is_none() {
        return Err(Problem::new(StatusCode::CONFLICT, "not-quarantined", "The server is in no quarantine")
            .detail("nothing was done; revoke single devices with `toso device revoke`"));
    }
    let ids = body.revoke.clone();
    let ended = blocking(&shared, move |shared| shared.trust.end_quarantine(&ids, now())).await?;
    ended.map_err(|error| match error {
        QuarantineError::Store(error) => Problem::from(error),
        QuarantineError::Key(error) => {
            tracing::error!(%error, "the list of revocations could not be made");
            Problem::internal()
        }
    })?;
    for device in &body.revoke {
        shared.hub.revoke(device.author());
    }
    tracing::warn!(revoked = body.revoke.len(), "the quarantine was ended by the operator");
    Ok(axum::Json(answer(&shared)))
}

fn answer(shared: &Shared) -> Answer {
    let listed = shared.trust.revocations().listed();
    Answer {
        quarantined_since: shared.trust.quarantined_since(),
        listed_devices: listed.devices.len(),
        listed_invites: listed.invites.len(),
        listed_until: listed.last,
    }
}

fn operator(caller: &Caller) -> Result<(), Problem> {
    match caller.device {
        None => Ok(()),
        Some(_) => Err(Problem::forbidden("a quarantine is ended with the admin token, at the server's own machine")),
    }
}
