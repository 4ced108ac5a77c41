//! Group commit: what waits during one append rides the next, everybody is answered, and failures stay with their cause.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use toso_catalog::Catalog;
use toso_core::change::Change;
use toso_core::chunk::ChangeHash;
use toso_core::chunk::Chunk;
use toso_core::document::{DOCUMENT_BYTES_MAX, DOCUMENT_CHANGES_MAX, DOCUMENT_RESERVE_CHANGES, DOCUMENT_SHARE_CHANGES};
use toso_core::id::{AuthorId, DocId};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitList, UnitRef};
use toso_store::memory::MemoryChangeLog;
use toso_store::{Index, Log, Logged, Page};
use toso_sync::AccessRole;

use super::*;
use crate::quota::{Budget, Budgets};

/// A log whose appends take a while, and that refuses what it is told to.
#[derive(Default)]
struct SlowLog {
    inner: MemoryChangeLog,
    appends: AtomicUsize,
    full: std::sync::atomic::AtomicBool,
    largest_group: Mutex<usize>,
    /// A change about which the disk cannot tell whether it is there.
    unreadable: Mutex<Option<ChangeHash>>,
}

const POISON: u8 = 0xff;

impl Log for SlowLog {
    fn append(&self, batches: &[LogBatch]) -> Result<Vec<Appended>, StoreError> {
        std::thread::sleep(Duration::from_millis(20));
        self.appends.fetch_add(1, Ordering::SeqCst);
        let mut largest = self.largest_group.lock();
        *largest = batches.len().max(*largest);
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Full { operation: "appending", path: "/full".to_owned() });
        }
        if batches.iter().any(|batch| batch.items.iter().any(|item| item.bytes().first() == Some(&POISON))) {
            return Err(StoreError::TooLarge { what: "a change", bytes: 1, max: 0 });
        }
        self.inner.append(batches)
    }
    fn apply(&self, entries: &[Logged]) -> Result<(), StoreError> {
        self.inner.apply(entries)
    }
    fn last(&self) -> Sequence {
        self.inner.last()
    }
    fn end(&self) -> Sequence {
        self.inner.end()
    }
    fn read(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Page, StoreError> {
        self.inner.read(after, items_max, bytes_max)
    }
    fn tail(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Vec<Logged>, StoreError> {
        self.inner.tail(after, items_max, bytes_max)
    }
}

impl Index for SlowLog {
    fn read_scopes(
        &self,
        scopes: &[Scope],
        after: Sequence,
        items_max: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        self.inner.read_scopes(scopes, after, items_max, bytes_max)
    }
    fn last_of_scopes(&self, scopes: &[Scope]) -> Result<Sequence, StoreError> {
        self.inner.last_of_scopes(scopes)
    }
    fn document(&self, doc: DocId) -> Result<Vec<toso_core::change::Entry>, StoreError> {
        self.inner.document(doc)
    }
    fn document_size(&self, scope: Scope, doc: DocId) -> Result<DocumentSize, StoreError> {
        self.inner.document_size(scope, doc)
    }
    fn documents(&self, scope: Scope) -> Result<Vec<DocId>, StoreError> {
        self.inner.documents(scope)
    }
    fn contains(&self, doc: DocId, hash: &ChangeHash) -> Result<bool, StoreError> {
        if self.unreadable.lock().as_ref() == Some(hash) {
            return Err(StoreError::Io {
                operation: "reading",
                path: "/unreadable".to_owned(),
                detail: "I/O error".to_owned(),
            });
        }
        self.inner.contains(doc, hash)
    }
    fn summary(&self, scopes: &[Scope], through: Sequence) -> Result<toso_store::Summary, StoreError> {
        self.inner.summary(scopes, through)
    }
}

/// A chunk of one byte, and of no other's hash.
fn numbered(number: u64) -> Chunk {
    Chunk::trusted(vec![1], ChangeHash(*blake3::hash(&number.to_be_bytes()).as_bytes()))
}

fn batch(number: u8, first_byte: u8) -> LogBatch {
    let scope = UnitRef::new(UnitList::L2022, "00001").expect("a code");
    LogBatch {
        scope,
        author: AuthorId([number; 8]),
        received_at: TimestampMs(1),
        items: vec![Change {
            doc: DocId::commune(scope),
            chunk: Chunk::trusted(vec![first_byte, number], ChangeHash([number; 32])),
        }],
    }
}

fn quotas() -> Arc<Quotas> {
    Arc::new(Quotas::load(Arc::new(MemoryChangeLog::new()), Budgets::default()).expect("readable"))
}

fn start(log: &Arc<SlowLog>) -> (LogWriter, JoinHandle<()>, Arc<Mutex<Vec<Sequence>>>) {
    let growth = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&growth);
    let hub = Arc::new(Hub::new(Catalog::shared()));
    let on_growth: OnGrowth = Box::new(move |through, _| seen.lock().push(through));
    let (writer, thread) =
        LogWriter::start(Arc::clone(log) as _, quotas(), hub, Arc::default(), &Arc::default(), on_growth)
            .expect("a thread");
    (writer, thread, growth)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rush_shares_its_flushes_and_everybody_is_answered() {
    let log = Arc::new(SlowLog::default());
    let (writer, thread, growth) = start(&log);
    let pushes: Vec<_> = (0..100)
        .map(|number| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.append(batch(number, 0)).await })
        })
        .collect();
    let mut sequences = Vec::new();
    for push in pushes {
        let appended = push.await.unwrap().unwrap();
        assert_eq!(appended.appended.new, 1);
        sequences.push(appended.appended.through.0);
    }
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=100).collect::<Vec<_>>());
    assert!(log.appends.load(Ordering::SeqCst) < 20, "{} flushes for 100 pushes", log.appends.load(Ordering::SeqCst));
    let again = writer.append(batch(7, 0)).await.unwrap().appended;
    assert_eq!((again.first_new, again.new), (None, 0), "a repetition is acknowledged and changes nothing");
    writer.stop().await;
    thread.join().unwrap();
    assert_eq!(growth.lock().last(), Some(&Sequence(100)), "a repetition is no growth");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_batch_fails_alone_and_a_full_disk_fails_all() {
    let log = Arc::new(SlowLog::default());
    let (writer, thread, _) = start(&log);
    // The first one keeps the thread busy while the others gather behind it.
    let pushes: Vec<_> = [(0, 0), (1, 0), (2, POISON), (3, 0)]
        .map(|(number, byte)| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.append(batch(number, byte)).await.is_ok() })
        })
        .into_iter()
        .collect();
    let mut answers = Vec::new();
    for push in pushes {
        answers.push(push.await.unwrap());
    }
    assert_eq!(answers, [true, true, false, true]);
    log.full.store(true, Ordering::SeqCst);
    assert_eq!(writer.append(batch(9, 0)).await, Err(AppendFailure::Unavailable));
    log.full.store(false, Ordering::SeqCst);
    assert!(writer.append(batch(9, 0)).await.is_ok(), "once there is space it goes on");
    writer.stop().await;
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_answers_what_has_queued_and_refuses_what_comes_later() {
    let log = Arc::new(SlowLog::default());
    let (writer, thread, _) = start(&log);
    let queued: Vec<_> = (0..10)
        .map(|number| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.append(batch(number, 0)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(10)).await;
    writer.stop().await;
    thread.join().unwrap();
    for push in queued {
        assert!(push.await.unwrap().is_ok());
    }
    assert_eq!(writer.append(batch(11, 0)).await, Err(AppendFailure::Unavailable));
    assert_eq!(log.last(), Sequence(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_has_at_most_its_limit() {
    let log = Arc::new(SlowLog::default());
    let (writer, thread, _) = start(&log);
    let pushes: Vec<_> = (0..=GROUP_BATCHES_MAX + 1)
        .map(|number| {
            let writer = writer.clone();
            let mut batch = batch(1, 0);
            if let Some(item) = batch.items.first_mut() {
                item.chunk = numbered(number as u64);
            }
            tokio::spawn(async move { writer.append(batch).await.is_ok() })
        })
        .collect();
    for push in pushes {
        assert!(push.await.unwrap());
    }
    writer.stop().await;
    thread.join().unwrap();
    assert!(*log.largest_group.lock() <= GROUP_BATCHES_MAX);
    assert!(log.appends.load(Ordering::SeqCst) >= 2);
}

/// A document takes what reaches its limit and nothing after it, also within one group; what the log has is told so, and
/// the rest of the batch goes in.
#[test]
fn a_full_document_takes_no_more_and_everything_else_of_the_batch_goes_in() {
    let log = MemoryChangeLog::new();
    let scope = UnitRef::new(UnitList::L2022, "00001").expect("a code");
    let (full, other) = (DocId::commune(scope), DocId::hamlet_team(scope, "thôn 1", 0));
    let item = |doc, number: u64| Change { doc, chunk: numbered(number) };
    let of = |items| LogBatch { scope, author: AuthorId([1; 8]), received_at: TimestampMs(1), items };
    for first in (0..DOCUMENT_CHANGES_MAX - 1).step_by(1_000) {
        let numbers = first..(first + 1_000).min(DOCUMENT_CHANGES_MAX - 1);
        log.append(&[of(numbers.map(|number| item(full, number)).collect())]).unwrap();
    }
    let (known, last, past) = (3, DOCUMENT_CHANGES_MAX, DOCUMENT_CHANGES_MAX + 1);
    let group = [
        of(vec![item(full, known), item(full, last)]),
        of(vec![item(full, past), item(other, 1), item(full, last), item(full, known)]),
        of(vec![item(full, past)]),
    ];
    let outcomes: Vec<Accepted> =
        append_group(&log, &quotas(), group.map(UnitBatch::from).into()).into_iter().map(Result::unwrap).collect();
    let told: Vec<_> = outcomes.iter().map(|outcome| (outcome.appended.new, outcome.refused.as_slice())).collect();
    assert_eq!(told, [(1, &[][..]), (1, &[(0, NoRoom::Full)][..]), (0, &[(0, NoRoom::Full)][..])]);
    assert_eq!(log.document_size(scope, full).unwrap().changes, DOCUMENT_CHANGES_MAX);
    assert!(log.contains(other, &item(other, 1).hash()).unwrap());
    assert!(
        log.contains(full, &item(full, last).hash()).unwrap() && !log.contains(full, &item(full, past).hash()).unwrap()
    );
}

/// The change that reaches the limit of bytes still goes in.
#[test]
fn a_document_is_full_by_its_bytes_too() {
    let log = MemoryChangeLog::new();
    let scope = UnitRef::new(UnitList::L2022, "00001").expect("a code");
    let large = usize::try_from(DOCUMENT_BYTES_MAX / 64).unwrap();
    let of = |number: u8, bytes| LogBatch {
        items: vec![Change {
            doc: DocId::commune(scope),
            chunk: Chunk::trusted(vec![1; bytes], ChangeHash([number; 32])),
        }],
        ..batch(1, 0)
    };
    let append =
        |number, bytes| append_group(&log, &quotas(), vec![of(number, bytes).into()]).remove(0).unwrap().refused;
    for number in 1..64 {
        assert!(append(number, large).is_empty());
    }
    assert!(append(64, large - 1).is_empty(), "one byte is left");
    assert!(append(65, large).is_empty(), "so one more goes in");
    assert_eq!(append(66, 1), [(0, NoRoom::Full)], "and nothing after it");
    assert_eq!(append(65, large), [], "what is there is acknowledged");
}

/// What a unit had last before a batch: of all its scopes, of the log and of the group, and of nothing else.
#[test]
fn each_batch_is_told_what_its_unit_had_before_it() {
    let log = MemoryChangeLog::new();
    let [one, two, other] = ["00001", "00004", "00006"].map(|code| UnitRef::new(UnitList::L2022, code).unwrap());
    let of = |scope: UnitRef, number: u8, unit: &[UnitRef]| {
        let items =
            vec![Change { doc: DocId::commune(scope), chunk: Chunk::trusted(vec![1], ChangeHash([number; 32])) }];
        UnitBatch { batch: LogBatch { scope, items, ..batch(1, 0) }, unit: unit.into(), charge: Charge::Free }
    };
    let told = |group: Vec<UnitBatch>| -> Vec<_> {
        let outcomes = append_group(&log, &quotas(), group).into_iter().map(Result::unwrap);
        outcomes.map(|outcome| (outcome.before.map(|before| before.0), outcome.appended.through.0)).collect()
    };
    assert_eq!(
        told(vec![of(one, 1, &[one]), of(other, 2, &[other]), of(two, 3, &[one, two])]),
        [(Some(0), 1), (Some(0), 2), (Some(1), 3)]
    );
    let group = vec![of(one, 4, &[one]), of(one, 1, &[one]), of(one, 5, &[one, two]), of(one, 6, &[])];
    assert_eq!(told(group), [(Some(1), 4), (Some(4), 1), (Some(4), 5), (None, 6)], "what was there is not new");
    assert_eq!(told(vec![of(two, 7, &[one, two]), of(other, 8, &[other])]), [(Some(6), 7), (Some(2), 8)]);
}

/// A recorder that fills the commune's sheet gets a quarter of it; four of them get all but what is kept for officers, who
/// sign off all the same. However many pushes share a group.
#[test]
fn no_device_has_more_than_its_share_and_the_last_is_for_officers() {
    let (log, quotas) = (MemoryChangeLog::new(), quotas());
    let scope = UnitRef::new(UnitList::L2022, "00001").expect("a code");
    let sheet = DocId::commune(scope);
    let mut number = 0_u64;
    let mut push = |device: u8, role, items: u64| {
        let items = (0..items).map(|_| {
            number += 1;
            Change { doc: sheet, chunk: numbered(number) }
        });
        let items = items.collect();
        let batch = LogBatch { scope, author: AuthorId([device; 8]), received_at: TimestampMs(1), items };
        UnitBatch { batch, unit: Arc::default(), charge: Charge::Own { role } }
    };
    let took = |group: Vec<UnitBatch>| {
        let outcomes = append_group(&log, &quotas, group).into_iter().map(Result::unwrap);
        outcomes.fold((0, HashSet::new()), |(new, mut why), outcome| {
            why.extend(outcome.refused.iter().map(|(_, no_room)| format!("{no_room:?}")));
            (new + outcome.appended.new as u64, why)
        })
    };
    let why = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<HashSet<_>>();
    let mut recorder = |device| (0..6).map(|_| push(device, AccessRole::Recorder, 200)).collect::<Vec<_>>();
    for device in 1..=3 {
        assert_eq!(took(recorder(device)), (DOCUMENT_SHARE_CHANGES, why(&["Share"])), "in one group");
    }
    let fourth: Vec<_> = recorder(4).into_iter().map(|batch| took(vec![batch])).collect();
    let left = DOCUMENT_CHANGES_MAX - DOCUMENT_RESERVE_CHANGES - 3 * DOCUMENT_SHARE_CHANGES;
    assert_eq!(fourth.iter().map(|(new, _)| new).sum::<u64>(), left, "one group each");
    assert_eq!(took(vec![push(5, AccessRole::Recorder, 1)]), (0, why(&["Reserved"])));
    assert_eq!(took(vec![push(6, AccessRole::Officer, 1)]), (1, why(&[])), "an officer signs off");
    let rest = DOCUMENT_RESERVE_CHANGES - 1;
    assert_eq!(took(vec![push(7, AccessRole::Admin, rest + 3)]), (rest, why(&["Full"])));
}

/// An officer's device has its share and the reserve.
#[test]
fn an_officers_share_is_larger_by_the_reserve() {
    let (log, quotas) = (MemoryChangeLog::new(), quotas());
    let mut appended = 0;
    for number in 0..2_000_u64 {
        let mut batch = batch(1, 0);
        if let Some(item) = batch.items.first_mut() {
            item.chunk = numbered(number);
        }
        let charge = Charge::Own { role: AccessRole::Officer };
        let batch = UnitBatch { batch, unit: Arc::default(), charge };
        appended += append_group(&log, &quotas, vec![batch]).remove(0).unwrap().appended.new as u64;
    }
    assert_eq!(appended, DOCUMENT_SHARE_CHANGES + DOCUMENT_RESERVE_CHANGES);
}

/// One batch that the disk cannot judge fails its whole group; the devices before it in the group must not pay for that.
#[test]
fn a_group_that_could_not_be_judged_costs_nobody_anything() {
    let log = SlowLog::default();
    let one = Budget { changes: 1, bytes: 1_000 };
    let budgets = Budgets { recorder: one, ..Budgets::default() };
    let quotas = Quotas::load(Arc::new(MemoryChangeLog::new()), budgets).unwrap();
    let charge = Charge::Own { role: AccessRole::Recorder };
    let own = |number| UnitBatch { batch: batch(number, 0), unit: Arc::default(), charge };

    *log.unreadable.lock() = Some(ChangeHash([2; 32]));
    let outcomes = append_group(&log, &quotas, vec![own(1), own(2)]);
    assert_eq!(outcomes, vec![Err(AppendFailure::Unavailable); 2]);
    *log.unreadable.lock() = None;
    for outcome in append_group(&log, &quotas, vec![own(1), own(2)]) {
        let accepted = outcome.unwrap();
        assert_eq!((accepted.appended.new, accepted.postponed), (1, None));
    }
}
