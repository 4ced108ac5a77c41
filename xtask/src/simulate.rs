//! `cargo xtask simulate`: hands its arguments on to the simulation's own program.

use std::process::Command;

use crate::tree::Tree;

/// What cargo is asked for. The profile of development, so that the build is shared with the tests; arithmetic overflow
/// and debug assertions are checked, too.
const ARGUMENTS: [&str; 7] = ["run", "--quiet", "-p", "toso-tests", "--bin", "simulate", "--"];

/// Runs the simulation with these arguments.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let tree = Tree::open()?;
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(&tree.root).args(ARGUMENTS).args(arguments);
    let status = command.status().map_err(|error| format!("cannot start cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("simulate: a seed failed, or the arguments are wrong; see above".into()) }
}
