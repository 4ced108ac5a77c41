//! The project's own tasks, run as `cargo xtask TASK`.
//!
//! They live in Rust, not in shell scripts, so that they run alike on every developer's machine and on the build
//! server, and so that the rules of the house (which crate may use which, what stays pure, what docs may name) are
//! tested code.

mod bench;
mod cargo;
mod ci;
mod deny;
mod fuzz;
mod long_run;
mod main_job;
mod mobile;
mod phones;
mod scan;
mod simulate;
mod standard_library;
mod tidy;
mod tree;
mod wasm;

use std::process::ExitCode;

use crate::tree::Tree;

const USAGE: &str = "\
Tasks of the Toso workspace.

Usage: cargo xtask TASK

Tasks:
  ci      Everything that must hold before a change is merged: format, tidy, deny, clippy, docs, tests, and the main job
          (the national simulation, whose report must be that of the dispatch).
          Stops at the first step that fails.
  tidy    The rules of the house that no compiler checks: arrows between crates, purity, limits on files,
          paths named in docs, licences and uses of dependencies.
  deny    What the dependencies may be, and what is known against them: cargo-deny with deny.toml; says what was not
          checked.
  kills   `kill -9` of servers and field devices at random moments (--kills N, 300 by default), and a table of what
          was lost: nothing. A dozen kills are part of ci.
  soak    A steady load with random kills on a release build (--minutes N, 10 by default; --devices D, 200), a line of
          figures every 30 s, and a verdict: does anything grow?
  simulate
          The whole system under simulation: --seeds N, --from S, --minutes M; --seed S --trace replays one.
  bench --against REV
          Scenarios of `toso bench` (--only NAME…; --rounds N, 5; --scale N, 0.1) on release builds of another revision
          and of this tree, in turn, and their ratios.
  fuzz [--seconds N] [TARGET]
          The fuzz targets (or one), each for N seconds (60). Needs cargo-fuzz and a nightly compiler; says what is
          missing. Inputs that break something stay in fuzz/artifacts/.
  mobile [--long] [kotlin|python|swift]...
          The mobile library's tests in the languages of apps, against the real library and server; says what is
          missing. Part of ci, which goes on without. --long runs Swift's in language mode 5, too, and under Thread
          Sanitizer.
  bindings [--release]
          Builds the mobile library and writes its Kotlin, Swift and Python sources to target/mobile-ffi/bindings.
  android [--check]
          The library for every Android ABI as an AAR with its Kotlin sources, by cargo-ndk. --check only checks types, which
          needs no NDK.
  ios [--check]
          The library as an XCFramework with its Swift sources; needs a Mac. --check only checks types, anywhere.
  wasm    Types of the rooms that a browser is to run, for WebAssembly. Part of ci; says what is missing and goes on without.
  help    This text (also --help, -h).

Exit codes: 0 all is well, 1 something failed, 2 wrong usage.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["ci"] => ci::run(),
        ["tidy"] => run_tidy(),
        ["deny"] => run_deny(),
        ["wasm"] => run_wasm(),
        ["kills", options @ ..] => long_run::kills(options),
        ["soak", options @ ..] => long_run::soak(options),
        ["simulate", rest @ ..] => simulate::run(rest),
        ["bench", rest @ ..] if !matches!(rest, ["--help" | "-h"]) => match bench::Order::parse(rest) {
            Ok(order) => bench::run(&order),
            Err(message) => return usage_error(&message),
        },
        ["fuzz", rest @ ..] if !matches!(rest, ["--help" | "-h"]) => match fuzz::Plan::parse(rest) {
            Ok(plan) => fuzz::run(&plan),
            Err(message) => return usage_error(&message),
        },
        ["mobile", names @ ..] if !matches!(names, ["--help" | "-h"]) => match languages(names) {
            Ok((languages, length)) => mobile::run(&languages, length),
            Err(message) => return usage_error(&message),
        },
        ["bindings"] => mobile::generate(mobile::Profile::Debug),
        ["bindings", "--release"] => mobile::generate(mobile::Profile::Release),
        ["android"] => phones::android(),
        ["ios"] => phones::ios(),
        ["android", "--check"] => phones::check(phones::Platform::Android),
        ["ios", "--check"] => phones::check(phones::Platform::Ios),
        ["help" | "--help" | "-h"]
        | [
            "bench" | "ci" | "tidy" | "deny" | "fuzz" | "mobile" | "bindings" | "android" | "ios" | "wasm",
            "--help" | "-h",
        ] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        [] => return usage_error("name a task"),
        other => return usage_error(&format!("there is no task `{}`", other.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn usage_error(message: &str) -> ExitCode {
    eprintln!("xtask: {message}\n\n{USAGE}");
    ExitCode::from(2)
}

fn languages(names: &[&str]) -> Result<(Vec<mobile::Language>, mobile::Length), String> {
    let (length, names) = match names {
        ["--long", names @ ..] => (mobile::Length::Long, names),
        names => (mobile::Length::Short, names),
    };
    let of = |name: &&str| mobile::Language::of(name).ok_or_else(|| format!("there are no bindings for `{name}`"));
    Ok((names.iter().map(of).collect::<Result<_, _>>()?, length))
}

fn run_tidy() -> Result<(), String> {
    tidy::run(&Tree::open()?)
}

fn run_deny() -> Result<(), String> {
    let unchecked = deny::run(&Tree::open()?)?;
    for what in unchecked {
        println!("deny: {what}");
    }
    Ok(())
}

fn run_wasm() -> Result<(), String> {
    for lacking in wasm::run(&Tree::open()?)? {
        println!("wasm: SKIPPED: {lacking}");
    }
    Ok(())
}
