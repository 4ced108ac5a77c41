//! A server, its devices and officers, and what they tell of what was moved, held and counted.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use toso_tests::{FieldDevice, Server, http, toso};

pub(crate) struct Scene {
    pub(crate) server: Server,
    folder: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self { server: Server::start(&folder.path().join("server")), folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn backup(&mut self) {
        let (data, address) = (self.server.data().to_owned(), self.server.address().to_owned());
        self.server.stop();
        let mut command = Command::new(toso());
        command.args(["backup", "--data"]).arg(&data).arg("--to").arg(self.path("backup.zst"));
        assert!(command.status().expect("toso runs").success());
        self.server = Server::start_on(&data, &address);
    }

    /// The server from the backup, at the same address.
    pub(crate) fn restore(&mut self) {
        let (key, address) = (self.server.data().join("root.key"), self.server.address().to_owned());
        self.server.stop();
        let data = self.path("restored");
        let mut command = Command::new(toso());
        command.args(["restore", "--from"]).arg(self.path("backup.zst")).arg("--data").arg(&data);
        assert!(command.arg("--root-key").arg(key).stdout(Stdio::null()).status().expect("toso runs").success());
        self.server = Server::start_on(&data, &address);
    }

    pub(crate) fn device(&self, name: &str, commune: &str) -> FieldDevice {
        self.server.device(&self.path(name), commune)
    }

    /// A device of a unit, with a role and its token file.
    pub(crate) fn officer(&self, name: &str, unit: &str) -> PathBuf {
        let device = FieldDevice::new(&self.path(name));
        device.ok(&["enrol", &self.server.invite(unit, "officer")]);
        let file = self.path(&format!("{name}.token"));
        device.ok(&["token", "--out", file.to_str().expect("a path")]);
        file
    }

    pub(crate) fn run_as(&self, token: &Path, args: &[&str]) -> Output {
        let mut command = Command::new(toso());
        command.args(args).args(["--server", self.server.url(), "--admin-token-file"]).arg(token);
        command.output().expect("toso runs")
    }

    /// A command of an officer that must succeed.
    pub(crate) fn as_officer(&self, token: &Path, args: &[&str]) -> String {
        let output = self.run_as(token, args);
        assert!(output.status.success(), "toso {args:?} failed: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("output is text")
    }

    pub(crate) fn admin(&self, args: &[&str]) -> String {
        self.as_officer(&self.server.admin_token_file(), args)
    }

    pub(crate) fn move_to(&self, device: &FieldDevice, list: &str, code: &str) {
        let id = id(device);
        self.admin(&["device", "move", "--device", &id, "--to-list", list, "--to-unit", code]);
    }

    /// What waits in a commune of the list of 2022.
    pub(crate) fn open_items(&self, commune: &str) -> Vec<Value> {
        let list = self.admin(&["review", "list", "--list", "2022", "--unit", commune, "--status", "open", "--json"]);
        let list: Value = serde_json::from_str(&list).expect("one JSON value");
        list["items"].as_array().expect("a list").clone()
    }

    pub(crate) fn accept(&self, items: &[Value]) {
        for item in items {
            self.admin(&["review", "accept", &item["number"].to_string()]);
        }
    }

    pub(crate) fn counted(&self, commune: &str, teams: u64, members: u64) {
        self.server
            .report_when(&["--unit", commune], |report| report["teams"] == teams && report["members"] == members);
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        http::get(&format!("{}{path}", self.server.url()), Some(&self.server.admin_token())).json()
    }
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

pub(crate) fn id(device: &FieldDevice) -> String {
    device.json(&["status"])["device"].as_str().expect("an id").to_owned()
}

/// Label and state of all that is held on a device, sorted.
pub(crate) fn held(device: &FieldDevice) -> Vec<(String, String)> {
    let list = device.json(&["held", "list"]);
    let mut held: Vec<_> =
        list.as_array().expect("a list").iter().map(|held| (text(held, "label"), text(held, "state"))).collect();
    held.sort();
    held
}

pub(crate) fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is text in {value}")).to_owned()
}

/// The phone's figures of its unit are the centre's, as of the same position.
pub(crate) fn agrees_with_the_centre(scene: &Scene, device: &FieldDevice, unit: &str) {
    let status = device.json(&["status"]);
    let report = scene.server.report(&["--unit", unit]);
    for figure in ["teams", "members"] {
        assert_eq!(status["totals"][figure], report[figure], "{figure}: {status} {report}");
    }
}
