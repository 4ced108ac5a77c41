//! What is kept is what the changes come to, no matter who brought them, and a list is right without it.

use std::sync::Arc;

use toso_core::document::Document;
use toso_core::edit::{ActivityId, DocEdit, MemberEdit, Reached, TeamEdit};
use toso_core::id::{Actor, DeviceId, DocId, Sequence};
use toso_core::record::{
    ActivityKind, ActivityRecord, CommuneRecord, HamletRecord, HamletStatus, MemberRecord, TeamRecord,
};
use toso_core::text::{Date, Note, PersonName};
use toso_core::time::TimestampMs;
use toso_store::faulty::FaultyChunkStore;
use toso_store::memory::MemoryChunkStore;
use toso_store::{ChunkStore, Listed};
use toso_wire::{Delta, DeltaGroup, DeltaItem};

use super::super::tests::{all_of, commune, draft, replica};
use super::*;

/// What the store keeps of each document is what merging its changes gives. Returns how many documents there are.
#[track_caller]
fn assert_kept(store: &MemoryChunkStore) -> usize {
    let listed = store.listed().unwrap();
    for Listed { doc, shown, .. } in &listed {
        let shown = Shown::decode(doc.kind().unwrap(), shown.as_ref().expect("it is kept")).expect("it can be read");
        let merged = merge(store, *doc);
        assert_eq!(shown.record, merged.read());
        assert!(shown.disputed || merged.conflicts().is_empty());
    }
    listed.len()
}

fn merge(store: &dyn ChunkStore, doc: DocId) -> Document {
    Document::fold(doc, &store.chunks(doc).unwrap()).unwrap().0
}

fn note(text: &str) -> DocEdit {
    DocEdit::Team(TeamEdit::Note(Some(Note::parse(text).unwrap())))
}

fn other_author(at: u64) -> toso_core::document::Author {
    toso_core::document::Author { actor: Actor::new(DeviceId([9; 16]), [9; 8]), at: TimestampMs(at) }
}

/// A change by another device on what the store has of the document, or apart from it.
fn foreign(document: &mut Document, edit: DocEdit) -> DeltaItem {
    let chunk = document.edit(other_author(1_700_000_000_000), &[edit]).unwrap().unwrap();
    DeltaItem::Change(Change { doc: document.id(), chunk: chunk.raw() })
}

fn page(items: Vec<DeltaItem>, next: u64) -> Delta {
    let groups = vec![DeltaGroup { scope: commune(), items }];
    Delta { unit: commune(), groups, next: Sequence(next), more: false }
}

/// Takes what is kept away, as a store of an older version has none.
fn without_shown(store: &MemoryChunkStore) -> MemoryChunkStore {
    let bare = MemoryChunkStore::new();
    for (_, doc) in store.documents().unwrap() {
        bare.commit(Transaction { chunks: all_of(store, doc), ..Transaction::default() }).unwrap();
    }
    bare
}

#[test]
fn saves_and_pages_bring_what_is_shown() {
    let (store, replica) = replica();
    let team = replica.add_team(draft("Thôn Thử 1")).unwrap();
    let name = MemberEdit::FullName(PersonName::parse("Nguyễn Văn Thử").unwrap());
    replica.add_member(team, vec![name]).unwrap();
    assert_eq!(assert_kept(&store), 2);
    replica.edit(team, &[note("một")]).unwrap();
    let activity = TeamEdit::AddActivity {
        id: ActivityId([1; 8]),
        date: Date::parse("2022-09-07").unwrap(),
        kind: ActivityKind::GroupSession,
        skills: Vec::new(),
        reached: Reached { total: 5, ..Reached::default() },
    };
    replica.edit(team, &[DocEdit::Team(activity)]).unwrap();
    assert_eq!(assert_kept(&store), 2);

    let mut known = merge(store.as_ref(), team);
    let mut elsewhere = Document::new(DocId::member(commune(), [7; 11])).unwrap();
    let name = DocEdit::Member(MemberEdit::FullName(PersonName::parse("Trần Thị Mẫu").unwrap()));
    let items = vec![foreign(&mut known, note("hai")), foreign(&mut elsewhere, name)];
    replica.commit_delta(page(items.clone(), 7)).unwrap();
    assert_eq!(assert_kept(&store), 3);
    replica.commit_delta(page(items, 8)).unwrap();
    assert_eq!(assert_kept(&store), 3, "what comes again changes nothing");
    let notes = replica.teams().unwrap().into_iter().map(|team| team.record.note);
    assert_eq!(notes.collect::<Vec<_>>(), [Some("hai".to_owned())]);
}

/// What this phone has and what it never had: documents go, with what waits to be sent and what was held, and what is compared
/// with the centre stays. What is left of one of which a part was erased is no failure anywhere.
#[test]
fn an_erased_document_is_gone_and_compared() {
    let (store, replica) = replica();
    let team = replica.add_team(draft("Thôn Thử 1")).unwrap();
    let name = |text| MemberEdit::FullName(PersonName::parse(text).unwrap());
    let gone = replica.add_member(team, vec![name("Nguyễn Văn Thử")]).unwrap();
    let half = replica.add_member(team, vec![name("Trần Thị Mẫu")]).unwrap();
    for doc in [gone, half] {
        replica.edit(doc, &[DocEdit::Member(name("Lê Thị Thử"))]).unwrap();
    }
    let mut elsewhere = Document::new(DocId::member(commune(), [7; 11])).unwrap();
    let DeltaItem::Change(never) = foreign(&mut elsewhere, DocEdit::Member(name("Phạm Văn Mẫu"))) else {
        panic!("a change")
    };
    let never = (never.doc, never.check().unwrap().hash());
    let hashes = |doc: DocId| store.chunks(doc).unwrap().into_iter().map(|chunk| chunk.hash()).collect::<Vec<_>>();
    let (of_gone, of_half) = (hashes(gone), hashes(half));
    let mut expected = replica.elements(commune()).unwrap();
    expected.push(never);
    expected.sort_unstable();

    let items = of_gone.iter().map(|hash| DeltaItem::Erased(gone, *hash));
    let items = items.chain([DeltaItem::Erased(half, of_half[0]), DeltaItem::Erased(never.0, never.1)]);
    let delta = page(items.collect(), 7);
    let check = |replica: &Replica| {
        let mut elements = replica.elements(commune()).unwrap();
        elements.sort_unstable();
        assert_eq!(elements, expected, "what the centre has, too");
        assert!(replica.members(None).unwrap().is_empty());
        assert_eq!((replica.teams().unwrap().len(), replica.status().unwrap().documents), (1, 1));
        for doc in [gone, half, never.0] {
            assert!(replica.member(doc).is_err() && replica.history(doc).is_err());
            assert!(replica.edit(doc, &[DocEdit::Member(name("Lê Văn Thử"))]).is_err(), "nobody writes into it");
        }
        assert!(replica.findings().is_ok() && replica.conflicts().unwrap().is_empty());
        assert!(replica.search("Thử", 9).is_ok() && replica.receipt_counts().is_ok());
        // The team, and what was not erased: whether it is taken is for the centre to say.
        let waiting: Vec<_> = store.outbox(0, 10).unwrap().into_iter().map(|entry| entry.doc).collect();
        assert_eq!(waiting, [team, half]);
    };
    for _ in 0..2 {
        replica.commit_delta(delta.clone()).unwrap();
        check(&replica);
    }
}

#[test]
fn a_dispute_is_listed_until_it_is_settled() {
    let (store, replica) = replica();
    let (team, quiet) =
        (replica.add_team(draft("Thôn Thử 1")).unwrap(), replica.add_team(draft("Thôn Thử 2")).unwrap());
    let mut apart = merge(store.as_ref(), team);
    replica.edit(team, &[note("một")]).unwrap();
    replica.commit_delta(page(vec![foreign(&mut apart, note("hai"))], 3)).unwrap();
    assert_kept(&store);
    assert_eq!(replica.disputed().unwrap(), [team]);
    assert_eq!(replica.conflicts().unwrap().len(), 1);
    replica.resolve(team, "note", "hai").unwrap();
    assert_kept(&store);
    assert!(replica.disputed().unwrap().is_empty() && replica.conflicts().unwrap().is_empty());
    assert!(replica.record(quiet).is_ok());
}

#[test]
fn a_store_without_it_lists_the_same_and_keeps_it_then() {
    let (store, with) = replica();
    for number in 1..=20 {
        let team = with.add_team(draft(&format!("Thôn Thử {number}"))).unwrap();
        with.add_member(team, Vec::new()).unwrap();
    }
    let bare = Arc::new(without_shown(&store));
    assert!(bare.listed().unwrap().iter().all(|listed| listed.shown.is_none()));
    let without = Replica::open(Arc::clone(&bare) as Arc<dyn ChunkStore>, &crate::testing::options()).unwrap();
    let records = |replica: &Replica| replica.teams().unwrap().into_iter().map(|team| team.record).collect::<Vec<_>>();
    assert_eq!(records(&without), records(&with));
    let kept = bare.listed().unwrap();
    assert!(kept.iter().all(|listed| listed.shown.is_some() == (listed.doc.kind() == Some(DocKind::Team))));
    without.members(None).unwrap();
    assert_eq!(assert_kept(&bare), 40);
}

#[test]
fn a_list_does_not_need_the_disk_or_the_documents() {
    let (store, _) = replica();
    let disk = Arc::new(FaultyChunkStore::new());
    let team = Document::first_save(
        DocId::hamlet_team(commune(), "thử", 0),
        other_author(1),
        &[DocEdit::Team(TeamEdit::HouseholdsCovered(Some(87)))],
    );
    let chunk = team.unwrap().unwrap();
    let doc = DocId::hamlet_team(commune(), "thử", 0);
    let chunks = vec![(commune(), Change { doc, chunk })];
    disk.commit(Transaction { chunks, ..Transaction::default() }).unwrap();
    drop(store);
    let replica = Replica::open(Arc::clone(&disk) as Arc<dyn ChunkStore>, &crate::testing::options()).unwrap();
    disk.set_full(true);
    let households = |replica: &Replica| replica.teams().unwrap().first().unwrap().record.households_covered;
    assert_eq!(households(&replica), Some(87));
    assert_eq!(disk.shown(doc).unwrap(), None);
    disk.set_full(false);
    {
        let _saving = replica.documents.lock();
        assert_eq!(replica.record(doc).unwrap(), merge(disk.as_ref(), doc).read());
        assert_eq!((households(&replica), disk.shown(doc).unwrap()), (Some(87), None));
    }
    assert_eq!(households(&replica), Some(87));
    assert!(disk.shown(doc).unwrap().is_some());
}

/// At the bound a page merges, past it the next list does.
#[test]
fn a_page_merges_long_histories_up_to_its_bound() {
    let (store, replica) = replica();
    let team = replica.add_team(draft("Thôn Thử 1")).unwrap();
    for number in 2..MERGED_WITH_PAGE_MAX {
        replica.edit(team, &[note(&number.to_string())]).unwrap();
    }
    let mut known = merge(store.as_ref(), team);
    replica.commit_delta(page(vec![foreign(&mut known, note("một"))], 7)).unwrap();
    assert_eq!((store.chunks(team).unwrap().len(), assert_kept(&store)), (MERGED_WITH_PAGE_MAX, 1));
    replica.commit_delta(page(vec![foreign(&mut known, note("hai"))], 8)).unwrap();
    assert_eq!(store.shown(team).unwrap(), None);
    assert_eq!(replica.teams().unwrap().first().unwrap().record.note.as_deref(), Some("hai"));
    assert_kept(&store);
}

#[test]
fn what_is_too_long_is_not_kept() {
    let team = |bytes: usize| {
        let record = Record::Team(TeamRecord { note: Some("x".repeat(bytes)), ..TeamRecord::default() });
        Shown { record, disputed: true }
    };
    let envelope = team(1_000).encode().unwrap().len() - 1_000;
    let kept = team(SHOWN_BYTES_MAX - envelope);
    assert_eq!(Shown::decode(DocKind::Team, &kept.encode().unwrap()), Some(kept));
    assert_eq!(team(SHOWN_BYTES_MAX - envelope + 1).encode(), None);
}

/// Another [`FORMAT`] for other bytes: what phones keep would be read as something else.
#[test]
fn the_format_is_pinned() {
    let hex = |record: Record| {
        let bytes = Shown { record, disputed: false }.encode().unwrap();
        bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    };
    let mut team = TeamRecord::default();
    team.activities.insert("a".to_owned(), ActivityRecord::default());
    assert_eq!(
        hex(Record::Team(team)),
        "01009ea668616d6c6574c0c0c0c0c0c0c0a6616374697665c0c0c0c081a16197c0c09000000000"
    );
    assert_eq!(hex(Record::Member(MemberRecord::default())), "01009ec0c0c0c0c0a66d656d62657290c0c0c080c094c0c0c0c0c0");
    let mut commune = CommuneRecord::default();
    let hamlet = HamletRecord {
        name: "b".to_owned(),
        kind: None,
        households: None,
        status: HamletStatus::Active,
        predecessors: Vec::new(),
        successors: Vec::new(),
    };
    commune.hamlets.insert("a".to_owned(), hamlet);
    assert_eq!(hex(Record::Commune(commune)), "01009381a16196a162c0c0a66163746976659090c0c0");
}
