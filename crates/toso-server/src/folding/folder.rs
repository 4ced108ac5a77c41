//! Folding without threads: one page at a time, whenever its owner asks. A simulation drives this; the threads use the
//! same merging and the same applying.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use toso_core::id::{DocId, Sequence};
use toso_projection::Projector;
use toso_store::{ChangeLog, LogEntry, RecordStore, StoreError};

use super::applying::Applying;
use super::rows::Loaded;
use super::worker::Merging;
use super::{FOLD_PAGE_BYTES_MAX, FOLD_PAGE_ITEMS_MAX};

/// Folds a log in its owner's thread.
pub struct Folder {
    log: Arc<dyn ChangeLog>,
    merging: Merging,
    applying: Applying,
    read_to: Sequence,
}

impl Folder {
    /// Goes on after what [`Loaded::load`] brought into the projector.
    pub fn new(
        log: Arc<dyn ChangeLog>,
        records: Arc<dyn RecordStore>,
        projector: Arc<Mutex<Projector>>,
        loaded: Loaded,
        cache_documents: usize,
    ) -> Self {
        let quarantined = Arc::new(loaded.quarantined);
        Self {
            merging: Merging::new(Arc::clone(&log), cache_documents, loaded.documents, quarantined),
            applying: Applying::new(records, projector, loaded.journal, loaded.through),
            read_to: loaded.through,
            log,
        }
    }

    /// Everything at or below this is counted.
    pub fn counted(&self) -> Sequence {
        self.read_to
    }

    /// Folds the next page and returns up to where everything is counted now; `None` when the log has no more. On an
    /// error nothing of the page is counted, and the next call tries it again.
    pub fn fold_page(&mut self) -> Result<Option<Sequence>, StoreError> {
        let page = self.log.read(self.read_to, FOLD_PAGE_ITEMS_MAX, FOLD_PAGE_BYTES_MAX)?;
        let Some(through) = page.entries.last().map(|entry| entry.sequence) else { return Ok(None) };
        let newest = page.entries.iter().map(|entry| entry.received_at).max().unwrap_or_default();
        let mut documents: BTreeMap<DocId, Vec<LogEntry>> = BTreeMap::new();
        for entry in page.entries {
            documents.entry(entry.item.doc).or_default().push(entry);
        }
        let mut rows = Vec::with_capacity(documents.len());
        for (doc, entries) in &documents {
            let row = match self.merging.extend(*doc, entries) {
                Some(row) => Some(row),
                None => match self.merging.history(*doc, through) {
                    Ok(history) => self.merging.fold(*doc, entries, &history),
                    Err(error) => {
                        self.merging.undo(&rows);
                        return Err(error);
                    }
                },
            };
            rows.extend(row);
        }
        self.read_to = through;
        self.applying.apply(rows, through, newest, |_| {});
        Ok(Some(through))
    }
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folder").field("counted", &self.read_to).finish_non_exhaustive()
    }
}
