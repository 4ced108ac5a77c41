//! A server's data folder: starting on it, counting it again, rewriting it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use super::load::{disk_bytes, through};
use super::national::counted;
use crate::bench::{Bench, DOCUMENTS_PER_PHONE, National, ONLINE, phones, scopes};
use crate::error::BenchError;
use crate::figures::{Round, Step};
use crate::phone::{Door, Phone};
use crate::server::ServerProcess;

/// Phones that are in the middle of their work when the server is killed.
const KILLED_UNDER: usize = 32;
const MEBIBYTE: f64 = 1_048_576.0;

/// Until it listens: after a clean stop, and after a kill in the middle of a load.
pub(super) fn start(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let national = counted(bench, factor)?;
    let rounds = bench.rounds("start", national.documents, "teams and members", || {
        let mut round = Round::new();
        let data = copy(bench, &national)?;
        let mut server = ServerProcess::start(&data)?;
        round.insert("clean_s", server.start_took().as_secs_f64());
        round.insert("memory_mib", server.process().memory_bytes().unwrap_or_default() as f64 / MEBIBYTE);
        let door = Door::of(&server)?;
        let listening = Instant::now();
        door.get("/v1/report?list=2022")?;
        round.insert("clean_until_report_s", (server.start_took() + listening.elapsed()).as_secs_f64());
        let phones = phones(&door, scopes(), KILLED_UNDER, |phone| phone.record(DOCUMENTS_PER_PHONE).map(drop))?;
        let runtime = bench.runtime();
        let half: Vec<_> = phones.iter().take(KILLED_UNDER / 2).cloned().collect();
        bench.online(&half, ONLINE)?;
        // The others are in the middle when the kill comes, and get through when the server is back.
        let others: Vec<_> = phones.iter().skip(KILLED_UNDER / 2).map(Arc::clone).enumerate().collect();
        let under_way: Vec<_> = others
            .into_iter()
            .map(|(number, phone): (usize, Arc<Phone>)| runtime.spawn(async move { phone.come_online(number).await }))
            .collect();
        server.kill();
        let begun = Instant::now();
        server.revive()?;
        round.insert("killed_s", server.start_took().as_secs_f64());
        runtime.block_on(async {
            for one in under_way {
                one.await??;
            }
            Ok::<_, BenchError>(())
        })?;
        door.wait_until_counted(through(&phones)?)?;
        round.insert("killed_until_all_counted_s", begun.elapsed().as_secs_f64());
        drop(server);
        bench.drop_folder(&data);
        Ok(round)
    })?;
    Ok(Step { size: national.documents as f64, rounds })
}

/// Until everything is counted again. An export has no views, so a folder made from one has none either.
pub(super) fn rebuild(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let national = counted(bench, factor)?;
    let export = bench.fresh_folder().with_extension("jsonl");
    toso(&["export", "--data"], &national.data, Some(("--to", &export)))?;
    let rounds = bench.rounds("rebuild", national.documents, "teams and members", || {
        let mut round = Round::new();
        let data = bench.fresh_folder();
        std::fs::create_dir_all(&data)?;
        let key = "root.key";
        std::fs::copy(national.data.join(key), data.join(key))?;
        toso(&["import", "--from"], &export, Some(("--data", &data)))?;
        let begun = Instant::now();
        let server = ServerProcess::start(&data)?;
        let door = Door::of(&server)?;
        let last = toso_core::id::Sequence(door.metric("toso_log_sequence")?);
        if last.0 == 0 {
            return Err(BenchError::failed("the copy has an empty log"));
        }
        door.wait_until_counted(last)?;
        let took = begun.elapsed().as_secs_f64();
        round.insert("wall_s", took);
        round.insert("changes_per_s", last.0 as f64 / took);
        round.insert("server_cpu_s", server.process().cpu().unwrap_or_default().as_secs_f64());
        drop(server);
        bench.drop_folder(&data);
        Ok(round)
    })?;
    std::fs::remove_file(&export)?;
    Ok(Step { size: national.documents as f64, rounds })
}

/// Rewriting.
pub(super) fn compaction(bench: &Bench, factor: u32) -> Result<Step, BenchError> {
    let national = counted(bench, factor)?;
    let rounds = bench.rounds("compaction", national.documents, "teams and members", || {
        let mut round = Round::new();
        let data = copy(bench, &national)?;
        round.insert("disk_before_mib", disk_bytes(&data)? / MEBIBYTE);
        let begun = Instant::now();
        toso(&["compact", "--data"], &data, None)?;
        round.insert("wall_s", begun.elapsed().as_secs_f64());
        let after = disk_bytes(&data)?;
        round.insert("disk_mib", after / MEBIBYTE);
        round.insert("disk_each_bytes", after / national.documents as f64);
        bench.drop_folder(&data);
        Ok(round)
    })?;
    Ok(Step { size: national.documents as f64, rounds })
}

/// A copy of a stopped server's folder.
fn copy(bench: &Bench, national: &National) -> Result<PathBuf, BenchError> {
    let to = bench.fresh_folder();
    copy_folder(&national.data, &to)?;
    Ok(to)
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), BenchError> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() { copy_folder(&from, &to)? } else { std::fs::copy(&from, &to).map(drop)? }
    }
    Ok(())
}

/// Another command of this program.
fn toso(words: &[&str], path: &Path, option: Option<(&str, &Path)>) -> Result<(), BenchError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(words).arg(path);
    if let Some((name, value)) = option {
        command.arg(name).arg(value);
    }
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(BenchError::failed(format!("toso {}: {}", words.join(" "), why.trim())))
}
