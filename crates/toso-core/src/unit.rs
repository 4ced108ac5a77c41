//! Administrative units as the register names them: by (list, code).
//!
//! A code alone is not an identity: 3,315 commune codes live in both lists, 1,887 of them under another name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest unit code of either list, in digits (a commune's).
pub const UNIT_CODE_DIGITS_MAX: usize = 5;

/// A dated list of administrative units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitList {
    /// In force on 19/9/2022: 63 provinces, 705 districts, 10,599 communes.
    L2022,
    /// In force since 1/7/2025: 34 provinces, 3,321 communes, no districts.
    L2025,
}

impl UnitList {
    /// Every list, oldest first.
    pub const ALL: [Self; 2] = [Self::L2022, Self::L2025];

    /// The year that names the list.
    pub const fn year(self) -> u16 {
        match self {
            Self::L2022 => 2022,
            Self::L2025 => 2025,
        }
    }

    /// The list that a year names.
    pub const fn from_year(year: u16) -> Option<Self> {
        match year {
            2022 => Some(Self::L2022),
            2025 => Some(Self::L2025),
            _ => None,
        }
    }
}

impl fmt::Display for UnitList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.year().fmt(f)
    }
}

impl FromStr for UnitList {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        text.parse()
            .ok()
            .and_then(Self::from_year)
            .ok_or_else(|| UnitError::UnknownList(text.chars().take(16).collect()))
    }
}

impl Serialize for UnitList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.year())
    }
}

impl<'de> Deserialize<'de> for UnitList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let year = u16::deserialize(deserializer)?;
        Self::from_year(year).ok_or_else(|| serde::de::Error::custom(UnitError::UnknownList(year.to_string())))
    }
}

/// A unit's code within its list: 2 to 5 digits, leading zeros significant. `00` is the whole country.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitCode {
    digits: [u8; UNIT_CODE_DIGITS_MAX],
    len: u8,
}

impl UnitCode {
    /// The code of the whole country; neither list uses it for a unit.
    pub const COUNTRY: Self = Self { digits: [b'0', b'0', 0, 0, 0], len: 2 };

    /// The code as text.
    pub fn as_str(&self) -> &str {
        self.digits.get(..usize::from(self.len)).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default()
    }
}

impl fmt::Display for UnitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for UnitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl FromStr for UnitCode {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bytes = text.as_bytes();
        if !(2..=UNIT_CODE_DIGITS_MAX).contains(&bytes.len()) || !bytes.iter().all(u8::is_ascii_digit) {
            return Err(UnitError::MalformedCode(text.chars().take(16).collect()));
        }
        let mut digits = [0; UNIT_CODE_DIGITS_MAX];
        for (slot, byte) in digits.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        Ok(Self { digits, len: u8::try_from(bytes.len()).unwrap_or_default() })
    }
}

impl Serialize for UnitCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for UnitCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = UnitCode;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a unit code of 2 to 5 digits")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<UnitCode, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// A unit of one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitRef {
    /// The list that the code belongs to.
    pub list: UnitList,
    /// The code in that list.
    pub code: UnitCode,
}

/// Length of [`UnitRef::to_key`] in bytes: 2 of year, 6 of code.
pub const UNIT_KEY_BYTES: usize = 8;

impl UnitRef {
    /// The whole country under a list.
    pub const fn country(list: UnitList) -> Self {
        Self { list, code: UnitCode::COUNTRY }
    }

    /// Parses a code of a list.
    pub fn new(list: UnitList, code: &str) -> Result<Self, UnitError> {
        Ok(Self { list, code: code.parse()? })
    }

    /// A fixed-length key for storage that sorts by list, then code: year big-endian, code padded with zero bytes.
    pub fn to_key(self) -> [u8; UNIT_KEY_BYTES] {
        let mut key = [0; UNIT_KEY_BYTES];
        for (slot, byte) in key.iter_mut().zip(self.list.year().to_be_bytes().into_iter().chain(self.code.digits)) {
            *slot = byte;
        }
        key
    }

    /// Reads [`Self::to_key`] back.
    pub fn from_key(key: [u8; UNIT_KEY_BYTES]) -> Result<Self, UnitError> {
        let [y0, y1, code @ .., _] = key;
        let year = u16::from_be_bytes([y0, y1]);
        let list = UnitList::from_year(year).ok_or_else(|| UnitError::UnknownList(year.to_string()))?;
        let text: String = code.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
        Self::new(list, &text)
    }
}

impl fmt::Display for UnitRef {
    /// `2022/00001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.list, self.code)
    }
}

impl FromStr for UnitRef {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (list, code) =
            text.split_once('/').ok_or_else(|| UnitError::MalformedCode(text.chars().take(16).collect()))?;
        Self::new(list.parse()?, code)
    }
}

/// The unit that a document belongs to: a commune, or a district without communes (the five island districts of 2022).
///
/// A scope is metadata of store and log, set when a document is created; it is never content of the document.
pub type Scope = UnitRef;

/// Why a text does not name a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No list has this year.
    #[error("no unit list is called {0:?}; the lists are 2022 and 2025")]
    UnknownList(String),
    /// Not 2 to 5 digits.
    #[error("{0:?} is no unit code; a code has 2 (province), 3 (district) or 5 (commune) digits, leading zeros kept")]
    MalformedCode(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_survives_its_text_and_its_key() {
        for text in ["2022/01", "2022/318", "2022/00001", "2025/32239", "2025/00"] {
            let unit: UnitRef = text.parse().unwrap();
            assert_eq!(unit.to_string(), text);
            assert_eq!(UnitRef::from_key(unit.to_key()), Ok(unit));
        }
        assert_eq!(UnitRef::country(UnitList::L2025).to_string(), "2025/00");
    }

    #[test]
    fn keys_sort_by_list_then_code() {
        let keys: Vec<_> = ["2022/01", "2022/010", "2022/02", "2025/01"]
            .map(|text| text.parse::<UnitRef>().unwrap().to_key())
            .to_vec();
        assert!(keys.is_sorted());
    }

    #[test]
    fn what_is_no_code_is_said_so() {
        assert!(UnitRef::new(UnitList::L2022, "12345").is_ok(), "at the limit");
        for wrong in ["", "1", "123456", "12a", "１２", "-1", " 01"] {
            assert!(UnitRef::new(UnitList::L2022, wrong).is_err(), "{wrong:?}");
        }
        for wrong in ["2022", "2023/01", "/01", "2022/", "x/01"] {
            assert!(wrong.parse::<UnitRef>().is_err(), "{wrong:?}");
        }
    }
}
