//! Which crate of the workspace may use which.
//!
//! The table is the architecture: a crate that is not allowed to see another cannot grow into it. Development
//! dependencies obey it too, else tests would quietly tie the rooms together; suites that need several rooms live in
//! `toso-tests`.

use super::Problem;
use crate::tree::Tree;

/// Every crate with the crates of the workspace that it may use.
const ALLOWED: [(&str, &[&str]); 16] = [
    ("toso-core", &[]),
    ("toso-catalog", &["toso-core"]),
    ("toso-wire", &["toso-core", "toso-catalog"]),
    ("toso-sync", &["toso-core", "toso-catalog", "toso-wire"]),
    ("toso-store", &["toso-core"]),
    ("toso-store-sled", &["toso-core", "toso-store"]),
    ("toso-projection", &["toso-core", "toso-catalog", "toso-store"]),
    ("toso-replica", &["toso-core", "toso-catalog", "toso-wire", "toso-sync", "toso-store"]),
    ("toso-client", &["toso-core", "toso-wire", "toso-store", "toso-replica"]),
    ("toso-ffi", &["toso-core", "toso-catalog", "toso-store", "toso-store-sled", "toso-replica", "toso-client"]),
    ("toso-bindgen", &[]),
    (
        "toso-server",
        &["toso-core", "toso-catalog", "toso-wire", "toso-sync", "toso-store", "toso-store-sled", "toso-projection"],
    ),
    (
        "toso-bench",
        &["toso-core", "toso-catalog", "toso-wire", "toso-store", "toso-store-sled", "toso-replica", "toso-client"],
    ),
    (
        "toso-cli",
        &[
            "toso-core",
            "toso-catalog",
            "toso-wire",
            "toso-sync",
            "toso-store",
            "toso-store-sled",
            "toso-projection",
            "toso-replica",
            "toso-client",
            "toso-server",
            "toso-bench",
        ],
    ),
    (
        "toso-tests",
        &[
            "toso-core",
            "toso-catalog",
            "toso-wire",
            "toso-sync",
            "toso-store",
            "toso-store-sled",
            "toso-projection",
            "toso-replica",
            "toso-client",
            "toso-ffi",
            "toso-server",
            "toso-bench",
            "toso-cli",
        ],
    ),
    ("xtask", &[]),
];

/// The only crate that may know the storage engine.
const SLED_OWNER: &str = "toso-store-sled";

/// `user` names `used` in its manifest, in whatever section.
struct Edge {
    user: String,
    used: String,
}

#[expect(clippy::unnecessary_wraps, reason = "every check has one shape")]
pub(super) fn check(tree: &Tree) -> Result<Vec<Problem>, String> {
    let packages = tree.metadata.workspace_packages();
    let members: Vec<String> = packages.iter().map(|package| package.name.to_string()).collect();
    let edges: Vec<Edge> = packages
        .iter()
        .flat_map(|package| {
            let edge = |used: &String| Edge { user: package.name.to_string(), used: used.clone() };
            package.dependencies.iter().map(move |dependency| edge(&dependency.name))
        })
        .collect();
    Ok(problems(&members, &edges))
}

fn problems(members: &[String], edges: &[Edge]) -> Vec<Problem> {
    let allowed = |user: &str| ALLOWED.iter().find(|(name, _)| *name == user).map(|(_, used)| *used);
    let mut problems: Vec<Problem> = members
        .iter()
        .filter(|member| allowed(member).is_none())
        .map(|member| {
            Problem::of(
                member,
                "this crate has no line in the table of xtask/src/tidy/arrows.rs; give it its place there",
            )
        })
        .collect();
    for Edge { user, used } in edges {
        if used == "sled" && user != SLED_OWNER {
            problems.push(Problem::of(user, format!("only {SLED_OWNER} may use sled; go through toso-store's traits")));
        }
        if members.contains(used) && allowed(user).is_some_and(|list| !list.contains(&used.as_str())) {
            problems.push(Problem::of(user, format!("must not use {used}; docs/architecture.md has the arrows")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(edges: &[(&str, &str)]) -> Vec<String> {
        let members: Vec<String> = ALLOWED.iter().map(|(name, _)| (*name).to_owned()).collect();
        let edges: Vec<Edge> =
            edges.iter().map(|(user, used)| Edge { user: (*user).into(), used: (*used).into() }).collect();
        problems(&members, &edges).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_arrows_of_the_house_pass() {
        let edges: Vec<(&str, &str)> =
            ALLOWED.iter().flat_map(|(user, list)| list.iter().map(move |used| (*user, *used))).collect();
        assert!(found(&edges).is_empty());
        assert!(found(&[("toso-store-sled", "sled"), ("toso-core", "serde")]).is_empty());
    }

    #[test]
    fn an_arrow_against_the_flow_is_found() {
        for (user, used) in [
            ("toso-core", "toso-catalog"),
            ("toso-wire", "toso-sync"),
            ("toso-sync", "toso-store"),
            ("toso-store", "toso-store-sled"),
            ("toso-projection", "toso-store-sled"),
            ("toso-replica", "toso-client"),
            ("toso-client", "toso-server"),
            ("toso-server", "toso-client"),
            ("toso-bench", "toso-server"),
            ("xtask", "toso-core"),
        ] {
            let found = found(&[(user, used)]);
            assert_eq!(found.len(), 1, "{user} → {used}");
            assert!(found.iter().all(|text| text.contains(user) && text.contains(used)), "{found:?}");
        }
    }

    #[test]
    fn the_table_has_no_circle() {
        for (position, (_, used)) in ALLOWED.iter().enumerate() {
            for name in *used {
                let of_used = ALLOWED.iter().position(|(candidate, _)| candidate == name);
                assert!(of_used.is_some_and(|of_used| of_used < position), "{name} stands above its users");
            }
        }
    }

    #[test]
    fn sled_outside_its_room_is_found() {
        let found = found(&[("toso-server", "sled")]);
        assert!(found.iter().any(|text| text.contains("only toso-store-sled may use sled")), "{found:?}");
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        let found = problems(&["toso-surprise".into()], &[]);
        assert!(found.iter().any(|problem| problem.place == "toso-surprise"), "{found:?}");
    }
}
