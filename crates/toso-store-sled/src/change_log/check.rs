//! Checks a server's folder against the invariants of `docs/storage-format.md`: one function for each, so that a new
//! kind of key gets a new function and a line in [`SledChangeLog::check`].
//!
//! Everything is read in key order, and what is looked up besides is one value at a time: memory stays small, however
//! large the log is.

use std::collections::{BTreeMap, HashMap};

use toso_core::change::{Body, Change};
use toso_core::chunk::ChangeHash;
use toso_core::document::DocumentSize;
use toso_core::id::{DocId, Sequence};
use toso_core::unit::Scope;
use toso_store::{Holds, Log as _, RecordChange, StoreError, Summary};

use super::command::{self, is_command};
use super::documents::DocumentEntry;
use super::heads::{Head, Position, head_key, later_key, tag_of};
use super::records::{parse_key, record_key};
use super::run::Run;
use super::summary::ScopeRun;
use super::{
    CHUNK_SPACE, DERIVED_SPACE, DOCUMENT_SPACE, HEAD_SPACE, LATER_SPACE, RUN_SPACE, SCOPE_SPACE, SledChangeLog,
    TRUTH_SPACE, chunk_key, document_key, parse_scope_key, run_key, scope_key,
};
use crate::OVERFLOW_SPACE;
use crate::value::{self, Reader};

/// The spaces of keys that have a value with a header.
const SPACES: [u8; 8] =
    [RUN_SPACE, SCOPE_SPACE, HEAD_SPACE, LATER_SPACE, CHUNK_SPACE, DOCUMENT_SPACE, TRUTH_SPACE, DERIVED_SPACE];
/// Bytes of a record's checksum while records are compared with commands: to find two that share them would take 2^64
/// tries.
const RECORD_SUM_BYTES: usize = 16;

/// What a check went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// Values whose checksum was computed.
    pub values: u64,
    /// Runs of changes.
    pub runs: u64,
    /// Changes.
    pub entries: u64,
    /// Commands.
    pub commands: u64,
    /// Keys of the indexes.
    pub index_keys: u64,
    /// Records.
    pub records: u64,
}

impl SledChangeLog {
    /// Checks every value and every invariant, and tells each thing that is wrong. An `Err` is a disk that cannot be
    /// read, not a finding.
    pub fn check(&self, found: &mut dyn FnMut(StoreError)) -> Result<Checked, StoreError> {
        let mut check = Check { log: self, found, checked: Checked::default() };
        check.values()?;
        let truth = check.runs()?;
        check.scope_index()?;
        check.heads()?;
        check.later_chunks()?;
        check.chunk_index()?;
        check.document_index()?;
        check.truth(truth)?;
        check.derived()?;
        Ok(check.checked)
    }
}

struct Check<'a> {
    log: &'a SledChangeLog,
    found: &'a mut dyn FnMut(StoreError),
    checked: Checked,
}

impl Check<'_> {
    fn wrong(&mut self, key: &[u8], detail: &str) {
        (self.found)(self.log.engine.damaged(key, detail));
    }

    /// Every value matches its checksum, every key is of a known space, every further part belongs to a value.
    fn values(&mut self) -> Result<(), StoreError> {
        let engine = &self.log.engine;
        for entry in engine.tree() {
            let (key, value) = entry.map_err(|error| engine.read_error(&error))?;
            match key.first() {
                Some(&OVERFLOW_SPACE) => {
                    if !self.part_has_a_value(&key)? {
                        self.wrong(&key, "it is a further part of a value that is not there");
                    }
                }
                Some(space) if SPACES.contains(space) => {
                    self.checked.values += 1;
                    if let Err(error) = unless_damaged(engine.decode(&key, &value))? {
                        (self.found)(error);
                    }
                }
                _ => self.wrong(&key, "it is of no known space"),
            }
        }
        Ok(())
    }

    fn part_has_a_value(&self, key: &[u8]) -> Result<bool, StoreError> {
        let Some((part, of)) = key.get(1..).and_then(<[u8]>::split_last) else { return Ok(false) };
        let value = self.log.engine.raw(of)?;
        Ok(*part > 0 && value.is_some_and(|value| *part < value::parts(&value)))
    }

    /// The body under a key; `None` when it is missing or damaged.
    fn body(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(unless_damaged(self.log.engine.get(key))?.ok().flatten())
    }

    /// The run that begins with a sequence.
    fn run(&self, first: Sequence) -> Result<Option<Run>, StoreError> {
        Ok(self.body(&run_key(first))?.and_then(|body| self.parse(first, &body)))
    }

    fn parse(&self, first: Sequence, body: &[u8]) -> Option<Run> {
        Run::parse(first, body, &self.log.packer, |_| true)
    }

    /// Sequences are 1, 2, 3, … without a gap; each run has its scope key, each entry its chunk key and a document key
    /// that does not begin after it; each command finds the records that it expects. Gives the records that commands leave.
    fn runs(&mut self) -> Result<Truth, StoreError> {
        let mut truth = Truth::new();
        let mut last_change = Sequence::ZERO;
        let log = self.log;
        let mut next = Sequence(1);
        // Of each scope so far: some 40 bytes for each of at most 14,000.
        let mut sums: HashMap<Scope, Summary> = HashMap::new();
        for entry in log.engine.tree().scan_prefix([RUN_SPACE]) {
            let (key, value) = entry.map_err(|error| log.engine.read_error(&error))?;
            let Some(first) = key.get(1..).and_then(|bytes| Reader(bytes).u64()).map(Sequence) else {
                self.wrong(&key, "it is no run key");
                continue;
            };
            if first != next {
                self.wrong(&key, &format!("the run begins at sequence {}, expected {}", first.0, next.0));
            }
            let body = unless_damaged(log.engine.decode(&key, &value))?;
            if body.as_ref().is_ok_and(|body| is_command(body)) {
                self.command(&key, first, body.as_deref().unwrap_or_default(), &mut truth);
                next = first.plus(1);
                continue;
            }
            let Some(run) = body.ok().and_then(|body| self.parse(first, &body)) else {
                self.wrong(&key, "the run's fields cannot be read");
                // Where it should end nobody knows; the next run says by itself.
                next = self.following(&key, first)?;
                continue;
            };
            self.checked.runs += 1;
            next = run.last().plus(1);
            let scope = run.scope();
            let (first, last) = (run.first(), run.last());
            last_change = last;
            let sum = sums.entry(scope).or_default();
            for (offset, entry) in (0_u16..).zip(run.after(Sequence::ZERO)) {
                sum.count += 1;
                sum.digest.toggle(entry.change.doc, &entry.change.hash());
                self.checked.entries += 1;
                let position = Position { sequence: entry.sequence, offset };
                self.entry_has_its_chunk_key(entry.change.doc, &entry.change.hash(), position)?;
                self.entry_has_its_document_key(scope, entry.change.doc, entry.sequence)?;
            }
            self.run_has_its_scope_key(scope, first, last, *sum)?;
        }
        let end = Sequence(next.0.saturating_sub(1));
        for (found, said) in [(end, log.end()), (last_change, log.last())] {
            if found != said {
                let detail = format!("the log ends at sequence {}, its index says {}", found.0, said.0);
                self.wrong(&run_key(found), &detail);
            }
        }
        Ok(truth)
    }

    /// A command can be read, and expects what those before it leave.
    fn command(&mut self, key: &[u8], sequence: Sequence, body: &[u8], truth: &mut Truth) {
        let Some(command) = command::parse(sequence, body) else {
            return self.wrong(key, "the command's fields cannot be read");
        };
        self.checked.commands += 1;
        let place = |change: &RecordChange| record_key(Holds::Truth, &change.table, &change.key);
        let expected = |change: &RecordChange| {
            let Some(expected) = &change.expect else { return true };
            truth.get(&place(change)).copied() == expected.as_deref().map(sum_of)
        };
        if !command.changes.iter().all(expected) {
            self.wrong(key, "the command expects other records than those before it leave");
        }
        for change in &command.changes {
            match &change.value {
                Some(value) => _ = truth.insert(place(change), sum_of(value)),
                None => _ = truth.remove(&place(change)),
            }
        }
    }

    /// Each record of truth is what commands made of it, and none is missing.
    fn truth(&mut self, mut truth: Truth) -> Result<(), StoreError> {
        for entry in bodies(self.log, TRUTH_SPACE) {
            let (key, body) = entry?;
            self.checked.records += 1;
            let made = truth.remove(&key);
            if parse_key(&key).is_none() {
                self.wrong(&key, "it is no record key");
            } else if body.is_some_and(|body| made != Some(sum_of(&body))) {
                self.wrong(&key, "the record is not what the log's commands make of it");
            }
        }
        for key in truth.keys() {
            self.wrong(key, "a record that the log's commands make is missing");
        }
        Ok(())
    }

    /// The first sequence of the run after one.
    fn following(&self, key: &[u8], first: Sequence) -> Result<Sequence, StoreError> {
        let engine = &self.log.engine;
        let after = [key, &[0]].concat();
        let entry = engine.tree().range(after..vec![RUN_SPACE + 1]).keys().next();
        let Some(entry) = entry else { return Ok(self.log.end().plus(1)) };
        let key = entry.map_err(|error| engine.read_error(&error))?;
        Ok(key.get(1..).and_then(|bytes| Reader(bytes).u64()).map_or(first, Sequence))
    }

    /// The scope key of a run says how many entries it has, and what the scope has up to its end.
    fn run_has_its_scope_key(
        &mut self,
        scope: Scope,
        first: Sequence,
        last: Sequence,
        sum: Summary,
    ) -> Result<(), StoreError> {
        let key = scope_key(scope, first);
        match self.body(&key)?.and_then(|body| ScopeRun::parse(&key, &body)) {
            None => self.wrong(&key, "the scope key of a run is missing or cannot be read"),
            Some(run) if first.plus(u64::from(run.entries)) != last.plus(1) => {
                self.wrong(&key, &format!("it says {} entries, which its run has not", run.entries));
            }
            Some(run) if run.through != sum => {
                self.wrong(&key, "its sum of the scope's chunks is not that of the entries");
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The head of a document; `None` when it is missing or damaged.
    fn head(&self, doc: DocId) -> Result<Option<Head>, StoreError> {
        Ok(self.body(&head_key(doc))?.and_then(|body| Head::parse(&body)))
    }

    fn entry_has_its_chunk_key(&mut self, doc: DocId, hash: &ChangeHash, position: Position) -> Result<(), StoreError> {
        let (mut key, mut found) = (chunk_key(doc, hash), None);
        if let Some(head) = self.head(doc)? {
            if head.tag == tag_of(hash) {
                (key, found) = (head_key(doc), Some(Some(head.first)));
            } else if let Some(body) = self.body(&later_key(doc, hash))? {
                (key, found) = (later_key(doc, hash), Some(Position::parse(&body)));
            }
        }
        if found.is_none() {
            found = self.body(&chunk_key(doc, hash))?.map(|body| Position::parse_former(&body));
        }
        match found {
            None => self.wrong(&key, "the chunk key of an entry is missing or damaged"),
            Some(found) if found != Some(position) => {
                let Position { sequence, offset } = position;
                let detail = format!("it does not say sequence {}, offset {offset}, where its entry is", sequence.0);
                self.wrong(&key, &detail);
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn entry_has_its_document_key(&mut self, scope: Scope, doc: DocId, sequence: Sequence) -> Result<(), StoreError> {
        let head = self.head(doc)?.filter(|head| head.scope == scope);
        let (key, first) = if let Some(head) = head {
            (head_key(doc), Some(head.first.sequence.0))
        } else {
            let key = document_key(scope, doc);
            let first = self.body(&key)?.and_then(|body| Reader(&body).u64());
            (key, first)
        };
        match first {
            None => self.wrong(&key, "the document key of an entry is missing or cannot be read"),
            Some(first) if first > sequence.0 => {
                self.wrong(
                    &key,
                    &format!("it says that the document begins at {first}, after an entry at {}", sequence.0),
                );
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Each head names an entry that is its document's in its scope, with its tag, and the sum of the document's chunks
    /// there. That it is the first, [`Self::runs`] has checked.
    fn heads(&mut self) -> Result<(), StoreError> {
        for entry in bodies(self.log, HEAD_SPACE) {
            let (key, body) = entry?;
            self.checked.index_keys += 1;
            let Some(body) = body else { continue };
            let doc = key.last_chunk().and_then(|bytes| DocId::from_bytes(*bytes).ok());
            let Some((doc, head)) = doc.filter(|doc| head_key(*doc) == key).zip(Head::parse(&body)) else {
                self.wrong(&key, "its fields cannot be read");
                continue;
            };
            let Ok(entries) = unless_damaged(self.log.read_document(doc))? else { continue };
            let of_scope: Vec<_> = entries.iter().filter(|entry| entry.scope == head.scope).collect();
            let first = of_scope.iter().find(|entry| entry.sequence == head.first.sequence);
            if first.is_none_or(|entry| tag_of(&entry.change.hash()) != head.tag) {
                let detail = format!("the entry at sequence {} is not of this document", head.first.sequence.0);
                self.wrong(&key, &detail);
            }
            let sum = DocumentSize::of(of_scope.iter().map(|entry| entry.change.size()));
            if sum != head.size {
                let detail =
                    format!("it does not say that the document has {} chunks of {} bytes", sum.changes, sum.bytes);
                self.wrong(&key, &detail);
            }
        }
        Ok(())
    }

    /// Each later chunk's key names an entry that is its chunk, of a document that has a head.
    fn later_chunks(&mut self) -> Result<(), StoreError> {
        for entry in bodies(self.log, LATER_SPACE) {
            let (key, body) = entry?;
            self.checked.index_keys += 1;
            let Some(body) = body else { continue };
            let doc = key.get(1..).and_then(|key| key.first_chunk()).and_then(|bytes| DocId::from_bytes(*bytes).ok());
            let Some((doc, position)) = doc.zip(Position::parse(&body)) else {
                self.wrong(&key, "its fields cannot be read");
                continue;
            };
            let item = self.item(doc, position)?;
            if item.is_none_or(|(_, item)| later_key(item.doc, &item.hash()) != key) {
                let Position { sequence, offset } = position;
                self.wrong(&key, &format!("the entry at sequence {}, offset {offset} is not this chunk", sequence.0));
            }
            if self.head(doc)?.is_none() {
                self.wrong(&key, "its document has no head");
            }
        }
        Ok(())
    }

    /// The entry at a position with its scope, when it is of a document.
    fn item(&self, doc: DocId, position: Position) -> Result<Option<(Scope, Change<Body>)>, StoreError> {
        let first = position.run();
        let Some(body) = self.body(&run_key(first))? else { return Ok(None) };
        let run = Run::parse(first, &body, &self.log.packer, |other| other == doc);
        Ok(run.and_then(|run| Some((run.scope(), run.item(position.offset)?))))
    }

    /// Each scope key belongs to a run of its scope. That its length is right, [`Self::runs`] has checked.
    fn scope_index(&mut self) -> Result<(), StoreError> {
        let log = self.log;
        for entry in log.engine.tree().scan_prefix([SCOPE_SPACE]).keys() {
            let key = entry.map_err(|error| log.engine.read_error(&error))?;
            self.checked.index_keys += 1;
            let Some((scope, first)) = parse_scope_key(&key) else {
                self.wrong(&key, "it is no scope key");
                continue;
            };
            if self.run(first)?.is_none_or(|run| run.scope() != scope) {
                self.wrong(&key, "there is no run of this scope at its sequence");
            }
        }
        Ok(())
    }

    /// Each chunk key of the former index names an entry that is its chunk; each document's key has the sum of its chunks.
    fn chunk_index(&mut self) -> Result<(), StoreError> {
        // The chunks of a document follow each other.
        let mut document: Option<(Scope, DocId, DocumentSize)> = None;
        for entry in bodies(self.log, CHUNK_SPACE) {
            let (key, body) = entry?;
            self.checked.index_keys += 1;
            let Some(body) = body else { continue };
            let doc = key.get(1..).and_then(|key| key.first_chunk()).and_then(|bytes| DocId::from_bytes(*bytes).ok());
            let Some((doc, position)) = doc.zip(Position::parse_former(&body)) else {
                self.wrong(&key, "its fields cannot be read");
                continue;
            };
            let entry = self.item(doc, position)?.filter(|(_, item)| chunk_key(item.doc, &item.hash()) == key);
            let Some((scope, item)) = entry else {
                let Position { sequence, offset } = position;
                self.wrong(&key, &format!("the entry at sequence {}, offset {offset} is not this chunk", sequence.0));
                continue;
            };
            match &mut document {
                Some((of, doc, size)) if (*of, *doc) == (scope, item.doc) => size.add(item.size()),
                _ => {
                    self.document_key_has_its_size(document)?;
                    let mut size = DocumentSize::default();
                    size.add(item.size());
                    document = Some((scope, item.doc, size));
                }
            }
        }
        self.document_key_has_its_size(document)
    }

    fn document_key_has_its_size(&mut self, sum: Option<(Scope, DocId, DocumentSize)>) -> Result<(), StoreError> {
        let Some((scope, doc, sum)) = sum else { return Ok(()) };
        let key = document_key(scope, doc);
        let said = self.body(&key)?.and_then(|body| DocumentEntry::parse(&body)).and_then(|(_, size)| size);
        if said.is_some_and(|size| size != sum) {
            let detail = format!("it does not say that the document has {} chunks of {} bytes", sum.changes, sum.bytes);
            self.wrong(&key, &detail);
        }
        Ok(())
    }

    /// Each document key of the former index names an entry of its document and scope. That it is the first, [`Self::runs`]
    /// has checked: none of the document's entries comes before it.
    fn document_index(&mut self) -> Result<(), StoreError> {
        for entry in bodies(self.log, DOCUMENT_SPACE) {
            let (key, body) = entry?;
            self.checked.index_keys += 1;
            let Some(body) = body else { continue };
            let Some(first) = Reader(&body).u64().map(Sequence) else {
                self.wrong(&key, "its fields cannot be read");
                continue;
            };
            let page = unless_damaged(self.log.read_all(Sequence(first.0.saturating_sub(1)), 1, 1))?;
            let entry = page.ok().and_then(|page| page.entries.into_iter().next());
            if entry.is_none_or(|entry| entry.sequence != first || document_key(entry.scope, entry.change.doc) != key) {
                self.wrong(&key, &format!("the entry at sequence {} is not of this document", first.0));
            }
        }
        Ok(())
    }

    /// Each derived record's key has a table.
    fn derived(&mut self) -> Result<(), StoreError> {
        for entry in bodies(self.log, DERIVED_SPACE) {
            let (key, _) = entry?;
            self.checked.records += 1;
            if parse_key(&key).is_none() {
                self.wrong(&key, "it is no record key");
            }
        }
        Ok(())
    }
}

/// Checksums of records by their keys: some 60 bytes for each of a country's 50,000 devices.
type Truth = BTreeMap<Vec<u8>, [u8; RECORD_SUM_BYTES]>;

fn sum_of(value: &[u8]) -> [u8; RECORD_SUM_BYTES] {
    blake3::hash(value).as_bytes().first_chunk().copied().unwrap_or_default()
}

/// The keys and bodies of a space, without those that are damaged: they have been told of by [`Check::values`].
fn bodies(log: &SledChangeLog, space: u8) -> impl Iterator<Item = Result<(Vec<u8>, Option<Vec<u8>>), StoreError>> + '_ {
    log.engine.tree().scan_prefix([space]).map(|entry| {
        let (key, value) = entry.map_err(|error| log.engine.read_error(&error))?;
        let body = unless_damaged(log.engine.decode(&key, &value))?.ok();
        Ok((key.to_vec(), body))
    })
}

/// Damage is a finding; everything else ends the check.
fn unless_damaged<T>(result: Result<T, StoreError>) -> Result<Result<T, StoreError>, StoreError> {
    match result {
        Err(error) if !matches!(error, StoreError::Damaged { .. }) => Err(error),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests;
