//! One merging thread: documents in, rows out.
//!
//! Rows need values only, so a document is read without Automerge as long as its changes leave nothing to decide
//! ([`FlatDocument`]); else it is merged from its history. Both ways run under `catch_unwind`: where the first panics,
//! the second has the word, and where that panics too, the page's chunks are quarantined and the document stays.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use lru::LruCache;
use toso_core::change::Entry;
use toso_core::chunk::ChangeHash;
use toso_core::document::{Document, FlatDocument};
use toso_core::id::{DocId, Sequence};
use toso_projection::Row;
use toso_store::{ChangeLog, StoreError};

use super::{FoldedRow, RETRY_AFTER};
use crate::set_aside::SetAside;
use crate::tail::Tail;
use crate::vital::{Part, Vitals};

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
    /// Waits for the rows; none when the worker is gone. The page is then not complete, and is not counted.
    pub(super) fn wait(self) -> Vec<FoldedRow> {
        self.0.recv().unwrap_or_default()
    }
}

struct Job {
    documents: HashMap<DocId, Vec<Entry>>,
    through: Sequence,
    reply: mpsc::Sender<Vec<FoldedRow>>,
}

impl Worker {
    pub(super) fn start(
        number: usize,
        mut merging: Merging,
        tail: Arc<Tail>,
        vitals: &Arc<Vitals>,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = vitals.thread(Part::Merging, format!("toso-fold-{number}"), move |watch| {
            for job in queue {
                let documents = job.documents.into_iter();
                let rows = documents
                    .filter_map(|(doc, entries)| {
                        merging.extend(doc, &entries).or_else(|| {
                            let history = merging.history_at_last(doc, job.through, &tail)?;
                            merging.fold(doc, &entries, &history)
                        })
                    })
                    .collect();
                // The coordinator waits for every batch, unless it is gone itself.
                let _ = job.reply.send(rows);
            }
            watch.was_told();
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(super) fn fold(&self, documents: HashMap<DocId, Vec<Entry>>, through: Sequence) -> Batch {
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
    /// `None` when there is nothing to go on from.
    document: Option<Merged>,
    row: Row,
    quarantined: Vec<(ChangeHash, String)>,
}

impl MergedRow {
    /// Nothing is counted: all of it is set aside or erased, or its kind is one that only a newer version knows.
    const fn of_nothing() -> Self {
        Self { document: None, row: Row::Other, quarantined: Vec::new() }
    }
}

/// Documents being merged.
pub(super) struct Merging {
    log: Arc<dyn ChangeLog>,
    set_aside: Arc<SetAside>,
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
        set_aside: Arc<SetAside>,
        cache: usize,
        known: HashSet<DocId>,
        quarantined: Arc<HashSet<ChangeHash>>,
    ) -> Self {
        Self {
            log,
            set_aside,
            cache: LruCache::new(NonZeroUsize::new(cache).unwrap_or(NonZeroUsize::MIN)),
            known,
            skip: HashSet::new(),
            skip_from_before: quarantined,
        }
    }

    /// Everything of a document up to the page's end, so that a page folds the same however often it is folded; without
    /// what is set aside.
    pub(super) fn history(&self, doc: DocId, through: Sequence) -> Result<Vec<Entry>, StoreError> {
        let mut entries = self.log.document(doc)?;
        entries.retain(|entry| entry.sequence <= through);
        Ok(self.set_aside.clean(entries))
    }

    /// The same for a thread that has nothing else to do than wait for the store: a document must not be left out.
    /// `None` only once the server stops; the page is then not complete.
    fn history_at_last(&self, doc: DocId, through: Sequence, tail: &Tail) -> Option<Vec<Entry>> {
        loop {
            match self.history(doc, through) {
                Ok(entries) => return Some(entries),
                Err(error) => {
                    tracing::error!(%error, "folding cannot read a document's chunks; trying again");
                    if !tail.pause(RETRY_AFTER) {
                        return None;
                    }
                }
            }
        }
    }

    /// Merges a page's entries of a document that is in memory or new. `None` when that cannot be told without its
    /// history; then [`Self::fold`] is to be asked.
    pub(super) fn extend(&mut self, doc: DocId, entries: &[Entry]) -> Option<FoldedRow> {
        let before = self.cache.pop(&doc);
        if self.set_aside.touches(doc) || entries.iter().any(|entry| entry.change.chunk().is_none()) {
            return None;
        }
        let Some(new) = FlatDocument::new(doc) else { return self.keep(doc, entries, Ok(MergedRow::of_nothing())) };
        let before = match before {
            Some(before) => before,
            None if self.known.contains(&doc) => return None,
            None => Merged::Flat(new),
        };
        let merged = match before {
            Merged::Flat(document) => self.read(document, entries).map(Ok)?,
            Merged::Whole(document) => self.merge(*document, entries),
        };
        self.keep(doc, entries, merged)
    }

    /// Merges a document from all its entries up to the end of the page, of which the page's own are `entries`.
    /// Its history is empty when all of it is set aside, or when something of it was erased: then it is no document.
    pub(super) fn fold(&mut self, doc: DocId, entries: &[Entry], history: &[Entry]) -> Option<FoldedRow> {
        let new = FlatDocument::new(doc).filter(|_| !history.is_empty());
        let merged = match new.map(|new| self.read(new, history)) {
            None => Ok(MergedRow::of_nothing()),
            Some(Some(read)) => Ok(read),
            Some(None) => {
                let document = Document::new(doc);
                document.map_or(Ok(MergedRow::of_nothing()), |document| self.merge(document, history))
            }
        };
        self.keep(doc, entries, merged)
    }

    fn keep(&mut self, doc: DocId, entries: &[Entry], merged: Result<MergedRow, String>) -> Option<FoldedRow> {
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
                // What was written anew is no ground for what comes next.
                if let Some(document) = document.filter(|_| !self.set_aside.touches(doc)) {
                    self.cache.put(doc, document);
                }
            }
            // The page's chunks broke the document in a way that names none of them: all of them stay out.
            Err(reason) => {
                folded.quarantined = entries.iter().map(|entry| (entry.change.hash(), reason.clone())).collect();
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
    fn read(&self, mut document: FlatDocument, entries: &[Entry]) -> Option<MergedRow> {
        let read = catch_unwind(AssertUnwindSafe(move || {
            for entry in self.wanted(entries) {
                #[cfg(test)]
                planted::meet(planted::Reader::Flat, &entry.change.hash());
                document.apply(entry.change.chunk()?).ok()?;
            }
            let row = Row::from_record(&document.read());
            Some(MergedRow { document: Some(Merged::Flat(document)), row, quarantined: Vec::new() })
        }));
        // Neither message nor payload is passed on: both may quote the document.
        read.unwrap_or_else(|_| {
            tracing::error!("reading a document's values panicked; Automerge merges it");
            None
        })
    }

    fn merge(&self, mut document: Document, entries: &[Entry]) -> Result<MergedRow, String> {
        // Automerge has panicked on mutated changes with good checksums; a page of others must not go down with one.
        catch_unwind(AssertUnwindSafe(move || {
            let mut chunks = Vec::new();
            for entry in self.wanted(entries) {
                #[cfg(test)]
                planted::meet(planted::Reader::Automerge, &entry.change.hash());
                chunks.extend(entry.change.chunk().cloned());
            }
            let quarantined = document.apply(&chunks).quarantined;
            let row = Row::from_record(&document.read());
            MergedRow { document: Some(Merged::Whole(Box::new(document))), row, quarantined }
        }))
        .map_err(|_| "merging or reading the document panicked".to_owned())
    }

    fn wanted<'a>(&self, entries: &'a [Entry]) -> impl Iterator<Item = &'a Entry> {
        let skipped = |hash: &ChangeHash| self.skip.contains(hash) || self.skip_from_before.contains(hash);
        entries.iter().filter(move |entry| !skipped(&entry.change.hash()))
    }
}

/// Readers that panic on demand.
#[cfg(test)]
pub(super) mod planted {
    use parking_lot::Mutex;
    use toso_core::chunk::ChangeHash;

    /// Who panics.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in crate::folding) enum Reader {
        Flat,
        Automerge,
    }

    /// At which changes. Tests run side by side, so each plants changes of its own.
    static PLANTED: Mutex<Vec<(Reader, ChangeHash)>> = Mutex::new(Vec::new());

    pub(in crate::folding) fn plant(reader: Reader, hash: ChangeHash) {
        PLANTED.lock().push((reader, hash));
    }

    pub(super) fn meet(reader: Reader, hash: &ChangeHash) {
        let is_planted = PLANTED.lock().iter().any(|(who, at)| *who == reader && at == hash);
        if is_planted {
            std::panic::resume_unwind(Box::new("a planted bug"));
        }
    }
}
