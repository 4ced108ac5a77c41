//! The list of what was shut out: `revocations.list` in the data folder, beside the root key.
//!
//! A backup holds the revocations of its day. A server that is restored from it would let in again whom an officer has shut
//! out since. So every revocation is also a line of this file, which lies outside the store and is no part of any backup.
//! The line is durable before the revocation is answered, and before its record is written: whatever a crash leaves, the
//! list has at least what the records have. A start joins the two; a restore brings the list of the folder that was lost.
//!
//! So has what lets somebody in who should be out by now: a used invite, which another key could use again, and where
//! a device was moved or enrolled anew, which would work where it was. These lines follow their records, since a move that
//! failed must not be done by the next start; a start adds what a crash left out.
//!
//! The file is text. Its first line names the format, each other line is one [`Entry`] with its time:
//!
//! ```text
//! toso-revocations-1 CHECK
//! server SERVER MS CHECK
//! device DEVICE MS CHECK
//! invite HASH-OF-ITS-SECRET MS CHECK
//! used HASH-OF-ITS-SECRET:AUTHOR MS CHECK
//! placed DEVICE:UNIT:ROLE:MOVES MS CHECK
//! seen - MS CHECK
//! ```
//!
//! CHECK is 16 bytes of BLAKE3 over the CHECK before and the line's own text, so that a line that is missing, added or
//! changed in the middle shows. A last line without its end was never answered, and is cut off; any other damage stops the
//! start, since a list that forgets quietly is worse than none. What an editor adds (a mark of byte order, ends of lines as
//! on Windows, empty lines) is taken away.
//!
//! A backup has in its records the CHECK of the `seen` line that was written when it was begun ([`Revocations::seen`]). A list
//! that has this line goes on past the backup, whatever the clock said then.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use toso_core::id::{AuthorId, DeviceId, ServerId};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::StoreError;
use toso_sync::AccessRole;

use super::keys::{KeyError, write_private};
use crate::bounded;

/// The list's file in the data folder.
pub const REVOCATIONS_FILE: &str = "revocations.list";
/// First word of the file; a later layout takes another number.
const LABEL: &str = "toso-revocations-1";
/// Bytes of a line's check.
pub(crate) const CHECK_BYTES: usize = 16;
/// The largest list that is read: a line has about 130 bytes, so half a million of them. All devices of a country, each
/// invited, moved and revoked once, are a third of that.
const LIST_BYTES_MAX: u64 = 64 << 20;
/// From this size on each new line warns the operator: three quarters, so that 120,000 lines are left.
const LIST_BYTES_WARNED: u64 = LIST_BYTES_MAX / 4 * 3;
/// What is told once there is no room for a line: a longer list could not be read by the next start.
const FULL_TEXT: &str = "the list of revocations is full: stop the server, copy revocations.list to a safe place, move it away, \
     and start again, which makes it anew from the records; it";

/// What to do about the list of a server's own folder that cannot be read.
const OWN_REMEDY: &str = "put a good copy of the list in its place, or move it away: the next start makes it anew from the \
     records, which have every revocation since the last restore";
/// The same for one that a restore or import is to join.
const GIVEN_REMEDY: &str = "name a good copy of the list with --revocations; if there is none, move this one away: the server \
     then starts in quarantine, until `toso quarantine end` says who is shut out";

/// Where a device belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Placement {
    /// The unit.
    pub unit: UnitRef,
    /// Its role there.
    pub role: AccessRole,
    /// How often it was placed anew: of two placements the one of more moves is the newer.
    pub moves: u32,
}

/// What a line of the list says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Whose list it is.
    Server(ServerId),
    /// A device was shut out.
    Device(DeviceId),
    /// An invite was withdrawn: BLAKE3 of its secret.
    Invite([u8; 32]),
    /// An invite, by BLAKE3 of its secret, was used by a device.
    Used([u8; 32], AuthorId),
    /// A device was moved, or has enrolled anew.
    Placed(DeviceId, Placement),
    /// The list was complete at this time: at a start, and when a backup was begun.
    Seen,
}

impl Entry {
    fn words(self) -> (&'static str, String) {
        match self {
            Self::Server(server) => ("server", server.to_string()),
            Self::Device(device) => ("device", device.to_string()),
            Self::Invite(hash) => ("invite", HEXLOWER.encode(&hash)),
            Self::Used(hash, by) => ("used", format!("{}:{}", HEXLOWER.encode(&hash), HEXLOWER.encode(&by.0))),
            Self::Placed(device, Placement { unit, role, moves }) => {
                ("placed", format!("{device}:{unit}:{}:{moves}", role.word()))
            }
            Self::Seen => ("seen", "-".to_owned()),
        }
    }

    fn parse(kind: &str, what: &str) -> Option<Self> {
        match kind {
            "server" => what.parse().ok().map(Self::Server),
            "device" => what.parse().ok().map(Self::Device),
            "invite" => digits(what).map(Self::Invite),
            "used" => {
                what.split_once(':').and_then(|(hash, by)| Some(Self::Used(digits(hash)?, AuthorId(digits(by)?))))
            }
            "placed" => {
                let mut parts = what.split(':');
                let device = parts.next()?.parse().ok()?;
                let (unit, role) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
                let moves = parts.next()?.parse().ok()?;
                parts.next().is_none().then_some(Self::Placed(device, Placement { unit, role, moves }))
            }
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
    /// Invites that were used, by the hash of their secret, and by whom.
    pub used: HashMap<[u8; 32], AuthorId>,
    /// Devices that were moved, or have enrolled anew.
    pub placed: HashMap<DeviceId, Placement>,
    /// Checks of the lines that say when it was complete.
    seen: HashSet<[u8; CHECK_BYTES]>,
    /// The last time in it.
    pub last: TimestampMs,
    check: [u8; CHECK_BYTES],
    /// Bytes of whole lines.
    bytes: u64,
}

impl Listed {
    /// Reads a list that is to be joined; `None` when there is none. A line that was being written when the power went is
    /// left out.
    pub fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        Ok(Self::read_mended(path, GIVEN_REMEDY)?.map(|(listed, _)| listed))
    }

    /// The same, and the file's text as it should be, should an editor have changed it.
    fn read_mended(path: &Path, remedy: &str) -> Result<Option<(Self, Option<String>)>, StoreError> {
        let wrong = |number: usize, detail: &str| damaged(path, number, detail, remedy);
        let raw = match bounded::read(path, LIST_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Err(wrong(1, &error.to_string())),
            read => read.map_err(|error| failed("reading", path, &error))?,
        };
        let text = without_editors_marks(&raw);
        let mut is_mended = matches!(text, Cow::Owned(_));
        let mut listed = Self { check: check([0; CHECK_BYTES], LABEL), ..Self::default() };
        for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if let Some(whole) = line.strip_suffix(b"\n") {
                listed.line(number, whole).map_err(|detail| wrong(number + 1, detail))?;
            } else if listed.line(number, line).is_ok() {
                // Whole but for its end, which an editor has taken away.
                is_mended = true;
            }
        }
        if listed.bytes == 0 {
            return Err(wrong(1, "it is cut off"));
        }
        let kept = usize::try_from(listed.bytes).unwrap_or_default();
        let text =
            is_mended.then(|| String::from_utf8_lossy(text.get(..kept - 1).unwrap_or(&text)).into_owned() + "\n");
        Ok(Some((listed, text)))
    }

    /// Takes one line, without its end. On an error nothing of it is taken.
    fn line(&mut self, number: usize, whole: &[u8]) -> Result<(), &'static str> {
        let text = std::str::from_utf8(whole).map_err(|_| "it is no text")?;
        let (text, end) = text.rsplit_once(' ').ok_or("it has no check")?;
        if number == 0 {
            if (text, end) != (LABEL, HEXLOWER.encode(&self.check).as_str()) {
                return Err("it is no list of revocations, or of a newer version");
            }
        } else {
            let next = check(self.check, text);
            if end != HEXLOWER.encode(&next) {
                return Err("its check is wrong");
            }
            let (entry, at) = parse(text).ok_or("it says what this version does not know")?;
            self.take(entry, at, next);
        }
        self.bytes += whole.len() as u64 + 1;
        Ok(())
    }

    /// True when it goes on past a backup that has this check in its records.
    pub(crate) fn has_seen(&self, check: &[u8; CHECK_BYTES]) -> bool {
        self.seen.contains(check)
    }

    /// True when the list says so already.
    fn knows(&self, entry: Entry) -> bool {
        match entry {
            Entry::Server(server) => self.server == Some(server),
            Entry::Device(device) => self.devices.contains(&device),
            Entry::Invite(hash) => self.invites.contains(&hash),
            Entry::Used(hash, _) => self.used.contains_key(&hash),
            Entry::Placed(device, placed) => self.placed.get(&device).is_some_and(|known| known.moves >= placed.moves),
            Entry::Seen => false,
        }
    }

    fn take(&mut self, entry: Entry, at: TimestampMs, check: [u8; CHECK_BYTES]) {
        let is_known = self.knows(entry);
        match entry {
            Entry::Server(server) => self.server = Some(server),
            Entry::Device(device) => _ = self.devices.insert(device),
            Entry::Invite(hash) => _ = self.invites.insert(hash),
            Entry::Used(..) | Entry::Placed(..) if is_known => {}
            Entry::Used(hash, by) => _ = self.used.insert(hash, by),
            Entry::Placed(device, placed) => _ = self.placed.insert(device, placed),
            Entry::Seen => _ = self.seen.insert(check),
        }
        self.last = self.last.max(at);
        self.check = check;
    }

    /// Its entries, those of one kind together.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        let devices = self.devices.iter().copied().map(Entry::Device);
        let used = self.used.iter().map(|(hash, by)| Entry::Used(*hash, *by));
        let placed = self.placed.iter().map(|(device, placed)| Entry::Placed(*device, *placed));
        devices.chain(self.invites.iter().copied().map(Entry::Invite)).chain(used).chain(placed)
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
        let Some((listed, mended)) = Listed::read_mended(&path, OWN_REMEDY)? else {
            return Ok(Self(Mutex::new(State { listed: Listed::default(), place: Place::Missing(path) })));
        };
        if let Some(text) = mended {
            write_private(&path, &text).map_err(|error| match error {
                KeyError::Store(error) => error,
                KeyError::Io { operation, path, detail } => StoreError::Io { operation, path, detail },
                other @ (KeyError::Missing { .. }
                | KeyError::ForeignKey { .. }
                | KeyError::Malformed { .. }
                | KeyError::Random { .. }
                | KeyError::Token { .. }) => {
                    StoreError::Io { operation: "writing", path: path.display().to_string(), detail: other.to_string() }
                }
            })?;
        }
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
        let (mut new, mut once) = (Vec::new(), HashSet::new());
        for entry in entries {
            if !state.listed.knows(*entry) && once.insert(*entry) {
                new.push(*entry);
            }
        }
        state.append(&new, at)
    }

    /// Notes that the list is complete now, durably, and gives that line's check, which belongs into a backup that is begun now.
    /// `None` where there is no list.
    pub(crate) fn seen(&self, at: TimestampMs) -> Result<Option<[u8; CHECK_BYTES]>, StoreError> {
        let mut state = self.0.lock();
        if matches!(state.place, Place::Missing(_)) {
            return Ok(None);
        }
        state.append(&[Entry::Seen], at)?;
        Ok(Some(state.listed.check))
    }

    /// Where the list has a device.
    pub(super) fn placement(&self, device: DeviceId) -> Option<Placement> {
        self.0.lock().listed.placed.get(&device).copied()
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
        let mut checks = Vec::with_capacity(entries.len());
        for entry in entries {
            let (kind, what) = entry.words();
            let line = format!("{kind} {what} {}", at.0);
            last = check(last, &line);
            checks.push(last);
            text.extend([line.as_str(), " ", HEXLOWER.encode(&last).as_str(), "\n"]);
        }
        if let Place::File(path, file, in_doubt) = &mut self.place {
            if *in_doubt {
                let cause = "a line of the list could not be written".to_owned();
                return Err(StoreError::Poisoned { path: path.display().to_string(), cause });
            }
            let bytes = self.listed.bytes.saturating_add(text.len() as u64);
            if bytes > LIST_BYTES_MAX {
                let (bytes, max) = (
                    usize::try_from(bytes).unwrap_or(usize::MAX),
                    usize::try_from(LIST_BYTES_MAX).unwrap_or(usize::MAX),
                );
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
        for (entry, check) in entries.iter().zip(checks) {
            self.listed.take(*entry, at, check);
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

fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// A list without what an editor adds: a mark of byte order, a return before the end of a line, empty lines.
fn without_editors_marks(raw: &[u8]) -> Cow<'_, [u8]> {
    let body = raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw);
    let mut plain = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let (line, end) = line.strip_suffix(b"\n").map_or((line, b"".as_slice()), |line| (line, b"\n"));
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            plain.extend_from_slice(line);
            plain.extend_from_slice(end);
        }
    }
    if plain == raw { Cow::Borrowed(raw) } else { Cow::Owned(plain) }
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

fn damaged(path: &Path, line: usize, detail: &str, remedy: &str) -> StoreError {
    StoreError::Damaged {
        path: path.display().to_string(),
        place: format!("line {line}"),
        detail: format!("{detail}; {remedy}"),
    }
}

#[cfg(test)]
mod tests;
