//! What a phone's battery pays: no thread that spins, none that outlives the object, few wake-ups without a network.
//!
//! One test in a process of its own, since threads are counted. Linux only, where `/proc` tells.

#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::{Listener, NOBODY, add_team, enrolled, open, wait};
use tempfile::TempDir;
use toso_ffi::NetworkKind;

/// Threads that the kernel shows for a moment after they have ended.
const SETTLE: Duration = Duration::from_secs(10);
/// How long idling is watched.
const WATCHED: Duration = Duration::from_secs(5);
/// Times that all threads together may be woken while nothing happens: the runtime's own timer wheel and its driver may
/// turn once or twice. A loop that polls, were it only each second, would be woken `WATCHED` times.
const WAKE_UPS_MAX: u64 = 4;

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

fn threads() -> usize {
    tasks().count()
}

/// How often each thread but this one went to sleep so far, with its name.
fn switches() -> Vec<(String, String, u64)> {
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
fn woken_since(start: &[(String, String, u64)]) -> (u64, String) {
    let mut woken = (0, String::new());
    for (id, name, count) in switches() {
        let before = start.iter().find(|(of, ..)| *of == id).map_or(0, |(.., count)| *count);
        woken.0 += count - before;
        woken.1 += &format!("{name} {} ", count - before);
    }
    woken
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SETTLE, "{what}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn nothing_spins_and_nothing_is_left_behind() {
    let before = threads();
    let folder = TempDir::new().expect("a temporary folder");
    for round in 0..3 {
        let toso = enrolled(folder.path(), NOBODY);
        let _subscription = toso.observe(Arc::new(Listener::default())).expect("it listens");
        toso.network_changed(NetworkKind::None).expect("it is told");
        toso.start_sync().expect("it starts");
        add_team(&toso, &format!("Thôn {round}"));
        let sync = wait(toso.run_background_sync(50)).expect("it ends");
        assert_eq!(sync.sent, 0, "nobody listens there");
        assert!(threads() > before, "it has a runtime");
        if round == 0 {
            until("threads of the pool end when there is no work", || threads() <= before + 1);
            let start = switches();
            sleep(WATCHED);
            let (woken, by) = woken_since(&start);
            assert!(woken <= WAKE_UPS_MAX, "{woken} wake-ups in {WATCHED:?} without a network: {by}");
        }
        toso.shutdown();
        until("no thread outlives the object", || threads() <= before);
    }
    assert_eq!(open(folder.path()).teams().expect("they are read").len(), 3);
}
