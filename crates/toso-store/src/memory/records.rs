//! The records of the log in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use toso_core::id::Sequence;
use toso_core::time::TimestampMs;

use super::MemoryChangeLog;
use super::change_log::State;
use crate::StoreError;
use crate::change_log::Log as _;
use crate::records::{Holds, Record, RecordChange, RecordStore};

/// Tables of one sort.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tables(BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>);

impl Tables {
    fn get(&self, table: &str, key: &[u8]) -> Option<&Vec<u8>> {
        self.0.get(table)?.get(key)
    }

    /// Refuses changes of which the records are not what they expect.
    pub(super) fn check(&self, changes: &[RecordChange]) -> Result<(), StoreError> {
        for RecordChange { table, key, expect, .. } in changes {
            if expect.as_ref().is_some_and(|expected| self.get(table, key) != expected.as_ref()) {
                return Err(StoreError::Raced { table: table.clone() });
            }
        }
        Ok(())
    }

    /// Refuses changes of a table that is among these, which hold something else.
    pub(super) fn refuse_mixed(&self, changes: &[RecordChange], holds: Holds) -> Result<(), StoreError> {
        match changes.iter().find(|change| self.0.contains_key(&change.table)) {
            Some(change) => Err(StoreError::Mixed { table: change.table.clone(), holds }),
            None => Ok(()),
        }
    }

    pub(crate) fn put(&mut self, changes: &[RecordChange]) {
        for RecordChange { table, key, value, .. } in changes {
            match value {
                Some(value) => _ = self.0.entry(table.clone()).or_default().insert(key.clone(), value.clone()),
                None => {
                    if let Some(records) = self.0.get_mut(table) {
                        records.remove(key);
                        if records.is_empty() {
                            self.0.remove(table);
                        }
                    }
                }
            }
        }
    }
}

impl State {
    /// The records of a table, whatever it holds.
    fn table(&self, table: &str) -> Option<&BTreeMap<Vec<u8>, Vec<u8>>> {
        self.truth.0.get(table).or_else(|| self.derived.0.get(table))
    }
}

impl RecordStore for MemoryChangeLog {
    fn record(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state.read().table(table).and_then(|records| records.get(key).cloned()))
    }

    fn records(&self, table: &str, prefix: &[u8]) -> Result<Vec<Record>, StoreError> {
        let state = self.state.read();
        let from = state.table(table).map(|records| records.range(prefix.to_vec()..));
        let matching = from.into_iter().flatten().take_while(|(key, _)| key.starts_with(prefix));
        Ok(matching.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn tables(&self) -> Result<Vec<(String, Holds)>, StoreError> {
        let state = self.state.read();
        let of = |tables: &Tables, holds| tables.0.keys().map(|table| (table.clone(), holds)).collect::<Vec<_>>();
        let both = [of(&state.truth, Holds::Truth), of(&state.derived, Holds::Derived)].concat();
        Ok(both.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn records_after(&self, table: &str, after: Option<&[u8]>, bytes_max: usize) -> Result<Vec<Record>, StoreError> {
        let state = self.state.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut bytes, mut first) = (0, true);
        let records = state.table(table).map(|records| records.range::<[u8], _>((from, Bound::Unbounded)));
        let page = records.into_iter().flatten().take_while(|(key, value)| {
            bytes += key.len() + value.len();
            // The first, however large.
            std::mem::take(&mut first) || bytes <= bytes_max
        });
        Ok(page.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn command(&self, at: TimestampMs, changes: &[RecordChange]) -> Result<Sequence, StoreError> {
        RecordChange::check_command(changes)?;
        if changes.is_empty() {
            return Ok(self.end());
        }
        self.state.write().command(at, changes)
    }

    fn derive(&self, changes: &[RecordChange]) -> Result<(), StoreError> {
        RecordChange::check_all(changes)?;
        let mut state = self.state.write();
        state.truth.refuse_mixed(changes, Holds::Truth)?;
        state.derived.check(changes)?;
        state.derived.put(changes);
        Ok(())
    }
}
