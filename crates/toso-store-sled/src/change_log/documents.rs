//! The document index: which documents a scope has, and what each comes to, so that a server can refuse one that grows
//! without end at the price of one look-up.

use toso_core::document::DocumentSize;
use toso_core::id::{DocId, Sequence};
use toso_core::unit::Scope;
use toso_store::{ChangeLog as _, StoreError};

use super::{DOCUMENT_SPACE, SledChangeLog, document_key};
use crate::value::Reader;

/// A document as the index has it.
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
        let (first, size) = parsed.ok_or_else(|| self.engine.damaged(key, "its fields cannot be read"))?;
        let size = match size {
            Some(size) => size,
            None => self.count_document(doc)?,
        };
        Ok(DocumentEntry { first, size })
    }

    fn count_document(&self, doc: DocId) -> Result<DocumentSize, StoreError> {
        Ok(DocumentSize::of(self.read_document(doc)?.iter().map(|entry| entry.item.bytes.len())))
    }

    pub(super) fn read_document_size(&self, scope: Scope, doc: DocId) -> Result<DocumentSize, StoreError> {
        let key = document_key(scope, doc);
        let Some(body) = self.engine.get(&key)? else { return Ok(DocumentSize::default()) };
        Ok(self.document_entry(&key, &body, doc)?.size)
    }

    pub(super) fn read_documents(&self, scope: Scope) -> Result<Vec<DocId>, StoreError> {
        let last = self.last();
        let prefix = [&[DOCUMENT_SPACE], scope.to_key().as_slice()].concat();
        let mut documents = Vec::new();
        for entry in self.engine.scan(&prefix) {
            let (key, body) = entry?;
            let doc = key.last_chunk().and_then(|bytes| DocId::from_bytes(*bytes).ok());
            let (doc, (first, _)) = doc
                .zip(DocumentEntry::parse(&body))
                .ok_or_else(|| self.engine.damaged(&key, "its fields cannot be read"))?;
            if first <= last {
                documents.push(doc);
            }
        }
        Ok(documents)
    }
}

#[cfg(test)]
mod tests {
    use toso_core::chunk::ChangeHash;
    use toso_core::id::DeviceId;
    use toso_core::time::TimestampMs;
    use toso_core::unit::{UnitList, UnitRef};
    use toso_store::{LogBatch, LogItem};

    use super::super::*;
    use super::*;

    #[test]
    fn a_folder_from_before_documents_were_counted_is_counted_when_it_is_read_and_written() {
        let folder = tempfile::tempdir().unwrap();
        let log = SledChangeLog::open(folder.path(), Options::server()).unwrap();
        let scope = UnitRef::new(UnitList::L2022, "00001").unwrap();
        let doc = DocId::commune(scope);
        let item = |number: u8| LogItem { doc, hash: ChangeHash([number; 32]), bytes: vec![1; 10] };
        let batch = |items| LogBatch { scope, author: DeviceId([1; 8]), received_at: TimestampMs(1), items };
        log.append(&[batch(vec![item(1), item(2)])]).unwrap();
        let key = document_key(scope, doc);
        // As it was written then.
        let mut staged = Staged::new(&log.engine);
        staged.put(&key, &1_u64.to_be_bytes()).unwrap();
        log.engine.apply(staged, || ()).unwrap();
        assert_eq!(log.document_size(scope, doc).unwrap(), DocumentSize { changes: 2, bytes: 20 });
        let mut wrong = Vec::new();
        log.check(&mut |found| wrong.push(found.to_string())).unwrap();
        assert!(wrong.is_empty(), "{wrong:?}");
        log.append(&[batch(vec![item(3), item(4)])]).unwrap();
        assert_eq!(log.document_size(scope, doc).unwrap(), DocumentSize { changes: 4, bytes: 40 });
        assert_eq!(log.engine.get(&key).unwrap().unwrap().len(), 24, "it has its size from now on");
    }
}
