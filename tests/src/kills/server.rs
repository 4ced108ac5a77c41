//! Kills of the server: at work, while it starts, while it stops, and with little space on its disk.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use toso_core::id::{DocId, DocKind};

use super::{Holdings, PROVINCE, Tally, replica};
use crate::load::{self, GROWING, Recorder};
use crate::{Server, SmallDisk};

/// Communes that the devices record in: several devices share each.
const COMMUNES: [&str; 4] = ["00001", "00004", "00006", "00007"];
/// How long everything may take to arrive in the end.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Kills.
    pub kills: usize,
    /// Devices.
    pub devices: usize,
    /// What the random moments come from.
    pub seed: u64,
    /// The longest that the server may work between two kills.
    pub life_max: Duration,
}

/// Kills a server on `data` as often as planned. With a disk, the data is to lie on it, and its free space goes up and
/// down around what the server keeps in reserve.
pub fn run(plan: Plan, data: &Path, disk: Option<&SmallDisk>) -> Tally {
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    let mut server = Server::start(data);
    let (address, url, token) = (server.address().to_owned(), server.url().to_owned(), server.admin_token());
    let recorders: Arc<[Recorder]> = (0..plan.devices)
        .map(|number| {
            let recorder = Recorder::new(replica(&url, &token, COMMUNES[number % COMMUNES.len()], "recorder"));
            recorder.come_online(&runtime);
            recorder
        })
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let editing = {
        let (recorders, stop, rng) = (Arc::clone(&recorders), Arc::clone(&stop), StdRng::seed_from_u64(plan.seed ^ 1));
        thread::spawn(move || edit(&recorders, &stop, rng))
    };

    let mut tally = Tally { what: if disk.is_some() { "server (disk)" } else { "server" }, ..Tally::default() };
    while tally.kills() < plan.kills {
        if let Some(disk) = disk {
            // The server keeps 16 MiB in reserve: with 5 to 40 MiB free it refuses about every third time.
            let ballast = 128_usize.saturating_sub(megabytes(data) + rng.random_range(5..40));
            disk.weigh_down(ballast);
        }
        thread::sleep(rng.random_range(Duration::from_millis(5)..plan.life_max));
        if disk.is_some() {
            tally.disk_low += 1;
        } else if rng.random_ratio(1, 5) {
            server.ask_to_stop();
            thread::sleep(rng.random_range(Duration::ZERO..Duration::from_millis(60)));
            tally.stopping += 1;
        } else {
            tally.at_work += 1;
        }
        server.kill();
        let acknowledged = load::acknowledged(&recorders);
        // Recovery of a recovery: some starts are killed before they answer, sometimes twice.
        while tally.kills() < plan.kills && rng.random_ratio(1, 4) {
            let typical = Duration::from_millis(u64::try_from(tally.restart_ms(0.5)).expect("small").max(40));
            kill_while_starting(data, &address, rng.random_range(Duration::ZERO..typical));
            tally.starting += 1;
        }
        if let Some(disk) = disk {
            disk.weigh_down(0);
        }
        let began = Instant::now();
        server = Server::start_on(data, &address);
        tally.restarts.push(began.elapsed());
        recorders.iter().for_each(Recorder::sync_now);
        let holdings = Holdings::pull(&runtime, &url, &token);
        tally.lost += holdings.lacks(&acknowledged);
        tally.duplicated += holdings.repeated();
        tally.acknowledged = acknowledged.len();
    }
    stop.store(true, Ordering::Relaxed);
    editing.join().expect("editing never stops on its own");

    // In the end everything arrives, once, and is counted once.
    load::settle(&recorders, &runtime, PATIENCE);
    let acknowledged = load::acknowledged(&recorders);
    let holdings = Holdings::pull(&runtime, &url, &token);
    tally.acknowledged = acknowledged.len();
    tally.lost += holdings.lacks(&acknowledged);
    tally.duplicated += holdings.repeated();
    let recorded: BTreeSet<DocId> = recorders.iter().flat_map(Recorder::own).collect();
    let count = |kind| recorded.iter().filter(|doc| doc.kind() == Some(kind)).count();
    assert_eq!((holdings.teams, holdings.members), (count(DocKind::Team), count(DocKind::Member)));
    server.report_when(&["--unit", PROVINCE], |report| {
        report["teams"] == holdings.teams && report["members"] == holdings.members
    });
    tally
}

fn megabytes(data: &Path) -> usize {
    let log = std::fs::metadata(data.join("log").join("db")).map_or(0, |metadata| metadata.len());
    usize::try_from(log >> 20).expect("a small disk")
}

/// Starts a server and kills it after a while, whether it answers by then or not.
fn kill_while_starting(data: &Path, address: &str, after: Duration) {
    let mut child = Server::command(data, address).spawn().expect("the server starts");
    thread::sleep(after);
    child.kill().expect("ours to kill");
    child.wait().expect("it ends");
}

/// Edits on random devices until told to stop.
fn edit(recorders: &[Recorder], stop: &AtomicBool, mut rng: StdRng) {
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        recorders[rng.random_range(0..recorders.len())].edit(number, &GROWING, &mut rng);
        thread::sleep(Duration::from_millis(rng.random_range(2..25)));
    }
}
