//! A kind that exists only here, made by the macro that makes the real ones, in two versions: tomorrow's table has one line
//! more than today's. That line is all it takes.

#![allow(unreachable_pub, reason = "the macro makes public types, and here nobody outside needs them")]

use automerge::transaction::Transactable;
use automerge::{Automerge, ROOT, ReadDoc};

use super::part::{Entry, Fields};
use super::*;
use crate::document::value::scalar_text;
use crate::edit::Value;
use crate::text::{Date, Label, PlaceName};
use crate::unit::{UnitList, UnitRef};

macro_rules! visit_table {
    ($take:ident $($further:tt)*) => {
        $take! {
            /// A visit to a market.
            VisitKind "visit", genesis [["themes"], ["stalls", "report"]], record VisitRecord as Visit;
            /// A change to a visit.
            edit VisitEdit;
            fields {
                /// Where.
                market: Required<PlaceName> => Market(name), "Chợ", "Market";
                /// When.
                on: Option<Date> => On(date), "Ngày", "Day";
                /// What it was called in the plan.
                level: Always<TeamLevel> = TeamLevel::Commune => Level(level), "Cấp", "Level", by Officers;
                /// What was shown.
                themes: Set<Skill> => Theme[skill, present], "Chủ đề", "Themes";
                /// The stalls.
                stalls: Entries<ActivityId, StallRecord> |id| {
                    /// A stall.
                    StallRecord as Stall {
                        /// Whose.
                        owner: Option<Label> => StallOwner(owner), "Chủ gian", "Owner";
                    }
                    /// Customers.
                    counters Customers as customers => AddCustomers(more), at most REACHED_MAX {
                        /// All.
                        total = customers, "Lượt khách", "Customers";
                        /// Of them helped.
                        helped = customers_helped, "Trong đó được giúp", "Of them helped";
                    }
                };
                /// The report.
                report: Group<ReportRecord> {
                    /// The report of the visit.
                    ReportRecord as Report {
                        /// Sent on.
                        sent_on: Option<Date> => ReportSentOn(date), "Ngày gửi", "Sent on";
                    }
                };
                $($further)*
            }
            together {}
        }
    };
}

macro_rules! rules {
    () => {
        impl Rules for VisitKind {
            fn check(_: &VisitEdit, _: DocId) -> Result<(), EditError> {
                Ok(())
            }
        }

        impl Entry for StallRecord {
            fn of(_: &str) -> Self {
                Self::default()
            }
        }
    };
}

mod today {
    use super::*;
    visit_table!(kind);
    rules!();
}

mod tomorrow {
    use super::*;
    visit_table! {
        kind
        /// What the weather was like.
        weather: Option<Label> => Weather(text), "Thời tiết", "Weather";
    }
    rules!();
}

/// A field of tomorrow's table, and a value as a person types it.
const SAMPLES: [(&str, &str); 9] = [
    ("market", "Chợ Thử"),
    ("on", "7/9/2022"),
    ("level", "hamlet"),
    ("themes/SKILL", "có"),
    ("stalls/ID/owner", "Bà Thử"),
    ("stalls/ID/customers", "+5"),
    ("stalls/ID/customers_helped", "+2"),
    ("report/sent_on", "8/9/2022"),
    ("weather", "mưa"),
];

fn typed(listed: &str) -> String {
    listed.replace("ID", "0102030405060708").replace("SKILL", "safety")
}

fn parse<K: Kind>(field: &str, text: &str) -> Option<K::Edit> {
    K::Edit::parse(&Input { field, text }).unwrap()
}

/// Writes as a document's save does; counters begin with what is added.
fn save<E: Edit>(doc: &mut Automerge, edit: &E) {
    let mut transaction = doc.transaction();
    for write in edit.writes() {
        let map = write.map.map_or(ROOT, |map| transaction.get(ROOT, map).unwrap().unwrap().1);
        let value = match write.value {
            Value::Set(value) => value,
            Value::Add(more) => automerge::ScalarValue::counter(more),
        };
        transaction.put(&map, write.key.as_ref(), value).unwrap();
    }
    transaction.commit();
}

fn read<K: Kind>(doc: &Automerge) -> K::Record {
    let mut record = K::Record::default();
    let maps = K::GENESIS.iter().copied().flatten().copied();
    for map in std::iter::once(None).chain(maps.map(Some)) {
        let id = map.map_or(ROOT, |map| doc.get(ROOT, map).unwrap().unwrap().1);
        for item in doc.map_range(&id, ..) {
            record.show(map, &item.key, &item.value);
        }
    }
    record
}

#[test]
fn every_line_is_listed_with_its_names_parsed_written_and_read() {
    let listed: Vec<&str> = tomorrow::VisitKind::fields().iter().map(|field| field.path.as_str()).collect();
    assert_eq!(listed, SAMPLES.map(|(field, _)| field), "in the order of the table");
    for (field, (listed, text)) in tomorrow::VisitKind::fields().iter().zip(SAMPLES) {
        let path = typed(listed);
        let edit = parse::<tomorrow::VisitKind>(&path, text).unwrap_or_else(|| panic!("{path} is parsed"));
        assert_eq!(edit.check(), Ok(()), "{path}");
        let [write] = edit.writes().try_into().unwrap();
        assert_eq!(write.map.map_or(write.key.to_string(), |map| format!("{map}/{}", write.key)), path);
        assert!(field.is_at(write.map, &write.key), "{path}");
        assert!(!field.line.vi.is_empty() && !field.line.en.is_empty(), "{path}");
        let mut doc = tomorrow::VisitKind::genesis().doc.clone();
        save(&mut doc, &edit);
        assert_ne!(read::<tomorrow::VisitKind>(&doc), tomorrow::VisitRecord::default(), "{path} is read");
    }
}

/// The one line more: everything that a field does, and what older versions do with it.
#[test]
fn one_line_more_is_a_field_everywhere_and_harms_no_older_version() {
    type Tomorrow = tomorrow::VisitKind;
    type Today = today::VisitKind;
    let path = |field: &Field| field.path.clone();
    let known: Vec<String> = Today::fields().iter().map(path).collect();
    let further: Vec<&Field> = Tomorrow::fields().iter().filter(|field| !known.contains(&field.path)).collect();
    let [weather] = further.try_into().unwrap();
    assert_eq!((weather.path.as_str(), weather.line.vi, weather.line.en), ("weather", "Thời tiết", "Weather"));
    assert_eq!(weather.equal("MƯA"), weather.equal("mưa"));
    assert_eq!(tomorrow::VisitRecord::default().weather, None);
    assert_eq!(
        parse::<Tomorrow>("weather", "mưa"),
        Some(tomorrow::VisitEdit::Weather(Some(Label::parse("mưa").unwrap())))
    );
    assert_eq!(parse::<Tomorrow>("weather", " "), Some(tomorrow::VisitEdit::Weather(None)), "it can be cleared");
    assert!(Tomorrow::genesis().hashes == Today::genesis().hashes, "no new genesis");

    // Two phones save apart, one of each version, and merge both ways.
    let genesis = &Tomorrow::genesis().doc;
    let (mut new, mut old) = (genesis.fork(), genesis.fork());
    save(&mut new, &parse::<Tomorrow>("weather", "mưa").unwrap());
    save(&mut old, &parse::<Today>("market", "Chợ Thử").unwrap());
    let before = new.clone();
    new.merge(&mut old).unwrap();
    old.merge(&mut before.clone()).unwrap();
    for doc in [&new, &old] {
        let record = read::<Tomorrow>(doc);
        assert_eq!((record.weather.as_deref(), record.market.as_deref()), (Some("mưa"), Some("Chợ Thử")));
        let record = read::<Today>(doc);
        assert_eq!(record, today::VisitRecord { market: Some("Chợ Thử".to_owned()), ..today::VisitRecord::default() });
    }
    assert_eq!(parse::<Today>("weather", "mưa"), None, "today's version does not write what it does not know");
    let mut seen = Vec::new();
    let record = read::<Tomorrow>(&new);
    record.each(At::ROOT, &mut |value| seen.push((value.path(), value.is, value.text.into_owned())));
    assert!(seen.contains(&("weather".to_owned(), Is::Text, "mưa".to_owned())), "findings and search go through it");
}

#[test]
fn counters_and_entries_merge_field_by_field() {
    type Visit = tomorrow::VisitKind;
    let (mut a, mut b) = (Visit::genesis().doc.fork(), Visit::genesis().doc.fork());
    save(&mut a, &parse::<Visit>("stalls/0102030405060708/owner", "Bà Thử").unwrap());
    save(&mut b, &parse::<Visit>("stalls/0102030405060708/customers", "+5").unwrap());
    a.merge(&mut b).unwrap();
    let stall = tomorrow::StallRecord { owner: Some("Bà Thử".to_owned()), customers: 5, customers_helped: 0 };
    assert_eq!(read::<Visit>(&a).stalls, [("0102030405060708".to_owned(), stall)].into());
}

#[test]
fn every_limit_of_a_line_is_kept() {
    use tomorrow::{Customers, VisitEdit};
    let add = |total| VisitEdit::AddCustomers { id: ActivityId([1; 8]), more: Customers { total, helped: 0 } };
    assert_eq!((add(REACHED_MAX).check(), add(-REACHED_MAX).check()), (Ok(()), Ok(())));
    let wrong = add(REACHED_MAX + 1).check().unwrap_err();
    assert!(matches!(wrong, EditError::Number { field, .. } if field == "stalls/0101010101010101/customers"));
    assert_eq!(add(1).must_exist(), Some(ActivityId([1; 8])));
    assert_eq!(tomorrow::VisitKind::OFFICERS, ["level"]);
    let input = Input { field: "market", text: "" };
    assert_eq!(VisitEdit::parse(&input), Err(EditError::Required { field: "market".to_owned() }));
    let input = Input { field: "themes/none", text: "có" };
    assert!(matches!(VisitEdit::parse(&input), Err(EditError::Choice { field, .. }) if field == "themes/…"));
    assert_eq!(
        VisitEdit::Theme { skill: Skill::Safety, present: false }.writes().first().map(|write| {
            let Value::Set(value) = &write.value else { panic!("set") };
            scalar_text(value)
        }),
        Some("no".to_owned())
    );
}

#[test]
fn every_field_of_the_register_has_names_of_its_own() {
    let wordings: Vec<Wording> = field_wordings().collect();
    assert!(wordings.iter().all(|wording| !wording.vi.is_empty() && !wording.en.is_empty()));
    let told = |key: &str| wordings.iter().find(|wording| wording.key == key).map(|found| (found.vi, found.en));
    assert_eq!(told("field.member.zalo_oa_followed"), Some(("Theo dõi Zalo OA", "Follows the Zalo OA")));
    assert_eq!(told("field.commune.hamlets/NAME/households"), Some(("Số hộ", "Households")));
    for kind in DocKind::ALL {
        let mut names: Vec<_> = fields(kind).iter().map(|field| field.line.vi).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "two fields of a {} have one name", name(kind));
    }
    assert_eq!(officers_fields(DocKind::Commune), ["signed_off_on", "signed_off_by"]);
    assert!(officers_fields(DocKind::Team).is_empty() && officers_fields(DocKind::Member).is_empty());
    let scope = UnitRef::new(UnitList::L2022, "00001").unwrap();
    let merged = TeamEdit::MergedInto(Some(DocId::commune_team(scope, 0)));
    assert_eq!(merged.check(), Ok(()));
}
