//! Docs name what exists: paths in backticks, and links between pages.
//!
//! A span in backticks is taken for a path of this project when it has no blanks or wildcards and either ends like one
//! of our files (`.rs`, `.md`, `.toml`) or begins with a folder of the root. Everything else with a slash (routes, media
//! types, unit codes such as `2022/00001`) is left alone. Fenced blocks hold commands and output, so they are left alone
//! too.

use std::collections::BTreeSet;

use super::Problem;
use crate::tree::Tree;

/// Endings that make a span a path wherever it begins.
const PATH_ENDINGS: [&str; 3] = [".rs", ".md", ".toml"];

pub(super) fn check(tree: &Tree) -> Result<Vec<Problem>, String> {
    let mut problems = Vec::new();
    for page in tree.ending(".md").filter(|file| *file == "README.md" || file.starts_with("docs/")) {
        problems.extend(page_problems(page, &tree.text(page)?, &tree.files));
    }
    Ok(problems)
}

fn page_problems(page: &str, text: &str, files: &BTreeSet<String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut fenced = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            for span in line.split('`').skip(1).step_by(2).filter(|span| is_path(span, files)) {
                if !path_exists(page, span, files) {
                    problems.push(Problem::at(
                        page,
                        number,
                        format!("`{span}` names no file or folder of the project"),
                    ));
                }
            }
            for target in link_targets(line) {
                if !link_resolves(page, target, files) {
                    problems.push(Problem::at(page, number, format!("the link to {target} leads nowhere")));
                }
            }
        }
    }
    problems
}

fn is_path(span: &str, files: &BTreeSet<String>) -> bool {
    if span.contains("://") || span.contains(|c: char| c.is_whitespace() || "*<>{}$…~=()|\"'".contains(c)) {
        return false;
    }
    let path = without_position(span);
    let ends_like_one = PATH_ENDINGS.iter().any(|ending| path.len() > ending.len() && path.ends_with(ending));
    let root_folder = path.split_once('/').map(|(first, _)| format!("{first}/"));
    ends_like_one || root_folder.is_some_and(|folder| files.iter().any(|file| file.starts_with(&folder)))
}

/// A path from the root, from the page's folder, or the end of exactly one kind of path (`id.rs`, `src/id.rs`).
fn path_exists(page: &str, span: &str, files: &BTreeSet<String>) -> bool {
    let path = without_position(span);
    let bare = path.trim_end_matches('/');
    let tail = format!("/{bare}");
    exists(bare, files)
        || resolve(page, bare).is_some_and(|path| exists(&path, files))
        || files.iter().any(|file| file.ends_with(&tail))
}

fn link_resolves(page: &str, target: &str, files: &BTreeSet<String>) -> bool {
    let path = target.split('#').next().unwrap_or_default();
    let has_scheme = target.contains("://") || target.starts_with("mailto:");
    has_scheme || path.is_empty() || resolve(page, path).is_some_and(|path| exists(&path, files))
}

fn exists(path: &str, files: &BTreeSet<String>) -> bool {
    let folder = format!("{path}/");
    path.is_empty() || files.contains(path) || files.iter().any(|file| file.starts_with(&folder))
}

/// A path relative to a page, from the root; `None` when it leaves the project.
fn resolve(page: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Cuts `:12` and `#anchor` off a path.
fn without_position(span: &str) -> &str {
    let path = span.split('#').next().unwrap_or(span);
    match path.rsplit_once(':') {
        Some((file, line)) if line.chars().all(|c| c.is_ascii_digit()) => file,
        _ => path,
    }
}

/// Targets of `[text](target)` and of `[text]: target`, outside backticks.
fn link_targets(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    for prose in line.split('`').step_by(2) {
        let after_brackets = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        targets.extend(after_brackets.map(|target| target.trim_matches(['<', '>'])));
    }
    // `[`code`](target)` puts the brackets into different pieces; the piece that begins with `](` was seen above.
    if line.starts_with('[')
        && let Some((_, target)) = line.split_once("]: ")
    {
        targets.push(target.trim());
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> BTreeSet<String> {
        ["README.md", "Cargo.toml", "crates/toso-core/src/id.rs", "docs/adr/0001-a.md", "docs/wire.md", ".ci/run"]
            .map(str::to_owned)
            .into()
    }

    fn found(page: &str, text: &str) -> Vec<String> {
        page_problems(page, text, &files()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn paths_that_exist_pass() {
        for span in [
            "crates/toso-core/src/id.rs",
            "crates/toso-core/",
            "crates/toso-core",
            "id.rs",
            "src/id.rs:12",
            "adr/0001-a.md",
            "Cargo.toml",
            ".ci/run",
            "docs/wire.md#limits",
        ] {
            assert!(found("docs/wire.md", &format!("See `{span}`.")).is_empty(), "{span}");
        }
    }

    #[test]
    fn paths_that_do_not_exist_are_found_with_their_line() {
        for span in ["crates/toso-cor/src/id.rs", "crates/toso-gone", "idd.rs", "docs/none.md", "deny.toml"] {
            let found = found("README.md", &format!("# A\n\nSee `{span}`."));
            assert!(
                found.len() == 1 && found.iter().all(|text| text.starts_with("README.md:3: ")),
                "{span}: {found:?}"
            );
        }
    }

    #[test]
    fn spans_that_are_no_paths_pass() {
        for span in
            ["GET /v1/sync", "/v1/sync", "2022/00001", "text/csv", "crates/*/src", "cargo run", "https://a/b.md", ".rs"]
        {
            assert!(found("README.md", &format!("See `{span}`.")).is_empty(), "{span}");
        }
    }

    #[test]
    fn fenced_blocks_are_left_alone() {
        assert!(found("README.md", "```\ncat `gone.rs` [a](b.md)\n```\n").is_empty());
        assert_eq!(found("README.md", "```\n```\n`gone.rs`\n").len(), 1);
    }

    #[test]
    fn links_must_lead_somewhere() {
        for good in ["[a](adr/0001-a.md)", "[a](../README.md#x)", "[a](#x)", "[a](https://x.vn/a)", "![a](wire.md)"] {
            assert!(found("docs/wire.md", good).is_empty(), "{good}");
        }
        for bad in
            ["[a](0001-a.md)", "x [a](../../README.md)", "[`a`](gone.md)", "[a]: gone.md", "[a](wire.md) [b](c.md)"]
        {
            assert_eq!(found("docs/wire.md", bad).len(), 1, "{bad}");
        }
    }
}
