//! All devices, phase by phase: enrol, record offline, come online, catch up with each other, agree, be counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde::Deserialize;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use toso_client::rest::{Caller, Rest};
use toso_core::id::{DocKind, Sequence};
use toso_replica::{SyncOptions, SyncReport};

use super::Figures;
use super::device::FieldDevice;
use crate::error::BenchError;
use crate::online::Exchange;
use crate::parallel;
use crate::plan::Plan;
use crate::progress::Progress;

/// Threads that enrol devices: each waits for the server most of the time, and the server gathers what comes together
/// into one write to its disk.
const ENROLLING_MAX: usize = 32;
/// The centre counting nothing new for this long, while it has not counted everything, is a failure.
const COUNTING_STALLED_AFTER: Duration = Duration::from_secs(60);
/// Time between two looks at how far the centre is.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A device that has exchanged everything leaves at once; whether all is counted is looked at in the end.
const NO_LINGER: Duration = Duration::ZERO;
/// Every so many-th commune's devices are also asked what they show; all are asked what they hold.
const SHOWN_ALIKE_EVERY: usize = 8;
const MEBIBYTE: f64 = 1_048_576.0;

/// The devices of the country.
pub(crate) struct Fleet {
    plan: Plan,
    server: String,
    online: usize,
    runtime: Runtime,
    devices: Vec<Arc<FieldDevice>>,
    /// The server sequence up to which everything that was recorded is in its log.
    through: Sequence,
    phases: Vec<(&'static str, Duration)>,
    saves: u64,
    traffic: Traffic,
    conflicts: u64,
}

/// What all exchanges cost together.
#[derive(Debug, Clone, Copy, Default)]
struct Traffic {
    sessions: u64,
    retries: u64,
    pushed: u64,
    pulled: u64,
    bytes_up: u64,
    bytes_down: u64,
    http_bytes: u64,
}

/// What the simulation reads of a report.
#[derive(Debug, Deserialize)]
struct ReportHead {
    #[serde(flatten)]
    figures: Figures,
    as_of_sequence: Sequence,
}

/// One phase online.
struct Online {
    waiting: Mutex<Vec<Arc<FieldDevice>>>,
    /// Devices that are needed again: those that share their commune with others.
    staying: Mutex<Vec<Arc<FieldDevice>>>,
    through: Mutex<Sequence>,
    traffic: Mutex<Traffic>,
    progress: Progress,
    options: SyncOptions,
}

impl Fleet {
    /// The devices of a plan. None has done anything.
    pub(crate) fn new(plan: Plan, server: &str, online: usize) -> Result<Self, BenchError> {
        let mut devices: Vec<_> = plan
            .communes
            .iter()
            .enumerate()
            .flat_map(|(index, commune)| (0..commune.devices).map(move |number| FieldDevice::new(index, number)))
            .map(Arc::new)
            .collect();
        // Devices of a commune do not come online side by side.
        let mut rng = StdRng::seed_from_u64(devices.len() as u64);
        devices.shuffle(&mut rng);
        Ok(Self {
            plan,
            server: server.to_owned(),
            online,
            runtime: tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
            devices,
            through: Sequence::default(),
            phases: Vec::new(),
            saves: 0,
            traffic: Traffic::default(),
            conflicts: 0,
        })
    }

    /// Every device joins with an invite of its own.
    pub(crate) fn enrol(&mut self, admin: &Caller) -> Result<(), BenchError> {
        let progress = Progress::new("enrolled", self.devices.len());
        parallel::each(self.online.min(ENROLLING_MAX), &self.devices, Rest::default, |rest, device| {
            if let Some(commune) = self.plan.communes.get(device.commune) {
                device.enrol(rest, &self.server, admin, commune)?;
            }
            progress.step();
            Ok(())
        })?;
        self.phases.push(("enrol", progress.finish()));
        Ok(())
    }

    /// Every device records its share, without any network.
    pub(crate) fn record(&mut self) -> Result<(), BenchError> {
        let progress = Progress::new("recorded offline", self.devices.len());
        let saves = AtomicU64::new(0);
        parallel::each(
            parallel::cores(),
            &self.devices,
            || (),
            |(), device| {
                if let Some(commune) = self.plan.communes.get(device.commune) {
                    saves.fetch_add(device.record(commune)?, Ordering::Relaxed);
                }
                progress.step();
                Ok(())
            },
        )?;
        self.saves = saves.into_inner();
        self.phases.push(("record", progress.finish()));
        Ok(())
    }

    /// Every device comes online, so many at a time. Those that are alone in their commune are done then.
    pub(crate) fn come_online(&mut self) -> Result<(), BenchError> {
        let devices = std::mem::take(&mut self.devices);
        self.devices = self.go_online("synced", devices)?;
        Ok(())
    }

    /// Devices that share a commune come online once more, for what the others brought meanwhile.
    pub(crate) fn catch_up(&mut self) -> Result<(), BenchError> {
        let devices = self.devices.clone();
        self.go_online("caught up", devices).map(|_| ())
    }

    /// Devices of one commune must hold the same changes and so show the same conflicts, and together hold what was
    /// recorded.
    pub(crate) fn compare(&mut self) -> Result<(), BenchError> {
        let mut by_commune: BTreeMap<usize, Vec<Arc<FieldDevice>>> = BTreeMap::new();
        for device in &self.devices {
            by_commune.entry(device.commune).or_default().push(Arc::clone(device));
        }
        let communes: Vec<_> = by_commune.into_values().collect();
        let progress = Progress::new("compared communes", communes.len());
        let conflicts = AtomicU64::new(0);
        parallel::each(
            parallel::cores(),
            &communes,
            || (),
            |(), devices| {
                conflicts.fetch_add(self.compare_commune(devices)?, Ordering::Relaxed);
                progress.step();
                Ok(())
            },
        )?;
        self.conflicts = conflicts.into_inner();
        self.phases.push(("compare", progress.finish()));
        Ok(())
    }

    fn compare_commune(&self, devices: &[Arc<FieldDevice>]) -> Result<u64, BenchError> {
        let Some((first, others)) = devices.split_first() else { return Ok(0) };
        let Some(commune) = self.plan.communes.get(first.commune) else { return Ok(0) };
        let (holdings, conflicts) = (first.holdings()?, first.conflicts()?);
        for other in others {
            // Merging again what was merged is dear; that equal changes are shown alike is seen on a part.
            let differ = first.commune.is_multiple_of(SHOWN_ALIKE_EVERY) && other.conflicts()? != conflicts;
            if differ || other.holdings()? != holdings {
                return Err(BenchError::failed(format!(
                    "devices 1 and {} of {} have exchanged everything and still differ; this is a fault of the register",
                    other.number + 1,
                    commune.scope,
                )));
            }
        }
        let here = |kind| holdings.keys().filter(|id| id.kind() == Some(kind)).count();
        let members: usize = commune.teams.iter().map(|team| usize::from(team.members)).sum();
        let (teams, own) = (commune.teams.len(), (here(DocKind::Team), here(DocKind::Member)));
        // A server that was filled before brings more; less is a loss.
        if own.0 < teams || own.1 < members {
            return Err(BenchError::failed(format!(
                "{} has {} teams and {} members on its devices, but {teams} and {members} were recorded",
                commune.scope, own.0, own.1,
            )));
        }
        Ok(conflicts.len() as u64)
    }

    /// Waits until the centre has counted everything, and returns its figures.
    pub(crate) fn wait_until_counted(&mut self, admin: &Caller) -> Result<Figures, BenchError> {
        let rest = Rest::default();
        let started = Instant::now();
        let (mut counted, mut moved) = (Sequence::default(), started);
        loop {
            let report: ReportHead = rest.get(&self.server, "/v1/report?list=2022&format=json", admin)?;
            if report.as_of_sequence >= self.through {
                self.phases.push(("wait until counted", started.elapsed()));
                return Ok(report.figures);
            }
            if report.as_of_sequence > counted {
                (counted, moved) = (report.as_of_sequence, Instant::now());
            } else if moved.elapsed() > COUNTING_STALLED_AFTER {
                return Err(BenchError::failed(format!(
                    "the centre has counted up to {} of {} and then nothing for {} s; its log says why",
                    counted.0,
                    self.through.0,
                    COUNTING_STALLED_AFTER.as_secs(),
                )));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What each phase took, in order.
    pub(crate) fn phases(&self) -> &[(&'static str, Duration)] {
        &self.phases
    }

    /// What it took, for people.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        let traffic = &self.traffic;
        for (phase, took) in &self.phases {
            let _ = writeln!(text, "  {phase:20} {:6.1} s", took.as_secs_f64());
        }
        let _ = writeln!(
            text,
            "{} saves offline; {} changes pushed, {} pulled",
            self.saves, traffic.pushed, traffic.pulled
        );
        let _ = writeln!(
            text,
            "{} sessions, {} retries; {:.1} MiB up, {:.1} MiB down, {:.1} MiB of HTTP headers",
            traffic.sessions,
            traffic.retries,
            traffic.bytes_up as f64 / MEBIBYTE,
            traffic.bytes_down as f64 / MEBIBYTE,
            traffic.http_bytes as f64 / MEBIBYTE,
        );
        let _ = writeln!(
            text,
            "{} fields hold several values; the devices of each commune hold the same changes",
            self.conflicts
        );
        text
    }

    /// Lets devices come online; returns those of communes with several.
    fn go_online(
        &mut self,
        label: &'static str,
        devices: Vec<Arc<FieldDevice>>,
    ) -> Result<Vec<Arc<FieldDevice>>, BenchError> {
        let shared =
            |device: &FieldDevice| self.plan.communes.get(device.commune).is_some_and(|commune| commune.devices > 1);
        let alone: Vec<bool> = devices.iter().map(|device| !shared(device)).collect();
        let places = self.online.min(devices.len());
        let phase = Arc::new(Online {
            progress: Progress::new(label, devices.len()),
            staying: Mutex::new(
                devices
                    .iter()
                    .zip(&alone)
                    .filter(|(_, alone)| !**alone)
                    .map(|(device, _)| Arc::clone(device))
                    .collect(),
            ),
            waiting: Mutex::new(devices),
            through: Mutex::new(self.through),
            traffic: Mutex::new(self.traffic),
            options: SyncOptions { linger: NO_LINGER, ..SyncOptions::default() },
        });
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..places {
                tasks.spawn(serve_place(Arc::clone(&phase)));
            }
            while let Some(ended) = tasks.join_next().await {
                // Dropping the set ends the others.
                ended??;
            }
            Ok::<(), BenchError>(())
        })?;
        let phase = Arc::into_inner(phase).ok_or_else(|| BenchError::failed("a device is still online"))?;
        self.phases.push((label, phase.progress.finish()));
        self.traffic = phase.traffic.into_inner();
        self.through = phase.through.into_inner();
        Ok(phase.staying.into_inner())
    }
}

/// One place online: one device after the other.
async fn serve_place(phase: Arc<Online>) -> Result<(), BenchError> {
    loop {
        // The guard must not live through the exchange below.
        let next = phase.waiting.lock().pop();
        let Some(device) = next else { return Ok(()) };
        let exchange = device.come_online(phase.options).await?;
        phase.traffic.lock().add(&exchange);
        let through = device.through()?;
        let mut latest = phase.through.lock();
        *latest = through.max(*latest);
        drop(latest);
        phase.progress.step();
    }
}

impl Traffic {
    fn add(&mut self, exchange: &Exchange) {
        let SyncReport { bytes_up, bytes_down, http_bytes_up, http_bytes_down, pushed, pulled, .. } = exchange.report;
        self.sessions += 1 + u64::from(exchange.failures);
        self.retries += u64::from(exchange.failures);
        self.pushed += pushed;
        self.pulled += pulled;
        self.bytes_up += bytes_up;
        self.bytes_down += bytes_down;
        self.http_bytes += http_bytes_up + http_bytes_down;
    }
}
