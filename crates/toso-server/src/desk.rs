//! Answers what sessions ask: who somebody is, what the log has, what is counted.
//!
//! A desk needs nothing but the rooms it reads. It knows no runtime, no socket and no clock, so the server's driver
//! works at it from blocking threads, and a simulation works at the same one in virtual time.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use toso_catalog::Catalog;
use toso_core::change::Entry;
use toso_core::chunk::ChangeHash;
use toso_core::id::{AuthorId, ChunkKey, Digest, DocId, Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitCode, UnitRef};
use toso_store::{ChangeLog, LogBatch, Page, StoreError};
use toso_sync::server::{Hold, KeepTold, Open, ReadElements, ReadPage, ReadTotals, ReadWanted, VerifyCarried};
use toso_sync::{
    AppendFailure, AppendOutcome, Ask as _, Authenticated, Opened, OpenedInterest, PageEntry, PageRead, Refusal,
    ServerEvent, WantedRead,
};
use toso_wire::limits::PAGE_BYTES_MAX;
use toso_wire::{Interest, Proof, UnitTotals};

use crate::log_writer::{Accepted, UNIT_SCOPES_MAX};
use crate::returned;
use crate::review::ReviewQueue;
use crate::trust::{NONCE_BYTES, Trust};
use crate::views::Views;

/// Change bytes read for one DELTA page. A page of small chunks compresses about 4:1; what does not fit is read again.
const PAGE_READ_BYTES_MAX: usize = 4 * PAGE_BYTES_MAX;
/// Chunks read for one DELTA page: a change has about 40 bytes compressed at best, so 16 KiB hold at most some 400.
const PAGE_READ_ITEMS_MAX: usize = 512;
/// Chunks and change bytes held at a time while a unit is walked through.
const WALK_ITEMS_MAX: usize = 4_096;
const WALK_BYTES_MAX: usize = 1 << 20;

/// What a session waits for that is not done at once: it may wait for the disk, or computes.
#[derive(Debug)]
pub enum Work {
    /// Where a device stands.
    Open(Open),
    /// What a unit got.
    ReadPage(ReadPage),
    /// What a unit has: a walk through it.
    ReadElements(ReadElements),
    /// Some of what a unit has: a walk, too.
    ReadWanted(ReadWanted),
    /// What is counted; in memory once the views are whole.
    ReadTotals(ReadTotals),
    /// Whether an author signed: computes.
    VerifyCarried(VerifyCarried),
    /// What a device was told: writes.
    KeepTold(KeepTold),
}

/// The rooms that sessions ask about.
pub struct Desk {
    /// The unit lists.
    pub catalog: &'static Catalog,
    /// Who may do what.
    pub trust: Trust,
    /// What was accepted.
    pub log: Arc<dyn ChangeLog>,
    /// What is counted.
    pub views: Arc<Views>,
    /// What waits for an officer's decision.
    pub review: Arc<ReviewQueue>,
    /// Scopes by unit, as they are asked for; bounded by the number of units (about 15,000).
    scopes: RwLock<HashMap<UnitRef, Arc<[Scope]>>>,
    /// Chunks of a unit that are compared.
    reconcile_keys_max: u64,
}

impl Desk {
    /// A desk over these rooms. A unit of more than `reconcile_keys_max` chunks
    /// ([`toso_sync::reconcile::RECONCILE_KEYS_MAX`]) is not compared but sent whole when the epoch is another.
    pub fn new(
        catalog: &'static Catalog,
        trust: Trust,
        log: Arc<dyn ChangeLog>,
        views: Arc<Views>,
        review: Arc<ReviewQueue>,
        reconcile_keys_max: u64,
    ) -> Self {
        Self { catalog, trust, log, views, review, scopes: RwLock::default(), reconcile_keys_max }
    }

    /// Checks a proof. `nonce` is the connection's: that of its last CHALLENGE, good for one answer; a new CHALLENGE leaves a
    /// new one in it.
    pub fn authenticate(
        &self,
        proof: &Proof,
        nonce: &mut Option<[u8; NONCE_BYTES]>,
        now: TimestampMs,
    ) -> Result<Authenticated, Refusal> {
        let fresh = self.trust.random().map_err(|error| {
            tracing::error!(%error, "cannot authenticate");
            Refusal::Busy("the server cannot check proofs now".to_owned())
        })?;
        let answer = self.trust.authenticate(proof, *nonce, fresh, now);
        *nonce = matches!(answer, Err(Refusal::Challenge(_))).then_some(fresh);
        answer
    }

    /// Does what a session waits for. Blocks for as long as the store does.
    pub fn perform(&self, work: Work, now: TimestampMs) -> Result<ServerEvent, StoreError> {
        Ok(match work {
            Work::Open(open) => {
                let opened = self.open(open.epoch, &open.interests)?;
                open.answer(opened)
            }
            Work::ReadPage(read) => {
                let page = self.read_page(read.unit, read.after)?;
                read.answer(page)
            }
            Work::ReadElements(read) => {
                let elements = self.elements(read.unit, read.at)?;
                read.answer(elements)
            }
            Work::ReadWanted(read) => {
                let wanted = self.wanted(&read)?;
                read.answer(wanted)
            }
            Work::ReadTotals(read) => {
                let totals = self.totals(&read.0);
                read.answer(totals)
            }
            Work::VerifyCarried(verify) => {
                let author = self.trust.verify_carried(verify.author, &verify.signed, &verify.signature);
                verify.answer(author)
            }
            Work::KeepTold(told) => {
                // Without it the device is told again by its next session, which is no reason to end this one.
                if let Err(error) = self.review.keep_told(told.author, told.number, now) {
                    tracing::warn!(%error, "that a device has kept decisions could not be noted");
                }
                told.answer(())
            }
        })
    }

    /// Puts changes into the review queue. Blocks until they are durable there.
    pub fn hold(&self, hold: Hold, now: TimestampMs) -> ServerEvent {
        let outcome = self.review.hold(&*self.log, (hold.author, hold.scope), hold.reason, &hold.items, now);
        hold.answer(outcome.map_err(|error| {
            tracing::error!(%error, "changes could not be put into the review queue");
            AppendFailure::Unavailable
        }))
    }

    /// Notes who returned the changes of a batch, durably. Before they go to the log, so that none is there without it.
    pub fn note_returned(&self, batch: &LogBatch, by: AuthorId) -> Result<(), StoreError> {
        returned::note(self.trust.records(), batch, by)
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
        let entries = page.entries.into_iter().map(|entry| page_entry(&self.trust, entry)).collect();
        Ok(PageRead { unit, entries, through: page.through, more: page.more })
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

    /// The state of the log as a session begins, and whether the device's view of it is one that pages can go on from.
    pub fn open(&self, epoch: Option<Epoch>, interests: &[Interest]) -> Result<Opened, StoreError> {
        let end = self.log.last();
        let (epoch_now, takes_returns) = (self.trust.epoch(), self.trust.began_with_a_loss());
        let mut opened = Opened { epoch: epoch_now, takes_returns, interests: Vec::new(), page: None };
        for Interest { unit, cursor, digest } in interests {
            let scopes = self.scopes(*unit);
            let whole = self.log.summary(&scopes, end)?;
            let foreign = epoch.is_some_and(|epoch| epoch != self.trust.epoch()) || *cursor > end;
            let cursor = if epoch.is_some() && !foreign { *cursor } else { Sequence::ZERO };
            let known = if cursor == end { whole } else { self.log.summary(&scopes, cursor)? };
            // No digest: the device knows that it holds something else (edits on their way).
            let differs = *digest != Digest::default() && *digest != known.digest;
            // A unit of more chunks than any device holds is sent anew instead.
            let reconcile = (foreign || differs) && whole.count <= self.reconcile_keys_max;
            opened.interests.push(OpenedInterest {
                cursor,
                reconcile: reconcile.then_some(end),
                last: self.log.last_of_scopes(&scopes)?,
                pending: whole.count.saturating_sub(known.count),
            });
        }
        if let ([Interest { unit, .. }], [only]) = (interests, opened.interests.as_slice())
            && only.reconcile.is_none()
            && only.last > only.cursor
        {
            opened.page = Some(self.read_page(*unit, only.cursor)?);
        }
        Ok(opened)
    }

    /// True when a session is opened without a look at the disk: the device has everything of what it follows, as nearly
    /// all have that come back after a short while without network.
    pub fn opens_from_memory(&self, open: &Open) -> bool {
        let end = self.log.last();
        open.epoch == Some(self.trust.epoch())
            && open.interests.iter().all(|Interest { unit, cursor, .. }| {
                let scopes = self.scopes(*unit);
                // Wide units are many look-ups, though in memory.
                scopes.len() <= UNIT_SCOPES_MAX
                    && *cursor <= end
                    && self.log.last_of_scopes(&scopes).is_ok_and(|last| last <= *cursor)
            })
    }

    /// Which chunks of a unit lie at or below `at`.
    fn elements(&self, unit: UnitRef, at: Sequence) -> Result<Vec<(DocId, ChangeHash)>, StoreError> {
        let mut elements = Vec::new();
        self.walk(unit, Sequence::ZERO, at, |entry| {
            elements.push((entry.change.doc, entry.change.hash()));
            true
        })?;
        Ok(elements)
    }

    /// The chunks of a unit with these keys after `after` and at or below `at`, as many as a page takes.
    fn wanted(&self, read: &ReadWanted) -> Result<WantedRead, StoreError> {
        let ReadWanted { unit, ref keys, after, at, .. } = *read;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        let through = self.walk(unit, after, at, |entry| {
            if keys.contains(&ChunkKey::of(entry.change.doc, &entry.change.hash())) {
                bytes += entry.change.bytes().len();
                entries.push(page_entry(&self.trust, entry));
            }
            bytes < PAGE_READ_BYTES_MAX && entries.len() < PAGE_READ_ITEMS_MAX
        })?;
        Ok(WantedRead { unit, entries, through, more: through < at })
    }

    /// Shows entries of a unit after `after` and at or below `at` until `go_on` says no. Everything at or below the
    /// answer was shown.
    fn walk(
        &self,
        unit: UnitRef,
        mut after: Sequence,
        at: Sequence,
        mut go_on: impl FnMut(Entry) -> bool,
    ) -> Result<Sequence, StoreError> {
        while after < at {
            let page = self.read_unit(unit, after, WALK_ITEMS_MAX, WALK_BYTES_MAX)?;
            for entry in page.entries {
                if entry.sequence > at {
                    return Ok(at);
                }
                after = entry.sequence;
                if !go_on(entry) {
                    return Ok(after);
                }
            }
            if !page.more {
                return Ok(at);
            }
        }
        Ok(at)
    }

    /// The counted figures of units, all as of one position.
    pub fn totals(&self, units: &[UnitRef]) -> (Sequence, Vec<UnitTotals>) {
        let mut projector = self.views.lock();
        let totals = units.iter().map(|unit| {
            // Sessions ask for units that the catalogue has; of any other nothing is counted.
            let (teams, members) = projector.totals(*unit).map_or((0, 0), |totals| (totals.teams, totals.members));
            UnitTotals { unit: *unit, teams, members }
        });
        let totals = totals.collect();
        (projector.as_of(), totals)
    }
}

fn page_entry(trust: &Trust, entry: Entry) -> PageEntry {
    // What cannot be read now is shown under its author's name alone, and by the centre with who brought it back.
    let returned_by = returned::by(trust, &entry).unwrap_or_default();
    PageEntry { entry, returned_by }
}

/// What a session is told of its batch.
pub fn outcome(accepted: Accepted) -> AppendOutcome {
    let Accepted { appended, refused, postponed, before } = accepted;
    let (new, through) = (appended.new as u64, appended.through);
    AppendOutcome { first_new: appended.first_new, new, through, refused, postponed, before }
}
