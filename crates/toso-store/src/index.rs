//! What a log's changes come to by scope, by document and by hash. All of it follows from the log's entries, and is made
//! again from them: by applying them to an empty store.

use toso_core::change::Entry;
use toso_core::chunk::ChangeHash;
use toso_core::document::DocumentSize;
use toso_core::id::{Digest, DocId, Sequence};
use toso_core::unit::Scope;

use crate::StoreError;
use crate::change_log::{Log, Page};

/// How many chunks scopes have up to a position, and which.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many.
    pub count: u64,
    /// Digest of all of them.
    pub digest: Digest,
}

/// What a chunk that may be new meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lookup {
    /// What its document comes to.
    pub size: DocumentSize,
    /// True when the chunk is in the log.
    pub known: bool,
}

/// The index of a log.
///
/// # Contract
///
/// - **Follows**: every answer is what the log's changes give, at one of the log's positions between the call's beginning
///   and its end; what was acknowledged before the call is in it.
/// - **Disposable**: nothing is in the index that is not in the log.
/// - **Waiting**: each call says whether it may wait for a disk. One that never does may be asked by a thread on which others
///   depend; the others belong on a thread that may wait.
pub trait Index: Send + Sync {
    /// Changes of the given scopes after `after`, merged by sequence, with the limits of [`Log::read`]. May wait for a
    /// disk, unless none of the scopes has anything after `after`.
    fn read_scopes(
        &self,
        scopes: &[Scope],
        after: Sequence,
        items_max: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError>;
    /// The greatest sequence among the given scopes; zero when there is none. Never waits for a disk.
    fn last_of_scopes(&self, scopes: &[Scope]) -> Result<Sequence, StoreError>;
    /// The changes of the given scopes at or below `at`, in sum. A scope that is given twice counts once. Costs a few
    /// look-ups for each scope, however many changes it has. Never waits for a disk when `at` is at or past
    /// [`Self::last_of_scopes`]; else it may.
    fn summary(&self, scopes: &[Scope], at: Sequence) -> Result<Summary, StoreError>;
    /// All entries of one document, by rising sequence. May wait for a disk.
    fn document(&self, doc: DocId) -> Result<Vec<Entry>, StoreError>;
    /// What the changes of one document come to: costs the same however many it has. What is being made durable may be
    /// counted already. May wait for a disk.
    fn document_size(&self, scope: Scope, doc: DocId) -> Result<DocumentSize, StoreError>;
    /// [`Self::document_size`] and [`Self::contains`] in one look-up. May wait for a disk.
    fn look_up(&self, scope: Scope, doc: DocId, hash: &ChangeHash) -> Result<Lookup, StoreError> {
        Ok(Lookup { size: self.document_size(scope, doc)?, known: self.contains(doc, hash)? })
    }
    /// The documents of a scope, by id. May wait for a disk.
    fn documents(&self, scope: Scope) -> Result<Vec<DocId>, StoreError>;
    /// True when the change is in the log. May wait for a disk.
    fn contains(&self, doc: DocId, hash: &ChangeHash) -> Result<bool, StoreError>;
}

/// A log with its index: what a server works with.
pub trait ChangeLog: Log + Index {}

impl<T: Log + Index + ?Sized> ChangeLog for T {}
