//! Which documents a scope has, and what each comes to, so that a server can refuse one that grows without end at the price
//! of one look-up. By heads, and by the document index that format 1 had.

use toso_core::document::DocumentSize;
use toso_core::id::{DocId, Sequence};
use toso_core::unit::Scope;
use toso_store::{Log as _, StoreError};

use super::heads::Head;
use super::{DOCUMENT_SPACE, SledChangeLog, document_key};
use crate::value::Reader;

/// A document as the former index has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DocumentEntry {
    pub(super) first: Sequence,
    pub(super) size: DocumentSize,
}

impl DocumentEntry {
    /// The first sequence, and the size where the body has one: folders written before documents were counted have none.
    pub(super) fn parse(body: &[u8]) -> Option<(Sequence, Option<DocumentSize>)> {
        let mut body = Reader(body);
        let first = Sequence(body.u64()?);
        if body.0.is_empty() {
            return Some((first, None));
        }
        let size = DocumentSize { changes: body.u64()?, bytes: body.u64()? };
        Some((first, Some(size)))
    }

    pub(super) fn body(&self) -> Vec<u8> {
        [self.first.0, self.size.changes, self.size.bytes].map(u64::to_be_bytes).concat()
    }
}

impl SledChangeLog {
    /// The entry in a body; counted anew when it was written before documents were counted.
    pub(super) fn document_entry(&self, key: &[u8], body: &[u8], doc: DocId) -> Result<DocumentEntry, StoreError> {
        let parsed = DocumentEntry::parse(body);
        let (first, size) = parsed.ok_or_else(|| self.unreadable_fields(key))?;
        let size = match size {
            Some(size) => size,
            None => self.count_document(doc)?,
        };
        Ok(DocumentEntry { first, size })
    }

    fn count_document(&self, doc: DocId) -> Result<DocumentSize, StoreError> {
        Ok(DocumentSize::of(self.read_document(doc)?.iter().map(|entry| entry.change.bytes().len())))
    }

    pub(super) fn read_document_size(&self, scope: Scope, doc: DocId) -> Result<DocumentSize, StoreError> {
        if let Some(head) = self.head(doc)?.filter(|head| head.scope == scope) {
            return Ok(head.size);
        }
        self.former_document_size(scope, doc)
    }

    /// By the former index.
    pub(super) fn former_document_size(&self, scope: Scope, doc: DocId) -> Result<DocumentSize, StoreError> {
        if !self.has_former() {
            return Ok(DocumentSize::default());
        }
        let key = document_key(scope, doc);
        let Some(body) = self.engine.get(&key)? else { return Ok(DocumentSize::default()) };
        Ok(self.document_entry(&key, &body, doc)?.size)
    }

    pub(super) fn read_documents(&self, scope: Scope) -> Result<Vec<DocId>, StoreError> {
        let last = self.last();
        let prefix = [&[DOCUMENT_SPACE], scope.to_key().as_slice()].concat();
        let mut documents = Vec::new();
        let former = self.has_former().then(|| self.engine.scan(&prefix));
        for entry in former.into_iter().flatten() {
            let (key, body) = entry?;
            let doc = key.last_chunk().and_then(|bytes| DocId::from_bytes(*bytes).ok());
            let (doc, (first, _)) = doc.zip(DocumentEntry::parse(&body)).ok_or_else(|| self.unreadable_fields(&key))?;
            if first <= last {
                documents.push(doc);
            }
        }
        for prefix in self.letters.head_prefixes(scope) {
            for entry in self.engine.scan(&prefix) {
                let (key, body) = entry?;
                let doc = key.last_chunk().and_then(|bytes| DocId::from_bytes(*bytes).ok());
                let (doc, head) = doc.zip(Head::parse(&body)).ok_or_else(|| self.unreadable_fields(&key))?;
                if head.scope == scope && head.first.sequence <= last {
                    documents.push(doc);
                }
            }
        }
        documents.sort_unstable();
        Ok(documents)
    }
}
