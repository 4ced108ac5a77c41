//! A real server: `toso serve` as a child process, so that what it costs can be told apart and it dies with its owner.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use toso_client::rest::Caller;

use crate::error::BenchError;
use crate::process::Process;

/// What stands before the address on the one line of its stdout.
pub const LISTENING: &str = "listening on ";
/// The file in its data folder that holds its admin token.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";

/// A free port.
const ANY_PORT: &str = "127.0.0.1:0";
/// Longer than the server gives its sessions to end.
const STOP_TIME_MAX: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A server that ends with its owner.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    url: String,
    data: PathBuf,
    took: Duration,
}

impl ServerProcess {
    /// Starts a server on a free port of this machine and waits until it listens.
    pub fn start(data: &Path) -> Result<Self, BenchError> {
        Self::start_on(data, ANY_PORT)
    }

    fn start_on(data: &Path, listen: &str) -> Result<Self, BenchError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--listen", listen, "--stop-with-stdin", "--data"]).arg(data);
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "warn");
        }
        let started = Instant::now();
        // Its standard input is held open and never written to: it ends when this process does.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let mut server = Self { child, url: String::new(), data: data.to_owned(), took: Duration::ZERO };
        let mut line = String::new();
        if let Some(stdout) = server.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        server.took = started.elapsed();
        match line.trim_end().strip_prefix(LISTENING) {
            Some(url) => url.clone_into(&mut server.url),
            None => return Err(BenchError::failed("the server did not start; its own message above says why")),
        }
        Ok(server)
    }

    /// From the start of the process until it listened.
    pub fn start_took(&self) -> Duration {
        self.took
    }

    /// Where it listens, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The file that the server made on its first start.
    pub fn admin_token_file(&self) -> PathBuf {
        self.data.join(ADMIN_TOKEN_FILE)
    }

    /// The holder of that token.
    pub fn admin(&self) -> Result<Caller, BenchError> {
        let token = std::fs::read_to_string(self.admin_token_file())?.trim().to_owned();
        Ok(Caller::Bearer { token, purpose: "toso bench".to_owned() })
    }

    /// What it costs.
    pub fn process(&self) -> Process {
        Process::of(self.child.id())
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, std::io::Error> {
        self.child.try_wait()
    }

    /// Lets it end in order; ends it when that takes too long.
    pub fn stop(&mut self) {
        // Its end is what tells the server to stop.
        drop(self.child.stdin.take());
        let asked = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if asked.elapsed() > STOP_TIME_MAX {
                self.kill();
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// A new process on the same folder and port, once the old one has been stopped or killed.
    pub fn revive(&mut self) -> Result<(), BenchError> {
        *self = Self::start_on(&self.data, self.address())?;
        Ok(())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.stop();
    }
}
