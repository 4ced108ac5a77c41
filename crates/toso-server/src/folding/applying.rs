//! Brings a merged page to the projector, and rows and checkpoint into the store, in this order.

use std::sync::Arc;

use parking_lot::Mutex;
use toso_core::id::Sequence;
use toso_core::time::TimestampMs;
use toso_projection::Projector;
use toso_store::RecordStore;

use super::{FoldedRow, rows};

/// Rows applied under one lock, below a millisecond, so that no session's read waits for a page.
const ROWS_PER_LOCK: usize = 64;

pub(super) struct Applying {
    records: Arc<dyn RecordStore>,
    projector: Arc<Mutex<Projector>>,
    /// False once a write failed: a later checkpoint would claim rows that are not there.
    may_store: bool,
}

impl Applying {
    pub(super) fn new(records: Arc<dyn RecordStore>, projector: Arc<Mutex<Projector>>) -> Self {
        Self { records, projector, may_store: true }
    }

    /// Applies a page. `counted` is told how many chunks were quarantined as soon as the figures include the page,
    /// before it is stored.
    pub(super) fn apply(
        &mut self,
        mut rows: Vec<FoldedRow>,
        through: Sequence,
        newest: TimestampMs,
        counted: impl FnOnce(usize),
    ) {
        rows.sort_by_key(|row| row.last);
        let stored = if self.may_store { rows::changes(&rows, through, newest) } else { Vec::new() };
        let quarantined: usize = rows.iter().map(|row| row.quarantined.len()).sum();
        if quarantined > 0 {
            tracing::warn!(chunks = quarantined, through = through.0, "chunks quarantined while folding");
        }
        for part in rows.chunks(ROWS_PER_LOCK) {
            let mut projector = self.projector.lock();
            for row in part {
                if let Some(content) = &row.row {
                    projector.apply(row.scope, row.doc, content.clone());
                }
            }
            // Settled here, so that no report and no session pays for it.
            projector.refresh();
        }
        self.projector.lock().advance(through, newest);
        counted(quarantined);
        if self.may_store
            && let Err(error) = rows::store(&*self.records, &stored)
        {
            self.may_store = false;
            tracing::error!(%error, "the views' checkpoint cannot be stored; the next start folds again from the last");
        }
    }
}
