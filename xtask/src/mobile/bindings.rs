//! The sources that the generator writes beside the library: made from the built library itself, and never committed, since a copy
//! could fall behind.

use std::path::PathBuf;
use std::process::Command;

use super::built::Built;
use super::{handles, must, text, words, workshop};
use crate::tree::Tree;

/// What the generators are told.
const SETTINGS: &str = "mobile-ffi/uniffi.toml";

/// A language that has bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// Android, and the JVM.
    Kotlin,
    /// Scripts.
    Python,
    /// iOS.
    Swift,
}

impl Language {
    /// All, in the order in which they are tried: the quickest first.
    pub(crate) const ALL: [Self; 3] = [Self::Python, Self::Swift, Self::Kotlin];

    /// The name, to the generator and to people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kotlin => "kotlin",
            Self::Python => "python",
            Self::Swift => "swift",
        }
    }

    /// The generated source, in its folder.
    fn source(self) -> &'static str {
        match self {
            Self::Kotlin => "uniffi/toso/toso.kt",
            Self::Python => "toso.py",
            Self::Swift => "toso.swift",
        }
    }

    /// The language of a name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.name() == name)
    }
}

/// Writes a language's sources into a fresh folder, and gives that.
pub(crate) fn generate(tree: &Tree, built: &Built, language: Language) -> Result<PathBuf, String> {
    let folder = workshop(tree).join("bindings").join(language.name());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|error| format!("cannot empty {}: {error}", folder.display()))?;
    }
    let mut command = Command::new(&built.generator);
    command.current_dir(&tree.root).arg("generate").arg(&built.library);
    command.args(["--language", language.name(), "--no-format", "--out-dir"]).arg(&folder);
    // Without this it reads no setting: it looks for the library's folder by the name of its crate.
    command.arg("--config").arg(tree.root.join(SETTINGS));
    must(&mut command, "the bindings' generator")?;
    let source = folder.join(language.source());
    let written = std::fs::read_to_string(&source).map_err(|error| format!("no {}: {error}", source.display()))?;
    let whole = text::made_whole(language, &written)?;
    let speaking = words::in_place_of_dumps(language, &whole)?;
    let asking = handles::asked_first(language, &speaking)?;
    std::fs::write(&source, asking).map_err(|error| format!("cannot write {}: {error}", source.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_languages() {
        for language in Language::ALL {
            assert_eq!(Language::of(language.name()), Some(language));
        }
        assert_eq!(Language::of("cobol"), None);
    }
}
