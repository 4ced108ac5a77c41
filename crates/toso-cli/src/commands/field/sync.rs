//! `toso field sync`: one exchange, or staying in touch.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use toso_client::{AutoSync, SyncOptions, SyncState, sync_once};
use toso_replica::Replica;

use crate::fail::Fail;
use crate::output;

pub(super) fn run(replica: &Arc<Replica>, watch: bool, json: bool) -> Result<(), Fail> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    if watch { runtime.block_on(keep_watching(replica, json)) } else { runtime.block_on(once(replica, json)) }
}

/// What a device says that has written its share of the day.
fn waiting(changes: u64) -> String {
    format!(
        "the centre takes no more from this device today; {changes} change(s) wait here and go out by themselves. An officer \
         can allow more with `device allow`"
    )
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
            output::say(&waiting(report.waiting));
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
                SyncState::Waiting { changes } => output::say(&waiting(changes)),
                SyncState::Error { reason, .. } => output::say(&format!("error: {reason}")),
            }
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return Ok(()) },
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}
