//! Phones without a server help each other: one carries what another recorded, by a file or by meeting, and brings the
//! receipt back.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::similar_names, reason = "a caller and the called are what they are called")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use toso_tests::{COMMUNE, FieldDevice, OTHER_COMMUNE, Server};

/// A server, and two devices of one commune. `a` never meets the server again after its enrolment.
struct Scene {
    server: Server,
    a: FieldDevice,
    b: FieldDevice,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let server = Server::start(&folder.path().join("server"));
        let a = server.device(&folder.path().join("a"), COMMUNE);
        let b = server.device(&folder.path().join("b"), COMMUNE);
        Self { server, a, b, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What `a` records, in two saves; the team.
    fn record(&self) -> String {
        let team = self.a.ok(&["team", "add", "--hamlet", "Thôn Mẫu", "--decision", "7/QĐ-UBND"]);
        self.a.ok(&["member", "add", "--team", &team, "--name", "Nguyễn Văn Thử", "--role", "leader"]);
        team
    }

    fn counted(&self, teams: u64, members: u64) -> Value {
        self.server.report_when(&["--unit", COMMUNE], |report| report["teams"] == teams && report["members"] == members)
    }
}

fn make(device: &FieldDevice, file: &Path) -> Value {
    device.json(&["bundle", "make", "--to", path(file)])
}

fn open(device: &FieldDevice, file: &Path) -> Value {
    device.json(&["bundle", "open", path(file)])
}

fn path(file: &Path) -> &str {
    file.to_str().expect("a path")
}

/// The receipt that a device shows of a team.
fn receipt(device: &FieldDevice, team: &str) -> String {
    device.json(&["team", "show", team])["receipt"].as_str().expect("a receipt").to_owned()
}

/// Two devices meet over TCP; what each reports.
fn meet(called: &FieldDevice, caller: &FieldDevice) -> (Value, Value) {
    let mut waiting = called
        .command(&["peer", "--listen", "127.0.0.1:0", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("toso runs");
    let mut lines = BufReader::new(waiting.stderr.take().expect("stderr is piped")).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.strip_prefix("listening on ").map(str::to_owned)).expect("an address");
    let caller = caller.json(&["peer", "--connect", &address]);
    let output = waiting.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the called side failed: {:?}", lines.collect::<Vec<_>>());
    (serde_json::from_slice(&output.stdout).expect("a report"), caller)
}

#[test]
fn a_bundle_reaches_the_centre_by_another_phone_and_its_receipt_comes_back() {
    let scene = Scene::new();
    let team = scene.record();
    let bundle = scene.file("there.toso");
    let made = make(&scene.a, &bundle);
    assert_eq!((&made["parcels"], &made["left"]), (&Value::from(1), &Value::from(0)), "{made}");
    for name in ["Nguyễn Văn Thử", "Thôn Mẫu", "7/QĐ-UBND"] {
        let bytes = fs::read(&bundle).expect("the bundle");
        assert!(!bytes.windows(name.len()).any(|window| window == name.as_bytes()), "{name} can be read in the bundle");
    }

    let taken = open(&scene.b, &bundle);
    assert_eq!((&taken["parcels"], &taken["changes"]), (&Value::from(1), &Value::from(2)), "{taken}");
    assert_eq!(scene.b.json(&["team", "show", &team])["decision_number"], "7/QĐ-UBND", "the carrier has it too");
    let again = open(&scene.b, &bundle);
    assert_eq!((&again["parcels"], &again["known"]), (&Value::from(0), &Value::from(1)), "twice changes nothing");
    assert_eq!((receipt(&scene.a, &team).as_str(), receipt(&scene.b, &team).as_str()), ("saved", "saved"));

    let report = scene.b.sync();
    assert_eq!((&report["acked"], &report["refused"]), (&Value::from(2), &Value::from(0)), "{report}");
    scene.counted(1, 1);
    assert_eq!(receipt(&scene.b, &team), "counted");
    assert_eq!(scene.b.sync()["pushed"], 0, "what was delivered is not pushed again");

    let back = scene.file("back.toso");
    make(&scene.b, &back);
    let heard = open(&scene.a, &back);
    assert_eq!(heard["received"], 2, "{heard}");
    assert_eq!(receipt(&scene.a, &team), "counted", "without ever having met the server");
    assert_eq!(open(&scene.a, &back)["received"], 0, "twice changes nothing");
    assert_eq!(scene.a.json(&["status"])["unsent"], 2, "the carrier's word does not empty the outbox");

    // The author's own push is known at the server, and acknowledged by the server itself.
    scene.a.sync();
    assert_eq!(scene.a.json(&["status"])["unsent"], 0);
    scene.counted(1, 1);
    let device = scene.a.json(&["status"])["device"].clone();
    let history = scene.b.json(&["history", &team]);
    let author = &device.as_str().expect("an id")[..16];
    assert!(history.to_string().contains(author), "the author stays the author: {history}");
}

#[test]
fn two_phones_that_meet_carry_for_each_other() {
    let scene = Scene::new();
    let team = scene.record();
    let other = scene.b.ok(&["team", "add", "--hamlet", "Thôn Thử"]);
    let (a, b) = meet(&scene.a, &scene.b);
    assert_eq!((&a["given"], &a["parcels"], &b["given"], &b["parcels"]), (&1.into(), &1.into(), &1.into(), &1.into()));
    assert_eq!(scene.a.json(&["team", "list"]).as_array().expect("a list").len(), 2);
    let (a, b) = meet(&scene.b, &scene.a);
    assert_eq!((&a["given"], &b["given"]), (&0.into(), &0.into()), "nothing is given twice");

    scene.b.sync();
    scene.counted(2, 1);
    let (a, b) = meet(&scene.a, &scene.b);
    assert_eq!(a["received"], 2, "{a}");
    assert_eq!((&a["given"], &b["given"]), (&0.into(), &0.into()), "what is delivered is not given again");
    assert_eq!(receipt(&scene.a, &team), "counted");
    scene.a.sync();
    assert_eq!(receipt(&scene.a, &other), "counted");
    scene.counted(2, 1);
}

#[test]
fn a_bundle_passes_through_several_hands() {
    let scene = Scene::new();
    scene.record();
    let c = scene.server.device(&scene.file("c"), COMMUNE);
    let (first, second) = (scene.file("1.toso"), scene.file("2.toso"));
    make(&scene.a, &first);
    open(&scene.b, &first);
    assert_eq!(make(&scene.b, &second)["parcels"], 1);
    assert_eq!(open(&c, &second)["parcels"], 1);
    c.sync();
    scene.counted(1, 1);
}

#[test]
fn whatever_is_changed_cut_or_addressed_wrongly_is_refused_in_words() {
    let scene = Scene::new();
    scene.record();
    let bundle = scene.file("bundle.toso");
    make(&scene.a, &bundle);
    let whole = fs::read(&bundle).expect("the bundle");
    let refused = |device: &FieldDevice, bytes: &[u8]| {
        let file = scene.file("bad.toso");
        fs::write(&file, bytes).expect("a file");
        device.refused(&["bundle", "open", path(&file)])
    };
    for index in [33, 40, 70, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[index] ^= 1;
        let words = refused(&scene.b, &changed);
        let known = ["cut off or was changed", "does not have", "another server", "outside this device's unit"];
        assert!(known.iter().any(|known| words.contains(known)), "byte {index}: {words}");
    }
    for length in [0, 7, 8, 59, 60, whole.len() - 1] {
        let words = refused(&scene.b, &whole[..length]);
        assert!(words.contains("no bundle") || words.contains("cut off"), "{length} bytes: {words}");
    }
    let too_large = refused(&scene.b, &vec![0; 4 * 1024 * 1024 + 1]);
    assert!(too_large.contains("at most"), "{too_large}");

    let neighbour = scene.server.device(&scene.file("neighbour"), OTHER_COMMUNE);
    assert!(refused(&neighbour, &whole).contains("outside this device's unit"));
    let elsewhere = Server::start(&scene.file("elsewhere"));
    let stranger = elsewhere.device(&scene.file("stranger"), COMMUNE);
    assert!(refused(&stranger, &whole).contains("another server"));
    assert_eq!(scene.b.json(&["team", "list"]), Value::Array(Vec::new()), "nothing was taken");
    assert_eq!(neighbour.json(&["team", "list"]), Value::Array(Vec::new()));
}

#[test]
fn nothing_of_a_revoked_author_is_taken_from_its_carrier() {
    let scene = Scene::new();
    scene.record();
    scene.b.sync();
    let bundle = scene.file("bundle.toso");
    make(&scene.a, &bundle);
    open(&scene.b, &bundle);
    let device = scene.a.json(&["status"])["device"].as_str().expect("an id").to_owned();
    let url = format!("{}/v1/devices/{device}/revoke", scene.server.url());
    let answer = ureq::post(&url)
        .header("Authorization", format!("Bearer {}", scene.server.admin_token()))
        .header("Toso-Purpose", "a test")
        .send_empty()
        .expect("the device is revoked");
    assert!(answer.status().is_success());
    let report = scene.b.sync();
    assert_eq!((&report["acked"], &report["refused"]), (&Value::from(0), &Value::from(2)), "{report}");
    assert_eq!(scene.b.sync()["pushed"], 0, "it is not tried for ever");
    scene.counted(0, 0);

    // The key of the unit's bundles is another now. B has synced since, and has it by that: what it makes from here on, A
    // cannot read.
    let (later, team) = (scene.file("later.toso"), scene.b.ok(&["team", "add", "--hamlet", "Thôn Mới"]));
    make(&scene.b, &later);
    let words = scene.a.refused(&["bundle", "open", path(&later)]);
    assert!(words.contains("does not have yet"), "{words}");
    let c = scene.server.device(&scene.file("c"), COMMUNE);
    assert_eq!(open(&c, &later)["parcels"], 1);
    assert_eq!(c.json(&["team", "show", &team])["hamlet"], "Thôn Mới");
    let words = c.refused(&["bundle", "open", path(&bundle)]);
    assert!(words.contains("before this device joined") && words.contains("make it anew"), "{words}");
}
