//! Documents on demand, folded from the log for one question: `GET /v1/teams/{id}` and its like.

use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::document::Document;
use toso_core::id::{DeviceId, DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;
use toso_store::{ChangeLog, LogEntry, StoreError};

/// A document with where it belongs and who brought its changes.
pub(crate) struct Folded {
    pub(crate) scope: Scope,
    pub(crate) document: Document,
    pub(crate) received: Vec<Received>,
}

/// When the server got a change, and from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) sequence: Sequence,
    pub(crate) hash: ChangeHash,
    pub(crate) device: DeviceId,
    pub(crate) at: TimestampMs,
}

/// Reads and merges a document; `None` when the log has none of this id.
pub(crate) fn fold(log: &dyn ChangeLog, doc: DocId) -> Result<Option<Folded>, StoreError> {
    let entries = log.document(doc)?;
    let Some(scope) = entries.first().map(|entry| entry.scope) else { return Ok(None) };
    let mut document = Document::new(doc);
    document.apply(&chunks(&entries));
    let received = entries
        .iter()
        .map(|entry| Received {
            sequence: entry.sequence,
            hash: entry.item.hash,
            device: entry.author,
            at: entry.received_at,
        })
        .collect();
    Ok(Some(Folded { scope, document, received }))
}

/// The changes of entries. They were parsed before they were appended; one that no longer parses is left out.
pub(crate) fn chunks(entries: &[LogEntry]) -> Vec<Chunk> {
    entries.iter().filter_map(|entry| Chunk::parse(&entry.item.bytes).ok()).collect()
}
