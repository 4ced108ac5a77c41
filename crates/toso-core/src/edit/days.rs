//! Days that cannot be: births, work and consent in the future, leaving before joining.
//!
//! A save that would bring one in is refused by the device that makes it, as far as its clock and the server's last word can
//! tell ([`KnownTime`]). One that arrives all the same, from a phone with another clock, an older build or a merge, is a
//! finding of [`crate::finding`], by the same table.
//!
//! A day that was there already is not judged again: a user who corrects a phone number need not first mend a date.
//!
//! What must lie in order stands beside the table of a kind; what is out of order for good reasons is a finding and never
//! refused.

use std::collections::BTreeMap;

use super::{DocEdit, EditError, Value};
use crate::document::value::scalar_text;
use crate::kind::{self, Is, Seen};
use crate::record::Record;
use crate::text::{AGES, DAYS_AHEAD_MAX, Date};
use crate::time::{EARLIEST_NOW, KnownTime};

/// Refuses edits that bring in a day to come, a year of birth that no member has, or days in an impossible order: within one
/// save, and against what the record has. `known` is what the document shows; none for a new one.
pub fn check_days(edits: &[DocEdit], known: Option<&Record>, time: KnownTime) -> Result<(), EditError> {
    let mut changes = Days::default();
    for edit in edits {
        changes.edit(edit);
    }
    if changes.0.is_empty() {
        return Ok(());
    }
    let in_order = edits.first().map_or(&[][..], |edit| kind::in_order(edit.kind()));
    let mut shown = Days::default();
    if let Some(record) = known {
        record.each(|seen| shown.see(&seen));
    }
    let brought: BTreeMap<&str, (Is, &str)> = changes
        .0
        .iter()
        .filter(|(field, day)| shown.0.get(*field) != Some(day))
        .filter_map(|(field, (is, day))| Some((field.as_str(), (*is, day.as_deref()?))))
        .collect();
    let latest = Date::in_vietnam(time.latest());
    for (field, (is, day)) in &brought {
        if *is == Is::BirthYear {
            let (min, max) = birth_years(&latest);
            if !day.parse().is_ok_and(|year: u16| (min..=max).contains(&year)) {
                return Err(EditError::BirthYear { field: (*field).to_owned(), min, max });
            }
        } else if is_to_come(day, &latest) {
            return Err(EditError::DayToCome { field: (*field).to_owned(), today: latest });
        }
    }
    let after = Days(shown.0.into_iter().chain(changes.0.clone()).collect());
    for (earlier, later) in after.out_of_order(in_order) {
        if brought.contains_key(earlier) || brought.contains_key(later) {
            return Err(EditError::DaysOutOfOrder { field: later.to_owned(), earlier: earlier.to_owned() });
        }
    }
    Ok(())
}

/// True for an edit that sets or clears a day or a year of birth.
pub fn names_a_day(edit: &DocEdit) -> bool {
    let mut days = Days::default();
    days.edit(edit);
    !days.0.is_empty()
}

/// True for a day (as ISO 8601 text) that lies ahead of today, by more than what a phone's zone may be wrong by. A save and a
/// finding ask the same question, so what was taken today is not found fault with today.
pub(crate) fn is_to_come(day: &str, today: &Date) -> bool {
    *day > *today.plus_days(DAYS_AHEAD_MAX).as_str()
}

/// The years in which somebody of [`AGES`] was born, seen from a day: first and last. The first is the same for all builds'
/// lives: a clock that runs ahead refuses no old person.
pub(crate) fn birth_years(today: &Date) -> (u16, u16) {
    let earliest = Date::in_vietnam(EARLIEST_NOW).year();
    (earliest.saturating_sub(*AGES.end()), today.year().saturating_sub(*AGES.start()))
}

/// Days and years of birth by field, as ISO 8601 text, whose order is the order of time. `None` is cleared.
#[derive(Debug, Default)]
pub(crate) struct Days(BTreeMap<String, (Is, Option<String>)>);

impl Days {
    /// Takes a value of a record, if it is one of them.
    pub(crate) fn see(&mut self, seen: &Seen<'_>) {
        if matches!(seen.is, Is::Day | Is::BirthYear) {
            self.0.insert(seen.path(), (seen.is, Some(seen.text.to_string())));
        }
    }

    /// The pairs whose second day lies before the first. A year of birth is compared by the year.
    pub(crate) fn out_of_order<'a>(
        &'a self,
        pairs: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        let day = |field: &str| self.0.get(field).and_then(|(_, day)| day.as_deref());
        let is_wrong = move |first: &str, second: &str| match (day(first), day(second)) {
            // Text order is time order, also of a year and a day in it.
            (Some(first), Some(second)) => second < first,
            _ => false,
        };
        pairs.iter().copied().filter(move |(first, second)| is_wrong(first, second))
    }

    /// What an edit sets or clears.
    fn edit(&mut self, edit: &DocEdit) {
        for write in edit.writes() {
            let Some(field) = kind::field(edit.kind(), write.map, &write.key) else { continue };
            if let (Is::Day | Is::BirthYear, Value::Set(value)) = (field.is, &write.value) {
                let path = write.map.map_or_else(|| write.key.to_string(), |map| format!("{map}/{}", write.key));
                let day = Some(scalar_text(value)).filter(|day| !day.is_empty());
                self.0.insert(path, (field.is, day));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::{ActivityId, CommuneEdit, MemberEdit, TeamEdit};
    use crate::id::DocKind;
    use crate::record::MemberRecord;
    use crate::time::{ServerTime, TimestampMs};

    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    /// 30/11/2026, noon in Vietnam.
    const NOW: TimestampMs = TimestampMs(1_796_014_800_000);

    fn check(kind: DocKind, known: Option<&Record>, edits: &[(&str, &str)]) -> Result<(), EditError> {
        check_at(KnownTime::of_server(NOW), kind, known, edits)
    }

    fn check_at(
        time: KnownTime,
        kind: DocKind,
        known: Option<&Record>,
        edits: &[(&str, &str)],
    ) -> Result<(), EditError> {
        let edits: Vec<DocEdit> =
            edits.iter().map(|(field, value)| DocEdit::parse(kind, field, value).unwrap()).collect();
        check_days(&edits, known, time)
    }

    fn member(joined: Option<&str>, left: Option<&str>, birth_year: Option<i64>) -> Record {
        let day = |day: Option<&str>| day.map(str::to_owned);
        Record::Member(MemberRecord {
            joined_on: day(joined),
            left_on: day(left),
            birth_year,
            ..MemberRecord::default()
        })
    }

    /// The story: a member born in 2100, an activity of 2100 and consent given tomorrow were taken without a word.
    #[test]
    fn every_day_to_come_is_refused_past_one_day_ahead() {
        let id = ActivityId([1; 8]);
        let activity = format!("activities/{id}/date");
        for (kind, field) in [
            (DocKind::Commune, "signed_off_on"),
            (DocKind::Team, "decision_date"),
            (DocKind::Team, "established_on"),
            (DocKind::Team, activity.as_str()),
            (DocKind::Member, "joined_on"),
            (DocKind::Member, "left_on"),
            (DocKind::Member, "consent/date"),
            (DocKind::Member, "consent/withdrawn_on"),
        ] {
            for day in ["7/9/2022", "30/11/2026", "1/12/2026"] {
                assert_eq!(check(kind, None, &[(field, day)]), Ok(()), "{field} {day}");
            }
            let today = Date::parse("30/11/2026").unwrap();
            for day in ["2/12/2026", "1/1/2027", "1/1/2100"] {
                let refused = EditError::DayToCome { field: field.to_owned(), today: today.clone() };
                assert_eq!(check(kind, None, &[(field, day)]), Err(refused), "{field} {day}");
            }
        }
        let first = TeamEdit::AddActivity {
            id,
            date: Date::parse("1/1/2100").unwrap(),
            kind: crate::record::ActivityKind::Training,
            skills: Vec::new(),
            reached: crate::edit::Reached::default(),
        };
        let refused = check_days(&[DocEdit::Team(first)], None, KnownTime::of_server(NOW));
        assert!(matches!(refused, Err(EditError::DayToCome { field, .. }) if field == activity));
        let consent = MemberEdit::Consent {
            method: crate::record::ConsentMethod::Paper,
            date: Date::parse("2/12/2026").unwrap(),
            text_version: crate::text::Label::parse("1").unwrap(),
        };
        assert!(check_days(&[DocEdit::Member(consent)], None, KnownTime::of_server(NOW)).is_err());
        let sign_off = CommuneEdit::SignOff { date: Date::parse("2/12/2026").ok(), by: None };
        assert!(check_days(&[DocEdit::Commune(sign_off)], None, KnownTime::of_server(NOW)).is_err());
    }

    #[test]
    fn years_of_birth_are_those_of_people() {
        for year in ["1905", "1990", "2020"] {
            assert_eq!(check(DocKind::Member, None, &[("birth_year", year)]), Ok(()), "{year}");
        }
        for year in ["1904", "2021", "2026", "2027", "2100"] {
            let refused = EditError::BirthYear { field: "birth_year".to_owned(), min: 1905, max: 2020 };
            assert_eq!(check(DocKind::Member, None, &[("birth_year", year)]), Err(refused), "{year}");
        }
    }

    #[test]
    fn days_in_an_impossible_order_are_refused_in_one_save_and_against_the_record() {
        let refused = |field: &str, earlier: &str| {
            Err(EditError::DaysOutOfOrder { field: field.to_owned(), earlier: earlier.to_owned() })
        };
        let joined = member(Some("2022-09-01"), None, None);
        let left = member(None, Some("2022-08-01"), None);
        let person = |known, edits: &[(&str, &str)]| check(DocKind::Member, known, edits);
        let left_first = refused("left_on", "joined_on");
        assert_eq!(person(None, &[("joined_on", "1/9/2022"), ("left_on", "1/8/2022")]), left_first);
        assert_eq!(person(Some(&joined), &[("left_on", "31/8/2022")]), left_first);
        assert_eq!(person(Some(&left), &[("joined_on", "1/9/2022")]), left_first);
        assert_eq!(person(Some(&joined), &[("left_on", "1/9/2022")]), Ok(()), "on one day");
        assert_eq!(person(Some(&joined), &[("joined_on", ""), ("left_on", "1/8/2022")]), Ok(()), "cleared with it");
        assert_eq!(person(Some(&joined), &[("joined_on", "1/7/2022"), ("left_on", "1/8/2022")]), Ok(()));
        assert_eq!(
            person(None, &[("consent/date", "1/9/2022"), ("consent/withdrawn_on", "1/8/2022")]),
            refused("consent/withdrawn_on", "consent/date")
        );
        assert_eq!(
            person(None, &[("birth_year", "1990"), ("joined_on", "1/9/1989")]),
            refused("joined_on", "birth_year")
        );
        assert_eq!(person(None, &[("birth_year", "1990"), ("joined_on", "1/1/1990")]), Ok(()));
        // The story: a member who had left before birth was taken.
        for later in ["left_on", "consent/date", "consent/withdrawn_on"] {
            assert_eq!(person(None, &[("birth_year", "1990"), (later, "31/12/1989")]), refused(later, "birth_year"));
            assert_eq!(person(None, &[("birth_year", "1990"), (later, "1/1/1990")]), Ok(()));
        }
        // Reissued decisions are later than the day of setting up.
        let team = [("decision_date", "1/8/2025"), ("established_on", "1/5/2022")];
        assert_eq!(check(DocKind::Team, None, &team), Ok(()));
    }

    #[test]
    fn what_was_there_already_is_not_judged_again() {
        let wrong = member(Some("2100-01-01"), Some("2022-08-01"), Some(2100));
        for same in [("joined_on", "1/1/2100"), ("birth_year", "2100"), ("phone", "0912000001"), ("joined_on", "")] {
            assert_eq!(check(DocKind::Member, Some(&wrong), &[same]), Ok(()), "{same:?}");
        }
        assert!(check(DocKind::Member, Some(&wrong), &[("joined_on", "2/1/2100")]).is_err());
    }

    #[test]
    fn a_wrong_clock_refuses_no_day_that_has_come() {
        let years_behind = TimestampMs(NOW.0 - 2_000 * DAY_MS);
        let day = |time: KnownTime, day: &str| check_at(time, DocKind::Member, None, &[("joined_on", day)]);
        let server = ServerTime { at: TimestampMs(NOW.0 - 10 * DAY_MS), offset_ms: 2_000 * DAY_MS.cast_signed() };
        let met = KnownTime { device: years_behind, server: Some(server) };
        assert_eq!(day(met, "30/11/2026"), Ok(()));
        assert!(day(met, "2/12/2026").is_err());
        let alone = KnownTime { device: TimestampMs(0), server: None };
        assert_eq!(day(alone, "30/11/2026"), Ok(()));
        assert!(day(alone, "1/1/2099").is_err());
    }
}
