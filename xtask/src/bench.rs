//! `cargo xtask bench --against REV`: is this tree quicker, smaller, cheaper than another revision?
//!
//! Both are built in release and run the same scenarios in turn, round by round, so that whatever else the machine does
//! falls on both. What is printed are ratios: a noisy machine's times say little alone, and much side by side.

mod ratios;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo::{cargo, forget_outer_cargo};
use crate::tree::Tree;

/// What is built and run here, below the target folder.
const FOLDER: &str = "bench-against";
/// Rounds of each, unless told otherwise.
const ROUNDS: u32 = 5;
/// Passed to `toso bench`, unless told otherwise: ratios need no full size.
const SCALE: &str = "0.1";

/// What to compare.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order<'a> {
    against: &'a str,
    only: Vec<&'a str>,
    rounds: u32,
    scale: &'a str,
}

impl<'a> Order<'a> {
    /// Reads the arguments.
    pub(crate) fn parse(arguments: &[&'a str]) -> Result<Self, String> {
        let mut order = Self { against: "", only: Vec::new(), rounds: ROUNDS, scale: SCALE };
        let mut rest = arguments;
        while let [option, after @ ..] = rest {
            let value = after.first().filter(|value| !value.starts_with("--"));
            let value = value.ok_or_else(|| format!("{option} needs a value"))?;
            rest = after.get(1..).unwrap_or_default();
            match *option {
                "--against" => order.against = value,
                "--scale" => order.scale = value,
                "--rounds" => {
                    let rounds = value.parse().ok().filter(|rounds| *rounds > 0);
                    order.rounds = rounds.ok_or_else(|| format!("--rounds needs a number above 0, not {value}"))?;
                }
                "--only" => {
                    let names = after.iter().take_while(|word| !word.starts_with("--")).count();
                    order.only.extend(after.iter().take(names));
                    rest = after.get(names..).unwrap_or_default();
                }
                other => return Err(format!("bench takes no option {other}")),
            }
        }
        if order.against.is_empty() { Err("say what to compare with: --against REV".to_owned()) } else { Ok(order) }
    }
}

/// Builds both, runs both in turn, prints ratios.
pub(crate) fn run(order: &Order<'_>) -> Result<(), String> {
    let tree = Tree::open()?;
    let target = tree.metadata.target_directory.clone().into_std_path_buf();
    let folder = target.join(FOLDER);
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let other = Worktree::of(&tree.root, order.against, &folder.join("tree"))?;
    let old = build(&other.path, &folder.join("target"), &folder.join("toso-old"))?;
    let new = build(&tree.root, &target, &folder.join("toso-new"))?;
    drop(other);
    if are_the_same(&old, &new)? {
        return Err(format!("{} and this tree build to the same program: there is nothing to compare", order.against));
    }
    if !knows_bench(&old)? {
        return Err(format!("{} has no `toso bench`; compare with a later revision", order.against));
    }

    let (mut before, mut now) = (Vec::new(), Vec::new());
    for round in 1..=order.rounds {
        println!("round {round} of {}", order.rounds);
        let file = folder.join("round.json");
        let one = |binary: &Path, into: &mut Vec<serde_json::Value>| {
            into.push(measure(binary, order, &file)?);
            Ok::<_, String>(())
        };
        // The second finds warmer caches: they take turns.
        if round % 2 == 1 {
            one(&old, &mut before)?;
            one(&new, &mut now)?;
        } else {
            one(&new, &mut now)?;
            one(&old, &mut before)?;
        }
    }
    print!("{}", ratios::table(order.against, &before, &now));
    Ok(())
}

/// Another revision in a folder of its own; gone when dropped.
struct Worktree {
    root: PathBuf,
    path: PathBuf,
}

impl Worktree {
    fn of(root: &Path, revision: &str, path: &Path) -> Result<Self, String> {
        let worktree = Self { root: root.to_owned(), path: path.to_owned() };
        // One may be left of a run that was interrupted.
        worktree.remove();
        let mut add = Command::new("git");
        add.current_dir(root).args(["worktree", "add", "--force", "--detach"]).arg(path).arg(revision);
        finish(&mut add, "git")?;
        Ok(worktree)
    }

    fn remove(&self) {
        let mut remove = Command::new("git");
        remove.current_dir(&self.root).args(["worktree", "remove", "--force"]).arg(&self.path);
        // There is none, most of the time.
        let _ = remove.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

impl Drop for Worktree {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Builds a tree's `toso` and puts it aside. Each has a target folder of its own: cargo names what it has built by the place
/// within the workspace and looks at times only, so in one folder it takes the other tree's crates for this one's.
fn build(tree: &Path, target: &Path, aside: &Path) -> Result<PathBuf, String> {
    let mut command = Command::new(cargo());
    command.current_dir(tree).args(["build", "--release", "--package", "toso-cli", "--bin", "toso"]);
    command.env("CARGO_TARGET_DIR", target);
    forget_outer_cargo(&mut command);
    finish(&mut command, "cargo")?;
    let built = target.join("release").join(format!("toso{}", std::env::consts::EXE_SUFFIX));
    fs::copy(&built, aside).map_err(|error| format!("cannot copy {}: {error}", built.display()))?;
    Ok(aside.to_owned())
}

fn are_the_same(one: &Path, other: &Path) -> Result<bool, String> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()));
    Ok(read(one)? == read(other)?)
}

fn knows_bench(binary: &Path) -> Result<bool, String> {
    let mut command = Command::new(binary);
    command.args(["bench", "--list"]).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.status().map_err(|error| format!("cannot start {}: {error}", binary.display()))?.success())
}

/// One round of one of the two.
fn measure(binary: &Path, order: &Order<'_>, file: &Path) -> Result<serde_json::Value, String> {
    let mut command = Command::new(binary);
    command.args(["bench", "--rounds", "1", "--steps", "10", "--scale", order.scale, "--json"]).arg(file);
    if !order.only.is_empty() {
        command.arg("--only").args(&order.only);
    }
    finish(command.stdout(Stdio::null()), "toso bench")?;
    let text = fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))
}

fn finish(command: &mut Command, name: &str) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("cannot start {name}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} ended with {status}; what is wrong stands above")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        let order = Order::parse(&["--only", "edit", "load", "--against", "main~3", "--rounds", "2"]);
        let wanted = Order { against: "main~3", only: vec!["edit", "load"], rounds: 2, scale: SCALE };
        assert_eq!(order, Ok(wanted));
        assert_eq!(Order::parse(&["--against", "HEAD"]).map(|order| order.rounds), Ok(ROUNDS));
    }

    #[test]
    fn wrong_orders_say_what_is_wrong() {
        for (wrong, part) in [
            (&[][..], "--against REV"),
            (&["--only", "edit"], "--against REV"),
            (&["--against"], "--against needs"),
            (&["--against", "--only"], "--against needs"),
            (&["--against", "x", "--rounds", "0"], "above 0"),
            (&["--against", "x", "--fast", "1"], "--fast"),
        ] {
            let said = Order::parse(wrong).expect_err("it is refused");
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn two_builds_of_one_program_are_told_from_two_programs() {
        let folder = std::env::temp_dir().join(format!("toso-xtask-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes).expect("a file is written");
            path
        };
        let (one, same, other) = (file("one", b"abc"), file("same", b"abc"), file("other", b"abd"));
        assert_eq!(are_the_same(&one, &same), Ok(true));
        assert_eq!(are_the_same(&one, &other), Ok(false));
        assert!(are_the_same(&one, &folder.join("none")).is_err_and(|said| said.contains("none")));
        fs::remove_dir_all(&folder).expect("it is removed");
    }
}
