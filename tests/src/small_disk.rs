//! A small file system of its own, so that a test can fill a disk. Needs the right to mount one (root on Linux).

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one of this size; says so aloud and gives `None` where that is not possible.
    #[allow(clippy::print_stderr, reason = "the reader of the test's output must see it")]
    pub fn mount(mebibytes: u32) -> Option<Self> {
        let folder = TempDir::new().expect("a temporary folder");
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { folder });
        }
        eprintln!("SKIPPED: cannot mount a small file system here");
        None
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills the disk until nothing more fits.
    pub fn fill(&self) {
        let block = vec![0x5a; 64 * 1024];
        for number in 0.. {
            if fs::write(self.path().join(format!("ballast-{number}")), &block).is_err() {
                return;
            }
        }
    }

    /// Puts so much ballast on the disk, instead of what there was.
    pub fn weigh_down(&self, mebibytes: usize) {
        self.free();
        // A disk that takes less is full, which is what was asked for.
        let _ = fs::write(self.path().join("ballast-0"), vec![0x5a; mebibytes << 20]);
    }

    /// Removes the ballast.
    pub fn free(&self) {
        for entry in fs::read_dir(self.path()).expect("readable").map_while(Result::ok) {
            if entry.file_name().to_string_lossy().starts_with("ballast-") {
                // Another thread may have been quicker.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is just ending may still have it open.
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}
