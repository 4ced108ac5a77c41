//! `toso field sync`: one exchange, or staying in touch.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use toso_client::{AutoSync, sync_once};
use toso_core::chunk::ChangeHash;
use toso_core::id::DocId;
use toso_replica::{HeldState, Replica, SyncOptions, SyncReport, SyncState};
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

/// What a device says whose role only reads, that has written its share of the day, or whose unit's share is used up.
fn waiting(replica: &Replica, changes: u64) -> Result<String, Fail> {
    let status = replica.status()?;
    if let Some(waits) = show::waits_for_role(&status) {
        return Ok(waits);
    }
    let waits = format!("{changes} change(s) wait here");
    let Some(rest) = show::rest(&status) else { return Ok(format!("{waits} and go out by themselves")) };
    Ok(format!("{rest}; {waits}"))
}

/// The changes of this device that the server has refused.
fn refused(replica: &Replica) -> Result<HashSet<(DocId, ChangeHash)>, StoreError> {
    let refused = replica.held()?.into_iter().filter(|held| held.state == HeldState::Refused);
    Ok(refused.map(|held| (held.doc, held.hash)).collect())
}

/// What the server did not take, each kind with where it is shown.
fn not_taken(report: &SyncReport, refused: u64) -> impl Iterator<Item = String> {
    let carried = report.refused_carried;
    let held = report.refused.saturating_sub(carried + refused);
    let said = [
        (held > 0).then(|| format!("{held} change(s) are held for review; `held list` shows them")),
        (carried > 0).then(|| {
            format!(
                "{carried} change(s) that this device carried for others were refused, and it carries them no more; no list here \
                 shows them: their own devices have them still, and hear the server's answer at their next sync"
            )
        }),
    ];
    said.into_iter().flatten()
}

/// Why an exchange that went well is not done, when something of this device did not get through.
fn not_done(replica: &Replica, report: &SyncReport, refused: u64) -> Result<Option<String>, Fail> {
    let status = replica.status()?;
    if refused > 0 {
        return Ok(Some(format!(
            "{refused} change(s) were refused by the server and are on this device only; `field held list` shows each and why"
        )));
    }
    let not_now =
        || format!("{} change(s) wait here, which the server did not take now; sync again later", report.waiting);
    let waits = (report.waiting > 0 && status.rests_for_s.is_none()).then(not_now);
    Ok(show::waits_for_role(&status).or(waits))
}

async fn once(replica: &Arc<Replica>, json: bool) -> Result<(), Fail> {
    // A person asks, perhaps because an officer has allowed more: then the centre is asked, too.
    replica.end_rest()?;
    let refused_before = refused(replica)?;
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
    let refused = refused(replica)?.difference(&refused_before).count() as u64;
    if json {
        output::done_json(&report)?;
    } else if report.round_trips > 0 {
        output::say(&format!(
            "sent {} of {}, received {}; {} B up, {} B down, {} round trip(s)",
            report.acked, report.pushed, report.pulled, report.bytes_up, report.bytes_down, report.round_trips
        ));
        not_taken(&report, refused).for_each(|line| output::say(&line));
        if report.waiting > 0 && replica.rests_for_ms()?.is_some() {
            output::say(&waiting(replica, report.waiting)?);
        }
    }
    result?;
    not_done(replica, &report, refused)?.map_or(Ok(()), |why| Err(Fail::new(why)))
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
