//! The queue's promises, each at its edge: nothing twice, nothing lost, limits, decisions told until confirmed.

use std::sync::Arc;

use toso_core::change::Change;
use toso_core::chunk::Chunk;
use toso_core::id::{AuthorId, ChangeHash, DeviceId, DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitList, UnitRef};
use toso_store::memory::MemoryChangeLog;
use toso_store::{Holds, Log as _, LogBatch, Record, RecordChange, RecordStore, StoreError};
use toso_sync::{HoldFate, HoldOutcome, HoldReason};

use super::*;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);
const DEVICE: AuthorId = AuthorId([1; 8]);

fn scope() -> Scope {
    UnitRef::new(UnitList::L2022, "00001").unwrap()
}

fn item(number: usize, bytes: usize) -> Change {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    Change { doc: DocId::commune(scope()), chunk: Chunk::trusted(vec![7; bytes], ChangeHash(hash)) }
}

fn queue(store: &Arc<MemoryChangeLog>) -> Arc<ReviewQueue> {
    Arc::new(ReviewQueue::load(Arc::clone(store) as _).unwrap())
}

fn hold(queue: &ReviewQueue, store: &MemoryChangeLog, device: AuthorId, items: &[Change]) -> HoldOutcome {
    queue.hold(store, (device, scope()), HoldReason::Moved, items, NOW).unwrap()
}

fn fates(held: usize, full: usize) -> Vec<HoldFate> {
    [vec![HoldFate::Held; held], vec![HoldFate::Full; full]].concat()
}

#[test]
fn a_change_is_held_once_however_often_it_comes_also_after_a_restart() {
    let store = Arc::new(MemoryChangeLog::new());
    let first = queue(&store);
    let twice = [item(1, 10), item(1, 10), item(2, 10)];
    assert_eq!(hold(&first, &store, DEVICE, &twice).fates, fates(3, 0));
    for queue in [first, queue(&store)] {
        assert_eq!(hold(&queue, &store, DEVICE, &twice).fates, fates(3, 0));
        let all = queue.list(0, 10, |_| true);
        assert_eq!(all.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(queue.open_len(), 2);
        assert_eq!(queue.change(1).unwrap().unwrap().bytes(), [7; 10]);
    }
}

#[test]
fn a_device_that_has_kept_less_than_it_confirmed_is_told_again() {
    let store = Arc::new(MemoryChangeLog::new());
    let queue = queue(&store);
    hold(&queue, &store, DEVICE, &[item(1, 10), item(2, 10)]);
    queue.give_back(&*store, 1, None, "thử".to_owned(), NOW).unwrap();
    queue.give_back(&*store, 2, None, "thử".to_owned(), NOW).unwrap();
    let last = queue.untold(DEVICE, None).unwrap().number;
    queue.keep_told(DEVICE, last, NOW).unwrap();
    assert_eq!(queue.untold(DEVICE, None), None);
    assert_eq!(queue.untold(DEVICE, Some(last)), None);
    assert_eq!(queue.untold(DEVICE, Some(last - 1)).unwrap().decisions.len(), 1);
    assert_eq!(queue.untold(DEVICE, Some(0)).unwrap().decisions.len(), 2);
}

#[test]
fn what_the_register_has_is_acknowledged_and_not_held() {
    let store = Arc::new(MemoryChangeLog::new());
    let known = item(1, 10);
    let items = vec![known.clone()];
    let batch = LogBatch { scope: scope(), author: DEVICE, received_at: NOW, items };
    let through = store.append(&[batch]).unwrap()[0].through;
    let outcome = hold(&queue(&store), &store, DEVICE, &[known, item(2, 10)]);
    let fates = vec![HoldFate::Registered, HoldFate::Held];
    assert_eq!(outcome, HoldOutcome { fates, through, ..HoldOutcome::default() });
}

/// The story: an edit was held from one copy of a device, and another copy, which was moved back, brought it into the
/// register. An officer who returned it was told that it is being accepted, whenever they asked, and it stayed open.
#[test]
fn what_came_into_the_register_another_way_is_accepted_and_not_returned() {
    let store = Arc::new(MemoryChangeLog::new());
    let queue = queue(&store);
    let known = item(1, 10);
    hold(&queue, &store, DEVICE, std::slice::from_ref(&known));
    let items = vec![known];
    store.append(&[LogBatch { scope: scope(), author: DEVICE, received_at: NOW, items }]).unwrap();
    let refused = queue.give_back(&*store, 1, None, "thử".to_owned(), NOW);
    assert!(matches!(refused, Err(DecideError::Decided { number: 1, status: "accepted" })), "{refused:?}");
    assert_eq!(queue.open_len(), 0);
    assert!(queue.untold(DEVICE, None).unwrap().decisions[0].accepted, "its author hears so");
}

#[test]
fn what_was_decided_is_told_when_it_is_brought_again() {
    let store = Arc::new(MemoryChangeLog::new());
    let queue = queue(&store);
    hold(&queue, &store, DEVICE, &[item(1, 10), item(2, 10)]);
    queue.give_back(&*store, 1, None, "thử".to_owned(), NOW).unwrap();
    queue.keep_told(DEVICE, 1, NOW).unwrap();
    let again = hold(&queue, &store, DEVICE, &[item(1, 10), item(2, 10), item(3, 10)]);
    assert_eq!((again.fates, again.told), (fates(3, 0), 1));
    let [decision] = again.decided.as_slice() else { panic!("one was decided: {:?}", again.decided) };
    assert_eq!((decision.hash, decision.accepted, decision.note.as_str()), (item(1, 10).hash(), false, "thử"));
}

#[test]
fn a_device_may_have_so_many_held_and_no_more_and_others_are_not_hurt() {
    let store = Arc::new(MemoryChangeLog::new());
    let queue = queue(&store);
    for part in (0..HELD_PER_DEVICE_MAX).collect::<Vec<_>>().chunks(200) {
        let items: Vec<_> = part.iter().map(|number| item(*number, 10)).collect();
        assert_eq!(hold(&queue, &store, DEVICE, &items).fates, fates(items.len(), 0));
    }
    let one_more = [item(HELD_PER_DEVICE_MAX, 10)];
    assert_eq!(hold(&queue, &store, DEVICE, &one_more).fates, fates(0, 1));
    assert_eq!(hold(&queue, &store, AuthorId([2; 8]), &one_more).fates, fates(1, 0));
    let repeated = [item(0, 10)];
    assert_eq!(hold(&queue, &store, DEVICE, &repeated).fates, fates(1, 0), "what is there is still answered");
    // A returned change is kept, so it goes on counting; an accepted one makes room.
    queue.give_back(&*store, 1, None, "thử".to_owned(), NOW).unwrap();
    let next = [item(HELD_PER_DEVICE_MAX + 1, 10)];
    assert_eq!(hold(&queue, &store, DEVICE, &next).fates, fates(0, 1));
    queue.begin_accept(2).unwrap().accept(None, NOW).unwrap();
    assert_eq!(hold(&queue, &store, DEVICE, &next).fates, fates(1, 0));
}

#[test]
fn a_device_may_have_so_many_bytes_held_and_no_more() {
    let store = Arc::new(MemoryChangeLog::new());
    let queue = queue(&store);
    let size = 32 * 1024;
    for number in 0..HELD_BYTES_PER_DEVICE_MAX / size {
        assert_eq!(hold(&queue, &store, DEVICE, &[item(number, size)]).fates, fates(1, 0));
    }
    assert_eq!(hold(&queue, &store, DEVICE, &[item(99_999, 1)]).fates, fates(0, 1), "one byte past the limit");
}

/// Keeps nothing: the totals are counted in memory, and 512 MiB of changes are too much for a test.
struct Forgetful;

impl RecordStore for Forgetful {
    fn record(&self, _: &str, _: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
    fn records(&self, _: &str, _: &[u8]) -> Result<Vec<Record>, StoreError> {
        Ok(Vec::new())
    }
    fn tables(&self) -> Result<Vec<(String, Holds)>, StoreError> {
        Ok(Vec::new())
    }
    fn records_after(&self, _: &str, _: Option<&[u8]>, _: usize) -> Result<Vec<Record>, StoreError> {
        Ok(Vec::new())
    }
    fn command(&self, _: TimestampMs, _: &[RecordChange]) -> Result<Sequence, StoreError> {
        Ok(Sequence::ZERO)
    }
    fn derive(&self, _: &[RecordChange]) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Fills a queue with items of one size, a device's share at a time, and gives it and the number of the next item.
fn filled(items: usize, bytes: usize) -> (ReviewQueue, MemoryChangeLog, usize) {
    let (queue, log) = (ReviewQueue::load(Arc::new(Forgetful)).unwrap(), MemoryChangeLog::new());
    let share = HELD_PER_DEVICE_MAX.min(HELD_BYTES_PER_DEVICE_MAX / bytes);
    for (device, part) in (0..items).collect::<Vec<_>>().chunks(share).enumerate() {
        let mut id = [0; 8];
        id.copy_from_slice(&device.to_be_bytes());
        for push in part.chunks(100) {
            let items: Vec<_> = push.iter().map(|number| item(*number, bytes)).collect();
            assert_eq!(hold(&queue, &log, AuthorId(id), &items).fates, fates(items.len(), 0));
        }
    }
    (queue, log, items)
}

#[test]
fn the_queue_has_so_many_items_of_all_devices_and_no_more() {
    let (queue, log, next) = filled(HELD_MAX, 1);
    let stranger = AuthorId([0xff; 8]);
    assert_eq!(hold(&queue, &log, stranger, &[item(next, 1)]).fates, fates(0, 1), "one past");
    assert_eq!(hold(&queue, &log, stranger, &[item(7, 1)]).fates, fates(1, 0), "what is there is still answered");
    assert_eq!(queue.open_len(), HELD_MAX);
    queue.give_back(&log, 1, None, "thử".to_owned(), NOW).unwrap();
    assert_eq!(hold(&queue, &log, stranger, &[item(next, 1)]).fates, fates(0, 1), "a returned one is kept");
}

#[test]
fn the_queue_has_so_many_bytes_of_all_devices_and_no_more() {
    let bytes = 32 * 1024;
    let (queue, log, next) = filled(HELD_BYTES_MAX / bytes - 1, bytes);
    let stranger = AuthorId([0xff; 8]);
    let last = [item(next, bytes - 1), item(next + 1, 1), item(next + 2, 1)];
    let outcome = hold(&queue, &log, stranger, &last);
    assert_eq!(outcome.fates, fates(2, 1), "to the last byte, and not one more");
}

#[test]
fn an_item_is_decided_once_and_a_returned_one_can_still_be_accepted() {
    let store = Arc::new(MemoryChangeLog::new());
    let queue = queue(&store);
    hold(&queue, &store, DEVICE, &[item(1, 10), item(2, 10)]);
    let officer = Some(AuthorId([9; 8]));
    let decided = |result: Result<(), DecideError>| matches!(result, Err(DecideError::Decided { .. }));

    let deciding = queue.begin_accept(1).unwrap();
    assert!(decided(queue.begin_accept(1).map(drop)), "somebody is at it");
    assert!(decided(queue.give_back(&*store, 1, officer, "thử".to_owned(), NOW)));
    drop(deciding);
    assert_eq!(queue.item(1).unwrap().status, ReviewStatus::Open, "given up, it is as it was");
    queue.begin_accept(1).unwrap().accept(officer, NOW).unwrap();
    assert!(decided(queue.begin_accept(1).map(drop)));
    assert!(decided(queue.give_back(&*store, 1, officer, "thử".to_owned(), NOW)));
    assert_eq!(queue.change(1).unwrap(), None, "the log has it");

    queue.give_back(&*store, 2, officer, "trùng".to_owned(), NOW).unwrap();
    assert!(decided(queue.give_back(&*store, 2, officer, "trùng".to_owned(), NOW)));
    assert_eq!(queue.change(2).unwrap().unwrap().bytes(), [7; 10], "never to the bin");
    queue.begin_accept(2).unwrap().accept(officer, NOW).unwrap();
    assert!(matches!(queue.begin_accept(3), Err(DecideError::Unknown(3))));
    for queue in [Arc::clone(&queue), super::tests::queue(&store)] {
        let statuses: Vec<_> = queue.list(0, 10, |_| true).iter().map(|(_, record)| record.status).collect();
        assert_eq!(statuses, [ReviewStatus::Accepted; 2]);
        assert_eq!(queue.item(2).unwrap().decided_by, officer);
        assert_eq!(queue.open_len(), 0);
    }
}

#[test]
fn decisions_are_told_until_they_are_confirmed() {
    let store = Arc::new(MemoryChangeLog::new());
    let queue = queue(&store);
    hold(&queue, &store, DEVICE, &[item(1, 10), item(2, 10)]);
    hold(&queue, &store, AuthorId([2; 8]), &[item(3, 10)]);
    assert_eq!(queue.untold(DEVICE, None), None);
    queue.give_back(&*store, 1, None, "trùng".to_owned(), NOW).unwrap();
    queue.begin_accept(2).unwrap().accept(None, NOW).unwrap();
    queue.begin_accept(3).unwrap().accept(None, NOW).unwrap();
    let told = queue.untold(DEVICE, None).unwrap();
    let words: Vec<_> = told.decisions.iter().map(|decision| (decision.accepted, decision.note.as_str())).collect();
    assert_eq!(words, [(false, "trùng"), (true, "")]);
    assert_eq!(queue.untold(DEVICE, None), Some(told.clone()), "not confirmed, so told again");
    queue.keep_told(DEVICE, u64::MAX, NOW).unwrap();
    assert_eq!(queue.untold(DEVICE, None), None);
    // It confirmed what it had been told, not what was still to come.
    queue.begin_accept(1).unwrap().accept(None, NOW).unwrap();
    for queue in [Arc::clone(&queue), super::tests::queue(&store)] {
        let later = queue.untold(DEVICE, None).unwrap();
        assert!(later.number > told.number && later.decisions.len() == 1 && later.decisions[0].accepted);
        assert!(queue.untold(AuthorId([2; 8]), None).is_some(), "another device's are its own");
    }
}

/// After a restore anybody may bring changes back under any name. Made-up names must not make room for more of them.
#[test]
fn what_is_brought_back_takes_the_room_of_who_brings_it() {
    let store = Arc::new(MemoryChangeLog::new());
    let queue = queue(&store);
    let bringer = DeviceId::from_public_key(&[3; 32]).author();
    let returned = HoldReason::Returned { by: bringer };
    let bring = |author: AuthorId, items: &[Change]| {
        queue.hold(&*store, (author, scope()), returned, items, NOW).unwrap().fates
    };
    let names = [1, 2, 3, 4].map(|number| DeviceId::from_public_key(&[10 + number; 32]).author());
    for (part, author) in names.into_iter().enumerate() {
        let of_part = HELD_PER_DEVICE_MAX / names.len();
        let items: Vec<_> = (part * of_part..(part + 1) * of_part).map(|number| item(number, 10)).collect();
        assert!(bring(author, &items).iter().all(|fate| *fate == HoldFate::Held));
    }
    let more = [item(HELD_PER_DEVICE_MAX, 10)];
    assert_eq!(
        bring(DeviceId::from_public_key(&[99; 32]).author(), &more),
        fates(0, 1),
        "one past the limit, under a new name"
    );
    assert_eq!(hold(&queue, &store, DEVICE, &more).fates, fates(1, 0), "nobody else is hurt");
    // Whose name was used hears of no decision that it never waited for, until it brings the change itself.
    let author = names[0];
    queue.give_back(&*store, 1, None, "thử".to_owned(), NOW).unwrap();
    assert_eq!(queue.untold(author, None), None);
    assert_eq!(hold(&queue, &store, author, &[item(0, 10)]).fates, fates(1, 0));
    let record = queue.item(1).unwrap();
    assert_eq!((record.returned_by, record.reason.as_str()), (None, "moved"));
    assert_eq!(queue.untold(author, None).unwrap().decisions.len(), 1);
    // A record of before has no such field.
    let mut old = rmp_serde::to_vec(&*record).unwrap();
    // An array of one field less; the last was nothing.
    assert_eq!(old.pop(), Some(0xc0));
    if old[0] == 0xdc {
        old[2] -= 1;
    } else {
        old[0] -= 1;
    }
    assert_eq!(rmp_serde::from_slice::<ReviewRecord>(&old).unwrap(), *record);
}
