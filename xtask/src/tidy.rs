//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! Each check is a function from plain input (texts, names, edges) to the problems it found, so that its tests can plant
//! the very fault it is there to find. Every problem says where it is and how to mend it.

mod arrows;
mod circles;
mod crates;
mod docs;
mod licences;
mod manifest;
mod purity;
mod sources;

use std::fmt;

use crate::tree::Tree;

/// One breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// File, or crate, where it is.
    place: String,
    /// Line from 1, when it is in a line.
    line: Option<usize>,
    /// What is wrong and how to mend it.
    message: String,
}

impl Problem {
    fn of(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), line: None, message: message.into() }
    }

    fn at(place: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { place: place.into(), line: Some(line), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.place, self.message),
            None => write!(f, "{}: {}", self.place, self.message),
        }
    }
}

/// A check of the whole tree.
type Check = fn(&Tree) -> Result<Vec<Problem>, String>;

/// Every check, with the rule it keeps.
const CHECKS: [(&str, Check); 8] = [
    ("arrows between crates", arrows::check),
    ("no circles between modules", circles::check),
    ("purity", purity::check),
    ("sources", sources::check),
    ("docs name what exists", docs::check),
    ("manifests", manifest::check),
    ("dependencies are used and explained", crates::check),
    ("licences", licences::check),
];

/// Runs every check and prints what each found; fails when any found something.
pub(crate) fn run(tree: &Tree) -> Result<(), String> {
    let mut total = 0;
    for (rule, check) in CHECKS {
        let problems = check(tree)?;
        println!("tidy: {rule}: {}", if problems.is_empty() { "ok" } else { "BROKEN" });
        for problem in &problems {
            println!("  {problem}");
        }
        total += problems.len();
    }
    match total {
        0 => Ok(()),
        1 => Err("tidy found 1 problem, listed above".into()),
        _ => Err(format!("tidy found {total} problems, listed above")),
    }
}
