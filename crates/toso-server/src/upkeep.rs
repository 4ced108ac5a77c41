//! Looking after a data folder: backup, restore, export and import, verify, compact.
//!
//! All of it works on the folder of a stopped server (opening takes its lock), except that [`backup`] is also what
//! `GET /v1/backup` streams from a running one. Whatever makes a folder builds it under another name, syncs it, and
//! renames it when it is whole: a process that dies at any moment leaves one complete folder. [`settle`] finishes what
//! such a death left half-way; everything that opens a data folder calls it first.

pub mod backup;
pub mod compact;
mod file;
mod lists;
mod place;
pub mod restore;
pub mod verify;

pub use file::write_export;
pub use lists::Joined;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toso_store::StoreError;
use toso_store::export::ExportError;
use toso_store_sled::{Options, SledChangeLog};

use crate::trust::KeyError;

/// The database's folder within the data folder; keys lie beside it.
pub const LOG_FOLDER: &str = "log";
/// A database being written by a compaction. One that is left over is of no use.
const COMPACTING_FOLDER: &str = "log.compacting";
/// What a data folder has one of at least, unless it is new.
pub(crate) const OWN_NAMES: [&str; 6] = [
    LOG_FOLDER,
    COMPACTING_FOLDER,
    OLD_FOLDER,
    crate::trust::ROOT_KEY_FILE,
    crate::trust::REVOCATIONS_FILE,
    crate::trust::ADMIN_TOKEN_FILE,
];
/// The database that a compaction has replaced, until its successor has been opened and found whole.
const OLD_FOLDER: &str = "log.old";
/// Opens the database of a data folder that is there already; refuses one that has lost entries.
pub fn open_log(data: &Path) -> Result<SledChangeLog, UpkeepError> {
    let log = open_what_is_left(data)?;
    log.check_whole()?;
    Ok(log)
}

/// [`open_log`], also when entries are lost: to look at the others, or to save them.
fn open_what_is_left(data: &Path) -> Result<SledChangeLog, UpkeepError> {
    settle(data)?;
    let folder = data.join(LOG_FOLDER);
    if !folder.join("FORMAT").exists() {
        return Err(UpkeepError::NoData { path: show(data) });
    }
    Ok(SledChangeLog::open_what_is_left(folder, Options::server())?)
}

/// Puts back a database that a compaction had moved aside when it was stopped between its two renames.
pub fn settle(data: &Path) -> Result<(), UpkeepError> {
    let (log, old) = (data.join(LOG_FOLDER), data.join(OLD_FOLDER));
    if log.exists() || !old.exists() {
        return Ok(());
    }
    // A running compaction holds its lock.
    drop(SledChangeLog::open_what_is_left(&old, Options::server())?);
    fs::rename(&old, &log).and_then(|()| sync_folder(data)).map_err(failed("putting the database back in", data))?;
    tracing::warn!("a compaction was interrupted; the database from before it is back in place");
    Ok(())
}

/// Why a data folder could not be looked after. Unless a variant says otherwise, everything is as it was.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// No database where one should be.
    #[error("{path} holds no server's data; give the folder that `toso serve --data` uses")]
    NoData {
        /// The folder.
        path: String,
    },
    /// Data where there should be none.
    #[error(
        "{path} already holds {stranger}; data is only put into a new or empty folder (which may hold {key} and {list}): \
         choose another name, or move the old folder away first",
        key = crate::trust::ROOT_KEY_FILE,
        list = crate::trust::REVOCATIONS_FILE
    )]
    NotEmpty {
        /// The folder.
        path: String,
        /// Something in it.
        stranger: String,
    },
    /// Nothing can be put there.
    #[error("{path} is no place for this: {why}")]
    Unfit {
        /// Where.
        path: String,
        /// Why not, and what to do.
        why: String,
    },
    /// A list of revocations of another server.
    #[error("{path} is the list of revocations of server {found}, the file holds the data of server {expected}")]
    ForeignList {
        /// The list.
        path: String,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// A list of revocations that was named, and is not there.
    #[error("there is no list of revocations at {path}; it lies in the data folder that was lost, beside root.key")]
    NoList {
        /// Where it was to be.
        path: String,
    },
    /// A file that would be overwritten.
    #[error("{path} exists already; choose another name, or move it away first")]
    Exists {
        /// The file.
        path: String,
    },
    /// No root key.
    #[error(
        "no root key for this server was found; without it every device would have to enrol again: give its file with \
         --root-key FILE, or put it at {path}"
    )]
    NoKey {
        /// Where it may lie.
        path: String,
    },
    /// A root key of another server.
    #[error(
        "{path} is the root key of server {found}, the file holds the data of server {expected}; give the right one"
    )]
    ForeignKey {
        /// The key.
        path: String,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// Another process is restoring into the same folder.
    #[error("{path} is being written by another restore or import; wait for it, or stop it")]
    Busy {
        /// The temporary folder.
        path: String,
    },
    /// The server's own records are not there.
    #[error("the {what} of the server is not among its records; start the server once, or restore from a backup")]
    NoIdentity {
        /// What is missing.
        what: &'static str,
    },
    /// The data came from somewhere else and that failed.
    #[error("{0}")]
    Source(String),
    /// The copy that a compaction made is not equal to the original; the original stays in use.
    #[error(
        "the compacted copy differs from the original ({detail}); the original stays in use: run `toso verify`, and where \
         records are wrong beside a whole log, `toso export` and `toso import` make them anew in another folder"
    )]
    Differs {
        /// Where.
        detail: String,
    },
    /// The system refused.
    #[error("{operation} {path} failed: {detail}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// Where.
        path: String,
        /// What the system said.
        detail: String,
    },
    /// The file.
    #[error("{path}: {error}")]
    File {
        /// Its path.
        path: String,
        /// What is wrong.
        error: ExportError,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

fn failed(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> UpkeepError {
    move |error| {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return StoreError::Full { operation, path: show(path) }.into();
        }
        UpkeepError::Io { operation, path: show(path), detail: error.to_string() }
    }
}

fn in_file(path: &Path) -> impl Fn(ExportError) -> UpkeepError {
    move |error| match error {
        ExportError::Store(error) => error.into(),
        error @ (ExportError::Io { .. }
        | ExportError::Truncated { .. }
        | ExportError::Damaged { .. }
        | ExportError::LineTooLong { .. }
        | ExportError::NotAnExport
        | ExportError::NewerFormat { .. }
        | ExportError::TooManyErasures { .. }) => UpkeepError::File { path: show(path), error },
    }
}

/// Makes the names in a folder durable, where the system has such a thing.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(path)?.sync_all() } else { Ok(()) }
}

/// The folder that a path is in.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A path with something appended to its name.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests;
