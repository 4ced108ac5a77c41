//! What a phone's battery pays: no thread that spins, none that outlives the object, few wake-ups without a network.
//!
//! One test in a process of its own, since threads are counted. Linux only, where `/proc` tells.

#![cfg(target_os = "linux")]

mod support;

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::threads::{switches, threads, woken_since};
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
        let sync = wait(toso.run_background_sync(50, None)).expect("it ends");
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
