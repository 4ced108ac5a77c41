//! `cargo xtask ci`: the steps that every change must pass, in order of cost, stopping at the first that fails.
//!
//! All steps but the checks for other systems and the main job, which is a release build, share one target folder and one
//! set of flags. `RUSTFLAGS` is never set, since that would build every dependency again: clippy takes `-D warnings` after `--`, rustdoc has a variable of its own.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cargo::{cargo, forget_outer_cargo};
use crate::deny;
use crate::main_job;
use crate::mobile;
use crate::tidy;
use crate::tree::Tree;
use crate::wasm;

/// A command that cargo runs.
struct CargoStep {
    name: &'static str,
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
}

const FORMAT: CargoStep = CargoStep { name: "format", arguments: &["fmt", "--all", "--check"], variables: &[] };

const AFTER_TIDY: [CargoStep; 3] = [
    CargoStep {
        name: "clippy",
        arguments: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        variables: &[],
    },
    CargoStep {
        name: "docs",
        arguments: &["doc", "--workspace", "--no-deps"],
        variables: &[("RUSTDOCFLAGS", "-D warnings")],
    },
    CargoStep {
        name: "tests",
        arguments: &["test", "--workspace", "--no-fail-fast"],
        // The end-to-end suites take the binary that this very command has built, instead of building one themselves.
        variables: &[("TOSO_TEST_BINARY", "built")],
    },
];

/// Something the steps need from the system, the command that proves it is there, and how to get it.
struct Need {
    program: String,
    arguments: &'static [&'static str],
    why: &'static str,
    remedy: &'static str,
}

fn needs() -> Vec<Need> {
    let cargo = cargo();
    vec![
        Need {
            program: std::env::var("CC").unwrap_or_else(|_| "cc".into()),
            arguments: &["--version"],
            why: "a C compiler builds zstd and ring, and links",
            remedy: "install gcc or clang (Debian, Ubuntu: apt install build-essential; macOS: xcode-select --install)",
        },
        Need {
            program: "git".into(),
            arguments: &["--version"],
            why: "tidy asks it which files belong to the project",
            remedy: "install git",
        },
        Need {
            program: cargo.clone(),
            arguments: &["fmt", "--version"],
            why: "the format step",
            remedy: "rustup component add rustfmt",
        },
        Need {
            program: cargo,
            arguments: &["clippy", "--version"],
            why: "the clippy step",
            remedy: "rustup component add clippy",
        },
    ]
}

/// What a suite does without, and says so, where a test's own words would be swallowed.
fn wishes() -> Vec<Need> {
    vec![Need {
        program: "strace".into(),
        arguments: &["-V"],
        why: "the suite on power loss reads system calls, and skips them without",
        remedy: "apt install strace (Debian, Ubuntu); Linux only",
    }]
}

/// Runs everything.
pub(crate) fn run() -> Result<(), String> {
    let begun = Instant::now();
    check_needs(&needs())?;
    let mut skipped = Vec::new();
    if let Err(lacking) = check_needs(&wishes()) {
        println!("xtask ci: some tests will be SKIPPED: {lacking}");
        skipped.push(lacking);
    }
    let tree = Tree::open()?;
    let mut done = Vec::new();
    done.push(cargo_step(&tree, &FORMAT)?);
    done.push(timed("tidy", "cargo xtask tidy", || tidy::run(&tree))?);
    done.push(timed("deny", "cargo xtask deny", || {
        skipped.extend(deny::run(&tree)?);
        Ok(())
    })?);
    for step in &AFTER_TIDY {
        done.push(cargo_step(&tree, step)?);
    }
    done.push(timed("wasm", "cargo xtask wasm", || {
        skipped.extend(wasm::run(&tree)?);
        Ok(())
    })?);
    // Right after the tests, which have built the library, the server and the generator that it takes.
    done.push(timed("mobile", "cargo xtask mobile", || {
        skipped.extend(mobile::run_in_ci(&tree)?);
        Ok(())
    })?);
    done.push(timed("main job", &format!("cargo {}", main_job::ARGUMENTS.join(" ")), || {
        let mut command = Command::new(cargo());
        forget_outer_cargo(&mut command);
        main_job::run(&tree.root, &mut command)
    })?);
    println!("\nxtask ci: what was run");
    for Done { name, command, took } in &done {
        println!("  {name:<8} {:>7}  {command}", seconds(*took));
    }
    for skipped in skipped {
        println!("xtask ci: some tests were SKIPPED: {skipped}");
    }
    println!("xtask ci: all {} steps passed in {}", done.len(), seconds(begun.elapsed()));
    Ok(())
}

fn check_needs(needs: &[Need]) -> Result<(), String> {
    let missing: Vec<String> = needs
        .iter()
        .filter(|need| !answers(need))
        .map(|need| format!("  `{} {}` fails ({}): {}", need.program, need.arguments.join(" "), need.why, need.remedy))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("the system lacks:\n{}", missing.join("\n"))) }
}

fn answers(need: &Need) -> bool {
    let mut command = Command::new(&need.program);
    command.args(need.arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A step that passed.
struct Done {
    name: &'static str,
    command: String,
    took: Duration,
}

fn cargo_step(tree: &Tree, step: &CargoStep) -> Result<Done, String> {
    let mut shown: Vec<String> = step.variables.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    shown.push(format!("cargo {}", step.arguments.join(" ")));
    timed(step.name, &shown.join(" "), || {
        let mut command = Command::new(cargo());
        command.current_dir(&tree.root).args(step.arguments).envs(step.variables.iter().copied());
        forget_outer_cargo(&mut command);
        let status = command.status().map_err(|error| format!("cannot start cargo: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("cargo ended with {status}; what is wrong stands above")) }
    })
}

fn timed(name: &'static str, command: &str, step: impl FnOnce() -> Result<(), String>) -> Result<Done, String> {
    println!("\nxtask ci: {name}: {command}");
    let begun = Instant::now();
    let outcome = step();
    let took = begun.elapsed();
    match outcome {
        Ok(()) => {
            println!("xtask ci: {name}: passed in {}", seconds(took));
            Ok(Done { name, command: command.to_owned(), took })
        }
        Err(message) => Err(format!(
            "ci: step {name} FAILED after {}: {message}\nlater steps were not run; run this one alone with: {command}",
            seconds(took)
        )),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(program: &str, arguments: &'static [&'static str]) -> Need {
        Need { program: program.into(), arguments, why: "the test", remedy: "install it like so" }
    }

    #[test]
    fn a_missing_program_is_named_with_its_remedy() {
        let present = need(&cargo(), &["--version"]);
        let error = check_needs(&[present, need("no-such-compiler", &["--version"])]).unwrap_err();
        assert!(error.contains("no-such-compiler --version") && error.contains("install it like so"), "{error}");
        assert!(!error.contains("cargo"), "what is there is not named: {error}");
    }

    #[test]
    fn a_program_that_answers_with_failure_is_missing() {
        assert!(check_needs(&[need(&cargo(), &["no-such-subcommand-of-cargo"])]).is_err());
        assert!(check_needs(&[need(&cargo(), &["--version"])]).is_ok());
    }

    #[test]
    fn a_failing_step_says_which_and_how_to_run_it_alone() {
        let error = timed("tests", "cargo test", || Err("2 failed".into())).map(|done| done.name).unwrap_err();
        assert!(error.contains("step tests FAILED") && error.contains("2 failed"), "{error}");
        assert!(error.ends_with("cargo test"), "{error}");
    }
}
