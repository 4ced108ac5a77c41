//! `toso field sync`: one exchange, or staying in touch.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use toso_client::{AutoSync, sync_once};
use toso_replica::{Replica, SyncOptions, SyncState};
use toso_store::{ChunkStore, StoreError};

use super::beside::{self, Mark};
use super::show;
use crate::fail::Fail;
use crate::output;

/// Steps of waiting for a sync that was ended to let go of the replica: 500 × 10 ms = 5 s.
const LETS_GO_STEPS: u32 = 500;
const LETS_GO_STEP: Duration = Duration::from_millis(10);

pub(super) fn run(replica: &Arc<Replica>, json: bool) -> Result<(), Fail> {
    runtime()?.block_on(once(replica, json))
}

/// Stays in touch until interrupted, and lets other commands at the folder in between.
pub(super) fn watch(
    home: &Path,
    mut store: Arc<dyn ChunkStore>,
    open: &impl Fn() -> Result<Arc<dyn ChunkStore>, StoreError>,
    json: bool,
) -> Result<(), Fail> {
    let watched = Mark::watched(home);
    runtime()?.block_on(async {
        let interrupted = tokio::signal::ctrl_c();
        tokio::pin!(interrupted);
        loop {
            let replica = Arc::new(super::replica(store)?);
            let ended = tokio::select! {
                ended = keep_watching(&replica, json) => Some(ended),
                _ = &mut interrupted => Some(Ok(())),
                () = beside::wanted(home) => None,
            };
            if let Some(ended) = ended {
                super::warn(&replica.status()?);
                return ended;
            }
            let_go(replica).await;
            store = tokio::select! {
                taken = beside::take_again(home, open) => taken?,
                _ = &mut interrupted => return Ok(()),
            };
            watched.write();
        }
    })
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

/// Closes a replica. A sync that was ended may still be at work in it for a moment.
async fn let_go(replica: Arc<Replica>) {
    for _ in 0..LETS_GO_STEPS {
        if Arc::strong_count(&replica) == 1 {
            break;
        }
        tokio::time::sleep(LETS_GO_STEP).await;
    }
}

/// What a device says that has written its share of the day, or whose unit's share is used up.
fn waiting(replica: &Replica, changes: u64) -> Result<String, Fail> {
    let waits = format!("{changes} change(s) wait here");
    let Some(rest) = show::rest(&replica.status()?) else { return Ok(format!("{waits} and go out by themselves")) };
    Ok(format!("{rest}; {waits}"))
}

async fn once(replica: &Arc<Replica>, json: bool) -> Result<(), Fail> {
    // A person asks, perhaps because an officer has allowed more: then the centre is asked, too.
    replica.end_rest()?;
    // Hidden by itself when stderr is no terminal.
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}") {
        bar.set_style(style);
    }
    let (report, result) = sync_once(replica, SyncOptions::default(), |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })
    .await;
    bar.finish_and_clear();
    if json {
        output::done_json(&report)?;
    } else if report.round_trips > 0 {
        output::say(&format!(
            "sent {} of {}, received {}; {} B up, {} B down, {} round trip(s)",
            report.acked, report.pushed, report.pulled, report.bytes_up, report.bytes_down, report.round_trips
        ));
        if report.refused > 0 {
            output::say(&format!("{} change(s) were refused or are held for review; see `held list`", report.refused));
        }
        if report.waiting > 0 {
            output::say(&waiting(replica, report.waiting)?);
        }
    }
    Ok(result?)
}

async fn keep_watching(replica: &Arc<Replica>, json: bool) -> Result<(), Fail> {
    let sync = AutoSync::start(Arc::clone(replica), SyncOptions::default());
    let mut state = sync.state();
    loop {
        let now = state.borrow_and_update().clone();
        if json {
            output::json_line(&now)?;
        } else {
            match now {
                SyncState::Offline => output::say("offline"),
                SyncState::Connecting => output::say("connecting"),
                SyncState::Syncing { done, total } => output::say(&format!("syncing {done}/{total}")),
                SyncState::UpToDate => output::say("up to date"),
                SyncState::Waiting { changes } => output::say(&waiting(replica, changes)?),
                SyncState::Error { reason, .. } => output::say(&format!("error: {reason}")),
            }
        }
        if state.changed().await.is_err() {
            return Ok(());
        }
    }
}
