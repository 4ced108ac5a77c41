//! How long a text may be, in characters as a person counts them (grapheme clusters) and in bytes.
//!
//! Both are needed: a person understands the first; only the second bounds memory, since one grapheme may carry any
//! number of marks.

use std::ops::RangeInclusive;

use unicode_segmentation::UnicodeSegmentation;

use super::TextError;

/// Bytes allowed for a character. The longest Vietnamese letter (ệ) takes 3 in NFC, a minority language's ê̆ takes 4.
const BYTES_PER_CHAR: usize = 4;

/// A person's name: the longest recorded Vietnamese names have about 40 characters; twice that.
pub const PERSON_NAME_CHARS_MAX: usize = 80;
/// 80 × 4 = 320 bytes.
pub const PERSON_NAME_BYTES_MAX: usize = PERSON_NAME_CHARS_MAX * BYTES_PER_CHAR;
/// A hamlet's or team's name.
pub const PLACE_NAME_CHARS_MAX: usize = 120;
/// 120 × 4 = 480 bytes.
pub const PLACE_NAME_BYTES_MAX: usize = PLACE_NAME_CHARS_MAX * BYTES_PER_CHAR;
/// A short free text.
pub const LABEL_CHARS_MAX: usize = 200;
/// 200 × 4 = 800 bytes.
pub const LABEL_BYTES_MAX: usize = LABEL_CHARS_MAX * BYTES_PER_CHAR;
/// A note.
pub const NOTE_CHARS_MAX: usize = 2_000;
/// 2,000 × 4 = 8,000 bytes: an eighth of the largest change.
pub const NOTE_BYTES_MAX: usize = NOTE_CHARS_MAX * BYTES_PER_CHAR;
/// A phone number as typed: 15 digits of E.164, a blank or bracket around each pair, +84 and (0) before.
pub const PHONE_CHARS_MAX: usize = 40;
/// A document's number and sign; real ones have at most 25.
pub const DOCUMENT_NUMBER_CHARS_MAX: usize = 60;
/// A link; Zalo group links have about 30.
pub const LINK_BYTES_MAX: usize = 300;
/// Anything longer is refused before it is looked at: 8 × the longest note, so that decomposed input passes.
pub const INPUT_BYTES_MAX: usize = NOTE_BYTES_MAX * 8;

/// Years a date may have.
pub const DATE_YEARS: RangeInclusive<u16> = 1900..=2100;
/// Years of birth. The upper end is no forecast: a text alone knows no clock; `edit::check_days` is stricter.
pub const BIRTH_YEARS: RangeInclusive<u16> = 1900..=2100;
/// Years that a recorded person can have lived. The oldest people alive have some 117; children help their grandparents
/// with a phone, but nobody is put into a team before school.
pub const AGES: RangeInclusive<u16> = 6..=120;
/// Days that a typed day may lie ahead of the time that a device knows. One: a phone's zone may be set wrong (by up to 14
/// hours), and it keeps the server's time only every 12 hours.
pub const DAYS_AHEAD_MAX: u16 = 1;
/// The first day that a date of the register can mean: the national digital transformation programme, which the teams belong
/// to, was decided on 3/6/2020 (749/QĐ-TTg); the beginning of that year, so that no early team is doubted. An earlier day is
/// a finding, never refused.
pub const PROGRAMME_FIRST_DAY: &str = "2020-01-01";

/// Refuses input that is not worth canonicalising.
pub(super) fn check_input(what: &'static str, text: &str) -> Result<(), TextError> {
    check_bytes(what, text, INPUT_BYTES_MAX)
}

/// Refuses the empty and the too long. `text` is canonical.
pub(super) fn check_length(
    what: &'static str,
    text: &str,
    chars_max: usize,
    bytes_max: usize,
) -> Result<(), TextError> {
    if text.is_empty() {
        return Err(TextError::Empty { what });
    }
    let length = text.graphemes(true).count();
    if length > chars_max {
        return Err(TextError::TooLong { what, length, max: chars_max });
    }
    check_bytes(what, text, bytes_max)
}

/// Refuses what takes more than `max` bytes.
pub(super) fn check_bytes(what: &'static str, text: &str, max: usize) -> Result<(), TextError> {
    if text.len() > max {
        return Err(TextError::TooManyBytes { what, bytes: text.len(), max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_bounded_at_the_limit_and_not_before() {
        assert_eq!(check_input("x", &"a".repeat(INPUT_BYTES_MAX)), Ok(()));
        assert_eq!(
            check_input("x", &"a".repeat(INPUT_BYTES_MAX + 1)),
            Err(TextError::TooManyBytes { what: "x", bytes: INPUT_BYTES_MAX + 1, max: INPUT_BYTES_MAX })
        );
    }

    #[test]
    fn one_grapheme_cannot_smuggle_any_number_of_bytes() {
        let heap = format!("a{}", "\u{302}".repeat(20));
        assert_eq!(check_length("x", &heap, 1, 40), Err(TextError::TooManyBytes { what: "x", bytes: 41, max: 40 }));
        assert_eq!(check_length("x", &heap, 1, 41), Ok(()));
    }
}
