//! The `toso` binary under test, built once in the profile that the suites run in.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Its path. Builds it when it is absent or stale, which `cargo test` alone does not promise for another package's
/// binary.
pub fn toso() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(build).clone()
}

fn build() -> PathBuf {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--package", "toso-cli", "--bin", "toso", "--message-format", "json"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "building toso failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message.pointer("/target/name").and_then(|name| name.as_str()) == Some("toso"))
        .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .expect("cargo names the executable")
}
