//! From what the rooms below show to what an app is shown.

use toso_catalog::Catalog;
use toso_core::finding;
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_replica::{Candidate, CentreTotals, ConflictView, ReplicaStatus, SaveView, TakeReport};

use super::{
    AdminUnit, Conflict, ConflictValue, FieldChange, Finding, Found, Held, HistoryEntry, Invite, Status, Taken, Totals,
};

fn text(id: Option<impl ToString>) -> Option<String> {
    id.map(|id| id.to_string())
}

/// Counts are far below 2^32 (a device keeps at most 5,000 documents).
pub(crate) fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn instant(at: TimestampMs) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

impl From<ConflictView> for Conflict {
    fn from(conflict: ConflictView) -> Self {
        let value = |value: Candidate| ConflictValue {
            brought_back_by: text(value.brought_back_by),
            value: value.written.value,
            device: value.written.device.to_string(),
            at_ms: instant(value.written.at),
            shown: value.written.shown,
        };
        Self {
            id: conflict.id.to_string(),
            field: conflict.field,
            values: conflict.values.into_iter().map(value).collect(),
        }
    }
}

impl From<finding::Finding> for Finding {
    fn from(found: finding::Finding) -> Self {
        use finding::Finding as F;
        match found {
            F::SeveralLeaders { team, leaders } => Self::SeveralLeaders {
                team: team.to_string(),
                leaders: leaders.iter().map(ToString::to_string).collect(),
            },
            F::NoLeader { team } => Self::NoLeader { team: team.to_string() },
            F::NoMembers { team } => Self::NoMembers { team: team.to_string() },
            F::MemberWithoutTeam { member, team } => {
                Self::MemberWithoutTeam { member: member.to_string(), team: text(team) }
            }
            F::SameMember { a, b, reason } => Self::SameMember { a: a.to_string(), b: b.to_string(), reason },
            F::SameTeam { a, b } => Self::SameTeam { a: a.to_string(), b: b.to_string() },
            F::UnknownHamlet { team, hamlet } => Self::UnknownHamlet { team: team.to_string(), hamlet },
            F::BrokenMerge { from, into } => Self::BrokenMerge { from: from.to_string(), into: into.to_string() },
            F::NoConsent { member } => Self::NoConsent { member: member.to_string() },
            F::DayToCome { document, field } => Self::DayToCome { document: document.to_string(), field },
            F::DayBeforeProgramme { document, field } => {
                Self::DayBeforeProgramme { document: document.to_string(), field }
            }
            F::BirthYear { member } => Self::BirthYear { member: member.to_string() },
            F::DaysOutOfOrder { document, earlier, later } => {
                Self::DaysOutOfOrder { document: document.to_string(), earlier, later }
            }
            F::LegacyText { document, field } => Self::LegacyText { document: document.to_string(), field },
        }
    }
}

impl From<SaveView> for HistoryEntry {
    fn from(view: SaveView) -> Self {
        let entry = view.save;
        Self {
            brought_back_by: text(view.brought_back_by),
            hash: entry.hash.to_string(),
            device: entry.device.to_string(),
            at_ms: instant(entry.at),
            changes: entry.changes.into_iter().map(|(field, value)| FieldChange { field, value }).collect(),
        }
    }
}

impl From<toso_replica::Found> for Found {
    fn from(found: toso_replica::Found) -> Self {
        Self {
            id: found.id.to_string(),
            kind: found.kind,
            commune: found.commune.to_string(),
            name: found.name,
            team: text(found.team),
        }
    }
}

impl From<toso_replica::Held> for Held {
    fn from(held: toso_replica::Held) -> Self {
        Self {
            id: held.doc.to_string(),
            hash: held.hash.to_string(),
            kind: held.doc.kind(),
            label: held.label,
            commune: held.commune.map(|commune| commune.to_string()),
            commune_name: held.unit_name,
            state: held.state,
            code: held.code,
            detail: held.detail,
            note: held.note,
        }
    }
}

impl From<ReplicaStatus> for Status {
    fn from(status: ReplicaStatus) -> Self {
        Self {
            device: status.device.to_string(),
            unit: status.unit.map(AdminUnit::of),
            role: status.role,
            server: status.server,
            token_ends_ms: status.token_ends.map(|end| i64::try_from(end.0).unwrap_or(i64::MAX)),
            token_ends_soon: status.token_ends_soon,
            in_the_clear: status.in_the_clear,
            documents: count(status.documents),
            newer: count(status.newer),
            unsent: count(status.unsent),
            held: count(status.held.len()),
            totals: status.totals.map(Into::into),
        }
    }
}

impl From<CentreTotals> for Totals {
    fn from(totals: CentreTotals) -> Self {
        Self { teams: totals.teams, members: totals.members, at_ms: instant(totals.at) }
    }
}

impl AdminUnit {
    /// A unit of the catalogue; one that it does not know is shown by its code, as a commune.
    pub(crate) fn of(unit: UnitRef) -> Self {
        let catalog = Catalog::shared();
        let known = catalog.get(unit);
        Self {
            unit: unit.to_string(),
            list: unit.list,
            name: known.map_or_else(|| unit.to_string(), |known| known.name.to_string()),
            path: catalog.display_path(unit),
            level: known.map_or(toso_catalog::Level::Commune, |known| known.level),
            holds_records: catalog.is_scope(unit),
        }
    }
}

impl From<toso_client::Invite> for Invite {
    fn from(invite: toso_client::Invite) -> Self {
        Self {
            server: invite.url.clone(),
            unit: AdminUnit::of(invite.unit),
            role: invite.role.clone(),
            expires_at_ms: instant(invite.expires_at),
        }
    }
}

impl From<TakeReport> for Taken {
    fn from(report: TakeReport) -> Self {
        Self {
            batches: count(report.parcels),
            changes: count(report.changes),
            known: count(report.known),
            received: count(report.received),
        }
    }
}
