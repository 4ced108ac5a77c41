//! Documents, authors and edits for the tests of this folder.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers; not every test uses all"
)]

use toso_core::chunk::Chunk;
use toso_core::document::{Author, Document};
use toso_core::edit::DocEdit;
use toso_core::id::{Actor, DeviceId, DocId, DocKind};
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitList, UnitRef};

pub fn scope() -> UnitRef {
    UnitRef::new(UnitList::L2022, "00001").unwrap()
}

pub fn team() -> Document {
    Document::new(DocId::commune_team(scope(), 0)).unwrap()
}

pub fn author(device: u8) -> Author {
    Author { actor: Actor::new(DeviceId([device; 16]), [7; 8]), at: TimestampMs(1_662_508_800_000) }
}

/// A team's edit as a person types it.
pub fn edit(field: &str, value: &str) -> DocEdit {
    DocEdit::parse(DocKind::Team, field, value).unwrap()
}

/// One save of one field.
pub fn save(document: &mut Document, device: u8, field: &str, value: &str) -> Chunk {
    document.edit(author(device), &[edit(field, value)]).unwrap().expect("the edit changes something")
}
