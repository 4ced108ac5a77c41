//! `GET /v1/activity`: who changed what in a unit, and when. In the order the server got it; fields without values.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use toso_core::id::{DocId, Sequence};

use super::documents::{self, List, Save, saves};
use super::extract::{Params, limit, unit_within};
use super::problem::Problem;
use crate::documents::fold;
use crate::returned::Returned;
use crate::state::Shared;
use crate::trust::Caller;

/// Change bytes read for one page.
const ACTIVITY_BYTES_MAX: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    unit: String,
    after: Option<u64>,
    limit: Option<usize>,
}

/// One save.
#[derive(Serialize)]
pub(super) struct Entry {
    document: DocId,
    unit: String,
    #[serde(flatten)]
    save: Save,
}

/// What a unit got after a sequence.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Params(query): Params<Query>,
) -> Result<axum::Json<List<Entry, Sequence>>, Problem> {
    let unit = unit_within(&shared, &caller, &query.unit)?;
    let (after, limit) = (Sequence(query.after.unwrap_or_default()), limit(query.limit)?);
    let list = documents::read(&shared, move |shared| {
        let page = shared.read_unit(unit, after, limit, ACTIVITY_BYTES_MAX)?;
        let mut histories: HashMap<DocId, HashMap<Sequence, Save>> = HashMap::new();
        let mut items = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            let document = entry.item.doc;
            let history = match histories.entry(document) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(unknown) => {
                    let returned = Returned::of(shared, document)?;
                    let folded = fold(&*shared.log, document)?;
                    let saves = folded.map(|folded| saves(shared, &folded, &returned)).unwrap_or_default();
                    unknown.insert(saves.into_iter().map(|save| (save.sequence, save)).collect())
                }
            };
            // What no document could take is in quarantine and no activity.
            if let Some(save) = history.remove(&entry.sequence) {
                items.push(Entry { document, unit: entry.scope.to_string(), save });
            }
        }
        Ok(List { items, next: page.more.then_some(page.through) })
    })
    .await?;
    Ok(axum::Json(list))
}
