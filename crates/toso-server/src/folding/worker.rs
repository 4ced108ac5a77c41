//! One merging thread: documents in, rows out.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use lru::LruCache;
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::document::Document;
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
                        let history = merging.wants_history(doc).then(|| merging.history_at_last(doc, job.through));
                        merging.fold(doc, &entries, history.as_deref())
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

/// Documents being merged.
pub(super) struct Merging {
    log: Arc<dyn ChangeLog>,
    cache: LruCache<DocId, Document>,
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

    /// True when a document has chunks before the page and is not in memory: [`Self::fold`] needs all of them.
    pub(super) fn wants_history(&self, doc: DocId) -> bool {
        self.known.contains(&doc) && !self.cache.contains(&doc)
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

    /// Merges a page's entries of a document; `history` as [`Self::wants_history`] says.
    pub(super) fn fold(&mut self, doc: DocId, entries: &[LogEntry], history: Option<&[LogEntry]>) -> Option<FoldedRow> {
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
        let merged = if let Some(history) = history {
            self.merge(Document::new(doc), history)
        } else {
            let document = self.cache.pop(&doc).unwrap_or_else(|| Document::new(doc));
            self.merge(document, entries)
        };
        match merged {
            Ok((document, row, quarantined)) => {
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

    #[expect(clippy::type_complexity, reason = "one caller takes it apart at once")]
    fn merge(
        &self,
        mut document: Document,
        entries: &[LogEntry],
    ) -> Result<(Document, Row, Vec<(ChangeHash, String)>), String> {
        let wanted = entries
            .iter()
            .filter(|entry| !self.skip.contains(&entry.item.hash) && !self.skip_from_before.contains(&entry.item.hash));
        let mut quarantined = Vec::new();
        let mut chunks = Vec::new();
        for entry in wanted {
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
            (document, row, quarantined)
        }))
        .map_err(|_| "merging or reading the document panicked".to_owned())
    }
}
