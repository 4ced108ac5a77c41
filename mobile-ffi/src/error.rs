//! What an app is told when something does not work: few cases, each of which it can act on.

mod from;

use std::collections::HashMap;

use crate::messages::{Language, message};

/// Why a call failed. Unless the case says so, nothing was changed and nothing is lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum TosoError {
    /// This device has not joined yet: show the screen that scans an invite.
    #[error("{}", info.detail)]
    NotEnrolled {
        /// What to show.
        info: ErrorInfo,
    },
    /// The invite cannot be used: damaged, expired, used already, or another server's. Scan another.
    #[error("{}", info.detail)]
    BadInvite {
        /// What to show.
        info: ErrorInfo,
    },
    /// No server in reach: try again with a network. Everything is kept here.
    #[error("{}", info.detail)]
    Offline {
        /// What to show.
        info: ErrorInfo,
    },
    /// The server is busy, or failed: try again later.
    #[error("{}", info.detail)]
    ServerBusy {
        /// What to show.
        info: ErrorInfo,
        /// Not before so long, in milliseconds.
        retry_after_ms: u64,
    },
    /// The device was revoked, or its right has ended: ask the officer for a new invite.
    #[error("{}", info.detail)]
    NotAllowed {
        /// What to show.
        info: ErrorInfo,
    },
    /// The server speaks another version: update the app.
    #[error("{}", info.detail)]
    UpdateNeeded {
        /// What to show.
        info: ErrorInfo,
    },
    /// The key does not open the folder.
    #[error("{}", info.detail)]
    WrongKey {
        /// What to show.
        info: ErrorInfo,
    },
    /// No space left: ask the person to free some.
    #[error("{}", info.detail)]
    StorageFull {
        /// What to show.
        info: ErrorInfo,
    },
    /// The folder is open already, in this process or another.
    #[error("{}", info.detail)]
    InUse {
        /// What to show.
        info: ErrorInfo,
    },
    /// The folder cannot be read or written. Open it again; if that does not help, the phone's copy is damaged.
    #[error("{}", info.detail)]
    Storage {
        /// What to show.
        info: ErrorInfo,
    },
    /// A value breaks a rule: show it at its field.
    #[error("{}", info.detail)]
    Invalid {
        /// What to show.
        info: ErrorInfo,
        /// The field's path, as records and conflicts name it.
        field: String,
    },
    /// A text is written in an older encoding (TCVN3, VNI), copied from an old document: offer what `converted_text` makes of
    /// it. The error itself does not carry that, since it may be a person's name and errors are logged.
    #[error("{}", info.detail)]
    LegacyText {
        /// What to show.
        info: ErrorInfo,
        /// The field's path, as records and conflicts name it.
        field: String,
    },
    /// There is no such record on this device.
    #[error("{}", info.detail)]
    NotFound {
        /// What to show.
        info: ErrorInfo,
    },
    /// The hamlet has a team already: offer to open that one.
    #[error("{}", info.detail)]
    TeamExists {
        /// What to show.
        info: ErrorInfo,
        /// The team's id.
        id: String,
    },
    /// What was asked for does not go, for what is there now (a conflict that is settled, a merge in a circle, too many
    /// documents): show it, and read anew.
    #[error("{}", info.detail)]
    Refused {
        /// What to show.
        info: ErrorInfo,
    },
    /// A bundle or another phone gave something that is not taken.
    #[error("{}", info.detail)]
    BadBundle {
        /// What to show.
        info: ErrorInfo,
    },
    /// It was shut down.
    #[error("{}", info.detail)]
    Closed {
        /// What to show.
        info: ErrorInfo,
    },
    /// It was stopped from outside.
    #[error("{}", info.detail)]
    Stopped {
        /// What to show.
        info: ErrorInfo,
    },
    /// A fault of this library. The object goes on working.
    #[error("{}", info.detail)]
    Internal {
        /// What to show.
        info: ErrorInfo,
    },
}

/// What an error says.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ErrorInfo {
    /// Names the message for people: see [`message`].
    pub key: String,
    /// What the message's places in braces stand for.
    pub args: HashMap<String, String>,
    /// In English, for developers and logs. Has no personal data.
    pub detail: String,
}

impl ErrorInfo {
    pub(crate) fn new(key: &str, detail: &dyn std::fmt::Display) -> Self {
        Self { key: key.to_owned(), args: HashMap::new(), detail: detail.to_string() }
    }

    pub(crate) fn with(mut self, name: &str, value: &dyn std::fmt::Display) -> Self {
        self.args.insert(name.to_owned(), value.to_string());
        self
    }
}

/// What to show a person about an error.
#[uniffi::export]
pub fn error_text(error: &TosoError, language: Language) -> String {
    let info = error.info();
    message(&info.key, &info.args, language)
}

/// Key, places and English detail of any error.
#[uniffi::export]
pub fn error_info(error: &TosoError) -> ErrorInfo {
    error.info().clone()
}

impl TosoError {
    /// What to show.
    pub fn info(&self) -> &ErrorInfo {
        match self {
            Self::NotEnrolled { info }
            | Self::BadInvite { info }
            | Self::Offline { info }
            | Self::ServerBusy { info, .. }
            | Self::NotAllowed { info }
            | Self::UpdateNeeded { info }
            | Self::WrongKey { info }
            | Self::StorageFull { info }
            | Self::InUse { info }
            | Self::Storage { info }
            | Self::Invalid { info, .. }
            | Self::LegacyText { info, .. }
            | Self::NotFound { info }
            | Self::TeamExists { info, .. }
            | Self::Refused { info }
            | Self::BadBundle { info }
            | Self::Closed { info }
            | Self::Stopped { info }
            | Self::Internal { info } => info,
        }
    }

    pub(crate) fn invalid(field: &str, key: &str, detail: &dyn std::fmt::Display) -> Self {
        Self::Invalid { info: ErrorInfo::new(key, detail).with("field", &field), field: field.to_owned() }
    }

    pub(crate) fn closed() -> Self {
        Self::Closed { info: ErrorInfo::new("closed", &"this object was shut down; open the folder again") }
    }

    pub(crate) fn stopped() -> Self {
        Self::Stopped { info: ErrorInfo::new("stopped", &"the call was stopped; make it again when it is wanted") }
    }

    /// After a panic, whose message may quote anything and is not passed on.
    pub(crate) fn internal() -> Self {
        let detail = "a fault of this library; what was acknowledged before is on disk, and the object goes on working";
        Self::Internal { info: ErrorInfo::new("internal", &detail) }
    }
}
