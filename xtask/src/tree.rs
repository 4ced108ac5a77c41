//! The project as tidy sees it: the files that belong to it, and what cargo knows about its crates.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{Metadata, MetadataCommand};

/// The files of the project and cargo's view of it.
pub(crate) struct Tree {
    /// The workspace's root folder.
    pub(crate) root: PathBuf,
    /// Files that git tracks or would track, relative to the root, with `/`.
    pub(crate) files: BTreeSet<String>,
    /// Crates, dependencies, licences.
    pub(crate) metadata: Metadata,
}

impl Tree {
    /// Reads the workspace that cargo runs this program for. Where two clones share a target folder, it may have been built
    /// from the other.
    pub(crate) fn open() -> Result<Self, String> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR");
        let manifest =
            package.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from).join("Cargo.toml");
        let metadata = MetadataCommand::new()
            .manifest_path(manifest)
            .exec()
            .map_err(|error| format!("cargo metadata: {error}"))?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let files = listed(&root, &["--cached", "--others", "--exclude-standard"])?;
        let files = files.into_iter().filter(|file| root.join(file).is_file()).collect();
        Ok(Self { root, files, metadata })
    }

    /// The text of a file; a byte that is no UTF-8 is replaced.
    pub(crate) fn text(&self, file: &str) -> Result<String, String> {
        let bytes = std::fs::read(self.root.join(file)).map_err(|error| format!("{file}: {error}"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Files whose name ends so.
    pub(crate) fn ending<'a>(&'a self, suffix: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.iter().map(String::as_str).filter(move |file| file.ends_with(suffix))
    }

    /// True when git tracks the file, so that a fresh clone has it.
    pub(crate) fn is_tracked(&self, file: &str) -> Result<bool, String> {
        Ok(listed(&self.root, &["--cached"])?.contains(file))
    }
}

fn listed(root: &Path, which: &[&str]) -> Result<BTreeSet<String>, String> {
    let output = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "-z"])
        .args(which)
        .output()
        .map_err(|error| format!("cannot start git: {error}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let names = String::from_utf8_lossy(&output.stdout);
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}
