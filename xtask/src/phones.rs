//! The library for phones: an AAR for Android, an XCFramework for iOS, and a check of types for both.
//!
//! Packaging needs what each platform's own developers have (the NDK, Xcode), and says what is missing. The check of types needs only a
//! compiler, the standard library's source and a C compiler, so it runs on most machines; it is not part of ci, since it compiles
//! every dependency once more.

mod android;
mod check;
mod ios;

use std::path::{Path, PathBuf};

use crate::mobile::Lack;

pub(crate) use android::run as android;
pub(crate) use check::run as check;
pub(crate) use ios::run as ios;

/// The profile that apps ship: small, and panics still unwind.
const PROFILE: &str = "mobile";

/// A system for phones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    /// Google's.
    Android,
    /// Apple's.
    Ios,
}

/// All that is missing, in one message, so that nobody has to come back for each.
fn require(lacks: &[Lack], what: &str) -> Result<(), String> {
    if lacks.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = lacks.iter().map(|lack| format!("  {lack}")).collect();
    Err(format!("{what} was not made; this machine lacks:\n{}", lines.join("\n")))
}

/// The standard libraries that rustup must bring.
fn lacking_targets(targets: &[&str], undone: &'static str) -> Option<Lack> {
    let absent: Vec<&str> =
        targets.iter().copied().filter(|target| !crate::standard_library::has_standard_library(target)).collect();
    (!absent.is_empty()).then(|| Lack {
        what: format!("the standard library for {}", absent.join(", ")),
        undone,
        remedy: format!("rustup target add {}", absent.join(" ")),
    })
}

fn fresh_folder(folder: &Path) -> Result<(), String> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| format!("cannot empty {}: {error}", folder.display()))?;
    }
    make_folder(folder)
}

fn make_folder(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    std::fs::copy(from, to)
        .map(|_| ())
        .map_err(|error| format!("cannot copy {} to {}: {error}", from.display(), to.display()))
}

/// `5.3 MB`.
fn size(file: &Path) -> Result<String, String> {
    let bytes = file.metadata().map_err(|error| format!("{}: {error}", file.display()))?.len();
    Ok(format!("{:.1} MB", bytes as f64 / 1e6))
}

/// The NDK's folder.
fn ndk() -> Option<PathBuf> {
    let named = ["ANDROID_NDK_HOME", "ANDROID_NDK_ROOT"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    let below_sdk = ["ANDROID_HOME", "ANDROID_SDK_ROOT"]
        .into_iter()
        .filter_map(std::env::var_os)
        .filter_map(|sdk| std::fs::read_dir(PathBuf::from(sdk).join("ndk")).ok())
        .filter_map(|versions| versions.flatten().map(|version| version.path()).max());
    named.chain(below_sdk).find(|folder| folder.join("toolchains/llvm/prebuilt").is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_missing_is_said_at_once() {
        let lack = |what: &str| Lack { what: what.into(), undone: "the AAR", remedy: format!("install {what}") };
        assert_eq!(require(&[], "the AAR"), Ok(()));
        let error = require(&[lack("the NDK"), lack("cargo-ndk")], "the AAR").unwrap_err();
        assert!(error.contains("install the NDK") && error.contains("install cargo-ndk"), "{error}");
    }

    #[test]
    fn a_target_of_this_machine_is_there_and_an_invented_one_is_not() {
        assert_eq!(lacking_targets(&[], "the AAR"), None);
        let lack = lacking_targets(&["mos6502-unknown-none"], "the AAR").unwrap();
        assert_eq!(lack.remedy, "rustup target add mos6502-unknown-none");
    }
}
