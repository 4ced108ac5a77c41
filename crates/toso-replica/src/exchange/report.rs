//! What one exchange cost and did, and why one failed.

use std::time::Duration;

use crate::{Between, CredentialError, ReachError, ReplicaError};
use serde::Serialize;
use toso_store::StoreError;
use toso_wire::GoodbyeCode;

/// How long a connection may take to be accepted: two lost packets on 2G.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A server that says nothing for this long, not even a ping (it pings every 45 s), is gone.
pub const SILENCE_MAX: Duration = Duration::from_secs(120);
/// How long the first frame may take, from a connection that is accepted to WELCOME: a server that is met by the whole
/// country's 48,538 phones at once answers the last of them after 28 s on the slowest machine measured. A network that
/// accepts sockets and lets nothing through them is known by it.
pub const GREETING_MAX: Duration = Duration::from_secs(45);
/// How long an answer may take, to a push, a comparison, or for a page, from when it was asked for or from the answer before
/// it. The largest frame has 68 KiB, which take 57 s at the 9.6 kbit/s of one GPRS slot. Pings and receipts are no answers.
pub const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How long a one-shot exchange waits, once everything is exchanged, to hear that it was counted.
pub const LINGER_FOR_RECEIPT: Duration = Duration::from_secs(2);

/// Bounds of an exchange.
#[derive(Debug, Clone, Copy)]
pub struct SyncOptions {
    /// See [`CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
    /// See [`SILENCE_MAX`].
    pub silence_max: Duration,
    /// See [`LINGER_FOR_RECEIPT`].
    pub linger: Duration,
    /// See [`GREETING_MAX`].
    pub greeting_max: Duration,
    /// See [`ANSWER_MAX`].
    pub answer_max: Duration,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            silence_max: SILENCE_MAX,
            linger: LINGER_FOR_RECEIPT,
            greeting_max: GREETING_MAX,
            answer_max: ANSWER_MAX,
        }
    }
}

/// What an exchange cost and did. Bytes are those of the socket (inside TLS where there is TLS).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SyncReport {
    /// HELLO's token and all WebSocket frames sent, with their headers.
    pub bytes_up: u64,
    /// All WebSocket frames received, with their headers.
    pub bytes_down: u64,
    /// The rest of the upgrade request: request line and HTTP headers.
    pub http_bytes_up: u64,
    /// The upgrade response.
    pub http_bytes_down: u64,
    /// Times that something was sent and its answer awaited; the upgrade is the first. TCP's and TLS's own come on top.
    pub round_trips: u32,
    /// Changes sent to the server.
    pub pushed: u64,
    /// Of them acknowledged.
    pub acked: u64,
    /// Changes received.
    pub pulled: u64,
    /// Changes that the server refused or holds for review; see the status command.
    pub refused: u64,
    /// Of them, those that it only carried for others. No list has them: their authors' devices ask the server themselves.
    pub refused_carried: u64,
    /// Frames that this version does not know and has passed over.
    pub unknown: u64,
    /// Changes that wait here, since the device has written its share of the day (they go out by themselves) or its role only
    /// reads (they go out under another).
    pub waiting: u64,
    /// True when everything is exchanged, but for what waits.
    pub up_to_date: bool,
    /// True when the centre has counted all that was pushed.
    pub counted: bool,
}

/// Why an exchange failed. Nothing is lost: what is not acknowledged is sent again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SyncError {
    /// No connection.
    #[error("cannot reach {url}: {detail}; everything is kept here and goes out when there is a network")]
    Unreachable {
        /// The address.
        url: String,
        /// What the system said.
        detail: String,
    },
    /// The server asks to wait.
    #[error("the server is busy and asks to come back in {} s; everything is kept here", delay_ms.div_ceil(1000))]
    RetryAfter {
        /// How long.
        delay_ms: u64,
    },
    /// The device was moved to another unit and has handed over what it had for the old one.
    #[error("this device belongs to another unit now; sync again, for that one")]
    Moved,
    /// The connection broke.
    #[error("the connection broke before everything was exchanged; the next sync goes on from there")]
    Lost,
    /// The connection stands, and what is awaited does not come.
    #[error(
        "no answer came for {seconds} s although the connection stands; everything is kept here and goes out again"
    )]
    Stalled {
        /// How long it was awaited.
        seconds: u64,
    },
    /// The server ended the session.
    #[error("the server ended the session ({}): {detail}", goodbye_word(*code))]
    Refused {
        /// Why.
        code: GoodbyeCode,
        /// In words.
        detail: String,
    },
    /// The server did not prove that it is the one which the device has joined.
    #[error(
        "{url} is not the server that this device has joined, or somebody stands between; nothing that it said was \
         believed, and everything is kept here; check the address with your officer"
    )]
    NotProved {
        /// The address.
        url: String,
    },
    /// The address may not be dialled.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// Somebody answered in the server's place.
    #[error("{what} ({url} answered with status {status}); everything is kept here")]
    Between {
        /// The address.
        url: String,
        /// HTTP status.
        status: u16,
        /// Who.
        what: Between,
    },
    /// The server does not speak this protocol.
    #[error("{url} does not speak this register's protocol: {detail}")]
    Protocol {
        /// The address.
        url: String,
        /// What is wrong.
        detail: String,
    },
    /// This program failed.
    #[error("sync met a fault of its own and starts anew; everything is kept here")]
    Panicked,
    /// Not enrolled.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The replica failed.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
}

impl SyncReport {
    /// Adds what a further session of the same exchange cost and did.
    pub fn add(&mut self, next: &Self) {
        self.bytes_up += next.bytes_up;
        self.bytes_down += next.bytes_down;
        self.http_bytes_up += next.http_bytes_up;
        self.http_bytes_down += next.http_bytes_down;
        self.round_trips += next.round_trips;
        self.pushed += next.pushed;
        self.acked += next.acked;
        self.pulled += next.pulled;
        self.refused += next.refused;
        self.refused_carried += next.refused_carried;
        self.waiting = next.waiting;
        self.unknown += next.unknown;
        (self.up_to_date, self.counted) = (next.up_to_date, next.counted);
    }
}

impl SyncError {
    /// What the way an exchange ended says of whether the server has shut this device out. A network that breaks says nothing
    /// of it.
    pub const fn shut_out(result: &Result<(), Self>) -> Option<bool> {
        match result {
            Ok(()) => Some(false),
            Err(Self::Refused { code: GoodbyeCode::Revoked, .. }) => Some(true),
            Err(_) => None,
        }
    }

    /// The stable name of the case, for translations.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } | Self::Lost | Self::Stalled { .. } => "offline",
            Self::RetryAfter { .. } => "busy",
            Self::Moved => "moved",
            Self::Refused { code, .. } => match code {
                GoodbyeCode::Version | GoodbyeCode::Unknown(_) => "update_needed",
                GoodbyeCode::Unauthorized => "unauthorized",
                GoodbyeCode::Revoked => "revoked",
                GoodbyeCode::OutOfScope => "out_of_scope",
                GoodbyeCode::Overload | GoodbyeCode::Shutdown => "busy",
                GoodbyeCode::Done | GoodbyeCode::Protocol | GoodbyeCode::Internal => "server",
            },
            Self::Between { what, .. } => what.word(),
            Self::Protocol { .. } => "not_a_server",
            Self::NotProved { .. } => "not_proved",
            Self::Reach(ReachError::Certificate { .. }) => "certificate",
            Self::Reach(ReachError::CertificateName { .. }) => "certificate_name",
            Self::Reach(ReachError::CertificateTime { .. }) => "certificate_time",
            Self::Reach(_) => "insecure",
            Self::Credential(_) => "not_enrolled",
            Self::Store(_) | Self::Replica(_) => "storage",
            Self::Panicked => "internal",
        }
    }

    /// What is told when requests did not work either where a socket did not.
    pub(super) fn and_by_requests(self, requests: &Self) -> Self {
        let Self::Protocol { url, detail } = self else { return self };
        // A portal's page says more than that it broke the socket.
        let Self::Protocol { detail: requests, .. } = requests else { return requests.clone() };
        Self::Protocol { url, detail: format!("{detail}, and {requests}") }
    }

    /// True when dialling again by itself is useless: a person must act.
    pub const fn needs_a_person(&self) -> bool {
        match self {
            Self::Refused { code, .. } => matches!(
                code,
                GoodbyeCode::Unauthorized
                    | GoodbyeCode::Revoked
                    | GoodbyeCode::OutOfScope
                    | GoodbyeCode::Version
                    | GoodbyeCode::Unknown(_)
            ),
            Self::Credential(_)
            | Self::Reach(
                ReachError::NotAnAddress { .. } | ReachError::InTheClear { .. } | ReachError::BadAuthority { .. },
            ) => true,
            // A network that wants a sign-in, or a clock that is set, mends a certificate.
            Self::Reach(
                ReachError::Certificate { .. }
                | ReachError::CertificateName { .. }
                | ReachError::CertificateTime { .. },
            )
            | Self::Unreachable { .. }
            | Self::RetryAfter { .. }
            | Self::Moved
            | Self::Lost
            | Self::Stalled { .. }
            | Self::NotProved { .. }
            | Self::Between { .. }
            | Self::Protocol { .. }
            | Self::Panicked
            | Self::Store(_)
            | Self::Replica(_) => false,
        }
    }
}

fn goodbye_word(code: GoodbyeCode) -> &'static str {
    match code {
        GoodbyeCode::Done => "done",
        GoodbyeCode::Shutdown => "stopping",
        GoodbyeCode::Protocol => "protocol error",
        GoodbyeCode::Version => "other version: update the app",
        GoodbyeCode::Unauthorized => "not authorised: enrol again",
        GoodbyeCode::Revoked => "device revoked: ask your officer",
        GoodbyeCode::OutOfScope => "outside the device's unit",
        GoodbyeCode::Overload => "overloaded",
        GoodbyeCode::Unknown(_) => "for a reason that this version does not know: update the app",
        GoodbyeCode::Internal => "server failure",
    }
}
