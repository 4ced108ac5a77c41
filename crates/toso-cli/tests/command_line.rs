//! The command line itself: help for every command, exit codes, and which stream says what.

use std::process::{Command, Output};

fn toso(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_toso")).args(args).output().expect("toso runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_command_has_help() {
    let commands: [&[&str]; 37] = [
        &[],
        &["serve"],
        &["invite"],
        &["invite", "list"],
        &["invite", "withdraw"],
        &["field", "names"],
        &["field"],
        &["field", "enrol"],
        &["field", "team"],
        &["field", "team", "add"],
        &["field", "team", "edit"],
        &["field", "team", "list"],
        &["field", "team", "show"],
        &["field", "team", "merge"],
        &["field", "team", "unmerge"],
        &["field", "member", "add"],
        &["field", "member", "edit"],
        &["field", "member", "list"],
        &["field", "member", "merge"],
        &["field", "activity", "add"],
        &["field", "activity", "list"],
        &["field", "hamlet", "add"],
        &["field", "hamlet", "edit"],
        &["field", "commune", "show"],
        &["field", "commune", "sign-off"],
        &["field", "conflicts"],
        &["field", "resolve"],
        &["field", "findings"],
        &["field", "history"],
        &["field", "sync"],
        &["field", "bundle", "make"],
        &["field", "bundle", "open"],
        &["field", "bundle", "key"],
        &["field", "peer"],
        &["report"],
        &["simulate", "national"],
        &["demo"],
    ];
    for command in commands {
        let output = toso(&[command, &["--help"]].concat());
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert!(text(&output.stdout).contains("Usage:"), "{command:?}");
        assert!(output.stderr.is_empty(), "{command:?}");
    }
}

/// `toso invite` makes one, with subcommands beside it: with an optional group of arguments it saw none of them.
#[test]
fn an_invite_is_made_by_the_command_itself_and_its_list_by_a_word_more() {
    let asked =
        ["--server", "http://127.0.0.1:1", "--admin-token-file", "/nowhere/t", "--list", "2022", "--unit", "00001"];
    for command in
        [[&["invite"][..], &asked, &["--role", "viewer"]].concat(), [&["invite", "list"][..], &asked].concat()]
    {
        let output = toso(&command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(text(&output.stderr).contains("cannot read the token file /nowhere/t"), "{}", text(&output.stderr));
    }
    assert_eq!(toso(&["invite", "--role", "viewer"]).status.code(), Some(2), "the rest is missing");
}

#[test]
fn a_wrong_command_line_is_2_and_says_so_on_stderr() {
    let wrong: [&[&str]; 8] = [
        &[],
        &["frobnicate"],
        &["serve"],
        &["field", "team", "list"],
        &["field", "--home", "x", "resolve", "t1", "hamlet"],
        &["report", "--server", "http://127.0.0.1:9"],
        &["report", "--server", "http://127.0.0.1:9", "--token-file", "x", "--format", "xml"],
        &["invite", "--server", "x", "--admin-token-file", "x", "--list", "2022", "--unit", "01", "--role", "king"],
    ];
    for args in wrong {
        let output = toso(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn what_cannot_be_done_is_1_and_one_line_on_stderr() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path().join("home");
    let home = home.to_str().expect("a path");
    for args in [
        &["field", "--home", home, "team", "add", "--hamlet", "Thôn 1"] as &[&str],
        &["field", "--home", home, "enrol", "not an invite"],
        &["field", "--home", home, "sync"],
        &["field", "--home", home, "team", "show", "t1"],
        &["report", "--server", "http://127.0.0.1:9", "--token-file", "/nonexistent"],
    ] {
        let output = toso(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        let said = text(&output.stderr);
        assert!(said.starts_with("toso: ") && said.trim_end().lines().count() == 1, "{args:?}: {said}");
    }
}

/// The story: `--home` was mistyped, and a new device without a record answered from a new folder.
#[test]
fn a_mistyped_home_makes_no_device() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path().join("tyop");
    let shown = home.to_str().expect("a path");
    for args in
        [&["status"] as &[&str], &["team", "list"], &["team", "add", "--hamlet", "Thôn 1"], &["enrol", "no invite"]]
    {
        let output = toso(&[&["field", "--home", shown], args].concat());
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let told = text(&output.stderr);
        assert!(told.contains("invite") || told.contains(shown) && told.contains("--home"), "{told}");
        assert!(!home.exists(), "{args:?}");
    }
    std::fs::create_dir(&home).expect("an empty folder is none either");
    assert!(text(&toso(&["field", "--home", shown, "status"]).stderr).contains("no device is in the folder"));
    assert_eq!(std::fs::read_dir(&home).expect("a folder").count(), 0);
}

/// The story: `--help` into a full disk was a success.
#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_no_success() {
    for args in [&["--help"] as &[&str], &["--version"], &["field", "--help"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
        let output = Command::new(env!("CARGO_BIN_EXE_toso")).args(args).stdout(full).output().expect("toso runs");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(text(&output.stderr).contains("could not be written out"), "{}", text(&output.stderr));
    }
}

#[test]
fn the_version_is_told() {
    assert_eq!(text(&toso(&["--version"]).stdout).trim(), concat!("toso ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_home_with_a_key_opens_with_that_key_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    std::fs::write(path("key"), [7; 32]).expect("a key file");
    std::fs::write(path("same"), format!("{}\n", "07".repeat(32))).expect("a key file");
    std::fs::write(path("other"), [8; 32]).expect("a key file");
    std::fs::write(path("short"), [7; 31]).expect("a key file");
    let field = |key: Option<&str>| {
        let (home, key) = (path("home"), key.map(path));
        let mut args = vec!["field", "--home", &home];
        if let Some(key) = &key {
            args.extend(["--key-file", key]);
        }
        let output = toso(&[args, vec!["status"]].concat());
        text(&output.stderr)
    };
    // Encrypted, and lacks only its enrolment.
    let key = toso_store_sled::StoreKey::parse(&[7; 32]).expect("a key");
    drop(toso_store_sled::SledChunkStore::open_encrypted(
        folder.path().join("home"),
        toso_store_sled::Options::phone(),
        &key,
    ));
    let unenrolled = field(Some("key"));
    assert_eq!(field(Some("same")), unenrolled);
    for (key, says) in [
        (Some("other"), "another key"),
        (None, "it is encrypted; give the key"),
        (Some("short"), "32 bytes, or 64 hexadecimal digits"),
        (Some("absent"), "cannot read the key file"),
    ] {
        let stderr = field(key);
        assert!(stderr.contains(says), "{key:?}: {stderr}");
        assert!(!unenrolled.contains(says), "{unenrolled}");
    }
}
