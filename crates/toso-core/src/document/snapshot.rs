//! Folded documents: made only when they load back, loaded only within bounds.

use std::collections::BTreeMap;

use automerge::{Automerge, LoadOptions, OnPartialLoad, VerificationMode};

use super::{Document, SNAPSHOT_BYTES_MAX, SnapshotError, genesis, guarded, history, read};
use crate::chunk::{Chunk, check_document_envelope};
use crate::id::{Actor, DocId};

pub(super) fn make(document: &Document) -> Result<Vec<u8>, SnapshotError> {
    let id = document.id;
    let unverified = |detail: String| SnapshotError::Unverified { id, detail };
    let bytes = guarded(|| document.doc.save_nocompress()).map_err(|error| unverified(error.to_string()))?;
    let loaded = load(id, &bytes)?;
    if loaded.heads() != document.heads() {
        return Err(unverified("it loads to other heads".to_owned()));
    }
    Ok(bytes)
}

pub(super) fn load(id: DocId, bytes: &[u8]) -> Result<Document, SnapshotError> {
    let kind = id.kind().ok_or_else(|| {
        let detail = "its kind is one that only a newer version knows".to_owned();
        SnapshotError::Unverified { id, detail }
    })?;
    loaded(id, bytes, |mut doc| {
        let genesis = genesis::genesis(kind);
        let first = genesis.hashes.first().map(|hash| automerge::ChangeHash(hash.0));
        if first.is_none_or(|first| doc.get_change_meta_by_hash(&first).is_none()) {
            return Err("it does not begin with the genesis of its kind".to_owned());
        }
        // A snapshot of an older version lacks the genesis changes that came later.
        doc.apply_changes(genesis.doc.get_changes(&[])).map_err(|error| error.to_string())?;
        let seqs = seqs(&doc)?;
        read::probe(kind, &doc);
        Ok(Document { id, kind, doc, seqs, waiting: BTreeMap::new() })
    })
}

pub(super) fn chunks(id: DocId, bytes: &[u8]) -> Result<Vec<Chunk>, SnapshotError> {
    match id.kind() {
        Some(_) => load(id, bytes).map(|document| document.chunks()),
        None => loaded(id, bytes, |doc| Ok(history::chunks(&doc))),
    }
}

/// What `read` makes of a snapshot, within bounds and guarded.
fn loaded<T>(id: DocId, bytes: &[u8], read: impl FnOnce(Automerge) -> Result<T, String>) -> Result<T, SnapshotError> {
    let unverified = |detail: String| SnapshotError::Unverified { id, detail };
    if bytes.len() > SNAPSHOT_BYTES_MAX {
        return Err(SnapshotError::TooLarge { id, bytes: bytes.len() });
    }
    check_document_envelope(bytes).map_err(|error| unverified(error.to_string()))?;
    let loaded = guarded(|| {
        let options =
            LoadOptions::new().on_partial_load(OnPartialLoad::Error).verification_mode(VerificationMode::Check);
        read(Automerge::load_with_options(bytes, options).map_err(|error| error.to_string())?)
    });
    loaded.map_err(|error| unverified(error.to_string()))?.map_err(unverified)
}

fn seqs(doc: &Automerge) -> Result<BTreeMap<Actor, u64>, String> {
    let mut seqs = BTreeMap::new();
    for change in doc.get_changes_meta(&[]) {
        let actor = change.actor.to_bytes().try_into().map_err(|_| "an actor has not 16 bytes".to_owned())?;
        let last = seqs.entry(Actor(actor)).or_insert(0);
        *last = change.seq.max(*last);
    }
    seqs.remove(&genesis::GENESIS_ACTOR);
    Ok(seqs)
}
