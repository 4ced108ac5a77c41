//! The mobile library as app developers meet it: bindings generated from the built library, and the tests that are
//! written in Kotlin, Python and Swift.
//!
//! The tests run against the real library and the real server. What a machine lacks is named with its remedy: a task that
//! was asked for by name fails without it, ci goes on and says so once more in its last lines.

mod bindings;
mod built;
mod handles;
mod kotlin;
mod page;
mod python;
mod swift;
mod text;
mod tool;
mod words;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::tree::Tree;
use built::Built;

pub(crate) use bindings::Language;
pub(crate) use built::{LIBRARY_NAME, LIBRARY_PACKAGE, Profile};
pub(crate) use kotlin::Kotlin;
pub(crate) use python::interpreter;
pub(crate) use tool::{Lack, answer, on_path};

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Every story once.
    Short,
    /// Swift's in each language mode, and with a look at every access to memory.
    Long,
}

/// Why a language's tests did not end well.
enum Trouble {
    /// The machine lacks something.
    Lacks(Lack),
    /// They failed.
    Failed(String),
}

impl From<Lack> for Trouble {
    fn from(lack: Lack) -> Self {
        Self::Lacks(lack)
    }
}

impl From<String> for Trouble {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

/// `cargo xtask bindings`: builds the library and generates every language's sources.
pub(crate) fn generate(profile: Profile) -> Result<(), String> {
    let tree = Tree::open()?;
    let built = Built::build(&tree, profile)?;
    for language in Language::ALL {
        println!("{}: {}", language.name(), bindings::generate(&tree, &built, language)?.display());
    }
    println!("library: {}", built.library.display());
    Ok(())
}

/// A language's sources, from a library built here.
pub(crate) fn sources(tree: &Tree, profile: Profile, language: Language) -> Result<PathBuf, String> {
    bindings::generate(tree, &Built::build(tree, profile)?, language)
}

/// `cargo xtask mobile`: builds what the tests need and runs those of the named languages, or of all. Whatever is missing
/// is an error.
pub(crate) fn run(languages: &[Language], length: Length) -> Result<(), String> {
    let tree = Tree::open()?;
    let built = Built::build(&tree, Profile::Debug)?;
    let languages = if languages.is_empty() { &Language::ALL[..] } else { languages };
    let lacks = run_all(&tree, &built, languages, length)?;
    if lacks.is_empty() { Ok(()) } else { Err(format!("not run:\n{}", lines(&lacks))) }
}

/// The step of ci: takes the library, the server and the generator that `cargo test --workspace` has built. Gives what was
/// skipped, in words.
pub(crate) fn run_in_ci(tree: &Tree) -> Result<Option<String>, String> {
    let built = Built::find(tree)?;
    let lacks = run_all(tree, &built, &Language::ALL, Length::Short)?;
    Ok(if lacks.is_empty() { None } else { Some(lines(&lacks)) })
}

fn run_all(tree: &Tree, built: &Built, languages: &[Language], length: Length) -> Result<Vec<Lack>, String> {
    let mut lacks = Vec::new();
    for language in languages {
        let name = language.name();
        let begun = Instant::now();
        let sources = bindings::generate(tree, built, *language)?;
        let outcome = match language {
            Language::Kotlin => kotlin::test(tree, built, &sources),
            Language::Python => python::test(tree, built, &sources),
            Language::Swift => swift::test(tree, built, &sources, length),
        };
        match outcome {
            Ok(()) => println!("mobile: {name}: passed in {:.1} s", begun.elapsed().as_secs_f64()),
            Err(Trouble::Lacks(lack)) => {
                println!("mobile: {name}: SKIPPED: {lack}");
                lacks.push(lack);
            }
            Err(Trouble::Failed(message)) => return Err(format!("{name}: {message}")),
        }
    }
    Ok(lacks)
}

fn lines(lacks: &[Lack]) -> String {
    lacks.iter().map(|lack| format!("  {lack}")).collect::<Vec<_>>().join("\n")
}

/// The folder for everything generated, fetched and compiled here.
pub(crate) fn workshop(tree: &Tree) -> PathBuf {
    tree.metadata.target_directory.clone().into_std_path_buf().join("mobile-ffi")
}

/// The files of a folder that end so.
pub(crate) fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect())
}

/// Runs a command that must succeed.
pub(crate) fn must(command: &mut Command, what: &str) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("cannot start {what}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{what} ended with {status}; what is wrong stands above")) }
}
