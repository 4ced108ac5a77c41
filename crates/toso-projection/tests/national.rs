//! The picture of the dispatch at its true size: 48,538 teams and 225,417 members in the provinces that had them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of a test may panic")]

use std::sync::{LazyLock, Mutex, PoisonError};

use toso_catalog::Catalog;
use toso_catalog::dispatch::{self, DispatchStatus};
use toso_core::id::{DocId, Sequence};
use toso_core::record::TeamLevel;
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitList, UnitRef};
use toso_projection::{MemberRow, Projector, Query, Report, Row, Status, TeamRow, render};

/// Communes that have teams: all of a complete province, all but every seventh (at least one) of an incomplete one.
fn communes() -> Vec<UnitRef> {
    let catalog = Catalog::shared();
    let mut communes = Vec::new();
    for province in catalog.dispatch_provinces() {
        let all = catalog.communes_under(province.unit);
        match province.status {
            DispatchStatus::None => {}
            DispatchStatus::Incomplete => {
                communes.extend(all.enumerate().filter(|(place, _)| place % 7 != 0).map(|(_, unit)| unit));
            }
            DispatchStatus::Complete => communes.extend(all),
        }
    }
    communes
}

/// Built once for all tests of the file; they only ask.
static NATIONAL: LazyLock<Mutex<Projector>> = LazyLock::new(|| Mutex::new(national()));

fn national() -> Projector {
    let communes = communes();
    let (teams_total, members_total) = (dispatch::TEAMS_TOTAL as usize, dispatch::MEMBERS_TOTAL as usize);
    let mut projector = Projector::new(Catalog::shared());
    let mut teams = Vec::with_capacity(teams_total);
    for number in 0..teams_total {
        let scope = communes[number % communes.len()];
        let doc = DocId::hamlet_team(scope, &format!("thôn {}", number / communes.len()), 0);
        projector.apply(scope, doc, Row::Team(TeamRow::active(TeamLevel::Hamlet)));
        teams.push((scope, doc));
    }
    for number in 0..members_total {
        let (scope, team) = teams[number % teams.len()];
        let mut random = [0; 11];
        random[..8].copy_from_slice(&(number as u64).to_be_bytes());
        projector.apply(scope, DocId::member(scope, random), Row::Member(MemberRow::of_team(team)));
    }
    projector.advance(Sequence((teams_total + members_total) as u64), TimestampMs(1_662_534_000_000));
    projector
}

fn ask(projector: &mut Projector, list: UnitList) -> Report {
    projector.report(&Query { list, unit: None }, TimestampMs(0)).unwrap()
}

#[test]
fn the_dispatch_comes_out() {
    let catalog = Catalog::shared();
    let mut projector = NATIONAL.lock().unwrap_or_else(PoisonError::into_inner);
    let report = ask(&mut projector, UnitList::L2022);
    assert_eq!((report.provinces_with_teams, report.provinces_total), (52, 63));
    assert_eq!((report.teams, report.members), (48_538, 225_417));
    assert_eq!((report.rows.len(), report.communes_total), (63, 10_599));
    assert_eq!((report.unplaced.teams, report.unplaced.members), (0, 0));

    for (status, got, len) in [
        (DispatchStatus::None, &report.provinces_without, 11),
        (DispatchStatus::Incomplete, &report.provinces_incomplete, 23),
    ] {
        let mut named: Vec<_> = catalog.dispatch_listed(status).iter().map(|province| province.unit.code).collect();
        let mut got: Vec<_> = got.iter().map(|unit| unit.code).collect();
        assert_eq!(got.len(), len);
        named.sort_unstable();
        got.sort_unstable();
        assert_eq!(got, named);
    }
    assert_eq!(report.rows.iter().filter(|row| row.status == Status::Complete).count(), 29);
    let names: Vec<_> = report.provinces_without.iter().map(|unit| unit.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Tỉnh Bạc Liêu",
            "Tỉnh Bình Dương",
            "Tỉnh Cao Bằng",
            "Thành phố Hà Nội",
            "Tỉnh Hà Tĩnh",
            "Tỉnh Hòa Bình",
            "Thành phố Hồ Chí Minh",
            "Tỉnh Khánh Hòa",
            "Tỉnh Kiên Giang",
            "Tỉnh Nam Định",
            "Tỉnh Quảng Ngãi",
        ]
    );

    let text = render::to_text(&report);
    for figure in [
        "52/63 tỉnh, thành phố đã có tổ",
        "48.538 tổ",
        "225.417 thành viên",
        "TP Hồ Chí Minh",
        "23 tỉnh, thành phố chưa",
    ] {
        assert!(text.contains(figure), "{figure} in {text}");
    }
}

#[test]
fn the_same_picture_under_2025_adds_up() {
    let mut projector = NATIONAL.lock().unwrap_or_else(PoisonError::into_inner);
    let report = ask(&mut projector, UnitList::L2025);
    assert_eq!((report.rows.len(), report.communes_total), (34, 3_321));
    assert_eq!((report.teams, report.members), (48_538, 225_417));
    assert_eq!(report.rows.iter().map(|row| row.teams).sum::<u64>(), 48_538);
    assert_eq!(report.rows.iter().map(|row| row.members).sum::<u64>(), 225_417);
    assert_eq!(report.rows.iter().map(|row| row.communes_with_teams).sum::<u64>(), report.communes_with_teams);

    // A new province has no team when none of its old ones has, and is complete when all of them were.
    let catalog = Catalog::shared();
    for row in &report.rows {
        let province = UnitRef { list: UnitList::L2025, code: row.code };
        let old: Vec<_> =
            catalog.province_predecessors(province).map(|old| catalog.dispatch_status(old).unwrap()).collect();
        assert_eq!(
            row.status == Status::None,
            old.iter().all(|status| *status == DispatchStatus::None),
            "{}",
            row.name
        );
        if old.iter().all(|status| *status == DispatchStatus::Complete) {
            // Island districts had no communes, so nobody missed a team there in 2022; in 2025 they are communes.
            let islands = catalog
                .communes_under(province)
                .filter(|new| catalog.predecessors(*new).all(|line| line.from.code.as_str().len() == 3));
            assert_eq!(row.communes_total - row.communes_with_teams, islands.count() as u64, "{}", row.name);
        }
    }

    for list in UnitList::ALL {
        for province in catalog.provinces(list) {
            let below = projector.report(&Query { list, unit: Some(province.unit.code) }, TimestampMs(0)).unwrap();
            assert_eq!(below.rows.iter().map(|row| row.teams).sum::<u64>(), below.teams, "{}", below.name);
            assert_eq!(below.provinces_total, 1);
        }
    }
}

#[test]
fn a_rebuild_of_the_country_gives_equal_views() {
    let mut projector = NATIONAL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut rebuilt = projector.rebuilt();
    assert_eq!(projector.first_difference(&mut rebuilt), None);
    assert_eq!(ask(&mut projector, UnitList::L2025), ask(&mut rebuilt, UnitList::L2025));
}
