//! `cargo xtask android --check` and `cargo xtask ios --check`: the library's types, and its C, for phones' processors. Nothing is linked,
//! so neither the NDK nor Xcode is needed.
//!
//! Where the standard library comes from, [`crate::standard_library`] says. C code (zstd, ring) is compiled by the NDK's or Xcode's
//! compiler. Without the NDK any clang does it, with the headers of a GNU C library for that processor: near enough for what
//! these two include, and nothing of it is ever run. Without Xcode the C code is left out, since Apple's headers are nowhere
//! else; nothing misses it where nothing is linked.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Platform, android, ndk, require};
use crate::mobile::{self, Lack, answer, must};
use crate::standard_library::{self, Rust};
use crate::tree::Tree;

/// What is checked.
struct Target {
    /// To rustc.
    name: &'static str,
    /// How its C is compiled without the platform's own tools; left out where there is nothing.
    clang: Option<Clang>,
}

/// A C compiler that is no platform's own.
struct Clang {
    /// The target; the API level is added.
    target: &'static str,
    /// A GNU C library's headers for the processor, and the package that has them.
    headers: (&'static str, &'static str),
    /// What those headers need to be told.
    flags: &'static str,
}

/// 64 bits, and the 32 of cheap phones, where a `usize` is half as wide.
const ANDROID: [Target; 2] = [
    Target {
        name: "aarch64-linux-android",
        clang: Some(Clang {
            target: "aarch64-linux-android",
            headers: ("/usr/aarch64-linux-gnu/include", "libc6-dev-arm64-cross"),
            flags: "",
        }),
    },
    Target {
        name: "armv7-linux-androideabi",
        clang: Some(Clang {
            target: "armv7a-linux-androideabi",
            headers: ("/usr/arm-linux-gnueabihf/include", "libc6-dev-armhf-cross"),
            flags: "-D__ARM_PCS_VFP",
        }),
    },
];
const IOS: [Target; 1] = [Target { name: "aarch64-apple-ios", clang: None }];
const UNDONE: &str = "the check of types";

/// Checks the types for a platform.
pub(crate) fn run(platform: Platform) -> Result<(), String> {
    let tree = Tree::open()?;
    let targets: &[Target] = match platform {
        Platform::Android => &ANDROID,
        Platform::Ios => &IOS,
    };
    for target in targets {
        let (rust, c) = match (Rust::of(target.name, UNDONE), c_tools(&tree, target)) {
            (Ok(rust), Ok(c)) => (rust, c),
            (rust, c) => {
                let lacks: Vec<Lack> = [rust.err(), c.err()].into_iter().flatten().collect();
                return require(&lacks, &format!("{UNDONE} for {}", target.name));
            }
        };
        println!("xtask: checking {} for {}", mobile::LIBRARY_PACKAGE, target.name);
        must(&mut command(&tree, target, &rust, &c), &format!("cargo check for {}", target.name))?;
        println!("xtask: {}: types are right; nothing was linked or run", target.name);
    }
    Ok(())
}

fn command(tree: &Tree, target: &Target, rust: &Rust, c: &[(String, String)]) -> Command {
    let mut command = rust.check(tree, target.name);
    command.args(["--package", mobile::LIBRARY_PACKAGE]);
    command.envs(c.iter().map(|(name, value)| (name, value)));
    command
}

/// The variables by which build scripts find a C compiler for the target.
fn c_tools(tree: &Tree, target: &Target) -> Result<Vec<(String, String)>, Lack> {
    let of_target = |tool: &str| format!("{tool}_{}", target.name.replace('-', "_"));
    let named = |cc: String, ar: String| vec![(of_target("CC"), cc), (of_target("AR"), ar)];
    let Some(clang) = &target.clang else {
        if answer("xcrun", &["--sdk", "iphoneos", "--show-sdk-path"]).is_some() {
            return Ok(Vec::new());
        }
        println!("xtask: without Xcode the C code is left out");
        let mut variables = named("true".into(), "true".into());
        // Any folder does: it is only asked for where there is none.
        variables.push(("SDKROOT".into(), tree.root.to_string_lossy().into_owned()));
        return Ok(variables);
    };
    let triple = format!("{}{}", clang.target, android::API_LEVEL_MIN);
    if let Some(tools) = ndk().and_then(|ndk| ndk_tools(&ndk)) {
        let tool = |name: &str| tools.join(name).to_string_lossy().into_owned();
        let mut variables = named(tool("clang"), tool("llvm-ar"));
        variables.push((of_target("CFLAGS"), format!("--target={triple}")));
        return Ok(variables);
    }
    let (headers, package) = clang.headers;
    let program = standard_library::clang().filter(|_| Path::new(headers).is_dir());
    let program = program.ok_or_else(|| Lack {
        what: format!("a C compiler for {}", target.name),
        undone: UNDONE,
        remedy: format!("install the NDK; or apt install clang {package} (Debian, Ubuntu)"),
    })?;
    let mut variables = named(program.to_string_lossy().into_owned(), "ar".into());
    variables.push((of_target("CFLAGS"), format!("--target={triple} {} -isystem {headers}", clang.flags)));
    Ok(variables)
}

fn ndk_tools(ndk: &Path) -> Option<PathBuf> {
    let hosts = std::fs::read_dir(ndk.join("toolchains/llvm/prebuilt")).ok()?;
    hosts.flatten().map(|host| host.path().join("bin")).find(|bin| bin.join("clang").is_file())
}
