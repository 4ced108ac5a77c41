//! The index of documents and chunks: where a document's chunks are, what they come to, and whether a chunk is there.
//!
//! Most documents of a register have one chunk, so one key says all of it: the **head**, under `x`, has the first chunk's
//! place and the sum of all. Each **later** chunk has a key of its own, under `y`. Both know a chunk by the first 16
//! bytes of its hash: to find two changes that share them would take 2^64 tries.
//!
//! Format 1 kept three things apart (`i`, `d`, and nothing shortened). A document that is in that index stays in it, and so
//! does one under a scope that its id does not belong to, of which a head would not know.

use std::sync::atomic::{AtomicU32, Ordering};

use toso_core::chunk::ChangeHash;
use toso_core::document::DocumentSize;
use toso_core::id::{DOC_ID_UNIQUE_BYTES, DocId, Sequence};
use toso_core::unit::{Scope, UnitRef};
use toso_store::StoreError;

use super::documents::DocumentEntry;
use super::pack::{push_number, read_number};
use super::run::Item;
use super::{Group, HEAD_SPACE, LATER_SPACE, SledChangeLog, chunk_key, document_key};
use crate::engine::Engine;
use crate::value::Reader;

/// Bytes of a hash that tell chunks of one document apart.
pub(super) const TAG_BYTES: usize = 16;

/// Where a chunk is: its sequence, and its offset in its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) sequence: Sequence,
    pub(super) offset: u16,
}

impl Position {
    /// The sequence of its run.
    pub(super) fn run(self) -> Sequence {
        Sequence(self.sequence.0.saturating_sub(u64::from(self.offset)))
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let sequence = Sequence(read_number(reader)?);
        let offset = u16::try_from(read_number(reader)?).ok()?;
        Some(Self { sequence, offset })
    }

    fn push(self, body: &mut Vec<u8>) {
        push_number(body, self.sequence.0);
        push_number(body, u64::from(self.offset));
    }

    /// From the body of a later chunk's key.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut reader = Reader(body);
        Self::read(&mut reader).filter(|_| reader.0.is_empty())
    }

    /// From the body of a chunk's key in the former index.
    pub(super) fn parse_former(body: &[u8]) -> Option<Self> {
        let mut body = Reader(body);
        Some(Self { sequence: Sequence(body.u64()?), offset: body.u16()? })
    }
}

/// What a document's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) scope: Scope,
    pub(super) first: Position,
    pub(super) size: DocumentSize,
    /// Of the first chunk.
    pub(super) tag: [u8; TAG_BYTES],
}

impl Head {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let scope = UnitRef::from_key(reader.array()?).ok()?;
        let first = Position::read(&mut reader)?;
        let size = DocumentSize { changes: read_number(&mut reader)?, bytes: read_number(&mut reader)? };
        let tag = reader.array()?;
        reader.0.is_empty().then_some(Self { scope, first, size, tag })
    }

    pub(super) fn body(&self) -> Vec<u8> {
        let mut body = self.scope.to_key().to_vec();
        self.first.push(&mut body);
        push_number(&mut body, self.size.changes);
        push_number(&mut body, self.size.bytes);
        body.extend(self.tag);
        body
    }
}

pub(super) fn tag_of(hash: &ChangeHash) -> [u8; TAG_BYTES] {
    hash.0.first_chunk().copied().unwrap_or_default()
}

pub(super) fn head_key(doc: DocId) -> Vec<u8> {
    [&[HEAD_SPACE], doc.as_bytes().as_slice()].concat()
}

pub(super) fn later_key(doc: DocId, hash: &ChangeHash) -> Vec<u8> {
    [&[LATER_SPACE], doc.as_bytes().as_slice(), &tag_of(hash)].concat()
}

/// The letters of the kinds that have heads: of 26 that a document may have, so that a walk through a scope looks only where
/// something is. A letter stays when its last document's head was not committed; that costs a look.
#[derive(Debug, Default)]
pub(super) struct Letters(AtomicU32);

impl Letters {
    fn add(&self, letter: u8) {
        self.0.fetch_or(1 << letter.saturating_sub(b'a').min(31), Ordering::AcqRel);
    }

    /// The letters that are there.
    fn all(&self) -> impl Iterator<Item = u8> {
        let there = self.0.load(Ordering::Acquire);
        (b'a'..=b'z').filter(move |letter| there & (1 << (letter - b'a')) != 0)
    }

    /// Finds those of a folder: one look for each.
    pub(super) fn of(engine: &Engine) -> Result<Self, StoreError> {
        let letters = Self::default();
        for letter in b'a'..=b'z' {
            if engine.keys(&[HEAD_SPACE, letter]).next().transpose()?.is_some() {
                letters.add(letter);
            }
        }
        Ok(letters)
    }

    /// The beginning of the head keys of documents that belong to a scope, one for each kind that has any.
    pub(super) fn head_prefixes(&self, scope: Scope) -> impl Iterator<Item = Vec<u8>> {
        let ids = self.all().filter_map(move |letter| DocId::from_parts(letter, scope, [0; DOC_ID_UNIQUE_BYTES]).ok());
        ids.map(|id| {
            let mut prefix = head_key(id);
            prefix.truncate(prefix.len() - DOC_ID_UNIQUE_BYTES);
            prefix
        })
    }
}

impl SledChangeLog {
    /// The head of a document, and where a chunk of it is, by what `get` finds under keys.
    pub(super) fn locate(
        &self,
        doc: DocId,
        hash: &ChangeHash,
        get: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<(Option<Head>, Option<Position>), StoreError> {
        let key = head_key(doc);
        let head = get(&key)?.map(|body| Head::parse(&body).ok_or_else(|| self.unreadable_fields(&key))).transpose()?;
        if let Some(head) = head {
            if head.tag == tag_of(hash) {
                return Ok((Some(head), Some(head.first)));
            }
            let key = later_key(doc, hash);
            if let Some(body) = get(&key)? {
                let position = Position::parse(&body).ok_or_else(|| self.unreadable_fields(&key))?;
                return Ok((Some(head), Some(position)));
            }
        }
        if !self.has_former() {
            return Ok((head, None));
        }
        let key = chunk_key(doc, hash);
        let former = get(&key)?.map(|body| Position::parse_former(&body).ok_or_else(|| self.unreadable_fields(&key)));
        Ok((head, former.transpose()?))
    }

    pub(super) fn head(&self, doc: DocId) -> Result<Option<Head>, StoreError> {
        let key = head_key(doc);
        let body = self.engine.get(&key)?;
        body.map(|body| Head::parse(&body).ok_or_else(|| self.unreadable_fields(&key))).transpose()
    }

    pub(super) fn unreadable_fields(&self, key: &[u8]) -> StoreError {
        self.engine.damaged(key, "its fields cannot be read")
    }
}

impl Group<'_> {
    /// The head of a document, counting what is staged.
    pub(super) fn staged_head(&self, doc: DocId) -> Result<Option<Head>, StoreError> {
        let key = head_key(doc);
        let body = self.staged.get(&key)?;
        body.map(|body| Head::parse(&body).ok_or_else(|| self.log.unreadable_fields(&key))).transpose()
    }

    /// Takes a new chunk into the index.
    pub(super) fn index(
        &mut self,
        scope: Scope,
        item: Item<'_>,
        head: Option<Head>,
        position: Position,
    ) -> Result<(), StoreError> {
        let (doc, hash, bytes) = (item.doc, &item.hash(), item.size());
        if let Some(mut head) = head.filter(|head| head.scope == scope) {
            head.size.add(bytes);
            self.staged.put(&head_key(doc), &head.body())?;
            let mut body = Vec::new();
            position.push(&mut body);
            self.staged.insert(&later_key(doc, hash), &body);
            return Ok(());
        }
        let key = document_key(scope, doc);
        let former = if self.log.has_former() { self.staged.get(&key)? } else { None };
        if head.is_none() && former.is_none() && doc.belongs_to(scope) {
            let mut size = DocumentSize::default();
            size.add(bytes);
            self.log.letters.add(doc.letter());
            self.staged.insert(&head_key(doc), &Head { scope, first: position, size, tag: tag_of(hash) }.body());
            return Ok(());
        }
        let mut entry = match former {
            Some(body) => self.log.document_entry(&key, &body, doc)?,
            None => DocumentEntry { first: position.sequence, size: DocumentSize::default() },
        };
        entry.size.add(bytes);
        self.log.has_former.store(true, Ordering::Release);
        self.staged.put(&key, &entry.body())?;
        let body = [position.sequence.0.to_be_bytes().as_slice(), &position.offset.to_be_bytes()].concat();
        self.staged.insert(&chunk_key(doc, hash), &body);
        Ok(())
    }
}
