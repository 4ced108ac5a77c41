//! What several phones do to one team, made up: saves, settlings, and changes that travel in any order.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers; not every test uses all, and the generator makes no index beyond the replicas"
)]

use proptest::prelude::*;
use proptest::sample::Index;
use toso_core::chunk::Chunk;
use toso_core::document::Document;
use toso_core::edit::{ActivityId, DocEdit, Reached, TeamEdit};
use toso_core::id::DocId;
use toso_core::record::{ActivityKind, Skill, TeamStatus};
use toso_core::text::{Date, Note};

use crate::register::{author, scope, team};

#[derive(Debug, Clone)]
pub enum Step {
    /// A replica saves.
    Save(usize, Vec<DocEdit>),
    /// A replica settles a field.
    Resolve(usize, DocEdit),
    /// One replica gets a change that another has.
    Send(usize, usize, Index),
}

/// Edits of single values, which replace each other.
pub fn any_plain_edit() -> impl Strategy<Value = DocEdit> {
    let status = prop::sample::select(TeamStatus::ALL).prop_map(TeamEdit::Status);
    let households = prop::option::of(0..4_u32).prop_map(TeamEdit::HouseholdsCovered);
    let notes = prop::option::of("[ab]{1,3}");
    let note = notes.prop_map(|note| TeamEdit::Note(note.and_then(|note| Note::parse(&note).ok())));
    let merged = any::<bool>().prop_map(|merged| {
        let other = DocId::commune_team(scope(), 1);
        TeamEdit::MergedInto(merged.then_some(other))
    });
    prop_oneof![status, households, note, merged].prop_map(DocEdit::Team)
}

/// Those, and activities with their counters.
pub fn any_edit() -> impl Strategy<Value = DocEdit> {
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
    prop_oneof![2 => any_plain_edit(), 1 => prop_oneof![activity, reached].prop_map(DocEdit::Team)]
}

fn any_step<E: Strategy<Value = DocEdit>>(replicas: usize, edit: fn() -> E) -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..replicas, prop::collection::vec(edit(), 1..4)).prop_map(|(r, edits)| Step::Save(r, edits)),
        1 => (0..replicas, edit()).prop_map(|(r, edit)| Step::Resolve(r, edit)),
        3 => (0..replicas, 0..replicas, any::<Index>()).prop_map(|(from, to, which)| Step::Send(from, to, which)),
    ]
}

/// Some phones, and what they do with these edits.
pub fn any_script<E: Strategy<Value = DocEdit>>(edit: fn() -> E) -> impl Strategy<Value = (usize, Vec<Step>)> {
    (2..5_usize).prop_flat_map(move |replicas| (Just(replicas), prop::collection::vec(any_step(replicas, edit), 1..24)))
}

/// Every replica, with the chunks that it holds, after a script.
pub fn run(replicas: usize, script: Vec<Step>) -> Vec<(Document, Vec<Chunk>)> {
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

/// All changes that the phones hold, each once.
pub fn all_of(phones: &[(Document, Vec<Chunk>)]) -> Vec<Chunk> {
    let mut all: Vec<Chunk> = Vec::new();
    for (_, chunks) in phones {
        all.extend(chunks.iter().filter(|chunk| !all.contains(chunk)).cloned().collect::<Vec<_>>());
    }
    all
}

/// Fisher–Yates over a linear congruential generator.
pub fn shuffle(chunks: &mut [Chunk], random: &mut u64) {
    for last in (1..chunks.len()).rev() {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from((*random >> 33) % (last as u64 + 1)).expect("below the length");
        chunks.swap(last, other);
    }
}
