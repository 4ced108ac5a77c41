//! Backup and what comes after it, with the real binary: nothing that was acknowledged before a backup began is missing
//! after its restore, and whatever dies or fills up on the way leaves one whole folder.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use toso_tests::{COMMUNE, FieldDevice, OTHER_COMMUNE, Server, http, toso};

/// Devices that write while a backup is made.
const WRITERS: usize = 4;

fn run(args: &[&str]) -> Output {
    Command::new(toso()).args(args).output().expect("toso runs")
}

fn ok(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "toso {args:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("output is text")
}

/// A command that must fail with exit code 1; its stderr.
fn refused(args: &[&str]) -> String {
    let output = run(args);
    assert_eq!(output.status.code(), Some(1), "toso {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stderr).expect("errors are text")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary names are text")
}

/// A folder of temporary things.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("readable");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// A stopped server's folder `centre` with teams, a device `phone`, and its backup `backup.zst` with the key.
fn backed_up(place: &Place, teams: usize) -> FieldDevice {
    let mut server = Server::start(&place.path("centre"));
    let device = server.device(&place.path("phone"), COMMUNE);
    for number in 0..teams {
        device.ok(&["team", "add", "--hamlet", &format!("Thôn {number}")]);
    }
    device.sync();
    server.report_when(&["--unit", COMMUNE], |report| report["teams"] == teams);
    assert_eq!(server.stop(), Some(0));
    let (centre, backup) = (place.path("centre"), place.path("backup.zst"));
    ok(&["backup", "--data", text(&centre), "--to", text(&backup), "--with-keys"]);
    device
}

/// A name without a folder left a copy of the key behind, and no backup.
#[test]
fn a_backup_with_its_keys_may_have_a_bare_name() {
    let place = Place::new();
    backed_up(&place, 1);
    let centre = place.path("centre");
    let here = place.path("here");
    fs::create_dir(&here).expect("made");
    let made = Command::new(toso())
        .args(["backup", "--data", text(&centre), "--to", "bare.zst", "--with-keys"])
        .current_dir(&here)
        .output()
        .expect("toso runs");
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    let names: Vec<_> =
        fs::read_dir(&here).expect("readable").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names.len(), 2, "the backup and its key: {names:?}");
}

fn online(server: &Server, to: &Path) -> Output {
    let token = server.admin_token_file();
    run(&["backup", "--server", server.url(), "--admin-token-file", text(&token), "--to", text(to)])
}

#[test]
fn a_backup_under_writes_has_everything_acknowledged_before_it() {
    let place = Place::new();
    let server = Server::start(&place.path("centre"));
    let devices: Vec<_> =
        (0..WRITERS).map(|number| server.device(&place.path(&format!("phone-{number}")), COMMUNE)).collect();
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = devices
        .into_iter()
        .enumerate()
        .map(|(writer, device)| {
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            std::thread::spawn(move || {
                for number in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return (device, number);
                    }
                    device.ok(&["team", "add", "--hamlet", &format!("Thôn {writer} {number}")]);
                    // A sync that reports up to date has heard every acknowledgement.
                    device.sync();
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
                unreachable!()
            })
        })
        .collect();
    while acknowledged.load(Ordering::SeqCst) < 3 * WRITERS {
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut kept = Vec::new();
    for round in 0..3 {
        let before = acknowledged.load(Ordering::SeqCst);
        let backup = place.path(&format!("backup-{round}.zst"));
        let output = online(&server, &backup);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        kept.push((before, backup));
    }
    stop.store(true, Ordering::SeqCst);
    let devices: Vec<_> = writers.into_iter().map(|writer| writer.join().expect("writers end")).collect();
    let made: usize = devices.iter().map(|(_, made)| made).sum();
    let key = place.path("centre").join("root.key");
    drop(server);

    for (round, (before, backup)) in kept.into_iter().enumerate() {
        let restored = place.path(&format!("restored-{round}"));
        ok(&["verify", "--backup", text(&backup)]);
        ok(&["restore", "--from", text(&backup), "--data", text(&restored), "--root-key", text(&key)]);
        let mut server = Server::start(&restored);
        let report = server.report_when(&["--unit", COMMUNE], |report| report["teams"].as_u64() >= Some(before as u64));
        println!("{before} acknowledged before backup {round}, {} in it, {made} in all", report["teams"]);
        assert_eq!(server.stop(), Some(0));
        // Gap-free, every index right, the views what the log gives.
        let said = ok(&["verify", "--data", text(&restored)]);
        assert!(said.contains("nothing is wrong") && said.contains("restored from epoch"), "{said}");
    }
}

#[test]
fn after_a_restore_phones_sync_with_the_new_epoch_and_the_backups_data_is_there() {
    let place = Place::new();
    let device = backed_up(&place, 4);
    let epoch = |file: &Path| -> u64 {
        let output = run(&["export", "--data", text(file), "--to", "-"]);
        let first = output.stdout.split(|byte| *byte == b'\n').next().expect("a line").to_vec();
        serde_json::from_slice::<serde_json::Value>(&first).expect("a header")["epoch"].as_u64().expect("a number")
    };
    let restored = place.path("restored");
    let list = place.path("centre").join("revocations.list");
    let backup = place.path("backup.zst");
    ok(&["restore", "--from", text(&backup), "--data", text(&restored), "--revocations", text(&list)]);
    assert_ne!(epoch(&place.path("centre")), epoch(&restored));

    // The phone knows the server by its address; so the restored one takes it over.
    let status = device.json(&["status"]);
    let url = status["server"].as_str().expect("an enrolled device knows its server");
    let server = Server::start_on(&restored, url.trim_start_matches("http://"));
    server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 4);
    // A device that enrolled before the backup goes on without enrolling again.
    device.sync();
    device.ok(&["team", "add", "--hamlet", "Thôn sau"]);
    device.sync();
    server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 5);
    assert_eq!(device.json(&["team", "list"]).as_array().map(Vec::len), Some(5));
    // A new phone gets everything.
    let other = server.device(&place.path("other"), COMMUNE);
    other.sync();
    let teams = other.json(&["team", "list"]).as_array().map(Vec::len);
    assert_eq!(teams, Some(5));
}

#[test]
fn export_import_export_gives_the_same_lines() {
    let place = Place::new();
    backed_up(&place, 3);
    let lines = |data: &Path| -> Vec<String> {
        ok(&["export", "--data", text(data), "--to", "-"]).lines().map(str::to_owned).collect()
    };
    let first = lines(&place.path("centre"));
    let (file, moved) = (place.path("export.jsonl"), place.path("moved"));
    ok(&["export", "--data", text(&place.path("centre")), "--to", text(&file)]);
    let key = place.path("centre").join("root.key");
    let import = ["import", "--from", text(&file), "--data", text(&moved), "--root-key", text(&key)];
    ok(&import);
    let second = lines(&moved);
    // The header has the time of the export, the end line a checksum over it; a mark names a line of the list of revocations
    // that lies in this folder alone.
    let mark = format!("\"key\":\"{}\"", STANDARD.encode(b"revocations_mark"));
    let carried = |lines: &[String]| -> Vec<String> {
        lines[1..lines.len() - 1].iter().filter(|line| !line.contains(&mark)).cloned().collect()
    };
    // Each export notes one.
    assert_eq!(first.len() + 2, second.len());
    assert!(carried(&first).iter().any(|line| line.contains("\"kind\":\"run\"")), "{first:?}");
    assert_eq!(carried(&first), carried(&second));
    let header = |lines: &[String]| {
        let mut header: serde_json::Value = serde_json::from_str(&lines[0]).expect("a header");
        header["exported_at"] = 0.into();
        header["last"] = 0.into();
        header
    };
    assert_eq!(header(&first), header(&second), "the same epoch goes on");
    let said = refused(&import);
    assert!(said.contains("already holds"), "{said}");
    let server = Server::start(&moved);
    server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 3);
}

#[cfg(unix)]
#[test]
fn backups_are_for_their_owner_only_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    backed_up(&place, 1);
    for name in ["backup.zst", "backup.zst.root.key"] {
        let mode = fs::metadata(place.path(name)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let key = fs::read_to_string(place.path("centre").join("root.key")).expect("readable");
    let secret = key.split_whitespace().nth(1).expect("a key");
    let plain = ok(&["export", "--data", text(&place.path("centre")), "--to", "-"]);
    assert!(!plain.contains(secret) && !plain.contains("root.key"), "the root key is in no export");
    let before = fs::read(place.path("backup.zst")).expect("readable");
    let said = refused(&["backup", "--data", text(&place.path("centre")), "--to", text(&place.path("backup.zst"))]);
    assert!(said.contains("exists already"), "{said}");
    assert_eq!(fs::read(place.path("backup.zst")).expect("readable"), before);
    let server = Server::start(&place.path("centre"));
    let said = refused(&["export", "--data", text(&place.path("centre")), "--to", "-"]);
    assert!(said.contains("in use"), "{said}");
    drop(server);
}

#[test]
fn only_an_admin_gets_a_backup() {
    let place = Place::new();
    let server = Server::start(&place.path("centre"));
    let url = format!("{}/v1/backup", server.url());
    assert_eq!(http::get(&url, None).status, 401);
    for role in ["officer", "recorder", "viewer"] {
        let device = FieldDevice::new(&place.path(role));
        device.ok(&["enrol", &server.invite(OTHER_COMMUNE, role)]);
        let token = place.path(&format!("{role}.token"));
        device.ok(&["token", "--out", text(&token)]);
        let to = place.path(&format!("{role}.zst"));
        let args = ["backup", "--server", server.url(), "--admin-token-file", text(&token), "--to", text(&to)];
        let said = refused(&args);
        assert!(said.contains("403"), "{said}");
        assert!(!to.exists() && !place.names().iter().any(|name| name.contains(".part")));
    }
    let to = place.path("admin.zst");
    assert!(online(&server, &to).status.success());
    ok(&["verify", "--backup", text(&to)]);
}

#[test]
fn hostile_files_make_no_folder() {
    let place = Place::new();
    backed_up(&place, 2);
    let whole = fs::read(place.path("backup.zst")).expect("readable");
    let plain = ok(&["export", "--data", text(&place.path("centre")), "--to", "-"]);
    let flipped = |at: usize| {
        let mut bytes = plain.clone().into_bytes();
        bytes[at] ^= 4;
        bytes
    };
    let huge = [plain.lines().next().expect("a header").as_bytes(), b"\n", &vec![b'1'; 2 << 20]].concat();
    let newer = plain.replacen("\"format\":3", "\"format\":9", 1).into_bytes();
    let cases: [(&str, Vec<u8>, &str); 7] = [
        ("truncated", whole[..whole.len() / 2].to_vec(), "cut off"),
        ("cut at a line", plain.split_inclusive('\n').take(2).collect::<String>().into(), "cut off"),
        ("flipped", flipped(plain.len() / 2), "damaged"),
        ("a huge line", huge, "more than"),
        ("newer", newer, "newer version"),
        ("empty", Vec::new(), "cut off"),
        ("something else", b"PK\x03\x04\n".to_vec(), "not the header"),
    ];
    let target = place.path("target");
    let key = place.path("centre").join("root.key");
    for (what, bytes, expected) in cases {
        let file = place.path("hostile");
        fs::write(&file, bytes).expect("writable");
        for command in ["restore", "import"] {
            let args = [command, "--from", text(&file), "--data", text(&target), "--root-key", text(&key)];
            let said = refused(&args);
            assert!(said.contains(expected) && said.contains("line"), "{what}: {said}");
            assert!(!target.exists(), "{what}");
        }
        assert!(refused(&["verify", "--backup", text(&file)]).contains(expected), "{what}");
    }
    assert!(!place.names().iter().any(|name| name.contains("restoring")), "{:?}", place.names());
}

#[test]
fn a_restore_needs_the_right_key() {
    let (place, other) = (Place::new(), Place::new());
    backed_up(&place, 1);
    backed_up(&other, 1);
    let (backup, key) = (place.path("backup.zst"), place.path("backup.zst.root.key"));
    let target = place.path("target");
    let restore = ["restore", "--from", text(&backup), "--data", text(&target)];

    // Another server's key is already there: nothing is put beside it, whatever else is given.
    fs::create_dir(&target).expect("made");
    let foreign = fs::read(other.path("centre").join("root.key")).expect("readable");
    fs::write(target.join("root.key"), &foreign).expect("written");
    let said = refused(&[&restore[..], &["--root-key", text(&key)]].concat());
    assert!(said.contains("root key of server"), "{said}");
    assert_eq!(fs::read(target.join("root.key")).expect("still there"), foreign);
    assert_eq!(fs::read_dir(&target).expect("readable").count(), 1);

    // The right one is there.
    fs::copy(&key, target.join("root.key")).expect("copied");
    ok(&restore);
    ok(&["verify", "--data", text(&target)]);

    // None anywhere.
    fs::remove_file(&key).expect("removed");
    let empty = place.path("empty");
    fs::create_dir(&empty).expect("made");
    let said = refused(&["restore", "--from", text(&backup), "--data", text(&empty)]);
    assert!(said.contains("--root-key"), "{said}");
    assert_eq!(fs::read_dir(&empty).expect("readable").count(), 0);
    // An empty folder is as good as none.
    let key = place.path("centre").join("root.key");
    ok(&["restore", "--from", text(&backup), "--data", text(&empty), "--root-key", text(&key)]);
    // A folder with anything else is not.
    let said = refused(&["restore", "--from", text(&backup), "--data", text(&place.path("phone"))]);
    assert!(said.contains("already holds"), "{said}");
}

/// Kills a command after a while. The moments are spread over what it takes.
fn killed(args: &[&str], after: Duration) -> bool {
    let mut child =
        Command::new(toso()).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("toso runs");
    std::thread::sleep(after);
    child.kill().expect("ours to kill");
    !child.wait().expect("it ends").success()
}

#[test]
fn killed_at_any_moment_there_is_a_whole_folder_or_none() {
    let place = Place::new();
    backed_up(&place, 30);
    let (centre, backup) = (place.path("centre"), place.path("backup.zst"));
    let mut kills = 0;
    for round in 0..10_u64 {
        let after = Duration::from_millis(15 + 25 * round);
        let target = place.path(&format!("restored-{round}"));
        let restore = ["restore", "--from", text(&backup), "--data", text(&target)];
        let interrupted = killed(&restore, after);
        kills += usize::from(interrupted);
        if interrupted && !target.exists() {
            // The same command again, over what the killed one left.
            ok(&restore);
        }
        ok(&["verify", "--data", text(&target)]);

        let to = place.path(&format!("again-{round}.zst"));
        let again = ["backup", "--data", text(&centre), "--to", text(&to)];
        kills += usize::from(killed(&again, after));
        if !to.exists() {
            ok(&again);
        }
        ok(&["verify", "--backup", text(&to)]);

        kills += usize::from(killed(&["compact", "--data", text(&centre)], after));
        let said = ok(&["verify", "--data", text(&centre)]);
        assert!(said.contains("nothing is wrong"), "{said}");
    }
    println!("{kills} of 30 commands were killed before their end");
    assert!(kills > 0, "no kill came in time");
    assert!(ok(&["compact", "--data", text(&centre)]).contains("before"));
    let left: Vec<_> =
        fs::read_dir(&centre).expect("readable").map(|entry| entry.expect("readable").file_name()).collect();
    assert_eq!(left.len(), 4, "log, root.key, revocations.list, admin.token: {left:?}");
    let server = Server::start(&centre);
    server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 30);
}

#[test]
fn a_full_disk_stops_backup_and_restore_with_nothing_visible() {
    let place = Place::new();
    backed_up(&place, 3);
    let disk = place.path("disk");
    fs::create_dir(&disk).expect("made");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&disk).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: cannot mount a small file system here");
        return;
    }
    let (backup, centre) = (place.path("backup.zst"), place.path("centre"));
    let target = disk.join("restored");
    let restoring = refused(&["restore", "--from", text(&backup), "--data", text(&target)]);
    fs::write(disk.join("ballast"), vec![1; 3 << 20]).expect_err("the disk is full");
    let to = disk.join("backup.zst");
    let backing = refused(&["backup", "--data", text(&centre), "--to", text(&to)]);
    let left: Vec<_> =
        fs::read_dir(&disk).expect("readable").map(|entry| entry.expect("readable").file_name()).collect();
    // Lazily: a process that is just ending may still have it open.
    let _ = Command::new("umount").arg("-l").arg(&disk).status();
    assert!(restoring.contains("space") && backing.contains("space"), "{restoring}{backing}");
    assert_eq!(left, ["ballast"]);
}

#[test]
fn verify_names_what_is_wrong() {
    let place = Place::new();
    backed_up(&place, 3);
    let centre = place.path("centre");
    let said = ok(&["verify", "--data", text(&centre)]);
    assert!(said.contains("nothing is wrong") && said.contains("3 documents"), "{said}");
    let key = fs::read(centre.join("root.key")).expect("readable");
    fs::remove_file(centre.join("root.key")).expect("removed");
    let output = run(&["verify", "--data", text(&centre)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("WRONG: reading"), "{output:?}");
    fs::write(centre.join("root.key"), key).expect("written");
    refused(&["verify", "--data", text(&place.path("phone"))]);
}
