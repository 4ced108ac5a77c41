//! What every room of the server shares: a desk, and what it takes to work at it from many connections at once.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toso_core::time::TimestampMs;

use crate::checks::Checks;
use crate::config::{POLLS_SHARE, ServerConfig};
use crate::counted::Counted;
use crate::desk::Desk;
use crate::hub::Hub;
use crate::log_writer::LogWriter;
use crate::metrics::Metrics;
use crate::quota::Quotas;
use crate::read_places::ReadPlaces;
use crate::readers::Readers;
use crate::set_aside::SetAside;
use crate::vital::Vitals;

/// Asks the store how often it has synced the disk.
pub(crate) type StorageSyncs = Box<dyn Fn() -> u64 + Send + Sync>;

/// Everything that outlives a request.
pub(crate) struct Shared {
    pub(crate) config: ServerConfig,
    pub(crate) desk: Desk,
    pub(crate) writer: LogWriter,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) set_aside: Arc<SetAside>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) counted: Arc<Counted>,
    pub(crate) metrics: Arc<Metrics>,
    /// How often the store has synced the disk.
    pub(crate) storage_syncs: StorageSyncs,
    /// Places for sync sessions.
    pub(crate) session_places: Arc<Semaphore>,
    /// Places for sessions that have not proved who they are.
    pub(crate) unproved_places: Arc<Semaphore>,
    /// Places for requests that wait for news.
    pub(crate) poll_places: Arc<Semaphore>,
    /// Places for long reads.
    pub(crate) read_places: ReadPlaces,
    /// Places for checks of tokens and signatures.
    pub(crate) checks: Checks,
    /// Who reads the log for sessions.
    pub(crate) readers: Readers,
    /// Which parts live.
    pub(crate) vitals: Arc<Vitals>,
    /// Set once the server stops.
    pub(crate) stop: CancellationToken,
    /// Connections and sessions that still run.
    pub(crate) tasks: TaskTracker,
}

/// The parts that [`Shared`] is made of.
pub(crate) struct Parts {
    pub(crate) config: ServerConfig,
    pub(crate) desk: Desk,
    pub(crate) writer: LogWriter,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) set_aside: Arc<SetAside>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) readers: Readers,
    pub(crate) counted: Arc<Counted>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) storage_syncs: StorageSyncs,
    pub(crate) vitals: Arc<Vitals>,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        let tasks = TaskTracker::new();
        Self {
            session_places: Arc::new(Semaphore::new(parts.config.sessions_max)),
            unproved_places: Arc::new(Semaphore::new(parts.config.unproved_sessions_max)),
            poll_places: Arc::new(Semaphore::new(parts.config.http_connections_max / POLLS_SHARE)),
            stop: CancellationToken::new(),
            checks: Checks::new(tasks.clone()),
            tasks,
            config: parts.config,
            desk: parts.desk,
            writer: parts.writer,
            quotas: parts.quotas,
            set_aside: parts.set_aside,
            read_places: ReadPlaces::default(),
            hub: parts.hub,
            readers: parts.readers,
            counted: parts.counted,
            metrics: parts.metrics,
            storage_syncs: parts.storage_syncs,
            vitals: parts.vitals,
        }
    }
}

impl Deref for Shared {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.desk
    }
}

/// The server's clock.
pub(crate) fn now() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
