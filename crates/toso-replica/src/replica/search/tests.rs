//! What is found, in which order, and what is not.

use toso_core::edit::{DocEdit, MemberEdit, TeamEdit};
use toso_core::id::DocId;
use toso_core::text::{PersonName, Phone, PlaceName};

use super::super::Replica;
use super::super::tests::{draft, replica};
use super::{PHONE_DIGITS_MIN, Query, SEARCH_CHARS_MAX};

fn member(replica: &Replica, team: DocId, name: &str) -> DocId {
    replica.add_member(team, vec![MemberEdit::FullName(PersonName::parse(name).unwrap())]).unwrap()
}

fn names(replica: &Replica, text: &str) -> Vec<String> {
    replica.search(text, 50).unwrap().into_iter().map(|found| found.name).collect()
}

#[test]
fn marks_decide_only_when_they_are_typed() {
    let (_store, replica) = replica();
    let team = replica.add_team(draft("Xóm Hòa")).unwrap();
    for name in ["Lê Hoa", "Lê Hòa", "Lê Hoà Mẫu", "Lê Họa", "Phạm Thử"] {
        member(&replica, team, name);
    }
    assert_eq!(names(&replica, "hoa").len(), 5, "no marks: all, the hamlet's team too");
    assert_eq!(
        names(&replica, "hòa").first().unwrap(),
        "Lê Hòa",
        "with its marks, wherever the tone stands, comes first"
    );
    assert_eq!(names(&replica, "le hoa").first().unwrap(), "Lê Hoa", "the whole name before others");
    assert_eq!(names(&replica, "LÊ HỌA").first().unwrap(), "Lê Họa");
    assert_eq!(names(&replica, "hoa le").len(), 4, "words in any order");
    assert_eq!(names(&replica, "oa"), Vec::<String>::new(), "words are found by how they begin");
    for nothing in ["", "  ", ".", "'"] {
        assert!(names(&replica, nothing).is_empty(), "{nothing:?}");
    }
}

#[test]
fn better_places_come_first_and_the_limit_holds() {
    let (_store, replica) = replica();
    let team = replica.add_team(draft("Thôn 1")).unwrap();
    for name in ["Mẫu Thị An", "An", "An Thử", "Trần An Mẫu"] {
        member(&replica, team, name);
    }
    assert_eq!(names(&replica, "an"), ["An", "An Thử", "Mẫu Thị An", "Trần An Mẫu"]);
    assert_eq!(replica.search("an", 2).unwrap().len(), 2);
    assert_eq!(replica.search("an", 0).unwrap().len(), 0);
}

#[test]
fn phones_are_found_by_digits_as_people_type_them() {
    let (_store, replica) = replica();
    let team = replica.add_team(draft("Thôn 912")).unwrap();
    let id = member(&replica, team, "Nguyễn Văn Thử");
    let phone = Phone::parse("0912 000 001").unwrap();
    replica.edit(id, &[DocEdit::Member(MemberEdit::Phone(Some(phone)))]).unwrap();
    for text in ["0912000001", "0912 000 001", "0912.000", "+84912", "000001"] {
        assert_eq!(names(&replica, text), ["Nguyễn Văn Thử"], "{text}");
    }
    assert_eq!(names(&replica, "912"), ["Thôn 912", "Nguyễn Văn Thử"], "a name before a phone");
    let few = "9".repeat(PHONE_DIGITS_MIN - 1);
    assert!(!Query::new(&few).fits_phone("+84999999999"));
    assert!(Query::new(&"9".repeat(PHONE_DIGITS_MIN)).fits_phone("+84999999999"));
    assert!(names(&replica, "0912 thử").is_empty(), "digits and letters together are a name");
}

#[test]
fn what_another_record_stands_for_is_not_found() {
    let (_store, replica) = replica();
    let team = replica.add_team(draft("Thôn 1")).unwrap();
    let (kept, twin) = (member(&replica, team, "Lê Thử"), member(&replica, team, "Lê Thử"));
    replica.merge(twin, kept).unwrap();
    let found = replica.search("le thu", 50).unwrap();
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), [kept]);
    assert_eq!(found.first().unwrap().team, Some(team));
    let name = PlaceName::parse("Tổ Sáng").unwrap();
    replica.edit(team, &[DocEdit::Team(TeamEdit::LocalName(Some(name)))]).unwrap();
    assert_eq!(names(&replica, "to sang"), ["Tổ Sáng"], "by the name it goes by");
    assert_eq!(names(&replica, "thon 01"), ["Thôn 1"], "and by its hamlet");
}

#[test]
fn a_text_is_read_up_to_its_limit() {
    let at = "a".repeat(SEARCH_CHARS_MAX);
    assert_eq!(Query::new(&at).names, Query::new(&format!("{at}b")).names);
    let below = "a".repeat(SEARCH_CHARS_MAX - 1);
    assert_ne!(Query::new(&below).names, Query::new(&format!("{below}b")).names);
}
