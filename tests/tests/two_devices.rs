//! Two devices record offline and meet: one team, both members, the clash seen by both and settled once.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tempfile::TempDir;
use toso_tests::{COMMUNE, FieldDevice, Server};

struct Scene {
    server: Server,
    a: FieldDevice,
    b: FieldDevice,
    _folders: [TempDir; 3],
}

fn scene() -> Scene {
    let folders = [(); 3].map(|()| TempDir::new().expect("a temporary folder"));
    let server = Server::start(folders[0].path());
    let a = server.device(folders[1].path(), COMMUNE);
    let b = server.device(folders[2].path(), COMMUNE);
    Scene { server, a, b, _folders: folders }
}

fn names(members: &Value) -> Vec<&str> {
    members.as_array().expect("a list").iter().map(|member| member["full_name"].as_str().expect("a name")).collect()
}

/// Both register the same hamlet (one writes "Thôn 01", the other "thôn 1"), each with a member, and both write the same
/// field. `first` and `second` sync in that order.
fn meet(scene: &Scene, first: &FieldDevice, second: &FieldDevice) {
    let team = scene.a.ok(&["team", "add", "--hamlet", "Thôn 01", "--decision", "12/QĐ-UBND"]);
    let same = scene.b.ok(&["team", "add", "--hamlet", "thôn 1", "--established", "20/8/2022"]);
    assert_eq!(team, same, "the same hamlet gives the same id on both devices");
    scene.a.ok(&["member", "add", "--team", &team, "--name", "Nguyễn Văn Thử", "--role", "leader"]);
    scene.b.ok(&["member", "add", "--team", &team, "--name", "Trần Thị Mẫu", "--phone", "0912 000 001"]);
    scene.a.ok(&["team", "edit", &team, "households_covered=120"]);
    scene.b.ok(&["team", "edit", &team, "households_covered=135"]);

    first.sync();
    second.sync();
    first.sync();

    for device in [&scene.a, &scene.b] {
        let teams = device.json(&["team", "list"]);
        assert_eq!(teams.as_array().expect("a list").len(), 1, "{teams}");
        assert_eq!(teams[0]["decision_number"], "12/QĐ-UBND");
        assert_eq!(teams[0]["established_on"], "2022-08-20");
        let members = device.json(&["member", "list", "--team", &team]);
        assert_eq!(names(&members), ["Trần Thị Mẫu", "Nguyễn Văn Thử"], "by given name");

        let conflicts = device.json(&["conflicts"]);
        let clash = conflicts
            .as_array()
            .expect("a list")
            .iter()
            .find(|conflict| conflict["field"] == "households_covered")
            .unwrap_or_else(|| panic!("the clash is shown: {conflicts}"));
        assert_eq!(clash["id"], Value::from(team.clone()));
        let mut values: Vec<&str> = clash["values"]
            .as_array()
            .expect("values")
            .iter()
            .map(|value| value["value"].as_str().expect("text"))
            .collect();
        values.sort_unstable();
        assert_eq!(values, ["120", "135"]);
        for value in clash["values"].as_array().expect("values") {
            assert!(value["device"].is_string() && value["at"].is_number(), "who and when: {value}");
        }
    }
    assert_eq!(
        scene.a.json(&["team", "list"])[0]["households_covered"],
        scene.b.json(&["team", "list"])[0]["households_covered"]
    );

    scene.a.ok(&["resolve", &team, "households_covered", "--value", "135"]);
    scene.a.sync();
    scene.b.sync();
    for device in [&scene.a, &scene.b] {
        let conflicts = device.json(&["conflicts"]);
        assert_eq!(
            conflicts,
            json!([]),
            "settled once is settled everywhere, and the hamlet's two spellings never clashed"
        );
        assert_eq!(device.json(&["team", "show", &team])["households_covered"], 135);
    }
    let report = scene.server.report_when(&["--unit", COMMUNE], |report| report["members"] == 2);
    assert_eq!(report["teams"], 1);
}

#[test]
fn two_devices_one_team_when_a_syncs_first() {
    let scene = scene();
    meet(&scene, &scene.a, &scene.b);
}

#[test]
fn two_devices_one_team_when_b_syncs_first() {
    let scene = scene();
    meet(&scene, &scene.b, &scene.a);
}

#[test]
fn receipts_go_from_saved_to_counted() {
    let scene = scene();
    let team = scene.a.ok(&["team", "add", "--hamlet", "Thôn 2"]);
    assert_eq!(scene.a.json(&["team", "show", &team])["receipt"], "saved");
    let report = scene.a.sync();
    assert_eq!(report["pushed"], 1);
    assert_eq!(report["acked"], 1);
    assert_eq!(scene.a.json(&["team", "show", &team])["receipt"], "counted");
    scene.a.ok(&["team", "edit", &team, "note=thử"]);
    assert_eq!(scene.a.json(&["team", "show", &team])["receipt"], "saved", "a new change is only here");
    let status = scene.a.json(&["status"]);
    assert_eq!(status["unsent"], 1);
    assert_eq!(status["totals"]["teams"], 1);
}

#[test]
fn merging_duplicates_is_counted_and_taken_back() {
    let scene = scene();
    let kept = scene.a.ok(&["team", "add", "--hamlet", "Xóm Đông"]);
    let wrong = scene.a.ok(&["team", "add", "--hamlet", "Xóm Đôngg"]);
    for team in [&kept, &wrong] {
        scene.a.ok(&["member", "add", "--team", team, "--name", "Lê Văn Thử", "--birth-year", "1990"]);
    }
    scene.a.ok(&["team", "merge", &wrong, &kept]);
    scene.a.sync();
    let report = scene.server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 1);
    assert_eq!(report["members"], 2, "the members of the duplicate belong to the team that is kept");
    let members = scene.a.json(&["member", "list", "--team", &kept]);
    assert_eq!(members.as_array().expect("a list").len(), 2);

    let suspects = scene.a.json(&["findings"]);
    let same: Vec<&Value> =
        suspects.as_array().expect("a list").iter().filter(|finding| finding["finding"] == "same_member").collect();
    assert_eq!(same.len(), 1, "the same name and birth year twice: {suspects}");
    let (first, second) = (same[0]["a"].as_str().expect("an id"), same[0]["b"].as_str().expect("an id"));
    scene.a.ok(&["member", "merge", first, second]);
    scene.a.sync();
    scene.server.report_when(&["--unit", COMMUNE], |report| report["members"] == 1);

    scene.a.ok(&["member", "unmerge", first]);
    scene.a.ok(&["team", "unmerge", &wrong]);
    scene.a.sync();
    scene.server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 2 && report["members"] == 2);
}

/// A clash named the devices that wrote it by their numbers, which nobody knows.
#[test]
fn clashes_and_histories_say_who_wrote_as_people_know_them() {
    let folders = [(); 3].map(|()| TempDir::new().expect("a temporary folder"));
    let server = Server::start(folders[0].path());
    let named = |home: &TempDir, name: &str| {
        let device = FieldDevice::new(home.path());
        device.ok(&["enrol", &server.invite(COMMUNE, "recorder"), "--name", name]);
        device
    };
    // What nobody sees in a name does not get as far as the server.
    let (a, b) = (named(&folders[1], "Máy của\u{202e} Thử"), named(&folders[2], "Máy của Mẫu\u{1b}"));
    let team = a.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    a.sync();
    b.sync();
    a.ok(&["team", "edit", &team, "households_covered=120"]);
    b.ok(&["team", "edit", &team, "households_covered=135"]);
    for device in [&a, &b, &a] {
        device.sync();
    }
    // Who wrote is named by the first half of its id.
    let other = b.json(&["status"])["device"].as_str().expect("an id")[..16].to_owned();
    // The sync that brought the clash has fetched the names; nobody has to ask for them.
    let told = a.ok(&["conflicts"]);
    assert!(told.contains(&format!("by Máy của Mẫu (device {other}) ")), "{told}");
    assert!(told.contains("by this device (Máy của Thử) "), "{told}");
    let values = a.json(&["conflicts"])[0]["values"].as_array().expect("values").clone();
    let own: Vec<bool> = values.iter().map(|value| value["this_device"].as_bool().expect("told")).collect();
    assert_eq!(own.iter().filter(|own| **own).count(), 1, "{values:?}");
    assert!(values.iter().any(|value| value["device_name"] == "Máy của Mẫu"), "{values:?}");
    // Also without network.
    drop(server);
    assert!(a.ok(&["history", &team]).contains(&format!("Máy của Mẫu (device {other})")));
}

#[test]
fn counters_of_an_activity_add_up() {
    let scene = scene();
    let team = scene.a.ok(&["team", "add", "--hamlet", "Thôn 3"]);
    let activity = scene.a.ok(&[
        "activity",
        "add",
        "--team",
        &team,
        "--date",
        "1/9/2022",
        "--kind",
        "group_session",
        "--reached",
        "10",
    ]);
    scene.a.sync();
    scene.b.sync();
    scene.a.ok(&["activity", "reach", "--team", &team, "--activity", &activity, "--more", "5"]);
    scene.b.ok(&["activity", "reach", "--team", &team, "--activity", &activity, "--more", "7"]);
    scene.a.sync();
    scene.b.sync();
    scene.a.sync();
    for device in [&scene.a, &scene.b] {
        let shown = device.json(&["team", "show", &team]);
        assert_eq!(shown["activities"][&activity]["reached"], 22, "{shown}");
    }
}
