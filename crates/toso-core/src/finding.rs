//! What a merge can break, and suspected duplicates: computed on read, shown to people, never a rejection.
//!
//! A duplicate is settled by a reversible mark, `merged_into`. The mark leads to another document, which may itself be
//! marked; [`resolve_merge`] follows it to the document that stands for all of them, and [`effective_team`] says in
//! which team a member counts once teams have been merged.

mod duplicates;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::id::DocId;
use crate::record::{CommuneRecord, HamletStatus, MemberRecord, Role, TeamLevel, TeamRecord, TeamStatus};
use crate::text::hamlet_key;

/// The longest chain of merges that is followed. Duplicates are merged by hand, one into another; a longer chain is a
/// circle or an attack.
pub const MERGE_CHAIN_MAX: usize = 32;

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

/// The document that stands for `id`: `id` itself, or where its merges lead. `None` when they lead in a circle or to a
/// document that is not here.
///
/// `lookup` gives a document's `merged_into`, or `None` when the document is not here.
pub fn resolve_merge(id: DocId, lookup: impl Fn(DocId) -> Option<Option<DocId>>) -> Option<DocId> {
    let mut at = id;
    for _ in 0..=MERGE_CHAIN_MAX {
        match lookup(at)? {
            Some(into) => at = into,
            None => return Some(at),
        }
    }
    None
}

/// The team in which a member counts: the one that the member names, or the one it was merged into. `None` without a
/// team, or when [`resolve_merge`] finds none. `lookup` is that of [`resolve_merge`].
pub fn effective_team(member: &MemberRecord, lookup: impl Fn(DocId) -> Option<Option<DocId>>) -> Option<DocId> {
    resolve_merge(member.team?, lookup)
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
    findings.extend(duplicates::members(&view.members));
    findings.extend(duplicates::teams(&view.teams));
    view.unknown_hamlets(commune, &mut findings);
    view.broken_merges(&mut findings);
    view.without_consent(&mut findings);
    findings
}

/// A scope, sorted by id.
struct View<'a> {
    teams: BTreeMap<DocId, &'a TeamRecord>,
    members: BTreeMap<DocId, &'a MemberRecord>,
    /// The team in which each present member counts.
    team_of: HashMap<DocId, Option<DocId>>,
}

impl<'a> View<'a> {
    fn new(teams: &'a [(DocId, TeamRecord)], members: &'a [(DocId, MemberRecord)]) -> Self {
        let teams: BTreeMap<_, _> = teams.iter().map(|(id, team)| (*id, team)).collect();
        let members: BTreeMap<_, _> = members.iter().map(|(id, member)| (*id, member)).collect();
        let lookup = |id| teams.get(&id).map(|team| team.merged_into);
        let present = members.iter().filter(|(_, member)| member.counts());
        let team_of = present.map(|(id, member)| (*id, effective_team(member, lookup))).collect();
        Self { teams, members, team_of }
    }

    fn present(&self) -> impl Iterator<Item = (DocId, &'a MemberRecord)> {
        self.members.iter().filter(|(_, member)| member.counts()).map(|(id, member)| (*id, *member))
    }

    fn team_of(&self, member: DocId) -> Option<DocId> {
        self.team_of.get(&member).copied().flatten()
    }

    fn leaders(&self, findings: &mut Vec<Finding>) {
        let mut leaders: BTreeMap<DocId, Vec<DocId>> = BTreeMap::new();
        let mut manned = BTreeSet::new();
        for (id, member) in self.present() {
            if let Some(team) = self.team_of(id) {
                manned.insert(team);
                if member.role == Role::Leader {
                    leaders.entry(team).or_default().push(id);
                }
            }
        }
        let at_work = || self.teams.iter().filter(|(_, team)| team.counts()).map(|(id, _)| *id);
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
        let without = self.present().filter(|(id, _)| !self.team_of(*id).is_some_and(|team| self.exists(team)));
        findings.extend(without.map(|(member, record)| Finding::MemberWithoutTeam { member, team: record.team }));
    }

    fn unknown_hamlets(&self, commune: Option<&CommuneRecord>, findings: &mut Vec<Finding>) {
        let Some(commune) = commune.filter(|commune| !commune.hamlets.is_empty()) else { return };
        for (id, team) in self.teams.iter().filter(|(_, team)| team.counts() && team.level == TeamLevel::Hamlet) {
            let Some(hamlet) = &team.hamlet else { continue };
            let listed = commune.hamlets.get(&hamlet_key(hamlet));
            if listed.is_none_or(|listed| listed.status != HamletStatus::Active) {
                findings.push(Finding::UnknownHamlet { team: *id, hamlet: hamlet.clone() });
            }
        }
    }

    fn broken_merges(&self, findings: &mut Vec<Finding>) {
        let merged_teams = self.teams.iter().filter_map(|(id, team)| Some((*id, team.merged_into?)));
        let merged_members = self.members.iter().filter_map(|(id, member)| Some((*id, member.merged_into?)));
        let lookup = |id: DocId| {
            let team = self.teams.get(&id).map(|team| team.merged_into);
            team.or_else(|| self.members.get(&id).map(|member| member.merged_into))
        };
        let merged: BTreeMap<_, _> = merged_teams.chain(merged_members).collect();
        let broken = merged.into_iter().filter(|(from, _)| resolve_merge(*from, lookup).is_none());
        findings.extend(broken.map(|(from, into)| Finding::BrokenMerge { from, into }));
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
