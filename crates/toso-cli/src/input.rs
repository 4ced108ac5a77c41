//! What people type, read into types.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use toso_catalog::Catalog;
use toso_core::edit::{ActivityId, DocEdit, EditError};
use toso_core::id::{DocId, DocKind};
use toso_core::text::{Date, PlaceName, TextError, check_device_name};
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitList, UnitRef};

use crate::args::{ConvertFlag, UnitArgs};
use crate::fail::Fail;

/// Vietnam's time is UTC+7, without summer time.
const VIETNAM_AHEAD_S: i64 = 7 * 60 * 60;

/// A document's id of the expected kind.
pub(crate) fn doc_id(text: &str, kind: DocKind) -> Result<DocId, Fail> {
    let id = DocId::from_str(text).map_err(Fail::new)?;
    if id.kind() == Some(kind) {
        return Ok(id);
    }
    let expected = match kind {
        DocKind::Team => "a team's id; those begin with t",
        DocKind::Member => "a member's id; those begin with m",
        DocKind::Commune => "a commune's id; those begin with c",
    };
    Err(Fail::new(format!("{id} is not {expected}")))
}

/// An activity's id within its team.
pub(crate) fn activity_id(text: &str) -> Result<ActivityId, Fail> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes
        .map(ActivityId)
        .ok_or_else(|| Fail::new(format!("{text:?} is no activity's id; one has 16 hexadecimal digits")))
}

/// A list's year.
pub(crate) fn list(text: &str) -> Result<UnitList, Fail> {
    text.parse().map_err(Fail::new)
}

/// A unit that the catalogue knows.
pub(crate) fn unit(list: UnitList, code: &str) -> Result<UnitRef, Fail> {
    let unit = UnitRef::new(list, code)?;
    Catalog::shared().lookup(unit)?;
    Ok(unit)
}

/// The unit that list and code name.
pub(crate) fn unit_of(args: &UnitArgs) -> Result<UnitRef, Fail> {
    unit(list(&args.list)?, &args.unit)
}

/// `FIELD=VALUE` texts.
pub(crate) fn changes(kind: DocKind, texts: &[String], convert: ConvertFlag) -> Result<Vec<DocEdit>, Fail> {
    let mut fields = BTreeSet::new();
    for (field, _) in texts.iter().filter_map(|text| text.split_once('=')) {
        if !fields.insert(field.trim()) {
            let field = field.trim();
            return Err(Fail::new(format!("{field} is given twice, and only one value can be meant; give it once")));
        }
    }
    texts.iter().map(|text| change(kind, text, convert)).collect()
}

fn change(kind: DocKind, text: &str, convert: ConvertFlag) -> Result<DocEdit, Fail> {
    let (field, value) = text.split_once('=').ok_or_else(|| {
        // The text may hold personal data, so it is not repeated.
        Fail::new("a change is written FIELD=VALUE, without blanks around the equals sign; one given here has none")
    })?;
    field_value(kind, field, value, convert)
}

/// One field's value.
pub(crate) fn field_value(kind: DocKind, field: &str, value: &str, convert: ConvertFlag) -> Result<DocEdit, Fail> {
    let read = |text: &str| DocEdit::parse(kind, field.trim(), text);
    let edit = match read(value) {
        Err(EditError::Value { error: TextError::Legacy { found, .. }, .. }) if convert.convert => {
            read(found.proposal.as_str())
        }
        other => other,
    };
    edit.map_err(|error| match &error {
        EditError::Value { error: text, .. } => with_proposal(&error, text),
        EditError::UnknownField { .. }
        | EditError::Choice { .. }
        | EditError::Number { .. }
        | EditError::CounterIsAddedTo { .. }
        | EditError::Required { .. }
        | EditError::Id { .. }
        | EditError::IntoItself { .. }
        | EditError::OtherHamlet { .. }
        | EditError::PartLargerThanWhole { .. }
        | EditError::DayToCome { .. }
        | EditError::BirthYear { .. }
        | EditError::DaysOutOfOrder { .. }
        | EditError::WrongKind { .. }
        | EditError::UnknownActivity { .. }
        | EditError::Change(_)
        | EditError::Broken { .. } => Fail::new(error),
    })
}

/// A hamlet's name.
pub(crate) fn place_name(text: &str, convert: ConvertFlag) -> Result<PlaceName, Fail> {
    let name = match PlaceName::parse(text) {
        Err(TextError::Legacy { found, .. }) if convert.convert => PlaceName::parse(found.proposal.as_str()),
        other => other,
    };
    name.map_err(|error| with_proposal(&error, &error))
}

/// What a device is to be called.
pub(crate) fn device_name(text: &str, convert: ConvertFlag) -> Result<Cow<'_, str>, Fail> {
    match check_device_name(text) {
        Err(TextError::Legacy { found, .. }) if convert.convert => Ok(Cow::Owned(found.proposal.as_str().to_owned())),
        Err(error) => Err(with_proposal(&error, &error)),
        Ok(()) => Ok(Cow::Borrowed(text)),
    }
}

/// A refusal, with what the text probably means: for the person who typed it, on their own screen.
fn with_proposal(error: &dyn std::fmt::Display, text: &TextError) -> Fail {
    match text {
        TextError::Legacy { found, .. } => {
            Fail::new(format!("{error}: with --convert it is kept as {:?}", found.proposal.as_str()))
        }
        TextError::Empty { .. }
        | TextError::TooLong { .. }
        | TextError::TooManyBytes { .. }
        | TextError::NoLetter { .. }
        | TextError::OnlyAKind { .. }
        | TextError::Character { .. }
        | TextError::Hidden { .. }
        | TextError::LostCharacter { .. }
        | TextError::PhoneService
        | TextError::PhonePrefix
        | TextError::PhoneDigits { .. }
        | TextError::PhoneUnknown
        | TextError::DateFormat
        | TextError::DateNotInCalendar
        | TextError::DateYear
        | TextError::BirthYear
        | TextError::DocumentNumber
        | TextError::LinkScheme
        | TextError::LinkHost => Fail::new(error),
    }
}

/// `90s`, `15m`, `12h`, `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, Fail> {
    let wrong = || Fail::usage(format!("{text:?} is no length of time; write a number and s, m, h or d, such as 7d"));
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(seconds).filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(wrong)
}

/// An instant as people write it, in Vietnam's time: `2026-11-30`, `30/11/2026`, either with `14:30` or `14:30:05` behind it.
/// The day is read as every date of a record is; a number alone is none.
pub(crate) fn instant(text: &str) -> Result<TimestampMs, Fail> {
    let wrong = || {
        Fail::usage(format!(
            "{text:?} is no date; write 2026-11-30 or 30/11/2026, and 14:30 behind it if the time matters"
        ))
    };
    let (day, time) = match text.trim().split_once([' ', 'T']) {
        Some((day, time)) => (day, Some(time.trim())),
        None => (text.trim(), None),
    };
    let date = Date::parse(day).map_err(|_| wrong())?;
    let mut parts = date.as_str().split('-').map(|part| part.parse::<i64>().ok());
    let (Some(Some(year)), Some(Some(month)), Some(Some(day))) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong());
    };
    let seconds_of_day = match time {
        None => 0,
        Some(time) => {
            let mut seconds = 0;
            let parts: Vec<&str> = time.split(':').collect();
            for (part, (limit, worth)) in parts.iter().zip([(24, 3_600), (60, 60), (60, 1)]) {
                let number = Some(*part).filter(|part| part.len() == 2).and_then(|part| part.parse::<i64>().ok());
                seconds += number.filter(|number| (0..limit).contains(number)).ok_or_else(wrong)? * worth;
            }
            if (2..=3).contains(&parts.len()) { seconds } else { return Err(wrong()) }
        }
    };
    // Days since 1970, by Howard Hinnant's formula: years begin in March, so that a leap day is a year's last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * month + 2) / 5 + day
        - 1
        - 719_468;
    let seconds = days * 24 * 3_600 + seconds_of_day - VIETNAM_AHEAD_S;
    u64::try_from(seconds).map(|seconds| TimestampMs(seconds * 1_000)).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activity_is_named_as_it_is_shown() {
        let id = ActivityId([0, 1, 2, 3, 4, 5, 0xfe, 0xff]);
        assert_eq!(activity_id(&id.to_string()).unwrap(), id);
        for wrong in ["", "0001020304050607ff", "00010203040506", "000102030405FEFF", "zz"] {
            assert!(activity_id(wrong).is_err(), "{wrong}");
        }
    }

    /// `--since 2026` was read as two seconds after 1970, and set aside everything.
    #[test]
    fn an_instant_is_a_date_with_or_without_a_time_and_no_number() {
        let midnight = TimestampMs(1_795_971_600_000);
        for text in ["2026-11-30", "30/11/2026", " 30/11/2026 ", "2026-11-30 00:00", "2026-11-30T00:00:00"] {
            assert_eq!(instant(text).unwrap(), midnight, "{text}");
        }
        assert_eq!(instant("30/11/2026 14:30").unwrap(), midnight.plus_ms((14 * 60 + 30) * 60_000));
        assert_eq!(instant("2024-02-29 23:59:59").unwrap().plus_ms(1_000), instant("01/03/2024").unwrap());
        for wrong in
            ["", "2026", "1795971600000", "2026-02-30", "2026-11-30 24:00", "2026-11-30 1:00", "2026-11-30 12", "x"]
        {
            assert!(instant(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lengths_of_time() {
        assert_eq!(duration("7d").unwrap(), Duration::from_secs(604_800));
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        for wrong in ["", "7", "d", "0d", "-1d", "1w", "99999999999999999999d", "18446744073709551615d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
