//! A unit as one MessagePack integer of at most 5 bytes; 3 bytes for every commune of both lists.
//!
//! List and code as text would cost 10 bytes. Instead: a code of 5 digits is its number, codes of 4, 3 and 2 digits
//! come behind those (from 100,000, 110,000 and 111,000), and the list of 2025 counts downwards from −1. So commune
//! `2022/00001` is 1, commune `2025/00001` is −2, province `2022/01` is 111,001. Communes get the small numbers because
//! they travel most.

use toso_core::unit::{UnitList, UnitRef};

/// Where codes of 5, 4, 3 and 2 digits begin.
const RANGES: [(u32, usize, i64); 4] = [(100_000, 5, 0), (10_000, 4, 100_000), (1_000, 3, 110_000), (100, 2, 111_000)];

/// The number of a unit.
pub(super) fn number(unit: UnitRef) -> i64 {
    let code = unit.code.as_str();
    let first = RANGES.iter().find(|(_, digits, _)| *digits == code.len()).map_or(0, |(_, _, first)| *first);
    let number = first + code.bytes().fold(0, |value, digit| value * 10 + i64::from(digit.wrapping_sub(b'0')));
    match unit.list {
        UnitList::L2025 => -1 - number,
        // A list added later needs numbers of its own here; the round-trip test over `UnitList::ALL` fails until then.
        UnitList::L2022 => number,
    }
}

/// The unit of a number.
pub(super) fn unit(number: i64) -> Option<UnitRef> {
    let (list, number) =
        if number < 0 { (UnitList::L2025, number.checked_neg()? - 1) } else { (UnitList::L2022, number) };
    RANGES.iter().find_map(|(count, digits, first)| {
        let value = number.checked_sub(*first).filter(|value| (0..i64::from(*count)).contains(value))?;
        UnitRef::new(list, &format!("{value:0digits$}")).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_every_list_survives() {
        for list in UnitList::ALL {
            for (count, digits, _) in RANGES {
                for value in 0..count {
                    let original = UnitRef::new(list, &format!("{value:0digits$}")).unwrap();
                    assert_eq!(unit(number(original)), Some(original));
                }
            }
        }
    }

    #[test]
    fn numbers_outside_the_ranges_name_no_unit() {
        for number in [111_100, -111_101, i64::MAX, i64::MIN] {
            assert_eq!(unit(number), None);
        }
        assert_eq!(unit(111_099), Some(UnitRef::new(UnitList::L2022, "99").unwrap()));
        assert_eq!(unit(-111_100), Some(UnitRef::new(UnitList::L2025, "99").unwrap()));
    }

    #[test]
    fn communes_take_three_bytes() {
        for unit in ["2022/32248", "2025/32248"] {
            let mut out = Vec::new();
            rmp::encode::write_sint(&mut out, number(unit.parse().unwrap())).unwrap();
            assert_eq!(out.len(), 3, "{unit}");
        }
    }
}
