//! What devices do: record and push, look, edit, come back all at once, edit until the server goes.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use toso_client::sync_once;
use toso_core::id::DocId;

use super::fleet::{self, Device, Made};
use super::{Ack, Order, docs, ms, tell};
use crate::error::BenchError;
use crate::figures::percentile;
use crate::online::come_online;
use crate::parallel;
use crate::patience::Patience;
use crate::phone::{AT_ONCE, households};
use crate::process::Process;

/// Devices that join at the same time: the server gathers what comes together into one write to its disk.
const ENROLLING_MAX: usize = 32;

#[derive(Serialize)]
struct Seeded {
    op: &'static str,
    /// From the first record until the last acknowledgement.
    ms: f64,
    docs: usize,
    devices: usize,
    /// A device's time, recording and pushing.
    p50: f64,
    p99: f64,
    client_cpu_s: f64,
    /// Every document's id by its key.
    ids: BTreeMap<String, String>,
}

/// Devices record and push, so many at the same time.
pub(super) fn seed(order: &Order, width: usize) -> Result<(), BenchError> {
    let path = order.docs.as_deref().ok_or_else(|| BenchError::usage("this operation needs --docs"))?;
    let mut work: Vec<_> = docs::read(path)?.into_iter().collect();
    if let Some(devices) = order.devices {
        work.truncate(devices);
    }
    std::fs::create_dir_all(&order.dir)?;
    let joined: Mutex<BTreeMap<usize, Device>> = Mutex::default();
    parallel::each(
        width.min(ENROLLING_MAX),
        &work,
        || (),
        |(), (number, _)| {
            let device = fleet::enrolled(order, *number)?;
            joined.lock().insert(*number, device);
            Ok(())
        },
    )?;
    let joined = joined.into_inner();

    let runtime = Runtime::new()?;
    let (took, made) = (Mutex::new(Vec::new()), Mutex::new(BTreeMap::new()));
    let (cpu, begun) = (Process::own().cpu(), Instant::now());
    parallel::each(
        width,
        &work,
        || (),
        |(), (number, docs)| {
            let Some(device) = joined.get(number) else { return Ok(()) };
            let start = Instant::now();
            let ids = docs::record(&device.replica, docs)?;
            runtime.block_on(come_online(&device.replica, AT_ONCE, Patience::new(*number as u64)))?;
            took.lock().push(ms(start.elapsed()));
            made.lock().insert(*number, ids);
            Ok(())
        },
    )?;
    let wall = begun.elapsed();
    let client_cpu_s = cpu_since(cpu);

    let mut all = Made::read(&order.dir)?;
    let mut ids = BTreeMap::new();
    for (number, docs) in made.into_inner() {
        let docs: BTreeMap<String, String> = docs.into_iter().map(|(key, id)| (key, id.to_string())).collect();
        ids.extend(docs.clone());
        all.devices.entry(number).or_default().extend(docs);
    }
    all.write(&order.dir)?;
    let mut took = took.into_inner();
    tell(&Seeded {
        op: if width == 1 { "seed" } else { "load" },
        ms: ms(wall),
        docs: work.iter().map(|(_, docs)| docs.len()).sum(),
        devices: work.len(),
        p50: percentile(&mut took, 50),
        p99: percentile(&mut took, 99),
        client_cpu_s,
        ids,
    })
}

#[derive(Serialize)]
struct Looked {
    op: &'static str,
    ms: f64,
    /// Documents that the device holds now.
    docs: usize,
}

/// The first device connects, gets what is new, and leaves.
pub(super) fn sync(order: &Order) -> Result<(), BenchError> {
    let (number, _) = first_of(order)?;
    let device = fleet::open(&order.dir, number)?;
    look(order, "sync", &device)
}

/// A device that holds nothing gets all that the first device's commune has.
pub(super) fn first(order: &Order) -> Result<(), BenchError> {
    let (host, _) = first_of(order)?;
    let mut made = Made::read(&order.dir)?;
    let device = fleet::visitor(order, made.visitors, host)?;
    made.visitors += 1;
    made.write(&order.dir)?;
    look(order, "first", &device)
}

fn look(order: &Order, op: &'static str, device: &Device) -> Result<(), BenchError> {
    dial(order, device)?;
    let runtime = Runtime::new()?;
    let begun = Instant::now();
    runtime.block_on(come_online(&device.replica, AT_ONCE, Patience::new(0)))?;
    let took = begun.elapsed();
    tell(&Looked { op, ms: ms(took), docs: device.replica.store().documents_len()? })
}

#[derive(Serialize)]
struct Edited {
    op: &'static str,
    /// From the save until its acknowledgement.
    ack_ms: f64,
    /// Until the session's end.
    ms: f64,
    ack: Ack,
}

/// The first device edits a field and pushes it. With a process to kill, that dies the moment the acknowledgement is
/// heard, and the session's end does not matter.
pub(super) fn edit(order: &Order) -> Result<(), BenchError> {
    let (number, team) = first_of(order)?;
    let device = fleet::open(&order.dir, number)?;
    dial(order, &device)?;
    let runtime = Runtime::new()?;
    let begun = Instant::now();
    let acked = runtime.block_on(save(&device, team, order.round, order.kill_pid))?;
    let Some(acked) = acked else {
        return Err(BenchError::failed("the edit was not acknowledged; it is kept on the device"));
    };
    let ack = Ack { id: team.to_string(), value: order.round };
    tell(&Edited { op: "edit", ack_ms: ms(acked), ms: ms(begun.elapsed()), ack })
}

/// Saves a value and exchanges; the time until it was acknowledged. A session that ends before that tells `None`.
async fn save(device: &Device, team: DocId, value: u32, kill_pid: Option<u32>) -> Result<Option<Duration>, BenchError> {
    let begun = Instant::now();
    let changed = device.replica.edit(team, &households(value))?;
    let mut acked = None;
    let (report, result) = sync_once(&device.replica, AT_ONCE, |_, _| {
        if acked.is_none() && device.replica.outbox_len().is_ok_and(|unsent| unsent == 0) {
            acked = Some(begun.elapsed());
            kill_pid.into_iter().for_each(kill);
        }
    })
    .await;
    if report.refused > 0 {
        return Err(BenchError::failed("the server refused the edit"));
    }
    if acked.is_none() && device.replica.outbox_len()? == 0 {
        if !changed {
            return Err(BenchError::usage("the document has this value already; give another --round"));
        }
        acked = Some(begun.elapsed());
        kill_pid.into_iter().for_each(kill);
    }
    match result {
        Err(error) if acked.is_none() && error.needs_a_person() => Err(error.into()),
        _ => Ok(acked),
    }
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have gone by itself; then there is nothing to kill.
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[derive(Serialize)]
struct Rushed {
    op: &'static str,
    sessions: usize,
    failed: usize,
    wall_ms: f64,
    /// A session's time, its edit included.
    p50: f64,
    p99: f64,
    client_cpu_s: f64,
}

#[derive(Serialize)]
struct Mark {
    at: &'static str,
}

/// Every device edits once and connects, a wave of them at the same time; then the next wave.
pub(super) fn rush(order: &Order) -> Result<(), BenchError> {
    let wanted = Made::read(&order.dir)?.with_teams(order)?;
    let runtime = Runtime::new()?;
    let (mut took, mut failed, mut wall, mut cpu) = (Vec::new(), 0, Duration::ZERO, 0.0);
    for wave in wanted.chunks(order.width) {
        // Opened before the wave: a phone's app is open when its network comes back.
        let devices = open_all(order, wave)?;
        tell(&Mark { at: "begin" })?;
        let (before, begun) = (Process::own().cpu(), Instant::now());
        let (round, mut tasks) = (order.round, JoinSet::new());
        for (device, team) in devices {
            tasks.spawn_on(
                async move {
                    let begun = Instant::now();
                    device.replica.edit(team, &households(round))?;
                    come_online(&device.replica, AT_ONCE, Patience::new(u64::from(round))).await?;
                    Ok::<_, BenchError>(ms(begun.elapsed()))
                },
                runtime.handle(),
            );
        }
        let ended = runtime.block_on(tasks.join_all());
        wall += begun.elapsed();
        cpu += cpu_since(before);
        tell(&Mark { at: "end" })?;
        for session in ended {
            match session {
                Ok(session) => took.push(session),
                Err(error) => {
                    failed += 1;
                    eprintln!("a session failed: {error}");
                }
            }
        }
    }
    tell(&Rushed {
        op: "rush",
        sessions: took.len() + failed,
        failed,
        wall_ms: ms(wall),
        p50: percentile(&mut took, 50),
        p99: percentile(&mut took, 99),
        client_cpu_s: cpu,
    })
}

#[derive(Serialize)]
struct Acknowledged {
    ack: Ack,
}

#[derive(Serialize)]
struct Stormed {
    op: &'static str,
    acked: u64,
    wall_ms: f64,
}

/// Devices edit without pause, each after its last edit was acknowledged, until the server goes or the time is up.
pub(super) fn storm(order: &Order) -> Result<(), BenchError> {
    let wanted = Made::read(&order.dir)?.with_teams(order)?;
    let devices = open_all(order, &wanted)?;
    let runtime = Runtime::new()?;
    let begun = Instant::now();
    let (first, until, mut tasks) = (order.round, begun + order.max, JoinSet::new());
    for (device, team) in devices {
        tasks.spawn_on(
            async move {
                let (mut acked, mut value) = (0, first);
                while Instant::now() < until {
                    // Without an acknowledgement the server is gone, and the edit is kept on the device.
                    let Ok(Some(_)) = save(&device, team, value, None).await else { break };
                    tell(&Acknowledged { ack: Ack { id: team.to_string(), value } })?;
                    acked += 1;
                    value += 1;
                }
                Ok::<u64, BenchError>(acked)
            },
            runtime.handle(),
        );
    }
    let ended = runtime.block_on(tasks.join_all());
    let acked = ended.into_iter().sum::<Result<u64, _>>()?;
    tell(&Stormed { op: "storm", acked, wall_ms: ms(begun.elapsed()) })
}

fn open_all(order: &Order, wanted: &[(usize, DocId)]) -> Result<Vec<(Device, DocId)>, BenchError> {
    let open = |(number, team): &(usize, DocId)| {
        let device = fleet::open(&order.dir, *number)?;
        dial(order, &device)?;
        Ok((device, *team))
    };
    wanted.iter().map(open).collect()
}

/// The server may have come back at another address since the device joined.
fn dial(order: &Order, device: &Device) -> Result<(), BenchError> {
    let mut credential = device.replica.credential().map_err(toso_replica::ReplicaError::from)?;
    if credential.server_url != order.url {
        order.url.clone_into(&mut credential.server_url);
        credential.keep(device.replica.store()).map_err(toso_replica::ReplicaError::from)?;
    }
    Ok(())
}

fn first_of(order: &Order) -> Result<(usize, DocId), BenchError> {
    let made = Made::read(&order.dir)?.with_teams(&Order { devices: Some(1), ..order.clone() })?;
    made.first().copied().ok_or_else(|| nothing(&order.dir))
}

fn nothing(dir: &Path) -> BenchError {
    BenchError::usage(format!("{} holds no device; make some with --op seed", dir.display()))
}

/// Processor time of this process since then, in seconds; 0 where the system does not tell.
fn cpu_since(before: Option<Duration>) -> f64 {
    let after = Process::own().cpu();
    after.zip(before).map_or(0.0, |(after, before)| after.saturating_sub(before).as_secs_f64())
}
