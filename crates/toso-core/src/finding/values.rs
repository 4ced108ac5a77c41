//! Values that cannot be, of one record by itself: days to come, days in an impossible order, text of an older encoding.
//!
//! Devices refuse such values when somebody saves them ([`crate::edit::check_days`], [`crate::text::legacy_text`]). What is
//! here came from an older build, from a device that knew the time worse, or out of a merge.

use super::Finding;
use crate::edit::{Days, OUT_OF_ORDER_IS_REFUSED, birth_years};
use crate::id::DocId;
use crate::record::{CommuneRecord, MemberRecord, Record, TeamRecord};
use crate::text::{Date, legacy_text};

/// Findings of one record by itself, seen from a day: by kind of finding.
pub fn record_findings(id: DocId, record: &Record, today: &Date) -> Vec<Finding> {
    let mut found = Vec::new();
    match record {
        Record::Commune(record) => of_commune(id, record, today, &mut found),
        Record::Team(record) => of_team(id, record, today, &mut found),
        Record::Member(record) => of_member(id, record, today, &mut found),
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

pub(super) fn of_commune(id: DocId, record: &CommuneRecord, today: &Date, found: &mut Vec<Finding>) {
    if record.signed_off_on.as_deref().is_some_and(|day| day > today.as_str()) {
        found.push(Finding::DayToCome { document: id, field: "signed_off_on".to_owned() });
    }
    legacy(id, "signed_off_by", record.signed_off_by.as_deref(), found);
    let garbled = record.hamlets.iter().find(|(_, hamlet)| legacy_text(&hamlet.name).is_some());
    let field = garbled.map(|(key, _)| format!("hamlets/{key}/name"));
    found.extend(field.map(|field| Finding::LegacyText { document: id, field }));
}

pub(super) fn of_team(id: DocId, record: &TeamRecord, today: &Date, found: &mut Vec<Finding>) {
    let set_up = [("decision_date", &record.decision_date), ("established_on", &record.established_on)];
    let activities = || record.activities.iter().filter_map(|(id, activity)| Some((id, activity.date.as_deref()?)));
    let to_come = set_up.into_iter().filter(|(_, day)| day.as_deref().is_some_and(|day| day > today.as_str()));
    found.extend(to_come.map(|(field, _)| Finding::DayToCome { document: id, field: field.to_owned() }));
    let to_come = activities().find(|(_, day)| *day > today.as_str()).map(|(id, _)| activity_date(id));
    found.extend(to_come.map(|field| Finding::DayToCome { document: id, field }));
    if let (Some(decided), Some(established)) = (&record.decision_date, &record.established_on)
        && established < decided
    {
        found.push(out_of_order(id, "decision_date", "established_on"));
    }
    if let Some(established) = record.established_on.as_deref() {
        let before = activities().find(|(_, day)| *day < established).map(|(id, _)| activity_date(id));
        found.extend(before.map(|field| out_of_order(id, "established_on", &field)));
    }
    for (field, text) in [
        ("hamlet", &record.hamlet),
        ("local_name", &record.local_name),
        ("decision_body", &record.decision_body),
        ("note", &record.note),
    ] {
        legacy(id, field, text.as_deref(), found);
    }
}

pub(super) fn of_member(id: DocId, record: &MemberRecord, today: &Date, found: &mut Vec<Finding>) {
    let consent = &record.consent;
    for (field, day) in [
        ("joined_on", &record.joined_on),
        ("left_on", &record.left_on),
        ("consent/date", &consent.date),
        ("consent/withdrawn_on", &consent.withdrawn_on),
    ] {
        if day.as_deref().is_some_and(|day| day > today.as_str()) {
            found.push(Finding::DayToCome { document: id, field: field.to_owned() });
        }
    }
    let (first, last) = birth_years(today);
    if record.birth_year.is_some_and(|year| !(i64::from(first)..=i64::from(last)).contains(&year)) {
        found.push(Finding::BirthYear { member: id });
    }
    let days = Days::of_member(record);
    found.extend(days.out_of_order(&OUT_OF_ORDER_IS_REFUSED).map(|(earlier, later)| out_of_order(id, earlier, later)));
    legacy(id, "full_name", record.full_name.as_deref(), found);
}

fn legacy(id: DocId, field: &str, text: Option<&str>, found: &mut Vec<Finding>) {
    if text.is_some_and(|text| legacy_text(text).is_some()) {
        found.push(Finding::LegacyText { document: id, field: field.to_owned() });
    }
}

fn out_of_order(document: DocId, earlier: &str, later: &str) -> Finding {
    Finding::DaysOutOfOrder { document, earlier: earlier.to_owned(), later: later.to_owned() }
}

fn activity_date(id: &str) -> String {
    format!("activities/{id}/date")
}
