//! Reading the log: all of it, by scopes, by document.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use toso_core::change::Entry;
use toso_core::id::{DocId, Sequence};
use toso_core::unit::Scope;
use toso_store::page::PageBuilder;
use toso_store::{Log as _, Logged, Page, StoreError};

use super::command::{self, is_command};
use super::heads::Position;
use super::run::Run;
use super::{CHUNK_SPACE, LATER_SPACE, SledChangeLog, run_key, scope_key};
use crate::value::Reader;

/// Runs that are looked at in the log itself for each scope asked for, before each scope is looked up in the index.
/// Looking a scope up costs about as much as passing over a few runs, so this at most doubles a read of many scopes'
/// sparse entries, and saves ten thousand look-ups when most of the log is asked for.
const SCAN_RUNS_PER_SCOPE: usize = 2;
/// So few scopes, a commune of 2025 with what it was made of, are looked up at once, unless the log is sure to end before
/// a look at it were in vain.
const LOOKED_UP_SCOPES_MAX: usize = 32;

/// Whether a page has room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Left,
    None,
}

impl SledChangeLog {
    pub(super) fn read_all(&self, after: Sequence, items_max: usize, bytes_max: usize) -> Result<Page, StoreError> {
        let last = self.last();
        let mut page = PageBuilder::new(items_max, bytes_max);
        if after < last {
            for run in self.runs(after, last)? {
                let (first, body) = run?;
                if is_command(&body) {
                    continue;
                }
                if fill(&mut page, self.parse(first, &body)?, after) == Room::None {
                    return Ok(page.full());
                }
            }
        }
        Ok(page.complete(after, last))
    }

    /// Entries of all sorts.
    pub(super) fn read_tail(
        &self,
        after: Sequence,
        items_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Logged>, StoreError> {
        let end = self.end();
        let (mut tail, mut bytes) = (Vec::new(), 0_usize);
        if after >= end {
            return Ok(tail);
        }
        for run in self.runs(after, end)? {
            let (first, body) = run?;
            let mut add = |entry: Logged| {
                bytes = bytes.saturating_add(entry.bytes());
                let fits = tail.is_empty() || (tail.len() < items_max && bytes <= bytes_max);
                if fits {
                    tail.push(entry);
                }
                fits
            };
            let all_fit = if is_command(&body) {
                let command = command::parse(first, &body).ok_or_else(|| self.unreadable(first))?;
                first <= after || add(Logged::Command(command))
            } else {
                self.parse(first, &body)?.after(after).all(|entry| add(Logged::Change(entry)))
            };
            if !all_fit {
                break;
            }
        }
        Ok(tail)
    }

    pub(super) fn read_merged(
        &self,
        scopes: &[Scope],
        after: Sequence,
        items_max: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let (last, scopes): (_, HashSet<Scope>) = {
            let published = self.published.read();
            let active = |scope: &&Scope| published.of_scope.get(scope).is_some_and(|end| end.last > after);
            (published.last, scopes.iter().filter(active).copied().collect())
        };
        let mut page = PageBuilder::new(items_max, bytes_max);
        if scopes.is_empty() {
            return Ok(page.complete(after, last));
        }
        // What can be new is no more runs than entries.
        let scanned_max = scopes.len().saturating_mul(SCAN_RUNS_PER_SCOPE);
        let surely_scanned = last.0 - after.0 <= u64::try_from(scanned_max).unwrap_or(u64::MAX);
        if scopes.len() <= LOOKED_UP_SCOPES_MAX && !surely_scanned {
            return self.merge(&scopes, after, last, page, after);
        }
        // First the log itself: enough when the scopes are most of it, or when little is new.
        let mut position = after;
        for (passed, run) in self.runs(after, last)?.enumerate() {
            let (first, body) = run?;
            if passed > scanned_max {
                return self.merge(&scopes, position, last, page, after);
            }
            if is_command(&body) {
                position = first;
                continue;
            }
            let (scope, end) = Run::extent(first, &body, &self.packer).ok_or_else(|| self.unreadable(first))?;
            position = end;
            if scopes.contains(&scope) && fill(&mut page, self.parse(first, &body)?, after) == Room::None {
                return Ok(page.full());
            }
        }
        Ok(page.complete(after, last))
    }

    /// Merges the runs of scopes that have entries after `position`, by their first sequences.
    fn merge(
        &self,
        scopes: &HashSet<Scope>,
        position: Sequence,
        last: Sequence,
        mut page: PageBuilder,
        after: Sequence,
    ) -> Result<Page, StoreError> {
        let (mut heads, mut rests) = (BinaryHeap::with_capacity(scopes.len()), Vec::with_capacity(scopes.len()));
        for scope in scopes {
            let mut rest = self.runs_of(*scope, position, last)?;
            heads.extend(rest.next().transpose()?.map(|first| Reverse((first, rests.len()))));
            rests.push(rest);
        }
        while let Some(Reverse((first, of))) = heads.pop() {
            let body = self.run_body(&run_key(first))?;
            if fill(&mut page, self.parse(first, &body)?, position) == Room::None {
                return Ok(page.full());
            }
            let next = rests.get_mut(of).and_then(Iterator::next).transpose()?;
            heads.extend(next.map(|next| Reverse((next, of))));
        }
        Ok(page.complete(after, last))
    }

    pub(super) fn read_document(&self, doc: DocId) -> Result<Vec<Entry>, StoreError> {
        let last = self.last();
        let mut positions: Vec<Position> = self.head(doc)?.iter().map(|head| head.first).collect();
        let prefix = |space: u8| [&[space], doc.as_bytes().as_slice()].concat();
        for entry in self.engine.scan(&prefix(LATER_SPACE)) {
            let (key, body) = entry?;
            positions.push(Position::parse(&body).ok_or_else(|| self.unreadable_fields(&key))?);
        }
        let former = self.has_former().then(|| self.engine.scan(&prefix(CHUNK_SPACE)));
        for entry in former.into_iter().flatten() {
            let (key, body) = entry?;
            positions.push(Position::parse_former(&body).ok_or_else(|| self.unreadable_fields(&key))?);
        }
        positions.retain(|position| position.sequence <= last);
        positions.sort_unstable();
        let mut entries = Vec::with_capacity(positions.len());
        for run in positions.chunk_by(|position, next| position.run() == next.run()) {
            let Some(first) = run.first().map(|position| position.run()) else { continue };
            let body = self.run_body(&run_key(first))?;
            let of_document = Run::parse(first, &body, &self.packer, |other| other == doc);
            entries.extend(of_document.ok_or_else(|| self.unreadable(first))?.after(Sequence::ZERO));
        }
        Ok(entries)
    }

    /// Runs that have entries after `after` and begin at or before `last`: first sequence and body.
    fn runs(
        &self,
        after: Sequence,
        last: Sequence,
    ) -> Result<impl Iterator<Item = Result<(Sequence, Vec<u8>), StoreError>>, StoreError> {
        // The run that the next entry is in may begin before it.
        let next = run_key(after.plus(1));
        let start = match self.engine.tree().range(run_key(Sequence::ZERO)..=next.clone()).keys().next_back() {
            Some(key) => key.map_err(|error| self.engine.read_error(&error))?.to_vec(),
            None => next,
        };
        let runs = self.engine.tree().range(start..=run_key(last));
        Ok(runs.map(|entry| {
            let (key, value) = entry.map_err(|error| self.engine.read_error(&error))?;
            let body = match self.engine.decode(&key, &value) {
                Err(StoreError::Damaged { .. }) => self.run_body(&key)?,
                body => body?,
            };
            let first = Reader(key.get(1..).unwrap_or_default()).u64();
            Ok((Sequence(first.ok_or_else(|| self.engine.damaged(&key, "it is no run key"))?), body))
        }))
    }

    /// A run's body. One that is written anew at this moment, because something of it is erased, may be met half, as damage: it is
    /// read once more while nobody writes.
    pub(super) fn run_body(&self, key: &[u8]) -> Result<Vec<u8>, StoreError> {
        let body = match self.engine.get(key) {
            Err(StoreError::Damaged { .. }) => {
                let _whole = self.engine.read_whole();
                self.engine.get(key)
            }
            body => body,
        };
        body?.ok_or_else(|| self.engine.damaged(key, "it is missing"))
    }

    /// Where the runs of a scope begin that have entries after `after` and begin at or before `last`.
    fn runs_of(
        &self,
        scope: Scope,
        after: Sequence,
        last: Sequence,
    ) -> Result<impl Iterator<Item = Result<Sequence, StoreError>>, StoreError> {
        // `after` may stand in the middle of one.
        let around = self.run_before(scope, after)?.filter(|run| run.last() > after).map(|run| run.first);
        let range = scope_key(scope, after.plus(1))..=scope_key(scope, last);
        let rest = (after < last).then(|| self.engine.tree().range(range));
        let rest = rest.into_iter().flatten().map(|entry| self.scope_entry(entry).map(|run| run.first));
        Ok(around.map(Ok).into_iter().chain(rest))
    }

    pub(super) fn parse(&self, first: Sequence, body: &[u8]) -> Result<Run, StoreError> {
        Run::parse(first, body, &self.packer, |_| true).ok_or_else(|| self.unreadable(first))
    }

    fn unreadable(&self, first: Sequence) -> StoreError {
        self.engine.damaged(&run_key(first), "its fields cannot be read")
    }
}

/// Puts the entries of a run after `after` into a page.
fn fill(page: &mut PageBuilder, run: Run, after: Sequence) -> Room {
    if run.after(after).all(|entry| page.push(entry)) { Room::Left } else { Room::None }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use toso_core::change::Change;
    use toso_core::chunk::{ChangeHash, Chunk};
    use toso_core::id::AuthorId;
    use toso_core::time::TimestampMs;
    use toso_core::unit::{UnitList, UnitRef};
    use toso_store::{Index as _, LogBatch};

    use super::*;
    use crate::options::Options;

    fn scope(number: usize) -> Scope {
        UnitRef::new(UnitList::L2022, &format!("{number:05}")).unwrap()
    }

    /// Several scopes, whose batches of one to three changes alternate.
    fn log(scopes: usize, rounds: usize) -> (TempDir, SledChangeLog) {
        let folder = TempDir::new().unwrap();
        let log = SledChangeLog::open(folder.path(), Options::phone()).unwrap();
        let mut number = 0_u8;
        let mut item = |of: usize| {
            number = number.wrapping_add(1);
            let chunk = Chunk::trusted(vec![number; 9], ChangeHash([number; 32]));
            Change { doc: DocId::commune(scope(of)), chunk }
        };
        for round in 0..rounds {
            let batches: Vec<_> = (0..scopes)
                .map(|of| LogBatch {
                    scope: scope(of),
                    author: AuthorId([1; 8]),
                    received_at: TimestampMs(2),
                    items: (0..=(round + of) % 3).map(|_| item(of)).collect(),
                })
                .collect();
            log.append(&batches).unwrap();
        }
        (folder, log)
    }

    /// All entries after a position, page by page.
    fn read(log: &SledChangeLog, scopes: &[Scope], mut after: Sequence) -> Vec<Entry> {
        let mut entries = Vec::new();
        loop {
            let page = log.read_scopes(scopes, after, 4, usize::MAX).unwrap();
            entries.extend(page.entries);
            after = page.through;
            if !page.more {
                assert_eq!(after, log.last());
                return entries;
            }
        }
    }

    /// Few scopes are looked up, many are looked for; a position may stand in the middle of a run.
    #[test]
    fn scopes_are_read_alike_however_many_they_are() {
        let (_folder, log) = log(LOOKED_UP_SCOPES_MAX + 8, 2);
        let all = log.read(Sequence::ZERO, usize::MAX, usize::MAX).unwrap().entries;
        for count in [1, 2, LOOKED_UP_SCOPES_MAX, LOOKED_UP_SCOPES_MAX + 1] {
            let scopes: Vec<_> = (0..count).map(scope).collect();
            for after in (0..=log.last().0).map(Sequence) {
                let wanted = |entry: &&Entry| entry.sequence > after && scopes.contains(&entry.scope);
                assert!(all.iter().filter(wanted).eq(&read(&log, &scopes, after)), "{count} scopes after {after:?}");
            }
        }
    }

    /// Every push asks how large its documents are, and whether it is new: neither may cost a look at their history.
    #[test]
    fn what_a_document_comes_to_is_told_without_its_history() {
        let (_folder, log) = log(1, 20);
        let entries = log.document(DocId::commune(scope(0))).unwrap();
        let expected = toso_core::document::DocumentSize::of(entries.iter().map(|entry| entry.change.bytes().len()));
        for run in log.engine.keys(&[super::super::RUN_SPACE]).collect::<Result<Vec<_>, _>>().unwrap() {
            log.engine.tree().remove(run).unwrap();
        }
        assert!(log.document(DocId::commune(scope(0))).is_err(), "a reader notices");
        for entry in &entries {
            let looked_up = log.look_up(scope(0), entry.change.doc, &entry.change.hash()).unwrap();
            assert_eq!(looked_up, toso_store::Lookup { size: expected, known: true });
        }
        assert_eq!(log.document_size(scope(0), DocId::commune(scope(0))).unwrap(), expected);
    }

    /// A device that has everything of its unit, and one that has nothing of it, are told what it has without a look at
    /// the index; between the two it is looked up.
    #[test]
    fn what_a_scope_has_is_the_same_from_memory_and_from_the_index() {
        let (folder, log) = log(3, 40);
        let check = |log: &SledChangeLog| {
            let all = log.read(Sequence::ZERO, usize::MAX, usize::MAX).unwrap().entries;
            for at in (0..=log.last().0 + 2).map(Sequence) {
                let of_scope = all.iter().filter(|entry| entry.scope == scope(1) && entry.sequence <= at);
                let mut expected = toso_store::Summary::default();
                for entry in of_scope {
                    expected.count += 1;
                    expected.digest.toggle(entry.change.doc, &entry.change.hash());
                }
                assert_eq!(log.summary(&[scope(1)], at).unwrap(), expected, "at {at:?}");
            }
        };
        check(&log);
        drop(log);
        check(&SledChangeLog::open(folder.path(), Options::phone()).unwrap());
    }
}
