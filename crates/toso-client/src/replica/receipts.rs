//! Receipts: saved here → received by the server → counted by the centre.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use toso_core::id::{DocId, Sequence};
use toso_store::{ChunkStore, StoreError};

use super::Replica;
use super::view::{CentreTotals, Held, Receipt};
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
        unsent.extend(store.held()?.iter().map(|held| held.doc));
        let totals: Option<CentreTotals> = read_setting(store, SETTING_TOTALS)?;
        let cursor = match replica.credential() {
            Ok(credential) => store.cursor(credential.unit)?,
            Err(_) => Sequence::ZERO,
        };
        Ok(Self { store, unsent, counted: totals.map(|totals| totals.as_of).unwrap_or_default(), cursor })
    }

    pub(super) fn of(&self, doc: DocId) -> Result<Receipt, StoreError> {
        if self.unsent.contains(&doc) {
            return Ok(Receipt::Saved);
        }
        // Changes that came from elsewhere lie at or below the cursor; own ones at or below their receipt.
        let own = self.store.receipts(doc)?.into_iter().map(|(_, through)| through).max();
        let through = own.unwrap_or(self.cursor);
        Ok(if through <= self.counted { Receipt::Counted } else { Receipt::Received })
    }
}

/// Why a change is held, as it is stored: MessagePack, further fields at the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Why {
    pub(super) code: String,
    pub(super) detail: String,
}

impl Why {
    /// Always `Some`: text encodes. Within the store's limit, since a NACK's detail has at most 300 bytes.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        rmp_serde::to_vec(self).ok()
    }
}

/// The changes that the server did not take.
pub(super) fn held(store: &dyn ChunkStore) -> Result<Vec<Held>, StoreError> {
    let unreadable = || Why { code: "refused".to_owned(), detail: String::new() };
    let held = store.held()?.into_iter().map(|held| {
        let why: Why = rmp_serde::from_slice(&held.why).unwrap_or_else(|_| unreadable());
        Held { doc: held.doc, hash: held.hash, code: why.code, detail: why.detail }
    });
    Ok(held.collect())
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
