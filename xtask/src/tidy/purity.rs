//! The pure rooms stay pure: no runtime, sockets, files, clock, threads, environment or randomness of their own.
//!
//! Time and randomness come as arguments there, so a test can replay any schedule from a seed, and the same code can run
//! in a browser.

use std::collections::BTreeSet;

use cargo_metadata::DependencyKind;

use super::Problem;
use crate::scan::{code_only, lines_with, shipped};
use crate::tree::Tree;

/// The rooms.
const PURE: [&str; 6] = ["toso-core", "toso-catalog", "toso-wire", "toso-sync", "toso-projection", "toso-replica"];

/// Crates they must not use directly, outside tests.
const FORBIDDEN_CRATES: [&str; 8] = ["tokio", "async-std", "mio", "sled", "rand", "getrandom", "rustls", "ureq"];

/// What their shipped code must not name, and why.
const FORBIDDEN_NAMES: [(&str, &str); 10] = [
    ("std::fs", "files"),
    ("std::net", "sockets"),
    ("std::env", "the environment"),
    ("SystemTime", "the clock"),
    ("Instant::now", "the clock"),
    ("thread::spawn", "threads"),
    ("tokio", "a runtime"),
    ("println!", "the terminal"),
    ("eprintln!", "the terminal"),
    ("print!", "the terminal"),
];

pub(super) fn check(tree: &Tree) -> Result<Vec<Problem>, String> {
    let mut problems = Vec::new();
    for package in tree.metadata.workspace_packages() {
        if PURE.contains(&package.name.as_str()) {
            let shipped = package.dependencies.iter().filter(|used| used.kind != DependencyKind::Development);
            problems.extend(crate_problems(&package.name, shipped.map(|used| used.name.as_str())));
        }
    }
    for name in PURE {
        let sources = format!("crates/{name}/src/");
        let files: Vec<&str> = tree.ending(".rs").filter(|file| file.starts_with(&sources)).collect();
        let texts = files.iter().map(|file| Ok((*file, tree.text(file)?))).collect::<Result<Vec<_>, String>>()?;
        problems.extend(source_problems(&texts));
    }
    Ok(problems)
}

fn crate_problems<'a>(name: &str, used: impl Iterator<Item = &'a str>) -> Vec<Problem> {
    used.filter(|used| FORBIDDEN_CRATES.contains(used) || used.starts_with("tokio-"))
        .map(|used| Problem::of(name, format!("is pure and must not use {used}; take what it gives as an argument")))
        .collect()
}

/// Problems in the files of one crate; all of them together, since one file may declare another a test.
fn source_problems(files: &[(&str, String)]) -> Vec<Problem> {
    let mut tests = BTreeSet::new();
    let mut codes = Vec::new();
    for (file, text) in files {
        let shipped = shipped(&code_only(text));
        let folder = module_folder(file);
        for module in &shipped.test_modules {
            tests.insert(format!("{folder}/{module}.rs"));
        }
        codes.push((*file, shipped.code));
    }
    let mut problems = Vec::new();
    for (file, code) in codes.iter().filter(|(file, _)| !tests.contains(*file)) {
        for (name, gives) in FORBIDDEN_NAMES {
            for line in lines_with(code, name) {
                let message = format!("this crate is pure and must not name {name} ({gives}); take it as an argument");
                problems.push(Problem::at(*file, line, message));
            }
        }
    }
    problems
}

/// The folder that holds the submodules of a file.
fn module_folder(file: &str) -> &str {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    stem.strip_suffix("/lib").or_else(|| stem.strip_suffix("/main")).unwrap_or(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> Vec<Problem> {
        source_problems(&[(file, text.to_owned())])
    }

    #[test]
    fn every_forbidden_name_is_found_with_its_line() {
        for (name, _) in FORBIDDEN_NAMES {
            let found = found("crates/toso-core/src/a.rs", &format!("//! A.\nfn a() {{ {name}; }}\n"));
            assert_eq!(found.iter().map(|problem| problem.line).collect::<Vec<_>>(), [Some(2)], "{name}");
        }
    }

    #[test]
    fn imports_are_found_in_any_spelling() {
        for import in ["use std::fs;", "use std::{fmt, fs};", "use std::{time::{Duration, SystemTime}};"] {
            assert_eq!(found("a.rs", import).len(), 1, "{import}");
        }
    }

    #[test]
    fn tests_comments_and_texts_may_name_anything() {
        let text = "//! Not std::fs.\nconst A: &str = \"std::fs\";\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert!(found("a.rs", text).is_empty());
    }

    #[test]
    fn a_test_module_in_its_own_file_is_a_test_and_its_neighbour_is_not() {
        let files = [
            ("crates/x/src/lib.rs", "#[cfg(test)]\nmod tests;\nmod other;".to_owned()),
            ("crates/x/src/tests.rs", "use std::fs;".to_owned()),
            ("crates/x/src/other.rs", "use std::fs;".to_owned()),
        ];
        let found = source_problems(&files);
        assert_eq!(found.iter().map(|problem| problem.place.as_str()).collect::<Vec<_>>(), ["crates/x/src/other.rs"]);
    }

    #[test]
    fn the_parts_of_the_standard_library_that_need_no_world_pass() {
        assert!(found("a.rs", "use std::{collections::BTreeMap, fmt, time::Duration};").is_empty());
    }

    #[test]
    fn forbidden_crates_are_found() {
        let found = crate_problems("toso-sync", ["serde", "tokio-util", "getrandom", "rand_core"].into_iter());
        let named: Vec<bool> = found.iter().map(|problem| problem.message.contains("getrandom")).collect();
        assert_eq!(named, [false, true], "{found:?}");
    }
}
