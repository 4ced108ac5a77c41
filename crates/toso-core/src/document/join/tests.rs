//! Sixty-six phones of a commune each recorded a hamlet without a network. Their changes met in one record, and nobody could
//! edit it any more: a save would have had 66 dependencies, and 64 are the limit.

use super::*;
use crate::edit::{ActivityId, DocEdit, Reached, TeamEdit};
use crate::id::{Actor, DeviceId, DocId, DocKind};
use crate::record::{ActivityKind, Record};
use crate::text::{Date, Note};
use crate::time::TimestampMs;
use crate::unit::{UnitList, UnitRef};

fn id() -> DocId {
    DocId::commune_team(UnitRef::new(UnitList::L2022, "00001").unwrap(), 0)
}

fn author(number: u32) -> Author {
    let mut device = [1; 16];
    device[..4].copy_from_slice(&number.to_be_bytes());
    Author { actor: Actor::new(DeviceId(device), [7; 8]), at: TimestampMs(1_662_508_800_000) }
}

fn households(number: u32) -> DocEdit {
    DocEdit::Team(TeamEdit::HouseholdsCovered(Some(number)))
}

fn note(text: &str) -> DocEdit {
    DocEdit::Team(TeamEdit::Note(Some(Note::parse(text).unwrap())))
}

/// What so many phones save apart, each in a record of its own.
fn apart(phones: u32) -> Vec<Chunk> {
    (1..=phones)
        .map(|phone| Document::first_save(id(), author(phone), &[households(phone)]).unwrap().unwrap())
        .collect()
}

fn fold(chunks: &[Chunk]) -> Document {
    let (document, applied) = Document::fold(id(), chunks).unwrap();
    assert_eq!((applied.waiting, applied.quarantined), (0, vec![]), "everybody can merge all of it");
    document
}

/// Every change as its bytes come to others.
fn parsed(chunks: &[Chunk]) -> Vec<Chunk> {
    chunks.iter().map(|chunk| Chunk::parse(chunk.bytes()).unwrap()).collect()
}

#[test]
fn a_record_with_any_number_of_heads_takes_a_save() {
    let limit = u32::try_from(CHANGE_DEPS_MAX).unwrap();
    // Each join takes 63 heads away.
    for (heads, joins) in
        [(1, 0), (limit, 0), (limit + 1, 1), (2 * limit - 1, 1), (2 * limit, 2), (200, 3), (4_000, 63)]
    {
        let mut chunks = apart(heads);
        let mut document = fold(&chunks);
        assert_eq!(document.heads().len(), heads as usize);
        let made = document.make_room(author(9_000), &[note("một")]).unwrap();
        assert_eq!(made.len(), joins, "{heads} heads");
        assert!(document.heads().len() <= CHANGE_DEPS_MAX);
        let before = document.conflicts();
        let save = document.edit(author(9_000), &[note("một")]).unwrap().unwrap();
        assert_eq!(document.heads(), [save.hash()]);
        assert_eq!(document.conflicts(), before, "no field was settled by the way");
        let history = document.history();
        assert_eq!(
            (history.len(), history.last().unwrap().hash),
            (heads as usize + 1, save.hash()),
            "joins are no saves"
        );

        chunks.extend(parsed(&made));
        chunks.push(Chunk::parse(save.bytes()).unwrap());
        let there = fold(&chunks);
        assert_eq!((there.heads(), there.read()), (document.heads(), document.read()));
        // In the reverse order, and out of a snapshot.
        chunks.reverse();
        assert_eq!(fold(&chunks).heads(), document.heads());
        assert_eq!(Document::from_snapshot(id(), &there.snapshot().unwrap()).unwrap().heads(), document.heads());
    }
}

/// The author's own last change is a dependency of the next, head or not: 64 heads and that one are one too many.
#[test]
fn the_own_last_change_counts() {
    let limit = u32::try_from(CHANGE_DEPS_MAX).unwrap();
    for (others, joins) in [(limit - 1, 0), (limit, 1)] {
        let mine = Document::first_save(id(), author(0), &[households(9)]).unwrap().unwrap();
        let mut chunks = vec![mine];
        // Each of the others has seen the own change.
        let seen = fold(&chunks);
        for phone in 1..=others {
            chunks.push(seen.clone().edit(author(phone), &[households(100 + phone)]).unwrap().unwrap());
        }
        let mut document = fold(&chunks);
        assert_eq!(document.heads().len(), others as usize);
        let made = document.make_room(author(0), &[note("một")]).unwrap();
        assert_eq!(made.len(), joins);
        let save = document.edit(author(0), &[note("một")]).unwrap().unwrap();
        chunks.extend(parsed(&made));
        chunks.push(save);
        assert_eq!(fold(&chunks).heads(), document.heads());
    }
}

/// Everybody who joins apart leaves one head: 66 phones that do leave 66, not 66 times as many, and the next save joins
/// those.
#[test]
fn phones_that_join_apart_come_together() {
    let mut chunks = apart(66);
    let met = fold(&chunks);
    for phone in 1..=66 {
        let mut here = met.clone();
        chunks.extend(here.make_room(author(phone), &[note("một")]).unwrap());
        chunks.push(here.edit(author(phone), &[note(&format!("số {phone}"))]).unwrap().unwrap());
    }
    let mut document = fold(&chunks);
    assert_eq!(document.heads().len(), 66);
    let made = document.make_room(author(1), &[note("một")]).unwrap();
    assert_eq!(made.len(), 1);
    document.edit(author(1), &[note("xong")]).unwrap().unwrap();
    assert_eq!(document.heads().len(), 1);
}

/// A field that 1,001 openings of stores, or 4,000, have written apart has more values than one change may replace; it can be
/// written and settled, and other fields as well.
#[test]
fn a_field_with_any_number_of_values_takes_a_save() {
    for (values, thinned) in [(1_000, 0), (1_001, 2), (4_000, 5)] {
        let mut chunks = apart(values);
        let mut document = fold(&chunks);
        let shown = document.read();
        let other = document.clone().make_room(author(9_000), &[note("một")]).unwrap();
        let made = document.make_room(author(9_000), &[households(7)]).unwrap();
        assert_eq!(made.len() - other.len(), thinned, "{values} values");
        assert_eq!(document.read(), shown, "what is shown stays until the save");
        let mut settled = document.clone();
        let save = document.edit(author(9_000), &[households(7)]).unwrap().unwrap();
        let settle = settled.resolve(author(9_000), &households(8)).unwrap();
        chunks.extend(parsed(&made));
        chunks.extend(parsed(&[save]));
        let there = fold(&chunks);
        assert_eq!((there.heads(), there.read(), there.conflicts()), (document.heads(), document.read(), vec![]));
        chunks.pop();
        chunks.extend(parsed(&[settle]));
        assert_eq!((fold(&chunks).heads(), fold(&chunks).conflicts()), (settled.heads(), vec![]));
    }
}

/// Changes that leave thousands of values of one key each are no longer taken, and a log may have some: the field can be
/// written all the same.
#[test]
fn a_field_that_an_old_log_has_filled_takes_a_save() {
    let mut document = Document::new(id()).unwrap();
    let mut chunks = Vec::new();
    for number in 0..5 {
        let honest = document.clone().edit(author(1), &[households(number)]).unwrap().unwrap();
        let mut expanded = honest.change().unwrap().decode();
        let one = Op { pred: Vec::new().into(), ..expanded.operations[0].clone() };
        expanded.operations = vec![one; 2_000];
        chunks.push(Chunk::parse(Change::from(expanded).raw_bytes()).unwrap());
        document.apply(&chunks[chunks.len() - 1..]);
    }
    chunks.extend(document.make_room(author(2), &[households(7)]).unwrap());
    assert!(chunks.len() > 5, "there was no room");
    chunks.push(document.edit(author(2), &[households(8)]).unwrap().unwrap());
    let there = fold(&chunks);
    assert_eq!((there.heads().len(), there.read()), (1, document.read()));
    assert_eq!(chunks.last().unwrap().facts().unwrap().deps().len(), 1);
}

/// A counter that was begun 1,101 times apart names as many authors when it is added to.
#[test]
fn a_counter_with_any_number_of_values_is_added_to() {
    let activity = ActivityId([1; 8]);
    let recorded = |total| {
        DocEdit::Team(TeamEdit::AddActivity {
            id: activity,
            date: Date::parse("2022-09-07").unwrap(),
            kind: ActivityKind::Meeting,
            skills: vec![],
            reached: Reached { total, ..Reached::default() },
        })
    };
    let add = [DocEdit::Team(TeamEdit::AddReached { id: activity, more: Reached { total: 2, ..Reached::default() } })];
    let reached = |document: &Document| {
        let Record::Team(team) = document.read() else { panic!("a team") };
        team.activities.values().map(|activity| activity.reached).collect::<Vec<_>>()
    };
    let apart = |phone| Document::of_kind(id(), DocKind::Team).edit(author(phone), &[recorded(5)]).unwrap().unwrap();
    let mut chunks: Vec<Chunk> = (1..=1_101).map(apart).collect();
    let mut document = fold(&chunks);
    for sum in [7, 9] {
        chunks.extend(parsed(&document.make_room(author(9_000), &add).unwrap()));
        chunks.extend(parsed(&[document.edit(author(9_000), &add).unwrap().unwrap()]));
        assert_eq!((reached(&document), reached(&fold(&chunks))), (vec![sum], vec![sum]));
    }
}
