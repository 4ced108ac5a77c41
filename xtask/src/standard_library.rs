//! Checks of types for systems that are not this machine's: where their standard library comes from, and who compiles their C.
//!
//! The library comes from rustup's targets where those are installed, and is compiled from its own source where not
//! (`-Z build-std`, which the stable compiler takes under `RUSTC_BOOTSTRAP`).

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::forget_outer_cargo;
use crate::mobile::{Lack, answer, on_path, workshop};
use crate::tree::Tree;

/// Names of clang, the newest first.
const CLANGS: [&str; 8] = ["clang", "clang-22", "clang-21", "clang-20", "clang-19", "clang-18", "clang-17", "clang-16"];

/// Where the standard library comes from.
pub(crate) enum Rust {
    /// It is installed.
    Ready,
    /// It is compiled from source, by this compiler and this cargo.
    FromSource {
        /// The compiler.
        rustc: PathBuf,
        /// And its cargo.
        cargo: PathBuf,
    },
}

impl Rust {
    /// For a target; without it, `undone` stays undone.
    pub(crate) fn of(target: &str, undone: &'static str) -> Result<Self, Lack> {
        if has_standard_library(target) {
            return Ok(Self::Ready);
        }
        // The one in use, then the system's own, which rustup's hides.
        let pairs = [("rustc", "cargo"), ("/usr/bin/rustc", "/usr/bin/cargo")];
        let with_source =
            pairs.into_iter().find(|(rustc, cargo)| has_source(rustc) && answer(cargo, &["--version"]).is_some());
        let found = with_source.map(|(rustc, cargo)| Self::FromSource { rustc: rustc.into(), cargo: cargo.into() });
        found.ok_or_else(|| Lack {
            what: format!("the standard library for {target}"),
            undone,
            remedy: format!(
                "rustup target add {target}; or its source: rustup component add rust-src, or apt install rustc-web \
                 rust-web-src cargo-web (Debian)"
            ),
        })
    }

    /// `cargo check` for the target, in a folder that all such checks share. The packages are to be added.
    pub(crate) fn check(&self, tree: &Tree, target: &str) -> Command {
        let mut command = match self {
            Self::Ready => Command::new(crate::cargo::cargo()),
            Self::FromSource { cargo, .. } => Command::new(cargo),
        };
        forget_outer_cargo(&mut command);
        command.current_dir(&tree.root).arg("check");
        if let Self::FromSource { rustc, .. } = self {
            // Else rustup's compiler would be taken, through the variables that `cargo xtask` runs under.
            command
                .env_remove("RUSTUP_TOOLCHAIN")
                .env("RUSTC", rustc)
                .env("RUSTC_BOOTSTRAP", "1")
                .args(["-Z", "build-std"]);
        }
        command.args(["--target", target]);
        command.arg("--target-dir").arg(workshop(tree).join("check"));
        command
    }
}

/// True when rustup has brought it.
pub(crate) fn has_standard_library(target: &str) -> bool {
    let folder = answer("rustc", &["--print", "target-libdir", "--target", target]);
    let entries = folder.and_then(|folder| std::fs::read_dir(folder.trim()).ok());
    entries.is_some_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| is_std(&entry.file_name().to_string_lossy())))
    })
}

fn is_std(file: &str) -> bool {
    file.starts_with("libstd-")
}

fn has_source(rustc: &str) -> bool {
    let sysroot = answer(rustc, &["--print", "sysroot"]);
    sysroot.is_some_and(|sysroot| Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock").is_file())
}

/// A clang, by whatever name.
pub(crate) fn clang() -> Option<PathBuf> {
    CLANGS.into_iter().find_map(on_path)
}
