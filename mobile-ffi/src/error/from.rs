//! From the errors of the rooms below to the few cases an app acts on.

use toso_client::rest::RestError;
use toso_client::{EnrolError, InviteError, NamesError, PassError};
use toso_core::document::NoRoom;
use toso_core::edit::EditError;
use toso_core::text::TextError;
use toso_replica::credential::CredentialError;
use toso_replica::{CarryError, LeaveError, PeerError, ReachError, ReplicaError, SyncError};
use toso_store::StoreError;

use super::{ErrorInfo, TosoError};

/// The problem of a server whose own clock is wrong.
const SERVER_CLOCK: &str = "server-clock";
/// The statuses by which a server says that it cannot now.
const BUSY_STATUSES: [u16; 4] = [429, 502, 503, 504];

impl From<StoreError> for TosoError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Full { .. } => Self::StorageFull { info: ErrorInfo::new("storage.full", &error) },
            StoreError::InUse { .. } => Self::InUse { info: ErrorInfo::new("storage.in_use", &error) },
            StoreError::WrongKey { .. } => Self::WrongKey { info: ErrorInfo::new("storage.wrong_key", &error) },
            StoreError::NewerFormat { .. } => Self::UpdateNeeded { info: ErrorInfo::new("storage.newer", &error) },
            StoreError::Damaged { .. } => Self::Storage { info: ErrorInfo::new("storage.damaged", &error) },
            StoreError::Lost { .. } => Self::Storage { info: ErrorInfo::new("storage.lost", &error) },
            StoreError::Io { .. }
            | StoreError::WrongKind { .. }
            | StoreError::NotEmpty { .. }
            | StoreError::TooLarge { .. }
            | StoreError::TooMany { .. }
            | StoreError::Poisoned { .. }
            | StoreError::Raced { .. }
            | StoreError::Mixed { .. }
            | StoreError::NotNext { .. }
            | StoreError::NotFound(_) => Self::Storage { info: ErrorInfo::new("storage.failed", &error) },
        }
    }
}

impl From<CredentialError> for TosoError {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Store(error) => error.into(),
            error @ (CredentialError::NotEnrolled | CredentialError::Unreadable(_)) => {
                Self::NotEnrolled { info: ErrorInfo::new("not_enrolled", &error) }
            }
        }
    }
}

impl From<EditError> for TosoError {
    fn from(error: EditError) -> Self {
        let info = |key: &str| ErrorInfo::new(key, &error);
        let (info, field) = match &error {
            EditError::Value { field, error: text @ TextError::Legacy { .. } } => {
                let info = text_info(info(text.key()), text).with("field", field);
                return Self::LegacyText { info, field: field.clone() };
            }
            EditError::Value { field, error: text } => (text_info(info(text.key()), text), field.as_str()),
            EditError::UnknownField { field, .. } => (info("edit.unknown_field"), field.as_str()),
            EditError::Choice { field, expected } => (info("edit.choice").with("expected", expected), field.as_str()),
            EditError::Number { field, min, max } => {
                (info("edit.number").with("min", min).with("max", max), field.as_str())
            }
            EditError::CounterIsAddedTo { field } => (info("edit.counter"), field.as_str()),
            EditError::Required { field } => (info("edit.required"), field.as_str()),
            EditError::Id { field, .. } => (info("edit.id"), field.as_str()),
            EditError::IntoItself { field } => (info("edit.into_itself"), field.as_str()),
            EditError::OtherHamlet { field } => (info("edit.other_hamlet"), field.as_str()),
            EditError::PartLargerThanWhole { field } => (info("edit.part"), field.as_str()),
            EditError::DayToCome { field, today } => {
                (info("edit.day_to_come").with("today", &today.display_vi()), field.as_str())
            }
            EditError::BirthYear { field, min, max } => {
                (info("edit.birth_year").with("min", min).with("max", max), field.as_str())
            }
            EditError::DaysOutOfOrder { field, earlier } => {
                (info("edit.days_out_of_order").with("earlier", earlier), field.as_str())
            }
            EditError::WrongKind { .. } => (info("edit.wrong_kind"), "id"),
            EditError::UnknownActivity { .. } => (info("edit.unknown_activity"), "activities"),
            EditError::Change(_) => (info("edit.too_large"), ""),
            EditError::Broken { .. } => return Self::Refused { info: info("edit.broken") },
        };
        Self::Invalid { info: info.with("field", &field), field: field.to_owned() }
    }
}

fn text_info(info: ErrorInfo, error: &TextError) -> ErrorInfo {
    match error {
        TextError::TooLong { length, max, .. } => info.with("length", length).with("max", max),
        TextError::TooManyBytes { bytes, max, .. } => info.with("length", bytes).with("max", max),
        TextError::Character { position, .. }
        | TextError::Hidden { position, .. }
        | TextError::LostCharacter { position, .. } => info.with("position", position),
        TextError::PhoneDigits { digits } => info.with("digits", digits),
        // What is meant is not in the error, since apps log those: `converted_text` gives it.
        TextError::Legacy { found, .. } => info.with("encoding", &found.encoding.name()),
        TextError::Empty { .. }
        | TextError::NoLetter { .. }
        | TextError::OnlyAKind { .. }
        | TextError::PhoneService
        | TextError::PhonePrefix
        | TextError::PhoneUnknown
        | TextError::DateFormat
        | TextError::DateNotInCalendar
        | TextError::DateYear
        | TextError::BirthYear
        | TextError::DocumentNumber
        | TextError::LinkScheme
        | TextError::LinkHost => info,
    }
}

impl From<ReplicaError> for TosoError {
    fn from(error: ReplicaError) -> Self {
        let info = |key: &str| ErrorInfo::new(key, &error);
        match error {
            ReplicaError::Edit(error) => error.into(),
            ReplicaError::Store(error) => error.into(),
            ReplicaError::Credential(error) => error.into(),
            ReplicaError::NotFound { .. } => Self::NotFound { info: info("not_found") },
            ReplicaError::NeedsNewerVersion { .. } => Self::Refused { info: info("newer_record") },
            ReplicaError::CommuneTeamExists { id } => {
                Self::TeamExists { info: info("commune_team_exists"), id: id.to_string() }
            }
            ReplicaError::ReadsOnly { .. } => Self::NotAllowed { info: info("reads_only") },
            ReplicaError::OtherLevel { .. } => Self::Refused { info: info("other_level") },
            ReplicaError::TeamExists { id } => Self::TeamExists { info: info("team_exists"), id: id.to_string() },
            ReplicaError::HamletMissing => {
                Self::Invalid { info: info("hamlet_missing").with("field", &"hamlet"), field: "hamlet".to_owned() }
            }
            ReplicaError::CommuneNeeded { .. } => {
                Self::Invalid { info: info("commune_needed").with("field", &"commune"), field: "commune".to_owned() }
            }
            ReplicaError::OutsideUnit { .. } => {
                Self::Invalid { info: info("outside_unit").with("field", &"commune"), field: "commune".to_owned() }
            }
            ReplicaError::TooManyDocuments => Self::Refused { info: info("too_many_documents") },
            ReplicaError::DocumentFull { why, .. } => Self::Refused {
                info: info(match why {
                    NoRoom::Full => "document_full",
                    NoRoom::Reserved => "document_reserved",
                    NoRoom::Share => "document_share",
                }),
            },
            ReplicaError::NoConflict { .. } => Self::Refused { info: info("no_conflict") },
            ReplicaError::CannotMerge { .. } => Self::Refused { info: info("cannot_merge") },
        }
    }
}

impl From<InviteError> for TosoError {
    fn from(error: InviteError) -> Self {
        let key = match error {
            InviteError::NotAnInvite => "invite.not_an_invite",
            InviteError::Several => "invite.several",
            InviteError::TooLong { .. } | InviteError::Damaged => "invite.damaged",
        };
        Self::BadInvite { info: ErrorInfo::new(key, &error) }
    }
}

impl From<NamesError> for TosoError {
    fn from(error: NamesError) -> Self {
        match error {
            NamesError::Replica(error) => error.into(),
            NamesError::Rest(error) => error.into(),
        }
    }
}

impl From<RestError> for TosoError {
    fn from(error: RestError) -> Self {
        match &error {
            RestError::Unreachable { .. } | RestError::Interrupted { .. } => {
                Self::Offline { info: ErrorInfo::new("offline", &error) }
            }
            RestError::Refused { kind, .. } if kind == SERVER_CLOCK => {
                Self::ServerBusy { info: ErrorInfo::new("server_clock", &error), retry_after_ms: 0 }
            }
            RestError::Refused { status, .. } if BUSY_STATUSES.contains(status) || *status >= 500 => {
                Self::ServerBusy { info: ErrorInfo::new("busy", &error), retry_after_ms: 0 }
            }
            RestError::Reach(ReachError::CertificateTime { .. }) => {
                Self::Offline { info: ErrorInfo::new("certificate_time", &error) }
            }
            RestError::Reach(ReachError::CertificateName { .. }) => {
                Self::Offline { info: ErrorInfo::new("certificate_name", &error) }
            }
            RestError::Reach(ReachError::Certificate { .. }) => {
                Self::Offline { info: ErrorInfo::new("certificate", &error) }
            }
            RestError::Between { what, .. } => Self::Offline { info: ErrorInfo::new(what.word(), &error) },
            RestError::Reach(_) => Self::NotAllowed { info: ErrorInfo::new("insecure", &error) },
            RestError::Refused { .. } => Self::NotAllowed { info: ErrorInfo::new("not_allowed", &error) },
            RestError::Unreadable { .. } => Self::Offline { info: ErrorInfo::new("not_a_server", &error) },
        }
    }
}

impl From<EnrolError> for TosoError {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::Invite(error) => error.into(),
            EnrolError::Rest(error @ RestError::Refused { status: 400..500, .. }) => {
                Self::BadInvite { info: ErrorInfo::new("invite.refused", &error) }
            }
            EnrolError::Rest(error) => error.into(),
            EnrolError::Name(error) => EditError::Value { field: "device_name".to_owned(), error }.into(),
            EnrolError::Store(error) => error.into(),
            EnrolError::Credential(error) => error.into(),
            EnrolError::OtherRegister { ref url, .. } => {
                Self::BadInvite { info: ErrorInfo::new("invite.other_register", &error).with("server", url) }
            }
            error @ EnrolError::OtherServer { .. } => {
                Self::BadInvite { info: ErrorInfo::new("invite.other_server", &error) }
            }
        }
    }
}

impl From<LeaveError> for TosoError {
    fn from(error: LeaveError) -> Self {
        match error {
            LeaveError::Unsent { changes, carried } => {
                Self::Refused { info: ErrorInfo::new("leave.unsent", &error).with("count", &(changes + carried)) }
            }
            LeaveError::Credential(error) => error.into(),
            LeaveError::Store(error) => error.into(),
        }
    }
}

impl From<SyncError> for TosoError {
    fn from(error: SyncError) -> Self {
        let word = error.word();
        let info = |key: &str| ErrorInfo::new(key, &error);
        match error {
            SyncError::Store(error) => error.into(),
            SyncError::Replica(error) => error.into(),
            SyncError::Credential(error) => error.into(),
            SyncError::RetryAfter { delay_ms } => Self::ServerBusy { info: info("busy"), retry_after_ms: delay_ms },
            SyncError::Panicked => Self::internal(),
            SyncError::Refused { .. } => match word {
                "update_needed" => Self::UpdateNeeded { info: info("update_needed") },
                "unauthorized" => Self::NotAllowed { info: info("unauthorized") },
                "revoked" => Self::NotAllowed { info: info("revoked") },
                "out_of_scope" => Self::NotAllowed { info: info("out_of_scope") },
                _ => Self::ServerBusy { info: info("busy"), retry_after_ms: 0 },
            },
            SyncError::NotProved { .. } => Self::Offline { info: info("not_proved") },
            SyncError::Reach(ReachError::CertificateTime { .. }) => Self::Offline { info: info("certificate_time") },
            SyncError::Reach(ReachError::CertificateName { .. }) => Self::Offline { info: info("certificate_name") },
            SyncError::Reach(ReachError::Certificate { .. }) => Self::Offline { info: info("certificate") },
            SyncError::Reach(_) => Self::NotAllowed { info: info("insecure") },
            SyncError::Between { what, .. } => Self::Offline { info: info(what.word()) },
            SyncError::Protocol { .. } => Self::Offline { info: info("not_a_server") },
            SyncError::Moved => Self::Offline { info: info("moved") },
            SyncError::Unreachable { .. } | SyncError::Lost | SyncError::Stalled { .. } => {
                Self::Offline { info: info("offline") }
            }
        }
    }
}

impl From<PassError> for TosoError {
    fn from(error: PassError) -> Self {
        match error {
            PassError::Carry(error) => error.into(),
            PassError::Rest(error) => error.into(),
        }
    }
}

impl From<CarryError> for TosoError {
    fn from(error: CarryError) -> Self {
        let info = |key: &str| ErrorInfo::new(key, &error);
        match error {
            CarryError::Credential(error) => error.into(),
            CarryError::Store(error) => error.into(),
            CarryError::Replica(error) => error.into(),
            CarryError::OlderKey { .. } => Self::BadBundle { info: info("carry.older_key") },
            CarryError::NoPass | CarryError::NoKey { .. } | CarryError::NewerKey { .. } => {
                Self::BadBundle { info: info("carry.no_key") }
            }
            CarryError::NotABundle => Self::BadBundle { info: info("carry.not_a_bundle") },
            CarryError::Damaged(_) | CarryError::TooLarge { .. } => Self::BadBundle { info: info("carry.damaged") },
            CarryError::OutsideUnit { .. } | CarryError::OtherServer { .. } => {
                Self::BadBundle { info: info("carry.outside") }
            }
            CarryError::BoxFull => Self::BadBundle { info: info("carry.box_full") },
            CarryError::Forged(_) | CarryError::Refused(_) => Self::BadBundle { info: info("carry.forged") },
        }
    }
}

impl From<PeerError> for TosoError {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::Carry(error) => error.into(),
            PeerError::Lost => Self::Offline { info: ErrorInfo::new("peer.lost", &error) },
            error @ PeerError::Protocol(_) => Self::BadBundle { info: ErrorInfo::new("peer.protocol", &error) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Language;

    /// A board that had started in 1970 refused a phone, which told its person that the server was busy: they tried all day.
    #[test]
    fn a_server_with_a_wrong_clock_is_called_that_and_not_busy() {
        let refused = |kind: &str| RestError::Refused {
            status: 503,
            kind: kind.to_owned(),
            title: "The server's clock is wrong".to_owned(),
            detail: "set the server's clock".to_owned(),
        };
        for told in [TosoError::from(refused("server-clock")), EnrolError::Rest(refused("server-clock")).into()] {
            assert!(matches!(&told, TosoError::ServerBusy { info, .. } if info.key == "server_clock"), "{told:?}");
            let texts = [Language::Vietnamese, Language::English].map(|language| crate::error_text(&told, language));
            assert!(texts[0].contains("Đồng hồ của máy chủ") && texts[1].contains("clock is wrong"), "{texts:?}");
        }
        assert!(matches!(TosoError::from(refused("busy")), TosoError::ServerBusy { info, .. } if info.key == "busy"));
    }
}
