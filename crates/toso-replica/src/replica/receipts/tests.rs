//! A receipt never runs ahead of the truth, whatever moment a list is read at.
//!
//! A list that was read while another thread saved a team showed the new team as counted by the centre, before any network:
//! the outbox was looked at first and the documents afterwards, and what is not in the outbox counts as received. A model of
//! a commune's screen met it on a busy machine. Here the save and the list meet at exactly those moments.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::id::{DocId, Sequence};
use toso_core::unit::{Scope, UnitRef};
use toso_store::memory::MemoryChunkStore;
use toso_store::{ChunkStore, HeldChunk, Listed, OutboxEntry, StoreError, Transaction};

use super::super::tests::{draft, replica};
use super::super::{Receipt, Replica};
use crate::credential::Credential;

type Hook = Mutex<Option<Box<dyn FnOnce() + Send>>>;

/// A store at which something else happens, once, at a chosen moment.
#[derive(Default)]
struct Interrupted {
    store: MemoryChunkStore,
    before_list: Hook,
    after_commit: Hook,
}

fn run(hook: &Hook) {
    // Taken out first: what runs may come here again.
    let hook = hook.lock().take();
    if let Some(hook) = hook {
        hook();
    }
}

impl ChunkStore for Interrupted {
    fn commit(&self, transaction: Transaction) -> Result<(), StoreError> {
        self.store.commit(transaction)?;
        run(&self.after_commit);
        Ok(())
    }

    fn chunks(&self, doc: DocId) -> Result<Vec<Chunk>, StoreError> {
        self.store.chunks(doc)
    }

    fn contains(&self, doc: DocId, hash: &ChangeHash) -> Result<bool, StoreError> {
        self.store.contains(doc, hash)
    }

    fn documents(&self) -> Result<Vec<(Scope, DocId)>, StoreError> {
        run(&self.before_list);
        self.store.documents()
    }

    fn erased_documents(&self) -> Result<Vec<(Scope, DocId)>, StoreError> {
        self.store.erased_documents()
    }

    fn listed(&self) -> Result<Vec<Listed>, StoreError> {
        run(&self.before_list);
        self.store.listed()
    }

    fn shown(&self, doc: DocId) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.shown(doc)
    }

    fn scope_of(&self, doc: DocId) -> Result<Option<Scope>, StoreError> {
        self.store.scope_of(doc)
    }

    fn outbox(&self, after: u64, limit: usize) -> Result<Vec<OutboxEntry>, StoreError> {
        self.store.outbox(after, limit)
    }

    fn outbox_len(&self) -> Result<usize, StoreError> {
        self.store.outbox_len()
    }

    fn chunk(&self, doc: DocId, hash: &ChangeHash) -> Result<Chunk, StoreError> {
        self.store.chunk(doc, hash)
    }

    fn receipts(&self, doc: DocId) -> Result<Vec<(ChangeHash, Sequence)>, StoreError> {
        self.store.receipts(doc)
    }

    fn last_receipt(&self) -> Result<Sequence, StoreError> {
        self.store.last_receipt()
    }

    fn last_receipts(&self) -> Result<BTreeMap<DocId, Sequence>, StoreError> {
        self.store.last_receipts()
    }

    fn keys(&self) -> Result<Vec<(Scope, DocId, ChangeHash)>, StoreError> {
        self.store.keys()
    }

    fn held(&self) -> Result<Vec<HeldChunk>, StoreError> {
        self.store.held()
    }

    fn held_copy(&self, doc: DocId, hash: &ChangeHash) -> Result<Option<(Scope, Chunk)>, StoreError> {
        self.store.held_copy(doc, hash)
    }

    fn cursor(&self, unit: UnitRef) -> Result<Sequence, StoreError> {
        self.store.cursor(unit)
    }

    fn setting(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.setting(key)
    }
}

/// A phone with one team that waits in its outbox, whose outbox has been looked at.
fn interrupted() -> (Arc<Interrupted>, Arc<Replica>) {
    let (enrolled, _) = replica();
    let store = Arc::new(Interrupted::default());
    Credential::load(enrolled.as_ref()).unwrap().keep(store.as_ref()).unwrap();
    let replica =
        Arc::new(Replica::open(Arc::clone(&store) as Arc<dyn ChunkStore>, &crate::testing::options()).unwrap());
    replica.add_team(draft("Thôn 1")).unwrap();
    assert_eq!(receipts(&replica), [Receipt::Saved]);
    (store, replica)
}

fn receipts(replica: &Replica) -> Vec<Receipt> {
    replica.teams().unwrap().into_iter().map(|team| team.receipt).collect()
}

fn save_another(replica: &Arc<Replica>) -> Box<dyn FnOnce() + Send> {
    let replica = Arc::clone(replica);
    Box::new(move || {
        replica.add_team(draft("Thôn 2")).unwrap();
    })
}

#[test]
fn a_save_just_before_the_documents_are_listed_is_saved_and_no_more() {
    let (store, replica) = interrupted();
    *store.before_list.lock() = Some(save_another(&replica));
    assert_eq!(receipts(&replica), [Receipt::Saved; 2]);
}

#[test]
fn a_save_just_before_the_documents_are_counted_is_saved_and_no_more() {
    let (store, replica) = interrupted();
    *store.before_list.lock() = Some(save_another(&replica));
    let counts = replica.receipt_counts().unwrap();
    assert_eq!((counts.saved, counts.received, counts.counted), (2, 0, 0));
}

#[test]
fn a_list_read_while_a_save_becomes_durable_shows_it_as_saved() {
    let (store, replica) = interrupted();
    let (seen, reader) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&replica));
    let told = Arc::clone(&seen);
    *store.after_commit.lock() = Some(Box::new(move || *told.lock() = receipts(&reader)));
    replica.add_team(draft("Thôn 2")).unwrap();
    assert_eq!(*seen.lock(), [Receipt::Saved; 2]);
    assert_eq!(receipts(&replica), [Receipt::Saved; 2]);
}
