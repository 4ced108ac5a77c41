//! `toso bench client` as a harness that compares engines drives it: record, look, edit, come back at once, storm until
//! the server dies, and look every acknowledgement up.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use toso_tests::{Server, toso};

const DEVICES: usize = 3;

struct Harness {
    dir: TempDir,
}

impl Harness {
    fn new() -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let mut docs = String::new();
        for device in 0..DEVICES {
            let team = json!({"device": device, "kind": "team", "key": format!("team-{device}"), "fields": {
                "hamlet": "Thôn Thử 1", "households_covered": 1, "note": "chữ ".repeat(500),
            }});
            let member = json!({"device": device, "kind": "member", "key": format!("member-{device}"), "fields": {
                "full_name": "Nguyễn Văn Thử", "role": "leader", "affiliations/youth_union": true,
            }});
            let _ = writeln!(docs, "{team}\n{member}");
        }
        std::fs::write(dir.path().join("docs.jsonl"), docs).expect("written");
        Self { dir }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, server: &Server, op: &str, more: &[&str]) -> Command {
        let mut command = Command::new(toso());
        command.args(["bench", "client", "--op", op, "--url", server.url(), "--dir"]).arg(self.path("devices"));
        command.arg("--admin-token-file").arg(server.admin_token_file()).args(more);
        command
    }

    /// The lines that an operation prints.
    fn run(&self, server: &Server, op: &str, more: &[&str]) -> Vec<Value> {
        let output = self.command(server, op, more).stderr(Stdio::inherit()).output().expect("it runs");
        assert!(output.status.success(), "{op} ends with {}", output.status);
        lines(&output.stdout)
    }

    fn one(&self, server: &Server, op: &str, more: &[&str]) -> Value {
        let [line] = self.run(server, op, more).try_into().expect("one line");
        assert_eq!(line["op"], op);
        line
    }

    fn verify(&self, server: &Server, acks: &Path) -> (u64, u64) {
        let verified = self.one(server, "verify", &["--acks", acks.to_str().expect("a plain path")]);
        (verified["acked"].as_u64().expect("a number"), verified["lost"].as_u64().expect("a number"))
    }
}

fn lines(out: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(out).lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect()
}

#[test]
fn a_harness_can_run_every_operation_and_nothing_acknowledged_is_lost() {
    let harness = Harness::new();
    let data = TempDir::new().expect("a temporary folder");
    let server = Server::start(data.path());
    let docs = harness.path("docs.jsonl");
    let docs = docs.to_str().expect("a plain path");

    let seeded = harness.one(&server, "seed", &["--docs", docs, "--devices", "1"]);
    assert_eq!((&seeded["docs"], &seeded["devices"]), (&json!(2), &json!(1)));
    let team = seeded["ids"]["team-0"].as_str().expect("an id").to_owned();
    assert_eq!(harness.one(&server, "sync", &[])["docs"], 2);
    assert_eq!(harness.one(&server, "first", &[])["docs"], 2, "another device of the commune gets both");

    // What is there already is recorded by nobody else.
    let rest = std::fs::read_to_string(docs).expect("readable");
    let rest: String = rest.lines().skip(2).fold(String::new(), |text, line| text + line + "\n");
    let more = harness.path("more.jsonl");
    std::fs::write(&more, rest).expect("written");
    let loaded = harness.one(&server, "load", &["--docs", more.to_str().expect("a plain path"), "--width", "2"]);
    assert_eq!((&loaded["docs"], &loaded["devices"]), (&json!(4), &json!(2)));

    let rushed = harness.run(&server, "rush", &["--devices", "3", "--width", "2", "--round", "7"]);
    let marks: Vec<_> = rushed.iter().filter_map(|line| line["at"].as_str()).collect();
    assert_eq!(marks, ["begin", "end", "begin", "end"], "two waves");
    let last = rushed.last().expect("a result");
    assert_eq!((&last["sessions"], &last["failed"]), (&json!(3), &json!(0)));

    // The server dies the moment that the acknowledgement is heard, and still has it.
    let pid = server.pid().to_string();
    let edited = harness.one(&server, "edit", &["--round", "8", "--kill-pid", &pid]);
    assert_eq!(edited["ack"], json!({"id": team, "value": 8}));
    let server = server.kill_and_restart();
    let acks = harness.path("acks.jsonl");
    std::fs::write(&acks, format!("{edited}\n")).expect("written");
    assert_eq!(harness.verify(&server, &acks), (1, 0));

    // A storm ends with the server.
    let mut storm = harness.command(&server, "storm", &["--round", "9", "--max-s", "60"]);
    let storm = storm.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    std::thread::sleep(std::time::Duration::from_secs(2));
    let server = server.kill_and_restart();
    let told = storm.wait_with_output().expect("it ends");
    std::fs::write(&acks, &told.stdout).expect("written");
    let acked = lines(&told.stdout).iter().filter(|line| line["ack"].is_object()).count();
    assert!(acked > 0, "nothing was acknowledged");
    assert_eq!(harness.verify(&server, &acks), (acked as u64, 0));

    // And verify can say no.
    std::fs::write(&acks, json!({"ack": {"id": team, "value": 4_000_000}}).to_string()).expect("written");
    assert_eq!(harness.verify(&server, &acks), (1, 1));
}

/// The file for the figures was opened when they were there, and a long run ended without any.
#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_runs() {
    let output = Command::new(toso())
        .args(["bench", "--only", "reconnect", "--scale", "0.001", "--rounds", "1", "--json", "/nowhere/figures.json"])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("/nowhere/figures.json"), "{said}");
    assert!(!said.contains("round 1"), "{said}");
}

#[test]
fn orders_that_make_no_sense_say_why() {
    let harness = Harness::new();
    let data = TempDir::new().expect("a temporary folder");
    let server = Server::start(data.path());
    let broken = harness.path("broken.jsonl");
    std::fs::write(&broken, "{\"device\": 0, \"kind\": \"team\"}\n").expect("written");
    let odd = harness.path("odd.jsonl");
    std::fs::write(&odd, json!({"device": 0, "kind": "team", "key": "t", "fields": {"colour": "red"}}).to_string())
        .expect("written");
    let (broken, odd) = (broken.to_str().expect("a plain path"), odd.to_str().expect("a plain path"));
    for (op, more, why) in [
        ("seed", &[][..], "--docs"),
        ("seed", &["--docs", "/nowhere"][..], "/nowhere"),
        ("seed", &["--docs", broken][..], "line 1"),
        ("seed", &["--docs", odd][..], "colour"),
        ("edit", &[][..], "--op"),
        ("rush", &["--width", "0"][..], "at least one"),
        ("verify", &[][..], "--acks"),
    ] {
        let output = harness.command(&server, op, more).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{op} {more:?}: {said}");
        assert!(output.stdout.is_empty(), "{op} {more:?} claims a result");
    }
}
