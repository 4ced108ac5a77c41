//! Merging is commutative, associative and idempotent: whatever is edited on whichever phone, and however the changes
//! travel, all replicas end with the same heads, the same values and the same conflicts.

#![allow(clippy::indexing_slicing, reason = "the generator makes no index beyond the replicas")]

#[path = "support/register.rs"]
mod register;

use proptest::prelude::*;
use proptest::sample::Index;
use register::{author, team};
use toso_core::chunk::Chunk;
use toso_core::document::Document;
use toso_core::edit::{ActivityId, DocEdit, Reached, TeamEdit};
use toso_core::id::DocId;
use toso_core::record::{ActivityKind, Skill, TeamStatus};
use toso_core::text::{Date, Note};

#[derive(Debug, Clone)]
enum Step {
    /// A replica saves.
    Save(usize, Vec<DocEdit>),
    /// A replica settles a field.
    Resolve(usize, DocEdit),
    /// One replica gets a change that another has.
    Send(usize, usize, Index),
}

fn any_edit() -> impl Strategy<Value = DocEdit> {
    let status = prop::sample::select(TeamStatus::ALL).prop_map(TeamEdit::Status);
    let households = prop::option::of(0..4_u32).prop_map(TeamEdit::HouseholdsCovered);
    let notes = prop::option::of("[ab]{1,3}");
    let note = notes.prop_map(|note| TeamEdit::Note(note.and_then(|note| Note::parse(&note).ok())));
    let merged = any::<bool>().prop_map(|merged| {
        let other = DocId::commune_team(register::scope(), 1);
        TeamEdit::MergedInto(merged.then_some(other))
    });
    let activity = (0..2_u8, prop::sample::select(ActivityKind::ALL), 0..9_i64, any::<bool>()).prop_map(
        |(id, kind, total, safety)| TeamEdit::AddActivity {
            id: ActivityId([id; 8]),
            date: Date::parse("2022-09-07").expect("a date"),
            kind,
            skills: if safety { vec![Skill::Safety] } else { vec![] },
            reached: Reached { total, ..Reached::default() },
        },
    );
    let reached = (0..2_u8, -3..9_i64, 0..3_i64).prop_map(|(id, total, women)| TeamEdit::AddReached {
        id: ActivityId([id; 8]),
        more: Reached { total, women, ..Reached::default() },
    });
    prop_oneof![status, households, note, merged, activity, reached].prop_map(DocEdit::Team)
}

fn any_step(replicas: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..replicas, prop::collection::vec(any_edit(), 1..4)).prop_map(|(r, edits)| Step::Save(r, edits)),
        1 => (0..replicas, any_edit()).prop_map(|(r, edit)| Step::Resolve(r, edit)),
        3 => (0..replicas, 0..replicas, any::<Index>()).prop_map(|(from, to, which)| Step::Send(from, to, which)),
    ]
}

fn any_script() -> impl Strategy<Value = (usize, Vec<Step>)> {
    (2..5_usize).prop_flat_map(|replicas| (Just(replicas), prop::collection::vec(any_step(replicas), 1..24)))
}

/// Every replica, with the chunks that it holds, after a script.
fn run(replicas: usize, script: Vec<Step>) -> Vec<(Document, Vec<Chunk>)> {
    let mut phones: Vec<(Document, Vec<Chunk>)> = (0..replicas).map(|_| (team(), Vec::new())).collect();
    for step in script {
        match step {
            // An activity that the replica has not heard of cannot be added to; that step is none.
            Step::Save(at, edits) => {
                let by = author(u8::try_from(at).expect("few replicas"));
                if let Ok(Some(chunk)) = phones[at].0.edit(by, &edits) {
                    phones[at].1.push(chunk);
                }
            }
            Step::Resolve(at, edit) => {
                let by = author(u8::try_from(at).expect("few replicas"));
                if let Ok(chunk) = phones[at].0.resolve(by, &edit) {
                    phones[at].1.push(chunk);
                }
            }
            Step::Send(from, to, which) if from != to && !phones[from].1.is_empty() => {
                let chunk = which.get(&phones[from].1).clone();
                assert_eq!(phones[to].0.apply(std::slice::from_ref(&chunk)).quarantined, []);
                if !phones[to].1.contains(&chunk) {
                    phones[to].1.push(chunk);
                }
            }
            Step::Send(..) => {}
        }
    }
    phones
}

fn assert_same(a: &Document, b: &Document) {
    assert_eq!(a.heads(), b.heads());
    assert_eq!(a.read(), b.read());
    assert_eq!(a.conflicts(), b.conflicts());
    assert_eq!(a.missing(), []);
    assert_eq!(a.history().len(), b.history().len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_order_and_any_repetition_give_the_same_document(
        ((replicas, script), seed) in (any_script(), any::<u64>()),
    ) {
        let mut phones = run(replicas, script);
        let mut all: Vec<Chunk> = Vec::new();
        for (_, chunks) in &phones {
            all.extend(chunks.iter().filter(|chunk| !all.contains(chunk)).cloned().collect::<Vec<_>>());
        }
        let (reference, applied) = Document::fold(team().id(), &all);
        prop_assert_eq!((applied.applied, applied.waiting), (all.len(), 0));
        prop_assert_eq!(applied.quarantined, vec![]);

        // Each phone gets everything once more, in its own order, one by one.
        let mut random = seed;
        for (document, _) in &mut phones {
            shuffle(&mut all, &mut random);
            for chunk in &all {
                document.apply(std::slice::from_ref(chunk));
            }
            assert_same(document, &reference);
        }

        // (A ∪ B) ∪ C = A ∪ (B ∪ C), each side in one batch.
        let (left, right) = all.split_at(all.len() / 2);
        let (mut forth, _) = Document::fold(team().id(), left);
        forth.apply(right);
        let (mut back, _) = Document::fold(team().id(), right);
        back.apply(left);
        assert_same(&forth, &reference);
        assert_same(&back, &reference);

        // Idempotent.
        prop_assert_eq!(back.apply(&all).applied, 0);
        assert_same(&back, &reference);

        // A snapshot is the document, and goes on merging and editing.
        let mut loaded = Document::from_snapshot(team().id(), &reference.snapshot().unwrap()).unwrap();
        assert_same(&loaded, &reference);
        prop_assert_eq!(loaded.apply(&all).applied, 0);
        let mut original = reference;
        let edit = [register::edit("note", "sau cùng")];
        prop_assert_eq!(loaded.edit(author(0), &edit).unwrap(), original.edit(author(0), &edit).unwrap());
        assert_same(&loaded, &original);
    }
}

/// Fisher–Yates over a linear congruential generator.
fn shuffle(chunks: &mut [Chunk], random: &mut u64) {
    for last in (1..chunks.len()).rev() {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from((*random >> 33) % (last as u64 + 1)).expect("below the length");
        chunks.swap(last, other);
    }
}
