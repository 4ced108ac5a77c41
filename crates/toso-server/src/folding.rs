//! Tails the log: merges changes into documents, shrinks these to rows, brings the rows to the projector in log order.
//!
//! One coordinating thread reads pages and deals their documents out to workers, always the same worker for the same
//! document. While the workers merge one page, the coordinator applies the page before: rows into the projector, then
//! rows and checkpoint into the store, together. What is stored is disposable; after a crash folding goes on from the
//! checkpoint, and without one (or with one of another version) from the beginning.
//!
//! A page counts whole or not at all. When a worker is gone, or gives back fewer documents than it got, the coordinator
//! ends before the page is counted and before its checkpoint: the server notices ([`crate::vital`]), and its next start
//! folds the page again.
//!
//! Memory is bounded: two pages under way and a small cache of merged documents for each worker. A document that is not
//! in the cache is rebuilt from its own chunks; a new one needs nothing but the page.

mod applying;
mod by_page;
mod journal;
mod page;
mod rows;
mod worker;

pub use by_page::{FoldByPage, FoldError};
#[cfg(test)]
pub(crate) use journal::bend_rows;
pub use rows::Loaded;
pub(crate) use rows::is_quarantined;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use toso_core::change::Entry;
use toso_core::chunk::ChangeHash;
use toso_core::id::{DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;
use toso_projection::{Projector, Row};
use toso_store::{ChangeLog, RecordStore};

use crate::counted::Counted;
use crate::metrics::Metrics;
use crate::set_aside::{Again, SetAside, Settles};
use crate::tail::Tail;
use crate::views::Views;
use crate::vital::{Part, Vitals};

use self::applying::{Applying, Incomplete};
use self::page::{FoldPage, ReadTo, last_entries, next_page};
use self::worker::{Batch, Merging, Worker};

/// Chunks in a page: some 100 ms of merging on two cores, so that receipts come soon and writes are worth their while.
pub const FOLD_PAGE_ITEMS_MAX: usize = 1024;
/// Change bytes in a page.
pub const FOLD_PAGE_BYTES_MAX: usize = 1 << 20;
/// Pages under way: one being merged, one being applied.
const PIPELINE_PAGES: usize = 2;
/// The wait before reading again after the store failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What folding needs.
pub struct Folding {
    /// The log.
    pub log: Arc<dyn ChangeLog>,
    /// Where rows, checkpoint and quarantine are kept.
    pub records: Arc<dyn RecordStore>,
    /// The views: whole, or waiting for [`Folding::start`] to fill them.
    pub views: Arc<Views>,
    /// Told what is counted.
    pub counted: Arc<Counted>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Told when a thread ends.
    pub vitals: Arc<Vitals>,
    /// What officers have set aside.
    pub set_aside: Arc<SetAside>,
    /// Threads that merge.
    pub workers: usize,
    /// Documents kept merged, over all workers.
    pub cache_documents: usize,
}

/// Running threads.
pub struct RunningFolding {
    tail: Arc<Tail>,
    coordinator: Option<JoinHandle<()>>,
}

impl RunningFolding {
    /// What to tell when the log has grown.
    pub fn tail(&self) -> Arc<Tail> {
        Arc::clone(&self.tail)
    }

    /// Finishes the pages under way with their checkpoint, and ends. Blocks.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.tail.stop();
        if let Some(coordinator) = self.coordinator.take()
            && coordinator.join().is_err()
        {
            tracing::error!("folding ended by a panic; the next start goes on from its last checkpoint");
        }
    }
}

impl Drop for RunningFolding {
    fn drop(&mut self) {
        self.end();
    }
}

impl Folding {
    /// Starts the coordinator. It fills the views with what was stored of them, which takes a second for a million documents,
    /// starts the workers, and goes on from there.
    pub fn start(self, empty: impl Fn() -> Projector + Send + 'static) -> std::io::Result<RunningFolding> {
        let tail = Arc::new(Tail::default());
        // What is in the log already counts as growth.
        tail.grew();
        let (vitals, of_thread) = (Arc::clone(&self.vitals), Arc::clone(&tail));
        // What is stored may go no further than the log did; it grows from here on.
        let log_end = self.log.last();
        let run = move || {
            let mut projector = empty();
            let loaded = match Loaded::load(&*self.records, log_end, &mut projector, empty) {
                Ok(loaded) => loaded,
                Err(error) => return tracing::error!(%error, "what was stored of the views cannot be read"),
            };
            self.views.fill(projector);
            match self.coordinator(loaded, of_thread) {
                Ok(coordinator) => coordinator.run(),
                Err(error) => tracing::error!(%error, "the threads that merge did not start"),
            }
        };
        let thread = vitals.thread(Part::Folding, "toso-fold".to_owned(), move |_| run())?;
        Ok(RunningFolding { tail, coordinator: Some(thread) })
    }

    /// Starts the workers; the coordinator goes on after what was loaded.
    fn coordinator(self, loaded: Loaded, tail: Arc<Tail>) -> std::io::Result<Coordinator> {
        let count = self.workers.max(1);
        let mut shares: Vec<HashSet<DocId>> = vec![HashSet::new(); count];
        for doc in loaded.documents {
            if let Some(share) = shares.get_mut(share_of(doc, count)) {
                share.insert(doc);
            }
        }
        let quarantined = Arc::new(loaded.quarantined);
        let cache = self.cache_documents.div_ceil(count);
        let workers = shares
            .into_iter()
            .enumerate()
            .map(|(number, known)| {
                let merging = Merging::new(
                    Arc::clone(&self.log),
                    Arc::clone(&self.set_aside),
                    cache,
                    known,
                    Arc::clone(&quarantined),
                );
                Worker::start(number, merging, Arc::clone(&tail), &self.vitals)
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.counted.advance(loaded.through);
        self.counted.begin();
        self.metrics.documents_newer.set(loaded.journal.newer() as u64);
        let newest = self.views.lock().as_of_time();
        let (records, views) = (Arc::clone(&self.records), Arc::clone(&self.views));
        Ok(Coordinator {
            read_to: ReadTo::checkpoint(loaded.through),
            newest,
            tail,
            under_way: VecDeque::new(),
            applying: Applying::new(records, views, loaded.journal, loaded.through),
            folding: self,
            workers,
            turns: Turns::default(),
        })
    }
}

struct Coordinator {
    folding: Folding,
    workers: Vec<Worker>,
    tail: Arc<Tail>,
    read_to: ReadTo,
    /// When the newest of it came.
    newest: TimestampMs,
    under_way: VecDeque<PageUnderWay>,
    applying: Applying,
    /// Whether fresh pages or documents to be made again come next.
    turns: Turns,
}

/// Fresh pages come before documents that are to be made again, and after each comes one part of these: an officer's
/// decision delays nobody's figures for longer than such a part takes, and is followed however much is written.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// A fresh page was taken since something was made again.
    again_is_due: bool,
}

impl Turns {
    /// What is to be made again now; `fresh` tells whether the log has a page.
    pub(crate) fn again(&mut self, set_aside: &SetAside, fresh: bool) -> Option<Again> {
        let again = if fresh && !self.again_is_due { None } else { set_aside.next_again() };
        self.again_is_due = again.is_none() && fresh;
        again
    }
}

struct PageUnderWay {
    /// How many it has.
    documents: usize,
    through: Sequence,
    newest: TimestampMs,
    batches: Vec<Batch>,
    /// The decisions to set aside that are followed with it.
    settles: Vec<Settles>,
}

/// A document's new state.
pub(crate) struct FoldedRow {
    pub(crate) scope: Scope,
    pub(crate) doc: DocId,
    /// The last chunk of the page that touched it; rows are applied in this order.
    pub(crate) last: Sequence,
    /// When the server got that chunk.
    pub(crate) at: TimestampMs,
    /// `None` when nothing of the document can be read; the row before it stays.
    pub(crate) row: Option<Row>,
    pub(crate) quarantined: Vec<(ChangeHash, String)>,
}

impl Coordinator {
    fn run(mut self) {
        loop {
            let read = self.fill();
            if let Some(page) = self.under_way.pop_front() {
                let through = page.through;
                if self.finish(page).is_err() {
                    if !self.tail.stopped() {
                        tracing::error!(
                            through = through.0,
                            "a batch of documents was lost while it was merged; nothing more is counted"
                        );
                    }
                    return;
                }
            } else if read.is_err() {
                if !self.tail.pause(RETRY_AFTER) {
                    return;
                }
            } else if !self.tail.wait() {
                return;
            }
        }
    }

    /// Deals out pages until enough are under way, or the log has no more.
    fn fill(&mut self) -> Result<(), ()> {
        while self.under_way.len() < PIPELINE_PAGES && !self.tail.stopped() {
            let page = next_page(&*self.folding.log, &mut self.read_to).map_err(|error| {
                tracing::error!(%error, after = self.read_to.entry.0, "folding cannot read the log; trying again");
            })?;
            if let Some(again) = self.turns.again(&self.folding.set_aside, page.is_some()) {
                self.make_again(again)?;
                continue;
            }
            let Some(FoldPage { entries, read_to, newest }) = page else { break };
            self.read_to = read_to;
            self.newest = self.newest.max(newest);
            let through = read_to.change;
            let (documents, batches) = self.deal(entries, through);
            self.under_way.push_back(PageUnderWay { documents, through, newest, batches, settles: Vec::new() });
        }
        Ok(())
    }

    /// Deals out documents in which something was set aside or let in again, as a page that reaches no further.
    fn make_again(&mut self, again: Again) -> Result<(), ()> {
        let entries = match last_entries(&*self.folding.log, &again.documents(), self.read_to.change) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(%error, "documents to be made again cannot be read; trying again");
                self.folding.set_aside.later(again);
                return Err(());
            }
        };
        let (through, newest, settles) = (self.read_to.change, self.newest, again.settles);
        let (documents, batches) = self.deal(entries, through);
        self.under_way.push_back(PageUnderWay { documents, through, newest, batches, settles });
        Ok(())
    }

    /// Hands a page's documents to their workers; tells how many there are.
    fn deal(&mut self, entries: Vec<Entry>, through: Sequence) -> (usize, Vec<Batch>) {
        let mut shares: Vec<HashMap<DocId, Vec<Entry>>> = self.workers.iter().map(|_| HashMap::new()).collect();
        let count = shares.len();
        for entry in entries {
            if let Some(share) = shares.get_mut(share_of(entry.change.doc, count)) {
                share.entry(entry.change.doc).or_default().push(entry);
            }
        }
        let documents = shares.iter().map(HashMap::len).sum();
        let filled = self.workers.iter().zip(shares).filter(|(_, share)| !share.is_empty());
        (documents, filled.map(|(worker, share)| worker.fold(share, through)).collect())
    }

    fn finish(&mut self, page: PageUnderWay) -> Result<(), Incomplete> {
        let rows: Vec<FoldedRow> = page.batches.into_iter().flat_map(Batch::wait).collect();
        let folding = &self.folding;
        self.applying.apply(rows, page.documents, page.through, page.newest, |quarantined| {
            folding.metrics.quarantined_chunks.inc_by(quarantined as u64);
            folding.counted.advance(page.through);
            folding.metrics.counted(folding.log.last(), Some(page.through));
        })?;
        self.folding.metrics.documents_newer.set(self.applying.newer() as u64);
        if self.applying.stores() {
            page.settles.into_iter().for_each(|settles| self.folding.set_aside.settle(settles));
        }
        Ok(())
    }
}

/// The worker of a document. Ids end in derived or random bytes, which spread evenly.
fn share_of(doc: DocId, count: usize) -> usize {
    let [.., a, b, c, d] = *doc.as_bytes();
    u32::from_be_bytes([a, b, c, d]) as usize % count.max(1)
}

#[cfg(test)]
mod tests;
