//! The low-water mark of a folder: how many entries it is sure to hold, in a small file beside sled's.
//!
//! sled takes a file that was cut short, emptied or lost for the end of its log, and opens as if nothing more had ever been
//! written. So what a store is known to hold stands outside of it: a number that only grows, and is never more than what was
//! durable when it was written. A folder that then holds less has lost something, and is refused
//! ([`StoreError::Lost`]) instead of looking new.
//!
//! The number need not be exact, and a write costs two syncs. So it is written with the first entry, whenever the store has
//! doubled or grown by [`STEP`], and by a server also when it opens and closes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use toso_store::StoreError;

use crate::folder::{DATA_FILE, Kind, io_error, write_whole};

/// The file.
const LOW_WATER_FILE: &str = "low-water";
/// Before the number.
const LABEL: &str = "toso low-water";
/// Entries after which the mark is written again, however many there are: what a loss may take without being noticed, should
/// the process also have been killed. 3 million entries, a national year, cost 183 writes.
const STEP: u64 = 16 * 1024;

/// The mark of an open folder.
#[derive(Debug)]
pub(crate) struct LowWater {
    folder: PathBuf,
    kind: Kind,
    /// What the file says.
    noted: AtomicU64,
}

impl LowWater {
    /// Reads the mark; zero where there is none, as in a new folder and in one of an older version. Refuses a folder whose
    /// data is gone, before the storage engine makes it anew.
    pub(crate) fn read(folder: &Path, kind: Kind) -> Result<Self, StoreError> {
        let noted = match fs::read(folder.join(LOW_WATER_FILE)) {
            // A mark that cannot be read tells at least that there was something.
            Ok(bytes) => std::str::from_utf8(&bytes).ok().and_then(parse).unwrap_or(1),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(io_error("reading the low-water mark", folder, &error)),
        };
        let mark = Self { folder: folder.to_owned(), kind, noted: AtomicU64::new(noted) };
        let data = fs::metadata(folder.join(DATA_FILE)).map_or(0, |metadata| metadata.len());
        if data == 0 {
            mark.check(0)?;
        }
        Ok(mark)
    }

    /// Refuses a store that holds less than it is known to have held.
    pub(crate) fn check(&self, found: u64) -> Result<(), StoreError> {
        let held = self.noted.load(Ordering::Relaxed);
        if found >= held {
            return Ok(());
        }
        let path = self.folder.display().to_string();
        Err(StoreError::Lost { path, held, found, mend: mend(self.kind) })
    }

    /// Writes the mark when what is durable has outgrown it by enough.
    pub(crate) fn note_in_time(&self, durable: u64) {
        let noted = self.noted.load(Ordering::Relaxed);
        if is_due(noted, durable) {
            self.note(durable);
        }
    }

    /// Writes the mark when more is durable than it says. That it could not be written stops nobody: the next time may do.
    pub(crate) fn note(&self, durable: u64) {
        if durable <= self.noted.load(Ordering::Relaxed) {
            return;
        }
        match write_whole(&self.folder, LOW_WATER_FILE, &format!("{LABEL} {durable}\n")) {
            Ok(()) => self.noted.store(durable, Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(path = %self.folder.display(), %error, "the low-water mark was not written");
            }
        }
    }
}

const fn is_due(noted: u64, durable: u64) -> bool {
    durable > noted && (durable >= noted.saturating_mul(2) || durable - noted >= STEP)
}

fn parse(text: &str) -> Option<u64> {
    text.strip_prefix(LABEL)?.trim().parse().ok()
}

/// What somebody has to do whose store has lost something.
const fn mend(kind: Kind) -> &'static str {
    match kind {
        Kind::Server => {
            "keep a copy of the data folder and restore a backup, or go on without what is gone: docs/operations.md, \
             \"When entries are gone\""
        }
        Kind::Field => {
            "what the centre has not received is gone with it: keep a copy of the folder, and enrol in a new one with a \
             new invite"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_written_seldom_and_soon_enough() {
        assert!(is_due(0, 1));
        assert!(!is_due(1, 1) && is_due(1, 2));
        assert!(!is_due(100, 199) && is_due(100, 200));
        let large = 100 * STEP;
        assert!(!is_due(large, large + STEP - 1) && is_due(large, large + STEP));
        assert!(!is_due(large, 1));
        let (mut noted, mut writes) = (0, 0);
        for durable in 1..=3_000_000 {
            if is_due(noted, durable) {
                (noted, writes) = (durable, writes + 1);
            }
        }
        assert!(writes <= 200, "{writes}");
    }

    #[test]
    fn a_mark_that_cannot_be_read_says_that_there_was_something() {
        let folder = tempfile::tempdir().unwrap();
        let read = || LowWater::read(folder.path(), Kind::Field);
        assert_eq!(read().unwrap().noted.into_inner(), 0);
        fs::write(folder.path().join(DATA_FILE), "data").unwrap();
        read().unwrap().note(12);
        assert_eq!(read().unwrap().noted.into_inner(), 12);
        for strange in ["", "hello", "toso low-water x"] {
            fs::write(folder.path().join(LOW_WATER_FILE), strange).unwrap();
            let mark = read().unwrap();
            assert!(mark.check(0).is_err() && mark.check(1).is_ok(), "{strange:?}");
        }
    }
}
