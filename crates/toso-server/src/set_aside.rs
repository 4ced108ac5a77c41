//! What officers have set aside of a device's writing: it stays in the log, and is in no figure and no answer.
//!
//! A rogue device's changes cannot be taken out of a log that phones compare themselves with; so they are left out where
//! documents are made of it. `SetAside::clean` is the one place that says so: counting, REST and verifying all read a
//! document's entries through it, and what others made on top is written anew
//! ([`toso_core::document::without`]). Undoing is to let them in again. Both are decisions with a name, a time
//! and a reason, kept for good.
//!
//! A decision covers what the log had when it was made: what the device brings later counts, unless it is revoked first.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `set_aside` | number (u32 BE) | [`SetAsideRecord`] as MessagePack |
//! | `set_aside_docs` | number (u32 BE) ‖ document id (16) | 1: the documents that a decision changes |
//! | `set_aside_followed` | number (u32 BE) | 0 when counting has followed the decision, 1 when it has followed its undoing |
//!
//! Only the decision is truth, and written durably; the other two follow from it and the log. The documents are written
//! first; a list that is not as long as its decision says is found again by a walk through the log. Then folding makes
//! those documents again, some dozens at a time behind what is fresh, and notes that it has followed the decision; after a
//! crash it begins again with what it has not. Once it has followed an undoing, the list is forgotten.
//!
//! An officer decides so often a day ([`DECISIONS_OF_OFFICER_DAY`], [`DOCUMENTS_OF_OFFICER_DAY`]), and so often is decided
//! about one unit ([`DECISIONS_ABOUT_UNIT_DAY`]): each decision costs every document's merging, and room for good.

mod queue;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use toso_catalog::Catalog;
use toso_core::change::{Change, Entry};
use toso_core::chunk::Chunk;
use toso_core::document::{Kept, without};
use toso_core::id::{AuthorId, DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};
use toso_store::{ChangeLog, RecordChange, RecordStore, StoreError};

use crate::quota::DAY_MS;
use crate::tables::{SET_ASIDE_DOCS_TABLE, SET_ASIDE_FOLLOWED_TABLE, SET_ASIDE_TABLE};
use crate::tail::Tail;

use queue::Queue;
pub(crate) use queue::{Again, Settles};

/// Entries and bytes read at a time while a unit is walked through.
const WALK_ITEMS_MAX: usize = 4_096;
const WALK_BYTES_MAX: usize = 1 << 20;
/// Documents of one decision: twelve days of a device that writes all it may, each change into another document. Their
/// records are 24 bytes each.
pub const DOCUMENTS_MAX: usize = 50_000;
/// Decisions of one officer in a day. Somebody who looks through a commune after an incident decides about its devices (some
/// dozens) once each; a district's officer does so for the worst commune of the day.
pub const DECISIONS_OF_OFFICER_DAY: usize = 60;
/// Decisions about one unit in a day, by all officers: its own officers' and those above each go through it once.
pub const DECISIONS_ABOUT_UNIT_DAY: usize = 120;
/// Documents of an officer's decisions of a day: two of the largest, which are 2.4 MB of records; undoing costs them once
/// more.
pub const DOCUMENTS_OF_OFFICER_DAY: u64 = 2 * DOCUMENTS_MAX as u64;
/// Changes of one write; the store takes at most 4,096.
const WRITE_CHANGES_MAX: usize = 2_048;
const HOUR_MS: u64 = 60 * 60 * 1_000;

/// A decision to set aside, and perhaps to let in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAsideRecord {
    /// Whose changes.
    pub author: AuthorId,
    /// Where: this unit and those below it.
    pub unit: UnitRef,
    /// Only what the server got from then on.
    pub since: Option<TimestampMs>,
    /// Only of this document.
    pub document: Option<DocId>,
    /// Only what the log had then.
    pub through: Sequence,
    /// Who decided; `None` for the admin token.
    pub by: Option<AuthorId>,
    /// When.
    pub at: TimestampMs,
    /// Why, in the officer's words.
    pub why: String,
    /// How many documents it changes.
    pub documents: u64,
    /// Set once it is undone.
    pub undone: Option<Undone>,
    /// True once counting has followed. What is stored says no, but in folders of earlier versions: progress is derived.
    pub settled: bool,
}

/// Who let changes in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    /// Who; `None` for the admin token.
    pub by: Option<AuthorId>,
    /// When.
    pub at: TimestampMs,
    /// Why.
    pub why: String,
}

/// What is to be set aside.
#[derive(Debug, Clone)]
pub struct Order {
    /// See [`SetAsideRecord`].
    pub author: AuthorId,
    /// See [`SetAsideRecord`].
    pub unit: UnitRef,
    /// See [`SetAsideRecord`].
    pub since: Option<TimestampMs>,
    /// See [`SetAsideRecord`].
    pub document: Option<DocId>,
    /// See [`SetAsideRecord`].
    pub by: Option<AuthorId>,
    /// See [`SetAsideRecord`].
    pub why: String,
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum SetAsideError {
    /// The device has nothing there that counts.
    #[error("the device has no changes there that are not set aside already")]
    Nothing,
    /// More documents than [`DOCUMENTS_MAX`].
    #[error("the device's changes are in more than {DOCUMENTS_MAX} documents; set them aside unit by unit, or by time")]
    TooMany,
    /// No such decision.
    #[error("nothing was set aside under number {0}")]
    Unknown(u32),
    /// It is undone already.
    #[error("number {0} is undone already")]
    Undone(u32),
    /// Over one of the bounds of a day.
    #[error("{what} of the last 24 hours are used up; decide again in {} hours, or ask the server's operator", wait_ms.div_ceil(HOUR_MS))]
    ManyToday {
        /// Which.
        what: &'static str,
        /// When some of them are a day old.
        wait_ms: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All decisions.
pub struct SetAside {
    catalog: &'static Catalog,
    store: Arc<dyn RecordStore>,
    /// False while nothing is set aside, so that nobody pays for it.
    any: AtomicBool,
    known: RwLock<Known>,
    /// One decision at a time; who waits for it.
    deciding: Mutex<()>,
    tail: Mutex<Option<Arc<Tail>>>,
}

#[derive(Default)]
struct Known {
    records: BTreeMap<u32, Arc<SetAsideRecord>>,
    /// Those that hold.
    active: HashMap<AuthorId, Vec<Active>>,
    /// Documents of decisions that hold, or that held since the start: these are always made from their whole history.
    touched: HashSet<DocId>,
    /// What folding has to make again.
    again: Queue,
}

struct Active {
    number: u32,
    record: Arc<SetAsideRecord>,
    scopes: HashSet<Scope>,
}

impl Active {
    fn covers(&self, entry: &Entry) -> bool {
        let SetAsideRecord { since, document, through, .. } = &*self.record;
        entry.sequence <= *through
            && since.is_none_or(|since| entry.received_at >= since)
            && document.is_none_or(|document| document == entry.change.doc)
            && self.scopes.contains(&entry.scope)
    }
}

impl SetAside {
    /// The decisions of a store. What folding has not followed yet is to be made again.
    pub fn load(
        catalog: &'static Catalog,
        log: &dyn ChangeLog,
        store: Arc<dyn RecordStore>,
    ) -> Result<Self, StoreError> {
        let mut known = Known::default();
        for (key, value) in store.records(SET_ASIDE_TABLE, &[])? {
            let damaged = |detail: String| StoreError::Damaged {
                path: "the server's records".to_owned(),
                place: format!("{SET_ASIDE_TABLE}/{}", data_encoding::HEXLOWER.encode(&key)),
                detail,
            };
            let number = key.as_slice().try_into().map(u32::from_be_bytes);
            let number = number.map_err(|_| damaged("it is no number".to_owned()))?;
            let mut record: SetAsideRecord =
                rmp_serde::from_slice(&value).map_err(|error| damaged(error.to_string()))?;
            let followed = store.record(SET_ASIDE_FOLLOWED_TABLE, &key)?;
            record.settled |= followed == Some(vec![u8::from(record.undone.is_some())]);
            if record.undone.is_none() || !record.settled {
                let documents = documents_of(catalog, log, &*store, number, &record)?;
                known.touched.extend(&documents);
                if !record.settled {
                    known.again.add((number, record.undone.is_some()), &documents);
                }
            }
            known.keep(catalog, number, Arc::new(record));
        }
        let any = AtomicBool::new(!known.touched.is_empty());
        let (deciding, tail) = (Mutex::default(), Mutex::default());
        Ok(Self { catalog, store, any, known: RwLock::new(known), deciding, tail })
    }

    /// Whom to wake when there is something to be made again.
    pub(crate) fn wake_with(&self, tail: Arc<Tail>) {
        *self.tail.lock() = Some(tail);
    }

    /// Sets changes aside, durably. Blocks while the unit's log is read. Figures follow.
    pub fn set_aside(
        &self,
        log: &dyn ChangeLog,
        order: Order,
        now: TimestampMs,
    ) -> Result<(u32, Arc<SetAsideRecord>), SetAsideError> {
        let _one_at_a_time = self.deciding.lock();
        let Order { author, unit, since, document, by, why } = order;
        let mut record = SetAsideRecord {
            author,
            unit,
            since,
            document,
            through: log.last(),
            by,
            at: now,
            why,
            documents: 0,
            undone: None,
            settled: false,
        };
        self.known.read().check_day(&record)?;
        let number = self.known.read().records.keys().next_back().map_or(0, |last| last.saturating_add(1));
        let decision = Active::new(self.catalog, number, Arc::new(record.clone()));
        let mut counts = false;
        let documents = documents_to_change(log, &decision, |entry| counts |= !self.covers(entry))?;
        let documents = documents.ok_or(SetAsideError::TooMany)?;
        if !counts {
            return Err(SetAsideError::Nothing);
        }
        record.documents = documents.len() as u64;
        self.known.read().check_day(&record)?;
        for part in documents.chunks(WRITE_CHANGES_MAX) {
            let rows = part.iter().map(|doc| RecordChange {
                table: SET_ASIDE_DOCS_TABLE.to_owned(),
                key: [number.to_be_bytes().as_slice(), doc.as_bytes()].concat(),
                value: Some(vec![1]),
                expect: None,
            });
            self.store.derive(&rows.collect::<Vec<_>>())?;
        }
        self.decide(number, record, &documents)
    }

    /// Lets in again what a decision has set aside, durably. Figures follow.
    pub fn undo(
        &self,
        log: &dyn ChangeLog,
        number: u32,
        by: Option<AuthorId>,
        why: String,
        now: TimestampMs,
    ) -> Result<(u32, Arc<SetAsideRecord>), SetAsideError> {
        let _one_at_a_time = self.deciding.lock();
        let before = self.record(number).ok_or(SetAsideError::Unknown(number))?;
        if before.undone.is_some() {
            return Err(SetAsideError::Undone(number));
        }
        let documents = documents_of(self.catalog, log, &*self.store, number, &before)?;
        let record = SetAsideRecord { undone: Some(Undone { by, at: now, why }), settled: false, ..(*before).clone() };
        self.decide(number, record, &documents)
    }

    fn decide(
        &self,
        number: u32,
        record: SetAsideRecord,
        documents: &[DocId],
    ) -> Result<(u32, Arc<SetAsideRecord>), SetAsideError> {
        let at = record.undone.as_ref().map_or(record.at, |undone| undone.at);
        self.store.command(at, &[change(number, &record)])?;
        let record = Arc::new(record);
        let mut known = self.known.write();
        known.touched.extend(documents);
        known.keep(self.catalog, number, Arc::clone(&record));
        known.again.add((number, record.undone.is_some()), documents);
        drop(known);
        self.any.store(true, Ordering::Release);
        if let Some(tail) = &*self.tail.lock() {
            tail.grew();
        }
        Ok((number, record))
    }

    /// A decision.
    pub fn record(&self, number: u32) -> Option<Arc<SetAsideRecord>> {
        self.known.read().records.get(&number).cloned()
    }

    /// The newest decisions that a test selects, newest first, `limit` at most, of those made before number `before`; and
    /// whether there are more.
    pub fn page(
        &self,
        before: Option<u32>,
        limit: usize,
        mut select: impl FnMut(&SetAsideRecord) -> bool,
    ) -> (Vec<(u32, Arc<SetAsideRecord>)>, bool) {
        let known = self.known.read();
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let mut left = known.records.range((Bound::Unbounded, end)).rev().filter(|(_, record)| select(record));
        let page = left.by_ref().take(limit).map(|(number, record)| (*number, Arc::clone(record))).collect();
        (page, left.next().is_some())
    }

    /// True when an entry is set aside.
    pub fn covers(&self, entry: &Entry) -> bool {
        self.any.load(Ordering::Acquire)
            && self
                .known
                .read()
                .active
                .get(&entry.author)
                .is_some_and(|active| active.iter().any(|active| active.covers(entry)))
    }

    /// True for a document of which something is, or was, set aside: it is made from its whole history only.
    pub(crate) fn touches(&self, doc: DocId) -> bool {
        self.any.load(Ordering::Acquire) && self.known.read().touched.contains(&doc)
    }

    /// A document's entries without what is set aside. What was made on top of that is written anew. Of a document of which
    /// something was erased there are none: what is left of it cannot be read without the rest.
    pub(crate) fn clean(&self, entries: Vec<Entry>) -> Vec<Entry> {
        if entries.iter().any(|entry| entry.change.chunk().is_none()) {
            return Vec::new();
        }
        let Some(doc) = entries.first().map(|entry| entry.change.doc).filter(|doc| self.touches(*doc)) else {
            return entries;
        };
        let aside: Vec<bool> = entries.iter().map(|entry| self.covers(entry)).collect();
        if !aside.contains(&true) {
            return entries;
        }
        // What only a newer version reads is not written anew: nobody here builds on it.
        let Some(kind) = doc.kind() else {
            let kept = entries.into_iter().zip(aside).filter(|(_, aside)| !aside);
            return kept.map(|(entry, _)| entry).collect();
        };
        let changes: Vec<&Chunk> = entries.iter().filter_map(|entry| entry.change.chunk()).collect();
        let kept = without(kind, &changes, |place| aside.get(place).copied().unwrap_or_default());
        let of_log =
            |Kept { place, chunk }| Some(Entry { change: Change { doc, chunk }.into(), ..entries.get(place)?.clone() });
        kept.into_iter().filter_map(of_log).collect()
    }

    /// The next documents that folding is to make again.
    pub(crate) fn next_again(&self) -> Option<Again> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.known.write().again.pop()
    }

    /// What could not be made again now comes first next time.
    pub(crate) fn later(&self, again: Again) {
        self.known.write().again.put_back(again);
    }

    /// Documents that folding has not made again yet.
    pub(crate) fn unsettled(&self) -> HashSet<DocId> {
        self.known.read().again.documents()
    }

    /// Counting has followed a decision. Written after the rows: a crash never leaves the one without the other.
    pub(crate) fn settle(&self, (number, undone): Settles) {
        let mut known = self.known.write();
        // One that was undone since is to be followed once more.
        let same = |record: &&Arc<SetAsideRecord>| record.undone.is_some() == undone;
        let Some(record) = known.records.get(&number).filter(same) else { return };
        let record = SetAsideRecord { settled: true, ..(**record).clone() };
        let followed = RecordChange {
            table: SET_ASIDE_FOLLOWED_TABLE.to_owned(),
            key: number.to_be_bytes().to_vec(),
            value: Some(vec![u8::from(undone)]),
            expect: None,
        };
        let noted = self.store.derive(&[followed]).and_then(|()| {
            // An undone decision is not decided about again.
            if undone { forget_documents(&*self.store, number) } else { Ok(()) }
        });
        if let Err(error) = noted {
            tracing::warn!(number, %error, "that counting has followed a decision is not noted; the next start repeats it");
            return;
        }
        known.keep(self.catalog, number, Arc::new(record));
    }
}

impl std::fmt::Debug for SetAside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetAside").field("decisions", &self.known.read().records.len()).finish_non_exhaustive()
    }
}

impl Active {
    fn new(catalog: &'static Catalog, number: u32, record: Arc<SetAsideRecord>) -> Self {
        Self { number, scopes: catalog.scopes_under_all_lists(record.unit).into_iter().collect(), record }
    }
}

impl Known {
    fn keep(&mut self, catalog: &'static Catalog, number: u32, record: Arc<SetAsideRecord>) {
        let of_device = self.active.entry(record.author).or_default();
        of_device.retain(|active| active.number != number);
        if record.undone.is_none() {
            of_device.push(Active::new(catalog, number, Arc::clone(&record)));
        }
        self.records.insert(number, record);
    }

    /// Whether one more decision is within the day's bounds. The admin token is not bound.
    fn check_day(&self, next: &SetAsideRecord) -> Result<(), SetAsideError> {
        let Some(officer) = next.by else { return Ok(()) };
        let today =
            |record: &&Arc<SetAsideRecord>| record.by.is_some() && record.at.0.saturating_add(DAY_MS) > next.at.0;
        let decided = || self.records.values().filter(today);
        let own = || decided().filter(|record| record.by == Some(officer));
        let about = || decided().filter(|record| record.unit == next.unit);
        let each = |record: &Arc<SetAsideRecord>| (record.at, 1);
        let documents = |record: &Arc<SetAsideRecord>| (record.at, record.documents);
        let spent = [
            ("your decisions", room_after(own().map(each), 1, DECISIONS_OF_OFFICER_DAY as u64)),
            ("the decisions about this unit", room_after(about().map(each), 1, DECISIONS_ABOUT_UNIT_DAY as u64)),
            (
                "the documents of your decisions",
                room_after(own().map(documents), next.documents, DOCUMENTS_OF_OFFICER_DAY),
            ),
        ];
        // Where several are used up, the longest wait is the true one.
        let longest =
            spent.into_iter().filter_map(|(what, until)| Some((until?, what))).max_by_key(|(until, _)| *until);
        longest.map_or(Ok(()), |(until, what)| {
            Err(SetAsideError::ManyToday { what, wait_ms: until.since_ms(next.at).max(1) })
        })
    }
}

/// When `more` has room under a bound beside what the last day has taken, which each fades after a day; `None` when it has
/// now.
fn room_after(taken: impl Iterator<Item = (TimestampMs, u64)>, more: u64, bound: u64) -> Option<TimestampMs> {
    let mut taken: Vec<_> = taken.collect();
    taken.sort_unstable();
    let mut sum = taken.iter().map(|(_, size)| size).sum::<u64>() + more;
    let mut until = None;
    for (at, size) in taken {
        if sum <= bound {
            break;
        }
        sum -= size;
        until = Some(at.plus_ms(DAY_MS));
    }
    until
}

/// Removes the list of documents of a decision.
fn forget_documents(store: &dyn RecordStore, number: u32) -> Result<(), StoreError> {
    let rows = store.records(SET_ASIDE_DOCS_TABLE, &number.to_be_bytes())?;
    for part in rows.chunks(WRITE_CHANGES_MAX) {
        let gone = part.iter().map(|(key, _)| RecordChange {
            table: SET_ASIDE_DOCS_TABLE.to_owned(),
            key: key.clone(),
            value: None,
            expect: None,
        });
        store.derive(&gone.collect::<Vec<_>>())?;
    }
    Ok(())
}

/// The documents of a decision: as they are listed, or by a walk when the list is not whole.
fn documents_of(
    catalog: &'static Catalog,
    log: &dyn ChangeLog,
    store: &dyn RecordStore,
    number: u32,
    record: &SetAsideRecord,
) -> Result<Vec<DocId>, StoreError> {
    let rows = store.records(SET_ASIDE_DOCS_TABLE, &number.to_be_bytes())?;
    let doc = |key: &[u8]| DocId::from_bytes(*key.last_chunk()?).ok();
    let listed: Vec<DocId> = rows.iter().filter_map(|(key, _)| doc(key)).collect();
    if listed.len() as u64 == record.documents {
        return Ok(listed);
    }
    let walked = documents_to_change(log, &Active::new(catalog, number, Arc::new(record.clone())), |_| ())?;
    // It was decided, so it has no more than a decision may have.
    Ok(walked.unwrap_or(listed))
}

/// The documents of which a decision leaves something out, also where another leaves it out already: that one may be
/// undone. Each entry that it leaves out is shown to `each`. `None` when there are more than [`DOCUMENTS_MAX`].
fn documents_to_change(
    log: &dyn ChangeLog,
    decision: &Active,
    mut each: impl FnMut(&Entry),
) -> Result<Option<Vec<DocId>>, StoreError> {
    let mut documents = HashSet::new();
    let mut look = |entry: &Entry| {
        if entry.author == decision.record.author && decision.covers(entry) {
            documents.insert(entry.change.doc);
            each(entry);
        }
        documents.len() <= DOCUMENTS_MAX
    };
    let mut fits = true;
    if let Some(document) = decision.record.document {
        fits = log.document(document)?.iter().all(&mut look);
    } else {
        let scopes: Vec<Scope> = decision.scopes.iter().copied().collect();
        let mut after = Sequence::ZERO;
        while fits && after < decision.record.through {
            let page = log.read_scopes(&scopes, after, WALK_ITEMS_MAX, WALK_BYTES_MAX)?;
            fits = page.entries.iter().all(&mut look);
            if !page.more {
                break;
            }
            after = page.through;
        }
    }
    let mut documents: Vec<DocId> = documents.into_iter().collect();
    documents.sort_unstable();
    Ok(fits.then_some(documents))
}

fn change(number: u32, record: &SetAsideRecord) -> RecordChange {
    let decided = SetAsideRecord { settled: false, ..record.clone() };
    RecordChange {
        table: SET_ASIDE_TABLE.to_owned(),
        key: number.to_be_bytes().to_vec(),
        // Plain structs of numbers, texts and bytes always encode.
        value: Some(rmp_serde::to_vec(&decided).unwrap_or_default()),
        expect: None,
    }
}

#[cfg(test)]
mod tests;
