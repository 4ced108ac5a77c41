//! What deaths at the worst moments leave, and what no end-to-end test can arrange.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use toso_core::id::{ChangeHash, DeviceId, DocId};
use toso_core::unit::{UnitList, UnitRef};
use toso_store::{ChangeLog, Durability, LogBatch, LogItem, RecordChange};

use super::*;

fn log_at(data: &Path) -> SledChangeLog {
    SledChangeLog::open(data.join(LOG_FOLDER), Options::phone()).unwrap()
}

fn filled(data: &Path) {
    let log = log_at(data);
    let scope = UnitRef::new(UnitList::L2022, "00001").unwrap();
    for number in 0..50_u8 {
        let item =
            LogItem { doc: DocId::member(scope, [number; 11]), hash: ChangeHash([number; 32]), bytes: vec![7; 700] };
        let batch = LogBatch {
            scope,
            author: DeviceId([1; 8]),
            received_at: TimestampMs(u64::from(number)),
            items: vec![item],
        };
        log.append(&[batch]).unwrap();
        let change = RecordChange { table: "rows".into(), key: vec![1], value: Some(vec![number; 900]), expect: None };
        log.write(&[change], Durability::Durable).unwrap();
    }
}

fn last(data: &Path) -> Sequence {
    open_log(data).unwrap().last()
}

#[test]
fn compacting_keeps_everything_and_leaves_one_folder() {
    let data = TempDir::new().unwrap();
    filled(data.path());
    let compacted = compact::compact(data.path()).unwrap();
    assert_eq!((compacted.entries, compacted.records), (50, 1));
    assert!(compacted.after_bytes > 0 && compacted.before_bytes > 0);
    let left: Vec<_> = fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [LOG_FOLDER]);
    let log = open_log(data.path()).unwrap();
    assert_eq!(log.last(), Sequence(50));
    assert_eq!(log.record("rows", &[1]).unwrap(), Some(vec![49; 900]));
    log.check(&mut |finding| panic!("{finding}")).unwrap();
}

/// The moments of a compaction: while it copies, between its renames, and before the old database is removed.
#[test]
fn a_compaction_that_dies_leaves_a_whole_folder_and_can_be_done_again() {
    let data = TempDir::new().unwrap();
    filled(data.path());
    let path = |name: &str| data.path().join(name);
    fs::create_dir(path(COMPACTING_FOLDER)).unwrap();
    fs::write(path(COMPACTING_FOLDER).join("db"), "half").unwrap();
    assert_eq!(last(data.path()), Sequence(50), "while it copies");
    fs::rename(path(LOG_FOLDER), path(OLD_FOLDER)).unwrap();
    assert_eq!(last(data.path()), Sequence(50), "between the renames");
    assert!(!path(OLD_FOLDER).exists());
    fs::create_dir(path(OLD_FOLDER)).unwrap();
    assert_eq!(last(data.path()), Sequence(50), "before the old one is removed");
    compact::compact(data.path()).unwrap();
    assert!(!path(OLD_FOLDER).exists() && !path(COMPACTING_FOLDER).exists());
    assert_eq!(last(data.path()), Sequence(50));
}

/// Between the two renames of a compaction that runs, nobody else may take the old database for a left-over.
#[test]
fn a_compaction_under_way_is_not_settled_by_another_process() {
    let data = TempDir::new().unwrap();
    filled(data.path());
    let log = open_log(data.path()).unwrap();
    fs::rename(data.path().join(LOG_FOLDER), data.path().join(OLD_FOLDER)).unwrap();
    let refused = settle(data.path());
    assert!(matches!(refused, Err(UpkeepError::Store(StoreError::InUse { .. }))), "{refused:?}");
    drop(log);
    settle(data.path()).unwrap();
    assert_eq!(last(data.path()), Sequence(50));
}

#[test]
fn a_folder_without_data_is_not_made_into_one() {
    let data = TempDir::new().unwrap();
    assert!(matches!(open_log(data.path()), Err(UpkeepError::NoData { .. })));
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
}

#[test]
fn a_failed_export_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    let to = folder.path().join("backup.zst");
    let failed = write_export(&to, true, |out| {
        out.write_all(b"{\"kind\":\"header\"").unwrap();
        Err(UpkeepError::Source("the line was cut".to_owned()))
    });
    assert!(matches!(failed, Err(UpkeepError::Source(_))));
    let cut = write_export(&to, true, |out| {
        out.write_all(b"{\"kind\":\"header\"").unwrap();
        Ok(())
    });
    assert!(matches!(cut, Err(UpkeepError::File { error: ExportError::Truncated { line: 1 }, .. })), "{cut:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    fs::write(&to, "an older backup").unwrap();
    assert!(matches!(write_export(&to, true, |_| Ok(())), Err(UpkeepError::Exists { .. })));
    assert_eq!(fs::read_to_string(&to).unwrap(), "an older backup");
}
