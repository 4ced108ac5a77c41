//! The next page to fold: changes after those before, and documents that were erased among them.
//!
//! An erasure is a command of the log. Where folding meets it, the document is made again, and nothing of it is left; so whoever
//! folds the same log counts the same, from wherever it goes on.

use std::collections::HashSet;

use toso_core::change::Entry;
use toso_core::id::{DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_store::{ChangeLog, Logged, RecordChange, StoreError};

use super::{FOLD_PAGE_BYTES_MAX, FOLD_PAGE_ITEMS_MAX};

/// How far folding has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadTo {
    /// The last change: everything at or below it is counted, or under way.
    pub(super) change: Sequence,
    /// The last entry of any sort.
    pub(super) entry: Sequence,
}

impl ReadTo {
    /// Where a checkpoint ends. Commands after its last change are met once more, which changes nothing.
    pub(super) const fn checkpoint(through: Sequence) -> Self {
        Self { change: through, entry: through }
    }
}

/// A page.
#[derive(Debug)]
pub(super) struct FoldPage {
    /// Changes, by document in their order; of an erased document the last that is counted.
    pub(super) entries: Vec<Entry>,
    /// Where it ends.
    pub(super) read_to: ReadTo,
    /// When the newest of its changes came.
    pub(super) newest: TimestampMs,
}

/// The next page; `None` when the log has no more. Commands that erase nothing are passed over, and `read_to` with them.
pub(super) fn next_page(log: &dyn ChangeLog, read_to: &mut ReadTo) -> Result<Option<FoldPage>, StoreError> {
    loop {
        let tail = log.tail(read_to.entry, FOLD_PAGE_ITEMS_MAX, FOLD_PAGE_BYTES_MAX)?;
        let Some(end) = tail.last().map(Logged::sequence) else { return Ok(None) };
        let mut erased = HashSet::new();
        let mut entries = Vec::with_capacity(tail.len());
        for entry in tail {
            match entry {
                Logged::Change(entry) => entries.push(entry),
                Logged::Command(command) => erased.extend(command.changes.iter().filter_map(RecordChange::erases)),
            }
        }
        let change = entries.last().map_or(read_to.change, |entry: &Entry| entry.sequence);
        let newest = entries.iter().map(|entry| entry.received_at).max().unwrap_or_default();
        let end = ReadTo { change, entry: end };
        if !erased.is_empty() {
            // What was read before the bytes went is out of date.
            entries.retain(|entry| !erased.contains(&entry.change.doc));
            let erased: Vec<_> = erased.into_iter().collect();
            let last = last_entries(log, &erased, change)?.into_iter();
            // The last may have come after the erasure; whole, it would be taken for a document of its own.
            entries.extend(last.map(|entry| Entry { change: entry.change.erased(), ..entry }));
        }
        if !entries.is_empty() {
            return Ok(Some(FoldPage { entries, read_to: end, newest }));
        }
        *read_to = end;
    }
}

/// The last entry of each document that is counted already; one that is not will be counted with its page.
pub(super) fn last_entries(
    log: &dyn ChangeLog,
    documents: &[DocId],
    through: Sequence,
) -> Result<Vec<Entry>, StoreError> {
    let mut last = Vec::with_capacity(documents.len());
    for doc in documents {
        last.extend(log.document(*doc)?.into_iter().rfind(|entry| entry.sequence <= through));
    }
    Ok(last)
}
