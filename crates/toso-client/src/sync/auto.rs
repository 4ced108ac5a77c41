//! The task that keeps a device in touch: dials, stays for live changes, and comes back by itself.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use toso_replica::exchange::ExchangeNews;
use toso_replica::{Between, Replica, SyncError, SyncOptions};
use toso_sync::Backoff;

use super::io_loop::{IoLoop, Until};
use super::once::missing_names;
use crate::listening::Watch;
use crate::system::random;

/// What a person sees of sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SyncState {
    /// No network, or waiting to try again.
    Offline,
    /// Dialling.
    Connecting,
    /// Exchanging: `done` of `total` changes.
    Syncing {
        /// Exchanged so far.
        done: u64,
        /// Known to be exchanged.
        total: u64,
    },
    /// Everything is exchanged; live changes come as they happen.
    UpToDate,
    /// The centre takes no more of this device today: so many changes wait here, and go out by themselves. All else is
    /// exchanged, and goes on.
    Waiting {
        /// How many.
        changes: u64,
    },
    /// It does not work, and why.
    Error {
        /// Which case, for programs: [`SyncError::word`].
        code: &'static str,
        /// In words.
        reason: String,
        /// True when trying again by itself is useless.
        needs_a_person: bool,
    },
}

/// Starts automatic sync.
#[derive(Debug)]
pub struct AutoSync;

/// Keeps automatic sync running; dropping it stops it.
#[derive(Debug)]
pub struct AutoSyncHandle {
    state: watch::Receiver<SyncState>,
    network: Arc<Network>,
    task: JoinHandle<()>,
}

/// Moves to other units after which it dials again at once; more in a row wait like a broken connection does.
const MOVES_MAX: u32 = 3;

/// What the platform says about the network.
#[derive(Debug)]
struct Network {
    online: watch::Sender<bool>,
    /// There is a network, perhaps another one, or a person pulled to refresh: dial at once, whatever is open. A socket
    /// of the network before looks alive for minutes, and a live one costs no more than one round trip to replace.
    /// Counts the times, so that one that came before a dial does not end the dial.
    dial_now: watch::Sender<u64>,
    /// What was remembered of the network before is not true of this one.
    another: AtomicBool,
}

impl Network {
    fn dial(&self) {
        self.dial_now.send_modify(|times| *times = times.wrapping_add(1));
    }
}

impl AutoSync {
    /// Starts syncing a replica, until the handle is dropped. Must be called within a tokio runtime.
    pub fn start(replica: Arc<Replica>, options: SyncOptions) -> AutoSyncHandle {
        Self::start_knowing(replica, options, true)
    }

    /// The same for a caller that knows whether there is a network: without one nothing is dialled until
    /// [`AutoSyncHandle::network_changed`] says that there is.
    pub fn start_knowing(replica: Arc<Replica>, options: SyncOptions, online: bool) -> AutoSyncHandle {
        let (sender, state) = watch::channel(SyncState::Offline);
        let network = Arc::new(Network {
            online: watch::channel(online).0,
            dial_now: watch::channel(0).0,
            another: AtomicBool::new(false),
        });
        let task = tokio::spawn(keep_in_touch(replica, options, sender, Arc::clone(&network)));
        AutoSyncHandle { state, network, task }
    }
}

impl AutoSyncHandle {
    /// The state now, and as it changes.
    pub fn state(&self) -> watch::Receiver<SyncState> {
        self.state.clone()
    }

    /// The platform says that the network went, came, or is another one. When there is one, it dials at once, and
    /// leaves the socket that may be open: that can belong to a network which is gone.
    pub fn network_changed(&self, online: bool) {
        self.network.online.send_replace(online);
        self.network.another.store(true, Ordering::Relaxed);
        if online {
            self.network.dial();
        }
    }

    /// A person wants it now: dials at once, also in place of a socket that only looks alive.
    pub fn sync_now(&self) {
        self.network.dial();
    }
}

impl Drop for AutoSyncHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_in_touch(
    replica: Arc<Replica>,
    options: SyncOptions,
    state: watch::Sender<SyncState>,
    network: Arc<Network>,
) {
    let watch = Watch::of(&replica);
    let mut backoff = Backoff::default();
    let mut moves = 0;
    let mut online = network.online.subscribe();
    let mut dial_now = network.dial_now.subscribe();
    loop {
        if !*online.borrow_and_update() {
            state.send_replace(SyncState::Offline);
            if online.wait_for(|online| *online).await.is_err() {
                return;
            }
            backoff.reset();
        }
        // What was wanted up to here is what is done now.
        dial_now.mark_unchanged();
        if network.another.swap(false, Ordering::Relaxed) {
            // Where it cannot be forgotten, requests work as well.
            let _ = replica.network_is_another();
        }
        state.send_replace(SyncState::Connecting);
        let (worked, error) = tokio::select! {
            outcome = AssertUnwindSafe(one_session(&replica, &watch, options, &state)).catch_unwind() => {
                // What the session shares is committed whole or not at all, and its locks do not poison.
                outcome.unwrap_or((false, Some(SyncError::Panicked)))
            }
            _ = online.wait_for(|online| !*online) => continue,
            changed = dial_now.changed() => {
                if changed.is_err() {
                    return;
                }
                backoff.reset();
                continue;
            }
        };
        if worked {
            backoff.reset();
            moves = 0;
        }
        if matches!(error, Some(SyncError::Moved)) && moves < MOVES_MAX {
            moves += 1;
            continue;
        }
        let at_least_ms = match error {
            Some(SyncError::RetryAfter { delay_ms }) => delay_ms,
            _ => 0,
        };
        state.send_replace(match error {
            None
            | Some(
                SyncError::Moved
                | SyncError::Unreachable { .. }
                | SyncError::Lost
                | SyncError::Stalled { .. }
                | SyncError::RetryAfter { .. }
                // A gateway whose server is away is a bad network.
                | SyncError::Between { what: Between::Gateway, .. },
            ) => SyncState::Offline,
            Some(error) => SyncState::Error {
                code: error.word(),
                reason: error.to_string(),
                needs_a_person: error.needs_a_person(),
            },
        });
        let delay = backoff.next_delay_ms(u64::from_le_bytes(random()), at_least_ms);
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_millis(delay)) => {}
            changed = dial_now.changed() => if changed.is_err() { return } else { backoff.reset() },
            changed = online.changed() => if changed.is_err() { return },
        }
    }
}

/// One live session; tells whether anything was exchanged, so that a link which breaks again and again but brings
/// something each time is no failure to wait longer for, and why it ended.
async fn one_session(
    replica: &Arc<Replica>,
    watch: &Arc<Watch>,
    options: SyncOptions,
    state: &watch::Sender<SyncState>,
) -> (bool, Option<SyncError>) {
    let credential = match replica.credential() {
        Ok(credential) => credential,
        Err(error) => return (false, Some(error.into())),
    };
    let (news, mut listener) = mpsc::unbounded_channel();
    let mut io_loop =
        IoLoop::new(Arc::clone(replica), &credential, options, Until::Stopped(Arc::clone(watch)), Some(news));
    let mut run = std::pin::pin!(io_loop.run());
    let mut worked = false;
    // What changed before the session is no news of it.
    watch.documents_changed();
    loop {
        tokio::select! {
            result = &mut run => return (worked, result.err()),
            Some(news) = listener.recv() => {
                if matches!(news, ExchangeNews::UpToDate { .. }) && watch.documents_changed() {
                    let replica = Arc::clone(replica);
                    tokio::spawn(async move { missing_names(&replica).await });
                }
                state.send_replace(match news {
                    ExchangeNews::Connected => SyncState::Syncing { done: 0, total: 0 },
                    ExchangeNews::Progress { done, total } => {
                        worked |= done > 0;
                        SyncState::Syncing { done, total }
                    }
                    ExchangeNews::UpToDate { waiting } => {
                        worked = true;
                        if waiting > 0 { SyncState::Waiting { changes: waiting } } else { SyncState::UpToDate }
                    }
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
