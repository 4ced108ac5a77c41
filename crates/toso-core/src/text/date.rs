//! Days, stored as ISO 8601.

use super::limits::{DATE_YEARS, check_input};
use super::{TextError, canonical_name, search_key};
use crate::time::TimestampMs;

text_value!(
    /// A day, stored as ISO 8601 (`2022-09-19`), 1900 to 2100, so that text order is time order.
    Date,
    shown
);

impl Date {
    const WHAT: &str = "the date";

    /// Reads d/M/yyyy, d.M.yyyy, d-M-yyyy, yyyy-MM-dd, or `ngày 19 tháng 9 năm 2022` (`ngày` and marks may be missing).
    /// Day and month with or without leading zero. Months and quarters (`tháng 9/2022`) are no days and refused.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        check_input(Self::WHAT, text)?;
        let text = canonical_name(text);
        if text.is_empty() {
            return Err(TextError::Empty { what: Self::WHAT });
        }
        let (year, month, day) =
            iso(&text).or_else(|| numeric(&text)).or_else(|| words(&text)).ok_or(TextError::DateFormat)?;
        Self::new(year, month, day)
    }

    /// A day of the calendar.
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self, TextError> {
        if !DATE_YEARS.contains(&year) {
            return Err(TextError::DateYear);
        }
        time::Month::try_from(month)
            .and_then(|month| time::Date::from_calendar_date(year.into(), month, day))
            .map_err(|_| TextError::DateNotInCalendar)?;
        Ok(Self(format!("{year:04}-{month:02}-{day:02}")))
    }

    /// The day in Vietnam (UTC+7, without summer time) at an instant; the calendar's last day after it.
    pub fn in_vietnam(at: TimestampMs) -> Self {
        const VIETNAM_AHEAD_S: i64 = 7 * 60 * 60;
        let seconds = i64::try_from(at.seconds()).unwrap_or(i64::MAX).saturating_add(VIETNAM_AHEAD_S);
        let day = time::OffsetDateTime::from_unix_timestamp(seconds).ok().map(time::OffsetDateTime::date);
        let day = day.and_then(|day| {
            let year = u16::try_from(day.year()).ok()?;
            Self::new(year, u8::from(day.month()), day.day()).ok()
        });
        day.unwrap_or_else(|| Self(format!("{}-12-31", DATE_YEARS.end())))
    }

    /// The day so many days later; the calendar's last day where that would lie after it.
    pub fn plus_days(&self, days: u16) -> Self {
        let last = || Self(format!("{}-12-31", DATE_YEARS.end()));
        let (year, month, day) = self.parts();
        let (Ok(year), Ok(month), Ok(day)) = (year.parse(), month.parse::<u8>(), day.parse()) else { return last() };
        let month = time::Month::try_from(month).ok();
        let date = month.and_then(|month| time::Date::from_calendar_date(year, month, day).ok());
        let later = date.and_then(|date| date.checked_add(time::Duration::days(days.into())));
        let parts = later.and_then(|day| Some((u16::try_from(day.year()).ok()?, u8::from(day.month()), day.day())));
        parts.and_then(|(year, month, day)| Self::new(year, month, day).ok()).unwrap_or_else(last)
    }

    /// Its year.
    pub fn year(&self) -> u16 {
        self.parts().0.parse().unwrap_or_default()
    }

    /// `19/09/2022`.
    pub fn display_vi(&self) -> String {
        let (year, month, day) = self.parts();
        format!("{day}/{month}/{year}")
    }

    /// As official documents write it: `ngày 19 tháng 9 năm 2022`, with a zero before days under 10 and before months 1
    /// and 2, where a digit could be added by hand (`ngày 05 tháng 02 năm 2022`).
    pub fn display_document(&self) -> String {
        let (year, month, day) = self.parts();
        let month = if matches!(month, "01" | "02") { month } else { month.trim_start_matches('0') };
        format!("ngày {day} tháng {month} năm {year}")
    }

    /// Year, month and day as stored.
    fn parts(&self) -> (&str, &str, &str) {
        let (year, rest) = self.0.split_once('-').unwrap_or_default();
        let (month, day) = rest.split_once('-').unwrap_or_default();
        (year, month, day)
    }
}

type Parts = (u16, u8, u8);

/// `2022-09-19`
fn iso(text: &str) -> Option<Parts> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    Some((number(year, 4, 4)?, number(month, 2, 2)?, number(day, 2, 2)?))
}

/// `19/9/2022`, `19.9.2022`, `19-9-2022`, also with blanks or dashes between.
fn numeric(text: &str) -> Option<Parts> {
    let separator = text.chars().find(|c| matches!(c, '/' | '.' | '-'))?;
    let mut parts = text.split(separator).map(str::trim);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(day), Some(month), Some(year), None) => {
            Some((number(year, 4, 4)?, number(month, 1, 2)?, number(day, 1, 2)?))
        }
        _ => None,
    }
}

/// `ngày 19 tháng 9 năm 2022`
fn words(text: &str) -> Option<Parts> {
    let key = search_key(text);
    let mut words = key.strip_prefix("ngay ").unwrap_or(&key).split(' ');
    match (words.next(), words.next(), words.next(), words.next(), words.next(), words.next()) {
        (Some(day), Some("thang"), Some(month), Some("nam"), Some(year), None) => {
            Some((number(year, 4, 4)?, number(month, 1, 2)?, number(day, 1, 2)?))
        }
        _ => None,
    }
}

/// A number of `digits_min` to `digits_max` ASCII digits.
fn number<T: std::str::FromStr>(text: &str, digits_min: usize, digits_max: usize) -> Option<T> {
    let well_formed = (digits_min..=digits_max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    well_formed.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::samples::nfd;

    #[test]
    fn every_way_to_write_a_day_is_stored_alike() {
        for input in [
            "5/9/2022",
            "05/09/2022",
            "5.9.2022",
            "05.9.2022",
            "5-9-2022",
            "5\u{2013}9\u{2013}2022",
            "5\u{2212}9\u{FF0D}2022",
            "2022\u{2011}09\u{2011}05",
            " 5 / 9 / 2022 ",
            "2022-09-05",
            "ngày 5 tháng 9 năm 2022",
            "ngày 05 tháng 09 năm 2022",
            "Ngày 05 tháng 9 năm 2022",
            "5 tháng 9 năm 2022",
            "ngay 5 thang 9 nam 2022",
            "ngày 5, tháng 9, năm 2022",
        ] {
            assert_eq!(Date::parse(input).unwrap().as_str(), "2022-09-05", "{input}");
            assert_eq!(Date::parse(&nfd(input)).unwrap().as_str(), "2022-09-05", "{input}");
        }
    }

    #[test]
    fn days_are_shown_as_people_and_documents_write_them() {
        let date = Date::parse("2022-09-19").unwrap();
        assert_eq!(date.display_vi(), "19/09/2022");
        assert_eq!(date.display_document(), "ngày 19 tháng 9 năm 2022");
        for (iso, document) in [
            ("2022-09-05", "ngày 05 tháng 9 năm 2022"),
            ("2022-02-01", "ngày 01 tháng 02 năm 2022"),
            ("2022-01-10", "ngày 10 tháng 01 năm 2022"),
            ("2022-03-10", "ngày 10 tháng 3 năm 2022"),
            ("2022-12-31", "ngày 31 tháng 12 năm 2022"),
        ] {
            assert_eq!(Date::parse(iso).unwrap().display_document(), document);
        }
    }

    #[test]
    fn only_days_of_the_calendar_pass() {
        for input in ["31/2/2022", "29/2/2023", "31.4.2022", "0/1/2022", "1/0/2022", "9/19/2022", "2022-13-01"] {
            assert_eq!(Date::parse(input), Err(TextError::DateNotInCalendar), "{input}");
        }
        assert!(Date::parse("29/2/2024").is_ok());
    }

    #[test]
    fn the_day_of_vietnam_begins_at_17_hours_utc() {
        let day = |ms: u64| Date::in_vietnam(TimestampMs(ms)).to_string();
        // 2022-09-07T16:59:59Z and one second later.
        assert_eq!(
            (day(1_662_569_999_000), day(1_662_570_000_000)),
            ("2022-09-07".to_owned(), "2022-09-08".to_owned())
        );
        assert_eq!((day(0), day(u64::MAX)), ("1970-01-01".to_owned(), "2100-12-31".to_owned()));
        assert_eq!(Date::in_vietnam(TimestampMs(0)).year(), 1970);
    }

    #[test]
    fn days_later_cross_months_and_years_and_end_with_the_calendar() {
        let later = |day: &str, days| Date::parse(day).unwrap().plus_days(days).to_string();
        assert_eq!(later("30/11/2026", 0), "2026-11-30");
        assert_eq!(later("30/11/2026", 1), "2026-12-01");
        assert_eq!(later("28/2/2024", 2), "2024-03-01");
        assert_eq!(later("31/12/2026", 1), "2027-01-01");
        assert_eq!(
            (later("30/12/2100", 1), later("31/12/2100", 1)),
            ("2100-12-31".to_owned(), "2100-12-31".to_owned())
        );
    }

    #[test]
    fn years_are_bounded() {
        assert!(Date::parse("1/1/1900").is_ok() && Date::parse("31/12/2100").is_ok());
        assert_eq!(Date::parse("31/12/1899"), Err(TextError::DateYear));
        assert_eq!(Date::parse("1/1/2101"), Err(TextError::DateYear));
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for input in [
            "19/9/22",
            "19.9/2022",
            "19/9",
            "2022",
            "2022-9-5",
            "2022/09/19",
            "tháng 9/2022",
            "quý III/2022",
            "hôm nay",
            "19/9/2022/1",
            "+1/9/2022",
            "１/9/2022",
            "ngày tháng 9 năm 2022",
            "ngày 19 tháng 9 năm 2022 sáng",
        ] {
            assert_eq!(Date::parse(input), Err(TextError::DateFormat), "{input}");
        }
        assert_eq!(Date::parse("  "), Err(TextError::Empty { what: "the date" }));
    }

    proptest! {
        #[test]
        fn every_form_reads_back(year in 1900_u16..=2100, month in 1_u8..=12, day in 1_u8..=31) {
            if let Ok(date) = Date::new(year, month, day) {
                for text in [date.to_string(), date.display_vi(), date.display_document()] {
                    prop_assert_eq!(Date::parse(&text).unwrap(), date.clone());
                }
            } else {
                prop_assert!(day > 28);
            }
        }

        #[test]
        fn no_input_panics(text in "\\PC{0,40}|[0-9/. -]{0,12}") {
            let _ = Date::parse(&text);
        }
    }
}
