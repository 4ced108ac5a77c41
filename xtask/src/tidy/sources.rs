//! Rules for every Rust file: it says what it is, it is short enough to read, and it is finished.

use super::Problem;
use crate::scan::{code_only, lines_with};
use crate::tree::Tree;

/// Lines of a source file: about what a reader can hold in mind, and two or three screens of outline.
const SOURCE_LINES_MAX: usize = 600;
/// Lines of a file of tests: tables and scripts are long but shallow.
const TEST_LINES_MAX: usize = 900;

/// Macros that mark unfinished work.
const UNFINISHED: [&str; 3] = ["todo!(", "unimplemented!(", "dbg!("];
/// The word that marks known faults; split, so that this file does not carry it.
const FAULT_MARK: &str = concat!("FIX", "ME");

/// The keyword as code uses it; `unsafe_code` in an attribute is no use of it.
const UNSAFE: &str = "unsafe ";

pub(super) fn check(tree: &Tree) -> Result<Vec<Problem>, String> {
    let mut problems = Vec::new();
    for file in tree.ending(".rs") {
        problems.extend(file_problems(file, &tree.text(file)?));
    }
    Ok(problems)
}

fn file_problems(file: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !text.starts_with("//!") {
        problems.push(Problem::at(file, 1, "a file opens with `//!`: what it is and why it exists"));
    }
    let lines = text.lines().count();
    let lines_max = if is_test(file) { TEST_LINES_MAX } else { SOURCE_LINES_MAX };
    if lines > lines_max {
        problems.push(Problem::of(file, format!("has {lines} lines, at most {lines_max}; split it by what it does")));
    }
    let code = code_only(text);
    for mark in UNFINISHED {
        for line in lines_with(&code, mark) {
            problems.push(Problem::at(file, line, format!("{mark}…) is unfinished work; finish it or leave it out")));
        }
    }
    // UniFFI's macros need `unsafe_code` allowed in one crate; what is written by hand there is held to the rule all the same.
    if file.starts_with("mobile-ffi/") {
        for line in lines_with(&code, UNSAFE) {
            problems.push(Problem::at(file, line, "no code by hand is unsafe; leave that to UniFFI's macros"));
        }
    }
    for line in lines_with(text, FAULT_MARK) {
        problems.push(Problem::at(file, line, format!("{FAULT_MARK}: mend it now, or describe it where users look")));
    }
    problems
}

fn is_test(file: &str) -> bool {
    file.split('/').any(|part| part == "tests" || part == "tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> Vec<String> {
        file_problems(file, text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_must_say_what_it_is() {
        assert!(found("src/a.rs", "//! A.\nfn a() {}\n").is_empty());
        assert!(found("src/a.rs", "fn a() {}\n").iter().any(|text| text.starts_with("src/a.rs:1: ")));
        assert_eq!(found("src/a.rs", "").len(), 1);
    }

    #[test]
    fn length_is_limited_and_tests_have_more_room() {
        let text = |lines: usize| format!("//! A.\n{}", "\n".repeat(lines - 1));
        assert!(found("crates/a/src/b.rs", &text(SOURCE_LINES_MAX)).is_empty());
        assert_eq!(found("crates/a/src/b.rs", &text(SOURCE_LINES_MAX + 1)).len(), 1);
        for test in ["crates/a/tests/b.rs", "tests/tests/b.rs", "crates/a/src/b/tests.rs"] {
            assert!(found(test, &text(TEST_LINES_MAX)).is_empty(), "{test}");
            assert_eq!(found(test, &text(TEST_LINES_MAX + 1)).len(), 1, "{test}");
        }
    }

    #[test]
    fn unsafe_code_by_hand_is_found_in_the_mobile_library() {
        let text = "//! A.\n#![allow(unsafe_code)]\nfn a() {\n    unsafe { b() }\n}\n";
        assert_eq!(found("mobile-ffi/src/a.rs", text).len(), 1);
        assert!(found("mobile-ffi/src/a.rs", "//! A.\n#![allow(unsafe_code)]\n").is_empty());
    }

    #[test]
    fn unfinished_work_is_found_with_its_line() {
        for mark in UNFINISHED {
            let found = found("src/a.rs", &format!("//! A.\nfn a() {{\n    {mark});\n}}\n"));
            assert!(found.iter().all(|text| text.starts_with("src/a.rs:3: ")) && found.len() == 1, "{mark}: {found:?}");
        }
        assert_eq!(found("src/a.rs", &format!("//! A.\n// {FAULT_MARK}: later\n")).len(), 1);
    }

    #[test]
    fn text_about_marks_is_no_mark() {
        assert!(found("src/a.rs", "//! Never todo!().\nconst A: &str = \"dbg!(x)\";\n").is_empty());
    }
}
