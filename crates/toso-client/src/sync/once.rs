//! One bounded exchange: connect, push everything, pull everything, hear what is counted, leave.

use std::sync::Arc;

use super::io_loop::{IoLoop, LoopNews, Until};
use super::report::{SyncError, SyncOptions, SyncReport};
use crate::replica::Replica;

/// Sessions of one exchange that may end with a move: one, and one more for an officer who corrects himself meanwhile.
const MOVES_MAX: usize = 3;

/// Exchanges everything there is with the server; a device that was moved hands over, and goes on for its new unit.
/// `progress` is called with (done, total) changes.
///
/// On an error, what was exchanged before it is kept on both sides, and the report says how much that was.
pub async fn sync_once(
    replica: &Arc<Replica>,
    options: SyncOptions,
    mut progress: impl FnMut(u64, u64),
) -> (SyncReport, Result<(), SyncError>) {
    let mut report = SyncReport::default();
    for _ in 0..MOVES_MAX {
        let (session, result) = one_session(replica, options, &mut progress).await;
        report.add(&session);
        if !matches!(result, Err(SyncError::Moved)) {
            return (report, result);
        }
    }
    (report, Err(SyncError::Moved))
}

async fn one_session(
    replica: &Arc<Replica>,
    options: SyncOptions,
    progress: &mut impl FnMut(u64, u64),
) -> (SyncReport, Result<(), SyncError>) {
    let credential = match replica.credential() {
        Ok(credential) => credential,
        Err(error) => return (SyncReport::default(), Err(error.into())),
    };
    let (news, mut listener) = tokio::sync::mpsc::unbounded_channel();
    let mut io_loop = IoLoop::new(Arc::clone(replica), &credential, options, Until::UpToDate, Some(news));
    let result = {
        let mut run = std::pin::pin!(io_loop.run());
        loop {
            tokio::select! {
                result = &mut run => break result,
                Some(news) = listener.recv() => {
                    if let LoopNews::Progress { done, total } = news {
                        progress(done, total);
                    }
                }
            }
        }
    };
    (io_loop.report, result)
}
