//! Receipts: saved here → received by the server → counted by the centre.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use toso_core::id::{DocId, Sequence};
use toso_store::{ChunkStore, StoreError};

use super::view::{CentreTotals, HeldState, Receipt};
use super::{Replica, Unsent};
use crate::carry::keep::waiting_docs;

pub(super) const SETTING_TOTALS: &str = "centre-totals";
/// Set once another phone has said that it delivered something of this one.
pub(super) const SETTING_HEARD: &str = "carry-heard";
/// Outbox entries read at a time.
const OUTBOX_PAGE: usize = 1_000;

/// What is needed to tell any document's receipt.
///
/// To be made after the documents were read: a record that is not in the outbox counts as received, so an outbox from
/// before its save would call it counted.
pub(super) struct ReceiptReader<'a> {
    store: &'a dyn ChunkStore,
    unsent: HashSet<DocId>,
    held: HashSet<DocId>,
    counted: Sequence,
    cursor: Sequence,
    /// The last receipt of every document, where many are asked for.
    last: Option<BTreeMap<DocId, Sequence>>,
}

impl<'a> ReceiptReader<'a> {
    /// For a few documents.
    pub(super) fn new(replica: &'a Replica) -> Result<Self, StoreError> {
        let store = replica.store.as_ref();
        // Looked at first: a save that has ended since is in the outbox that is read next.
        let mut unsent: HashSet<DocId> = replica.saving.lock().iter().copied().collect();
        // A carrier's word is shown, while the outbox keeps its entries until the server itself has spoken.
        let heard = store.setting(SETTING_HEARD)?.is_some();
        for (doc, hash) in replica.unsent()?.iter() {
            if !heard || !store.receipts(*doc)?.iter().any(|(of, _)| of == hash) {
                unsent.insert(*doc);
            }
        }
        unsent.extend(waiting_docs(store)?);
        let mut held = HashSet::new();
        for mark in replica.held()? {
            match mark.state {
                HeldState::Refused => unsent.insert(mark.doc),
                HeldState::Waiting | HeldState::Returned => held.insert(mark.doc),
                HeldState::Accepted => false,
            };
        }
        let totals: Option<CentreTotals> = read_setting(store, SETTING_TOTALS)?;
        let cursor = match replica.credential() {
            Ok(credential) => store.cursor(credential.unit)?,
            Err(_) => Sequence::ZERO,
        };
        let counted = totals.map(|totals| totals.as_of).unwrap_or_default();
        Ok(Self { store, unsent, held, counted, cursor, last: None })
    }

    /// For a whole list.
    pub(super) fn of_all(replica: &'a Replica) -> Result<Self, StoreError> {
        let last = Some(replica.store.last_receipts()?);
        Ok(Self { last, ..Self::new(replica)? })
    }

    pub(super) fn of(&self, doc: DocId) -> Result<Receipt, StoreError> {
        if self.unsent.contains(&doc) {
            return Ok(Receipt::Saved);
        }
        if self.held.contains(&doc) {
            return Ok(Receipt::Held);
        }
        // Changes that came from elsewhere lie at or below the cursor; own ones at or below their receipt.
        let own = match &self.last {
            Some(last) => last.get(&doc).copied(),
            None => self.store.receipts(doc)?.into_iter().map(|(_, through)| through).max(),
        };
        let through = own.unwrap_or(self.cursor);
        Ok(if through <= self.counted { Receipt::Counted } else { Receipt::Received })
    }
}

impl Replica {
    /// What is in the outbox, read once after every change of it.
    fn unsent(&self) -> Result<Unsent, StoreError> {
        // Locked over the read, so that nothing older is kept after [`Replica::chunks_changed`].
        let mut known = self.unsent.lock();
        if let Some(unsent) = known.as_ref() {
            return Ok(Arc::clone(unsent));
        }
        let mut entries = Vec::with_capacity(self.store.outbox_len()?);
        let mut after = 0;
        loop {
            let page = self.store.outbox(after, OUTBOX_PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.number;
            entries.extend(page.into_iter().map(|entry| (entry.doc, entry.hash)));
        }
        Ok(Arc::clone(known.insert(entries.into())))
    }
}

pub(super) fn read_setting<T: for<'de> Deserialize<'de>>(
    store: &dyn ChunkStore,
    key: &str,
) -> Result<Option<T>, StoreError> {
    // These settings repeat what the server says; an unreadable one is told again at the next sync.
    Ok(store.setting(key)?.and_then(|bytes| rmp_serde::from_slice(&bytes).ok()))
}

pub(super) fn setting<T: Serialize>(key: &str, value: &T) -> (String, Option<Vec<u8>>) {
    (key.to_owned(), rmp_serde::to_vec(value).ok())
}

#[cfg(test)]
mod tests;
