//! What becomes of unsent work, of records and of figures when a phone's unit changes under it, in whatever order phones come.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use toso_tests::{COMMUNE, FieldDevice, OTHER_COMMUNE, http};

use crate::scene::{Scene, agrees_with_the_centre, held, text};

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
