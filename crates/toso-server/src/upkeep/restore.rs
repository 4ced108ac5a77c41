//! Makes a data folder from an export: `toso restore` (a new history) and `toso import` (the same one, elsewhere).
//!
//! The file is read twice: once to see that all of it is whole and which documents it says were erased, once to store
//! it. Everything is built in a folder of another name beside the target, and renamed when it is whole and synced.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use toso_core::id::ServerId;
use toso_core::time::TimestampMs;
use toso_store::export::{ExportError, ExportReader, Header, Importer, ImporterOptions, Line, Summary, left_out};
use toso_store::{Durability, RecordChange, RecordStore, StoreError};
use toso_store_sled::{Options, SledChangeLog};
use zeroize::Zeroizing;

use super::backup::key_beside;
use super::{LOG_FOLDER, RESTORED_KEY, Restored, UpkeepError, failed, in_file, parent, show, sync_folder, with_suffix};
use crate::trust::{self, KeyError, ROOT_KEY_FILE, SERVER_TABLE};

/// The ending of a folder that is being built.
const BUILDING_ENDING: &str = ".restoring";

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// After a loss: what the server took after the backup is gone, so a new epoch begins, and devices compare.
    /// Erased documents are left out.
    Restore,
    /// The same data and history in another place. The old folder must not be served any more.
    Import,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What the file held.
    pub summary: Summary,
    /// Entries of erased documents, which were not stored.
    pub left_out: u64,
}

/// Makes the data folder `data` from the file `from`. The root key is `key`, or the one already in the folder, or the
/// one beside the file.
pub fn restore(
    from: &Path,
    data: &Path,
    key: Option<&Path>,
    mode: Mode,
    now: TimestampMs,
) -> Result<Made, UpkeepError> {
    let target = Target::look(data)?;
    let (summary, erased) = read_through(from)?;
    let (key_text, key_is_there) = find_key(from, data, key, summary.header.server)?;
    let building = with_suffix(&absolute(data)?, BUILDING_ENDING);
    clear(&building)?;
    let built = build(from, &building, erased, mode, now, &summary.header).and_then(|left_out| {
        if !key_is_there {
            trust::write_private(&building.join(ROOT_KEY_FILE), &key_text)?;
        }
        sync_folder(&building).map_err(failed("syncing", &building))?;
        target.take(&building, data)?;
        Ok(left_out)
    });
    match built {
        Ok(left_out) => Ok(Made { summary, left_out }),
        Err(error) => {
            // What could not be finished is of no use, and would be removed by the next try.
            let _ = fs::remove_dir_all(&building);
            Err(error)
        }
    }
}

/// What is at the target before.
enum Target {
    /// Nothing, or an empty folder: the whole folder is renamed into place.
    Free,
    /// A folder with the root key: the database is renamed into it.
    WithKey,
}

impl Target {
    fn look(data: &Path) -> Result<Self, UpkeepError> {
        let entries = match fs::read_dir(data) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::Free),
            Err(error) => return Err(failed("reading", data)(error)),
        };
        let mut target = Self::Free;
        for entry in entries {
            let name = entry.map_err(failed("reading", data))?.file_name();
            if name == ROOT_KEY_FILE {
                target = Self::WithKey;
            } else {
                let stranger = match name.to_string_lossy() {
                    name if name == LOG_FOLDER => "a server's data".to_owned(),
                    name => name.into_owned(),
                };
                return Err(UpkeepError::NotEmpty { path: show(data), stranger });
            }
        }
        Ok(target)
    }

    /// One rename: before it nothing is visible, after it everything.
    fn take(&self, building: &Path, data: &Path) -> Result<(), UpkeepError> {
        let renamed = match self {
            // An empty folder is replaced by the system as part of the rename.
            Self::Free => fs::rename(building, data).and_then(|()| sync_folder(&parent(data))),
            Self::WithKey => fs::rename(building.join(LOG_FOLDER), data.join(LOG_FOLDER))
                .and_then(|()| sync_folder(data))
                .and_then(|()| fs::remove_dir_all(building)),
        };
        renamed.map_err(failed("naming", data))
    }
}

/// Reads the whole file: what it holds and which documents were erased.
fn read_through(from: &Path) -> Result<(Summary, HashSet<[u8; 16]>), UpkeepError> {
    let mut reader = open(from)?;
    let server = reader.header().server;
    let erased = left_out(&mut reader, |line, number| match line {
        // Two servers' data in one file would be served under the wrong key.
        Line::Record(record)
            if record.table == SERVER_TABLE && record.key == b"server_id" && record.value != server.0 =>
        {
            Err(ExportError::Damaged { line: number, detail: "it names another server than the header".to_owned() })
        }
        _ => Ok(()),
    });
    let erased = erased.map_err(in_file(from))?;
    Ok((reader.summary().clone(), erased))
}

fn open(from: &Path) -> Result<ExportReader<BufReader<File>>, UpkeepError> {
    let file = File::open(from).map_err(failed("opening", from))?;
    ExportReader::new(BufReader::new(file)).map_err(in_file(from))
}

/// The root key's text, and whether it already is where it belongs.
fn find_key(
    from: &Path,
    data: &Path,
    given: Option<&Path>,
    server: ServerId,
) -> Result<(Zeroizing<String>, bool), UpkeepError> {
    let there = data.join(ROOT_KEY_FILE);
    let read = |path: &Path| -> Result<Zeroizing<String>, UpkeepError> {
        let (found, text) = trust::read_key(path)?;
        if found == server {
            return Ok(text);
        }
        Err(UpkeepError::ForeignKey { path: show(path), found: found.to_string(), expected: server.to_string() })
    };
    // One that is there must be right, whatever else was given: it would stay.
    if there.exists() {
        return Ok((read(&there)?, true));
    }
    let beside = key_beside(from);
    let path = match given {
        Some(path) => path,
        None if beside.exists() => &beside,
        None => return Err(UpkeepError::NoKey { path: show(&beside) }),
    };
    Ok((read(path)?, false))
}

fn absolute(data: &Path) -> Result<PathBuf, UpkeepError> {
    std::path::absolute(data).map_err(failed("finding", data))
}

/// Removes what an interrupted run left, unless somebody is still at it.
fn clear(building: &Path) -> Result<(), UpkeepError> {
    if !building.exists() {
        return Ok(());
    }
    let log = building.join(LOG_FOLDER);
    if log.exists() && matches!(SledChangeLog::open(&log, Options::server()), Err(StoreError::InUse { .. })) {
        return Err(UpkeepError::Busy { path: show(building) });
    }
    fs::remove_dir_all(building).map_err(failed("removing", building))
}

/// Stores the file into a new folder, durably.
fn build(
    from: &Path,
    building: &Path,
    erased: HashSet<[u8; 16]>,
    mode: Mode,
    now: TimestampMs,
    header: &Header,
) -> Result<u64, UpkeepError> {
    let mut reader = open(from)?;
    if reader.header() != header {
        return Err(UpkeepError::Source(format!("{} was changed while it was read; try again", show(from))));
    }
    let mut folder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.create(building).map_err(failed("making", building))?;
    let log = SledChangeLog::open(building.join(LOG_FOLDER), Options::server())?;
    let options = ImporterOptions { erased, keep_sequences: mode == Mode::Import };
    let left_out = Importer::new(&log, &log, options).take(&mut reader).map_err(in_file(from))?;
    if mode == Mode::Restore {
        let restored = Restored { epoch: header.epoch, last: header.last, at: now };
        let epoch = loop {
            let epoch = trust::new_epoch()?;
            if epoch != header.epoch {
                break epoch;
            }
        };
        let record = |key: &[u8], value: Vec<u8>| RecordChange {
            table: SERVER_TABLE.to_owned(),
            key: key.to_vec(),
            value: Some(value),
            expect: None,
        };
        let changes = [record(b"epoch", epoch.0.to_be_bytes().to_vec()), record(RESTORED_KEY, restored.to_bytes())];
        log.write(&changes, Durability::Durable)?;
    }
    if log.record(SERVER_TABLE, b"server_id")?.is_none() {
        return Err(KeyError::Missing { path: format!("record server_id in {}", show(from)) }.into());
    }
    Ok(left_out)
}
