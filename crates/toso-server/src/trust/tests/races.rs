//! What comes in the middle of a change: somebody else's change of the same record, and everybody who only reads.

use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use toso_core::id::Sequence;
use toso_store::{Holds, Record};

use super::*;
use crate::tables::SERVER_TABLE;

const PATIENCE: Duration = Duration::from_secs(20);

type Before = Box<dyn FnOnce(&MemoryChangeLog) + Send>;

/// A store in which something happens before its next write to a table.
#[derive(Default)]
struct Watched {
    store: MemoryChangeLog,
    before: Mutex<Option<(&'static str, Before)>>,
}

impl Watched {
    fn before_write(&self, table: &'static str, happens: impl FnOnce(&MemoryChangeLog) + Send + 'static) {
        *self.before.lock() = Some((table, Box::new(happens)));
    }
}

impl RecordStore for Watched {
    fn record(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.record(table, key)
    }

    fn records(&self, table: &str, prefix: &[u8]) -> Result<Vec<Record>, StoreError> {
        self.store.records(table, prefix)
    }

    fn tables(&self) -> Result<Vec<(String, Holds)>, StoreError> {
        self.store.tables()
    }

    fn records_after(&self, table: &str, after: Option<&[u8]>, bytes_max: usize) -> Result<Vec<Record>, StoreError> {
        self.store.records_after(table, after, bytes_max)
    }

    fn command(&self, at: TimestampMs, changes: &[RecordChange]) -> Result<Sequence, StoreError> {
        let of_table = |(table, _): &mut (&'static str, Before)| changes.iter().any(|change| change.table == *table);
        let before = self.before.lock().take_if(of_table);
        if let Some((_, happens)) = before {
            happens(&self.store);
        }
        self.store.command(at, changes)
    }

    fn derive(&self, changes: &[RecordChange]) -> Result<(), StoreError> {
        self.store.derive(changes)
    }
}

fn watched() -> (tempfile::TempDir, Arc<Watched>, Trust) {
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(Watched::default()));
    let trust = Trust::open(folder.path(), store.clone(), NOW).unwrap();
    (folder, store, trust)
}

/// Writes a record of a table anew, changed.
fn change<T: serde::Serialize + serde::de::DeserializeOwned>(
    store: &MemoryChangeLog,
    table: &str,
    change: impl FnOnce(&mut T),
) {
    let (key, value) = store.records(table, &[]).unwrap().pop().unwrap();
    let mut record: T = rmp_serde::from_slice(&value).unwrap();
    change(&mut record);
    let value = Some(rmp_serde::to_vec(&record).unwrap());
    store.command(NOW, &[RecordChange { table: table.to_owned(), key, value, expect: None }]).unwrap();
}

/// The list beside the root key had the revocation, its officer was told of an error, and the device went on.
#[test]
fn who_is_shut_out_while_his_record_changes_is_shut_out() {
    let (_folder, store, trust) = watched();
    let device = enrolled(&trust, 1, AccessRole::Recorder).device;
    store.before_write("devices", |store| change::<DeviceRecord>(store, "devices", |record| record.moves += 1));
    assert!(trust.revoke(device, NOW).unwrap());
    let record = trust.device(device).unwrap();
    assert!(record.revoked && record.moves == 1, "and what the other has changed stays");
}

/// Two changes of one device were written in one order and remembered in the other: the revoked device went on until the next
/// start.
#[test]
fn what_is_remembered_of_a_device_is_what_was_written_last() {
    let (_folder, store, trust) = watched();
    let device = enrolled(&trust, 1, AccessRole::Recorder).device;
    let earlier = DeviceRecord::clone(&trust.device(device).unwrap());
    assert!(trust.revoke(device, NOW).unwrap());
    trust.devices.keep(&*store, earlier);
    assert!(trust.device(device).unwrap().revoked);
}

/// A province's devices are moved in parts. One of them renewed its token meanwhile, and the call failed half way.
#[test]
fn devices_that_change_while_all_are_moved_are_moved_all_the_same() {
    let (_folder, store, trust) = watched();
    let device = enrolled(&trust, 1, AccessRole::Recorder).device;
    store.before_write("devices", |store| {
        change::<DeviceRecord>(store, "devices", |record| record.expires_at = NOW.plus_ms(1));
    });
    let (mut moved, to) = (Vec::new(), UnitRef::new(UnitList::L2022, "00004").unwrap());
    trust.move_devices(&[device], to, None, NOW, |id| moved.push((id, trust.device(id).unwrap().unit))).unwrap();
    assert_eq!(moved, [(device, to)], "told once it is known");
}

#[test]
fn an_invite_that_is_used_while_it_is_taken_back_is_told_as_it_is_then() {
    let (_folder, store, trust) = watched();
    trust.invite(&order(AccessRole::Recorder), NOW).unwrap();
    let number = trust.invites(None, 1, |_| true).unwrap().0[0].0;
    let by = DeviceId([7; 16]).author();
    store.before_write("invites", move |store| {
        change::<InviteRecord>(store, "invites", |invite| invite.used_by = Some(by));
    });
    let invite = trust.withdraw_invite(number, None, NOW).unwrap().unwrap();
    assert_eq!((invite.used_by, invite.withdrawn), (Some(by), None));
}

/// Runs `writes`, and asks `reads` in the middle of its write to a table.
fn answers_while<T: Send>(
    store: &Watched,
    table: &'static str,
    writes: impl FnOnce() + Send,
    reads: impl FnOnce() -> T + Send,
) -> Option<T> {
    let ((begun, has_begun), (go, may_go)) = (mpsc::channel(), mpsc::channel::<()>());
    store.before_write(table, move |_| {
        begun.send(()).unwrap();
        may_go.recv().unwrap();
    });
    std::thread::scope(|scope| {
        scope.spawn(writes);
        has_begun.recv_timeout(PATIENCE).expect("the write");
        let (answer, answered) = mpsc::channel();
        scope.spawn(move || answer.send(reads()));
        let answer = answered.recv_timeout(PATIENCE).ok();
        go.send(()).unwrap();
        answer
    })
}

/// An operator named hundreds of devices on a slow disk, and meanwhile no HELLO was answered and `/healthz` was silent.
#[test]
fn the_end_of_a_quarantine_keeps_nobody_waiting() {
    let (folder, store, trust) = watched();
    enrolled(&trust, 1, AccessRole::Recorder);
    put(&store.store, QUARANTINE_KEY, &NOW.0.to_be_bytes(), NOW).unwrap();
    let trust = Trust::open(folder.path(), store.clone(), NOW).unwrap();
    let ends = || trust.end_quarantine(&[], NOW).unwrap();
    assert_eq!(answers_while(&store, SERVER_TABLE, ends, || trust.quarantined_since()), Some(Some(NOW)));
    assert_eq!(trust.quarantined_since(), None);
}

#[test]
fn counts_of_departures_are_read_while_one_is_written() {
    let (_folder, store, trust) = watched();
    let device = enrolled(&trust, 1, AccessRole::Recorder).device;
    let revokes = || assert!(trust.revoke(device, NOW).unwrap());
    assert_eq!(answers_while(&store, "departures", revokes, || trust.departures.count(|_| true)), Some(0));
    assert_eq!(trust.departures.count(|_| true), 1);
}
