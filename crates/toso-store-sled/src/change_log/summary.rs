//! What a scope has up to any position, from the scope index alone: each run's entry there carries the sum so far.

use toso_core::id::{Digest, Sequence};
use toso_core::unit::Scope;
use toso_store::{StoreError, Summary};

use super::{SledChangeLog, parse_scope_key, run_key, scope_key};
use crate::value::Reader;

/// A run as the scope index has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScopeRun {
    pub(super) first: Sequence,
    pub(super) entries: u16,
    /// Of the scope, up to the run's end.
    pub(super) through: Summary,
}

impl ScopeRun {
    pub(super) fn parse(key: &[u8], body: &[u8]) -> Option<Self> {
        let (_, first) = parse_scope_key(key)?;
        let mut body = Reader(body);
        let entries = body.u16()?;
        let through = Summary { count: body.u64()?, digest: Digest(body.u64()?) };
        Some(Self { first, entries, through })
    }

    pub(super) fn body(&self) -> Vec<u8> {
        let Summary { count, digest } = self.through;
        [self.entries.to_be_bytes().as_slice(), &count.to_be_bytes(), &digest.0.to_be_bytes()].concat()
    }

    /// The sequence of the run's last entry.
    pub(super) fn last(&self) -> Sequence {
        self.first.plus(u64::from(self.entries.saturating_sub(1)))
    }
}

impl SledChangeLog {
    /// What a scope has at or below `at`. Its end is in memory.
    pub(super) fn summary_of(&self, scope: Scope, at: Sequence) -> Result<Summary, StoreError> {
        let end = self.published.read().of_scope.get(&scope).copied().unwrap_or_default();
        if end.last <= at {
            return Ok(end.whole);
        }
        let Some(run) = self.run_before(scope, at)? else { return Ok(Summary::default()) };
        if run.last() <= at {
            return Ok(run.through);
        }
        // `at` is in the middle of the run: the rest of it is taken off again.
        let mut summary = run.through;
        let key = run_key(run.first);
        let body = self.engine.get(&key)?.ok_or_else(|| self.engine.damaged(&key, "it is missing"))?;
        for entry in self.parse(run.first, &body)?.after(at) {
            summary.count -= 1;
            summary.digest.toggle(entry.change.doc, &entry.change.hash());
        }
        Ok(summary)
    }

    /// The last run of a scope that begins at or before `at`.
    pub(super) fn run_before(&self, scope: Scope, at: Sequence) -> Result<Option<ScopeRun>, StoreError> {
        let range = scope_key(scope, Sequence::ZERO)..=scope_key(scope, at);
        self.engine.tree().range(range).next_back().map(|entry| self.scope_entry(entry)).transpose()
    }
}
