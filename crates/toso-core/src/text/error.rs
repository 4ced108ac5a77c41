//! Why an input is refused, in words that say how to mend it and never quote it.

use super::LegacyText;
use super::limits::{BIRTH_YEARS, DATE_YEARS};

/// Why an input is not acceptable. Never quotes the input: it may be personal data.
///
/// [`Self::key`] names the case for translation; the fields carry the numbers a translation needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing is left once blanks and invisible characters are removed.
    #[error("{what} is empty; write something or leave the field out")]
    Empty {
        /// What was being read.
        what: &'static str,
    },
    /// More characters than allowed, as a person counts them.
    #[error("{what} has {length} characters; at most {max} are allowed, shorten it")]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// Characters found.
        length: usize,
        /// Characters allowed.
        max: usize,
    },
    /// More bytes than allowed.
    #[error("{what} takes {bytes} bytes; at most {max} are allowed, shorten it")]
    TooManyBytes {
        /// What was being read.
        what: &'static str,
        /// Bytes found.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// No letter.
    #[error("{what} has no letter; write it in letters")]
    NoLetter {
        /// What was being read.
        what: &'static str,
    },
    /// A kind of place alone, or signs alone.
    #[error("{what} says no more than a kind of place; add a name or a number, as in \"Thôn 2\" or \"Thôn Hòa Bình\"")]
    OnlyAKind {
        /// What was being read.
        what: &'static str,
    },
    /// A character that does not belong there.
    #[error("{what}: character {position} does not belong there; allowed are {allowed}")]
    Character {
        /// What was being read.
        what: &'static str,
        /// Which character, the first is 1.
        position: usize,
        /// What may stand there.
        allowed: &'static str,
    },
    /// A character that nobody sees and that does something.
    #[error("{what}: character {position} cannot be seen and would act on what stands around it; write it without")]
    Hidden {
        /// What was being read.
        what: &'static str,
        /// Which character, the first is 1.
        position: usize,
    },
    /// Text of an older encoding. What is meant is in `found`, for its writer; the message does not quote it.
    #[error("{what} is written in {}; type it anew or take the conversion that is offered", found.encoding.name())]
    Legacy {
        /// What was being read.
        what: &'static str,
        /// The encoding, and what is probably meant.
        found: LegacyText,
    },
    /// A sign that stands where a program could not show a letter.
    #[error("{what}: the letter in place {position} was lost when it was copied; type it anew")]
    LostCharacter {
        /// What was being read.
        what: &'static str,
        /// Which character, the first is 1.
        position: usize,
    },
    /// A number of an emergency or service line.
    #[error(
        "the phone number is a service line (as 113 or 1900 are), not a contact; enter a mobile or landline number"
    )]
    PhoneService,
    /// Neither 0 nor +84 in front.
    #[error("the phone number must begin with 0 or +84 (a landline with its area code, as 024); add what is missing")]
    PhonePrefix,
    /// The wrong number of digits for Vietnam.
    #[error(
        "the phone number has {digits} digits counted with its leading 0; a mobile has 10, a landline 10 or 11: check it"
    )]
    PhoneDigits {
        /// Digits found, the leading 0 included.
        digits: usize,
    },
    /// The right length, but no network or area has such numbers.
    #[error("no network or area has phone numbers that begin so; check the first digits")]
    PhoneUnknown,
    /// Not one of the ways to write a day.
    #[error(
        "the date must be one day, written 19/9/2022, 19.9.2022, 19-9-2022, 2022-09-19 or ngày 19 tháng 9 năm 2022"
    )]
    DateFormat,
    /// A day that no calendar has, as 31/2.
    #[error("the calendar has no such day; the day comes first, then the month: check both")]
    DateNotInCalendar,
    /// A date outside of what the register can hold.
    #[error("the date's year must be {} to {}; check the year", DATE_YEARS.start(), DATE_YEARS.end())]
    DateYear,
    /// Not a year of birth.
    #[error("the birth year must be a number of four digits, {} to {}", BIRTH_YEARS.start(), BIRTH_YEARS.end())]
    BirthYear,
    /// Not a number and sign.
    #[error("the document number must look like 103/QĐ-UBND, 13/2023/NĐ-CP or 557-KH/TWĐTN-BTTTT, signs in capitals")]
    DocumentNumber,
    /// Not https.
    #[error("the link must begin with https://; copy it whole from the browser or from Zalo")]
    LinkScheme,
    /// No site, or one that cannot be.
    #[error("the link names no site after https:// (as zalo.me); copy it whole from the browser or from Zalo")]
    LinkHost,
}

impl TextError {
    /// The stable name of the case, for translations.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "text.empty",
            Self::TooLong { .. } => "text.too_long",
            Self::TooManyBytes { .. } => "text.too_many_bytes",
            Self::NoLetter { .. } => "text.no_letter",
            Self::OnlyAKind { .. } => "text.only_a_kind",
            Self::Character { .. } => "text.character",
            Self::Hidden { .. } => "text.hidden",
            Self::Legacy { .. } => "text.legacy",
            Self::LostCharacter { .. } => "text.lost_character",
            Self::PhoneService => "text.phone_service",
            Self::PhonePrefix => "text.phone_prefix",
            Self::PhoneDigits { .. } => "text.phone_digits",
            Self::PhoneUnknown => "text.phone_unknown",
            Self::DateFormat => "text.date_format",
            Self::DateNotInCalendar => "text.date_not_in_calendar",
            Self::DateYear => "text.date_year",
            Self::BirthYear => "text.birth_year",
            Self::DocumentNumber => "text.document_number",
            Self::LinkScheme => "text.link_scheme",
            Self::LinkHost => "text.link_host",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_and_how_to_mend() {
        let cases = [
            (
                TextError::TooLong { what: "the person's name", length: 81, max: 80 },
                "the person's name has 81 characters; at most 80 are allowed, shorten it",
                "text.too_long",
            ),
            (TextError::DateYear, "the date's year must be 1900 to 2100; check the year", "text.date_year"),
            (TextError::BirthYear, "the birth year must be a number of four digits, 1900 to 2100", "text.birth_year"),
        ];
        for (error, message, key) in cases {
            assert_eq!((error.to_string().as_str(), error.key()), (message, key));
        }
    }
}
