//! One administrative unit.

use std::borrow::Cow;

use serde::Serialize;
use toso_core::unit::UnitRef;

use crate::kind::{Level, UnitKind};

/// A unit of one list, as the list writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unit {
    /// List and code.
    pub unit: UnitRef,
    /// The full official name with its kind word: `Phường Trúc Bạch`. NFC.
    pub name: Box<str>,
    /// What it is by law.
    pub kind: UnitKind,
    /// How wide it is.
    pub level: Level,
    /// The next wider unit; `None` only for the country.
    pub parent: Option<UnitRef>,
}

impl Unit {
    /// The name without its kind word: `Trúc Bạch`, `Hà Nội`; `1` for Phường 1.
    pub fn name_without_kind(&self) -> &str {
        self.name.strip_prefix(self.kind.word()).map_or(&*self.name, str::trim_start)
    }

    /// The name as officials shorten it in a list of its level: `Nam Định`, `TP Hà Nội`, `Trúc Bạch`.
    ///
    /// A central city keeps `TP`, as the dispatch writes it; a number keeps its kind (`Phường 1`), since alone it says
    /// nothing.
    pub fn short_name(&self) -> Cow<'_, str> {
        let bare = self.name_without_kind();
        if self.kind == UnitKind::CentralCity {
            Cow::Owned(format!("TP {bare}"))
        } else if bare.bytes().all(|byte| byte.is_ascii_digit()) {
            Cow::Borrowed(&self.name)
        } else {
            Cow::Borrowed(bare)
        }
    }
}
