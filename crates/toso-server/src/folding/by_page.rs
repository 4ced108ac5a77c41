//! Folding without threads: one page at a time, whenever its owner asks. A simulation drives this; the threads use the
//! same merging and the same applying, and a page whose documents do not all come back ends it as it ends them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use toso_core::change::Entry;
use toso_core::id::{DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_store::{ChangeLog, RecordStore, StoreError};

use super::applying::Applying;
use super::page::{FoldPage, ReadTo, last_entries, next_page};
use super::rows::Loaded;
use super::worker::Merging;
use super::{FoldedRow, Turns, share_of};
use crate::set_aside::{Again, SetAside};
use crate::views::Views;

/// Batches that a page's documents are dealt into, as they are to threads.
const SHARES: usize = 2;

/// Why a page was not counted.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The store could not be read; the next call tries again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A batch did not come back from merging, as when a worker's thread has died: a new one goes on from the
    /// checkpoint, this one does not.
    #[error("a batch of documents was lost while it was merged; start again from the checkpoint")]
    LostBatch,
}

/// Folds a log in its owner's thread.
pub struct FoldByPage {
    log: Arc<dyn ChangeLog>,
    set_aside: Arc<SetAside>,
    merging: Merging,
    applying: Applying,
    read_to: ReadTo,
    /// When the newest of it came.
    newest: TimestampMs,
    /// A batch was lost.
    lost: bool,
    turns: Turns,
}

impl FoldByPage {
    /// Goes on after what [`Loaded::load`] brought into the views.
    pub fn new(
        log: Arc<dyn ChangeLog>,
        records: Arc<dyn RecordStore>,
        views: Arc<Views>,
        loaded: Loaded,
        cache_documents: usize,
        set_aside: Arc<SetAside>,
    ) -> Self {
        let quarantined = Arc::new(loaded.quarantined);
        let newest = views.lock().as_of_time();
        let merging =
            Merging::new(Arc::clone(&log), Arc::clone(&set_aside), cache_documents, loaded.documents, quarantined);
        Self {
            newest,
            set_aside,
            merging,
            applying: Applying::new(records, views, loaded.journal, loaded.through),
            read_to: ReadTo::checkpoint(loaded.through),
            lost: false,
            turns: Turns::default(),
            log,
        }
    }

    /// Everything at or below this is counted.
    pub fn counted(&self) -> Sequence {
        self.read_to.change
    }

    /// Folds the next page and returns up to where everything is counted now; `None` when the log has no more. On an
    /// error nothing of the page is counted.
    pub fn fold_page(&mut self) -> Result<Option<Sequence>, FoldError> {
        if self.lost {
            return Err(FoldError::LostBatch);
        }
        let page = next_page(&*self.log, &mut self.read_to)?;
        if let Some(again) = self.turns.again(&self.set_aside, page.is_some()) {
            return self.make_again(again);
        }
        let Some(FoldPage { entries, read_to, newest }) = page else { return Ok(None) };
        self.fold_entries(entries, read_to.change, newest)?;
        self.newest = self.newest.max(newest);
        self.read_to = read_to;
        Ok(Some(read_to.change))
    }

    /// Makes documents again in which something was set aside or let in again.
    fn make_again(&mut self, again: Again) -> Result<Option<Sequence>, FoldError> {
        let through = self.read_to.change;
        let made = last_entries(&*self.log, &again.documents(), through)
            .map_err(FoldError::from)
            .and_then(|entries| self.fold_entries(entries, through, self.newest));
        if let Err(error) = made {
            self.set_aside.later(again);
            return Err(error);
        }
        if self.applying.stores() {
            again.settles.into_iter().for_each(|settles| self.set_aside.settle(settles));
        }
        Ok(Some(through))
    }

    fn fold_entries(&mut self, entries: Vec<Entry>, through: Sequence, newest: TimestampMs) -> Result<(), FoldError> {
        let mut shares: [BTreeMap<DocId, Vec<Entry>>; SHARES] = Default::default();
        for entry in entries {
            if let Some(share) = shares.get_mut(share_of(entry.change.doc, SHARES)) {
                share.entry(entry.change.doc).or_default().push(entry);
            }
        }
        let documents = shares.iter().map(BTreeMap::len).sum();
        let mut rows = Vec::with_capacity(documents);
        for share in &shares {
            let merged = catch_unwind(AssertUnwindSafe(|| self.merge(share, through, &mut rows)));
            if let Ok(Err(error)) = merged {
                self.merging.undo(&rows);
                return Err(error.into());
            }
        }
        if self.applying.apply(rows, documents, through, newest, |_| {}).is_err() {
            self.lost = true;
            return Err(FoldError::LostBatch);
        }
        Ok(())
    }

    /// Merges a batch.
    fn merge(
        &mut self,
        share: &BTreeMap<DocId, Vec<Entry>>,
        through: Sequence,
        rows: &mut Vec<FoldedRow>,
    ) -> Result<(), StoreError> {
        for (doc, entries) in share {
            let row = if let Some(row) = self.merging.extend(*doc, entries) {
                Some(row)
            } else {
                let history = self.merging.history(*doc, through)?;
                self.merging.fold(*doc, entries, &history)
            };
            rows.extend(row);
        }
        Ok(())
    }
}

impl std::fmt::Debug for FoldByPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FoldByPage").field("counted", &self.read_to).finish_non_exhaustive()
    }
}
