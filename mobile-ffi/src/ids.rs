//! Ids and units as an app passes them.

use toso_core::id::DocId;
use toso_core::unit::UnitRef;

use crate::error::TosoError;

/// Reads an id.
pub(crate) fn doc_id(text: &str) -> Result<DocId, TosoError> {
    // The text is not quoted: an app that mixes up two fields may have passed a name.
    let detail = "this is not an id; pass one as the lists give it";
    text.parse().map_err(|_| TosoError::invalid("id", "edit.id", &detail))
}

/// Reads a unit, `2025/00004`.
pub(crate) fn unit(text: &str) -> Result<UnitRef, TosoError> {
    let detail = "this is not a unit; pass one as the lists give it, like 2025/00004";
    text.parse().map_err(|_| TosoError::invalid("unit", "edit.unit", &detail))
}
