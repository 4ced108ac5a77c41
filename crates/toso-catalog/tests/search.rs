//! Search by name, against real names.

#![allow(clippy::unwrap_used, reason = "a test helper that panics is a failed test")]

use proptest::prelude::*;
use toso_catalog::{Catalog, Hit, Level, Match, Tier};
use toso_core::unit::UnitList::{self, L2022, L2025};
use toso_core::unit::UnitRef;

fn search(list: UnitList, text: &str) -> Vec<Hit> {
    Catalog::shared().search(list, text, 10)
}

fn first(list: UnitList, text: &str) -> String {
    let hits = search(list, text);
    Catalog::shared().display_path(hits.first().unwrap_or_else(|| panic!("{text:?} finds nothing")).unit)
}

fn rank(list: UnitList, text: &str) -> (Tier, Match) {
    let hit = *search(list, text).first().unwrap();
    (hit.rank.tier, hit.rank.position)
}

#[test]
fn a_name_is_found_however_it_is_typed() {
    for text in [
        "truc bach",
        "Trúc Bạch",
        "TRÚC BẠCH",
        "phường trúc bạch",
        "phuong truc bach",
        "p. truc bach",
        "  trúc   bạch ",
    ] {
        assert_eq!(first(L2022, text), "Phường Trúc Bạch, Quận Ba Đình, Thành phố Hà Nội", "{text:?}");
    }
    // Decomposed, as some keyboards send it.
    assert_eq!(first(L2022, "Tru\u{301}c Ba\u{323}ch"), "Phường Trúc Bạch, Quận Ba Đình, Thành phố Hà Nội");
}

#[test]
fn marks_decide_how_good_a_fit_is() {
    assert_eq!(rank(L2022, "Trúc Bạch"), (Tier::Exact, Match::Whole));
    assert_eq!(rank(L2022, "Trúc Bách"), (Tier::ToneInsensitive, Match::Whole));
    assert_eq!(rank(L2022, "truc bach"), (Tier::ToneInsensitive, Match::Whole), "it has no other marks");
    assert_eq!(rank(L2022, "ha noi"), (Tier::Folded, Match::Whole));
    assert_eq!(rank(L2022, "trúc bạc"), (Tier::Exact, Match::Prefix));
    assert_eq!(rank(L2022, "vũng tàu, bà rịa"), (Tier::Exact, Match::Whole), "the city in the province");
}

/// Who types no marks means none in particular, so `quang nam` is the province before the commune Hòa Quang Nam, the only
/// one that really has those letters.
#[test]
fn unmarked_text_prefers_whole_names() {
    assert_eq!(first(L2022, "quang nam"), "Tỉnh Quảng Nam");
    let hits = Catalog::shared().search(L2022, "lang", 20_000);
    let whole = hits.iter().rposition(|hit| hit.rank.position == Match::Whole).unwrap();
    let part = hits.iter().position(|hit| hit.rank.position != Match::Whole).unwrap();
    assert!(whole < part && hits.len() > 20);
    // With marks, the letters as typed come first.
    assert_eq!(rank(L2022, "hòa quang n"), (Tier::Exact, Match::Prefix));
}

#[test]
fn wider_units_come_first_among_equals() {
    let names: Vec<_> =
        search(L2022, "ba ria").iter().map(|hit| &*Catalog::shared().get(hit.unit).unwrap().name).collect();
    assert_eq!(names.first(), Some(&"Thành phố Bà Rịa"), "the whole name before a longer one");
    assert!(names.contains(&"Tỉnh Bà Rịa - Vũng Tàu"));
    assert_eq!(first(L2025, "ba ria"), "Phường Bà Rịa, Thành phố Hồ Chí Minh");
    assert_eq!(first(L2022, "bà rịa vũng tàu"), "Tỉnh Bà Rịa - Vũng Tàu");
    assert_eq!(first(L2022, "ha noi"), "Thành phố Hà Nội");
    assert_eq!(first(L2022, "cao bang"), "Tỉnh Cao Bằng");
}

#[test]
fn numbered_wards() {
    let catalog = Catalog::shared();
    let hits = catalog.search(L2022, "Phường 1", 1_000);
    let whole: Vec<_> = hits.iter().take_while(|hit| hit.rank.position == Match::Whole).collect();
    assert_eq!(whole.len(), 34, "as many as the data file has of both spellings");
    for hit in &whole {
        let name = &*catalog.get(hit.unit).unwrap().name;
        assert!(name == "Phường 1" || name == "Phường 01", "{name}");
    }
    assert!(whole.iter().any(|hit| &*catalog.get(hit.unit).unwrap().name == "Phường 01"));
    assert_eq!(first(L2022, "p1, q3, tphcm"), first(L2022, "Phường 1, Quận 3, Thành phố Hồ Chí Minh"));
    assert_eq!(first(L2022, "q1"), "Quận 1, Thành phố Hồ Chí Minh");
}

#[test]
fn abbreviations() {
    for text in ["tp hcm", "TP. Hồ Chí Minh", "hcm", "tphcm", "TPHCM", "ho chi minh"] {
        assert_eq!(first(L2022, text), "Thành phố Hồ Chí Minh", "{text:?}");
    }
    assert_eq!(first(L2022, "tx son tay"), "Thị xã Sơn Tây, Thành phố Hà Nội");
}

#[test]
fn namesakes_are_told_apart_by_wider_units() {
    let catalog = Catalog::shared();
    let namesakes = catalog.search(L2022, "Xã Tân An", 1_000);
    let whole = namesakes.iter().filter(|hit| hit.rank.position == Match::Whole).count();
    assert!(whole > 5);
    let paths: std::collections::HashSet<_> = namesakes.iter().map(|hit| catalog.display_path(hit.unit)).collect();
    assert_eq!(paths.len(), namesakes.len(), "no two look alike");
    assert_eq!(first(L2022, "tân an, long an"), "Thành phố Tân An, Tỉnh Long An");
    assert_eq!(first(L2022, "xa tan an, thanh ha, hai duong"), "Xã Tân An, Huyện Thanh Hà, Tỉnh Hải Dương");
    assert_eq!(first(L2022, "truc bach ba dinh"), "Phường Trúc Bạch, Quận Ba Đình, Thành phố Hà Nội");
    assert_eq!(rank(L2022, "truc bach ba dinh").1, Match::Path);
}

#[test]
fn apostrophes_do_not_matter() {
    for text in ["M'Đrắk", "m’đrắk", "mdrak", "huyen mdrak"] {
        assert_eq!(first(L2022, text), "Huyện M'Đrắk, Tỉnh Đắk Lắk", "{text:?}");
    }
}

#[test]
fn a_kind_word_alone_fits_worst() {
    let hits = Catalog::shared().search(L2022, "thị trấn", 20_000);
    assert!(hits.len() >= 614);
    assert!(hits.iter().filter(|hit| hit.rank.position == Match::Kind).count() >= 614);
    assert!(hits.last().unwrap().rank.position == Match::Kind);
    assert!(hits.is_sorted_by_key(|hit| hit.rank));
}

#[test]
fn nothing_fits_nothing() {
    for text in ["", "   ", ",", ", hà nội", "zzz", "😀", "\0", "trúc bạch, cà mau"] {
        assert!(search(L2022, text).is_empty(), "{text:?}");
    }
    assert!(Catalog::shared().search(L2022, "hà nội", 0).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every unit is found by its own path, first of all or among its exact equals.
    #[test]
    fn every_unit_is_found_by_its_path(
        unit in proptest::sample::select(
            UnitList::ALL.iter().flat_map(|list| Catalog::shared().units(*list)).map(|u| u.unit).collect::<Vec<UnitRef>>(),
        )
    ) {
        let catalog = Catalog::shared();
        let found = catalog.get(unit).unwrap();
        let hits = catalog.search(unit.list, &catalog.display_path(unit), 10);
        let hit = hits.iter().find(|hit| hit.unit == unit);
        prop_assert!(hit.is_some_and(|hit| hit.rank.tier == Tier::Exact && hit.rank.position == Match::Whole));
        prop_assert!(found.level == Level::Country || hits.len() <= 10);
    }

    /// No text breaks it, the limit holds, and the order is that of the ranks.
    #[test]
    fn any_text_is_answered(text in "\\PC{0,40}", limit in 0usize..50) {
        let hits = Catalog::shared().search(L2025, &text, limit);
        prop_assert!(hits.len() <= limit);
        prop_assert!(hits.is_sorted_by_key(|hit| hit.rank));
    }
}
