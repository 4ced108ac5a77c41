//! The server's records, beside the log in the same sled.

use toso_store::change_log::Record;
use toso_store::{Durability, RecordChange, RecordStore, StoreError};

use super::{Answer, RECORD_SPACE, Request, SledChangeLog};
use crate::staged::Staged;

impl RecordStore for SledChangeLog {
    fn record(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let _whole = self.engine.read_whole();
        self.engine.get(&record_key(table, key))
    }

    fn records(&self, table: &str, prefix: &[u8]) -> Result<Vec<Record>, StoreError> {
        let _whole = self.engine.read_whole();
        let table_bytes = record_key(table, &[]).len();
        let prefix = record_key(table, prefix);
        let entries = self.engine.scan(&prefix);
        entries
            .map(|entry| entry.map(|(key, body)| (key.get(table_bytes..).unwrap_or_default().to_vec(), body)))
            .collect()
    }

    fn write(&self, changes: &[RecordChange], durability: Durability) -> Result<(), StoreError> {
        RecordChange::check_all(changes)?;
        let request = Request::Write(changes.to_vec(), durability);
        let bytes = request.bytes();
        match self.commits.submit(request, bytes, |requests| self.perform(requests))? {
            Answer::Written | Answer::Appended(_) => Ok(()),
        }
    }
}

/// Checks every expectation, then stages every change.
pub(super) fn stage(changes: &[RecordChange], staged: &mut Staged<'_>) -> Result<(), StoreError> {
    for change in changes {
        if let Some(expected) = &change.expect
            && staged.get(&record_key(&change.table, &change.key))? != *expected
        {
            return Err(StoreError::Raced { table: change.table.clone() });
        }
    }
    for change in changes {
        let key = record_key(&change.table, &change.key);
        match &change.value {
            Some(value) => staged.put(&key, value)?,
            None => _ = staged.remove(&key)?,
        }
    }
    Ok(())
}

/// The table's length comes first, so that no table's keys run into those of a table with a longer name.
fn record_key(table: &str, key: &[u8]) -> Vec<u8> {
    let length = u8::try_from(table.len()).unwrap_or(u8::MAX);
    [&[RECORD_SPACE, length], table.as_bytes(), key].concat()
}
