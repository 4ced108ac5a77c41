//! The list of revocations that a restored server begins with: what is found of it, and whether it can be whole.
//!
//! It is looked for where it lies beside a root key: in the target folder, beside the key that was named, and where the
//! operator says. One that lacks the line that was written when the backup was begun is an old copy: it is joined, and does
//! not count as whole. A backup of before names no such line; then the time of the list's last line is asked.

use std::fs;
use std::path::{Path, PathBuf};

use toso_core::time::TimestampMs;
use toso_store::export::Header;

use super::{UpkeepError, failed, parent, show};
use crate::trust::{CHECK_BYTES, Entry, Listed, REVOCATIONS_FILE, Revocations};

/// What a restore knew of revocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The lists that were joined.
    pub from: Vec<PathBuf>,
    /// Devices on them.
    pub devices: usize,
    /// Withdrawn invites on them.
    pub invites: usize,
    /// Used invites on them.
    pub used: usize,
    /// Devices on them that were moved, or have enrolled anew.
    pub placed: usize,
    /// The time of the last line.
    pub last: TimestampMs,
    /// True when a list goes on past the backup. Else the server starts in quarantine.
    pub is_complete: bool,
}

/// Lists that were found.
pub(super) struct Lists {
    /// With where each lies; one in the target folder comes first.
    found: Vec<(PathBuf, Listed)>,
    /// True when the first lies in the target folder.
    is_there: bool,
    pub(super) joined: Joined,
}

impl Lists {
    /// Finds them. `data` is the target folder.
    pub(super) fn find(
        data: &Path,
        key: Option<&Path>,
        given: Option<&Path>,
        header: &Header,
        mark: Option<[u8; CHECK_BYTES]>,
    ) -> Result<Self, UpkeepError> {
        let there = data.join(REVOCATIONS_FILE);
        let beside_key = key.map(|key| parent(key).join(REVOCATIONS_FILE));
        let paths = [Some(there.clone()), given.map(Path::to_path_buf), beside_key];
        let mut found: Vec<(PathBuf, Listed)> = Vec::new();
        for path in paths.into_iter().flatten() {
            let Some(listed) = Listed::read(&path)? else {
                if given == Some(path.as_path()) {
                    return Err(UpkeepError::NoList { path: show(&path) });
                }
                continue;
            };
            if let Some(server) = listed.server.filter(|server| *server != header.server) {
                let (found, expected) = (server.to_string(), header.server.to_string());
                return Err(UpkeepError::ForeignList { path: show(&path), found, expected });
            }
            if !found.iter().any(|(_, known)| *known == listed) {
                found.push((path, listed));
            }
        }
        let last = found.iter().map(|(_, listed)| listed.last).max().unwrap_or_default();
        let devices: std::collections::HashSet<_> = found.iter().flat_map(|(_, listed)| &listed.devices).collect();
        let invites: std::collections::HashSet<_> = found.iter().flat_map(|(_, listed)| &listed.invites).collect();
        let joined = Joined {
            from: found.iter().map(|(path, _)| path.clone()).collect(),
            devices: devices.len(),
            invites: invites.len(),
            used: found.iter().map(|(_, listed)| listed.used.len()).max().unwrap_or_default(),
            placed: found.iter().map(|(_, listed)| listed.placed.len()).max().unwrap_or_default(),
            last,
            is_complete: match mark {
                Some(mark) => found.iter().any(|(_, listed)| listed.has_seen(&mark)),
                None => !found.is_empty() && last >= header.exported_at,
            },
        };
        let is_there = found.first().is_some_and(|(path, _)| *path == there);
        Ok(Self { found, is_there, joined })
    }

    /// Puts what was found into the list of the new server: the one that is there gets what it lacks, else a copy is made.
    pub(super) fn write(&self, data: &Path, building: &Path, now: TimestampMs) -> Result<(), UpkeepError> {
        let Some((first, _)) = self.found.first() else { return Ok(()) };
        let folder = if self.is_there { data } else { building };
        if !self.is_there {
            let copy = building.join(REVOCATIONS_FILE);
            // Whatever the file's own mode, which the copy takes over: the folder around it is the owner's alone.
            fs::copy(first, &copy).map_err(failed("copying", first))?;
            fs::File::open(&copy).and_then(|copy| copy.sync_all()).map_err(failed("syncing", &copy))?;
        }
        let list = Revocations::open(folder)?;
        for (_, listed) in self.found.iter().skip(1) {
            let entries: Vec<Entry> = listed.entries().collect();
            list.add_all(&entries, now)?;
        }
        Ok(())
    }
}
