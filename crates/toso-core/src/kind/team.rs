//! A community digital technology team and what it did. The table, and the rules between its fields.

use std::borrow::Cow;

use data_encoding::HEXLOWER;

use super::input::check_counts;
use super::part::{Entry, EntryKey};
use super::{
    ActivityKind, Always, Edit, Entries, HamletKind, Households, Input, Required, Rules, Set, Skill, TeamId, TeamLevel,
    TeamStatus, merged_into_another,
};
use crate::edit::{EditError, Write};
use crate::finding::Finding;
use crate::id::{DocId, IdError};
use crate::text::{Date, DocumentNumber, Label, Link, Note, PlaceName};

/// The most activities read of one team: three a day for ten years.
pub(crate) const ACTIVITIES_MAX: usize = 11_000;

/// The most people that one save may add to an activity's counters: more than the largest commune has, less than a
/// typing error of a few digits makes.
pub const REACHED_MAX: i64 = 500_000;

/// Hands the table of a team to a macro.
///
/// `merged_into` is a mark: it alone takes the team out of reports and moves its members over. The status stays, so that
/// taking the mark back restores everything. A team that really went into another by decision also gets
/// [`TeamStatus::Merged`](crate::kind::TeamStatus::Merged).
#[macro_export]
macro_rules! team_table {
    ($take:ident) => {
        $take! {
            /// A team. One of which nothing is known but that somebody recorded it is a hamlet's, at work.
            TeamKind "team", genesis [["activities"]], record TeamRecord as Team;
            /// A change to a team. `None` clears a field.
            edit TeamEdit;
            fields {
                /// Whether it serves a hamlet or the whole commune.
                level: Always<TeamLevel> = TeamLevel::Hamlet => Level(level), "Cấp tổ", "Level";
                /// Hamlet served; none for a commune team.
                hamlet: Option<PlaceName> => Hamlet(name), "Thôn", "Hamlet";
                /// Kind of the hamlet.
                hamlet_kind: Option<HamletKind> => HamletKind(kind), "Loại thôn", "Kind of the hamlet";
                /// The name the team goes by.
                local_name: Option<PlaceName> => LocalName(name), "Tên gọi của tổ", "Name of the team";
                /// Number of the founding decision, `12/QĐ-UBND`.
                decision_number: Option<DocumentNumber> => DecisionNumber(number), "Số quyết định", "Number of the decision";
                /// Its date, ISO 8601.
                decision_date: Option<Date> => DecisionDate(date), "Ngày quyết định", "Date of the decision";
                /// Who decided.
                decision_body: Option<Label> => DecisionBody(body), "Cơ quan ra quyết định", "Who decided";
                /// Set up on, ISO 8601.
                established_on: Option<Date> => EstablishedOn(date), "Ngày thành lập", "Set up on";
                /// Where it stands.
                status: Always<TeamStatus> = TeamStatus::Active => Status(status), "Tình trạng", "Status";
                /// The team that this one is a duplicate of, or went into.
                merged_into: Option<TeamId> => MergedInto(into), "Gộp vào tổ", "Merged into", through merge;
                /// Link to the Zalo group, with https.
                zalo_link: Option<Link> => ZaloLink(link), "Nhóm Zalo", "Zalo group";
                /// Households covered.
                households_covered: Option<Households> => HouseholdsCovered(households), "Số hộ phụ trách", "Households covered";
                /// Note.
                note: Option<Note> => Note(text), "Ghi chú", "Note";
                /// Activities by id (16 hexadecimal digits).
                activities: Entries<ActivityId, ActivityRecord> |id| {
                    /// One activity of a team. People are counted, never named.
                    ActivityRecord as TeamActivity {
                        /// Day, ISO 8601.
                        date: Required<Date> => ActivityDate(date), "Ngày hoạt động", "Day of the activity";
                        /// What it was.
                        kind: Required<ActivityKind> => ActivityKind(kind), "Loại hoạt động", "Kind of activity";
                        /// Skills covered. The edit adds or removes (false) one.
                        skills: Set<Skill> => ActivitySkill[skill, present], "Kỹ năng", "Skills";
                    }
                    /// People reached; counts only.
                    counters Reached as reached => AddReached(more), at most REACHED_MAX {
                        /// People reached, all.
                        total = reached, "Số người được hướng dẫn", "People reached";
                        /// Of them women.
                        women = reached_women, "Trong đó nữ", "Of them women";
                        /// Of them over 60.
                        over_60 = reached_over_60, "Trong đó trên 60 tuổi", "Of them over 60";
                        /// Of them of an ethnic minority.
                        minority = reached_minority, "Trong đó dân tộc thiểu số", "Of them of an ethnic minority";
                    }
                };
            }
            together {
                /// Records an activity with the people reached so far.
                AddActivity {
                    /// Random, new.
                    id: ActivityId => "activities",
                    /// The day.
                    date: Date => "activities/date",
                    /// What it was.
                    kind: ActivityKind => "activities/kind",
                    /// Skills covered.
                    skills: Vec<Skill> => "activities/skills",
                    /// People reached.
                    reached: Reached => "activities/reached",
                } as add_activity;
            }
        }
    };
}

team_table!(kind);

impl TeamRecord {
    /// True when the team is at work. Reports count it unless another stands for it, see
    /// [`Merges`](crate::finding::Merges).
    pub fn is_active(&self) -> bool {
        self.status == TeamStatus::Active
    }
}

fn add_activity(id: ActivityId, date: Date, kind: ActivityKind, skills: Vec<Skill>, reached: Reached) -> Vec<Write> {
    let values = [TeamEdit::ActivityDate { id, date }, TeamEdit::ActivityKind { id, kind }];
    let skills = skills.into_iter().map(|skill| TeamEdit::ActivitySkill { id, skill, present: true });
    let mut writes: Vec<Write> = values.into_iter().chain(skills).flat_map(|edit| edit.writes()).collect();
    // Counters begin here, each with its count.
    writes.extend(reached.counts().map(|(name, count)| Write::count("activities", format!("{id}/{name}"), count)));
    writes
}

impl Rules for TeamKind {
    fn check(edit: &TeamEdit, document: DocId) -> Result<(), EditError> {
        if let TeamEdit::MergedInto(into) = edit {
            merged_into_another(*into, document)?;
        }
        if let TeamEdit::AddActivity { id, reached, .. } = edit {
            let path = |name: &str| format!("activities/{id}/{name}");
            check_counts(reached.counts(), 0..=REACHED_MAX, path)?;
            if let Some((name, _)) = reached.counts().find(|(_, part)| *part > reached.total) {
                return Err(EditError::PartLargerThanWhole { field: path(name) });
            }
        }
        Ok(())
    }

    /// A decision may be later than the day that a team was set up, since every commune formed by a merger issued its
    /// teams' decisions anew, and a team may have worked before it was set up on paper. So both are found, never refused.
    fn findings(id: DocId, team: &TeamRecord, found: &mut Vec<Finding>) {
        let out_of_order =
            |earlier: &str, later: String| Finding::DaysOutOfOrder { document: id, earlier: earlier.to_owned(), later };
        if team.established_on.is_some() && team.established_on < team.decision_date {
            found.push(out_of_order("decision_date", "established_on".to_owned()));
        }
        let before = |day: &Option<String>| day.is_some() && *day < team.established_on;
        let early = team.activities.iter().find(|(_, activity)| before(&activity.date));
        found.extend(early.map(|(activity, _)| out_of_order("established_on", format!("activities/{activity}/date"))));
    }
}

/// Identifies an activity within its team; random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActivityId(pub [u8; 8]);

impl std::fmt::Display for ActivityId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl std::str::FromStr for ActivityId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| IdError::Malformed(text.chars().take(40).collect()))
    }
}

impl Entry for ActivityRecord {
    fn of(_: &str) -> Self {
        Self::default()
    }
}

impl EntryKey for ActivityId {
    type Given = Self;
    const CAPITALS: &'static str = "ID";
    const MAX: usize = ACTIVITIES_MAX;

    fn split<'a>(path: &'a str, _: &[&str]) -> Option<(&'a str, &'a str)> {
        let is_id = |id: &str| id.len() == 16 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        path.split_once('/').filter(|(id, _)| is_id(id))
    }
    fn parse(text: &str, input: &Input<'_>) -> Result<Self, EditError> {
        text.parse().map_err(|_| EditError::UnknownActivity { id: input.field() })
    }
    fn text(given: &Self) -> Cow<'_, str> {
        Cow::Owned(given.to_string())
    }
    fn check(_: &Self) -> Result<(), EditError> {
        Ok(())
    }
    fn must_exist(given: &Self) -> Option<ActivityId> {
        Some(*given)
    }
}
