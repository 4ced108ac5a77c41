//! `GET /healthz`, open to everybody and telling nothing but the state, and `GET /metrics`, for admins of the country.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

use crate::log_writer::QUEUE_BATCHES_MAX;
use crate::problem::Problem;
use crate::state::{Shared, now};
use crate::trust::Caller;

/// 200 while the server takes work; 503 while it is stopping, its log's queue is full, or it waits in quarantine, and once a
/// part of it has ended without which it does no work, whose word it tells. A server whose clock is wrong syncs as ever and
/// invites nobody: 200 with another word, so that monitoring is told and no phone is kept away.
pub(super) async fn health(State(shared): State<Arc<Shared>>) -> Response {
    if let Some(part) = shared.vitals.lost() {
        let body = serde_json::json!({ "status": "failed", "part": part.word() });
        return (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response();
    }
    let state = if shared.stop.is_cancelled() {
        Err("stopping")
    } else if shared.writer.queued() >= QUEUE_BATCHES_MAX {
        Err("overloaded")
    } else if shared.trust.quarantined_since().is_some() {
        Err("quarantined")
    } else if shared.trust.check_clock(now()).is_err() {
        Ok("clock-behind")
    } else {
        Ok("ok")
    };
    let (code, word) = match state {
        Ok(word) => (StatusCode::OK, word),
        Err(word) => (StatusCode::SERVICE_UNAVAILABLE, word),
    };
    (code, axum::Json(serde_json::json!({ "status": word }))).into_response()
}

/// All metrics as Prometheus text.
pub(super) async fn metrics(State(shared): State<Arc<Shared>>, caller: Caller) -> Result<Response, Problem> {
    if !caller.is_national_admin() {
        let (role, unit) = (caller.role.with_article(), caller.unit);
        return Err(Problem::forbidden(format!("metrics are for admins of the country; you are {role} of {unit}")));
    }
    shared.metrics.counted(shared.log.last(), shared.counted.known());
    shared.metrics.review_open.set(shared.review.open_len() as u64);
    shared.metrics.storage_syncs.inner().store((shared.storage_syncs)(), Ordering::Relaxed);
    shared.metrics.clock_behind.set(u64::from(shared.trust.check_clock(now()).is_err()));
    let lines_lost = shared.config.log_lines_lost.load(Ordering::Relaxed);
    shared.metrics.log_lines_lost.inner().store(lines_lost, Ordering::Relaxed);
    let text = shared.metrics.to_text();
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
}
