//! What is measured of a server under load, and what it must not do: grow for no reason.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::kills::PROVINCE;
use crate::{Server, http};

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// One look at a server.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Since the load began.
    pub at: Duration,
    /// Since the process began.
    pub life: Duration,
    /// Changes in the log.
    pub chunks: u64,
    /// Teams and members counted.
    pub documents: u64,
    /// Resident memory.
    pub rss_bytes: u64,
    /// Open files and sockets.
    pub handles: u64,
    /// Threads.
    pub threads: u64,
    /// What the data folder takes on the disk.
    pub disk_bytes: u64,
    /// Changes not yet counted.
    pub lag: u64,
    /// Sync sessions.
    pub sessions: u64,
}

impl Figures {
    /// Reads them; `None` when the server does not answer.
    pub fn read(server: &Server, token: &str, data: &Path) -> Option<Self> {
        let metrics = http::try_get(&format!("{}/metrics", server.url()), token)?.body;
        let metric = |name: &str| -> u64 {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
        };
        let url = format!("{}/v1/report?list=2022&unit={PROVINCE}&format=json", server.url());
        let report = http::try_get(&url, token)?.json();
        let count = |name: &str| report[name].as_u64().unwrap_or_default();
        let entries = |folder: &str| {
            std::fs::read_dir(format!("/proc/{}/{folder}", server.pid())).map_or(0, |entries| entries.count() as u64)
        };
        Some(Self {
            chunks: metric("toso_log_sequence"),
            documents: count("teams") + count("members"),
            rss_bytes: metric("toso_resident_bytes"),
            handles: entries("fd"),
            threads: entries("task"),
            disk_bytes: disk_bytes(data),
            lag: metric("toso_fold_lag_entries"),
            sessions: metric("toso_sessions"),
            ..Self::default()
        })
    }

    /// The heading over lines of figures.
    pub fn heading() -> &'static str {
        "    at   life  chunks  documents  RSS MiB  handles  threads  disk MiB  B/chunk  B/document  lag  sessions"
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>4} s {:>4} s {:>7} {:>10} {:>8.1} {:>8} {:>8} {:>9.1} {:>8} {:>11} {:>4} {:>9}",
            self.at.as_secs(),
            self.life.as_secs(),
            self.chunks,
            self.documents,
            self.rss_bytes as f64 / MEBIBYTE,
            self.handles,
            self.threads,
            self.disk_bytes as f64 / MEBIBYTE,
            self.disk_bytes / self.chunks.max(1),
            self.disk_bytes / self.documents.max(1),
            self.lag,
            self.sessions,
        )
    }
}

/// The bytes of all files below a folder, as blocks of the disk where the system tells.
fn disk_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        #[cfg(unix)]
        Ok(metadata) => std::os::unix::fs::MetadataExt::blocks(&metadata) * 512,
        #[cfg(not(unix))]
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map_while(Result::ok).map(of).sum()
}

/// How something grew over the samples: the straight line through them, from its beginning to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// At the first sample.
    pub from: f64,
    /// At the last.
    pub to: f64,
}

impl Growth {
    /// Fits the line (least squares).
    pub fn of(samples: &[Figures], value: impl Fn(&Figures) -> f64) -> Self {
        let points: Vec<(f64, f64)> =
            samples.iter().map(|figures| (figures.at.as_secs_f64(), value(figures))).collect();
        let count = points.len().max(1) as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        let slope = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / spread.max(f64::EPSILON);
        let at = |point: Option<&(f64, f64)>| y + slope * (point.map_or(x, |point| point.0) - x);
        Self { from: at(points.first()), to: at(points.last()) }
    }

    /// By how much.
    pub fn by(&self) -> f64 {
        self.to - self.from
    }
}

/// What a soak showed.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// All lines.
    pub samples: Vec<Figures>,
    /// Records made before the load was steady.
    pub records: u32,
    /// Times the server was killed.
    pub kills: usize,
    /// Edits that devices heard are in the log.
    pub acknowledged: usize,
    /// Of them missing.
    pub lost: usize,
    /// There twice.
    pub duplicated: usize,
}

impl Verdict {
    /// Samples of the last life, without its first quarter.
    pub fn steady(&self) -> &[Figures] {
        let Some(last) = self.samples.last() else { return &[] };
        let warm = last.life / 4;
        let born = last.at.saturating_sub(last.life);
        let first = self.samples.iter().position(|figures| figures.at >= born + warm).unwrap_or_default();
        self.samples.get(first..).unwrap_or_default()
    }

    /// What is wrong; nothing when the soak passed.
    pub fn faults(&self) -> Vec<String> {
        let steady = self.steady();
        let mut faults = Vec::new();
        let mut hold = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault);
            }
        };
        hold(self.lost == 0, format!("{} acknowledged edits are lost", self.lost));
        hold(self.duplicated == 0, format!("{} changes are in the log twice", self.duplicated));
        hold(steady.len() >= 3, format!("{} samples are too few to tell", steady.len()));
        // A session is a handle; what is left over must stay the same.
        let handles = Growth::of(steady, |figures| figures.handles as f64 - figures.sessions as f64);
        hold(
            handles.by() < 16.0,
            format!("handles beside sessions grew from {:.0} to {:.0}", handles.from, handles.to),
        );
        let threads = Growth::of(steady, |figures| figures.threads as f64);
        hold(threads.by() < 16.0, format!("threads grew from {:.0} to {:.0}", threads.from, threads.to));
        // The page cache grows with the database until it is full, so memory may grow by what the disk does.
        let memory = Growth::of(steady, |figures| figures.rss_bytes as f64 / MEBIBYTE);
        let disk = Growth::of(steady, |figures| figures.disk_bytes as f64 / MEBIBYTE);
        hold(
            memory.by() <= 8.0 + disk.by().max(0.0),
            format!("memory grew by {:.1} MiB while the disk grew by {:.1} MiB", memory.by(), disk.by()),
        );
        let each = Growth::of(steady, |figures| figures.disk_bytes as f64 / figures.chunks.max(1) as f64);
        hold(
            each.to <= each.from * 1.25,
            format!("disk bytes for each change grew from {:.0} to {:.0}", each.from, each.to),
        );
        let lag = steady.iter().map(|figures| figures.lag).max().unwrap_or_default();
        hold(lag < 10_000, format!("folding fell behind by {lag} changes"));
        faults
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steady = self.steady();
        let line = |value: fn(&Figures) -> f64| Growth::of(steady, value);
        writeln!(
            f,
            "{} kills, {} acknowledged edits, {} lost, {} twice; over the last life after its first quarter:",
            self.kills, self.acknowledged, self.lost, self.duplicated
        )?;
        for (name, growth) in [
            ("RSS MiB", line(|figures| figures.rss_bytes as f64 / MEBIBYTE)),
            ("disk MiB", line(|figures| figures.disk_bytes as f64 / MEBIBYTE)),
            ("disk B/chunk", line(|figures| figures.disk_bytes as f64 / figures.chunks.max(1) as f64)),
            ("handles - sessions", line(|figures| figures.handles as f64 - figures.sessions as f64)),
            ("threads", line(|figures| figures.threads as f64)),
        ] {
            writeln!(f, "  {name:<19} {:>8.1} to {:>8.1}", growth.from, growth.to)?;
        }
        let faults = self.faults();
        if faults.is_empty() { write!(f, "PASS") } else { write!(f, "FAIL: {}", faults.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(rss_mebibytes_per_sample: u64, handles_per_sample: u64) -> Verdict {
        let sample = |number: u64| Figures {
            at: Duration::from_secs(30 * number),
            life: Duration::from_secs(30 * number),
            chunks: 1_000 + 100 * number,
            rss_bytes: (100 + rss_mebibytes_per_sample * number) << 20,
            handles: 50 + number % 3 + handles_per_sample * number,
            sessions: 20 + number % 3,
            threads: 12,
            disk_bytes: (1_000 + 100 * number) * 700,
            ..Figures::default()
        };
        Verdict { samples: (0..20).map(sample).collect(), ..Verdict::default() }
    }

    #[test]
    fn a_flat_server_passes_and_a_leak_of_any_kind_does_not() {
        assert_eq!(samples(0, 0).faults(), Vec::<String>::new());
        assert!(samples(2, 0).faults()[0].contains("memory grew"));
        assert!(samples(0, 2).faults()[0].contains("handles"));
        assert!(Verdict { lost: 1, ..samples(0, 0) }.faults()[0].contains("lost"));
        assert!(samples(2, 2).to_string().contains("FAIL"));
        let mut bloated = samples(0, 0);
        bloated.samples.iter_mut().for_each(|figures| figures.disk_bytes += figures.at.as_secs() * 10_000);
        assert!(bloated.faults().iter().any(|fault| fault.contains("disk bytes for each change")));
    }

    #[test]
    fn only_the_last_life_counts_and_only_after_its_first_quarter() {
        let mut verdict = samples(0, 0);
        // A kill before the tenth sample.
        for figures in &mut verdict.samples[10..] {
            figures.life = figures.at.saturating_sub(Duration::from_secs(285));
        }
        let steady = verdict.steady();
        assert_eq!(steady.first().map(|figures| figures.at.as_secs()), Some(360));
        assert_eq!(steady.len(), 8);
    }

    #[test]
    fn a_line_is_fitted() {
        let growth = Growth::of(&samples(3, 0).samples, |figures| figures.rss_bytes as f64 / MEBIBYTE);
        assert!((growth.from - 100.0).abs() < 0.01 && (growth.by() - 57.0).abs() < 0.01, "{growth:?}");
    }
}
