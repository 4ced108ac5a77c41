//! What ships to phones and to the centre's server may be used under permissive licences alone.
//!
//! The list, in `deny.toml`, names what is allowed, not what is forbidden: a licence nobody has looked at fails until somebody has.
//! `cargo deny` holds everything that is built against the same list; this holds what ships, on every machine.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, PackageId};

use super::Problem;
use crate::tree::Tree;

/// The crates that are shipped: the binary, and the library inside the phone app.
const SHIPPED: [&str; 2] = ["toso-cli", "toso-ffi"];

/// Where the licences that are allowed, and those accepted for single crates, are listed.
const LIST: &str = "deny.toml";

pub(super) fn check(tree: &Tree) -> Result<Vec<Problem>, String> {
    let allowed = Allowed::read(&tree.text(LIST)?);
    let resolve = tree.metadata.resolve.as_ref().ok_or("cargo metadata gave no dependency graph")?;
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let shipped = tree.metadata.packages.iter().filter(|package| SHIPPED.contains(&package.name.as_str()));
    let mut open: Vec<&PackageId> = shipped.map(|package| &package.id).collect();
    let mut reached = BTreeSet::new();
    while let Some(id) = open.pop() {
        if reached.insert(id)
            && let Some(node) = nodes.get(id)
        {
            let normal = node
                .deps
                .iter()
                .filter(|dependency| dependency.dep_kinds.iter().any(|info| info.kind == DependencyKind::Normal));
            open.extend(normal.map(|dependency| &dependency.pkg));
        }
    }
    let packages = tree.metadata.packages.iter().filter(|package| reached.contains(&package.id));
    Ok(packages
        .filter(|package| !allowed.accepts(&package.name, package.license.as_deref()))
        .filter_map(|package| {
            problem(&allowed, &format!("{} {}", package.name, package.version), package.license.as_deref())
        })
        .collect())
}

/// What `deny.toml` allows.
struct Allowed {
    /// For every crate.
    licences: BTreeSet<String>,
    /// Crate and the one licence that was read and accepted for it.
    exceptions: BTreeSet<(String, String)>,
}

impl Allowed {
    /// Reads the lines of `allow = [` and of `exceptions = [` under `[licenses]`, one entry a line.
    fn read(text: &str) -> Self {
        let section = text.split("[licenses]").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap_or_default();
        let within = |list: &str| {
            let lines = section.split(&format!("\n{list} = [")).nth(1).and_then(|rest| rest.split("\n]").next());
            lines.unwrap_or_default().lines().map(quoted).collect::<Vec<_>>()
        };
        let exceptions = within("exceptions").into_iter().filter_map(|words| <[String; 2]>::try_from(words).ok());
        Self {
            licences: within("allow").into_iter().flatten().collect(),
            exceptions: exceptions.map(|[name, licence]| (name, licence)).collect(),
        }
    }

    fn accepts(&self, package: &str, licence: Option<&str>) -> bool {
        licence.is_some_and(|licence| self.exceptions.contains(&(package.to_owned(), licence.to_owned())))
    }
}

/// The texts in quotes of a line, unless it is a comment.
fn quoted(line: &str) -> Vec<String> {
    let line = if line.trim_start().starts_with('#') { "" } else { line };
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn problem(allowed: &Allowed, package: &str, licence: Option<&str>) -> Option<Problem> {
    match licence {
        None => Some(Problem::of(package, "states no licence; use another crate")),
        Some(licence) if !is_permissive(allowed, licence) => Some(Problem::of(
            package,
            format!(
                "its licence {licence:?} offers no permissive choice; use another crate, or, once the licence has been \
                 read and asks for no more than notice, add it to deny.toml"
            ),
        )),
        Some(_) => None,
    }
}

/// True when the SPDX expression can be met with permissive licences alone.
fn is_permissive(allowed: &Allowed, expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(allowed, &mut rest) == Some(true) && rest.is_empty()
}

/// `all (OR all)*`; `None` when malformed.
fn any(allowed: &Allowed, rest: &mut &[&str]) -> Option<bool> {
    let mut permissive = all(allowed, rest)?;
    while let ["OR", tail @ ..] = *rest {
        *rest = tail;
        // Not `||`, which would leave the right side unread.
        permissive |= all(allowed, rest)?;
    }
    Some(permissive)
}

/// `one (AND one)*`.
fn all(allowed: &Allowed, rest: &mut &[&str]) -> Option<bool> {
    let mut permissive = one(allowed, rest)?;
    while let ["AND", tail @ ..] = *rest {
        *rest = tail;
        permissive &= one(allowed, rest)?;
    }
    Some(permissive)
}

/// `( any )` or a licence; an exception (`WITH`) only gives more rights.
fn one(allowed: &Allowed, rest: &mut &[&str]) -> Option<bool> {
    if let ["(", tail @ ..] = *rest {
        *rest = tail;
        let permissive = any(allowed, rest)?;
        let [")", tail @ ..] = *rest else { return None };
        *rest = tail;
        return Some(permissive);
    }
    let [licence, tail @ ..] = *rest else { return None };
    *rest = if let ["WITH", _, tail @ ..] = tail { tail } else { tail };
    Some(allowed.licences.contains(*licence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> Allowed {
        Allowed::read(include_str!("../../../deny.toml"))
    }

    #[test]
    fn the_list_is_read_as_it_is_written() {
        let text = "[graph]\nallow = [\n \"GPL-3.0\",\n]\n[licenses]\nversion = 2\nallow = [\n    \"MIT\",\n    # \"BSD\",\n    \"ISC\",\n]\n\
                    exceptions = [\n    { crate = \"a\", allow = [\"MPL-2.0\"] },\n]\n[bans]\nallow = [\n \"AGPL-3.0\",\n]\n";
        let allowed = Allowed::read(text);
        assert_eq!(allowed.licences.iter().map(String::as_str).collect::<Vec<_>>(), ["ISC", "MIT"]);
        assert!(allowed.accepts("a", Some("MPL-2.0")) && allowed.exceptions.len() == 1);
        assert!(Allowed::read("").licences.is_empty(), "a list that cannot be read allows nothing");
        assert!(listed().licences.len() > 10 && listed().exceptions.len() > 5);
    }

    #[test]
    fn what_was_accepted_is_accepted_under_that_licence_only() {
        let allowed = listed();
        assert!(allowed.accepts("uniffi_core", Some("MPL-2.0")));
        assert!(!allowed.accepts("uniffi_core", Some("GPL-3.0")) && !allowed.accepts("uniffi_core", None));
        assert!(!allowed.accepts("other", Some("MPL-2.0")));
    }

    #[test]
    fn permissive_licences_pass() {
        for licence in [
            "MIT",
            "MIT/Apache-2.0",
            "Apache-2.0 / MIT",
            "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "CC0-1.0 OR Apache-2.0 OR Apache-2.0 WITH LLVM-exception",
            "GPL-3.0-only OR (MIT AND ISC)",
        ] {
            assert_eq!(problem(&listed(), "a 1.0.0", Some(licence)), None, "{licence}");
        }
    }

    #[test]
    fn copyleft_unknown_and_missing_licences_are_found() {
        for licence in [
            "GPL-3.0-only",
            "AGPL-3.0-or-later",
            "LGPL-2.1-or-later",
            "SSPL-1.0",
            "MIT AND GPL-2.0-only",
            "(MIT OR ISC) AND AGPL-3.0-only",
            "GPL-2.0-only WITH Classpath-exception-2.0",
            "Some-New-Licence",
            "",
            "MIT OR",
            "(MIT",
            "MIT Apache-2.0",
        ] {
            assert!(problem(&listed(), "a 1.0.0", Some(licence)).is_some(), "{licence}");
        }
        assert!(problem(&listed(), "a 1.0.0", None).is_some());
    }
}
