//! Store calls that wait for a disk get a thread of their own, so that no task waits with them. A store that never waits (in
//! memory, or a browser's) is called in place.

use std::sync::Arc;

use toso_replica::{Replica, SyncError};

/// Does work on a replica.
pub(crate) async fn off_thread<T, E>(
    replica: &Arc<Replica>,
    work: impl FnOnce(&Replica) -> Result<T, E> + Send + 'static,
) -> Result<T, SyncError>
where
    T: Send + 'static,
    E: Into<SyncError> + Send + 'static,
{
    if !replica.store().waits_for_disk() {
        return work(replica).map_err(Into::into);
    }
    let replica = Arc::clone(replica);
    match tokio::task::spawn_blocking(move || work(&replica)).await {
        Ok(result) => result.map_err(Into::into),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(SyncError::Lost),
    }
}
