//! The clauses of [`ChunkStore`]'s contract.

use std::thread;

use proptest::test_runner::{Config, TestRunner};
use toso_core::change::Change;
use toso_core::chunk::{CHANGE_BYTES_MAX, Chunk};
use toso_core::id::Sequence;

use super::Subject;
use super::model::{self, ChunkModel};
use super::samples::{change, doc, further_doc, hash, item, saved, saved_in, scope, sized};
use crate::StoreError;
use crate::chunk_store::{ChunkStore, Listed, SETTING_BYTES_MAX, SETTING_KEY_BYTES_MAX, SHOWN_BYTES_MAX, Transaction};

/// Nothing is there, and asking is no error.
pub fn an_empty_store_answers<S: Subject<Store: ChunkStore>>(subject: &S) {
    let store = subject.fresh();
    let absent = change(1, 1);
    assert!(store.chunks(absent.doc).unwrap().is_empty());
    assert!(!store.contains(absent.doc, &absent.hash()).unwrap());
    assert!(store.documents().unwrap().is_empty());
    assert_eq!(store.scope_of(absent.doc).unwrap(), None);
    assert!(store.outbox(0, 10).unwrap().is_empty());
    assert_eq!(store.outbox_len().unwrap(), 0);
    assert!(matches!(store.chunk(absent.doc, &absent.hash()), Err(StoreError::NotFound(of)) if of == absent.hash()));
    assert!(store.receipts(absent.doc).unwrap().is_empty());
    assert_eq!(store.cursor(scope(1)).unwrap(), Sequence::ZERO);
    assert_eq!(store.setting("absent").unwrap(), None);
    store.commit(Transaction::default()).unwrap();
    assert!(store.documents().unwrap().is_empty());
}

/// Nothing of what was there is found again, and what the same transaction brings is. Numbers of the outbox go on.
pub fn emptying_leaves_nothing<S: Subject<Store: ChunkStore>>(subject: &S) {
    let (gone, new) = (change(1, 1), change(2, 2));
    let mut before = saved([gone.clone()]);
    before.receipts.push((gone.doc, gone.hash(), Sequence(7)));
    before.cursors.push((scope(1), Sequence(9)));
    before.settings.push(("large".to_owned(), Some(vec![1; SETTING_BYTES_MAX])));
    before.held.push((gone.doc, gone.hash(), Some(vec![2])));
    before.held_copies.push((gone.doc, gone.hash(), Some((scope(1), gone.chunk.clone()))));
    let mut store = subject.fresh();
    store.commit(before).unwrap();
    let mut emptying = saved([new.clone()]);
    emptying.empty = true;
    emptying.settings.push(("new".to_owned(), Some(vec![3])));
    store.commit(emptying).unwrap();
    for _ in 0..2 {
        assert_eq!(store.documents().unwrap(), vec![(scope(1), new.doc)]);
        assert_eq!(store.documents_len().unwrap(), 1);
        assert!(store.chunks(gone.doc).unwrap().is_empty());
        assert!(store.receipts(gone.doc).unwrap().is_empty());
        let outbox = store.outbox(0, 10).unwrap();
        assert_eq!(outbox.iter().map(|entry| (entry.number, entry.hash)).collect::<Vec<_>>(), vec![(2, new.hash())]);
        assert_eq!(store.outbox_len().unwrap(), 1);
        assert!(store.held().unwrap().is_empty());
        assert_eq!(store.held_copy(gone.doc, &gone.hash()).unwrap(), None);
        assert_eq!(store.cursor(scope(1)).unwrap(), Sequence::ZERO);
        assert_eq!((store.setting("large").unwrap(), store.setting("new").unwrap()), (None, Some(vec![3])));
        store = subject.reopen(store);
    }
    let unknown = Transaction { empty: true, outbox_add: vec![gone.hash()], ..Transaction::default() };
    assert!(matches!(store.commit(unknown), Err(StoreError::NotFound(of)) if of == gone.hash()));
    assert_eq!(store.documents_len().unwrap(), 1, "and what is refused empties nothing");
}

/// Every part of a transaction is there at once, and after reopening.
pub fn a_transaction_is_whole_and_survives_reopening<S: Subject<Store: ChunkStore>>(subject: &S) {
    let (first, second) = (change(1, 1), change(2, 2));
    let mut transaction = saved([first.clone(), second.clone()]);
    transaction.receipts.push((first.doc, first.hash(), Sequence(7)));
    transaction.cursors.push((scope(1), Sequence(9)));
    transaction.settings.push(("device".to_owned(), Some(vec![1, 2, 3])));
    let mut store = subject.fresh();
    store.commit(transaction).unwrap();
    for _ in 0..2 {
        assert_eq!(store.chunks(first.doc).unwrap(), vec![first.chunk.clone()]);
        assert_eq!(store.chunk(second.doc, &second.hash()).unwrap(), second.chunk);
        assert_eq!(store.documents().unwrap(), vec![(scope(1), first.doc), (scope(1), second.doc)]);
        assert_eq!(store.scope_of(second.doc).unwrap(), Some(scope(1)));
        let outbox = store.outbox(0, 10).unwrap();
        assert_eq!(
            outbox.iter().map(|entry| (entry.number, entry.hash)).collect::<Vec<_>>(),
            vec![(1, first.hash()), (2, second.hash())]
        );
        assert_eq!(store.outbox_len().unwrap(), 2);
        assert_eq!(store.receipts(first.doc).unwrap(), vec![(first.hash(), Sequence(7))]);
        assert_eq!(store.cursor(scope(1)).unwrap(), Sequence(9));
        assert_eq!(store.setting("device").unwrap(), Some(vec![1, 2, 3]));
        store = subject.reopen(store);
    }
}

/// An unknown hash for the outbox, or a value over its limit, undoes all.
pub fn a_failed_transaction_changes_nothing<S: Subject<Store: ChunkStore>>(subject: &S) {
    let mut store = subject.fresh();
    let kept = change(1, 1);
    store.commit(saved([kept.clone()])).unwrap();
    let mut unknown = saved([change(2, 2)]);
    unknown.outbox_add.push(hash(99));
    unknown.outbox_remove.push(1);
    unknown.remove_documents.push(kept.doc);
    unknown.cursors.push((scope(1), Sequence(5)));
    unknown.settings.push(("a".to_owned(), Some(vec![1])));
    let mut too_large = unknown.clone();
    too_large.outbox_add.pop();
    too_large.settings.push(("b".to_owned(), Some(vec![0; SETTING_BYTES_MAX + 1])));
    let mut gone = Transaction { outbox_add: vec![kept.hash()], ..Transaction::default() };
    gone.remove_documents.push(kept.doc);
    assert!(matches!(store.commit(unknown), Err(StoreError::NotFound(of)) if of == hash(99)));
    assert!(matches!(store.commit(too_large), Err(StoreError::TooLarge { .. })));
    assert!(matches!(store.commit(gone), Err(StoreError::NotFound(of)) if of == kept.hash()));
    for _ in 0..2 {
        assert_eq!(store.documents().unwrap(), vec![(scope(1), kept.doc)]);
        assert_eq!(store.chunks(kept.doc).unwrap(), vec![kept.chunk.clone()]);
        assert_eq!(store.outbox(0, 10).unwrap().len(), 1);
        assert_eq!(store.cursor(scope(1)).unwrap(), Sequence::ZERO);
        assert_eq!(store.setting("a").unwrap(), None);
        store = subject.reopen(store);
    }
    store.commit(saved([change(3, 3)])).unwrap();
    assert_eq!(store.outbox(1, 10).unwrap()[0].number, 2, "a failed transaction uses no outbox number");
}

/// Chunks come back as they were stored, whatever their hashes; a repetition changes nothing.
pub fn chunks_keep_their_order_and_are_stored_once<S: Subject<Store: ChunkStore>>(subject: &S) {
    let store = subject.fresh();
    store.commit(saved([change(1, 1), change(1, 2)])).unwrap();
    let store = subject.reopen(store);
    let of = doc(scope(1), 1);
    let again = sized(of, 1, vec![0]);
    let brought = [again, change(1, 3), change(1, 3), change(1, 4)];
    store.commit(Transaction { outbox_add: vec![], ..saved(brought) }).unwrap();
    let expected: Vec<_> = (1..=4).map(|number| change(1, number).chunk).collect();
    assert_eq!(store.chunks(of).unwrap(), expected);
    assert_eq!(store.outbox_len().unwrap(), 2, "a chunk that is stored again is not sent again");
    for number in 5..60 {
        store.commit(Transaction { outbox_add: vec![], ..saved([change(1, number)]) }).unwrap();
    }
    let store = subject.reopen(store);
    let expected: Vec<_> = (1..60).map(|number| change(1, number).chunk).collect();
    assert_eq!(store.chunks(of).unwrap(), expected);
}

/// The scope is set when a document is created.
pub fn a_document_keeps_its_first_scope<S: Subject<Store: ChunkStore>>(subject: &S) {
    let store = subject.fresh();
    let mut both = saved([change(1, 1)]);
    let elsewhere = saved_in(scope(2), [change(1, 2)]);
    both.chunks.extend(elsewhere.chunks);
    both.outbox_add.extend(elsewhere.outbox_add);
    store.commit(both).unwrap();
    store.commit(saved_in(scope(2), [change(1, 3)])).unwrap();
    let of = change(1, 1).doc;
    assert_eq!(store.scope_of(of).unwrap(), Some(scope(1)));
    assert!(store.keys().unwrap().iter().all(|(within, ..)| *within == scope(1)));
    assert!(store.outbox(0, 10).unwrap().iter().all(|entry| entry.scope == scope(1)));
    assert_eq!(store.documents().unwrap(), vec![(scope(1), of)]);
}

/// Not after their removal, not after the outbox was empty, not after reopening.
pub fn outbox_numbers_are_never_used_again<S: Subject<Store: ChunkStore>>(subject: &S) {
    let mut store = subject.fresh();
    for round in 1..=6 {
        store.commit(saved([change(1, round)])).unwrap();
        let outbox = store.outbox(0, 10).unwrap();
        assert_eq!(outbox.iter().map(|entry| entry.number).collect::<Vec<_>>(), vec![round]);
        if round % 3 == 0 {
            let remove_documents = vec![outbox[0].doc];
            store.commit(Transaction { remove_documents, ..Transaction::default() }).unwrap();
        } else {
            store.commit(Transaction { outbox_remove: vec![round, 1_000], ..Transaction::default() }).unwrap();
        }
        assert_eq!(store.outbox_len().unwrap(), 0);
        store = subject.reopen(store);
        assert_eq!(store.outbox_len().unwrap(), 0);
    }
}

/// Oldest first, after a number, at most so many.
pub fn the_outbox_pages_in_order<S: Subject<Store: ChunkStore>>(subject: &S) {
    let store = subject.fresh();
    store.commit(saved((1..=300).map(|number| change(u32::try_from(number).unwrap() % 7, number)))).unwrap();
    store.commit(Transaction { outbox_remove: vec![1, 256, 257, 300], ..Transaction::default() }).unwrap();
    let store = subject.reopen(store);
    let numbers =
        |after, limit| -> Vec<u64> { store.outbox(after, limit).unwrap().iter().map(|entry| entry.number).collect() };
    assert_eq!(numbers(0, 3), vec![2, 3, 4]);
    assert_eq!(numbers(254, 3), vec![255, 258, 259]);
    assert_eq!(numbers(298, 3), vec![299]);
    assert_eq!(numbers(299, 3), Vec::<u64>::new());
    assert_eq!(numbers(u64::MAX, 3), Vec::<u64>::new());
    assert_eq!(numbers(0, 0), Vec::<u64>::new());
    assert_eq!(numbers(0, usize::MAX).len(), 296);
    assert_eq!(store.outbox_len().unwrap(), 296);
    assert!(store.outbox(0, 300).unwrap().iter().all(|entry| entry.hash == hash(entry.number)));
}

/// When asked for.
pub fn a_stored_chunk_can_be_sent_again<S: Subject<Store: ChunkStore>>(subject: &S) {
    let store = subject.fresh();
    store.commit(saved([change(1, 1), change(2, 2)])).unwrap();
    store.commit(Transaction { outbox_remove: vec![1, 2], ..Transaction::default() }).unwrap();
    store.commit(Transaction { outbox_add: vec![hash(2), hash(1)], ..Transaction::default() }).unwrap();
    let outbox = store.outbox(0, 10).unwrap();
    let sent: Vec<_> = outbox.iter().map(|entry| (entry.number, entry.doc, entry.hash)).collect();
    assert_eq!(sent, vec![(3, change(2, 2).doc, hash(2)), (4, change(1, 1).doc, hash(1))]);
}

/// Two members registered from the same words in the same second share a change hash.
pub fn documents_with_one_hash_are_told_apart<S: Subject<Store: ChunkStore>>(subject: &S) {
    let store = subject.fresh();
    store.commit(saved([change(1, 5), change(2, 5)])).unwrap();
    store.commit(saved([change(3, 5)])).unwrap();
    let of = |number| change(number, 5).doc;
    let sent = |after| -> Vec<_> { store.outbox(after, 10).unwrap().iter().map(|entry| entry.doc).collect() };
    assert_eq!(sent(0), vec![of(1), of(2), of(3)]);
    store.commit(Transaction { outbox_add: vec![hash(5)], ..Transaction::default() }).unwrap();
    assert_eq!(sent(3), vec![of(1), of(2), of(3)], "nothing says which one: all are sent");
    store.commit(Transaction { remove_documents: vec![of(1)], ..Transaction::default() }).unwrap();
    assert!(store.contains(of(2), &hash(5)).unwrap() && !store.contains(of(1), &hash(5)).unwrap());
    assert_eq!(sent(0), vec![of(2), of(3), of(2), of(3)]);
}

/// A receipt can be renewed; one for a chunk that is not here leaves no trace.
pub fn receipts_belong_to_stored_chunks<S: Subject<Store: ChunkStore>>(subject: &S) {
    let store = subject.fresh();
    let (first, second) = (change(1, 1), change(1, 2));
    store.commit(saved([first.clone(), second.clone()])).unwrap();
    let receipts = vec![
        (first.doc, first.hash(), Sequence(3)),
        (first.doc, second.hash(), Sequence(4)),
        (first.doc, hash(9), Sequence(5)),
        (change(8, 1).doc, first.hash(), Sequence(6)),
    ];
    store.commit(Transaction { receipts, ..Transaction::default() }).unwrap();
    let renewed = vec![(first.doc, first.hash(), Sequence(8))];
    store.commit(Transaction { receipts: renewed, ..Transaction::default() }).unwrap();
    let store = subject.reopen(store);
    let mut expected = vec![(first.hash(), Sequence(8)), (second.hash(), Sequence(4))];
    expected.sort_unstable();
    assert_eq!(store.receipts(first.doc).unwrap(), expected);
    assert!(store.receipts(change(8, 1).doc).unwrap().is_empty());
    store.commit(Transaction { outbox_add: vec![], ..saved([change(8, 1)]) }).unwrap();
    assert!(store.receipts(change(8, 1).doc).unwrap().is_empty());
}

/// One for each interest; they may go back, when a server was restored.
pub fn cursors_are_set_and_kept<S: Subject<Store: ChunkStore>>(subject: &S) {
    let store = subject.fresh();
    let cursors = vec![(scope(1), Sequence(5)), (scope(2), Sequence(u64::MAX)), (scope(1), Sequence(6))];
    store.commit(Transaction { cursors, ..Transaction::default() }).unwrap();
    store.commit(Transaction { cursors: vec![(scope(3), Sequence(1))], ..Transaction::default() }).unwrap();
    let store = subject.reopen(store);
    assert_eq!(store.cursor(scope(1)).unwrap(), Sequence(6));
    assert_eq!(store.cursor(scope(2)).unwrap(), Sequence(u64::MAX));
    store.commit(Transaction { cursors: vec![(scope(1), Sequence(2))], ..Transaction::default() }).unwrap();
    assert_eq!(store.cursor(scope(1)).unwrap(), Sequence(2));
    assert_eq!(store.cursor(scope(3)).unwrap(), Sequence(1));
}

/// The last value of a key counts, also within one transaction.
pub fn settings_are_set_replaced_and_removed<S: Subject<Store: ChunkStore>>(subject: &S) {
    let store = subject.fresh();
    let set = |key: &str, value: Option<&[u8]>| {
        let settings = vec![(key.to_owned(), value.map(<[u8]>::to_vec))];
        store.commit(Transaction { settings, ..Transaction::default() }).unwrap();
    };
    set("a", Some(b"one"));
    set("a", Some(b"two"));
    set("ab", Some(b""));
    set("b", None);
    assert_eq!(store.setting("a").unwrap().as_deref(), Some(&b"two"[..]));
    assert_eq!(store.setting("ab").unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(store.setting("").unwrap(), None);
    set("a", None);
    let settings = vec![("c".to_owned(), Some(vec![1])), ("c".to_owned(), None), ("c".to_owned(), Some(vec![2]))];
    store.commit(Transaction { settings, ..Transaction::default() }).unwrap();
    let store = subject.reopen(store);
    assert_eq!(store.setting("a").unwrap(), None);
    assert_eq!(store.setting("ab").unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(store.setting("c").unwrap().as_deref(), Some(&[2][..]));
}

/// At the limit and one past it; a large value shrinks and grows.
pub fn settings_end_at_their_limits<S: Subject<Store: ChunkStore>>(subject: &S) {
    let store = subject.fresh();
    let set = |key: String, value: Vec<u8>| {
        store.commit(Transaction { settings: vec![(key, Some(value))], ..Transaction::default() })
    };
    let key = "k".repeat(SETTING_KEY_BYTES_MAX);
    for bytes in [SETTING_BYTES_MAX, 1, 5_000, SETTING_BYTES_MAX - 1] {
        let value: Vec<u8> = (0..bytes).map(|index| u8::try_from(index % 251).unwrap()).collect();
        set(key.clone(), value.clone()).unwrap();
        assert_eq!(store.setting(&key).unwrap(), Some(value));
    }
    let past = set(key.clone(), vec![0; SETTING_BYTES_MAX + 1]);
    assert!(matches!(past, Err(StoreError::TooLarge { bytes, max, .. }) if bytes == max + 1));
    let past = set("k".repeat(SETTING_KEY_BYTES_MAX + 1), vec![]);
    assert!(matches!(past, Err(StoreError::TooLarge { bytes, max, .. }) if bytes == max + 1));
    let store = subject.reopen(store);
    assert_eq!(store.setting(&key).unwrap().map(|value| value.len()), Some(SETTING_BYTES_MAX - 1));
}

/// At the limit and one past it.
pub fn changes_end_at_their_limit<S: Subject<Store: ChunkStore>>(subject: &S) {
    let store = subject.fresh();
    let large = |of, number, bytes: usize| {
        let bytes = (0..bytes).map(|index| u8::try_from(index % 253).unwrap()).collect();
        sized(doc(scope(1), of), number, bytes)
    };
    let largest: Vec<_> = (0..20).map(|number| large(1, number, CHANGE_BYTES_MAX)).collect();
    store.commit(saved(largest.clone())).unwrap();
    store.commit(saved([large(2, 1, 1)])).unwrap();
    let past = store.commit(saved([large(3, 2, CHANGE_BYTES_MAX + 1)]));
    assert!(matches!(past, Err(StoreError::TooLarge { bytes, max, .. }) if bytes == max + 1));
    let store = subject.reopen(store);
    assert!(store.chunks(largest[0].doc).unwrap().iter().eq(largest.iter().map(|change| &change.chunk)));
    assert_eq!(store.chunk(change(2, 1).doc, &hash(1)).unwrap().bytes(), [0]);
    assert_eq!(store.scope_of(change(3, 2).doc).unwrap(), None);
    store.commit(Transaction { remove_documents: vec![largest[0].doc], ..Transaction::default() }).unwrap();
    let store = subject.reopen(store);
    assert!(store.chunks(largest[0].doc).unwrap().is_empty());
}

/// Chunks, receipts and outbox entries, but nothing of its neighbours.
pub fn removing_a_document_removes_all_of_it<S: Subject<Store: ChunkStore>>(subject: &S) {
    let store = subject.fresh();
    store.commit(saved([change(1, 1), change(2, 2), change(1, 3), change(3, 4)])).unwrap();
    let receipts = (1..=3).map(|of| (change(of, 0).doc, hash(if of == 3 { 4 } else { of.into() }), Sequence(9)));
    store.commit(Transaction { receipts: receipts.collect(), ..Transaction::default() }).unwrap();
    let gone = change(1, 0).doc;
    let remove_documents = vec![gone, change(9, 0).doc];
    store.commit(Transaction { remove_documents, ..Transaction::default() }).unwrap();
    let store = subject.reopen(store);
    assert!(store.chunks(gone).unwrap().is_empty() && store.receipts(gone).unwrap().is_empty());
    assert_eq!(store.scope_of(gone).unwrap(), None);
    assert!(!store.contains(gone, &hash(1)).unwrap());
    assert_eq!(store.documents().unwrap().len(), 2);
    assert_eq!(store.outbox(0, 10).unwrap().iter().map(|entry| entry.number).collect::<Vec<_>>(), vec![2, 4]);
    assert_eq!(store.outbox_len().unwrap(), 2);
    assert_eq!(store.receipts(change(2, 0).doc).unwrap(), vec![(hash(2), Sequence(9))]);
    assert_eq!(store.chunks(change(3, 0).doc).unwrap(), vec![change(3, 4).chunk]);
}

/// A copy outlives its document and goes with its mark; without a mark there is none.
pub fn a_copy_of_a_held_chunk_goes_with_its_mark<S: Subject<Store: ChunkStore>>(subject: &S) {
    let store = subject.fresh();
    let (marked, other) = (change(1, 1), change(1, 2));
    let copy = |of: &Change| (scope(1), of.chunk.clone());
    let mut transaction = saved([marked.clone(), other.clone()]);
    transaction.held = vec![(marked.doc, marked.hash(), Some(b"why".to_vec()))];
    transaction.held_copies = [&marked, &other].map(|of| (of.doc, of.hash(), Some(copy(of)))).into_iter().collect();
    store.commit(transaction).unwrap();
    let of = |store: &S::Store, of: &Change| store.held_copy(of.doc, &of.hash()).unwrap();
    assert_eq!((of(&store, &marked), of(&store, &other)), (Some(copy(&marked)), None));
    let mark = |why: Option<&[u8]>| vec![(marked.doc, marked.hash(), why.map(<[u8]>::to_vec))];
    let gone = Transaction { remove_documents: vec![marked.doc], held: mark(Some(b"other")), ..Transaction::default() };
    store.commit(gone).unwrap();
    let store = subject.reopen(store);
    assert_eq!(of(&store, &marked), Some(copy(&marked)), "another reason leaves it");
    let large = |bytes| (scope(1), sized(marked.doc, 1, vec![1; bytes]).chunk);
    let kept = |copy| Transaction { held_copies: vec![(marked.doc, marked.hash(), copy)], ..Transaction::default() };
    store.commit(kept(Some(large(CHANGE_BYTES_MAX)))).unwrap();
    let store = subject.reopen(store);
    assert_eq!(of(&store, &marked), Some(large(CHANGE_BYTES_MAX)));
    let too_large = kept(Some(large(CHANGE_BYTES_MAX + 1)));
    assert!(matches!(store.commit(too_large), Err(StoreError::TooLarge { .. })));
    store.commit(kept(None)).unwrap();
    assert_eq!(of(&store, &marked), None);
    store.commit(kept(Some(copy(&marked)))).unwrap();
    store.commit(Transaction { held: mark(None), ..Transaction::default() }).unwrap();
    store.commit(Transaction { held: mark(Some(b"again")), ..Transaction::default() }).unwrap();
    let store = subject.reopen(store);
    assert_eq!(of(&store, &marked), None, "it went with its mark");
}

/// A chunk that comes without it, or removal, ends it; a repeated chunk does not.
pub fn what_is_shown_never_outlives_its_chunks<S: Subject<Store: ChunkStore>>(subject: &S) {
    let (first, second, other) = (change(1, 1), change(1, 2), change(2, 3));
    let shows = |of: &Change, bytes: Vec<u8>| vec![(of.doc, bytes)];
    let listed = |of: &Change, shown: Option<Vec<u8>>| Listed { scope: scope(1), doc: of.doc, shown };
    let store = subject.fresh();
    store.commit(Transaction { shown: shows(&first, b"nobody".to_vec()), ..Transaction::default() }).unwrap();
    assert!(store.listed().unwrap().is_empty(), "a document that is not there shows nothing");
    store
        .commit(Transaction { shown: shows(&first, b"one".to_vec()), ..saved([first.clone(), other.clone()]) })
        .unwrap();
    let store = subject.reopen(store);
    assert_eq!(store.listed().unwrap(), [listed(&first, Some(b"one".to_vec())), listed(&other, None)]);
    assert_eq!(store.shown(first.doc).unwrap(), Some(b"one".to_vec()));
    store.commit(saved([first.clone()])).unwrap();
    assert_eq!(store.shown(first.doc).unwrap(), Some(b"one".to_vec()), "a repeated chunk changes nothing");
    store.commit(Transaction { outbox_add: vec![], ..saved([second.clone()]) }).unwrap();
    let store = subject.reopen(store);
    assert_eq!((store.shown(first.doc).unwrap(), store.scope_of(first.doc).unwrap()), (None, Some(scope(1))));
    for bytes in [0, 1, 4_000, 8_200, SHOWN_BYTES_MAX, 5_000] {
        store.commit(Transaction { shown: shows(&first, vec![7; bytes]), ..Transaction::default() }).unwrap();
        assert_eq!(store.shown(first.doc).unwrap(), Some(vec![7; bytes]));
    }
    let too_large = Transaction { shown: shows(&first, vec![7; SHOWN_BYTES_MAX + 1]), ..Transaction::default() };
    assert!(matches!(store.commit(too_large), Err(StoreError::TooLarge { .. })));
    let store = subject.reopen(store);
    assert_eq!(store.listed().unwrap(), [listed(&first, Some(vec![7; 5_000])), listed(&other, None)]);
    store.commit(Transaction { remove_documents: vec![first.doc], ..saved([first.clone()]) }).unwrap();
    assert_eq!(store.shown(first.doc).unwrap(), None, "removed and stored anew");
    assert_eq!((store.documents_len().unwrap(), subject.reopen(store).documents_len().unwrap()), (2, 2));
}

/// Removal comes first.
pub fn a_document_can_be_replaced_in_one_transaction<S: Subject<Store: ChunkStore>>(subject: &S) {
    let store = subject.fresh();
    store.commit(saved([change(1, 1), change(1, 2)])).unwrap();
    let moved = change(1, 2);
    let mut transaction = saved_in(scope(2), [moved.clone(), change(1, 3)]);
    transaction.remove_documents.push(moved.doc);
    store.commit(transaction).unwrap();
    let store = subject.reopen(store);
    assert_eq!(store.keys().unwrap(), vec![(scope(2), moved.doc, hash(2)), (scope(2), moved.doc, hash(3))]);
    assert_eq!(store.outbox(0, 10).unwrap().iter().map(|entry| entry.number).collect::<Vec<_>>(), vec![3, 4]);
}

/// Several writers, and readers that never see half of what was committed together.
pub fn readers_see_whole_transactions<S: Subject<Store: ChunkStore>>(subject: &S) {
    const WRITERS: u32 = 4;
    const ROUNDS: u64 = 20;
    let store = subject.fresh();
    thread::scope(|threads| {
        for writer in 1..=WRITERS {
            let store = &store;
            threads.spawn(move || {
                for round in 0..ROUNDS {
                    let numbers = (0..3).map(|part| u64::from(writer) * 10_000 + round * 3 + part);
                    store.commit(saved(numbers.map(|number| change(writer, number)))).unwrap();
                }
            });
        }
        threads.spawn(|| {
            for _ in 0..200 {
                for writer in 1..=WRITERS {
                    assert_eq!(store.chunks(change(writer, 0).doc).unwrap().len() % 3, 0);
                }
                assert_eq!(store.outbox(0, usize::MAX).unwrap().len() % 3, 0);
                assert_eq!(store.outbox_len().unwrap() % 3, 0);
            }
        });
    });
    let store = subject.reopen(store);
    let outbox = store.outbox(0, usize::MAX).unwrap();
    assert_eq!(outbox.len(), usize::try_from(u64::from(WRITERS) * ROUNDS * 3).unwrap());
    assert!(outbox.iter().zip(1..).all(|(entry, number)| entry.number == number));
    for writer in 1..=WRITERS {
        let of_writer: Vec<_> =
            outbox.iter().filter(|entry| entry.doc == doc(scope(1), writer)).map(|entry| entry.hash).collect();
        let chunks = store.chunks(doc(scope(1), writer)).unwrap();
        assert_eq!(chunks.iter().map(Chunk::hash).collect::<Vec<_>>(), of_writer);
        let in_order = (0..ROUNDS * 3).map(|number| hash(u64::from(writer) * 10_000 + number));
        assert!(in_order.eq(of_writer), "a thread's transactions keep their order");
    }
}

/// Against a model that is too simple to be wrong.
pub fn random_transactions_match_the_model<S: Subject<Store: ChunkStore>>(subject: &S) {
    let config = Config { cases: 24, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    TestRunner::new(config)
        .run(&model::chunk_scripts(), |script| {
            let mut store = subject.fresh();
            let mut expected = ChunkModel::default();
            for step in script {
                match step {
                    model::ChunkStep::Reopen => store = subject.reopen(store),
                    model::ChunkStep::Commit(transaction) => {
                        let accepted = expected.commit(&transaction);
                        assert_eq!(store.commit(*transaction).is_ok(), accepted);
                    }
                }
                expected.assert_equal(&store);
            }
            Ok(())
        })
        .unwrap();
}

/// A document of a kind that this version does not know is stored, listed, sent, given a receipt and removed like any.
pub fn kinds_to_come_are_kept_like_any<S: Subject<Store: ChunkStore>>(subject: &S) {
    let mut store = subject.fresh();
    let known = change(1, 1);
    let further = |number| item(further_doc(scope(1), 1), number);
    let (first, second) = (further(2), further(3));
    let of = first.doc;
    let mut transaction = saved([known.clone(), first.clone(), second.clone()]);
    transaction.receipts.push((of, first.hash(), Sequence(7)));
    transaction.held.push((of, second.hash(), Some(vec![1])));
    store.commit(transaction).unwrap();
    for _ in 0..2 {
        assert_eq!(store.chunks(of).unwrap(), vec![first.chunk.clone(), second.chunk.clone()]);
        assert_eq!(store.documents().unwrap(), vec![(scope(1), known.doc), (scope(1), of)]);
        assert_eq!(store.scope_of(of).unwrap(), Some(scope(1)));
        let outbox: Vec<_> = store.outbox(0, 10).unwrap().into_iter().map(|entry| (entry.doc, entry.hash)).collect();
        assert_eq!(outbox, [(known.doc, known.hash()), (of, first.hash()), (of, second.hash())]);
        assert_eq!(store.receipts(of).unwrap(), vec![(first.hash(), Sequence(7))]);
        assert_eq!(store.held().unwrap().into_iter().map(|mark| mark.doc).collect::<Vec<_>>(), [of]);
        let listed: Vec<_> = store.listed().unwrap().into_iter().map(|listed| (listed.doc, listed.shown)).collect();
        assert_eq!(listed, [(known.doc, None), (of, None)]);
        store = subject.reopen(store);
    }
    store.commit(Transaction { remove_documents: vec![of], ..Transaction::default() }).unwrap();
    assert_eq!(store.documents().unwrap(), vec![(scope(1), known.doc)]);
    assert_eq!((store.outbox_len().unwrap(), store.chunks(of).unwrap().len()), (1, 0));
}
