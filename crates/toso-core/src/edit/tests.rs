//! Every field as a person types it, and every rule at its limit and one past it.

use super::*;
use crate::document::{Author, Document};
use crate::id::{Actor, DeviceId, DocId};
use crate::record::{ActivityKind, Affiliation, Course, HamletStatus, Role};
use crate::text::{Date, PlaceName, TextError};
use crate::time::TimestampMs;
use crate::unit::{UnitList, UnitRef};

const ACTIVITY: &str = "activities/0102030405060708";

fn scope() -> UnitRef {
    UnitRef::new(UnitList::L2022, "00001").unwrap()
}

fn id(kind: DocKind, n: u8) -> DocId {
    DocId::new(kind, scope(), [n; 11])
}

fn team(field: &str, text: &str) -> Result<DocEdit, EditError> {
    DocEdit::parse(DocKind::Team, field, text)
}

fn member(field: &str, text: &str) -> Result<DocEdit, EditError> {
    DocEdit::parse(DocKind::Member, field, text)
}

fn commune(field: &str, text: &str) -> Result<DocEdit, EditError> {
    DocEdit::parse(DocKind::Commune, field, text)
}

/// A value that each field of the lists takes.
fn sample(field: &str) -> String {
    let last = field.rsplit('/').next().unwrap_or_default();
    match last {
        "signed_off_on" | "decision_date" | "established_on" | "joined_on" | "left_on" | "date" | "withdrawn_on" => {
            "7/9/2022".to_owned()
        }
        "level" => "commune".to_owned(),
        "kind" if field.starts_with("activities") => "meeting".to_owned(),
        "kind" | "hamlet_kind" => "thon".to_owned(),
        "status" if field.starts_with("hamlets") => "merged".to_owned(),
        "status" => "planned".to_owned(),
        "households" | "households_covered" => "120".to_owned(),
        "decision_number" => "103/QĐ-UBND".to_owned(),
        "zalo_link" => "https://zalo.me/g/thu".to_owned(),
        "team" => id(DocKind::Team, 2).to_string(),
        "merged_into" => "?".to_owned(),
        "full_name" => "Nguyễn Văn Thử".to_owned(),
        "birth_year" => "1990".to_owned(),
        "gender" => "female".to_owned(),
        "phone" => "0912 000 001".to_owned(),
        "role" => "leader".to_owned(),
        "mooc" => "completed".to_owned(),
        "method" => "paper".to_owned(),
        "union_member" | "zalo_oa_followed" | "police" | "safety" | "OTHER" => "có".to_owned(),
        _ if last.starts_with("reached") => "+5".to_owned(),
        _ => "Thử 1".to_owned(),
    }
}

/// Each listed field parses, is a field, and what it writes is shown by the history under the same path.
#[test]
fn every_listed_field_is_read_and_written_under_its_path() {
    for kind in DocKind::ALL {
        for listed in DocEdit::fields(kind) {
            let field = listed
                .replace("NAME", "thử 1")
                .replace("OTHER", "thử 2")
                .replace("activities/ID", ACTIVITY)
                .replace("SKILL", "safety")
                .replace("ORGANISATION", "police")
                .replace("COURSE", "mooc");
            let other = id(kind, 3).to_string();
            let text = if field == "merged_into" { other } else { sample(listed_sample(&field)) };
            let edit = DocEdit::parse(kind, &field, &text).unwrap_or_else(|error| panic!("{field}: {error}"));
            let (map, key) = field.split_once('/').map_or((None, field.as_str()), |(map, key)| (Some(map), key));
            assert!(crate::kind::field(kind, map, key).is_some(), "{field}");

            let mut document = Document::new(id(kind, 1)).unwrap();
            let author = Author { actor: Actor::new(DeviceId([1; 16]), [1; 8]), at: TimestampMs(0) };
            if kind == DocKind::Team {
                let activity = TeamEdit::AddActivity {
                    id: ActivityId([1, 2, 3, 4, 5, 6, 7, 8]),
                    date: Date::parse("1/9/2022").unwrap(),
                    kind: ActivityKind::Campaign,
                    skills: vec![],
                    reached: Reached::default(),
                };
                document.edit(author, &[DocEdit::Team(activity)]).unwrap();
            }
            let before = document.read();
            document.edit(author, &[edit]).unwrap().unwrap_or_else(|| panic!("{field} changes something"));
            assert_eq!(document.history().last().unwrap().changes[0].0, field);
            assert_ne!(document.read(), before, "{field} is read back");
        }
    }
}

/// The composite fields end in a name of the sample.
fn listed_sample(field: &str) -> &str {
    if field.contains("/successors/") { "OTHER" } else { field }
}

#[test]
fn unknown_fields_are_told_the_known_ones() {
    for field in ["", "nmae", "hamlets", "hamlets/", "hamlets/x", "activities/x/date", "activities/0102030405060708/x"]
    {
        for kind in DocKind::ALL {
            match DocEdit::parse(kind, field, "1") {
                Err(EditError::UnknownField { known, .. }) => {
                    assert!(known.contains("status") || kind == DocKind::Member);
                }
                other => panic!("{kind:?} {field}: {other:?}"),
            }
        }
    }
    let long = "x".repeat(10_000);
    assert!(team(&long, "1").unwrap_err().to_string().len() < 1_000);
    assert!(matches!(member("affiliations/nobody", "yes"), Err(EditError::Choice { .. })));
    assert!(matches!(member("courses/none", "completed"), Err(EditError::Choice { .. })));
}

#[test]
fn an_empty_value_clears_where_it_can() {
    assert_eq!(team("note", " "), Ok(DocEdit::Team(TeamEdit::Note(None))));
    assert_eq!(team("merged_into", ""), Ok(DocEdit::Team(TeamEdit::MergedInto(None))));
    assert_eq!(member("phone", ""), Ok(DocEdit::Member(MemberEdit::Phone(None))));
    assert_eq!(
        member("courses/mooc", ""),
        Ok(DocEdit::Member(MemberEdit::Course { course: Course::Mooc, status: None }))
    );
    let absent = MemberEdit::Affiliation { affiliation: Affiliation::Police, present: false };
    assert_eq!(member("affiliations/police", ""), Ok(DocEdit::Member(absent)));
    for required in ["full_name", "role", "consent/method", "consent/date", "consent/text_version"] {
        assert_eq!(member(required, ""), Err(EditError::Required { field: required.to_owned() }));
    }
    for required in ["level", "status"] {
        assert_eq!(team(required, ""), Err(EditError::Required { field: required.to_owned() }));
    }
}

#[test]
fn yes_and_no_are_read_in_both_languages() {
    for (text, expected) in
        [("yes", true), ("Có", true), ("TRUE", true), ("no", false), ("không", false), ("false", false)]
    {
        assert_eq!(
            member("union_member", text),
            Ok(DocEdit::Member(MemberEdit::UnionMember(Some(expected)))),
            "{text}"
        );
    }
    assert!(matches!(member("union_member", "maybe"), Err(EditError::Choice { .. })));
}

#[test]
fn a_hamlet_is_named_by_name_or_key() {
    let expected =
        Ok(DocEdit::Commune(CommuneEdit::HamletHouseholds { key: "thôn thử 1".to_owned(), households: Some(12) }));
    assert_eq!(commune("hamlets/Thôn Thử 01/households", "12"), expected);
    assert_eq!(commune("hamlets/thôn thử 1/households", " 12 "), expected);
    assert!(commune("hamlets/Khu phố 3/2/households", "12").is_ok(), "a name with a slash");
}

#[test]
fn numbers_have_limits() {
    let households = |n: u32| team("households_covered", &n.to_string());
    assert!(households(0).is_ok());
    assert!(households(HOUSEHOLDS_MAX).is_ok());
    assert!(matches!(households(HOUSEHOLDS_MAX + 1), Err(EditError::Number { .. })));
    for text in ["-1", "1.5", "một", "99999999999999999999"] {
        assert!(matches!(team("households_covered", text), Err(EditError::Number { .. })), "{text}");
    }
    let reached = |text: &str| team(&format!("{ACTIVITY}/reached"), text);
    assert!(reached(&format!("+{REACHED_MAX}")).is_ok());
    assert!(reached(&format!("-{REACHED_MAX}")).is_ok());
    assert!(matches!(reached(&format!("+{}", REACHED_MAX + 1)), Err(EditError::Number { .. })));
    assert!(matches!(reached("5"), Err(EditError::CounterIsAddedTo { .. })));
    assert!(matches!(reached(""), Err(EditError::CounterIsAddedTo { .. })));
}

#[test]
fn values_are_never_quoted() {
    for error in [
        member("phone", "0912 secret"),
        member("full_name", "secret 007"),
        member("birth_year", "secret"),
        member("team", "secret"),
        member("gender", "secret"),
        member("union_member", "secret"),
    ] {
        let error = error.unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn rules_beyond_types_are_checked() {
    let team_id = id(DocKind::Team, 1);
    let member_id = id(DocKind::Member, 1);
    let check_team = |edit| DocEdit::Team(edit).check(team_id);
    let check_member = |edit| DocEdit::Member(edit).check(member_id);
    assert!(matches!(check_team(TeamEdit::MergedInto(Some(team_id))), Err(EditError::IntoItself { .. })));
    assert!(matches!(check_team(TeamEdit::MergedInto(Some(member_id))), Err(EditError::Id { .. })));
    assert_eq!(check_team(TeamEdit::MergedInto(Some(id(DocKind::Team, 2)))), Ok(()));
    assert!(matches!(check_member(MemberEdit::MergedInto(Some(member_id))), Err(EditError::IntoItself { .. })));
    assert!(matches!(check_member(MemberEdit::Team(Some(member_id))), Err(EditError::Id { .. })));
    let year = |year| check_member(MemberEdit::BirthYear(Some(year)));
    assert_eq!((year(1900), year(2100)), (Ok(()), Ok(())));
    let wrong = Err(EditError::Value { field: "birth_year".to_owned(), error: TextError::BirthYear });
    assert_eq!((year(1899), year(2101)), (wrong.clone(), wrong));
    assert!(matches!(
        DocEdit::Member(MemberEdit::Role(Role::Leader)).check(team_id),
        Err(EditError::WrongKind { edit: "member", kind: "team", .. })
    ));
    assert_eq!(check_team(TeamEdit::HouseholdsCovered(Some(HOUSEHOLDS_MAX))), Ok(()));
    assert!(check_team(TeamEdit::HouseholdsCovered(Some(HOUSEHOLDS_MAX + 1))).is_err());
}

#[test]
fn people_reached_are_plausible() {
    let check = |total, women| {
        DocEdit::Team(TeamEdit::AddActivity {
            id: ActivityId([1; 8]),
            date: Date::parse("7/9/2022").unwrap(),
            kind: ActivityKind::Campaign,
            skills: vec![],
            reached: Reached { total, women, ..Reached::default() },
        })
        .check(id(DocKind::Team, 1))
    };
    assert_eq!(check(REACHED_MAX, REACHED_MAX), Ok(()));
    assert!(matches!(check(REACHED_MAX + 1, 0), Err(EditError::Number { .. })));
    assert!(matches!(check(-1, 0), Err(EditError::Number { .. })));
    assert!(matches!(check(5, 6), Err(EditError::PartLargerThanWhole { .. })));
}

#[test]
fn hamlet_keys_are_keys() {
    let scope = DocId::commune(scope());
    let check = |edit| DocEdit::Commune(edit).check(scope);
    let name = PlaceName::parse("Thôn Thử 1").unwrap();
    assert_eq!(check(CommuneEdit::HamletName { key: "thôn thử 1".to_owned(), name: name.clone() }), Ok(()));
    for key in ["thôn thử 2", "Thôn Thử 1", "", "thôn thử 1/kind"] {
        let renamed = check(CommuneEdit::HamletName { key: key.to_owned(), name: name.clone() });
        assert!(matches!(renamed, Err(EditError::OtherHamlet { .. })), "{key}");
    }
    for key in ["Thôn Thử 1", "", "thôn thử 1/kind"] {
        let status = check(CommuneEdit::HamletStatus { key: key.to_owned(), status: HamletStatus::Active });
        assert!(matches!(status, Err(EditError::OtherHamlet { .. })), "{key}");
    }
    let link = |successor: &str, present| {
        check(CommuneEdit::HamletSuccessor { key: "thử 1".to_owned(), successor: successor.to_owned(), present })
    };
    assert_eq!((link("thử 2", true), link("thử 1", false)), (Ok(()), Ok(())));
    assert!(matches!(link("thử 1", true), Err(EditError::IntoItself { .. })));
}
