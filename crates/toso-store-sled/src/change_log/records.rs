//! The server's records, beside the log in the same sled: truth in one space of keys, what is derived in another.

use std::collections::{BTreeMap, HashMap};

use parking_lot::RwLock;
use toso_core::id::Sequence;
use toso_core::time::TimestampMs;
use toso_store::records::RECORD_KEY_BYTES_MAX;
use toso_store::{Holds, Log as _, Record, RecordChange, RecordStore, StoreError};

use super::{Answer, DERIVED_SPACE, Group, Request, SledChangeLog, TRUTH_SPACE};
use crate::engine::Engine;

/// What each table holds that has had a record since the store was opened: some 20 names.
#[derive(Debug, Default)]
pub(super) struct Tables(RwLock<HashMap<String, Holds>>);

impl Tables {
    /// Finds those of a folder: one look for each table.
    pub(super) fn of(engine: &Engine) -> Result<Self, StoreError> {
        Ok(Self(RwLock::new(walk(engine)?.into_iter().collect())))
    }

    fn holds(&self, table: &str) -> Option<Holds> {
        self.0.read().get(table).copied()
    }

    /// Refuses changes of tables that hold something else.
    fn check(&self, changes: &[RecordChange], holds: Holds) -> Result<(), StoreError> {
        let tables = self.0.read();
        for RecordChange { table, .. } in changes {
            if let Some(other) = tables.get(table).filter(|other| **other != holds) {
                return Err(StoreError::Mixed { table: table.clone(), holds: *other });
            }
        }
        Ok(())
    }

    fn note(&self, changes: &[RecordChange], holds: Holds) {
        let new = |change: &&RecordChange| change.value.is_some() && self.holds(&change.table).is_none();
        let new: Vec<_> = changes.iter().filter(new).map(|change| change.table.clone()).collect();
        if !new.is_empty() {
            self.0.write().extend(new.into_iter().map(|table| (table, holds)));
        }
    }
}

/// The tables that have records.
fn walk(engine: &Engine) -> Result<BTreeMap<String, Holds>, StoreError> {
    let mut tables = BTreeMap::new();
    for holds in [Holds::Truth, Holds::Derived] {
        let space = space_of(holds);
        let mut from = vec![space];
        // From the first key of a table past its last: the name's length and the name stand before every key.
        while let Some(entry) = engine.tree().range(from..vec![space + 1]).keys().next() {
            let key = entry.map_err(|error| engine.read_error(&error))?;
            let (table, _) = parse_key(&key).ok_or_else(|| engine.damaged(&key, "it is no record key"))?;
            from = record_key(holds, &table, &[u8::MAX; RECORD_KEY_BYTES_MAX + 1]);
            tables.insert(table, holds);
        }
    }
    Ok(tables)
}

impl RecordStore for SledChangeLog {
    fn record(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let _whole = self.engine.read_whole();
        let Some(holds) = self.tables.holds(table) else { return Ok(None) };
        self.engine.get(&record_key(holds, table, key))
    }

    fn records(&self, table: &str, prefix: &[u8]) -> Result<Vec<Record>, StoreError> {
        let _whole = self.engine.read_whole();
        let Some(holds) = self.tables.holds(table) else { return Ok(Vec::new()) };
        let table_bytes = record_key(holds, table, &[]).len();
        let prefix = record_key(holds, table, prefix);
        let entries = self.engine.scan(&prefix);
        entries
            .map(|entry| entry.map(|(key, body)| (key.get(table_bytes..).unwrap_or_default().to_vec(), body)))
            .collect()
    }

    fn tables(&self) -> Result<Vec<(String, Holds)>, StoreError> {
        let _whole = self.engine.read_whole();
        Ok(walk(&self.engine)?.into_iter().collect())
    }

    fn records_after(&self, table: &str, after: Option<&[u8]>, bytes_max: usize) -> Result<Vec<Record>, StoreError> {
        let _whole = self.engine.read_whole();
        let Some(holds) = self.tables.holds(table) else { return Ok(Vec::new()) };
        let prefix = record_key(holds, table, &[]);
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

    fn command(&self, at: TimestampMs, changes: &[RecordChange]) -> Result<Sequence, StoreError> {
        RecordChange::check_command(changes)?;
        if changes.is_empty() {
            return Ok(self.end());
        }
        let request = Request::Command(at, changes.to_vec());
        let bytes = request.bytes();
        match self.commits.submit(request, bytes, |requests| self.perform(requests))? {
            Answer::Commanded(sequence) => Ok(sequence),
            Answer::Appended(_) | Answer::Done => Ok(self.end()),
        }
    }

    fn derive(&self, changes: &[RecordChange]) -> Result<(), StoreError> {
        RecordChange::check_all(changes)?;
        let request = Request::Derive(changes.to_vec());
        let bytes = request.bytes();
        self.commits.submit(request, bytes, |requests| self.perform(requests)).map(drop)
    }
}

impl Group<'_> {
    /// Checks every expectation, then stages every change.
    pub(super) fn write(&mut self, holds: Holds, changes: &[RecordChange]) -> Result<(), StoreError> {
        self.log.tables.check(changes, holds)?;
        let staged = &mut self.staged;
        for change in changes {
            if let Some(expected) = &change.expect
                && staged.get(&record_key(holds, &change.table, &change.key))? != *expected
            {
                return Err(StoreError::Raced { table: change.table.clone() });
            }
        }
        self.log.tables.note(changes, holds);
        for change in changes {
            let key = record_key(holds, &change.table, &change.key);
            match &change.value {
                Some(value) => staged.put(&key, value)?,
                None => _ = staged.remove(&key)?,
            }
        }
        Ok(())
    }
}

/// Table and key of a record, by its key in any of the spaces.
pub(super) fn parse_key(key: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = key.get(1..)?.split_first()?;
    let (table, key) = rest.split_at_checked(usize::from(*length))?;
    Some((String::from_utf8(table.to_vec()).ok()?, key))
}

const fn space_of(holds: Holds) -> u8 {
    match holds {
        Holds::Truth => TRUTH_SPACE,
        Holds::Derived => DERIVED_SPACE,
    }
}

/// The table's length comes first, so that no table's keys run into those of a table with a longer name.
pub(super) fn record_key(holds: Holds, table: &str, key: &[u8]) -> Vec<u8> {
    let length = u8::try_from(table.len()).unwrap_or(u8::MAX);
    [&[space_of(holds), length], table.as_bytes(), key].concat()
}
