//! What the machine lacks, in words.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Something that is missing, what stays undone without it, and how to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lack {
    /// What is missing.
    pub(crate) what: String,
    /// What is not done.
    pub(crate) undone: &'static str,
    /// How to get it.
    pub(crate) remedy: String,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} missing ({}): {}", self.what, self.undone, self.remedy)
    }
}

/// What a program prints, on either stream, when it succeeds.
pub(crate) fn answer(program: impl AsRef<Path>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program.as_ref()).args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    output.status.success().then(|| String::from_utf8_lossy(&text).into_owned())
}

/// The first program of a name in `PATH`, with links followed.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&path).map(|folder| folder.join(&file)).find(|file| file.is_file())?.canonicalize().ok()
}

/// The first number in a text, as in `openjdk version "17.0.15"`.
pub(crate) fn first_number(text: &str) -> Option<u32> {
    let digits = text.split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty())?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_says_what_is_undone_and_how_to_mend_it() {
        let lack = Lack { what: "java".into(), undone: "Kotlin tests", remedy: "install it".into() };
        assert_eq!(lack.to_string(), "java missing (Kotlin tests): install it");
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(first_number("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(first_number("java"), None);
        assert_eq!(first_number("99999999999"), None, "too large is no version");
    }

    #[test]
    fn programs_answer_or_not() {
        let cargo = crate::cargo::cargo();
        assert!(answer(&cargo, &["--version"]).is_some_and(|text| text.starts_with("cargo")));
        assert_eq!(answer(&cargo, &["no-such-subcommand-of-cargo"]), None);
        assert_eq!(answer("no-such-program", &[]), None);
    }
}
