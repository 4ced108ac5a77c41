//! sled, as this crate uses it: one tree, checked values, batches, and a flush that reaches the disk.

use std::borrow::Cow;
use std::fmt::Write;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::{RwLock, RwLockReadGuard};
use sled::{Batch, Db, IVec, Tree};
use toso_store::StoreError;

use crate::cipher::Cipher;
use crate::folder::{DATA_FILE, Folder, Kind, io_error, no_random};
use crate::key::StoreKey;
use crate::low_water::LowWater;
use crate::options::Options;
use crate::value;

/// How often and how long to wait for a closed sled of this process to let go of its file: its last background writes
/// may outlive its handle by a moment. Ours is the only other lock, so nobody else can have it: 100 × 20 ms = 2 s.
const REOPEN_TRIES: u32 = 100;
const REOPEN_PAUSE: Duration = Duration::from_millis(20);
/// Bytes that sled may write for each byte of a batch, pages that it rewrites included.
const WRITE_AMPLIFICATION: u64 = 4;

/// An open folder.
#[derive(Debug)]
pub(crate) struct Engine {
    // Fields drop in this order: sled flushes, then its file closes, then the folder is free.
    db: Db,
    data: File,
    folder: Folder,
    low_water: LowWater,
    /// What an encrypted folder's keys and values go through.
    cipher: Option<Cipher>,
    space_reserve_bytes: u64,
    /// Held for writing while a batch is applied, for reading by readers that must see whole batches.
    turn: RwLock<()>,
    /// Why writes are refused, once they are.
    poison: OnceLock<String>,
    /// Told when that happens.
    on_failure: OnceLock<OnFailure>,
    /// It was told: also when a failure and the naming of who is told come at the same moment.
    has_told: AtomicBool,
    syncs: AtomicU64,
}

impl Engine {
    /// Opens a folder. What it then holds is durable.
    pub(crate) fn open(path: &Path, kind: Kind, options: Options) -> Result<Self, StoreError> {
        Self::open_folder(Folder::open(path, kind)?, kind, None, options)
    }

    /// Opens an encrypted folder, where the keys of `id_spaces` begin with document ids.
    pub(crate) fn open_encrypted(
        path: &Path,
        kind: Kind,
        key: &StoreKey,
        id_spaces: &'static [u8],
        options: Options,
    ) -> Result<Self, StoreError> {
        let (folder, data_key) = Folder::open_encrypted(path, kind, key)?;
        let cipher = Cipher::new(&data_key, id_spaces).map_err(|error| no_random(path, error))?;
        Self::open_folder(folder, kind, Some(cipher), options)
    }

    fn open_folder(folder: Folder, kind: Kind, cipher: Option<Cipher>, options: Options) -> Result<Self, StoreError> {
        let path = folder.path();
        let low_water = LowWater::read(path, kind)?;
        // The reserve is not asked for here: on a full phone a volunteer must still see what is recorded. Opening
        // writes a little, and says so when it cannot.
        let db = catch_unwind(|| open_sled(&folder, options)).unwrap_or_else(|_| {
            let detail = "the storage engine panicked; restore from a backup, or export what can be read".to_owned();
            Err(StoreError::Io { operation: "opening", path: path.display().to_string(), detail })
        })?;
        folder.secure()?;
        // One handle for all syncs: the system reports a failed write-back once to every handle open at that time.
        let data = File::open(path.join(DATA_FILE)).map_err(|error| io_error("opening the data", path, &error))?;
        let engine = Self {
            db,
            data,
            folder,
            low_water,
            cipher,
            space_reserve_bytes: options.space_reserve_bytes,
            turn: RwLock::new(()),
            poison: OnceLock::new(),
            on_failure: OnceLock::new(),
            has_told: AtomicBool::new(false),
            syncs: AtomicU64::new(0),
        };
        // What a killed process had written but not synced is about to be read as if it were durable.
        engine.make_durable()?;
        Ok(engine)
    }

    /// Sets the app's key of an encrypted folder anew; see [`Folder::rotate_key`].
    pub(crate) fn rotate_key(&self, old: &StoreKey, new: &StoreKey) -> Result<(), StoreError> {
        self.folder.rotate_key(old, new)
    }

    /// The folder, of which FORMAT is.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// What the store is known to hold.
    pub(crate) fn low_water(&self) -> &LowWater {
        &self.low_water
    }

    /// sled's one tree, with keys as the disk has them: in an encrypted folder those of `id_spaces` are in no order.
    pub(crate) fn tree(&self) -> &Tree {
        &self.db
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// How often this opening has synced the disk.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Calls this once, on the thread that met it, when writes are refused from then on. The first caller's stays.
    pub(crate) fn on_failure(&self, told: impl Fn() + Send + Sync + 'static) {
        let _ = self.on_failure.set(OnFailure(Box::new(told)));
        if self.poison.get().is_some() {
            self.tell_failure();
        }
    }

    fn tell_failure(&self) {
        if let Some(OnFailure(told)) = self.on_failure.get()
            && !self.has_told.swap(true, Ordering::AcqRel)
        {
            told();
        }
    }

    /// Bytes on the disk.
    pub(crate) fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.db.size_on_disk().map_err(|error| self.read_error(&error))
    }

    /// While the guard lives, no batch is applied.
    pub(crate) fn read_whole(&self) -> RwLockReadGuard<'_, ()> {
        self.turn.read()
    }

    /// True when a key is there.
    pub(crate) fn contains(&self, key: &[u8]) -> Result<bool, StoreError> {
        self.db.contains_key(self.disk_key(key)).map_err(|error| self.read_error(&error))
    }

    /// The value under a key, as sled has it.
    pub(crate) fn raw(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        self.db.get(self.disk_key(key)).map_err(|error| self.read_error(&error))
    }

    /// The body under a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.raw(key)?.map(|value| self.decode(key, &value)).transpose()
    }

    /// Keys and bodies with a prefix, in the disk's order. A prefix ends before a document id or after it.
    pub(crate) fn scan(&self, prefix: &[u8]) -> impl Iterator<Item = Result<(IVec, Vec<u8>), StoreError>> + use<'_> {
        self.db.scan_prefix(self.disk_key(prefix)).map(|entry| self.entry(entry))
    }

    /// Keys with a prefix, in the disk's order.
    pub(crate) fn keys(&self, prefix: &[u8]) -> impl Iterator<Item = Result<IVec, StoreError>> {
        let keys = self.db.scan_prefix(self.disk_key(prefix)).keys();
        keys.map(|key| key.map(|key| self.key_of(key)).map_err(|error| self.read_error(&error)))
    }

    /// What an iterator of sled gave.
    pub(crate) fn entry(&self, entry: sled::Result<(IVec, IVec)>) -> Result<(IVec, Vec<u8>), StoreError> {
        let (key, value) = entry.map_err(|error| self.read_error(&error))?;
        let key = self.key_of(key);
        let body = self.decode(&key, &value)?;
        Ok((key, body))
    }

    /// The entries that store a body under a key.
    pub(crate) fn encode(&self, key: &[u8], body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        value::encode(key, body, self.cipher.as_ref())
    }

    /// A key, or the beginning of one, as the disk has it.
    pub(crate) fn disk_key<'a>(&self, key: &'a [u8]) -> Cow<'a, [u8]> {
        self.cipher.as_ref().map_or(Cow::Borrowed(key), |cipher| Cow::Owned(cipher.conceal(key)))
    }

    /// The key that the disk has as this.
    fn key_of(&self, key: IVec) -> IVec {
        match &self.cipher {
            None => key,
            Some(cipher) => IVec::from(cipher.reveal(&key)),
        }
    }

    /// Checks and joins a value.
    pub(crate) fn decode(&self, key: &[u8], value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.decode_with(key, value, |part| self.raw(part))
    }

    /// Checks and joins a value whose parts may be elsewhere.
    pub(crate) fn decode_with(
        &self,
        key: &[u8],
        value: &[u8],
        part: impl Fn(&[u8]) -> Result<Option<IVec>, StoreError>,
    ) -> Result<Vec<u8>, StoreError> {
        value::decode(key, value, self.cipher.as_ref(), part)?.map_err(|detail| self.damaged(key, detail))
    }

    /// A value that cannot be what was stored.
    pub(crate) fn damaged(&self, key: &[u8], detail: &str) -> StoreError {
        let mut place = "key ".to_owned();
        for byte in key {
            // Writing to a string cannot fail.
            let _ = write!(place, "{byte:02x}");
        }
        StoreError::Damaged { path: self.shown_path(), place, detail: detail.to_owned() }
    }

    /// Refuses a write after a failed one, or when the disk would come too near to its end.
    pub(crate) fn check_writable(&self, bytes: usize) -> Result<(), StoreError> {
        if let Some(cause) = self.poison.get() {
            return Err(self.poisoned(cause));
        }
        let write = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(WRITE_AMPLIFICATION);
        check_space(&self.folder, self.space_reserve_bytes.saturating_add(write))
    }

    /// Applies changes as one batch, and `with` at the same moment for readers that see whole batches. They are not
    /// durable yet. A failure poisons: part of the batch may be in memory.
    pub(crate) fn apply(&self, batch: Option<Batch>, with: impl FnOnce()) -> Result<(), StoreError> {
        let _turn = self.turn.write();
        if let Some(batch) = batch {
            self.db.apply_batch(batch).map_err(|error| self.fail("writing", &error))?;
        }
        with();
        Ok(())
    }

    /// Makes everything applied durable. A failure poisons: the system may have dropped the pages it could not write,
    /// and a second sync would succeed without them.
    pub(crate) fn make_durable(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(|error| self.fail("flushing", &error))?;
        // sled's flush leaves file metadata and the drive's own cache behind.
        self.data.sync_data().map_err(|error| self.fail("syncing", &error))?;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Refuses all writes from now on.
    pub(crate) fn fail(&self, operation: &str, error: &dyn std::fmt::Display) -> StoreError {
        let mut first = false;
        let cause = self.poison.get_or_init(|| {
            first = true;
            format!("{operation}: {error}")
        });
        if first {
            self.tell_failure();
            tracing::error!(path = %self.path().display(), operation, %error, "storage refuses writes from now on");
        }
        self.poisoned(cause)
    }

    /// Runs what calls sled for several callers. sled reports some failures by a panic: it poisons, and the callers get
    /// an error instead of waiting for ever.
    pub(crate) fn contain<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|_| Err(self.fail("writing", &"the storage engine panicked")))
    }

    /// A failed read.
    pub(crate) fn read_error(&self, error: &sled::Error) -> StoreError {
        sled_error("reading", self.path(), error)
    }

    fn poisoned(&self, cause: &str) -> StoreError {
        StoreError::Poisoned { path: self.shown_path(), cause: cause.to_owned() }
    }

    fn shown_path(&self) -> String {
        self.path().display().to_string()
    }
}

/// Whom to tell that writes are refused.
struct OnFailure(Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for OnFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnFailure")
    }
}

fn open_sled(folder: &Folder, options: Options) -> Result<Db, StoreError> {
    // No background flusher: nothing is promised before our own flush, and a phone's battery pays for wake-ups.
    let config = sled::Config::new().path(folder.path()).cache_capacity(options.cache_bytes).flush_every_ms(None);
    let mut tries = 1;
    loop {
        match config.clone().open() {
            Ok(db) => return Ok(db),
            Err(sled::Error::Io(error)) if tries < REOPEN_TRIES && error.to_string().contains("acquire lock") => {
                tries += 1;
                thread::sleep(REOPEN_PAUSE);
            }
            Err(error) => return Err(sled_error("opening", folder.path(), &error)),
        }
    }
}

fn check_space(folder: &Folder, needed_bytes: u64) -> Result<(), StoreError> {
    let path = folder.path();
    let available = fs4::available_space(path).map_err(|error| io_error("asking for free space", path, &error))?;
    if available < needed_bytes {
        return Err(StoreError::Full { operation: "writing", path: path.display().to_string() });
    }
    Ok(())
}

fn sled_error(operation: &'static str, path: &Path, error: &sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) => io_error(operation, path, error),
        sled::Error::Corruption { .. } => StoreError::Damaged {
            path: path.display().to_string(),
            place: format!("file {DATA_FILE}"),
            detail: error.to_string(),
        },
        other @ (sled::Error::CollectionNotFound(_) | sled::Error::Unsupported(_) | sled::Error::ReportableBug(_)) => {
            StoreError::Io { operation, path: path.display().to_string(), detail: other.to_string() }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Who is told could be named in the very moment of the failure, and then was told twice.
    #[test]
    fn a_failure_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(folder.path(), Kind::Server, Options::phone()).unwrap();
        let told = Arc::new(AtomicU64::new(0));
        engine.fail("writing", &"a test");
        for times in [1, 1] {
            let telling = Arc::clone(&told);
            engine.on_failure(move || _ = telling.fetch_add(1, Ordering::Relaxed));
            assert_eq!(told.load(Ordering::Relaxed), times);
        }
        engine.fail("syncing", &"a test");
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }
}
