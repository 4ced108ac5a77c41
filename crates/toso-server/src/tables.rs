//! Every table of the server's records, named once, with what it is: **truth** or **derived**.
//!
//! A table of truth holds what was decided: who enrolled, who was revoked, what an officer ruled. Only commands change it,
//! which are entries of the log. A derived table holds what follows from the log's entries, so that it need not be computed
//! again; it may be lost at any moment, and is in no backup. No table is both, and the store refuses to mix them: what of
//! a decision is progress stands in a derived table beside it.

use toso_store::Holds;
use toso_store::records::ERASURES_TABLE;

/// A table of the server's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name in the store.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// What it is.
    pub what: &'static str,
}

/// The server's identity, its epoch, and marks of restores, starts and the admin token.
pub(crate) const SERVER_TABLE: &str = "server";
/// Enrolled devices.
pub(crate) const DEVICE_TABLE: &str = "devices";
/// Invites, open and used.
pub(crate) const INVITE_TABLE: &str = "invites";
/// How many devices have left each unit.
pub(crate) const DEPARTURE_TABLE: &str = "departures";
/// Changes that were brought back after a loss, and by which device.
pub(crate) const RETURNED_TABLE: &str = "returned";
/// Items of the review queue, open and decided.
pub(crate) const REVIEW_TABLE: &str = "review";
/// The changes of items that are not in the register.
pub(crate) const REVIEW_CHANGE_TABLE: &str = "review_changes";
/// The last decision that each author was told.
pub(crate) const REVIEW_TOLD_TABLE: &str = "review_told";
/// Decisions to set changes aside, and to let them in again.
pub(crate) const SET_ASIDE_TABLE: &str = "set_aside";
/// Import days that officers have allowed.
pub(crate) const ALLOWED_TABLE: &str = "quota_allowed";
/// The documents that each decision changes.
pub(crate) const SET_ASIDE_DOCS_TABLE: &str = "set_aside_docs";
/// The decisions that counting has followed.
pub(crate) const SET_ASIDE_FOLLOWED_TABLE: &str = "set_aside_followed";
/// What devices have written of their day's budget.
pub(crate) const QUOTA_TABLE: &str = "quota";
/// Blocks of rows.
pub(crate) const VIEW_TABLE: &str = "views";
/// How far the rows go.
pub(crate) const VIEW_HEAD_TABLE: &str = "views_head";
/// Chunks that could not be merged: kept in the log, left out of documents, for an operator to look at.
pub const QUARANTINE_TABLE: &str = "quarantine";

const fn truth(name: &'static str, what: &'static str) -> Table {
    Table { name, holds: Holds::Truth, what }
}

const fn derived(name: &'static str, what: &'static str) -> Table {
    Table { name, holds: Holds::Derived, what }
}

/// All tables.
pub const TABLES: [Table; 17] = [
    truth(
        SERVER_TABLE,
        "the server's identity, its epoch, and marks of restores, of the last start and of the admin token",
    ),
    truth(DEVICE_TABLE, "enrolled devices: key, unit, role, token, whether they are revoked"),
    truth(INVITE_TABLE, "invites, open, used and withdrawn"),
    truth(DEPARTURE_TABLE, "how many devices have left each unit"),
    truth(RETURNED_TABLE, "changes that were brought back after a loss, and by which device"),
    truth(REVIEW_TABLE, "items of the review queue, open and decided"),
    truth(REVIEW_CHANGE_TABLE, "the changes of those items that are not in the register"),
    truth(REVIEW_TOLD_TABLE, "the last decision that each author was told"),
    truth(SET_ASIDE_TABLE, "decisions to set changes aside, and to let them in again"),
    truth(ERASURES_TABLE, "documents that were erased: a record of it takes the bodies of what was there before"),
    truth(ALLOWED_TABLE, "import days that officers have allowed"),
    derived(SET_ASIDE_DOCS_TABLE, "the documents that each decision changes: a walk through the log finds them again"),
    derived(
        SET_ASIDE_FOLLOWED_TABLE,
        "the decisions that counting has followed: what is missing is followed once more",
    ),
    derived(QUOTA_TABLE, "what devices have written of their day's budget: a loss gives a day's share back"),
    derived(VIEW_TABLE, "blocks of rows: counted again from the log"),
    derived(VIEW_HEAD_TABLE, "how far the rows go"),
    derived(QUARANTINE_TABLE, "chunks that cannot be merged: merging finds them again"),
];

/// A table by its name; `None` for one of another version.
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use toso_store::records::RECORD_TABLE_BYTES_MAX;

    use super::*;

    #[test]
    fn every_table_is_named_once() {
        let names: HashSet<_> = TABLES.iter().map(|table| table.name).collect();
        assert_eq!(names.len(), TABLES.len());
        for Table { name, what, .. } in TABLES {
            assert!(name.len() <= RECORD_TABLE_BYTES_MAX && !what.is_empty(), "{name}");
        }
    }
}
