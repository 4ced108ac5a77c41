//! Running cargo from a program that cargo runs.

use std::process::Command;

/// Removes what `cargo run` sets for the program it runs. Build scripts that watch these variables would otherwise see
/// other values than in a plain `cargo test`, and build again.
pub(crate) fn forget_outer_cargo(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO" {
            command.env_remove(&name);
        }
    }
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}
