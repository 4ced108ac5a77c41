//! The pushes of one session reach the log in the order in which they came.
//!
//! A push that was returned waits for the note of who returned it; the next one may have none to wait for, or a shorter one. The
//! notes run side by side, and each push then waits until the one before it is queued. So nobody reads a change in the log
//! before what it builds on.

use tokio::sync::oneshot;
use toso_sync::AppendFailure;

use crate::log_writer::{Accepted, LogWriter, UnitBatch};

/// Hands out turns.
#[derive(Default)]
pub(crate) struct Turns {
    last: Option<oneshot::Receiver<()>>,
}

/// One push's turn: it comes once the turn before is dropped.
pub(crate) struct Turn {
    before: Option<oneshot::Receiver<()>>,
    /// Dropped with the turn, which the next one hears.
    _next: oneshot::Sender<()>,
}

impl Turns {
    /// The turn after all that were taken before.
    pub(crate) fn take(&mut self) -> Turn {
        let (next, last) = oneshot::channel();
        Turn { before: self.last.replace(last), _next: next }
    }
}

impl Turn {
    async fn comes(&mut self) {
        if let Some(before) = self.before.take() {
            // Nothing is ever sent: the turn before has ended.
            let _ = before.await;
        }
    }
}

/// Appends a batch once it is noted and its turn has come; the next turn comes when the batch is queued.
pub(crate) async fn append_in_turn(
    writer: &LogWriter,
    mut turn: Turn,
    batch: UnitBatch,
    noted: impl Future<Output = bool>,
) -> Result<Accepted, AppendFailure> {
    let is_noted = noted.await;
    turn.comes().await;
    if !is_noted {
        return Err(AppendFailure::Unavailable);
    }
    let queued = writer.queue(batch).await;
    drop(turn);
    queued?.outcome().await
}
