//! What a merge can break, and suspected duplicates: computed on read, shown to people, never a rejection.
//!
//! A duplicate is settled by a reversible mark, `merged_into`. The mark leads to another document, which may itself be
//! marked; [`Merges`] follows it to the document that stands for all of them.

mod duplicates;
mod merges;

pub use merges::{Merges, standing_for};

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::id::DocId;
use crate::record::{CommuneRecord, HamletStatus, MemberRecord, Role, TeamLevel, TeamRecord, TeamStatus};
use crate::text::hamlet_key;

/// Something a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// A team with more than one leader.
    SeveralLeaders {
        /// The team.
        team: DocId,
        /// Its leaders.
        leaders: Vec<DocId>,
    },
    /// A team at work that has members but no leader.
    NoLeader {
        /// The team.
        team: DocId,
    },
    /// A team at work without members.
    NoMembers {
        /// The team.
        team: DocId,
    },
    /// A member whose team is dissolved, merged away or unknown here.
    MemberWithoutTeam {
        /// The member.
        member: DocId,
        /// The team that the member names.
        team: Option<DocId>,
    },
    /// Two members that may be one person: same phone, or same tone-insensitive name and birth year. Of more than two,
    /// each is paired with the first.
    SameMember {
        /// The one with the smaller id.
        a: DocId,
        /// The other.
        b: DocId,
        /// Why.
        reason: SameMemberReason,
    },
    /// Two teams at work for the same hamlet (after a correction of the hamlet's name). Of more than two, each is
    /// paired with the first.
    SameTeam {
        /// The one with the smaller id.
        a: DocId,
        /// The other.
        b: DocId,
    },
    /// A team at work whose hamlet is not on the commune's list, or no longer exists. Not computed while the list is
    /// empty.
    UnknownHamlet {
        /// The team.
        team: DocId,
        /// The hamlet that it names.
        hamlet: String,
    },
    /// A merge that leads in a circle or to a document that is not here.
    BrokenMerge {
        /// The document with the mark.
        from: DocId,
        /// Where the mark leads.
        into: DocId,
    },
    /// A member recorded without consent, or whose consent was withdrawn.
    NoConsent {
        /// The member.
        member: DocId,
    },
}

/// Why two members may be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SameMemberReason {
    /// Same phone number.
    Phone,
    /// Same name (tones aside) and birth year.
    NameAndBirthYear,
}

/// All findings of one scope: by kind of finding in the order of [`Finding`], then by id.
pub fn findings(
    commune: Option<&CommuneRecord>,
    teams: &[(DocId, TeamRecord)],
    members: &[(DocId, MemberRecord)],
) -> Vec<Finding> {
    let view = View::new(teams, members);
    let mut findings = Vec::new();
    view.leaders(&mut findings);
    view.members_without_team(&mut findings);
    findings.extend(duplicates::members(view.present()));
    findings.extend(duplicates::teams(view.at_work()));
    view.unknown_hamlets(commune, &mut findings);
    view.broken_merges(&mut findings);
    view.without_consent(&mut findings);
    findings
}

/// A scope, sorted by id.
struct View<'a> {
    teams: BTreeMap<DocId, &'a TeamRecord>,
    members: BTreeMap<DocId, &'a MemberRecord>,
    merges: Merges,
}

impl<'a> View<'a> {
    fn new(teams: &'a [(DocId, TeamRecord)], members: &'a [(DocId, MemberRecord)]) -> Self {
        let teams: BTreeMap<_, _> = teams.iter().map(|(id, team)| (*id, team)).collect();
        let members: BTreeMap<_, _> = members.iter().map(|(id, member)| (*id, member)).collect();
        let marks = teams.iter().map(|(id, team)| (*id, team.merged_into));
        let merges = Merges::of(marks.chain(members.iter().map(|(id, member)| (*id, member.merged_into))));
        Self { teams, members, merges }
    }

    /// Members that have not left and for whom no other stands.
    fn present(&self) -> impl Iterator<Item = (DocId, &'a MemberRecord)> {
        let present = self.members.iter().filter(|(id, member)| !member.has_left() && !self.merges.is_merged(**id));
        present.map(|(id, member)| (*id, *member))
    }

    /// Teams that are active and for which no other stands.
    fn at_work(&self) -> impl Iterator<Item = (DocId, &'a TeamRecord)> {
        let at_work = self.teams.iter().filter(|(id, team)| team.is_active() && !self.merges.is_merged(**id));
        at_work.map(|(id, team)| (*id, *team))
    }

    /// The team in which a member counts, if that team is here.
    fn team_of(&self, member: &MemberRecord) -> Option<DocId> {
        member.team.map(|team| self.merges.target(team)).filter(|team| self.teams.contains_key(team))
    }

    fn leaders(&self, findings: &mut Vec<Finding>) {
        let mut leaders: BTreeMap<DocId, Vec<DocId>> = BTreeMap::new();
        let mut manned = BTreeSet::new();
        for (id, member) in self.present() {
            if let Some(team) = self.team_of(member) {
                manned.insert(team);
                if member.role == Role::Leader {
                    leaders.entry(team).or_default().push(id);
                }
            }
        }
        let at_work = || self.at_work().map(|(id, _)| id);
        let without_leader = at_work().filter(|team| manned.contains(team) && !leaders.contains_key(team));
        let without_leader: Vec<_> = without_leader.map(|team| Finding::NoLeader { team }).collect();
        let several = leaders.into_iter().filter(|(team, leaders)| leaders.len() > 1 && self.exists(*team));
        findings.extend(several.map(|(team, leaders)| Finding::SeveralLeaders { team, leaders }));
        findings.extend(without_leader);
        findings.extend(at_work().filter(|team| !manned.contains(team)).map(|team| Finding::NoMembers { team }));
    }

    /// True for a team that is here and has not ended.
    fn exists(&self, team: DocId) -> bool {
        let team = self.teams.get(&team);
        team.is_some_and(|team| !matches!(team.status, TeamStatus::Dissolved | TeamStatus::Merged))
    }

    fn members_without_team(&self, findings: &mut Vec<Finding>) {
        let without = self.present().filter(|(_, member)| !self.team_of(member).is_some_and(|team| self.exists(team)));
        findings.extend(without.map(|(member, record)| Finding::MemberWithoutTeam { member, team: record.team }));
    }

    fn unknown_hamlets(&self, commune: Option<&CommuneRecord>, findings: &mut Vec<Finding>) {
        let Some(commune) = commune.filter(|commune| !commune.hamlets.is_empty()) else { return };
        for (id, team) in self.at_work().filter(|(_, team)| team.level == TeamLevel::Hamlet) {
            let Some(hamlet) = &team.hamlet else { continue };
            let listed = commune.hamlets.get(&hamlet_key(hamlet));
            if listed.is_none_or(|listed| listed.status != HamletStatus::Active) {
                findings.push(Finding::UnknownHamlet { team: id, hamlet: hamlet.clone() });
            }
        }
    }

    fn broken_merges(&self, findings: &mut Vec<Finding>) {
        findings.extend(self.merges.broken().map(|(from, into)| Finding::BrokenMerge { from, into }));
    }

    fn without_consent(&self, findings: &mut Vec<Finding>) {
        let without = self.present().filter(|(_, member)| {
            let consent = &member.consent;
            consent.method.is_none() || consent.date.is_none() || consent.withdrawn_on.is_some()
        });
        findings.extend(without.map(|(member, _)| Finding::NoConsent { member }));
    }
}

#[cfg(test)]
mod tests;
