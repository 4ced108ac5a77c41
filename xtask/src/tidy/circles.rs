//! No circles: two modules at the top of a crate never need each other, at once or by way of others.
//!
//! What each of two rooms needs of the other belongs into a third that both may know.

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use crate::scan::{code_only, grouped_imports, line_of, shipped, word_offsets};
use crate::tree::Tree;

/// Modules that are one thing in several files: a kind's table names what may be edited, edits and records are made from the
/// tables, and a document is read and written by them.
const ONE_THING: [(&str, &[&str]); 1] =
    [("crates/toso-core/src", &["chunk", "document", "edit", "finding", "kind", "record"])];

/// Modules that another one names, and the first place where it does: the file, its text, and the place in its code.
type Needs<'a> = BTreeMap<String, (&'a str, &'a str, usize)>;

pub(super) fn check(tree: &Tree) -> Result<Vec<Problem>, String> {
    let mut problems = Vec::new();
    for root in tree.ending("/src/lib.rs").chain(tree.ending("/src/main.rs")) {
        let sources = root.rsplit_once('/').map_or("", |(folder, _)| folder);
        let within = |file: &&str| file.strip_prefix(sources).is_some_and(|rest| rest.starts_with('/'));
        let files = tree.ending(".rs").filter(within).map(|file| Ok((file, tree.text(file)?)));
        let files = files.collect::<Result<Vec<_>, String>>()?;
        let one_thing = ONE_THING.iter().find(|(folder, _)| *folder == sources).map_or(&[][..], |(_, modules)| modules);
        problems.extend(circles(sources, &files, one_thing));
    }
    problems.sort();
    problems.dedup();
    Ok(problems)
}

/// The circles among the modules at the top of one crate.
fn circles(sources: &str, files: &[(&str, String)], one_thing: &[&str]) -> Vec<Problem> {
    let module_of = |file: &str| {
        let rest = file.strip_prefix(sources)?.strip_prefix('/')?;
        let name = rest.split('/').next()?;
        Some(name.strip_suffix(".rs").unwrap_or(name).to_owned())
    };
    let modules: BTreeSet<String> = files.iter().filter_map(|(file, _)| module_of(file)).collect();
    let mut exported = BTreeMap::new();
    for (_, text) in files.iter().filter(|(file, _)| is_root(module_of(file).as_deref())) {
        exported.extend(exports(&code_only(text), &modules));
    }
    let mut needs: BTreeMap<String, Needs<'_>> = BTreeMap::new();
    for (file, text) in files {
        let Some(module) = module_of(file) else { continue };
        if is_root(Some(&module)) || file.contains("/tests") {
            continue;
        }
        for (offset, name) in named(&shipped(&code_only(text)).code) {
            let of = exported.get(&name).cloned().unwrap_or(name);
            let one = [&module, &of].iter().all(|module| one_thing.contains(&module.as_str()));
            if of != module && modules.contains(&of) && !is_root(Some(&of)) && !one {
                needs.entry(module.clone()).or_default().entry(of).or_insert((file, text, offset));
            }
        }
    }
    let mut problems = Vec::new();
    for (module, needed) in &needs {
        for (of, (file, text, offset)) in needed {
            if reaches(&needs, of, module) {
                let message = format!(
                    "module {module} needs {of}, which needs {module}; put what both need into a module that both may know"
                );
                problems.push(Problem::at(*file, line_of(&shipped(&code_only(text)).code, *offset), message));
            }
        }
    }
    problems
}

fn is_root(module: Option<&str>) -> bool {
    matches!(module, Some("lib" | "main"))
}

/// Names that a crate's root gives on, with the module that each is from.
fn exports(code: &str, modules: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut exported = BTreeMap::new();
    for offset in word_offsets(code, "use") {
        let statement = code.get(offset..).and_then(|rest| rest.split_inclusive(';').next()).unwrap_or_default();
        let paths = if statement.contains('{') {
            grouped_imports(statement).into_iter().map(|(_, path)| path).collect()
        } else {
            vec![statement.trim_start_matches("use").trim_end_matches(';').trim().to_owned()]
        };
        for path in paths {
            let path = path.trim_start_matches("self::").trim_start_matches("crate::");
            if let (Some((module, _)), Some((_, name))) = (path.split_once("::"), path.rsplit_once("::"))
                && modules.contains(module)
            {
                exported.insert(name.trim().to_owned(), module.to_owned());
            }
        }
    }
    exported
}

/// What code names at the top of its own crate, with the place.
fn named(code: &str) -> Vec<(usize, String)> {
    let first =
        |path: &str| path.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().map(str::to_owned);
    let plain = code.match_indices("crate::").filter_map(|(offset, mark)| {
        let name = first(code.get(offset + mark.len()..)?)?;
        Some((offset, name))
    });
    let grouped = grouped_imports(code)
        .into_iter()
        .filter_map(|(offset, path)| Some((offset, first(path.strip_prefix("crate::")?)?)));
    plain.chain(grouped).filter(|(_, name)| !name.is_empty()).collect()
}

fn reaches(needs: &BTreeMap<String, Needs<'_>>, from: &str, to: &str) -> bool {
    let (mut seen, mut waiting) = (BTreeSet::new(), vec![from]);
    while let Some(module) = waiting.pop() {
        if module == to {
            return true;
        }
        if seen.insert(module) {
            waiting.extend(needs.get(module).into_iter().flat_map(|needed| needed.keys().map(String::as_str)));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&'static str, &str)], one_thing: &[&str]) -> Vec<Problem> {
        let files: Vec<_> = files.iter().map(|(file, text)| (*file, (*text).to_owned())).collect();
        circles("crates/x/src", &files, one_thing)
    }

    const ROOT: (&str, &str) = ("crates/x/src/lib.rs", "mod a; mod b; mod c;\npub use b::{Bee, Bea};\npub use c::Sea;");

    #[test]
    fn a_circle_of_two_is_found_at_both_ends() {
        let files =
            [ROOT, ("crates/x/src/a.rs", "use crate::b::Bee;"), ("crates/x/src/b/deep.rs", "\nuse crate::{a, c};")];
        let places: Vec<_> = found(&files, &[]).into_iter().map(|problem| (problem.place, problem.line)).collect();
        assert_eq!(places, [("crates/x/src/a.rs".to_owned(), Some(1)), ("crates/x/src/b/deep.rs".to_owned(), Some(2))]);
    }

    #[test]
    fn a_circle_by_way_of_others_and_of_the_roots_exports_is_found() {
        let files = [
            ROOT,
            ("crates/x/src/a.rs", "fn a(of: crate::Bea) {}"),
            ("crates/x/src/b.rs", "use crate::Sea;"),
            ("crates/x/src/c.rs", "use crate::a;"),
        ];
        assert_eq!(found(&files, &[]).len(), 3);
        assert!(found(&files, &["a", "b", "c"]).is_empty(), "one thing in several files");
    }

    #[test]
    fn arrows_one_way_and_tests_pass() {
        let files = [
            ROOT,
            ("crates/x/src/a.rs", "use crate::b;\nuse crate::c;"),
            ("crates/x/src/b.rs", "use crate::c;\n#[cfg(test)]\nmod tests { use crate::a; }"),
            ("crates/x/src/b/tests.rs", "use crate::a;"),
        ];
        assert!(found(&files, &[]).is_empty());
    }
}
