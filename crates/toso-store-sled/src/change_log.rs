//! A server's log and records, in one sled so that one flush serves both.
//!
//! Key spaces, by their first byte (numbers are big-endian):
//!
//! | key | body |
//! | --- | --- |
//! | `l` first sequence (8) | a run of entries of one batch, see [`run`] |
//! | `s` scope (8) first sequence (8) | how many entries the run has (2), and of the scope up to the run's end: how many chunks (8), their digest (8) |
//! | `x` doc (16) | a document's head: its first chunk, and what all come to, see [`heads`] |
//! | `y` doc (16) first half of hash (16) | a later chunk of it: sequence, its offset in its run (LEB128) |
//! | `i` doc (16) hash (32) | a chunk in the former index: sequence (8), its offset in its run (2) |
//! | `d` scope (8) doc (16) | a document in the former index: sequence of its first chunk (8), how many chunks (8), their bytes (8) |
//! | `r` table length (1) table key | record of truth |
//! | `v` table length (1) table key | derived record |
//! | `t` table length (1) table key | record of a former folder: the next opening makes it one of the two, see [`former`] |
//!
//! A command is a run of one entry, see [`command`].
//!
//! One thread at a time, the leader of a group, gives out sequences, applies and syncs; only then does it publish what
//! is new. Readers stop at what is published, so they see nothing that a crash could take back.

mod check;
mod command;
mod documents;
mod erase;
mod former;
mod heads;
mod pack;
mod read;
mod records;
mod run;
mod summary;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use toso_core::change::{Body, Change, Entry};
use toso_core::chunk::ChangeHash;
use toso_core::document::DocumentSize;
use toso_core::id::{DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};
use toso_store::change_log::{KNOWN_ALREADY, LOG_BATCH_BYTES_MAX, LOG_BATCH_ITEMS_MAX, NOT_THE_NEXT, OTHER_RECORDS};
use toso_store::{
    Appended, Command, Holds, Index, Log, LogBatch, Logged, Lookup, Page, RecordChange, StoreError, Summary,
};

use crate::engine::Engine;
use crate::folder::Kind;
use crate::group::GroupCommit;
use crate::options::Options;
use crate::staged::Staged;
use crate::value::Reader;
pub use check::Checked;
use heads::{Letters, Position};
use pack::Packer;
use records::Tables;
use run::{Envelope, FinishedRun, Item, RunBuilder};
use summary::ScopeRun;

const RUN_SPACE: u8 = b'l';
const SCOPE_SPACE: u8 = b's';
const HEAD_SPACE: u8 = b'x';
const LATER_SPACE: u8 = b'y';
const CHUNK_SPACE: u8 = b'i';
const DOCUMENT_SPACE: u8 = b'd';
const TRUTH_SPACE: u8 = b'r';
const DERIVED_SPACE: u8 = b'v';
const FORMER_RECORD_SPACE: u8 = b't';

/// Bytes after which a group's changes go to sled, at the end of a batch: as much as one batch of the largest size
/// takes with its index, so memory stays bounded however many batches a call has.
const APPLY_BYTES_MAX: usize = 1024 * 1024;

/// A server's log and records on sled.
#[derive(Debug)]
pub struct SledChangeLog {
    engine: Engine,
    commits: GroupCommit<Request, Result<Answer, StoreError>>,
    published: RwLock<Published>,
    packer: Packer,
    /// True when the former index has anything: most folders have none, and need not be asked twice for everything.
    has_former: AtomicBool,
    /// Of the kinds that have documents.
    letters: Letters,
    /// What each table holds.
    tables: Tables,
}

/// What readers may see.
#[derive(Debug, Default)]
struct Published {
    /// Of the last change.
    last: Sequence,
    /// Of the last entry.
    end: Sequence,
    /// The end of each scope: 40 bytes for each of at most 14,000 scopes of both lists. A device that has everything of its
    /// unit is told so without a look at the disk.
    of_scope: HashMap<Scope, ScopeEnd>,
}

/// Where a scope ends, and what it has up to there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ScopeEnd {
    last: Sequence,
    whole: Summary,
}

#[derive(Debug)]
enum Request {
    Append(Vec<LogBatch>),
    Apply(Vec<Logged>),
    Command(TimestampMs, Vec<RecordChange>),
    Derive(Vec<RecordChange>),
}

#[derive(Debug, Clone)]
enum Answer {
    Appended(Vec<Appended>),
    Commanded(Sequence),
    Done,
}

impl SledChangeLog {
    /// Opens the log in a folder, making it when it is not there; refuses one that has lost entries.
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let log = Self::open_what_is_left(folder, options)?;
        log.check_whole()?;
        Ok(log)
    }

    /// Refuses a log that ends before what it is known to have held ([`StoreError::Lost`]).
    pub fn check_whole(&self) -> Result<(), StoreError> {
        self.engine.low_water().check(self.end().0)
    }

    /// Opens the log also when its end is lost: to look at it, or to save what is there. It must not be served: what devices
    /// had from the lost end would be given out anew under the same sequences.
    pub fn open_what_is_left(folder: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let engine = Engine::open(folder.as_ref(), Kind::Server, options)?;
        let (commits, published, packer) = (GroupCommit::default(), RwLock::default(), Packer::default());
        let (letters, tables) = (Letters::of(&engine)?, Tables::of(&engine)?);
        let log = Self { engine, commits, published, packer, has_former: AtomicBool::new(false), letters, tables };
        let published = log.recover()?;
        *log.published.write() = published;
        for space in [CHUNK_SPACE, DOCUMENT_SPACE] {
            let has_any = log.engine.keys(&[space]).next().transpose()?.is_some();
            log.has_former.fetch_or(has_any, Ordering::Relaxed);
        }
        log.take_former_records()?;
        log.engine.low_water().note(log.end().0);
        Ok(log)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.engine.path()
    }

    /// How often this opening has synced the disk: at least once before every durable answer, unless shared.
    pub fn syncs(&self) -> u64 {
        self.engine.syncs()
    }

    /// Calls this once when the log refuses all writes from then on ([`StoreError::Poisoned`]), so that its server
    /// can open it again. On the thread that met the failure: must be quick.
    pub fn on_failure(&self, told: impl Fn() + Send + Sync + 'static) {
        self.engine.on_failure(told);
    }

    /// Bytes that the log takes on the disk.
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.engine.disk_bytes()
    }

    fn perform(&self, requests: Vec<Request>) -> Vec<Result<Answer, StoreError>> {
        let count = requests.len();
        self.engine.contain(|| self.perform_group(requests)).unwrap_or_else(|error| vec![Err(error); count])
    }

    /// Performs a group: all of it fails together, except that a raced write fails alone.
    fn perform_group(&self, requests: Vec<Request>) -> Result<Vec<Result<Answer, StoreError>>, StoreError> {
        self.engine.check_writable(requests.iter().map(Request::bytes).sum())?;
        let mut group = Group::new(self);
        let mut answers = Vec::with_capacity(requests.len());
        let mut durable = false;
        for request in requests {
            answers.push(match request {
                Request::Append(batches) => {
                    durable = true;
                    let appended: Result<Vec<_>, _> = batches.iter().map(|batch| group.append(batch)).collect();
                    Ok(Answer::Appended(group.unless_torn(appended)?))
                }
                Request::Apply(entries) => {
                    durable = true;
                    let applied = group.take(entries).map(|()| Answer::Done);
                    group.unless_refused(applied)?
                }
                Request::Command(at, changes) => {
                    durable = true;
                    let given = group.command(at, &changes).map(Answer::Commanded);
                    group.unless_refused(given)?
                }
                Request::Derive(changes) => {
                    let derived = group.write(Holds::Derived, &changes).map(|()| Answer::Done);
                    group.unless_refused(derived)?
                }
            });
        }
        let published = group.finish()?;
        if durable {
            self.engine.make_durable()?;
        }
        self.publish(published);
        if durable {
            self.engine.low_water().note_in_time(self.end().0);
        }
        Ok(answers)
    }

    fn publish(&self, Published { last, end, of_scope }: Published) {
        let mut visible = self.published.write();
        (visible.last, visible.end) = (last, end);
        visible.of_scope.extend(of_scope);
    }

    /// Finds the last sequence, of all entries, of all changes, and of each scope.
    fn recover(&self) -> Result<Published, StoreError> {
        let mut published = Published::default();
        let mut from = vec![SCOPE_SPACE];
        loop {
            let Some(entry) = self.engine.tree().range(from..vec![SCOPE_SPACE + 1]).next() else { break };
            let (key, _) = self.engine.entry(entry)?;
            let (scope, _) = parse_scope_key(&key).ok_or_else(|| self.engine.damaged(&key, "it is no scope key"))?;
            let end = scope_key(scope, Sequence(u64::MAX));
            let Some(entry) = self.engine.tree().range(key.to_vec()..=end.clone()).next_back() else { break };
            let end_of_scope = self.scope_entry(entry)?;
            let last = end_of_scope.last();
            published.of_scope.insert(scope, ScopeEnd { last, whole: end_of_scope.through });
            published.last = published.last.max(last);
            from = [end.as_slice(), &[0]].concat();
        }
        // The last run is of changes, whose end is known already, or a command, which is one entry.
        let last_run = self.engine.tree().range([RUN_SPACE]..[RUN_SPACE + 1]).keys().next_back();
        let last_run = last_run.transpose().map_err(|error| self.engine.read_error(&error))?;
        let begins = last_run.and_then(|key| Reader(key.get(1..)?).u64()).map(Sequence).unwrap_or_default();
        published.end = published.last.max(begins);
        Ok(published)
    }

    /// False when the former index is known to be empty. What a reader may see was put there before it was published, so a
    /// reader that asks after it looked at what is published misses nothing.
    fn has_former(&self) -> bool {
        self.has_former.load(Ordering::Acquire)
    }

    fn scope_entry(&self, entry: sled::Result<(sled::IVec, sled::IVec)>) -> Result<ScopeRun, StoreError> {
        let (key, body) = self.engine.entry(entry)?;
        ScopeRun::parse(&key, &body).ok_or_else(|| self.engine.damaged(&key, "its fields cannot be read"))
    }
}

impl Drop for SledChangeLog {
    fn drop(&mut self) {
        // What is published is durable.
        self.engine.low_water().note(self.end().0);
    }
}

impl Request {
    /// Bytes that the request writes, roughly.
    fn bytes(&self) -> usize {
        match self {
            Self::Append(batches) => {
                batches.iter().flat_map(|batch| &batch.items).map(|item| item.bytes().len() + 150).sum()
            }
            Self::Apply(entries) => entries.iter().map(|entry| 2 * entry.bytes() + 150).sum(),
            // Once as an entry, once as records.
            Self::Command(_, changes) => 2 * RecordChange::bytes_of(changes) + 150,
            Self::Derive(changes) => RecordChange::bytes_of(changes),
        }
    }
}

impl Log for SledChangeLog {
    fn append(&self, batches: &[LogBatch]) -> Result<Vec<Appended>, StoreError> {
        batches.iter().try_for_each(LogBatch::check)?;
        let request = Request::Append(batches.to_vec());
        let bytes = request.bytes();
        match self.commits.submit(request, bytes, |requests| self.perform(requests))? {
            Answer::Appended(appended) => Ok(appended),
            Answer::Commanded(_) | Answer::Done => Ok(Vec::new()),
        }
    }

    fn apply(&self, entries: &[Logged]) -> Result<(), StoreError> {
        let request = Request::Apply(entries.to_vec());
        let bytes = request.bytes();
        self.commits.submit(request, bytes, |requests| self.perform(requests)).map(drop)
    }

    fn last(&self) -> Sequence {
        self.published.read().last
    }

    fn end(&self) -> Sequence {
        self.published.read().end
    }

    fn read(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Page, StoreError> {
        self.read_all(after, items_max, bytes_max)
    }

    fn tail(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Vec<Logged>, StoreError> {
        self.read_tail(after, items_max, bytes_max)
    }
}

impl Index for SledChangeLog {
    fn read_scopes(
        &self,
        scopes: &[Scope],
        after: Sequence,
        items_max: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        self.read_merged(scopes, after, items_max, bytes_max)
    }

    fn last_of_scopes(&self, scopes: &[Scope]) -> Result<Sequence, StoreError> {
        let published = self.published.read();
        Ok(scopes.iter().filter_map(|scope| Some(published.of_scope.get(scope)?.last)).max().unwrap_or_default())
    }

    fn summary(&self, scopes: &[Scope], at: Sequence) -> Result<Summary, StoreError> {
        let scopes: HashSet<_> = scopes.iter().copied().collect();
        let mut total = Summary::default();
        for scope in scopes {
            let of_scope = self.summary_of(scope, at)?;
            total.count += of_scope.count;
            total.digest.combine(of_scope.digest);
        }
        Ok(total)
    }

    fn document(&self, doc: DocId) -> Result<Vec<Entry>, StoreError> {
        self.read_document(doc)
    }

    fn document_size(&self, scope: Scope, doc: DocId) -> Result<DocumentSize, StoreError> {
        self.read_document_size(scope, doc)
    }

    fn look_up(&self, scope: Scope, doc: DocId, hash: &ChangeHash) -> Result<Lookup, StoreError> {
        let last = self.last();
        let (head, position) = self.locate(doc, hash, |key| self.engine.get(key))?;
        let size = match head.filter(|head| head.scope == scope) {
            Some(head) => head.size,
            None => self.former_document_size(scope, doc)?,
        };
        Ok(Lookup { size, known: position.is_some_and(|position| position.sequence <= last) })
    }

    fn documents(&self, scope: Scope) -> Result<Vec<DocId>, StoreError> {
        self.read_documents(scope)
    }

    fn contains(&self, doc: DocId, hash: &ChangeHash) -> Result<bool, StoreError> {
        let last = self.last();
        let (_, position) = self.locate(doc, hash, |key| self.engine.get(key))?;
        Ok(position.is_some_and(|position| position.sequence <= last))
    }
}

/// What a group is about to do.
struct Group<'a> {
    log: &'a SledChangeLog,
    staged: Staged<'a>,
    /// What will be visible when all is durable: the last sequence, and the ends of the scopes that changed.
    published: Published,
    /// True once a part has gone to sled: the rest must follow, or the store stop.
    applied: bool,
}

impl<'a> Group<'a> {
    fn new(log: &'a SledChangeLog) -> Self {
        let published = Published { last: log.last(), end: log.end(), of_scope: HashMap::new() };
        Self { log, staged: Staged::new(&log.engine), published, applied: false }
    }

    fn append(&mut self, batch: &LogBatch) -> Result<Appended, StoreError> {
        self.append_until(Envelope::from(batch), batch.items.iter().map(Item::from), |_| false)
    }

    /// Appends what is new of a batch; ends at the first change that is known when that `ends` it.
    fn append_until<'i>(
        &mut self,
        envelope: Envelope,
        items: impl Iterator<Item = Item<'i>>,
        ends: impl Fn(Sequence) -> bool,
    ) -> Result<Appended, StoreError> {
        let scope = envelope.scope;
        let mut appended = Appended { first_new: None, new: 0, through: Sequence::ZERO };
        let mut run = RunBuilder::new(envelope, self.published.end.plus(1));
        for item in items {
            let (head, known) = self.log.locate(item.doc, &item.hash(), |key| self.staged.get(key))?;
            if let Some(known) = known {
                if ends(known.sequence) {
                    break;
                }
                appended.through = appended.through.max(known.sequence);
                continue;
            }
            let sequence = self.published.end.plus(1);
            if !run.fits(item) {
                self.close(run, scope);
                run = RunBuilder::new(envelope, sequence);
            }
            let offset = run.push(item);
            self.index(scope, item, head, Position { sequence, offset })?;
            (self.published.last, self.published.end) = (sequence, sequence);
            appended.first_new.get_or_insert(sequence);
            appended.new += 1;
            appended.through = sequence;
        }
        self.close(run, scope);
        if self.staged.bytes() > APPLY_BYTES_MAX {
            self.apply()?;
        }
        Ok(appended)
    }

    /// Takes entries of another log.
    fn take(&mut self, entries: Vec<Logged>) -> Result<(), StoreError> {
        let mut entries = entries.into_iter().peekable();
        while let Some(entry) = entries.next() {
            let (sequence, end) = (entry.sequence(), self.published.end);
            let not_next = |detail| StoreError::NotNext { sequence, end, detail };
            if sequence != end.plus(1) {
                return Err(not_next(NOT_THE_NEXT));
            }
            match entry {
                Logged::Command(Command { at, changes, .. }) => match self.command_within_limits(at, &changes) {
                    Ok(_) => {}
                    Err(StoreError::Raced { .. }) => return Err(not_next(OTHER_RECORDS)),
                    Err(error) => return Err(error),
                },
                Logged::Change(Entry { scope, author, received_at, change, .. }) => {
                    // What came together stays together, as far as a batch goes.
                    let mut batch = LogBatch { scope, author, received_at, items: vec![change] };
                    let mut bytes = batch.items.iter().map(Change::size).sum::<usize>();
                    let joins = |batch: &LogBatch<Body>, bytes: usize, next: &Logged| match next {
                        Logged::Command(_) => false,
                        Logged::Change(next) => {
                            (next.scope, next.author, next.received_at) == (scope, author, received_at)
                                && next.sequence == sequence.plus(batch.items.len() as u64)
                                && batch.items.len() < LOG_BATCH_ITEMS_MAX
                                && bytes + next.change.size() <= LOG_BATCH_BYTES_MAX
                        }
                    };
                    while let Some(Logged::Change(next)) = entries.next_if(|next| joins(&batch, bytes, next)) {
                        bytes += next.change.size();
                        batch.items.push(next.change);
                    }
                    batch.check_entries()?;
                    let items = batch.items.iter().map(Item::from);
                    let appended = self.append_until(Envelope::from(&batch), items, |_| true)?;
                    if appended.new < batch.items.len() {
                        let sequence = sequence.plus(appended.new as u64);
                        let end = self.published.end;
                        return Err(StoreError::NotNext { sequence, end, detail: KNOWN_ALREADY });
                    }
                }
            }
        }
        Ok(())
    }

    fn command_within_limits(&mut self, at: TimestampMs, changes: &[RecordChange]) -> Result<Sequence, StoreError> {
        RecordChange::check_command(changes)?;
        self.command(at, changes)
    }

    /// Appends a command and makes its changes.
    fn command(&mut self, at: TimestampMs, changes: &[RecordChange]) -> Result<Sequence, StoreError> {
        self.write(Holds::Truth, changes)?;
        for doc in changes.iter().filter_map(RecordChange::erases) {
            self.erase(doc)?;
        }
        let sequence = self.published.end.plus(1);
        self.staged.insert(&run_key(sequence), &command::body(at, changes));
        self.published.end = sequence;
        if self.staged.bytes() > APPLY_BYTES_MAX {
            self.apply()?;
        }
        Ok(sequence)
    }

    fn close(&mut self, run: RunBuilder<'_>, scope: Scope) {
        let Some(FinishedRun { first, entries, body, digest }) = run.finish(&self.log.packer) else { return };
        // Only one group at a time is under way, so what was published last is where this one goes on.
        let published = || self.log.published.read().of_scope.get(&scope).copied().unwrap_or_default();
        let end = self.published.of_scope.entry(scope).or_insert_with(published);
        end.whole.count += u64::from(entries);
        end.whole.digest.combine(digest);
        let of_scope = ScopeRun { first, entries, through: end.whole };
        end.last = of_scope.last();
        self.staged.insert(&run_key(first), &body);
        self.staged.insert(&scope_key(scope, first), &of_scope.body());
    }

    fn apply(&mut self) -> Result<(), StoreError> {
        let staged = std::mem::replace(&mut self.staged, Staged::new(&self.log.engine));
        self.applied = true;
        self.log.engine.apply(staged.into_batch(), || ())
    }

    /// An error after a part went to sled leaves sequences in it that nobody knows of.
    fn unless_torn<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.map_err(|error| if self.applied { self.log.engine.fail("appending", &error) } else { error })
    }

    /// A request that was refused before it changed anything fails alone, any other error fails the group.
    fn unless_refused(&self, result: Result<Answer, StoreError>) -> Result<Result<Answer, StoreError>, StoreError> {
        match result {
            Ok(answer) => Ok(Ok(answer)),
            Err(
                refused @ (StoreError::Raced { .. }
                | StoreError::Mixed { .. }
                | StoreError::NotNext { .. }
                | StoreError::TooLarge { .. }
                | StoreError::TooMany { .. }),
            ) => Ok(Err(refused)),
            Err(
                error @ (StoreError::Full { .. }
                | StoreError::Io { .. }
                | StoreError::InUse { .. }
                | StoreError::NewerFormat { .. }
                | StoreError::WrongKind { .. }
                | StoreError::WrongKey { .. }
                | StoreError::NotEmpty { .. }
                | StoreError::Damaged { .. }
                | StoreError::Lost { .. }
                | StoreError::Poisoned { .. }
                | StoreError::NotFound(_)),
            ) => self.unless_torn(Err(error)),
        }
    }

    fn finish(mut self) -> Result<Published, StoreError> {
        self.apply()?;
        Ok(self.published)
    }
}

fn run_key(first: Sequence) -> Vec<u8> {
    [&[RUN_SPACE], first.0.to_be_bytes().as_slice()].concat()
}

fn scope_key(scope: Scope, first: Sequence) -> Vec<u8> {
    [&[SCOPE_SPACE], scope.to_key().as_slice(), &first.0.to_be_bytes()].concat()
}

fn chunk_key(doc: DocId, hash: &ChangeHash) -> Vec<u8> {
    [&[CHUNK_SPACE], doc.as_bytes().as_slice(), &hash.0].concat()
}

fn document_key(scope: Scope, doc: DocId) -> Vec<u8> {
    [&[DOCUMENT_SPACE], scope.to_key().as_slice(), doc.as_bytes()].concat()
}

fn parse_scope_key(key: &[u8]) -> Option<(Scope, Sequence)> {
    let mut key = Reader(key.get(1..)?);
    Some((UnitRef::from_key(key.array()?).ok()?, Sequence(key.u64()?)))
}
