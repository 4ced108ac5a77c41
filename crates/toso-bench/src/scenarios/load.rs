//! Many phones: with much that is new, and with one edit each at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use toso_core::id::Sequence;
use toso_store_sled::{Options, SledChunkStore};

use crate::bench::{Bench, DOCUMENTS_PER_PHONE, ONLINE, phones, scopes};
use crate::error::BenchError;
use crate::figures::{Round, Step, percentile};
use crate::goals::NATIONAL_PHONES;
use crate::online::Exchange;
use crate::open_files;
use crate::phone::{Door, Phone, households};
use crate::watch::{Watch, millis};

/// Phones of the load, at the largest step: 60,000 documents.
const LOADING: usize = 1_000;
/// Phones of the load with text, at scale 1: 18,000 documents.
const LOADING_TEXT: usize = 300;
/// Bytes of each of its texts.
const TEXT_BYTES: usize = 1_024;
/// How many of its phones are online at the same time, and what the server's cost is called then: two, whose batches share no
/// sync; twenty, as others were measured; and two hundred.
const TEXT_WIDTHS: [(usize, &str, &str); 3] = [
    (2, "few_server_cpu_each_ms", "few_syncs_each"),
    (20, "server_cpu_each_ms", "syncs_each"),
    (200, "many_server_cpu_each_ms", "many_syncs_each"),
];
/// Phones with their stores on the disk, all open at once.
const ON_DISK: usize = 20;
/// Phones that are online at the same time in a rush. All of a country would need more open files than systems allow.
const RUSH_WIDTH: usize = 1_000;
const MEBIBYTE: f64 = 1_048_576.0;

/// Phones with 60 new documents each.
pub(super) fn load(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let count = bench.sized(LOADING, factor);
    let documents = count * DOCUMENTS_PER_PHONE;
    let rounds = bench.rounds("load", count, "phones", || {
        let server = bench.server()?;
        let door = Door::of(&server)?;
        let phones = phones(&door, scopes(), count, |phone| phone.record(DOCUMENTS_PER_PHONE).map(drop))?;
        let mut round = Round::new();
        let watch = Watch::begin(&server, &door)?;
        let exchanges = bench.online(&phones, ONLINE)?;
        let acknowledged = watch.so_far()?;
        door.wait_until_counted(through(&phones)?)?;
        let counted = watch.so_far()?;
        round.insert("wall_s", counted.wall.as_secs_f64());
        round.insert("acknowledged_per_s", documents as f64 / acknowledged.wall.as_secs_f64());
        round.insert("counted_per_s", documents as f64 / counted.wall.as_secs_f64());
        counted.each(&mut round, documents);
        round.insert("syncs", acknowledged.syncs as f64);
        round.insert("up_each_bytes", bytes_up(&exchanges) / documents as f64);
        round.insert("server_memory_peak_mib", peak_mib(&server));
        let data = server.data().to_owned();
        drop(server);
        round.insert("disk_each_bytes", disk_bytes(&data)? / documents as f64);
        bench.drop_folder(&data);
        Ok(round)
    })?;
    Ok(Step { size: count as f64, rounds })
}

/// Phones with 60 texts each, few and many at a time; and what it costs a phone.
pub(super) fn load_text(bench: &Bench, _factor: u32) -> Result<Step, BenchError> {
    let count = bench.sized(LOADING_TEXT, 10);
    let documents = count * DOCUMENTS_PER_PHONE;
    open_files::make_room(TEXT_WIDTHS.map(|(width, ..)| width).into_iter().fold(0, usize::max))?;
    let rounds = bench.rounds("load-text", count, "phones", || {
        let mut round = Round::new();
        for (width, cpu, syncs) in TEXT_WIDTHS {
            let server = bench.server()?;
            let door = Door::of(&server)?;
            let record = |phone: &Phone| phone.record_notes(DOCUMENTS_PER_PHONE, TEXT_BYTES);
            let phones = phones(&door, scopes(), count, record)?;
            let watch = Watch::begin(&server, &door)?;
            bench.online(&phones, width)?;
            door.wait_until_counted(through(&phones)?)?;
            let cost = watch.so_far()?;
            round.insert(cpu, millis(cost.server_cpu) / documents as f64);
            round.insert(syncs, cost.syncs as f64 / documents as f64);
        }
        handsets(bench, &mut round)?;
        Ok(round)
    })?;
    Ok(Step { size: count as f64, rounds })
}

/// What a save with its sync of the disk and its share of an exchange take of a phone's processor.
fn handsets(bench: &Bench, round: &mut Round) -> Result<(), BenchError> {
    let server = bench.server()?;
    let door = Door::of(&server)?;
    let phones = scopes().iter().take(ON_DISK).map(|scope| {
        let folder = bench.fresh_folder();
        let store = Arc::new(SledChunkStore::open(&folder, Options::phone())?);
        Ok((folder, Arc::new(Phone::enrol_with(&door, *scope, store)?)))
    });
    let (folders, phones): (Vec<_>, Vec<_>) = phones.collect::<Result<Vec<_>, BenchError>>()?.into_iter().unzip();
    let documents = (phones.len() * DOCUMENTS_PER_PHONE) as f64;
    let watch = Watch::begin(&server, &door)?;
    phones.iter().try_for_each(|phone| phone.record_notes(DOCUMENTS_PER_PHONE, TEXT_BYTES))?;
    let saved = watch.so_far()?.own_cpu;
    bench.online(&phones, phones.len())?;
    let brought = watch.so_far()?.own_cpu.saturating_sub(saved);
    round.insert("phone_save_cpu_ms", millis(saved) / documents);
    round.insert("phone_sync_cpu_ms", millis(brought) / documents);
    round.insert("phone_cpu_ms", millis(saved + brought) / documents);
    drop(phones);
    for folder in &folders {
        bench.drop_folder(folder);
    }
    Ok(())
}

/// Phones with one edit each, at once; warm, and after a restart.
pub(super) fn rush(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let count = bench.sized(NATIONAL_PHONES, factor);
    open_files::make_room(RUSH_WIDTH.min(count))?;
    let mut server = bench.server()?;
    let door = Door::of(&server)?;
    // As many phones a commune as in all of the country, at every step: each has its neighbours' edits to fetch, and would
    // have none where every phone is alone.
    let communes = (scopes().len() * count).div_ceil(NATIONAL_PHONES);
    let phones = phones(&door, scopes().get(..communes).unwrap_or(scopes()), count, |_| Ok(()))?;
    // One team a phone: communes that have several phones have several teams.
    let teams = phones
        .iter()
        .enumerate()
        .map(|(number, phone)| Ok((Arc::clone(phone), phone.replica.add_team(crate::phone::team(number + 1)?)?)))
        .collect::<Result<Vec<_>, BenchError>>()?;
    bench.online(&phones, ONLINE)?;
    door.wait_until_counted(through(&phones)?)?;
    let mut value = 0;
    let mut edit_all = || {
        value += 1;
        teams.iter().try_for_each(|(phone, team)| {
            phone.replica.edit(*team, &households(value)).map(drop).map_err(BenchError::from)
        })
    };
    let rounds = bench.rounds("rush", count, "phones", || {
        let mut round = Round::new();
        edit_all()?;
        let watch = Watch::begin(&server, &door)?;
        let mut took = wave(bench, &phones, &mut round, ["wall_s", "sessions_per_s", "retries"])?;
        let cost = watch.so_far()?;
        cost.each(&mut round, count);
        round.insert("syncs_each", cost.syncs as f64 / count as f64);
        round.insert("p50_ms", percentile(&mut took, 50));
        round.insert("p99_ms", percentile(&mut took, 99));
        door.wait_until_counted(through(&phones)?)?;

        edit_all()?;
        server.stop();
        server.revive()?;
        let names = ["restarted_wall_s", "restarted_sessions_per_s", "restarted_retries"];
        wave(bench, &phones, &mut round, names)?;
        door.wait_until_counted(through(&phones)?)?;
        round.insert("server_memory_peak_mib", peak_mib(&server));
        Ok(round)
    })?;
    Ok(Step { size: count as f64, rounds })
}

/// All phones once; how long each took.
fn wave(
    bench: &Bench,
    phones: &[Arc<Phone>],
    round: &mut Round,
    [wall, per_s, retries]: [&'static str; 3],
) -> Result<Vec<f64>, BenchError> {
    let begun = Instant::now();
    let done = bench.online(phones, RUSH_WIDTH)?;
    let took: Duration = begun.elapsed();
    round.insert(wall, took.as_secs_f64());
    round.insert(per_s, phones.len() as f64 / took.as_secs_f64());
    round.insert(retries, done.iter().map(|(_, exchange)| f64::from(exchange.failures)).sum());
    Ok(done.into_iter().map(|(took, _)| took).collect())
}

/// The sequence up to which the server has everything of all phones.
pub(super) fn through(phones: &[Arc<Phone>]) -> Result<Sequence, BenchError> {
    phones.iter().try_fold(Sequence::ZERO, |through, phone| Ok(through.max(phone.through()?)))
}

fn bytes_up(exchanges: &[(f64, Exchange)]) -> f64 {
    exchanges.iter().map(|(_, exchange)| exchange.report.bytes_up as f64).sum()
}

/// A server's most memory, in MiB.
pub(super) fn peak_mib(server: &crate::server::ServerProcess) -> f64 {
    server.process().memory_peak_bytes().unwrap_or_default() as f64 / MEBIBYTE
}

/// What a folder takes on the disk, as `du` counts it.
pub(super) fn disk_bytes(folder: &std::path::Path) -> Result<f64, BenchError> {
    let mut bytes = 0.0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { disk_bytes(&entry.path())? } else { file_bytes(&entry.metadata()?) };
    }
    Ok(bytes)
}

#[cfg(unix)]
fn file_bytes(file: &std::fs::Metadata) -> f64 {
    use std::os::unix::fs::MetadataExt;
    /// The unit of `st_blocks`, whatever the file system's own.
    const BLOCK_BYTES: u64 = 512;
    (file.blocks() * BLOCK_BYTES) as f64
}

#[cfg(not(unix))]
fn file_bytes(file: &std::fs::Metadata) -> f64 {
    file.len() as f64
}
