//! From one list to the other, against real units.

#![allow(clippy::unwrap_used, reason = "a test helper that panics is a failed test")]

use proptest::prelude::*;
use toso_catalog::{Catalog, CatalogError, Level, Quality, Translation};
use toso_core::unit::UnitList::{self, L2022, L2025};
use toso_core::unit::UnitRef;

fn old(code: &str) -> UnitRef {
    UnitRef::new(L2022, code).unwrap()
}

fn new(code: &str) -> UnitRef {
    UnitRef::new(L2025, code).unwrap()
}

#[test]
fn successors_come_default_first() {
    let catalog = Catalog::shared();
    let [only] = catalog.successors(old("00001")) else { panic!("Phúc Xá has one successor") };
    assert_eq!((only.from, only.to), (old("00001"), new("00097")));
    assert!(!only.partial && only.is_default && only.via.is_none() && only.quality == Quality::A);
    let [merged] = catalog.successors(old("00010")) else { panic!("Quán Thánh came by one way") };
    assert_eq!((merged.to, merged.via.unwrap().as_str(), merged.quality), (new("00004"), "00004", Quality::C));
    let split = catalog.successors(old("00007"));
    assert!(split.len() > 1 && split.iter().all(|line| line.partial));
    assert_eq!(split.iter().map(|line| line.is_default).collect::<Vec<_>>(), {
        let mut flags = vec![false; split.len()];
        *flags.first_mut().unwrap() = true;
        flags
    });
    assert!(catalog.successors(new("00004")).is_empty());
    assert!(catalog.successors(old("01")).is_empty());
}

#[test]
fn predecessors_come_defaults_first() {
    let catalog = Catalog::shared();
    let of: Vec<_> = catalog.predecessors(new("00004")).collect();
    assert_eq!(of.len(), 11);
    assert!(of.iter().is_sorted_by_key(|line| !line.is_default));
    assert_eq!(of.iter().filter(|line| line.is_default).count(), 5);
    assert_eq!(catalog.predecessors(old("00004")).count(), 0);
}

#[test]
fn yen_so_is_the_one_commune_without_a_default_predecessor() {
    let catalog = Catalog::shared();
    let orphans: Vec<_> = catalog
        .scopes_under(UnitRef::country(L2025))
        .iter()
        .filter(|scope| !catalog.predecessors(**scope).any(|line| line.is_default))
        .collect();
    assert_eq!(orphans, [&new("00340")]);
    assert_eq!(&*catalog.get(new("00340")).unwrap().name, "Phường Yên Sở");
    assert!(catalog.predecessors(new("00340")).all(|line| line.partial));
}

#[test]
fn island_districts_became_special_zones() {
    let catalog = Catalog::shared();
    for (district, zone) in [("318", "11948"), ("471", "19742"), ("498", "20333"), ("536", "21548"), ("755", "26732")] {
        assert_eq!(catalog.default_successor(old(district)), Some(new(zone)));
        assert_eq!(catalog.translate(new(zone), L2022).unwrap().unit(), Some(old(district)));
    }
}

#[test]
fn provinces() {
    let catalog = Catalog::shared();
    assert_eq!(catalog.default_successor(old("24")), Some(new("24")), "Bắc Giang is part of the new Bắc Ninh");
    assert_eq!(catalog.default_successor(old("27")), Some(new("24")), "and so is the old Bắc Ninh");
    assert_eq!(catalog.default_successor(old("15")), Some(new("15")), "Yên Bái's code went to the new Lào Cai");
    let of: Vec<_> = catalog.province_predecessors(new("79")).collect();
    assert_eq!(of, [old("77"), old("74"), old("79")], "Bà Rịa - Vũng Tàu, Bình Dương, Hồ Chí Minh");
    assert_eq!(catalog.province_predecessors(old("79")).count(), 0);
    assert_eq!(catalog.default_successor(UnitRef::country(L2022)), Some(UnitRef::country(L2025)));
    assert_eq!(catalog.default_successor(old("001")), None);
    assert_eq!(catalog.default_successor(new("01")), None);
}

#[test]
fn translations() {
    let catalog = Catalog::shared();
    let translate = |unit: UnitRef, to| catalog.translate(unit, to).unwrap();
    assert_eq!(translate(old("00001"), L2025), Translation::Exact(new("00097")));
    assert_eq!(translate(old("00001"), L2022), Translation::Exact(old("00001")));
    let Translation::Partial { default, others } = translate(old("00007"), L2025) else {
        panic!("Cống Vị was split")
    };
    assert_eq!((default, others.is_empty()), (new("00008"), false));
    let Translation::Ambiguous { candidates } = translate(new("00004"), L2022) else { panic!("Ba Đình was merged") };
    assert_eq!(candidates.len(), 11);
    assert!(candidates.iter().take(5).all(|scope| catalog.default_successor(*scope) == Some(new("00004"))));
    assert_eq!(translate(new("00004"), L2022).unit(), None);
    assert_eq!(translate(old("27"), L2025), Translation::Exact(new("24")));
    assert_eq!(translate(new("01"), L2022), Translation::Exact(old("01")));
    assert!(matches!(translate(new("79"), L2022), Translation::Ambiguous { candidates } if candidates.len() == 3));
    assert_eq!(translate(UnitRef::country(L2025), L2022), Translation::Exact(UnitRef::country(L2022)));
    let district = catalog.translate(old("001"), L2025).unwrap_err();
    assert_eq!(
        district.to_string(),
        "Quận Ba Đình (2022/001) has no counterpart in the 2025 list, which has no districts; ask for each of its communes"
    );
    assert!(matches!(catalog.translate(new("99999"), L2022), Err(CatalogError::UnknownUnit { .. })));
}

#[test]
fn rights_cross_the_lists_by_default_lineage() {
    let catalog = Catalog::shared();
    // Downwards in time: an officer of the new Ba Đình may still receive what was recorded under the old Trúc Bạch.
    assert!(catalog.covers(new("00004"), old("00004")));
    assert!(catalog.covers(new("01"), old("00004")) && catalog.covers(UnitRef::country(L2025), old("00004")));
    assert!(!catalog.covers(new("00008"), old("00004")));
    // Upwards: old Hà Nội covers the new commune; one of the merged wards does not.
    assert!(catalog.covers(old("01"), new("00004")));
    assert!(!catalog.covers(old("00004"), new("00004")));
    // The code is the same, the province is not.
    assert!(!catalog.covers(old("27"), new("07375")) && catalog.covers(old("24"), new("07375")));
    // Wider units: all below must be covered.
    assert!(catalog.covers(new("24"), old("24")) && catalog.covers(new("24"), old("27")));
    assert!(!catalog.covers(old("24"), new("24")));
    assert!(catalog.covers(new("01"), old("001")));
    // Nobody's default successor: only who has all its parts has it.
    assert!(catalog.covers(old("01"), new("00340")) && !catalog.covers(old("00340"), new("00340")));
    for unknown in [old("99999"), new("99999")] {
        assert!(!catalog.covers(UnitRef::country(L2022), unknown) && !catalog.covers(UnitRef::country(L2025), unknown));
        assert!(!catalog.covers(unknown, old("00004")) && !catalog.covers(unknown, new("00004")));
    }
}

/// 31582 was made of communes of two old provinces, so neither province alone has it; the new one does.
#[test]
fn one_commune_straddles_two_old_provinces() {
    let catalog = Catalog::shared();
    let straddling: Vec<_> = catalog
        .scopes_under(UnitRef::country(L2025))
        .iter()
        .filter(|scope| !catalog.provinces(L2022).any(|province| catalog.covers(province.unit, **scope)))
        .collect();
    assert_eq!(straddling, [&new("31582")]);
}

#[test]
fn scopes_of_all_lists() {
    let catalog = Catalog::shared();
    let trúc_bạch = catalog.scopes_under_all_lists(old("00004"));
    assert_eq!(trúc_bạch, [old("00004")]);
    let ba_đình = catalog.scopes_under_all_lists(new("00004"));
    assert_eq!((ba_đình.first(), ba_đình.len()), (Some(&new("00004")), 6));
    assert_eq!(catalog.scopes_under_all_lists(UnitRef::country(L2022)).len(), 10_604 + 3_321);
    assert_eq!(catalog.scopes_under_all_lists(UnitRef::country(L2025)).len(), 10_604 + 3_321);
    assert!(catalog.scopes_under_all_lists(old("99999")).is_empty());
}

/// For every wide unit and every scope of the other list: the list and the question agree.
#[test]
fn scopes_of_all_lists_agree_with_covers() {
    let catalog = Catalog::shared();
    for list in UnitList::ALL {
        let other = if list == L2022 { L2025 } else { L2022 };
        for province in catalog.provinces(list) {
            let listed = catalog.scopes_under_all_lists(province.unit);
            let expected: Vec<_> = catalog
                .scopes_under(province.unit)
                .iter()
                .chain(catalog.scopes_under(UnitRef::country(other)))
                .copied()
                .filter(|scope| catalog.covers(province.unit, *scope))
                .collect();
            assert_eq!(listed, expected, "{}", province.name);
        }
    }
}

fn any_unit() -> impl Strategy<Value = UnitRef> {
    let units = UnitList::ALL.iter().flat_map(|list| Catalog::shared().units(*list));
    proptest::sample::select(units.map(|unit| unit.unit).collect::<Vec<_>>())
}

proptest! {
    /// A right never grows by going down the tree, and what lies in a covered unit is covered.
    #[test]
    fn covering_respects_the_tree(a in any_unit(), b in any_unit()) {
        let catalog = Catalog::shared();
        for above in catalog.ancestors(a) {
            prop_assert!(!catalog.covers(a, b) || catalog.covers(above.unit, b));
        }
        for inner in catalog.scopes_under(b).iter().take(200) {
            prop_assert!(!catalog.covers(a, b) || catalog.covers(a, *inner));
        }
        for list in UnitList::ALL {
            prop_assert!(catalog.covers(UnitRef::country(list), b));
        }
    }

    /// Lines of descent are the same read from either end, and stay within the province's own descent.
    #[test]
    fn lineage_reads_the_same_from_both_ends(unit in any_unit()) {
        let catalog = Catalog::shared();
        for line in catalog.successors(unit) {
            prop_assert!(catalog.predecessors(line.to).any(|back| back == line));
            let province = catalog.province_of(line.to).map(|province| province.unit);
            prop_assert_eq!(catalog.province_of(unit).and_then(|old| catalog.default_successor(old.unit)), province);
        }
        for line in catalog.predecessors(unit) {
            prop_assert!(catalog.successors(line.from).contains(line));
        }
        if unit.list == L2022 && catalog.get(unit).is_some_and(|unit| unit.level == Level::Commune) {
            prop_assert!(catalog.default_successor(unit).is_some());
        }
    }
}
