//! What deaths at the worst moments leave, and what no end-to-end test can arrange.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use toso_catalog::Catalog;
use toso_core::change::Change;
use toso_core::chunk::Chunk;
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, AuthorId, ChangeHash, DeviceId, DocId, DocKind, Sequence};
use toso_core::text::PlaceName;
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitList, UnitRef};
use toso_projection::Projector;
use toso_store::{Log as _, LogBatch, RecordChange, RecordStore as _};

use super::*;
use crate::folding::Folding;
use crate::trust::{Entry, REVOCATIONS_FILE, Revocations, Trust};
use crate::views::Views;

fn log_at(data: &Path) -> SledChangeLog {
    SledChangeLog::open(data.join(LOG_FOLDER), Options::phone()).unwrap()
}

fn filled(data: &Path) {
    let log = log_at(data);
    let scope = UnitRef::new(UnitList::L2022, "00001").unwrap();
    for number in 0..50_u8 {
        let item = Change {
            doc: DocId::member(scope, [number; 11]),
            chunk: Chunk::trusted(vec![7; 700], ChangeHash([number; 32])),
        };
        let batch = LogBatch {
            scope,
            author: AuthorId([1; 8]),
            received_at: TimestampMs(u64::from(number)),
            items: vec![item],
        };
        log.append(&[batch]).unwrap();
        let change = |table: &str| RecordChange {
            table: table.to_owned(),
            key: vec![1],
            value: Some(vec![number; 900]),
            expect: None,
        };
        log.command(TimestampMs(u64::from(number)), &[change("devices")]).unwrap();
        log.derive(&[change("views")]).unwrap();
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
    assert_eq!((compacted.entries, compacted.records), (100, 2));
    assert!(compacted.after_bytes > 0 && compacted.before_bytes > 0);
    let left: Vec<_> = fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [LOG_FOLDER]);
    let log = open_log(data.path()).unwrap();
    assert_eq!((log.last(), log.end()), (Sequence(99), Sequence(100)), "each at its place");
    for table in ["devices", "views"] {
        assert_eq!(log.record(table, &[1]).unwrap(), Some(vec![49; 900]));
    }
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
    assert_eq!(last(data.path()), Sequence(99), "while it copies");
    fs::rename(path(LOG_FOLDER), path(OLD_FOLDER)).unwrap();
    assert_eq!(last(data.path()), Sequence(99), "between the renames");
    assert!(!path(OLD_FOLDER).exists());
    fs::create_dir(path(OLD_FOLDER)).unwrap();
    assert_eq!(last(data.path()), Sequence(99), "before the old one is removed");
    compact::compact(data.path()).unwrap();
    assert!(!path(OLD_FOLDER).exists() && !path(COMPACTING_FOLDER).exists());
    assert_eq!(last(data.path()), Sequence(99));
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
    assert_eq!(last(data.path()), Sequence(99));
}

/// A served folder: keys, three teams in the log, their rows, and a document of a kind that only a newer version knows.
fn counted(data: &Path) {
    let log = Arc::new(log_at(data));
    Trust::open(data, Arc::clone(&log) as _, TimestampMs(1_663_545_600_000)).unwrap();
    let scope = UnitRef::new(UnitList::L2022, "00001").unwrap();
    for number in 0..3_u8 {
        let doc = DocId::hamlet_team(scope, &format!("thôn {number}"), 0);
        let author = Author { actor: Actor::new(DeviceId([1; 16]), [number; 8]), at: TimestampMs(1_662_534_000_000) };
        let name = PlaceName::parse(&format!("Thôn {number}")).unwrap();
        let households = TeamEdit::HouseholdsCovered(Some(100 + u32::from(number)));
        let edits = [DocEdit::Team(TeamEdit::LocalName(Some(name))), DocEdit::Team(households)];
        let chunk = Document::new(doc).unwrap().edit(author, &edits).unwrap().unwrap();
        let items = vec![Change { doc, chunk }];
        let batch = LogBatch { scope, author: AuthorId([1; 8]), received_at: TimestampMs(1), items };
        log.append(&[batch]).unwrap();
    }
    let author = Author { actor: Actor::new(DeviceId([1; 16]), [9; 8]), at: TimestampMs(1_662_534_000_000) };
    let edit = DocEdit::parse(DocKind::Member, "full_name", "Nguyễn Văn Thử").unwrap();
    let chunk = Document::first_save(DocId::member(scope, [9; 11]), author, &[edit]).unwrap().unwrap();
    let doc = DocId::from_parts(b'z', scope, [9; 11]).unwrap();
    let items = vec![Change { doc, chunk }];
    log.append(&[LogBatch { scope, author: AuthorId([1; 8]), received_at: TimestampMs(1), items }]).unwrap();
    let folding = Folding {
        log: Arc::clone(&log) as _,
        records: Arc::clone(&log) as _,
        views: Arc::new(Views::waiting(Projector::new(Catalog::shared()))),
        counted: Arc::default(),
        metrics: Arc::default(),
        vitals: Arc::default(),
        set_aside: Arc::new(
            crate::set_aside::SetAside::load(Catalog::shared(), &*log, Arc::clone(&log) as _).expect("readable"),
        ),
        workers: 1,
        cache_documents: 10,
    };
    let counted = Arc::clone(&folding.counted);
    let running = folding.start(|| Projector::new(Catalog::shared())).unwrap();
    let start = Instant::now();
    while counted.current() < log.last() {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(2));
    }
    running.stop();
}

fn findings(data: &Path) -> Vec<String> {
    verify::folder(data).unwrap().findings
}

#[test]
fn a_counted_folder_is_whole_and_each_wrong_thing_in_it_is_told() {
    let data = TempDir::new().unwrap();
    counted(data.path());
    let verified = verify::folder(data.path()).unwrap();
    assert!(verified.is_whole(), "{:?}", verified.findings);
    assert_eq!((verified.changes, verified.documents, verified.newer, verified.counted), (4, 3, 1, last(data.path())));
    assert_eq!(verified.checked.commands, 3, "identity, epoch, admin token");

    let key = fs::read(data.path().join("root.key")).unwrap();
    fs::remove_file(data.path().join("root.key")).unwrap();
    assert!(findings(data.path()).iter().any(|text| text.contains("root.key")));
    fs::write(data.path().join("root.key"), key).unwrap();

    let log = open_log(data.path()).unwrap();
    // Two teams' rows, each in the other's place, under a good checksum; then one that is missing.
    crate::folding::bend_rows(&log, |rows| {
        (rows[0].0, rows[1].0) = (rows[1].0, rows[0].0);
    });
    drop(log);
    let found = findings(data.path());
    assert!(found.iter().any(|text| text.contains("the stored row of document")), "{found:?}");

    let log = open_log(data.path()).unwrap();
    crate::folding::bend_rows(&log, |rows| {
        (rows[0].0, rows[1].0) = (rows[1].0, rows[0].0);
        rows.remove(0);
    });
    drop(log);
    let found = findings(data.path());
    assert!(found.iter().any(|text| text.contains("the documents of scope")), "a row is missing: {found:?}");

    let log = open_log(data.path()).unwrap();
    let entry = log.read(Sequence::ZERO, 1, 1).unwrap().entries.remove(0);
    let bytes = entry.change.bytes();
    let item = Change { doc: entry.change.doc, chunk: Chunk::trusted(bytes, ChangeHash([9; 32])) };
    let elsewhere = UnitRef::new(UnitList::L2022, "00004").unwrap();
    let doc = DocId::member(entry.scope, [1; 11]);
    let stray = Change { doc, chunk: Chunk::trusted(bytes, ChangeHash([8; 32])) };
    let batch =
        |scope, item| LogBatch { scope, author: entry.author, received_at: entry.received_at, items: vec![item] };
    let junk = Change { doc, chunk: Chunk::trusted(vec![1, 2, 3], ChangeHash([7; 32])) };
    log.append(&[batch(entry.scope, item), batch(elsewhere, stray), batch(entry.scope, junk)]).unwrap();
    let last = log.last().0;
    drop(log);
    let found = findings(data.path());
    for (sequence, detail) in [(last - 2, "has the hash"), (last - 1, "has the hash"), (last, "cannot be read")] {
        let entry = format!("entry {sequence}:");
        assert!(found.iter().any(|text| text.starts_with(&entry) && text.contains(detail)), "{sequence}: {found:?}");
    }
}

#[test]
fn a_folder_without_data_is_not_made_into_one() {
    let data = TempDir::new().unwrap();
    assert!(matches!(open_log(data.path()), Err(UpkeepError::NoData { .. })));
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
}

/// A backup of a counted folder, and the folder.
fn backed_up() -> (TempDir, PathBuf, PathBuf) {
    let place = TempDir::new().unwrap();
    let (data, backup) = (place.path().join("data"), place.path().join("backup.zst"));
    fs::create_dir(&data).unwrap();
    counted(&data);
    write_export(&backup, true, |out| backup::export(&data, LATER, &mut |lost| panic!("{lost}"), out)).unwrap();
    (place, data, backup)
}

const LATER: TimestampMs = TimestampMs(1_663_545_700_000);

fn restored(backup: &Path, key: &Path, list: Option<&Path>, to: &Path) -> Result<restore::Made, UpkeepError> {
    let sources = restore::Sources { from: backup, key: Some(key), revocations: list };
    restore::restore(sources, to, restore::Mode::Restore, LATER.plus_ms(1))
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// The story: a restore into a link did all its work and then failed at the last rename, with "not a directory".
#[cfg(unix)]
#[test]
fn a_link_is_followed_before_anything_is_done_and_what_leads_nowhere_is_told() {
    use std::os::unix::fs::symlink;
    let (place, data, backup) = backed_up();
    let (at, key) = (|name: &str| place.path().join(name), data.join("root.key"));
    fs::create_dir(at("elsewhere")).unwrap();
    fs::create_dir(at("elsewhere/empty")).unwrap();
    symlink(at("elsewhere/empty"), at("link")).unwrap();
    let made = restored(&backup, &key, None, &at("link")).unwrap();
    assert_eq!(made.path, fs::canonicalize(at("elsewhere/empty")).unwrap());
    assert!(at("link").is_symlink() && last(&at("link")) == last(&data), "data lies where the link leads");
    assert_eq!(names(&at("elsewhere")), ["empty"], "and nothing beside it");

    fs::write(at("file"), "something").unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    symlink(at("round"), at("round")).unwrap();
    symlink(at("file"), at("to_file")).unwrap();
    let before = names(place.path());
    for (to, words) in [
        ("dangling", "cannot be followed"),
        ("round", "cannot be followed"),
        ("to_file", "is a file"),
        ("file", "is a file"),
        ("file/below", "is no folder"),
        ("absent/below", "make it first"),
        ("link", "already holds"),
    ] {
        let refused = restored(&backup, &key, None, &at(to)).unwrap_err().to_string();
        assert!(refused.contains(words), "{to}: {refused}");
        assert_eq!(names(place.path()), before, "{to}: nothing half-made");
    }
    if Path::new("/proc/self").exists() {
        let refused = restored(&backup, &key, None, Path::new("/proc")).unwrap_err().to_string();
        assert!(refused.contains("already holds") || refused.contains("file system of its own"), "{refused}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_is_written_over_no_link_and_a_database_behind_one_is_not_swapped() {
    use std::os::unix::fs::symlink;
    let (place, data, backup) = backed_up();
    let at = |name: &str| place.path().join(name);
    symlink(at("nowhere"), at("dangling")).unwrap();
    symlink(&backup, at("to_backup")).unwrap();
    let before = names(place.path());
    for (to, words) in
        [("dangling", "cannot be followed"), ("to_backup", "a link to"), ("absent/file", "make it first")]
    {
        let refused = write_export(&at(to), true, |_| panic!("{to}: nothing is read")).unwrap_err().to_string();
        assert!(refused.contains(words), "{to}: {refused}");
        let keyed = backup::copy_key(&data, &at(to));
        assert!(to != "absent/file" || keyed.is_err());
        if let Ok(copy) = keyed {
            fs::remove_file(copy).unwrap();
        }
    }
    assert_eq!(names(place.path()), before);

    let counted = last(&data);
    fs::rename(data.join(LOG_FOLDER), at("far")).unwrap();
    symlink(at("far"), data.join(LOG_FOLDER)).unwrap();
    let refused = compact::compact(&data).unwrap_err().to_string();
    assert!(refused.contains("is a link to"), "{refused}");
    assert!(data.join(LOG_FOLDER).is_symlink() && last(&data) == counted);
}

/// What a restored server knows of revocations: the list beside the key is joined; a copy of it from before the backup, or
/// none, leaves the server to its operator.
#[test]
fn a_restore_joins_the_list_and_knows_whether_it_goes_on_past_the_backup() {
    let (place, data, backup) = backed_up();
    let at = |name: &str| place.path().join(name);
    let thief = DeviceId::from_public_key(&[9; 32]);
    let list = data.join(REVOCATIONS_FILE);
    fs::create_dir(at("apart")).unwrap();
    let key = at("apart/root.key");
    fs::copy(data.join("root.key"), &key).unwrap();
    Revocations::open(&data).unwrap().add(Entry::Device(thief), LATER).unwrap();
    let in_quarantine = |data: &Path| {
        let log = Arc::new(log_at(data));
        let trust = Trust::open(data, log, LATER).unwrap();
        (trust.quarantined_since().is_some(), trust.revocations().has_device(thief))
    };
    for (name, key, given) in [("beside", data.join("root.key"), None), ("given", key.clone(), Some(list.as_path()))] {
        let made = restored(&backup, &key, given, &at(name)).unwrap();
        assert!(made.joined.is_complete && made.joined.devices == 1, "{name}: {:?}", made.joined);
        assert_eq!(in_quarantine(&at(name)), (false, true), "{name}");
    }
    // In the target folder, where only the database was lost.
    fs::create_dir(at("kept")).unwrap();
    for file in ["root.key", REVOCATIONS_FILE] {
        fs::copy(data.join(file), at("kept").join(file)).unwrap();
    }
    restored(&backup, &key, None, &at("kept")).unwrap();
    assert_eq!(in_quarantine(&at("kept")), (false, true));

    let made = restored(&backup, &key, None, &at("without")).unwrap();
    assert!(!made.joined.is_complete && made.joined.from.is_empty());
    assert_eq!(in_quarantine(&at("without")), (true, false));
    let missing = restored(&backup, &key, Some(&at("no.list")), &at("other"));
    assert!(matches!(missing, Err(UpkeepError::NoList { .. })), "{missing:?}");

    // A copy from before the backup: what it has is joined, and it is not the whole.
    let lines = fs::read_to_string(&list).unwrap();
    let old: Vec<&str> = lines.lines().take_while(|line| !line.contains(&LATER.0.to_string())).collect();
    fs::write(at("old.list"), format!("{}\n", old.join("\n"))).unwrap();
    let made = restored(&backup, &key, Some(&at("old.list")), &at("old")).unwrap();
    assert!(!made.joined.is_complete && made.joined.from.len() == 1);
    assert_eq!(in_quarantine(&at("old")), (true, false));
    // The story: a copy that was taken while the clock was two days ahead looked newer than every backup.
    let ahead = lines.lines().take(2).collect::<Vec<_>>().join("\n");
    fs::create_dir(at("clock")).unwrap();
    fs::write(at("clock").join(REVOCATIONS_FILE), format!("{ahead}\n")).unwrap();
    Revocations::open(&at("clock")).unwrap().add(Entry::Seen, LATER.plus_ms(1 << 40)).unwrap();
    let ahead = at("clock").join(REVOCATIONS_FILE);
    assert!(!restored(&backup, &key, Some(&ahead), &at("ahead")).unwrap().joined.is_complete);
    assert_eq!(in_quarantine(&at("ahead")), (true, false));
    // An import is no way around it.
    let sources = restore::Sources { from: &backup, key: Some(&key), revocations: None };
    restore::restore(sources, &at("imported"), restore::Mode::Import, LATER).unwrap();
    assert!(in_quarantine(&at("imported")).0);
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

/// A database that was cut short was an empty register of a new history, and its server healthy.
#[test]
fn a_database_that_lost_entries_is_found_refused_and_what_is_left_is_saved() {
    let data = TempDir::new().unwrap();
    let log = data.path().join(LOG_FOLDER);
    counted(data.path());
    let whole = fs::read(log.join("db")).unwrap();
    let end = open_log(data.path()).unwrap().end();

    // Nothing is left.
    fs::OpenOptions::new().write(true).open(log.join("db")).unwrap().set_len(100).unwrap();
    let refused = open_log(data.path()).unwrap_err();
    assert!(matches!(refused, UpkeepError::Store(StoreError::Lost { .. } | StoreError::Damaged { .. })), "{refused}");
    assert!(refused.to_string().contains("restore"), "{refused}");
    assert!(!verify::folder(data.path()).unwrap().is_whole());
    assert!(compact::compact(data.path()).is_err());

    // The way to go on without it: another database under the same keys is a register that waits to be filled again.
    fs::rename(&log, data.path().join("log.lost")).unwrap();
    let fresh = Arc::new(log_at(data.path()));
    let trust = Trust::open(data.path(), fresh, TimestampMs(1_663_545_600_000)).unwrap();
    assert!(trust.began_with_a_loss(), "phones return what they have");
    drop(trust);

    // An end is lost: less than the mark says.
    fs::remove_dir_all(&log).unwrap();
    fs::rename(data.path().join("log.lost"), &log).unwrap();
    fs::write(log.join("db"), whole).unwrap();
    for entry in fs::read_dir(&log).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    fs::write(log.join("low-water"), format!("toso low-water {}\n", end.0 + 7)).unwrap();
    assert!(matches!(open_log(data.path()), Err(UpkeepError::Store(StoreError::Lost { .. }))));
    let found = verify::folder(data.path()).unwrap();
    assert!(found.findings.iter().any(|finding| finding.contains("has lost what it held")), "{:?}", found.findings);
    assert!(found.changes > 0, "the rest is looked at all the same");
    let mut saved = Vec::new();
    let mut warned = String::new();
    backup::export(data.path(), TimestampMs(1), &mut |lost| warned = lost.to_string(), &mut saved).unwrap();
    assert!(warned.contains("has lost what it held"), "{warned}");
    assert!(saved.len() > 1_000);
}

/// Compacting refused records that are not what the log makes of them, and did not say what mends that.
#[test]
fn a_refused_compaction_says_what_makes_records_anew() {
    let told = UpkeepError::Differs { detail: "table devices".to_owned() }.to_string();
    for part in ["table devices", "the original stays in use", "toso verify", "toso export", "toso import"] {
        assert!(told.contains(part), "{told}");
    }
}
