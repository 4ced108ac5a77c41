//! Documents as JSON: folded on demand, so that names live nowhere but in the documents.
//!
//! An answer costs what [`Effort`] allows: a page that would cost more ends before its limit, and says where to go on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use toso_core::document::{Conflict, ConflictValue, HistoryEntry};
use toso_core::finding::{Finding, record_findings};
use toso_core::id::{AuthorId, DocId, Sequence};
use toso_core::record::Record;
use toso_core::text::Date;
use toso_core::time::{KnownTime, TimestampMs};
use toso_projection::{Cursor, Page, ProjectionError, Projector};

use super::admin::name_of;
use crate::documents::{Effort, Folded, ReadError, Received, fold};
use crate::problem::Problem;
use crate::returned::Returned;
use crate::state::{Shared, now};
use crate::trust::Caller;

/// A document in a list.
#[derive(Serialize)]
pub(super) struct Item<V> {
    id: DocId,
    unit: String,
    #[serde(flatten)]
    view: V,
    #[serde(flatten)]
    record: Record,
    /// What a person should look at in this record by itself, seen from today.
    findings: Vec<Finding>,
}

impl<V> Item<V> {
    fn of(id: DocId, view: V, folded: &Folded) -> Self {
        let record = folded.document.read();
        let today = Date::in_vietnam(KnownTime::of_server(now()).likely());
        let findings = record_findings(id, &record, &today);
        Self { id, unit: folded.scope.to_string(), view, record, findings }
    }
}

/// A document with everything about it.
#[derive(Serialize)]
pub(super) struct Detail<V> {
    #[serde(flatten)]
    item: Item<V>,
    conflicts: Vec<Clash>,
    history: Vec<Save>,
}

/// A field that devices wrote apart.
#[derive(Serialize)]
struct Clash {
    field: String,
    /// The shown one first, and not all when there are very many.
    values: Vec<Written>,
    /// How many there are.
    count: usize,
}

/// One of a clash's values, with who wrote it.
#[derive(Serialize)]
struct Written {
    #[serde(flatten)]
    value: ConflictValue,
    device_name: Option<String>,
    /// As of a save.
    brought_back_by: Option<AuthorId>,
}

/// One save in a document's history.
#[derive(Serialize)]
pub(super) struct Save {
    pub(super) sequence: Sequence,
    pub(super) device: AuthorId,
    /// What the device calls itself.
    pub(super) device_name: Option<String>,
    /// The device that brought it back after the centre had lost it: its word is all that there is for `device`.
    pub(super) brought_back_by: Option<AuthorId>,
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

/// Folds documents for a list, in order, on a blocking thread: a page that `next` goes on from, or that ends earlier, once
/// it has cost what an answer may. One that is gone is left out.
pub(super) async fn items<V: Send + 'static>(
    shared: &Arc<Shared>,
    caller: &Caller,
    views: Vec<(DocId, V)>,
    next: Option<DocId>,
) -> Result<List<Item<V>, DocId>, Problem> {
    read(shared, caller, move |shared, effort| {
        let mut items = Vec::with_capacity(views.len());
        let mut last = None;
        for (id, view) in views {
            match fold(&*shared.log, id, effort) {
                Ok(Some(folded)) => items.push(Item::of(id, view, &folded)),
                Ok(None) => {}
                Err(ReadError::Spent) => return Ok(List { items, next: last }),
                Err(error) => return Err(error),
            }
            last = Some(id);
        }
        Ok(List { items, next })
    })
    .await
}

/// Folds one document with its conflicts and history.
pub(super) async fn detail<V: Send + 'static>(
    shared: &Arc<Shared>,
    caller: &Caller,
    id: DocId,
    view: V,
) -> Result<Option<Detail<V>>, Problem> {
    read(shared, caller, move |shared, effort| {
        let Some(folded) = fold(&*shared.log, id, effort)? else { return Ok(None) };
        let returned = Returned::of(&shared.trust, id)?;
        Ok(Some(Detail {
            conflicts: conflicts(shared, &folded, &returned),
            history: saves(shared, &folded, &returned),
            item: Item::of(id, view, &folded),
        }))
    })
    .await
}

/// Who changed what and when, oldest first.
pub(super) fn saves(shared: &Shared, folded: &Folded, returned: &Returned) -> Vec<Save> {
    let history = folded.document.history();
    // By hash: a full record has 4,096 of them.
    let history: HashMap<_, _> = history.iter().map(|entry| (entry.hash, entry)).collect();
    let of = |received: &Received| Some(save(shared, received, history.get(&received.hash)?, returned));
    folded.received.iter().filter_map(of).collect()
}

/// The fields that devices wrote apart; for each value who wrote it, and whether its author brought it.
fn conflicts(shared: &Shared, folded: &Folded, returned: &Returned) -> Vec<Clash> {
    let conflicts = folded.document.conflicts();
    let history = if returned.is_empty() { Vec::new() } else { folded.document.history() };
    // A value tells its device and moment, and that is the save which wrote the field then.
    let by = |field: &str, value: &ConflictValue| {
        let mut saves = history.iter().filter(|save| (save.device, save.at) == (value.device, value.at));
        let save = saves.find(|save| save.changes.iter().any(|(of, _)| of == field))?;
        let received = folded.received.iter().find(|received| received.hash == save.hash)?;
        returned.by(&received.hash, received.at)
    };
    let clash = |Conflict { field, values, count }: Conflict| {
        let values = values.into_iter().map(|value| Written {
            device_name: name_of(shared, value.device),
            brought_back_by: by(&field, &value),
            value,
        });
        Clash { values: values.collect(), field, count }
    };
    conflicts.into_iter().map(clash).collect()
}

impl Save {
    /// The save that an entry of the log is, whether or not a document has it.
    pub(super) fn of_entry(shared: &Shared, entry: &toso_core::change::Entry, returned: &Returned) -> Option<Self> {
        Some(save(shared, &Received::of(entry), &crate::documents::save(entry)?, returned))
    }
}

fn save(shared: &Shared, received: &Received, entry: &HistoryEntry, returned: &Returned) -> Save {
    Save {
        sequence: received.sequence,
        device: received.device,
        device_name: name_of(shared, received.device),
        brought_back_by: returned.by(&received.hash, received.at),
        received_at: received.at,
        made_at: entry.at,
        // Which fields, never their values: those can be a person's.
        fields: entry.changes.iter().map(|(field, _)| field.clone()).collect(),
    }
}

/// Reads the log on a blocking thread. The place is the work's, for as long as it runs; work that nobody waits for any
/// more ends at its next document.
pub(super) async fn read<T: Send + 'static>(
    shared: &Arc<Shared>,
    caller: &Caller,
    work: impl FnOnce(&Shared, &mut Effort) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, Problem> {
    let place = shared.read_places.take(caller.device).await.ok_or_else(Problem::internal)?;
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    let asking = Asking::default();
    let mut effort = Effort::new(Arc::clone(&asking.0), Arc::clone(&shared.set_aside));
    let answer = tasks.spawn_blocking(move || {
        let answer = work(&shared, &mut effort);
        drop(place);
        answer
    });
    Ok(answer.await??)
}

/// Somebody waits for an answer, until this is dropped.
#[derive(Default)]
struct Asking(Arc<AtomicBool>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A list's starting point in the projector. A document outside the caller's unit is answered like one that is not there:
/// else someone who knows an id could ask whether, and where in the order, it exists.
pub(super) fn position(shared: &Shared, caller: &Caller, after: Option<DocId>) -> Result<Option<Cursor>, Problem> {
    let Some(doc) = after else { return Ok(None) };
    let scope = shared.views.lock().scope_of(doc).filter(|scope| caller.covers(shared.catalog, *scope));
    let scope = scope.ok_or_else(|| Problem::invalid(format!("after: there is no document {doc} here")))?;
    Ok(Some(Cursor { scope, doc }))
}

/// A page of what the caller may see of a unit's list. The unit's figures may take in communes that a right over it does not
/// cover: their documents are left out, and are no page's end, since that is named to the caller.
pub(super) fn page<T>(
    shared: &Shared,
    caller: &Caller,
    (mut after, limit): (Option<Cursor>, usize),
    place: impl Fn(&T) -> Cursor,
    read: impl Fn(&Projector, Option<Cursor>, usize) -> Result<Page<T>, ProjectionError>,
) -> Result<(Vec<T>, Option<DocId>), Problem> {
    let mut seen: Vec<T> = Vec::new();
    loop {
        let page = read(&shared.views.lock(), after, limit)?;
        after = page.next;
        for item in page.items {
            if !caller.covers(shared.catalog, place(&item).scope) {
                continue;
            }
            if seen.len() == limit {
                let next = seen.last().map(|last| place(last).doc);
                return Ok((seen, next));
            }
            seen.push(item);
        }
        if after.is_none() {
            return Ok((seen, None));
        }
        if seen.len() == limit {
            let next = seen.last().map(|last| place(last).doc);
            return Ok((seen, next));
        }
    }
}
