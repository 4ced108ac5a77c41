//! The object that an app keeps: a device's replica, open.

mod carry;
mod read;
mod syncing;
mod write;

pub use carry::{PeerReport, PeerSession, PeerStep};
pub use write::{check_person_name, converted_text, hamlet_key, new_activity_id, read_invite};

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinError;
use toso_client::fetch_missing_names;
use toso_core::edit::EditError;
use toso_core::id::DocId;
use toso_core::text::check_whole;
use toso_replica::register::{check_leaving, leave_register};
use toso_replica::{Reach, Replica};
use toso_store::ChunkStore;
use toso_store_sled::{Options, SledChunkStore, StoreKey};
use zeroize::Zeroizing;

use crate::callbacks::Callbacks;
use crate::error::{ErrorInfo, TosoError};
use crate::log::{LogQueue, LogSink};
use crate::stop::{StopSignal, stopped};
use crate::sync::SyncControl;

/// Workers of the runtime: sockets and timers of one device are never busy.
const WORKER_THREADS: usize = 1;
/// Threads for what waits for the disk or the app, made when needed: two calls of the app, a session's store call, a name
/// being looked up (which may take half a minute), an enrolment, names of devices being asked for, and [`CALLBACKS_MAX`].
const BLOCKING_THREADS_MAX: usize = 6 + CALLBACKS_MAX;
/// Observers and log sinks that are called at the same time. What they call here needs a thread of the others.
const CALLBACKS_MAX: usize = 3;
/// How long such a thread waits for more work before it ends.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(2);
/// How long shutting down waits for calls that are under way: an edit takes milliseconds, a flash that is busy a second.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// How a device's replica is opened.
#[derive(Clone, uniffi::Record)]
pub struct TosoConfig {
    /// A folder for this library alone, in the app's private storage. Made when it is not there.
    pub folder: String,
    /// 32 random bytes that the app keeps in Android Keystore or the iOS Keychain. Without them nothing in the folder can
    /// be read again.
    pub key: Vec<u8>,
    /// What officers see in their list of devices: not a person's name.
    pub device_name: String,
    /// The certificates, in PEM, of a private authority that the server's own is signed by; none: the web's. Used when the
    /// device joins, and kept with it.
    #[uniffi(default = None)]
    pub ca_pem: Option<String>,
    /// Speak `http://` over a network, in the clear: for a test network only. Used when the device joins, and kept with it.
    #[uniffi(default = false)]
    pub insecure_http: bool,
}

impl std::fmt::Debug for TosoConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TosoConfig").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// A device's replica, open. One for each folder; keep it as long as the app lives, and `shutdown` it to open the folder
/// again.
///
/// Reads return at once from this phone's own data. Edits are asynchronous, since they return when they are on the
/// disk (cancelling the call does not take the edit back). Nothing but `enrol`, `fetch_bundle_key` and
/// `run_background_sync` ever waits for a network.
#[derive(uniffi::Object)]
pub struct TosoClient {
    /// Read while a call runs, written to shut down: so that nothing of it is in use afterwards.
    core: RwLock<Option<Core>>,
}

impl std::fmt::Debug for TosoClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TosoClient(…)")
    }
}

/// What a device joins with.
#[derive(Clone)]
struct Joining {
    device_name: String,
    reach: Reach,
}

/// What an open object has.
struct Core {
    store: Arc<SledChunkStore>,
    replica: Arc<Replica>,
    sync: Arc<SyncControl>,
    joining: Joining,
    callbacks: Callbacks,
    /// Ends with the object.
    _log: Option<Arc<LogQueue>>,
    runtime: OwnedRuntime,
}

/// A runtime that may be dropped anywhere: the ordinary one panics when dropped on one of its own threads.
struct OwnedRuntime(Option<Runtime>);

impl OwnedRuntime {
    fn new() -> Result<Self, TosoError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKER_THREADS)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_keep_alive(THREAD_KEEP_ALIVE)
            .thread_name("toso")
            .enable_all()
            .build();
        let failed = |error| TosoError::Storage { info: ErrorInfo::new("storage.failed", &error) };
        runtime.map(|runtime| Self(Some(runtime))).map_err(failed)
    }

    fn handle(&self) -> Result<Handle, TosoError> {
        self.0.as_ref().map(|runtime| runtime.handle().clone()).ok_or_else(TosoError::closed)
    }

    /// Ends all tasks, and waits for calls that are under way, but not for the call that this is made from.
    fn end(mut self) {
        // On one of its own threads, waiting would be for itself; dropped, it ends without.
        if Handle::try_current().is_err()
            && let Some(runtime) = self.0.take()
        {
            runtime.shutdown_timeout(SHUTDOWN_WAIT);
        }
    }
}

impl Drop for OwnedRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[uniffi::export]
impl TosoClient {
    /// Opens the folder, making it when it is not there.
    #[uniffi::constructor]
    pub async fn open(config: TosoConfig, log: Option<Arc<dyn LogSink>>) -> Result<Arc<Self>, TosoError> {
        whole("folder", "the folder's path", &config.folder)?;
        let runtime = OwnedRuntime::new()?;
        let handle = runtime.handle()?;
        let callbacks = Callbacks::new(handle.clone(), CALLBACKS_MAX);
        let log = log.map(|sink| LogQueue::start(sink, callbacks.clone()));
        let TosoConfig { folder, key, device_name, ca_pem, insecure_http } = config;
        let joining = Joining { device_name, reach: Reach { insecure_http, ca_pem } };
        let key = store_key(key)?;
        let opened = handle.spawn_blocking(move || -> Result<_, TosoError> {
            let store = Arc::new(SledChunkStore::open_encrypted(folder, Options::phone(), &key)?);
            let below: Arc<dyn ChunkStore> = Arc::clone(&store) as Arc<dyn ChunkStore>;
            let replica = Arc::new(Replica::open(below, &toso_client::system::options())?);
            Ok((store, replica))
        });
        let (store, replica) = opened.await.map_err(|error| joined(&error))??;
        tracing::info!(device = %replica.device().id(), "opened");
        let sync = Arc::new(SyncControl::new(Arc::clone(&replica), handle));
        let core = Core { store, replica, sync, joining, callbacks, _log: log, runtime };
        Ok(Arc::new(Self { core: RwLock::new(Some(core)) }))
    }

    /// Ends sync, observers and meetings, waits for calls that are under way, and lets go of the folder. Every later call
    /// answers [`TosoError::Closed`]. Waits a moment: not for a thread that draws. From within an observer it returns at
    /// once, and the folder is free a moment later.
    pub fn shutdown(&self) {
        let Some(core) = self.core.write().take() else { return };
        tracing::info!("closing");
        let Core { store, replica, sync, runtime, .. } = core;
        drop((replica, sync));
        runtime.end();
        drop(store);
    }
}

#[uniffi::export]
impl TosoClient {
    /// Leaves the register that the device has joined, so that the folder can join another one: everything in it goes, records,
    /// names and the device's own key, and cannot be had back but from that register. Refused with the key `leave.unsent`
    /// while anything has not reached the register. Ask the person in so many words before. The object is shut down by it;
    /// open the folder again. Waits as `shutdown` does: not for a thread that draws.
    pub fn leave_register(&self) -> Result<(), TosoError> {
        self.with(|core| check_leaving(core.store.as_ref()))?;
        let store = self.with(|core| Ok::<_, TosoError>(Arc::clone(&core.store)))?;
        // No edit, sync or meeting is under way when the store is emptied.
        self.shutdown();
        tracing::info!("leaving the register");
        Ok(leave_register(store.as_ref())?)
    }
}

impl Drop for TosoClient {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl TosoClient {
    /// Runs a call on the open core. A panic in it is an error, and the object goes on: locks do not poison, and the store
    /// holds whole transactions only.
    fn with<T, E: Into<TosoError>>(&self, call: impl FnOnce(&Core) -> Result<T, E>) -> Result<T, TosoError> {
        let core = self.core.read();
        let core = core.as_ref().ok_or_else(TosoError::closed)?;
        catch_unwind(AssertUnwindSafe(|| call(core))).map_err(|_| TosoError::internal())?.map_err(Into::into)
    }

    /// The same for what only reads the replica.
    fn read<T, E: Into<TosoError>>(&self, call: impl FnOnce(&Replica) -> Result<T, E>) -> Result<T, TosoError> {
        self.with(|core| call(&core.replica))
    }

    /// Runs what waits for the disk or the network on a thread of the runtime. Once begun it comes to its end, also when
    /// the caller stops waiting.
    async fn off_thread<T: Send + 'static, E: Into<TosoError> + Send + 'static>(
        &self,
        call: impl FnOnce(&Replica, &SledChunkStore, &Joining) -> Result<T, E> + Send + 'static,
    ) -> Result<T, TosoError> {
        let task = self.with(|core| -> Result<_, TosoError> {
            let (replica, store) = (Arc::clone(&core.replica), Arc::clone(&core.store));
            let joining = core.joining.clone();
            Ok(core.runtime.handle()?.spawn_blocking(move || call(&replica, &store, &joining)))
        })?;
        task.await.map_err(|error| joined(&error))?.map_err(Into::into)
    }

    /// The same for what waits for a network: its caller is answered when it is stopped. What was asked of the server may
    /// still come to its end, and does no harm.
    async fn off_thread_until<T: Send + 'static, E: Into<TosoError> + Send + 'static>(
        &self,
        stop: Option<Arc<StopSignal>>,
        call: impl FnOnce(&Replica, &SledChunkStore, &Joining) -> Result<T, E> + Send + 'static,
    ) -> Result<T, TosoError> {
        tokio::select! {
            done = self.off_thread(call) => done,
            () = stopped(stop) => Err(TosoError::stopped()),
        }
    }

    /// Asks the server for the names of devices in a document that is being shown, where this device is in touch. Does not
    /// wait: observers hear of them.
    fn look_for_names(&self, shown: DocId) -> Result<(), TosoError> {
        self.with(|core| {
            if core.sync.is_in_touch() {
                let replica = Arc::clone(&core.replica);
                core.runtime.handle()?.spawn_blocking(move || fetch_missing_names(&replica, &[shown]));
            }
            Ok::<_, TosoError>(())
        })
    }

    /// The same for edits.
    async fn write<T: Send + 'static, E: Into<TosoError> + Send + 'static>(
        &self,
        call: impl FnOnce(&Replica) -> Result<T, E> + Send + 'static,
    ) -> Result<T, TosoError> {
        self.off_thread(move |replica, _, _| call(replica)).await
    }
}

/// A task that did not come to its end: shut down before it began, or a panic.
fn joined(error: &JoinError) -> TosoError {
    if error.is_cancelled() { TosoError::closed() } else { TosoError::internal() }
}

/// Refuses a setting that has lost a character, as half an emoji does on its way here.
fn whole(field: &str, what: &'static str, text: &str) -> Result<(), TosoError> {
    check_whole(what, text).map_err(|error| EditError::Value { field: field.to_owned(), error }.into())
}

fn store_key(bytes: Vec<u8>) -> Result<StoreKey, TosoError> {
    let bytes = Zeroizing::new(bytes);
    let key: Result<&[u8; 32], _> = bytes.as_slice().try_into();
    let detail = "the key must have 32 bytes";
    key.map(StoreKey::from_bytes).map_err(|_| TosoError::WrongKey { info: ErrorInfo::new("storage.bad_key", &detail) })
}

#[cfg(test)]
mod tests;
