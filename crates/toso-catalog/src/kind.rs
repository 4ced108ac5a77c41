//! What a unit is called in law, and how wide it is.

use serde::{Deserialize, Serialize};

/// How wide a unit is. Widest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Viet Nam.
    Country,
    /// Cấp tỉnh.
    Province,
    /// Cấp huyện; abolished on 1/7/2025.
    District,
    /// Cấp xã.
    Commune,
}

impl Level {
    /// The Vietnamese name of the level, as in `cấp xã`.
    pub const fn label_vi(self) -> &'static str {
        match self {
            Self::Country => "cả nước",
            Self::Province => "cấp tỉnh",
            Self::District => "cấp huyện",
            Self::Commune => "cấp xã",
        }
    }
}

/// The kind of a unit by law. Serialised as the data files write it (`thi_tran`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitKind {
    /// The whole country.
    #[serde(rename = "quoc_gia")]
    Country,
    /// Thành phố trực thuộc trung ương: a city of province rank.
    #[serde(rename = "thanh_pho_tw")]
    CentralCity,
    /// Tỉnh.
    #[serde(rename = "tinh")]
    Province,
    /// Thành phố of a province, of district rank.
    #[serde(rename = "thanh_pho")]
    ProvincialCity,
    /// Quận.
    #[serde(rename = "quan")]
    UrbanDistrict,
    /// Thị xã.
    #[serde(rename = "thi_xa")]
    Town,
    /// Huyện.
    #[serde(rename = "huyen")]
    RuralDistrict,
    /// Phường.
    #[serde(rename = "phuong")]
    Ward,
    /// Thị trấn.
    #[serde(rename = "thi_tran")]
    Township,
    /// Xã.
    #[serde(rename = "xa")]
    RuralCommune,
    /// Đặc khu: an island zone of commune rank, since 2025.
    #[serde(rename = "dac_khu")]
    SpecialZone,
}

impl UnitKind {
    /// Every kind, widest first.
    pub const ALL: [Self; 11] = [
        Self::Country,
        Self::CentralCity,
        Self::Province,
        Self::ProvincialCity,
        Self::UrbanDistrict,
        Self::Town,
        Self::RuralDistrict,
        Self::Ward,
        Self::Township,
        Self::RuralCommune,
        Self::SpecialZone,
    ];

    /// The name in data files and JSON: `thi_tran`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Country => "quoc_gia",
            Self::CentralCity => "thanh_pho_tw",
            Self::Province => "tinh",
            Self::ProvincialCity => "thanh_pho",
            Self::UrbanDistrict => "quan",
            Self::Town => "thi_xa",
            Self::RuralDistrict => "huyen",
            Self::Ward => "phuong",
            Self::Township => "thi_tran",
            Self::RuralCommune => "xa",
            Self::SpecialZone => "dac_khu",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == key)
    }

    /// The word that opens the names of this kind, `Thị trấn`; empty for the country, whose name has none.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Country => "",
            Self::CentralCity | Self::ProvincialCity => "Thành phố",
            Self::Province => "Tỉnh",
            Self::UrbanDistrict => "Quận",
            Self::Town => "Thị xã",
            Self::RuralDistrict => "Huyện",
            Self::Ward => "Phường",
            Self::Township => "Thị trấn",
            Self::RuralCommune => "Xã",
            Self::SpecialZone => "Đặc khu",
        }
    }

    /// The kind as running text, `thị trấn`.
    pub const fn label_vi(self) -> &'static str {
        match self {
            Self::Country => "quốc gia",
            Self::CentralCity => "thành phố trực thuộc trung ương",
            Self::Province => "tỉnh",
            Self::ProvincialCity => "thành phố",
            Self::UrbanDistrict => "quận",
            Self::Town => "thị xã",
            Self::RuralDistrict => "huyện",
            Self::Ward => "phường",
            Self::Township => "thị trấn",
            Self::RuralCommune => "xã",
            Self::SpecialZone => "đặc khu",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_are_distinct() {
        for kind in UnitKind::ALL {
            assert_eq!(UnitKind::from_key(kind.as_str()), Some(kind));
        }
        assert_eq!(UnitKind::from_key("tỉnh"), None);
    }

    #[test]
    fn levels_go_from_wide_to_narrow() {
        assert!(Level::Country < Level::Province && Level::Province < Level::District);
        assert!(Level::District < Level::Commune);
    }
}
