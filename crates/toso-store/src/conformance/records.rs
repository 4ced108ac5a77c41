//! The clauses of [`RecordStore`]'s contract.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use toso_core::change::{Change, Entry};
use toso_core::chunk::{CHANGE_BYTES_MAX, Chunk};
use toso_core::id::Sequence;
use toso_core::time::TimestampMs;

use super::Subject;
use super::samples::{batch, scope};
use crate::StoreError;
use crate::change_log::{Command, Log as _, Logged};
use crate::compare::first_difference;
use crate::index::ChangeLog;
use crate::index::Index as _;
use crate::records::{
    COMMAND_BYTES_MAX, Holds, RECORD_BYTES_MAX, RECORD_CHANGES_MAX, RECORD_KEY_BYTES_MAX, RECORD_TABLE_BYTES_MAX,
    RecordChange, RecordStore,
};

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);

fn change(table: &str, key: &[u8], value: Option<&[u8]>) -> RecordChange {
    RecordChange { table: table.to_owned(), key: key.to_vec(), value: value.map(<[u8]>::to_vec), expect: None }
}

fn write<S: RecordStore>(store: &S, changes: &[RecordChange]) {
    store.command(NOW, changes).unwrap();
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
    assert_eq!(store.tables().unwrap(), names.map(|name| (name.to_owned(), Holds::Truth)));
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
        let raced = store.command(NOW, &changes);
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
                    match store.command(NOW, &[used]) {
                        Ok(_) => {
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
        let refused = store.command(NOW, &[change]);
        assert!(matches!(refused, Err(StoreError::TooLarge { bytes, max, .. }) if bytes == max + 1));
    }
    let many = |count: usize| -> Vec<_> { (0..count).map(|n| change("n", &n.to_be_bytes(), Some(b"v"))).collect() };
    write(&store, &many(RECORD_CHANGES_MAX));
    let refused = store.command(NOW, &many(RECORD_CHANGES_MAX + 1));
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
pub fn derived_records_survive_closing<S: Subject<Store: RecordStore>>(subject: &S) {
    let store = subject.fresh();
    store.derive(&[change("views", b"a", Some(b"1")), change("views", b"b", Some(b"1"))]).unwrap();
    assert_eq!(store.record("views", b"a").unwrap().as_deref(), Some(&b"1"[..]));
    let store = subject.reopen(store);
    assert_eq!(store.record("views", b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(store.records_after("views", Some(b"a"), 100).unwrap(), [(b"b".to_vec(), b"1".to_vec())]);
    store.derive(&[change("views", b"a", None), change("views", b"b", None)]).unwrap();
    assert!(store.records("views", b"").unwrap().is_empty());
}

/// Whatever a crash takes, it takes whole and from the end, and nothing from before a command.
pub fn a_crash_takes_derived_records_only_from_the_end<S: Subject<Store: RecordStore>>(subject: &S) {
    const WRITES: u8 = 60;
    for durable in [0, 20, WRITES] {
        let store = subject.fresh();
        for number in 1..=WRITES {
            // What it stands for, of several parts, and the position.
            let value = vec![number; 6_000];
            let changes = [change("rows", &[number], Some(&value)), change("position", b"", Some(&[number]))];
            store.derive(&changes).unwrap();
            if number == durable {
                write(&store, &[change("decided", b"", Some(&[number]))]);
            }
        }
        let store = subject.crash(store);
        let position = store.record("position", b"").unwrap().map_or(0, |value| value[0]);
        assert!(position >= durable, "a command takes all before it along: {position} of {durable}");
        let rows: Vec<u8> = store.records("rows", b"").unwrap().into_iter().map(|(key, _)| key[0]).collect();
        assert_eq!(rows, (1..=position).collect::<Vec<_>>());
        assert_eq!(store.record("decided", b"").unwrap().is_some(), durable > 0);
        store.derive(&[change("position", b"", Some(&[0]))]).unwrap();
    }
}

/// What was decided is never overwritten by what may be lost, nor the reverse; also after reopening.
pub fn a_table_holds_truth_or_what_is_derived<S: Subject<Store: ChangeLog + RecordStore>>(subject: &S) {
    let mut store = subject.fresh();
    write(&store, &[change("devices", b"a", Some(b"1"))]);
    store.derive(&[change("views", b"a", Some(b"1"))]).unwrap();
    for _ in 0..2 {
        let end = store.end();
        let mixed = store.derive(&[change("views", b"b", Some(b"2")), change("devices", b"a", Some(b"2"))]);
        assert!(matches!(mixed, Err(StoreError::Mixed { table, holds: Holds::Truth }) if table == "devices"));
        let mixed = store.command(NOW, &[change("devices", b"b", Some(b"2")), change("views", b"a", None)]);
        assert!(matches!(mixed, Err(StoreError::Mixed { table, holds: Holds::Derived }) if table == "views"));
        assert_eq!(store.end(), end);
        let tables = [("devices".to_owned(), Holds::Truth), ("views".to_owned(), Holds::Derived)];
        assert_eq!(store.tables().unwrap(), tables);
        assert_eq!((store.records("devices", b"").unwrap().len(), store.records("views", b"").unwrap().len()), (1, 1));
        store = subject.reopen(store);
    }
}

/// Commands and changes share one count; readers of changes see changes alone; what was raced is no entry.
pub fn commands_are_entries<S: Subject<Store: ChangeLog + RecordStore>>(subject: &S) {
    let mut store = subject.fresh();
    let first = [change("devices", b"a", Some(b"1")), change("devices", b"gone", None)];
    assert_eq!(store.command(NOW, &first).unwrap(), Sequence(1));
    assert_eq!((store.last(), store.end()), (Sequence::ZERO, Sequence(1)));
    assert_eq!(store.append(&[batch(scope(1), [1, 2])]).unwrap()[0].first_new, Some(Sequence(2)));
    let raced = RecordChange { expect: Some(None), ..change("devices", b"a", None) };
    assert!(matches!(store.command(NOW, &[raced]), Err(StoreError::Raced { .. })));
    // Of several parts, with every sort of expectation.
    let large = vec![7; 6_000];
    let second = [
        RecordChange { expect: Some(Some(b"1".to_vec())), ..change("devices", b"a", Some(&large)) },
        RecordChange { expect: Some(None), ..change("invites", b"", Some(b"")) },
        change("invites", b"x", None),
    ];
    assert_eq!(store.command(NOW.plus_ms(5), &second).unwrap(), Sequence(4));
    assert_eq!(store.command(NOW, &[]).unwrap(), Sequence(4), "nothing is no entry");
    assert_eq!(store.append(&[batch(scope(1), [2, 3])]).unwrap()[0].first_new, Some(Sequence(5)));
    assert_eq!(store.command(NOW, &[change("invites", b"", None)]).unwrap(), Sequence(6));
    for _ in 0..2 {
        assert_eq!((store.last(), store.end()), (Sequence(5), Sequence(6)));
        for after in 0..=6 {
            let page = store.read(Sequence(after), usize::MAX, usize::MAX).unwrap();
            let of_scope = store.read_scopes(&[scope(1)], Sequence(after), usize::MAX, usize::MAX).unwrap();
            assert_eq!(page, of_scope);
            let expected = [2, 3, 5].into_iter().filter(|sequence| *sequence > after).collect::<Vec<_>>();
            assert_eq!(page.entries.iter().map(|entry| entry.sequence.0).collect::<Vec<_>>(), expected);
            assert_eq!(page.through, Sequence(after.max(5)));
            let tail = store.tail(Sequence(after), usize::MAX, usize::MAX).unwrap();
            assert!(tail.iter().map(|entry| entry.sequence().0).eq(after + 1..=6), "all of them, in order");
        }
        let tail = store.tail(Sequence::ZERO, usize::MAX, usize::MAX).unwrap();
        let command = |sequence: u64, at, changes: &[RecordChange]| {
            Logged::Command(Command { sequence: Sequence(sequence), at, changes: changes.to_vec() })
        };
        assert_eq!(tail[0], command(1, NOW, &first));
        assert_eq!(tail[3], command(4, NOW.plus_ms(5), &second));
        assert_eq!(store.tail(Sequence::ZERO, 2, usize::MAX).unwrap(), tail[..2]);
        assert_eq!(store.tail(Sequence(2), usize::MAX, 0).unwrap(), tail[2..3], "at least one");
        assert!(store.tail(Sequence(9), usize::MAX, usize::MAX).unwrap().is_empty());
        assert_eq!(store.record("devices", b"a").unwrap().as_deref(), Some(&large[..]));
        assert_eq!(store.record("invites", b"").unwrap(), None);
        store = subject.reopen(store);
    }
}

/// At the limit and one past it; the largest is read as it was given.
pub fn a_command_ends_at_its_limit<S: Subject<Store: ChangeLog + RecordStore>>(subject: &S) {
    let store = subject.fresh();
    let sized = |bytes: usize| -> Vec<RecordChange> {
        let each = vec![change("t", b"", Some(&vec![3; RECORD_BYTES_MAX])); bytes / (RECORD_BYTES_MAX + 17)];
        let mut changes: Vec<_> = (0..).zip(each).map(|(key, each)| RecordChange { key: vec![key], ..each }).collect();
        let rest = bytes - RecordChange::bytes_of(&changes);
        changes.push(change("t", b"", Some(&vec![4; rest - 17])));
        assert_eq!(RecordChange::bytes_of(&changes), bytes);
        changes
    };
    let largest = sized(COMMAND_BYTES_MAX);
    write(&store, &largest);
    let refused = store.command(NOW, &sized(COMMAND_BYTES_MAX + 1));
    assert!(matches!(refused, Err(StoreError::TooLarge { bytes, max, .. }) if bytes == max + 1));
    let store = subject.reopen(store);
    let tail = store.tail(Sequence::ZERO, 1, 1).unwrap();
    assert!(matches!(&tail[..], [Logged::Command(command)] if command.changes == largest));
}

/// Who takes entries of another log checks them as if they had been given to it: else two stores that were given the same
/// would not hold the same.
pub fn entries_of_another_log_end_at_the_same_limits<S: Subject<Store: ChangeLog + RecordStore>>(subject: &S) {
    let command = |changes| Logged::Command(Command { sequence: Sequence(1), at: NOW, changes });
    let of_one = |table: usize, key: usize, value: usize| {
        command(vec![change(&"t".repeat(table), &vec![7; key], Some(&vec![3; value]))])
    };
    let (table, key, value) = (RECORD_TABLE_BYTES_MAX, RECORD_KEY_BYTES_MAX, RECORD_BYTES_MAX);
    let many = |count: usize| command((0..count).map(|n| change("n", &n.to_be_bytes(), None)).collect());
    let sized =
        |values: usize| command((0..values).map(|n| change("n", &n.to_be_bytes(), Some(&vec![3; value]))).collect());
    let a_change = |bytes: usize| {
        let (scope, sent) = (scope(1), batch(scope(1), [1]));
        let chunk = Chunk::trusted(vec![0; bytes], sent.items[0].hash());
        let change = Change { doc: sent.items[0].doc, chunk }.into();
        Logged::Change(Entry { sequence: Sequence(1), scope, author: sent.author, received_at: NOW, change })
    };
    let within = [of_one(table, key, value), many(RECORD_CHANGES_MAX), sized(COMMAND_BYTES_MAX / (value + 32))];
    for entry in within.into_iter().chain([a_change(CHANGE_BYTES_MAX)]) {
        let store = subject.fresh();
        store.apply(std::slice::from_ref(&entry)).unwrap();
        assert_eq!(store.tail(Sequence::ZERO, 1, 1).unwrap(), [entry]);
    }
    let past = [
        of_one(table + 1, key, value),
        of_one(table, key + 1, value),
        of_one(table, key, value + 1),
        many(RECORD_CHANGES_MAX + 1),
        sized(COMMAND_BYTES_MAX / value + 1),
        a_change(CHANGE_BYTES_MAX + 1),
    ];
    for entry in past {
        let store = subject.fresh();
        let refused = store.apply(&[entry]);
        assert!(matches!(refused, Err(StoreError::TooLarge { .. } | StoreError::TooMany { .. })), "{refused:?}");
        assert_eq!(store.end(), Sequence::ZERO);
        store.command(NOW, &[change("t", b"", None)]).unwrap();
    }
}

/// A second store that takes the entries of the first, in whatever pieces, answers every question alike, and so does a third
/// that takes them from the second; what does not follow is refused.
pub fn the_same_entries_give_the_same_store<S: Subject<Store: ChangeLog + RecordStore>>(subject: &S) {
    let first = subject.fresh();
    for round in 0..40_u64 {
        let within = u32::try_from(round % 3).unwrap() + 1;
        first.append(&[batch(scope(within), [round, round + 1]), batch(scope(1), [1_000 + round])]).unwrap();
        let key = [u8::try_from(round % 7).unwrap()];
        let mut put = change("devices", &key, Some(&[u8::try_from(round).unwrap(); 300]));
        put.expect = Some(first.record("devices", &key).unwrap());
        let gone = change("invites", &[u8::try_from(round).unwrap()], None);
        write(&first, &[put, change("invites", &key, (round % 2 == 0).then_some(&b"open"[..])), gone]);
        first.derive(&[change("views", &key, Some(b"not copied"))]).unwrap();
    }
    let mut before = subject.reopen(first);
    for piece in [1, 7, usize::MAX] {
        let next = subject.fresh();
        loop {
            let entries = before.tail(next.end(), piece, usize::MAX).unwrap();
            if entries.is_empty() {
                break;
            }
            next.apply(&entries).unwrap();
        }
        let next = subject.reopen(next);
        assert_eq!(first_difference(&before, &next).unwrap(), None);
        let entries = before.tail(Sequence::ZERO, 3, usize::MAX).unwrap();
        let again = next.apply(&entries);
        assert!(matches!(again, Err(StoreError::NotNext { sequence: Sequence(1), .. })), "{again:?}");
        before = next;
    }
    let refused = |entries: &[Logged]| {
        let error = subject.fresh().apply(entries).unwrap_err();
        assert!(matches!(error, StoreError::NotNext { .. }), "{error}");
    };
    let entries = before.tail(Sequence::ZERO, 20, usize::MAX).unwrap();
    refused(&entries[1..]);
    let mut twice = entries[..2].to_vec();
    if let [Logged::Change(first), Logged::Change(second)] = &mut twice[..] {
        second.change = first.change.clone();
    }
    refused(&twice);
    let other = Command { sequence: Sequence(1), at: NOW, changes: vec![change("t", b"", None)] };
    let raced = RecordChange { expect: Some(Some(b"x".to_vec())), ..change("t", b"", None) };
    refused(&[Logged::Command(Command { changes: vec![raced], ..other })]);
}
