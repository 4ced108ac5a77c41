//! What every room of the server shares, and the reads that more than one of them makes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toso_catalog::Catalog;
use toso_core::id::{Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitCode, UnitRef};
use toso_projection::Projector;
use toso_store::{ChangeLog, Page, StoreError};
use toso_sync::{Opened, OpenedInterest, PageEntry, PageRead};
use toso_wire::UnitTotals;
use toso_wire::limits::PAGE_BYTES_MAX;

use crate::config::{READS_CONCURRENT_MAX, ServerConfig};
use crate::counted::Counted;
use crate::hub::Hub;
use crate::log_writer::LogWriter;
use crate::metrics::Metrics;
use crate::trust::Trust;

/// Change bytes read for one DELTA page. A page of small chunks compresses about 4:1; what does not fit is read again.
const PAGE_READ_BYTES_MAX: usize = 4 * PAGE_BYTES_MAX;
/// Chunks read for one DELTA page: a change has about 40 bytes compressed at best, so 16 KiB hold at most some 400.
const PAGE_READ_ITEMS_MAX: usize = 512;
/// Pending chunks are counted up to here; a phone that is further behind sees at least so many to come.
const PENDING_COUNTED_MAX: u64 = 4_096;

/// Change bytes held at a time while pending chunks are counted.
const PENDING_READ_BYTES_MAX: usize = 1 << 20;

/// Everything that outlives a request.
pub(crate) struct Shared {
    pub(crate) config: ServerConfig,
    pub(crate) catalog: &'static Catalog,
    pub(crate) trust: Trust,
    pub(crate) log: Arc<dyn ChangeLog>,
    pub(crate) writer: LogWriter,
    pub(crate) hub: Arc<Hub>,
    pub(crate) counted: Arc<Counted>,
    pub(crate) projector: Arc<Mutex<Projector>>,
    pub(crate) metrics: Arc<Metrics>,
    /// Places for sync sessions.
    pub(crate) session_places: Arc<Semaphore>,
    /// Places for log reads.
    pub(crate) read_places: Arc<Semaphore>,
    /// Set once the server stops.
    pub(crate) stop: CancellationToken,
    /// Connections and sessions that still run.
    pub(crate) tasks: TaskTracker,
    /// Scopes by unit, as they are asked for; bounded by the number of units (about 15,000).
    scopes: RwLock<HashMap<UnitRef, Arc<[Scope]>>>,
}

/// The parts that [`Shared`] is made of.
pub(crate) struct Parts {
    pub(crate) config: ServerConfig,
    pub(crate) catalog: &'static Catalog,
    pub(crate) trust: Trust,
    pub(crate) log: Arc<dyn ChangeLog>,
    pub(crate) writer: LogWriter,
    pub(crate) hub: Arc<Hub>,
    pub(crate) counted: Arc<Counted>,
    pub(crate) projector: Arc<Mutex<Projector>>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            session_places: Arc::new(Semaphore::new(parts.config.sessions_max)),
            read_places: Arc::new(Semaphore::new(READS_CONCURRENT_MAX)),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            scopes: RwLock::default(),
            config: parts.config,
            catalog: parts.catalog,
            trust: parts.trust,
            log: parts.log,
            writer: parts.writer,
            hub: parts.hub,
            counted: parts.counted,
            projector: parts.projector,
            metrics: parts.metrics,
        }
    }

    /// The scopes that a right over a unit covers, of both lists; none for an unknown unit.
    pub(crate) fn scopes(&self, unit: UnitRef) -> Arc<[Scope]> {
        if let Some(scopes) = self.scopes.read().get(&unit) {
            return Arc::clone(scopes);
        }
        if self.catalog.get(unit).is_none() {
            return Arc::new([]);
        }
        let scopes: Arc<[Scope]> = self.catalog.scopes_under_all_lists(unit).into();
        self.scopes.write().insert(unit, Arc::clone(&scopes));
        scopes
    }

    /// Reads one page of a unit.
    pub(crate) fn read_page(&self, unit: UnitRef, after: Sequence) -> Result<PageRead, StoreError> {
        let page = self.read_unit(unit, after, PAGE_READ_ITEMS_MAX, PAGE_READ_BYTES_MAX)?;
        let entries = page.entries.into_iter().map(|entry| PageEntry {
            sequence: entry.sequence,
            scope: entry.scope,
            author: entry.author,
            doc: entry.item.doc,
            hash: entry.item.hash,
            change: entry.item.bytes,
        });
        Ok(PageRead { unit, entries: entries.collect(), through: page.through, more: page.more })
    }

    /// Entries of a unit after a sequence.
    pub(crate) fn read_unit(
        &self,
        unit: UnitRef,
        after: Sequence,
        items_max: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        if unit.code == UnitCode::COUNTRY {
            // Everything belongs to the country: one walk instead of a merge of 14,000 scopes.
            self.log.read(after, items_max, bytes_max)
        } else {
            self.log.read_scopes(&self.scopes(unit), after, items_max, bytes_max)
        }
    }

    /// The state of the log as a session begins. Cursors of another epoch or from the future count as zero.
    pub(crate) fn open(&self, epoch: Option<Epoch>, interests: &[(UnitRef, Sequence)]) -> Result<Opened, StoreError> {
        let ours = epoch.is_some_and(|epoch| epoch == self.trust.epoch());
        let end = self.log.last();
        let mut opened = Opened { epoch: self.trust.epoch(), interests: Vec::new() };
        for (unit, cursor) in interests {
            let cursor = if ours && *cursor <= end { *cursor } else { Sequence::ZERO };
            let last =
                if unit.code == UnitCode::COUNTRY { end } else { self.log.last_of_scopes(&self.scopes(*unit))? };
            let pending = if last > cursor { self.count_pending(*unit, cursor)? } else { 0 };
            opened.interests.push(OpenedInterest { cursor, last, pending });
        }
        Ok(opened)
    }

    fn count_pending(&self, unit: UnitRef, mut after: Sequence) -> Result<u64, StoreError> {
        let mut pending = 0;
        while pending < PENDING_COUNTED_MAX {
            let page = self.read_unit(unit, after, PAGE_READ_ITEMS_MAX, PENDING_READ_BYTES_MAX)?;
            pending += page.entries.len() as u64;
            if !page.more {
                break;
            }
            after = page.through;
        }
        Ok(pending)
    }

    /// The counted figures of units, all as of one position.
    pub(crate) fn totals(&self, units: &[UnitRef]) -> (Sequence, Vec<UnitTotals>) {
        let mut projector = self.projector.lock();
        let totals = units.iter().map(|unit| {
            // Sessions ask for units that the catalogue has; of any other nothing is counted.
            let (teams, members) = projector.totals(*unit).map_or((0, 0), |totals| (totals.teams, totals.members));
            UnitTotals { unit: *unit, teams, members }
        });
        let totals = totals.collect();
        (projector.as_of(), totals)
    }
}

/// The server's clock.
pub(crate) fn now() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
