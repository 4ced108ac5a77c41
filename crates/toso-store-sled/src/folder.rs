//! The folder of a store: who may read it, which process has it, and what is in it.
//!
//! `lock` is held while a store is open. `FORMAT` says in lines of text what the folder holds; it is written first, whole
//! and synced, so a folder without it holds nothing yet. In an encrypted folder it also has the data key, wrapped by the
//! app's key: one file, so that there is no moment at which one is there without the other. Everything else is sled's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use data_encoding::HEXLOWER;
use toso_store::{StoreError, StoreKeyMismatch};

use crate::key::{DataKey, StoreKey, UnwrapError};

/// The newest version of the layout that this crate reads.
pub const FORMAT_VERSION: u32 = FORMAT_ERASABLE;

/// The version of a plain folder; of a server's, one of which nothing is packed yet.
const FORMAT_PLAIN: u32 = 1;
/// The version of an encrypted folder: an older reader must not take its values for damage.
const FORMAT_ENCRYPTED: u32 = 2;
/// The version of a server's folder with packed runs, which an older reader would take for damage.
const FORMAT_PACKED: u32 = 3;
/// The version of a server's folder whose records are entries of its log: an older reader would find neither.
const FORMAT_LOGGED: u32 = 4;
/// The version of a server's folder in which changes may be erased, which an older reader would take for damage.
const FORMAT_ERASABLE: u32 = 5;
const _: () = assert!(FORMAT_PACKED < FORMAT_LOGGED && FORMAT_LOGGED < FORMAT_ERASABLE, "a server's, in their order");
/// The cipher, as `FORMAT` names it.
const CIPHER_NAME: &str = "xchacha20-poly1305";

const FORMAT_FILE: &str = "FORMAT";
const LOCK_FILE: &str = "lock";
/// How often and how long to wait for a process that has the folder and may be about to end: 50 × 20 ms = 1 s. One that was
/// killed is not gone at once, and one that starts another lends it its locks until that has begun.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// sled's configuration: lines of text and, last, their CRC-32 in little-endian.
const CONFIGURATION_FILE: &str = "conf";
/// sled's log of pages, the file that acknowledgements depend on.
pub(crate) const DATA_FILE: &str = "db";

/// Whose store a folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A phone's.
    Field,
    /// A server's.
    Server,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::Server => "server",
        }
    }
}

/// What FORMAT says of a folder of the expected kind.
#[derive(Debug)]
enum Format {
    /// With its number.
    Plain(u32),
    /// With the data key, wrapped by the app's key.
    Encrypted { wrapped: Vec<u8> },
}

/// A folder that this process holds.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Of an older format, which stays until its reader has made room for what is new.
    is_former: bool,
    /// Unlocked when dropped.
    _lock: File,
}

impl Folder {
    /// Takes the folder, making it when it is not there; refuses one that is in use, of another kind, newer, or
    /// encrypted. One of an older format keeps it until [`Self::mark_newest`].
    pub(crate) fn open(path: &Path, kind: Kind) -> Result<Self, StoreError> {
        let mut folder = Self::take(path)?;
        match folder.read_format(kind)? {
            Some(Format::Plain(found)) => folder.is_former = found != plain_version(kind),
            Some(Format::Encrypted { .. }) => return Err(folder.key_error(StoreKeyMismatch::NoKeyGiven)),
            None => folder.make(&plain_format(kind))?,
        }
        folder.ready()
    }

    /// Takes an encrypted folder and its data key, making both when they are not there.
    pub(crate) fn open_encrypted(path: &Path, kind: Kind, key: &StoreKey) -> Result<(Self, DataKey), StoreError> {
        let folder = Self::take(path)?;
        let data_key = match folder.read_format(kind)? {
            Some(Format::Encrypted { wrapped }) => folder.unwrap(&wrapped, key)?,
            Some(Format::Plain(_)) => return Err(folder.key_error(StoreKeyMismatch::NotEncrypted)),
            None => {
                let data_key = DataKey::random().map_err(|error| no_random(path, error))?;
                folder.make(&folder.encrypted_format(kind, &data_key, key)?)?;
                data_key
            }
        };
        Ok((folder.ready()?, data_key))
    }

    /// True for a folder whose FORMAT is older than what this version writes.
    pub(crate) fn is_former(&self) -> bool {
        self.is_former
    }

    /// Says in FORMAT that the folder is of the newest format. Before anything of it is written.
    pub(crate) fn mark_newest(&self, kind: Kind) -> Result<(), StoreError> {
        let marked = self.write_format(&plain_format(kind));
        marked.map_err(|error| io_error("writing the FORMAT file", &self.path, &error))
    }

    /// Wraps the data key by another key. The file is replaced whole, so exactly one of the two keys opens the folder at
    /// any moment.
    pub(crate) fn rotate_key(&self, old: &StoreKey, new: &StoreKey) -> Result<(), StoreError> {
        let kind = Kind::Field;
        let Some(Format::Encrypted { wrapped }) = self.read_format(kind)? else {
            return Err(self.key_error(StoreKeyMismatch::NotEncrypted));
        };
        let data_key = self.unwrap(&wrapped, old)?;
        self.write_format(&self.encrypted_format(kind, &data_key, new)?)
            .map_err(|error| io_error("writing the FORMAT file", &self.path, &error))
    }

    /// Makes the folder when it is not there, and takes its lock.
    fn take(path: &Path) -> Result<Self, StoreError> {
        let failed = |operation| move |error: io::Error| io_error(operation, path, &error);
        create_private_folder(path).map_err(failed("creating the folder"))?;
        let lock = private_file().open(path.join(LOCK_FILE)).map_err(failed("opening the lock file"))?;
        let mut tries = 1;
        loop {
            match fs4::FileExt::try_lock(&lock) {
                Ok(()) => return Ok(Self { path: path.to_owned(), is_former: false, _lock: lock }),
                Err(fs4::TryLockError::WouldBlock) if tries < LOCK_TRIES => {
                    tries += 1;
                    thread::sleep(LOCK_PAUSE);
                }
                Err(fs4::TryLockError::WouldBlock) => {
                    return Err(StoreError::InUse { path: path.display().to_string() });
                }
                Err(fs4::TryLockError::Error(error)) => return Err(io_error("locking the folder", path, &error)),
            }
        }
    }

    /// What FORMAT says; `None` when there is none, because the folder is new.
    fn read_format(&self, kind: Kind) -> Result<Option<Format>, StoreError> {
        match fs::read_to_string(self.path.join(FORMAT_FILE)) {
            Ok(text) => self.parse_format(&text, kind).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("reading the FORMAT file", &self.path, &error)),
        }
    }

    /// Makes a folder without a FORMAT a store, unless it is something else.
    fn make(&self, format: &str) -> Result<(), StoreError> {
        let failed = |operation| move |error: io::Error| io_error(operation, &self.path, &error);
        if self.path.join(DATA_FILE).exists() {
            return Err(self.damaged_format("it is missing beside data"));
        }
        if let Some(stranger) = self.stranger().map_err(failed("reading the folder"))? {
            // It is as it was: this lock is the only thing that taking it has made.
            fs::remove_file(self.path.join(LOCK_FILE)).map_err(failed("removing the lock file"))?;
            return Err(StoreError::NotEmpty { path: self.path.display().to_string(), stranger });
        }
        self.write_format(format).map_err(failed("writing the FORMAT file"))
    }

    /// The folder as sled may see it.
    fn ready(self) -> Result<Self, StoreError> {
        self.remove_unfinished().map_err(|error| io_error("removing unfinished files", &self.path, &error))?;
        Ok(self)
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file that no store made, in a folder without a FORMAT: another program's, or a server's around its log.
    fn stranger(&self) -> io::Result<Option<String>> {
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let ours =
                name == LOCK_FILE || name.starts_with(FORMAT_FILE) || name == CONFIGURATION_FILE || name == "blobs";
            if !ours && name != "lost+found" {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Removes what sled had begun and not finished when it was stopped, and would now take for damage.
    ///
    /// - A snapshot of its page table, which it writes beside the older one when it opens. sled 0.34 means to ignore an
    ///   unfinished one, but looks for another ending than it writes; a kill or a full disk during opening would make
    ///   the store unreadable for ever. Without it sled uses the older snapshot and its log, as it was meant to.
    /// - Its configuration, when not all of it is there. sled writes it once, without a sync, and then makes its data
    ///   file: a power cut may leave the one's name and length without what it says, and the other. What it says is the
    ///   same in every store of this crate, so sled may write it again.
    fn remove_unfinished(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("snap.") && name.ends_with(".generating") {
                fs::remove_file(&path)?;
            }
        }
        let configuration = self.path.join(CONFIGURATION_FILE);
        match fs::read(&configuration) {
            Ok(bytes) if is_whole(&bytes) => Ok(()),
            Ok(_) => fs::remove_file(configuration),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Restricts what sled made to its owner, and makes its names durable.
    ///
    /// The files themselves need no sync here, which on a phone takes milliseconds each: sled syncs a snapshot before it
    /// has its name, the data file is synced by the next reader, and a configuration that a power cut tears is
    /// written again.
    pub(crate) fn secure(&self) -> Result<(), StoreError> {
        let failed = |error: io::Error| io_error("securing the folder", &self.path, &error);
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_file() {
                restrict(&entry.path(), 0o600).map_err(failed)?;
            } else if kind.is_dir() {
                restrict(&entry.path(), 0o700).map_err(failed)?;
            }
        }
        sync_folder(&self.path).map_err(failed)
    }

    fn parse_format(&self, text: &str, kind: Kind) -> Result<Format, StoreError> {
        let mut lines = text.lines();
        if lines.next() != Some("toso storage") {
            return Err(self.damaged_format("it does not begin with the line `toso storage`"));
        }
        let path = || self.path.display().to_string();
        let mut field = |name| lines.next()?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        let Some(found) = field("format").and_then(|version| version.parse().ok()) else {
            return Err(self.damaged_format("its second line is not `format` and a number"));
        };
        if found > FORMAT_VERSION {
            return Err(StoreError::NewerFormat { path: path(), found, supported: FORMAT_VERSION });
        }
        match field("kind") {
            Some(found) if found == kind.name() => {}
            Some(found) => return Err(StoreError::WrongKind { path: path(), found, expected: kind.name() }),
            None => return Err(self.damaged_format("its third line is not `kind` and a word")),
        }
        let of_server = kind == Kind::Server && (FORMAT_PACKED..=FORMAT_ERASABLE).contains(&found);
        if found == FORMAT_PLAIN || of_server {
            return Ok(Format::Plain(found));
        }
        if found != FORMAT_ENCRYPTED {
            return Err(self.damaged_format("its second line has a number that no folder of this kind has"));
        }
        if field("cipher").as_deref() != Some(CIPHER_NAME) {
            return Err(self.damaged_format("its fourth line is not `cipher` and the name of the cipher"));
        }
        let wrapped = field("key").and_then(|digits| HEXLOWER.decode(digits.as_bytes()).ok());
        let wrapped =
            wrapped.ok_or_else(|| self.damaged_format("its fifth line is not `key` and hexadecimal digits"))?;
        Ok(Format::Encrypted { wrapped })
    }

    fn encrypted_format(&self, kind: Kind, data_key: &DataKey, key: &StoreKey) -> Result<String, StoreError> {
        let wrapped = data_key.wrap(key).map_err(|error| no_random(&self.path, error))?;
        let kind = kind.name();
        let key = HEXLOWER.encode(&wrapped);
        Ok(format!("toso storage\nformat {FORMAT_ENCRYPTED}\nkind {kind}\ncipher {CIPHER_NAME}\nkey {key}\n"))
    }

    fn unwrap(&self, wrapped: &[u8], key: &StoreKey) -> Result<DataKey, StoreError> {
        DataKey::unwrap(wrapped, key).map_err(|error| match error {
            UnwrapError::Damaged => self.damaged_format("the key in its fifth line is not what was written"),
            UnwrapError::WrongKey => self.key_error(StoreKeyMismatch::Other),
        })
    }

    fn key_error(&self, mismatch: StoreKeyMismatch) -> StoreError {
        StoreError::WrongKey { path: self.path.display().to_string(), mismatch }
    }

    /// Whole or not at all, and the folder's own name is synced, too.
    fn write_format(&self, format: &str) -> io::Result<()> {
        write_whole(&self.path, FORMAT_FILE, format)?;
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_folder)
    }

    fn damaged_format(&self, detail: &str) -> StoreError {
        StoreError::Damaged {
            path: self.path.display().to_string(),
            place: format!("file {FORMAT_FILE}"),
            detail: detail.to_owned(),
        }
    }
}

/// Writes a file of a folder, whole or not at all: written beside, synced, renamed, and the names synced too.
pub(crate) fn write_whole(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let beside = folder.join(format!("{name}.new"));
    let mut file = private_file().open(&beside)?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, folder.join(name))?;
    sync_folder(folder)
}

/// The version of a plain folder as it is made now.
const fn plain_version(kind: Kind) -> u32 {
    match kind {
        Kind::Field => FORMAT_PLAIN,
        Kind::Server => FORMAT_ERASABLE,
    }
}

fn plain_format(kind: Kind) -> String {
    format!("toso storage\nformat {}\nkind {}\n", plain_version(kind), kind.name())
}

/// Whether sled's configuration is as sled wrote it. sled itself only warns of another checksum, and refuses what it
/// cannot read.
fn is_whole(configuration: &[u8]) -> bool {
    let Some((lines, checksum)) = configuration.split_last_chunk() else { return false };
    !lines.is_empty() && crc32fast::hash(lines) == u32::from_le_bytes(*checksum)
}

/// Maps what the operating system says; a full disk and a used-up quota are [`StoreError::Full`].
pub(crate) fn io_error(operation: &'static str, path: &Path, error: &io::Error) -> StoreError {
    let path = path.display().to_string();
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return StoreError::Full { operation, path };
    }
    StoreError::Io { operation, path, detail: error.to_string() }
}

/// The system gave no random bytes.
pub(crate) fn no_random(path: &Path, error: getrandom::Error) -> StoreError {
    io_error("drawing random bytes", path, &io::Error::other(error.to_string()))
}

#[cfg(unix)]
fn create_private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // One that was there may be open to others. Where it cannot be closed (a card without owners), it is used as it is.
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode & !0o077));
    }
    Ok(())
}

#[cfg(not(unix))]
fn create_private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Sets a mode where it is another: setting it again would still change the file's times, which the next sync of anything
/// on that disk then waits for.
#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if fs::metadata(path)?.permissions().mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn restrict(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

/// Makes the names in a folder durable, where the system has such a thing.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
