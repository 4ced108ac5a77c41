//! The Swift bindings and the sample package, as far as they can be checked without Apple's tools: every file is parsed with the
//! tree-sitter grammar of Swift, and the C header is compiled. Types are checked where they are used: by Xcode.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::python::interpreter;
use super::tool::{Lack, answer};
use super::{Trouble, files, must, workshop};
use crate::tree::Tree;

/// What pip installs, pinned.
const REQUIREMENTS: &str = "mobile-ffi/swift/check/requirements.txt";
/// The check itself.
const CHECK: &str = "mobile-ffi/swift/check/syntax.py";
/// The sample package's sources.
const PACKAGE: &str = "mobile-ffi/swift";

pub(super) fn check(tree: &Tree, sources: &Path) -> Result<(), Trouble> {
    let parser = parser(tree)?;
    let mut command = Command::new(parser);
    command.arg("-B").arg(tree.root.join(CHECK)).arg(sources).arg(tree.root.join(PACKAGE));
    must(&mut command, "the syntax check")?;
    let header = files(sources, "h")?.pop().ok_or_else(|| format!("no header in {}", sources.display()))?;
    let mut compiler = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".into()));
    // Clang's notes on null pointers, which gcc does not know.
    compiler.args(["-fsyntax-only", "-x", "c", "-D_Nonnull=", "-D_Nullable="]).arg(header);
    must(&mut compiler, "the C compiler, on the header")?;
    Ok(())
}

/// A Python with the grammar: made once, in a folder of its own.
fn parser(tree: &Tree) -> Result<PathBuf, Lack> {
    let folder = workshop(tree).join("swift-grammar");
    let scripts = folder.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let python = scripts.join(format!("python{}", std::env::consts::EXE_SUFFIX));
    let requirements = tree.root.join(REQUIREMENTS);
    let pinned = std::fs::read_to_string(&requirements).unwrap_or_default();
    let stamp = folder.join("installed.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == pinned) {
        return Ok(python);
    }
    let lack = |what: &str, remedy: &str| Lack {
        what: what.into(),
        undone: "the syntax check of the Swift bindings",
        remedy: remedy.into(),
    };
    let venv = answer(interpreter()?, &["-m", "venv", "--clear", &folder.to_string_lossy()]);
    venv.ok_or_else(|| lack("python's venv", "apt install python3-venv (Debian, Ubuntu)"))?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
        "--requirement",
    ]);
    pip.arg(&requirements).stdout(Stdio::null());
    let installed = pip.status().is_ok_and(|status| status.success()) && std::fs::write(&stamp, &pinned).is_ok();
    if installed {
        Ok(python)
    } else {
        Err(lack(
            "the Swift grammar",
            &format!("pip could not install {REQUIREMENTS}: see above; it needs a package index once"),
        ))
    }
}
