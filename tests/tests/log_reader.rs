//! The reader of the server's log goes away while it works: a log shipper restarts, an ssh session ends, a pipe fills up.
//!
//! The thread that appends to the log once died by the panic of a log line that could not be written. From then on every
//! push was "busy", for ever, and `/healthz` said that all was well. Lines may be lost, and nothing else.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use toso_tests::binary::toso;
use toso_tests::field::FieldDevice;
use toso_tests::http;

const PATIENCE: Duration = Duration::from_secs(60);

/// The smallest pipe: one page. Linux gives one this small to a user who has many pipes open; the usual one has 64 KiB.
const PIPE_BYTES_MIN: usize = 4096;

/// A server whose log is a pipe to this test.
struct Piped {
    child: Child,
    stderr: Option<ChildStderr>,
    url: String,
    token: String,
    folder: tempfile::TempDir,
}

impl Piped {
    fn start() -> Self {
        Self::start_by(Command::new(toso()))
    }

    /// The same through another program, whose last argument is `toso`.
    fn start_by(mut command: Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path().join("centre"));
        // Much is said.
        command.env("RUST_LOG", "trace,automerge=off,sled=off");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let stderr = child.stderr.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it listens");
        let url = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        let token = std::fs::read_to_string(folder.path().join("centre/admin.token")).expect("a token");
        Self { child, stderr, url, token: token.trim().to_owned(), folder }
    }

    /// Enrols a phone and syncs an edit of it: both are logged, and the edit goes through the log's thread.
    fn assert_serves(&self, name: &str) {
        let invite = Command::new(toso())
            .args(["invite", "--server", &self.url, "--list", "2022", "--unit", "00001", "--role", "recorder"])
            .arg("--admin-token-file")
            .arg(self.folder.path().join("centre/admin.token"))
            .output()
            .expect("toso runs");
        assert!(invite.status.success(), "{}", String::from_utf8_lossy(&invite.stderr));
        let device = FieldDevice::new(&self.folder.path().join(name));
        device.ok(&["enrol", String::from_utf8(invite.stdout).expect("text").trim()]);
        device.ok(&["team", "add", "--hamlet", "Thôn 1"]);
        device.ok(&["sync"]);
        let members = http::get(&format!("{}/v1/members?unit=2022/00001", self.url), Some(&self.token));
        assert_eq!(members.status, 200, "{}", members.body);
        assert_eq!(http::get(&format!("{}/healthz", self.url), None).status, 200);
    }

    fn tell(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    fn exit_code(&mut self) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("ours") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server does not stop");
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_whose_log_nobody_reads_loses_lines_and_nothing_else() {
    let mut server = Piped::start();
    server.assert_serves("with-a-reader");
    // The reader is gone: every write fails.
    drop(server.stderr.take());
    server.tell("-HUP");
    server.assert_serves("without");
    let metrics = http::get(&format!("{}/metrics", server.url), Some(&server.token)).body;
    let lost = metrics.lines().find_map(|line| line.strip_prefix("toso_log_lines_lost_total "));
    assert!(lost.and_then(|lost| lost.parse::<u64>().ok()).is_some_and(|lost| lost > 0), "{lost:?}");
    server.tell("-TERM");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_server_whose_log_stands_still_goes_on_and_stops() {
    let mut server = Piped::start();
    // The pipe holds 4 to 64 KiB, and nothing takes them; each round leaves some lines.
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < PATIENCE && number < 300 {
        number += 1;
        assert_eq!(http::get(&format!("{}/v1/members?unit=2022/00001", server.url), Some(&server.token)).status, 200);
    }
    server.assert_serves("behind-a-full-pipe");
    server.tell("-TERM");
    assert_eq!(server.exit_code(), Some(0));
    let mut log = Vec::new();
    server.stderr.take().expect("piped").read_to_end(&mut log).expect("readable");
    assert!(log.len() >= PIPE_BYTES_MIN, "the log has {} bytes: it filled no pipe, however small", log.len());
}

/// A program that is started takes over which signals its parent holds back. A server that was started so never ended when it
/// was asked, and had to be killed.
#[test]
fn a_server_ends_when_asked_although_its_parent_holds_the_signal_back() {
    let blocking = |arguments: &[&str]| {
        let mut command = Command::new("env");
        command.arg("--block-signal=TERM").args(arguments);
        command
    };
    if !blocking(&["true"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("SKIPPED: this system's env cannot hold signals back");
        return;
    }
    let mut server = Piped::start_by(blocking(&[&toso().to_string_lossy()]));
    server.tell("-TERM");
    assert_eq!(server.exit_code(), Some(0));
}
