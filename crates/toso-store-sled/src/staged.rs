//! Changes that are decided but not yet in sled: read through to sled, then applied as one batch.

use std::collections::{BTreeMap, BTreeSet};

use sled::{Batch, IVec};
use toso_store::StoreError;

use crate::engine::Engine;
use crate::value;

/// A set of changes over a store's present state.
#[derive(Debug)]
pub(crate) struct Staged<'a> {
    engine: &'a Engine,
    /// The new value of each changed key; `None` when it is removed.
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

impl<'a> Staged<'a> {
    /// No changes.
    pub(crate) fn new(engine: &'a Engine) -> Self {
        Self { engine, changes: BTreeMap::new(), bytes: 0 }
    }

    /// Bytes of the new keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// True when the key is there, counting the changes.
    pub(crate) fn contains(&self, key: &[u8]) -> Result<bool, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.is_some()),
            None => self.engine.contains(key),
        }
    }

    /// The body under a key, counting the changes.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(value) = self.raw(key)? else { return Ok(None) };
        self.engine.decode_with(key, &value, |part| self.raw(part)).map(Some)
    }

    /// The keys with a prefix, in order, counting the changes.
    pub(crate) fn keys(&self, prefix: &[u8]) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        let mut keys = BTreeSet::new();
        for key in self.engine.keys(prefix) {
            keys.insert(key?.to_vec());
        }
        for (key, change) in self.changes.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix)) {
            if change.is_some() {
                keys.insert(key.clone());
            } else {
                keys.remove(key);
            }
        }
        Ok(keys)
    }

    /// Sets a key that is known to be absent.
    pub(crate) fn insert(&mut self, key: &[u8], body: &[u8]) {
        for (key, value) in self.engine.encode(key, body) {
            self.bytes += key.len() + value.len();
            self.changes.insert(key, Some(value));
        }
    }

    /// Sets a key, whatever it holds.
    pub(crate) fn put(&mut self, key: &[u8], body: &[u8]) -> Result<(), StoreError> {
        self.remove(key)?;
        self.insert(key, body);
        Ok(())
    }

    /// Removes a key and the further parts of its value. True when it was there.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        let Some(value) = self.raw(key)? else { return Ok(false) };
        for part in 1..value::parts(&value) {
            self.changes.insert(value::overflow_key(key, part), None);
        }
        self.changes.insert(key.to_vec(), None);
        Ok(true)
    }

    /// The changes as one batch; `None` when there are none.
    pub(crate) fn into_batch(self) -> Option<Batch> {
        if self.changes.is_empty() {
            return None;
        }
        let mut batch = Batch::default();
        for (key, change) in self.changes {
            let key = self.engine.disk_key(&key).into_owned();
            match change {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        Some(batch)
    }

    fn raw(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.as_deref().map(IVec::from)),
            None => self.engine.raw(key),
        }
    }
}
