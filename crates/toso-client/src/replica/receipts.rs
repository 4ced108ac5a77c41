//! Receipts: saved here → received by the server → counted by the centre.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use toso_core::id::{DocId, Sequence};
use toso_store::{ChunkStore, StoreError};

use super::Replica;
use super::view::{CentreTotals, HeldState, Receipt};
use crate::carry::keep::waiting_docs;

pub(super) const SETTING_TOTALS: &str = "centre-totals";
/// Set once another phone has said that it delivered something of this one.
pub(super) const SETTING_HEARD: &str = "carry-heard";
/// Outbox entries read at a time.
const OUTBOX_PAGE: usize = 1_000;

/// What is needed to tell any document's receipt, read once for a whole list.
pub(super) struct ReceiptReader<'a> {
    store: &'a dyn ChunkStore,
    unsent: HashSet<DocId>,
    held: HashSet<DocId>,
    counted: Sequence,
    cursor: Sequence,
}

impl<'a> ReceiptReader<'a> {
    pub(super) fn new(replica: &'a Replica) -> Result<Self, StoreError> {
        let store = replica.store.as_ref();
        let mut unsent = HashSet::new();
        // A carrier's word is shown, while the outbox keeps its entries until the server itself has spoken.
        let heard = store.setting(SETTING_HEARD)?.is_some();
        let mut after = 0;
        loop {
            let page = store.outbox(after, OUTBOX_PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.number;
            for entry in page {
                let delivered = heard && store.receipts(entry.doc)?.iter().any(|(hash, _)| *hash == entry.hash);
                if !delivered {
                    unsent.insert(entry.doc);
                }
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
        Ok(Self { store, unsent, held, counted: totals.map(|totals| totals.as_of).unwrap_or_default(), cursor })
    }

    pub(super) fn of(&self, doc: DocId) -> Result<Receipt, StoreError> {
        if self.unsent.contains(&doc) {
            return Ok(Receipt::Saved);
        }
        if self.held.contains(&doc) {
            return Ok(Receipt::Held);
        }
        // Changes that came from elsewhere lie at or below the cursor; own ones at or below their receipt.
        let own = self.store.receipts(doc)?.into_iter().map(|(_, through)| through).max();
        let through = own.unwrap_or(self.cursor);
        Ok(if through <= self.counted { Receipt::Counted } else { Receipt::Received })
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
