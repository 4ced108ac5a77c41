//! `cargo xtask ios`: the library for iPhones and for both kinds of simulator in one XCFramework, and the Swift sources, both put where
//! the sample package looks for them.

use std::path::Path;
use std::process::Command;

use super::{PROFILE, copy, fresh_folder, lacking_targets, make_folder, require, size};
use crate::cargo::{cargo, forget_outer_cargo};
use crate::mobile::{self, Lack, Language, Profile, answer, must, workshop};
use crate::tree::Tree;

/// Phones.
const DEVICE: &str = "aarch64-apple-ios";
/// Simulators on Macs with Apple's and with Intel's processors: one file for both, since an XCFramework takes one per platform.
const SIMULATORS: [&str; 2] = ["aarch64-apple-ios-sim", "x86_64-apple-ios"];
/// iOS 16, where `Duration` is from: runs on phones from 2017 on.
const IOS_MIN: &str = "16.0";
const UNDONE: &str = "the XCFramework";
/// Where the sample package expects both; git ignores them.
const PACKAGE: &str = "mobile-ffi/swift";

/// Makes it.
pub(crate) fn run() -> Result<(), String> {
    require(&lacks(), UNDONE)?;
    let tree = Tree::open()?;
    let folder = workshop(&tree).join("ios");
    fresh_folder(&folder)?;
    let built = |target: &str| {
        let target_folder = tree.metadata.target_directory.clone().into_std_path_buf();
        target_folder.join(target).join(PROFILE).join(format!("lib{}.a", mobile::LIBRARY_NAME))
    };
    for target in [DEVICE].iter().chain(&SIMULATORS) {
        let mut cargo_build = Command::new(cargo());
        forget_outer_cargo(&mut cargo_build);
        cargo_build.current_dir(&tree.root).env("IPHONEOS_DEPLOYMENT_TARGET", IOS_MIN);
        cargo_build.args(["build", "--profile", PROFILE, "--package", mobile::LIBRARY_PACKAGE, "--target", target]);
        must(&mut cargo_build, "cargo build")?;
    }
    let simulator = folder.join(format!("lib{}.a", mobile::LIBRARY_NAME));
    let mut lipo = Command::new("lipo");
    lipo.arg("-create").args(SIMULATORS.map(built)).arg("-output").arg(&simulator);
    must(&mut lipo, "lipo")?;

    let sources = mobile::sources(&tree, Profile::Debug, Language::Swift)?;
    let headers = folder.join("headers");
    lay_headers(&sources, &headers)?;
    let package = tree.root.join(PACKAGE);
    let framework = package.join("Binaries/TosoFFI.xcframework");
    fresh_folder(&framework)?;
    let mut pack = Command::new("xcodebuild");
    pack.arg("-create-xcframework");
    for library in [built(DEVICE), simulator] {
        println!("{}: {}", library.display(), size(&library)?);
        pack.arg("-library").arg(library).arg("-headers").arg(&headers);
    }
    pack.arg("-output").arg(&framework);
    must(&mut pack, "xcodebuild")?;
    let swift = package.join("Sources/Toso/Generated");
    fresh_folder(&swift)?;
    for file in mobile::files(&sources, "swift")? {
        copy(&file, &swift.join(file.file_name().unwrap_or_default()))?;
    }
    println!("{}\n{}", framework.display(), swift.display());
    Ok(())
}

fn lacks() -> Vec<Lack> {
    let mut lacks = Vec::new();
    if answer("xcodebuild", &["-version"]).is_none() {
        lacks.push(Lack {
            what: "xcodebuild".into(),
            undone: UNDONE,
            remedy: "install Xcode, on a Mac; Apple ships iOS's libraries and linker for no other system".into(),
        });
    }
    lacks.extend(lacking_targets(&[DEVICE, SIMULATORS[0], SIMULATORS[1]], UNDONE));
    lacks
}

/// The C header, and its module map under the one name that Clang looks for.
fn lay_headers(sources: &Path, headers: &Path) -> Result<(), String> {
    make_folder(headers)?;
    for header in mobile::files(sources, "h")? {
        copy(&header, &headers.join(header.file_name().unwrap_or_default()))?;
    }
    let maps = mobile::files(sources, "modulemap")?;
    let map = maps.first().ok_or_else(|| format!("no module map in {}", sources.display()))?;
    copy(map, &headers.join("module.modulemap"))
}
