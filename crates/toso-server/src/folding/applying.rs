//! Brings a merged page to the projector, and rows and checkpoint into the store, in this order.

use std::sync::Arc;

use toso_core::id::Sequence;
use toso_core::time::TimestampMs;
use toso_projection::Row;
use toso_store::{RecordStore, StoreError};

use super::journal::Journal;
use super::{FoldedRow, rows};
use crate::views::Views;

/// Rows applied under one lock, below a millisecond, so that no session's read waits for a page.
const ROWS_PER_LOCK: usize = 64;

/// A page of which not every document came back from merging. Nothing of it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Incomplete;

/// Why a page's rows and checkpoint are not in the store.
#[derive(Debug, thiserror::Error)]
enum NotStored {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a row cannot be encoded: {0}")]
    Row(#[from] rmp_serde::encode::Error),
}

pub(super) struct Applying {
    records: Arc<dyn RecordStore>,
    views: Arc<Views>,
    journal: Journal,
    /// True until what is stored has been removed, because counting begins anew.
    anew: bool,
    /// False once a write failed: a later checkpoint would claim rows that are not there.
    may_store: bool,
}

impl Applying {
    /// Goes on after what a start has loaded through a sequence; from zero everything is counted anew.
    pub(super) fn new(records: Arc<dyn RecordStore>, views: Arc<Views>, journal: Journal, through: Sequence) -> Self {
        Self { records, views, journal, anew: through == Sequence::ZERO, may_store: true }
    }

    /// Applies a page of so many documents. `counted` is told how many chunks were quarantined as soon as the figures
    /// include the page, before it is stored.
    ///
    /// Each document of the page has one row here, also one that cannot be read. A page without one of them is refused:
    /// its checkpoint would say for good that the document is counted.
    pub(super) fn apply(
        &mut self,
        mut rows: Vec<FoldedRow>,
        documents: usize,
        through: Sequence,
        newest: TimestampMs,
        counted: impl FnOnce(usize),
    ) -> Result<(), Incomplete> {
        if rows.len() != documents {
            return Err(Incomplete);
        }
        rows.sort_by_key(|row| row.last);
        let quarantined: usize = rows.iter().map(|row| row.quarantined.len()).sum();
        if quarantined > 0 {
            tracing::warn!(chunks = quarantined, through = through.0, "chunks quarantined while folding");
        }
        for part in rows.chunks(ROWS_PER_LOCK) {
            let mut projector = self.views.lock();
            for row in part {
                match &row.row {
                    // All of it is set aside, or only a newer version reads it.
                    Some(Row::Other) => projector.remove(row.doc),
                    Some(content) => projector.apply(row.scope, row.doc, content.clone()),
                    None => {}
                }
            }
            // Settled here, so that no report and no session pays for it.
            projector.refresh();
        }
        self.views.lock().advance(through, newest);
        counted(quarantined);
        if self.may_store
            && let Err(error) = self.store(&rows, through, newest)
        {
            self.may_store = false;
            tracing::error!(%error, "the views' checkpoint cannot be stored; the next start folds again from the last");
        }
        Ok(())
    }

    /// Documents, counted so far, of kinds that only a newer version knows.
    pub(super) fn newer(&self) -> usize {
        self.journal.newer()
    }

    /// False once rows could not be stored.
    pub(super) fn stores(&self) -> bool {
        self.may_store
    }

    fn store(&mut self, rows: &[FoldedRow], through: Sequence, newest: TimestampMs) -> Result<(), NotStored> {
        if std::mem::take(&mut self.anew) {
            rows::remove_all(&*self.records)?;
        }
        let changes = rows::changes(&mut self.journal, &*self.records, rows, through, newest)?;
        Ok(rows::store(&*self.records, &changes)?)
    }
}
