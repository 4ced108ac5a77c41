//! Every finding, present and absent.

use super::*;
use crate::record::{ConsentMethod, ConsentRecord, HamletRecord};
use crate::unit::{UnitList, UnitRef};

fn scope() -> UnitRef {
    UnitRef::new(UnitList::L2022, "00001").unwrap()
}

fn team_id(n: u8) -> DocId {
    DocId::new(crate::id::DocKind::Team, scope(), [n; 11])
}

fn member_id(n: u8) -> DocId {
    DocId::member(scope(), [n; 11])
}

fn hamlet_team(hamlet: &str) -> TeamRecord {
    TeamRecord { hamlet: Some(hamlet.to_owned()), ..TeamRecord::default() }
}

fn member(team: DocId, role: Role) -> MemberRecord {
    let consent = ConsentRecord {
        method: Some(ConsentMethod::Paper),
        date: Some("2022-09-01".to_owned()),
        ..ConsentRecord::default()
    };
    MemberRecord { team: Some(team), role, consent, ..MemberRecord::default() }
}

/// Seen from 30/11/2026.
fn findings(commune: Option<&CommuneRecord>, teams: &Teams, members: &Members) -> Vec<Finding> {
    let commune = commune.map(|record| (DocId::commune(scope()), record));
    super::findings(commune, teams, members, &today())
}

fn today() -> Date {
    Date::parse("2026-11-30").unwrap()
}

type Teams = Vec<(DocId, TeamRecord)>;
type Members = Vec<(DocId, MemberRecord)>;

/// One team with a leader: nothing to find.
fn sound() -> (Teams, Members) {
    (vec![(team_id(1), hamlet_team("Thôn Thử 1"))], vec![(member_id(1), member(team_id(1), Role::Leader))])
}

#[test]
fn a_sound_scope_has_none() {
    let (teams, members) = sound();
    assert_eq!(findings(None, &teams, &members), []);
    assert_eq!(findings(Some(&CommuneRecord::default()), &teams, &members), [], "an empty list names no hamlet");
}

#[test]
fn leaders_are_counted() {
    let (teams, mut members) = sound();
    members.insert(0, (member_id(2), member(team_id(1), Role::Leader)));
    let several = Finding::SeveralLeaders { team: team_id(1), leaders: vec![member_id(1), member_id(2)] };
    assert_eq!(findings(None, &teams, &members), [several]);

    for (_, member) in &mut members {
        member.role = Role::Member;
    }
    assert_eq!(findings(None, &teams, &members), [Finding::NoLeader { team: team_id(1) }]);
    for (_, member) in &mut members {
        member.left_on = Some("2022-09-02".to_owned());
    }
    assert_eq!(findings(None, &teams, &members), [Finding::NoMembers { team: team_id(1) }]);
}

#[test]
fn members_need_a_team_that_exists() {
    let (mut teams, members) = sound();
    let without = [Finding::MemberWithoutTeam { member: member_id(1), team: Some(team_id(1)) }];
    for status in [TeamStatus::Dissolved, TeamStatus::Merged] {
        teams[0].1.status = status;
        assert_eq!(findings(None, &teams, &members), without);
    }
    assert_eq!(findings(None, &Vec::new(), &members), without);
    teams[0].1.status = TeamStatus::Suspended;
    assert_eq!(findings(None, &teams, &members), []);
}

#[test]
fn members_move_with_a_merged_team_and_back() {
    let (mut teams, mut members) = sound();
    teams.push((team_id(2), hamlet_team("Thôn Thử 2")));
    teams.push((team_id(3), hamlet_team("Thôn Thử 3")));
    teams[0].1.merged_into = Some(team_id(2));
    teams[1].1.merged_into = Some(team_id(3));
    assert_eq!(findings(None, &teams, &members), [], "the member counts in the team at the end of the chain");
    members.push((member_id(2), member(team_id(3), Role::Leader)));
    let several = Finding::SeveralLeaders { team: team_id(3), leaders: vec![member_id(1), member_id(2)] };
    assert_eq!(findings(None, &teams, &members), [several]);

    teams[0].1.merged_into = None;
    teams[1].1.merged_into = None;
    assert_eq!(findings(None, &teams, &members), [Finding::NoMembers { team: team_id(2) }]);
}

/// A circle stands unmerged, as the centre counts it: its teams are at work, and its members have a team.
#[test]
fn merges_must_lead_somewhere() {
    let (mut teams, mut members) = sound();
    teams.push((team_id(2), hamlet_team("Thôn Thử 2")));
    teams[0].1.merged_into = Some(team_id(2));
    teams[1].1.merged_into = Some(team_id(1));
    members.push((member_id(2), MemberRecord { merged_into: Some(member_id(9)), ..MemberRecord::default() }));
    assert_eq!(
        findings(None, &teams, &members),
        [
            Finding::NoMembers { team: team_id(2) },
            Finding::MemberWithoutTeam { member: member_id(2), team: None },
            Finding::BrokenMerge { from: member_id(2), into: member_id(9) },
            Finding::BrokenMerge { from: team_id(1), into: team_id(2) },
            Finding::BrokenMerge { from: team_id(2), into: team_id(1) },
            Finding::NoConsent { member: member_id(2) },
        ]
    );
}

#[test]
fn the_same_phone_or_name_and_year_is_suspected() {
    let (teams, mut members) = sound();
    let named = |name: &str, year, phone: Option<&str>| MemberRecord {
        full_name: Some(name.to_owned()),
        birth_year: year,
        phone: phone.map(str::to_owned),
        ..member(team_id(1), Role::Member)
    };
    members.push((member_id(2), named("Nguyễn Văn Thử", Some(1990), Some("+84912000001"))));
    members.push((member_id(3), named("Nguyễn Văn Thứ", Some(1990), None)));
    members.push((member_id(4), named("Trần Thị Mẫu", None, Some("+84912000001"))));
    members.push((member_id(5), named("Nguyễn Văn Thử", Some(1991), None)));
    members.push((member_id(6), named("Nguyễn Văn Thu", None, None)));
    let pair = |b, reason| Finding::SameMember { a: member_id(2), b, reason };
    let both = [pair(member_id(3), SameMemberReason::NameAndBirthYear), pair(member_id(4), SameMemberReason::Phone)];
    assert_eq!(findings(None, &teams, &members), both);

    members[2].1.phone = Some("+84912000001".to_owned());
    let stronger = findings(None, &teams, &members);
    assert_eq!(stronger[0], pair(member_id(3), SameMemberReason::Phone), "one finding, the stronger reason");
    assert_eq!(stronger.len(), 2);

    members[2].1.merged_into = Some(member_id(2));
    members[3].1.merged_into = Some(member_id(2));
    assert_eq!(findings(None, &teams, &members), [], "merged pairs are settled");
}

#[test]
fn two_teams_for_one_hamlet_are_suspected() {
    let (mut teams, mut members) = sound();
    teams.push((team_id(2), hamlet_team("thôn thử 01")));
    members.push((member_id(2), member(team_id(2), Role::Leader)));
    assert_eq!(findings(None, &teams, &members), [Finding::SameTeam { a: team_id(1), b: team_id(2) }]);

    teams[1].1.status = TeamStatus::Planned;
    assert_eq!(findings(None, &teams, &members), [], "only one of them counts");
    teams[1].1.status = TeamStatus::Active;
    teams[1].1.merged_into = Some(team_id(1));
    members[1].1.role = Role::Member;
    assert_eq!(findings(None, &teams, &members), [], "merged");
}

#[test]
fn hamlets_must_be_on_the_list_and_exist() {
    let (mut teams, members) = sound();
    let hamlet = |status| HamletRecord {
        name: "Thôn Thử 1".to_owned(),
        kind: None,
        households: None,
        status,
        predecessors: vec![],
        successors: vec![],
    };
    let mut commune = CommuneRecord::default();
    commune.hamlets.insert(hamlet_key("Thôn Thử 1"), hamlet(HamletStatus::Active));
    assert_eq!(findings(Some(&commune), &teams, &members), []);
    commune.hamlets.insert(hamlet_key("Thôn Thử 1"), hamlet(HamletStatus::Merged));
    let unknown = [Finding::UnknownHamlet { team: team_id(1), hamlet: "Thôn Thử 1".to_owned() }];
    assert_eq!(findings(Some(&commune), &teams, &members), unknown);
    commune.hamlets.clear();
    commune.hamlets.insert(hamlet_key("Thôn Khác"), hamlet(HamletStatus::Active));
    assert_eq!(findings(Some(&commune), &teams, &members), unknown);
    teams[0].1.level = TeamLevel::Commune;
    assert_eq!(findings(Some(&commune), &teams, &members), []);
}

#[test]
fn consent_is_needed() {
    let (teams, mut members) = sound();
    members[0].1.consent.withdrawn_on = Some("2022-09-05".to_owned());
    assert_eq!(findings(None, &teams, &members), [Finding::NoConsent { member: member_id(1) }]);
    members[0].1.consent = ConsentRecord::default();
    assert_eq!(findings(None, &teams, &members), [Finding::NoConsent { member: member_id(1) }]);
    members[0].1.left_on = Some("2022-09-05".to_owned());
    members.push((member_id(2), member(team_id(1), Role::Leader)));
    assert_eq!(findings(None, &teams, &members), []);
}

/// The story: a member who "left" in 2100 dropped out of the count, and nobody was told.
#[test]
fn days_that_cannot_be_are_shown_with_their_field() {
    let (mut teams, mut members) = sound();
    let day = |day: &str| Some(day.to_owned());
    let to_come = |document, field: &str| Finding::DayToCome { document, field: field.to_owned() };
    let disorder = |document, earlier: &str, later: &str| Finding::DaysOutOfOrder {
        document,
        earlier: earlier.to_owned(),
        later: later.to_owned(),
    };
    let signed = CommuneRecord { signed_off_on: day("2026-12-02"), ..CommuneRecord::default() };
    teams[0].1.decision_date = day("2027-01-01");
    teams[0].1.established_on = day("2026-11-30");
    for (id, on) in
        [("0000000000000001", "2026-11-29"), ("0000000000000002", "2100-01-01"), ("0000000000000003", "2100-01-02")]
    {
        let activity = crate::record::ActivityRecord { date: day(on), ..crate::record::ActivityRecord::default() };
        teams[0].1.activities.insert(id.to_owned(), activity);
    }
    members[0].1.birth_year = Some(2100);
    members[0].1.joined_on = day("2026-12-02");
    members.push((member_id(2), member(team_id(1), Role::Member)));
    members[1].1.left_on = day("2022-08-01");
    members[1].1.joined_on = day("2022-09-01");
    members[1].1.consent.withdrawn_on = day("2100-01-01");
    let (team, first, second) = (team_id(1), member_id(1), member_id(2));
    assert_eq!(
        findings(Some(&signed), &teams, &members),
        [
            to_come(DocId::commune(scope()), "signed_off_on"),
            to_come(team, "decision_date"),
            to_come(team, "activities/0000000000000002/date"),
            to_come(first, "joined_on"),
            to_come(second, "consent/withdrawn_on"),
            Finding::BirthYear { member: first },
            disorder(team, "decision_date", "established_on"),
            disorder(team, "established_on", "activities/0000000000000001/date"),
            disorder(first, "birth_year", "joined_on"),
            disorder(first, "birth_year", "consent/date"),
            disorder(second, "joined_on", "left_on"),
        ]
    );
    let alone: Vec<_> = findings(Some(&signed), &teams, &members)
        .into_iter()
        .filter(|found| format!("{found:?}").contains(&format!("{second:?}")))
        .collect();
    assert_eq!(record_findings(second, &crate::record::Record::Member(members[1].1.clone()), &today()), alone);
    teams.push((
        team_id(2),
        TeamRecord { merged_into: Some(team_id(1)), established_on: day("2100-01-01"), ..hamlet_team("x") },
    ));
    let of_merged = to_come(team_id(2), "established_on");
    assert!(!findings(None, &teams, &members).contains(&of_merged), "another stands for it");
}

#[test]
fn ages_pass_at_the_limits_and_not_beyond() {
    let (teams, mut members) = sound();
    for (year, wrong) in [(1904, true), (1905, false), (2020, false), (2021, true)] {
        members[0].1.birth_year = Some(year);
        let found = findings(None, &teams, &members).contains(&Finding::BirthYear { member: member_id(1) });
        assert_eq!(found, wrong, "{year}");
    }
}

/// The story: an activity of 2002 was taken without a word; and tomorrow was taken and found fault with at once.
#[test]
fn days_before_the_programme_are_shown_and_a_save_and_a_finding_agree_about_tomorrow() {
    let (mut teams, members) = sound();
    let activity = |on: &str| crate::record::ActivityRecord {
        date: Some(on.to_owned()),
        ..crate::record::ActivityRecord::default()
    };
    for (id, on) in
        [("01", "2002-09-07"), ("02", "2019-12-31"), ("03", "2020-01-01"), ("04", "2026-12-01"), ("05", "2026-12-02")]
    {
        teams[0].1.activities.insert(format!("{id:0>16}"), activity(on));
    }
    teams[0].1.decision_date = Some("2012-09-07".to_owned());
    let path = |id: &str| format!("activities/{id:0>16}/date");
    let team = team_id(1);
    assert_eq!(
        findings(None, &teams, &members),
        [
            Finding::DayToCome { document: team, field: path("05") },
            Finding::DayBeforeProgramme { document: team, field: "decision_date".to_owned() },
            Finding::DayBeforeProgramme { document: team, field: path("01") },
        ]
    );
    let noon = crate::time::TimestampMs(1_796_014_800_000);
    for (day, taken) in [("2026-12-01", true), ("2026-12-02", false)] {
        let edit = crate::edit::DocEdit::parse(crate::id::DocKind::Team, "decision_date", day).unwrap();
        let saved = crate::edit::check_days(&[edit], None, crate::time::KnownTime::of_server(noon));
        teams[0].1.decision_date = Some(day.to_owned());
        let shown = Finding::DayToCome { document: team, field: "decision_date".to_owned() };
        assert_eq!((saved.is_ok(), !findings(None, &teams, &members).contains(&shown)), (taken, taken), "{day}");
    }
}

/// The story: `Thoân 2` was stored by an older build, and nothing said so; of TCVN3's ư only soft hyphens were left.
#[test]
fn a_places_kind_and_stray_soft_hyphens_tell_the_encoding_too() {
    let (mut teams, mut members) = sound();
    teams[0].1.hamlet = Some("Thoân 2".to_owned());
    members[0].1.full_name = Some("Th\u{AD}\u{AD}".to_owned());
    let legacy = |document, field: &str| Finding::LegacyText { document, field: field.to_owned() };
    assert_eq!(findings(None, &teams, &members), [legacy(team_id(1), "hamlet"), legacy(member_id(1), "full_name")]);
    members[0].1.full_name = Some("Y\u{AD}Thử Niê".to_owned());
    assert_eq!(findings(None, &teams, &members), [legacy(team_id(1), "hamlet")], "a word that was divided");
}

#[test]
fn text_of_older_encodings_is_shown_with_its_field() {
    let (mut teams, mut members) = sound();
    let legacy = |document, field: &str| Finding::LegacyText { document, field: field.to_owned() };
    members[0].1.full_name = Some("NguyÔn V¨n Thö".to_owned());
    teams[0].1.hamlet = Some("Th«n Hßa B×nh".to_owned());
    teams[0].1.decision_body = Some("UBND x· T©n LËp".to_owned());
    let mut commune =
        CommuneRecord { signed_off_by: Some("UBND xaõ Taân Laäp".to_owned()), ..CommuneRecord::default() };
    let name = "Thoân Tröôùc".to_owned();
    let hamlet = HamletRecord {
        name: name.clone(),
        kind: None,
        households: None,
        status: HamletStatus::Abolished,
        predecessors: Vec::new(),
        successors: Vec::new(),
    };
    commune.hamlets.insert("a".to_owned(), hamlet);
    let id = DocId::commune(scope());
    let found: Vec<_> = findings(Some(&commune), &teams, &members)
        .into_iter()
        .filter(|found| matches!(found, Finding::LegacyText { .. }))
        .collect();
    assert_eq!(
        found,
        [
            legacy(id, "signed_off_by"),
            legacy(id, "hamlets/a/name"),
            legacy(team_id(1), "hamlet"),
            legacy(team_id(1), "decision_body"),
            legacy(member_id(1), "full_name"),
        ]
    );
}
