//! One bounded exchange: connect, push everything, pull everything, hear what is counted, leave.

use std::pin::Pin;
use std::sync::Arc;

use toso_core::id::DocId;
use toso_replica::exchange::{ExchangeNews, MOVES_MAX};
use toso_replica::{Replica, SyncError, SyncOptions, SyncReport};

use super::io_loop::{IoLoop, Length};
use crate::asking::missing_names;
use crate::listening::ChangedDocuments;
use crate::transport::Transport;

/// [`crate::sync_once`] over a transport.
pub async fn sync_once_over(
    transport: &Arc<dyn Transport>,
    replica: &Arc<Replica>,
    options: SyncOptions,
    mut progress: impl FnMut(u64, u64),
) -> (SyncReport, Result<(), SyncError>) {
    let mut report = SyncReport::default();
    for _ in 0..MOVES_MAX {
        let (exchange, result) = one_exchange(transport, replica, options, &mut progress).await;
        report.add(&exchange);
        if !matches!(result, Err(SyncError::Moved)) {
            if result.is_ok() && report.pulled > 0 {
                // A failure costs nothing: see there.
                let _ = missing_names(&**transport, replica).await;
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

/// [`sync_once_over`] that ends at the latest when `over` does: for a system that lets an app work in the background for so
/// long, and may ask it to stop sooner. What was exchanged until then is kept on both sides; a page that is being stored is
/// stored to its end, and that is waited for.
pub async fn sync_until_over(
    transport: &Arc<dyn Transport>,
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
        let (exchange, ended) = exchange_until(transport, replica, options, over.as_mut(), &mut progress).await;
        report.add(&exchange);
        result = ended;
        if !matches!(result, Some(Err(SyncError::Moved))) {
            break;
        }
    }
    if matches!(result, Some(Ok(()))) && report.pulled > 0 {
        tokio::select! {
            _ = missing_names(&**transport, replica) => {}
            () = over => {}
        }
    }
    BoundedSync { report, documents: changed.take(), result }
}

async fn one_exchange(
    transport: &Arc<dyn Transport>,
    replica: &Arc<Replica>,
    options: SyncOptions,
    progress: &mut impl FnMut(u64, u64),
) -> (SyncReport, Result<(), SyncError>) {
    let never = std::pin::pin!(std::future::pending());
    let (report, result) = exchange_until(transport, replica, options, never, progress).await;
    // Only one that was to end first has no result.
    (report, result.unwrap_or(Err(SyncError::Lost)))
}

/// One bounded exchange; `None` when it was over first.
async fn exchange_until(
    transport: &Arc<dyn Transport>,
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
    let (transport, replica) = (Arc::clone(transport), Arc::clone(replica));
    let mut io_loop = IoLoop::new(transport, replica, &credential, options, Length::Bounded, Some(news));
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
    io_loop.stored().await;
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

    /// The story: each of a thousand phones in one process woke a thread after its exchange, to see that no name is missing.
    #[test]
    fn that_no_name_is_missing_is_seen_in_memory_without_a_thread() {
        let store = Arc::new(MemoryChunkStore::new());
        let replica = Arc::new(Replica::open(store, &crate::system::options()).unwrap());
        // There is no runtime here, whose threads could be asked for.
        let transport = crate::over_tokio::OverTokio::shared();
        let looked = pin!(missing_names(&*transport, &replica)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(looked.is_ready());
    }
}
