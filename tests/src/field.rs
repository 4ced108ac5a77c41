//! A field device: the real binary on a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::binary::toso;

/// `toso field --home DIR …`.
#[derive(Debug, Clone)]
pub struct FieldDevice {
    home: PathBuf,
}

impl FieldDevice {
    /// A device on a folder.
    pub fn new(home: &Path) -> Self {
        Self { home: home.to_owned() }
    }

    /// Its folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The command, not run yet.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(toso());
        command.arg("field").arg("--home").arg(&self.home).args(args);
        command
    }

    /// Runs a command, whatever comes of it.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("toso runs")
    }

    /// Runs a command that must succeed; its stdout without the line end.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "toso field {args:?} failed: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("output is text").trim_end().to_owned()
    }

    /// Runs a command that must fail with exit code 1; its stderr.
    pub fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "toso field {args:?} should be refused");
        assert!(output.stdout.is_empty(), "a refusal prints nothing on stdout");
        String::from_utf8(output.stderr).expect("errors are text").trim_end().to_owned()
    }

    /// Runs a command with `--json`.
    pub fn json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.push("--json");
        serde_json::from_str(&self.ok(&all)).expect("--json prints one JSON value")
    }

    /// One exchange that must end up to date.
    pub fn sync(&self) -> Value {
        let report = self.json(&["sync"]);
        assert_eq!(report["up_to_date"], true, "{report}");
        report
    }
}
