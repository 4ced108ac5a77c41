//! The queue itself: writes are one at a time and durable before they show.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use toso_core::change::Change;
use toso_core::chunk::Chunk;
use toso_core::id::{AuthorId, ChangeHash, DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;
use toso_store::{ChangeLog, RecordChange, RecordStore, StoreError};
use toso_sync::{HoldFate, HoldOutcome, HoldReason};
use toso_wire::limits::DECISIONS_MAX;
use toso_wire::{Decision, Reviewed};

use crate::tables::{REVIEW_CHANGE_TABLE, REVIEW_TABLE, REVIEW_TOLD_TABLE};

use super::{
    HELD_BYTES_MAX, HELD_BYTES_PER_DEVICE_MAX, HELD_MAX, HELD_PER_DEVICE_MAX, ReviewRecord, ReviewStatus, reason_word,
};

/// The review queue.
pub struct ReviewQueue {
    store: Arc<dyn RecordStore>,
    /// Held over a write and what it does to the state: one decision, one number at a time.
    writing: Mutex<()>,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    items: BTreeMap<u64, Arc<ReviewRecord>>,
    by_chunk: HashMap<(DocId, ChangeHash), u64>,
    by_doc: HashMap<DocId, Vec<u64>>,
    kept: Kept,
    kept_by: HashMap<AuthorId, Kept>,
    /// Items by author and number of their last decision.
    decided: BTreeMap<(AuthorId, u64), u64>,
    told: HashMap<AuthorId, u64>,
    last_decision: u64,
    open: usize,
    /// Items on their way into the log.
    deciding: HashSet<u64>,
}

/// Changes that the queue keeps, being open or returned.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    items: usize,
    bytes: usize,
}

impl Kept {
    fn takes(self, bytes: usize, items_max: usize, bytes_max: usize) -> bool {
        self.items < items_max && self.bytes + bytes <= bytes_max
    }

    fn add(&mut self, bytes: u32) {
        self.items += 1;
        self.bytes += bytes as usize;
    }

    fn remove(&mut self, bytes: u32) {
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes as usize);
    }
}

/// Why a decision was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// No such item.
    #[error("there is no item {0} in the review queue")]
    Unknown(u64),
    /// It has been decided, or somebody is deciding it now.
    #[error("item {number} is {status} already")]
    Decided {
        /// The item.
        number: u64,
        /// `accepted`, `returned`, or `being accepted`.
        status: &'static str,
    },
    /// The records could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An item that is being accepted: nobody else decides it meanwhile. Dropping it without [`Deciding::accept`] leaves it as
/// it was.
pub struct Deciding {
    queue: Arc<ReviewQueue>,
    number: u64,
    /// The item.
    pub record: Arc<ReviewRecord>,
    /// Its change.
    pub change: Change,
}

impl Deciding {
    /// Notes that the change is in the log.
    pub fn accept(self, by: Option<AuthorId>, now: TimestampMs) -> Result<(), StoreError> {
        let _writing = self.queue.writing.lock();
        self.queue.decide(self.number, ReviewStatus::Accepted, by, String::new(), now)
    }
}

impl Drop for Deciding {
    fn drop(&mut self) {
        self.queue.state.write().deciding.remove(&self.number);
    }
}

impl ReviewQueue {
    /// Reads the queue of a server.
    pub fn load(store: Arc<dyn RecordStore>) -> Result<Self, StoreError> {
        let mut state = State::default();
        for (key, value) in store.records(REVIEW_TABLE, &[])? {
            let number = number_of(&key)?;
            let record: ReviewRecord = rmp_serde::from_slice(&value).map_err(|error| damaged(number, &error))?;
            state.put(number, Arc::new(record));
        }
        for (key, value) in store.records(REVIEW_TOLD_TABLE, &[])? {
            if let (Ok(author), Ok(told)) = (key.try_into(), value.try_into()) {
                state.told.insert(AuthorId(author), u64::from_be_bytes(told));
            }
        }
        Ok(Self { store, writing: Mutex::new(()), state: RwLock::new(state) })
    }

    /// Puts changes into the queue, durably. One that is there already, or in the log, is not put there again.
    pub fn hold(
        &self,
        log: &dyn ChangeLog,
        (author, scope): (AuthorId, Scope),
        reason: HoldReason,
        items: &[Change],
        now: TimestampMs,
    ) -> Result<HoldOutcome, StoreError> {
        let _writing = self.writing.lock();
        let returned_by = match reason {
            HoldReason::Returned { by } => Some(by),
            HoldReason::Moved | HoldReason::Revoked => None,
        };
        let mut outcome = HoldOutcome::default();
        let (mut changes, mut new) = (Vec::new(), Vec::new());
        let (mut all, mut own, mut number) = {
            let state = self.state.read();
            let last = state.items.last_key_value().map_or(0, |(number, _)| *number);
            outcome.told = state.told.get(&author).copied().unwrap_or_default();
            (state.kept, state.kept_by.get(&returned_by.unwrap_or(author)).copied().unwrap_or_default(), last)
        };
        let mut seen = HashSet::new();
        for item in items {
            let known = self.state.read().by_chunk.get(&(item.doc, item.hash())).copied();
            let fate = if log.contains(item.doc, &item.hash())? {
                outcome.through = outcome.through.max(place(log, item)?);
                HoldFate::Registered
            } else if known.is_some() || !seen.insert((item.doc, item.hash())) {
                let record = known.and_then(|number| self.item(number));
                if let (Some(number), Some(record)) = (known, &record)
                    && (record.returned_by.is_some(), returned_by) == (true, None)
                {
                    // Its author brings it: nobody else vouches for it any more, and it is told what becomes of it.
                    let own = ReviewRecord {
                        returned_by: None,
                        reason: reason_word(reason).to_owned(),
                        ..ReviewRecord::clone(record)
                    };
                    changes.push(record_change(number, &own));
                    new.push((number, Arc::new(own)));
                }
                let decided = record.filter(|record| record.status != ReviewStatus::Open);
                outcome.decided.extend(decided.map(|record| decision_of(&record)));
                HoldFate::Held
            } else if !own.takes(item.bytes().len(), HELD_PER_DEVICE_MAX, HELD_BYTES_PER_DEVICE_MAX)
                || !all.takes(item.bytes().len(), HELD_MAX, HELD_BYTES_MAX)
            {
                seen.remove(&(item.doc, item.hash()));
                HoldFate::Full
            } else {
                number += 1;
                let record = ReviewRecord {
                    author,
                    scope,
                    doc: item.doc,
                    hash: item.hash(),
                    // A change has at most 60 KiB.
                    bytes: u32::try_from(item.bytes().len()).unwrap_or(u32::MAX),
                    reason: reason_word(reason).to_owned(),
                    received_at: now,
                    status: ReviewStatus::Open,
                    decision: 0,
                    decided_by: None,
                    decided_at: TimestampMs::default(),
                    note: String::new(),
                    returned_by,
                };
                all.add(record.bytes);
                own.add(record.bytes);
                changes.push(record_change(number, &record));
                changes.push(change(REVIEW_CHANGE_TABLE, number, Some(item.bytes().to_vec())));
                new.push((number, Arc::new(record)));
                HoldFate::Held
            };
            outcome.fates.push(fate);
        }
        if !changes.is_empty() {
            self.store.command(now, &changes)?;
            let mut state = self.state.write();
            for (number, record) in new {
                state.put(number, record);
            }
        }
        Ok(outcome)
    }

    /// Begins to accept an item, open or returned.
    pub fn begin_accept(self: &Arc<Self>, number: u64) -> Result<Deciding, DecideError> {
        let _writing = self.writing.lock();
        let record = self.item(number).ok_or(DecideError::Unknown(number))?;
        if record.status == ReviewStatus::Accepted {
            return Err(DecideError::Decided { number, status: record.status.word() });
        }
        let change = self.change(number)?.ok_or(DecideError::Unknown(number))?;
        if !self.state.write().deciding.insert(number) {
            return Err(DecideError::Decided { number, status: "being accepted" });
        }
        Ok(Deciding { queue: Arc::clone(self), number, record, change })
    }

    /// Returns an open item to its author with the officer's words. One that the register has turns out to be accepted,
    /// which is noted, and the return is refused.
    pub fn give_back(
        &self,
        log: &dyn ChangeLog,
        number: u64,
        by: Option<AuthorId>,
        note: String,
        now: TimestampMs,
    ) -> Result<(), DecideError> {
        let _writing = self.writing.lock();
        let record = self.item(number).ok_or(DecideError::Unknown(number))?;
        if record.status != ReviewStatus::Open {
            return Err(DecideError::Decided { number, status: record.status.word() });
        }
        if self.state.read().deciding.contains(&number) {
            return Err(DecideError::Decided { number, status: "being accepted" });
        }
        // The register has it: the server stopped between the log and the queue while it was accepted, or it came there
        // another way, from another copy of the device or from one that was moved back. What is registered is not returned.
        if log.contains(record.doc, &record.hash)? {
            self.decide(number, ReviewStatus::Accepted, by, String::new(), now)?;
            return Err(DecideError::Decided { number, status: ReviewStatus::Accepted.word() });
        }
        Ok(self.decide(number, ReviewStatus::Returned, by, note, now)?)
    }

    /// Writes a decision. The caller holds `writing`.
    fn decide(
        &self,
        number: u64,
        status: ReviewStatus,
        by: Option<AuthorId>,
        note: String,
        now: TimestampMs,
    ) -> Result<(), StoreError> {
        let Some(record) = self.item(number) else { return Ok(()) };
        let decision = self.state.read().last_decision + 1;
        let record =
            ReviewRecord { status, decision, decided_by: by, decided_at: now, note, ..ReviewRecord::clone(&record) };
        let mut changes = vec![record_change(number, &record)];
        if status == ReviewStatus::Accepted {
            changes.push(change(REVIEW_CHANGE_TABLE, number, None));
        }
        self.store.command(now, &changes)?;
        self.state.write().put(number, Arc::new(record));
        Ok(())
    }

    /// Notes which of these items the register has got another way: what was returned is often brought by its author, too.
    /// `true` when there were any.
    pub fn settle(
        &self,
        log: &dyn ChangeLog,
        items: &[(u64, Arc<ReviewRecord>)],
        now: TimestampMs,
    ) -> Result<bool, StoreError> {
        let mut settled = false;
        for (number, record) in items {
            let waits = record.status == ReviewStatus::Open && record.returned_by.is_some();
            if waits && log.contains(record.doc, &record.hash)? {
                let _writing = self.writing.lock();
                if !self.state.read().deciding.contains(number) {
                    self.decide(*number, ReviewStatus::Accepted, None, String::new(), now)?;
                    settled = true;
                }
            }
        }
        Ok(settled)
    }

    /// One item.
    pub fn item(&self, number: u64) -> Option<Arc<ReviewRecord>> {
        self.state.read().items.get(&number).cloned()
    }

    /// The change of an open or returned item.
    pub fn change(&self, number: u64) -> Result<Option<Change>, StoreError> {
        let Some(record) = self.item(number) else { return Ok(None) };
        let bytes = self.store.record(REVIEW_CHANGE_TABLE, &number.to_be_bytes())?;
        Ok(bytes.map(|bytes| Change { doc: record.doc, chunk: Chunk::trusted(bytes, record.hash) }))
    }

    /// Items after a number that a test selects, oldest first.
    pub fn list(
        &self,
        after: u64,
        limit: usize,
        select: impl Fn(&ReviewRecord) -> bool,
    ) -> Vec<(u64, Arc<ReviewRecord>)> {
        let state = self.state.read();
        let after = state.items.range(after.saturating_add(1)..);
        after.filter(|(_, record)| select(record)).take(limit).map(|(n, record)| (*n, Arc::clone(record))).collect()
    }

    /// The changes that the queue keeps of a document, oldest first.
    pub fn changes_of(&self, doc: DocId) -> Result<Vec<Change>, StoreError> {
        let numbers = self.state.read().by_doc.get(&doc).cloned().unwrap_or_default();
        let changes = numbers.into_iter().map(|number| self.change(number));
        Ok(changes.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// How many items are open.
    pub fn open_len(&self) -> usize {
        self.state.read().open
    }

    /// Decisions after the one that a device says it has kept, or else after those that it has confirmed, oldest first, as
    /// one REVIEWED.
    pub fn untold(&self, author: AuthorId, kept: Option<u64>) -> Option<Reviewed> {
        let state = self.state.read();
        let told = kept.or_else(|| state.told.get(&author).copied()).unwrap_or_default();
        let news = state.decided.range((author, told.saturating_add(1))..=(author, u64::MAX)).take(DECISIONS_MAX);
        let (mut last, mut decisions) = (0, Vec::new());
        for ((_, decision), number) in news {
            last = *decision;
            decisions.extend(state.items.get(number).map(|record| decision_of(record)));
        }
        (!decisions.is_empty()).then_some(Reviewed { number: last, decisions })
    }

    /// The device has kept all decisions up to a number.
    pub fn keep_told(&self, author: AuthorId, number: u64, now: TimestampMs) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        let news = {
            let state = self.state.read();
            let told = state.told.get(&author).copied().unwrap_or_default();
            // A device cannot confirm what it has not been told.
            let newest = state.decided.range((author, 0)..=(author, u64::MAX)).next_back();
            newest.map(|((_, newest), _)| number.min(*newest)).filter(|number| *number > told)
        };
        let Some(number) = news else { return Ok(()) };
        let change = RecordChange {
            table: REVIEW_TOLD_TABLE.to_owned(),
            key: author.0.to_vec(),
            value: Some(number.to_be_bytes().to_vec()),
            expect: None,
        };
        self.store.command(now, &[change])?;
        self.state.write().told.insert(author, number);
        Ok(())
    }
}

impl State {
    /// Adds or replaces an item.
    fn put(&mut self, number: u64, record: Arc<ReviewRecord>) {
        let kept = |record: &ReviewRecord| record.status != ReviewStatus::Accepted;
        let of_doc = self.by_doc.entry(record.doc).or_default();
        if let Some(old) = self.items.get(&number).cloned() {
            of_doc.retain(|other| *other != number);
            self.decided.remove(&(old.author, old.decision));
            self.open -= usize::from(old.status == ReviewStatus::Open);
            if kept(&old) {
                self.kept.remove(old.bytes);
                self.kept_by.entry(old.brought_by()).or_default().remove(old.bytes);
            }
        } else {
            self.by_chunk.insert((record.doc, record.hash), number);
        }
        if kept(&record) {
            of_doc.push(number);
            self.kept.add(record.bytes);
            self.kept_by.entry(record.brought_by()).or_default().add(record.bytes);
        }
        if of_doc.is_empty() {
            self.by_doc.remove(&record.doc);
        }
        self.open += usize::from(record.status == ReviewStatus::Open);
        if record.decision > 0 {
            // The author of what another returned does not know of it, if it made it at all.
            if record.returned_by.is_none() {
                self.decided.insert((record.author, record.decision), number);
            }
            self.last_decision = self.last_decision.max(record.decision);
        }
        self.items.insert(number, record);
    }
}

impl std::fmt::Debug for ReviewQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReviewQueue").field("open", &self.open_len()).finish_non_exhaustive()
    }
}

fn decision_of(record: &ReviewRecord) -> Decision {
    let accepted = record.status == ReviewStatus::Accepted;
    Decision { doc: record.doc, hash: record.hash, accepted, note: record.note.clone() }
}

/// Where the log has an item.
fn place(log: &dyn ChangeLog, item: &Change) -> Result<Sequence, StoreError> {
    let entries = log.document(item.doc)?;
    let entry = entries.iter().find(|entry| entry.change.hash() == item.hash());
    Ok(entry.map_or(Sequence::ZERO, |entry| entry.sequence))
}

fn record_change(number: u64, record: &ReviewRecord) -> RecordChange {
    // Plain structs of numbers, texts and bytes always encode.
    change(REVIEW_TABLE, number, Some(rmp_serde::to_vec(record).unwrap_or_default()))
}

fn change(table: &str, number: u64, value: Option<Vec<u8>>) -> RecordChange {
    RecordChange { table: table.to_owned(), key: number.to_be_bytes().to_vec(), value, expect: None }
}

fn number_of(key: &[u8]) -> Result<u64, StoreError> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| StoreError::Damaged {
        path: "the server's records".to_owned(),
        place: REVIEW_TABLE.to_owned(),
        detail: format!("a key has {} bytes, not 8", key.len()),
    })
}

fn damaged(number: u64, error: &rmp_serde::decode::Error) -> StoreError {
    StoreError::Damaged {
        path: "the server's records".to_owned(),
        place: format!("{REVIEW_TABLE}/{number}"),
        detail: error.to_string(),
    }
}
