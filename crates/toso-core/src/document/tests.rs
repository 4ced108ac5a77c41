//! What a document promises, case by case; `tests/merge.rs` has the properties.

use super::*;
use crate::edit::{ActivityId, CommuneEdit, MemberEdit, Reached, TeamEdit};
use crate::id::DocKind;
use crate::record::{ActivityKind, Affiliation, Course, CourseStatus, Role, Skill, TeamStatus};
use crate::text::{Date, Label, Note, PersonName, PlaceName, hamlet_key};
use crate::unit::{UnitList, UnitRef};

fn scope() -> UnitRef {
    UnitRef::new(UnitList::L2022, "00001").unwrap()
}

fn author(device: u8) -> Author {
    Author {
        actor: Actor::new(DeviceId([device; 8]), [7; 8]),
        at: TimestampMs(1_662_508_800_000 + u64::from(device) * 1000),
    }
}

fn team() -> Document {
    Document::new(DocId::commune_team(scope(), 0))
}

fn member() -> Document {
    Document::new(DocId::member(scope(), [9; 11]))
}

fn note(text: &str) -> DocEdit {
    DocEdit::Team(TeamEdit::Note(Some(Note::parse(text).unwrap())))
}

fn save(document: &mut Document, device: u8, edits: &[DocEdit]) -> Chunk {
    document.edit(author(device), edits).unwrap().expect("the edit changes something")
}

fn team_record(document: &Document) -> crate::record::TeamRecord {
    match document.read() {
        Record::Team(team) => team,
        other => panic!("{other:?}"),
    }
}

fn member_record(document: &Document) -> crate::record::MemberRecord {
    match document.read() {
        Record::Member(member) => member,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_save_is_one_small_change_that_others_can_merge() {
    let (mut a, mut b) = (team(), team());
    let edits = [
        DocEdit::Team(TeamEdit::Hamlet(Some(PlaceName::parse("Thôn Thử 1").unwrap()))),
        DocEdit::Team(TeamEdit::Status(TeamStatus::Planned)),
    ];
    let chunk = save(&mut a, 1, &edits);
    assert_eq!(chunk.actor().device(), DeviceId([1; 8]));
    assert_eq!((chunk.seq(), chunk.deps().len(), chunk.time_s()), (1, 1, 1_662_508_801));
    assert_eq!(a.edit(author(1), &edits), Ok(None), "the values are there already");
    let one_field = save(&mut a, 1, &[note("Họp thứ năm")]);
    println!("first {} B, one field {} B", chunk.bytes().len(), one_field.bytes().len());
    assert!(one_field.bytes().len() <= 160);

    assert_eq!(b.apply(&[one_field.clone()]).waiting, 1);
    assert_eq!(b.missing(), [chunk.hash()]);
    let applied = b.apply(&[chunk.clone(), one_field, chunk]);
    assert_eq!((applied.applied, applied.waiting, applied.quarantined), (2, 0, vec![]));
    assert_eq!((a.heads(), a.read()), (b.heads(), b.read()));
    assert_eq!(team_record(&b).hamlet.as_deref(), Some("Thôn Thử 1"));
    assert_eq!(team_record(&b).status, TeamStatus::Planned);
}

#[test]
fn timing() {
    let mut a = member();
    let first = save(
        &mut a,
        1,
        &[
            DocEdit::Member(MemberEdit::FullName(PersonName::parse("Nguyễn Văn Thử").unwrap())),
            DocEdit::Member(MemberEdit::Team(Some(team().id()))),
            DocEdit::Member(MemberEdit::Role(Role::Leader)),
            DocEdit::Member(MemberEdit::BirthYear(Some(1990))),
            DocEdit::Member(MemberEdit::Affiliation { affiliation: Affiliation::YouthUnion, present: true }),
            DocEdit::Member(MemberEdit::Consent {
                method: crate::record::ConsentMethod::Paper,
                date: Date::parse("2022-09-01").unwrap(),
                text_version: Label::parse("v1").unwrap(),
            }),
        ],
    );
    println!("member chunk {} B", first.bytes().len());
    let n = 2000_u32;
    let time = |name: &str, mut f: Box<dyn FnMut()>| {
        let start = std::time::Instant::now();
        for _ in 0..n {
            f();
        }
        println!("{name}: {:?}", start.elapsed() / n);
    };
    let id = a.id();
    let bytes = first.bytes().to_vec();
    time("parse", Box::new(move || drop(Chunk::parse(&bytes).unwrap())));
    let c = first.clone();
    time("new", Box::new(move || drop(Document::new(id))));
    time("fold", Box::new(move || drop(Document::fold(id, std::slice::from_ref(&c)))));
    let c = first.clone();
    time("fold+read", Box::new(move || drop(Document::fold(id, std::slice::from_ref(&c)).0.read())));
    let d = a.clone();
    time("read", Box::new(move || drop(d.read())));
    let d = a.clone();
    time("conflicts", Box::new(move || drop(d.conflicts())));
    let d = a.clone();
    time("clone", Box::new(move || drop(d.clone())));
    let d = a.clone();
    time(
        "edit",
        Box::new(move || drop(d.clone().edit(author(2), &[DocEdit::Member(MemberEdit::Role(Role::Deputy))]).unwrap())),
    );
    let d = a.clone();
    time("snapshot", Box::new(move || drop(d.snapshot().unwrap())));
    let d = a.snapshot().unwrap();
    println!("snapshot {} B", d.len());
    time("from_snapshot", Box::new(move || drop(Document::from_snapshot(id, &d).unwrap())));
}
