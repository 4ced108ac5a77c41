//! Units are reorganised and volunteers change commune while phones are away: nothing is lost, nothing is counted twice,
//! and phone and centre agree at every moment.
//!
//! What others have met, in their users' reports, and each test below must not:
//! - medic/cht-core #11306 and #5701: after somebody was reassigned, the phone went on showing, and counting, places that
//!   the server no longer gave it, so the two disagreed for good.
//! - Tangerine #2722 and #2484: after locations were changed, edits of tablets that had not synced disappeared, and which
//!   ones did depended on who synced first.
//! - getodk/central #669, #698, #805: updates of a record that was made offline came before its creation, by another
//!   phone, and were refused or lost.
//! - kobocat #470: one submission over a network that kept breaking became several.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use toso_client::rest::Rest;
use toso_client::{AutoSync, Invite, enrol, sync_once};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::text::PlaceName;
use toso_replica::{HeldState, Replica, SyncOptions, SyncState, TeamDraft};
use toso_store::memory::MemoryChunkStore;
use toso_tests::{COMMUNE, FieldDevice, OTHER_COMMUNE, Server, http, toso};

struct Scene {
    server: Server,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self { server: Server::start(&folder.path().join("server")), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn backup(&mut self) {
        let (data, address) = (self.server.data().to_owned(), self.server.address().to_owned());
        self.server.stop();
        let mut command = Command::new(toso());
        command.args(["backup", "--data"]).arg(&data).arg("--to").arg(self.path("backup.zst"));
        assert!(command.status().expect("toso runs").success());
        self.server = Server::start_on(&data, &address);
    }

    /// The server from the backup, at the same address.
    fn restore(&mut self) {
        let (key, address) = (self.server.data().join("root.key"), self.server.address().to_owned());
        self.server.stop();
        let data = self.path("restored");
        let mut command = Command::new(toso());
        command.args(["restore", "--from"]).arg(self.path("backup.zst")).arg("--data").arg(&data);
        assert!(command.arg("--root-key").arg(key).stdout(Stdio::null()).status().expect("toso runs").success());
        self.server = Server::start_on(&data, &address);
    }

    fn device(&self, name: &str, commune: &str) -> FieldDevice {
        self.server.device(&self.path(name), commune)
    }

    /// A device of a unit, with a role and its token file.
    fn officer(&self, name: &str, unit: &str) -> PathBuf {
        let device = FieldDevice::new(&self.path(name));
        device.ok(&["enrol", &self.server.invite(unit, "officer")]);
        let file = self.path(&format!("{name}.token"));
        device.ok(&["token", "--out", file.to_str().expect("a path")]);
        file
    }

    fn run_as(&self, token: &Path, args: &[&str]) -> Output {
        let mut command = Command::new(toso());
        command.args(args).args(["--server", self.server.url(), "--admin-token-file"]).arg(token);
        command.output().expect("toso runs")
    }

    /// A command of an officer that must succeed.
    fn as_officer(&self, token: &Path, args: &[&str]) -> String {
        let output = self.run_as(token, args);
        assert!(output.status.success(), "toso {args:?} failed: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("output is text")
    }

    fn admin(&self, args: &[&str]) -> String {
        self.as_officer(&self.server.admin_token_file(), args)
    }

    fn move_to(&self, device: &FieldDevice, list: &str, code: &str) {
        let id = id(device);
        self.admin(&["device", "move", "--device", &id, "--to-list", list, "--to-unit", code]);
    }

    /// What waits in a commune of the list of 2022.
    fn open_items(&self, commune: &str) -> Vec<Value> {
        let list = self.admin(&["review", "list", "--list", "2022", "--unit", commune, "--status", "open", "--json"]);
        let list: Value = serde_json::from_str(&list).expect("one JSON value");
        list["items"].as_array().expect("a list").clone()
    }

    fn accept(&self, items: &[Value]) {
        for item in items {
            self.admin(&["review", "accept", &item["number"].to_string()]);
        }
    }

    fn counted(&self, commune: &str, teams: u64, members: u64) {
        self.server
            .report_when(&["--unit", commune], |report| report["teams"] == teams && report["members"] == members);
    }

    fn get(&self, path: &str) -> Value {
        http::get(&format!("{}{path}", self.server.url()), Some(&self.server.admin_token())).json()
    }
}

fn copy_folder(from: &Path, to: &Path) {
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

fn id(device: &FieldDevice) -> String {
    device.json(&["status"])["device"].as_str().expect("an id").to_owned()
}

/// Label and state of all that is held on a device, sorted.
fn held(device: &FieldDevice) -> Vec<(String, String)> {
    let list = device.json(&["held", "list"]);
    let mut held: Vec<_> =
        list.as_array().expect("a list").iter().map(|held| (text(held, "label"), text(held, "state"))).collect();
    held.sort();
    held
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is text in {value}")).to_owned()
}

/// The phone's figures of its unit are the centre's, as of the same position.
fn agrees_with_the_centre(scene: &Scene, device: &FieldDevice, unit: &str) {
    let status = device.json(&["status"]);
    let report = scene.server.report(&["--unit", unit]);
    for figure in ["teams", "members"] {
        assert_eq!(status["totals"][figure], report[figure], "{figure}: {status} {report}");
    }
}

#[test]
fn a_moved_volunteers_unsent_work_is_held_decided_and_told() {
    let scene = Scene::new();
    let (a, b) = (scene.device("a", COMMUNE), scene.device("b", COMMUNE));
    let (here, elsewhere) = (scene.officer("here", COMMUNE), scene.officer("elsewhere", OTHER_COMMUNE));
    let team = a.ok(&["team", "add", "--hamlet", "Thôn Mẫu"]);
    a.sync();
    b.sync();
    scene.counted(COMMUNE, 1, 0);

    // Offline: two members and a correction; meanwhile the volunteer is moved.
    a.ok(&["member", "add", "--team", &team, "--name", "Nguyễn Văn Thử"]);
    a.ok(&["member", "add", "--team", &team, "--name", "Trần Thị Mẫu"]);
    a.ok(&["team", "edit", &team, "households_covered=77"]);
    scene.move_to(&a, "2022", OTHER_COMMUNE);
    let report = a.sync();
    assert_eq!((&report["refused"], &report["acked"]), (&3.into(), &0.into()), "{report}");

    let status = a.json(&["status"]);
    assert_eq!(status["unit"]["code"], OTHER_COMMUNE);
    assert_eq!(
        (&status["unsent"], &status["documents"]),
        (&0.into(), &0.into()),
        "handed over, then forgotten: {status}"
    );
    let waiting = |label: &str| (label.to_owned(), "waiting".to_owned());
    assert_eq!(held(&a), [waiting("Nguyễn Văn Thử"), waiting("Thôn Mẫu"), waiting("Trần Thị Mẫu")]);
    assert!(a.ok(&["held", "list"]).contains("held for review by Phường Phúc Xá"), "{}", a.ok(&["held", "list"]));
    agrees_with_the_centre(&scene, &a, OTHER_COMMUNE);
    scene.counted(COMMUNE, 1, 0);

    // New records go to the new unit, at once.
    a.ok(&["team", "add", "--hamlet", "Thôn Mới"]);
    a.sync();
    scene.counted(OTHER_COMMUNE, 1, 0);
    a.sync();
    agrees_with_the_centre(&scene, &a, OTHER_COMMUNE);

    // The commune's officer sees what each would write; another commune's sees nothing of it, and decides nothing.
    let list = scene.as_officer(&here, &["review", "list", "--list", "2022", "--unit", COMMUNE]);
    assert!(list.contains("full_name=Nguyễn Văn Thử") && list.contains("households_covered=77"), "{list}");
    let refused = scene.run_as(&elsewhere, &["review", "list", "--list", "2022", "--unit", COMMUNE]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(!scene.run_as(&elsewhere, &["review", "accept", "1"]).status.success());
    let items = scene.open_items(COMMUNE);
    assert_eq!(items.len(), 3);
    let number = |words: &str| {
        let found = items.iter().find(|item| item["changes"].to_string().contains(words));
        found.unwrap_or_else(|| panic!("{words} in {items:?}"))["number"].to_string()
    };
    let (first, second, third) = (number("Nguyễn Văn Thử"), number("Trần Thị Mẫu"), number("77"));
    scene.as_officer(&here, &["review", "accept", &first, &third]);
    scene.as_officer(&here, &["review", "return", &second, "--note", "đã có ở tổ khác"]);
    for again in [
        &["review", "accept", &first][..],
        &["review", "return", &first, "--note", "thử"],
        &["review", "return", &second, "--note", "thử"],
    ] {
        let refused = scene.run_as(&here, again);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("409"), "{refused:?}");
    }
    scene.counted(COMMUNE, 1, 1);
    b.sync();
    assert_eq!(b.json(&["team", "show", &team])["households_covered"], 77);

    // The volunteer hears of it, once; what was returned can still be accepted.
    a.sync();
    let state = |label: &str, state: &str| (label.to_owned(), state.to_owned());
    assert_eq!(
        held(&a),
        [state("Nguyễn Văn Thử", "accepted"), state("Thôn Mẫu", "accepted"), state("Trần Thị Mẫu", "returned")]
    );
    assert!(a.ok(&["held", "list"]).contains("đã có ở tổ khác"));
    scene.as_officer(&here, &["review", "accept", &second]);
    scene.counted(COMMUNE, 1, 2);
    a.sync();
    assert!(held(&a).iter().all(|(_, state)| state == "accepted"));
    assert_eq!(a.ok(&["held", "dismiss"]), "3");
    a.sync();
    assert_eq!(held(&a), []);
    let metrics = http::get(&format!("{}/metrics", scene.server.url()), Some(&scene.server.admin_token())).body;
    for line in ["toso_review_open 0", "toso_review_accepted_total 3", "toso_review_returned_total 1"] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

/// Tangerine #2722 and #2484: with three tablets and a change of location, what remained depended on the order. Here all
/// six orders of three phones' syncs, one of which was moved, end in the same register.
#[test]
fn the_register_is_the_same_in_any_order_of_syncs() {
    let scene = Scene::new();
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let communes = ["00001", "00004", "00006", "00007", "00008", "00013"];
    let mut ends = Vec::new();
    for (order, commune) in orders.into_iter().zip(communes) {
        let devices: Vec<_> = (0..3).map(|number| scene.device(&format!("{commune}-{number}"), commune)).collect();
        let team = devices[0].ok(&["team", "add", "--hamlet", "Thôn Mẫu"]);
        devices[0].sync();
        devices[1].sync();
        devices[2].sync();
        for (device, (households, name)) in
            devices.iter().zip([("10", "Nguyễn Văn Thử"), ("20", "Trần Thị Mẫu"), ("30", "Lê Văn Giả")])
        {
            device.ok(&["team", "edit", &team, &format!("households_covered={households}")]);
            device.ok(&["member", "add", "--team", &team, "--name", name]);
        }
        scene.move_to(&devices[0], "2022", "00016");
        for number in order {
            devices[number].sync();
        }
        let items = scene.open_items(commune);
        assert_eq!(items.len(), 2, "what the moved phone had, in whatever order it came");
        scene.accept(&items);
        scene.counted(commune, 1, 3);
        let detail = scene.get(&format!("/v1/teams/{team}"));
        let clash =
            detail["conflicts"].as_array().expect("a list").iter().find(|clash| clash["field"] == "households_covered");
        let values = clash.expect("the three values clash")["values"].as_array().expect("values");
        let mut values: Vec<_> = values.iter().map(|value| text(value, "value")).collect();
        values.sort();
        let members = scene.get(&format!("/v1/members?team={team}"));
        let mut names: Vec<_> =
            members["items"].as_array().expect("a list").iter().map(|member| text(member, "full_name")).collect();
        names.sort();
        ends.push((text(&detail, "hamlet"), values, names));
        for device in &devices[1..] {
            device.sync();
            assert_eq!(device.json(&["member", "list", "--team", &team]).as_array().map(Vec::len), Some(3));
        }
    }
    let (hamlet, values, names) = &ends[0];
    assert_eq!((hamlet.as_str(), values.len(), names.len()), ("Thôn Mẫu", 3, 3));
    assert!(ends.iter().all(|end| end == &ends[0]), "{ends:?}");
}

/// getodk/central #669, #698 and #805: a record is made offline on one phone, another phone that got it by a file updates
/// it and is online first; the maker comes later, from another unit, and the officer decides the update before the creation.
#[test]
fn an_update_may_come_before_the_creation_that_it_is_of() {
    let scene = Scene::new();
    let (maker, other) = (scene.device("maker", COMMUNE), scene.device("other", COMMUNE));
    let team = maker.ok(&["team", "add", "--hamlet", "Thôn Mẫu", "--decision", "7/QĐ-UBND"]);
    maker.ok(&["team", "edit", &team, "local_name=Tổ thử"]);
    let file = scene.path("bundle");
    let file = file.to_str().expect("a path");
    maker.json(&["bundle", "make", "--to", file]);
    other.json(&["bundle", "open", file]);
    other.ok(&["team", "edit", &team, "households_covered=20"]);
    scene.move_to(&maker, "2022", OTHER_COMMUNE);

    other.sync();
    maker.sync();
    let items = scene.open_items(COMMUNE);
    assert_eq!(items.len(), 2, "creation and update of the maker: {items:?}");
    let (update, creation): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| item["changes"].to_string().contains("local_name"));
    scene.accept(&update);
    scene.accept(&creation);
    scene.counted(COMMUNE, 1, 0);
    let detail = scene.get(&format!("/v1/teams/{team}"));
    assert_eq!(
        (text(&detail, "hamlet"), text(&detail, "local_name"), text(&detail, "decision_number")),
        ("Thôn Mẫu".to_owned(), "Tổ thử".to_owned(), "7/QĐ-UBND".to_owned())
    );
    assert_eq!(detail["households_covered"], 20, "the other phone's update waited for what it was of: {detail}");
    maker.sync();
    assert!(held(&maker).iter().all(|(_, state)| state == "accepted"));
}

/// kobocat #470: a phone that is cut off again and again while it sends, before and after it was moved.
#[test]
fn a_connection_cut_many_times_makes_nothing_twice() {
    let scene = Scene::new();
    let device = scene.device("a", COMMUNE);
    let team = device.ok(&["team", "add", "--hamlet", "Thôn Mẫu"]);
    device.ok(&["member", "add", "--team", &team, "--name", "Nguyễn Văn Thử"]);
    cut_again_and_again(&device);
    device.sync();
    scene.counted(COMMUNE, 1, 1);

    device.ok(&["member", "add", "--team", &team, "--name", "Trần Thị Mẫu"]);
    device.ok(&["team", "edit", &team, "households_covered=9"]);
    scene.move_to(&device, "2022", OTHER_COMMUNE);
    cut_again_and_again(&device);
    device.sync();
    let items = scene.open_items(COMMUNE);
    assert_eq!(items.len(), 2, "{items:?}");
    assert_eq!(held(&device).len(), 2);
    assert_eq!(device.json(&["status"])["documents"], 0, "however often it was cut while it forgot");
    scene.accept(&items);
    cut_again_and_again(&device);
    device.sync();
    scene.counted(COMMUNE, 1, 2);
    assert!(held(&device).iter().all(|(_, state)| state == "accepted"), "{:?}", held(&device));
}

/// Kills a sync ever later: before it dials, in the greeting, in the middle of its commits.
fn cut_again_and_again(device: &FieldDevice) {
    for round in 0..12 {
        let mut sync =
            device.command(&["sync"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("toso runs");
        std::thread::sleep(Duration::from_millis(20 + 15 * round));
        // It may have ended by itself.
        let _ = sync.kill();
        sync.wait().expect("it ends");
    }
}

/// The wards of Ba Đình became others in 2025. A phone of one of them is moved into the ward of 2025 that contains it:
/// nothing is forgotten or held, and the neighbours' records come.
#[test]
fn a_merged_unit_brings_more_documents_and_takes_none() {
    let scene = Scene::new();
    let (a, b) = (scene.device("a", "00004"), scene.device("b", "00013"));
    a.ok(&["team", "add", "--hamlet", "Thôn Một"]);
    b.ok(&["team", "add", "--hamlet", "Thôn Hai"]);
    a.sync();
    b.sync();
    a.ok(&["team", "add", "--hamlet", "Thôn Ba"]);
    for unit in ["00004", "00013"] {
        let moved = scene.admin(&["device", "move", "--from-unit", unit, "--to-list", "2025", "--to-unit", "00004"]);
        assert_eq!(moved.trim(), "1 device(s) moved");
    }
    a.sync();
    assert_eq!(held(&a), []);
    let names = |device: &FieldDevice| {
        let teams = device.json(&["team", "list"]);
        let mut names: Vec<_> = teams.as_array().expect("a list").iter().map(|team| text(team, "hamlet")).collect();
        names.sort();
        names
    };
    assert_eq!(names(&a), ["Thôn Ba", "Thôn Hai", "Thôn Một"]);
    b.sync();
    assert_eq!(names(&b), names(&a));
    assert_eq!(a.json(&["status"])["unit"]["list"], 2025);
    scene.server.report_when(&["--list", "2025", "--unit", "00004"], |report| report["teams"] == 3);
    a.sync();
    assert_eq!(a.json(&["status"])["totals"]["teams"], 3);
}

/// A district was divided among wards of 2025. A phone of the district goes to one of them: what lies there stays, what
/// went to another ward is forgotten, and unsent edits for that part are held.
#[test]
fn a_divided_unit_keeps_its_part_and_hands_over_the_rest() {
    let scene = Scene::new();
    let device = FieldDevice::new(&scene.path("a"));
    device.ok(&["enrol", &scene.server.invite("001", "recorder")]);
    let inside = device.ok(&["team", "add", "--hamlet", "Thôn Trong", "--commune", "00004"]);
    let outside = device.ok(&["team", "add", "--hamlet", "Thôn Ngoài", "--commune", "00001"]);
    device.sync();
    device.ok(&["team", "edit", &inside, "households_covered=1"]);
    device.ok(&["team", "edit", &outside, "households_covered=2"]);
    scene.move_to(&device, "2025", "00004");
    let report = device.sync();
    assert_eq!((&report["acked"], &report["refused"]), (&1.into(), &1.into()), "{report}");
    let teams = device.json(&["team", "list"]);
    assert_eq!(teams.as_array().expect("a list").len(), 1, "{teams}");
    assert_eq!((&teams[0]["id"], &teams[0]["households_covered"]), (&inside.into(), &1.into()));
    assert_eq!(held(&device), [("Thôn Ngoài".to_owned(), "waiting".to_owned())]);
    assert_eq!(scene.open_items("00001").len(), 1);
    // One of two heirs of a single ward: what the default heir has, the other has not.
    let split = scene.device("b", "00007");
    split.ok(&["team", "add", "--hamlet", "Thôn Chia"]);
    scene.move_to(&split, "2025", "00025");
    split.sync();
    assert_eq!(split.json(&["status"])["documents"], 0);
    assert_eq!(held(&split), [("Thôn Chia".to_owned(), "waiting".to_owned())]);
}

/// A revoked phone hands over what it has not sent, forgets everything, and is shut out.
#[test]
fn a_revoked_devices_unsent_work_is_kept_for_review() {
    let scene = Scene::new();
    let device = scene.device("a", COMMUNE);
    device.ok(&["team", "add", "--hamlet", "Thôn Mẫu"]);
    device.sync();
    device.ok(&["team", "add", "--hamlet", "Thôn Chưa Gửi"]);
    scene.admin(&["device", "revoke", "--device", &id(&device)]);
    assert!(device.refused(&["sync"]).contains("revoked"));
    let status = device.json(&["status"]);
    assert_eq!((&status["documents"], &status["unsent"]), (&0.into(), &0.into()), "{status}");
    let items = scene.open_items(COMMUNE);
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["reason"], "revoked");
    scene.accept(&items);
    scene.counted(COMMUNE, 2, 0);
    // It is told how its last work ended, and stays out.
    assert!(device.refused(&["sync"]).contains("revoked"));
    assert_eq!(held(&device), [("Thôn Chưa Gửi".to_owned(), "accepted".to_owned())]);
}

/// The queue of a server that is restored from a backup knows nothing of what was held after it. The phone keeps what it
/// handed over until it has read the end of it, and hands it over again: also what was accepted since, which no other
/// phone had fetched, and with the words that the volunteer knew it by.
#[test]
fn what_was_held_or_accepted_after_the_backup_is_handed_over_again() {
    for moved_before_the_backup in [true, false] {
        let mut scene = Scene::new();
        let device = scene.device("a", COMMUNE);
        let team = device.ok(&["team", "add", "--hamlet", "Thôn Mẫu"]);
        device.sync();
        device.ok(&["member", "add", "--team", &team, "--name", "Nguyễn Văn Thử"]);
        device.ok(&["member", "add", "--team", &team, "--name", "Trần Thị Mẫu"]);
        device.ok(&["team", "edit", &team, "households_covered=77"]);
        if moved_before_the_backup {
            scene.move_to(&device, "2022", OTHER_COMMUNE);
        }
        scene.backup();
        if !moved_before_the_backup {
            scene.move_to(&device, "2022", OTHER_COMMUNE);
        }
        device.sync();
        let items = scene.open_items(COMMUNE);
        assert_eq!(items.len(), 3);
        let accepted = items.into_iter().find(|item| item["changes"].to_string().contains("Nguyễn Văn Thử"));
        scene.accept(&[accepted.expect("the first member waits")]);
        device.sync();
        let state = |label: &str, state: &str| (label.to_owned(), state.to_owned());
        let [first, second, third] = ["Nguyễn Văn Thử", "Thôn Mẫu", "Trần Thị Mẫu"];
        assert_eq!(held(&device), [state(first, "accepted"), state(second, "waiting"), state(third, "waiting")]);

        scene.restore();
        assert_eq!(scene.open_items(COMMUNE).len(), 0, "the backup is older");
        // Of a move that it has lost the restored server learns from the phone, and no officer has to make it again.
        device.sync();
        let items = scene.open_items(COMMUNE);
        assert_eq!(items.len(), 3, "handed over again");
        assert_eq!(held(&device), [state(first, "waiting"), state(second, "waiting"), state(third, "waiting")]);
        let status = device.json(&["status"]);
        assert_eq!((&status["documents"], &status["unsent"]), (&0.into(), &0.into()), "and forgotten again: {status}");
        device.sync();
        assert_eq!(scene.open_items(COMMUNE).len(), 3, "once");
        scene.accept(&items);
        scene.counted(COMMUNE, 1, 2);
        device.sync();
        assert!(held(&device).iter().all(|(_, state)| state == "accepted"), "{:?}", held(&device));
    }
}

/// A phone that was restored from an older copy has not read what it once confirmed, so it is told again.
#[test]
fn a_phone_from_an_older_copy_hears_again_what_was_decided() {
    let scene = Scene::new();
    let device = scene.device("a", COMMUNE);
    let team = device.ok(&["team", "add", "--hamlet", "Thôn Mẫu"]);
    device.sync();
    device.ok(&["member", "add", "--team", &team, "--name", "Nguyễn Văn Thử"]);
    device.ok(&["member", "add", "--team", &team, "--name", "Trần Thị Mẫu"]);
    scene.move_to(&device, "2022", OTHER_COMMUNE);
    device.sync();
    let copy = scene.path("copy");
    copy_folder(device.home(), &copy);
    let items = scene.open_items(COMMUNE);
    scene.accept(&items[..1]);
    scene.admin(&["review", "return", &items[1]["number"].to_string(), "--note", "thử"]);
    device.sync();
    let told = held(&device);
    assert!(told.iter().all(|(_, state)| state != "waiting"), "{told:?}");
    std::fs::remove_dir_all(device.home()).expect("the folder goes");
    copy_folder(&copy, device.home());
    assert!(held(&device).iter().all(|(_, state)| state == "waiting"));
    device.sync();
    assert_eq!(held(&device), told);
}

/// A volunteer who is moved away and back reads how the edit ended that was held meanwhile, although its record comes back
/// to the phone with the edit in it.
#[test]
fn an_accepted_edit_is_told_also_when_its_record_comes_back() {
    let scene = Scene::new();
    let device = scene.device("a", COMMUNE);
    let team = device.ok(&["team", "add", "--hamlet", "Thôn Mẫu"]);
    device.sync();
    device.ok(&["team", "edit", &team, "households_covered=77"]);
    scene.move_to(&device, "2022", OTHER_COMMUNE);
    device.sync();
    scene.move_to(&device, "2022", COMMUNE);
    scene.accept(&scene.open_items(COMMUNE));
    device.sync();
    assert_eq!(device.json(&["team", "show", &team])["households_covered"], 77);
    assert_eq!(held(&device), [("Thôn Mẫu".to_owned(), "accepted".to_owned())]);
    // The next sync compares digests, and finds them equal.
    let again = device.sync();
    assert_eq!((&again["round_trips"], &again["pulled"]), (&1.into(), &0.into()), "{again}");
}

/// A phone that stays connected hears of a move and of decisions while they happen: nobody touches it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connected_phone_is_moved_and_hears_decisions_at_once() {
    let scene = Scene::new();
    let invite = Invite::parse(&scene.server.invite(COMMUNE, "recorder")).expect("an invite");
    let store = Arc::new(MemoryChunkStore::default());
    enrol(store.as_ref(), &Rest::default(), &invite, None).expect("enrolled");
    let replica = Arc::new(Replica::open(store, &toso_client::system::options()).expect("opened"));
    let name = || DocEdit::Team(TeamEdit::HouseholdsCovered(Some(9)));
    let hamlet = PlaceName::parse("Thôn Mẫu").ok();
    let team = replica.add_team(TeamDraft { hamlet, ..TeamDraft::default() }).expect("recorded");
    sync_once(&replica, SyncOptions::default(), |_, _| ()).await.1.expect("synced");
    replica.edit(team, &[name()]).expect("recorded");

    // Moved while it is away: what it had is held as soon as it is back, and the decision comes over the open socket.
    let id = replica.device().id().to_string();
    let to = |code: &'static str| {
        ["device", "move", "--device", &id, "--to-list", "2022", "--to-unit", code].map(str::to_owned)
    };
    let run = |args: &[String]| scene.admin(&args.iter().map(String::as_str).collect::<Vec<_>>());
    run(&to(OTHER_COMMUNE));
    let sync = AutoSync::start(Arc::clone(&replica), SyncOptions::default());
    let unit_is = |code: &str| replica.credential().is_ok_and(|credential| credential.unit.code.as_str() == code);
    let state_is = |state| replica.held().is_ok_and(|held| held.len() == 1 && held[0].state == state);
    until(|| unit_is(OTHER_COMMUNE) && state_is(HeldState::Waiting)).await;
    let mut shown = sync.state();
    shown.wait_for(|state| *state == SyncState::UpToDate).await.expect("it goes on");
    let opened = sessions_opened(&scene);
    let items = scene.open_items(COMMUNE);
    scene.admin(&["review", "return", &items[0]["number"].to_string(), "--note", "thử"]);
    until(|| state_is(HeldState::Returned)).await;
    scene.accept(&items);
    until(|| state_is(HeldState::Accepted)).await;
    assert_eq!(sessions_opened(&scene), opened, "over the socket that was open");

    // Moved while it is connected: the socket is closed, and the next one says where it belongs.
    run(&to("00007"));
    until(|| unit_is("00007")).await;
    shown.wait_for(|state| *state == SyncState::UpToDate).await.expect("it goes on");
    assert_eq!(replica.status().expect("readable").documents, 0);
}

async fn until(mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not come to be");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn sessions_opened(scene: &Scene) -> u64 {
    let metrics = http::get(&format!("{}/metrics", scene.server.url()), Some(&scene.server.admin_token())).body;
    let line = metrics.lines().find_map(|line| line.strip_prefix("toso_sessions_opened_total "));
    line.and_then(|count| count.parse().ok()).expect("it is counted")
}

/// An officer who had been moved decided himself on what he had left unsent, by a colleague's device or his own.
#[test]
fn nobody_decides_on_what_was_made_in_his_own_rank() {
    let scene = Scene::new();
    let author = FieldDevice::new(&scene.path("author"));
    author.ok(&["enrol", &scene.server.invite(COMMUNE, "officer")]);
    author.ok(&["team", "add", "--hamlet", "Thôn Mẫu"]);
    let (beside, above) = (scene.officer("beside", COMMUNE), scene.officer("above", "001"));
    scene.admin(&["device", "revoke", "--device", &id(&author)]);
    // It hands over what it has, and is told that it was shut out.
    assert!(!author.run(&["sync"]).status.success());
    let items = scene.open_items(COMMUNE);
    let number = items[0]["number"].to_string();
    for action in [&["review", "accept", &number][..], &["review", "return", &number, "--note", "thử"]] {
        let refused = scene.run_as(&beside, action);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("not below you"), "{said}");
    }
    let hidden = scene.run_as(&above, &["review", "return", &number, "--note", "x\u{202e}"]);
    let said = String::from_utf8_lossy(&hidden.stderr).into_owned();
    assert!(!hidden.status.success() && said.contains("the note: character 2"), "{said}");
    scene.as_officer(&above, &["review", "accept", &number]);
    scene.counted(COMMUNE, 1, 0);
}
