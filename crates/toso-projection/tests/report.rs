//! The shape of the report, pinned. To renew a golden text after a change on purpose, print the left side and read it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of a test may panic")]

use toso_catalog::Catalog;
use toso_core::id::{DocId, Sequence};
use toso_core::record::{Affiliation, Course, CourseStatus, Role, TeamLevel};
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitCode, UnitList, UnitRef};
use toso_projection::{AsOf, MemberRow, Projector, Query, Report, Row, Status, TeamRow, render};

fn unit(text: &str) -> UnitRef {
    text.parse().unwrap()
}

/// Every commune of Ninh Thuận has a team of one leader; one commune of Hà Nội has two teams, one of them merged into
/// the other, with three members in all; one team stands in a commune of 2025 made of communes of several provinces.
fn situation() -> Projector {
    let catalog = Catalog::shared();
    let mut projector = Projector::new(catalog);
    for commune in catalog.communes_under(unit("2022/58")) {
        let team = DocId::commune_team(commune, 0);
        projector.apply(commune, team, Row::Team(TeamRow::active(TeamLevel::Commune)));
        let leader = MemberRow { role: Role::Leader, ..MemberRow::of_team(team) };
        projector.apply(commune, DocId::member(commune, [1; 11]), Row::Member(leader));
    }
    let hanoi = unit("2022/00004");
    let (one, two) = (DocId::hamlet_team(hanoi, "tổ 1", 0), DocId::hamlet_team(hanoi, "tổ 2", 0));
    projector.apply(hanoi, one, Row::Team(TeamRow { has_decision: true, ..TeamRow::active(TeamLevel::Hamlet) }));
    projector.apply(hanoi, two, Row::Team(TeamRow { merged_into: Some(one), ..TeamRow::active(TeamLevel::Hamlet) }));
    for (number, team) in [(1, one), (2, two), (3, two)] {
        let member = MemberRow {
            affiliations: [Affiliation::YouthUnion, Affiliation::Teacher].into_iter().collect(),
            courses: [(Course::Mooc, CourseStatus::Completed)].into_iter().collect(),
            union_member: number == 1,
            ..MemberRow::of_team(team)
        };
        projector.apply(hanoi, DocId::member(hanoi, [number; 11]), Row::Member(member));
    }
    let mixed = mixed();
    let team = DocId::commune_team(mixed, 0);
    projector.apply(mixed, team, Row::Team(TeamRow::active(TeamLevel::Commune)));
    projector.apply(mixed, DocId::member(mixed, [1; 11]), Row::Member(MemberRow::of_team(team)));
    projector.advance(Sequence(1234), TimestampMs(1_662_534_000_000));
    projector
}

/// The first commune of 2025 that communes of several provinces of 2022 went into whole.
fn mixed() -> UnitRef {
    let catalog = Catalog::shared();
    let province = |old| catalog.province_of(old).unwrap().unit;
    let mut new = catalog.communes_under(UnitRef::country(UnitList::L2025));
    new.find(|new| {
        let mut provinces = catalog.predecessors(*new).filter(|line| line.is_default).map(|line| province(line.from));
        let first = provinces.next();
        provinces.any(|other| Some(other) != first)
    })
    .unwrap()
}

fn ask(list: UnitList, unit: Option<&str>) -> Report {
    let unit = unit.map(|code| code.parse::<UnitCode>().unwrap());
    situation().report(&Query { list, unit }, TimestampMs(0)).unwrap()
}

#[test]
fn json_has_the_agreed_fields_first_and_in_order() {
    let report = ask(UnitList::L2022, None);
    let json = render::to_json(&report).unwrap();
    let top: Vec<_> = json.lines().filter(|line| line.starts_with("  \"")).collect();
    let keys: Vec<_> = top.iter().map(|line| line.trim().split('"').nth(1).unwrap()).collect();
    assert_eq!(
        keys[..10],
        [
            "list",
            "unit",
            "as_of",
            "provinces_total",
            "provinces_with_teams",
            "teams",
            "members",
            "provinces_without",
            "provinces_incomplete",
            "rows"
        ]
    );
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["list"], 2022);
    assert_eq!(value["unit"], "00");
    assert_eq!(value["as_of"], "2022-09-07T14:00:00+07:00");
    assert_eq!(value["as_of_sequence"], 1234);
    assert_eq!(value["provinces_total"], 63);
    assert_eq!(value["provinces_with_teams"], 2);
    assert_eq!(value["provinces_without"].as_array().unwrap().len(), 61);
    assert_eq!(value["provinces_incomplete"], serde_json::json!([{"code": "01", "name": "Thành phố Hà Nội"}]));
    assert_eq!(value["unplaced"], serde_json::json!({"teams": 1, "members": 1}));
    assert_eq!(value["affiliations"]["teacher"], 3);
    let hanoi = value["rows"].as_array().unwrap().iter().find(|row| row["code"] == "01").unwrap();
    let mut hanoi = hanoi.as_object().unwrap().clone();
    let details = hanoi.remove("details").unwrap();
    assert_eq!(
        serde_json::Value::Object(hanoi),
        serde_json::json!({
            "code": "01", "name": "Thành phố Hà Nội", "teams": 1, "members": 3,
            "communes_total": 579, "communes_with_teams": 1, "status": "incomplete"
        })
    );
    assert_eq!((&details["mooc_completed"], &details["union_members"]), (&3.into(), &1.into()));

    let read: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(read, report);
}

#[test]
fn before_anything_came_the_report_is_of_the_time_of_asking() {
    let asked_at = TimestampMs(1_662_534_000_000);
    let mut empty = Projector::new(Catalog::shared());
    let report = empty.report(&Query { list: UnitList::L2022, unit: None }, asked_at).unwrap();
    assert_eq!((report.as_of, report.status, report.provinces_with_teams), (AsOf(asked_at), Status::None, 0));
    assert_eq!(report.provinces_without.len(), 63);
}

#[test]
fn rows_are_the_units_right_below() {
    let province = ask(UnitList::L2022, Some("01"));
    assert!(province.rows.iter().all(|row| row.code.as_str().len() == 3));
    assert_eq!((province.provinces_total, province.provinces_with_teams), (1, 1));
    assert_eq!(province.provinces_incomplete.len(), 1);

    let district = ask(UnitList::L2022, Some("001"));
    assert_eq!(district.rows.iter().map(|row| row.teams).sum::<u64>(), 1);
    assert!(district.rows.iter().all(|row| row.code.as_str().len() == 5));

    let commune = ask(UnitList::L2022, Some("00004"));
    assert_eq!(commune.rows.len(), 1);
    assert_eq!((commune.rows[0].code, commune.rows[0].status), (commune.unit, Status::Complete));
    assert_eq!(commune.provinces_incomplete[0].name, "Thành phố Hà Nội", "the province it lies in, whole");

    let island = ask(UnitList::L2022, Some("318"));
    assert_eq!((island.rows.len(), island.communes_total, island.status), (1, 0, Status::None));

    let new_province = ask(UnitList::L2025, Some("01"));
    assert!(new_province.rows.iter().all(|row| row.code.as_str().len() == 5));
}

#[test]
fn an_island_district_without_communes_is_complete_with_one_team() {
    let island = unit("2022/318");
    let mut projector = Projector::new(Catalog::shared());
    let row = Row::Team(TeamRow::active(TeamLevel::Commune));
    projector.apply(island, DocId::commune_team(island, 0), row);
    let ask = |projector: &mut Projector, list, code: &str| {
        let unit = Some(code.parse().unwrap());
        projector.report(&Query { list, unit }, TimestampMs(0)).unwrap()
    };
    assert_eq!(ask(&mut projector, UnitList::L2022, "318").status, Status::Complete);
    let province = ask(&mut projector, UnitList::L2022, "31");
    assert_eq!((province.status, province.communes_with_teams), (Status::Incomplete, 0), "Hải Phòng has a team");
    let zone = ask(&mut projector, UnitList::L2025, "11948");
    assert_eq!((zone.status, zone.communes_with_teams, zone.teams), (Status::Complete, 1, 1));
}

#[test]
fn an_unknown_unit_is_an_error_that_helps() {
    let mut projector = situation();
    let query = Query { list: UnitList::L2022, unit: Some("99999".parse().unwrap()) };
    let error = projector.report(&query, TimestampMs(0)).unwrap_err().to_string();
    assert!(error.contains("99999"), "{error}");
    assert!(projector.totals(unit("2025/99999")).is_err());
}

#[test]
fn csv_adds_up_and_keeps_zeros() {
    let report = ask(UnitList::L2022, None);
    let csv = render::to_plain_csv(&report).unwrap();
    let lines: Vec<_> = csv.split("\r\n").collect();
    assert!(
        lines[0].starts_with("code,name,teams,members,communes_total,communes_with_teams,status,teams_of_communes,")
    );
    assert!(lines.iter().any(|line| line.starts_with("01,Thành phố Hà Nội,1,3,579,1,incomplete,0,1,1,")), "{csv}");
    // 63 rows, the header, what is unplaced, and the empty end.
    assert_eq!(lines.len(), 63 + 3);
    let sum: u64 = lines[1..65].iter().map(|line| line.split(',').nth(2).unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(sum, report.teams);
    let people = render::to_csv(&report).unwrap();
    assert!(people.starts_with("\u{feff}code,name,"));
    assert!(people.contains("\r\n\"=\"\"01\"\"\",Thành phố Hà Nội,1,3,"), "{people}");
    let rows = |text: &str| text.split("\r\n").count();
    assert_eq!(rows(&people), lines.len());
}

#[test]
fn a_file_of_the_table_is_called_by_what_is_in_it() {
    let (plain, full) = render::csv_file_names(&ask(UnitList::L2022, Some("001")));
    assert_eq!(plain, "to-cong-nghe-so-2022-001-2022-09-07.csv");
    assert_eq!(full, "tổ-công-nghệ-số-2022-001-Quận-Ba-Đình-2022-09-07.csv");
    assert!(plain.is_ascii());
}

#[test]
fn text_of_a_district() {
    let text = render::to_text(&ask(UnitList::L2022, Some("001")));
    assert_eq!(text, include_str!("golden/district.txt"), "\n{text}");
}

/// A report in a terminal of 80 columns was broken in the middle of its words.
#[test]
fn no_line_is_wider_than_a_terminal() {
    for (list, unit) in [(UnitList::L2022, None), (UnitList::L2025, None), (UnitList::L2022, Some("001"))] {
        for line in render::to_text(&ask(list, unit)).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn text_of_the_country_under_both_lists() {
    let text = render::to_text(&ask(UnitList::L2022, None));
    assert_eq!(text, include_str!("golden/country-2022.txt"), "\n{text}");
    let text = render::to_text(&ask(UnitList::L2025, None));
    assert_eq!(text, include_str!("golden/country-2025.txt"), "\n{text}");
}
