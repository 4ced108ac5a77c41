//! What comes after a loss: a server from an older backup or with an empty store, a phone from an older copy, one phone
//! become two, a change gone without a word. Everybody syncs, in any order, and nothing is lost that anybody holds.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics on what must not happen")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use toso_store::{ChunkStore, Transaction};
use toso_store_sled::{Options, SledChunkStore};
use toso_tests::{COMMUNE, FieldDevice, Server, toso};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn ok(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Ids with what a device shows of its teams and members, receipts aside.
fn content(device: &FieldDevice) -> Vec<Value> {
    let mut content = Vec::new();
    for kind in ["team", "member"] {
        let Value::Array(mut list) = device.json(&[kind, "list"]) else { panic!("a list") };
        list.iter_mut().filter_map(Value::as_object_mut).for_each(|record| _ = record.remove("receipt"));
        content.extend(list);
    }
    content.sort_by_key(ToString::to_string);
    content
}

/// Waits until the centre has counted so many teams and members.
fn counts(server: &Server, teams: u64, members: u64) {
    server.report_when(&["--unit", COMMUNE], |report| report["teams"] == teams && report["members"] == members);
}

fn told(what: &str, report: &Value) {
    println!(
        "{what}: {} B up, {} B down, {} round trips, pushed {}, pulled {}",
        report["bytes_up"], report["bytes_down"], report["round_trips"], report["pushed"], report["pulled"]
    );
}

/// Three phones and a server with a backup; after it, each of them adds what the backup does not have. The third phone is
/// lost; the other two hold its work.
struct Story {
    folder: tempfile::TempDir,
    server: Server,
    a: FieldDevice,
    b: FieldDevice,
    /// True where the third phone, which is lost, is nobody to the server.
    server_knows_no_author: bool,
}

fn story() -> Story {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut server = Server::start(&at("centre"));
    let [a, b, c] = ["a", "b", "c"].map(|name| server.device(&at(name), COMMUNE));
    let team = a.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    a.sync();
    b.sync();
    c.sync();
    server.stop();
    ok(Command::new(toso()).args(["backup", "--data"]).arg(at("centre")).arg("--to").arg(at("backup.zst")));
    let address = server.address().to_owned();
    drop(server);
    let server = Server::start_on(&at("centre"), &address);
    a.ok(&["team", "add", "--hamlet", "Thôn 2"]);
    a.ok(&["member", "add", "--team", &team, "--name", "Nguyễn Văn Thử"]);
    b.ok(&["team", "edit", &team, "households_covered=135"]);
    c.ok(&["team", "add", "--hamlet", "Thôn 3"]);
    c.ok(&["member", "add", "--team", &team, "--name", "Trần Thị Mẫu"]);
    for device in [&c, &a, &b, &a] {
        device.sync();
    }
    assert_eq!(content(&a), content(&b));
    counts(&server, 3, 2);
    Story { folder, server, a, b, server_knows_no_author: false }
}

impl Story {
    /// The server on another folder, at the same address.
    fn move_to(self, data: &Path) -> Self {
        let Self { folder, mut server, a, b, server_knows_no_author } = self;
        let address = server.address().to_owned();
        server.stop();
        drop(server);
        Self { server: Server::start_on(data, &address), folder, a, b, server_knows_no_author }
    }

    /// An officer accepts what others brought back of devices that the server does not know; how many changes.
    fn accept_what_is_held(&self) -> usize {
        let review = |arguments: &[&str]| {
            let mut command = Command::new(toso());
            command.arg("review").args(arguments).args(["--server", self.server.url()]);
            let output = command.arg("--admin-token-file").arg(self.server.admin_token_file()).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        let open: Value =
            serde_json::from_slice(&review(&["list", "--list", "2022", "--unit", COMMUNE, "--json"])).unwrap();
        let open = open["items"].as_array().unwrap();
        for item in open {
            assert_eq!(item["reason"], "returned", "{item}");
            assert!(item["brought_back_by"].is_string(), "{item}");
            review(&["accept", &item["number"].to_string()]);
        }
        open.len()
    }

    /// All sync, in an order; then everybody has everything, also one that comes new.
    fn heals(&self, order: &[&FieldDevice]) {
        let before = content(&self.a);
        for (number, device) in order.iter().enumerate() {
            told(&format!("sync {number} after the loss"), &device.sync());
        }
        let held = self.accept_what_is_held();
        assert_eq!(held > 0, self.server_knows_no_author, "{held} changes waited for an officer");
        for device in [&self.a, &self.b] {
            device.sync();
            assert_eq!(content(device), before, "what a device has stays");
            let again = device.sync();
            assert_eq!((&again["round_trips"], &again["pushed"], &again["pulled"]), (&1.into(), &0.into(), &0.into()));
            for record in device.json(&["team", "list"]).as_array().unwrap() {
                assert_eq!(record["receipt"], "counted");
            }
        }
        let new = self.server.device(&self.folder.path().join("new"), COMMUNE);
        new.sync();
        assert_eq!(content(&new), before, "the server has everything again");
        counts(&self.server, 3, 2);
        self.shows_who_brought_back(&new);
    }

    /// What the lost phone had recorded was brought back by one of the others. The centre says so, and so does every phone
    /// that gets it from there.
    fn shows_who_brought_back(&self, new: &FieldDevice) {
        let teams = new.json(&["team", "list"]);
        let lost = teams.as_array().unwrap().iter().find(|team| team["hamlet"] == "Thôn 3");
        let id = lost.unwrap()["id"].as_str().unwrap();
        let shown = new.json(&["history", id]);
        let by = shown[0]["brought_back_by"].as_str().unwrap_or_else(|| panic!("nobody: {shown}"));
        let carriers = [&self.a, &self.b].map(|device| device.json(&["status"])["device"].as_str().unwrap().to_owned());
        assert!(carriers.iter().any(|device| device.starts_with(by)), "{by} is none of {carriers:?}");
        assert_ne!(shown[0]["device"], shown[0]["brought_back_by"], "the author is still told");
        assert!(new.ok(&["history", id]).contains("brought back by"));
        let url = format!("{}/v1/teams/{id}", self.server.url());
        let centre = toso_tests::http::get(&url, Some(&self.server.admin_token())).json();
        assert_eq!(centre["history"][0]["brought_back_by"], by, "{centre}");
    }
}

#[test]
fn phones_give_back_what_a_restored_server_has_lost() {
    for turned in [false, true] {
        let story = story();
        let at = |name: &str| story.folder.path().join(name);
        let restored = at("restored");
        ok(Command::new(toso())
            .args(["restore", "--from"])
            .arg(at("backup.zst"))
            .arg("--data")
            .arg(&restored)
            .arg("--root-key")
            .arg(at("centre").join("root.key")));
        let story = story.move_to(&restored);
        // The backup is older.
        counts(&story.server, 1, 0);
        if turned { story.heals(&[&story.b, &story.a]) } else { story.heals(&[&story.a, &story.b]) }
    }
}

/// The story: a phone was stolen and revoked, the server was lost, and the restored one let the thief in again, since the
/// backup was older. Where nobody knows who was shut out since, nobody is let in, and nothing that phones have is lost.
#[test]
fn a_restored_server_that_does_not_know_whom_it_has_shut_out_waits_for_its_operator() {
    let story = story();
    let at = |name: &str| story.folder.path().join(name);
    let (restored, apart) = (at("restored"), at("apart"));
    std::fs::create_dir(&apart).unwrap();
    std::fs::copy(at("centre").join("root.key"), apart.join("root.key")).unwrap();
    let mut command = Command::new(toso());
    command.args(["restore", "--from"]).arg(at("backup.zst")).arg("--data").arg(&restored);
    ok(command.arg("--root-key").arg(apart.join("root.key")));
    let story = story.move_to(&restored);
    let (url, thief) =
        (story.server.url().to_owned(), story.b.json(&["status"])["device"].as_str().unwrap().to_owned());

    let health = toso_tests::http::get(&format!("{url}/healthz"), None);
    assert_eq!((health.status, health.json()["status"].as_str()), (503, Some("quarantined")));
    let before = content(&story.a);
    assert!(!story.a.run(&["sync"]).status.success());
    assert_eq!(content(&story.a), before);
    let admin = story.server.admin_token();
    let device_reads = |path: &str| toso_tests::http::get(&format!("{url}{path}"), Some(&admin)).status;
    assert_eq!(device_reads("/v1/members?unit=2022/00001"), 200, "it is read at the machine itself");
    let invite = serde_json::json!({ "unit": "2022/00001", "role": "recorder" });
    assert_eq!(toso_tests::http::post(&format!("{url}/v1/invites"), Some(&admin), &invite).status, 503);

    let quarantine = |arguments: &[&str]| {
        let mut command = Command::new(toso());
        command.arg("quarantine").args(arguments).args(["--server", &url, "--admin-token-file"]);
        command.arg(story.server.admin_token_file()).output().unwrap()
    };
    assert!(!quarantine(&["end"]).status.success(), "silence is no answer");
    assert!(quarantine(&["end", "--revoke", &thief]).status.success());
    assert!(!quarantine(&["end", "--none"]).status.success(), "it has ended");
    // The other brings what was lost; what the thief had made waits for an officer.
    story.a.sync();
    assert!(story.accept_what_is_held() > 0);
    counts(&story.server, 3, 2);
    story.b.run(&["sync"]);
    assert!(story.b.json(&["team", "list"]).as_array().unwrap().is_empty(), "shut out, and told to forget");
}

#[test]
fn phones_fill_an_empty_store_again() {
    let story = story();
    let emptied = story.folder.path().join("emptied");
    std::fs::create_dir(&emptied).unwrap();
    for file in ["root.key", "revocations.list"] {
        std::fs::copy(story.folder.path().join("centre").join(file), emptied.join(file)).unwrap();
    }
    let mut story = story.move_to(&emptied);
    story.server_knows_no_author = true;
    story.heals(&[&story.b, &story.a]);
}

#[test]
fn a_phone_from_an_older_copy_gets_its_own_work_back_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let server = Server::start(&at("centre"));
    let a = server.device(&at("a"), COMMUNE);
    a.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    a.sync();
    copy(a.home(), &at("copy"));
    let team = a.ok(&["team", "add", "--hamlet", "Thôn 2"]);
    a.ok(&["team", "edit", &team, "households_covered=12"]);
    a.sync();
    let before = content(&a);
    std::fs::remove_dir_all(a.home()).unwrap();
    copy(&at("copy"), a.home());
    // Offline work on the old copy, before it meets the server again.
    a.ok(&["team", "add", "--hamlet", "Thôn 3"]);
    a.ok(&["team", "add", "--hamlet", "Thôn 2"]);
    told("a phone from an older copy", &a.sync());
    a.sync();
    let after = content(&a);
    assert_eq!(after.len(), before.len() + 1);
    let two = a.json(&["team", "show", &team]);
    assert_eq!(two["households_covered"], 12, "{two}");
    counts(&server, 3, 0);
}

#[test]
fn one_phone_that_became_two_is_two_writers_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let server = Server::start(&at("centre"));
    let a = server.device(&at("a"), COMMUNE);
    let team = a.ok(&["team", "add", "--hamlet", "Thôn 1"]);
    a.ok(&["team", "edit", &team, "households_covered=1"]);
    // With unsent work in it.
    copy(a.home(), &at("twin"));
    let twin = FieldDevice::new(&at("twin"));
    for (device, hamlet, households) in [(&a, "Thôn 2", "20"), (&twin, "Thôn 3", "30")] {
        device.ok(&["team", "add", "--hamlet", hamlet]);
        device.ok(&["team", "edit", &team, &format!("households_covered={households}")]);
    }
    for device in [&a, &twin, &a, &twin] {
        device.sync();
    }
    assert_eq!(content(&a), content(&twin));
    counts(&server, 3, 0);
    let conflicts = a.json(&["conflicts"]);
    assert_eq!(conflicts.as_array().map(Vec::len), Some(1), "both values are shown: {conflicts}");
}

#[test]
fn a_change_that_went_without_a_word_is_noticed_at_the_next_idle_sync() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let server = Server::start(&at("centre"));
    let a = server.device(&at("a"), COMMUNE);
    for hamlet in 1..=20 {
        a.ok(&["team", "add", "--hamlet", &format!("Thôn {hamlet}")]);
    }
    a.sync();
    let before = content(&a);
    let idle = a.sync();
    assert_eq!((&idle["round_trips"], &idle["pulled"]), (&1.into(), &0.into()), "equal digests cost nothing");
    {
        let store = SledChunkStore::open(a.home(), Options::phone()).unwrap();
        let (_, doc) = store.documents().unwrap()[7];
        store.commit(Transaction { remove_documents: vec![doc], ..Transaction::default() }).unwrap();
    }
    assert_eq!(content(&a).len(), before.len() - 1);
    let healed = a.sync();
    told("one change of 20 missing", &healed);
    assert_eq!(healed["pulled"], 1);
    assert_eq!(content(&a), before);
    let idle = a.sync();
    assert_eq!((&idle["round_trips"], &idle["pulled"]), (&1.into(), &0.into()));
}
