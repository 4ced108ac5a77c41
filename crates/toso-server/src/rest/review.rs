//! The review queue for officers: `GET /v1/review`, `POST /v1/review/{number}/accept`, `POST /v1/review/{number}/return`.
//!
//! An officer of the commune, or of a unit above it, sees what a held change would write, since nobody can decide without;
//! to all others an item is not there.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use toso_core::change::Change;
use toso_core::chunk::Chunk;
use toso_core::document::{Document, HistoryEntry};
use toso_core::id::{AuthorId, ChangeHash, DevicePrefix, DocId};
use toso_core::record::Record;
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::LogBatch;
use toso_sync::{AccessRole, Rank, check_item};

use super::admin::{blocking, name_of};
use super::documents::{List, read};
use super::extract::{Id, Json, NoBody, Params, limit, said, unit_within};
use crate::documents::{Effort, ReadError, chunks};
use crate::problem::Problem;
use crate::review::{DecideError, ReviewRecord, ReviewStatus};
use crate::state::{Shared, now};
use crate::trust::Caller;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    unit: String,
    status: Option<ReviewStatus>,
    after: Option<u64>,
    limit: Option<usize>,
}

/// An item as officers see it.
#[derive(Serialize)]
pub(super) struct Item {
    number: u64,
    unit: String,
    unit_name: String,
    document: DocId,
    kind: &'static str,
    hash: ChangeHash,
    device: DevicePrefix,
    /// What the device calls itself.
    device_name: Option<String>,
    reason: String,
    /// The device that brought it back after the centre had lost it, by whose word alone it is `device`'s.
    brought_back_by: Option<DevicePrefix>,
    /// What that device calls itself.
    brought_back_by_name: Option<String>,
    received_at: TimestampMs,
    /// By the device's clock.
    made_at: Option<TimestampMs>,
    /// Fields and the values that the change writes; empty while what it was made on top of is not here.
    changes: Vec<(String, String)>,
    /// The document with this change and those held beside it.
    record: Option<Record>,
    status: ReviewStatus,
    decided_by: Option<DevicePrefix>,
    decided_by_name: Option<String>,
    decided_at: Option<TimestampMs>,
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnBody {
    note: String,
}

/// The items of a unit and of those below it, oldest first.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Params(query): Params<Query>,
) -> Result<axum::Json<List<Item, u64>>, Problem> {
    officer(&caller)?;
    let unit = unit_within(&shared, &caller, &query.unit)?;
    let (after, limit) = (query.after.unwrap_or_default(), limit(query.limit)?);
    let catalog = shared.catalog;
    let with_status = move |record: &ReviewRecord| query.status.is_none_or(|status| record.status == status);
    let wanted = move |record: &ReviewRecord| {
        with_status(record)
            && (unit == record.scope || catalog.covers(unit, record.scope))
            && caller.covers(catalog, record.scope)
    };
    let list = read(&shared, &caller, move |shared, effort| {
        let mut found = shared.review.list(after, limit + 1, wanted);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(number, _)| *number);
        if shared.review.settle(&*shared.log, &found, now())? {
            let again = found.iter().filter_map(|(number, _)| Some((*number, shared.review.item(*number)?)));
            found = again.filter(|(_, record)| with_status(record)).collect();
        }
        let wanted = found.len();
        let items = items(shared, found, effort)?;
        // It ends earlier once it has cost what an answer may.
        let next = if items.len() < wanted { items.last().map(|item| item.number) } else { next };
        Ok(List { items, next })
    })
    .await?;
    Ok(axum::Json(list))
}

/// Accepts an item: its change goes into the log, as its author's.
pub(super) async fn accept(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Id(number): Id<u64>,
    NoBody: NoBody,
) -> Result<axum::Json<Item>, Problem> {
    let record = decidable(&shared, &caller, number)?;
    let deciding = blocking(&shared, move |shared| shared.review.begin_accept(number)).await?.map_err(refusal)?;
    let item = checked(&shared, &record, &deciding.change)?;
    // The time of acceptance is the time at which the register got it: a report as of yesterday stays as it was.
    let (scope, author, received_at) = (record.scope, record.author, now());
    let batch = LogBatch { scope, author, received_at, items: vec![item] };
    if let Some(by) = record.returned_by {
        let of_batch = batch.clone();
        blocking(&shared, move |shared| shared.note_returned(&of_batch, by)).await??;
    }
    let accepted = shared.writer.append(batch).await.map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The server cannot store now")
            .detail("nothing was decided; try again later")
    })?;
    if !accepted.refused.is_empty() {
        return Err(conflict("the record is full and takes no further change; return it".to_owned()));
    }
    blocking(&shared, move |_| deciding.accept(caller.author(), now())).await??;
    shared.metrics.review_accepted.inc();
    tracing::info!(number, device = %record.author, "a held change was accepted");
    decided(shared, &caller, number, record.author).await
}

/// Returns an item to its author. It stays in the queue, and can still be accepted.
pub(super) async fn give_back(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Id(number): Id<u64>,
    Json(body): Json<ReturnBody>,
) -> Result<axum::Json<Item>, Problem> {
    let record = decidable(&shared, &caller, number)?;
    let note = said("the note", &body.note)?;
    let by = caller.author();
    let returned = blocking(&shared, move |shared| shared.review.give_back(&*shared.log, number, by, note, now()));
    let returned = returned.await?;
    if returned.is_err() {
        // It may have turned out to be in the register.
        shared.hub.decided(record.author);
    }
    returned.map_err(refusal)?;
    shared.metrics.review_returned.inc();
    tracing::info!(number, device = %record.author, "a held change was returned");
    decided(shared, &caller, number, record.author).await
}

async fn decided(
    shared: Arc<Shared>,
    caller: &Caller,
    number: u64,
    author: AuthorId,
) -> Result<axum::Json<Item>, Problem> {
    shared.hub.decided(author);
    let found = shared.review.item(number).map(|record| (number, record));
    let mut items =
        read(&shared, caller, move |shared, effort| items(shared, found.into_iter().collect(), effort)).await?;
    items.pop().map(axum::Json).ok_or_else(Problem::internal)
}

fn officer(caller: &Caller) -> Result<(), Problem> {
    if caller.directs() {
        return Ok(());
    }
    Err(Problem::forbidden(format!("the review queue is for officers; you are {}", caller.role.with_article())))
}

/// The item, when the caller may decide it.
fn decidable(shared: &Shared, caller: &Caller, number: u64) -> Result<Arc<ReviewRecord>, Problem> {
    officer(caller)?;
    let record = shared.review.item(number).filter(|record| caller.covers(shared.catalog, record.scope));
    let record = record.ok_or_else(|| Problem::missing("held change", &number.to_string()))?;
    if caller.author().is_some() && caller.author() == record.returned_by {
        return Err(Problem::forbidden(
            "your own device brought this back, and nothing but its word says who made it; another officer above the \
             recorder decides"
                .to_owned(),
        ));
    }
    let author = author_rank(shared, &record);
    if caller.author() == Some(record.author) || !caller.stands_above(shared.catalog, &author) {
        return Err(Problem::forbidden(format!(
            "this was made by a device that was {} of {}, which is not below you; an officer above both decides",
            author.role, author.unit
        )));
    }
    Ok(record)
}

/// In which rank the author of a held change made it: his role, in that of his units, left or present, which the change is
/// in. So a commune's officer decides on what a recorder made there, wherever the recorder is now, and not on what an
/// officer of the same commune made, himself among them. Who is unknown here was a recorder of the very commune.
fn author_rank(shared: &Shared, record: &ReviewRecord) -> Rank {
    let scope = record.scope;
    let Some(device) = shared.trust.device_of_author(record.author) else {
        return Rank { role: AccessRole::Recorder, unit: scope };
    };
    let units = device.former.iter().map(|former| former.unit).chain([device.unit]);
    let held_in = |unit: &UnitRef| *unit == scope || shared.catalog.covers(*unit, scope);
    let widest = units.filter(held_in).reduce(|wide, unit| if shared.catalog.covers(unit, wide) { unit } else { wide });
    // That matters to officers alone: one who directs the commune directs its recorders, those of a wider unit, too.
    let unit = widest.filter(|_| device.role().may_direct()).unwrap_or(scope);
    Rank { role: device.role(), unit }
}

/// What was checked when it came is checked again: the code may be another by now.
fn checked(shared: &Shared, record: &ReviewRecord, change: &Change) -> Result<Change, Problem> {
    let device = shared.trust.device_of_author(record.author);
    // Of what was returned an officer's acceptance is all that its author's right rests on.
    let role = match record.returned_by {
        Some(_) => AccessRole::Officer,
        None => device.map_or(AccessRole::Recorder, |device| device.role()),
    };
    check_item(record.author, role, record.scope, &change.raw())
        .map_err(|(_, detail)| conflict(format!("the register does not take this change: {detail}; return it")))
}

fn conflict(detail: String) -> Problem {
    Problem::new(StatusCode::CONFLICT, "decided", "This cannot be decided so").detail(detail)
}

fn refusal(error: DecideError) -> Problem {
    match error {
        DecideError::Unknown(number) => Problem::missing("held change", &number.to_string()),
        DecideError::Store(error) => error.into(),
        decided @ DecideError::Decided { .. } => conflict(decided.to_string()),
    }
}

/// What a document would be with everything that is held for it, and what each save of it wrote.
struct Seen {
    record: Record,
    history: HashMap<ChangeHash, HistoryEntry>,
}

/// Items in their order, as many as an answer may cost.
fn items(shared: &Shared, found: Vec<(u64, Arc<ReviewRecord>)>, effort: &mut Effort) -> Result<Vec<Item>, ReadError> {
    let mut documents: HashMap<DocId, Option<Seen>> = HashMap::new();
    let mut items = Vec::with_capacity(found.len());
    for (number, record) in found {
        let seen = match documents.entry(record.doc) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(unknown) => match see(shared, record.doc, effort) {
                Ok(seen) => unknown.insert(seen),
                Err(ReadError::Spent) => break,
                Err(error) => return Err(error),
            },
        };
        items.push(item(shared, number, &record, seen.as_ref()));
    }
    Ok(items)
}

fn see(shared: &Shared, doc: DocId, effort: &mut Effort) -> Result<Option<Seen>, ReadError> {
    let entries = effort.entries(&*shared.log, doc)?;
    let held = shared.review.changes_of(doc)?;
    effort.merge(entries.len() + held.len())?;
    // A change that no document can take must not take the list down with it.
    Ok(catch_unwind(AssertUnwindSafe(move || {
        let (mut document, _) = Document::fold(doc, &chunks(&entries))?;
        let held: Vec<Chunk> = held.into_iter().map(|change| change.chunk).collect();
        document.apply(&held);
        let history = document.history().into_iter().map(|entry| (entry.hash, entry)).collect();
        Some(Seen { record: document.read(), history })
    }))
    .ok()
    .flatten())
}

fn item(shared: &Shared, number: u64, record: &ReviewRecord, seen: Option<&Seen>) -> Item {
    let save = seen.and_then(|seen| seen.history.get(&record.hash));
    let decided = record.status != ReviewStatus::Open;
    Item {
        number,
        unit: record.scope.to_string(),
        unit_name: shared.catalog.display_path(record.scope),
        document: record.doc,
        kind: match record.doc.kind() {
            Some(toso_core::id::DocKind::Commune) => "commune",
            Some(toso_core::id::DocKind::Team) => "team",
            Some(toso_core::id::DocKind::Member) => "member",
            None => "newer",
        },
        hash: record.hash,
        device: shared.trust.shown(record.author),
        device_name: name_of(shared, record.author),
        reason: record.reason.clone(),
        brought_back_by: record.returned_by.map(|by| shared.trust.shown(by)),
        brought_back_by_name: record.returned_by.and_then(|by| name_of(shared, by)),
        received_at: record.received_at,
        made_at: save.map(|save| save.at),
        changes: save.map(|save| save.changes.clone()).unwrap_or_default(),
        record: seen.map(|seen| seen.record.clone()),
        status: record.status,
        decided_by: record.decided_by.map(|by| shared.trust.shown(by)),
        decided_by_name: record.decided_by.and_then(|by| name_of(shared, by)),
        decided_at: decided.then_some(record.decided_at),
        note: record.note.clone(),
    }
}
