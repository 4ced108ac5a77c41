//! Blocks of rows in the order they were counted, the newest of a document's rows being the one that holds.
//!
//! A row by itself is a tenth of what a store spends on keeping it under a key of its own. So the rows of a page are
//! written together, compressed, as one record, and nothing that is stored is changed. What newer rows have replaced is
//! cleaned away a little with every page: blocks without a row that holds are removed at once; when blocks become too
//! many or hold too little, those with the least are written anew as one. The cost of that follows what is counted, not
//! how large the country is.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use rmp_serde::encode::Error as EncodeError;
use serde::{Deserialize, Serialize};
use toso_core::id::{DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};
use toso_projection::Row;
use toso_store::{RecordChange, RecordStore};
use zstd::bulk::{Compressor, Decompressor};

use crate::tables::VIEW_TABLE;

/// zstd's level: the levels above gain a twentieth for three times the time.
const LEVEL: i32 = 3;
/// Bytes of rows before compression at which a block is full. A record takes 60 KiB, so a block of rows that do not
/// compress at all still fits, unless a single row has more.
const BLOCK_RAW_BYTES_MAX: usize = 48 * 1024;
/// The most bytes that a block says to have before compression: far beyond a row of the largest commune.
const BLOCK_INFLATED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Blocks that may be there whatever they hold: a start reads so many in some milliseconds.
const BLOCKS_FREE: usize = 256;
/// Rows that each further block must hold on average.
const ROWS_PER_BLOCK: usize = 128;
/// Replaced rows that may be there beside as many as hold.
const REPLACED_FREE: usize = 4_096;
/// Blocks written anew at once, and rows in them: together the work of one more page.
const CLEANED_BLOCKS_MAX: usize = 128;
const CLEANED_ROWS_MAX: usize = 1_024;

/// A row as a block has it: document, scope key, last sequence, when that came, row (which begins with its version).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredRow(
    pub(crate) DocId,
    #[serde(with = "serde_bytes")] pub(super) [u8; 8],
    pub(super) Sequence,
    pub(super) TimestampMs,
    pub(super) Row,
);

impl StoredRow {
    pub(super) fn new(doc: DocId, scope: Scope, last: Sequence, at: TimestampMs, row: Row) -> Self {
        Self(doc, scope.to_key(), last, at, row)
    }

    pub(super) fn scope(&self) -> Option<Scope> {
        UnitRef::from_key(self.1).ok()
    }
}

/// Which block has the row of each document. 20 bytes a document.
#[derive(Default)]
pub(super) struct Journal {
    next: u32,
    blocks: BTreeMap<u32, Block>,
    places: HashMap<DocId, u32>,
    /// Rows of all blocks.
    rows: usize,
    /// Documents among [`Self::places`] whose kind only a newer version knows.
    newer: usize,
    compressor: Option<Compressor<'static>>,
}

/// How many rows a block has, and how many of them hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Block {
    rows: usize,
    holding: usize,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("blocks", &self.blocks.len()).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Journal {
    /// The documents that have a row.
    pub(super) fn documents(&self) -> impl Iterator<Item = DocId> {
        self.places.keys().copied()
    }

    /// How many documents have kinds that only a newer version knows.
    pub(super) fn newer(&self) -> usize {
        self.newer
    }

    /// Takes note of a stored block; tells the blocks in which no row holds any more.
    pub(super) fn note(&mut self, number: u32, docs: impl Iterator<Item = DocId>) -> Vec<u32> {
        let mut emptied = Vec::new();
        let mut block = Block { rows: 0, holding: 0 };
        for doc in docs {
            block.rows += 1;
            match self.places.insert(doc, number) {
                Some(same) if same == number => continue,
                Some(before) => {
                    if let Some(before_block) = self.blocks.get_mut(&before) {
                        before_block.holding -= 1;
                        if before_block.holding == 0 {
                            emptied.push(before);
                        }
                    }
                }
                None => self.newer += usize::from(doc.kind().is_none()),
            }
            block.holding += 1;
        }
        self.rows += block.rows;
        self.blocks.insert(number, block);
        self.next = self.next.max(number.saturating_add(1));
        emptied
    }

    /// The changes that store rows, each of another document, and remove what they empty. A row that cannot be encoded is an
    /// error: left out, it would be missing for good behind a checkpoint that is past it.
    pub(super) fn add(&mut self, rows: &[StoredRow], changes: &mut Vec<RecordChange>) -> Result<(), EncodeError> {
        let mut raw = Vec::new();
        let mut docs = Vec::new();
        for row in rows {
            let encoded = rmp_serde::to_vec(row)?;
            if !raw.is_empty() && raw.len() + encoded.len() > BLOCK_RAW_BYTES_MAX {
                self.add_block(&raw, &docs, changes);
                raw.clear();
                docs.clear();
            }
            raw.extend(encoded);
            docs.push(row.0);
        }
        if !docs.is_empty() {
            self.add_block(&raw, &docs, changes);
        }
        Ok(())
    }

    fn add_block(&mut self, raw: &[u8], docs: &[DocId], changes: &mut Vec<RecordChange>) {
        let number = self.next;
        changes.push(change(number, Some(self.pack(raw))));
        for emptied in self.note(number, docs.iter().copied()) {
            self.forget(emptied);
            changes.push(change(emptied, None));
        }
    }

    fn forget(&mut self, number: u32) {
        if let Some(block) = self.blocks.remove(&number) {
            self.rows -= block.rows;
        }
    }

    /// The changes that write blocks anew, when that is due. What cannot be read stays as it is.
    pub(super) fn clean(
        &mut self,
        records: &dyn RecordStore,
        changes: &mut Vec<RecordChange>,
    ) -> Result<(), EncodeError> {
        let victims = self.victims();
        let mut holding = Vec::new();
        for number in &victims {
            let rows = match records.record(VIEW_TABLE, &number.to_be_bytes()) {
                Ok(block) => block.and_then(|block| Blocks::default().read(&block)),
                Err(error) => {
                    tracing::warn!(%error, "stored views cannot be cleaned now");
                    return Ok(());
                }
            };
            let Some(rows) = rows else {
                tracing::warn!(block = number, "a block of stored views is damaged; run `toso verify`");
                return Ok(());
            };
            holding.extend(rows.into_iter().filter(|row| self.places.get(&row.0) == Some(number)));
        }
        self.add(&holding, changes)?;
        // What a crash has left of a block that was being removed.
        for number in victims {
            if self.blocks.get(&number).is_some_and(|block| block.holding == 0) {
                self.forget(number);
                changes.push(change(number, None));
            }
        }
        Ok(())
    }

    /// The blocks to write anew: none, or several. To be asked before a page's own blocks are made, since those are not in
    /// the store yet.
    fn victims(&self) -> Vec<u32> {
        let holding = self.places.len();
        let stale = self.rows > 2 * holding + REPLACED_FREE;
        if !stale && self.blocks.len() <= BLOCKS_FREE + holding / ROWS_PER_BLOCK {
            return Vec::new();
        }
        let mut blocks: Vec<(u32, Block)> = self.blocks.iter().map(|(number, block)| (*number, *block)).collect();
        if stale {
            // The least share of what holds first: parts in a thousand.
            blocks.sort_by_key(|(number, block)| (block.holding * 1_000 / block.rows.max(1), *number));
        } else {
            blocks.sort_by_key(|(number, block)| (block.holding, *number));
        }
        let mut rows = 0;
        let few = blocks.into_iter().take(CLEANED_BLOCKS_MAX).take_while(|(_, block)| {
            rows += block.holding;
            rows <= CLEANED_ROWS_MAX
        });
        few.map(|(number, _)| number).collect()
    }

    fn pack(&mut self, raw: &[u8]) -> Vec<u8> {
        if self.compressor.is_none() {
            self.compressor = Compressor::new(LEVEL).ok();
        }
        let packed = self.compressor.as_mut().and_then(|compressor| compressor.compress(raw).ok());
        let length = u32::try_from(raw.len()).unwrap_or(u32::MAX).to_be_bytes();
        match packed.filter(|packed| packed.len() < raw.len()) {
            Some(packed) => [length.as_slice(), &packed].concat(),
            None => [[0; 4].as_slice(), raw].concat(),
        }
    }
}

/// Reads blocks: `bytes before compression (4), zero for rows as they are ‖ rows`.
#[derive(Default)]
pub(super) struct Blocks(Option<Decompressor<'static>>);

impl Blocks {
    /// The rows of a block; `None` when it is damaged, or its rows are of another version.
    pub(super) fn read(&mut self, block: &[u8]) -> Option<Vec<StoredRow>> {
        let (length, rows) = block.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let inflated;
        let mut rest = if length == 0 {
            rows
        } else if length > BLOCK_INFLATED_BYTES_MAX {
            return None;
        } else {
            if self.0.is_none() {
                self.0 = Decompressor::new().ok();
            }
            inflated = self.0.as_mut()?.decompress(rows, length).ok()?;
            inflated.as_slice()
        };
        let mut rows = Vec::new();
        while !rest.is_empty() {
            rows.push(rmp_serde::from_read(&mut rest).ok()?);
        }
        Some(rows)
    }
}

fn change(number: u32, value: Option<Vec<u8>>) -> RecordChange {
    RecordChange { table: VIEW_TABLE.to_owned(), key: number.to_be_bytes().to_vec(), value, expect: None }
}

/// Changes stored rows behind the back of the counting: what a test of damage needs.
#[cfg(test)]
pub(crate) fn bend_rows(records: &dyn RecordStore, bend: impl FnOnce(&mut Vec<StoredRow>)) {
    let blocks = records.records(VIEW_TABLE, &[]).expect("readable");
    let mut rows = Vec::new();
    let mut changes = Vec::new();
    for (key, block) in blocks {
        rows.extend(Blocks::default().read(&block).expect("whole"));
        changes.push(RecordChange { table: VIEW_TABLE.to_owned(), key, value: None, expect: None });
    }
    bend(&mut rows);
    Journal::default().add(&rows, &mut changes).expect("encodable");
    records.derive(&changes).expect("writable");
}

#[cfg(test)]
mod tests {
    use toso_core::record::TeamLevel;
    use toso_core::unit::UnitList;
    use toso_projection::TeamRow;
    use toso_store::memory::MemoryChangeLog;

    use super::*;

    fn row(number: u32, version: u64) -> StoredRow {
        let scope = UnitRef::new(UnitList::L2022, "00001").unwrap();
        let doc = DocId::commune_team(scope, number);
        let row = Row::Team(TeamRow::active(TeamLevel::Commune));
        StoredRow::new(doc, scope, Sequence(version), TimestampMs(version), row)
    }

    /// Counts pages of rows, each written whole, as folding does.
    struct Counting {
        store: MemoryChangeLog,
        journal: Journal,
        written: usize,
    }

    impl Counting {
        fn new() -> Self {
            Self { store: MemoryChangeLog::new(), journal: Journal::default(), written: 0 }
        }

        fn page(&mut self, rows: &[StoredRow]) {
            let mut changes = Vec::new();
            self.journal.clean(&self.store, &mut changes).unwrap();
            self.journal.add(rows, &mut changes).unwrap();
            self.written += changes.iter().filter_map(|change| change.value.as_ref()).map(Vec::len).sum::<usize>();
            self.store.derive(&changes).unwrap();
        }

        /// What a start finds, and the journal it makes.
        fn start(&self) -> (BTreeMap<DocId, StoredRow>, Journal) {
            let (mut rows, mut journal) = (BTreeMap::new(), Journal::default());
            for (key, block) in self.store.records(VIEW_TABLE, &[]).unwrap() {
                let block = Blocks::default().read(&block).unwrap();
                journal.note(u32::from_be_bytes(key.try_into().unwrap()), block.iter().map(|row| row.0));
                rows.extend(block.into_iter().map(|row| (row.0, row)));
            }
            (rows, journal)
        }
    }

    #[test]
    fn single_edits_of_a_small_register_leave_few_blocks_and_few_replaced_rows() {
        let mut counting = Counting::new();
        let documents = 3_000;
        let all: Vec<_> = (0..documents).map(|number| row(number, 1)).collect();
        counting.page(&all);
        let loaded = counting.written;
        let edits = 30_000;
        let mut expected: BTreeMap<DocId, StoredRow> = all.into_iter().map(|row| (row.0, row)).collect();
        for edit in 0..edits {
            let edited = row(edit * 7_919 % documents, 2 + u64::from(edit));
            expected.insert(edited.0, edited.clone());
            counting.page(&[edited]);
            assert!(counting.journal.blocks.len() <= BLOCKS_FREE + documents as usize / ROWS_PER_BLOCK + 2);
            assert!(counting.journal.rows <= 2 * documents as usize + REPLACED_FREE + 2);
        }
        let (rows, journal) = counting.start();
        assert_eq!(rows, expected);
        assert_eq!((&journal.blocks, &journal.places), (&counting.journal.blocks, &counting.journal.places));
        assert_eq!(journal.rows, counting.journal.rows);
        // A single row takes about 60 bytes; cleaning writes it a few times more.
        let each = (counting.written - loaded) / edits as usize;
        assert!(each < 400, "{each} bytes an edit");
    }

    #[test]
    fn rows_replaced_as_a_whole_leave_their_block_at_once() {
        let mut counting = Counting::new();
        for version in 1..5 {
            counting.page(&(0..500).map(|number| row(number, version)).collect::<Vec<_>>());
            assert_eq!(counting.journal.rows, 500);
            assert_eq!(counting.store.records(VIEW_TABLE, &[]).unwrap().len(), counting.journal.blocks.len());
        }
    }

    #[test]
    fn rows_take_a_fraction_of_their_bytes_and_blocks_end_at_their_limit() {
        let rows: Vec<_> = (0..2_000).map(|number| row(number, u64::from(number))).collect();
        let raw: usize = rows.iter().map(|row| rmp_serde::to_vec(row).unwrap().len()).sum();
        let (mut journal, mut changes) = (Journal::default(), Vec::new());
        journal.add(&rows, &mut changes).unwrap();
        assert_eq!(changes.len(), raw.div_ceil(BLOCK_RAW_BYTES_MAX));
        let stored: usize = changes.iter().filter_map(|change| change.value.as_ref()).map(Vec::len).sum();
        assert!(stored * 2 < raw, "{raw} bytes became {stored}");
    }

    #[test]
    fn damaged_blocks_are_refused() {
        let (mut journal, mut changes) = (Journal::default(), Vec::new());
        journal.add(&[row(1, 1), row(2, 1)], &mut changes).unwrap();
        let block = changes.remove(0).value.unwrap();
        assert_eq!(Blocks::default().read(&block).unwrap(), [row(1, 1), row(2, 1)]);
        for end in [0, 3, 10, block.len() - 1] {
            assert!(Blocks::default().read(&block[..end]).is_none(), "{end} bytes");
        }
        let mut endless = block;
        endless[0] = 0xff;
        assert!(Blocks::default().read(&endless).is_none());
    }
}
