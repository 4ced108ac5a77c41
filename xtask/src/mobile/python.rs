//! The tests in Python: the standard library's unittest and asyncio, nothing to install.

use std::path::Path;
use std::process::Command;

use super::built::Built;
use super::tool::{Lack, answer};
use super::{Language, Trouble, must, page};
use crate::tree::Tree;

/// What the generated code needs.
const MINOR_MIN: u32 = 10;

/// The interpreter.
pub(crate) fn interpreter() -> Result<&'static str, Lack> {
    ["python3", "python"].into_iter().find(|name| is_new_enough(name)).ok_or_else(|| Lack {
        what: format!("python3 (3.{MINOR_MIN} or newer)"),
        undone: "the mobile library's tests in Python",
        remedy: "apt install python3 python3-venv (Debian, Ubuntu), brew install python (macOS)".into(),
    })
}

fn is_new_enough(name: &str) -> bool {
    let test = format!("import sys; sys.exit(sys.version_info < (3, {MINOR_MIN}))");
    answer(name, &["-c", &test]).is_some()
}

pub(super) fn test(tree: &Tree, built: &Built, sources: &Path) -> Result<(), Trouble> {
    let python = interpreter()?;
    // The generated module loads the library from its own folder.
    let name = built.library.file_name().ok_or_else(|| "the library has no name".to_owned())?;
    let beside = sources.join(name);
    std::fs::hard_link(&built.library, &beside)
        .or_else(|_| std::fs::copy(&built.library, &beside).map(|_| ()))
        .map_err(|error| format!("cannot put the library beside its module: {error}"))?;
    std::fs::write(sources.join("page.py"), page::source(tree, Language::Python, "")?)
        .map_err(|error| format!("cannot write the page's code beside the module: {error}"))?;
    let tests = tree.root.join("mobile-ffi/python");
    let mut command = Command::new(python);
    command.args(["-B", "-W", "error", "-m", "unittest", "discover", "--verbose", "--start-directory"]).arg(&tests);
    command.env("PYTHONPATH", sources).env("TOSO_BINARY", &built.server);
    must(&mut command, "python's unittest")?;
    Ok(())
}
