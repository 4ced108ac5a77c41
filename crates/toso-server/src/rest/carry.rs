//! `GET /v1/carry`: what a device needs to help others where no server is in reach: its card, and the key of a unit's bundles.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use toso_core::id::DeviceId;
use toso_core::unit::UnitRef;

use super::extract::{Params, unit_within};
use crate::problem::Problem;
use crate::state::Shared;
use crate::trust::Caller;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    unit: Option<String>,
}

/// Card and key; bytes are base64url without padding.
#[derive(Serialize)]
pub(super) struct Pass {
    root: String,
    key: String,
    unit: UnitRef,
    role: String,
    signature: String,
    bundle_unit: UnitRef,
    bundle_generation: u32,
    bundle_key: String,
}

impl Pass {
    /// The pass of a device, with the bundle key of a unit that it may read.
    pub(super) fn new(shared: &Shared, device: DeviceId, bundle_unit: UnitRef) -> Option<Self> {
        let card = shared.trust.card(device)?;
        let bundle = shared.trust.bundle_key(shared.catalog, bundle_unit);
        Some(Self {
            root: URL_SAFE_NO_PAD.encode(card.root),
            key: URL_SAFE_NO_PAD.encode(card.key),
            unit: card.unit,
            role: card.role,
            signature: URL_SAFE_NO_PAD.encode(card.signature),
            bundle_unit,
            bundle_generation: bundle.generation,
            bundle_key: URL_SAFE_NO_PAD.encode(*bundle.key),
        })
    }
}

/// The caller's own pass; the key of its unit, or of one inside it.
pub(super) async fn pass(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Params(query): Params<Query>,
) -> Result<axum::Json<Pass>, Problem> {
    let device = caller.device.ok_or_else(|| Problem::forbidden("an admin token belongs to no device"))?;
    let unit = query.unit.as_deref().map_or(Ok(caller.unit), |text| unit_within(&shared, &caller, text))?;
    let pass = Pass::new(&shared, device, unit).ok_or_else(Problem::internal);
    pass.map(axum::Json)
}
