//! A run: entries of one batch with consecutive sequences, in one value.
//!
//! Body: `scope (8) ‖ author (8) ‖ received at, ms (8)`, then for each entry `doc (16) ‖ hash (32) ‖ length (4) ‖ change`.
//! A run ends before it needs a second part, so reading an entry costs one value; only a single large change does.

use toso_core::chunk::ChangeHash;
use toso_core::id::{DeviceId, Digest, DocId, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};
use toso_store::{LogBatch, LogEntry, LogItem};

use crate::value::{BODY_IN_FIRST_PART_MAX, Reader};

const ENTRY_HEADER_BYTES: usize = 16 + 32 + 4;

/// A run being filled.
#[derive(Debug)]
pub(super) struct RunBuilder {
    first: Sequence,
    entries: u16,
    body: Vec<u8>,
    digest: Digest,
}

/// A run that is full, or whose batch has ended.
#[derive(Debug)]
pub(super) struct FinishedRun {
    pub(super) first: Sequence,
    pub(super) entries: u16,
    pub(super) body: Vec<u8>,
    /// Of its chunks.
    pub(super) digest: Digest,
}

impl RunBuilder {
    /// An empty run of a batch, whose first entry will have a sequence.
    pub(super) fn new(batch: &LogBatch, first: Sequence) -> Self {
        let received_at = batch.received_at.0.to_be_bytes();
        let body = [batch.scope.to_key().as_slice(), &batch.author.0, &received_at].concat();
        Self { first, entries: 0, body, digest: Digest::default() }
    }

    /// True when the run can take an item.
    pub(super) fn fits(&self, item: &LogItem) -> bool {
        self.entries == 0 || self.body.len() + ENTRY_HEADER_BYTES + item.bytes.len() <= BODY_IN_FIRST_PART_MAX
    }

    /// Adds an item; returns its offset in the run.
    pub(super) fn push(&mut self, item: &LogItem) -> u16 {
        let length = u32::try_from(item.bytes.len()).unwrap_or_default();
        self.body.extend_from_slice(item.doc.as_bytes());
        self.body.extend_from_slice(&item.hash.0);
        self.body.extend_from_slice(&length.to_be_bytes());
        self.body.extend_from_slice(&item.bytes);
        self.digest.toggle(item.doc, &item.hash);
        let offset = self.entries;
        self.entries += 1;
        offset
    }

    /// The run; `None` when it is empty.
    pub(super) fn finish(self) -> Option<FinishedRun> {
        let Self { first, entries, body, digest } = self;
        (entries > 0).then_some(FinishedRun { first, entries, body, digest })
    }
}

/// A run read back.
#[derive(Debug)]
pub(super) struct Run {
    first: Sequence,
    scope: Scope,
    author: DeviceId,
    received_at: TimestampMs,
    entries: Vec<LogItem>,
}

impl Run {
    /// The scope alone, to pass over a run cheaply.
    pub(super) fn scope_in(body: &[u8]) -> Option<Scope> {
        UnitRef::from_key(Reader(body).array()?).ok()
    }

    /// Reads a body.
    pub(super) fn parse(first: Sequence, body: &[u8]) -> Option<Self> {
        let mut body = Reader(body);
        let scope = UnitRef::from_key(body.array()?).ok()?;
        let author = DeviceId(body.array()?);
        let received_at = TimestampMs(body.u64()?);
        let mut entries = Vec::new();
        while !body.0.is_empty() {
            let doc = DocId::from_bytes(body.array()?).ok()?;
            let hash = ChangeHash(body.array()?);
            let length = usize::try_from(body.u32()?).ok()?;
            entries.push(LogItem { doc, hash, bytes: body.bytes(length)?.to_vec() });
        }
        Some(Self { first, scope, author, received_at, entries })
    }

    /// The sequence of the first entry.
    pub(super) fn first(&self) -> Sequence {
        self.first
    }

    /// The scope.
    pub(super) fn scope(&self) -> Scope {
        self.scope
    }

    /// The entry at an offset.
    pub(super) fn item(mut self, offset: u16) -> Option<LogItem> {
        let offset = usize::from(offset);
        (offset < self.entries.len()).then(|| self.entries.swap_remove(offset))
    }

    /// The sequence of the last entry.
    pub(super) fn last(&self) -> Sequence {
        self.first.plus((self.entries.len() as u64).saturating_sub(1))
    }

    /// The entries after a sequence.
    pub(super) fn after(self, after: Sequence) -> impl Iterator<Item = LogEntry> {
        let Self { first, scope, author, received_at, entries } = self;
        let numbered = entries.into_iter().enumerate();
        let all = numbered.map(move |(offset, item)| LogEntry {
            sequence: first.plus(offset as u64),
            scope,
            author,
            received_at,
            item,
        });
        all.filter(move |entry| entry.sequence > after)
    }
}

#[cfg(test)]
mod tests {
    use toso_core::unit::UnitList;

    use super::*;

    fn batch(sizes: &[usize]) -> LogBatch {
        let scope = UnitRef::new(UnitList::L2022, "00001").unwrap();
        let items = sizes.iter().map(|bytes| LogItem {
            doc: DocId::commune(scope),
            hash: ChangeHash([3; 32]),
            bytes: vec![4; *bytes],
        });
        LogBatch { scope, author: DeviceId([1; 8]), received_at: TimestampMs(2), items: items.collect() }
    }

    #[test]
    fn a_run_ends_before_it_needs_a_second_part() {
        let fixed = 24 + 2 * ENTRY_HEADER_BYTES;
        for (bytes, fits) in [(BODY_IN_FIRST_PART_MAX - fixed, true), (BODY_IN_FIRST_PART_MAX - fixed + 1, false)] {
            let batch = batch(&[0, bytes]);
            let mut run = RunBuilder::new(&batch, Sequence(5));
            run.push(&batch.items[0]);
            assert_eq!(run.fits(&batch.items[1]), fits);
        }
        let large = batch(&[60 * 1024]);
        assert!(RunBuilder::new(&large, Sequence(5)).fits(&large.items[0]), "a large change has a run of its own");
    }

    #[test]
    fn a_run_comes_back_and_a_cut_one_does_not() {
        let batch = batch(&[10, 0, 20]);
        let mut run = RunBuilder::new(&batch, Sequence(5));
        let offsets: Vec<u16> = batch.items.iter().map(|item| run.push(item)).collect();
        assert_eq!(offsets, vec![0, 1, 2]);
        let FinishedRun { first, entries, body, .. } = run.finish().unwrap();
        assert_eq!((first, entries), (Sequence(5), 3));
        assert_eq!(Run::scope_in(&body), Some(batch.scope));
        let run = Run::parse(first, &body).unwrap();
        assert_eq!(run.last(), Sequence(7));
        let read: Vec<_> = run.after(Sequence(5)).map(|entry| (entry.sequence.0, entry.item)).collect();
        assert_eq!(read, vec![(6, batch.items[1].clone()), (7, batch.items[2].clone())]);
        assert!(Run::parse(first, &body[..body.len() - 1]).is_none());
        assert!(RunBuilder::new(&batch, Sequence(5)).finish().is_none());
    }
}
