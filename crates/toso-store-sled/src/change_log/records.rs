//! The server's records, beside the log in the same sled.

use toso_store::change_log::{RECORD_KEY_BYTES_MAX, Record};
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

    fn tables(&self) -> Result<Vec<String>, StoreError> {
        let mut tables = Vec::new();
        let mut from = vec![RECORD_SPACE];
        // From the first key of a table past its last: the name's length and the name stand before every key.
        while let Some(entry) = self.engine.tree().range(from..vec![RECORD_SPACE + 1]).keys().next() {
            let key = entry.map_err(|error| self.engine.read_error(&error))?;
            let table = table_of(&key).ok_or_else(|| self.engine.damaged(&key, "it is no record key"))?;
            from = record_key(&table, &[u8::MAX; RECORD_KEY_BYTES_MAX + 1]);
            tables.push(table);
        }
        tables.sort();
        Ok(tables)
    }

    fn records_after(&self, table: &str, after: Option<&[u8]>, bytes_max: usize) -> Result<Vec<Record>, StoreError> {
        let _whole = self.engine.read_whole();
        let prefix = record_key(table, &[]);
        let start = after.map_or_else(|| prefix.clone(), |key| [prefix.as_slice(), key, &[0]].concat());
        let (mut page, mut bytes) = (Vec::new(), 0);
        for entry in self.engine.tree().range(start..) {
            let (key, body) = self.engine.entry(entry)?;
            let Some(key) = key.strip_prefix(prefix.as_slice()) else { break };
            bytes += key.len() + body.len();
            if bytes > bytes_max && !page.is_empty() {
                break;
            }
            page.push((key.to_vec(), body));
        }
        Ok(page)
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

/// The table's name in a record's key.
pub(super) fn table_of(key: &[u8]) -> Option<String> {
    let (length, rest) = key.get(1..)?.split_first()?;
    String::from_utf8(rest.get(..usize::from(*length))?.to_vec()).ok()
}

/// The table's length comes first, so that no table's keys run into those of a table with a longer name.
fn record_key(table: &str, key: &[u8]) -> Vec<u8> {
    let length = u8::try_from(table.len()).unwrap_or(u8::MAX);
    [&[RECORD_SPACE, length], table.as_bytes(), key].concat()
}
