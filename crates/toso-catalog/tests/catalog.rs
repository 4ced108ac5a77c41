//! Look-ups, the tree, and errors, against real units.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test helper that panics is a failed test")]

use proptest::prelude::*;
use toso_catalog::dispatch::{self, DispatchStatus};
use toso_catalog::{Catalog, CatalogError, Level, Suggestion, UnitKind};
use toso_core::text::Collator;
use toso_core::unit::UnitList::{self, L2022, L2025};
use toso_core::unit::UnitRef;

fn unit(list: UnitList, code: &str) -> UnitRef {
    UnitRef::new(list, code).unwrap()
}

fn name(list: UnitList, code: &str) -> &'static str {
    &Catalog::shared().get(unit(list, code)).unwrap().name
}

#[test]
fn a_code_means_another_unit_in_another_list() {
    assert_eq!((name(L2022, "00004"), name(L2025, "00004")), ("Phường Trúc Bạch", "Phường Ba Đình"));
    assert_eq!((name(L2022, "24"), name(L2025, "24")), ("Tỉnh Bắc Giang", "Tỉnh Bắc Ninh"));
    assert_eq!((name(L2022, "00"), name(L2025, "00")), ("Việt Nam", "Việt Nam"));
}

#[test]
fn kinds_and_levels() {
    let catalog = Catalog::shared();
    for (list, code, kind, level) in [
        (L2022, "00", UnitKind::Country, Level::Country),
        (L2022, "01", UnitKind::CentralCity, Level::Province),
        (L2022, "46", UnitKind::Province, Level::Province),
        (L2025, "46", UnitKind::CentralCity, Level::Province),
        (L2022, "001", UnitKind::UrbanDistrict, Level::District),
        (L2022, "748", UnitKind::ProvincialCity, Level::District),
        (L2022, "723", UnitKind::Town, Level::District),
        (L2022, "318", UnitKind::RuralDistrict, Level::District),
        (L2025, "11948", UnitKind::SpecialZone, Level::Commune),
        (L2022, "25432", UnitKind::Township, Level::Commune),
    ] {
        let found = catalog.get(unit(list, code)).unwrap();
        assert_eq!((found.kind, found.level), (kind, level), "{code}");
    }
    assert_eq!(catalog.get(UnitRef::country(L2022)).unwrap().parent, None);
    assert_eq!(catalog.get(unit(L2022, "01")).unwrap().parent, Some(UnitRef::country(L2022)));
}

#[test]
fn names_without_kind_and_short_names() {
    let catalog = Catalog::shared();
    for (code, bare, short) in [
        ("01", "Hà Nội", "TP Hà Nội"),
        ("79", "Hồ Chí Minh", "TP Hồ Chí Minh"),
        ("36", "Nam Định", "Nam Định"),
        ("748", "Bà Rịa", "Bà Rịa"),
        ("760", "1", "Quận 1"),
        ("00004", "Trúc Bạch", "Trúc Bạch"),
        ("00", "Việt Nam", "Việt Nam"),
    ] {
        let found = catalog.get(unit(L2022, code)).unwrap();
        assert_eq!((found.name_without_kind(), &*found.short_name()), (bare, short));
    }
}

#[test]
fn counts() {
    let catalog = Catalog::shared();
    let counts = |list, code| {
        let counts = catalog.counts_under(unit(list, code));
        (counts.provinces, counts.districts, counts.communes, counts.scopes)
    };
    assert_eq!(counts(L2022, "00"), (63, 705, 10_599, 10_604));
    assert_eq!(counts(L2025, "00"), (34, 0, 3_321, 3_321));
    assert_eq!(counts(L2022, "01"), (1, 30, 579, 579));
    assert_eq!(counts(L2022, "001"), (0, 1, 14, 14));
    assert_eq!(counts(L2022, "318"), (0, 1, 0, 1));
    assert_eq!(counts(L2022, "00004"), (0, 0, 1, 1));
    assert_eq!(counts(L2022, "99"), (0, 0, 0, 0));
    assert_eq!(catalog.units(L2022).count(), 1 + 63 + 705 + 10_599);
}

#[test]
fn provinces_stand_in_vietnamese_order() {
    let catalog = Catalog::shared();
    let names: Vec<_> = catalog.provinces(L2022).map(toso_catalog::Unit::name_without_kind).collect();
    assert_eq!(names.len(), 63);
    let at = |name: &str| names.iter().position(|other| *other == name).unwrap();
    assert_eq!(names.first(), Some(&"An Giang"));
    assert_eq!(names.last(), Some(&"Yên Bái"));
    for pair in [
        ("Cà Mau", "Cao Bằng"),
        ("Cao Bằng", "Cần Thơ"),
        ("Cần Thơ", "Đà Nẵng"),
        ("Đà Nẵng", "Đắk Lắk"),
        ("Điện Biên", "Đồng Nai"),
        ("Hà Giang", "Hà Nam"),
        ("Hà Nam", "Hà Nội"),
        ("Hòa Bình", "Hồ Chí Minh"),
        ("Hồ Chí Minh", "Hưng Yên"),
        ("Quảng Trị", "Sóc Trăng"),
    ] {
        assert!(at(pair.0) < at(pair.1), "{pair:?}");
    }
    let collator = Collator::new();
    assert!(names.is_sorted_by(|a, b| collator.compare(a, b).is_le()));
}

#[test]
fn numbered_wards_stand_in_order_of_number() {
    let names: Vec<_> = Catalog::shared().children(unit(L2022, "774")).map(|unit| &*unit.name).collect();
    let numbers: Vec<u32> = names.iter().map(|name| name.strip_prefix("Phường ").unwrap().parse().unwrap()).collect();
    assert!(numbers.len() > 9 && numbers.is_sorted(), "{names:?}");
}

#[test]
fn ancestors_and_paths() {
    let catalog = Catalog::shared();
    let names: Vec<_> = catalog.ancestors(unit(L2022, "00004")).map(|unit| &*unit.name).collect();
    assert_eq!(names, ["Quận Ba Đình", "Thành phố Hà Nội", "Việt Nam"]);
    assert_eq!(catalog.ancestors(UnitRef::country(L2025)).count(), 0);
    assert_eq!(catalog.ancestors(unit(L2022, "99999")).count(), 0);
    assert_eq!(catalog.province_of(unit(L2022, "00004")).unwrap().unit, unit(L2022, "01"));
    assert_eq!(catalog.province_of(unit(L2022, "01")).unwrap().unit, unit(L2022, "01"));
    assert_eq!(catalog.province_of(UnitRef::country(L2022)), None);
    assert_eq!(catalog.district_of(unit(L2022, "00004")).unwrap().unit, unit(L2022, "001"));
    assert_eq!(catalog.district_of(unit(L2025, "00004")), None);
    assert_eq!(catalog.display_path(unit(L2022, "00004")), "Phường Trúc Bạch, Quận Ba Đình, Thành phố Hà Nội");
    assert_eq!(catalog.display_path(unit(L2025, "00004")), "Phường Ba Đình, Thành phố Hà Nội");
    assert_eq!(catalog.display_path(UnitRef::country(L2025)), "Việt Nam");
    assert_eq!(catalog.display_path(unit(L2025, "99999")), "2025/99999");
}

#[test]
fn scopes_are_communes_and_five_island_districts() {
    let catalog = Catalog::shared();
    for code in ["318", "471", "498", "536", "755"] {
        let island = unit(L2022, code);
        assert!(catalog.is_scope(island) && catalog.lookup_scope(island).is_ok(), "{code}");
        assert_eq!(catalog.scopes_under(island), [island]);
        assert_eq!(catalog.communes_under(island).count(), 0);
    }
    assert!(catalog.is_scope(unit(L2022, "00004")) && catalog.is_scope(unit(L2025, "00004")));
    for wide in ["00", "01", "001", "99", "9999", "99999"] {
        assert!(!catalog.is_scope(unit(L2022, wide)), "{wide}");
    }
    assert_eq!(catalog.scopes_under(UnitRef::country(L2022)).len(), 10_604);
    assert_eq!(catalog.scopes_under(unit(L2022, "99999")), []);
    let error = catalog.lookup_scope(unit(L2022, "001")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Quận Ba Đình (2022/001) is no commune; documents belong to a commune, or to a district that has none"
    );
}

#[test]
fn unknown_units_come_with_a_suggestion() {
    let catalog = Catalog::shared();
    let error = |list, code| catalog.lookup(unit(list, code)).unwrap_err();
    assert_eq!(
        error(L2025, "00001").to_string(),
        "no unit of the 2025 list has code 00001; in the 2022 list it is Phường Phúc Xá, Quận Ba Đình, Thành phố Hà \
         Nội, which became 00097 Phường Hồng Hà, Thành phố Hà Nội"
    );
    assert_eq!(
        error(L2025, "001").to_string(),
        "no unit of the 2025 list has code 001; in the 2022 list it is Quận Ba Đình, Thành phố Hà Nội"
    );
    assert!(matches!(
        error(L2022, "7375"),
        CatalogError::UnknownUnit { suggestion: Suggestion::LeadingZero { unit: found, .. }, .. }
            if found == unit(L2022, "07375")
    ));
    assert_eq!(
        error(L2022, "99999").to_string(),
        "no unit of the 2022 list has code 99999; search by name for the right one"
    );
}

#[test]
fn dispatch_footnotes_in_their_order() {
    let catalog = Catalog::shared();
    let names = |status| {
        let listed = catalog.dispatch_listed(status);
        listed.iter().map(|p| catalog.get(p.unit).unwrap().short_name().into_owned()).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(
        names(DispatchStatus::None),
        "Nam Định, Cao Bằng, Hòa Bình, Hà Tĩnh, Khánh Hòa, Quảng Ngãi, Bình Dương, Bạc Liêu, Kiên Giang, TP Hà Nội, \
         TP Hồ Chí Minh"
    );
    assert_eq!(
        names(DispatchStatus::Incomplete),
        "Bà Rịa - Vũng Tàu, Bắc Kạn, Bình Định, Cà Mau, Đắk Lắk, Đắk Nông, Đồng Tháp, Hà Nam, Lâm Đồng, Lào Cai, Nghệ \
         An, Ninh Thuận, Phú Thọ, Phú Yên, Quảng Bình, Quảng Nam, Quảng Trị, Sóc Trăng, Tây Ninh, Thừa Thiên Huế, Tiền \
         Giang, Trà Vinh, Vĩnh Long"
    );
    assert_eq!(catalog.dispatch_listed(DispatchStatus::Complete).len(), 29);
    let total = usize::try_from(dispatch::PROVINCES_TOTAL).unwrap();
    assert_eq!(catalog.dispatch_provinces().len(), total);
    assert_eq!(total - 11, usize::try_from(dispatch::PROVINCES_WITH_TEAMS).unwrap());
    assert_eq!(catalog.dispatch_status(unit(L2022, "24")), Some(DispatchStatus::Complete));
    assert_eq!(catalog.dispatch_status(unit(L2025, "24")), None, "history stays with the units of then");
    assert_eq!(catalog.dispatch_status(unit(L2022, "001")), None);
}

#[test]
fn renames_are_notes_on_the_list_of_2025() {
    let catalog = Catalog::shared();
    assert_eq!(catalog.renames_since(L2022).count(), 0);
    assert_eq!(catalog.renames_since(L2025).count(), 25);
    let note = catalog.renames_since(L2025).find(|rename| rename.unit == unit(L2025, "75")).unwrap();
    assert_eq!((&*note.name, &*note.resolution, &*note.resolved), ("Thành phố Đồng Nai", "30/2026/QH16", "2026-04-24"));
    assert_eq!(name(L2025, "75"), "Tỉnh Đồng Nai", "the list itself stays as it was");
}

/// The preorder promise in full: each unit's slice of scopes is what a walk of its children finds.
#[test]
fn scope_slices_equal_a_walk_of_the_tree() {
    fn walk(catalog: &Catalog, here: UnitRef) -> Vec<UnitRef> {
        let mut below = catalog.children(here).peekable();
        if below.peek().is_none() {
            return vec![here];
        }
        below.flat_map(|child| walk(catalog, child.unit)).collect()
    }
    let catalog = Catalog::shared();
    for list in UnitList::ALL {
        for wide in catalog.units(list).filter(|unit| unit.level < Level::Commune) {
            let mut walked = walk(catalog, wide.unit);
            let mut slice = catalog.scopes_under(wide.unit).to_vec();
            walked.sort_unstable();
            slice.sort_unstable();
            assert_eq!(slice, walked, "{}", wide.name);
            assert!(catalog.children(wide.unit).all(|child| child.parent == Some(wide.unit)));
        }
    }
}

fn any_unit() -> impl Strategy<Value = UnitRef> {
    let all: Vec<UnitRef> =
        UnitList::ALL.iter().flat_map(|list| Catalog::shared().units(*list)).map(|unit| unit.unit).collect();
    prop_oneof![
        4 => proptest::sample::select(all.clone()),
        // Wide units are few, and interesting.
        2 => proptest::sample::select(all.into_iter().filter(|unit| unit.code.as_str().len() < 5).collect::<Vec<_>>()),
        1 => "[0-9]{2,5}".prop_map(|code| unit(L2022, &code)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn contains_means_same_or_above(a in any_unit(), b in any_unit()) {
        let catalog = Catalog::shared();
        let above = catalog.ancestors(b).any(|unit| unit.unit == a) || (a == b && catalog.get(a).is_some());
        prop_assert_eq!(catalog.contains(a, b), above);
        for ancestor in catalog.ancestors(b) {
            prop_assert!(catalog.contains(ancestor.unit, b));
        }
    }

    #[test]
    fn scopes_under_means_contained_scopes(a in any_unit(), b in any_unit()) {
        let catalog = Catalog::shared();
        let expected = catalog.is_scope(b) && catalog.contains(a, b);
        prop_assert_eq!(catalog.scopes_under(a).contains(&b), expected);
    }

    #[test]
    fn every_code_answers_or_explains(code in "[0-9]{2,5}") {
        for list in UnitList::ALL {
            let asked = unit(list, &code);
            match Catalog::shared().lookup(asked) {
                Ok(found) => prop_assert_eq!(found.unit, asked),
                Err(error) => prop_assert!(error.to_string().contains(&code)),
            }
        }
    }
}

/// [`Catalog::shared`] unpacks each part when it is asked for, and trusts this.
#[test]
fn every_embedded_part_is_whole() {
    let loaded = Catalog::load().expect("whole");
    assert_eq!(loaded.counts_under(UnitRef::country(UnitList::L2022)).communes, 10_599);
    assert_eq!(loaded.renames_since(UnitList::L2025).count(), Catalog::shared().renames_since(UnitList::L2025).count());
}
