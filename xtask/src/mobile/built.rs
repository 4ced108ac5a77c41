//! The library, the server and the generator, as cargo has built them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::must;
use crate::cargo::{cargo, forget_outer_cargo};
use crate::tree::Tree;

/// The package with the library, and the packages whose binaries go with it.
pub(crate) const LIBRARY_PACKAGE: &str = "toso-ffi";
const SERVER_PACKAGE: &str = "toso-cli";
const GENERATOR_PACKAGE: &str = "toso-bindgen";
/// The library's name to linkers and loaders.
pub(crate) const LIBRARY_NAME: &str = "toso_ffi";

/// How it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As tests are.
    Debug,
    /// As apps ship it.
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// Where the three are.
pub(crate) struct Built {
    /// The dynamic library.
    pub(crate) library: PathBuf,
    /// The `toso` binary.
    pub(crate) server: PathBuf,
    /// The bindings' generator.
    pub(crate) generator: PathBuf,
}

impl Built {
    /// Builds them.
    pub(crate) fn build(tree: &Tree, profile: Profile) -> Result<Self, String> {
        let mut command = Command::new(cargo());
        forget_outer_cargo(&mut command);
        command.current_dir(&tree.root).arg("build");
        for package in [LIBRARY_PACKAGE, SERVER_PACKAGE, GENERATOR_PACKAGE] {
            command.args(["--package", package]);
        }
        if profile == Profile::Release {
            command.arg("--release");
        }
        must(&mut command, "cargo build")?;
        Self::find_in(&target(tree).join(profile.folder()))
    }

    /// Finds what `cargo test --workspace` has built.
    pub(crate) fn find(tree: &Tree) -> Result<Self, String> {
        Self::find_in(&target(tree).join(Profile::Debug.folder()))
    }

    fn find_in(folder: &Path) -> Result<Self, String> {
        let library = format!("{}{LIBRARY_NAME}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        Ok(Self {
            library: newest(folder, &library)?,
            server: newest(folder, &format!("toso{}", std::env::consts::EXE_SUFFIX))?,
            generator: newest(folder, &format!("{GENERATOR_PACKAGE}{}", std::env::consts::EXE_SUFFIX))?,
        })
    }
}

fn target(tree: &Tree) -> PathBuf {
    tree.metadata.target_directory.clone().into_std_path_buf()
}

/// The newer of `FOLDER/NAME` and `FOLDER/deps/NAME`: cargo links a library into the first place only when it was asked for by
/// name, so that one may be left from an earlier command.
fn newest(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let places = [folder.join(name), folder.join("deps").join(name)];
    let dated = places.iter().filter_map(|place| Some((place.metadata().ok()?.modified().ok()?, place)));
    let newest = dated.max_by_key(|(modified, _)| *modified).map(|(_, place)| place.clone());
    newest.ok_or_else(|| format!("{} is not built; `cargo xtask mobile` builds it", folder.join(name).display()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn the_newer_of_two_places_is_taken() {
        let folder = std::env::temp_dir().join(format!("xtask-built-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("deps")).unwrap();
        let (old, new) = (folder.join("deps/library"), folder.join("library"));
        assert!(newest(&folder, "library").unwrap_err().contains("is not built"));
        std::fs::write(&old, "").unwrap();
        assert_eq!(newest(&folder, "library").unwrap(), old);
        std::fs::write(&new, "").unwrap();
        let earlier = SystemTime::now() - Duration::from_secs(60);
        std::fs::File::open(&old).unwrap().set_modified(earlier).unwrap();
        assert_eq!(newest(&folder, "library").unwrap(), new);
        std::fs::File::open(&new).unwrap().set_modified(earlier - Duration::from_secs(60)).unwrap();
        assert_eq!(newest(&folder, "library").unwrap(), old);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
