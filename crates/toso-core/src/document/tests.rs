//! What a document promises, case by case; `tests/merge.rs` has the properties.

use super::*;
use crate::edit::{ActivityId, CommuneEdit, MemberEdit, Reached, TeamEdit};
use crate::id::{DeviceId, DocKind};
use crate::record::{
    ActivityKind, Affiliation, CommuneRecord, ConsentMethod, Course, CourseStatus, HamletStatus, MemberRecord, Role,
    Skill, TeamRecord, TeamStatus,
};
use crate::text::{Date, Label, Note, PersonName, PlaceName, hamlet_key};
use crate::unit::{UnitList, UnitRef};

fn scope() -> UnitRef {
    UnitRef::new(UnitList::L2022, "00001").unwrap()
}

fn author(device: u8) -> Author {
    let at = TimestampMs(1_662_508_800_000 + u64::from(device) * 1000);
    Author { actor: Actor::new(DeviceId([device; 16]), [7; 8]), at }
}

fn commune() -> Document {
    Document::new(DocId::commune(scope())).unwrap()
}

fn team() -> Document {
    Document::new(DocId::commune_team(scope(), 0)).unwrap()
}

fn member() -> Document {
    Document::new(DocId::member(scope(), [9; 11])).unwrap()
}

fn note(text: &str) -> DocEdit {
    DocEdit::Team(TeamEdit::Note(Some(Note::parse(text).unwrap())))
}

fn date(text: &str) -> Date {
    Date::parse(text).unwrap()
}

fn save(document: &mut Document, device: u8, edits: &[DocEdit]) -> Chunk {
    document.edit(author(device), edits).unwrap().expect("the edit changes something")
}

fn commune_record(document: &Document) -> CommuneRecord {
    let record = document.read();
    let Record::Commune(commune) = record else { panic!("{record:?}") };
    commune
}

fn team_record(document: &Document) -> TeamRecord {
    let record = document.read();
    let Record::Team(team) = record else { panic!("{record:?}") };
    team
}

fn member_record(document: &Document) -> MemberRecord {
    let record = document.read();
    let Record::Member(member) = record else { panic!("{record:?}") };
    member
}

fn add_activity(total: i64, women: i64) -> DocEdit {
    DocEdit::Team(TeamEdit::AddActivity {
        id: ActivityId([0xab; 8]),
        date: date("2022-09-07"),
        kind: ActivityKind::GroupSession,
        skills: vec![Skill::Safety, Skill::Payment],
        reached: Reached { total, women, ..Reached::default() },
    })
}

fn add_reached(total: i64) -> DocEdit {
    let more = Reached { total, ..Reached::default() };
    DocEdit::Team(TeamEdit::AddReached { id: ActivityId([0xab; 8]), more })
}

#[test]
fn a_save_is_one_small_change_that_others_can_merge() {
    let (mut a, mut b) = (team(), team());
    let edits = [
        DocEdit::Team(TeamEdit::Hamlet(Some(PlaceName::parse("Thôn Thử 1").unwrap()))),
        DocEdit::Team(TeamEdit::Status(TeamStatus::Planned)),
    ];
    let chunk = save(&mut a, 1, &edits);
    let facts = chunk.facts().unwrap();
    assert_eq!(facts.actor.author(), AuthorId([1; 8]));
    assert_eq!((facts.seq, facts.deps().len(), facts.time_s), (1, 1, 1_662_508_801));
    assert_eq!(a.edit(author(1), &edits), Ok(None), "the values are there already");
    let one_field = save(&mut a, 1, &[note("Họp thứ năm")]);
    assert!(one_field.bytes().len() <= 130, "{} bytes", one_field.bytes().len());

    assert_eq!(b.apply(std::slice::from_ref(&one_field)).waiting, 1);
    assert_eq!(b.missing(), [chunk.hash()]);
    assert_eq!(b.waiting().map(Chunk::hash).collect::<Vec<_>>(), [one_field.hash()]);
    let applied = b.apply(&[chunk.clone(), one_field, chunk]);
    assert_eq!((applied.applied, applied.waiting, applied.quarantined), (2, 0, vec![]));
    assert_eq!((a.heads(), a.read()), (b.heads(), b.read()));
    assert_eq!(team_record(&b).hamlet.as_deref(), Some("Thôn Thử 1"));
    assert_eq!(team_record(&b).status, TeamStatus::Planned);
}

#[test]
fn documents_created_apart_are_one() {
    let id = DocId::hamlet_team(scope(), &hamlet_key("Thôn Thử 1"), 0);
    let (mut a, mut b) = (Document::new(id).unwrap(), Document::new(id).unwrap());
    let name = |name| DocEdit::Team(TeamEdit::LocalName(Some(PlaceName::parse(name).unwrap())));
    let one = save(&mut a, 1, &[name("Tổ số Một"), add_activity(5, 2)]);
    let two = save(&mut b, 2, &[name("Tổ số Hai"), DocEdit::Team(TeamEdit::HouseholdsCovered(Some(80)))]);
    assert_eq!(a.apply(&[two]).applied, 1);
    assert_eq!(b.apply(&[one]).applied, 1);
    assert_eq!((a.read(), a.conflicts(), a.heads()), (b.read(), b.conflicts(), b.heads()));
    let record = team_record(&a);
    assert_eq!((record.households_covered, record.activities.len()), (Some(80), 1));

    let [conflict] = a.conflicts().try_into().unwrap();
    assert_eq!(conflict.field, "local_name");
    let [shown, other] = conflict.values.try_into().unwrap();
    assert_eq!(Some(&shown.value), record.local_name.as_ref());
    assert!(shown.shown && !other.shown);
    let by = if shown.value == "Tổ số Một" { (1, 2) } else { (2, 1) };
    assert_eq!((shown.device, other.device), (AuthorId([by.0; 8]), AuthorId([by.1; 8])));
    assert_eq!(other.at, author(by.1).at);

    // Settled once, settled everywhere.
    let settled = a.resolve(author(1), &name(&other.value)).unwrap();
    assert_eq!(a.conflicts(), []);
    b.apply(&[settled]);
    assert_eq!(b.conflicts(), []);
    assert_eq!(team_record(&b).local_name, Some(other.value));
}

#[test]
fn the_same_value_written_apart_is_no_conflict() {
    let (mut a, mut b) = (team(), team());
    let (one, two) = (save(&mut a, 1, &[note("như nhau")]), save(&mut b, 2, &[note("như nhau")]));
    assert_eq!(Document::fold(a.id(), &[one, two]).unwrap().0.conflicts(), []);
}

#[test]
fn clearing_and_correcting_apart_is_a_conflict() {
    let mut a = team();
    let first = save(&mut a, 1, &[note("cũ")]);
    let mut b = Document::fold(a.id(), &[first]).unwrap().0;
    let cleared = save(&mut a, 1, &[DocEdit::Team(TeamEdit::Note(None))]);
    save(&mut b, 2, &[note("mới")]);
    assert_eq!(team_record(&a).note, None);
    b.apply(&[cleared]);
    let [conflict] = b.conflicts().try_into().unwrap();
    let mut values: Vec<_> = conflict.values.into_iter().map(|value| value.value).collect();
    values.sort_unstable();
    assert_eq!(values, ["", "mới"]);
    b.resolve(author(2), &DocEdit::Team(TeamEdit::Note(None))).unwrap();
    assert_eq!((b.conflicts(), team_record(&b).note), (vec![], None));
}

#[test]
fn resolve_always_makes_a_change_and_edit_does_not() {
    let mut a = team();
    save(&mut a, 1, &[note("một")]);
    assert_eq!(a.edit(author(2), &[note("một")]), Ok(None));
    assert_eq!(a.edit(author(2), &[DocEdit::Team(TeamEdit::ZaloLink(None))]), Ok(None), "nothing to clear");
    assert_eq!(a.edit(author(2), &[]), Ok(None));
    for edit in [note("một"), DocEdit::Team(TeamEdit::ZaloLink(None))] {
        let chunk = a.resolve(author(2), &edit).unwrap();
        assert_eq!(a.heads(), [chunk.hash()]);
    }
    assert_eq!(team_record(&a).note.as_deref(), Some("một"));
}

#[test]
fn of_several_edits_of_a_field_the_last_stands() {
    let mut a = team();
    save(&mut a, 1, &[note("một"), note("hai")]);
    assert_eq!(team_record(&a).note.as_deref(), Some("hai"));
    assert_eq!(a.history()[0].changes, [("note".to_owned(), "hai".to_owned())]);
}

#[test]
fn people_reached_add_up() {
    let mut a = team();
    let unknown = EditError::UnknownActivity { id: "abababababababab".to_owned() };
    assert_eq!(a.edit(author(1), &[add_reached(1)]), Err(unknown));
    let added = save(&mut a, 1, &[add_activity(10, 4), add_reached(1)]);
    let mut b = Document::fold(a.id(), &[added]).unwrap().0;
    let (more, less) = (save(&mut a, 1, &[add_reached(5)]), save(&mut b, 2, &[add_reached(-2), add_reached(-1)]));
    a.apply(&[less]);
    b.apply(&[more]);
    assert_eq!((a.read(), a.conflicts()), (b.read(), vec![]));
    let record = team_record(&a);
    let activity = &record.activities["abababababababab"];
    assert_eq!((activity.reached, activity.reached_women), (10 + 1 + 5 - 3, 4));
    assert_eq!(activity.skills, [Skill::Payment, Skill::Safety], "in the order of the list");
    assert_eq!(activity.date.as_deref(), Some("2022-09-07"));
    assert_eq!(a.history()[1].changes, [("activities/abababababababab/reached".to_owned(), "+5".to_owned())]);

    save(&mut a, 1, &[add_reached(-100)]);
    assert_eq!(team_record(&a).activities["abababababababab"].reached, 0, "never below nothing");
}

#[test]
fn every_field_of_a_member_reads_back() {
    let mut a = member();
    let team = team().id();
    save(
        &mut a,
        1,
        &[
            MemberEdit::FullName(PersonName::parse("Nguyễn Văn Thử").unwrap()),
            MemberEdit::Team(Some(team)),
            MemberEdit::Role(Role::Leader),
            MemberEdit::BirthYear(Some(1990)),
            MemberEdit::Affiliation { affiliation: Affiliation::YouthUnion, present: true },
            MemberEdit::Affiliation { affiliation: Affiliation::HamletHead, present: true },
            MemberEdit::Affiliation { affiliation: Affiliation::Police, present: false },
            MemberEdit::Course { course: Course::Mooc, status: Some(CourseStatus::Enrolled) },
            MemberEdit::UnionMember(Some(true)),
            MemberEdit::ZaloOaFollowed(Some(false)),
            MemberEdit::Consent {
                method: ConsentMethod::Paper,
                date: date("2022-09-01"),
                text_version: Label::parse("bản 1").unwrap(),
            },
        ]
        .map(DocEdit::Member),
    );
    let record = member_record(&a);
    assert_eq!(record.full_name.as_deref(), Some("Nguyễn Văn Thử"));
    assert_eq!((record.team, record.role, record.birth_year), (Some(team), Role::Leader, Some(1990)));
    assert_eq!(record.affiliations, [Affiliation::HamletHead, Affiliation::YouthUnion]);
    assert_eq!(record.courses, [(Course::Mooc, CourseStatus::Enrolled)].into());
    assert_eq!((record.union_member, record.zalo_oa_followed), (Some(true), Some(false)));
    let consent = record.consent;
    assert_eq!((consent.method, consent.date.as_deref()), (Some(ConsentMethod::Paper), Some("2022-09-01")));
    assert_eq!(consent.text_version.as_deref(), Some("bản 1"));

    save(&mut a, 1, &[DocEdit::Member(MemberEdit::ConsentWithdrawn { date: Some(date("2022-09-05")) })]);
    assert_eq!(member_record(&a).consent.withdrawn_on.as_deref(), Some("2022-09-05"));
    let history = a.history();
    assert_eq!(history.len(), 2);
    assert_eq!((history[0].device, history[0].at), (AuthorId([1; 8]), author(1).at));
    assert!(history[0].changes.contains(&("team".to_owned(), team.to_string())));
    assert!(history[0].changes.contains(&("affiliations/police".to_owned(), "no".to_owned())));
    assert_eq!(history[1].changes, [("consent/withdrawn_on".to_owned(), "2022-09-05".to_owned())]);
}

#[test]
fn hamlets_added_apart_are_one() {
    let (mut a, mut b) = (commune(), commune());
    let key = hamlet_key("Thôn Thử 1");
    let other = hamlet_key("Thôn Thử 2");
    let name = PlaceName::parse("Thôn Thử 1").unwrap();
    let named = CommuneEdit::HamletName { key: key.clone(), name };
    let households = CommuneEdit::HamletHouseholds { key: key.clone(), households: Some(120) };
    let status = CommuneEdit::HamletStatus { key: key.clone(), status: HamletStatus::Merged };
    let link = CommuneEdit::HamletSuccessor { key: key.clone(), successor: other.clone(), present: true };
    let to = CommuneEdit::HamletName { key: other.clone(), name: PlaceName::parse("Thôn Thử 2").unwrap() };
    let one = save(&mut a, 1, &[named.clone(), households].map(DocEdit::Commune));
    let two = save(&mut b, 2, &[named, status, to, link].map(DocEdit::Commune));
    let (both, _) = Document::fold(a.id(), &[one, two]).unwrap();
    let record = commune_record(&both);
    let (from, into) = (&record.hamlets[&key], &record.hamlets[&other]);
    assert_eq!((from.name.as_str(), from.households, from.status), ("Thôn Thử 1", Some(120), HamletStatus::Merged));
    assert_eq!((&from.successors, &into.predecessors), (&vec![other], &vec![key]));
    assert_eq!(both.conflicts(), []);

    let sign_off =
        CommuneEdit::SignOff { date: Some(date("2022-09-07")), by: Some(Label::parse("UBND xã Thử").unwrap()) };
    save(&mut b, 2, &[DocEdit::Commune(sign_off)]);
    let record = commune_record(&b);
    assert_eq!(record.signed_off_on.as_deref(), Some("2022-09-07"));
    assert_eq!(record.signed_off_by.as_deref(), Some("UBND xã Thử"));
}

#[test]
fn a_long_chain_arrives_in_any_order() {
    let mut a = team();
    let mut chunks: Vec<_> = (0..300).map(|n| save(&mut a, 1, &[note(&format!("lần {n}"))])).collect();
    chunks.reverse();
    let mut b = team();
    for chunk in &chunks {
        b.apply(std::slice::from_ref(chunk));
    }
    assert_eq!((b.heads(), b.missing()), (a.heads(), vec![]));
    let (c, applied) = Document::fold(a.id(), &chunks).unwrap();
    assert_eq!((applied.applied, c.heads()), (300, a.heads()));
    let history = c.history();
    assert_eq!(history.len(), 300);
    assert_eq!(history[299].changes[0].1, "lần 299");
}

#[test]
fn a_refused_save_changes_nothing() {
    let mut a = team();
    save(&mut a, 1, &[note("một")]);
    let before = (a.heads(), a.read());
    let consent = DocEdit::Member(MemberEdit::Role(Role::Leader));
    assert!(matches!(a.edit(author(1), &[note("hai"), consent]), Err(EditError::WrongKind { .. })));
    let into = DocEdit::Team(TeamEdit::MergedInto(Some(a.id())));
    assert!(matches!(a.edit(author(1), &[note("hai"), into]), Err(EditError::IntoItself { .. })));
    let mut commune = commune();
    let many = (0..2_049).map(|n| {
        let key = format!("thôn {}", n + 1);
        DocEdit::Commune(CommuneEdit::HamletHouseholds { key, households: Some(1) })
    });
    let many: Vec<_> = many.collect();
    assert!(matches!(commune.edit(author(1), &many), Err(EditError::Change(_))));
    assert_eq!(commune.history(), []);
    assert!(commune.edit(author(1), &many[..2_000]).is_ok_and(|chunk| chunk.is_some()));
    assert_eq!((a.heads(), a.read()), before);
}

#[test]
fn the_next_save_of_an_actor_follows_those_that_came_back() {
    let mut a = team();
    let first = save(&mut a, 1, &[note("một")]);
    // The store was lost and filled again from the centre, in the same opening.
    let mut again = Document::fold(a.id(), &[first]).unwrap().0;
    assert_eq!(save(&mut again, 1, &[note("hai")]).facts().unwrap().seq, 2);
    let mut loaded = Document::from_snapshot(a.id(), &a.snapshot().unwrap()).unwrap();
    assert_eq!(save(&mut loaded, 1, &[note("hai")]).facts().unwrap().seq, 2);
}

#[test]
fn snapshots_are_whole_and_of_their_kind() {
    let mut a = team();
    let chunk = save(&mut a, 1, &[note("một")]);
    let waiting = save(&mut a.clone(), 1, &[note("hai")]);
    let mut b = team();
    b.apply(std::slice::from_ref(&waiting));
    let loaded = Document::from_snapshot(b.id(), &b.snapshot().unwrap()).unwrap();
    assert_eq!(loaded.waiting().count(), 0, "what waits is not in a snapshot");
    let snapshot = a.snapshot().unwrap();
    let mut loaded = Document::from_snapshot(a.id(), &snapshot).unwrap();
    assert!(loaded.contains(&chunk.hash()));
    assert_eq!(loaded.apply(&[waiting]).applied, 1);

    assert!(Document::from_snapshot(member().id(), &snapshot).is_err(), "another kind's genesis");
    assert!(Document::from_snapshot(a.id(), &[]).is_err());
    assert!(Document::from_snapshot(a.id(), chunk.bytes()).is_err());
    for length in 0..snapshot.len() {
        assert!(Document::from_snapshot(a.id(), &snapshot[..length]).is_err());
    }
    for at in 0..snapshot.len() {
        let mut mutated = snapshot.clone();
        mutated[at] ^= 0x11;
        assert!(Document::from_snapshot(a.id(), &mutated).is_err(), "byte {at}");
    }
    let too_large = vec![0; SNAPSHOT_BYTES_MAX + 1];
    assert!(matches!(Document::from_snapshot(a.id(), &too_large), Err(SnapshotError::TooLarge { .. })));
    assert!(matches!(Document::from_snapshot(a.id(), &too_large[1..]), Err(SnapshotError::Unverified { .. })));
}

/// A newer or hostile client's change: the scalars of an honest one replaced.
fn with_values(values: &[(&str, automerge::ScalarValue)]) -> Chunk {
    let mut expanded = save(&mut team(), 9, &[note("x")]).change().unwrap().decode();
    let op = expanded.operations[0].clone();
    expanded.operations = values
        .iter()
        .map(|(key, value)| {
            let mut op = op.clone();
            op.key = automerge::legacy::Key::Map((*key).into());
            op.action = automerge::legacy::OpType::Put(value.clone());
            op
        })
        .collect();
    Chunk::parse(automerge::Change::from(expanded).raw_bytes()).unwrap()
}

#[test]
fn values_that_no_edit_makes_are_left_out() {
    use automerge::ScalarValue;
    let longest = "a".repeat(crate::text::NOTE_BYTES_MAX);
    let (document, applied) = Document::fold(
        team().id(),
        &[with_values(&[
            ("status", "exploded".into()),
            ("level", ScalarValue::F64(1.5)),
            ("hamlet", ScalarValue::Int(7)),
            ("local_name", ScalarValue::Null),
            ("decision_date", "2022-09-7".into()),
            ("merged_into", ScalarValue::Bytes(member().id().as_bytes().to_vec())),
            ("households_covered", ScalarValue::Int(-1)),
            ("a_field_of_the_future", ScalarValue::Timestamp(5)),
            ("note", longest.as_str().into()),
        ])],
    )
    .unwrap();
    assert_eq!(applied.applied, 1);
    assert_eq!(document.read(), Record::Team(TeamRecord { note: Some(longest.clone()), ..TeamRecord::default() }));

    let (document, _) =
        Document::fold(team().id(), &[with_values(&[("note", format!("{longest}a").as_str().into())])]).unwrap();
    assert_eq!(team_record(&document).note, None, "one byte past the limit");
    let mut other = team();
    let mine = save(&mut other, 1, &[DocEdit::Team(TeamEdit::Level(crate::record::TeamLevel::Commune))]);
    let (document, _) = Document::fold(
        team().id(),
        &[mine, with_values(&[("level", "hamlet".into()), ("a_field_of_the_future", 1.into())])],
    )
    .unwrap();
    assert_eq!(document.conflicts().len(), 1);
}

#[test]
fn read_is_bounded() {
    let mut document = commune();
    let edit = |n: usize| {
        DocEdit::Commune(CommuneEdit::HamletHouseholds { key: format!("thôn {}", n + 1), households: Some(1) })
    };
    let first: Vec<_> = (0..crate::kind::HAMLETS_MAX - 1).map(edit).collect();
    save(&mut document, 1, &first);
    assert_eq!(commune_record(&document).hamlets.len(), crate::kind::HAMLETS_MAX - 1);
    for n in [crate::kind::HAMLETS_MAX - 1, crate::kind::HAMLETS_MAX] {
        save(&mut document, 1, &[edit(n)]);
        assert_eq!(commune_record(&document).hamlets.len(), crate::kind::HAMLETS_MAX);
    }
}

#[test]
fn kinds_read_as_their_own_record() {
    for kind in DocKind::ALL {
        let document = Document::new(DocId::new(kind, scope(), [1; 11])).unwrap();
        let is_own = match (kind, document.read()) {
            (DocKind::Commune, Record::Commune(record)) => record == CommuneRecord::default(),
            (DocKind::Team, Record::Team(record)) => record == TeamRecord::default(),
            (DocKind::Member, Record::Member(record)) => record == MemberRecord::default(),
            _ => false,
        };
        assert!(is_own);
        assert_eq!((document.history(), document.conflicts(), document.missing()), (vec![], vec![], vec![]));
    }
}
