//! `cargo xtask wasm`: the types of the rooms that a browser is to run, for WebAssembly.
//!
//! A pure room that begins to want a socket, a clock or a thread fails here, and so does a dependency that has no way without
//! them. Nothing is linked or run. The check compiles every dependency of these rooms once more, and the standard library where
//! rustup has not brought it.

use crate::mobile::{Lack, answer, must};
use crate::standard_library::{Rust, clang};
use crate::tree::Tree;

/// What the rooms are checked for: a browser, or anything else that runs modules without a system.
const TARGET: &str = "wasm32-unknown-unknown";
/// The rooms.
const ROOMS: [&str; 7] =
    ["toso-core", "toso-catalog", "toso-wire", "toso-sync", "toso-store", "toso-projection", "toso-replica"];
const UNDONE: &str = "the check of types for WebAssembly";

/// Checks the types, and tells what was left out because this machine lacks something.
pub(crate) fn run(tree: &Tree) -> Result<Vec<String>, String> {
    let (rust, compiler) = match (Rust::of(TARGET, UNDONE), c_compiler()) {
        (Ok(rust), Ok(compiler)) => (rust, compiler),
        (rust, compiler) => {
            let lacks = [rust.err(), compiler.err()].into_iter().flatten();
            return Ok(lacks.map(|lack| lack.to_string()).collect());
        }
    };
    println!("xtask: checking {} for {TARGET}", ROOMS.join(", "));
    let mut command = rust.check(tree, TARGET);
    for room in ROOMS {
        command.args(["--package", room]);
    }
    // Nothing is linked, so any archiver does.
    command.env("CC_wasm32_unknown_unknown", compiler).env("AR_wasm32_unknown_unknown", "ar");
    must(&mut command, &format!("cargo check for {TARGET}"))?;
    println!("xtask: {TARGET}: types are right; nothing was linked or run");
    Ok(Vec::new())
}

/// A compiler for zstd's C: any clang that knows the target.
fn c_compiler() -> Result<String, Lack> {
    let knows = |targets: &String| targets.lines().any(|line| line.trim_start().starts_with("wasm32"));
    let program = clang().filter(|clang| answer(clang, &["--print-targets"]).as_ref().is_some_and(knows));
    let program = program.map(|clang| clang.to_string_lossy().into_owned());
    program.ok_or_else(|| Lack {
        what: "a clang that compiles for wasm32".into(),
        undone: UNDONE,
        remedy: "apt install clang (Debian, Ubuntu), brew install llvm (macOS; Xcode's own cannot)".into(),
    })
}
