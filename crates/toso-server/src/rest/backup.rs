//! `GET /v1/backup`: everything that the server keeps, as one compressed export, while it goes on serving.
//!
//! Each part of the file is read only when the caller has taken the part before. So a slow caller holds no thread and no
//! place for reads, and some 500 KiB of memory; nobody else waits longer than one read takes.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use toso_store::export::{Compressor, Exporter};

use super::documents::read;
use crate::problem::Problem;
use crate::state::{Shared, now};
use crate::trust::Caller;
use crate::upkeep::{self, UpkeepError};

/// Backups under way at the same time: one that runs, and one beside it should the first have been forgotten by a caller
/// that is still connected.
const BACKUPS_CONCURRENT_MAX: usize = 2;

/// The route.
pub(super) fn route() -> MethodRouter<Arc<Shared>> {
    let places = Arc::new(Semaphore::new(BACKUPS_CONCURRENT_MAX));
    get(move |state: State<Arc<Shared>>, caller: Caller| backup(state, caller, Arc::clone(&places)))
}

async fn backup(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    places: Arc<Semaphore>,
) -> Result<Response, Problem> {
    if !caller.is_national_admin() {
        let (role, unit) = (caller.role.with_article(), caller.unit);
        return Err(Problem::forbidden(format!("backups are for admins of the country; you are {role} of {unit}")));
    }
    let place = places.try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Other backups are under way")
            .detail(format!("at most {BACKUPS_CONCURRENT_MAX} run at the same time; try again when one has ended"))
    })?;
    let header = read(&shared, &caller, |shared, _| {
        let now = now();
        // The list of now belongs to this backup; an older copy of it shows by lacking this line.
        upkeep::backup::mark(shared.trust.revocations(), shared.trust.records(), now)?;
        Ok(upkeep::backup::header(&*shared.log, shared.trust.records(), now).map_err(|error| match error {
            UpkeepError::Store(error) => Problem::from(error),
            error @ (UpkeepError::NoData { .. }
            | UpkeepError::NotEmpty { .. }
            | UpkeepError::Unfit { .. }
            | UpkeepError::ForeignList { .. }
            | UpkeepError::NoList { .. }
            | UpkeepError::Exists { .. }
            | UpkeepError::NoKey { .. }
            | UpkeepError::ForeignKey { .. }
            | UpkeepError::Busy { .. }
            | UpkeepError::NoIdentity { .. }
            | UpkeepError::Source(_)
            | UpkeepError::Differs { .. }
            | UpkeepError::Io { .. }
            | UpkeepError::File { .. }
            | UpkeepError::Keys(_)) => {
                tracing::error!(%error, "a backup could not be begun");
                Problem::internal()
            }
        }))
    })
    .await??;
    tracing::info!(through = header.last.0, "backup begun");
    let compressor = Compressor::new().map_err(|_| Problem::internal())?;
    let sending =
        Sending { shared, caller, export: Exporter::new(header), compressor: Some(compressor), _place: place };
    let parts = stream::try_unfold(sending, Sending::next);
    let file_name = HeaderValue::from_static("attachment; filename=\"toso-backup.jsonl.zst\"");
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/zstd")),
        (HeaderName::from_static("content-disposition"), file_name),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}

struct Sending {
    shared: Arc<Shared>,
    caller: Caller,
    export: Exporter,
    /// `None` once its end has been sent.
    compressor: Option<Compressor>,
    _place: OwnedSemaphorePermit,
}

impl Sending {
    /// The next bytes. An error cuts the answer off, and the caller sees that the file has no end.
    async fn next(self) -> std::io::Result<Option<(Bytes, Self)>> {
        if self.compressor.is_none() {
            return Ok(None);
        }
        if self.shared.stop.is_cancelled() {
            return Err(std::io::Error::other("the server is stopping"));
        }
        let shared = Arc::clone(&self.shared);
        let caller = self.caller;
        let done = read(&shared, &caller, move |shared, _| Ok(self.read_part(shared))).await;
        let (bytes, sending) = done.map_err(|_| std::io::Error::other("the server failed"))??;
        Ok(Some((bytes, sending)))
    }

    /// Reads parts until some bytes are ready.
    fn read_part(mut self, shared: &Shared) -> std::io::Result<(Bytes, Self)> {
        let mut ready = Vec::new();
        while ready.is_empty() {
            let part = self.export.part(&*shared.log).map_err(|error| {
                tracing::error!(%error, "a backup under way failed");
                std::io::Error::other("the server failed")
            })?;
            match (part, self.compressor.take()) {
                (Some(part), Some(mut compressor)) => {
                    ready = compressor.push(&part)?;
                    self.compressor = Some(compressor);
                }
                (None, Some(compressor)) => {
                    ready = compressor.finish()?;
                    tracing::info!(entries = self.export.contents().entries, "backup sent");
                }
                (_, None) => break,
            }
        }
        Ok((ready.into(), self))
    }
}
