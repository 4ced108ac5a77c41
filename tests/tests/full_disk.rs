//! A full disk on either side: a clear error, nothing acknowledged is lost, and work goes on once there is space.
//!
//! Needs a small file system of its own (`mount -t tmpfs`), so it runs where the tests run as root on Linux, and says so
//! where it cannot.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use tempfile::TempDir;
use toso_tests::{COMMUNE, FieldDevice, Server, SmallDisk};

#[test]
fn a_phones_full_disk() {
    let Some(disk) = SmallDisk::mount(64) else {
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
