//! Half an emoji, as an app makes that cuts a text at a length, comes from Kotlin, Python and Swift as U+FFFD. The story: it
//! threw in the midst of lowering a call's arguments, so that the object could never be freed again, and a link with it was
//! stored. Now the library itself says where a character is missing, and loses nothing by it.

#![allow(clippy::panic, clippy::result_large_err, reason = "a test fails by panicking")]

mod support;

use support::{KEY, NOBODY, add_member, add_team, config, enrolled, open, wait};
use tempfile::TempDir;
use toso_client::Invite;
use toso_core::id::ServerId;
use toso_core::time::TimestampMs;
use toso_ffi::{
    CommuneEdit, ConsentMethod, Language, MemberEdit, NewMember, NewTeam, TeamEdit, TosoClient, TosoConfig, TosoError,
    check_person_name, error_text, read_invite,
};

const LOST: &str = "Thử \u{FFFD}";

/// The field of a refusal that has texts in both languages.
fn field<T>(result: Result<T, TosoError>) -> String {
    let Err(error) = result else { panic!("a text with a lost character was taken") };
    let texts = [Language::Vietnamese, Language::English].map(|language| error_text(&error, language));
    assert!(texts.iter().all(|text| !text.contains(['{', '\u{FFFD}'])), "{texts:?}");
    let TosoError::Invalid { field, .. } = error else { panic!("not at its field: {error}") };
    field
}

#[test]
fn every_text_that_is_saved_is_refused_at_its_field() {
    let folder = TempDir::new().expect("a temporary folder");
    let toso = enrolled(folder.path(), NOBODY);
    let team = add_team(&toso, "Thôn 1");
    let member = add_member(&toso, &team, "Nguyễn Văn Thử");
    let text = || Some(LOST.to_owned());

    let of_team = [
        (TeamEdit::Hamlet { name: text() }, "hamlet"),
        (TeamEdit::LocalName { name: text() }, "local_name"),
        (TeamEdit::DecisionNumber { number: text() }, "decision_number"),
        (TeamEdit::DecisionDate { date: text() }, "decision_date"),
        (TeamEdit::DecisionBody { body: text() }, "decision_body"),
        (TeamEdit::EstablishedOn { date: text() }, "established_on"),
        (TeamEdit::ZaloLink { link: Some("https://zalo.me/g/\u{FFFD}".to_owned()) }, "zalo_link"),
        (TeamEdit::Note { text: text() }, "note"),
        (TeamEdit::ActivityDate { id: LOST.to_owned(), date: "24/11/2026".to_owned() }, "activities"),
    ];
    for (edit, name) in of_team {
        assert_eq!(field(wait(toso.edit_team(&team, vec![edit]))), name);
    }
    let consent = MemberEdit::Consent {
        method: ConsentMethod::ALL[0],
        date: "24/11/2026".to_owned(),
        text_version: LOST.to_owned(),
    };
    let of_member = [
        (MemberEdit::Team { team: text() }, "id"),
        (MemberEdit::FullName { name: LOST.to_owned() }, "full_name"),
        (MemberEdit::Phone { phone: Some("0912 000 001\u{FFFD}".to_owned()) }, "phone"),
        (MemberEdit::JoinedOn { date: text() }, "joined_on"),
        (MemberEdit::LeftOn { date: text() }, "left_on"),
        (consent, "consent/text_version"),
    ];
    for (edit, name) in of_member {
        assert_eq!(field(wait(toso.edit_member(&member, vec![edit]))), name);
    }
    let of_commune = [
        (CommuneEdit::AddHamlet { name: LOST.to_owned() }, "hamlets/name"),
        (CommuneEdit::SignOff { date: Some("24/11/2026".to_owned()), by: text() }, "signed_off_by"),
    ];
    for (edit, name) in of_commune {
        assert_eq!(field(wait(toso.edit_commune(vec![edit], None))), name);
    }
    let new_team = NewTeam { hamlet: text(), level: None, commune: None, another: false, edits: vec![] };
    assert_eq!(field(wait(toso.add_team(new_team))), "hamlet");
    let new_member = NewMember { team: team.clone(), full_name: LOST.to_owned(), edits: vec![] };
    assert_eq!(field(wait(toso.add_member(new_member))), "full_name");
    assert_eq!(field(check_person_name(LOST)), "full_name");

    assert_eq!(field(toso.team(LOST)), "id");
    assert_eq!(field(toso.units_below(text())), "unit");
    assert!(toso.search(LOST, 50).expect("a search refuses nothing").iter().all(|found| found.id == member));
    assert!(matches!(read_invite(LOST), Err(TosoError::BadInvite { .. })));
    assert_eq!((toso.teams().expect("read").len(), toso.members(None).expect("read").len()), (1, 1));
    assert_eq!(toso.history(&team).expect("read").len(), 1, "nothing was saved");
}

#[test]
fn a_folder_is_not_opened_by_another_path_and_a_devices_name_hinders_joining_alone() {
    let folder = TempDir::new().expect("a temporary folder");
    let home = folder.path().join("\u{FFFD}");
    let path = home.to_str().expect("a path").to_owned();
    let opened = wait(TosoClient::open(TosoConfig { folder: path, ..config(folder.path()) }, None));
    assert_eq!(field(opened.map(drop)), "folder");
    assert!(!home.exists());

    let toso = enrolled(folder.path(), NOBODY);
    add_team(&toso, "Thôn 1");
    toso.shutdown();
    let named = TosoConfig { device_name: LOST.to_owned(), key: KEY.to_vec(), ..config(folder.path()) };
    let toso = wait(TosoClient::open(named, None)).expect("what was recorded stays in reach");
    assert_eq!(toso.teams().expect("read").len(), 1);
    let invite = Invite {
        url: NOBODY.to_owned(),
        server: ServerId([1; 16]),
        secret: [2; 16],
        unit: "2025/00004".parse().expect("a unit"),
        role: "recorder".to_owned(),
        expires_at: TimestampMs(1),
    };
    assert_eq!(field(wait(toso.enrol(&invite.to_text(), None))), "device_name");
    toso.shutdown();
    assert_eq!(open(folder.path()).teams().expect("read").len(), 1);
}
