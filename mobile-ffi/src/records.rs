//! What an app is shown, as plain records. Ids are texts of 25 characters, units are texts like `2025/00004`, days are
//! ISO 8601 (`2026-11-24`), instants are milliseconds since 1970.

mod from;

pub(crate) use from::count;

use crate::words::{DocKind, HeldState, SameMemberReason, UnitLevel, UnitList};

/// A field with several values: written by several devices that did not know of each other.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct Conflict {
    /// The document.
    pub id: String,
    /// The field, as `resolve` takes it.
    pub field: String,
    /// The values, the shown one first.
    pub values: Vec<ConflictValue>,
}

impl std::fmt::Debug for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conflict").field("id", &self.id).field("field", &self.field).finish_non_exhaustive()
    }
}

/// Who a device is.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct DeviceName {
    /// What it calls itself; none while the server has not told, or when it has no name.
    pub name: Option<String>,
    /// True for this very device.
    pub this_device: bool,
}

impl std::fmt::Debug for DeviceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceName").field("this_device", &self.this_device).finish_non_exhaustive()
    }
}

/// One of the values of a conflict.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct ConflictValue {
    /// The value, as `resolve` takes it; empty when cleared.
    pub value: String,
    /// The device that wrote it.
    pub device: String,
    /// When, by that device's clock.
    pub at_ms: i64,
    /// True for the value that every phone shows until somebody settles it.
    pub shown: bool,
    /// The device that brought the value back after the centre had lost it: show it beside `device`, since whose the value is
    /// rests on that device's word.
    pub brought_back_by: Option<String>,
}

impl std::fmt::Debug for ConflictValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConflictValue").field("device", &self.device).finish_non_exhaustive()
    }
}

/// Something a person should look at. Computed on read, never a refusal.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Finding {
    /// A team with more than one leader.
    SeveralLeaders {
        /// The team.
        team: String,
        /// Its leaders.
        leaders: Vec<String>,
    },
    /// A team at work that has members but no leader.
    NoLeader {
        /// The team.
        team: String,
    },
    /// A team at work without members.
    NoMembers {
        /// The team.
        team: String,
    },
    /// A member whose team is dissolved, merged away or unknown here.
    MemberWithoutTeam {
        /// The member.
        member: String,
        /// The team that the member names.
        team: Option<String>,
    },
    /// Two members that may be one person.
    SameMember {
        /// The one with the smaller id.
        a: String,
        /// The other.
        b: String,
        /// Why.
        reason: SameMemberReason,
    },
    /// Two teams at work for the same hamlet.
    SameTeam {
        /// The one with the smaller id.
        a: String,
        /// The other.
        b: String,
    },
    /// A team at work whose hamlet is not on the commune's list, or no longer exists.
    UnknownHamlet {
        /// The team.
        team: String,
        /// The hamlet that it names.
        hamlet: String,
    },
    /// A merge that leads in a circle or to a document that is not here.
    BrokenMerge {
        /// The document with the mark.
        from: String,
        /// Where the mark leads.
        into: String,
    },
    /// A member recorded without consent, or whose consent was withdrawn.
    NoConsent {
        /// The member.
        member: String,
    },
    /// A day that has not come yet. Of a team's activities the first one.
    DayToCome {
        /// The record.
        document: String,
        /// Its field.
        field: String,
    },
    /// A day before 2020, when there was no programme yet. Of a team's activities the first one.
    DayBeforeProgramme {
        /// The record.
        document: String,
        /// Its field.
        field: String,
    },
    /// A year of birth that no member has.
    BirthYear {
        /// The member.
        member: String,
    },
    /// A day that lies before another which it should follow.
    DaysOutOfOrder {
        /// The record.
        document: String,
        /// The field that should come first.
        earlier: String,
        /// The field that should follow.
        later: String,
    },
    /// Text of an older encoding (TCVN3, VNI), stored as it was pasted; `converted_text` says what it means.
    LegacyText {
        /// The record.
        document: String,
        /// Its field.
        field: String,
    },
}

/// One save in a document's history.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct HistoryEntry {
    /// The change's hash, 64 hexadecimal digits.
    pub hash: String,
    /// The device that saved.
    pub device: String,
    /// When, by that device's clock.
    pub at_ms: i64,
    /// What was set, as text (empty when cleared; counters as `+n`).
    pub changes: Vec<FieldChange>,
    /// The device that brought the save back after the centre had lost it: show it, since whose the save is rests on that
    /// device's word.
    pub brought_back_by: Option<String>,
}

impl std::fmt::Debug for HistoryEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HistoryEntry").field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// One field of a save.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct FieldChange {
    /// The field's path.
    pub field: String,
    /// Its new value as text.
    pub value: String,
}

impl std::fmt::Debug for FieldChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FieldChange").field("field", &self.field).finish_non_exhaustive()
    }
}

/// A team or member found by a search.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct Found {
    /// The team or member.
    pub id: String,
    /// Which of the two.
    pub kind: DocKind,
    /// Its commune.
    pub commune: String,
    /// The name to show.
    pub name: String,
    /// The team that a member belongs to.
    pub team: Option<String>,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A change that the server refused, or holds for an officer's review, and what became of it.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct Held {
    /// Its document.
    pub id: String,
    /// The change's hash, 64 hexadecimal digits.
    pub hash: String,
    /// What the document describes; absent for a kind that only a newer version of the app knows.
    pub kind: Option<DocKind>,
    /// What the volunteer called the record when it was sent: hamlet, team or person.
    pub label: String,
    /// The commune it is for.
    pub commune: Option<String>,
    /// The commune's name, whose officers review.
    pub commune_name: Option<String>,
    /// Where it stands.
    pub state: HeldState,
    /// Why: `out_of_scope`, `held_for_review`, …; a message has the key `held.` and this.
    pub code: String,
    /// The server's words, in English.
    pub detail: String,
    /// The officer's words.
    pub note: String,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

/// This device at a glance.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Status {
    /// The device's id.
    pub device: String,
    /// Its unit, once enrolled.
    pub unit: Option<AdminUnit>,
    /// Its role, once enrolled: `recorder`, `officer`, `viewer`.
    pub role: Option<String>,
    /// The server it syncs with, once enrolled.
    pub server: Option<String>,
    /// When this device's right to sync ends, by the server's clock, unless a sync renews it before.
    pub token_ends_ms: Option<i64>,
    /// True within 30 days of that, when no sync has renewed it; the text for people has the key `token_ends_soon`.
    pub token_ends_soon: bool,
    /// True while everything goes over a network in the clear: a test network's, which the app should show loudly.
    pub in_the_clear: bool,
    /// Documents here.
    pub documents: u32,
    /// Of them, those that only a newer version of the app can show; the text for people has the key `newer_records`.
    pub newer: u32,
    /// Changes that the server has not acknowledged.
    pub unsent: u32,
    /// Changes that the server refused or holds; `held` has them.
    pub held: u32,
    /// The centre's figures for the unit, once heard.
    pub totals: Option<Totals>,
}

/// What the centre has counted for this device's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Totals {
    /// Teams.
    pub teams: u64,
    /// Members.
    pub members: u64,
    /// When, by the server's clock.
    pub at_ms: i64,
}

/// Receipts at a glance: how many records have come how far, and what the centre has counted.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Receipts {
    /// Records with a change that is on this device only.
    pub saved: u32,
    /// Records with a change that waits for an officer, or came back.
    pub held: u32,
    /// Records on the server's disk.
    pub received: u32,
    /// Records in the centre's figures.
    pub counted: u32,
    /// The centre's figures for the unit, once heard.
    pub totals: Option<Totals>,
}

/// An administrative unit.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct AdminUnit {
    /// What other calls name it by, `2025/00004`.
    pub unit: String,
    /// The list it is of.
    pub list: UnitList,
    /// Its full name, `Phường Ba Đình`.
    pub name: String,
    /// Its name with those above it, `Phường Ba Đình, Thành phố Hà Nội`: many communes share a name.
    pub path: String,
    /// How wide it is.
    pub level: UnitLevel,
    /// True when records can belong to it: a commune, or a district that has none.
    pub holds_records: bool,
}

/// What an invite says, before it is used.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Invite {
    /// The server's address.
    pub server: String,
    /// The unit to join.
    pub unit: AdminUnit,
    /// The role: `recorder`, `officer`, `viewer`.
    pub role: String,
    /// Useless from then on, by the server's clock.
    pub expires_at_ms: i64,
}

/// A bundle for other phones to carry.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct SealedBundle {
    /// The file's content; send it whole.
    pub bytes: Vec<u8>,
    /// Batches in it; none means that nothing waits.
    pub batches: u32,
    /// Batches that found no place; make another bundle after these are delivered.
    pub left: u32,
}

impl std::fmt::Debug for SealedBundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedBundle")
            .field("bytes", &self.bytes.len())
            .field("batches", &self.batches)
            .finish_non_exhaustive()
    }
}

/// What opening a bundle, or a meeting, brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, uniffi::Record)]
pub struct Taken {
    /// Batches taken to carry for others.
    pub batches: u32,
    /// Changes in them.
    pub changes: u32,
    /// Batches that were here already, or this device's own.
    pub known: u32,
    /// Changes of this device that the other brought to the server.
    pub received: u32,
}
