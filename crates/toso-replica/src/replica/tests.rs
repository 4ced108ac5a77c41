//! The replica's limits, each at its edge and one past it, and what a failed or refused save leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use toso_core::change::Change;
use toso_core::chunk::{CHANGE_BYTES_MAX, CHANGE_DEPS_MAX, ChangeHash, Chunk};
use toso_core::document::{
    Author, DOCUMENT_CHANGES_MAX, DOCUMENT_RESERVE_CHANGES, DOCUMENT_SHARE_CHANGES, Document, NoRoom,
};
use toso_core::edit::{ActivityId, DocEdit, Reached, TeamEdit};
use toso_core::id::{Actor, DocId, Epoch, Sequence, ServerId};
use toso_core::record::{ActivityKind, Record, TeamLevel, TeamStatus};
use toso_core::text::{Date, PlaceName};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;
use toso_store::memory::MemoryChunkStore;
use toso_store::{ChunkStore, Transaction};
use toso_sync::client::{Answer, Commit, NextPush, Query, ReadOutbox};
use toso_sync::{ClientEvent, OutboxItem};
use toso_wire::limits::{DETAIL_BYTES_MAX, PUSH_BYTES_MAX, PUSH_ITEMS_MAX};
use toso_wire::{Decision, Moved, NackCode, Receipt as ReceiptFrame, Reviewed, UnitTotals};

use super::view::HeldState;
use super::{Receipt, Replica, ReplicaOptions, TeamDraft, Work};
use crate::credential::Credential;
use crate::error::ReplicaError;
use crate::limits::DOCUMENTS_MAX;

pub(super) fn commune() -> Scope {
    "2022/00001".parse().unwrap()
}

pub(super) fn replica() -> (Arc<MemoryChunkStore>, Replica) {
    let store = Arc::new(MemoryChunkStore::new());
    enrolled_as(store.as_ref(), "recorder");
    let replica = Replica::open(Arc::clone(&store) as Arc<dyn ChunkStore>, &crate::testing::options()).unwrap();
    (store, replica)
}

fn enrolled_as(store: &dyn ChunkStore, role: &str) {
    let credential = Credential {
        server_url: "http://127.0.0.1:9".to_owned(),
        server_id: ServerId([1; 16]),
        token: vec![1],
        unit: commune(),
        role: role.to_owned(),
        token_ends: None,
        reach: crate::Reach::default(),
    };
    credential.keep(store).unwrap();
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
    let change = |number| Change {
        doc: DocId::member(commune(), numbered(number)),
        chunk: Chunk::trusted(vec![0], ChangeHash([1; 32])),
    };
    let chunks = (1..DOCUMENTS_MAX).map(|number| (commune(), change(number))).collect();
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
        let chunk = Chunk::trusted(Vec::new(), ChangeHash([2; 32]));
        OutboxItem { number: number as u64, change: Change { doc, chunk } }
    };
    // As long as a NACK's detail can be.
    let refused = |number: usize| (item(number), NackCode::WrongDocument, format!("{number:>DETAIL_BYTES_MAX$}"));
    replica.commit_refused((1..=500).map(refused).collect()).unwrap();
    replica.commit_refused(vec![(item(501), NackCode::Held, String::new())]).unwrap();
    assert_eq!(replica.status().unwrap().held.len(), 501);
    let decision = |number: usize| Decision {
        doc: item(number).change.doc,
        hash: ChangeHash([2; 32]),
        accepted: false,
        note: "ghi lại cho xã mới ".repeat(15),
    };
    replica.keep_decisions(&Reviewed { number: 1, decisions: vec![decision(501), decision(502)] }, Epoch(1)).unwrap();
    let held = replica.held().unwrap();
    assert_eq!(held.len(), 501, "a decision about what is not listed adds nothing");
    let returned: Vec<_> = held.iter().filter(|held| held.state == HeldState::Returned).collect();
    assert_eq!(returned.len(), 1);
    assert!(returned[0].note.starts_with("ghi lại") && returned[0].note.len() <= DETAIL_BYTES_MAX);
    assert_eq!(replica.dismiss_held().unwrap(), 1);
    assert_eq!(replica.held().unwrap().len(), 500);
}

/// Some actor of another device.
fn numbered_actor(number: usize) -> Actor {
    let mut actor = [9; 16];
    actor[..8].copy_from_slice(&number.to_be_bytes());
    Actor(actor)
}

/// A chunk that cannot be read, which counts like any other, since it is kept like any other.
fn filler(doc: DocId, number: u64) -> (Scope, Change) {
    let hash = ChangeHash(*blake3::hash(&number.to_be_bytes()).as_bytes());
    (commune(), Change { doc, chunk: Chunk::trusted(vec![0], hash) })
}

/// What a store has of a document, for another store of this commune.
pub(super) fn all_of(store: &dyn ChunkStore, doc: DocId) -> Vec<(Scope, Change)> {
    store.chunks(doc).unwrap().into_iter().map(|chunk| (commune(), Change { doc, chunk })).collect()
}

#[test]
fn a_record_takes_its_last_change_and_no_more() {
    let (store, replica) = replica();
    let team = replica.add_team(draft("Thôn 1")).unwrap();
    enrolled_as(store.as_ref(), "officer");
    let chunks = (2..DOCUMENT_CHANGES_MAX).map(|number| filler(team, number)).collect();
    store.commit(Transaction { chunks, ..Transaction::default() }).unwrap();
    let households = |number| [DocEdit::Team(TeamEdit::HouseholdsCovered(Some(number)))];
    assert!(replica.edit(team, &households(1)).unwrap());
    let before = (store.outbox_len().unwrap(), store.chunks(team).unwrap().len() as u64);
    assert_eq!(before.1, DOCUMENT_CHANGES_MAX);
    let refused = replica.edit(team, &households(2)).unwrap_err();
    assert!(matches!(refused, ReplicaError::DocumentFull { id, .. } if id == team), "{refused}");
    assert!(refused.to_string().starts_with("nothing was saved: the record is full"), "{refused}");
    assert_eq!((store.outbox_len().unwrap(), store.chunks(team).unwrap().len() as u64), before);
    assert_eq!(replica.team(team).unwrap().record.households_covered, Some(1), "and the copy in memory is as it was");
    assert!(!replica.edit(team, &households(1)).unwrap(), "what changes nothing is no change");
    replica.add_team(draft("Thôn 2")).unwrap();
}

/// What the centre would not take of this device is not saved here either: past its own share of a record, and in what is
/// kept for officers.
#[test]
fn a_record_takes_a_device_s_share_and_leaves_the_last_to_officers() {
    let (store, replica) = replica();
    let households = |number| [DocEdit::Team(TeamEdit::HouseholdsCovered(Some(number)))];
    let why = |team: DocId, number| match replica.edit(team, &households(number)) {
        Err(ReplicaError::DocumentFull { why, .. }) => Some(why),
        other => other.map(|_| None).unwrap(),
    };
    let reserved = replica.add_team(draft("Thôn 1")).unwrap();
    let common = DOCUMENT_CHANGES_MAX - DOCUMENT_RESERVE_CHANGES;
    let chunks = (2..common).map(|number| filler(reserved, number)).collect();
    store.commit(Transaction { chunks, ..Transaction::default() }).unwrap();
    assert_eq!((why(reserved, 1), why(reserved, 2)), (None, Some(NoRoom::Reserved)));
    let shared = replica.add_team(draft("Thôn 2")).unwrap();
    let author = Author { actor: Actor::new(replica.device.id(), [7; 8]), at: TimestampMs(1) };
    let mut document = Document::new(shared).unwrap();
    let own = (2..DOCUMENT_SHARE_CHANGES).map(|number| {
        let change = document.edit(author, &households(1 + u32::try_from(number).unwrap())).unwrap().unwrap();
        (commune(), Change { doc: shared, chunk: change })
    });
    store.commit(Transaction { chunks: own.collect(), ..Transaction::default() }).unwrap();
    assert_eq!((why(shared, 1), why(shared, 2)), (None, Some(NoRoom::Share)));
    enrolled_as(store.as_ref(), "officer");
    assert_eq!((why(reserved, 2), why(shared, 2)), (None, None), "an officer goes on");
}

/// Sixty-six phones that have each saved one thing without a network leave a record with 66 heads, more than one change may
/// depend on. The next save joins them first: all in one transaction, and in the outbox in the order in which the centre
/// needs them.
#[test]
fn a_save_of_a_record_with_many_heads_joins_them_first() {
    let (store, replica) = replica();
    let team = replica.add_team(draft("Thôn 1")).unwrap();
    let households = |number| [DocEdit::Team(TeamEdit::HouseholdsCovered(Some(number)))];
    let apart = (1..=CHANGE_DEPS_MAX + 1).map(|phone| {
        let author = Author { actor: numbered_actor(phone), at: TimestampMs(1) };
        let chunk = Document::first_save(team, author, &households(u32::try_from(phone).unwrap())).unwrap().unwrap();
        (commune(), Change { doc: team, chunk })
    });
    store.commit(Transaction { chunks: apart.collect(), ..Transaction::default() }).unwrap();
    let before = (store.outbox_len().unwrap(), store.chunks(team).unwrap().len());
    let shown = replica.team(team).unwrap().record.households_covered.unwrap();
    let shown = u32::try_from(shown).unwrap();
    assert!(!replica.edit(team, &households(shown)).unwrap(), "what changes nothing is no change");
    assert_eq!((store.outbox_len().unwrap(), store.chunks(team).unwrap().len()), before, "and joins nothing");

    assert!(replica.edit(team, &[DocEdit::Team(TeamEdit::Status(TeamStatus::Dissolved))]).unwrap());
    assert_eq!((store.outbox_len().unwrap(), store.chunks(team).unwrap().len()), (before.0 + 2, before.1 + 2));
    let sent = replica.outbox_batch(0, PUSH_BYTES_MAX).unwrap().unwrap().items;
    let [.., join, save] = sent.as_slice() else { panic!("{sent:?}") };
    assert!(save.change.chunk.facts().unwrap().deps().any(|dep| dep == join.change.chunk.hash()));
    assert_eq!(join.change.chunk.facts().unwrap().deps().len(), CHANGE_DEPS_MAX);
    replica.resolve(team, "households_covered", "7").unwrap();
    let at_the_centre = Document::fold(team, &store.chunks(team).unwrap()).unwrap().0;
    assert_eq!((at_the_centre.heads().len(), at_the_centre.conflicts()), (1, vec![]));
    drop(replica);
    let replica = Replica::open(store as Arc<dyn ChunkStore>, &crate::testing::options()).unwrap();
    assert!(replica.edit(team, &households(8)).unwrap(), "another opening reads what was kept");
}

/// Whether there is room is known in memory: a history that grew behind the replica's back would be noticed by a save that
/// reads it, at a cost that grows with the history.
#[test]
fn a_save_of_a_document_in_memory_reads_nothing_of_its_history() {
    let (store, replica) = replica();
    let team = replica.add_team(draft("Thôn 1")).unwrap();
    let households = |number| [DocEdit::Team(TeamEdit::HouseholdsCovered(Some(number)))];
    assert!(replica.edit(team, &households(1)).unwrap());
    let chunks = (0..DOCUMENT_CHANGES_MAX).map(|number| filler(team, number)).collect();
    store.commit(Transaction { chunks, ..Transaction::default() }).unwrap();
    assert!(replica.edit(team, &households(2)).unwrap());
    drop(replica);
    let replica = Replica::open(store as Arc<dyn ChunkStore>, &crate::testing::options()).unwrap();
    let noticed = replica.edit(team, &households(3)).unwrap_err();
    assert!(matches!(noticed, ReplicaError::DocumentFull { id, .. } if id == team), "a reader notices: {noticed}");
}

#[test]
fn what_was_held_can_be_handed_over_again_until_its_mark_is_dismissed() {
    let (store, replica) = replica();
    // More bytes than one transaction that hands over again has.
    let item = |number: usize| {
        let doc = DocId::member(commune(), numbered(number));
        let chunk = Chunk::trusted(vec![0; CHANGE_BYTES_MAX], ChangeHash([3; 32]));
        OutboxItem { number: number as u64, change: Change { doc, chunk } }
    };
    let items: Vec<_> = (1..=10).map(item).collect();
    let chunks = items.iter().map(|item| (commune(), item.change.clone()));
    store.commit(Transaction { chunks: chunks.collect(), ..Transaction::default() }).unwrap();
    let held = items.iter().map(|item| (item.clone(), NackCode::Held, "chờ duyệt".to_owned()));
    replica.commit_refused(held.collect()).unwrap();
    let remove_documents = items.iter().map(|item| item.change.doc).collect();
    store.commit(Transaction { remove_documents, ..Transaction::default() }).unwrap();

    replica.hand_over_again().unwrap();
    replica.hand_over_again().unwrap();
    let again = store.outbox(0, usize::MAX).unwrap();
    assert_eq!(again.len(), items.len(), "each once");
    assert!(items.iter().all(|item| store.chunk(item.change.doc, &item.change.hash()).unwrap() == item.change.chunk));
    let numbered = |position: usize| OutboxItem { number: again[position].number, ..items[position].clone() };
    // The server holds two of them, of which one was returned, and finds the third in its register.
    let returned = Decision {
        doc: items[1].change.doc,
        hash: items[1].change.hash(),
        accepted: false,
        note: "thiếu ngày sinh".to_owned(),
    };
    replica.keep_decisions(&Reviewed { number: 1, decisions: vec![returned] }, Epoch(1)).unwrap();
    let held = [0, 1].map(|position| (numbered(position), NackCode::Held, "chờ duyệt".to_owned()));
    replica.commit_refused(held.into()).unwrap();
    replica.commit_ack(&[numbered(2)], Sequence(5), None).unwrap();
    let states: Vec<_> = replica.held().unwrap().into_iter().map(|held| held.state).collect();
    assert_eq!(states[..4], [HeldState::Waiting, HeldState::Returned, HeldState::Accepted, HeldState::Waiting]);
    assert_eq!(replica.held().unwrap()[1].note, "thiếu ngày sinh");
    assert_eq!(replica.dismiss_held().unwrap(), 2);
    let kept = items.iter().map(|item| store.held_copy(item.change.doc, &item.change.hash()).unwrap().is_some());
    assert_eq!(kept.filter(|kept| *kept).count(), items.len() - 2);
    replica.drop_held_copies().unwrap();
    assert!(items.iter().all(|item| store.held_copy(item.change.doc, &item.change.hash()).unwrap().is_none()));
    assert_eq!(replica.held().unwrap().len(), items.len() - 2, "what became of them is still told");
}

#[test]
fn a_device_says_what_it_has_heard_in_this_epoch_while_it_waits() {
    let (_store, replica) = replica();
    let chunk = Chunk::trusted(Vec::new(), ChangeHash([3; 32]));
    let item = OutboxItem { number: 1, change: Change { doc: DocId::member(commune(), numbered(1)), chunk } };
    assert_eq!(replica.heard(None).unwrap(), None, "it waits for nothing");
    replica.commit_refused(vec![(item.clone(), NackCode::Held, String::new())]).unwrap();
    assert_eq!(replica.heard(Some(Epoch(1))).unwrap(), Some(0));
    replica.keep_decisions(&Reviewed { number: 7, decisions: Vec::new() }, Epoch(1)).unwrap();
    assert_eq!(replica.heard(Some(Epoch(1))).unwrap(), Some(7));
    assert_eq!(replica.heard(Some(Epoch(2))).unwrap(), Some(0), "numbers of another history mean nothing");
    replica.commit_refused(vec![(item.clone(), NackCode::Held, String::new())]).unwrap();
    assert_eq!(replica.heard(Some(Epoch(1))).unwrap(), Some(0), "it may have been decided before it was marked");
    let accepted = Decision { doc: item.change.doc, hash: item.change.hash(), accepted: true, note: String::new() };
    replica.keep_decisions(&Reviewed { number: 8, decisions: vec![accepted] }, Epoch(1)).unwrap();
    assert_eq!(replica.heard(Some(Epoch(1))).unwrap(), None);
}

/// A volunteer is moved away and back, and records anew what was held meanwhile: the two must not share an actor and a
/// sequence number, or the register takes only one of them.
#[test]
fn a_document_made_again_after_it_was_forgotten_has_another_actor() {
    let (store, replica) = replica();
    let made = || {
        let team = replica.add_team(draft("Thôn 1")).unwrap();
        let batch = replica.outbox_batch(0, PUSH_BYTES_MAX).unwrap().unwrap();
        replica.commit_ack(&batch.items, Sequence(1), None).unwrap();
        store.chunks(team).unwrap().remove(0)
    };
    let first = made();
    replica.leave_scopes(&[commune()]).unwrap();
    assert_eq!(store.documents_len().unwrap(), 0);
    let second = made();
    let (first, second) = (first.facts().unwrap().actor, second.facts().unwrap().actor);
    assert_eq!(first.author(), second.author());
    assert_ne!(first, second);
}

/// The story: killed between the commit that took the last unsent edit off the outbox and the one that forgets, a phone
/// that had been moved kept the records of its former unit for good.
#[test]
fn a_phone_killed_before_it_forgot_forgets_when_it_next_connects() {
    let (store, replica) = replica();
    replica.add_team(draft("Thôn 1")).unwrap();
    let moved = Moved { unit: "2022/00004".parse().unwrap(), role: "recorder".to_owned(), token: vec![2] };
    replica.move_to(&moved).unwrap();
    assert_eq!(store.documents_len().unwrap(), 1, "its edit is nowhere else");
    let sent = store.outbox(0, 10).unwrap().into_iter().map(|entry| entry.number).collect();
    store.commit(Transaction { outbox_remove: sent, ..Transaction::default() }).unwrap();

    let again = Replica::open(Arc::clone(&store) as Arc<dyn ChunkStore>, &crate::testing::options()).unwrap();
    again.session_start(&again.credential().unwrap(), false).unwrap();
    assert_eq!(store.documents_len().unwrap(), 0);
}

#[test]
fn a_push_holds_what_the_protocol_takes() {
    let (_store, replica) = replica();
    for number in 0..=PUSH_ITEMS_MAX {
        replica.add_team(draft(&format!("Thôn {number}"))).unwrap();
    }
    let first = replica.outbox_batch(0, PUSH_BYTES_MAX).unwrap().unwrap();
    let bytes: usize = first.items.iter().map(|item| item.change.bytes().len()).sum();
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
    replica.commit_ack(&batch.items, Sequence(7), None).unwrap();
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

/// A list of a full phone built every document anew, and kept 64 of them. Where nothing is kept of what documents show (by
/// an older version), those are built once that have counters or came in disorder.
#[test]
fn a_list_builds_no_document_but_where_counters_or_disorder_ask_for_it() {
    let (store, replica) = replica();
    let (other_store, other) = self::replica();
    let team = replica.add_team(draft("Thôn 1")).unwrap();
    assert_eq!(other.add_team(draft("thôn 01")).unwrap(), team, "the same hamlet");
    for (replica, households) in [(&replica, 7), (&other, 8)] {
        replica.edit(team, &[DocEdit::Team(TeamEdit::HouseholdsCovered(Some(households)))]).unwrap();
    }
    let of_other = all_of(other_store.as_ref(), team);
    store.commit(Transaction { chunks: of_other, ..Transaction::default() }).unwrap();
    let counted = replica.add_team(draft("Thôn 2")).unwrap();
    let activity = TeamEdit::AddActivity {
        id: ActivityId([1; 8]),
        date: Date::parse("2022-09-07").unwrap(),
        kind: ActivityKind::GroupSession,
        skills: Vec::new(),
        reached: Reached { total: 5, ..Reached::default() },
    };
    replica.edit(counted, &[DocEdit::Team(activity)]).unwrap();

    let options = crate::testing::options();
    let bare = Arc::new(MemoryChunkStore::new());
    for (_, doc) in store.documents().unwrap() {
        bare.commit(Transaction { chunks: all_of(store.as_ref(), doc), ..Transaction::default() }).unwrap();
    }
    let again = || Replica::open(Arc::clone(&bare) as Arc<dyn ChunkStore>, &options).unwrap();
    let merged = |id| Document::fold(id, &store.chunks(id).unwrap()).unwrap().0.read();
    for expected in [&[counted][..], &[]] {
        let again = again();
        for view in again.teams().unwrap() {
            assert_eq!(Record::Team(view.record), merged(view.id));
        }
        let built: Vec<DocId> = again.documents.lock().iter().map(|(id, _)| *id).collect();
        assert_eq!(built, expected, "the other has conflicts and no counter, and the next list finds both kept");
    }

    // Stored in another order than they were made: a phone that was handed the later one first.
    let mut backwards = all_of(store.as_ref(), team);
    backwards.reverse();
    let disordered = Arc::new(MemoryChunkStore::new());
    disordered.commit(Transaction { chunks: backwards, ..Transaction::default() }).unwrap();
    let disordered = Replica::open(disordered as Arc<dyn ChunkStore>, &options).unwrap();
    assert_eq!(Record::Team(disordered.team(team).unwrap().record), merged(team));
}

/// A rest outlives the process, ends with its time, and is not believed by a clock that was set back.
#[test]
fn a_device_that_rests_pushes_nothing_until_its_time_is_over() {
    let store = Arc::new(MemoryChunkStore::new());
    enrolled_as(store.as_ref(), "recorder");
    let now = Arc::new(AtomicU64::new(1_000_000));
    let open = || {
        let clock = Arc::clone(&now);
        let clock = Arc::new(move || TimestampMs(clock.load(Ordering::Relaxed)));
        Replica::open(Arc::clone(&store) as Arc<dyn ChunkStore>, &ReplicaOptions { clock, ..crate::testing::options() })
            .unwrap()
    };
    let replica = open();
    replica.add_team(draft("Thôn 1")).unwrap();
    let credential = replica.credential().unwrap();
    let pushes = |replica: &Replica| {
        let start = replica.session_start(&credential, true).unwrap();
        assert_eq!(start.first.is_none(), start.resting);
        start.first.is_some()
    };
    assert!(pushes(&replica));
    replica.perform(&credential, Work::Commit(Commit::Rest { delay_ms: 5_000, why: "the unit's".to_owned() })).unwrap();
    drop(replica);
    let replica = open();
    assert!(!pushes(&replica));
    let status = replica.status().unwrap();
    assert_eq!((status.rests_for_s, status.rests_why.as_deref()), (Some(5), Some("the unit's")));
    let read = Work::Query(Query::ReadOutbox(ReadOutbox { after: 0, bytes_max: 1_000, resting: true }));
    let nothing = replica.perform(&credential, read).unwrap();
    assert!(matches!(nothing, ClientEvent::Answer(Answer::Outbox(NextPush::Nothing))), "{nothing:?}");
    now.store(999_999, Ordering::Relaxed);
    assert!(pushes(&replica), "the clock was set back");
    now.store(1_004_999, Ordering::Relaxed);
    assert!(!pushes(&replica));
    now.store(1_005_000, Ordering::Relaxed);
    assert!(pushes(&replica));
    now.store(1_004_999, Ordering::Relaxed);
    replica.end_rest().unwrap();
    assert!(pushes(&replica), "a person asked");
    assert_eq!(replica.status().unwrap().rests_why, None);
}

/// The story: a hamlet's team was left without a hamlet, made a commune's, and merged into a team that nobody has, by edits
/// that `team add` and `team merge` would have refused.
#[test]
fn an_edit_is_refused_where_adding_and_merging_are() {
    let (_store, replica) = replica();
    let team = replica.add_team(draft("Thôn 1")).unwrap();
    let edit = |edit: TeamEdit| replica.edit(team, &[DocEdit::Team(edit)]);
    assert!(matches!(edit(TeamEdit::Hamlet(None)), Err(ReplicaError::HamletMissing)));
    assert!(matches!(edit(TeamEdit::Level(TeamLevel::Commune)), Err(ReplicaError::OtherLevel { .. })));
    assert!(!edit(TeamEdit::Level(TeamLevel::Hamlet)).unwrap(), "as it is");
    let nobody = DocId::hamlet_team(commune(), "thôn 9", 0);
    assert!(matches!(edit(TeamEdit::MergedInto(Some(nobody))), Err(ReplicaError::NotFound { .. })));
    let own = TeamDraft { level: Some(TeamLevel::Commune), ..TeamDraft::default() };
    let of_commune = replica.add_team(own.clone()).unwrap();
    let again = replica.add_team(own).unwrap_err();
    assert!(matches!(again, ReplicaError::CommuneTeamExists { id } if id == of_commune), "{again}");
    assert!(edit(TeamEdit::MergedInto(Some(of_commune))).unwrap());
}

/// A viewer recorded all day, and was told at the next sync that nothing of it was taken.
#[test]
fn a_viewer_is_refused_at_once() {
    let (store, replica) = replica();
    let team = replica.add_team(draft("Thôn 1")).unwrap();
    enrolled_as(store.as_ref(), "viewer");
    let edit = [DocEdit::Team(TeamEdit::HouseholdsCovered(Some(1)))];
    for refused in [replica.add_team(draft("Thôn 2")).map(drop), replica.edit(team, &edit).map(drop)] {
        assert!(matches!(refused, Err(ReplicaError::ReadsOnly { .. })), "{refused:?}");
    }
    enrolled_as(store.as_ref(), "recorder");
    assert!(replica.edit(team, &edit).unwrap());
}

/// A hamlet's team that an older build made of a name in full-width digits is found by the name, and not made once more.
#[test]
fn a_team_of_an_older_key_is_found_by_its_name() {
    let (store, replica) = replica();
    let team = replica.add_team(draft("Thôn 2")).unwrap();
    assert!(matches!(replica.add_team(draft("Thôn ２")), Err(ReplicaError::TeamExists { id }) if id == team));
    let older = DocId::hamlet_team(commune(), "thôn ３", 0);
    store.commit(Transaction { chunks: vec![filler(older, 1)], ..Transaction::default() }).unwrap();
    assert!(matches!(replica.add_team(draft("Thôn ３")), Err(ReplicaError::TeamExists { id }) if id == older));
}

/// The story: a recorder opened a viewer's invite with changes unsent, which were offered, refused and lost to the register.
#[test]
fn a_role_that_only_reads_offers_nothing_of_its_own_and_a_writing_one_all_of_it() {
    let store = Arc::new(MemoryChunkStore::new());
    enrolled_as(store.as_ref(), "recorder");
    let replica = Replica::open(Arc::clone(&store) as Arc<dyn ChunkStore>, &crate::testing::options()).unwrap();
    replica.add_team(draft("Thôn 1")).unwrap();
    let offers = |first: bool| {
        let credential = replica.credential().unwrap();
        let read = Work::Query(Query::ReadOutbox(ReadOutbox { after: 0, bytes_max: 1_000, resting: false }));
        let start = replica.session_start(&credential, true).unwrap();
        assert_eq!(start.first.is_some(), first);
        replica.perform(&credential, read).unwrap()
    };
    enrolled_as(store.as_ref(), "viewer");
    let offered = offers(false);
    assert!(matches!(offered, ClientEvent::Answer(Answer::Outbox(NextPush::Nothing))), "{offered:?}");
    assert_eq!((replica.outbox_len().unwrap(), replica.status().unwrap().waits_for_role), (1, 1));
    enrolled_as(store.as_ref(), "recorder");
    let offered = offers(true);
    assert!(matches!(offered, ClientEvent::Answer(Answer::Outbox(NextPush::Own(_)))), "{offered:?}");
    assert_eq!(replica.status().unwrap().waits_for_role, 0);
}

/// Phones to which that has happened have their changes marked as forbidden: a new invite that writes offers them once more,
/// and once only. What was refused for another reason stays so.
#[test]
fn what_a_role_was_refused_is_offered_once_under_each_new_invite_that_writes() {
    let store = Arc::new(MemoryChunkStore::new());
    enrolled_as(store.as_ref(), "recorder");
    let replica = Replica::open(Arc::clone(&store) as Arc<dyn ChunkStore>, &crate::testing::options()).unwrap();
    replica.add_team(draft("Thôn 1")).unwrap();
    replica.add_team(draft("Thôn 2")).unwrap();
    let refuse = |code: NackCode| {
        let items = replica.outbox_batch(0, usize::MAX).unwrap().unwrap().items.into_iter().take(1);
        replica.commit_refused(items.map(|item| (item, code, String::new())).collect()).unwrap();
    };
    refuse(NackCode::Forbidden);
    refuse(NackCode::TooLarge);
    let unsent_at_start = || {
        replica.session_start(&replica.credential().unwrap(), true).unwrap();
        replica.outbox_len().unwrap()
    };
    enrolled_as(store.as_ref(), "viewer");
    assert_eq!(unsent_at_start(), 0);
    enrolled_as(store.as_ref(), "recorder");
    assert_eq!(unsent_at_start(), 1);
    assert_eq!(replica.held().unwrap().iter().map(|held| held.code.as_str()).collect::<Vec<_>>(), ["too_large"]);
    refuse(NackCode::Forbidden);
    assert_eq!(unsent_at_start(), 0, "refused under this invite, too");
    enrolled_as(store.as_ref(), "recorder");
    assert_eq!(unsent_at_start(), 1);
}

/// The story: a device that was shut out went on saying that it may sync for another year.
#[test]
fn a_device_knows_that_it_is_shut_out_until_it_joins_again() {
    let store = Arc::new(MemoryChunkStore::new());
    enrolled_as(store.as_ref(), "recorder");
    let replica = Replica::open(Arc::clone(&store) as Arc<dyn ChunkStore>, &crate::testing::options()).unwrap();
    let shut_out = || replica.status().unwrap().shut_out;
    assert!(!shut_out());
    replica.note_shut_out(true).unwrap();
    assert!(shut_out());
    enrolled_as(store.as_ref(), "recorder");
    assert!(!shut_out());
    replica.note_shut_out(true).unwrap();
    replica.note_shut_out(false).unwrap();
    assert!(!shut_out());
}
