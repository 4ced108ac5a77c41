//! Phones that stay: what an idle connection costs, and how soon an edit reaches all that are connected.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::broadcast;
use toso_client::{AutoSync, AutoSyncHandle, subscribe};
use toso_replica::{ReplicaEvent, SyncOptions, SyncState};

use crate::bench::{Bench, ONLINE, phones, scopes};
use crate::error::BenchError;
use crate::figures::{Round, Step, percentile};
use crate::open_files;
use crate::phone::{Door, Phone, households};
use crate::watch::{Watch, millis};

/// Idle connections, at the largest step. One source address has 28,000 ports to one server, so more would need several;
/// the server itself takes 20,000.
const IDLE: usize = 10_000;
/// Connected phones of one commune, at the largest step.
const LISTENING: usize = 1_000;
/// How long idle connections are watched for what they cost in processor time.
const WATCHED: Duration = Duration::from_secs(3);
/// A phone that is not connected after this, or hears nothing, is lost.
const PATIENCE: Duration = Duration::from_secs(120);

/// A phone that stays connected.
struct Connected {
    phone: Arc<Phone>,
    sync: AutoSyncHandle,
}

/// Brings phones online for good, so many dialling at a time.
fn connect(bench: &Bench, phones: &[Arc<Phone>]) -> Result<Vec<Connected>, BenchError> {
    let runtime = bench.runtime();
    runtime.block_on(async {
        let mut connected: Vec<Connected> = Vec::with_capacity(phones.len());
        for wave in phones.chunks(ONLINE) {
            let from = connected.len();
            connected.extend(wave.iter().map(|phone| Connected {
                phone: Arc::clone(phone),
                sync: AutoSync::start(Arc::clone(&phone.replica), SyncOptions::default()),
            }));
            for one in connected.iter().skip(from) {
                let mut state = one.sync.state();
                let up_to_date = state.wait_for(|state| *state == SyncState::UpToDate);
                let waited = tokio::time::timeout(PATIENCE, up_to_date).await;
                if !matches!(waited, Ok(Ok(_))) {
                    let state = one.sync.state().borrow().clone();
                    return Err(BenchError::failed(format!("a phone does not get connected; it is {state:?}")));
                }
            }
        }
        Ok(connected)
    })
}

/// Connections that say nothing.
pub(super) fn idle(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let count = bench.sized(IDLE, factor);
    open_files::make_room(count)?;
    let rounds = bench.rounds("idle", count, "connections", || {
        let server = bench.server()?;
        let door = Door::of(&server)?;
        let phones = phones(&door, scopes(), count, |_| Ok(()))?;
        // What a server keeps of a phone it has once seen is not the connection's.
        bench.online(&phones, ONLINE)?;
        let memory = || server.process().memory_bytes().unwrap_or_default() as f64;
        let mut round = Round::new();
        let begun = Instant::now();
        // The first ones take what earlier work has left free, so only what the others add tells what one costs.
        let (first, further) = phones.split_at(count / 2);
        let first = connect(bench, first)?;
        let took = begun.elapsed();
        let before = memory();
        let begun = Instant::now();
        let further = connect(bench, further)?;
        round.insert("connect_s", (took + begun.elapsed()).as_secs_f64());
        let open = door.metric("toso_sessions")?;
        if open < count as u64 {
            return Err(BenchError::failed(format!("{count} phones are connected and the server has {open} sessions")));
        }
        let watch = Watch::begin(&server, &door)?;
        std::thread::sleep(WATCHED);
        let cost = watch.so_far()?;
        round.insert("memory_each_bytes", (memory() - before).max(0.0) / further.len() as f64);
        round.insert("memory_mib", memory() / 1_048_576.0);
        round.insert("server_cpu_per_s_ms", millis(cost.server_cpu) / cost.wall.as_secs_f64());
        drop((first, further));
        Ok(round)
    })?;
    Ok(Step { size: count as f64, rounds })
}

/// One edit, and all who hear of it.
pub(super) fn push(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let count = bench.sized(LISTENING, factor);
    open_files::make_room(count)?;
    let server = bench.server()?;
    let door = Door::of(&server)?;
    let own = scopes().get(..1).unwrap_or_default();
    let author = phones(&door, own, 1, |_| Ok(()))?;
    let author = author.first().ok_or_else(|| BenchError::failed("nobody enrolled"))?;
    let team = *author.record(1)?.first().ok_or_else(|| BenchError::failed("no team"))?;
    let runtime = bench.runtime();
    runtime.block_on(author.sync())?;
    let phones = phones(&door, own, count, |_| Ok(()))?;
    let connected = connect(bench, &phones)?;
    let times = u32::try_from(bench.repeated(10)).unwrap_or(1);
    let mut value = 0;
    let rounds = bench.rounds("push", count, "connections", || {
        let mut round = Round::new();
        let (mut middle, mut last) = (Vec::new(), Vec::new());
        let watch = Watch::begin(&server, &door)?;
        for _ in 0..times {
            value += 1;
            let listeners: Vec<_> = connected.iter().map(|one| subscribe(&one.phone.replica)).collect();
            author.replica.edit(team, &households(value))?;
            let begun = Instant::now();
            let mut heard = runtime.block_on(async {
                let listening: Vec<_> =
                    listeners.into_iter().map(|events| tokio::spawn(hears(events, begun))).collect();
                author.sync().await?;
                let mut heard = Vec::with_capacity(listening.len());
                for listener in listening {
                    heard.push(listener.await??);
                }
                Ok::<_, BenchError>(heard)
            })?;
            middle.push(percentile(&mut heard, 50));
            last.push(percentile(&mut heard, 100));
        }
        watch.so_far()?.each(&mut round, count * times as usize);
        round.insert("half_heard_ms", percentile(&mut middle, 50));
        round.insert("last_heard_ms", percentile(&mut last, 50));
        Ok(round)
    })?;
    Ok(Step { size: count as f64, rounds })
}

/// When the next change of a document comes, in milliseconds.
async fn hears(mut events: broadcast::Receiver<ReplicaEvent>, begun: Instant) -> Result<f64, BenchError> {
    let documents = async {
        loop {
            match events.recv().await {
                Ok(ReplicaEvent::Documents(_)) | Err(broadcast::error::RecvError::Lagged(_)) => return true,
                Ok(_) => {}
                Err(broadcast::error::RecvError::Closed) => return false,
            }
        }
    };
    match tokio::time::timeout(PATIENCE, documents).await {
        Ok(true) => Ok(millis(begun.elapsed())),
        _ => Err(BenchError::failed("a connected phone never heard of an edit of its commune")),
    }
}
