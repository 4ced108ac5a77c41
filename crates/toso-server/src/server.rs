//! Puts the rooms together, and takes them down in order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use toso_catalog::Catalog;
use toso_core::id::{Sequence, ServerId};
use toso_projection::Projector;
use toso_store::{ChangeLog, RecordStore, StoreError};
use toso_store_sled::{Options, SledChangeLog};

use crate::config::{ADMIN_TOKEN_LOOK_EVERY, READERS_MAX, READERS_PER_CORE, SHUTDOWN_TIME_MAX, ServerConfig};
use crate::connections;
use crate::counted::Counted;
use crate::desk::Desk;
use crate::folding::{Folding, RunningFolding};
use crate::hub::Hub;
use crate::log_writer::LogWriter;
use crate::metrics::Metrics;
use crate::quota::Quotas;
use crate::readers::Readers;
use crate::rest;
use crate::restored::Restored;
use crate::review::ReviewQueue;
use crate::set_aside::SetAside;
use crate::state::{Parts, Shared, StorageSyncs, now};
use crate::tail::Tail;
use crate::trust::{KeyError, Trust};
use crate::upkeep::{self, LOG_FOLDER, UpkeepError};
use crate::views::Views;
use crate::vital::{Part, Vitals};

/// Starts servers.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Opens the data folder, listens, and serves until [`RunningServer::shutdown`]. Needs a tokio runtime.
    pub async fn start(mut config: ServerConfig) -> Result<RunningServer, StartError> {
        if let Some((address, why)) = config.wrong_address() {
            return Err(StartError::Address { address, why });
        }
        let listener = connections::listen(config.listen)
            .map_err(|error| StartError::Listen { addr: config.listen, detail: error.to_string() })?;
        let addr = listener
            .local_addr()
            .map_err(|error| StartError::Listen { addr: config.listen, detail: error.to_string() })?;
        config.listen = addr;
        let rooms = tokio::task::spawn_blocking(move || Rooms::open(config))
            .await
            .map_err(|_| StartError::Thread { detail: "opening the data folder panicked".to_owned() })??;
        let shared = Arc::clone(&rooms.shared);
        rooms.accept(listener);
        let fresh = keep_admin_token_fresh(Arc::clone(&shared));
        shared.tasks.spawn(shared.vitals.task(Part::AdminToken, fresh));
        if shared.trust.quarantined_since().is_some() {
            tracing::warn!("{}", quarantine_words(addr, shared.trust.admin_token_path()));
        }
        if shared.config.admin_from_anywhere {
            tracing::warn!("the admin token is taken from any machine: the holder of a copy has the register");
        }
        let (server, epoch) = (shared.trust.server(), shared.trust.epoch());
        tracing::info!(%addr, %server, epoch = epoch.0, counted = shared.counted.current().0, "serving");
        Ok(RunningServer { addr, rooms: Some(rooms) })
    }
}

/// What a file system of its own begins with.
const LOST_AND_FOUND: &str = "lost+found";

/// Refuses a folder that holds other things and nothing of a server: it would be closed to those whose it is.
fn refuse_strangers(data: &Path) -> Result<(), StartError> {
    if data.is_file() {
        let (path, detail) = (data.display().to_string(), "it is a file; choose another name with --data".to_owned());
        return Err(StartError::Folder { path, detail });
    }
    // What is not there, or cannot be read, is told where the folder is made.
    let Ok(entries) = std::fs::read_dir(data) else { return Ok(()) };
    let names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    let is_own = |name: &std::ffi::OsString| upkeep::OWN_NAMES.iter().any(|own| name == own);
    // A device's folder is refused for what it is.
    if names.iter().any(|name| is_own(name) || name == "FORMAT") {
        return Ok(());
    }
    match names.into_iter().find(|name| name != LOST_AND_FOUND) {
        Some(stranger) => Err(StartError::Strangers {
            path: data.display().to_string(),
            stranger: stranger.to_string_lossy().escape_debug().to_string(),
        }),
        None => Ok(()),
    }
}

/// What an operator has to do.
fn quarantine_words(addr: SocketAddr, token: &Path) -> String {
    let server = on_this_machine(addr);
    let command = format!("toso quarantine end --server http://{server} --admin-token-file {}", token.display());
    format!(
        "QUARANTINE: this server's data is from a backup or was lost, and no list of revocations goes on to its end. It \
         takes nothing from devices and enrols nobody until you have said which devices are shut out. If you have \
         revocations.list of the lost data folder, stop the server and restore again with --revocations FILE. Else say who \
         was revoked since: `{command} --revoke DEVICE-ID` (as often as needed), or that nobody was: `{command} --none`"
    )
}

/// How a server is called from its own machine: the admin token is taken at a loopback address only, and `0.0.0.0` is none.
fn on_this_machine(listening: SocketAddr) -> SocketAddr {
    let mut called = listening;
    if listening.ip().is_unspecified() {
        let v4: IpAddr = Ipv4Addr::LOCALHOST.into();
        called.set_ip(if listening.is_ipv4() { v4 } else { Ipv6Addr::LOCALHOST.into() });
    }
    called
}

/// Makes the admin token anew in time, while the server runs.
async fn keep_admin_token_fresh(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(ADMIN_TOKEN_LOOK_EVERY) => {}
        }
        let of_look = Arc::clone(&shared);
        match shared.tasks.spawn_blocking(move || of_look.trust.renew_admin_token(now())).await {
            Ok(Ok(true)) => tracing::info!("the admin token was made anew; read its file again"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::error!(%error, "the admin token could not be made anew"),
            Err(_) => return,
        }
    }
}

/// Everything that runs beside the listener.
struct Rooms {
    shared: Arc<Shared>,
    writer_thread: JoinHandle<()>,
    folding: RunningFolding,
}

impl Rooms {
    fn accept(&self, listener: TcpListener) {
        let shared = &self.shared;
        let accepting = connections::accept(listener, rest::router(Arc::clone(shared)), Arc::clone(shared));
        shared.tasks.spawn(shared.vitals.task(Part::Accepting, accepting));
    }

    fn open(config: ServerConfig) -> Result<Self, StartError> {
        refuse_strangers(&config.data)?;
        make_private(&config.data).map_err(|error| StartError::Folder {
            path: config.data.display().to_string(),
            detail: error.to_string(),
        })?;
        // A phone's folder has its store at the top; a server's log beside it would make one folder of two owners.
        if config.data.join("FORMAT").exists() {
            let path = config.data.display().to_string();
            return Err(StoreError::WrongKind { path, found: "field".to_owned(), expected: "server" }.into());
        }
        upkeep::settle(&config.data)?;
        let store = Arc::new(SledChangeLog::open(
            config.data.join(LOG_FOLDER),
            Options { cache_bytes: config.cache_bytes, ..Options::server() },
        )?);
        if let Some(from) = Restored::load(&*store)? {
            tracing::info!(epoch = from.epoch.0, last = from.last.0, at = from.at.0, "restored from a backup");
        }
        let vitals = Arc::new(Vitals::default());
        let of_store = Arc::clone(&vitals);
        store.on_failure(move || of_store.lose(Part::Storage));
        let synced = Arc::clone(&store);
        let (log, records): (Arc<dyn ChangeLog>, Arc<dyn RecordStore>) = (Arc::clone(&store) as _, store);
        Self::build(config, log, &records, Box::new(move || synced.syncs()), vitals)
    }

    fn build(
        config: ServerConfig,
        log: Arc<dyn ChangeLog>,
        records: &Arc<dyn RecordStore>,
        storage_syncs: StorageSyncs,
        vitals: Arc<Vitals>,
    ) -> Result<Self, StartError> {
        let catalog = Catalog::shared();
        let started = now();
        let trust = Trust::open(&config.data, Arc::clone(records), started)?;
        trust.begin(started)?;
        let passed = trust.passed_times().clone();
        passed.saw_release(config.released_at);
        let before_last = Sequence(log.last().0.saturating_sub(1));
        if let Some(last) = log.read(before_last, 1, 1)?.entries.last() {
            passed.saw_entry(last.received_at);
        }
        if let Err(behind) = trust.check_clock(started) {
            tracing::error!("nobody is invited or enrolled: {behind}");
        }
        let review = Arc::new(ReviewQueue::load(Arc::clone(records))?);
        let set_aside = Arc::new(SetAside::load(catalog, &*log, Arc::clone(records))?);
        let quotas = Arc::new(Quotas::load(Arc::clone(records), config.budgets)?);
        let views = Arc::new(Views::waiting(Projector::new(catalog)));
        let (hub, counted) = (Arc::new(Hub::new(catalog)), Arc::new(Counted::default()));
        let metrics = Arc::new(Metrics::default());
        let folding = Folding {
            log: Arc::clone(&log),
            records: Arc::clone(records),
            views: Arc::clone(&views),
            counted: Arc::clone(&counted),
            metrics: Arc::clone(&metrics),
            vitals: Arc::clone(&vitals),
            set_aside: Arc::clone(&set_aside),
            workers: config.fold_workers,
            cache_documents: config.fold_cache_documents,
        };
        let thread = |error: std::io::Error| StartError::Thread { detail: error.to_string() };
        let folding = folding.start(move || Projector::new(catalog)).map_err(thread)?;
        let tail: Arc<Tail> = folding.tail();
        set_aside.wake_with(Arc::clone(&tail));
        let (writer, writer_thread) = LogWriter::start(
            Arc::clone(&log),
            Arc::clone(&quotas),
            Arc::clone(&hub),
            Arc::clone(&metrics),
            &vitals,
            Box::new(move |_through, received_at| {
                passed.saw_entry(received_at);
                tail.grew();
            }),
        )
        .map_err(thread)?;
        let reconcile_keys_max = config.reconcile_keys_max;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let readers = Readers::start((cores * READERS_PER_CORE).min(READERS_MAX), &vitals).map_err(thread)?;
        let shared = Arc::new(Shared::new(Parts {
            config,
            desk: Desk::new(catalog, trust, log, views, review, reconcile_keys_max),
            writer,
            quotas,
            set_aside,
            hub,
            readers,
            counted,
            metrics,
            storage_syncs,
            vitals,
        }));
        Ok(Self { shared, writer_thread, folding })
    }
}

/// Makes the data folder for its owner alone, whatever the umask, and closes one that was made open: it holds people's names
/// and the key to all of them. The folder of the log closes itself.
#[cfg(unix)]
fn make_private(data: &Path) -> std::io::Result<()> {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

    /// What others may do.
    const OTHERS: u32 = 0o077;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data)?;
    let close = |path: &Path| -> std::io::Result<()> {
        let mode = fs::symlink_metadata(path)?.permissions().mode();
        if mode & OTHERS == 0 { Ok(()) } else { fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS)) }
    };
    let closed = (|| {
        // A link to it is followed, links in it are not.
        fs::set_permissions(data, Permissions::from_mode(fs::metadata(data)?.permissions().mode() & !OTHERS))?;
        for entry in fs::read_dir(data)? {
            let entry = entry?;
            if !entry.file_type()?.is_symlink() {
                close(&entry.path())?;
            }
        }
        Ok(())
    })();
    // Another owner's folder, or a file system without owners: it works there all the same.
    closed.unwrap_or_else(|error: std::io::Error| {
        let path = data.display();
        tracing::warn!(%path, %error, "the data folder could not be closed to others; see to it that only its owner reads it");
    });
    Ok(())
}

#[cfg(not(unix))]
fn make_private(data: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(data)
}

/// A server that runs. Dropping it without [`Self::shutdown`] stops it too, without waiting for sessions.
pub struct RunningServer {
    addr: SocketAddr,
    rooms: Option<Rooms>,
}

impl RunningServer {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its identity.
    pub fn server_id(&self) -> Option<ServerId> {
        self.rooms.as_ref().map(|rooms| rooms.shared.trust.server())
    }

    /// Where the admin token lies.
    pub fn admin_token_path(&self) -> Option<PathBuf> {
        self.rooms.as_ref().map(|rooms| Path::to_path_buf(rooms.shared.trust.admin_token_path()))
    }

    /// Waits until a part has ended that the server cannot live without, whatever ended it. `/healthz` answers 503 from
    /// then on; [`Self::shutdown`] is what is left to do, and to start again.
    pub async fn part_lost(&self) -> Part {
        match &self.rooms {
            Some(rooms) => rooms.shared.vitals.first_lost().await,
            None => std::future::pending().await,
        }
    }

    /// Stops: no new connections, GOODBYE to sessions, the log's queue, the fold's checkpoint, the store. Sessions that
    /// do not end within [`SHUTDOWN_TIME_MAX`] are cut off; nothing acknowledged is lost by that.
    pub async fn shutdown(mut self) {
        let Some(Rooms { shared, writer_thread, folding }) = self.rooms.take() else { return };
        shared.vitals.stopping();
        shared.stop.cancel();
        shared.tasks.close();
        if tokio::time::timeout(SHUTDOWN_TIME_MAX, shared.tasks.wait()).await.is_err() {
            tracing::warn!(left = shared.tasks.len(), "sessions did not end in time and are cut off");
        }
        shared.writer.stop().await;
        let counted = Arc::clone(&shared.counted);
        let ended = tokio::task::spawn_blocking(move || {
            if writer_thread.join().is_err() {
                tracing::error!("the log's thread ended by a panic");
            }
            folding.stop();
        });
        if ended.await.is_err() {
            tracing::error!("stopping panicked");
        }
        counted.close();
        tracing::info!(counted = counted.current().0, "stopped");
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        if let Some(rooms) = &self.rooms {
            rooms.shared.vitals.stopping();
            rooms.shared.stop.cancel();
        }
    }
}

impl std::fmt::Debug for RunningServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningServer").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// Why a server did not start. The data folder is as it was.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address among the settings that cannot be meant.
    #[error("{address:?} cannot be used: {why}; correct --public-url or --allow-origin")]
    Address {
        /// Which.
        address: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The address is taken or not this machine's.
    #[error("cannot listen on {addr}: {detail}; choose another address with --listen")]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// What the system said.
        detail: String,
    },
    /// The data folder is somebody else's.
    #[error(
        "{path} holds {stranger:?} and nothing of a server, and was left as it is; give a new or empty folder with --data \
         (a data folder is closed to everybody but its owner)"
    )]
    Strangers {
        /// Which.
        path: String,
        /// Something in it.
        stranger: String,
    },
    /// The data folder cannot be made.
    #[error("cannot make the data folder {path}: {detail}")]
    Folder {
        /// Which.
        path: String,
        /// What the system said.
        detail: String,
    },
    /// The store: in use, of a newer version, damaged, full.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What a stopped compaction left could not be settled.
    #[error(transparent)]
    Upkeep(#[from] UpkeepError),
    /// The keys: missing, another server's, damaged.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The system has no thread to give.
    #[error("the server's threads did not start: {detail}")]
    Thread {
        /// Why.
        detail: String,
    },
}

#[cfg(test)]
mod tests;
