//! Keys of a phone's store, and how bodies are read.

use toso_core::chunk::ChangeHash;
use toso_core::id::{DOC_ID_BYTES, DocId, Sequence};
use toso_core::unit::{Scope, UnitRef};
use toso_store::OutboxEntry;

use super::{CURSOR_SPACE, DOCUMENT_SPACE, OUTBOX_SPACE, SETTING_SPACE, SHOWN};
use crate::value::Reader;

pub(super) fn document_key(doc: DocId) -> Vec<u8> {
    of_document(DOCUMENT_SPACE, doc)
}

pub(super) fn of_document(space: u8, doc: DocId) -> Vec<u8> {
    [&[space], doc.as_bytes().as_slice()].concat()
}

pub(super) fn of_chunk(space: u8, doc: DocId, hash: &ChangeHash) -> Vec<u8> {
    [&[space], doc.as_bytes().as_slice(), &hash.0].concat()
}

pub(super) fn outbox_key(number: u64) -> Vec<u8> {
    [&[OUTBOX_SPACE], number.to_be_bytes().as_slice()].concat()
}

pub(super) fn cursor_key(unit: UnitRef) -> Vec<u8> {
    [&[CURSOR_SPACE], unit.to_key().as_slice()].concat()
}

pub(super) fn setting_key(key: &str) -> Vec<u8> {
    [&[SETTING_SPACE], key.as_bytes()].concat()
}

pub(super) fn doc_in(key: &[u8]) -> Option<DocId> {
    DocId::from_bytes(key.get(1..=DOC_ID_BYTES)?.try_into().ok()?).ok()
}

pub(super) fn hash_in(key: &[u8]) -> Option<ChangeHash> {
    key.get(1 + DOC_ID_BYTES..)?.try_into().ok().map(ChangeHash)
}

/// A document's scope, and what it shows.
pub(super) fn parse_document(body: &[u8]) -> Option<(Scope, Option<&[u8]>)> {
    let mut body = Reader(body);
    let scope = UnitRef::from_key(body.array()?).ok()?;
    match body.0 {
        [] => Some((scope, None)),
        [SHOWN, shown @ ..] => Some((scope, Some(shown))),
        _ => None,
    }
}

/// A chunk's number and, unless it was erased, its bytes: no change has none.
pub(super) fn parse_chunk(body: &[u8]) -> Option<(u64, Option<&[u8]>)> {
    let mut body = Reader(body);
    let number = body.u64()?;
    Some((number, Some(body.0).filter(|bytes| !bytes.is_empty())))
}

pub(super) fn parse_scope(body: &[u8]) -> Option<Scope> {
    parse_document(body).map(|(scope, _)| scope)
}

pub(super) fn parse_sequence(body: &[u8]) -> Option<Sequence> {
    Some(Sequence(u64::from_be_bytes(body.try_into().ok()?)))
}

pub(super) fn parse_outbox(key: &[u8], body: &[u8]) -> Option<OutboxEntry> {
    let number = u64::from_be_bytes(key.get(1..)?.try_into().ok()?);
    let mut body = Reader(body);
    let scope = UnitRef::from_key(body.array()?).ok()?;
    let doc = DocId::from_bytes(body.array()?).ok()?;
    Some(OutboxEntry { number, scope, doc, hash: ChangeHash(body.array()?) })
}
