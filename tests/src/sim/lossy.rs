//! A planted bug: counting that takes a batch which did not come back for one in which nothing was.
//!
//! A worker that has died gives back no rows of its batch. When the page is counted all the same, its checkpoint says for
//! good that the batch's documents are counted. Here the counting is shown pages without a batch now and then, which
//! comes to the same.

use std::sync::Arc;

use parking_lot::Mutex;
use toso_core::change::Entry;
use toso_core::chunk::ChangeHash;
use toso_core::document::DocumentSize;
use toso_core::id::{DocId, Sequence};
use toso_core::unit::Scope;
use toso_store::faulty::FaultyChangeLog;
use toso_store::{Appended, Index, Log, LogBatch, Logged, Page, StoreError, Summary};

use super::rng::Rng;

/// A page lacks a batch, so often in a thousand.
const LACKS_PER_MILLE: u32 = 300;

/// The log as such counting sees it.
pub(super) struct LossyLog {
    /// The log as it is.
    pub(super) disk: Arc<FaultyChangeLog>,
    /// Which pages.
    pub(super) rng: Mutex<Rng>,
}

impl Log for LossyLog {
    fn read(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Page, StoreError> {
        self.disk.read(after, items_max, bytes_max)
    }

    fn append(&self, batches: &[LogBatch]) -> Result<Vec<Appended>, StoreError> {
        self.disk.append(batches)
    }

    fn apply(&self, entries: &[Logged]) -> Result<(), StoreError> {
        self.disk.apply(entries)
    }

    fn last(&self) -> Sequence {
        self.disk.last()
    }

    fn end(&self) -> Sequence {
        self.disk.end()
    }

    fn tail(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Vec<Logged>, StoreError> {
        let mut tail = self.disk.tail(after, items_max, bytes_max)?;
        let is_change = |entry: &&Logged| matches!(entry, Logged::Change(_));
        let end = tail.iter().rfind(is_change).map(Logged::sequence);
        if self.rng.lock().chance(LACKS_PER_MILLE) {
            // Half of the documents, as one of two workers has; the page's end stays where it is.
            let is_lost = |doc: &DocId| doc.as_bytes().last().is_some_and(|byte| byte % 2 == 1);
            tail.retain(|entry| match entry {
                Logged::Change(change) => Some(change.sequence) == end || !is_lost(&change.change.doc),
                Logged::Command(_) => true,
            });
        }
        Ok(tail)
    }
}

impl Index for LossyLog {
    fn read_scopes(
        &self,
        scopes: &[Scope],
        after: Sequence,
        items_max: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        self.disk.read_scopes(scopes, after, items_max, bytes_max)
    }

    fn last_of_scopes(&self, scopes: &[Scope]) -> Result<Sequence, StoreError> {
        self.disk.last_of_scopes(scopes)
    }

    fn document(&self, doc: DocId) -> Result<Vec<Entry>, StoreError> {
        self.disk.document(doc)
    }

    fn document_size(&self, scope: Scope, doc: DocId) -> Result<DocumentSize, StoreError> {
        self.disk.document_size(scope, doc)
    }

    fn documents(&self, scope: Scope) -> Result<Vec<DocId>, StoreError> {
        self.disk.documents(scope)
    }

    fn summary(&self, scopes: &[Scope], at: Sequence) -> Result<Summary, StoreError> {
        self.disk.summary(scopes, at)
    }

    fn contains(&self, doc: DocId, hash: &ChangeHash) -> Result<bool, StoreError> {
        self.disk.contains(doc, hash)
    }
}
