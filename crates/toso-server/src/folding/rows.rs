//! The projector's rows in the store, so that a start need not fold the whole log.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `views` | number (u32 BE) | a block of rows, see [`super::journal`] |
//! | `views_head` | `checkpoint` | row version (1) ‖ sequence (u64 BE) ‖ time the newest chunk came (u64 BE) |
//! | `quarantine` | document id (16) ‖ change hash (32) | why, as text |
//!
//! Rows and checkpoint of a page are written together. All of it can be lost, or deleted, without losing anything. Earlier
//! versions kept each row under its document in `rows`, and the checkpoint in `rows_head`: both are removed, and the log
//! is counted anew once.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc;
use std::thread;

use rmp_serde::encode::Error as EncodeError;
use toso_core::chunk::ChangeHash;
use toso_core::id::{DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_projection::{Projector, ROW_VERSION, Row};
use toso_store::{RecordChange, RecordStore, StoreError};

use super::FoldedRow;
use super::journal::{Blocks, Journal, StoredRow};
use crate::tables::{QUARANTINE_TABLE, VIEW_HEAD_TABLE, VIEW_TABLE};

/// What earlier versions kept, the checkpoint first: without it nothing of the rest is believed.
const FORMER_TABLES: [&str; 2] = ["rows_head", "rows"];
const CHECKPOINT_KEY: &[u8] = b"checkpoint";
/// Changes of one write; the store takes at most 4,096.
const WRITE_CHANGES_MAX: usize = 2_048;
/// The longest reason kept of a quarantined chunk.
const REASON_CHARS_MAX: usize = 200;
/// Bytes of blocks read at a time.
const READ_BYTES_MAX: usize = 1024 * 1024;
/// Blocks read ahead of those being applied.
const READ_AHEAD_BLOCKS: usize = 16;

/// True when a chunk was quarantined, since no document can take it.
pub(crate) fn is_quarantined(records: &dyn RecordStore, doc: DocId, hash: &ChangeHash) -> Result<bool, StoreError> {
    Ok(records.record(QUARANTINE_TABLE, &[doc.as_bytes().as_slice(), &hash.0].concat())?.is_some())
}

/// What a start found.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Everything at or below this is in the rows.
    pub through: Sequence,
    /// Documents with rows: known to have chunks at or below `through`.
    pub documents: HashSet<DocId>,
    /// Chunks not to be tried again.
    pub quarantined: HashSet<ChangeHash>,
    /// Where the rows are.
    pub(super) journal: Journal,
}

/// A block as the reading thread gives it; `None` when it is damaged.
type ReadBlock = Option<(u32, Vec<StoredRow>)>;

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
        let head = records.record(VIEW_HEAD_TABLE, CHECKPOINT_KEY)?.as_deref().and_then(read_head);
        let Some((through, newest)) = head.filter(|(through, _)| *through <= log_end) else {
            return Ok(Self { quarantined, ..Self::default() });
        };
        let journal = match load_blocks(records, projector) {
            Err(StoreError::Damaged { .. }) => None,
            read => read?,
        };
        let Some(journal) = journal else {
            tracing::warn!("stored views are of another version, or damaged; counting again from the start of the log");
            *projector = fresh();
            return Ok(Self { quarantined, ..Self::default() });
        };
        projector.advance(through, newest);
        projector.refresh();
        Ok(Self { through, documents: journal.documents().collect(), quarantined, journal })
    }
}

/// Applies all blocks in their order, while another thread reads the next ones; `None` when one is damaged.
fn load_blocks(records: &dyn RecordStore, projector: &mut Projector) -> Result<Option<Journal>, StoreError> {
    let mut journal = Journal::default();
    let mut freshest: HashMap<UnitRef, (Sequence, TimestampMs)> = HashMap::new();
    thread::scope(|threads| {
        let (send, blocks) = mpsc::sync_channel::<Result<ReadBlock, StoreError>>(READ_AHEAD_BLOCKS);
        threads.spawn(move || {
            // An error shows at the other end; when nobody listens any more, the rest is not wanted.
            if let Err(error) = read_blocks(records, |block| send.send(Ok(block)).is_ok()) {
                let _ = send.send(Err(error));
            }
        });
        for block in blocks {
            let Some((number, rows)) = block? else { return Ok(None) };
            journal.note(number, rows.iter().map(|row| row.0));
            for row in rows {
                let Some(scope) = row.scope() else { return Ok(None) };
                let StoredRow(doc, _, last, at, row) = row;
                match row {
                    // Only a newer version reads it: no news of its commune, now as when it came.
                    Row::Other if doc.kind().is_none() => continue,
                    // All of it is set aside.
                    Row::Other => projector.remove(doc),
                    row @ (Row::Commune(_) | Row::Team(_) | Row::Member(_)) => projector.apply(scope, doc, row),
                }
                let fresh = freshest.entry(scope).or_default();
                *fresh = (last, at).max(*fresh);
            }
        }
        Ok(Some(()))
    })
    .map(|whole| {
        whole.map(|()| {
            for (scope, (last, at)) in freshest {
                projector.mark(scope, last, at);
            }
            journal
        })
    })
}

/// Hands every block to `each`, until it says no.
fn read_blocks(records: &dyn RecordStore, mut each: impl FnMut(ReadBlock) -> bool) -> Result<(), StoreError> {
    let mut blocks = Blocks::default();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = records.records_after(VIEW_TABLE, after.as_deref(), READ_BYTES_MAX)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, block) in &page {
            let number = key.as_slice().try_into().ok().map(u32::from_be_bytes);
            if !each(number.zip(blocks.read(block))) {
                return Ok(());
            }
        }
    }
}

fn read_head(value: &[u8]) -> Option<(Sequence, TimestampMs)> {
    let (version, rest) = value.split_first()?;
    let (through, newest) = rest.split_first_chunk::<8>()?;
    let newest = u64::from_be_bytes(newest.try_into().ok()?);
    (*version == ROW_VERSION).then(|| (Sequence(u64::from_be_bytes(*through)), TimestampMs(newest)))
}

/// Removes whatever is stored, before the log is counted from its start: first the checkpoints, so that nothing that a
/// crash leaves of the rest is ever taken for whole.
pub(super) fn remove_all(records: &dyn RecordStore) -> Result<(), StoreError> {
    let [former_head, former_rows] = FORMER_TABLES;
    for table in [VIEW_HEAD_TABLE, former_head, VIEW_TABLE, former_rows] {
        loop {
            let page = records.records_after(table, None, READ_BYTES_MAX)?;
            if page.is_empty() {
                break;
            }
            let removals = page.into_iter().map(|(key, _)| change(table, key, None));
            store(records, &removals.collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

/// A page's writes: rows, quarantine, and the checkpoint last.
pub(super) fn changes(
    journal: &mut Journal,
    records: &dyn RecordStore,
    rows: &[FoldedRow],
    through: Sequence,
    newest: TimestampMs,
) -> Result<Vec<RecordChange>, EncodeError> {
    let mut changes = Vec::new();
    journal.clean(records, &mut changes)?;
    let stored = rows.iter().filter_map(|folded| {
        let row = folded.row.clone()?;
        Some(StoredRow::new(folded.doc, folded.scope, folded.last, folded.at, row))
    });
    journal.add(&stored.collect::<Vec<_>>(), &mut changes)?;
    for folded in rows {
        for (hash, reason) in &folded.quarantined {
            let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
            let key = [folded.doc.as_bytes().as_slice(), &hash.0].concat();
            changes.push(change(QUARANTINE_TABLE, key, Some(reason.into_bytes())));
        }
    }
    let mut head = vec![ROW_VERSION];
    head.extend(through.0.to_be_bytes());
    head.extend(newest.0.to_be_bytes());
    changes.push(change(VIEW_HEAD_TABLE, CHECKPOINT_KEY.to_vec(), Some(head)));
    Ok(changes)
}

fn change(table: &str, key: Vec<u8>, value: Option<Vec<u8>>) -> RecordChange {
    RecordChange { table: table.to_owned(), key, value, expect: None }
}

/// Writes a page. The checkpoint is in the last write, so it never claims what is not there.
pub(super) fn store(records: &dyn RecordStore, changes: &[RecordChange]) -> Result<(), StoreError> {
    changes.chunks(WRITE_CHANGES_MAX).try_for_each(|part| records.derive(part))
}
