//! The checks that every implementation makes before it touches anything, so that all of them refuse the same inputs.

use toso_core::change::{Body, Change};
use toso_core::chunk::CHANGE_BYTES_MAX;

use crate::StoreError;
use crate::change_log::{LOG_BATCH_BYTES_MAX, LOG_BATCH_ITEMS_MAX, LogBatch};
use crate::chunk_store::{HELD_BYTES_MAX, SETTING_BYTES_MAX, SETTING_KEY_BYTES_MAX, SHOWN_BYTES_MAX, Transaction};
use crate::records::{
    COMMAND_BYTES_MAX, COMMAND_ERASURES_MAX, RECORD_BYTES_MAX, RECORD_CHANGE_BYTES, RECORD_CHANGES_MAX,
    RECORD_KEY_BYTES_MAX, RECORD_TABLE_BYTES_MAX, RecordChange,
};

/// The most change and setting bytes in one [`Transaction`]: 256 pages of 16 KiB, far more than one sync step brings.
pub const TRANSACTION_BYTES_MAX: usize = 256 * 16 * 1024;

impl Transaction {
    /// Refuses what a store does not keep: changes, settings or a whole transaction over their limits.
    pub fn check(&self) -> Result<(), StoreError> {
        let mut total = 0;
        let copies = self.held_copies.iter().filter_map(|(_, _, copy)| copy.as_ref()).map(|(_, chunk)| chunk);
        for chunk in self.chunks.iter().map(|(_, change)| &change.chunk).chain(copies) {
            within("a change", chunk.bytes().len(), CHANGE_BYTES_MAX)?;
            total += chunk.bytes().len();
        }
        for (_, shown) in &self.shown {
            within("what a document shows", shown.len(), SHOWN_BYTES_MAX)?;
            total += shown.len();
        }
        for (key, value) in &self.settings {
            within("the key of a setting", key.len(), SETTING_KEY_BYTES_MAX)?;
            let bytes = value.as_ref().map_or(0, Vec::len);
            within("a setting", bytes, SETTING_BYTES_MAX)?;
            total += bytes;
        }
        for (_, _, why) in &self.held {
            let bytes = why.as_ref().map_or(0, Vec::len);
            within("the reason of a held change", bytes, HELD_BYTES_MAX)?;
            total += bytes;
        }
        within("a transaction", total, TRANSACTION_BYTES_MAX)
    }
}

impl LogBatch {
    /// Refuses what a log does not keep: changes over their limit, batches of too many chunks or bytes.
    pub fn check(&self) -> Result<(), StoreError> {
        check_batch(self.items.iter().map(|item| item.bytes().len()))
    }
}

impl LogBatch<Body> {
    /// The same; what was erased counts with the bytes that it had.
    pub fn check_entries(&self) -> Result<(), StoreError> {
        check_batch(self.items.iter().map(Change::size))
    }
}

fn check_batch(sizes: impl ExactSizeIterator<Item = usize>) -> Result<(), StoreError> {
    if sizes.len() > LOG_BATCH_ITEMS_MAX {
        return Err(StoreError::TooMany { what: "a batch of chunks", items: sizes.len(), max: LOG_BATCH_ITEMS_MAX });
    }
    let mut all = 0;
    for bytes in sizes {
        within("a change", bytes, CHANGE_BYTES_MAX)?;
        all += bytes;
    }
    within("a batch of chunks", all, LOG_BATCH_BYTES_MAX)
}

impl RecordChange {
    /// Bytes of a command that makes these changes.
    pub fn bytes_of(changes: &[Self]) -> usize {
        let each = changes.iter().map(|Self { table, key, value, expect }| {
            let expected = expect.iter().flatten().map(Vec::len).sum::<usize>();
            table.len() + key.len() + value.as_ref().map_or(0, Vec::len) + expected + RECORD_CHANGE_BYTES
        });
        each.sum()
    }

    /// Refuses a command over its limit, beside what [`Self::check_all`] refuses.
    pub fn check_command(changes: &[Self]) -> Result<(), StoreError> {
        Self::check_all(changes)?;
        let erased = changes.iter().filter(|change| change.erases().is_some()).count();
        if erased > COMMAND_ERASURES_MAX {
            return Err(StoreError::TooMany {
                what: "a command that erases documents",
                items: erased,
                max: COMMAND_ERASURES_MAX,
            });
        }
        within("a command", Self::bytes_of(changes), COMMAND_BYTES_MAX)
    }

    /// Refuses a write of too many changes, or with a table name, key or value over its limit.
    pub fn check_all(changes: &[Self]) -> Result<(), StoreError> {
        if changes.len() > RECORD_CHANGES_MAX {
            return Err(StoreError::TooMany {
                what: "a write of records",
                items: changes.len(),
                max: RECORD_CHANGES_MAX,
            });
        }
        for change in changes {
            within("the table name of a record", change.table.len(), RECORD_TABLE_BYTES_MAX)?;
            within("the key of a record", change.key.len(), RECORD_KEY_BYTES_MAX)?;
            within("a record", change.value.as_ref().map_or(0, Vec::len), RECORD_BYTES_MAX)?;
        }
        Ok(())
    }
}

/// Refuses what has more bytes than a store keeps.
pub(crate) fn within(what: &'static str, bytes: usize, max: usize) -> Result<(), StoreError> {
    if bytes > max { Err(StoreError::TooLarge { what, bytes, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use toso_core::change::Change;
    use toso_core::chunk::Chunk;
    use toso_core::id::{ChangeHash, DocId};
    use toso_core::unit::{UnitList, UnitRef};

    use super::*;

    #[test]
    fn a_transaction_may_be_as_large_as_its_limit_and_no_larger() {
        let scope = UnitRef::new(UnitList::L2022, "00001").unwrap();
        let chunk = |bytes: usize| {
            let chunk = Chunk::trusted(vec![0; bytes], ChangeHash([0; 32]));
            (scope, Change { doc: DocId::commune(scope), chunk })
        };
        let whole = TRANSACTION_BYTES_MAX / CHANGE_BYTES_MAX;
        let chunks = (0..whole).map(|_| chunk(CHANGE_BYTES_MAX)).collect();
        let mut transaction = Transaction { chunks, ..Transaction::default() };
        transaction.chunks.push(chunk(TRANSACTION_BYTES_MAX % CHANGE_BYTES_MAX));
        assert!(transaction.check().is_ok());
        transaction.chunks.push(chunk(1));
        assert!(matches!(transaction.check(), Err(StoreError::TooLarge { what: "a transaction", .. })));
    }

    #[test]
    fn what_a_document_shows_has_a_limit() {
        let doc = DocId::commune(UnitRef::new(UnitList::L2022, "00001").unwrap());
        let shown = |bytes| Transaction { shown: vec![(doc, vec![0; bytes])], ..Transaction::default() }.check();
        assert!(shown(SHOWN_BYTES_MAX).is_ok());
        assert!(matches!(shown(SHOWN_BYTES_MAX + 1), Err(StoreError::TooLarge { max: SHOWN_BYTES_MAX, .. })));
    }

    #[test]
    fn the_reason_of_a_held_change_has_a_limit() {
        let doc = DocId::commune(UnitRef::new(UnitList::L2022, "00001").unwrap());
        let held = |bytes| vec![(doc, ChangeHash([0; 32]), Some(vec![0; bytes]))];
        assert!(Transaction { held: held(HELD_BYTES_MAX), ..Transaction::default() }.check().is_ok());
        let refused = Transaction { held: held(HELD_BYTES_MAX + 1), ..Transaction::default() }.check();
        assert!(matches!(refused, Err(StoreError::TooLarge { bytes: 1025, max: HELD_BYTES_MAX, .. })));
    }
}
