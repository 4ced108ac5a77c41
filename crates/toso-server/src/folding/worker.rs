//! One merging thread: documents in, rows out.
//!
//! Rows need values only, so a document is read without Automerge as long as its changes leave nothing to decide
//! ([`FlatDocument`]); else it is merged from its history.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use lru::LruCache;
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::document::{Document, FlatDocument};
use toso_core::id::{DocId, Sequence};
use toso_projection::Row;
use toso_store::{ChangeLog, LogEntry, StoreError};

use super::{FoldedRow, RETRY_AFTER};

/// A handle on the thread. Dropping it waits for the thread's end, so that nothing holds the log any more.
pub(super) struct Worker {
    /// `None` only while dropping.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a folding thread ended by a panic");
        }
    }
}

/// A page's share, being merged.
pub(super) struct Batch(mpsc::Receiver<Vec<FoldedRow>>);

impl Batch {
    /// Waits for the rows.
    pub(super) fn wait(self) -> Vec<FoldedRow> {
        // A worker never drops a job; if its thread died, the page is without its rows until the next start.
        self.0.recv().unwrap_or_else(|_| {
            tracing::error!("a folding thread is gone; restart the server");
            Vec::new()
        })
    }
}

struct Job {
    documents: HashMap<DocId, Vec<LogEntry>>,
    through: Sequence,
    reply: mpsc::Sender<Vec<FoldedRow>>,
}

impl Worker {
    pub(super) fn start(
        number: usize,
        log: &Arc<dyn ChangeLog>,
        cache: usize,
        known: HashSet<DocId>,
        quarantined: &Arc<HashSet<ChangeHash>>,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let mut merging = Merging::new(Arc::clone(log), cache, known, Arc::clone(quarantined));
        let thread = std::thread::Builder::new().name(format!("toso-fold-{number}")).spawn(move || {
            for job in queue {
                let documents = job.documents.into_iter();
                let rows = documents
                    .filter_map(|(doc, entries)| {
                        merging.extend(doc, &entries).or_else(|| {
                            let history = merging.history_at_last(doc, job.through);
                            merging.fold(doc, &entries, &history)
                        })
                    })
                    .collect();
                // The coordinator waits for every batch, unless it is gone itself.
                let _ = job.reply.send(rows);
            }
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(super) fn fold(&self, documents: HashMap<DocId, Vec<LogEntry>>, through: Sequence) -> Batch {
        let (reply, rows) = mpsc::channel();
        // An error shows in `Batch::wait`, since the job takes its reply with it.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(Job { documents, through, reply }));
        Batch(rows)
    }
}

/// A document in memory.
enum Merged {
    /// Its values.
    Flat(FlatDocument),
    /// All of it.
    Whole(Box<Document>),
}

/// A document, what is counted of it, and what of it nobody can take.
struct MergedRow {
    document: Merged,
    row: Row,
    quarantined: Vec<(ChangeHash, String)>,
}

/// Documents being merged.
pub(super) struct Merging {
    log: Arc<dyn ChangeLog>,
    cache: LruCache<DocId, Merged>,
    /// Documents that have chunks before the current page.
    known: HashSet<DocId>,
    /// Quarantined by this run, and by earlier ones.
    skip: HashSet<ChangeHash>,
    skip_from_before: Arc<HashSet<ChangeHash>>,
}

impl Merging {
    pub(super) fn new(
        log: Arc<dyn ChangeLog>,
        cache: usize,
        known: HashSet<DocId>,
        quarantined: Arc<HashSet<ChangeHash>>,
    ) -> Self {
        Self {
            log,
            cache: LruCache::new(NonZeroUsize::new(cache).unwrap_or(NonZeroUsize::MIN)),
            known,
            skip: HashSet::new(),
            skip_from_before: quarantined,
        }
    }

    /// Everything of a document up to the page's end, so that a page folds the same however often it is folded.
    pub(super) fn history(&self, doc: DocId, through: Sequence) -> Result<Vec<LogEntry>, StoreError> {
        let mut entries = self.log.document(doc)?;
        entries.retain(|entry| entry.sequence <= through);
        Ok(entries)
    }

    /// The same for a thread that has nothing else to do than wait for the store: a document must not be left out.
    fn history_at_last(&self, doc: DocId, through: Sequence) -> Vec<LogEntry> {
        loop {
            match self.history(doc, through) {
                Ok(entries) => return entries,
                Err(error) => {
                    tracing::error!(%error, "folding cannot read a document's chunks; trying again");
                    std::thread::sleep(RETRY_AFTER);
                }
            }
        }
    }

    /// Merges a page's entries of a document that is in memory or new. `None` when that cannot be told without its
    /// history; then [`Self::fold`] is to be asked.
    pub(super) fn extend(&mut self, doc: DocId, entries: &[LogEntry]) -> Option<FoldedRow> {
        let before = match self.cache.pop(&doc) {
            Some(before) => before,
            None if self.known.contains(&doc) => return None,
            None => Merged::Flat(FlatDocument::new(doc)),
        };
        let merged = match before {
            Merged::Flat(document) => self.read(document, entries).map(Ok)?,
            Merged::Whole(document) => self.merge(*document, entries),
        };
        self.keep(doc, entries, merged)
    }

    /// Merges a document from all its entries up to the end of the page, of which the page's own are `entries`.
    pub(super) fn fold(&mut self, doc: DocId, entries: &[LogEntry], history: &[LogEntry]) -> Option<FoldedRow> {
        let merged = match self.read(FlatDocument::new(doc), history) {
            Some(read) => Ok(read),
            None => self.merge(Document::new(doc), history),
        };
        self.keep(doc, entries, merged)
    }

    fn keep(&mut self, doc: DocId, entries: &[LogEntry], merged: Result<MergedRow, String>) -> Option<FoldedRow> {
        let newest = entries.last()?;
        let mut folded = FoldedRow {
            scope: newest.scope,
            doc,
            last: newest.sequence,
            at: newest.received_at,
            row: None,
            quarantined: Vec::new(),
        };
        self.known.insert(doc);
        match merged {
            Ok(MergedRow { document, row, quarantined }) => {
                folded.row = Some(row);
                folded.quarantined = quarantined;
                self.cache.put(doc, document);
            }
            // The page's chunks broke the document in a way that names none of them: all of them stay out.
            Err(reason) => {
                folded.quarantined = entries.iter().map(|entry| (entry.item.hash, reason.clone())).collect();
            }
        }
        self.skip.extend(folded.quarantined.iter().map(|(hash, _)| *hash));
        Some(folded)
    }

    /// Takes back what was merged of a page that will be folded again.
    pub(super) fn undo(&mut self, rows: &[FoldedRow]) {
        for row in rows {
            self.cache.pop(&row.doc);
            for (hash, _) in &row.quarantined {
                self.skip.remove(hash);
            }
        }
    }

    /// Reads the values that entries leave; `None` when Automerge must decide.
    fn read(&self, mut document: FlatDocument, entries: &[LogEntry]) -> Option<MergedRow> {
        for entry in self.wanted(entries) {
            document.apply(entry.item.hash, &entry.item.bytes).ok()?;
        }
        let row = Row::from_record(&document.read());
        Some(MergedRow { document: Merged::Flat(document), row, quarantined: Vec::new() })
    }

    fn merge(&self, mut document: Document, entries: &[LogEntry]) -> Result<MergedRow, String> {
        let mut quarantined = Vec::new();
        let mut chunks = Vec::new();
        for entry in self.wanted(entries) {
            match Chunk::parse(&entry.item.bytes) {
                Ok(chunk) => chunks.push(chunk),
                Err(error) => quarantined.push((entry.item.hash, error.to_string())),
            }
        }
        // Automerge has panicked on mutated changes with good checksums; a page of others must not go down with one.
        catch_unwind(AssertUnwindSafe(move || {
            let applied = document.apply(&chunks);
            quarantined.extend(applied.quarantined);
            let row = Row::from_record(&document.read());
            MergedRow { document: Merged::Whole(Box::new(document)), row, quarantined }
        }))
        .map_err(|_| "merging or reading the document panicked".to_owned())
    }

    fn wanted<'a>(&self, entries: &'a [LogEntry]) -> impl Iterator<Item = &'a LogEntry> {
        let skipped = |hash| self.skip.contains(hash) || self.skip_from_before.contains(hash);
        entries.iter().filter(move |entry| !skipped(&entry.item.hash))
    }
}
