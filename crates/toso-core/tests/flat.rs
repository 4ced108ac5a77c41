//! What is computed without an Automerge document is what Automerge computes: the values that changes leave, and the
//! bytes of a first save. Where the two could differ, the short way must give up.

#![allow(clippy::unwrap_used, reason = "helpers of a test may panic")]

#[path = "support/register.rs"]
mod register;
#[path = "support/script.rs"]
mod script;

use proptest::prelude::*;
use register::{author, edit, save, scope, team};
use script::{all_of, any_edit, any_plain_edit, any_script, run, shuffle};
use sha2::{Digest, Sha256};
use toso_core::chunk::{ChangeHash, Chunk};
use toso_core::document::{CONFLICT_VALUES_MAX, Document, FlatDocument, HistoryEntry, NotFlat};
use toso_core::edit::{CommuneEdit, DocEdit, MemberEdit};
use toso_core::id::{DocId, DocKind};
use toso_core::record::Record;
use toso_core::text::{PersonName, PlaceName, hamlet_key};

fn flat(id: DocId, chunks: &[Chunk]) -> Result<Record, NotFlat> {
    let mut document = FlatDocument::new(id).unwrap();
    for chunk in chunks {
        document.apply(chunk)?;
    }
    Ok(document.read())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn plain_values_are_read_as_automerge_reads_them(
        ((replicas, script), seed) in (any_script(any_plain_edit), any::<u64>()),
    ) {
        let mut all = all_of(&run(replicas, script));
        let reference = Document::fold(team().id(), &all).unwrap().0;
        let mut ordered = reference.chunks();
        prop_assert_eq!(ordered.len(), all.len());
        prop_assert_eq!(flat(team().id(), &ordered), Ok(reference.read()));
        ordered.extend(all.clone());
        prop_assert_eq!(flat(team().id(), &ordered), Ok(reference.read()), "what came already changes nothing");

        let mut document = FlatDocument::new(team().id()).unwrap();
        for chunk in &ordered {
            prop_assert_eq!(document.apply(chunk), Ok(()));
        }
        prop_assert!(document.is_disputed() || reference.conflicts().is_empty());
        prop_assert_eq!(document.conflicts(), reference.conflicts());
        let history: Vec<_> = ordered.iter().take(reference.chunks().len()).collect();
        let saves: Vec<_> = history.iter().filter_map(|chunk| HistoryEntry::of(team().id(), chunk)).collect();
        prop_assert_eq!(saves, reference.history());

        // In another order it reads the same, or gives up.
        let mut random = seed;
        shuffle(&mut all, &mut random);
        if let Ok(record) = flat(team().id(), &all) {
            prop_assert_eq!(record, reference.read());
        }
    }

    #[test]
    fn with_counters_it_gives_up_or_reads_the_same((replicas, script) in any_script(any_edit)) {
        let reference = Document::fold(team().id(), &all_of(&run(replicas, script))).unwrap().0;
        let counters = matches!(reference.read(), Record::Team(team) if !team.activities.is_empty());
        match flat(team().id(), &reference.chunks()) {
            Ok(record) => prop_assert_eq!(record, reference.read()),
            Err(NotFlat) => prop_assert!(counters, "it gave up without a counter"),
        }
    }

    #[test]
    fn a_first_save_is_the_change_that_automerge_makes(edits in prop::collection::vec(any_edit(), 0..6)) {
        let by = author(1);
        let mut document = team();
        let saved = document.edit(by, &edits);
        prop_assert_eq!(&Document::first_save(team().id(), by, &edits), &saved);
        if let (Ok(_), Some(record)) = (saved, Document::first_record(team().id(), &edits)) {
            prop_assert_eq!(record, document.read());
        }
    }
}

#[test]
fn a_first_save_of_every_kind_is_the_change_that_automerge_makes() {
    let (commune, member) = (DocId::commune(scope()), DocId::member(scope(), [9; 11]));
    let hamlet = PlaceName::parse("Thôn Thử 1").unwrap();
    let key = hamlet_key(hamlet.as_str());
    let cases = [
        (commune, vec![DocEdit::Commune(CommuneEdit::HamletName { key, name: hamlet })]),
        (
            member,
            vec![
                DocEdit::Member(MemberEdit::Team(Some(team().id()))),
                DocEdit::Member(MemberEdit::FullName(PersonName::parse("Nguyễn Văn Thử").unwrap())),
                DocEdit::parse(DocKind::Member, "affiliations/youth_union", "yes").unwrap(),
                DocEdit::parse(DocKind::Member, "birth_year", "1990").unwrap(),
            ],
        ),
        (team().id(), vec![edit("note", ""), edit("households_covered", "87"), edit("note", "một")]),
        (team().id(), vec![edit("note", "")]),
        (team().id(), vec![]),
    ];
    for (id, edits) in cases {
        let mut document = Document::new(id).unwrap();
        let made = document.edit(author(1), &edits);
        assert_eq!(Document::first_save(id, author(1), &edits), made);
        let chunks: Vec<Chunk> = made.unwrap().into_iter().collect();
        assert_eq!(flat(id, &chunks), Ok(document.read()));
        assert_eq!(Document::first_record(id, &edits), Some(document.read()));
    }
    let foreign = [edit("note", "một")];
    assert_eq!(
        Document::first_save(member, author(1), &foreign).unwrap_err(),
        Document::new(member).unwrap().edit(author(1), &foreign).unwrap_err()
    );
}

/// Every byte of a change bent, and the checksum made right again: what the short way reads, Automerge keeps and reads
/// alike.
#[test]
fn bent_changes_are_left_to_automerge_or_read_alike() {
    let mut document = team();
    let base = save(&mut document, 1, "note", "một");
    let mut other = Document::fold(document.id(), std::slice::from_ref(&base)).unwrap().0;
    let apart = save(&mut other, 2, "note", "hai");
    save(&mut document, 1, "households_covered", "87");
    document.apply(std::slice::from_ref(&apart));
    let settled = document.resolve(author(1), &edit("note", "ba")).unwrap();
    let before: Vec<Chunk> = document.chunks().into_iter().filter(|chunk| chunk.hash() != settled.hash()).collect();

    let (mut read, mut left) = (0, 0);
    for at in 8..settled.bytes().len() {
        // 126 at one place writes a column in another way than Automerge does, which then cannot rebuild the change.
        for flip in (1..=255_u8).step_by(5) {
            let mut bytes = settled.bytes().to_vec();
            *bytes.get_mut(at).unwrap() ^= flip;
            let hash = ChangeHash(Sha256::digest(bytes.get(8..).unwrap()).into());
            bytes.splice(4..8, hash.0.iter().take(4).copied());
            let mut flat = FlatDocument::new(document.id()).unwrap();
            for chunk in &before {
                flat.apply(chunk).unwrap();
            }
            // What does not parse is never accepted, so it is in no log and no store.
            let Ok(chunk) = Chunk::parse(&bytes) else { continue };
            if flat.apply(&Chunk::trusted(bytes, hash)).is_err() {
                left += 1;
                continue;
            }
            read += 1;
            let (merged, applied) = Document::fold(document.id(), &[before.clone(), vec![chunk]].concat()).unwrap();
            assert_eq!((applied.waiting, applied.quarantined), (0, vec![]), "byte {at} ^ {flip}");
            assert_eq!(flat.read(), merged.read(), "byte {at} ^ {flip}");
        }
    }
    assert!(read > 100 && left > 100, "{read} read, {left} left: the test does not bend what it should");
}

#[test]
fn what_waits_breaks_a_rule_or_lies_about_its_hash_is_left_to_automerge() {
    let mut document = team();
    let (first, second) = (save(&mut document, 1, "note", "một"), save(&mut document, 1, "note", "hai"));
    let fresh = || FlatDocument::new(document.id()).unwrap();
    assert_eq!(fresh().apply(&second), Err(NotFlat), "its dependency is missing");
    assert_eq!(
        fresh().apply(&Chunk::trusted(first.bytes(), second.hash())),
        Err(NotFlat),
        "the hash of another change"
    );
    assert_eq!(fresh().apply(&Chunk::trusted(b"no change at all".as_slice(), first.hash())), Err(NotFlat));
    let mut twin = fresh();
    twin.apply(&first).unwrap();
    let again = save(&mut team(), 1, "note", "ba");
    assert_eq!(twin.apply(&again), Err(NotFlat), "the same actor and sequence number");
    let mut member = FlatDocument::new(DocId::member(scope(), [9; 11])).unwrap();
    assert_eq!(member.apply(&first), Err(NotFlat), "the genesis of another kind");
}

/// A rogue device once wrote one field 4,000 times, each time without having seen the others, and each reader of the record
/// waited two minutes: every change was rebuilt by a walk through all of them. Now it is one walk, and of the values 64
/// are listed.
#[test]
fn a_field_that_was_written_apart_thousands_of_times_is_read_all_the_same() {
    let count = 1_000;
    let chunks: Vec<Chunk> = (0..count)
        .map(|number| {
            let mut opening = [0; 8];
            opening[..4].copy_from_slice(&u32::to_be_bytes(number));
            let mut by = author(1);
            by.actor.0[8..].copy_from_slice(&opening);
            team().edit(by, &[edit("note", &format!("số {number}"))]).unwrap().unwrap()
        })
        .collect();
    let mut flat = FlatDocument::new(team().id()).unwrap();
    for chunk in &chunks {
        flat.apply(chunk).unwrap();
    }
    let (document, applied) = Document::fold(team().id(), &chunks).unwrap();
    assert_eq!((applied.applied, applied.quarantined.len()), (chunks.len(), 0));
    assert_eq!(flat.read(), document.read());
    let conflicts = flat.conflicts();
    assert_eq!(conflicts, document.conflicts());
    assert_eq!((conflicts[0].values.len(), conflicts[0].count), (CONFLICT_VALUES_MAX, chunks.len()));
}
