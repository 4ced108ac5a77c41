//! `POST /v1/enrol`: an invite becomes a capability token. The invite and the device's signature are the proof.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use toso_core::id::{DeviceId, Epoch, ServerId};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;

use super::admin::blocking;
use super::carry::Pass;
use super::extract::Json;
use crate::problem::Problem;
use crate::state::{Shared, now};
use crate::trust::{EnrolError, EnrolRequest};

/// What a device sends; bytes are base64url without padding.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    secret: String,
    public_key: String,
    signature: String,
    device_name: Option<String>,
}

/// What a device gets.
#[derive(Serialize)]
pub(super) struct Answer {
    token: String,
    device: DeviceId,
    server_id: ServerId,
    root_public_key: String,
    epoch: Epoch,
    unit: UnitRef,
    role: &'static str,
    expires_at: TimestampMs,
    /// What officers see it as.
    device_name: Option<String>,
    /// The root key's signature, by which the device knows the server.
    proof: String,
    /// What it needs to help other phones without a server.
    carry: Option<Pass>,
}

/// Enrols a device.
pub(super) async fn enrol(
    State(shared): State<Arc<Shared>>,
    Json(body): Json<Body>,
) -> Result<axum::Json<Answer>, Problem> {
    let request = EnrolRequest {
        secret: bytes(&body.secret, "secret")?,
        public_key: bytes(&body.public_key, "public_key")?,
        signature: bytes(&body.signature, "signature")?,
        name: body.device_name,
    };
    let enrolment = blocking(&shared, move |shared| shared.trust.enrol(&request, now())).await?;
    let enrolment = enrolment.map_err(|error| {
        let (status, kind) = match &error {
            EnrolError::BadSignature => (StatusCode::FORBIDDEN, "bad-signature"),
            EnrolError::UnknownInvite => (StatusCode::FORBIDDEN, "unknown-invite"),
            EnrolError::ExpiredInvite => (StatusCode::FORBIDDEN, "expired-invite"),
            EnrolError::UsedInvite => (StatusCode::FORBIDDEN, "used-invite"),
            EnrolError::WithdrawnInvite => (StatusCode::FORBIDDEN, "withdrawn-invite"),
            EnrolError::VoidInvite => (StatusCode::FORBIDDEN, "void-invite"),
            EnrolError::Revoked => (StatusCode::FORBIDDEN, "revoked"),
            EnrolError::OtherKey => (StatusCode::FORBIDDEN, "other-key"),
            EnrolError::NameTooLong | EnrolError::Name(_) => return Problem::invalid(error.to_string()),
            EnrolError::ManyToday(many) => return Problem::many_today(many.wait_ms, error.to_string()),
            EnrolError::Clock(behind) => return (*behind).into(),
            EnrolError::Store(error) => return error.clone().into(),
            EnrolError::Key(_) => {
                tracing::error!(%error, "a token could not be made");
                return Problem::internal();
            }
        };
        Problem::new(status, kind, "The device was not enrolled").detail(error.to_string())
    })?;
    // Sessions that the device had as what it was before.
    shared.hub.moved(enrolment.device.author());
    tracing::info!(device = %enrolment.device, unit = %enrolment.unit, role = %enrolment.role, "device enrolled");
    Ok(axum::Json(Answer {
        token: URL_SAFE_NO_PAD.encode(&enrolment.token),
        device: enrolment.device,
        server_id: shared.trust.server(),
        root_public_key: URL_SAFE_NO_PAD.encode(shared.trust.root_public_key()),
        epoch: shared.trust.epoch(),
        unit: enrolment.unit,
        role: enrolment.role.word(),
        expires_at: enrolment.expires_at,
        device_name: enrolment.name,
        proof: URL_SAFE_NO_PAD.encode(enrolment.proof),
        carry: Pass::new(&shared, enrolment.device, enrolment.unit),
    }))
}

fn bytes<const N: usize>(text: &str, what: &str) -> Result<[u8; N], Problem> {
    let decoded = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    decoded.ok_or_else(|| Problem::invalid(format!("{what} must be {N} bytes as base64url without padding")))
}
