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
    assert_eq!(findings(None, &[], &members), without);
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
