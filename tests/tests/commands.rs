//! What people type on a device beside recording teams: the commune's hamlets and sign-off, activities, the device at a glance;
//! and answers that cannot be written out.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use tempfile::TempDir;
use toso_tests::{COMMUNE, FieldDevice, Server};

struct Scene {
    _server: Server,
    device: FieldDevice,
    _folders: [TempDir; 2],
}

fn scene(role: &str) -> Scene {
    let folders = [(); 2].map(|()| TempDir::new().expect("a temporary folder"));
    let server = Server::start(folders[0].path());
    let device = FieldDevice::new(&folders[1].path().join("home"));
    device.ok(&["enrol", &server.invite(COMMUNE, role), "--name", "Máy A"]);
    Scene { _server: server, device, _folders: folders }
}

/// The story: an officer could sign off by the library and not by the command; a hamlet that was entered could not be corrected.
#[test]
fn an_officer_corrects_hamlets_and_signs_off_and_takes_that_back() {
    let Scene { device, .. } = &scene("officer");
    device.ok(&["hamlet", "add", "--name", "Thôn 01", "--households", "12"]);
    device.ok(&["hamlet", "add", "--name", "Thôn 2"]);
    device.ok(&[
        "hamlet",
        "edit",
        "thôn 1",
        "households=120",
        "kind=thon",
        "status=abolished",
        "successors/Thôn 2=yes",
    ]);
    let hamlets = device.json(&["hamlet", "list"])[0]["hamlets"].clone();
    let edited = &hamlets["thôn 1"];
    assert_eq!((&edited["households"], &edited["status"]), (&120.into(), &"abolished".into()), "{hamlets}");
    assert_eq!((&edited["name"], &hamlets["thôn 2"]["predecessors"][0]), (&"Thôn 01".into(), &"thôn 1".into()));
    let unknown = device.refused(&["hamlet", "edit", "Thôn 9", "households=1"]);
    assert!(unknown.contains("Thôn 9") && unknown.contains("hamlet list"), "{unknown}");
    assert!(device.json(&["hamlet", "list"])[0]["hamlets"].get("thôn 9").is_none());

    assert!(device.ok(&["commune", "show"]).contains("not signed off"));
    device.ok(&["commune", "sign-off", "--date", "7/9/2022", "--by", "UBND xã"]);
    let shown = device.ok(&["commune", "show"]);
    assert!(shown.contains("signed off for 07/09/2022 by UBND xã") && shown.contains("2 hamlet(s)"), "{shown}");
    assert!(device.refused(&["commune", "sign-off", "--date", "1/1/2099"]).contains("lies ahead"));
    // Another day, and the office stays.
    device.ok(&["commune", "sign-off", "--date", "8/9/2022"]);
    assert!(device.ok(&["commune", "show"]).contains("signed off for 08/09/2022 by UBND xã"));
    device.ok(&["commune", "sign-off", "--withdraw"]);
    let record = device.json(&["commune", "show"])[0].clone();
    assert!(record["signed_off_on"].is_null() && record["signed_off_by"].is_null(), "{record}");
}

/// The story: taking back a sign-off that nobody had made printed an id as if it were done; an edit alone said that nothing changed.
#[test]
fn a_command_that_changes_nothing_says_so() {
    let Scene { device, .. } = &scene("officer");
    let unsent = || device.json(&["status"])["unsent"].clone();
    let told = |args: &[&str]| {
        let before = unsent();
        let output = device.command(args).output().expect("toso runs");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(unsent(), before, "{args:?}");
        (String::from_utf8(output.stdout).expect("text"), String::from_utf8(output.stderr).expect("text"))
    };
    let withdraw = ["commune", "sign-off", "--withdraw"];
    let (id, none) = told(&withdraw);
    assert!(id.is_empty() && none.contains("no sign-off to withdraw") && none.contains("commune show"), "{none}");
    device.ok(&["commune", "sign-off", "--date", "7/9/2022"]);
    device.ok(&["hamlet", "add", "--name", "Thôn 1"]);
    let [team, other] = ["Thôn 1", "Thôn 2"].map(|hamlet| device.ok(&["team", "add", "--hamlet", hamlet]));
    let same: [&[&str]; 5] = [
        &["commune", "sign-off", "--date", "7/9/2022"],
        &["hamlet", "add", "--name", "Thôn 1"],
        &["hamlet", "edit", "Thôn 1", "name=Thôn 1"],
        &["team", "edit", &team, "level=hamlet"],
        &["team", "unmerge", &team],
    ];
    for command in same {
        let (_, said) = told(command);
        assert!(said.contains("nothing to change") || said.contains("no merge to take back"), "{command:?}: {said}");
    }
    device.ok(&["team", "merge", &other, &team]);
    let (_, said) = told(&["team", "merge", &other, &team]);
    assert!(said.contains("merged into") && said.contains("already"), "{said}");
    device.ok(&withdraw);
    assert!(told(&withdraw).1.contains("no sign-off to withdraw"));
}

#[test]
fn activities_are_listed_by_day_and_a_recorder_does_not_sign_off() {
    let Scene { device, .. } = &scene("recorder");
    let team = device.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    let other = device.ok(&["team", "add", "--hamlet", "Thôn 2"]);
    let add = |team: &str, day: &str| {
        device.ok(&["activity", "add", "--team", team, "--date", day, "--kind", "training", "--reached", "4"])
    };
    let (late, early) = (add(&team, "8/9/2022"), add(&other, "7/9/2022"));
    device.ok(&["activity", "reach", "--team", &team, "--activity", &late, "--more", "6"]);
    let listed = device.ok(&["activity", "list"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with(&format!("{early}  07/09/2022  training  4 reached")), "{listed}");
    assert!(lines[1].starts_with(&format!("{late}  08/09/2022  training  10 reached")), "{listed}");
    let of_team = device.json(&["activity", "list", "--team", &team]);
    assert_eq!((of_team.as_array().map(Vec::len), &of_team[0]["id"]), (Some(1), &late.into()));
    let refused = device.refused(&["commune", "sign-off", "--date", "7/9/2022"]);
    assert!(refused.contains("officer") && refused.contains("a recorder"), "{refused}");
}

/// The story: a device's status showed milliseconds since 1970, and everything held as one line of JSON.
#[test]
fn the_status_speaks_to_people_and_its_json_to_programs() {
    let Scene { device, .. } = &scene("recorder");
    device.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    device.sync();
    device.ok(&["team", "add", "--hamlet", "Thôn 2"]);
    let told = device.ok(&["status"]);
    let has = |part: &str| assert!(told.contains(part), "{part}: {told}");
    has("(Máy A)");
    has(&format!("as recorder in 2022/{COMMUNE}"));
    has("records: 2 here; 1 change(s) not sent yet");
    has("counted by the centre on ");
    let status = device.json(&["status"]);
    for at in [&status["token_ends"], &status["totals"]["at"]] {
        assert!(at.is_u64() && !told.contains(&at.to_string()), "{told}");
    }
    assert!(!told.contains(['{', '[']), "{told}");
}

/// The story: a record whose id could not be written out was said to have failed, and was entered a second time.
#[cfg(target_os = "linux")]
#[test]
fn what_was_saved_is_said_to_be_though_its_answer_is_lost() {
    let Scene { device, .. } = &scene("recorder");
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let lost = |args: &[&str]| {
        let output = device.command(args).stdout(full()).output().expect("toso runs");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    let told = lost(&["team", "add", "--hamlet", "Thôn 1"]);
    let teams = device.json(&["team", "list"]);
    let id = teams[0]["id"].as_str().expect("it is here");
    assert!(told.contains("done and kept all the same") && told.contains(id), "{told}");
    let told = lost(&["team", "list"]);
    assert!(told.contains("could not be written out") && !told.contains("kept"), "{told}");
}

/// The story: `toso report >&-` lost its answer and called itself done: Rust's runtime puts /dev/null where nothing is open.
#[cfg(target_os = "linux")]
#[test]
fn a_closed_stdout_is_no_success_and_one_that_is_thrown_away_is() {
    let Scene { _server: server, device, .. } = &scene("recorder");
    let toso = toso_tests::toso();
    let (toso, home) = (toso.display().to_string(), device.home().display().to_string());
    let token = server.admin_token_file().display().to_string();
    let as_admin = ["--server", server.url(), "--admin-token-file", &token];
    let of_device = |command: &[&'static str]| [&["field", "--home", &home], command].concat();
    let run = |args: &[&str], redirection: &str| {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("exec \"$@\" {redirection}"), "sh", &toso]).args(args);
        let output = command.output().expect("a shell");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    let printing: [Vec<&str>; 6] = [
        vec!["--help"],
        vec!["--version"],
        vec!["report", "--server", server.url(), "--token-file", &token],
        [&["device", "list", "--list", "2022", "--unit", COMMUNE], &as_admin[..], &["--json"]].concat(),
        of_device(&["status"]),
        of_device(&["hamlet", "add", "--name", "Thôn 1"]),
    ];
    for args in printing {
        let (code, said) = run(&args, ">&-");
        assert_eq!(code, Some(1), "{args:?}");
        assert!(said.contains("could not be written out") && said.contains("closed"), "{args:?}: {said}");
        assert_eq!(run(&args, ">/dev/null").0, Some(0), "{args:?}");
        assert_eq!(run(&args, "1<>/dev/null").0, Some(0), "{args:?}");
    }
    // A command without an answer needs no stdout, and a server's only line is for whoever waits for it.
    assert_eq!(run(&of_device(&["sync"]), ">&-").0, Some(0));
}

/// The story: a device that was kept in touch could not be written on: every other command found its folder in use.
#[test]
fn a_device_that_is_kept_in_touch_takes_other_commands_and_sends_what_they_saved() {
    let Scene { _server: server, device, .. } = &scene("recorder");
    let mut watcher = device.command(&["sync", "--watch", "--json"]).stdout(Stdio::piped()).spawn().expect("toso runs");
    let states = BufReader::new(watcher.stdout.take().expect("piped")).lines();
    let mut states = states.map(|line| line.expect("a line"));
    let mut up_to_date = || states.by_ref().find(|line| line.contains("\"up_to_date\"")).expect("it goes on");
    up_to_date();
    assert!(device.home().join("watched").exists());
    let second = device.refused(&["sync", "--watch"]);
    assert!(second.contains(&watcher.id().to_string()) && second.contains("one watcher"), "{second}");
    for hamlet in ["Thôn 1", "Thôn 2"] {
        device.ok(&["team", "add", "--hamlet", hamlet]);
    }
    let counted = server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 2);
    assert_eq!(counted["teams"], 2, "{counted}");
    // What a killed watcher leaves stands in nobody's way.
    watcher.kill().expect("it runs");
    watcher.wait().expect("it ends");
    assert_eq!(device.json(&["team", "list"]).as_array().map(Vec::len), Some(2));
    assert!(!device.home().join("wanted").exists());
}
