//! Why load could not be made, or something could not be measured.

use std::fmt::Display;

use toso_client::rest::RestError;
use toso_client::{EnrolError, InviteError};
use toso_core::text::TextError;
use toso_replica::{ReplicaError, SyncError};
use toso_store::StoreError;

use crate::plan::PlanError;

/// A run that ended early. What it measured before is lost; no register is harmed by it.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The order makes no sense; the caller can mend it.
    #[error("{0}")]
    Usage(String),
    /// Something happened that a sound register does not do, or that this machine cannot do.
    #[error("{0}")]
    Failed(String),
    /// A file, a process or a socket.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A request to the server.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// An invite could not be read.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// A device could not join.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// A device could not exchange.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// A device could not record.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// A device's store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A made-up text is none.
    #[error(transparent)]
    Text(#[from] TextError),
    /// There is no such plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A task ended by itself.
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
}

impl BenchError {
    /// Something a sound register does not do, in words.
    pub fn failed(message: impl Display) -> Self {
        Self::Failed(message.to_string())
    }

    /// An order that makes no sense, in words.
    pub fn usage(message: impl Display) -> Self {
        Self::Usage(message.to_string())
    }
}
