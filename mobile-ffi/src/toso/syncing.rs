//! Sync as the app and its platform steer it.

use std::sync::Arc;
use std::time::Duration;

use toso_replica::SyncOptions;
use toso_replica::exchange::report::LINGER_FOR_RECEIPT;

use super::{TosoClient, joined};
use crate::error::TosoError;
use crate::stop::StopSignal;
use crate::sync::{BackgroundSync, NetworkKind, SyncControl, SyncState};

/// A task that ends when nobody waits for it any more.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl TosoClient {
    fn steer(&self, change: impl FnOnce(&SyncControl)) -> Result<(), TosoError> {
        self.with(|core| {
            change(&core.sync);
            Ok::<_, TosoError>(())
        })
    }
}

#[uniffi::export]
impl TosoClient {
    /// Stays in touch with the server from now on, whenever there is a network and the app is in front.
    pub fn start_sync(&self) -> Result<(), TosoError> {
        self.steer(|sync| sync.want(true))
    }

    /// Stops being in touch.
    pub fn stop_sync(&self) -> Result<(), TosoError> {
        self.steer(|sync| sync.want(false))
    }

    /// Where sync stands.
    pub fn sync_state(&self) -> Result<SyncState, TosoError> {
        self.with(|core| Ok::<_, TosoError>(core.sync.state().borrow().clone()))
    }

    /// The platform says that the network went, came, or is another one. When there is one, it dials at once.
    pub fn network_changed(&self, kind: NetworkKind) -> Result<(), TosoError> {
        self.steer(|sync| sync.network_changed(kind))
    }

    /// A person wants it now: dials at once, when sync is started.
    pub fn refresh(&self) -> Result<(), TosoError> {
        self.steer(|sync| sync.refresh())
    }

    /// The app is no longer in front: the connection is closed, and nothing wakes the phone. Edits go on working.
    pub fn app_backgrounded(&self) -> Result<(), TosoError> {
        self.steer(|sync| sync.foreground(false))
    }

    /// The app is in front again: when sync is started, it dials at once.
    pub fn app_foregrounded(&self) -> Result<(), TosoError> {
        self.steer(|sync| sync.foreground(true))
    }

    /// Exchanges everything there is once, for at most so many milliseconds, and returns what it did: for WorkManager and
    /// BGTaskScheduler. What was exchanged when the time is over is kept on both sides. Cancelling the call ends it, and so
    /// does `stop`, where cancelling does not reach this far.
    #[uniffi::method(default(stop = None))]
    pub async fn run_background_sync(
        &self,
        deadline_ms: u64,
        stop: Option<Arc<StopSignal>>,
    ) -> Result<BackgroundSync, TosoError> {
        let time = Duration::from_millis(deadline_ms);
        // Waiting for the receipt may take a quarter of the time and no more.
        let options = SyncOptions { linger: LINGER_FOR_RECEIPT.min(time / 4), ..SyncOptions::default() };
        let mut task = self.with(|core| -> Result<_, TosoError> {
            let sync = Arc::clone(&core.sync).bounded(options, time, stop);
            Ok(AbortOnDrop(core.runtime.handle()?.spawn(sync)))
        })?;
        (&mut task.0).await.map_err(|error| joined(&error))
    }
}
