//! The country: recorded, synced, counted; and its report.

use std::time::Instant;

use super::load::{disk_bytes, peak_mib};
use crate::bench::{Bench, National, ONLINE};
use crate::error::BenchError;
use crate::figures::{Round, Step, percentile};
use crate::national::{self, NationalOrder};
use crate::phone::Door;
use crate::server::ServerProcess;
use crate::watch::{Watch, millis};

/// The seed of `toso demo`.
const SEED: u64 = 20_220_919;
/// Reports in a row.
const REPORTS: usize = 100;
const MEBIBYTE: f64 = 1_048_576.0;

/// From the first invite until everything is counted.
pub(super) fn load(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let mut size = 0;
    let percent = per_cent(bench, factor);
    let rounds = bench.rounds("national", percent, "% of the country", || {
        let (national, round) = record(bench, factor)?;
        size = national.documents;
        bench.keep_national(factor, &national);
        Ok(round)
    })?;
    Ok(Step { size: size as f64, rounds })
}

fn per_cent(bench: &Bench, factor: u32) -> usize {
    bench.sized(1_000, factor) / 10
}

/// A stopped server that has counted this part of the country.
pub(super) fn counted(bench: &Bench, factor: u32) -> Result<National, BenchError> {
    bench.national(factor, || record(bench, factor).map(|(national, _)| national))
}

fn record(bench: &Bench, factor: u32) -> Result<(National, Round), BenchError> {
    let mut server = bench.server()?;
    let door = Door::of(&server)?;
    let order = NationalOrder {
        server: server.url().to_owned(),
        admin: server.admin()?,
        devices: None,
        seed: SEED,
        online: ONLINE,
        part: bench.part(factor),
    };
    let watch = Watch::begin(&server, &door)?;
    let outcome = national::run(&order)?;
    let cost = watch.so_far()?;
    if outcome.recorded != outcome.counted {
        return Err(BenchError::failed(format!(
            "{:?} were recorded and the centre counts {:?}",
            outcome.recorded, outcome.counted
        )));
    }
    let documents = usize::try_from(outcome.recorded.teams + outcome.recorded.members).unwrap_or(usize::MAX);
    let mut round = Round::new();
    round.insert("whole_s", outcome.whole.as_secs_f64());
    for (phase, took) in &outcome.phases {
        round.insert(
            match *phase {
                "enrol" => "enrol_s",
                "record" => "record_s",
                "synced" => "sync_s",
                "caught up" => "catch_up_s",
                "compare" => "compare_s",
                _ => "count_s",
            },
            took.as_secs_f64(),
        );
    }
    cost.each(&mut round, documents);
    round.insert("server_cpu_s", cost.server_cpu.as_secs_f64());
    round.insert("client_cpu_s", cost.own_cpu.as_secs_f64());
    round.insert("syncs", cost.syncs as f64);
    round.insert("server_memory_peak_mib", peak_mib(&server));
    server.stop();
    let disk = disk_bytes(server.data())?;
    round.insert("disk_mib", disk / MEBIBYTE);
    round.insert("disk_each_bytes", disk / documents as f64);
    Ok((National { data: server.data().to_owned(), documents }, round))
}

/// The national report.
pub(super) fn report(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let national = counted(bench, factor)?;
    let server = ServerProcess::start(&national.data)?;
    let door = Door::of(&server)?;
    let times = bench.repeated(REPORTS);
    let rounds = bench.rounds("report", national.documents, "teams and members", || {
        let mut round = Round::new();
        let watch = Watch::begin(&server, &door)?;
        let mut took = Vec::new();
        for _ in 0..times {
            let begun = Instant::now();
            let report = door.get("/v1/report?list=2022&format=json")?;
            took.push(millis(begun.elapsed()));
            round.insert("bytes", report.len() as f64);
        }
        watch.so_far()?.each(&mut round, times);
        round.insert("ms", percentile(&mut took, 50));
        round.insert("p99_ms", percentile(&mut took, 99));
        Ok(round)
    })?;
    Ok(Step { size: national.documents as f64, rounds })
}
