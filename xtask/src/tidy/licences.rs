//! What ships to phones and to the centre's server may be used under permissive licences alone.
//!
//! The list names what is allowed, not what is forbidden: a licence nobody has looked at fails until somebody has.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, PackageId};

use super::Problem;
use crate::tree::Tree;

/// The crates that are shipped: the binary, and the library inside the phone app.
const SHIPPED: [&str; 2] = ["toso-cli", "toso-ffi"];

/// Licences that ask for no more than notice.
const PERMISSIVE: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Read and accepted for crates whose names begin so: their licence binds changes to their own files only, and we make none.
const ACCEPTED: [(&str, &str); 1] = [("uniffi", "MPL-2.0")];

pub(super) fn check(tree: &Tree) -> Result<Vec<Problem>, String> {
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
        .filter(|package| !is_accepted(&package.name, package.license.as_deref()))
        .filter_map(|package| problem(&format!("{} {}", package.name, package.version), package.license.as_deref()))
        .collect())
}

fn is_accepted(package: &str, licence: Option<&str>) -> bool {
    ACCEPTED.iter().any(|(name, accepted)| package.starts_with(name) && licence == Some(accepted))
}

fn problem(package: &str, licence: Option<&str>) -> Option<Problem> {
    match licence {
        None => Some(Problem::of(package, "states no licence; use another crate")),
        Some(licence) if !is_permissive(licence) => Some(Problem::of(
            package,
            format!(
                "its licence {licence:?} offers no permissive choice; use another crate, or, once the licence has been \
                 read and asks for no more than notice, add it to xtask/src/tidy/licences.rs"
            ),
        )),
        Some(_) => None,
    }
}

/// True when the SPDX expression can be met with permissive licences alone.
fn is_permissive(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest) == Some(true) && rest.is_empty()
}

/// `all (OR all)*`; `None` when malformed.
fn any(rest: &mut &[&str]) -> Option<bool> {
    let mut permissive = all(rest)?;
    while let ["OR", tail @ ..] = *rest {
        *rest = tail;
        // Not `||`, which would leave the right side unread.
        permissive |= all(rest)?;
    }
    Some(permissive)
}

/// `one (AND one)*`.
fn all(rest: &mut &[&str]) -> Option<bool> {
    let mut permissive = one(rest)?;
    while let ["AND", tail @ ..] = *rest {
        *rest = tail;
        permissive &= one(rest)?;
    }
    Some(permissive)
}

/// `( any )` or a licence; an exception (`WITH`) only gives more rights.
fn one(rest: &mut &[&str]) -> Option<bool> {
    if let ["(", tail @ ..] = *rest {
        *rest = tail;
        let permissive = any(rest)?;
        let [")", tail @ ..] = *rest else { return None };
        *rest = tail;
        return Some(permissive);
    }
    let [licence, tail @ ..] = *rest else { return None };
    *rest = if let ["WITH", _, tail @ ..] = tail { tail } else { tail };
    Some(PERMISSIVE.contains(licence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_accepted_is_accepted_under_that_licence_only() {
        assert!(is_accepted("uniffi_core", Some("MPL-2.0")));
        assert!(!is_accepted("uniffi_core", Some("GPL-3.0")) && !is_accepted("uniffi_core", None));
        assert!(!is_accepted("other", Some("MPL-2.0")));
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
            assert_eq!(problem("a 1.0.0", Some(licence)), None, "{licence}");
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
            assert!(problem("a 1.0.0", Some(licence)).is_some(), "{licence}");
        }
        assert!(problem("a 1.0.0", None).is_some());
    }
}
