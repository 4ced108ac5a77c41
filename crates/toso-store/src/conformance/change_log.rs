//! The clauses of [`crate::Log`]'s and [`crate::Index`]'s contracts.

use std::collections::HashSet;
use std::thread;

use proptest::test_runner::{Config, TestRunner};
use toso_core::change::Change;
use toso_core::chunk::CHANGE_BYTES_MAX;
use toso_core::document::DocumentSize;
use toso_core::id::Sequence;
use toso_core::unit::Scope;

use super::Subject;
use super::model::{self, LogModel, LogStep};
use super::samples::{self, batch, doc, further_doc, hash, item, scope};
use crate::StoreError;
use crate::change_log::{Appended, LOG_BATCH_BYTES_MAX, LOG_BATCH_ITEMS_MAX, Log as _, Page};
use crate::index::ChangeLog;
use crate::index::Index as _;

const ALL: usize = usize::MAX;

type Read<'a> = dyn Fn(u64, usize, usize) -> Page + 'a;

fn sequences(page: &Page) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.sequence.0).collect()
}

/// Nothing is there, and asking is no error.
pub fn an_empty_log_answers<S: Subject<Store: ChangeLog>>(subject: &S) {
    let log = subject.fresh();
    assert_eq!(log.last(), Sequence::ZERO);
    assert_eq!(log.read(Sequence::ZERO, ALL, ALL).unwrap(), Page::default());
    assert_eq!(log.read_scopes(&[scope(1)], Sequence::ZERO, ALL, ALL).unwrap(), Page::default());
    assert_eq!(log.read_scopes(&[], Sequence::ZERO, ALL, ALL).unwrap(), Page::default());
    assert_eq!(log.last_of_scopes(&[scope(1)]).unwrap(), Sequence::ZERO);
    assert!(log.document(doc(scope(1), 1)).unwrap().is_empty());
    assert!(log.documents(scope(1)).unwrap().is_empty());
    assert_eq!(log.document_size(scope(1), doc(scope(1), 1)).unwrap(), DocumentSize::default());
    assert!(!log.contains(doc(scope(1), 1), &hash(1)).unwrap());
    assert!(log.append(&[]).unwrap().is_empty());
    let nothing = Appended { first_new: None, new: 0, through: Sequence::ZERO };
    assert_eq!(log.append(&[batch(scope(1), [])]).unwrap(), vec![nothing]);
    assert_eq!(log.last(), Sequence::ZERO);
}

/// From 1, over batches, calls and openings; every field comes back.
pub fn sequences_rise_by_one_and_survive_reopening<S: Subject<Store: ChangeLog>>(subject: &S) {
    let log = subject.fresh();
    let batches = [batch(scope(1), 1..=3), batch(scope(2), 4..=5)];
    let appended = log.append(&batches).unwrap();
    assert_eq!(
        appended,
        vec![
            Appended { first_new: Some(Sequence(1)), new: 3, through: Sequence(3) },
            Appended { first_new: Some(Sequence(4)), new: 2, through: Sequence(5) },
        ]
    );
    let log = subject.reopen(log);
    assert_eq!(log.last(), Sequence(5));
    let appended = log.append(&[batch(scope(3), [6])]).unwrap();
    assert_eq!(appended[0].first_new, Some(Sequence(6)));
    let log = subject.reopen(log);
    let page = log.read(Sequence::ZERO, ALL, ALL).unwrap();
    assert_eq!(sequences(&page), vec![1, 2, 3, 4, 5, 6]);
    assert_eq!((page.through, page.more), (Sequence(6), false));
    assert_eq!(page.entries[4].scope, scope(2));
    assert_eq!(page.entries[4].author, batches[1].author);
    assert_eq!(page.entries[4].received_at, batches[1].received_at);
    assert_eq!(page.entries[4].change, batches[1].items[1]);
}

/// However often it comes: in a batch, in a call, in other calls, after reopening. Another document's is another.
pub fn a_chunk_is_in_the_log_once<S: Subject<Store: ChangeLog>>(subject: &S) {
    let log = subject.fresh();
    let appended = log.append(&[batch(scope(1), [1, 2, 1]), batch(scope(1), [2, 3]), batch(scope(1), [1])]).unwrap();
    assert_eq!(
        appended,
        vec![
            Appended { first_new: Some(Sequence(1)), new: 2, through: Sequence(2) },
            Appended { first_new: Some(Sequence(3)), new: 1, through: Sequence(3) },
            Appended { first_new: None, new: 0, through: Sequence(1) },
        ]
    );
    let log = subject.reopen(log);
    let appended = log.append(&[batch(scope(1), [3, 4, 2])]).unwrap();
    assert_eq!(appended, vec![Appended { first_new: Some(Sequence(4)), new: 1, through: Sequence(4) }]);
    let appended = log.append(&[batch(scope(1), [2, 1])]).unwrap();
    assert_eq!(appended, vec![Appended { first_new: None, new: 0, through: Sequence(2) }]);
    let mut other = batch(scope(1), []);
    other.items.push(item(doc(scope(1), 2), 1));
    assert_eq!(log.append(&[other]).unwrap()[0].first_new, Some(Sequence(5)));
    assert_eq!(log.read(Sequence::ZERO, ALL, ALL).unwrap().entries.len(), 5);
    assert_eq!(log.last_of_scopes(&[scope(1)]).unwrap(), Sequence(5));
}

/// At the limit and one past it; a call with one bad batch appends nothing.
pub fn batches_end_at_their_limits<S: Subject<Store: ChangeLog>>(subject: &S) {
    let log = subject.fresh();
    let sized = |number, bytes: usize| samples::sized(doc(scope(1), 1), number, vec![3; bytes]);
    let of = |items: Vec<Change>| crate::LogBatch { items, ..batch(scope(1), []) };
    let good = batch(scope(1), [999_999]);

    let past = of(vec![sized(1, CHANGE_BYTES_MAX + 1)]);
    assert!(
        matches!(log.append(&[good.clone(), past]), Err(StoreError::TooLarge { bytes, max, .. }) if bytes == max + 1)
    );
    let most = u64::try_from(LOG_BATCH_ITEMS_MAX).unwrap();
    let past = of((0..=most).map(|number| sized(number, 10)).collect());
    assert!(
        matches!(log.append(&[good.clone(), past]), Err(StoreError::TooMany { items, max, .. }) if items == max + 1)
    );
    let mut largest: Vec<_> = (0..4).map(|number| sized(number, CHANGE_BYTES_MAX)).collect();
    largest.push(sized(4, LOG_BATCH_BYTES_MAX - 4 * CHANGE_BYTES_MAX));
    let mut past = of(largest.clone());
    past.items.push(sized(5, 1));
    assert!(matches!(log.append(&[good, past]), Err(StoreError::TooLarge { bytes, max, .. }) if bytes == max + 1));
    assert_eq!(log.last(), Sequence::ZERO);
    assert!(!log.contains(doc(scope(1), 1), &hash(999_999)).unwrap());

    log.append(&[of(largest.clone())]).unwrap();
    log.append(&[of((10..most + 10).map(|number| sized(number, 10)).collect())]).unwrap();
    let log = subject.reopen(log);
    assert_eq!(log.last(), Sequence(5 + most));
    let items: Vec<_> =
        log.read(Sequence::ZERO, 5, ALL).unwrap().entries.into_iter().map(|entry| entry.change).collect();
    assert_eq!(items, largest);
}

/// At the limit, one past it, from the middle of a batch, and always at least one entry.
pub fn pages_end_at_their_limits<S: Subject<Store: ChangeLog>>(subject: &S) {
    let log = subject.fresh();
    let sized = |number| samples::sized(doc(scope(1), 1), number, vec![3; 100]);
    for start in [1, 5, 9] {
        let items = (start..start + 4).map(sized).collect();
        log.append(&[crate::LogBatch { items, ..batch(scope(1), []) }]).unwrap();
    }
    let by_scope = [scope(1)];
    let all: &Read<'_> = &|after, items, bytes| log.read(Sequence(after), items, bytes).unwrap();
    let scoped: &Read<'_> = &|after, items, bytes| log.read_scopes(&by_scope, Sequence(after), items, bytes).unwrap();
    for read in [all, scoped] {
        let summary = |page: Page| (sequences(&page), page.through.0, page.more);
        assert_eq!(summary(read(0, 12, ALL)), ((1..=12).collect(), 12, false));
        assert_eq!(summary(read(0, 11, ALL)), ((1..=11).collect(), 11, true));
        assert_eq!(summary(read(0, ALL, 1_200)), ((1..=12).collect(), 12, false));
        assert_eq!(summary(read(0, ALL, 1_199)), ((1..=11).collect(), 11, true));
        assert_eq!(summary(read(2, 4, ALL)), (vec![3, 4, 5, 6], 6, true));
        assert_eq!(summary(read(3, ALL, 200)), (vec![4, 5], 5, true));
        assert_eq!(summary(read(4, ALL, 200)), (vec![5, 6], 6, true));
        assert_eq!(summary(read(0, 0, 0)), (vec![1], 1, true));
        assert_eq!(summary(read(11, ALL, 99)), (vec![12], 12, false));
        assert_eq!(summary(read(12, ALL, ALL)), (vec![], 12, false));
        assert_eq!(summary(read(40, ALL, ALL)), (vec![], 40, false), "a reader from the future keeps its position");
        assert_eq!(summary(read(u64::MAX, ALL, ALL)), (vec![], u64::MAX, false));
    }
}

/// Only theirs, by sequence, each once; and `through` covers what others wrote.
pub fn scopes_are_merged_by_sequence<S: Subject<Store: ChangeLog>>(subject: &S) {
    let log = subject.fresh();
    for number in 0..30 {
        let within = scope(u32::try_from(number % 3).unwrap() + 1);
        log.append(&[batch(within, [number * 2 + 1, number * 2 + 2])]).unwrap();
    }
    let summary = |scopes: &[Scope], after, items| {
        let page = log.read_scopes(scopes, Sequence(after), items, ALL).unwrap();
        assert!(page.entries.iter().all(|entry| scopes.contains(&entry.scope)));
        (sequences(&page), page.through.0, page.more)
    };
    assert_eq!(summary(&[scope(1)], 0, 4), (vec![1, 2, 7, 8], 8, true));
    assert_eq!(summary(&[scope(1)], 1, 2), (vec![2, 7], 7, true));
    assert_eq!(summary(&[scope(3), scope(1)], 0, 5), (vec![1, 2, 5, 6, 7], 7, true));
    assert_eq!(summary(&[scope(1), scope(1), scope(9)], 50, ALL), (vec![55, 56], 60, false));
    assert_eq!(summary(&[scope(1)], 56, ALL), (vec![], 60, false));
    assert_eq!(summary(&[scope(9)], 0, ALL), (vec![], 60, false));
    assert_eq!(summary(&[], 0, ALL), (vec![], 60, false));
    assert_eq!(log.last_of_scopes(&[scope(1)]).unwrap(), Sequence(56));
    assert_eq!(log.last_of_scopes(&[scope(1), scope(9), scope(2)]).unwrap(), Sequence(58));
    assert_eq!(log.last_of_scopes(&[scope(9)]).unwrap(), Sequence::ZERO);
    let log = subject.reopen(log);
    assert_eq!(log.last_of_scopes(&[scope(1), scope(9), scope(2)]).unwrap(), Sequence(58));
}

/// As an officer of a province or the country reads: hundreds of scopes, most of them quiet.
pub fn many_scopes_are_merged<S: Subject<Store: ChangeLog>>(subject: &S) {
    const SCOPES: u32 = 400;
    let log = subject.fresh();
    let batches: Vec<_> = (0..1_200_u64)
        .map(|number| {
            let within = u32::try_from(number * 7).unwrap() % SCOPES;
            batch(scope(within), [number * 2, number * 2 + 1])
        })
        .collect();
    log.append(&batches).unwrap();
    // Half of the log, and a fortieth of it: an implementation may well read the two in different ways.
    for one_of in [2, 40] {
        let asked: Vec<_> = (0..SCOPES).filter(|number| number % one_of == 1).map(scope).collect();
        let mut after = Sequence(3);
        let mut read = Vec::new();
        loop {
            let page = log.read_scopes(&asked, after, 37, ALL).unwrap();
            assert!(page.entries.iter().all(|entry| asked.contains(&entry.scope)));
            read.extend(sequences(&page));
            after = page.through;
            if !page.more {
                break;
            }
        }
        let of_asked = (0..1_200_u64).filter(|number| number * 7 % u64::from(SCOPES) % u64::from(one_of) == 1);
        let expected = of_asked.flat_map(|number| [number * 2 + 1, number * 2 + 2]).filter(|sequence| *sequence > 3);
        assert_eq!(read, expected.collect::<Vec<_>>());
        assert_eq!(after, Sequence(2_400));
    }
}

/// By id, with all their entries.
pub fn documents_are_found<S: Subject<Store: ChangeLog>>(subject: &S) {
    let log = subject.fresh();
    let of = |within: u32, number: u32, change: u64| {
        let items = vec![item(doc(scope(within), number), change)];
        crate::LogBatch { items, ..batch(scope(within), []) }
    };
    log.append(&[of(1, 2, 1), of(1, 1, 2), of(2, 1, 3), of(1, 2, 4)]).unwrap();
    let log = subject.reopen(log);
    log.append(&[of(1, 2, 5)]).unwrap();
    assert_eq!(log.documents(scope(1)).unwrap(), vec![doc(scope(1), 1), doc(scope(1), 2)]);
    assert_eq!(log.documents(scope(2)).unwrap(), vec![doc(scope(2), 1)]);
    let entries = log.document(doc(scope(1), 2)).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.sequence.0).collect::<Vec<_>>(), vec![1, 4, 5]);
    assert_eq!(entries[2].change, item(doc(scope(1), 2), 5));
    assert!(log.contains(doc(scope(1), 2), &hash(5)).unwrap());
    assert!(!log.contains(doc(scope(1), 1), &hash(5)).unwrap());
}

/// A document of a kind that this version does not know is in pages, documents, sums and lists, under its scope and under
/// another one, before and after reopening.
pub fn kinds_to_come_are_logged_like_any<S: Subject<Store: ChangeLog>>(subject: &S) {
    let mut log = subject.fresh();
    let (known, further, astray) = (doc(scope(1), 1), further_doc(scope(1), 1), further_doc(scope(3), 2));
    let items = vec![item(known, 1), item(further, 2), item(astray, 3), item(further, 4)];
    log.append(&[crate::LogBatch { items: items.clone(), ..batch(scope(1), []) }]).unwrap();
    let again = crate::LogBatch { items: vec![item(further, 2)], ..batch(scope(1), []) };
    assert_eq!(log.append(&[again]).unwrap()[0].new, 0);
    let mut digest = toso_core::id::Digest::default();
    for item in &items {
        digest.toggle(item.doc, &item.hash());
    }
    let mut listed = vec![known, further, astray];
    listed.sort_unstable();
    for _ in 0..2 {
        let read: Vec<_> = log.read_scopes(&[scope(1)], Sequence::ZERO, ALL, ALL).unwrap().entries;
        assert_eq!(read.into_iter().map(|entry| entry.change).collect::<Vec<_>>(), items);
        assert_eq!(log.documents(scope(1)).unwrap(), listed);
        let of_further: Vec<_> = log.document(further).unwrap().into_iter().map(|entry| entry.change).collect();
        assert_eq!(of_further, [items[1].clone(), items[3].clone()]);
        assert_eq!(log.document_size(scope(1), further).unwrap().changes, 2);
        assert!(log.contains(further, &hash(4)).unwrap() && !log.contains(further, &hash(1)).unwrap());
        let sum = log.summary(&[scope(1)], Sequence(4)).unwrap();
        assert_eq!((sum.count, sum.digest), (4, digest));
        log = subject.reopen(log);
    }
}

/// Many writers of overlapping chunks: each chunk once, no gap, and a reader that follows never misses one.
pub fn writers_and_readers_agree<S: Subject<Store: ChangeLog>>(subject: &S) {
    const WRITERS: u64 = 8;
    const BATCHES: u64 = 15;
    let log = subject.fresh();
    // Batch n of writer w has one chunk of its own and one that every writer sends.
    let shared = |round: u64| 1_000_000 + round;
    let total = WRITERS * BATCHES + BATCHES;
    thread::scope(|threads| {
        for writer in 0..WRITERS {
            let log = &log;
            threads.spawn(move || {
                for round in 0..BATCHES {
                    let own = writer * 1_000 + round;
                    let appended = log.append(&[batch(scope(1), [own, shared(round)])]).unwrap();
                    assert!(log.last() >= appended[0].through, "what is acknowledged is visible");
                    assert!(log.contains(doc(scope(1), 1), &hash(own)).unwrap());
                }
            });
        }
        for by_scope in [false, true] {
            let log = &log;
            threads.spawn(move || {
                let mut after = Sequence::ZERO;
                while after.0 < total {
                    let page = if by_scope {
                        log.read_scopes(&[scope(1)], after, 5, ALL).unwrap()
                    } else {
                        log.read(after, 5, ALL).unwrap()
                    };
                    for entry in &page.entries {
                        assert_eq!(entry.sequence, after.plus(1), "no sequence is seen before all lower ones");
                        after = entry.sequence;
                    }
                    assert_eq!(page.through, after);
                }
            });
        }
    });
    let log = subject.reopen(log);
    let page = log.read(Sequence::ZERO, ALL, ALL).unwrap();
    assert_eq!(sequences(&page), (1..=total).collect::<Vec<_>>());
    let distinct: HashSet<_> = page.entries.iter().map(|entry| entry.change.hash()).collect();
    assert_eq!(distinct.len() as u64, total);
}

/// Against a model that is too simple to be wrong.
pub fn random_batches_match_the_model<S: Subject<Store: ChangeLog>>(subject: &S) {
    let config = Config { cases: 24, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    TestRunner::new(config)
        .run(&model::log_scripts(), |script| {
            let mut log = subject.fresh();
            let mut expected = LogModel::default();
            for step in script {
                match step {
                    LogStep::Reopen => log = subject.reopen(log),
                    LogStep::Append(batches) => {
                        log.append(&batches).unwrap();
                        expected.append(&batches);
                    }
                }
                expected.assert_equal(&log);
            }
            Ok(())
        })
        .unwrap();
}
