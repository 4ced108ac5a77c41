//! What the revision before wrote is opened by this one: server's folder, backup, export, phones, bundle and invite.
//!
//! `tests/fixtures/revision-1` holds the data and says how it was made. The revision's own answers lie beside it, so that
//! nothing here repeats figures by hand: whatever it said is still said, and more may be.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tempfile::TempDir;
use toso_tests::{COMMUNE, FieldDevice, Server, toso};

/// Where the phones look for their server.
const ADDRESS: &str = "127.22.9.19:7979";
/// One server at a time stands there.
static AT_ADDRESS: Mutex<()> = Mutex::new(());
/// Fields of an answer that tell when it was given, or by which sequence.
const MOMENTS: [&str; 3] = ["as_of", "as_of_sequence", "at"];

/// The data, unpacked, and the address for as long as it lives.
struct Former {
    folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Former {
    fn unpack() -> Self {
        let alone = AT_ADDRESS.lock();
        let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/revision-1/data.tar.zst");
        let packed = fs::read(packed).expect("the data is there");
        let folder = TempDir::new().expect("a temporary folder");
        untar(&zstd::decode_all(packed.as_slice()).expect("it is whole"), folder.path());
        Self { folder, _alone: alone }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn serve(&self, data: &str) -> Server {
        Server::start_on(&self.path(data), ADDRESS)
    }

    fn phone(&self, name: &str) -> FieldDevice {
        FieldDevice::new(&self.path(name))
    }

    /// A command with the key of the encrypted phone; its stdout.
    fn sealed(&self, args: &[&str]) -> String {
        let mut command = Command::new(toso());
        command.args(["field", "--home"]).arg(self.path("sealed")).arg("--key-file").arg(self.path("sealed.key"));
        stdout(command.args(args))
    }

    /// What that revision said.
    fn said(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).expect("it was said")).expect("JSON")
    }
}

/// Unpacks an archive of plain files and folders, as POSIX `ustar` has them: a header of 512 bytes, then the content,
/// padded to as many.
fn untar(archive: &[u8], to: &Path) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches(['\0', ' ']).to_owned();
    let mut rest = archive;
    while let Some((header, tail)) = rest.split_at_checked(512).filter(|(header, _)| header[0] != 0) {
        let path = to.join(text(&header[..100]));
        let size = usize::from_str_radix(&text(&header[124..136]), 8).expect("an octal number");
        match header[156] {
            b'5' => fs::create_dir_all(path).expect("a folder"),
            b'0' => fs::write(path, &tail[..size]).expect("a file"),
            kind => panic!("{} is neither a file nor a folder but {kind}", path.display()),
        }
        rest = &tail[size.next_multiple_of(512)..];
    }
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().expect("toso runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("output is text")
}

/// An admin's command, with `--json`.
fn admin(server: &Server, args: &[&str]) -> Value {
    let mut command = Command::new(toso());
    command.args(args).args(["--json", "--server", server.url(), "--admin-token-file"]).arg(server.admin_token_file());
    serde_json::from_str(&stdout(&mut command)).expect("JSON")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary names are text")
}

/// Everything that was said is said now, field by field; ids of devices may have grown at their end.
fn assert_still(former: &Value, now: &Value, place: &str) {
    match (former, now) {
        (Value::Object(former), Value::Object(now)) => {
            for (name, value) in former.iter().filter(|(name, _)| !MOMENTS.contains(&name.as_str())) {
                let now = now.get(name).unwrap_or_else(|| panic!("{place}.{name} is gone"));
                if matches!(name.as_str(), "id" | "device" | "by" | "decided_by") && value.is_string() {
                    let (value, now) = (value.as_str().unwrap_or_default(), now.as_str().unwrap_or_default());
                    assert!(now.starts_with(value), "{place}.{name} was {value} and is {now}");
                } else {
                    assert_still(value, now, &format!("{place}.{name}"));
                }
            }
        }
        (Value::Array(former), Value::Array(now)) => {
            assert_eq!(former.len(), now.len(), "{place}");
            for (index, (former, now)) in former.iter().zip(now).enumerate() {
                assert_still(former, now, &format!("{place}[{index}]"));
            }
        }
        (former, now) => assert_eq!(former, now, "{place}"),
    }
}

/// A server says what the former one said: report, devices, review queue.
fn assert_same_centre(former: &Former, server: &Server) {
    let report = former.said("report.json");
    let now = server.report_when(&["--unit", COMMUNE], |now| now["teams"] == report["teams"]);
    assert_still(&report, &now, "report");
    assert_eq!(now["details"]["communes_signed_off"], 1, "{now}");
    let devices = admin(server, &["device", "list", "--list", "2022", "--unit", "01"]);
    assert_still(&former.said("devices.json"), &devices, "devices");
    let review = admin(server, &["review", "list", "--list", "2022", "--unit", "01", "--status", "all"]);
    assert_still(&former.said("review.json"), &review, "review");
}

#[test]
fn a_servers_folder_goes_on_and_its_phones_bring_what_they_have() {
    let former = Former::unpack();
    let server = former.serve("centre");
    assert_same_centre(&former, &server);

    // What was on the phones is there before they meet any server.
    let plain = former.phone("plain");
    assert_still(&former.said("plain-teams.json"), &plain.json(&["team", "list"]), "teams");
    assert_still(&former.said("plain-status.json"), &plain.json(&["status"]), "status");
    assert_eq!(plain.json(&["bundle", "open", text(&former.path("helped.bundle"))])["parcels"], 1);

    // Four teams that no server had: its own, the encrypted phone's, and two of the phone that it carries for.
    plain.sync();
    former.sealed(&["sync"]);
    let report = server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 7);
    assert_eq!(report["members"], 2, "{report}");
    for name in ["moved", "officer", "helped"] {
        former.phone(name).sync();
    }
    assert_eq!(server.report(&["--unit", COMMUNE])["teams"], 7, "what was carried is not there twice");

    // The officer still decides, for the device that was moved away with unsent work.
    let mut accept = Command::new(toso());
    accept.args(["review", "accept", "1", "--server", server.url(), "--admin-token-file"]);
    stdout(accept.arg(former.path("officer.token")));
    let moved = former.phone("moved");
    moved.sync();
    let held = moved.json(&["held", "list"]);
    assert!(held.to_string().contains("accepted"), "{held}");

    // An invite that nobody had used is one still.
    let invite = fs::read_to_string(former.path("unused.invite")).expect("an invite");
    let new = former.phone("new");
    new.ok(&["enrol", invite.trim()]);
    new.sync();
    assert_eq!(new.json(&["team", "list"]).as_array().map(Vec::len), Some(7));
}

#[test]
fn a_backup_is_restored_and_phones_go_on() {
    let former = Former::unpack();
    let (backup, key, restored) = (former.path("backup.zst"), former.path("centre/root.key"), former.path("restored"));
    stdout(Command::new(toso()).args(["verify", "--backup"]).arg(&backup));
    stdout(Command::new(toso()).args([
        "restore",
        "--from",
        text(&backup),
        "--data",
        text(&restored),
        "--root-key",
        text(&key),
    ]));
    let server = former.serve("restored");
    // That revision kept no list of revocations.
    let ended = admin(&server, &["quarantine", "end", "--none"]);
    assert!(ended["quarantined_since"].is_null(), "{ended}");
    assert_same_centre(&former, &server);
    former.phone("plain").sync();
    server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 5);
}

#[test]
fn an_export_is_imported_and_a_folder_verified() {
    let former = Former::unpack();
    let (export, key, imported) = (former.path("export.zst"), former.path("centre/root.key"), former.path("imported"));
    for data in ["centre", "imported"] {
        if data == "imported" {
            let import = ["import", "--from", text(&export), "--data", text(&imported), "--root-key", text(&key)];
            stdout(Command::new(toso()).args(import));
        }
        let said = stdout(Command::new(toso()).args(["verify", "--data", text(&former.path(data))]));
        assert!(said.contains("nothing is wrong"), "{data}: {said}");
    }
    let server = former.serve("imported");
    assert_same_centre(&former, &server);
}

/// Its records were in no entry of the log: the first opening makes them commands, and no later one does it again.
#[test]
fn records_of_a_servers_folder_become_commands_once() {
    let former = Former::unpack();
    let data = former.path("centre");
    let verified = || {
        let said = stdout(Command::new(toso()).args(["verify", "--data", text(&data)]));
        assert!(said.contains("nothing is wrong"), "{said}");
        said.lines().next().map(str::to_owned)
    };
    let first = verified();
    assert!(first.as_ref().is_some_and(|said| !said.contains(" 0 commands")), "{first:?}");
    assert_eq!(first, verified());
    let format = fs::read_to_string(data.join("log/FORMAT")).expect("it is there");
    assert!(format.contains("format 5\n"), "an older version says that the folder is newer: {format}");
    stdout(Command::new(toso()).args(["compact", "--data", text(&data)]));
    verified();
    assert_same_centre(&former, &former.serve("centre"));
}
