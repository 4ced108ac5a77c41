//! A run: entries of one batch with consecutive sequences, in one value.
//!
//! Body: `form (1) = 1 ‖ scope (8) ‖ author (8) ‖ received at, ms (8) ‖ entries (2)`, then for each entry its document:
//! `kind (1) ‖ unique (11)`, where the scope tag of an id that does not belong to the scope stands between the two and the
//! kind's highest bit is set; then the changes as [`Packer`] packs them. Ids stay out of the packing, because their random
//! bytes would only make it worse.
//!
//! A run of which changes were erased has form 3 and is otherwise the same, but for what [`Kept::SomeErased`] says of the packing.
//!
//! Folders of format 1 have runs of another body: `scope (8) ‖ author (8) ‖ received at, ms (8)`, then for each entry
//! `doc (16) ‖ hash (32) ‖ length (4) ‖ change`. They are read as they are, and tell themselves apart by their first byte,
//! the year's, which no form has. Of an erased change the length has its highest bit set, and is what it was; no bytes follow.

use toso_core::change::{Body, Change, Entry, ErasedBody};
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::id::{AuthorId, DOC_ID_BYTES, DOC_ID_UNIQUE_BYTES, Digest, DocId, SCOPE_TAG_BYTES, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitList, UnitRef};
use toso_store::LogBatch;

use super::pack::{Kept, Packed, Packer, RUN_RAW_BYTES_MAX};
use crate::value::Reader;

/// The form of a packed body.
const PACKED: u8 = 1;
/// The form of a packed body of which changes were erased. Commands have 2.
const PACKED_SOME_ERASED: u8 = 3;
const _: () =
    assert!(UnitList::L2022.year().to_be_bytes()[0] > PACKED_SOME_ERASED, "a former body begins with its year");
/// In the length of a former body's change: it was erased.
const LENGTH_OF_ERASED: u32 = 1 << 31;
/// In the kind of an id: its scope tag follows.
const WITH_TAG: u8 = 0x80;

/// What all entries of a run share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) scope: Scope,
    pub(super) author: AuthorId,
    pub(super) received_at: TimestampMs,
}

impl<C> From<&LogBatch<C>> for Envelope {
    fn from(batch: &LogBatch<C>) -> Self {
        Self { scope: batch.scope, author: batch.author, received_at: batch.received_at }
    }
}

/// A run being filled.
#[derive(Debug)]
pub(super) struct RunBuilder<'a> {
    first: Sequence,
    envelope: Envelope,
    items: Vec<(DocId, Packed<'a>)>,
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
    /// An empty run, whose first entry will have a sequence.
    pub(super) fn new(envelope: Envelope, first: Sequence) -> Self {
        Self { first, envelope, items: Vec::new(), change_bytes: 0, digest: Digest::default() }
    }

    /// True when the run can take an item.
    pub(super) fn fits(&self, item: Item<'_>) -> bool {
        self.items.is_empty() || self.change_bytes + item.bytes() <= RUN_RAW_BYTES_MAX
    }

    /// Adds an item; returns its offset in the run.
    pub(super) fn push(&mut self, item: Item<'a>) -> u16 {
        let offset = self.entries();
        self.change_bytes += item.bytes();
        self.digest.toggle(item.doc, &item.hash());
        self.items.push((item.doc, item.body));
        offset
    }

    /// A batch has at most 1,024.
    fn entries(&self) -> u16 {
        u16::try_from(self.items.len()).unwrap_or(u16::MAX)
    }

    /// The run; `None` when it is empty.
    pub(super) fn finish(self, packer: &Packer) -> Option<FinishedRun> {
        let entries = self.entries();
        let Self { first, envelope, items, digest, .. } = self;
        if items.is_empty() {
            return None;
        }
        let body = packed_body(envelope, &items, packer);
        Some(FinishedRun { first, entries, body, digest })
    }
}

/// A change on its way into a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) doc: DocId,
    pub(super) body: Packed<'a>,
}

impl<'a> From<&'a Change> for Item<'a> {
    fn from(change: &'a Change) -> Self {
        Self { doc: change.doc, body: Packed::Whole(&change.chunk) }
    }
}

impl<'a> From<&'a Change<Body>> for Item<'a> {
    fn from(change: &'a Change<Body>) -> Self {
        Self { doc: change.doc, body: Packed::from(&change.chunk) }
    }
}

impl Item<'_> {
    pub(super) fn hash(&self) -> ChangeHash {
        match self.body {
            Packed::Whole(chunk) => chunk.hash(),
            Packed::Erased(erased) => erased.hash,
        }
    }

    /// How many bytes the change has, or had.
    pub(super) fn size(&self) -> usize {
        match self.body {
            Packed::Whole(chunk) => chunk.bytes().len(),
            Packed::Erased(erased) => usize::try_from(erased.size).unwrap_or(usize::MAX),
        }
    }

    /// Bytes that it takes in a run, before packing.
    fn bytes(&self) -> usize {
        match self.body {
            Packed::Whole(chunk) => chunk.bytes().len(),
            Packed::Erased(erased) => erased.hash.0.len(),
        }
    }
}

fn packed_body(envelope: Envelope, items: &[(DocId, Packed<'_>)], packer: &Packer) -> Vec<u8> {
    let some_erased = items.iter().any(|(_, change)| matches!(change, Packed::Erased(_)));
    let (form, kept) = if some_erased { (PACKED_SOME_ERASED, Kept::SomeErased) } else { (PACKED, Kept::AllWhole) };
    let mut body = vec![form];
    body.extend(envelope.scope.to_key());
    body.extend(envelope.author.0);
    body.extend(envelope.received_at.0.to_be_bytes());
    body.extend(u16::try_from(items.len()).unwrap_or(u16::MAX).to_be_bytes());
    for (doc, _) in items {
        let [kind, rest @ ..] = doc.as_bytes();
        let (tag, unique) = rest.split_at(SCOPE_TAG_BYTES);
        if doc.belongs_to(envelope.scope) {
            body.push(*kind);
        } else {
            body.push(kind | WITH_TAG);
            body.extend(tag);
        }
        body.extend(unique);
    }
    body.extend(packer.pack(items.iter().map(|(_, change)| *change), kept));
    body
}

/// A body without the bytes of a document's changes: `Some(None)` when none of them is there, `None` when the body cannot be
/// read.
#[allow(clippy::option_option, reason = "unreadable, nothing to do, and done are three things")]
pub(super) fn without(first: Sequence, body: &[u8], packer: &Packer, doc: DocId) -> Option<Option<Vec<u8>>> {
    let Run { scope, author, received_at, mut entries, .. } = Run::parse(first, body, packer, |_| true)?;
    let mut any = false;
    for (_, change) in entries.iter_mut().filter(|(_, change)| change.doc == doc && change.chunk().is_some()) {
        *change = change.erased();
        any = true;
    }
    if !any {
        return Some(None);
    }
    let envelope = Envelope { scope, author, received_at };
    if kept_in(body).is_some() {
        let items: Vec<_> = entries.iter().map(|(_, change)| (change.doc, Packed::from(&change.chunk))).collect();
        return Some(Some(packed_body(envelope, &items, packer)));
    }
    Some(Some(former_body(envelope, entries.iter().map(|(_, change)| change))))
}

/// A body as format 1 has it: it may have more changes than one that is packed.
fn former_body<'a>(envelope: Envelope, changes: impl Iterator<Item = &'a Change<Body>>) -> Vec<u8> {
    let mut body = envelope.scope.to_key().to_vec();
    body.extend(envelope.author.0);
    body.extend(envelope.received_at.0.to_be_bytes());
    for change in changes {
        body.extend(change.doc.as_bytes());
        body.extend(change.hash().0);
        let length = u32::try_from(change.size()).unwrap_or(u32::MAX);
        match &change.chunk {
            Body::Whole(chunk) => {
                body.extend(length.to_be_bytes());
                body.extend(chunk.bytes());
            }
            Body::Erased(_) => body.extend((length | LENGTH_OF_ERASED).to_be_bytes()),
        }
    }
    body
}

/// How the changes of a packed body are kept; none of a body of format 1.
fn kept_in(body: &[u8]) -> Option<Kept> {
    match body.first() {
        Some(&PACKED) => Some(Kept::AllWhole),
        Some(&PACKED_SOME_ERASED) => Some(Kept::SomeErased),
        Some(_) | None => None,
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
    entries: Vec<(usize, Change<Body>)>,
}

impl Run {
    /// The scope, and the sequence of the last entry, to pass over a run without unpacking it.
    pub(super) fn extent(first: Sequence, body: &[u8], packer: &Packer) -> Option<(Scope, Sequence)> {
        if kept_in(body).is_none() {
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
        let (count, entries) = match kept_in(body) {
            Some(kept) => packed_entries(reader, scope, packer, kept, wanted)?,
            None => former_entries(reader, wanted)?,
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
    pub(super) fn item(self, offset: u16) -> Option<Change<Body>> {
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
    if kept_in(body).is_some() {
        reader.bytes(1)?;
    }
    Some(reader)
}

type Entries = (usize, Vec<(usize, Change<Body>)>);

fn packed_entries(
    mut reader: Reader<'_>,
    scope: Scope,
    packer: &Packer,
    kept: Kept,
    wanted: impl Fn(DocId) -> bool,
) -> Option<Entries> {
    let count = usize::from(reader.u16()?);
    let docs = (0..count).map(|_| doc(&mut reader, scope)).collect::<Option<Vec<_>>>()?;
    let unpacked = packer.unpack(reader.0, count, kept, |place| docs.get(place).is_some_and(|doc| wanted(*doc)))?;
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
        let length = reader.u32()?;
        let chunk = if length & LENGTH_OF_ERASED == 0 {
            Body::Whole(Chunk::trusted(reader.bytes(usize::try_from(length).ok()?)?, hash))
        } else {
            Body::Erased(ErasedBody { hash, size: length & !LENGTH_OF_ERASED })
        };
        if wanted(doc) {
            entries.push((count, Change { doc, chunk }));
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
        let mut run = RunBuilder::new(batch.into(), Sequence(5));
        for (offset, item) in (0..).zip(&batch.items) {
            assert_eq!(run.push(item.into()), offset);
        }
        run.finish(&Packer::default())
    }

    #[test]
    fn a_run_ends_at_its_limit() {
        for (bytes, fits) in [(RUN_RAW_BYTES_MAX - 10, true), (RUN_RAW_BYTES_MAX - 9, false)] {
            let batch = batch(&[10, bytes]);
            let mut run = RunBuilder::new((&batch).into(), Sequence(5));
            run.push((&batch.items[0]).into());
            assert_eq!(run.fits((&batch.items[1]).into()), fits);
        }
        let large = batch(&[60 * 1024]);
        assert!(
            RunBuilder::new((&large).into(), Sequence(5)).fits((&large.items[0]).into()),
            "a large change has a run of its own"
        );
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
            assert_eq!(read, vec![(6, batch.items[1].clone().into()), (7, batch.items[2].clone().into())]);
            assert_eq!(parse(&body).unwrap().item(2), Some(batch.items[2].clone().into()));
            assert!(parse(&body[..body.len() - 1]).is_none());
            let other = batch.items[1].doc;
            let run = Run::parse(first, &body, &packer, |doc| doc == other).unwrap();
            assert_eq!(run.last(), Sequence(7), "also when only a part of it is wanted");
            let read: Vec<_> = run.after(Sequence::ZERO).map(|entry| (entry.sequence.0, entry.change)).collect();
            assert_eq!(read, vec![(6, batch.items[1].clone().into())]);
        }
        assert!(RunBuilder::new((&batch).into(), Sequence(5)).finish(&packer).is_none());
    }

    /// In either form: what is erased keeps its place, document, hash and size, and the rest comes back.
    #[test]
    fn an_erased_change_leaves_the_others_in_its_run() {
        let batch = batch(&[10, 300, 20, 400]);
        let (first, packer) = (Sequence(5), Packer::default());
        let gone = batch.items[1].doc;
        for body in [finished(&batch).unwrap().body, former_body(&batch)] {
            let erased = without(first, &body, &packer, gone).unwrap().expect("there was something");
            assert!(erased.len() < body.len());
            assert_eq!(Run::extent(first, &erased, &packer), Some((batch.scope, Sequence(8))));
            let run = Run::parse(first, &erased, &packer, |_| true).unwrap();
            let read: Vec<_> = run.after(Sequence::ZERO).map(|entry| entry.change).collect();
            let whole: Vec<Change<Body>> = batch.items.iter().cloned().map(Change::from).collect();
            assert_eq!(read, [whole[0].clone(), whole[1].erased(), whole[2].clone(), whole[3].erased()]);
            assert_eq!(read[1].size(), 300);
            for end in 0..erased.len() {
                assert!(Run::parse(first, &erased[..end], &packer, |_| true).is_none_or(|run| run.count < 4));
            }
            // Nothing is left to do, and the other document can go, too.
            assert_eq!(without(first, &erased, &packer, gone), Some(None));
            let both = without(first, &erased, &packer, batch.items[0].doc).unwrap().expect("there was something");
            let run = Run::parse(first, &both, &packer, |_| true).unwrap();
            assert!(run.after(Sequence::ZERO).all(|entry| entry.change.chunk().is_none()));
        }
    }
}
