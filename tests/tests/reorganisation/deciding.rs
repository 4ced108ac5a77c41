//! What a phone hands over is kept for officers, decided by who may, and told to the phone, also after a restore.

use std::sync::Arc;
use std::time::Duration;

use toso_client::rest::Rest;
use toso_client::{AutoSync, Invite, enrol, sync_once};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::text::PlaceName;
use toso_replica::{HeldState, Replica, SyncOptions, SyncState, TeamDraft};
use toso_store::memory::MemoryChunkStore;
use toso_tests::{COMMUNE, FieldDevice, OTHER_COMMUNE, http};

use crate::scene::{Scene, copy_folder, held, id};

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
