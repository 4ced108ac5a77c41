//! A phone's own work, in a process of its own (see [`crate::handset`]).

use std::path::Path;
use std::process::{Command, Stdio};

use super::load::disk_bytes;
use crate::bench::Bench;
use crate::error::BenchError;
use crate::figures::{Round, Step};
use crate::handset::Done;

/// Documents of a phone: 10 teams and 50 members.
const DOCUMENTS: usize = 60;
/// The most documents of a phone (`toso_replica::limits::DOCUMENTS_MAX`), at the largest step.
const MANY: usize = 5_000;
/// Edits between two looks at the disk.
const EDITS: usize = 1_000;
const MEBIBYTE: f64 = 1_048_576.0;

/// 60 documents: open, edit a thousand times, and open again.
pub(super) fn phone(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let edits = bench.repeated(EDITS) * factor as usize;
    let rounds = bench.rounds("phone", edits, "edits", || {
        let home = bench.fresh_folder();
        let mut round = Round::new();
        let recorded = work(&home, DOCUMENTS, 0)?;
        let opened = work(&home, 0, 0)?;
        round.insert("record_each_ms", recorded.record_each_ms);
        opening(&mut round, &opened);
        round.insert("disk_before_mib", disk_bytes(&home)? / MEBIBYTE);
        let edited = work(&home, 0, edits)?;
        round.insert("edit_p50_ms", edited.edit_p50_ms);
        round.insert("edit_p99_ms", edited.edit_p99_ms);
        round.insert("edit_syncs", edited.edit_syncs);
        round.insert("disk_mib", disk_bytes(&home)? / MEBIBYTE);
        round.insert("open_after_edits_ms", work(&home, 0, 0)?.open_ms);
        bench.drop_folder(&home);
        Ok(round)
    })?;
    Ok(Step { size: edits as f64, rounds })
}

/// As many documents as a phone may hold: open, list, search.
pub(super) fn lists(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let documents = bench.sized(MANY, factor);
    let home = bench.fresh_folder();
    work(&home, documents, 0)?;
    let rounds = bench.rounds("phone-lists", documents, "documents", || {
        let mut round = Round::new();
        let opened = work(&home, 0, 0)?;
        if opened.documents != documents {
            return Err(BenchError::failed(format!("{documents} were recorded and {} are shown", opened.documents)));
        }
        opening(&mut round, &opened);
        round.insert("list_ms", opened.list_ms);
        round.insert("search_ms", opened.search_ms);
        round.insert("found", opened.found as f64);
        round.insert("disk_mib", disk_bytes(&home)? / MEBIBYTE);
        Ok(round)
    })?;
    bench.drop_folder(&home);
    Ok(Step { size: documents as f64, rounds })
}

fn opening(round: &mut Round, opened: &Done) {
    round.insert("open_ms", opened.open_ms);
    round.insert("open_of_which_tables_ms", opened.tables_ms);
    round.insert("open_of_which_store_ms", opened.store_ms);
    round.insert("memory_peak_mib", opened.memory_peak_bytes as f64 / MEBIBYTE);
    round.insert("memory_before_opening_mib", opened.memory_before_bytes as f64 / MEBIBYTE);
}

fn work(home: &Path, record: usize, edits: usize) -> Result<Done, BenchError> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["bench", "phone", "--record", &record.to_string(), "--edits", &edits.to_string(), "--home"])
        .arg(home);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(BenchError::failed("the phone's process failed; its own message above says why"));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| BenchError::failed(format!("the phone's process: {error}")))
}
