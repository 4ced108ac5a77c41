//! What an operator does at a running server, as it is typed: the admin token, with the line that each use leaves, and
//! setting a device's changes aside and letting them in again.

#![allow(clippy::indexing_slicing, reason = "JSON answers are indexed; a missing field fails the test, as it should")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use toso_tests::{COMMUNE, FieldDevice, Server, http, toso};

const PATIENCE: Duration = Duration::from_secs(30);

/// `toso WORDS… --server URL --admin-token-file FILE OPTIONS…`.
fn operate(server: &Server, words: &[&str], options: &[&str]) -> Output {
    let mut command = Command::new(toso());
    command.args(words).args(["--server", server.url(), "--admin-token-file"]).arg(server.admin_token_file());
    command.args(options).output().expect("toso runs")
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text").trim_end().to_owned()
}

fn refused(output: &Output) -> String {
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true), "it should be refused");
    String::from_utf8(output.stderr.clone()).expect("text").trim_end().to_owned()
}

/// The line of the log that fits, as method, route, purpose and why; waits for it, since lines go through a queue.
fn logged(log: &Path, message: &str, fits: impl Fn(&Value) -> bool) -> [String; 4] {
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(log).expect("the log");
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found =
            lines.map(|mut line| line["fields"].take()).find(|fields| fields["message"] == message && fits(fields));
        if let Some(fields) = found {
            return ["method", "route", "purpose", "why"].map(|name| fields[name].as_str().unwrap_or("-").to_owned());
        }
        assert!(begun.elapsed() < PATIENCE, "no such line: {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Nobody's name is behind the admin token: each use is written down with what it was for, also one that is refused.
#[test]
fn each_use_of_the_admin_token_leaves_a_line_and_a_proxys_is_refused() {
    let folder = TempDir::new().expect("a temporary folder");
    let (data, log) = (folder.path().join("server"), folder.path().join("log"));
    let server = Server::start_logged(&data, &log);
    let (token, url) = (server.admin_token(), format!("{}/v1/devices?unit=2022/{COMMUNE}", server.url()));
    let bearer = format!("Bearer {token}");
    let used = "the admin token was used";

    done(&operate(&server, &["device", "list"], &["--list", "2022", "--unit", COMMUNE]));
    let line = logged(&log, used, |fields| fields["purpose"] == "toso device list");
    assert_eq!(
        line,
        ["GET", "/v1/devices", "toso device list", "-"],
        "the command's name, and nothing that was given to it"
    );
    done(&operate(&server, &["--purpose", "ticket #1231", "device", "list"], &["--list", "2022", "--unit", COMMUNE]));
    logged(&log, used, |fields| fields["purpose"] == "ticket #1231");
    // One that says nothing is taken, and the line says that; one that cannot be read could be another line.
    let bearing = ("Authorization", bearer.as_str());
    assert_eq!(http::get_with(&url, &[bearing]).status, 200);
    logged(&log, used, |fields| fields["purpose"] == "not said");
    let headers = [bearing, ("Toso-Purpose", "x\" method=\"POST")];
    let answer = http::get_with(&url, &headers);
    assert_eq!((answer.status, &answer.json()["type"]), (400, &"urn:toso:no-purpose".into()));
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains("unreadable") && detail.contains("--purpose"), "{detail}");
    logged(&log, "the admin token was refused", |fields| fields["purpose"] == "unreadable");
    assert_eq!(http::get_with(&format!("{}/metrics", server.url()), &headers).status, 200);

    for (name, value) in [("X-Forwarded-For", "127.0.0.1"), ("Via", "1.1 proxy"), ("Forwarded", "for=127.0.0.1")] {
        let headers = [("Authorization", bearer.as_str()), (name, value), ("Toso-Purpose", name)];
        let answer = http::get_with(&url, &headers);
        assert_eq!((answer.status, &answer.json()["type"]), (403, &"urn:toso:admin-from-elsewhere".into()), "{name}");
        let detail = answer.json()["detail"].to_string();
        assert!(
            detail.contains("a proxy passed the request on") && detail.contains("--admin-from-anywhere"),
            "{detail}"
        );
        let line = logged(&log, "the admin token was refused", |fields| fields["purpose"] == name);
        assert_eq!(line, ["GET", "/v1/devices", name, "a proxy passed the request on"]);
    }

    // A new token makes every copy of the one before worthless.
    fs::remove_file(server.admin_token_file()).expect("its file");
    let server = server.kill_and_restart();
    let answer = http::get(&url, Some(&token));
    assert_eq!((answer.status, &answer.json()["type"]), (401, &"urn:toso:bad-token".into()));
    assert_eq!(http::get(&url, Some(&server.admin_token())).status, 200);
    let text = fs::read_to_string(&log).expect("the log");
    assert!(!text.contains(token.get(..40).expect("a long text")), "the log never has the token itself");
}

/// Waits until counting has followed every decision.
fn settled(server: &Server) -> Value {
    let begun = Instant::now();
    loop {
        let listed =
            done(&operate(server, &["device", "set-asides"], &["--list", "2022", "--unit", COMMUNE, "--json"]));
        let items = serde_json::from_str::<Value>(&listed).expect("JSON")["items"].clone();
        if items.as_array().expect("a list").iter().all(|item| item["counted"] == true) {
            return items;
        }
        assert!(begun.elapsed() < PATIENCE, "{items}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn teams(server: &Server, count: u64) {
    server.report_when(&["--unit", COMMUNE], |report| report["teams"] == count);
}

/// The story: a stolen phone wrote lies into its commune. An officer sets them aside, is wrong once, and lets them in again;
/// figures follow each time, through restarts.
#[test]
fn what_a_device_wrote_is_set_aside_and_let_in_again_as_an_officer_types_it() {
    let folder = TempDir::new().expect("a temporary folder");
    let server = Server::start(&folder.path().join("server"));
    let stolen = server.device(&folder.path().join("stolen"), COMMUNE);
    let honest = server.device(&folder.path().join("honest"), COMMUNE);
    let add = |device: &FieldDevice, hamlet: &str| device.ok(&["team", "add", "--hamlet", hamlet]);
    let lies = [add(&stolen, "Thôn Ma"), add(&stolen, "Thôn Giả")];
    stolen.sync();
    add(&honest, "Thôn Thật");
    honest.sync();
    teams(&server, 3);
    let device = stolen.json(&["status"])["device"].as_str().expect("an id").to_owned();

    assert!(done(&operate(&server, &["device", "set-asides"], &["--list", "2022", "--unit", COMMUNE])).is_empty());
    let order = ["--device", &device, "--list", "2022", "--unit", COMMUNE, "--why", "máy bị mất"];
    let said = done(&operate(&server, &["device", "set-aside"], &order));
    assert!(said.starts_with("0  ") && said.contains("2 document(s)") && said.ends_with("máy bị mất"), "{said}");
    teams(&server, 1);
    let words = refused(&operate(&server, &["device", "set-aside"], &order));
    assert!(words.contains("no changes there that are not set aside already"), "{words}");

    let server = server.kill_and_restart();
    settled(&server);
    teams(&server, 1);
    let lie = format!("{}/v1/teams/{}", server.url(), lies[0]);
    assert_eq!(http::get(&lie, Some(&server.admin_token())).status, 404, "a record that only it has made is gone");
    // The phone is not told: what it brings later counts.
    add(&stolen, "Thôn Sau");
    stolen.sync();
    teams(&server, 2);

    let undo = ["--number", "0", "--why", "nhầm máy"];
    let said = done(&operate(&server, &["device", "let-in"], &undo));
    assert!(said.contains("undone"), "{said}");
    teams(&server, 4);
    let words = refused(&operate(&server, &["device", "let-in"], &undo));
    assert!(words.contains("number 0 is undone already"), "{words}");
    let unknown = refused(&operate(&server, &["device", "let-in"], &["--number", "7", "--why", "nhầm"]));
    assert!(unknown.contains("there is no decision 7"), "{unknown}");

    let server = server.kill_and_restart();
    let items = settled(&server);
    assert_eq!((&items[0]["why"], &items[0]["undone"]["why"]), (&"máy bị mất".into(), &"nhầm máy".into()), "{items}");
    teams(&server, 4);
    assert_eq!(http::get(&lie, Some(&server.admin_token())).status, 200, "as it was");

    // Record by record, so that there are several decisions: the list comes in pages, newest first.
    for lie in &lies {
        let order = ["--device", &device, "--list", "2022", "--unit", COMMUNE, "--document", lie, "--why", "một hồ sơ"];
        done(&operate(&server, &["device", "set-aside"], &order));
    }
    teams(&server, 2);
    let page = |query: &str| {
        let url = format!("{}/v1/set-aside?unit=2022/{COMMUNE}{query}", server.url());
        let answer = http::get(&url, Some(&server.admin_token()));
        let numbers = |page: &Value| {
            page["items"].as_array().map(|items| items.iter().map(|item| item["number"].as_u64()).collect::<Vec<_>>())
        };
        (answer.status, numbers(&answer.json()).unwrap_or_default(), answer.json()["next"].as_u64())
    };
    assert_eq!(page("&limit=3"), (200, vec![Some(2), Some(1), Some(0)], None), "at the limit");
    assert_eq!(page("&limit=2"), (200, vec![Some(2), Some(1)], Some(1)), "past it");
    assert_eq!(page("&limit=2&after=1"), (200, vec![Some(0)], None), "the rest");
    assert_eq!(page("&limit=200").0, 200);
    for bad in ["&limit=0", "&limit=201", "&after=abc", "&after=-1", "&after=", "&before=1"] {
        assert_eq!(page(bad).0, 400, "{bad}");
    }
}
