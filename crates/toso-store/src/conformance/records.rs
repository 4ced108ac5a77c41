//! The clauses of [`RecordStore`]'s contract.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::Subject;
use crate::StoreError;
use crate::change_log::{
    Durability, RECORD_BYTES_MAX, RECORD_CHANGES_MAX, RECORD_KEY_BYTES_MAX, RECORD_TABLE_BYTES_MAX, RecordChange,
    RecordStore,
};

fn change(table: &str, key: &[u8], value: Option<&[u8]>) -> RecordChange {
    RecordChange { table: table.to_owned(), key: key.to_vec(), value: value.map(<[u8]>::to_vec), expect: None }
}

fn write<S: RecordStore>(store: &S, changes: &[RecordChange]) {
    store.write(changes, Durability::Durable).unwrap();
}

/// Together, in order, and still there after reopening.
pub fn records_are_written_read_and_removed<S: Subject<Store: RecordStore>>(subject: &S) {
    let store = subject.fresh();
    assert_eq!(store.record("devices", b"a").unwrap(), None);
    assert!(store.records("devices", b"").unwrap().is_empty());
    write(&store, &[]);
    write(&store, &[change("devices", b"a", Some(b"1")), change("devices", b"", Some(b"")), change("x", b"a", None)]);
    write(&store, &[change("devices", b"a", Some(b"2")), change("devices", b"b", Some(b"3"))]);
    write(&store, &[change("devices", b"c", Some(b"4")), change("devices", b"c", None), change("devices", b"b", None)]);
    let store = subject.reopen(store);
    assert_eq!(store.record("devices", b"a").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(store.record("devices", b"").unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(store.record("devices", b"b").unwrap(), None);
    assert_eq!(store.record("devices", b"c").unwrap(), None);
    assert_eq!(store.records("devices", b"").unwrap().len(), 2);
}

/// By key; a table whose name begins another's is still its own.
pub fn records_are_ordered_within_their_table<S: Subject<Store: RecordStore>>(subject: &S) {
    let store = subject.fresh();
    let keys: [&[u8]; 7] = [b"", b"\0", b"a", b"a\0", b"ab", b"b", b"\xff\xff"];
    for key in keys.iter().rev() {
        write(&store, &[change("t", key, Some(key)), change("tt", key, Some(b"other")), change("", key, Some(b"no"))]);
    }
    let read = |prefix: &[u8]| -> Vec<Vec<u8>> {
        let records = store.records("t", prefix).unwrap();
        assert!(records.iter().all(|(key, value)| key == value));
        records.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(read(b""), keys);
    assert_eq!(read(b"a"), keys[2..5]);
    assert_eq!(read(b"a\0"), keys[3..4]);
    assert_eq!(read(b"\xff"), keys[6..]);
    assert_eq!(read(b"c"), Vec::<Vec<u8>>::new());
    assert_eq!(store.records("tt", b"a").unwrap().len(), 3);
}

/// Every table with a record is named, and can be walked in steps of any size.
pub fn tables_are_named_and_walked<S: Subject<Store: RecordStore>>(subject: &S) {
    let store = subject.fresh();
    assert!(store.tables().unwrap().is_empty());
    let longest = "z".repeat(RECORD_TABLE_BYTES_MAX);
    let names = ["", "t", "tt", "u", longest.as_str()];
    let keys: [&[u8]; 5] = [b"", b"\0", b"a", b"a\0", &[u8::MAX; RECORD_KEY_BYTES_MAX]];
    for name in names.iter().rev() {
        for key in keys {
            write(&store, &[change(name, key, Some(&[7; 10]))]);
        }
    }
    write(&store, &[change("gone", b"a", Some(b"1")), change("gone", b"a", None)]);
    assert_eq!(store.tables().unwrap(), names);
    for name in names {
        for (bytes_max, steps) in [(0, 5), (30, 3), (10_000, 1)] {
            let (mut walked, mut after, mut count) = (Vec::new(), None, 0);
            loop {
                let page = store.records_after(name, after.as_deref(), bytes_max).unwrap();
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                count += 1;
                walked.extend(page.into_iter().map(|(key, _)| key));
            }
            assert_eq!(walked, keys, "{name:?} in steps of {bytes_max}");
            assert_eq!(count, steps, "{name:?} in steps of {bytes_max}");
        }
    }
    assert!(store.records_after("v", None, 100).unwrap().is_empty());
}

/// Every expectation holds, or nothing is written.
pub fn a_raced_write_changes_nothing<S: Subject<Store: RecordStore>>(subject: &S) {
    let store = subject.fresh();
    let expecting = |key: &[u8], value: Option<&[u8]>, expect: Option<&[u8]>| RecordChange {
        expect: Some(expect.map(<[u8]>::to_vec)),
        ..change("invites", key, value)
    };
    write(&store, &[expecting(b"a", Some(b"open"), None)]);
    let raced = [
        vec![change("invites", b"z", Some(b"1")), expecting(b"a", Some(b"mine"), None)],
        vec![change("invites", b"z", Some(b"1")), expecting(b"a", None, Some(b"used"))],
        vec![change("invites", b"z", Some(b"1")), expecting(b"b", Some(b"x"), Some(b"open"))],
        vec![expecting(b"a", Some(b"used"), Some(b"open")), expecting(b"b", Some(b"x"), Some(b""))],
        // All are checked against the records before the write.
        vec![change("invites", b"c", Some(b"1")), expecting(b"c", Some(b"2"), Some(b"1"))],
    ];
    for changes in raced {
        let raced = store.write(&changes, Durability::Durable);
        assert!(matches!(raced, Err(StoreError::Raced { table }) if table == "invites"));
    }
    let store = subject.reopen(store);
    assert_eq!(store.records("invites", b"").unwrap(), vec![(b"a".to_vec(), b"open".to_vec())]);
    write(&store, &[expecting(b"a", Some(b"used"), Some(b"open")), expecting(b"b", None, None)]);
    write(&store, &[expecting(b"a", None, Some(b"used"))]);
    assert!(store.records("invites", b"").unwrap().is_empty());
}

/// A one-time invite is used one time.
pub fn one_of_many_wins_a_race<S: Subject<Store: RecordStore>>(subject: &S) {
    let store = subject.fresh();
    for round in 0..10_u8 {
        write(&store, &[change("invites", &[round], Some(b"open"))]);
        let winners = AtomicUsize::new(0);
        thread::scope(|threads| {
            for device in 0..8_u8 {
                let (store, winners) = (&store, &winners);
                threads.spawn(move || {
                    let mut used = change("invites", &[round], Some(&[device]));
                    used.expect = Some(Some(b"open".to_vec()));
                    match store.write(&[used], Durability::Durable) {
                        Ok(()) => {
                            winners.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => assert!(matches!(error, StoreError::Raced { .. }), "{error}"),
                    }
                });
            }
        });
        assert_eq!(winners.into_inner(), 1);
    }
}

/// At the limit and one past it.
pub fn records_end_at_their_limits<S: Subject<Store: RecordStore>>(subject: &S) {
    let store = subject.fresh();
    let (table, key) = ("t".repeat(RECORD_TABLE_BYTES_MAX), vec![7; RECORD_KEY_BYTES_MAX]);
    for bytes in [RECORD_BYTES_MAX, 10, 4_086, 4_087, RECORD_BYTES_MAX] {
        let value: Vec<u8> = (0..bytes).map(|index| u8::try_from(index % 251).unwrap()).collect();
        write(&store, &[change(&table, &key, Some(&value))]);
        assert_eq!(store.record(&table, &key).unwrap().as_deref(), Some(&value[..]));
    }
    let past = [
        change(&"t".repeat(RECORD_TABLE_BYTES_MAX + 1), &key, None),
        change(&table, &[7; RECORD_KEY_BYTES_MAX + 1], None),
        change(&table, &key, Some(&vec![0; RECORD_BYTES_MAX + 1])),
    ];
    for change in past {
        let refused = store.write(&[change], Durability::Durable);
        assert!(matches!(refused, Err(StoreError::TooLarge { bytes, max, .. }) if bytes == max + 1));
    }
    let many = |count: usize| -> Vec<_> { (0..count).map(|n| change("n", &n.to_be_bytes(), Some(b"v"))).collect() };
    write(&store, &many(RECORD_CHANGES_MAX));
    let refused = store.write(&many(RECORD_CHANGES_MAX + 1), Durability::Durable);
    assert!(matches!(refused, Err(StoreError::TooMany { items, max, .. }) if items == max + 1));
    let store = subject.reopen(store);
    assert_eq!(store.record(&table, &key).unwrap().map(|value| value.len()), Some(RECORD_BYTES_MAX));
    assert_eq!(store.records("n", b"").unwrap().len(), RECORD_CHANGES_MAX);
}

/// Two records that are always written together are always read together.
pub fn readers_see_whole_writes<S: Subject<Store: RecordStore>>(subject: &S) {
    let store = subject.fresh();
    write(&store, &[change("pair", b"a", Some(&[0])), change("pair", b"b", Some(&[0]))]);
    thread::scope(|threads| {
        threads.spawn(|| {
            for round in 1..100_u8 {
                // Values of two parts are the ones that could be torn.
                let value = vec![round; 1 + usize::from(round % 2) * 6_000];
                write(&store, &[change("pair", b"a", Some(&value)), change("pair", b"b", Some(&value))]);
            }
        });
        threads.spawn(|| {
            for _ in 0..500 {
                let records = store.records("pair", b"").unwrap();
                assert_eq!(records[0].1, records[1].1);
            }
        });
    });
}

/// They may be lost by a crash, not by closing.
pub fn disposable_records_survive_closing<S: Subject<Store: RecordStore>>(subject: &S) {
    let store = subject.fresh();
    store.write(&[change("views", b"a", Some(b"1"))], Durability::Disposable).unwrap();
    assert_eq!(store.record("views", b"a").unwrap().as_deref(), Some(&b"1"[..]));
    let store = subject.reopen(store);
    assert_eq!(store.record("views", b"a").unwrap().as_deref(), Some(&b"1"[..]));
}

/// Whatever a crash takes, it takes whole and from the end, and nothing from before a durable write.
pub fn a_crash_takes_disposable_records_only_from_the_end<S: Subject<Store: RecordStore>>(subject: &S) {
    const WRITES: u8 = 60;
    for durable in [0, 20, WRITES] {
        let store = subject.fresh();
        for number in 1..=WRITES {
            // What it stands for, of several parts, and the position.
            let value = vec![number; 6_000];
            let changes = [change("rows", &[number], Some(&value)), change("position", b"", Some(&[number]))];
            let durability = if number == durable { Durability::Durable } else { Durability::Disposable };
            store.write(&changes, durability).unwrap();
        }
        let store = subject.crash(store);
        let position = store.record("position", b"").unwrap().map_or(0, |value| value[0]);
        assert!(position >= durable, "a durable write takes all before it along: {position} of {durable}");
        let rows: Vec<u8> = store.records("rows", b"").unwrap().into_iter().map(|(key, _)| key[0]).collect();
        assert_eq!(rows, (1..=position).collect::<Vec<_>>());
        store.write(&[change("position", b"", Some(&[0]))], Durability::Durable).unwrap();
    }
}
