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

/// Set to `built` by a run of `cargo test --workspace`, which has built the binary already, with the same features:
/// building it alone would compile half of the workspace once more. Or set to the path of a binary, such as a release's.
const BUILT: &str = "TOSO_TEST_BINARY";

fn build() -> PathBuf {
    if std::env::var_os(BUILT).is_some_and(|value| value == "built") {
        let suite = std::env::current_exe().expect("a test has a path");
        let folder = suite.parent().and_then(std::path::Path::parent).expect("target/PROFILE/deps/SUITE");
        let binary = folder.join(format!("toso{}", std::env::consts::EXE_SUFFIX));
        assert!(
            binary.is_file(),
            "{} is not there; unset {BUILT}, or run the tests of the whole workspace",
            binary.display()
        );
        return binary;
    }
    if let Some(path) = std::env::var_os(BUILT).map(PathBuf::from) {
        assert!(path.is_file(), "{BUILT} is neither `built` nor a binary: {}", path.display());
        return path;
    }
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
