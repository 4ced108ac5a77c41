//! Documents on demand, read from the log for one question: `GET /v1/teams/{id}` and its like.
//!
//! They are read as counting reads them: their values alone where their changes leave nothing to decide, by Automerge
//! where they do. And an answer has an [`Effort`]: what one question may cost, and whether somebody still waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use toso_core::change::Entry;
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::document::{Conflict, Document, FlatDocument, HistoryEntry};
use toso_core::id::{AuthorId, DocId, Sequence};
use toso_core::record::Record;
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;
use toso_store::{ChangeLog, StoreError};

use crate::set_aside::SetAside;

/// Changes that one answer reads: those of twelve full records (4,096 each), or of 200 records with 245 each. At 10 µs
/// each half a second.
pub(crate) const READ_CHANGES_MAX: usize = 12 * 4_096;
/// Their bytes: those of twelve full records of 2 MiB each.
pub(crate) const READ_BYTES_MAX: usize = 12 * (2 << 20);
/// Changes that one answer has Automerge merge, at some 100 µs each: those of one full record.
pub(crate) const MERGE_CHANGES_MAX: usize = 4_096;

/// What one answer may still cost. The first document is always read, since a full one fits by itself.
#[derive(Debug)]
pub(crate) struct Effort {
    documents: usize,
    changes: usize,
    bytes: usize,
    merged: usize,
    given_up: Arc<AtomicBool>,
    set_aside: Arc<SetAside>,
}

/// Why a document was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer has cost what it may: what comes now belongs to the next.
    #[error("the answer has cost what it may")]
    Spent,
    /// Nobody waits for the answer any more.
    #[error("nobody waits for the answer")]
    Abandoned,
    /// Both readers panicked.
    #[error("a document could not be read")]
    Broken,
}

impl Effort {
    /// Of an answer that is not begun. The asker sets the flag when nobody waits any more.
    pub(crate) fn new(given_up: Arc<AtomicBool>, set_aside: Arc<SetAside>) -> Self {
        let (changes, bytes, merged) = (READ_CHANGES_MAX, READ_BYTES_MAX, MERGE_CHANGES_MAX);
        Self { documents: 0, changes, bytes, merged, given_up, set_aside }
    }

    /// A document's entries, without what is set aside.
    pub(crate) fn entries(&mut self, log: &dyn ChangeLog, doc: DocId) -> Result<Vec<Entry>, ReadError> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(ReadError::Abandoned);
        }
        let entries = log.document(doc)?;
        let bytes: usize = entries.iter().map(|entry| entry.change.bytes().len()).sum();
        self.documents += 1;
        if self.documents > 1 && (entries.len() > self.changes || bytes > self.bytes) {
            return Err(ReadError::Spent);
        }
        (self.changes, self.bytes) = (self.changes.saturating_sub(entries.len()), self.bytes.saturating_sub(bytes));
        Ok(self.set_aside.clean(entries))
    }

    /// Takes note that so many changes, of the document whose entries came last, are merged by Automerge.
    pub(crate) fn merge(&mut self, changes: usize) -> Result<(), ReadError> {
        if self.documents > 1 && changes > self.merged {
            return Err(ReadError::Spent);
        }
        self.merged = self.merged.saturating_sub(changes);
        Ok(())
    }
}

/// A document with where it belongs and who brought its changes.
pub(crate) struct Folded {
    pub(crate) scope: Scope,
    pub(crate) document: ReadDocument,
    pub(crate) received: Vec<Received>,
}

/// When the server got a change, and from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) sequence: Sequence,
    pub(crate) hash: ChangeHash,
    pub(crate) device: AuthorId,
    pub(crate) at: TimestampMs,
}

impl Received {
    /// What the log says of an entry.
    pub(crate) fn of(entry: &Entry) -> Self {
        Self { sequence: entry.sequence, hash: entry.change.hash(), device: entry.author, at: entry.received_at }
    }
}

/// A document as one of the two readers has it.
pub(crate) struct ReadDocument {
    record: Record,
    content: Content,
    entries: Vec<Entry>,
}

enum Content {
    Flat(FlatDocument),
    Whole(Box<Document>),
}

/// Reads a document; `None` when the log has none of this id, or one that only a newer version reads.
pub(crate) fn fold(log: &dyn ChangeLog, doc: DocId, effort: &mut Effort) -> Result<Option<Folded>, ReadError> {
    let entries = effort.entries(log, doc)?;
    let Some(scope) = entries.first().map(|entry| entry.scope) else { return Ok(None) };
    let (content, record) = if let Some(read) = by_values(doc, &entries) {
        read
    } else {
        effort.merge(entries.len())?;
        let Some(read) = by_automerge(doc, &entries)? else { return Ok(None) };
        read
    };
    let received = entries.iter().map(Received::of).collect();
    Ok(Some(Folded { scope, received, document: ReadDocument { record, content, entries } }))
}

/// `None` when Automerge has the word, also where the short way panics, as in counting.
fn by_values(doc: DocId, entries: &[Entry]) -> Option<(Content, Record)> {
    let read = catch_unwind(AssertUnwindSafe(|| {
        let mut document = FlatDocument::new(doc)?;
        for entry in entries {
            document.apply(entry.change.chunk()?).ok()?;
        }
        let record = document.read();
        Some((Content::Flat(document), record))
    }));
    read.ok().flatten()
}

fn by_automerge(doc: DocId, entries: &[Entry]) -> Result<Option<(Content, Record)>, ReadError> {
    let read = catch_unwind(AssertUnwindSafe(|| {
        let (document, _) = Document::fold(doc, &chunks(entries))?;
        let record = document.read();
        Some((Content::Whole(Box::new(document)), record))
    }));
    read.map_err(|_| ReadError::Broken)
}

impl ReadDocument {
    /// Its fields.
    pub(crate) fn read(&self) -> Record {
        self.record.clone()
    }

    /// Fields with more than one value.
    pub(crate) fn conflicts(&self) -> Vec<Conflict> {
        match &self.content {
            Content::Flat(document) => document.conflicts(),
            Content::Whole(document) => document.conflicts(),
        }
    }

    /// The saves that are in it, in the order the server got them.
    pub(crate) fn history(&self) -> Vec<HistoryEntry> {
        let is_in = |entry: &&Entry| match &self.content {
            Content::Flat(_) => true,
            Content::Whole(document) => document.contains(&entry.change.hash()),
        };
        self.entries.iter().filter(is_in).filter_map(save).collect()
    }
}

/// The save that an entry of the log is; none when it was erased.
pub(crate) fn save(entry: &Entry) -> Option<HistoryEntry> {
    HistoryEntry::of(entry.change.doc, entry.change.chunk()?)
}

/// The changes of entries that are there.
pub(crate) fn chunks(entries: &[Entry]) -> Vec<Chunk> {
    entries.iter().filter_map(|entry| entry.change.chunk().cloned()).collect()
}

#[cfg(test)]
mod tests;
