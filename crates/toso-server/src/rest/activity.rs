//! `GET /v1/activity`: who changed what in a unit, and when. In the order the server got it; fields without values.
//!
//! A change tells by itself which fields it wrote, so an answer costs what its entries cost, however many changes their
//! records have.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use toso_core::id::{DocId, Sequence};

use super::documents::{self, List, Save};
use super::extract::{Params, limit, unit_within};
use crate::folding::is_quarantined;
use crate::problem::Problem;
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
    let list = documents::read(&shared, &caller, move |shared, _| {
        let page = shared.read_unit(unit, after, limit, ACTIVITY_BYTES_MAX)?;
        let mut items = Vec::with_capacity(page.entries.len());
        let mut returned: HashMap<DocId, Returned> = HashMap::new();
        for entry in &page.entries {
            let document = entry.change.doc;
            let returned = match returned.entry(document) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(unknown) => {
                    unknown.insert(Returned::of(&shared.trust, document)?)
                }
            };
            // What no document could take is in quarantine and no activity; nor is what was set aside.
            if !shared.set_aside.covers(entry)
                && !is_quarantined(shared.trust.records(), document, &entry.change.hash())?
                && let Some(save) = Save::of_entry(shared, entry, returned)
            {
                items.push(Entry { document, unit: entry.scope.to_string(), save });
            }
        }
        Ok(List { items, next: page.more.then_some(page.through) })
    })
    .await?;
    Ok(axum::Json(list))
}
