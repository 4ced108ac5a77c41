//! A steady load for as long as wanted: devices come and go, edit and sync, officers watch live, reports are read, and
//! now and then the server is killed. A line of figures at intervals, and in the end a verdict by slopes.
//!
//! Kills fall into the first part of the time. What follows is one life of the process, since a leak shows only in a
//! process that lives; figures count from a while after its start, when its caches have filled.

mod figures;

pub use figures::{Figures, Growth, Verdict};

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::Runtime;
use toso_catalog::Catalog;
use toso_client::{AutoSync, AutoSyncHandle};
use toso_core::unit::{UnitList, UnitRef};
use toso_replica::SyncOptions;

use crate::kills::{Holdings, PROVINCE, replica};
use crate::load::{self, GROWING, Recorder, STEADY};
use crate::{Server, http};

/// How long everything may take to arrive in the end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Officers who watch a district live.
const OFFICERS: [&str; 4] = ["001", "002", "003", "004"];
/// Time between two looks at reports and lists.
const READ_EVERY: Duration = Duration::from_millis(250);

/// How long, how much.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The whole time.
    pub time: Duration,
    /// Time between two lines.
    pub line_every: Duration,
    /// Devices, about half of them online.
    pub devices: usize,
    /// Edits a second, over all devices.
    pub edits_per_second: u32,
    /// Records made before the load is steady, over all devices.
    pub records: u32,
    /// Kills in the first 40 % of the time.
    pub kills: u32,
    /// What everything random comes from.
    pub seed: u64,
}

/// What is running beside the server.
struct World {
    recorders: Vec<Recorder>,
    runtime: Runtime,
    url: String,
    token: String,
    stop: AtomicBool,
}

/// Runs a soak on a data folder; prints lines with `line`.
pub fn run(plan: Plan, data: &Path, mut line: impl FnMut(&str)) -> Verdict {
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let mut server = Server::start(data);
    let world = Arc::new(World::new(&plan, &server));
    let officers = world.officers();
    line(Figures::heading());
    fill(&world, plan.records, &mut rng);
    let threads = [
        world.start(plan.seed ^ 1, move |world, rng| world.edit(plan.edits_per_second, rng)),
        world.start(plan.seed ^ 2, World::come_and_go),
        world.start(plan.seed ^ 3, |world, _| world.read()),
    ];

    let began = Instant::now();
    let mut kills: Vec<Duration> = (0..plan.kills).map(|_| plan.time.mul_f64(rng.random_range(0.05..0.4))).collect();
    kills.sort_unstable_by(|a, b| b.cmp(a));
    let mut verdict = Verdict { records: plan.records, ..Verdict::default() };
    let mut born = Instant::now();
    let mut next_line = plan.line_every;
    while began.elapsed() < plan.time {
        thread::sleep(Duration::from_millis(50));
        if kills.last().is_some_and(|kill| *kill <= began.elapsed()) {
            kills.pop();
            server.kill();
            let acknowledged = load::acknowledged(&world.recorders);
            let address = server.address().to_owned();
            server = Server::start_on(data, &address);
            born = Instant::now();
            verdict.kills += 1;
            world.recorders.iter().for_each(Recorder::sync_now);
            let holdings = Holdings::pull(&world.runtime, &world.url, &world.token);
            verdict.lost += holdings.lacks(&acknowledged);
            verdict.duplicated += holdings.repeated();
        }
        if began.elapsed() >= next_line {
            next_line += plan.line_every;
            if let Some(mut figures) = Figures::read(&server, &world.token, data) {
                (figures.at, figures.life) = (began.elapsed(), born.elapsed());
                line(&figures.to_string());
                verdict.samples.push(figures);
            }
        }
    }
    world.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("the load never stops on its own");
    }
    drop(officers);
    load::settle(&world.recorders, &world.runtime, PATIENCE);
    let acknowledged = load::acknowledged(&world.recorders);
    let holdings = Holdings::pull(&world.runtime, &world.url, &world.token);
    verdict.acknowledged = acknowledged.len();
    verdict.lost += holdings.lacks(&acknowledged);
    verdict.duplicated += holdings.repeated();
    verdict
}

/// The register as it is when the load begins to be steady.
fn fill(world: &World, records: u32, rng: &mut StdRng) {
    for number in 0..records {
        world.recorders[number as usize % world.recorders.len()].edit(number, &GROWING, rng);
    }
    load::settle(&world.recorders, &world.runtime, PATIENCE);
}

impl World {
    fn new(plan: &Plan, server: &Server) -> Self {
        let province = UnitRef::new(UnitList::L2022, PROVINCE).expect("a unit");
        let scopes = Catalog::shared().scopes_under_all_lists(province);
        let communes: Vec<String> =
            scopes.iter().filter(|scope| scope.list == UnitList::L2022).map(|scope| scope.code.to_string()).collect();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
        let (url, token) = (server.url().to_owned(), server.admin_token());
        // Two devices of each commune, so that they meet.
        let recorder =
            |number: usize| Recorder::new(replica(&url, &token, &communes[number / 2 % communes.len()], "recorder"));
        let recorders = (0..plan.devices).map(recorder).collect();
        Self { recorders, runtime, url, token, stop: AtomicBool::new(false) }
    }

    fn officers(&self) -> Vec<AutoSyncHandle> {
        let officer = |unit: &&str| {
            let replica = replica(&self.url, &self.token, unit, "officer");
            let _runtime = self.runtime.enter();
            AutoSync::start(replica, SyncOptions::default())
        };
        OFFICERS.iter().map(officer).collect()
    }

    fn start(self: &Arc<Self>, seed: u64, work: impl FnOnce(&Self, StdRng) + Send + 'static) -> thread::JoinHandle<()> {
        let world = Arc::clone(self);
        thread::spawn(move || work(&world, StdRng::seed_from_u64(seed)))
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn edit(&self, per_second: u32, mut rng: StdRng) {
        let pause = Duration::from_secs(1) / per_second;
        let mut next = Instant::now();
        for number in 1_000_000.. {
            if self.stopped() {
                return;
            }
            self.recorders[rng.random_range(0..self.recorders.len())].edit(number, &STEADY, &mut rng);
            next += pause;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    fn come_and_go(&self, mut rng: StdRng) {
        while !self.stopped() {
            let recorder = &self.recorders[rng.random_range(0..self.recorders.len())];
            if recorder.is_online() {
                recorder.go_offline();
            } else {
                recorder.come_online(&self.runtime);
            }
            thread::sleep(Duration::from_millis(60));
        }
    }

    /// What a browser at the centre does, and what it gets is thrown away.
    fn read(&self) {
        let paths = [
            "/v1/report?list=2022&format=json".to_owned(),
            "/v1/report?list=2025&format=text".to_owned(),
            format!("/v1/teams?unit=2022/{PROVINCE}&limit=50"),
            "/v1/activity?unit=2022/001&limit=20".to_owned(),
            "/metrics".to_owned(),
        ];
        for path in paths.iter().cycle() {
            if self.stopped() {
                return;
            }
            let _ = http::try_get(&format!("{}{path}", self.url), &self.token);
            thread::sleep(READ_EVERY);
        }
    }
}
