//! The simulated centre: the real desk, hub, folder and session machines on a simulated disk.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use toso_catalog::Catalog;
use toso_core::id::Sequence;
use toso_core::time::TimestampMs;
use toso_projection::Projector;
use toso_server::Desk;
use toso_server::folding::{FoldByPage, Loaded};
use toso_server::hub::Hub;
use toso_server::log_writer::UnitBatch;
use toso_server::quota::{Budget, Budgets, Quotas};
use toso_server::review::ReviewQueue;
use toso_server::serving::Serving;
use toso_server::set_aside::SetAside;
use toso_server::trust::{RootSecrets, Trust};
use toso_server::views::Views;
use toso_store::faulty::{FaultyChangeLog, LogDefect};
use toso_store::{ChangeLog, RecordStore};
use toso_sync::ServerEvent;
use toso_sync::reconcile::RECONCILE_KEYS_MAX;
use toso_sync::server::Appending;

use super::lossy::LossyLog;
use super::plan::Planted;
use super::rng::Rng;

/// Documents that folding keeps in memory: few, so that it often has to read them again.
const FOLD_CACHE_DOCUMENTS: usize = 3;
/// What devices may write: little, and it fades in minutes, so that a busy phone is told to wait now and then, and is rid of
/// everything before the end.
const BUDGETS: Budgets = Budgets {
    recorder: Budget { changes: 40, bytes: 40 << 10 },
    officer: Budget { changes: 60, bytes: 60 << 10 },
    carried: Budget { changes: 60, bytes: 60 << 10 },
    import: Budget { changes: 100, bytes: 100 << 10 },
    unit: Budget { changes: 240, bytes: 240 << 10 },
    day_ms: 240_000,
};
/// The server's disk drops the last chunk of every so many batches, when that bug is planted.
const DROPS_EVERY: u32 = 5;

/// The centre: a disk, and perhaps a process.
pub(super) struct Server {
    /// Its disk.
    pub(super) disk: Arc<FaultyChangeLog>,
    /// Its process.
    pub(super) running: Option<Running>,
    /// Grows with every start.
    pub(super) life: u32,
    /// How far its clock is off.
    pub(super) skew_ms: i64,
    secrets: RootSecrets,
    random: Arc<Mutex<Rng>>,
    planted: Option<Planted>,
    /// Decides when a folding worker dies of its batch, so often in a thousand pages.
    losing: Rng,
    loses_per_mille: u32,
}

/// What lives as long as the process.
pub(super) struct Running {
    /// Where sessions ask.
    pub(super) desk: Desk,
    /// What devices may write.
    pub(super) quotas: Quotas,
    /// Tells sessions of growth.
    pub(super) hub: Arc<Hub>,
    /// Counts.
    pub(super) folder: FoldByPage,
    /// By connection.
    pub(super) sessions: BTreeMap<u64, Served>,
    /// Pushes that wait for a flush.
    pub(super) queue: VecDeque<Pushed>,
    /// Pushes that are being flushed.
    pub(super) flushing: Vec<Pushed>,
    /// A page will be folded.
    pub(super) fold_planned: bool,
}

/// A push on its way to the disk.
pub(super) struct Pushed {
    /// Its connection.
    pub(super) link: u64,
    /// To be answered; unless it was, before its time.
    pub(super) push: Option<Appending>,
    /// What it brings.
    pub(super) batch: UnitBatch,
}

/// A session and its socket.
pub(super) struct Served {
    /// The session as the server performs it.
    pub(super) serving: Serving,
    /// Frames that wait until the session takes pushes.
    pub(super) held: VecDeque<ServerEvent>,
    /// Queries and commits of the session that are not answered yet.
    pub(super) owed: usize,
}

impl Served {
    /// A new session.
    pub(super) fn new() -> Self {
        Self { serving: Serving::new(Catalog::shared()), held: VecDeque::new(), owed: 0 }
    }
}

impl Server {
    /// A centre that was never started.
    pub(super) fn new(mut rng: Rng, mut losing: Rng, planted: Option<Planted>) -> Self {
        let (mut root, mut ticket) = ([0; 32], [0; 32]);
        rng.fill(&mut root);
        rng.fill(&mut ticket);
        let disk = Arc::new(FaultyChangeLog::new());
        disk.set_defect(match planted {
            Some(Planted::LostIdentities) => Some(LogDefect::ForgetsIdentities),
            Some(Planted::ServerDropsChunks) => Some(LogDefect::DropsChunks(DROPS_EVERY)),
            _ => None,
        });
        let loses_per_mille = [0, 0, 60, 250][losing.index(4)];
        Self {
            disk,
            planted,
            losing,
            loses_per_mille,
            running: None,
            life: 0,
            skew_ms: 0,
            secrets: RootSecrets { root, ticket },
            random: Arc::new(Mutex::new(rng)),
        }
    }

    /// Starts the process on what is on the disk.
    pub(super) fn start(&mut self, now: TimestampMs) -> Result<(), String> {
        let catalog = Catalog::shared();
        let random = Arc::clone(&self.random);
        let fill: toso_server::trust::RandomSource = Arc::new(move |bytes| {
            random.lock().fill(bytes);
            Ok(())
        });
        let (log, records): (Arc<dyn ChangeLog>, Arc<dyn RecordStore>) =
            (Arc::clone(&self.disk) as _, Arc::clone(&self.disk) as _);
        let trust = Trust::with_keys(&self.secrets, Arc::clone(&records), fill).map_err(|error| error.to_string())?;
        trust.begin(now).map_err(|error| error.to_string())?;
        let (views, folder) = match self.planted {
            Some(Planted::CountsOverLostBatches) => folder(&(Arc::new(self.lossy()) as _), &records)?,
            _ => folder(&log, &records)?,
        };
        let review = Arc::new(ReviewQueue::load(Arc::clone(&records)).map_err(|error| error.to_string())?);
        self.life += 1;
        self.running = Some(Running {
            quotas: Quotas::load(Arc::clone(&records), BUDGETS).map_err(|error| error.to_string())?,
            desk: Desk::new(catalog, trust, log, views, review, RECONCILE_KEYS_MAX),
            hub: Arc::new(Hub::new(catalog)),
            folder,
            sessions: BTreeMap::new(),
            queue: VecDeque::new(),
            flushing: Vec::new(),
            fold_planned: false,
        });
        Ok(())
    }

    fn lossy(&self) -> LossyLog {
        LossyLog { disk: Arc::clone(&self.disk), rng: Mutex::new(self.losing.clone()) }
    }

    /// True when the worker that merges the next page's documents dies of it.
    pub(super) fn loses_a_batch(&mut self) -> bool {
        self.losing.chance(self.loses_per_mille)
    }

    /// Everything up to here is counted.
    pub(super) fn counted(&self) -> Sequence {
        self.running.as_ref().map_or(Sequence::ZERO, |running| running.folder.counted())
    }
}

/// The views and their folder, as far as the records have it.
pub(super) fn folder(
    log: &Arc<dyn ChangeLog>,
    records: &Arc<dyn RecordStore>,
) -> Result<(Arc<Views>, FoldByPage), String> {
    let catalog = Catalog::shared();
    let mut projector = Projector::new(catalog);
    let loaded = Loaded::load(&**records, log.last(), &mut projector, || Projector::new(catalog));
    let loaded = loaded.map_err(|error| error.to_string())?;
    let views = Arc::new(Views::new(projector));
    let set_aside = SetAside::load(catalog, &**log, Arc::clone(records)).map_err(|error| error.to_string())?;
    let set_aside = Arc::new(set_aside);
    let folder = FoldByPage::new(
        Arc::clone(log),
        Arc::clone(records),
        Arc::clone(&views),
        loaded,
        FOLD_CACHE_DOCUMENTS,
        set_aside,
    );
    Ok((views, folder))
}
