//! A full disk on either side: a clear error, nothing acknowledged is lost, and work goes on once there is space.
//!
//! Needs a small file system of its own (`mount -t tmpfs`), so it runs where the tests run as root on Linux, and says so
//! where it cannot.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use toso_tests::{COMMUNE, FieldDevice, Server};

/// A small file system, unmounted when dropped.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn mount(mebibytes: u32) -> Option<Self> {
        let folder = TempDir::new().expect("a temporary folder");
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills the disk until nothing more fits.
    fn fill(&self) {
        let block = vec![0x5a; 64 * 1024];
        for number in 0.. {
            if fs::write(self.path().join(format!("ballast-{number}")), &block).is_err() {
                return;
            }
        }
    }

    fn free(&self) {
        for entry in fs::read_dir(self.path()).expect("readable").map_while(Result::ok) {
            if entry.file_name().to_string_lossy().starts_with("ballast-") {
                fs::remove_file(entry.path()).expect("removable");
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

#[test]
fn a_phones_full_disk() {
    let Some(disk) = SmallDisk::mount(64) else {
        println!("SKIPPED: cannot mount a small file system here");
        return;
    };
    let data = TempDir::new().expect("a temporary folder");
    let server = Server::start(data.path());
    let device = FieldDevice::new(&disk.path().join("home"));
    device.ok(&["enrol", &server.invite(COMMUNE, "recorder")]);
    let before = device.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    disk.fill();
    let said = device.refused(&["team", "add", "--hamlet", "Thôn 2"]);
    assert!(said.contains("space"), "{said}");
    disk.free();
    assert_eq!(device.json(&["team", "show", &before])["hamlet"], "Thôn 1");
    device.ok(&["team", "add", "--hamlet", "Thôn 2"]);
    device.sync();
    server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 2);
}

#[test]
fn a_servers_full_disk() {
    let Some(disk) = SmallDisk::mount(128) else {
        println!("SKIPPED: cannot mount a small file system here");
        return;
    };
    let server = Server::start(&disk.path().join("data"));
    let home = TempDir::new().expect("a temporary folder");
    let device = server.device(home.path(), COMMUNE);
    device.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    device.sync();
    disk.fill();
    let second = device.ok(&["team", "add", "--hamlet", "Thôn 2"]);
    let refused = device.run(&["sync"]);
    assert_eq!(refused.status.code(), Some(1), "what is not stored is not acknowledged");
    assert_eq!(device.json(&["team", "show", &second])["receipt"], "saved");
    assert_eq!(server.report(&["--unit", COMMUNE])["teams"], 1, "the server still reads");
    disk.free();
    // By itself, or after a restart that loses nothing.
    let server = if device.run(&["sync"]).status.success() { server } else { server.kill_and_restart() };
    device.sync();
    server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 2);
}
