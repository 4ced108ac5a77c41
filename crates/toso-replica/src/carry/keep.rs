//! The carry box: what this phone carries for others, in settings of its store.
//!
//! The changes themselves lie where all changes lie, under their documents; the box only adds who signed them together. So
//! an entry has at most 256 references of 52 bytes and 400 bytes of card and signature: 14 KiB, which fits a setting. An
//! index names the entries; both are written in the transaction that stores the changes.

use serde::{Deserialize, Serialize};
use toso_core::change::Change;
use toso_core::id::{AuthorId, DocId, Epoch, Sequence};
use toso_core::unit::Scope;
use toso_store::{ChunkStore, StoreError, Transaction};
use toso_wire::DeviceCard;

use super::parcel::{Parcel, ParcelId, Refs};

const SETTING_INDEX: &str = "carry";
/// Batches kept for others: at most 45 bytes each in the index, 12 KiB of a setting's 32.
pub const CARRY_PARCELS_MAX: usize = 256;

/// The box's index, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index(pub(crate) Vec<IndexEntry>);

/// One carried parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexEntry {
    pub(crate) id: ParcelId,
    pub(crate) author: AuthorId,
    pub(crate) scope: Scope,
    /// The server has it.
    pub(crate) delivered: bool,
}

/// A carried parcel without its changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) card: DeviceCard,
    pub(crate) scope: Scope,
    pub(crate) refs: Refs,
    #[serde(with = "serde_bytes")]
    pub(crate) signature: [u8; 64],
    pub(crate) delivered: Option<(Epoch, Sequence)>,
}

impl Index {
    pub(crate) fn load(store: &dyn ChunkStore) -> Result<Self, StoreError> {
        // Without it the box is empty: nothing is lost but the carrying, which the author can ask for again.
        Ok(store.setting(SETTING_INDEX)?.and_then(|bytes| rmp_serde::from_slice(&bytes).ok()).unwrap_or_default())
    }

    pub(crate) fn put(&self, transaction: &mut Transaction) {
        transaction.settings.push((SETTING_INDEX.to_owned(), rmp_serde::to_vec(self).ok()));
    }

    pub(crate) fn contains(&self, id: ParcelId) -> bool {
        self.0.iter().any(|entry| entry.id == id)
    }

    /// Takes an entry out, with its setting.
    pub(crate) fn remove(&mut self, id: ParcelId, transaction: &mut Transaction) {
        self.0.retain(|entry| entry.id != id);
        transaction.settings.push((entry_key(id), None));
    }

    /// Makes room for one more by forgetting what was delivered longest ago. `false` when nothing can go.
    pub(crate) fn make_room(&mut self, transaction: &mut Transaction) -> bool {
        while self.0.len() >= CARRY_PARCELS_MAX {
            let Some(id) = self.0.iter().find(|entry| entry.delivered).map(|entry| entry.id) else { return false };
            self.remove(id, transaction);
        }
        true
    }
}

impl Entry {
    pub(crate) fn load(store: &dyn ChunkStore, id: ParcelId) -> Result<Option<Self>, StoreError> {
        Ok(store.setting(&entry_key(id))?.and_then(|bytes| rmp_serde::from_slice(&bytes).ok()))
    }

    pub(crate) fn put(&self, id: ParcelId, transaction: &mut Transaction) {
        transaction.settings.push((entry_key(id), rmp_serde::to_vec(self).ok()));
    }

    /// The parcel's changes; `None` when one of them has left this phone.
    pub(crate) fn changes(&self, store: &dyn ChunkStore) -> Result<Option<Vec<Change>>, StoreError> {
        let mut changes = Vec::with_capacity(self.refs.len());
        for (doc, hash) in &self.refs {
            match store.chunk(*doc, hash) {
                Ok(chunk) => changes.push(Change { doc: *doc, chunk }),
                Err(StoreError::NotFound(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(changes))
    }

    /// The parcel again, with its changes; `None` when one of them has left this phone.
    pub(crate) fn parcel(&self, store: &dyn ChunkStore) -> Result<Option<Parcel>, StoreError> {
        Ok(self.changes(store)?.map(|changes| {
            let items = changes.iter().map(Change::raw).collect();
            Parcel { card: self.card.clone(), scope: self.scope, items, signature: self.signature }
        }))
    }
}

/// Documents with changes of others that wait here for the server.
pub(crate) fn waiting_docs(store: &dyn ChunkStore) -> Result<Vec<DocId>, StoreError> {
    let mut docs = Vec::new();
    for of in Index::load(store)?.0.iter().filter(|of| !of.delivered) {
        let refs = Entry::load(store, of.id)?.map(|entry| entry.refs).unwrap_or_default();
        docs.extend(refs.into_iter().map(|(doc, _)| doc));
    }
    Ok(docs)
}

fn entry_key(id: ParcelId) -> String {
    use std::fmt::Write as _;
    let mut key = "carry/".to_owned();
    for byte in id.0 {
        // Writing to a string cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}
