//! Makes a data folder from an export: `toso restore` (a new history) and `toso import` (the same one, elsewhere).
//!
//! The file is read twice: once to see that all of it is whole and which documents it says were erased, once to store
//! it. Everything is built in a folder of another name beside the target, and renamed when it is whole and synced.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use toso_core::id::{DocId, Sequence, ServerId};
use toso_core::time::TimestampMs;
use toso_store::export::{Contents, ExportError, ExportReader, Header, Importer, Line, erasures};
use toso_store::{RecordChange, RecordStore, StoreError};
use toso_store_sled::{Options, SledChangeLog};
use zeroize::Zeroizing;

use super::backup::{MARK_KEY, key_beside};
use super::lists::Lists;
use super::place::Place;
use super::{Joined, LOG_FOLDER, UpkeepError, failed, in_file, show, sync_folder, with_suffix};
use crate::restored::{RESTORED_KEY, Restored};
use crate::tables::SERVER_TABLE;
use crate::trust::{self, KeyError, ROOT_KEY_FILE};

/// The ending of a folder that is being built.
const BUILDING_ENDING: &str = ".restoring";

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// After a loss: what the server took after the backup is gone, so a new epoch begins, and devices compare.
    Restore,
    /// The same data and history in another place. The old folder must not be served any more.
    Import,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What the file held.
    pub contents: Contents,
    /// Changes that the file had and says were erased: nothing of them was stored but that they were there.
    pub erased: u64,
    /// Where the folder is, behind every link.
    pub path: PathBuf,
    /// What is known of revocations since the file was made.
    pub joined: Joined,
}

/// What a restore is made from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The backup or export.
    pub from: &'a Path,
    /// The root key; else the one in the folder, or beside the file.
    pub key: Option<&'a Path>,
    /// A list of revocations; the one in the folder, and one beside `key`, are taken as well.
    pub revocations: Option<&'a Path>,
}

/// Makes the data folder `data`.
pub fn restore(sources: Sources<'_>, data: &Path, mode: Mode, now: TimestampMs) -> Result<Made, UpkeepError> {
    let Sources { from, key, revocations } = sources;
    let place = Place::look(data)?;
    let Read { contents, erased, mark } = read_through(from)?;
    let (key_text, key_is_there) = find_key(from, &place.path, key, contents.header.server)?;
    let lists = Lists::find(&place.path, key, revocations, &contents.header, mark)?;
    let building = with_suffix(&place.path, BUILDING_ENDING);
    clear(&building)?;
    let order = Build { from, building: &building, mode, now, header: &contents.header };
    let built = order.run(erased, lists.joined.is_complete).and_then(|of_erased| {
        if !key_is_there {
            trust::write_private(&building.join(ROOT_KEY_FILE), &key_text)?;
        }
        lists.write(&place.path, &building, now)?;
        sync_folder(&building).map_err(failed("syncing", &building))?;
        place.take(&building)?;
        Ok(of_erased)
    });
    match built {
        Ok(erased) => Ok(Made { contents, erased, path: place.path, joined: lists.joined }),
        Err(error) => {
            // What could not be finished is of no use, and would be removed by the next try.
            let _ = fs::remove_dir_all(&building);
            Err(error)
        }
    }
}

/// What a whole file says before anything is made of it.
struct Read {
    contents: Contents,
    /// Documents that were erased, and up to where.
    erased: HashMap<DocId, Sequence>,
    /// The line of the list of revocations that it was begun after; files of before have none.
    mark: Option<[u8; trust::CHECK_BYTES]>,
}

/// Reads the whole file.
fn read_through(from: &Path) -> Result<Read, UpkeepError> {
    let mut reader = open(from)?;
    let mut mark = None;
    let server = reader.header().server;
    let mut look = |table: &str, key: &[u8], value: &[u8], line| {
        // Two servers' data in one file would be served under the wrong key.
        if table == SERVER_TABLE && key == b"server_id" && value != server.0 {
            return Err(ExportError::Damaged { line, detail: "it names another server than the header".to_owned() });
        }
        if table == SERVER_TABLE && key == MARK_KEY {
            mark = value.try_into().ok();
        }
        Ok(())
    };
    let erased = erasures(&mut reader, |line, number| match line {
        Line::Command(command) => command.changes.iter().try_for_each(|change| {
            let Some(value) = &change.value else { return Ok(()) };
            look(&change.table, &change.key, value, number)
        }),
        Line::Record(record) => look(&record.table, &record.key, &record.value, number),
        Line::Run(_) | Line::End => Ok(()),
    });
    let erased = erased.map_err(in_file(from))?;
    Ok(Read { contents: reader.contents().clone(), erased, mark })
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
    // One that is there must be right, whatever else was given: it would stay. So must one that is a link.
    if fs::symlink_metadata(&there).is_ok() {
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

/// Stores the file into a new folder.
struct Build<'a> {
    from: &'a Path,
    building: &'a Path,
    mode: Mode,
    now: TimestampMs,
    header: &'a Header,
}

impl Build<'_> {
    /// Durable when it returns; how many changes were stored without the bytes that the file has. Where the revocations are not known, the new server is in
    /// quarantine.
    fn run(&self, erased: HashMap<DocId, Sequence>, revocations_known: bool) -> Result<u64, UpkeepError> {
        let Self { from, building, mode, now, header } = *self;
        let mut reader = open(from)?;
        if reader.header() != header {
            return Err(UpkeepError::Source(format!("{} was changed while it was read; try again", show(from))));
        }
        let mut folder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        folder.create(building).map_err(failed("making", building))?;
        let log = SledChangeLog::open(building.join(LOG_FOLDER), Options::server())?;
        let of_erased = Importer::new(&log, &log, erased).take(&mut reader).map_err(in_file(from))?;
        let record = |key: &[u8], value: Option<Vec<u8>>| RecordChange {
            table: SERVER_TABLE.to_owned(),
            key: key.to_vec(),
            value,
            expect: None,
        };
        let waits = (!revocations_known).then(|| now.0.to_be_bytes().to_vec());
        let mut changes = Vec::new();
        if waits.is_some() || log.record(SERVER_TABLE, trust::QUARANTINE_KEY)?.is_some() {
            changes.push(record(trust::QUARANTINE_KEY, waits));
        }
        if mode == Mode::Restore {
            let restored = Restored { epoch: header.epoch, last: header.last, at: now };
            let epoch = loop {
                let epoch = trust::new_epoch()?;
                if epoch != header.epoch {
                    break epoch;
                }
            };
            changes.push(record(b"epoch", Some(epoch.0.to_be_bytes().to_vec())));
            changes.push(record(RESTORED_KEY, Some(restored.to_bytes())));
        }
        if !changes.is_empty() {
            log.command(now, &changes)?;
        }
        if log.record(SERVER_TABLE, b"server_id")?.is_none() {
            return Err(KeyError::Missing { path: format!("record server_id in {}", show(from)) }.into());
        }
        Ok(of_erased)
    }
}
