//! The data files say what `data/README.md` says of them. Reads the CSV itself, not through the crate, so that a mistake
//! of the crate cannot hide one of the data.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test helper that panics is a failed test")]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

const UNITS_2022: &str = include_str!("../data/units-2022.csv");
const UNITS_2025: &str = include_str!("../data/units-2025.csv");
const LINEAGE: &str = include_str!("../data/map-2022-2025.csv");
const PROVINCES: &str = include_str!("../data/map-provinces.csv");
const DISPATCH: &str = include_str!("../data/dispatch-provinces.csv");
const CHANGES: &str = include_str!("../data/changes-2026.csv");
const ALL: [&str; 6] = [UNITS_2022, UNITS_2025, LINEAGE, PROVINCES, DISPATCH, CHANGES];

const ISLAND_DISTRICTS: [&str; 5] = ["318", "471", "498", "536", "755"];

fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines().skip(1).map(|line| line.split(',').collect()).collect()
}

struct Unit<'a> {
    name: &'a str,
    kind: &'a str,
    parent: &'a str,
    level: &'a str,
}

fn units(text: &str) -> BTreeMap<&str, Unit<'_>> {
    let rows = rows(text);
    let count = rows.len();
    let units: BTreeMap<_, _> = rows
        .into_iter()
        .map(|row| (row[0], Unit { name: row[1], kind: row[2], parent: row[3], level: row[4] }))
        .collect();
    assert_eq!(units.len(), count, "codes are unique");
    units
}

fn count(units: &BTreeMap<&str, Unit<'_>>, level: &str, kind: &str) -> usize {
    units.values().filter(|unit| unit.level == level && (kind.is_empty() || unit.kind == kind)).count()
}

fn childless<'a>(units: &BTreeMap<&'a str, Unit<'_>>) -> Vec<&'a str> {
    let parents: HashSet<_> = units.values().map(|unit| unit.parent).collect();
    let lowest = units.values().map(|unit| unit.level).max().unwrap();
    units
        .iter()
        .filter(|(code, unit)| unit.level != lowest && !parents.contains(*code))
        .map(|(code, _)| *code)
        .collect()
}

fn province<'a>(units: &BTreeMap<&'a str, Unit<'a>>, code: &'a str) -> &'a str {
    let unit = &units[code];
    if unit.level == "1" { code } else { province(units, unit.parent) }
}

fn names_and_parents_hold(units: &BTreeMap<&str, Unit<'_>>, widths: &[(&str, usize)]) {
    let words = HashMap::from([
        ("tinh", "Tỉnh"),
        ("thanh_pho_tw", "Thành phố"),
        ("quan", "Quận"),
        ("huyen", "Huyện"),
        ("thi_xa", "Thị xã"),
        ("thanh_pho", "Thành phố"),
        ("phuong", "Phường"),
        ("xa", "Xã"),
        ("thi_tran", "Thị trấn"),
        ("dac_khu", "Đặc khu"),
    ]);
    let mut siblings = HashSet::new();
    for (code, unit) in units {
        let width = widths.iter().find(|(level, _)| *level == unit.level).unwrap().1;
        assert!(code.len() == width && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
        let above = units.get(unit.parent).map_or(0, |parent| parent.level.parse::<u8>().unwrap());
        assert_eq!(above + 1, unit.level.parse::<u8>().unwrap(), "{code}'s parent is one level up");
        assert_eq!(unit.parent.is_empty(), unit.level == "1", "{code}");
        assert!(unit.name.starts_with(&format!("{} ", words[unit.kind])), "{code} {}", unit.name);
        assert!(siblings.insert((unit.parent, unit.name.to_lowercase())), "{code} {} has a namesake", unit.name);
        let plain = |c: char| c.is_alphanumeric() || " '().-".contains(c);
        assert!(unit.name.chars().all(plain), "{code} {}", unit.name);
        assert!(!unit.name.contains(['Ð', 'ð', 'Ɖ', 'ɖ']), "{code} has a look-alike of Đ");
    }
}

#[test]
fn files_are_plain_nfc_text() {
    for text in ALL {
        assert!(!text.starts_with('\u{feff}') && !text.contains('\r') && text.ends_with('\n'));
        assert!(!text.contains("  ") && !text.contains(['"', '\u{a0}', '’', '‘', '–', '—']));
        assert!(!text.contains(" ,") && !text.contains(", ") && !text.contains(" \n") && !text.contains("\n "));
        assert!(!text.chars().any(|c| ('\u{300}'..='\u{36f}').contains(&c)), "no combining marks: NFC");
    }
}

#[test]
fn list_of_2022() {
    let units = units(UNITS_2022);
    assert_eq!((count(&units, "1", ""), count(&units, "2", ""), count(&units, "3", "")), (63, 705, 10_599));
    assert_eq!((count(&units, "1", "thanh_pho_tw"), count(&units, "1", "tinh")), (5, 58));
    let communes = ["xa", "phuong", "thi_tran"].map(|kind| count(&units, "3", kind));
    assert_eq!(communes, [8_253, 1_732, 614]);
    names_and_parents_hold(&units, &[("1", 2), ("2", 3), ("3", 5)]);
    assert_eq!(childless(&units), ISLAND_DISTRICTS);
}

/// What resolutions in force by that day had changed, and what later ones had not yet.
#[test]
fn list_of_2022_is_of_19_september() {
    let units = units(UNITS_2022);
    for (code, name) in [
        ("172", "Thành phố Phổ Yên"),
        ("261", "Thành phố Từ Sơn"),
        ("07477", "Thị trấn Phương Sơn"),
        ("07870", "Thị trấn Bắc Lý"),
        ("697", "Huyện Chơn Thành"),
        ("25432", "Thị trấn Chơn Thành"),
        ("28471", "Xã Bình Phú"),
        ("259", "Huyện Quế Võ"),
        ("262", "Huyện Thuận Thành"),
        ("723", "Thị xã Tân Uyên"),
        ("890", "Huyện Tịnh Biên"),
        ("05764", "Thị trấn Quân Chu"),
        ("08725", "Xã Định Trung"),
    ] {
        assert_eq!(units[code].name, name);
    }
}

#[test]
fn list_of_2025() {
    let units = units(UNITS_2025);
    assert_eq!((count(&units, "1", ""), count(&units, "2", "")), (34, 3_321));
    assert_eq!((count(&units, "1", "thanh_pho_tw"), count(&units, "1", "tinh")), (6, 28));
    let communes = ["xa", "phuong", "dac_khu"].map(|kind| count(&units, "2", kind));
    assert_eq!(communes, [2_621, 687, 13]);
    names_and_parents_hold(&units, &[("1", 2), ("2", 5)]);
    assert!(childless(&units).is_empty());
}

#[test]
fn lineage_is_complete() {
    let (old, new) = (units(UNITS_2022), units(UNITS_2025));
    let rows = rows(LINEAGE);
    assert_eq!(rows.len(), 11_220);
    let mut by_old: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in &rows {
        by_old.entry(row[0]).or_default().push(row);
    }
    let scopes: BTreeSet<_> =
        old.iter().filter(|(_, unit)| unit.level == "3").map(|(code, _)| *code).chain(ISLAND_DISTRICTS).collect();
    assert_eq!(by_old.keys().copied().collect::<BTreeSet<_>>(), scopes);
    let communes: BTreeSet<_> = new.iter().filter(|(_, unit)| unit.level == "2").map(|(code, _)| *code).collect();
    assert_eq!(rows.iter().map(|row| row[1]).collect::<BTreeSet<_>>(), communes);
    assert_eq!(rows.iter().map(|row| (row[0], row[1])).collect::<HashSet<_>>().len(), rows.len(), "no pair twice");
    for (code, lines) in &by_old {
        assert_eq!(lines.iter().filter(|row| row[3] == "1").count(), 1, "{code} has one default");
        assert!(lines.iter().all(|row| (row[2] == "1") == (lines.len() > 1)), "{code} is partial when split");
        assert!(lines.iter().all(|row| row[5] == lines[0][5]), "{code} has one quality");
    }
    assert_eq!(by_old.values().filter(|lines| lines.len() > 1).count(), 519);
    let quality = |letter| by_old.values().filter(|lines| lines[0][5] == letter).count();
    assert_eq!(["A", "B", "C", "D"].map(quality), [9_703, 334, 518, 49]);
}

#[test]
fn communes_follow_their_province() {
    let (old, new) = (units(UNITS_2022), units(UNITS_2025));
    let provinces: HashMap<_, _> = rows(PROVINCES).into_iter().map(|row| (row[0], row[2])).collect();
    for row in rows(PROVINCES) {
        assert_eq!((old[row[0]].name, new[row[2]].name), (row[1], row[3]));
        assert_eq!((old[row[0]].level, new[row[2]].level), ("1", "1"));
    }
    assert_eq!(provinces.len(), 63);
    assert_eq!(provinces.values().collect::<HashSet<_>>().len(), 34);
    for row in rows(LINEAGE) {
        assert_eq!(new[row[1]].parent, provinces[province(&old, row[0])], "{} → {}", row[0], row[1]);
    }
}

#[test]
fn codes_are_not_identities() {
    let (old, new) = (units(UNITS_2022), units(UNITS_2025));
    let both: Vec<_> = old.iter().filter(|(code, _)| code.len() == 5 && new.contains_key(*code)).collect();
    assert_eq!(both.len(), 3_315);
    let bare = |unit: &Unit<'_>| {
        let words = ["Thị trấn ", "Phường ", "Xã ", "Đặc khu "];
        words.iter().find_map(|word| unit.name.strip_prefix(word)).unwrap().to_owned()
    };
    assert_eq!(both.iter().filter(|(code, unit)| bare(unit) != bare(&new[*code])).count(), 1_887);
}

#[test]
fn dispatch_and_changes_fit_the_lists() {
    let (old, new) = (units(UNITS_2022), units(UNITS_2025));
    let dispatch = rows(DISPATCH);
    assert_eq!(dispatch.len(), 63);
    let status = |status| dispatch.iter().filter(|row| row[2] == status).count();
    assert_eq!(["none", "incomplete", "complete"].map(status), [11, 23, 29]);
    for row in &dispatch {
        assert_eq!((old[row[0]].name, new[row[4]].name), (row[1], row[5]));
    }
    for (status, len) in [("none", 11), ("incomplete", 23)] {
        let orders: BTreeSet<usize> =
            dispatch.iter().filter(|row| row[2] == status).map(|row| row[3].parse().unwrap()).collect();
        assert_eq!(orders, (1..=len).collect());
    }
    assert_eq!(rows(CHANGES).len(), 25);
    for row in rows(CHANGES) {
        assert_eq!(new[row[0]].name, row[1]);
    }
}
