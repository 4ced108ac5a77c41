//! Every external crate is explained in `docs/dependencies.md`, and every dependency that a crate names is used by it.

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use crate::tree::Tree;

/// The page that explains them.
const PAGE: &str = "docs/dependencies.md";
/// Its column with the licence, from 0.
const LICENCE_COLUMN: usize = 3;

pub(super) fn check(tree: &Tree) -> Result<Vec<Problem>, String> {
    let declared = external_dependencies(&tree.text("Cargo.toml")?);
    let page = tree.text(PAGE)?;
    let mut problems = page_problems(&declared, &licences(tree), &page);
    for package in tree.metadata.workspace_packages() {
        let Some(folder) = package.manifest_path.parent().and_then(|path| path.strip_prefix(&tree.root).ok()) else {
            continue;
        };
        let folder = format!("{folder}/");
        let mut source = String::new();
        for file in tree.ending(".rs").filter(|file| file.starts_with(&folder)) {
            source.push_str(&tree.text(file)?);
        }
        let used = package.dependencies.iter().map(|used| used.rename.as_ref().unwrap_or(&used.name).as_str());
        problems.extend(unused_problems(&format!("{folder}Cargo.toml"), used, &source));
    }
    Ok(problems)
}

/// Names in `[workspace.dependencies]` that are not crates of this workspace.
fn external_dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.lines().skip_while(|line| line.trim() != "[workspace.dependencies]").skip(1);
    section
        .take_while(|line| !line.trim_start().starts_with('['))
        .filter(|line| !line.trim_start().starts_with('#') && !line.contains("path ="))
        .filter_map(|line| line.split_once('=').map(|(name, _)| name.trim().trim_matches('"').to_owned()))
        .collect()
}

/// The licence of every package that a crate of the workspace uses directly.
fn licences(tree: &Tree) -> BTreeMap<String, String> {
    let members: BTreeSet<_> = tree.metadata.workspace_members.iter().collect();
    let nodes = tree.metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let direct: BTreeSet<_> =
        nodes.filter(|node| members.contains(&node.id)).flat_map(|node| &node.dependencies).collect();
    let packages = tree.metadata.packages.iter().filter(|package| direct.contains(&package.id));
    packages.map(|package| (package.name.to_string(), package.license.clone().unwrap_or_default())).collect()
}

fn page_problems(declared: &[String], licences: &BTreeMap<String, String>, page: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut explained = BTreeSet::new();
    for (number, line) in (1..).zip(page.lines()) {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let name = cells.first().and_then(|cell| cell.strip_prefix('`')).and_then(|cell| cell.strip_suffix('`'));
        let Some(name) = name.filter(|_| line.starts_with('|')) else { continue };
        explained.insert(name);
        if !declared.iter().any(|declared| declared == name) {
            problems.push(Problem::at(
                PAGE,
                number,
                format!("{name} is no dependency of the workspace; remove its line"),
            ));
        }
        let said = cells.get(LICENCE_COLUMN).map(|cell| normalised(cell)).unwrap_or_default();
        if let Some(real) = licences.get(name).map(|real| normalised(real)).filter(|real| *real != said) {
            problems.push(Problem::at(PAGE, number, format!("{name}'s licence is {real:?}, not {said:?}")));
        }
    }
    for name in declared.iter().filter(|name| !explained.contains(name.as_str())) {
        problems.push(Problem::of(PAGE, format!("has no line for {name}: say what it is for and why this one")));
    }
    for name in declared.iter().filter(|name| !licences.contains_key(*name)) {
        problems
            .push(Problem::of("Cargo.toml", format!("no crate uses {name}; remove it from [workspace.dependencies]")));
    }
    problems
}

fn normalised(licence: &str) -> String {
    licence.replace('/', " OR ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unused_problems<'a>(manifest: &str, used: impl Iterator<Item = &'a str>, source: &str) -> Vec<Problem> {
    let absent = |name: &&str| crate::scan::lines_with(source, &name.replace('-', "_")).is_empty();
    used.filter(absent)
        .map(|name| Problem::of(manifest, format!("names {name}, which no source of the crate mentions; remove it")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[workspace]\nmembers = []\n\n[workspace.dependencies]\ntoso-core = { path = \"x\" }\n\n\
                            # why\nserde = \"1\"\nsled = \"=0.34.7\"\n\n[workspace.lints.rust]\nunsafe_code = \"forbid\"\n";

    fn found(page: &str) -> Vec<String> {
        let licences = [("serde", "MIT OR Apache-2.0"), ("sled", "MIT/Apache-2.0")];
        let licences = licences.map(|(name, licence)| (name.to_owned(), licence.to_owned())).into();
        page_problems(&external_dependencies(MANIFEST), &licences, page).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn external_dependencies_are_read_from_their_section() {
        assert_eq!(external_dependencies(MANIFEST), ["serde", "sled"]);
    }

    #[test]
    fn a_page_with_every_crate_passes() {
        let page = "| crate | for | why | licence |\n| --- | --- | --- | --- |\n\
                    | `serde` | a | b | MIT OR Apache-2.0 | 1 |\n| `sled` | a | b | MIT OR Apache-2.0 | 2 |\n";
        assert!(found(page).is_empty(), "{:?}", found(page));
    }

    #[test]
    fn a_missing_a_stale_and_a_wrong_line_are_found() {
        let page = "| `serde` | a | b | MIT |\n| `gone` | a | b | MIT |\n";
        let found = found(page);
        assert_eq!(found.len(), 3, "{found:?}");
        for part in [":1: serde's licence", ":2: gone is no dependency", "no line for sled"] {
            assert!(found.iter().any(|text| text.contains(part)), "{part}: {found:?}");
        }
    }

    #[test]
    fn a_workspace_dependency_that_no_crate_uses_is_found() {
        let found = page_problems(&["serde".into()], &BTreeMap::new(), "| `serde` | a | b | MIT |");
        assert!(found.iter().any(|problem| problem.message.contains("no crate uses serde")), "{found:?}");
    }

    #[test]
    fn a_dependency_that_no_source_mentions_is_found() {
        let source = "use serde_json::Value;\n#[serde(with = \"serde_bytes\")]\n";
        let found = unused_problems("Cargo.toml", ["serde-json", "serde_bytes", "csv"].into_iter(), source);
        assert_eq!(found.len(), 1);
        assert!(found.iter().all(|problem| problem.message.contains("csv")), "{found:?}");
    }
}
