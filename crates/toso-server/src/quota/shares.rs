//! What each device has written of a document: asked only of documents larger than one device's share.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use lru::LruCache;
use toso_core::document::DocumentSize;
use toso_core::id::{AuthorId, DocId};
use toso_store::{ChangeLog, StoreError};

/// Documents remembered. Each is larger than a quarter of what a document may be, of which a register has a handful; one
/// that is not remembered costs a read of all its changes, 5 to 20 ms. With ten devices each they are 100 KiB.
const DOCUMENTS_MAX: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Sizes by document and device.
pub(crate) struct Shares(LruCache<DocId, HashMap<AuthorId, DocumentSize>>);

impl Default for Shares {
    fn default() -> Self {
        Self(LruCache::new(DOCUMENTS_MAX))
    }
}

impl Shares {
    /// What a device has of a document: by the log when it was first asked for, and by what was added since.
    pub(crate) fn of(&mut self, log: &dyn ChangeLog, doc: DocId, device: AuthorId) -> Result<DocumentSize, StoreError> {
        if let Some(known) = self.0.get(&doc) {
            return Ok(known.get(&device).copied().unwrap_or_default());
        }
        let mut sizes: HashMap<AuthorId, DocumentSize> = HashMap::new();
        for entry in log.document(doc)? {
            sizes.entry(entry.author).or_default().add(entry.change.size());
        }
        let own = sizes.get(&device).copied().unwrap_or_default();
        self.0.put(doc, sizes);
        Ok(own)
    }

    /// What a device adds to a document.
    pub(crate) fn add(&mut self, doc: DocId, device: AuthorId, added: DocumentSize) {
        if let Some(known) = self.0.peek_mut(&doc) {
            let size = known.entry(device).or_default();
            *size = size.plus(added);
        }
    }

    /// Forgets everything: the log is asked again.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
