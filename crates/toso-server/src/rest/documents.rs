//! Documents as JSON: folded on demand, so that names live nowhere but in the documents.

use std::sync::Arc;

use serde::Serialize;
use toso_core::document::Conflict;
use toso_core::id::{DeviceId, DocId, Sequence};
use toso_core::record::Record;
use toso_core::time::TimestampMs;
use toso_projection::Cursor;
use toso_store::StoreError;

use super::problem::Problem;
use crate::documents::{Folded, Received, fold};
use crate::state::Shared;

/// A document in a list.
#[derive(Serialize)]
pub(super) struct Item<V> {
    id: DocId,
    unit: String,
    #[serde(flatten)]
    view: V,
    #[serde(flatten)]
    record: Record,
}

/// A document with everything about it.
#[derive(Serialize)]
pub(super) struct Detail<V> {
    #[serde(flatten)]
    item: Item<V>,
    conflicts: Vec<Conflict>,
    history: Vec<Save>,
}

/// One save in a document's history.
#[derive(Serialize)]
pub(super) struct Save {
    pub(super) sequence: Sequence,
    pub(super) device: DeviceId,
    pub(super) received_at: TimestampMs,
    /// By the device's clock.
    pub(super) made_at: TimestampMs,
    pub(super) fields: Vec<String>,
}

/// A page of a list.
#[derive(Serialize)]
pub(super) struct List<T, N> {
    pub(super) items: Vec<T>,
    /// To be asked for as `after`; null at the end.
    pub(super) next: Option<N>,
}

/// Folds documents for a list, in order, on a blocking thread. One that is gone is left out.
pub(super) async fn items<V: Send + 'static>(
    shared: &Arc<Shared>,
    views: Vec<(DocId, V)>,
) -> Result<Vec<Item<V>>, Problem> {
    read(shared, move |shared| {
        let mut items = Vec::with_capacity(views.len());
        for (id, view) in views {
            if let Some(folded) = fold(&*shared.log, id)? {
                items.push(Item { id, unit: folded.scope.to_string(), view, record: folded.document.read() });
            }
        }
        Ok(items)
    })
    .await
}

/// Folds one document with its conflicts and history.
pub(super) async fn detail<V: Send + 'static>(
    shared: &Arc<Shared>,
    id: DocId,
    view: V,
) -> Result<Option<Detail<V>>, Problem> {
    read(shared, move |shared| {
        Ok(fold(&*shared.log, id)?.map(|folded| Detail {
            conflicts: folded.document.conflicts(),
            history: saves(&folded),
            item: Item { id, unit: folded.scope.to_string(), view, record: folded.document.read() },
        }))
    })
    .await
}

/// Who changed what and when, oldest first.
pub(super) fn saves(folded: &Folded) -> Vec<Save> {
    let history = folded.document.history();
    folded.received.iter().filter_map(|received| save(received, &history)).collect()
}

fn save(received: &Received, history: &[toso_core::document::HistoryEntry]) -> Option<Save> {
    let entry = history.iter().find(|entry| entry.hash == received.hash)?;
    Some(Save {
        sequence: received.sequence,
        device: received.device,
        received_at: received.at,
        made_at: entry.at,
        // Which fields, never their values: those can be a person's.
        fields: entry.changes.iter().map(|(field, _)| field.clone()).collect(),
    })
}

/// Reads the log on a blocking thread.
pub(super) async fn read<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let _place = Arc::clone(&shared.read_places).acquire_owned().await.map_err(|_| Problem::internal())?;
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    Ok(tasks.spawn_blocking(move || work(&shared)).await??)
}

/// A list's starting point in the projector.
pub(super) fn position(shared: &Shared, after: Option<DocId>) -> Result<Option<Cursor>, Problem> {
    let Some(doc) = after else { return Ok(None) };
    let scope = shared.projector.lock().scope_of(doc);
    let scope = scope.ok_or_else(|| Problem::invalid(format!("after: there is no document {doc} here")))?;
    Ok(Some(Cursor { scope, doc }))
}
