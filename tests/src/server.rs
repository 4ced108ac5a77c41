//! A real server process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::binary::toso;
use crate::field::FieldDevice;

/// How long a server may take to listen, or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `toso serve`; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    data: PathBuf,
    url: String,
}

impl Server {
    /// Starts on a free port.
    pub fn start(data: &Path) -> Self {
        Self::start_on(data, "127.0.0.1:0")
    }

    /// Starts on an address.
    pub fn start_on(data: &Path, listen: &str) -> Self {
        Self::start_by(&mut Self::command(data, listen), data)
    }

    /// Starts under strace, on a free port, with what it does written to `trace`. It stops when the result's
    /// [`Self::end_stdin`] is called, since a signal would go to strace.
    pub fn start_traced(data: &Path, trace: &Path) -> Self {
        let mut command = crate::trace::traced(trace, &toso());
        command.args(["serve", "--stop-with-stdin", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self::start_by(&mut command, data)
    }

    /// Starts on a free port, with its log as JSON lines in a file.
    pub fn start_logged(data: &Path, log: &Path) -> Self {
        let mut command = Self::command(data, "127.0.0.1:0");
        command.args(["--log-format", "json"]);
        command.stderr(std::fs::File::create(log).expect("a file for the log"));
        Self::start_by(&mut command, data)
    }

    fn start_by(command: &mut Command, data: &Path) -> Self {
        let mut child = command.spawn().expect("the server starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on ").map(str::to_owned))
            .expect("the server says where it listens");
        // Whatever it prints later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, data: data.to_owned(), url }
    }

    /// The command, for starts that are expected to fail.
    pub fn command(data: &Path, listen: &str) -> Command {
        let mut command = Command::new(toso());
        command.args(["serve", "--listen", listen, "--data"]).arg(data);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// Its address, `http://127.0.0.1:PORT`.
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

    /// The admin token file that it made.
    pub fn admin_token_file(&self) -> PathBuf {
        self.data.join("admin.token")
    }

    /// The admin token.
    pub fn admin_token(&self) -> String {
        std::fs::read_to_string(self.admin_token_file()).expect("the token file is there").trim().to_owned()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, then a new process on the same folder and port.
    pub fn kill_and_restart(mut self) -> Self {
        let (data, address) = (self.data.clone(), self.address().to_owned());
        self.kill();
        drop(self);
        Self::start_on(&data, &address)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("the server is ours to kill");
        self.child.wait().expect("it ends");
    }

    /// Asks it to stop (SIGTERM) and waits; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.ask_to_stop();
        self.ended()
    }

    /// Asks it to stop (SIGTERM) and does not wait.
    pub fn ask_to_stop(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Ends its standard input, for one that stops with it, and waits; its exit code.
    pub fn end_stdin(&mut self) -> Option<i32> {
        drop(self.child.stdin.take());
        self.ended()
    }

    fn ended(&mut self) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server did not stop within {PATIENCE:?}");
    }

    /// An invite for a unit of the list of 2022.
    pub fn invite(&self, unit: &str, role: &str) -> String {
        self.invite_with(unit, role, &[])
    }

    /// An invite with further options.
    pub fn invite_with(&self, unit: &str, role: &str, options: &[&str]) -> String {
        let output = Command::new(toso())
            .args(["invite", "--server", self.url(), "--list", "2022", "--unit", unit, "--role", role])
            .arg("--admin-token-file")
            .arg(self.admin_token_file())
            .args(options)
            .output()
            .expect("toso runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("an invite is text").trim().to_owned()
    }

    /// A device enrolled as recorder of a commune of the list of 2022.
    pub fn device(&self, home: &Path, commune: &str) -> FieldDevice {
        let device = FieldDevice::new(home);
        device.ok(&["enrol", &self.invite(commune, "recorder")]);
        device
    }

    /// The report as JSON.
    pub fn report(&self, options: &[&str]) -> serde_json::Value {
        let output = Command::new(toso())
            .args(["report", "--server", self.url(), "--format", "json"])
            .arg("--token-file")
            .arg(self.admin_token_file())
            .args(options)
            .output()
            .expect("toso runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("the report is JSON")
    }

    /// The report, once it satisfies `wanted`; fails with the last one seen.
    pub fn report_when(&self, options: &[&str], wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let start = Instant::now();
        loop {
            let report = self.report(options);
            if wanted(&report) {
                return report;
            }
            assert!(start.elapsed() < PATIENCE, "the report stays at {report}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
