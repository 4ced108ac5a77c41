//! The list of what was shut out: `revocations.list` in the data folder, beside the root key.
//!
//! A backup holds the revocations of its day. A server that is restored from it would let in again whom an officer has shut
//! out since. So every revocation is also a line of this file, which lies outside the store and is no part of any backup.
//! The line is durable before the revocation is answered, and before its record is written: whatever a crash leaves, the
//! list has at least what the records have. A start joins the two; a restore brings the list of the folder that was lost.
//!
//! The file is text. Its first line names the format, each other line is one [`Entry`] with its time:
//!
//! ```text
//! toso-revocations-1 CHECK
//! server SERVER MS CHECK
//! device DEVICE MS CHECK
//! invite HASH-OF-ITS-SECRET MS CHECK
//! seen - MS CHECK
//! ```
//!
//! CHECK is 16 bytes of BLAKE3 over the CHECK before and the line's own text, so that a line that is missing, added or
//! changed in the middle shows. A last line without its end was never answered, and is cut off; any other damage stops the
//! start, since a list that forgets quietly is worse than none.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use toso_core::id::{DeviceId, ServerId};
use toso_core::time::TimestampMs;
use toso_store::StoreError;

use super::keys::{KeyError, write_private};

/// The list's file in the data folder.
pub const REVOCATIONS_FILE: &str = "revocations.list";
/// First word of the file; a later layout takes another number.
const LABEL: &str = "toso-revocations-1";
/// Bytes of a line's check.
const CHECK_BYTES: usize = 16;
/// The largest list that is read: a line has about 130 bytes, so half a million of them. All devices of a country twice over
/// are a tenth of that.
const LIST_BYTES_MAX: u64 = 64 << 20;
/// From this size on each new line warns the operator: three quarters, so that 120,000 lines are left.
const LIST_BYTES_WARNED: u64 = LIST_BYTES_MAX / 4 * 3;
/// What is told once there is no room for a line: a longer list could not be read by the next start.
const FULL_TEXT: &str = "the list of revocations is full: stop the server, copy revocations.list to a safe place, move it away, \
     and start again, which makes it anew from the records; it";

/// What a line of the list says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Whose list it is.
    Server(ServerId),
    /// A device was shut out.
    Device(DeviceId),
    /// An invite was withdrawn: BLAKE3 of its secret.
    Invite([u8; 32]),
    /// The list was complete at this time: at a start, and when a backup was begun.
    Seen,
}

impl Entry {
    fn words(self) -> (&'static str, String) {
        match self {
            Self::Server(server) => ("server", server.to_string()),
            Self::Device(device) => ("device", device.to_string()),
            Self::Invite(hash) => ("invite", HEXLOWER.encode(&hash)),
            Self::Seen => ("seen", "-".to_owned()),
        }
    }

    fn parse(kind: &str, what: &str) -> Option<Self> {
        match kind {
            "server" => what.parse().ok().map(Self::Server),
            "device" => what.parse().ok().map(Self::Device),
            "invite" => HEXLOWER.decode(what.as_bytes()).ok().and_then(|hash| hash.try_into().ok()).map(Self::Invite),
            "seen" => (what == "-").then_some(Self::Seen),
            _ => None,
        }
    }
}

/// What a list says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Whose it is.
    pub server: Option<ServerId>,
    /// Devices that were shut out.
    pub devices: HashSet<DeviceId>,
    /// Invites that were withdrawn, by the hash of their secret.
    pub invites: HashSet<[u8; 32]>,
    /// The last time in it.
    pub last: TimestampMs,
    check: [u8; CHECK_BYTES],
    /// Bytes of whole lines.
    bytes: u64,
}

impl Listed {
    /// Reads a list; `None` when there is none. A line that was being written when the power went is left out.
    pub fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        let text = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(metadata) if metadata.len() > LIST_BYTES_MAX => {
                return Err(damaged(path, 1, &format!("the file has more than {LIST_BYTES_MAX} bytes")));
            }
            _ => fs::read(path).map_err(|error| failed("reading", path, &error))?,
        };
        let mut listed = Self { check: check([0; CHECK_BYTES], LABEL), ..Self::default() };
        for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let Some(whole) = line.strip_suffix(b"\n") else { break };
            let wrong = |detail: &str| damaged(path, number + 1, detail);
            let whole = std::str::from_utf8(whole).map_err(|_| wrong("it is no text"))?;
            let (text, end) = whole.rsplit_once(' ').ok_or_else(|| wrong("it has no check"))?;
            if number == 0 {
                if (text, end) != (LABEL, HEXLOWER.encode(&listed.check).as_str()) {
                    return Err(wrong("it is no list of revocations, or of a newer version"));
                }
            } else {
                let next = check(listed.check, text);
                if end != HEXLOWER.encode(&next) {
                    return Err(wrong("its check is wrong"));
                }
                let (entry, at) = parse(text).ok_or_else(|| wrong("it says what this version does not know"))?;
                listed.take(entry, at);
                listed.check = next;
            }
            listed.bytes += line.len() as u64;
        }
        if listed.bytes == 0 {
            return Err(damaged(path, 1, "it is cut off"));
        }
        Ok(Some(listed))
    }

    /// True when the list says so already.
    fn knows(&self, entry: Entry) -> bool {
        match entry {
            Entry::Server(server) => self.server == Some(server),
            Entry::Device(device) => self.devices.contains(&device),
            Entry::Invite(hash) => self.invites.contains(&hash),
            Entry::Seen => false,
        }
    }

    fn take(&mut self, entry: Entry, at: TimestampMs) {
        match entry {
            Entry::Server(server) => self.server = Some(server),
            Entry::Device(device) => _ = self.devices.insert(device),
            Entry::Invite(hash) => _ = self.invites.insert(hash),
            Entry::Seen => {}
        }
        self.last = self.last.max(at);
    }

    /// Its entries, those of one kind together.
    fn entries(&self) -> impl Iterator<Item = Entry> {
        let devices = self.devices.iter().copied().map(Entry::Device);
        devices.chain(self.invites.iter().copied().map(Entry::Invite))
    }
}

/// The list of a server that runs.
pub struct Revocations(Mutex<State>);

struct State {
    listed: Listed,
    place: Place,
}

enum Place {
    /// In no folder: a simulation.
    Memory,
    /// It will be made here, once an operator has said what belongs into it.
    Missing(PathBuf),
    /// It is there; `true` once a write failed in a way that leaves its end in doubt.
    File(PathBuf, File, bool),
}

impl Revocations {
    /// A list in memory alone.
    pub(super) fn in_memory() -> Self {
        Self(Mutex::new(State { listed: Listed::default(), place: Place::Memory }))
    }

    /// Opens the list of a data folder, of which there may be none yet.
    pub(crate) fn open(data: &Path) -> Result<Self, StoreError> {
        let path = data.join(REVOCATIONS_FILE);
        let Some(listed) = Listed::read(&path)? else {
            return Ok(Self(Mutex::new(State { listed: Listed::default(), place: Place::Missing(path) })));
        };
        let file = OpenOptions::new().append(true).open(&path).map_err(|error| failed("opening", &path, &error))?;
        // What was being written when the last process ended.
        let cut = file.set_len(listed.bytes).and_then(|()| file.sync_all());
        cut.map_err(|error| failed("cutting off", &path, &error))?;
        Ok(Self(Mutex::new(State { listed, place: Place::File(path, file, false) })))
    }

    /// True when there is a list that outlives the process.
    pub fn is_kept(&self) -> bool {
        matches!(self.0.lock().place, Place::File(..))
    }

    /// Makes the file where there is none yet. The folder gets it whole or not at all.
    pub(super) fn make(&self) -> Result<(), KeyError> {
        let mut state = self.0.lock();
        let Place::Missing(path) = &state.place else { return Ok(()) };
        let path = path.clone();
        let begun = check([0; CHECK_BYTES], LABEL);
        let text = format!("{LABEL} {}\n", HEXLOWER.encode(&begun));
        write_private(&path, &text)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(|error| failed("opening", &path, &error))?;
        let entries: Vec<Entry> = state.listed.entries().collect();
        let at = state.listed.last;
        state.listed = Listed { check: begun, bytes: text.len() as u64, ..Listed::default() };
        state.place = Place::File(path, file, false);
        Ok(state.append(&entries, at)?)
    }

    /// Notes an entry, durable when this returns. What the list says already costs nothing.
    ///
    /// Before what it stands for is answered or written anywhere else: a crash in between shuts somebody out whom nobody
    /// was told of, and the officer who repeats it finds it done.
    pub fn add(&self, entry: Entry, at: TimestampMs) -> Result<(), StoreError> {
        self.add_all(&[entry], at)
    }

    /// The same for several, with one write.
    pub fn add_all(&self, entries: &[Entry], at: TimestampMs) -> Result<(), StoreError> {
        let mut state = self.0.lock();
        let mut new: Vec<Entry> = Vec::new();
        for entry in entries {
            if !state.listed.knows(*entry) && !new.contains(entry) {
                new.push(*entry);
            }
        }
        state.append(&new, at)
    }

    /// True when a device is on the list.
    pub fn has_device(&self, device: DeviceId) -> bool {
        self.0.lock().listed.devices.contains(&device)
    }

    /// What the list says now.
    pub fn listed(&self) -> Listed {
        self.0.lock().listed.clone()
    }
}

impl State {
    fn append(&mut self, entries: &[Entry], at: TimestampMs) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let (mut text, mut last) = (String::new(), self.listed.check);
        for entry in entries {
            let (kind, what) = entry.words();
            let line = format!("{kind} {what} {}", at.0);
            last = check(last, &line);
            text.extend([line.as_str(), " ", HEXLOWER.encode(&last).as_str(), "\n"]);
        }
        if let Place::File(path, file, in_doubt) = &mut self.place {
            if *in_doubt {
                let cause = "a line of the list could not be written".to_owned();
                return Err(StoreError::Poisoned { path: path.display().to_string(), cause });
            }
            let bytes = self.listed.bytes.saturating_add(text.len() as u64);
            if bytes > LIST_BYTES_MAX {
                let (bytes, max) = (usize::try_from(bytes).unwrap_or(usize::MAX), LIST_BYTES_MAX as usize);
                return Err(StoreError::TooLarge { what: FULL_TEXT, bytes, max });
            }
            if bytes > LIST_BYTES_WARNED {
                tracing::warn!(
                    bytes,
                    max = LIST_BYTES_MAX,
                    "the list of revocations is nearly full; see docs/operations.md"
                );
            }
            let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
            if let Err(error) = written {
                // Nothing of it counts. Where even that cannot be made sure, the next start cuts off what is no whole line.
                *in_doubt = file.set_len(self.listed.bytes).and_then(|()| file.sync_all()).is_err();
                return Err(failed("writing", path, &error));
            }
            self.listed.bytes += text.len() as u64;
        }
        self.listed.check = last;
        for entry in entries {
            self.listed.take(*entry, at);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Revocations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Revocations").field("devices", &self.0.lock().listed.devices.len()).finish_non_exhaustive()
    }
}

fn parse(text: &str) -> Option<(Entry, TimestampMs)> {
    let mut words = text.split(' ');
    let entry = Entry::parse(words.next()?, words.next()?)?;
    let at = words.next()?.parse().ok()?;
    words.next().is_none().then_some((entry, TimestampMs(at)))
}

fn check(before: [u8; CHECK_BYTES], text: &str) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before).update(text.as_bytes());
    let mut check = [0; CHECK_BYTES];
    hasher.finalize_xof().fill(&mut check);
    check
}

fn failed(operation: &'static str, path: &Path, error: &io::Error) -> StoreError {
    let path = path.display().to_string();
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return StoreError::Full { operation, path };
    }
    StoreError::Io { operation, path, detail: error.to_string() }
}

fn damaged(path: &Path, line: usize, detail: &str) -> StoreError {
    StoreError::Damaged {
        path: path.display().to_string(),
        place: format!("line {line}"),
        detail: format!(
            "{detail}; put a good copy of the list in its place, or move it away: the next start makes it anew from the \
             records, which have every revocation since the last restore"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimestampMs = TimestampMs(1_663_545_600_000);

    fn device(number: u8) -> Entry {
        Entry::Device(DeviceId::from_public_key(&[number; 32]))
    }

    fn made(folder: &Path) -> Revocations {
        let list = Revocations::open(folder).unwrap();
        assert!(!list.is_kept());
        list.make().unwrap();
        list
    }

    #[test]
    fn what_was_added_is_there_after_any_end_of_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let list = made(folder.path());
        for entry in [device(1), Entry::Invite([7; 32]), device(1), Entry::Server(ServerId([3; 16])), Entry::Seen] {
            list.add(entry, NOW).unwrap();
        }
        let path = folder.path().join(REVOCATIONS_FILE);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 5, "each thing once");
        // A line that was being written, as the power may leave it: a part of it, or nothing but zeros.
        for torn in [&b"device 01"[..], &[0; 100]] {
            OpenOptions::new().append(true).open(&path).unwrap().write_all(torn).unwrap();
            let again = Revocations::open(folder.path()).unwrap();
            assert!(again.is_kept() && again.listed().invites == HashSet::from([[7; 32]]));
            assert_eq!(again.listed(), list.listed());
        }
        let again = Revocations::open(folder.path()).unwrap();
        again.add(device(2), NOW).unwrap();
        let listed = Listed::read(&path).unwrap().unwrap();
        assert_eq!((listed.devices.len(), listed.server, listed.last), (2, Some(ServerId([3; 16])), NOW));
    }

    /// What is written must be read again: a list that had grown past the limit would have stopped the next start.
    #[test]
    fn a_full_list_takes_no_line_more_and_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let list = made(folder.path());
        list.add(device(1), NOW).unwrap();
        let before = list.listed().bytes;
        list.add(device(2), NOW).unwrap();
        let line = list.listed().bytes - before;
        list.0.lock().listed.bytes = LIST_BYTES_MAX - line + 1;
        let refused = list.add(device(3), NOW).unwrap_err();
        assert!(
            matches!(refused, StoreError::TooLarge { .. }) && refused.to_string().contains("move it away"),
            "{refused}"
        );
        assert!(!list.has_device(DeviceId::from_public_key(&[3; 32])), "nothing of it counts");
        list.0.lock().listed.bytes = LIST_BYTES_MAX - line;
        list.add(device(3), NOW).unwrap();
        assert_eq!(list.listed().bytes, LIST_BYTES_MAX);
        assert_eq!(Listed::read(&folder.path().join(REVOCATIONS_FILE)).unwrap().unwrap().devices.len(), 3);
    }

    /// A list that forgets is the way back in, so no damage may pass for a shorter list.
    #[test]
    fn a_line_that_was_changed_added_or_taken_out_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let list = made(folder.path());
        for number in 1..=4 {
            list.add(device(number), NOW).unwrap();
        }
        let path = folder.path().join(REVOCATIONS_FILE);
        let whole = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        let without = |left_out: usize| {
            let kept = lines.iter().enumerate().filter(|(number, _)| *number != left_out);
            kept.flat_map(|(_, line)| [*line, "\n"]).collect::<String>()
        };
        for left_out in 0..lines.len() - 1 {
            fs::write(&path, without(left_out)).unwrap();
            assert!(matches!(Listed::read(&path), Err(StoreError::Damaged { .. })), "line {left_out} is missing");
        }
        for place in (0..whole.len() - 1).step_by(7) {
            let mut bytes = whole.clone().into_bytes();
            bytes[place] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert!(matches!(Listed::read(&path), Err(StoreError::Damaged { .. })), "byte {place} is another");
        }
        fs::write(&path, format!("{whole}{}\n", lines[2])).unwrap();
        assert!(matches!(Revocations::open(folder.path()), Err(StoreError::Damaged { .. })), "a line comes twice");
        fs::write(&path, "").unwrap();
        assert!(matches!(Listed::read(&path), Err(StoreError::Damaged { .. })), "emptied");
    }
}
