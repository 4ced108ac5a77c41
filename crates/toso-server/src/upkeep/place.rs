//! Where a data folder is made, or a file is written: looked at before anything is done, links followed.
//!
//! A folder is built beside its place and renamed into it. That works within one file system and over a real folder, not
//! over a link or a mount. So a link is followed first, and everything happens where it leads; what leads nowhere, to a
//! file, or to a mount is told before the first byte is written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{LOG_FOLDER, UpkeepError, failed, parent, show, sync_folder};
use crate::trust::{REVOCATIONS_FILE, ROOT_KEY_FILE};

/// A place for a new data folder.
#[derive(Debug)]
pub(super) struct Place {
    /// The folder itself, behind every link.
    pub(super) path: PathBuf,
    before: Before,
}

/// What is there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing, or an empty folder: the whole folder is renamed into place.
    Free,
    /// A folder with root key or list: what is built is renamed into it, the database last.
    WithKeys,
}

impl Place {
    /// Looks at the place, and says why no data can be put there.
    pub(super) fn look(data: &Path) -> Result<Self, UpkeepError> {
        let given = std::path::absolute(data).map_err(failed("finding", data))?;
        let path = match fs::symlink_metadata(&given) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                let folder = parent(&given);
                let real = fs::canonicalize(&folder).map_err(|error| {
                    unfit(data, format!("the folder {} cannot be used: {error}; make it first", folder.display()))
                })?;
                if !real.is_dir() {
                    return Err(unfit(data, format!("{} is no folder", real.display())));
                }
                let name = given.file_name().ok_or_else(|| unfit(data, "it has no name of its own".to_owned()))?;
                return Ok(Self { path: real.join(name), before: Before::Free });
            }
            Err(error) => return Err(failed("reading", data)(error)),
            Ok(metadata) => fs::canonicalize(&given).map_err(|error| {
                if metadata.is_symlink() { leads_nowhere(data, &given, &error) } else { failed("finding", data)(error) }
            })?,
        };
        if !path.is_dir() {
            return Err(unfit(data, format!("{} is a file, not a folder; choose another name", path.display())));
        }
        let before = Self::contents(&path)?;
        if is_mount(&path) {
            return Err(unfit(data, on_a_mount(&path)));
        }
        Ok(Self { path, before })
    }

    fn contents(path: &Path) -> Result<Before, UpkeepError> {
        let mut before = Before::Free;
        for entry in fs::read_dir(path).map_err(failed("reading", path))? {
            let name = entry.map_err(failed("reading", path))?.file_name();
            if name == ROOT_KEY_FILE || name == REVOCATIONS_FILE {
                before = Before::WithKeys;
            } else {
                let stranger = match name.to_string_lossy() {
                    name if name == LOG_FOLDER => "a server's data".to_owned(),
                    name => name.into_owned(),
                };
                return Err(UpkeepError::NotEmpty { path: show(path), stranger });
            }
        }
        Ok(before)
    }

    /// Puts what was built into its place. Before the last rename no data is visible, after it all of it.
    pub(super) fn take(&self, building: &Path) -> Result<(), UpkeepError> {
        let renamed = match self.before {
            // An empty folder is replaced by the system as part of the rename.
            Before::Free => fs::rename(building, &self.path).and_then(|()| sync_folder(&parent(&self.path))),
            Before::WithKeys => [ROOT_KEY_FILE, REVOCATIONS_FILE, LOG_FOLDER]
                .into_iter()
                .filter(|name| building.join(name).exists())
                .try_for_each(|name| fs::rename(building.join(name), self.path.join(name)))
                .and_then(|()| sync_folder(&self.path))
                .and_then(|()| fs::remove_dir_all(building)),
        };
        renamed.map_err(|error| {
            // A mount that could not be told before.
            if matches!(error.kind(), io::ErrorKind::CrossesDevices | io::ErrorKind::ResourceBusy) {
                return unfit(&self.path, on_a_mount(&self.path));
            }
            failed("naming", &self.path)(error)
        })
    }
}

/// Checks that a new file can be made under a name: nothing has it, not even a link, and its folder is there.
pub(super) fn look_for_file(to: &Path) -> Result<(), UpkeepError> {
    match fs::symlink_metadata(to) {
        Ok(metadata) if metadata.is_symlink() => {
            return Err(match fs::canonicalize(to) {
                Ok(real) => UpkeepError::Exists { path: format!("{} (a link to {})", to.display(), real.display()) },
                Err(error) => leads_nowhere(to, to, &error),
            });
        }
        Ok(_) => return Err(UpkeepError::Exists { path: show(to) }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("reading", to)(error)),
    }
    let folder = parent(to);
    match fs::metadata(&folder) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(unfit(to, format!("{} is no folder", folder.display()))),
        Err(error) => Err(unfit(to, format!("the folder {} cannot be used: {error}; make it first", folder.display()))),
    }
}

/// Checks that the database is a folder within the data folder, so that another can take its place.
pub(super) fn look_for_database(data: &Path) -> Result<(), UpkeepError> {
    let log = data.join(LOG_FOLDER);
    if fs::symlink_metadata(&log).is_ok_and(|metadata| metadata.is_symlink()) {
        let to = fs::read_link(&log).map(|to| to.display().to_string()).unwrap_or_default();
        let why = format!(
            "it is a link to {to}, and a new database would take the link's place while the old one stays where it is; \
             move the database itself here, or make the whole data folder the link"
        );
        return Err(unfit(&log, why));
    }
    if log.exists() && is_mount(&log) {
        return Err(unfit(&log, on_a_mount(&log)));
    }
    Ok(())
}

fn unfit(path: &Path, why: String) -> UpkeepError {
    UpkeepError::Unfit { path: show(path), why }
}

fn leads_nowhere(shown: &Path, link: &Path, error: &io::Error) -> UpkeepError {
    let to = fs::read_link(link).map(|to| to.display().to_string()).unwrap_or_default();
    unfit(
        shown,
        format!("it is a link to {to}, which cannot be followed ({error}); make what it leads to, or remove it"),
    )
}

fn on_a_mount(path: &Path) -> String {
    format!(
        "{} is a file system of its own, which no folder can take the place of; name a folder within it, such as {}",
        path.display(),
        path.join("centre").display()
    )
}

/// True for a folder that another file system begins at.
#[cfg(unix)]
fn is_mount(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    device(path) != device(&parent(path))
}

#[cfg(not(unix))]
fn is_mount(_path: &Path) -> bool {
    false
}
