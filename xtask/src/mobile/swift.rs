//! The Swift side: the generated sources, what is written by hand beside them, and the stories, compiled by the real compiler and
//! run against the real library and server.
//!
//! The compiler is `swift` on the path, or that of a folder with a Debian 13 in it, which `mobile-ffi/swift/toolchain.sh` makes and
//! `TOSO_SWIFT_FOLDER` names. On a Mac the package has an XCFramework instead of cargo's library: `cargo xtask ios` makes it, and
//! `swift test` in `mobile-ffi/swift` runs the same stories.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::built::Built;
use super::tool::{Lack, answer, first_number};
use super::{Language, Length, Trouble, files, must, page, workshop};
use crate::tree::Tree;

/// The package, in git.
const PACKAGE: &str = "mobile-ffi/swift";
/// What makes and enters a folder with the compiler.
const TOOLCHAIN: &str = "mobile-ffi/swift/toolchain.sh";
/// Names the folder.
const FOLDER_VARIABLE: &str = "TOSO_SWIFT_FOLDER";
/// The code of the page for app developers, in the laid out package, and what it has before it.
const PAGE: &str = "Tests/TosoFieldTests/Page.swift";
const PAGE_HEAD: &str = "import Foundation; import Toso; import TosoField";
/// The first version that has language mode 6.
const SWIFT_MIN: u32 = 6;

/// Where the compiler is.
enum Compiler {
    /// On the path.
    Here,
    /// In a folder that is entered by a script.
    Folder { script: PathBuf, folder: OsString },
}

/// Compiles the package in both language modes, without a warning, and runs the stories: in mode 6; in the long form in mode 5 and
/// under Thread Sanitizer, too. The sanitizer sees Swift's accesses, not the library's.
pub(super) fn test(tree: &Tree, built: &Built, sources: &Path, length: Length) -> Result<(), Trouble> {
    let compiler = compiler(tree)?;
    let package = lay_out(tree, built, sources)?;
    let swift = |mode: &str, folder: &str, arguments: &[&str]| {
        let mut command = compiler.command(&package, mode);
        command.arg("swift").args(arguments).args(["--scratch-path", folder]);
        command.args(["-Xswiftc", "-warnings-as-errors"]);
        must(&mut command, &format!("swift {} in language mode {mode}", arguments.join(" ")))
    };
    match length {
        Length::Short => {
            swift("5", ".build-5", &["build"])?;
            swift("6", ".build-6", &["test"])?;
        }
        Length::Long => {
            swift("5", ".build-5", &["test"])?;
            swift("6", ".build-6", &["test"])?;
            swift("6", ".build-threads", &["test", "--sanitize=thread"])?;
        }
    }
    Ok(())
}

fn compiler(tree: &Tree) -> Result<Compiler, Lack> {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()) {
        return Ok(Compiler::Folder { script: tree.root.join(TOOLCHAIN), folder });
    }
    let here =
        answer("swift", &["--version"]).and_then(|text| text.split_once("version ").map(|(_, rest)| rest.to_owned()));
    if here.and_then(|version| first_number(&version)).is_some_and(|major| major >= SWIFT_MIN) {
        return Ok(Compiler::Here);
    }
    Err(Lack {
        what: format!("swift {SWIFT_MIN} or newer"),
        undone: "the mobile library's tests in Swift",
        remedy: format!(
            "install it from swift.org, or on a Debian, as root: `{TOOLCHAIN} make FOLDER`, and set {FOLDER_VARIABLE}=FOLDER"
        ),
    })
}

impl Compiler {
    /// A command in the package's folder, which finds library and server there.
    fn command(&self, package: &Path, mode: &str) -> Command {
        let mut command = match self {
            Self::Here => {
                let mut command = Command::new("env");
                command.current_dir(package);
                command
            }
            Self::Folder { script, folder } => {
                let mut command = Command::new(script);
                command.arg("run").arg(folder).arg(package).arg("env");
                command
            }
        };
        let built = package.join("Built");
        command.arg(variable("TOSO_LIBRARY_DIR", &built)).arg(variable("TOSO_BINARY", &built.join("toso")));
        command.arg(format!("TOSO_SWIFT_MODE={mode}"));
        command
    }
}

fn variable(name: &str, path: &Path) -> OsString {
    let mut text = OsString::from(name);
    text.push("=");
    text.push(path);
    text
}

/// The package with everything that git does not have, in a folder of its own, so that the tree stays as it is. What the compiler
/// has kept there since the last time is still good.
fn lay_out(tree: &Tree, built: &Built, sources: &Path) -> Result<PathBuf, String> {
    let package = workshop(tree).join("swift");
    for part in ["Sources", "Tests", "Built"] {
        let old = package.join(part);
        if old.exists() {
            std::fs::remove_dir_all(&old).map_err(|error| format!("cannot empty {}: {error}", old.display()))?;
        }
    }
    let from = tree.root.join(PACKAGE);
    for relative in tree.files.iter().filter_map(|file| file.strip_prefix(PACKAGE)?.strip_prefix('/')) {
        copy(&from.join(relative), &package.join(relative))?;
    }
    for file in files(sources, "swift")? {
        copy(&file, &package.join("Sources/Toso/Generated").join(file.file_name().unwrap_or_default()))?;
    }
    for header in files(sources, "h")? {
        copy(&header, &package.join("Sources/tosoFFI").join(header.file_name().unwrap_or_default()))?;
    }
    let map = files(sources, "modulemap")?.pop().ok_or_else(|| format!("no module map in {}", sources.display()))?;
    copy(&map, &package.join("Sources/tosoFFI/module.modulemap"))?;
    let page = package.join(PAGE);
    std::fs::write(&page, page::source(tree, Language::Swift, PAGE_HEAD)?)
        .map_err(|error| format!("cannot write {}: {error}", page.display()))?;
    for program in [&built.library, &built.server] {
        copy(program, &package.join("Built").join(program.file_name().unwrap_or_default()))?;
    }
    Ok(package)
}

/// Copies a file with its modification time, which is what the compiler looks at, and makes its folder.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot copy {} to {}: {error}", from.display(), to.display());
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::copy(from, to).map_err(failed)?;
    let modified = from.metadata().and_then(|data| data.modified()).map_err(failed)?;
    std::fs::File::options().write(true).open(to).and_then(|file| file.set_modified(modified)).map_err(failed)
}
