//! Suites that run for minutes to hours: the long forms of what ci tries for some seconds.
//!
//! They run against a release build of the `toso` binary, whose figures are those that operators will see; the harness
//! around it needs no speed and is the tests' own debug build.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{cargo, forget_outer_cargo};
use crate::tree::Tree;

/// A long suite: a test that is ignored by default, told its options in variables.
struct Suite {
    /// File in `tests/tests/`.
    file: &'static str,
    /// The test.
    test: &'static str,
    /// Options with their variables.
    options: &'static [(&'static str, &'static str)],
}

const KILLS: Suite = Suite { file: "kills", test: "hundreds_of_kills", options: &[("--kills", "TOSO_KILLS")] };
const SOAK: Suite = Suite {
    file: "soak",
    test: "a_steady_load_with_kills_leaves_nothing_growing",
    options: &[("--minutes", "TOSO_SOAK_MINUTES"), ("--devices", "TOSO_SOAK_DEVICES")],
};

/// `cargo xtask kills`.
pub(crate) fn kills(options: &[&str]) -> Result<(), String> {
    run(&KILLS, options)
}

/// `cargo xtask soak`.
pub(crate) fn soak(options: &[&str]) -> Result<(), String> {
    run(&SOAK, options)
}

fn run(suite: &Suite, options: &[&str]) -> Result<(), String> {
    let variables = variables(suite, options)?;
    let tree = Tree::open()?;
    let mut build = command(&tree.root);
    build.args(["build", "--release", "--package", "toso-cli", "--bin", "toso"]);
    finish(&mut build)?;
    let binary = target_folder(&tree).join("release").join(format!("toso{}", std::env::consts::EXE_SUFFIX));
    let mut test = command(&tree.root);
    test.args(["test", "--package", "toso-tests", "--test", suite.file, suite.test]);
    test.args(["--", "--ignored", "--exact", "--nocapture"]);
    test.env("TOSO_TEST_BINARY", binary).envs(variables);
    finish(&mut test)
}

fn target_folder(tree: &Tree) -> PathBuf {
    tree.metadata.target_directory.clone().into_std_path_buf()
}

fn command(root: &Path) -> Command {
    let mut command = Command::new(cargo());
    command.current_dir(root);
    forget_outer_cargo(&mut command);
    command
}

fn finish(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("cannot start cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("cargo ended with {status}; what is wrong stands above")) }
}

/// The variables that options stand for.
fn variables<'a>(suite: &Suite, options: &[&'a str]) -> Result<Vec<(&'static str, &'a str)>, String> {
    let mut variables = Vec::new();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let (_, variable) = suite
            .options
            .iter()
            .find(|(name, _)| name == option)
            .ok_or_else(|| format!("{} takes no option {option}", suite.file))?;
        let value = options.next().ok_or_else(|| format!("{option} needs a number"))?;
        value.parse::<u32>().map_err(|_| format!("{option} needs a number, not {value}"))?;
        variables.push((*variable, *value));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_variables() {
        assert_eq!(variables(&KILLS, &["--kills", "40"]), Ok(vec![("TOSO_KILLS", "40")]));
        let both = variables(&SOAK, &["--devices", "9", "--minutes", "2"]);
        assert_eq!(both, Ok(vec![("TOSO_SOAK_DEVICES", "9"), ("TOSO_SOAK_MINUTES", "2")]));
        assert_eq!(variables(&KILLS, &[]), Ok(vec![]));
    }

    #[test]
    fn wrong_options_are_named() {
        for wrong in [&["--minutes", "1"][..], &["--kills"], &["--kills", "many"], &["40"]] {
            assert!(variables(&KILLS, wrong).is_err_and(|error| error.contains(wrong[0])), "{wrong:?}");
        }
    }
}
