//! The mobile library against a real server: as a phone's app uses it, with events instead of polling.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../../mobile-ffi/tests/support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use support::{KEY, Listener, add_member, add_team, believe_in_end, open, wait};
use tempfile::TempDir;
use toso_core::time::TimestampMs;
use toso_ffi::{
    BackgroundEnd, BackgroundSync, Finding, HeldState, MeetingSide, NetworkKind, PeerSession, Receipt, SyncRight,
    SyncState, TeamEdit, TosoClient, TosoError, TosoEvent,
};
use toso_tests::{COMMUNE, Server};

/// Time enough for any sync here: what a test asserts is how it ended, never how long it took.
const AMPLE_MS: u64 = 60_000;

struct Scene {
    server: Server,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self { server: Server::start(&folder.path().join("server")), folder }
    }

    /// A phone that an officer invited.
    fn phone(&self, name: &str) -> Arc<TosoClient> {
        self.phone_by(name, &self.server.invite(COMMUNE, "recorder"))
    }

    fn phone_by(&self, name: &str, invite: &str) -> Arc<TosoClient> {
        let toso = open(&self.folder.path().join(name));
        let unit = wait(toso.enrol(invite, None)).expect("it joins");
        assert_eq!(unit.unit, format!("2022/{COMMUNE}"));
        toso
    }

    fn revoke(&self, phone: &TosoClient) {
        let device = phone.status().expect("it is read").device;
        let url = format!("{}/v1/devices/{device}/revoke", self.server.url());
        let answer = ureq::post(&url)
            .header("Authorization", format!("Bearer {}", self.server.admin_token()))
            .header("Toso-Purpose", "a test")
            .send_empty()
            .expect("the device is revoked");
        assert!(answer.status().is_success());
    }
}

fn listen(phone: &TosoClient) -> (Arc<Listener>, Arc<toso_ffi::ObserverHandle>) {
    let listener = Arc::new(Listener::default());
    let subscription = phone.observe(listener.clone()).expect("it listens");
    (listener, subscription)
}

/// One bounded sync that must end with everything exchanged.
fn sync(phone: &TosoClient) -> BackgroundSync {
    let sync = wait(phone.run_background_sync(AMPLE_MS, None)).expect("it runs");
    assert_eq!(sync.end, BackgroundEnd::Done, "{sync:?}");
    sync
}

fn households(phone: &TosoClient, team: &str, households: u32) {
    let edit = TeamEdit::HouseholdsCovered { households: Some(households) };
    assert!(wait(phone.edit_team(team, vec![edit])).expect("it is saved"));
}

fn clashes(phone: &TosoClient) -> Vec<String> {
    phone.conflicts().expect("they are read").into_iter().map(|conflict| conflict.field).collect()
}

#[test]
fn two_phones_of_one_hamlet_meet_clash_and_settle_it_live() {
    let scene = Scene::new();
    let (a, b) = (scene.phone("a"), scene.phone("b"));
    let ((heard_a, _a), (heard_b, _b)) = (listen(&a), listen(&b));
    let team = add_team(&a, "Thôn 01");
    assert_eq!(add_team(&b, "thôn 1"), team, "one hamlet, one team");
    let (leader, member) = (add_member(&a, &team, "Nguyễn Văn Thử"), add_member(&b, &team, "Trần Thị Mẫu"));
    households(&a, &team, 120);
    households(&b, &team, 135);
    assert_eq!(a.team(&team).expect("it is read").receipt, Receipt::Saved);

    for phone in [&a, &b] {
        phone.start_sync().expect("it starts");
        phone.network_changed(NetworkKind::Wifi).expect("it is told");
    }
    let up_to_date = TosoEvent::Sync { state: SyncState::UpToDate };
    heard_a.until(|event| *event == up_to_date);
    heard_b.until(|event| *event == up_to_date);
    heard_a.until_document(&member);
    heard_b.until_document(&leader);
    for heard in [&heard_a, &heard_b] {
        heard.until(|event| matches!(event, TosoEvent::Conflicts { ids } if *ids == [team.clone()]));
        heard.until(|event| *event == TosoEvent::Receipts);
    }
    for phone in [&a, &b] {
        assert_eq!(phone.members(Some(team.clone())).expect("they are read").len(), 2);
        assert!(clashes(phone).contains(&"households_covered".to_owned()));
    }

    wait(a.resolve(&team, "households_covered", "135")).expect("it is settled");
    let settled = || !clashes(&b).contains(&"households_covered".to_owned());
    for _ in 0..600 {
        if settled() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(settled(), "the other phone learns of it by itself");
    assert_eq!(b.team(&team).expect("it is read").households_covered, Some(135));
    scene.server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 1 && report["members"] == 2);
    let counted =
        |phone: &TosoClient| phone.receipts().expect("they are read").totals.is_some_and(|totals| totals.members == 2);
    for _ in 0..600 {
        if counted(&a) && counted(&b) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(counted(&a) && counted(&b), "both show what the centre has counted");
    assert!(a.findings().expect("they are read").iter().any(|finding| matches!(finding, Finding::NoConsent { .. })));
}

#[test]
fn a_background_sync_says_what_it_did() {
    let scene = Scene::new();
    let (a, b) = (scene.phone("a"), scene.phone("b"));
    let team = add_team(&a, "Thôn Mẫu");
    let did = sync(&a);
    assert_eq!((did.sent, did.received, did.refused), (1, 0, 0));
    assert!(did.bytes_up > 0 && did.bytes_down > 0);
    // It waits for a moment to hear of the count; a busy centre may take longer, and the next one brings it.
    let counted = || a.team(&team).expect("it is read").receipt == Receipt::Counted;
    assert_eq!(did.counted, counted());
    scene.server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 1);
    assert!((0..100).any(|_| counted() || sync(&a).sent > 0), "what was counted is never told");
    let did = sync(&b);
    assert_eq!((did.sent, did.received, did.documents), (0, 1, vec![team]));
    assert_eq!(sync(&b).documents, Vec::<String>::new(), "nothing is new");
    assert_eq!(b.sync_state().expect("it is read"), SyncState::Stopped, "it leaves no session behind");
}

#[test]
fn a_background_sync_ends_at_its_deadline_when_nobody_answers() {
    let scene = Scene::new();
    let toso = scene.phone("a");
    let team = add_team(&toso, "Thôn Mẫu");
    toso.shutdown();
    // The same device at an address where the system accepts for a server that says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("its address"));
    let toso = moved_to(&scene.folder.path().join("a"), &url);
    let ended = wait(toso.run_background_sync(700, None)).expect("it runs");
    assert_eq!((ended.end, ended.sent), (BackgroundEnd::Deadline, 0));
    assert_eq!(toso.team(&team).expect("it is read").receipt, Receipt::Saved, "nothing is lost");
    toso.shutdown();
    let toso = moved_to(&scene.folder.path().join("a"), scene.server.url());
    assert_eq!(sync(&toso).sent, 1, "the next one goes on from there");
}

/// Opens an enrolled folder with its server at another address.
fn moved_to(folder: &Path, url: &str) -> Arc<TosoClient> {
    let key = toso_store_sled::StoreKey::from_bytes(&KEY);
    let store = toso_store_sled::SledChunkStore::open_encrypted(folder, toso_store_sled::Options::phone(), &key);
    let store = store.expect("it opens");
    let credential = toso_replica::Credential::load(&store).expect("it is enrolled");
    toso_replica::Credential { server_url: url.to_owned(), ..credential }.keep(&store).expect("it is kept");
    drop(store);
    open(folder)
}

#[test]
fn a_revoked_phone_hands_over_and_is_wiped() {
    let scene = Scene::new();
    let a = scene.phone("a");
    let (heard, _subscription) = listen(&a);
    let team = add_team(&a, "Thôn Mẫu");
    sync(&a);
    let unsent = add_team(&a, "Thôn Chưa Gửi");
    scene.revoke(&a);
    a.start_sync().expect("it starts");
    heard.until(|event| matches!(event, TosoEvent::Sync { state: SyncState::Failed { key, needs_a_person: true, .. } } if key == "revoked"));
    heard.until(|event| matches!(event, TosoEvent::Wiped { everything: true, .. }));
    for gone in [&team, &unsent] {
        heard.until(|event| matches!(event, TosoEvent::Wiped { ids, .. } if ids.contains(gone)));
    }
    assert!(a.teams().expect("they are read").is_empty());
    assert_eq!(a.held().expect("it is read")[0].state, HeldState::Waiting, "what was unsent waits for an officer");
    let again = wait(a.run_background_sync(AMPLE_MS, None)).expect("it runs");
    assert!(matches!(again.end, BackgroundEnd::Failed { error: TosoError::NotAllowed { .. } }), "{again:?}");
}

#[test]
fn a_used_invite_and_a_dead_address_are_told_apart() {
    let scene = Scene::new();
    let invite = scene.server.invite(COMMUNE, "recorder");
    let a = scene.phone_by("a", &invite);
    wait(a.enrol(&invite, None)).expect("the same phone may repeat it");
    let b = open(&scene.folder.path().join("b"));
    match wait(b.enrol(&invite, None)) {
        Err(TosoError::BadInvite { info }) => assert_eq!(info.key, "invite.refused"),
        other => panic!("it was used by another: {other:?}"),
    }
    let unused = scene.server.invite(COMMUNE, "recorder");
    let told = toso_ffi::read_invite(&unused).expect("it is whole");
    assert_eq!((told.unit.unit, told.role.as_str()), (format!("2022/{COMMUNE}"), "recorder"));
    let Scene { mut server, folder: _folder } = scene;
    server.kill();
    assert!(matches!(wait(b.enrol(&unused, None)), Err(TosoError::Offline { .. })));
}

#[test]
fn a_bundle_goes_by_another_phone_to_the_centre_and_its_receipt_comes_back() {
    let scene = Scene::new();
    let (a, b) = (scene.phone("a"), scene.phone("b"));
    let team = add_team(&a, "Thôn Mẫu");
    add_member(&a, &team, "Nguyễn Văn Thử");
    let bundle = wait(a.make_bundle(None)).expect("it is made");
    assert_eq!((bundle.batches, bundle.left), (1, 0));
    let taken = wait(b.open_bundle(bundle.bytes.clone())).expect("it is opened");
    assert_eq!((taken.batches, taken.changes), (1, 2));
    assert_eq!(wait(b.open_bundle(bundle.bytes.clone())).expect("again").known, 1, "twice changes nothing");
    assert_eq!(b.team(&team).expect("the carrier has it").receipt, Receipt::Saved);
    assert_eq!(sync(&b).sent, 2);
    scene.server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 1 && report["members"] == 1);

    let back = wait(b.make_bundle(None)).expect("it is made");
    let (heard, _subscription) = listen(&a);
    assert_eq!(wait(a.open_bundle(back.bytes)).expect("it is opened").received, 2);
    heard.until(|event| *event == TosoEvent::Receipts);
    let receipt = a.team(&team).expect("it is read").receipt;
    assert!(matches!(receipt, Receipt::Received | Receipt::Counted), "{receipt:?}");

    for (bytes, key) in [
        (Vec::new(), "carry.not_a_bundle"),
        (b"PK\x03\x04".to_vec(), "carry.not_a_bundle"),
        (bundle.bytes[..bundle.bytes.len() - 1].to_vec(), "carry.damaged"),
        (bundle.bytes[..20].to_vec(), "carry.damaged"),
    ] {
        match wait(b.open_bundle(bytes)) {
            Err(TosoError::BadBundle { info }) => assert_eq!(info.key, key),
            other => panic!("{key}: {other:?}"),
        }
    }
}

/// Carries bytes between two sessions in pieces of a few bytes, until both are done.
#[expect(clippy::result_large_err, reason = "UniFFI's errors are not boxed, and this is one call of a test")]
fn connect(first: &PeerSession, second: &PeerSession) -> Result<(), TosoError> {
    let (mut for_second, mut for_first) = (first.start().concat(), second.start().concat());
    let mut open = [true, true];
    while open != [false, false] {
        let (answer, ended) = give(second, &std::mem::take(&mut for_second))?;
        for_first.extend(answer);
        open[1] &= !ended;
        let (answer, ended) = give(first, &std::mem::take(&mut for_first))?;
        for_second.extend(answer);
        open[0] &= !ended;
    }
    first.closed()?;
    second.closed()
}

/// What a session answers to bytes that come in pieces, and whether it has ended.
#[expect(clippy::result_large_err, reason = "as above")]
fn give(session: &PeerSession, bytes: &[u8]) -> Result<(Vec<u8>, bool), TosoError> {
    let (mut answer, mut ended) = (Vec::new(), false);
    for piece in bytes.chunks(61) {
        let step = wait(session.receive(piece.to_vec()))?;
        answer.extend(step.send.concat());
        ended |= step.ended;
    }
    Ok((answer, ended))
}

#[test]
fn two_phones_meet_without_a_server() {
    let scene = Scene::new();
    let (a, b) = (scene.phone("a"), scene.phone("b"));
    let of_a = add_team(&a, "Thôn 1");
    let of_b = add_team(&b, "Thôn 2");
    let (heard, _subscription) = listen(&b);
    let caller = wait(Arc::clone(&a).meet(MeetingSide::Caller)).expect("it begins");
    let other = wait(Arc::clone(&b).meet(MeetingSide::Called)).expect("it begins");
    connect(&caller, &other).expect("they meet");
    heard.until_document(&of_a);
    assert!(a.team(&of_b).is_ok() && b.team(&of_a).is_ok(), "each has what the other recorded");
    let report = caller.report().expect("it is told");
    assert_eq!(report.peer, Some(b.status().expect("it is read").device));
    assert_eq!((report.given, report.taken.batches), (1, 1));
    assert_eq!(sync(&b).sent, 2, "one brings what both have");
    scene.server.report_when(&["--unit", COMMUNE], |report| report["teams"] == 2);

    // A pipe that ends early, and one that brings something else.
    let caller = wait(Arc::clone(&a).meet(MeetingSide::Caller)).expect("it begins");
    assert!(matches!(caller.closed(), Err(TosoError::Offline { .. })));
    assert!(matches!(wait(caller.receive(vec![0, 5, 1, 2, 3, 4, 5])), Err(TosoError::BadBundle { .. })));
    match wait(caller.receive(vec![])) {
        Err(TosoError::BadBundle { info }) => assert_eq!(info.key, "peer.over"),
        other => panic!("it is over: {other:?}"),
    }
    a.shutdown();
    assert!(matches!(wait(other.receive(vec![])).map(|_| ()), Ok(()) | Err(TosoError::BadBundle { .. })));
    assert!(matches!(wait(caller.receive(vec![])), Err(TosoError::Closed { .. })), "its phone is shut down");
}

/// Set in the process that is to be killed: the folder that it records in.
const RECORDER_FOLDER: &str = "TOSO_TEST_RECORDER_FOLDER";

/// Not a test by itself: what the next one starts and kills. It records teams and says each one's id once it is saved.
#[test]
fn records_until_it_is_killed() {
    let Some(folder) = std::env::var_os(RECORDER_FOLDER) else { return };
    let toso = open(Path::new(&folder));
    for number in toso.teams().expect("they are read").len() + 1.. {
        println!("\nsaved {}", add_team(&toso, &format!("Thôn {number}")));
    }
}

#[test]
fn a_process_killed_in_mid_edit_loses_nothing_that_was_saved() {
    let scene = Scene::new();
    let folder = scene.folder.path().join("a");
    scene.phone("a").shutdown();
    let mut saved = Vec::new();
    for round in 1..=3 {
        let mut recorder = Command::new(std::env::current_exe().expect("a test has a path"))
            .args(["--exact", "records_until_it_is_killed", "--nocapture"])
            .env(RECORDER_FOLDER, &folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(recorder.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let mut ids = lines.filter_map(|line| line.strip_prefix("saved ").map(str::to_owned));
        saved.extend(ids.by_ref().take(7));
        // It is at work on the next ones.
        recorder.kill().expect("it is ours to kill");
        recorder.wait().expect("it ends");
        saved.extend(ids);
        assert!(saved.len() >= 7 * round, "it recorded");
        let toso = open(&folder);
        for id in &saved {
            assert_eq!(toso.team(id).expect("what was saved is there").receipt, Receipt::Saved);
        }
        toso.shutdown();
    }
    let toso = open(&folder);
    let there = toso.teams().expect("they are read").len();
    assert!(there >= saved.len(), "{there} of {}", saved.len());
    assert_eq!(sync(&toso).sent, there as u64, "and all of it reaches the centre");
}

/// Histories named writers by their numbers until somebody pressed a button for names.
#[test]
fn names_come_by_themselves_when_a_history_is_shown() {
    let scene = Scene::new();
    let (a, b) = (scene.phone("a"), scene.phone("b"));
    let team = add_team(&a, "Thôn 01");
    sync(&a);
    let (heard, _b) = listen(&b);
    b.start_sync().expect("it starts");
    heard.until_document(&team);
    heard.until(|event| *event == TosoEvent::Sync { state: SyncState::UpToDate });
    let writer = |phone: &TosoClient| phone.history(&team).expect("it is read")[0].device.clone();
    let by = a.history(&team).expect("it is read")[0].device.clone();
    assert_eq!(b.who_is(&by).expect("it is told").name, None, "nobody has looked yet");
    assert_eq!(writer(&b), by);
    heard.until(|event| *event == TosoEvent::Names);
    assert_eq!(b.who_is(&by).expect("it is told").name, a.who_is(&by).expect("it is told").name);
    assert!(b.who_is(&by).expect("it is told").name.is_some());
}

/// A phone whose right ends within a month says so when it is opened, and that it was renewed when a sync has seen to it.
#[test]
fn observers_hear_that_the_right_ends_soon_and_that_it_was_renewed() {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    let scene = Scene::new();
    let phone = scene.phone("a");
    let given = phone.status().expect("it is read").token_ends_ms.expect("told when it joined");
    phone.shutdown();
    // What the phone knows of its end is old: the server has renewed it, and the answer was lost.
    let folder = scene.folder.path().join("a");
    let ends = TimestampMs(u64::try_from(given).expect("after 1970") - 336 * DAY_MS);
    believe_in_end(&folder, ends);
    let phone = open(&folder);
    let (heard, _subscription) = listen(&phone);
    let old_ms = i64::try_from(ends.0).expect("before the year 292 million");
    heard.until(|event| *event == TosoEvent::SyncRight { state: SyncRight::EndsSoon, ends_ms: old_ms });
    assert!(phone.status().expect("it is read").token_ends_soon);
    sync(&phone);
    heard.until(|event| *event == TosoEvent::SyncRight { state: SyncRight::Good, ends_ms: given });
    assert!(!phone.status().expect("it is read").token_ends_soon);
}
