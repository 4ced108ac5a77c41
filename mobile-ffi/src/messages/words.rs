//! The levels of units. The other words of the register, and the names of its fields, come from the tables of `toso-core`.

use super::Message;

const fn m(key: &'static str, vi: &'static str, en: &'static str) -> Message {
    Message { key, vi, en }
}

/// In the order of their enum.
pub(super) const UNIT_LEVELS: &[Message] = &[
    m("unit_level.country", "Cả nước", "Country"),
    m("unit_level.province", "Cấp tỉnh", "Province"),
    m("unit_level.district", "Cấp huyện", "District"),
    m("unit_level.commune", "Cấp xã", "Commune"),
];
