//! How far a phase is: a bar where a person watches, a line now and then where a log is written.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;

/// Time between two lines of a log.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// One phase.
pub(crate) struct Progress {
    label: &'static str,
    total: u64,
    done: AtomicU64,
    started: Instant,
    bar: Option<ProgressBar>,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// Begins a phase of so many steps.
    pub(crate) fn new(label: &'static str, total: usize) -> Self {
        let total = total as u64;
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template("{msg:18} {wide_bar} {human_pos}/{human_len} {eta:>4}") {
                bar.set_style(style);
            }
            bar.set_message(label);
            bar
        });
        let started = Instant::now();
        Self { label, total, done: AtomicU64::new(0), started, bar, last_line: Mutex::new(started) }
    }

    /// One step is done.
    pub(crate) fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(bar) = &self.bar {
            bar.inc(1);
            return;
        }
        let Some(mut last) = self.last_line.try_lock() else { return };
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            eprintln!("{}: {done} of {}", self.label, self.total);
        }
    }

    /// Ends the phase; how long it took.
    pub(crate) fn finish(self) -> Duration {
        let took = self.started.elapsed();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("{}: {} in {:.1} s", self.label, self.done.load(Ordering::Relaxed), took.as_secs_f64());
        took
    }
}
