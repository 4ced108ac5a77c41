//! One commune's rows, read by the rules of what counts.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use toso_core::finding::Merges;
use toso_core::id::DocId;
use toso_core::record::{Course, CourseStatus, Gender, Role, TeamLevel, TeamStatus};

use crate::figures::Figures;
use crate::merges::merges_of;
use crate::row::{CourseProgress, HamletTag, MemberRow, Row, TeamRow};

/// A commune's rows with their merges settled.
pub(crate) struct Counting<'a> {
    rows: &'a BTreeMap<DocId, Row>,
    merges: Merges,
    /// Counting members by team; made by the first question.
    sizes: OnceCell<BTreeMap<DocId, u64>>,
}

impl<'a> Counting<'a> {
    pub(crate) fn new(rows: &'a BTreeMap<DocId, Row>) -> Self {
        Self { rows, merges: merges_of(rows), sizes: OnceCell::new() }
    }

    /// The document that stands for `doc`.
    pub(crate) fn target(&self, doc: DocId) -> DocId {
        self.merges.target(doc)
    }

    /// True when a team counts.
    pub(crate) fn team_counts(&self, doc: DocId, team: &TeamRow) -> bool {
        team.status == TeamStatus::Active && !self.merges.is_merged(doc)
    }

    /// The team that a member is in now: the one written down, or the one that stands for it. `None` when it is not here.
    pub(crate) fn team_of(&self, member: &MemberRow) -> Option<(DocId, &'a TeamRow)> {
        let doc = self.merges.target(member.team?);
        match self.rows.get(&doc) {
            Some(Row::Team(team)) => Some((doc, team)),
            _ => None,
        }
    }

    /// True when a member counts.
    pub(crate) fn member_counts(&self, doc: DocId, member: &MemberRow) -> bool {
        !member.left
            && !self.merges.is_merged(doc)
            && self.team_of(member).is_some_and(|(team, row)| self.team_counts(team, row))
    }

    /// How many members that count are in a team, those of teams merged into it included.
    pub(crate) fn size_of_team(&self, team: DocId) -> u64 {
        let sizes = self.sizes.get_or_init(|| {
            let mut sizes = BTreeMap::new();
            for (doc, row) in self.rows {
                if let Row::Member(member) = row
                    && self.member_counts(*doc, member)
                    && let Some((team, _)) = self.team_of(member)
                {
                    *sizes.entry(team).or_default() += 1;
                }
            }
            sizes
        });
        sizes.get(&team).copied().unwrap_or_default()
    }

    /// The commune's counters, without [`Figures::communes_with_teams`], which depends on the list that is asked.
    pub(crate) fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        let mut served: BTreeSet<HamletTag> = BTreeSet::new();
        let mut listed: BTreeSet<HamletTag> = BTreeSet::new();
        for (doc, row) in self.rows {
            match row {
                Row::Commune(commune) => {
                    listed.extend(commune.hamlets.iter());
                    // A scope has one commune document; a second, invented one must not count twice.
                    figures.details.communes_signed_off |= u64::from(commune.signed_off);
                }
                Row::Team(team) if self.team_counts(*doc, team) => {
                    add_team(&mut figures, team);
                    served.extend(team.hamlet.filter(|_| team.level == TeamLevel::Hamlet));
                }
                Row::Member(member) if self.member_counts(*doc, member) => add_member(&mut figures, member),
                Row::Team(_) | Row::Member(_) | Row::Other => {}
            }
        }
        figures.details.hamlets_listed = count(listed.len());
        figures.details.hamlets_with_teams = count(served.len());
        figures.details.hamlets_without_team = count(listed.difference(&served).count());
        figures
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn add_team(figures: &mut Figures, team: &TeamRow) {
    figures.teams += 1;
    let details = &mut figures.details;
    match team.level {
        TeamLevel::Commune => details.teams_of_communes += 1,
        TeamLevel::Hamlet => details.teams_of_hamlets += 1,
    }
    details.teams_with_decision += u64::from(team.has_decision);
    details.households_covered += u64::from(team.households_covered);
    details.activities += u64::from(team.activities);
    details.people_reached += u64::from(team.people_reached);
}

fn add_member(figures: &mut Figures, member: &MemberRow) {
    figures.members += 1;
    for (sum, is) in figures.affiliations.iter_mut().zip(member.affiliations.flags()) {
        *sum += u64::from(is);
    }
    let details = &mut figures.details;
    match member.role {
        Role::Leader => details.leaders += 1,
        Role::Deputy => details.deputies += 1,
        Role::Secretary => details.secretaries += 1,
        Role::Member => {}
    }
    details.women += u64::from(member.gender == Some(Gender::Female));
    details.union_members += u64::from(member.union_member);
    details.zalo_oa_followers += u64::from(member.zalo_oa_followed);
    let trained = |course| progress(member.courses, course);
    let (enrolled, completed) = trained(Course::Mooc);
    details.mooc_enrolled += enrolled;
    details.mooc_completed += completed;
    let (enrolled, completed) = trained(Course::UnionClass);
    details.union_class_enrolled += enrolled;
    details.union_class_completed += completed;
    let (enrolled, completed) = trained(Course::MinistryClass);
    details.ministry_class_enrolled += enrolled;
    details.ministry_class_completed += completed;
}

/// 1 or 0 for enrolled (or further) and for completed.
fn progress(courses: CourseProgress, course: Course) -> (u64, u64) {
    let completed = courses.status(course) == Some(CourseStatus::Completed);
    let enrolled = completed || courses.status(course) == Some(CourseStatus::Enrolled);
    (u64::from(enrolled), u64::from(completed))
}
