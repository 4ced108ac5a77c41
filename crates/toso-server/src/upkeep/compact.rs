//! `toso compact`: the same log in a fresh database, so that space is freed.
//!
//! The fresh database takes the entries as they are, and makes index and records of them anew; so it also mends an index
//! that is damaged while the log is not. Derived records are copied.
//!
//! The copy is written beside, compared with the original, and swapped in by two renames. Between the two the original
//! stands under another name, where [`super::settle`] finds it; after them it stays until the copy has been opened.

use std::fs;
use std::path::{Path, PathBuf};

use toso_core::id::Sequence;
use toso_store::change_log::{LOG_BATCH_BYTES_MAX, LOG_BATCH_ITEMS_MAX};
use toso_store::records::RECORD_CHANGES_MAX;
use toso_store::{Holds, Log as _, RecordChange, RecordStore as _, StoreError};
use toso_store_sled::{Options, SledChangeLog};

use super::place::look_for_database;
use super::{COMPACTING_FOLDER, LOG_FOLDER, OLD_FOLDER, UpkeepError, failed, open_log, sync_folder};

/// Entries, and bytes of entries or records, that are copied at a time: one sync for all of them.
const PAGE_ITEMS_MAX: usize = 4 * LOG_BATCH_ITEMS_MAX;
const PAGE_BYTES_MAX: usize = 4 * LOG_BATCH_BYTES_MAX;

/// What it was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of the database before.
    pub before_bytes: u64,
    /// Bytes of the database after.
    pub after_bytes: u64,
    /// Entries copied.
    pub entries: u64,
    /// Records copied.
    pub records: u64,
}

/// Rewrites the database of a stopped server.
pub fn compact(data: &Path) -> Result<Compacted, UpkeepError> {
    look_for_database(data)?;
    let log = open_log(data)?;
    let (current, copy_path, old) = (data.join(LOG_FOLDER), data.join(COMPACTING_FOLDER), data.join(OLD_FOLDER));
    // Left by an interrupted compaction; the original is open, so nobody is at them.
    remove(&copy_path)?;
    remove(&old)?;
    let made = write_copy(&log, &copy_path);
    let (records, after_bytes) = match made {
        Ok(made) => made,
        Err(error) => {
            // Of no use, and in the way of the space that may be missing.
            let _ = fs::remove_dir_all(&copy_path);
            return Err(error);
        }
    };
    let before_bytes = folder_bytes(&current)?;
    let entries = log.end().0;
    // The original's lock is held across both renames, so nobody opens either meanwhile.
    fs::rename(&current, &old).map_err(failed("moving aside", &current))?;
    if let Err(error) = fs::rename(&copy_path, &current) {
        fs::rename(&old, &current).map_err(failed("putting back", &current))?;
        return Err(failed("naming", &copy_path)(error));
    }
    sync_folder(data).map_err(failed("syncing", data))?;
    let opened = SledChangeLog::open(&current, Options::server()).map_err(UpkeepError::from).and_then(|copy| {
        if copy.end() == log.end() { Ok(()) } else { Err(UpkeepError::Differs { detail: "its end".to_owned() }) }
    });
    if let Err(error) = opened {
        fs::rename(&current, &copy_path).map_err(failed("moving aside", &current))?;
        fs::rename(&old, &current).map_err(failed("putting back", &current))?;
        return Err(error);
    }
    drop(log);
    remove(&old)?;
    sync_folder(data).map_err(failed("syncing", data))?;
    Ok(Compacted { before_bytes, after_bytes, entries, records })
}

/// Writes the copy and compares it; its records and bytes.
fn write_copy(log: &SledChangeLog, path: &Path) -> Result<(u64, u64), UpkeepError> {
    let copy = SledChangeLog::open(path, Options::server())?;
    copy_entries(log, &copy)?;
    let records = copy_records(log, &copy)?;
    compare_entries(log, &copy)?;
    compare_records(log, &copy)?;
    let mut damaged = None;
    copy.check(&mut |finding| damaged = Some(finding.to_string()))?;
    if let Some(detail) = damaged {
        return Err(UpkeepError::Differs { detail });
    }
    drop(copy);
    Ok((records, folder_bytes(path)?))
}

fn copy_entries(log: &SledChangeLog, copy: &SledChangeLog) -> Result<(), StoreError> {
    loop {
        let entries = log.tail(copy.end(), PAGE_ITEMS_MAX, PAGE_BYTES_MAX)?;
        if entries.is_empty() {
            return Ok(());
        }
        copy.apply(&entries)?;
    }
}

/// Copies derived records; how many records there are of all sorts.
fn copy_records(log: &SledChangeLog, copy: &SledChangeLog) -> Result<u64, StoreError> {
    let mut records = 0;
    for (table, holds) in log.tables()? {
        let mut after = None;
        loop {
            let page = log.records_after(&table, after.as_deref(), LOG_BATCH_BYTES_MAX)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            records += page.len() as u64;
            if holds == Holds::Truth {
                continue;
            }
            let changes = page.into_iter().map(|(key, value)| RecordChange {
                table: table.clone(),
                key,
                value: Some(value),
                expect: None,
            });
            let changes: Vec<_> = changes.collect();
            for part in changes.chunks(RECORD_CHANGES_MAX) {
                copy.derive(part)?;
            }
        }
    }
    Ok(records)
}

fn compare_entries(log: &SledChangeLog, copy: &SledChangeLog) -> Result<(), UpkeepError> {
    let mut after = Sequence::ZERO;
    loop {
        let (left, right) =
            (log.tail(after, PAGE_ITEMS_MAX, PAGE_BYTES_MAX)?, copy.tail(after, PAGE_ITEMS_MAX, PAGE_BYTES_MAX)?);
        if left != right {
            return Err(UpkeepError::Differs { detail: format!("entries after sequence {}", after.0) });
        }
        let Some(last) = left.last() else { return Ok(()) };
        after = last.sequence();
    }
}

fn compare_records(log: &SledChangeLog, copy: &SledChangeLog) -> Result<(), UpkeepError> {
    let tables = log.tables()?;
    if tables != copy.tables()? {
        return Err(UpkeepError::Differs { detail: "its tables".to_owned() });
    }
    for (table, _) in tables {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = log.records_after(&table, after.as_deref(), PAGE_BYTES_MAX)?;
            if page != copy.records_after(&table, after.as_deref(), PAGE_BYTES_MAX)? {
                return Err(UpkeepError::Differs { detail: format!("table {table}") });
            }
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
        }
    }
    Ok(())
}

fn remove(folder: &PathBuf) -> Result<(), UpkeepError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("removing", folder)(error)),
        _ => Ok(()),
    }
}

/// Bytes of the files of a database.
fn folder_bytes(folder: &Path) -> Result<u64, UpkeepError> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).map_err(failed("reading", folder))? {
        let metadata = entry.and_then(|entry| entry.metadata()).map_err(failed("reading", folder))?;
        bytes += if metadata.is_file() { metadata.len() } else { 0 };
    }
    Ok(bytes)
}
