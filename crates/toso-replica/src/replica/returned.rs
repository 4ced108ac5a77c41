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

use super::Replica;
use super::receipts::{read_setting, setting};
use crate::error::ReplicaError;

/// Bytes kept of a change's hash: the 4,096 changes of a full document take 28 KiB, within one setting. That two of them begin
/// alike has a chance of 1 in 8 thousand million.
const HASH_BYTES_KEPT: usize = 7;
/// What a setting takes, without what stands around the hashes of a hundred devices (12 bytes each).
const NOTES_BYTES_MAX: usize = SETTING_BYTES_MAX - 100 * 12;

/// Settings to keep or to remove.
type Settings = Vec<(String, Option<Vec<u8>>)>;

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
pub(super) fn without_returned(docs: &[DocId]) -> Settings {
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
    pub(super) fn returned_with(&self, returned: &[(DocId, ChangeHash, AuthorId)]) -> Result<Settings, StoreError> {
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
    /// True when every change came from its author.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who brought back a change; `None` for one that its author sent.
    pub fn by(&self, hash: &ChangeHash) -> Option<AuthorId> {
        self.0.get(beginning(hash)).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use toso_core::document::DOCUMENT_CHANGES_MAX;
    use toso_core::edit::DocEdit;
    use toso_core::id::DocKind;
    use toso_store::{ChunkStore, Transaction};

    use super::super::tests::{all_of, draft, replica};
    use super::*;

    fn hash(number: u64) -> ChangeHash {
        ChangeHash(*blake3::hash(&number.to_be_bytes()).as_bytes())
    }

    /// The story: a clash on a phone showed the author alone of a value that another device had brought back.
    #[test]
    fn a_value_in_conflict_tells_who_brought_it_back() {
        let ((a_store, a), (b_store, b)) = (replica(), replica());
        let team = a.add_team(draft("Thôn 1")).unwrap();
        assert_eq!(b.add_team(draft("Thôn 1")).unwrap(), team);
        let edit = |households| DocEdit::parse(DocKind::Team, "households_covered", households).unwrap();
        a.edit(team, &[edit("120")]).unwrap();
        b.edit(team, &[edit("135")]).unwrap();
        let (lost, by) = (b.history(team).unwrap().pop().unwrap().save, AuthorId([7; 8]));
        let mut notes = Notes::default();
        notes.note(&lost.hash, by);
        let settings = vec![setting(&key(team), &notes)];
        a_store
            .commit(Transaction { chunks: all_of(b_store.as_ref(), team), settings, ..Transaction::default() })
            .unwrap();
        let phone = Replica::open(a_store as Arc<dyn ChunkStore>, &crate::testing::options()).unwrap();
        let found = phone.conflicts_of(team).unwrap();
        let clash = found.iter().find(|clash| clash.field == "households_covered").unwrap();
        assert_eq!(clash.values.len(), 2);
        for value in &clash.values {
            let brought_back = (value.written.device == lost.device).then_some(by);
            assert_eq!(value.brought_back_by, brought_back, "{}", value.written.value);
        }
        assert!(phone.writers(&[]).unwrap().contains(&by), "its name is asked for");
    }

    #[test]
    fn a_full_document_fits_in_one_setting_and_each_change_is_noted_once() {
        let [a, b] = [1, 2].map(|number| AuthorId([number; 8]));
        let mut notes = Notes::default();
        for number in 0..DOCUMENT_CHANGES_MAX {
            notes.note(&hash(number), if number % 3 == 0 { a } else { b });
        }
        let full = notes.clone();
        notes.note(&hash(4), b);
        assert_eq!(notes, full, "noted already");
        let (_, bytes) = setting("returned/x", &notes);
        let bytes = bytes.unwrap();
        assert!(bytes.len() <= SETTING_BYTES_MAX, "{}", bytes.len());
        assert_eq!(rmp_serde::from_slice::<Notes>(&bytes).unwrap(), notes);
        let past = u64::try_from(NOTES_BYTES_MAX / HASH_BYTES_KEPT).unwrap() + 1;
        for number in DOCUMENT_CHANGES_MAX..past {
            notes.note(&hash(number), a);
        }
        let kept: usize = notes.0.values().map(|hashes| hashes.len()).sum();
        assert!(kept <= NOTES_BYTES_MAX && kept + HASH_BYTES_KEPT > NOTES_BYTES_MAX, "{kept}: full, and no more");
    }
}
