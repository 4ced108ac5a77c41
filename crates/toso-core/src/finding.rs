//! What a merge can break, and suspected duplicates: computed on read, shown to people, never a rejection.
//!
//! A duplicate is settled by a reversible mark, `merged_into`. The mark leads to another document, which may itself be
//! marked; [`Merges`] follows it to the document that stands for all of them.

mod duplicates;
mod merges;
mod values;

pub use merges::{Merges, standing_for};
pub use values::record_findings;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::id::DocId;
use crate::kind::{CommuneKind, MemberKind, TeamKind};
use crate::record::{CommuneRecord, HamletStatus, MemberRecord, Role, TeamLevel, TeamRecord, TeamStatus};
use crate::text::{Date, hamlet_key, place_key};

/// Something a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
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
    /// A day that has not come yet. Of a team's activities the first one.
    DayToCome {
        /// The record.
        document: DocId,
        /// Its field.
        field: String,
    },
    /// A day before there was a programme, see [`PROGRAMME_FIRST_DAY`](crate::text::PROGRAMME_FIRST_DAY). Of a team's
    /// activities the first one.
    DayBeforeProgramme {
        /// The record.
        document: DocId,
        /// Its field.
        field: String,
    },
    /// A year of birth that no member has.
    BirthYear {
        /// The member.
        member: DocId,
    },
    /// A day that lies before another which it should follow: left before joined, consent withdrawn before given, joined or
    /// left before born, a team set up before its decision, or at work before it was set up.
    DaysOutOfOrder {
        /// The record.
        document: DocId,
        /// The field that should come first.
        earlier: String,
        /// The field that should follow.
        later: String,
    },
    /// Text of an older encoding (TCVN3, VNI), stored as it was pasted, or what is left of it: soft hyphens (TCVN3's ư) where
    /// no word is divided. Of a commune's hamlets the first one.
    LegacyText {
        /// The record.
        document: DocId,
        /// Its field.
        field: String,
    },
}

/// Why two members may be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SameMemberReason {
    /// Same phone number.
    Phone,
    /// Same name (tones aside) and birth year.
    NameAndBirthYear,
}

/// All findings of one scope, seen from a day: by kind of finding in the order of [`Finding`], then by id.
pub fn findings(
    commune: Option<(DocId, &CommuneRecord)>,
    teams: &[(DocId, TeamRecord)],
    members: &[(DocId, MemberRecord)],
    today: &Date,
) -> Vec<Finding> {
    let view = View::new(teams, members);
    let mut findings = Vec::new();
    view.leaders(&mut findings);
    view.members_without_team(&mut findings);
    findings.extend(duplicates::members(view.present()));
    findings.extend(duplicates::teams(view.at_work()));
    view.unknown_hamlets(commune.map(|(_, record)| record), &mut findings);
    view.broken_merges(&mut findings);
    view.without_consent(&mut findings);
    view.values(commune, today, &mut findings);
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
            // Under its key of today, or the one that an older build gave it.
            let listed = commune.hamlets.get(&place_key(hamlet)).or_else(|| commune.hamlets.get(&hamlet_key(hamlet)));
            if listed.is_none_or(|listed| listed.status != HamletStatus::Active) {
                findings.push(Finding::UnknownHamlet { team: id, hamlet: hamlet.clone() });
            }
        }
    }

    fn broken_merges(&self, findings: &mut Vec<Finding>) {
        findings.extend(self.merges.broken().map(|(from, into)| Finding::BrokenMerge { from, into }));
    }

    /// What each record shows by itself, also of members who have left: a day to come may be why they seem to have.
    fn values(&self, commune: Option<(DocId, &CommuneRecord)>, today: &Date, findings: &mut Vec<Finding>) {
        let mut found = Vec::new();
        if let Some((id, record)) = commune {
            values::of::<CommuneKind>(id, record, today, &mut found);
        }
        for (id, team) in self.teams.iter().filter(|(id, _)| !self.merges.is_merged(**id)) {
            values::of::<TeamKind>(*id, team, today, &mut found);
        }
        for (id, member) in self.members.iter().filter(|(id, _)| !self.merges.is_merged(**id)) {
            values::of::<MemberKind>(*id, member, today, &mut found);
        }
        // By kind; within one they come by id. Stable.
        found.sort_by_key(values::kind_order);
        findings.extend(found);
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
