//! Reading the log: all of it, by scopes, by document.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use toso_core::id::{DocId, Sequence};
use toso_core::unit::Scope;
use toso_store::page::PageBuilder;
use toso_store::{ChangeLog, LogEntry, Page, StoreError};

use super::heads::Position;
use super::run::Run;
use super::{CHUNK_SPACE, LATER_SPACE, SledChangeLog, run_key, scope_key};
use crate::value::Reader;

/// Runs that are looked at in the log itself for each scope asked for, before each scope is looked up in the index.
/// Looking a scope up costs about as much as passing over a few runs, so this at most doubles a read of few scopes'
/// sparse entries, and saves ten thousand look-ups when most of the log is asked for.
const SCAN_RUNS_PER_SCOPE: usize = 2;

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
                if fill(&mut page, self.parse(first, &body)?, after) == Room::None {
                    return Ok(page.full());
                }
            }
        }
        Ok(page.complete(after, last))
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
            let active = |scope: &&Scope| published.of_scope.get(scope).is_some_and(|of_scope| *of_scope > after);
            (published.last, scopes.iter().filter(active).copied().collect())
        };
        let mut page = PageBuilder::new(items_max, bytes_max);
        if scopes.is_empty() {
            return Ok(page.complete(after, last));
        }
        // First the log itself: enough when the scopes are most of it, or when little is new. Also settles the one run
        // that `after` may stand in the middle of.
        let mut position = after;
        for (passed, run) in self.runs(after, last)?.enumerate() {
            let (first, body) = run?;
            if passed > scopes.len().saturating_mul(SCAN_RUNS_PER_SCOPE) {
                return self.merge(&scopes, position, last, page, after);
            }
            let scope = Run::scope_in(&body).ok_or_else(|| self.unreadable(first))?;
            let run = self.parse(first, &body)?;
            position = run.last();
            if scopes.contains(&scope) && fill(&mut page, run, after) == Room::None {
                return Ok(page.full());
            }
        }
        Ok(page.complete(after, last))
    }

    /// Merges the runs of scopes after `position`, the end of a run, by their first sequences.
    fn merge(
        &self,
        scopes: &HashSet<Scope>,
        position: Sequence,
        last: Sequence,
        mut page: PageBuilder,
        after: Sequence,
    ) -> Result<Page, StoreError> {
        let mut heads = BinaryHeap::new();
        for scope in scopes {
            heads.extend(self.next_run(*scope, position, last)?.map(|first| Reverse((first, *scope))));
        }
        while let Some(Reverse((first, scope))) = heads.pop() {
            let key = run_key(first);
            let body = self.engine.get(&key)?.ok_or_else(|| self.engine.damaged(&key, "it is missing"))?;
            if fill(&mut page, self.parse(first, &body)?, position) == Room::None {
                return Ok(page.full());
            }
            heads.extend(self.next_run(scope, first, last)?.map(|next| Reverse((next, scope))));
        }
        Ok(page.complete(after, last))
    }

    pub(super) fn read_document(&self, doc: DocId) -> Result<Vec<LogEntry>, StoreError> {
        let last = self.last();
        let mut positions: Vec<Position> = self.head(doc)?.iter().map(|head| head.first).collect();
        let prefix = |space: u8| [&[space], doc.as_bytes().as_slice()].concat();
        for entry in self.engine.scan(&prefix(LATER_SPACE)) {
            let (key, body) = entry?;
            positions.push(Position::parse(&body).ok_or_else(|| self.unreadable_fields(&key))?);
        }
        for entry in self.engine.scan(&prefix(CHUNK_SPACE)) {
            let (key, body) = entry?;
            positions.push(Position::parse_former(&body).ok_or_else(|| self.unreadable_fields(&key))?);
        }
        positions.retain(|position| position.sequence <= last);
        positions.sort_unstable();
        let mut entries = Vec::with_capacity(positions.len());
        for run in positions.chunk_by(|position, next| position.run() == next.run()) {
            let Some(first) = run.first().map(|position| position.run()) else { continue };
            let key = run_key(first);
            let body = self.engine.get(&key)?.ok_or_else(|| self.engine.damaged(&key, "it is missing"))?;
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
        let start = match self.engine.tree().range(run_key(Sequence::ZERO)..=next.clone()).next_back() {
            Some(entry) => self.engine.entry(entry)?.0.to_vec(),
            None => next,
        };
        let runs = self.engine.tree().range(start..=run_key(last));
        Ok(runs.map(|entry| {
            let (key, body) = self.engine.entry(entry)?;
            let first = Reader(key.get(1..).unwrap_or_default()).u64();
            Ok((Sequence(first.ok_or_else(|| self.engine.damaged(&key, "it is no run key"))?), body))
        }))
    }

    /// The first run of a scope that begins after `after` and at or before `last`.
    fn next_run(&self, scope: Scope, after: Sequence, last: Sequence) -> Result<Option<Sequence>, StoreError> {
        let range = scope_key(scope, after.plus(1))..=scope_key(scope, last);
        let entry = if after < last { self.engine.tree().range(range).next() } else { None };
        entry.map(|entry| self.scope_entry(entry).map(|run| run.first)).transpose()
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
