//! The object on one phone, without a server: folder and key, edits, search, observers, errors, shutting down.

#![allow(
    clippy::indexing_slicing,
    clippy::result_large_err,
    clippy::items_after_statements,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use support::{KEY, Listener, NOBODY, add_member, add_team, believe_in_end, config, enrolled, open, wait};
use tempfile::TempDir;
use toso_core::time::TimestampMs;
use toso_ffi::{
    CommuneEdit, DocKind, Finding, Language, LogLevel, LogSink, MeetingSide, MemberEdit, NetworkKind, NewMember,
    NewTeam, Receipt, Role, SyncRight, SyncState, TeamEdit, TosoClient, TosoConfig, TosoError, TosoEvent, TosoObserver,
    UnitLevel, UnitList, error_text, hamlet_key, new_activity_id, read_invite,
};

const OTHER_KEY: [u8; 32] = [8; 32];

fn folder() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

fn with_key(folder: &Path, key: &[u8]) -> Result<Arc<TosoClient>, TosoError> {
    wait(TosoClient::open(TosoConfig { key: key.to_vec(), ..config(folder) }, None))
}

#[test]
fn what_is_recorded_is_there_after_opening_again() {
    let folder = folder();
    let toso = enrolled(folder.path(), NOBODY);
    let team = add_team(&toso, "Thôn 01");
    let member = add_member(&toso, &team, "Nguyễn Văn Thử");
    let edits = vec![
        MemberEdit::Role { role: Role::Leader },
        MemberEdit::Phone { phone: Some("0912 000 001".to_owned()) },
        MemberEdit::BirthYear { year: Some(1990) },
    ];
    assert!(wait(toso.edit_member(&member, edits.clone())).expect("the edit is saved"));
    assert!(!wait(toso.edit_member(&member, edits)).expect("nothing is new"), "the same again is no change");
    let activity = new_activity_id();
    let add = TeamEdit::AddActivity {
        id: activity.clone(),
        date: "24/11/2026".to_owned(),
        kind: toso_ffi::ActivityKind::GroupSession,
        skills: vec![toso_ffi::Skill::Payment],
        reached: toso_ffi::Reached { total: 12, women: 7, ..Default::default() },
    };
    assert!(wait(toso.edit_team(&team, vec![add])).expect("the edit is saved"));
    let hamlets = vec![
        CommuneEdit::AddHamlet { name: "Thôn 01".to_owned() },
        CommuneEdit::HamletHouseholds { key: hamlet_key("thôn 1"), households: Some(120) },
    ];
    wait(toso.edit_commune(hamlets, None)).expect("the hamlet is kept");
    toso.shutdown();

    let toso = open(folder.path());
    let teams = toso.teams().expect("they are read");
    assert_eq!((teams.len(), teams[0].id.as_str(), teams[0].hamlet.as_deref()), (1, team.as_str(), Some("Thôn 01")));
    assert_eq!(teams[0].receipt, Receipt::Saved);
    assert_eq!((teams[0].activities[0].id.as_str(), teams[0].activities[0].reached.women), (activity.as_str(), 7));
    let members = toso.members(Some(team.clone())).expect("they are read");
    assert_eq!((members[0].role, members[0].phone.as_deref()), (Role::Leader, Some("+84912000001")));
    assert_eq!(toso.member(&member).expect("it is read"), members[0]);
    assert_eq!(toso.communes().expect("they are read")[0].hamlets[0].households, Some(120));
    assert_eq!(toso.history(&member).expect("it is read").len(), 2);
    assert_eq!(toso.receipts().expect("they are read").saved, 3);
    let status = toso.status().expect("it is read");
    assert_eq!((status.documents, status.unsent, status.held), (3, 5, 0));
    assert_eq!(status.unit.expect("its unit").path, "Phường Ba Đình, Thành phố Hà Nội");
}

#[test]
fn two_phones_that_write_one_hamlet_make_one_team() {
    let (a, b) = (folder(), folder());
    let (a, b) = (enrolled(a.path(), NOBODY), enrolled(b.path(), NOBODY));
    let team = add_team(&a, "Thôn 01");
    assert_eq!(add_team(&b, "thôn 1"), team);
    let again =
        NewTeam { hamlet: Some("THÔN 1".to_owned()), level: None, commune: None, another: false, edits: vec![] };
    match wait(a.add_team(again.clone())) {
        Err(TosoError::TeamExists { id, .. }) => assert_eq!(id, team),
        other => panic!("the hamlet has a team: {other:?}"),
    }
    assert_ne!(wait(a.add_team(NewTeam { another: true, ..again })).expect("another team"), team);
}

#[test]
fn names_and_phones_are_found_however_they_are_typed() {
    let folder = folder();
    let toso = enrolled(folder.path(), NOBODY);
    let team = add_team(&toso, "Xóm Đồng");
    let member = add_member(&toso, &team, "Nguyễn Văn Thử");
    wait(toso.edit_member(&member, vec![MemberEdit::Phone { phone: Some("0912000001".to_owned()) }])).expect("saved");
    for text in ["thử", "nguyen van thu", "THU", "Nguyễn Thử", "0912", "912 000", "+84912"] {
        let found = toso.search(text, 50).expect("it is searched");
        assert_eq!((found[0].id.as_str(), found[0].name.as_str()), (member.as_str(), "Nguyễn Văn Thử"), "{text}");
        assert_eq!((found[0].kind, found[0].team.as_deref()), (DocKind::Member, Some(team.as_str())));
    }
    assert_eq!(toso.search("dong", 50).expect("it is searched")[0].id, team);
    assert!(toso.search("", 50).expect("it is searched").is_empty());
    let units = toso.units("p. ba dinh, ha noi", None, 5).expect("they are searched");
    assert_eq!(
        (units[0].unit.as_str(), units[0].level, units[0].holds_records),
        ("2025/00004", UnitLevel::Commune, true)
    );
    let old = toso.units("trúc bạch", Some(UnitList::L2022), 5).expect("they are searched");
    assert_eq!(old[0].unit, "2022/00004");
    assert_eq!(toso.units_below(None).expect("the provinces").len(), 34);
    assert_eq!(toso.units_below(Some("2022/00".to_owned())).expect("the provinces of then").len(), 63);
}

#[test]
fn duplicates_are_shown_merged_and_taken_apart_again() {
    let folder = folder();
    let toso = enrolled(folder.path(), NOBODY);
    let team = add_team(&toso, "Thôn 1");
    let twin = || NewMember {
        team: team.clone(),
        full_name: "Lê Văn Thử".to_owned(),
        edits: vec![MemberEdit::BirthYear { year: Some(1990) }],
    };
    let (first, second) = (wait(toso.add_member(twin())).expect("one"), wait(toso.add_member(twin())).expect("two"));
    let duplicates = toso.duplicates().expect("they are read");
    assert!(matches!(duplicates.as_slice(), [Finding::SameMember { .. }]), "{duplicates:?}");
    wait(toso.merge(&first, &second)).expect("they are merged");
    assert!(toso.duplicates().expect("they are read").is_empty());
    assert!(matches!(wait(toso.merge(&second, &first)), Err(TosoError::Refused { .. })), "no circle");
    wait(toso.unmerge(&first)).expect("they are apart again");
    assert_eq!(toso.duplicates().expect("they are read").len(), 1);
    assert!(toso.findings().expect("they are read").len() > 1);
}

#[test]
fn a_wrong_key_is_told_and_loses_nothing() {
    let folder = folder();
    let toso = enrolled(folder.path(), NOBODY);
    let team = add_team(&toso, "Thôn 1");
    assert!(matches!(with_key(folder.path(), &KEY), Err(TosoError::InUse { .. })), "it is open already");
    toso.shutdown();
    assert!(matches!(with_key(folder.path(), &OTHER_KEY), Err(TosoError::WrongKey { .. })));
    for bytes in [0, 31, 33] {
        assert!(matches!(with_key(folder.path(), &vec![7; bytes]), Err(TosoError::WrongKey { .. })), "{bytes} bytes");
    }
    assert_eq!(open(folder.path()).team(&team).expect("it is there").hamlet.as_deref(), Some("Thôn 1"));
}

#[test]
fn a_rotated_key_opens_and_the_old_one_does_not() {
    let folder = folder();
    let toso = enrolled(folder.path(), NOBODY);
    add_team(&toso, "Thôn 1");
    let wrong = wait(toso.rotate_key(OTHER_KEY.to_vec(), KEY.to_vec()));
    assert!(matches!(wrong, Err(TosoError::WrongKey { .. })), "the present key must be known: {wrong:?}");
    wait(toso.rotate_key(KEY.to_vec(), OTHER_KEY.to_vec())).expect("it is rotated");
    add_team(&toso, "Thôn 2");
    toso.shutdown();
    assert!(matches!(with_key(folder.path(), &KEY), Err(TosoError::WrongKey { .. })));
    let toso = with_key(folder.path(), &OTHER_KEY).expect("the new key opens it");
    assert_eq!(toso.teams().expect("they are read").len(), 2);
}

#[test]
fn nothing_readable_is_on_the_disk() {
    let folder = folder();
    let toso = enrolled(folder.path(), "http://may-chu-thu.example.vn");
    let team = add_team(&toso, "Thôn Mẫu Thử");
    let member = add_member(&toso, &team, "Nguyễn Văn Thử");
    wait(toso.edit_member(&member, vec![MemberEdit::Phone { phone: Some("0912000001".to_owned()) }])).expect("saved");
    wait(toso.edit_team(&team, vec![TeamEdit::Note { text: Some("ghi chú riêng".to_owned()) }])).expect("saved");
    toso.shutdown();
    let mut files = 0;
    let mut open = vec![folder.path().to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            continue;
        }
        files += 1;
        let bytes = fs::read(&path).expect("a file");
        for known in
            ["Nguyễn", "Thử", "Mẫu", "912000001", "ghi chú", "full_name", "hamlet", "may-chu-thu", &team, &member]
        {
            let found = bytes.windows(known.len()).any(|window| window == known.as_bytes());
            assert!(!found, "{known} can be read in {}", path.display());
        }
    }
    assert!(files > 1, "there is something to look through");
}

#[test]
fn values_that_break_a_rule_are_told_at_their_field() {
    let folder = folder();
    let toso = enrolled(folder.path(), NOBODY);
    let team = add_team(&toso, "Thôn 1");
    let member = add_member(&toso, &team, "Nguyễn Văn Thử");
    let phone = |text: &str| vec![MemberEdit::Phone { phone: Some(text.to_owned()) }];
    match wait(toso.edit_member(&member, phone("8123456789"))) {
        Err(error @ TosoError::Invalid { .. }) => {
            let TosoError::Invalid { field, info } = &error else { unreachable!() };
            assert_eq!((field.as_str(), info.key.as_str()), ("phone", "text.phone_prefix"));
            assert_eq!(error_text(&error, Language::Vietnamese), "Số điện thoại phải bắt đầu bằng 0 hoặc +84.");
            assert!(!info.detail.contains("8123456789"), "values are not quoted");
        }
        other => panic!("it breaks a rule: {other:?}"),
    }
    for (text, key) in [("113", "text.phone_service"), ("091200000", "text.phone_digits")] {
        match wait(toso.edit_member(&member, phone(text))) {
            Err(TosoError::Invalid { info, .. }) => assert_eq!(info.key, key),
            other => panic!("{text}: {other:?}"),
        }
    }
    let no_hamlet = NewTeam { hamlet: None, level: None, commune: None, another: false, edits: vec![] };
    match wait(toso.add_team(no_hamlet)) {
        Err(TosoError::Invalid { field, .. }) => assert_eq!(field, "hamlet"),
        other => panic!("a hamlet is missing: {other:?}"),
    }
    for id in ["", "t", "Nguyễn Văn Thử", &"A".repeat(25)] {
        match toso.team(id) {
            Err(TosoError::Invalid { field, info }) => {
                assert_eq!((field.as_str(), info.key.as_str()), ("id", "edit.id"));
                assert!(!info.detail.contains("Thử"));
            }
            other => panic!("{id}: {other:?}"),
        }
    }
    assert!(matches!(toso.team(&member), Err(TosoError::NotFound { .. })), "a member is no team");
    assert!(matches!(wait(toso.resolve(&team, "note", "x")), Err(TosoError::Refused { .. })), "no conflict there");
}

#[test]
fn names_from_old_documents_are_offered_converted() {
    let folder = folder();
    let toso = enrolled(folder.path(), NOBODY);
    let team = add_team(&toso, "Thôn 1");
    let member = |name: &str| NewMember { team: team.clone(), full_name: name.to_owned(), edits: vec![] };
    match wait(toso.add_member(member("NguyÔn V¨n Thö"))) {
        Err(error @ TosoError::LegacyText { .. }) => {
            assert!(!format!("{error:?} {error}").contains("Nguy"), "apps log errors");
            let text = error_text(&error, Language::Vietnamese);
            assert!(text.contains("TCVN3"), "{text}");
        }
        other => panic!("it is no Unicode: {other:?}"),
    }
    let meant = toso_ffi::converted_text("NguyÔn V¨n Thö").expect("it is recognised");
    let id = wait(toso.add_member(member(&meant))).expect("saved");
    assert_eq!(toso.member(&id).expect("it is read").full_name.as_deref(), Some("Nguyễn Văn Thử"));
    assert_eq!(toso_ffi::converted_text("Nguyễn Văn Thử"), None);
    assert_eq!(toso_ffi::hamlet_key("Pa\u{FF0D}Tần"), toso_ffi::hamlet_key("Pa-Tần"));
    let joined = vec![MemberEdit::JoinedOn { date: Some("1/1/2100".to_owned()) }];
    match wait(toso.edit_member(&id, joined)) {
        Err(TosoError::Invalid { info, field }) => {
            assert_eq!((info.key.as_str(), field.as_str()), ("edit.day_to_come", "joined_on"));
        }
        other => panic!("the day has not come: {other:?}"),
    }
}

#[test]
fn what_is_no_invite_is_told_and_never_quoted() {
    let folder = folder();
    let toso = open(folder.path());
    let long = format!("toso1.{}", "A".repeat(600));
    let bad =
        ["", "https://example.vn", "toso1.", "toso1.%%%", "toso1.AAAA", "toso2.AAAA", "WIFI:S:x;;", long.as_str()];
    for text in bad {
        match wait(toso.enrol(text, None)) {
            Err(TosoError::BadInvite { info }) => assert!(text.is_empty() || !info.detail.contains(text), "{text}"),
            other => panic!("{text}: {other:?}"),
        }
        assert!(matches!(read_invite(text), Err(TosoError::BadInvite { .. })), "{text}");
    }
    let team =
        NewTeam { hamlet: Some("Thôn 1".to_owned()), level: None, commune: None, another: false, edits: vec![] };
    assert!(matches!(wait(toso.add_team(team)), Err(TosoError::NotEnrolled { .. })));
    let sync = wait(toso.run_background_sync(1_000, None)).expect("it is told in the result");
    assert!(matches!(sync.end, toso_ffi::BackgroundEnd::Failed { error: TosoError::NotEnrolled { .. } }), "{sync:?}");
}

#[test]
fn observers_are_told_of_documents_until_they_are_dropped() {
    let folder = folder();
    let toso = enrolled(folder.path(), NOBODY);
    let (kept, dropped) = (Arc::new(Listener::default()), Arc::new(Listener::default()));
    let _kept = toso.observe(kept.clone()).expect("it listens");
    let subscription = toso.observe(dropped.clone()).expect("it listens");
    let first = add_team(&toso, "Thôn 1");
    kept.until_document(&first);
    dropped.until_document(&first);
    drop(subscription);
    let second = add_team(&toso, "Thôn 2");
    kept.until_document(&second);
    let named = |event: &TosoEvent| matches!(event, TosoEvent::Documents { ids, .. } if ids.contains(&second));
    assert!(!dropped.heard().iter().any(named), "a dropped subscription is told nothing more");
}

/// Calls into the object from each event, and then fails.
struct Troublemaker {
    toso: OnceLock<Arc<TosoClient>>,
    calls: AtomicUsize,
}

impl TosoObserver for Troublemaker {
    fn on_event(&self, _: TosoEvent) {
        let toso = self.toso.get().expect("it is set before any event");
        toso.teams().expect("it may read");
        toso.conflicts().expect("it may read");
        drop(toso.observe(Arc::new(Listener::default())).expect("it may observe"));
        toso.network_changed(NetworkKind::None).expect("it may tell");
        let team = add_team(toso, &format!("Thôn {}", 100 + self.calls.fetch_add(1, Ordering::Relaxed)));
        assert!(team.is_empty(), "an observer may fail, too");
    }
}

#[test]
fn an_observer_that_calls_back_in_and_fails_hurts_nobody() {
    let folder = folder();
    let toso = enrolled(folder.path(), NOBODY);
    let trouble = Arc::new(Troublemaker { toso: OnceLock::new(), calls: AtomicUsize::new(0) });
    trouble.toso.set(Arc::clone(&toso)).unwrap_or_else(|_| panic!("it is new"));
    let listener = Arc::new(Listener::default());
    let (subscription, _kept) =
        (toso.observe(trouble.clone()).expect("it listens"), toso.observe(listener.clone()).expect("it listens"));
    let team = add_team(&toso, "Thôn 1");
    listener.until_document(&team);
    // Each of its calls records a team, of which it is told, and fails: it goes on all the same.
    while trouble.calls.load(Ordering::Relaxed) < 5 {
        std::thread::yield_now();
    }
    subscription.cancel();
    let last = add_team(&toso, "Thôn 2");
    listener.until_document(&last);
    // The call that was under way when its observing ended comes to its end, too.
    let begun = std::time::Instant::now();
    while toso.teams().expect("they are read").len() < 7 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "a call was cut off");
        std::thread::yield_now();
    }
}

/// Shuts the object down from within an event.
struct Closer(OnceLock<Arc<TosoClient>>, Listener);

impl TosoObserver for Closer {
    fn on_event(&self, event: TosoEvent) {
        self.0.get().expect("it is set before any event").shutdown();
        self.1.on_event(event);
    }
}

#[test]
fn an_observer_may_shut_down() {
    let folder = folder();
    let toso = enrolled(folder.path(), NOBODY);
    let closer = Arc::new(Closer(OnceLock::new(), Listener::default()));
    closer.0.set(Arc::clone(&toso)).unwrap_or_else(|_| panic!("it is new"));
    let _subscription = toso.observe(closer.clone()).expect("it listens");
    let team =
        NewTeam { hamlet: Some("Thôn 1".to_owned()), level: None, commune: None, another: false, edits: vec![] };
    // The edit is on the disk before anybody is told, but its caller may learn that the object is closed.
    let saved = wait(toso.add_team(team));
    assert!(matches!(saved, Ok(_) | Err(TosoError::Closed { .. })), "{saved:?}");
    closer.1.until(|event| matches!(event, TosoEvent::Documents { .. }));
    assert!(matches!(toso.teams(), Err(TosoError::Closed { .. })));
    let again = (0..200).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        with_key(folder.path(), &KEY).ok()
    });
    assert_eq!(again.expect("the folder is free a moment later").teams().expect("they are read").len(), 1);
}

#[test]
fn a_closed_object_says_so_and_its_folder_opens_at_once() {
    let folder = folder();
    let toso = enrolled(folder.path(), NOBODY);
    let team = add_team(&toso, "Thôn 1");
    toso.start_sync().expect("it starts");
    let subscription = toso.observe(Arc::new(Listener::default())).expect("it listens");
    toso.shutdown();
    let again = open(folder.path());
    assert_eq!(again.teams().expect("they are read").len(), 1);
    fn closed<T: std::fmt::Debug>(result: Result<T, TosoError>) {
        assert!(matches!(result, Err(TosoError::Closed { .. })), "{result:?}");
    }
    closed(toso.teams());
    closed(toso.team(&team));
    closed(toso.search("x", 1));
    closed(toso.units("x", None, 1));
    closed(toso.status());
    closed(toso.receipts());
    closed(toso.sync_state());
    closed(toso.start_sync());
    closed(toso.network_changed(NetworkKind::Wifi));
    closed(toso.app_backgrounded());
    closed(toso.observe(Arc::new(Listener::default())).map(|_| ()));
    closed(wait(toso.edit_team(&team, vec![])));
    closed(wait(toso.dismiss_held()));
    closed(wait(toso.run_background_sync(1, None)));
    closed(wait(toso.make_bundle(None)));
    closed(wait(Arc::clone(&toso).meet(MeetingSide::Caller)).map(|_| ()));
    closed(wait(toso.rotate_key(KEY.to_vec(), OTHER_KEY.to_vec())));
    subscription.cancel();
    toso.shutdown();
    assert!(open_again_is_refused(folder.path()), "the one that is open has the folder");
}

fn open_again_is_refused(folder: &Path) -> bool {
    matches!(with_key(folder, &KEY), Err(TosoError::InUse { .. }))
}

#[test]
fn a_call_that_nobody_waits_for_is_made_all_the_same() {
    let folder = folder();
    let toso = enrolled(folder.path(), NOBODY);
    let listener = Arc::new(Listener::default());
    let _subscription = toso.observe(listener.clone()).expect("it listens");
    let team =
        NewTeam { hamlet: Some("Thôn 1".to_owned()), level: None, commune: None, another: false, edits: vec![] };
    {
        let mut call = Box::pin(toso.add_team(team));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let polled = call.as_mut().poll(&mut context);
        assert!(polled.is_pending() || matches!(polled, std::task::Poll::Ready(Ok(_))));
    }
    listener.until(|event| matches!(event, TosoEvent::Documents { .. }));
    assert_eq!(toso.teams().expect("they are read").len(), 1, "cancelling a save does not take it back");
}

/// Keeps lines, and fails on each.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl LogSink for Lines {
    fn log(&self, _: LogLevel, target: String, line: String) {
        self.0.lock().expect("it fails only after it let go").push(format!("{target}: {line}"));
        panic!("a sink may fail");
    }
}

#[test]
fn a_sink_gets_lines_without_personal_data_and_may_fail() {
    let folder = folder();
    drop(enrolled(folder.path(), NOBODY));
    let lines = Arc::new(Lines::default());
    let toso = wait(TosoClient::open(config(folder.path()), Some(lines.clone()))).expect("it opens");
    let team = add_team(&toso, "Thôn Mẫu Thử");
    add_member(&toso, &team, "Nguyễn Văn Thử");
    let written = (0..3000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        lines.0.lock().is_ok_and(|lines| lines.iter().any(|line| line.contains("opened")))
    });
    assert!(written, "opening is told");
    let lines = lines.0.lock().expect("it fails only after it let go").join("\n");
    assert!(!lines.contains("Thử") && !lines.contains("Mẫu"), "{lines}");
}

#[test]
fn sync_follows_what_the_platform_says() {
    let folder = folder();
    // It takes connections and says nothing, so that dialling stays what it is until somebody has seen it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let toso = enrolled(folder.path(), &format!("http://{}", silent.local_addr().expect("its address")));
    let state = || toso.sync_state().expect("it is read");
    let listener = Arc::new(Listener::default());
    let _subscription = toso.observe(listener.clone()).expect("it listens");
    assert_eq!(state(), SyncState::Stopped);
    toso.network_changed(NetworkKind::None).expect("it is told");
    toso.start_sync().expect("it starts");
    listener.until(|event| *event == TosoEvent::Sync { state: SyncState::Offline });
    assert!(
        !listener.heard().contains(&TosoEvent::Sync { state: SyncState::Connecting }),
        "nothing is dialled without a network: {:?}",
        listener.heard()
    );
    toso.network_changed(NetworkKind::Cellular).expect("it is told");
    listener.until(|event| *event == TosoEvent::Sync { state: SyncState::Connecting });
    toso.app_backgrounded().expect("it is told");
    assert_eq!(state(), SyncState::Stopped);
    toso.app_foregrounded().expect("it is told");
    assert_ne!(state(), SyncState::UpToDate, "nobody answers there");
    toso.stop_sync().expect("it stops");
    assert_eq!(state(), SyncState::Stopped);
}

/// Nothing happens on the phone but time: the day comes from which a person must be told.
#[test]
fn observers_hear_of_the_limits_of_the_right_to_sync_as_they_pass() {
    const MONTH_MS: u64 = 30 * 24 * 60 * 60 * 1000;
    for (left_ms, then) in [(MONTH_MS + 1_500, SyncRight::EndsSoon), (1_500, SyncRight::Ended)] {
        let folder = folder();
        enrolled(folder.path(), NOBODY).shutdown();
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let ends = u64::try_from(since.as_millis()).expect("before the year 500 million") + left_ms;
        believe_in_end(folder.path(), TimestampMs(ends));
        let toso = open(folder.path());
        let listener = Arc::new(Listener::default());
        let _subscription = toso.observe(listener.clone()).expect("it listens");
        let ends_ms = i64::try_from(ends).expect("a time");
        listener.until(|heard| *heard == TosoEvent::SyncRight { state: then, ends_ms });
        toso.shutdown();
    }
}
