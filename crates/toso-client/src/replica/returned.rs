//! Who brought back what the centre had lost: shown beside the author's name, since whose such a change is rests on the word
//! of the device that returned it.
//!
//! A page says so with the change. What is kept of it is a setting for each document: the devices, and of each change that
//! one brought back the beginning of its hash.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use toso_core::id::{AuthorId, ChangeHash, DocId};
use toso_store::StoreError;
use toso_store::chunk_store::SETTING_BYTES_MAX;

use super::receipts::{read_setting, setting};
use super::{Replica, ReplicaError};

/// Bytes kept of a change's hash: the 4,096 changes of a full document take 28 KiB, within one setting. That two of them begin
/// alike has a chance of 1 in 8 thousand million.
const HASH_BYTES_KEPT: usize = 7;
/// What a setting takes, without what stands around the hashes of a hundred devices (12 bytes each).
const NOTES_BYTES_MAX: usize = SETTING_BYTES_MAX - 100 * 12;

/// By device, the hashes' beginnings one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Notes(BTreeMap<AuthorId, ByteBuf>);

impl Notes {
    fn note(&mut self, hash: &ChangeHash, by: AuthorId) {
        let kept: usize = self.0.values().map(|hashes| hashes.len()).sum();
        let hashes = self.0.entry(by).or_default();
        let of_hash = beginning(hash);
        if kept + of_hash.len() <= NOTES_BYTES_MAX && !hashes.chunks(HASH_BYTES_KEPT).any(|known| known == of_hash) {
            hashes.extend_from_slice(of_hash);
        }
    }
}

fn beginning(hash: &ChangeHash) -> &[u8] {
    hash.0.get(..HASH_BYTES_KEPT).unwrap_or(&hash.0)
}

fn key(doc: DocId) -> String {
    format!("returned/{doc}")
}

/// What forgets who brought back changes of documents that go.
pub(super) fn without_returned(docs: &[DocId]) -> Vec<(String, Option<Vec<u8>>)> {
    docs.iter().map(|doc| (key(*doc), None)).collect()
}

impl Replica {
    /// Who brought back which changes of a document.
    pub fn brought_back_by(&self, doc: DocId) -> Result<BroughtBack, ReplicaError> {
        let Notes(notes) = read_setting(self.store.as_ref(), &key(doc))?.unwrap_or_default();
        let hashes = notes.into_iter().flat_map(|(by, hashes)| {
            hashes.chunks(HASH_BYTES_KEPT).map(|hash| (hash.to_vec(), by)).collect::<Vec<_>>()
        });
        Ok(BroughtBack(hashes.collect()))
    }

    /// The settings that keep these, too.
    pub(super) fn returned_with(
        &self,
        returned: &[(DocId, ChangeHash, AuthorId)],
    ) -> Result<Vec<(String, Option<Vec<u8>>)>, StoreError> {
        let mut notes: HashMap<DocId, Notes> = HashMap::new();
        for (doc, hash, by) in returned {
            if !notes.contains_key(doc) {
                notes.insert(*doc, read_setting(self.store.as_ref(), &key(*doc))?.unwrap_or_default());
            }
            notes.entry(*doc).or_default().note(hash, *by);
        }
        Ok(notes.into_iter().map(|(doc, notes)| setting(&key(doc), &notes)).collect())
    }
}

/// Who brought back which changes of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BroughtBack(HashMap<Vec<u8>, AuthorId>);

impl BroughtBack {
    /// Who brought back a change; `None` for one that its author sent.
    pub fn by(&self, hash: &ChangeHash) -> Option<AuthorId> {
        self.0.get(beginning(hash)).copied()
    }
}
