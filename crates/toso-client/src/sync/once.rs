//! One bounded exchange: connect, push everything, pull everything, hear what is counted, leave.

use std::pin::Pin;
use std::sync::Arc;

use toso_core::id::DocId;
use toso_replica::exchange::{ExchangeNews, MOVES_MAX};
use toso_replica::{Replica, SyncError, SyncOptions, SyncReport};

use super::io_loop::{IoLoop, Until};
use crate::asking::fetch_missing_names;
use crate::listening::ChangedDocuments;

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
            if result.is_ok() && report.pulled > 0 {
                missing_names(replica).await;
            }
            return (report, result);
        }
    }
    (report, Err(SyncError::Moved))
}

/// What a bounded exchange did, and how it ended.
#[derive(Debug)]
pub struct BoundedSync {
    /// What it cost and did.
    pub report: SyncReport,
    /// Documents that changed meanwhile, by sync or here, sorted.
    pub documents: Vec<DocId>,
    /// `None` when it was to end first.
    pub result: Option<Result<(), SyncError>>,
}

/// [`sync_once`] that ends at the latest when `over` does: for a system that lets an app work in the background for so
/// long, and may ask it to stop sooner. What was exchanged until then is kept on both sides; a page that is being stored is
/// stored to its end.
pub async fn sync_until(
    replica: &Arc<Replica>,
    options: SyncOptions,
    over: impl Future<Output = ()>,
    mut progress: impl FnMut(u64, u64),
) -> BoundedSync {
    let mut over = std::pin::pin!(over);
    let changed = ChangedDocuments::of(replica);
    let mut report = SyncReport::default();
    let mut result = Some(Err(SyncError::Moved));
    for _ in 0..MOVES_MAX {
        let (session, ended) = session_until(replica, options, over.as_mut(), &mut progress).await;
        report.add(&session);
        result = ended;
        if !matches!(result, Some(Err(SyncError::Moved))) {
            break;
        }
    }
    if matches!(result, Some(Ok(()))) && report.pulled > 0 {
        tokio::select! {
            () = missing_names(replica) => {}
            () = over => {}
        }
    }
    BoundedSync { report, documents: changed.take(), result }
}

/// Asks for the names of devices that came with a clash. A failure costs nothing: the clash shows the device's number, and the
/// next sync that brings something asks again.
pub(super) async fn missing_names(replica: &Arc<Replica>) {
    // Nearly always none is missing. To see that takes a thread of its own only where the store waits for a disk.
    let in_memory = !replica.store().waits_for_disk();
    if in_memory && replica.devices_without_names(&[]).is_ok_and(|missing| missing.is_empty()) {
        return;
    }
    let replica = Arc::clone(replica);
    let _ = tokio::task::spawn_blocking(move || fetch_missing_names(&replica, &[])).await;
}

async fn one_session(
    replica: &Arc<Replica>,
    options: SyncOptions,
    progress: &mut impl FnMut(u64, u64),
) -> (SyncReport, Result<(), SyncError>) {
    let never = std::pin::pin!(std::future::pending());
    let (report, result) = session_until(replica, options, never, progress).await;
    // Only a bounded session ends without a result.
    (report, result.unwrap_or(Err(SyncError::Lost)))
}

/// One session; `None` when it was over first.
async fn session_until(
    replica: &Arc<Replica>,
    options: SyncOptions,
    mut over: Pin<&mut impl Future<Output = ()>>,
    progress: &mut impl FnMut(u64, u64),
) -> (SyncReport, Option<Result<(), SyncError>>) {
    let credential = match replica.credential() {
        Ok(credential) => credential,
        Err(error) => return (SyncReport::default(), Some(Err(error.into()))),
    };
    let (news, mut listener) = tokio::sync::mpsc::unbounded_channel();
    let mut io_loop = IoLoop::new(Arc::clone(replica), &credential, options, Until::UpToDate, Some(news));
    let mut tell = |news| {
        if let ExchangeNews::Progress { done, total } = news {
            progress(done, total);
        }
    };
    let result = {
        let mut run = std::pin::pin!(io_loop.run());
        loop {
            tokio::select! {
                result = &mut run => break Some(result),
                () = &mut over => break None,
                Some(news) = listener.recv() => tell(news),
            }
        }
    };
    // What came with the end.
    while let Ok(news) = listener.try_recv() {
        tell(news);
    }
    (io_loop.report(), result)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use toso_store::memory::MemoryChunkStore;

    use super::*;

    /// The story: each of a thousand phones in one process woke a thread after its session, to see that no name is missing.
    #[test]
    fn that_no_name_is_missing_is_seen_in_memory_without_a_thread() {
        let store = Arc::new(MemoryChunkStore::new());
        let replica = Arc::new(Replica::open(store, &crate::system::options()).unwrap());
        // There is no runtime here, whose threads could be asked for.
        let looked = pin!(missing_names(&replica)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(looked.is_ready());
    }
}
