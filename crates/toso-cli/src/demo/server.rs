//! The demo's server: `toso serve` as a child process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use toso_server::trust::ADMIN_TOKEN_FILE;

use crate::commands::serve::LISTENING;
use crate::fail::Fail;

/// Longer than the server gives its sessions to end.
const STOP_TIME_MAX: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A server that ends with its owner.
pub(super) struct ChildServer {
    child: Child,
    url: String,
    data: PathBuf,
}

impl ChildServer {
    /// Starts a server on a free port of this machine and waits until it listens.
    pub(super) fn start(data: &Path) -> Result<Self, Fail> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--listen", "127.0.0.1:0", "--stop-with-stdin", "--data"]).arg(data);
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "warn");
        }
        // Its standard input is held open and never written to: it ends when this process does.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let mut server = Self { child, url: String::new(), data: data.to_owned() };
        let mut line = String::new();
        if let Some(stdout) = server.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim_end().strip_prefix(LISTENING) {
            Some(url) => url.clone_into(&mut server.url),
            None => return Err(Fail::new("the server did not start; its own message above says why")),
        }
        Ok(server)
    }

    /// Where it listens, `http://127.0.0.1:PORT`.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The file that the server made on its first start.
    pub(super) fn admin_token_file(&self) -> PathBuf {
        self.data.join(ADMIN_TOKEN_FILE)
    }

    /// The most memory it has had so far, in KiB, where the system tells.
    pub(super) fn memory_peak_kib(&self) -> Option<u64> {
        memory_peak_kib(&self.child.id().to_string())
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>, Fail> {
        Ok(self.child.try_wait()?)
    }

    /// Lets it end in order; ends it when that takes too long.
    pub(super) fn stop(&mut self) {
        drop(self.child.stdin.take());
        let asked = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if asked.elapsed() > STOP_TIME_MAX {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for ChildServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The most memory that a process has had, in KiB: VmHWM of Linux.
pub(super) fn memory_peak_kib(process: &str) -> Option<u64> {
    peak_of_status(&std::fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

fn peak_of_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_a_status_of_linux() {
        let status = "Name:\ttoso\nVmPeak:\t  900000 kB\nVmHWM:\t  123456 kB\nVmRSS:\t   1000 kB\n";
        assert_eq!(peak_of_status(status), Some(123_456));
        assert_eq!(peak_of_status("Name:\ttoso\n"), None);
    }
}
