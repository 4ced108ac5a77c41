//! Documents and fields of newer versions.
//!
//! A document whose kind this version does not know is never merged or read: the types say so, since there is no
//! [`Document`] of it. A field that it does not know, in a kind that it knows, is merged like any, and stays.

#![allow(clippy::unwrap_used, reason = "helpers of a test may panic")]

#[path = "support/register.rs"]
mod register;

use automerge::{Automerge, ReadDoc as _, ScalarValue};
use register::{author, edit, save, scope, team};
use toso_core::chunk::Chunk;
use toso_core::document::{Document, FlatDocument, HistoryEntry};
use toso_core::edit::{DocEdit, EditError};
use toso_core::id::{DocId, DocKind};

fn further() -> DocId {
    DocId::from_parts(b'z', scope(), [9; 11]).unwrap()
}

/// What a newer version would write: sound changes on a genesis that this version lacks.
fn of_a_further_kind() -> (Document, Vec<Chunk>) {
    let mut document = Document::new(DocId::member(scope(), [9; 11])).unwrap();
    let name = |name| DocEdit::parse(DocKind::Member, "full_name", name).unwrap();
    let chunks =
        ["Nguyễn Văn Thử", "Trần Thị Thử"].map(|text| document.edit(author(1), &[name(text)]).unwrap().unwrap());
    (document, chunks.to_vec())
}

#[test]
fn a_kind_to_come_is_not_merged_read_or_written() {
    let (_, chunks) = of_a_further_kind();
    assert!(Document::new(further()).is_none() && Document::fold(further(), &chunks).is_none());
    assert!(FlatDocument::new(further()).is_none());
    for kind in DocKind::ALL {
        let field = DocEdit::fields(kind)[0];
        let edit = DocEdit::parse(kind, field, "").or_else(|_| DocEdit::parse(kind, field, "active"));
        let Ok(edit) = edit else { continue };
        let refused = Document::first_save(further(), author(1), std::slice::from_ref(&edit)).unwrap_err();
        assert!(matches!(refused, EditError::WrongKind { kind: "record of a newer version", .. }), "{refused}");
    }
    assert_eq!(Document::first_save(further(), author(1), &[]), Ok(None));
    assert_eq!(Document::first_record(further(), &[]), None);
}

#[test]
fn who_wrote_a_kind_to_come_and_when_can_be_told_and_not_what() {
    let (document, chunks) = of_a_further_kind();
    for (chunk, known) in chunks.iter().zip(document.history()) {
        let told = HistoryEntry::of(further(), chunk).unwrap();
        assert_eq!(told, HistoryEntry { changes: Vec::new(), ..known });
    }
}

/// A newer centre may send a document folded. Its changes are kept, each for itself, and its genesis is none of them.
#[test]
fn a_snapshot_of_a_kind_to_come_gives_its_changes() {
    let (document, chunks) = of_a_further_kind();
    let snapshot = document.snapshot().unwrap();
    assert_eq!(Document::snapshot_chunks(further(), &snapshot), Ok(chunks.clone()));
    assert_eq!(Document::snapshot_chunks(document.id(), &snapshot), Ok(chunks));
    assert!(Document::from_snapshot(further(), &snapshot).is_err());
    assert!(Document::snapshot_chunks(further(), &snapshot[..snapshot.len() - 1]).is_err());
    assert!(Document::snapshot_chunks(team().id(), &snapshot).is_err(), "of a known kind the genesis must be right");
}

/// A newer version has written fields that this one does not know, in the root and in a map; this one edits the same team
/// and folds it, and the newer one reads its fields from what comes back.
#[test]
fn fields_to_come_in_a_known_kind_are_merged_and_kept() {
    let mut newer = Automerge::load(&team().snapshot().unwrap()).unwrap();
    let change = |chunk: Chunk| automerge::Change::from_bytes(chunk.bytes().to_vec()).unwrap();
    let mut of_newer = change(save(&mut team(), 9, "note", "x")).decode();
    let operation = of_newer.operations[0].clone();
    of_newer.operations = vec![operation.clone(), operation];
    of_newer.operations[0].key = automerge::legacy::Key::Map("lunar_date".into());
    of_newer.operations[0].action = automerge::legacy::OpType::Put("mồng một".into());
    of_newer.operations[1].key = automerge::legacy::Key::Map("sensors".into());
    of_newer.operations[1].action = automerge::legacy::OpType::Put(ScalarValue::Uint(7));
    let of_newer = Chunk::parse(automerge::Change::from(of_newer).raw_bytes()).unwrap();

    let mut here = team();
    here.apply(std::slice::from_ref(&of_newer));
    let before = here.read();
    let own = here.edit(author(2), &[edit("note", "ghi chú")]).unwrap().unwrap();
    assert!(own.facts().unwrap().deps().eq([of_newer.hash()]), "an edit builds on what it does not know, too");
    assert_ne!(here.read(), before);
    assert_eq!(here.conflicts(), []);
    let loaded = Document::from_snapshot(here.id(), &here.snapshot().unwrap()).unwrap();
    assert_eq!(loaded.chunks(), [of_newer.clone(), own.clone()], "folded and loaded, nothing is lost");

    newer.apply_changes([of_newer, own].map(change)).unwrap();
    let read = |field: &str| newer.get(automerge::ROOT, field).unwrap().map(|(value, _)| value.into_owned());
    assert_eq!(read("lunar_date").and_then(|value| value.into_string().ok()).as_deref(), Some("mồng một"));
    assert_eq!(read("sensors").and_then(|value| value.as_u64()), Some(7));
    assert_eq!(read("note").and_then(|value| value.into_string().ok()).as_deref(), Some("ghi chú"));
}
