//! When this device syncs: what the app wants and what the platform hints decide, in one place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use toso_client::{AutoSync, AutoSyncHandle, BoundedSync};
use toso_replica::{Replica, SyncOptions};

use crate::error::TosoError;
use crate::stop::{StopSignal, stopped};

/// What a person sees of sync. A text for each has the key `sync.` and its name; a failure has a key of its own.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum SyncState {
    /// Nobody has asked for sync, or the app is in the background.
    Stopped,
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
    /// The centre takes no more of this device today: so many changes wait here, and go out by themselves.
    Waiting {
        /// How many.
        changes: u64,
    },
    /// It does not work.
    Failed {
        /// Names the message for people.
        key: String,
        /// In English, for developers.
        detail: String,
        /// True when trying again by itself is useless: a person must act.
        needs_a_person: bool,
    },
}

/// The network that the platform reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum NetworkKind {
    /// None: nothing is dialled until there is one.
    None,
    /// Wi-Fi or cable.
    Wifi,
    /// The phone network.
    Cellular,
    /// Another.
    Other,
}

/// How a bounded sync ended.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum BackgroundEnd {
    /// Everything is exchanged.
    Done,
    /// The time was over first; the next sync goes on from there.
    Deadline,
    /// It was ended from outside; the next sync goes on from there.
    Stopped,
    /// It did not work; what was exchanged before stays.
    Failed {
        /// Why.
        error: TosoError,
    },
}

/// What a bounded sync did.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct BackgroundSync {
    /// How it ended.
    pub end: BackgroundEnd,
    /// Documents that changed meanwhile.
    pub documents: Vec<String>,
    /// Changes that the server has acknowledged.
    pub sent: u64,
    /// Changes that came.
    pub received: u64,
    /// Changes that the server refused or holds for review.
    pub refused: u64,
    /// True when the centre has counted what was sent.
    pub counted: bool,
    /// Bytes sent, HTTP's among them, without TLS's and TCP's own.
    pub bytes_up: u64,
    /// Bytes received, likewise.
    pub bytes_down: u64,
}

/// Live sync of one replica.
pub(crate) struct SyncControl {
    replica: Arc<Replica>,
    runtime: Handle,
    state: watch::Sender<SyncState>,
    wishes: Mutex<Wishes>,
}

/// What decides whether a live session runs.
struct Wishes {
    wanted: bool,
    foreground: bool,
    network: NetworkKind,
    /// Bounded syncs that run instead.
    paused: u32,
    live: Option<Live>,
}

/// A live session.
struct Live {
    handle: AutoSyncHandle,
    shown: Shown,
    forward: AbortHandle,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shown.end();
        self.forward.abort();
    }
}

/// Where a live session shows its state, until it ends.
///
/// Aborting the task that forwards is not enough: one that is at work just then comes to its next await, and would write what the
/// session was over the `Stopped` of the call that ended it, for good.
#[derive(Clone)]
struct Shown {
    state: watch::Sender<SyncState>,
    over: Arc<AtomicBool>,
}

impl Shown {
    fn on(state: watch::Sender<SyncState>) -> Self {
        Self { state, over: Arc::new(AtomicBool::new(false)) }
    }

    /// Shows a state, unless the session is over. Asked under the state's own lock: what is written after the end stays.
    fn show(&self, new: SyncState) {
        self.state.send_if_modified(|state| {
            let live = !self.over.load(Ordering::Acquire);
            if live {
                *state = new;
            }
            live
        });
    }

    fn end(&self) {
        self.over.store(true, Ordering::Release);
    }
}

impl SyncControl {
    pub(crate) fn new(replica: Arc<Replica>, runtime: Handle) -> Self {
        let wishes = Wishes { wanted: false, foreground: true, network: NetworkKind::Other, paused: 0, live: None };
        Self { replica, runtime, state: watch::channel(SyncState::Stopped).0, wishes: Mutex::new(wishes) }
    }

    pub(crate) fn state(&self) -> watch::Receiver<SyncState> {
        self.state.subscribe()
    }

    /// True while a server is being talked with.
    pub(crate) fn is_in_touch(&self) -> bool {
        matches!(*self.state.borrow(), SyncState::Syncing { .. } | SyncState::UpToDate | SyncState::Waiting { .. })
    }

    /// Whether the app wants to be in touch.
    pub(crate) fn want(&self, wanted: bool) {
        self.change(|wishes| wishes.wanted = wanted);
    }

    /// Whether the app is in front.
    pub(crate) fn foreground(&self, foreground: bool) {
        self.change(|wishes| wishes.foreground = foreground);
    }

    pub(crate) fn network_changed(&self, network: NetworkKind) {
        self.change(|wishes| {
            wishes.network = network;
            if let Some(live) = &wishes.live {
                live.handle.network_changed(network != NetworkKind::None);
            }
        });
    }

    /// A person pulled to refresh.
    pub(crate) fn refresh(&self) {
        self.change(|wishes| {
            if let Some(live) = &wishes.live {
                live.handle.sync_now();
            }
        });
    }

    /// One bounded exchange, in place of a live session: until everything is exchanged, the time is over, or it is stopped.
    pub(crate) async fn bounded(
        self: Arc<Self>,
        options: SyncOptions,
        time: Duration,
        stop: Option<Arc<StopSignal>>,
    ) -> BackgroundSync {
        let _pause = Pause::of(&self);
        let state = self.state.clone();
        let mut end = BackgroundEnd::Deadline;
        let over = async {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = stopped(stop) => end = BackgroundEnd::Stopped,
            }
        };
        let done = toso_client::sync_until(&self.replica, options, over, |done, total| {
            state.send_replace(SyncState::Syncing { done, total });
        })
        .await;
        BackgroundSync::of(done, end)
    }

    /// Changes the wishes and does what follows.
    fn change(&self, change: impl FnOnce(&mut Wishes)) {
        let mut wishes = self.wishes.lock();
        change(&mut wishes);
        let run = wishes.wanted && wishes.foreground && wishes.paused == 0;
        if run && wishes.live.is_none() {
            wishes.live = Some(self.start(wishes.network));
        } else if !run {
            wishes.live = None;
            if wishes.paused == 0 {
                self.state.send_replace(SyncState::Stopped);
            }
        }
    }

    fn start(&self, network: NetworkKind) -> Live {
        let _within = self.runtime.enter();
        let online = network != NetworkKind::None;
        let handle = AutoSync::start_knowing(Arc::clone(&self.replica), SyncOptions::default(), online);
        let (mut from, shown) = (handle.state(), Shown::on(self.state.clone()));
        let to = shown.clone();
        let forward = self.runtime.spawn(async move {
            loop {
                let state = from.borrow_and_update().clone();
                to.show(state.into());
                if from.changed().await.is_err() {
                    return;
                }
            }
        });
        Live { handle, shown, forward: forward.abort_handle() }
    }
}

/// Keeps live sync away while it lives, however it ends.
struct Pause(Arc<SyncControl>);

impl Pause {
    fn of(control: &Arc<SyncControl>) -> Self {
        control.change(|wishes| wishes.paused += 1);
        Self(Arc::clone(control))
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.0.change(|wishes| wishes.paused -= 1);
    }
}

impl From<toso_replica::SyncState> for SyncState {
    fn from(state: toso_replica::SyncState) -> Self {
        use toso_replica::SyncState as S;
        match state {
            S::Offline => Self::Offline,
            S::Connecting => Self::Connecting,
            S::Syncing { done, total } => Self::Syncing { done, total },
            S::UpToDate => Self::UpToDate,
            S::Waiting { changes } => Self::Waiting { changes },
            S::Error { code, reason, needs_a_person } => {
                Self::Failed { key: code.to_owned(), detail: reason, needs_a_person }
            }
        }
    }
}

impl BackgroundSync {
    /// `cut_off`: the end of one that did not come to its own.
    fn of(sync: BoundedSync, cut_off: BackgroundEnd) -> Self {
        let report = sync.report;
        let end = match sync.result {
            Some(Ok(())) => BackgroundEnd::Done,
            None => cut_off,
            Some(Err(error)) => BackgroundEnd::Failed { error: error.into() },
        };
        Self {
            end,
            documents: sync.documents.iter().map(ToString::to_string).collect(),
            sent: report.acked,
            received: report.pulled,
            refused: report.refused,
            counted: report.counted,
            bytes_up: report.bytes_up + report.http_bytes_up,
            bytes_down: report.bytes_down + report.http_bytes_down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The story: an app that went behind another one said *up to date* for as long as it stayed there.
    #[test]
    fn a_session_that_is_over_shows_nothing_more() {
        let state = watch::channel(SyncState::Stopped).0;
        let shown = Shown::on(state.clone());
        let late = shown.clone();
        shown.show(SyncState::Connecting);
        assert_eq!(*state.borrow(), SyncState::Connecting);
        shown.end();
        state.send_replace(SyncState::Stopped);
        late.show(SyncState::UpToDate);
        assert_eq!(*state.borrow(), SyncState::Stopped);
    }
}
