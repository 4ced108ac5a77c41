//! What the library costs a phone, measured: opening, reading, saving, memory, wake-ups, and bytes a day.
//!
//! `cargo run --profile mobile -p toso-ffi --example measure [INVITE]`. With an invite of a running server it also spends a
//! volunteer's day there. `docs/mobile-figures.md` has the figures and what they were measured on.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a tool for developers")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::threads::{cpu_ticks, switches, woken_since};
use support::{KEY, NOBODY, add_member, add_team, config, enrolled, open, wait};
use toso_core::change::Change;
use toso_ffi::{BackgroundEnd, MemberEdit, NetworkKind, TeamEdit, TosoClient};
use toso_replica::Replica;
use toso_store::{ChunkStore, Transaction};
use toso_store_sled::{Options, SledChunkStore, StoreKey};

/// A commune: 10 teams and 50 members.
const TEAMS: usize = 10;
const MEMBERS_PER_TEAM: usize = 5;
/// Saves of all documents together.
const CHUNKS: usize = 1_000;
/// How often each time is taken; the middle one is printed.
const ROUNDS: usize = 15;
/// Saves of which the latency is taken.
const EDITS: usize = 200;
/// How long idling is watched.
const IDLE: Duration = Duration::from_secs(60);
/// A volunteer's day: 20 edits, and 3 syncs.
const DAY: [usize; 3] = [7, 7, 6];

fn main() {
    let folder = tempfile::TempDir::new().unwrap();
    let (plain, sealed) = (folder.path().join("plain"), folder.path().join("sealed"));
    println!("memory of the process before anything: {} KB", memory_kb());
    let toso = record(&sealed);
    toso.shutdown();
    copy_plain(&sealed, &plain);
    println!("on the disk: plain {} KB, encrypted {} KB", disk_kb(&plain), disk_kb(&sealed));

    opening(&plain, &sealed);
    let before = memory_kb();
    let toso = open(&sealed);
    let opened = memory_kb();
    drop((toso.teams().unwrap(), toso.members(None).unwrap(), toso.conflicts().unwrap()));
    println!("memory: opening adds {} KB, reading everything {} KB more", opened - before, memory_kb() - opened);
    saving(&toso);
    searching(&toso);
    idling(&toso);
    toso.shutdown();
    if let Some(invite) = std::env::args().nth(1) {
        day(&folder.path().join("day"), &invite);
    }
}

/// The commune, with as many saves as [`CHUNKS`].
fn record(folder: &Path) -> Arc<TosoClient> {
    let toso = enrolled(folder, NOBODY);
    let mut members = Vec::new();
    for team in 0..TEAMS {
        let id = add_team(&toso, &format!("Thôn {}", team + 1));
        for member in 0..MEMBERS_PER_TEAM {
            members.push(add_member(
                &toso,
                &id,
                &format!("Nguyễn Văn Thử {}", char::from(b'A' + u8::try_from(member).unwrap())),
            ));
        }
    }
    for save in 0..CHUNKS - TEAMS - members.len() {
        let year = u16::try_from(1950 + save % 50).unwrap();
        let edit = MemberEdit::BirthYear { year: Some(year) };
        wait(toso.edit_member(&members[save % members.len()], vec![edit])).unwrap();
    }
    toso
}

/// The same chunks and settings in a folder that is not encrypted.
fn copy_plain(sealed: &Path, plain: &Path) {
    let from = SledChunkStore::open_encrypted(sealed, Options::phone(), &StoreKey::from_bytes(&KEY)).unwrap();
    let to = SledChunkStore::open(plain, Options::phone()).unwrap();
    for (scope, doc) in from.documents().unwrap() {
        let chunks = from.chunks(doc).unwrap().into_iter().map(|chunk| (scope, Change { doc, chunk }));
        to.commit(Transaction { chunks: chunks.collect(), ..Transaction::default() }).unwrap();
    }
    for key in ["device-key", "credential"] {
        let settings = vec![(key.to_owned(), from.setting(key).unwrap())];
        to.commit(Transaction { settings, ..Transaction::default() }).unwrap();
    }
}

fn opening(plain: &Path, sealed: &Path) {
    let key = StoreKey::from_bytes(&KEY);
    for (name, folder, key) in [("plain", plain, None), ("encrypted", sealed, Some(&key))] {
        let mut parts: [Vec<Duration>; 4] = Default::default();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let options = Options::phone();
            let store = match key {
                Some(key) => SledChunkStore::open_encrypted(folder, options, key).unwrap(),
                None => SledChunkStore::open(folder, options).unwrap(),
            };
            let store: Arc<dyn ChunkStore> = Arc::new(store);
            parts[0].push(start.elapsed());
            let start = Instant::now();
            for (_, doc) in store.documents().unwrap() {
                store.chunks(doc).unwrap();
            }
            parts[1].push(start.elapsed());
            let start = Instant::now();
            let replica = Replica::open(store, &toso_client::system::options()).unwrap();
            let all = (replica.teams().unwrap(), replica.members(None).unwrap());
            parts[2].push(start.elapsed());
            let start = Instant::now();
            assert_eq!(all, (replica.teams().unwrap(), replica.members(None).unwrap()));
            parts[3].push(start.elapsed());
        }
        let [store, chunks, first, second] = parts.map(middle_ms);
        println!(
            "{name}: folder opened in {store:.1} ms, {CHUNKS} chunks read in {chunks:.1} ms, all 60 documents listed in \
             {first:.1} ms (the first time), {second:.1} ms (later)"
        );
    }
    let whole = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        let toso = open(sealed);
        toso.teams().unwrap();
        let took = start.elapsed();
        toso.shutdown();
        took
    });
    println!("TosoClient.open and teams(), encrypted: {:.1} ms", middle_ms(whole.collect()));
}

fn saving(toso: &TosoClient) {
    let team = toso.teams().unwrap()[0].id.clone();
    let mut took: Vec<Duration> = (0..EDITS)
        .map(|number| {
            let households = Some(u32::try_from(number + 1).unwrap());
            let start = Instant::now();
            wait(toso.edit_team(&team, vec![TeamEdit::HouseholdsCovered { households }])).unwrap();
            start.elapsed()
        })
        .collect();
    took.sort_unstable();
    let late = ms(took[EDITS * 95 / 100]);
    println!("a save, durable: {:.2} ms in the middle, {late:.2} ms at the 95th of 100", middle_ms(took));
}

fn searching(toso: &TosoClient) {
    let took = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        assert!(!toso.search("nguyen van", 50).unwrap().is_empty());
        start.elapsed()
    });
    println!("search among 60 documents: {:.2} ms", middle_ms(took.collect()));
}

fn idling(toso: &TosoClient) {
    toso.network_changed(NetworkKind::None).unwrap();
    toso.start_sync().unwrap();
    // Until what the calls before have started is over.
    std::thread::sleep(Duration::from_secs(5));
    let (start, cpu) = (switches(), cpu_ticks());
    std::thread::sleep(IDLE);
    let (woken, _) = woken_since(&start);
    let ticks = cpu_ticks() - cpu;
    println!("without a network: {} wake-ups an hour, {ticks} ticks of CPU in {IDLE:?}", woken * 3600 / IDLE.as_secs());
}

fn day(folder: &Path, invite: &str) {
    let toso = wait(TosoClient::open(config(folder), None)).unwrap();
    wait(toso.enrol(invite, None)).unwrap();
    let team = add_team(&toso, "Thôn Đo");
    // What came before the day.
    sync(&toso);
    let (mut up, mut down) = (0, 0);
    for edits in DAY {
        for edit in 0..edits {
            match edit % 3 {
                0 => drop(add_member(&toso, &team, "Nguyễn Văn Thử")),
                1 => {
                    let text = Some(format!("ghi chú thử {edit} {up}"));
                    wait(toso.edit_team(&team, vec![TeamEdit::Note { text }])).unwrap();
                }
                _ => {
                    let member = toso.members(None).unwrap()[0].id.clone();
                    let phone = Some(format!("0912{:06}", edit + usize::try_from(up).unwrap() % 1000));
                    wait(toso.edit_member(&member, vec![MemberEdit::Phone { phone }])).unwrap();
                }
            }
        }
        let (sent, received) = sync(&toso);
        (up, down) = (up + sent, down + received);
    }
    let (idle_up, idle_down) = sync(&toso);
    println!(
        "20 edits in 3 syncs: {up} B up, {down} B down; a sync with nothing new: {idle_up} B up, {idle_down} B down"
    );
    toso.shutdown();
}

fn sync(toso: &TosoClient) -> (u64, u64) {
    let sync = wait(toso.run_background_sync(60_000, None)).unwrap();
    assert_eq!(sync.end, BackgroundEnd::Done);
    (sync.bytes_up, sync.bytes_down)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn middle_ms(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    ms(times[times.len() / 2])
}

fn memory_kb() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

fn disk_kb(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum::<u64>() / 1024
}
