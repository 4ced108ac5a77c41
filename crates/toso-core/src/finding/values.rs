//! Values that cannot be, of one record by itself: days to come, days in an impossible order, text of an older encoding.
//!
//! Devices refuse such values when somebody saves them ([`crate::edit::check_days`], [`crate::text::legacy_text`]). What is
//! here came from an older build, from a device that knew the time worse, or out of a merge.

use super::Finding;
use crate::edit::{Days, birth_years, is_to_come};
use crate::id::DocId;
use crate::kind::part::Fields;
use crate::kind::{At, CommuneKind, Is, MemberKind, Rules, Seen, TeamKind};
use crate::record::Record;
use crate::text::{Date, PROGRAMME_FIRST_DAY, legacy_place, legacy_text, stray_soft_hyphen};

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
        Finding::DayBeforeProgramme { .. } => 2,
        Finding::BirthYear { .. } => 3,
        Finding::DaysOutOfOrder { .. } => 4,
        Finding::LegacyText { .. } => 5,
    }
}

/// Findings of one record by itself. Of a field that many entries have, the first one of each kind of finding.
pub(super) fn of<K: Rules>(id: DocId, record: &K::Record, today: &Date, found: &mut Vec<Finding>) {
    let (first, last) = birth_years(today);
    let mut days = Days::default();
    let mut seen_before: Vec<(u8, Seen<'_>)> = Vec::new();
    record.each(At::ROOT, &mut |seen| {
        days.see(&seen);
        let finding = match seen.is {
            Is::Day if is_to_come(&seen.text, today) => Finding::DayToCome { document: id, field: seen.path() },
            Is::Day if *seen.text < *PROGRAMME_FIRST_DAY => {
                Finding::DayBeforeProgramme { document: id, field: seen.path() }
            }
            Is::BirthYear if !seen.text.parse().is_ok_and(|year| (first..=last).contains(&year)) => {
                Finding::BirthYear { member: id }
            }
            Is::Name | Is::Place | Is::Text if is_legacy(&seen) => {
                Finding::LegacyText { document: id, field: seen.path() }
            }
            Is::Day | Is::BirthYear | Is::Name | Is::Place | Is::Text | Is::Phone | Is::Other => return,
        };
        let kind = kind_order(&finding);
        if !seen_before.iter().any(|(of, before)| *of == kind && before.is_of_field(&seen)) {
            found.push(finding);
            seen_before.push((kind, seen));
        }
    });
    for (earlier, later) in days.out_of_order(K::IN_ORDER) {
        let (earlier, later) = (earlier.to_owned(), later.to_owned());
        found.push(Finding::DaysOutOfOrder { document: id, earlier, later });
    }
    K::findings(id, record, found);
}

/// True for text of an older encoding, by the question that the field's own type asks of what is typed.
fn is_legacy(seen: &Seen<'_>) -> bool {
    let found = if seen.is == Is::Place { legacy_place(&seen.text) } else { legacy_text(&seen.text) };
    found.is_some() || stray_soft_hyphen(&seen.text).is_some()
}
