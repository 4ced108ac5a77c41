//! When two values of a field are one.
//!
//! The register itself says that "Thôn 01" and "thôn 1" are one hamlet, and +84912000001 is the number that somebody typed
//! as 0912 000 001. Devices that wrote such values apart do not disagree: there is nothing for a person to settle, and the
//! value that every replica shows (the later one, in the order on which all agree) stands.
//!
//! Each field has the equality of what it means, by the type of its value ([`crate::kind::value`]). Keys are computed where they are asked for and never stored.

use automerge::{ScalarValue, Value};

use super::value;
use crate::id::DocKind;
use crate::kind;
use crate::text::canonical;

/// Values of a field with equal keys are one value.
pub(super) fn key(kind: DocKind, map: Option<&str>, key: &str, scalar: &ScalarValue) -> String {
    let field = kind::field(kind, map, key);
    let text = value::scalar_text(scalar);
    match scalar {
        ScalarValue::Str(_) => format!("text {}", field.map_or_else(|| canonical(&text), |field| field.equal(&text))),
        ScalarValue::Int(_) | ScalarValue::Uint(_) | ScalarValue::Counter(_) => format!("number {text}"),
        ScalarValue::Bytes(_) => format!("id {text}"),
        // Not in the set, and taken out of it, are one.
        ScalarValue::Boolean(false) if field.is_some_and(kind::Field::is_set) => String::new(),
        ScalarValue::Boolean(_) => text,
        ScalarValue::Null => String::new(),
        // No edit makes these; they are read as nothing, but are not cleared fields.
        ScalarValue::F64(_) | ScalarValue::Timestamp(_) | ScalarValue::Unknown { .. } => "unknown".to_owned(),
    }
}

/// The key of a value that may be a map, which no edit makes.
pub(super) fn value_key(kind: DocKind, map: Option<&str>, field: &str, value: &Value<'_>) -> String {
    match value {
        Value::Scalar(scalar) => key(kind, map, field, scalar),
        Value::Object(_) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Author, Document};
    use crate::edit::DocEdit;
    use crate::id::{Actor, DeviceId, DocId};
    use crate::record::Record;
    use crate::time::TimestampMs;
    use crate::unit::{UnitList, UnitRef};

    fn author(device: u8) -> Author {
        Author { actor: Actor::new(DeviceId([device; 16]), [7; 8]), at: TimestampMs(1_662_508_800_000) }
    }

    fn team() -> Document {
        Document::new(DocId::commune_team(UnitRef::new(UnitList::L2022, "00001").unwrap(), 0)).unwrap()
    }

    /// What two and more devices, which do not know of each other, write into one field; each phone takes the others'
    /// changes in another order.
    fn apart(field: &str, values: &[&str]) -> Vec<Document> {
        let mut phones: Vec<Document> = values.iter().map(|_| team()).collect();
        let edit = |value: &str| DocEdit::parse(DocKind::Team, field, value).unwrap();
        let chunks: Vec<_> = phones
            .iter_mut()
            .zip(values)
            .zip(1..)
            .map(|((phone, value), device)| phone.edit(author(device), &[edit(value)]).unwrap().unwrap())
            .collect();
        for (turn, phone) in phones.iter_mut().enumerate() {
            let mut order = chunks.clone();
            order.rotate_left(turn);
            for chunk in order {
                phone.apply(&[chunk]);
            }
        }
        phones
    }

    fn hamlet(document: &Document) -> Option<String> {
        let Record::Team(team) = document.read() else { panic!("a team") };
        team.hamlet
    }

    /// The story: the register gave "Thôn 01" and "thôn 1" one document, and asked on every phone which of the two it was.
    #[test]
    fn two_spellings_of_one_hamlet_are_nothing_to_settle() {
        let phones = apart("hamlet", &["Thôn 01", "thôn 1", "THÔN\u{A0}1"]);
        for phone in &phones {
            assert_eq!(phone.conflicts(), []);
            assert_eq!(hamlet(phone), hamlet(phones.first().unwrap()), "every phone shows the same spelling");
        }
        assert_eq!(hamlet(phones.first().unwrap()).as_deref(), Some("THÔN 1"), "the later one");
    }

    #[test]
    fn of_a_clash_each_value_is_listed_once_by_its_later_spelling() {
        for phone in apart("hamlet", &["Thôn 01", "thôn 1", "Thôn 2", "Thôn 02"]) {
            let [conflict] = phone.conflicts().try_into().unwrap();
            let values: Vec<_> = conflict.values.iter().map(|value| (value.value.as_str(), value.shown)).collect();
            assert_eq!(values, [("Thôn 02", true), ("thôn 1", false)]);
        }
    }

    #[test]
    fn each_field_has_the_equality_of_what_it_means() {
        let same = |kind, map, field, a: &str, b: &str| {
            let key_of = |text: &str| key(kind, map, field, &text.into());
            key_of(a) == key_of(b)
        };
        let (team, member, commune) = (DocKind::Team, DocKind::Member, DocKind::Commune);
        for (kind, map, field, a, b) in [
            (team, None, "hamlet", "Bản Pa\u{FF0D}Tần", "bản pa tần"),
            (team, None, "local_name", "Tổ 05", "tổ 5"),
            (commune, Some("hamlets"), "thôn 1/name", "Thôn 01", "thôn 1"),
            (team, None, "decision_number", "03/QĐ-UBND", "3/qđ \u{2013} ubnd"),
            (team, None, "decision_body", "UBND xã Hòa Bình", "UBND Xã Hoà  Bình"),
            (team, None, "decision_date", "2022-09-05", "5/9/2022"),
            (team, Some("activities"), "0000000000000001/date", "2022-09-05", "05.9.2022"),
            (team, None, "zalo_link", "https://zalo.me/g/Ab", "HTTPS://Zalo.me/g/Ab/"),
            (team, None, "note", "một\nhai", "một\r\n hai"),
            (member, None, "full_name", "Nguyễn Thị Hòa", "NGUYỄN THỊ HOÀ"),
            (member, None, "full_name", "Y-Thử", "Y\u{2011}Thử"),
            (member, None, "phone", "+84912000001", "0912 000 001"),
            (member, None, "phone", "+84381234567", "0168 123 4567"),
            (member, Some("consent"), "date", "2022-09-05", "5/9/2022"),
        ] {
            assert!(same(kind, map, field, a, b), "{field}: {a} = {b}");
        }
        for (kind, map, field, a, b) in [
            (team, None, "hamlet", "Thôn 1", "Bản 1"),
            (team, None, "local_name", "Tổ Hoa", "Tổ Hòa"),
            (team, None, "decision_number", "103/QĐ-UBND", "13/QĐ-UBND"),
            (team, None, "zalo_link", "https://zalo.me/g/Ab", "https://zalo.me/g/aB"),
            (team, None, "note", "một", "Một"),
            (member, None, "full_name", "Nguyễn Thị Hoa", "Nguyễn Thị Hòa"),
            (member, None, "phone", "+84912000001", "+84912000002"),
            (member, Some("consent"), "text_version", "1.1", "1.01"),
            (member, None, "joined_on", "2022-09-05", "2022-05-09"),
        ] {
            assert!(!same(kind, map, field, a, b), "{field}: {a} ≠ {b}");
        }
        let scalar = |map, field, scalar: ScalarValue| key(team, map, field, &scalar);
        let skill = "0000000000000001/skills/safety";
        assert_eq!(
            scalar(Some("activities"), skill, false.into()),
            scalar(Some("activities"), skill, ScalarValue::Null)
        );
        assert_ne!(
            scalar(Some("activities"), skill, true.into()),
            scalar(Some("activities"), skill, ScalarValue::Null)
        );
        assert_ne!(scalar(None, "note", "5".into()), scalar(None, "note", ScalarValue::Int(5)));
        assert_eq!(
            scalar(None, "households_covered", ScalarValue::Uint(5)),
            scalar(None, "households_covered", ScalarValue::Int(5))
        );
        assert_ne!(scalar(None, "note", ScalarValue::Null), scalar(None, "note", "x".into()), "cleared and set differ");
    }
}
