//! `cargo xtask fuzz`: the fuzz targets one after the other, where cargo-fuzz and a nightly compiler are present.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::tree::Tree;

/// How long each target runs unless said otherwise.
const SECONDS_DEFAULT: u64 = 60;
/// Memory that an input may cost, in MiB: the sanitizer and the embedded unit lists take about 150 of it.
const RSS_MIB_MAX: u64 = 512;
/// The largest input: a frame of the largest change and its length.
const INPUT_BYTES_MAX: u64 = 66 * 1024;
/// The most seconds that one input may take; a sound one takes milliseconds.
const INPUT_SECONDS_MAX: u64 = 20;

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    seconds: u64,
    target: Option<String>,
}

impl Plan {
    /// Reads `[--seconds N] [TARGET]`.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut plan = Self { seconds: SECONDS_DEFAULT, target: None };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match *argument {
                "--seconds" => {
                    let number = rest.next().and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
                    plan.seconds = number.ok_or("--seconds takes a number of at least 1")?;
                }
                option if option.starts_with('-') => return Err(format!("fuzz has no option `{option}`")),
                name if plan.target.is_none() => plan.target = Some(name.to_owned()),
                name => return Err(format!("one target at a time; `{name}` is a second one")),
            }
        }
        Ok(plan)
    }
}

/// Runs the plan; stops at the first target that breaks.
pub(crate) fn run(plan: &Plan) -> Result<(), String> {
    let tree = Tree::open()?;
    let all = targets(&tree.root.join("fuzz/fuzz_targets"))?;
    let chosen: Vec<_> = match &plan.target {
        Some(name) if all.contains(name) => vec![name.clone()],
        Some(name) => return Err(format!("there is no fuzz target `{name}`; there are: {}", all.join(", "))),
        None => all,
    };
    check_tools()?;
    for target in chosen {
        println!("xtask fuzz: {target} for {} s", plan.seconds);
        let corpus = tree.root.join("fuzz/corpus").join(&target);
        std::fs::create_dir_all(&corpus).map_err(|error| format!("cannot make {}: {error}", corpus.display()))?;
        let mut command = fuzz();
        command.args(["run", &target]).arg(&corpus);
        let fixtures = tree.root.join("tests/fixtures/hostile").join(&target);
        if fixtures.is_dir() {
            command.arg(fixtures);
        }
        command.args([
            "--".to_owned(),
            format!("-max_total_time={}", plan.seconds),
            format!("-rss_limit_mb={RSS_MIB_MAX}"),
            format!("-max_len={INPUT_BYTES_MAX}"),
            format!("-timeout={INPUT_SECONDS_MAX}"),
            "-print_final_stats=1".to_owned(),
        ]);
        command.current_dir(&tree.root).env("TOSO_FUZZ_CORPUS", &corpus);
        let status = command.status().map_err(|error| format!("cannot start cargo fuzz: {error}"))?;
        if !status.success() {
            return Err(format!(
                "{target} broke; the input is in fuzz/artifacts/{target}. Copy it to tests/fixtures/hostile/{target}/, \
                 see it fail with `cargo test -p toso-tests --test hostile_input`, and mend it"
            ));
        }
    }
    Ok(())
}

/// The nightly compiler is needed for the sanitizer's flags only.
fn fuzz() -> Command {
    let mut command = Command::new("cargo");
    command.args(["+nightly", "fuzz"]);
    // `cargo xtask` runs under the stable toolchain's variables.
    for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTDOC"] {
        command.env_remove(name);
    }
    command
}

fn check_tools() -> Result<(), String> {
    let answers = |mut command: Command, arguments: &[&str]| {
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let mut nightly = Command::new("rustc");
    nightly.env_remove("RUSTUP_TOOLCHAIN").arg("+nightly");
    if !answers(nightly, &["--version"]) {
        return Err("a nightly compiler is missing: rustup toolchain install nightly --profile minimal".to_owned());
    }
    if !answers(fuzz(), &["--version"]) {
        return Err("cargo-fuzz is missing: cargo install cargo-fuzz --locked".to_owned());
    }
    Ok(())
}

fn targets(folder: &Path) -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut names: Vec<_> =
        entries.filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(ToOwned::to_owned)).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let plan = |seconds, target: Option<&str>| Ok(Plan { seconds, target: target.map(ToOwned::to_owned) });
        assert_eq!(Plan::parse(&[]), plan(SECONDS_DEFAULT, None));
        assert_eq!(Plan::parse(&["change", "--seconds", "5"]), plan(5, Some("change")));
        for wrong in [&["--seconds"][..], &["--seconds", "0"], &["--minutes"], &["frame", "text"]] {
            assert!(Plan::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
