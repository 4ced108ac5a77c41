//! A run: entries of one batch with consecutive sequences, in one value.
//!
//! Body: `form (1) = 1 ‖ scope (8) ‖ author (8) ‖ received at, ms (8) ‖ entries (2)`, then for each entry its document:
//! `kind (1) ‖ unique (11)`, where the scope tag of an id that does not belong to the scope stands between the two and the
//! kind's highest bit is set; then the changes as [`Packer`] packs them. Ids stay out of the packing, because their random
//! bytes would only make it worse.
//!
//! Folders of format 1 have runs of another body: `scope (8) ‖ author (8) ‖ received at, ms (8)`, then for each entry
//! `doc (16) ‖ hash (32) ‖ length (4) ‖ change`. They are read as they are, and tell themselves apart by their first byte,
//! the year's, which no form has.

use toso_core::change::{Change, Entry};
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::id::{AuthorId, DOC_ID_BYTES, DOC_ID_UNIQUE_BYTES, Digest, DocId, SCOPE_TAG_BYTES, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitList, UnitRef};
use toso_store::LogBatch;

use super::pack::{Packer, RUN_RAW_BYTES_MAX};
use crate::value::Reader;

/// The form of a packed body.
const PACKED: u8 = 1;
const _: () = assert!(UnitList::L2022.year().to_be_bytes()[0] != PACKED, "a former body begins with its year");
/// In the kind of an id: its scope tag follows.
const WITH_TAG: u8 = 0x80;

/// A run being filled.
#[derive(Debug)]
pub(super) struct RunBuilder<'a> {
    first: Sequence,
    batch: &'a LogBatch,
    items: Vec<&'a Change>,
    change_bytes: usize,
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

impl<'a> RunBuilder<'a> {
    /// An empty run of a batch, whose first entry will have a sequence.
    pub(super) fn new(batch: &'a LogBatch, first: Sequence) -> Self {
        Self { first, batch, items: Vec::new(), change_bytes: 0, digest: Digest::default() }
    }

    /// True when the run can take an item.
    pub(super) fn fits(&self, item: &Change) -> bool {
        self.items.is_empty() || self.change_bytes + item.bytes().len() <= RUN_RAW_BYTES_MAX
    }

    /// Adds an item; returns its offset in the run.
    pub(super) fn push(&mut self, item: &'a Change) -> u16 {
        let offset = self.entries();
        self.change_bytes += item.bytes().len();
        self.digest.toggle(item.doc, &item.hash());
        self.items.push(item);
        offset
    }

    /// A batch has at most 1,024.
    fn entries(&self) -> u16 {
        u16::try_from(self.items.len()).unwrap_or(u16::MAX)
    }

    /// The run; `None` when it is empty.
    pub(super) fn finish(self, packer: &Packer) -> Option<FinishedRun> {
        let entries = self.entries();
        let Self { first, batch, items, digest, .. } = self;
        if items.is_empty() {
            return None;
        }
        let mut body = vec![PACKED];
        body.extend(batch.scope.to_key());
        body.extend(batch.author.0);
        body.extend(batch.received_at.0.to_be_bytes());
        body.extend(entries.to_be_bytes());
        for item in &items {
            let [kind, rest @ ..] = item.doc.as_bytes();
            let (tag, unique) = rest.split_at(SCOPE_TAG_BYTES);
            if item.doc.belongs_to(batch.scope) {
                body.push(*kind);
            } else {
                body.push(kind | WITH_TAG);
                body.extend(tag);
            }
            body.extend(unique);
        }
        body.extend(packer.pack(items.iter().map(|item| &item.chunk)));
        Some(FinishedRun { first, entries, body, digest })
    }
}

/// A run read back, whole or what is wanted of it.
#[derive(Debug)]
pub(super) struct Run {
    first: Sequence,
    scope: Scope,
    author: AuthorId,
    received_at: TimestampMs,
    count: usize,
    /// With their offsets.
    entries: Vec<(usize, Change)>,
}

impl Run {
    /// The scope, and the sequence of the last entry, to pass over a run without unpacking it.
    pub(super) fn extent(first: Sequence, body: &[u8], packer: &Packer) -> Option<(Scope, Sequence)> {
        if body.first() != Some(&PACKED) {
            let run = Self::parse(first, body, packer, |_| false)?;
            return Some((run.scope, run.last()));
        }
        let mut reader = header(body)?;
        let scope = UnitRef::from_key(reader.array()?).ok()?;
        reader.bytes(size_of::<AuthorId>() + size_of::<TimestampMs>())?;
        let entries = u64::from(reader.u16()?);
        Some((scope, first.plus(entries.saturating_sub(1))))
    }

    /// Reads a body, or of it only the entries of the documents that are wanted.
    pub(super) fn parse(first: Sequence, body: &[u8], packer: &Packer, wanted: impl Fn(DocId) -> bool) -> Option<Self> {
        let mut reader = header(body)?;
        let scope = UnitRef::from_key(reader.array()?).ok()?;
        let author = AuthorId(reader.array()?);
        let received_at = TimestampMs(reader.u64()?);
        let (count, entries) = if body.first() == Some(&PACKED) {
            packed_entries(reader, scope, packer, wanted)?
        } else {
            former_entries(reader, wanted)?
        };
        Some(Self { first, scope, author, received_at, count, entries })
    }

    /// The sequence of the first entry.
    pub(super) fn first(&self) -> Sequence {
        self.first
    }

    /// The scope.
    pub(super) fn scope(&self) -> Scope {
        self.scope
    }

    /// The entry at an offset, when it was wanted.
    pub(super) fn item(self, offset: u16) -> Option<Change> {
        self.entries.into_iter().find(|(at, _)| *at == usize::from(offset)).map(|(_, item)| item)
    }

    /// The sequence of the last entry.
    pub(super) fn last(&self) -> Sequence {
        self.first.plus((self.count as u64).saturating_sub(1))
    }

    /// The wanted entries after a sequence.
    pub(super) fn after(self, after: Sequence) -> impl Iterator<Item = Entry> {
        let Self { first, scope, author, received_at, entries, .. } = self;
        let all = entries.into_iter().map(move |(offset, change)| Entry {
            sequence: first.plus(offset as u64),
            scope,
            author,
            received_at,
            change,
        });
        all.filter(move |entry| entry.sequence > after)
    }
}

/// A body from its scope on.
fn header(body: &[u8]) -> Option<Reader<'_>> {
    let mut reader = Reader(body);
    if body.first() == Some(&PACKED) {
        reader.bytes(1)?;
    }
    Some(reader)
}

type Entries = (usize, Vec<(usize, Change)>);

fn packed_entries(
    mut reader: Reader<'_>,
    scope: Scope,
    packer: &Packer,
    wanted: impl Fn(DocId) -> bool,
) -> Option<Entries> {
    let count = usize::from(reader.u16()?);
    let docs = (0..count).map(|_| doc(&mut reader, scope)).collect::<Option<Vec<_>>>()?;
    let unpacked = packer.unpack(reader.0, count, |place| docs.get(place).is_some_and(|doc| wanted(*doc)))?;
    let entries = unpacked.into_iter().filter_map(|(place, chunk)| {
        let doc = *docs.get(place)?;
        Some((place, Change { doc, chunk }))
    });
    Some((count, entries.collect()))
}

fn doc(reader: &mut Reader<'_>, scope: Scope) -> Option<DocId> {
    let [kind] = reader.array()?;
    if kind & WITH_TAG == 0 {
        return DocId::from_parts(kind, scope, reader.array::<DOC_ID_UNIQUE_BYTES>()?).ok();
    }
    let rest = reader.bytes(SCOPE_TAG_BYTES + DOC_ID_UNIQUE_BYTES)?;
    DocId::from_bytes([&[kind & !WITH_TAG], rest].concat().try_into().ok()?).ok()
}

const _: () = assert!(DOC_ID_BYTES == 1 + SCOPE_TAG_BYTES + DOC_ID_UNIQUE_BYTES, "the parts of an id");

/// Entries as format 1 has them.
fn former_entries(mut reader: Reader<'_>, wanted: impl Fn(DocId) -> bool) -> Option<Entries> {
    let (mut count, mut entries) = (0, Vec::new());
    while !reader.0.is_empty() {
        let doc = DocId::from_bytes(reader.array()?).ok()?;
        let hash = ChangeHash(reader.array()?);
        let length = usize::try_from(reader.u32()?).ok()?;
        let bytes = reader.bytes(length)?;
        if wanted(doc) {
            entries.push((count, Change { doc, chunk: Chunk::trusted(bytes, hash) }));
        }
        count += 1;
    }
    Some((count, entries))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn scope(code: &str) -> Scope {
        UnitRef::new(UnitList::L2022, code).unwrap()
    }

    fn batch(sizes: &[usize]) -> LogBatch {
        // The second of two documents belongs to another scope, and is of a kind that only a newer version knows.
        let further = DocId::from_parts(b'z', scope("00004"), [9; DOC_ID_UNIQUE_BYTES]).unwrap();
        let docs = [DocId::commune(scope("00001")), further];
        let items = sizes
            .iter()
            .zip(docs.iter().cycle())
            .map(|(bytes, doc)| Change { doc: *doc, chunk: Chunk::trusted(vec![4; *bytes], ChangeHash([3; 32])) });
        LogBatch {
            scope: scope("00001"),
            author: AuthorId([1; 8]),
            received_at: TimestampMs(2),
            items: items.collect(),
        }
    }

    /// A run's body as format 1 has it.
    pub(in super::super) fn former_body(batch: &LogBatch) -> Vec<u8> {
        let received_at = batch.received_at.0.to_be_bytes();
        let mut body = [batch.scope.to_key().as_slice(), &batch.author.0, &received_at].concat();
        for item in &batch.items {
            body.extend_from_slice(item.doc.as_bytes());
            body.extend_from_slice(&item.hash().0);
            body.extend_from_slice(&u32::try_from(item.bytes().len()).unwrap().to_be_bytes());
            body.extend_from_slice(item.bytes());
        }
        body
    }

    fn finished(batch: &LogBatch) -> Option<FinishedRun> {
        let mut run = RunBuilder::new(batch, Sequence(5));
        for (offset, item) in (0..).zip(&batch.items) {
            assert_eq!(run.push(item), offset);
        }
        run.finish(&Packer::default())
    }

    #[test]
    fn a_run_ends_at_its_limit() {
        for (bytes, fits) in [(RUN_RAW_BYTES_MAX - 10, true), (RUN_RAW_BYTES_MAX - 9, false)] {
            let batch = batch(&[10, bytes]);
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
        let FinishedRun { first, entries, body, .. } = finished(&batch).unwrap();
        assert_eq!((first, entries), (Sequence(5), 3));
        let packer = Packer::default();
        for body in [body, former_body(&batch)] {
            assert_eq!(Run::extent(first, &body, &packer), Some((batch.scope, Sequence(7))));
            assert_eq!(Run::extent(first, &body[..20], &packer), None);
            let parse = |body: &[u8]| Run::parse(first, body, &packer, |_| true);
            let run = parse(&body).unwrap();
            assert_eq!(run.last(), Sequence(7));
            let read: Vec<_> = run.after(Sequence(5)).map(|entry| (entry.sequence.0, entry.change)).collect();
            assert_eq!(read, vec![(6, batch.items[1].clone()), (7, batch.items[2].clone())]);
            assert_eq!(parse(&body).unwrap().item(2), Some(batch.items[2].clone()));
            assert!(parse(&body[..body.len() - 1]).is_none());
            let other = batch.items[1].doc;
            let run = Run::parse(first, &body, &packer, |doc| doc == other).unwrap();
            assert_eq!(run.last(), Sequence(7), "also when only a part of it is wanted");
            let read: Vec<_> = run.after(Sequence::ZERO).map(|entry| (entry.sequence.0, entry.change)).collect();
            assert_eq!(read, vec![(6, batch.items[1].clone())]);
        }
        assert!(RunBuilder::new(&batch, Sequence(5)).finish(&packer).is_none());
    }
}
