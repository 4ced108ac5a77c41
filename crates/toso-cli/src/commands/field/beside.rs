//! One folder and several commands: a folder is one process's at a time, and `sync --watch` holds a device's for hours. So it
//! lets go of the folder for as long as another command needs it.
//!
//! While it watches, the folder has a file `watched` with its process's number. A command that finds it makes a file `wanted`,
//! and removes that once it has the folder. The watcher sees it, lets go, and takes the folder again after that. Neither file
//! says anything that matters: one that a killed process has left costs the next command a moment.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toso_store::{ChunkStore, StoreError};

use crate::fail::Fail;

const WATCHED_FILE: &str = "watched";
const WANTED_FILE: &str = "wanted";
/// How often a watcher looks whether its folder is wanted: a person does not notice the wait.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// How long a watcher leaves its folder alone before it tries to take it again: the one that wants it tries every 20 ms.
const LEFT_ALONE: Duration = Duration::from_millis(300);
/// How often a watched folder is tried, a second each time: an exchange that is under way ends in between.
const TRIES: u32 = 5;

type Store = Arc<dyn ChunkStore>;

/// Opens a device's folder, also beside a watcher.
pub(super) fn open(home: &Path, open: impl Fn() -> Result<Store, StoreError>) -> Result<Store, Fail> {
    let watcher = fs::read_to_string(home.join(WATCHED_FILE)).ok();
    let _wanted = watcher.as_ref().map(|_| Mark::set(home, WANTED_FILE));
    let mut opened = open();
    for _ in 1..TRIES {
        if watcher.is_none() || !matches!(opened, Err(StoreError::InUse { .. })) {
            break;
        }
        // A watcher that saw the mark before it was ready for it looks again.
        let _again = Mark::set(home, WANTED_FILE);
        opened = open();
    }
    opened.map_err(|error| match (&error, watcher) {
        (StoreError::InUse { path }, Some(process)) => in_use(path, &process, "end that, and try again"),
        _ => Fail::new(error),
    })
}

/// Opens a device's folder to watch it. One that is watched does not make way for a second watcher.
pub(super) fn open_to_watch(home: &Path, open: impl Fn() -> Result<Store, StoreError>) -> Result<Store, Fail> {
    open().map_err(|error| match (&error, fs::read_to_string(home.join(WATCHED_FILE))) {
        (StoreError::InUse { path }, Ok(process)) => {
            in_use(path, &process, "a folder has one watcher; end that one before you start another")
        }
        _ => Fail::new(error),
    })
}

/// Says who may have the folder: the mark may be one that a killed process has left.
fn in_use(path: impl Display, process: &str, mend: &str) -> Fail {
    let process = process.trim();
    Fail::new(format!(
        "{path} is in use by another command, or by `toso field sync --watch` (process {process}, if it still runs); {mend}"
    ))
}

/// A file that says something of a folder for as long as this lives.
pub(super) struct Mark(PathBuf);

impl Mark {
    /// What a watcher says of its folder.
    pub(super) fn watched(home: &Path) -> Self {
        Self::set(home, WATCHED_FILE)
    }

    fn set(home: &Path, name: &str) -> Self {
        let mark = Self(home.join(name));
        mark.write();
        mark
    }

    /// Says it again, where another process may have said or removed it.
    pub(super) fn write(&self) {
        // Where it cannot be written, others are told that the folder is in use.
        let _ = fs::write(&self.0, format!("{}\n", std::process::id()));
    }

    /// True while no other process has put its own in its place.
    fn is_own(&self) -> bool {
        fs::read_to_string(&self.0).is_ok_and(|process| process.trim() == std::process::id().to_string())
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if self.is_own() {
            let _ = fs::remove_file(&self.0);
        }
    }
}

/// Waits until another command wants the folder.
pub(super) async fn wanted(home: &Path) {
    while !home.join(WANTED_FILE).exists() {
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// Takes the folder again, once nobody else has it.
pub(super) async fn take_again(home: &Path, open: impl Fn() -> Result<Store, StoreError>) -> Result<Store, Fail> {
    loop {
        tokio::time::sleep(LEFT_ALONE).await;
        match open() {
            Ok(store) => {
                // The command that made it has had the folder, or was killed.
                let _ = fs::remove_file(home.join(WANTED_FILE));
                return Ok(store);
            }
            Err(StoreError::InUse { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The story: a second watcher put its number over the first one's, and took the mark away when it ended. From then on
    /// the first one made way for nobody.
    #[test]
    fn a_mark_goes_with_the_process_whose_number_it_has() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(WATCHED_FILE);
        let mark = Mark::watched(home.path());
        fs::write(&path, "0\n").unwrap();
        drop(mark);
        assert!(path.exists(), "another's stays");
        let mark = Mark::watched(home.path());
        fs::remove_file(&path).unwrap();
        mark.write();
        assert!(path.exists(), "it is said again");
        drop(mark);
        assert!(!path.exists());
    }
}
