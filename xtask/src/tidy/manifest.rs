//! Rules for manifests: panics unwind, and the lock file travels with the source.

use super::Problem;
use crate::tree::Tree;

pub(super) fn check(tree: &Tree) -> Result<Vec<Problem>, String> {
    let mut problems = Vec::new();
    for file in tree.ending("Cargo.toml").chain(tree.ending(".cargo/config.toml")) {
        problems.extend(abort_problems(file, &tree.text(file)?));
    }
    if !tree.is_tracked("Cargo.lock")? {
        problems.push(Problem::of("Cargo.lock", "is not tracked by git; add it, so that every build is the same"));
    }
    Ok(problems)
}

/// Folding catches panics of the CRDT library; a build that aborts on panic would turn one bad change into an outage.
fn abort_problems(file: &str, text: &str) -> Vec<Problem> {
    let aborts = |line: &str| {
        let setting = line.split('#').next().unwrap_or_default();
        setting.contains("panic") && setting.contains("abort")
    };
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| aborts(line))
        .map(|(number, _)| Problem::at(file, number, "panics must unwind: folding relies on catch_unwind; remove this"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aborting_on_panic_is_found_in_any_spelling() {
        for line in
            ["panic = \"abort\"", "panic='abort'", "release.panic = \"abort\"", "rustflags = [\"-Cpanic=abort\"]"]
        {
            let found = abort_problems("Cargo.toml", &format!("[profile.release]\n{line}\n"));
            assert_eq!(found.iter().map(|problem| problem.line).collect::<Vec<_>>(), [Some(2)], "{line}");
        }
    }

    #[test]
    fn unwinding_and_comments_pass() {
        assert!(abort_problems("Cargo.toml", "panic = \"unwind\"\n# never panic = \"abort\"\n").is_empty());
    }
}
