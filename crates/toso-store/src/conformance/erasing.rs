//! The clauses about erased changes: [`crate::Log`], *erased*, and [`RecordStore`], *erasures*.

use std::thread;

use toso_core::change::Entry;
use toso_core::id::{DocId, Sequence};
use toso_core::time::TimestampMs;

use super::Subject;
use super::samples::{batch, doc, hash, item, scope, sized};
use crate::compare::first_difference;
use crate::records::{COMMAND_ERASURES_MAX, ERASURES_TABLE};
use crate::{ChangeLog, Index as _, Log as _, LogBatch, Lookup, RecordChange, RecordStore, StoreError};

const ALL: usize = usize::MAX;
const NOW: TimestampMs = TimestampMs(1_700_000_000_000);

fn erasure(of: DocId) -> RecordChange {
    let key = of.as_bytes().to_vec();
    RecordChange { table: ERASURES_TABLE.to_owned(), key, value: Some(b"by law".to_vec()), expect: None }
}

/// Three documents of two scopes, each with several changes; those of the first stand beside others' in their runs.
fn filled<S: Subject<Store: ChangeLog + RecordStore>>(subject: &S) -> S::Store {
    let log = subject.fresh();
    for round in 0..6_u64 {
        let own = [1, 2, 1].into_iter().zip(3 * round..).map(|(of, number)| item(doc(scope(1), of), number));
        let large = sized(doc(scope(1), 1), 1_000 + round, vec![u8::try_from(round).unwrap(); 9_000]);
        let items = own.chain([large]).collect();
        log.append(&[LogBatch { items, ..batch(scope(1), []) }, batch(scope(2), [500 + round])]).unwrap();
    }
    log
}

fn entries<L: ChangeLog>(log: &L) -> Vec<Entry> {
    log.read(Sequence::ZERO, ALL, ALL).unwrap().entries
}

/// Bytes go; sequence, scope, author, time, document, hash, size, sums and what is known stay, also after reopening, and a
/// second erasure changes nothing. What comes later is whole.
pub fn what_is_erased_leaves_its_place<S: Subject<Store: ChangeLog + RecordStore>>(subject: &S) {
    let mut log = filled(subject);
    let gone = doc(scope(1), 1);
    let before = entries(&log);
    let size = log.document_size(scope(1), gone).unwrap();
    let sums = |log: &S::Store| -> Vec<_> {
        (0..=log.last().0).map(|at| log.summary(&[scope(1), scope(2)], Sequence(at)).unwrap()).collect()
    };
    let sums_before = sums(&log);
    for round in 0..3_u64 {
        log.command(NOW, &[erasure(gone)]).unwrap();
        assert_eq!(log.end(), before.last().unwrap().sequence.plus(round + 1), "it is an entry");
        if round == 1 {
            log = subject.reopen(log);
        }
        let after = entries(&log);
        assert_eq!(after.len(), before.len());
        for (before, after) in before.iter().zip(&after) {
            let erased = before.change.doc == gone;
            let change = if erased { before.change.erased() } else { before.change.clone() };
            assert_eq!(after, &Entry { change, ..before.clone() });
            assert_eq!((after.change.hash(), after.change.size()), (before.change.hash(), before.change.size()));
            let known = Lookup { size: log.document_size(after.scope, after.change.doc).unwrap(), known: true };
            assert_eq!(log.look_up(after.scope, after.change.doc, &after.change.hash()).unwrap(), known);
        }
        let of_document: Vec<_> = after.into_iter().filter(|entry| entry.change.doc == gone).collect();
        assert_eq!(log.document(gone).unwrap(), of_document);
        assert_eq!(log.document_size(scope(1), gone).unwrap(), size, "what a document may have is not given back");
        assert_eq!(sums(&log), sums_before);
    }
    let mut later = batch(scope(1), []);
    later.items.push(item(gone, 77_777));
    log.append(&[later]).unwrap();
    let last = log.document(gone).unwrap().pop().unwrap();
    assert!(last.change.chunk().is_some(), "a command takes what was there before it");
    log.command(NOW, &[erasure(gone)]).unwrap();
    assert!(log.document(gone).unwrap().iter().all(|entry| entry.change.chunk().is_none()));
}

/// Pushed again it is known, whether or not the record of the erasure is still there.
pub fn an_erased_change_does_not_come_back<S: Subject<Store: ChangeLog + RecordStore>>(subject: &S) {
    let log = filled(subject);
    let gone = doc(scope(1), 1);
    log.command(NOW, &[erasure(gone)]).unwrap();
    let check = |log: &S::Store| {
        let last = log.last();
        let mut again = batch(scope(1), []);
        again.items.extend([item(gone, 0), item(gone, 2)]);
        let appended = log.append(&[again]).unwrap();
        assert_eq!((appended[0].new, log.last()), (0, last));
        assert!(log.contains(gone, &hash(0)).unwrap());
        assert!(log.document(gone).unwrap().iter().all(|entry| entry.change.chunk().is_none()));
    };
    check(&log);
    let log = subject.reopen(log);
    log.command(NOW, &[RecordChange { value: None, ..erasure(gone) }]).unwrap();
    check(&log);
    let unknown = doc(scope(7), 7);
    log.command(NOW, &[erasure(unknown)]).unwrap();
    assert!(log.document(unknown).unwrap().is_empty(), "one that is not there is no error");
}

/// At the limit and one past it; what is removed, or in another table, erases nothing.
pub fn a_command_erases_so_many_documents_at_most<S: Subject<Store: ChangeLog + RecordStore>>(subject: &S) {
    let log = subject.fresh();
    let most = u32::try_from(COMMAND_ERASURES_MAX).unwrap();
    let items: Vec<_> = (0..=most).map(|of| item(doc(scope(1), of), u64::from(of))).collect();
    log.append(&[LogBatch { items, ..batch(scope(1), []) }]).unwrap();
    let many: Vec<_> = (0..=most).map(|of| erasure(doc(scope(1), of))).collect();
    let refused = log.command(NOW, &many);
    assert!(matches!(refused, Err(StoreError::TooMany { items, max, .. }) if items == max + 1), "{refused:?}");
    let mut others: Vec<_> =
        many.iter().map(|change| RecordChange { table: "other".to_owned(), ..change.clone() }).collect();
    others.extend(many.iter().map(|change| RecordChange { value: None, ..change.clone() }));
    log.command(NOW, &others).unwrap();
    assert!(entries(&log).iter().all(|entry| entry.change.chunk().is_some()));
    log.command(NOW, &many[1..]).unwrap();
    let whole: Vec<_> = entries(&log).iter().map(|entry| entry.change.chunk().is_some()).collect();
    assert_eq!(whole, [&[true][..], &[false; COMMAND_ERASURES_MAX]].concat());
}

/// All of the command, or nothing.
pub fn an_erasure_that_is_refused_takes_nothing<S: Subject<Store: ChangeLog + RecordStore>>(subject: &S) {
    let log = filled(subject);
    let before = entries(&log);
    let gone = doc(scope(1), 1);
    log.command(NOW, &[RecordChange { table: "t".to_owned(), ..erasure(gone) }]).unwrap();
    let raced = RecordChange { table: "t".to_owned(), expect: Some(None), ..erasure(gone) };
    let refused = log.command(NOW, &[erasure(gone), raced]);
    assert!(matches!(refused, Err(StoreError::Raced { .. })), "{refused:?}");
    let log = subject.reopen(log);
    assert_eq!(entries(&log), before);
    assert_eq!(log.record(ERASURES_TABLE, gone.as_bytes()).unwrap(), None);
}

/// A store that had applied the changes before they were erased, one that gets them erased, and one that is rewritten from
/// either are the same as the one where it was decided.
pub fn an_erasure_is_the_same_wherever_it_is_applied<S: Subject<Store: ChangeLog + RecordStore>>(subject: &S) {
    let first = filled(subject);
    let early = subject.fresh();
    early.apply(&first.tail(Sequence::ZERO, ALL, ALL).unwrap()).unwrap();
    first.command(NOW, &[erasure(doc(scope(1), 1)), erasure(doc(scope(2), 1))]).unwrap();
    first.append(&[batch(scope(2), [900, 901])]).unwrap();
    early.apply(&first.tail(early.end(), ALL, ALL).unwrap()).unwrap();
    assert_eq!(first_difference(&first, &early).unwrap(), None);
    let mut before = subject.reopen(early);
    for piece in [1, 5, ALL] {
        let next = subject.fresh();
        while next.end() < before.end() {
            next.apply(&before.tail(next.end(), piece, ALL).unwrap()).unwrap();
        }
        let next = subject.reopen(next);
        assert_eq!(first_difference(&first, &next).unwrap(), None);
        before = next;
    }
}

/// What is written anew is met whole or erased, by whatever way it is read.
pub fn readers_meet_no_damage_while_documents_are_erased<S: Subject<Store: ChangeLog + RecordStore>>(subject: &S) {
    const DOCUMENTS: u32 = 40;
    let log = subject.fresh();
    for of in 0..DOCUMENTS {
        let sized = |number: u64| {
            let mut state = u64::from(of) << 32 | number;
            let noise = |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state.to_be_bytes()[0]
            };
            sized(doc(scope(1), of), u64::from(of) << 8 | number, (0..5_000).map(noise).collect())
        };
        log.append(&[LogBatch { items: (0..3).map(sized).collect(), ..batch(scope(1), []) }]).unwrap();
    }
    let all = usize::try_from(3 * DOCUMENTS).unwrap();
    thread::scope(|threads| {
        let readers: Vec<_> = (0..3)
            .map(|reader| {
                let log = &log;
                threads.spawn(move || {
                    loop {
                        let read = match reader {
                            0 => log.read(Sequence::ZERO, ALL, ALL).unwrap().entries,
                            1 => log.read_scopes(&[scope(1)], Sequence::ZERO, ALL, ALL).unwrap().entries,
                            _ => (0..DOCUMENTS).flat_map(|of| log.document(doc(scope(1), of)).unwrap()).collect(),
                        };
                        assert_eq!(read.len(), all);
                        if read.iter().all(|entry| entry.change.chunk().is_none()) {
                            break;
                        }
                    }
                })
            })
            .collect();
        for of in 0..DOCUMENTS {
            log.command(NOW, &[erasure(doc(scope(1), of))]).unwrap();
        }
        for reader in readers {
            reader.join().unwrap();
        }
    });
}
