//! The one thread that appends to the log.
//!
//! Sessions hand over batches and wait. The thread takes everything that has queued up, appends it with one fsync, and
//! answers; what arrives meanwhile rides the next. No timer: one lonely push is as fast as the disk, and a rush shares
//! its fsyncs. The queue is bounded, so a rush waits at the sockets and not in memory.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use toso_core::document::{DocumentSize, NoRoom};
use toso_core::id::{AuthorId, DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;
use toso_store::{Appended, ChangeLog, LogBatch, Lookup, StoreError};
use toso_sync::{AppendFailure, Postponed};

use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::quota::{Charge, Paid, Quotas};
use crate::vital::{Part, Vitals};

/// Batches that may wait: 1,024 pushes of at most 32 KiB are 32 MiB at worst, about 1 MiB in practice.
pub const QUEUE_BATCHES_MAX: usize = 1024;
/// Batches that share an fsync at most; one call then holds about 0.5 MiB of typical pushes.
pub const GROUP_BATCHES_MAX: usize = 512;
/// Change bytes that share an fsync at most, so that one write stays within some 100 ms on a slow disk.
pub const GROUP_BYTES_MAX: usize = 4 << 20;
/// Scopes of a unit for which [`Accepted::before`] is told, one look-up each for every batch: a commune of 2025 with what
/// it was made of. Of wider units it would cost more than the page that it spares.
pub const UNIT_SCOPES_MAX: usize = 32;

enum Message {
    Append(Job),
    /// Empty the queue and end.
    Stop,
}

/// A batch, the unit that its device follows, and who pays for it.
#[derive(Debug, Clone)]
pub struct UnitBatch {
    /// What is to be appended.
    pub batch: LogBatch,
    /// The unit's scopes, at most [`UNIT_SCOPES_MAX`]; none when what was there before does not matter.
    pub unit: Arc<[Scope]>,
    /// Who pays for what is new of it.
    pub charge: Charge,
}

impl From<LogBatch> for UnitBatch {
    fn from(batch: LogBatch) -> Self {
        Self { batch, unit: Arc::default(), charge: Charge::Free }
    }
}

struct Job {
    batch: UnitBatch,
    reply: oneshot::Sender<Result<Accepted, AppendFailure>>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What the log did with what it took.
    pub appended: Appended,
    /// Places in the batch of changes that were not taken, since their document has no room for them; in order.
    pub refused: Vec<(usize, NoRoom)>,
    /// Where the batch was cut off, since its device has written its day's share.
    pub postponed: Option<Postponed>,
    /// The last sequence that the batch's unit had before it; `None` when the unit was not given.
    pub before: Option<Sequence>,
}

/// A handle for sessions; clones share the thread.
#[derive(Clone)]
pub struct LogWriter {
    queue: mpsc::Sender<Message>,
}

/// A batch on its way to the log.
pub struct Queued(oneshot::Receiver<Result<Accepted, AppendFailure>>);

impl Queued {
    /// What became of it, once it is durable.
    pub async fn outcome(self) -> Result<Accepted, AppendFailure> {
        self.0.await.unwrap_or(Err(AppendFailure::Unavailable))
    }
}

/// Told after each durable append how far the log goes and when the newest of it came, on the writer's thread: must be quick.
pub type OnGrowth = Box<dyn Fn(Sequence, TimestampMs) + Send>;

impl LogWriter {
    /// Starts the thread. It ends after [`Self::stop`], or when every handle is dropped, once the queue is empty.
    pub fn start(
        log: Arc<dyn ChangeLog>,
        quotas: Arc<Quotas>,
        hub: Arc<Hub>,
        metrics: Arc<Metrics>,
        vitals: &Arc<Vitals>,
        on_growth: OnGrowth,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, jobs) = mpsc::channel(QUEUE_BATCHES_MAX);
        let appender = Appender { log, quotas, hub, metrics, on_growth };
        let thread = vitals.thread(Part::Log, "toso-log".to_owned(), move |_| appender.run(jobs))?;
        Ok((Self { queue }, thread))
    }

    /// Appends a batch; returns once it is durable.
    pub async fn append(&self, batch: impl Into<UnitBatch>) -> Result<Accepted, AppendFailure> {
        self.queue(batch).await?.outcome().await
    }

    /// Puts a batch into the queue. Of two batches the log has first what was queued first.
    pub async fn queue(&self, batch: impl Into<UnitBatch>) -> Result<Queued, AppendFailure> {
        let (reply, answer) = oneshot::channel();
        let batch = batch.into();
        self.queue.send(Message::Append(Job { batch, reply })).await.map_err(|_| AppendFailure::Unavailable)?;
        Ok(Queued(answer))
    }

    /// Takes nothing new; what has queued up is still appended and answered.
    pub async fn stop(&self) {
        // Err: the thread has ended already.
        let _ = self.queue.send(Message::Stop).await;
    }

    /// Batches waiting now.
    pub fn queued(&self) -> usize {
        QUEUE_BATCHES_MAX - self.queue.capacity()
    }
}

struct Appender {
    log: Arc<dyn ChangeLog>,
    quotas: Arc<Quotas>,
    hub: Arc<Hub>,
    metrics: Arc<Metrics>,
    on_growth: OnGrowth,
}

impl Appender {
    fn run(&self, mut jobs: mpsc::Receiver<Message>) {
        while let Some(message) = jobs.blocking_recv() {
            let Message::Append(first) = message else {
                jobs.close();
                continue;
            };
            let mut bytes = size(&first.batch.batch);
            let (mut batches, mut replies) = (vec![first.batch], vec![first.reply]);
            while batches.len() < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX {
                let job = match jobs.try_recv() {
                    Ok(Message::Append(job)) => job,
                    Ok(Message::Stop) => {
                        jobs.close();
                        continue;
                    }
                    Err(_) => break,
                };
                bytes += size(&job.batch.batch);
                batches.push(job.batch);
                replies.push(job.reply);
            }
            self.append(batches, replies);
        }
    }

    fn append(&self, batches: Vec<UnitBatch>, replies: Vec<oneshot::Sender<Result<Accepted, AppendFailure>>>) {
        let start = Instant::now();
        let heads: Vec<_> = batches.iter().map(|batch| (batch.batch.scope, batch.batch.received_at)).collect();
        self.metrics.append_batches.observe(batches.len() as f64);
        let outcomes = append_group(&*self.log, &self.quotas, batches);
        self.metrics.append_seconds.observe(start.elapsed().as_secs_f64());
        let (mut through, mut newest, mut grown) = (None, TimestampMs(0), Vec::with_capacity(outcomes.len()));
        for ((scope, received_at), outcome) in heads.into_iter().zip(&outcomes) {
            match outcome {
                Ok(Accepted { appended, .. }) => {
                    let Some(last) = last_new(appended) else { continue };
                    self.metrics.appended_chunks.inc_by(appended.new as u64);
                    grown.push((scope, last));
                    through = through.max(Some(last));
                    newest = newest.max(received_at);
                }
                Err(_) => {
                    self.metrics.append_failures.inc();
                }
            }
        }
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // The session may be gone; its chunks are in the log all the same.
            let _ = reply.send(outcome);
        }
        // After the answers: who has heard what it was itself that grew does not read the log to see.
        for (scope, last) in grown {
            self.hub.grew(scope, last);
        }
        if let Some(through) = through {
            (self.on_growth)(through, newest);
        }
    }
}

/// Appends batches with one flush, and tells each one's outcome. Of a document that has no room for a device nothing new
/// of it is taken; the rest of its batch is. A device that has written its day's share has the rest of its batch
/// postponed. Only one thread may call it at a time, so that no two count a document's room twice, and nothing comes
/// between what was last and what is new.
pub fn append_group(
    log: &dyn ChangeLog,
    quotas: &Quotas,
    batches: Vec<UnitBatch>,
) -> Vec<Result<Accepted, AppendFailure>> {
    let (mut batches, rest): (Vec<_>, Vec<_>) =
        batches.into_iter().map(|UnitBatch { batch, unit, charge }| (batch, (unit, charge))).unzip();
    let (units, charges): (Vec<_>, Vec<_>) = rest.into_iter().unzip();
    let before = units.iter().map(|unit| if unit.is_empty() { None } else { log.last_of_scopes(unit).ok() }).collect();
    let mut judged = Vec::with_capacity(batches.len());
    if let Err(error) = leave_out_what_is_not_taken(log, quotas, &mut batches, &charges, &mut judged) {
        tracing::error!(batches = batches.len(), %error, "the sizes of documents cannot be read");
        for Judged { paid, .. } in &judged {
            quotas.give_back(paid);
        }
        return vec![Err(AppendFailure::Unavailable); batches.len()];
    }
    let appended = append_all(log, &batches);
    let before = before_each(&batches, &units, before, &appended);
    let accept = |((outcome, judged), before): ((Result<Appended, _>, Judged), _)| {
        let Judged { refused, postponed, paid } = judged;
        if outcome.is_err() {
            quotas.give_back(&paid);
        }
        outcome.map(|appended| Accepted { appended, refused, postponed, before })
    };
    appended.into_iter().zip(judged).zip(before).map(accept).collect()
}

/// The last new sequence of a batch, if any.
fn last_new(appended: &Appended) -> Option<Sequence> {
    let first = appended.first_new.filter(|_| appended.new > 0)?;
    Some(Sequence(first.plus(appended.new as u64).0.saturating_sub(1)))
}

/// What each batch's unit had last before the batch: what it had before the group, or what came with the group.
fn before_each(
    batches: &[LogBatch],
    units: &[Arc<[Scope]>],
    before_group: Vec<Option<Sequence>>,
    appended: &[Result<Appended, AppendFailure>],
) -> Vec<Option<Sequence>> {
    let mut of_group: HashMap<Scope, Sequence> = HashMap::new();
    let each = batches.iter().zip(units).zip(before_group).zip(appended);
    each.map(|(((batch, unit), before), appended)| {
        let in_group = unit.iter().filter_map(|scope| of_group.get(scope).copied()).max();
        let last = appended.as_ref().ok().and_then(last_new);
        of_group.extend(last.map(|last| (batch.scope, last)));
        before.map(|before| in_group.map_or(before, |in_group| in_group.max(before)))
    })
    .collect()
}

/// What is not taken of a batch, and what the rest has cost.
struct Judged {
    refused: Vec<(usize, NoRoom)>,
    postponed: Option<Postponed>,
    paid: Paid,
}

/// A document as a group makes it grow.
struct Growing {
    size: DocumentSize,
    /// What each device adds; few of them.
    added: Vec<(AuthorId, DocumentSize)>,
}

impl Growing {
    fn added_by(&self, device: AuthorId) -> DocumentSize {
        self.added.iter().find(|(of, _)| *of == device).map(|(_, size)| *size).unwrap_or_default()
    }

    fn add(&mut self, device: AuthorId, bytes: usize) {
        self.size.add(bytes);
        match self.added.iter_mut().find(|(of, _)| *of == device) {
            Some((_, size)) => size.add(bytes),
            None => self.added.push((device, DocumentSize::of([bytes]))),
        }
    }
}

/// Takes out of batches what their documents have no room for and what their devices may not write today, and adds for
/// each batch what that was to `judged`: after an error, for those that have paid by then.
fn leave_out_what_is_not_taken(
    log: &dyn ChangeLog,
    quotas: &Quotas,
    batches: &mut [LogBatch],
    charges: &[Charge],
    judged: &mut Vec<Judged>,
) -> Result<(), StoreError> {
    let mut ledger = quotas.open();
    let mut documents: HashMap<DocId, Growing> = HashMap::new();
    let mut counted = HashSet::new();
    for (batch, charge) in batches.iter_mut().zip(charges) {
        let author = batch.author;
        let mut purse = ledger.purse(*charge, author, batch.scope, batch.received_at);
        let (mut taken, mut refused, mut postponed) = (Vec::with_capacity(batch.items.len()), Vec::new(), None);
        for (place, item) in std::mem::take(&mut batch.items).into_iter().enumerate() {
            // What the log has, or the group brings already, takes no room and costs nothing.
            let (document, known) = match documents.entry(item.doc) {
                Entry::Occupied(document) => {
                    let known = counted.contains(&(item.doc, item.hash())) || log.contains(item.doc, &item.hash())?;
                    (document.into_mut(), known)
                }
                Entry::Vacant(unknown) => {
                    let Lookup { size, known } = log.look_up(batch.scope, item.doc, &item.hash())?;
                    (unknown.insert(Growing { size, added: Vec::new() }), known)
                }
            };
            if known {
                taken.push(item);
                continue;
            }
            let own = || -> Result<_, StoreError> {
                Ok(ledger.shares().of(log, item.doc, author)?.plus(document.added_by(author)))
            };
            let no_room = match charge.role() {
                None => document.size.is_full().then_some(NoRoom::Full),
                Some(role) => document.size.no_room(role.may_sign_off(), own)?,
            };
            if let Some(no_room) = no_room {
                refused.push((place, no_room));
                continue;
            }
            if let Err((wait_ms, spent)) = purse.pay(item.bytes().len()) {
                postponed = Some(Postponed { from: place, wait_ms, spent });
                break;
            }
            document.add(author, item.bytes().len());
            counted.insert((item.doc, item.hash()));
            taken.push(item);
        }
        batch.items = taken;
        judged.push(Judged { refused, postponed, paid: ledger.keep(purse) });
    }
    for (doc, document) in documents {
        for (device, added) in document.added {
            ledger.shares().add(doc, device, added);
        }
    }
    if let Err(error) = ledger.note() {
        // A restart gives these devices back more of their day than it should, and nothing else.
        tracing::warn!(%error, "what devices have written today could not be noted");
    }
    Ok(())
}

fn append_all(log: &dyn ChangeLog, batches: &[LogBatch]) -> Vec<Result<Appended, AppendFailure>> {
    match log.append(batches) {
        Ok(appended) => appended.into_iter().map(Ok).collect(),
        Err(error) if batches.len() == 1 || is_for_all(&error) => {
            tracing::error!(batches = batches.len(), %error, "append failed");
            vec![Err(AppendFailure::Unavailable); batches.len()]
        }
        // One batch of the group may be at fault; the others must not suffer for it.
        Err(_) => batches.iter().map(|batch| append_alone(log, batch)).collect(),
    }
}

fn append_alone(log: &dyn ChangeLog, batch: &LogBatch) -> Result<Appended, AppendFailure> {
    match log.append(std::slice::from_ref(batch)) {
        Ok(appended) => appended.first().copied().ok_or(AppendFailure::Unavailable),
        Err(error) => {
            tracing::error!(%error, "append of a single batch failed");
            Err(AppendFailure::Unavailable)
        }
    }
}

/// Failures of the disk, not of a batch.
fn is_for_all(error: &StoreError) -> bool {
    match error {
        StoreError::Full { .. } | StoreError::Io { .. } | StoreError::Poisoned { .. } => true,
        StoreError::InUse { .. }
        | StoreError::NewerFormat { .. }
        | StoreError::WrongKind { .. }
        | StoreError::WrongKey { .. }
        | StoreError::NotEmpty { .. }
        | StoreError::Damaged { .. }
        | StoreError::Lost { .. }
        | StoreError::TooLarge { .. }
        | StoreError::TooMany { .. }
        | StoreError::Raced { .. }
        | StoreError::Mixed { .. }
        | StoreError::NotNext { .. }
        | StoreError::NotFound(_) => false,
    }
}

fn size(batch: &LogBatch) -> usize {
    batch.items.iter().map(|item| item.bytes().len()).sum()
}

#[cfg(test)]
mod tests;
