//! The projector's rows in the store, so that a start need not fold the whole log.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `rows` | document id (16) | MessagePack `(scope key (8), last sequence, when it came, row)`; the row begins with its version |
//! | `rows_head` | `checkpoint` | row version (1) ‖ sequence (u64 BE) ‖ time the newest chunk came (u64 BE) |
//! | `quarantine` | document id (16) ‖ change hash (32) | why, as text |
//!
//! Rows and checkpoint of a page are written together. All of it can be lost, or deleted, without losing anything.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use toso_core::chunk::ChangeHash;
use toso_core::id::{DocId, DocKind, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_projection::{Projector, ROW_VERSION, Row};
use toso_store::{Durability, RecordChange, RecordStore, StoreError};

use super::FoldedRow;

const ROW_TABLE: &str = "rows";
const HEAD_TABLE: &str = "rows_head";
const CHECKPOINT_KEY: &[u8] = b"checkpoint";
/// Chunks that could not be merged: kept in the log, left out of documents, for an operator to look at.
pub const QUARANTINE_TABLE: &str = "quarantine";
/// Changes of one write; the store takes at most 4,096.
const WRITE_CHANGES_MAX: usize = 2_048;
/// The longest reason kept of a quarantined chunk.
const REASON_CHARS_MAX: usize = 200;

/// What a start found.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Everything at or below this is in the rows.
    pub through: Sequence,
    /// Documents with rows: known to have chunks at or below `through`.
    pub documents: HashSet<DocId>,
    /// Chunks not to be tried again.
    pub quarantined: HashSet<ChangeHash>,
}

#[derive(Serialize, Deserialize)]
struct StoredRow(#[serde(with = "serde_bytes")] [u8; 8], Sequence, TimestampMs, Row);

impl Loaded {
    /// Brings stored rows into an empty projector. When they are of another version, damaged, or ahead of the log,
    /// nothing is taken and folding begins again from the start of the log.
    pub fn load(
        records: &dyn RecordStore,
        log_end: Sequence,
        projector: &mut Projector,
        fresh: impl FnOnce() -> Projector,
    ) -> Result<Self, StoreError> {
        let quarantined = records
            .records(QUARANTINE_TABLE, &[])?
            .iter()
            .filter_map(|(key, _)| key.last_chunk::<32>().copied().map(ChangeHash))
            .collect();
        let head = records.record(HEAD_TABLE, CHECKPOINT_KEY)?.as_deref().and_then(read_head);
        let Some((through, newest)) = head.filter(|(through, _)| *through <= log_end) else {
            return Ok(Self { quarantined, ..Self::default() });
        };
        let mut documents = HashSet::new();
        let mut freshest: HashMap<UnitRef, (Sequence, TimestampMs)> = HashMap::new();
        // By the first two bytes of the id, so that only a 256th of the table is held twice at a time.
        for prefix in DocKind::ALL.iter().flat_map(|kind| (0..=u8::MAX).map(|tag| [kind.letter(), tag])) {
            for (key, value) in records.records(ROW_TABLE, &prefix)? {
                let Some((scope, doc, StoredRow(_, last, at, row))) = read_row(&key, &value) else {
                    tracing::warn!("stored views are of another version; counting again from the start of the log");
                    *projector = fresh();
                    return Ok(Self { quarantined, ..Self::default() });
                };
                projector.apply(scope, doc, row);
                let fresh = freshest.entry(scope).or_default();
                *fresh = (last, at).max(*fresh);
                documents.insert(doc);
            }
        }
        for (scope, (last, at)) in freshest {
            projector.mark(scope, last, at);
        }
        projector.advance(through, newest);
        projector.refresh();
        Ok(Self { through, documents, quarantined })
    }
}

fn read_head(value: &[u8]) -> Option<(Sequence, TimestampMs)> {
    let (version, rest) = value.split_first()?;
    let (through, newest) = rest.split_first_chunk::<8>()?;
    let newest = u64::from_be_bytes(newest.try_into().ok()?);
    (*version == ROW_VERSION).then(|| (Sequence(u64::from_be_bytes(*through)), TimestampMs(newest)))
}

fn read_row(key: &[u8], value: &[u8]) -> Option<(UnitRef, DocId, StoredRow)> {
    let doc = DocId::from_bytes(key.try_into().ok()?).ok()?;
    let row: StoredRow = rmp_serde::from_slice(value).ok()?;
    Some((UnitRef::from_key(row.0).ok()?, doc, row))
}

/// A page's writes: rows, quarantine, and the checkpoint last.
pub(super) fn changes(rows: &[FoldedRow], through: Sequence, newest: TimestampMs) -> Vec<RecordChange> {
    let mut changes = Vec::with_capacity(rows.len() + 1);
    for folded in rows {
        let doc = folded.doc.as_bytes();
        if let Some(row) = &folded.row {
            let stored = StoredRow(folded.scope.to_key(), folded.last, folded.at, row.clone());
            let value = rmp_serde::to_vec(&stored).unwrap_or_default();
            changes.push(change(ROW_TABLE, doc.to_vec(), value));
        }
        for (hash, reason) in &folded.quarantined {
            let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
            changes.push(change(QUARANTINE_TABLE, [doc.as_slice(), &hash.0].concat(), reason.into_bytes()));
        }
    }
    let mut head = vec![ROW_VERSION];
    head.extend(through.0.to_be_bytes());
    head.extend(newest.0.to_be_bytes());
    changes.push(change(HEAD_TABLE, CHECKPOINT_KEY.to_vec(), head));
    changes
}

fn change(table: &str, key: Vec<u8>, value: Vec<u8>) -> RecordChange {
    RecordChange { table: table.to_owned(), key, value: Some(value), expect: None }
}

/// Writes a page. The checkpoint is in the last write, so it never claims what is not there.
pub(super) fn store(records: &dyn RecordStore, changes: &[RecordChange]) -> Result<(), StoreError> {
    changes.chunks(WRITE_CHANGES_MAX).try_for_each(|part| records.write(part, Durability::Disposable))
}
