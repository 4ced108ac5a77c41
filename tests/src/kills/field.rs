//! Kills of `toso field`: while it records, while it syncs, while it starts, and with little space on its disk.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::{Holdings, Tally};
use crate::{FieldDevice, Server, SmallDisk};

/// A commune for each device, so that what the server counts there is what that device recorded.
const COMMUNES: [&str; 4] = ["00001", "00004", "00006", "00007"];

/// What one device's kills were, and what it was told.
struct Told {
    device: FieldDevice,
    commune: &'static str,
    tally: Tally,
    teams: Vec<String>,
    members: Vec<String>,
    /// The value of a team's note that was last told to be saved, and those tried since.
    notes: BTreeMap<String, Vec<String>>,
}

/// Kills field devices as often as planned, several side by side. With a disk, their folders are to lie on it.
pub fn run(kills: usize, seed: u64, data: &Path, homes: &Path, disk: Option<&SmallDisk>) -> Tally {
    let server = Server::start(data);
    let devices: Vec<(FieldDevice, &'static str)> =
        COMMUNES.iter().map(|commune| (server.device(&homes.join(commune), commune), *commune)).collect();
    let each = kills.div_ceil(devices.len());
    let told: Vec<Told> = thread::scope(|threads| {
        let running: Vec<_> = (0_u64..)
            .zip(devices)
            .map(|(number, (device, commune))| threads.spawn(move || work(device, commune, each, seed ^ number, disk)))
            .collect();
        running.into_iter().map(|thread| thread.join().expect("the device's checks hold")).collect()
    });
    if let Some(disk) = disk {
        disk.free();
    }

    let mut sum = Tally { what: if disk.is_some() { "field (disk)" } else { "field" }, ..Tally::default() };
    for told in &told {
        told.device.sync();
        told.check(&mut sum);
        let tally = &told.tally;
        sum.at_work += tally.at_work;
        sum.starting += tally.starting;
        sum.disk_low += tally.disk_low;
        sum.lost += tally.lost;
        sum.acknowledged += tally.acknowledged;
        sum.restarts.extend(&tally.restarts);
        // Exactly what is on the device is at the server: killed commands may have saved without a word.
        let (teams, members) = (told.device.json(&["team", "list"]), told.device.json(&["member", "list"]));
        let (teams, members) = (ids(&teams).len(), ids(&members).len());
        server
            .report_when(&["--unit", told.commune], |report| report["teams"] == teams && report["members"] == members);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    sum.duplicated += Holdings::pull(&runtime, server.url(), &server.admin_token()).repeated();
    sum
}

fn work(device: FieldDevice, commune: &'static str, kills: usize, seed: u64, disk: Option<&SmallDisk>) -> Told {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut told = Told {
        device,
        commune,
        tally: Tally::default(),
        teams: Vec::new(),
        members: Vec::new(),
        notes: BTreeMap::new(),
    };
    // How long a command takes here, so that kills come before, within and after its save.
    let began = Instant::now();
    told.teams.push(told.device.ok(&["team", "add", "--hamlet", "Thôn Đầu"]));
    told.tally.acknowledged += 1;
    let typical = began.elapsed();
    for number in 0.. {
        if told.tally.kills() >= kills {
            break;
        }
        if let Some(disk) = disk {
            // A phone keeps 2 MiB in reserve.
            disk.weigh_down(rng.random_range(24..32));
        }
        told.run_and_kill(number, rng.random_range(Duration::ZERO..typical * 5 / 4), disk.is_some(), &mut rng);
        if let Some(disk) = disk {
            disk.weigh_down(0);
        }
        // The next command recovers what the killed one left.
        let began = Instant::now();
        told.device.json(&["status"]);
        told.tally.restarts.push(began.elapsed());
        if number % 5 == 4 {
            let mut tally = std::mem::take(&mut told.tally);
            told.check(&mut tally);
            told.tally = tally;
        }
    }
    told
}

impl Told {
    fn run_and_kill(&mut self, number: u32, after: Duration, disk_low: bool, rng: &mut StdRng) {
        let team = self.teams[rng.random_range(0..self.teams.len())].clone();
        let hamlet = format!("Thôn {number}");
        let note = format!("note=ghi chú {number}");
        let kind = rng.random_range(0..4);
        let arguments: Vec<&str> = match kind {
            0 => vec!["team", "add", "--hamlet", &hamlet],
            1 => vec!["member", "add", "--team", &team, "--name", "Trần Thị Mẫu"],
            2 => vec!["team", "edit", &team, &note],
            _ => vec!["sync"],
        };
        let mut child =
            self.device.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        thread::sleep(after);
        child.kill().expect("ours to kill");
        let status = child.wait().expect("it ends");
        if disk_low {
            self.tally.disk_low += 1;
        } else if after < Duration::from_millis(5) {
            self.tally.starting += 1;
        } else {
            self.tally.at_work += 1;
        }
        let mut printed = String::new();
        child.stdout.take().expect("piped").read_to_string(&mut printed).expect("text");
        // An id cut by the kill was not told.
        let id = printed.strip_suffix('\n').map(str::to_owned);
        match (kind, id) {
            (0, Some(id)) => {
                self.teams.push(id);
                self.tally.acknowledged += 1;
            }
            (1, Some(id)) => {
                self.members.push(id);
                self.tally.acknowledged += 1;
            }
            (2, _) => {
                let value = format!("ghi chú {number}");
                let values = self.notes.entry(team).or_default();
                if status.success() {
                    values.clear();
                    self.tally.acknowledged += 1;
                } else if values.is_empty() {
                    // Nothing was told before: the field may be empty still.
                    values.push(String::new());
                }
                values.push(value);
            }
            _ => {}
        }
    }

    /// Counts what was told and is not on the device.
    fn check(&self, tally: &mut Tally) {
        let (teams, members) = (self.device.json(&["team", "list"]), self.device.json(&["member", "list"]));
        tally.lost += self.teams.iter().filter(|id| !ids(&teams).contains(&id.as_str())).count();
        tally.lost += self.members.iter().filter(|id| !ids(&members).contains(&id.as_str())).count();
        for (team, values) in &self.notes {
            let shown = teams.as_array().expect("a list").iter().find(|shown| shown["id"] == team.as_str());
            let note = shown.and_then(|shown| shown["note"].as_str()).unwrap_or_default();
            tally.lost += usize::from(!values.iter().any(|value| value == note));
        }
        for shown in [&teams, &members] {
            let all = ids(shown);
            let different: std::collections::BTreeSet<_> = all.iter().collect();
            tally.duplicated += all.len() - different.len();
        }
    }
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().filter_map(|shown| shown["id"].as_str()).collect()
}
