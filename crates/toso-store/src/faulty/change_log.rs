//! A server's disk that fails on demand.

use parking_lot::Mutex;
use toso_core::change::Entry;
use toso_core::chunk::ChangeHash;
use toso_core::document::DocumentSize;
use toso_core::id::{DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;

use super::{WriteFault, failed, full, poisoned};
use crate::StoreError;
use crate::change_log::{Appended, Log, LogBatch, Logged, Page};
use crate::index::{Index, Summary};
use crate::memory::MemoryChangeLog;
use crate::memory::records::Tables;
use crate::records::{Holds, Record, RecordChange, RecordStore};

/// A breach of the contract, to prove that a simulation would see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogDefect {
    /// The log does not know any more which chunks it has.
    ForgetsIdentities,
    /// Every so many batches (the number), the last chunk is not stored, and nobody is told.
    DropsChunks(u32),
}

/// A call of the log that a bug can make the last of its caller's thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogCall {
    /// [`Log::append`].
    Append,
    /// [`Log::read`].
    Read,
    /// [`Index::document`].
    Document,
}

/// A server's disk that fails on demand. It is one disk: cloning is copying it, as a backup does.
#[derive(Debug, Default)]
pub struct FaultyChangeLog {
    live: MemoryChangeLog,
    state: Mutex<State>,
}

#[derive(Debug, Default, Clone)]
struct State {
    next: Option<WriteFault>,
    full: bool,
    poisoned: bool,
    /// On the disk, unknown to the process.
    hidden: Vec<LogBatch>,
    /// The derived records that a crash cannot take away.
    durable: Tables,
    /// Derived writes since, in their order.
    unflushed: Vec<Vec<RecordChange>>,
    defect: Option<LogDefect>,
    ends_callers_of: Option<LogCall>,
    batches: u32,
}

impl FaultyChangeLog {
    /// An empty disk that does not fail.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next append or command meets this fault.
    pub fn fail_next(&self, fault: WriteFault) {
        self.state.lock().next = Some(fault);
    }

    /// The disk is full, or has space again.
    pub fn set_full(&self, full: bool) {
        self.state.lock().full = full;
    }

    /// The disk breaches its contract from now on.
    pub fn set_defect(&self, defect: Option<LogDefect>) {
        self.state.lock().defect = defect;
    }

    /// From now on this call panics, without a word on stderr: so a thread ends that meets a bug.
    pub fn end_callers_of(&self, call: Option<LogCall>) {
        self.state.lock().ends_callers_of = call;
    }

    fn may_end(&self, call: LogCall) {
        let ends = self.state.lock().ends_callers_of == Some(call);
        if ends {
            std::panic::resume_unwind(Box::new("a planted bug"));
        }
    }

    /// True once a write has failed so that only opening the store again helps.
    pub fn is_poisoned(&self) -> bool {
        self.state.lock().poisoned
    }

    /// Derived writes that a crash could take away.
    pub fn unflushed(&self) -> usize {
        self.state.lock().unflushed.len()
    }

    /// The process ends and the store is opened again. Of the batches that were being flushed at that moment, `torn`
    /// have come to the disk; of the derived writes, the first `kept`.
    pub fn crash(&self, torn: &[LogBatch], kept: usize) {
        let mut state = self.state.lock();
        (state.next, state.poisoned) = (None, false);
        let hidden = std::mem::take(&mut state.hidden);
        // Their limits were checked when they were written.
        let _ = self.live.append(&hidden);
        let _ = self.live.append(torn);
        let unflushed = std::mem::take(&mut state.unflushed);
        for changes in unflushed.iter().take(kept) {
            state.durable.put(changes);
        }
        self.live.replace_derived(state.durable.clone());
    }
}

impl State {
    /// The error that a write meets, if any.
    fn meet(&mut self, operation: &'static str) -> Result<Option<WriteFault>, StoreError> {
        if self.poisoned {
            return Err(poisoned());
        }
        let fault = self.next.take();
        if self.full || fault == Some(WriteFault::Full) {
            return Err(full(operation));
        }
        self.poisoned = fault.is_some();
        Ok(fault)
    }
}

impl Clone for FaultyChangeLog {
    fn clone(&self) -> Self {
        Self { live: self.live.clone(), state: Mutex::new(self.state.lock().clone()) }
    }
}

impl Log for FaultyChangeLog {
    fn append(&self, batches: &[LogBatch]) -> Result<Vec<Appended>, StoreError> {
        self.may_end(LogCall::Append);
        batches.iter().try_for_each(LogBatch::check)?;
        let mut state = self.state.lock();
        match state.meet("appending")? {
            Some(WriteFault::Unanswered) => {
                state.hidden = batches.to_vec();
                return Err(failed("appending"));
            }
            Some(_) => return Err(failed("appending")),
            None => {}
        }
        let mut batches = batches.to_vec();
        match state.defect {
            Some(LogDefect::ForgetsIdentities) => self.live.forget_identities(),
            Some(LogDefect::DropsChunks(every)) => {
                for batch in &mut batches {
                    state.batches += 1;
                    if state.batches.is_multiple_of(every.max(1)) {
                        batch.items.pop();
                    }
                }
            }
            None => {}
        }
        self.live.append(&batches)
    }

    fn apply(&self, entries: &[Logged]) -> Result<(), StoreError> {
        match self.state.lock().meet("applying entries")? {
            None => self.live.apply(entries),
            // An unanswered call is taken as lost: nothing of it was promised.
            Some(_) => Err(failed("applying entries")),
        }
    }

    fn last(&self) -> Sequence {
        self.live.last()
    }

    fn end(&self) -> Sequence {
        self.live.end()
    }

    fn read(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Page, StoreError> {
        self.may_end(LogCall::Read);
        self.live.read(after, items_max, bytes_max)
    }

    fn tail(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Vec<Logged>, StoreError> {
        self.may_end(LogCall::Read);
        self.live.tail(after, items_max, bytes_max)
    }
}

impl Index for FaultyChangeLog {
    fn read_scopes(
        &self,
        scopes: &[Scope],
        after: Sequence,
        items_max: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        self.live.read_scopes(scopes, after, items_max, bytes_max)
    }

    fn last_of_scopes(&self, scopes: &[Scope]) -> Result<Sequence, StoreError> {
        self.live.last_of_scopes(scopes)
    }

    fn document(&self, doc: DocId) -> Result<Vec<Entry>, StoreError> {
        self.may_end(LogCall::Document);
        self.live.document(doc)
    }

    fn document_size(&self, scope: Scope, doc: DocId) -> Result<DocumentSize, StoreError> {
        self.live.document_size(scope, doc)
    }

    fn documents(&self, scope: Scope) -> Result<Vec<DocId>, StoreError> {
        self.live.documents(scope)
    }

    fn summary(&self, scopes: &[Scope], at: Sequence) -> Result<Summary, StoreError> {
        self.live.summary(scopes, at)
    }

    fn contains(&self, doc: DocId, hash: &ChangeHash) -> Result<bool, StoreError> {
        self.live.contains(doc, hash)
    }
}

impl RecordStore for FaultyChangeLog {
    fn record(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.live.record(table, key)
    }

    fn records(&self, table: &str, prefix: &[u8]) -> Result<Vec<Record>, StoreError> {
        self.live.records(table, prefix)
    }

    fn tables(&self) -> Result<Vec<(String, Holds)>, StoreError> {
        self.live.tables()
    }

    fn records_after(&self, table: &str, after: Option<&[u8]>, bytes_max: usize) -> Result<Vec<Record>, StoreError> {
        self.live.records_after(table, after, bytes_max)
    }

    fn command(&self, at: TimestampMs, changes: &[RecordChange]) -> Result<Sequence, StoreError> {
        let mut state = self.state.lock();
        match state.meet("writing records")? {
            None => {}
            // An unanswered command is taken as lost: nothing of it was promised.
            Some(_) => return Err(failed("writing records")),
        }
        let sequence = self.live.command(at, changes)?;
        // The disk is one: what is flushed takes everything before it along.
        state.unflushed.clear();
        state.durable = self.live.derived();
        Ok(sequence)
    }

    fn derive(&self, changes: &[RecordChange]) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        match state.meet("writing records")? {
            None => {}
            Some(_) => return Err(failed("writing records")),
        }
        self.live.derive(changes)?;
        state.unflushed.push(changes.to_vec());
        Ok(())
    }
}
