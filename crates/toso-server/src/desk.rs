//! Answers what sessions ask: who somebody is, what the log has, what is counted.
//!
//! A desk needs nothing but the rooms it reads. It knows no runtime, no socket and no clock, so the server's driver
//! works at it from blocking threads, and a simulation works at the same one in virtual time.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use toso_catalog::Catalog;
use toso_core::id::{DeviceId, Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitCode, UnitRef};
use toso_projection::Projector;
use toso_store::{Appended, ChangeLog, LogBatch, LogItem, Page, StoreError};
use toso_sync::{
    AppendItem, AppendOutcome, Authenticated, Opened, OpenedInterest, PageEntry, PageRead, Refusal, ServerEffect,
    ServerEvent,
};
use toso_wire::limits::PAGE_BYTES_MAX;
use toso_wire::{Proof, UnitTotals};

use crate::trust::{NONCE_BYTES, Trust};

/// Change bytes read for one DELTA page. A page of small chunks compresses about 4:1; what does not fit is read again.
const PAGE_READ_BYTES_MAX: usize = 4 * PAGE_BYTES_MAX;
/// Chunks read for one DELTA page: a change has about 40 bytes compressed at best, so 16 KiB hold at most some 400.
const PAGE_READ_ITEMS_MAX: usize = 512;
/// Pending chunks are counted up to here; a phone that is further behind sees at least so many to come.
const PENDING_COUNTED_MAX: u64 = 4_096;
/// Change bytes held at a time while pending chunks are counted.
const PENDING_READ_BYTES_MAX: usize = 1 << 20;

/// The rooms that sessions ask about.
pub struct Desk {
    /// The unit lists.
    pub catalog: &'static Catalog,
    /// Who may do what.
    pub trust: Trust,
    /// What was accepted.
    pub log: Arc<dyn ChangeLog>,
    /// What is counted.
    pub projector: Arc<Mutex<Projector>>,
    /// Scopes by unit, as they are asked for; bounded by the number of units (about 15,000).
    scopes: RwLock<HashMap<UnitRef, Arc<[Scope]>>>,
}

impl Desk {
    /// A desk over these rooms.
    pub fn new(
        catalog: &'static Catalog,
        trust: Trust,
        log: Arc<dyn ChangeLog>,
        projector: Arc<Mutex<Projector>>,
    ) -> Self {
        Self { catalog, trust, log, projector, scopes: RwLock::default() }
    }

    /// Answers [`ServerEffect::Authenticate`]. `nonce` is the connection's: that of its last CHALLENGE, good for one
    /// answer; a new CHALLENGE leaves a new one in it.
    pub fn authenticate(
        &self,
        proof: &Proof,
        nonce: &mut Option<[u8; NONCE_BYTES]>,
        now: TimestampMs,
    ) -> Result<Authenticated, Refusal> {
        let fresh = self.trust.random().map_err(|error| {
            tracing::error!(%error, "cannot authenticate");
            Refusal::Unauthorized("the server cannot check proofs now".to_owned())
        })?;
        let answer = self.trust.authenticate(proof, *nonce, fresh, now);
        *nonce = matches!(answer, Err(Refusal::Challenge(_))).then_some(fresh);
        answer
    }

    /// Answers the effects that only read. Blocks for as long as the store does. `None` for all other effects, which
    /// are the driver's.
    pub fn answer(&self, effect: &ServerEffect) -> Result<Option<ServerEvent>, StoreError> {
        Ok(Some(match effect {
            ServerEffect::Open { epoch, interests } => ServerEvent::Opened(self.open(*epoch, interests)?),
            ServerEffect::ReadPage { unit, after } => ServerEvent::Page(self.read_page(*unit, *after)?),
            ServerEffect::ReadTotals(units) => {
                let (as_of, totals) = self.totals(units);
                ServerEvent::Totals { as_of, totals }
            }
            _ => return Ok(None),
        }))
    }

    /// The scopes that a right over a unit covers, of both lists; none for an unknown unit.
    pub fn scopes(&self, unit: UnitRef) -> Arc<[Scope]> {
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
    pub fn read_page(&self, unit: UnitRef, after: Sequence) -> Result<PageRead, StoreError> {
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
    pub fn read_unit(
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
    pub fn open(&self, epoch: Option<Epoch>, interests: &[(UnitRef, Sequence)]) -> Result<Opened, StoreError> {
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
    pub fn totals(&self, units: &[UnitRef]) -> (Sequence, Vec<UnitTotals>) {
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

/// The batch that [`ServerEffect::Append`] asks for.
pub fn batch(scope: Scope, author: DeviceId, items: Vec<AppendItem>, received_at: TimestampMs) -> LogBatch {
    let items = items.into_iter().map(|item| LogItem { doc: item.doc, hash: item.hash, bytes: item.change });
    LogBatch { scope, author, received_at, items: items.collect() }
}

/// What a session is told of its batch.
pub fn outcome(appended: Appended) -> AppendOutcome {
    AppendOutcome { first_new: appended.first_new, new: appended.new as u64, through: appended.through }
}
