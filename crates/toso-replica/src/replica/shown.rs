//! What documents show, kept in the store beside their changes, so that opening and listing merge nothing.
//!
//! The store lets go of it whenever a change comes without (see [`Transaction::shown`]), so it never shows less than the
//! changes do. Saves and pages bring it in the transaction that brings the change. What is missing all the same (a store of
//! an older version, a change taken back for review) is merged by the first list that needs it, and kept then.

use std::collections::HashMap;

use lru::LruCache;
use toso_core::change::Change;
use toso_core::chunk::Chunk;
use toso_core::document::{Document, FlatDocument};
use toso_core::id::{DocId, DocKind};
use toso_core::record::Record;
use toso_core::unit::Scope;
use toso_store::chunk_store::SHOWN_BYTES_MAX;
use toso_store::{Listed, StoreError, Transaction};

use super::{Merged, Replica, known_kind};
use crate::error::ReplicaError;

/// The first byte. A record with other fields needs another one: what was kept is then merged anew. A test pins it.
const FORMAT: u8 = 1;
/// Changes of a document, at most, that a page merges to keep what it shows; one with more, some 10 ms, waits for the next
/// list.
const MERGED_WITH_PAGE_MAX: usize = 256;
/// What a list keeps in one transaction, in bytes: a sixteenth of what a store takes at once.
const KEPT_AT_ONCE_BYTES: usize = 256 * 1024;

/// What a document shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) record: Record,
    /// Some field has several values, which may be equal.
    pub(super) disputed: bool,
}

impl Shown {
    fn of(document: &Document) -> Self {
        Self { record: document.read(), disputed: !document.conflicts().is_empty() }
    }

    /// By the short way, where there is nothing to decide.
    fn flat<'a>(id: DocId, mut chunks: impl Iterator<Item = &'a Chunk>) -> Option<Self> {
        let mut values = FlatDocument::new(id)?;
        let plain = chunks.all(|chunk| values.apply(chunk).is_ok());
        plain.then(|| Self { record: values.read(), disputed: values.is_disputed() })
    }

    /// `FORMAT ‖ disputed (1) ‖ record as MessagePack`; `None` when the store would not keep it.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![FORMAT, u8::from(self.disputed)];
        rmp_serde::encode::write(&mut bytes, &self.record).ok()?;
        (bytes.len() <= SHOWN_BYTES_MAX).then_some(bytes)
    }

    pub(super) fn decode(kind: DocKind, bytes: &[u8]) -> Option<Self> {
        let [FORMAT, disputed, record @ ..] = bytes else { return None };
        let record = match kind {
            DocKind::Commune => Record::Commune(rmp_serde::from_slice(record).ok()?),
            DocKind::Team => Record::Team(rmp_serde::from_slice(record).ok()?),
            DocKind::Member => Record::Member(rmp_serde::from_slice(record).ok()?),
        };
        Some(Self { record, disputed: *disputed != 0 })
    }
}

impl Replica {
    /// Hands the documents of the wanted kinds, of those that are known, over with what they show, by id. One at a time: a list of 5,000 in memory has
    /// 2 MB, and fresh memory costs more than reading does.
    pub(super) fn each_shown(
        &self,
        wanted: impl Fn(DocKind) -> bool,
        mut take: impl FnMut(Scope, DocId, Shown) -> Result<(), ReplicaError>,
    ) -> Result<(), ReplicaError> {
        let mut documents = None;
        let (mut transaction, mut bytes) = (Transaction::default(), 0);
        for Listed { scope, doc, shown } in self.store.listed()? {
            let Some(kind) = doc.kind().filter(|kind| wanted(*kind)) else { continue };
            if let Some(shown) = shown.and_then(|bytes| Shown::decode(kind, &bytes)) {
                take(scope, doc, shown)?;
                continue;
            }
            // Held from the look at the changes until what they show is kept. A list does not wait for a save to let go of
            // the documents; it merges then, and the next one keeps it.
            let shown = match documents.get_or_insert_with(|| self.documents.try_lock()).as_deref_mut() {
                None => self.merged_apart(doc)?,
                Some(documents) => {
                    let shown = self.merged(documents, doc)?;
                    let encoded = shown.encode().map(|encoded| (doc, encoded));
                    bytes += encoded.as_ref().map_or(0, |(_, encoded)| encoded.len());
                    transaction.shown.extend(encoded);
                    if bytes >= KEPT_AT_ONCE_BYTES {
                        self.keep(std::mem::take(&mut transaction));
                        bytes = 0;
                    }
                    shown
                }
            };
            take(scope, doc, shown)?;
        }
        self.keep(transaction);
        Ok(())
    }

    /// What one document shows, without waiting for a save that has its hand on the documents: what is stored is the truth.
    pub(super) fn record(&self, id: DocId) -> Result<Record, ReplicaError> {
        if let Some(mut documents) = self.documents.try_lock()
            && let Some(merged) = documents.get(&id)
        {
            return Ok(merged.document.read());
        }
        let kind = known_kind(id)?;
        if let Some(shown) = self.store.shown(id)?.and_then(|bytes| Shown::decode(kind, &bytes)) {
            return Ok(shown.record);
        }
        Ok(self.merged_apart(id)?.record)
    }

    /// Documents that may have fields with several values.
    pub(super) fn disputed(&self) -> Result<Vec<DocId>, ReplicaError> {
        let mut disputed = Vec::new();
        self.each_shown(
            |_| true,
            |_, doc, shown| {
                disputed.extend(shown.disputed.then_some(doc));
                Ok(())
            },
        )?;
        Ok(disputed)
    }

    /// What a saved document shows, for the transaction that saves it.
    pub(super) fn shown_of(document: &Document) -> Option<Vec<u8>> {
        Shown::of(document).encode()
    }

    /// What documents show once these chunks are stored, for the transaction that stores them. The documents must be
    /// locked until it is committed.
    pub(super) fn shown_with(&self, chunks: &[(Scope, Change)]) -> Result<Vec<(DocId, Vec<u8>)>, StoreError> {
        let mut new: HashMap<DocId, Vec<&Chunk>> = HashMap::new();
        // Of what only a newer version can read nothing is shown.
        for (_, Change { doc, chunk }) in chunks.iter().filter(|(_, change)| change.doc.kind().is_some()) {
            new.entry(*doc).or_default().push(chunk);
        }
        let mut shown = Vec::with_capacity(new.len());
        for (doc, new) in new {
            let stored = self.store.chunks(doc)?;
            if stored.len() + new.len() > MERGED_WITH_PAGE_MAX {
                continue;
            }
            let all = || stored.iter().chain(new.iter().copied());
            let of = Shown::flat(doc, all()).or_else(|| {
                let chunks: Vec<Chunk> = all().cloned().collect();
                Document::fold(doc, &chunks).map(|(document, _)| Shown::of(&document))
            });
            shown.extend(of.and_then(|of| of.encode()).map(|bytes| (doc, bytes)));
        }
        Ok(shown)
    }

    /// Without the documents, where that can be.
    fn merged_apart(&self, id: DocId) -> Result<Shown, ReplicaError> {
        match Shown::flat(id, self.store.chunks(id)?.iter()) {
            Some(shown) => Ok(shown),
            None => self.merged(&mut self.documents.lock(), id),
        }
    }

    fn merged(&self, documents: &mut LruCache<DocId, Merged>, id: DocId) -> Result<Shown, ReplicaError> {
        if let Some(shown) = Shown::flat(id, self.store.chunks(id)?.iter()) {
            return Ok(shown);
        }
        let merged = self.take(documents, id)?;
        let shown = Shown::of(&merged.document);
        documents.put(id, merged);
        Ok(shown)
    }

    /// On a full or failed disk a list is shown all the same, and merged again next time.
    fn keep(&self, transaction: Transaction) {
        if !transaction.shown.is_empty() {
            let _ = self.store.commit(transaction);
        }
    }
}

#[cfg(test)]
mod tests;
