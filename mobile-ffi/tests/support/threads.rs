//! The threads of this process as Linux shows them.

use std::fs;

/// Threads of the storage engine's pool on PCs: one pool for the process, made by the first folder and kept for ever, of
/// which each thread wakes once a second. The engine has no such pool where the target is Android or iOS, and works on
/// the caller's thread there (sled 0.34.7, `lib.rs`, the two modules called `threadpool`).
const PC_POOL: &str = "sled-io-";

/// The process's threads, with their names, but for that pool's.
fn tasks() -> impl Iterator<Item = (fs::DirEntry, String)> {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux has it").flatten();
    let named = tasks.filter_map(|task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?.trim().to_owned();
        Some((task, name))
    });
    named.filter(|(_, name)| !name.starts_with(PC_POOL))
}

/// How many threads the process has, but for that pool's.
pub(crate) fn threads() -> usize {
    tasks().count()
}

/// How often each thread but this one went to sleep so far, with its name.
pub(crate) fn switches() -> Vec<(String, String, u64)> {
    let own = fs::read_link("/proc/thread-self").expect("Linux has it");
    let others = tasks().filter(|(task, _)| Some(task.file_name().as_os_str()) != own.file_name());
    let of = |(task, name): (fs::DirEntry, String)| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let count =
            status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())?;
        Some((task.file_name().to_string_lossy().into_owned(), name, count))
    };
    others.filter_map(of).collect()
}

/// How often threads were woken since, and which.
pub(crate) fn woken_since(start: &[(String, String, u64)]) -> (u64, String) {
    let mut woken = (0, String::new());
    for (id, name, count) in switches() {
        let before = start.iter().find(|(of, ..)| *of == id).map_or(0, |(.., count)| *count);
        woken.0 += count - before;
        woken.1.push_str(&[&name, " ", &(count - before).to_string(), " "].concat());
    }
    woken
}

/// Ticks of the CPU that the process has used.
pub(crate) fn cpu_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}
