//! The replica's limits, each at its edge and one past it, and what a failed or refused save leaves.

use std::sync::Arc;

use toso_core::chunk::ChangeHash;
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{DocId, Sequence, ServerId};
use toso_core::text::PlaceName;
use toso_core::unit::Scope;
use toso_store::memory::MemoryChunkStore;
use toso_store::{ChunkStore, StoredChunk, Transaction};
use toso_sync::OutboxItem;
use toso_wire::limits::{DETAIL_BYTES_MAX, PUSH_BYTES_MAX, PUSH_ITEMS_MAX};
use toso_wire::{Decision, NackCode, Receipt as ReceiptFrame, Reviewed, UnitTotals};

use super::view::HeldState;
use super::{DOCUMENTS_MAX, Receipt, Replica, ReplicaError, ReplicaOptions, TeamDraft};
use crate::credential::Credential;

pub(super) fn commune() -> Scope {
    "2022/00001".parse().unwrap()
}

pub(super) fn replica() -> (Arc<MemoryChunkStore>, Replica) {
    let store = Arc::new(MemoryChunkStore::new());
    let credential = Credential {
        server_url: "http://127.0.0.1:9".to_owned(),
        server_id: ServerId([1; 16]),
        token: vec![1],
        unit: commune(),
        role: "recorder".to_owned(),
    };
    credential.keep(store.as_ref()).unwrap();
    let replica = Replica::open(Arc::clone(&store) as Arc<dyn ChunkStore>, &ReplicaOptions::default()).unwrap();
    (store, replica)
}

pub(super) fn draft(hamlet: &str) -> TeamDraft {
    TeamDraft { hamlet: Some(PlaceName::parse(hamlet).unwrap()), ..TeamDraft::default() }
}

fn numbered(number: usize) -> [u8; 11] {
    let mut unique = [0; 11];
    for (slot, byte) in unique.iter_mut().zip(number.to_be_bytes()) {
        *slot = byte;
    }
    unique
}

#[test]
fn a_device_takes_its_last_document_and_no_more() {
    let (store, replica) = replica();
    let chunk = |number| StoredChunk {
        scope: commune(),
        doc: DocId::member(commune(), numbered(number)),
        hash: ChangeHash([1; 32]),
        bytes: vec![0],
    };
    let chunks = (1..DOCUMENTS_MAX).map(chunk).collect();
    store.commit(Transaction { chunks, ..Transaction::default() }).unwrap();
    let last = replica.add_team(draft("Thôn 1")).unwrap();
    assert!(matches!(replica.add_team(draft("Thôn 2")), Err(ReplicaError::TooManyDocuments)));
    assert!(matches!(replica.add_member(last, Vec::new()), Err(ReplicaError::TooManyDocuments)));
    assert!(replica.edit(last, &[DocEdit::Team(TeamEdit::HouseholdsCovered(Some(9)))]).unwrap(), "edits go on");
    assert_eq!(store.documents_len().unwrap(), DOCUMENTS_MAX);
}

/// A setting once kept the newest 81; an edit that fell off the list was lost to everybody.
#[test]
fn every_refusal_is_kept_and_only_what_was_decided_is_dismissed() {
    let (_store, replica) = replica();
    let item = |number: usize| {
        let doc = DocId::member(commune(), numbered(number));
        OutboxItem { number: number as u64, doc, hash: ChangeHash([2; 32]), change: Vec::new() }
    };
    // As long as a NACK's detail can be.
    let refused = |number: usize| (item(number), NackCode::WrongDocument, format!("{number:>DETAIL_BYTES_MAX$}"));
    replica.commit_refused((1..=500).map(refused).collect()).unwrap();
    replica.commit_refused(vec![(item(501), NackCode::Held, String::new())]).unwrap();
    assert_eq!(replica.status().unwrap().held.len(), 501);
    let decision = |number: usize| Decision {
        doc: item(number).doc,
        hash: ChangeHash([2; 32]),
        accepted: false,
        note: "ghi lại cho xã mới ".repeat(15),
    };
    replica.keep_decisions(&Reviewed { number: 1, decisions: vec![decision(501), decision(502)] }).unwrap();
    let held = replica.held().unwrap();
    assert_eq!(held.len(), 501, "a decision about what is not listed adds nothing");
    let returned: Vec<_> = held.iter().filter(|held| held.state == HeldState::Returned).collect();
    assert_eq!(returned.len(), 1);
    assert!(returned[0].note.starts_with("ghi lại") && returned[0].note.len() <= DETAIL_BYTES_MAX);
    assert_eq!(replica.dismiss_held().unwrap(), 1);
    assert_eq!(replica.held().unwrap().len(), 500);
}

#[test]
fn a_push_holds_what_the_protocol_takes() {
    let (_store, replica) = replica();
    for number in 0..=PUSH_ITEMS_MAX {
        replica.add_team(draft(&format!("Thôn {number}"))).unwrap();
    }
    let first = replica.outbox_batch(0, PUSH_BYTES_MAX).unwrap().unwrap();
    let bytes: usize = first.items.iter().map(|item| item.change.len()).sum();
    assert!(first.items.len() <= PUSH_ITEMS_MAX && bytes <= PUSH_BYTES_MAX, "{} items, {bytes} B", first.items.len());
    let mut after = 0;
    let mut seen = 0;
    while let Some(batch) = replica.outbox_batch(after, PUSH_BYTES_MAX).unwrap() {
        seen += batch.items.len();
        after = batch.items.last().unwrap().number;
    }
    assert_eq!(seen, PUSH_ITEMS_MAX + 1, "nothing is skipped between batches");
}

#[test]
fn a_receipt_follows_the_servers_words() {
    let (_store, replica) = replica();
    let team = replica.add_team(draft("Thôn 1")).unwrap();
    let receipt = || replica.team(team).unwrap().receipt;
    assert_eq!(receipt(), Receipt::Saved);
    let batch = replica.outbox_batch(0, PUSH_BYTES_MAX).unwrap().unwrap();
    replica.commit_ack(&batch.items, Sequence(7)).unwrap();
    assert_eq!(receipt(), Receipt::Received);
    let counted = |as_of| ReceiptFrame {
        as_of: Sequence(as_of),
        at: toso_core::time::TimestampMs(1),
        totals: vec![UnitTotals { unit: commune(), teams: 1, members: 0 }],
    };
    replica.keep_receipt(&counted(6)).unwrap();
    assert_eq!(receipt(), Receipt::Received, "counted up to the change before it");
    replica.keep_receipt(&counted(7)).unwrap();
    assert_eq!(receipt(), Receipt::Counted);
    replica.edit(team, &[DocEdit::Team(TeamEdit::HouseholdsCovered(Some(1)))]).unwrap();
    assert_eq!(receipt(), Receipt::Saved, "the newest change decides");
}

#[test]
fn what_changes_nothing_is_not_stored_and_a_refused_save_leaves_no_mark() {
    let (_store, replica) = replica();
    let team = replica.add_team(draft("Thôn 1")).unwrap();
    assert_eq!(replica.status().unwrap().unsent, 1);
    assert!(!replica.edit(team, &[DocEdit::Team(TeamEdit::Hamlet(PlaceName::parse("Thôn 1").ok()))]).unwrap());
    assert!(replica.edit(team, &[DocEdit::Team(TeamEdit::MergedInto(Some(team)))]).is_err());
    assert!(matches!(replica.merge(team, team), Err(ReplicaError::CannotMerge { .. })));
    assert_eq!(replica.status().unwrap().unsent, 1);
    assert_eq!(replica.team(team).unwrap().record.merged_into, None);
}

#[test]
fn merges_do_not_run_in_a_circle() {
    let (_store, replica) = replica();
    let [a, b, c] = ["Thôn 1", "Thôn 2", "Thôn 3"].map(|hamlet| replica.add_team(draft(hamlet)).unwrap());
    replica.merge(a, b).unwrap();
    replica.merge(b, c).unwrap();
    assert!(matches!(replica.merge(c, a), Err(ReplicaError::CannotMerge { .. })));
    let member = replica.add_member(a, Vec::new()).unwrap();
    assert_eq!(replica.members(Some(c)).unwrap().first().map(|view| view.id), Some(member), "members follow merges");
    replica.unmerge(b).unwrap();
    assert!(replica.members(Some(c)).unwrap().is_empty());
}
