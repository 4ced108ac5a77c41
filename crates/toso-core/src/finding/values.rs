//! Values that cannot be, of one record by itself: days to come, days in an impossible order, text of an older encoding.
//!
//! Devices refuse such values when somebody saves them ([`crate::edit::check_days`], [`crate::text::legacy_text`]). What is
//! here came from an older build, from a device that knew the time worse, or out of a merge.

use super::Finding;
use crate::edit::{Days, birth_years};
use crate::id::DocId;
use crate::kind::part::Fields;
use crate::kind::{At, CommuneKind, Is, MemberKind, Rules, Seen, TeamKind};
use crate::record::Record;
use crate::text::{Date, legacy_text};

/// Findings of one record by itself, seen from a day: by kind of finding.
pub fn record_findings(id: DocId, record: &Record, today: &Date) -> Vec<Finding> {
    let mut found = Vec::new();
    match record {
        Record::Commune(record) => of::<CommuneKind>(id, record, today, &mut found),
        Record::Team(record) => of::<TeamKind>(id, record, today, &mut found),
        Record::Member(record) => of::<MemberKind>(id, record, today, &mut found),
    }
    found.sort_by_key(kind_order);
    found
}

/// The place of the kinds that this file finds, in the order of [`Finding`].
pub(super) fn kind_order(finding: &Finding) -> u8 {
    match finding {
        Finding::SeveralLeaders { .. }
        | Finding::NoLeader { .. }
        | Finding::NoMembers { .. }
        | Finding::MemberWithoutTeam { .. }
        | Finding::SameMember { .. }
        | Finding::SameTeam { .. }
        | Finding::UnknownHamlet { .. }
        | Finding::BrokenMerge { .. }
        | Finding::NoConsent { .. } => 0,
        Finding::DayToCome { .. } => 1,
        Finding::BirthYear { .. } => 2,
        Finding::DaysOutOfOrder { .. } => 3,
        Finding::LegacyText { .. } => 4,
    }
}

/// Findings of one record by itself. Of a field that many entries have, the first one.
pub(super) fn of<K: Rules>(id: DocId, record: &K::Record, today: &Date, found: &mut Vec<Finding>) {
    let (first, last) = birth_years(today);
    let mut days = Days::default();
    let mut seen_before: Vec<Seen<'_>> = Vec::new();
    record.each(At::ROOT, &mut |seen| {
        days.see(&seen);
        let finding = match seen.is {
            Is::Day if *seen.text > *today.as_str() => Finding::DayToCome { document: id, field: seen.path() },
            Is::BirthYear if !seen.text.parse().is_ok_and(|year| (first..=last).contains(&year)) => {
                Finding::BirthYear { member: id }
            }
            Is::Name | Is::Text if legacy_text(&seen.text).is_some() => {
                Finding::LegacyText { document: id, field: seen.path() }
            }
            Is::Day | Is::BirthYear | Is::Name | Is::Text | Is::Phone | Is::Other => return,
        };
        if !seen_before.iter().any(|before| before.is_of_field(&seen)) {
            found.push(finding);
            seen_before.push(seen);
        }
    });
    for (earlier, later) in days.out_of_order(K::IN_ORDER) {
        let (earlier, later) = (earlier.to_owned(), later.to_owned());
        found.push(Finding::DaysOutOfOrder { document: id, earlier, later });
    }
    K::findings(id, record, found);
}
