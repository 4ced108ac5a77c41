//! The clause of [`ChunkStore`]'s contract about erased chunks.

use toso_core::change::Change;
use toso_core::id::Sequence;

use super::Subject;
use super::samples::{change, doc, hash, saved, scope};
use crate::StoreError;
use crate::chunk_store::{ChunkStore, Transaction};

fn erasing(changes: &[&Change]) -> Transaction {
    let erased = changes.iter().map(|change| (scope(1), change.doc, change.hash())).collect();
    Transaction { erased, ..Transaction::default() }
}

/// With and without a chunk that was stored before: keys stay, in their order; bytes, copies, outbox entries, what is shown and the
/// document go. Twice changes nothing, and reopening neither.
pub fn an_erased_chunk_leaves_its_key<S: Subject<Store: ChunkStore>>(subject: &S) {
    let (gone, stays, unknown) = (change(1, 1), change(2, 2), change(3, 3));
    let mut store = subject.fresh();
    let mut before = saved([gone.clone(), stays.clone()]);
    before.shown.push((gone.doc, vec![1; 100]));
    before.receipts.push((gone.doc, gone.hash(), Sequence(4)));
    before.held.push((gone.doc, gone.hash(), Some(vec![2])));
    before.held_copies.push((gone.doc, gone.hash(), Some((scope(1), gone.chunk.clone()))));
    store.commit(before).unwrap();
    for _ in 0..3 {
        store.commit(erasing(&[&gone, &unknown])).unwrap();
        store = subject.reopen(store);
        let keys: Vec<_> = [&gone, &stays, &unknown].map(|change| (scope(1), change.doc, change.hash())).to_vec();
        assert_eq!(store.keys().unwrap(), keys);
        assert_eq!(store.documents().unwrap(), [(scope(1), stays.doc)]);
        assert_eq!(store.documents_len().unwrap(), 1);
        let mut erased = [gone.doc, unknown.doc];
        erased.sort_unstable();
        assert_eq!(store.erased_documents().unwrap(), erased.map(|doc| (scope(1), doc)));
        assert_eq!(store.listed().unwrap().iter().map(|listed| listed.doc).collect::<Vec<_>>(), [stays.doc]);
        for erased in [&gone, &unknown] {
            assert!(store.contains(erased.doc, &erased.hash()).unwrap());
            assert!(matches!(store.chunk(erased.doc, &erased.hash()), Err(StoreError::NotFound(_))));
            assert!(store.chunks(erased.doc).unwrap().is_empty());
            assert_eq!(store.scope_of(erased.doc).unwrap(), None);
            assert_eq!(store.shown(erased.doc).unwrap(), None);
            assert_eq!(store.held_copy(erased.doc, &erased.hash()).unwrap(), None);
        }
        assert_eq!(store.receipts(gone.doc).unwrap(), [(gone.hash(), Sequence(4))]);
        assert_eq!(store.outbox(0, 10).unwrap().iter().map(|entry| entry.doc).collect::<Vec<_>>(), [stays.doc]);
        assert_eq!(store.outbox_len().unwrap(), 1);
        assert_eq!(store.chunks(stays.doc).unwrap(), std::slice::from_ref(&stays.chunk));
    }
}

/// Stored again its bytes stay away; put into the outbox it is passed over, and others go.
pub fn an_erased_chunk_does_not_come_back_and_is_not_sent<S: Subject<Store: ChunkStore>>(subject: &S) {
    let (gone, other) = (change(1, 1), change(2, 2));
    let store = subject.fresh();
    // A page may bring a chunk and its erasure.
    store.commit(Transaction { erased: erasing(&[&gone]).erased, ..saved([gone.clone()]) }).unwrap();
    store.commit(saved([gone.clone(), other.clone()])).unwrap();
    let again = Transaction { outbox_add: vec![gone.hash()], ..Transaction::default() };
    store.commit(again).unwrap();
    let store = subject.reopen(store);
    assert!(store.chunks(gone.doc).unwrap().is_empty());
    assert!(matches!(store.chunk(gone.doc, &gone.hash()), Err(StoreError::NotFound(_))));
    assert_eq!(store.outbox(0, 10).unwrap().iter().map(|entry| entry.doc).collect::<Vec<_>>(), [other.doc]);
    assert_eq!(store.keys().unwrap().len(), 2);
}

/// Chunks of it that stay, and others that come later, are kept and sent, and make no document.
pub fn what_is_left_of_an_erased_document_is_none<S: Subject<Store: ChunkStore>>(subject: &S) {
    let chunks: Vec<Change> = (1..4).map(|number| change(1, number)).collect();
    let store = subject.fresh();
    store.commit(saved(chunks[..2].iter().cloned())).unwrap();
    store.commit(erasing(&[&chunks[0]])).unwrap();
    let mut later = saved([chunks[2].clone()]);
    later.shown.push((chunks[2].doc, vec![7; 9]));
    store.commit(later).unwrap();
    let store = subject.reopen(store);
    let id = doc(scope(1), 1);
    assert_eq!((store.documents_len().unwrap(), store.scope_of(id).unwrap()), (0, None));
    assert!(store.chunks(id).unwrap().is_empty() && store.listed().unwrap().is_empty());
    assert_eq!(store.shown(id).unwrap(), None);
    for number in 1..4 {
        assert!(store.contains(id, &hash(number)).unwrap());
    }
    for kept in &chunks[1..] {
        assert_eq!(store.chunk(id, &kept.hash()).unwrap(), kept.chunk);
    }
    let sent: Vec<_> = store.outbox(0, 10).unwrap().iter().map(|entry| (entry.scope, entry.hash)).collect();
    assert_eq!(sent, [(scope(1), hash(2)), (scope(1), hash(3))]);
}

/// A device that leaves the unit forgets that it was there; one that is emptied, too.
pub fn an_erased_document_can_leave<S: Subject<Store: ChunkStore>>(subject: &S) {
    let gone = change(1, 1);
    let leaving = Transaction { remove_documents: vec![gone.doc], ..Transaction::default() };
    let emptying = Transaction { empty: true, ..Transaction::default() };
    for transaction in [leaving, emptying] {
        let store = subject.fresh();
        store.commit(saved([gone.clone()])).unwrap();
        store.commit(erasing(&[&gone])).unwrap();
        store.commit(transaction).unwrap();
        let store = subject.reopen(store);
        assert!(store.erased_documents().unwrap().is_empty() && store.keys().unwrap().is_empty());
        assert!(!store.contains(gone.doc, &gone.hash()).unwrap());
        // It may come again, as another device's.
        store.commit(saved([gone.clone()])).unwrap();
        assert_eq!(store.chunks(gone.doc).unwrap(), std::slice::from_ref(&gone.chunk));
    }
}
