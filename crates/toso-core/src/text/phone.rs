//! Phone numbers, stored in E.164.

use phonenumber::metadata::DATABASE;
use phonenumber::{Mode, Type};

use super::limits::{PHONE_CHARS_MAX, check_input, check_length};
use super::{TextError, canonical_name};

text_value!(
    /// A phone number in E.164 (`+84912345678`); 11-digit mobiles of before 15/9/2018 are converted.
    Phone,
    hidden
);

/// The first digits of the 11-digit mobile numbers that were shortened to 10 digits from 15/9/2018, without the leading
/// 0, and what replaces them.
const OLD_PREFIXES: [(&str, &str); 21] = [
    // Viettel
    ("162", "32"),
    ("163", "33"),
    ("164", "34"),
    ("165", "35"),
    ("166", "36"),
    ("167", "37"),
    ("168", "38"),
    ("169", "39"),
    // MobiFone
    ("120", "70"),
    ("121", "79"),
    ("122", "77"),
    ("126", "76"),
    ("128", "78"),
    // VinaPhone
    ("123", "83"),
    ("124", "84"),
    ("125", "85"),
    ("127", "81"),
    ("129", "82"),
    // Vietnamobile
    ("186", "56"),
    ("188", "58"),
    // Gmobile
    ("199", "59"),
];

/// Digits of an old mobile number, of a mobile number, and of a landline with area code, without the leading 0.
const OLD_MOBILE_DIGITS: usize = 10;
const NATIONAL_DIGITS: std::ops::RangeInclusive<usize> = 9..=10;
/// 84 in front without a plus is only read as the country when a whole number follows: 9 or 10 digits, or a 0 and these.
const WITH_COUNTRY_DIGITS: std::ops::RangeInclusive<usize> = 11..=13;
/// Numbers without a leading 0 of up to this many digits are short codes (113, 18001091).
const SHORT_CODE_DIGITS_MAX: usize = 6;

impl Phone {
    const WHAT: &str = "the phone number";

    /// Reads a number as people write it: 0…, +84…, 84…, 0084…, with dots, blanks, hyphens, slashes, brackets; other
    /// countries' with + or 00.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        check_input(Self::WHAT, text)?;
        let text = canonical_name(text);
        check_length(Self::WHAT, &text, PHONE_CHARS_MAX, PHONE_CHARS_MAX * 4)?;
        let (plus, digits) = digits(&text)?;
        if digits.is_empty() {
            return Err(TextError::Empty { what: Self::WHAT });
        }
        let international = match digits.strip_prefix("00") {
            _ if plus => Some(digits.as_str()),
            None if digits.starts_with("84") && WITH_COUNTRY_DIGITS.contains(&digits.len()) => Some(digits.as_str()),
            rest => rest,
        };
        let national = match international {
            Some(digits) => match digits.strip_prefix("84") {
                Some(national) => national.strip_prefix('0').unwrap_or(national),
                None => return valid(&format!("+{digits}")),
            },
            None => digits.strip_prefix('0').ok_or_else(|| without_zero(&digits))?,
        };
        vietnamese(national)
    }

    /// The number as it is dialled inside Vietnam (`0912345678`); numbers of other countries as they are stored.
    pub fn display_vi(&self) -> String {
        self.0.strip_prefix("+84").map_or_else(|| self.0.clone(), |national| format!("0{national}"))
    }
}

/// Whether a plus stands in front, and the digits.
fn digits(text: &str) -> Result<(bool, String), TextError> {
    let mut plus = false;
    let mut digits = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if !plus && digits.is_empty() => plus = true,
            ' ' | '.' | '-' | '(' | ')' | '/' => {}
            _ => {
                let allowed = "digits, one + in front, and between them blanks, dots, hyphens, slashes and brackets";
                return Err(TextError::Character { what: Phone::WHAT, position: at + 1, allowed });
            }
        }
    }
    Ok((plus, digits))
}

fn without_zero(digits: &str) -> TextError {
    if digits.len() <= SHORT_CODE_DIGITS_MAX || is_service(digits) {
        TextError::PhoneService
    } else {
        TextError::PhonePrefix
    }
}

/// 1800… is paid by the callee, 1900… dearly by the caller.
fn is_service(national: &str) -> bool {
    national.starts_with("1800") || national.starts_with("1900")
}

/// A number of Vietnam without country and leading 0.
fn vietnamese(national: &str) -> Result<Phone, TextError> {
    if is_service(national) {
        return Err(TextError::PhoneService);
    }
    if !NATIONAL_DIGITS.contains(&national.len()) {
        return Err(TextError::PhoneDigits { digits: national.len() + 1 });
    }
    let renewed = OLD_PREFIXES
        .iter()
        .filter(|_| national.len() == OLD_MOBILE_DIGITS)
        .find_map(|(old, new)| national.strip_prefix(old).map(|rest| format!("{new}{rest}")));
    valid(&format!("+84{}", renewed.as_deref().unwrap_or(national)))
}

/// Accepts a number that some network or area may have given to a person or an office.
fn valid(e164: &str) -> Result<Phone, TextError> {
    let number = phonenumber::parse(None, e164).map_err(|_| TextError::PhoneUnknown)?;
    if !number.is_valid() {
        return Err(TextError::PhoneUnknown);
    }
    match number.number_type(&DATABASE) {
        Type::FixedLine | Type::Mobile | Type::FixedLineOrMobile | Type::PersonalNumber | Type::Voip => {
            Ok(Phone(number.format().mode(Mode::E164).to_string()))
        }
        Type::TollFree
        | Type::PremiumRate
        | Type::SharedCost
        | Type::Pager
        | Type::Uan
        | Type::Emergency
        | Type::Voicemail
        | Type::ShortCode
        | Type::StandardRate
        | Type::Carrier
        | Type::NoInternational
        | Type::Unknown => Err(TextError::PhoneService),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_way_to_write_a_number_is_stored_alike() {
        for input in [
            "0912000001",
            "0912 000 001",
            "0912.000.001",
            "0912-000-001",
            "(0912) 000 001",
            "+84912000001",
            "+84 912 000 001",
            "(+84) 0912 000 001",
            "+84 (0)912 000 001",
            "84912000001",
            "84 0912 000 001",
            "0084 912 000 001",
            "\u{200E}0912\u{A0}000\u{2013}001",
            "0912\u{2011}000\u{FF0D}001",
            "0912\u{AD}000\u{2212}001",
        ] {
            assert_eq!(Phone::parse(input).unwrap().as_str(), "+84912000001", "{input}");
        }
    }

    #[test]
    fn landlines_and_neighbours_are_contacts() {
        for (input, stored) in [
            ("024 3825 1234", "+842438251234"),
            ("(028) 3829-1234", "+842838291234"),
            ("0203 3825 123", "+842033825123"),
            ("84 24 3825 1234", "+842438251234"),
            ("84 024 3825 1234", "+842438251234"),
            ("+856 20 5555 1234", "+8562055551234"),
            ("00856 20 5555 1234", "+8562055551234"),
        ] {
            assert_eq!(Phone::parse(input).map(|phone| phone.to_string()), Ok(stored.to_string()), "{input}");
        }
    }

    #[test]
    fn mobiles_of_before_2018_are_converted() {
        assert_eq!(Phone::parse("0123 456 7890").unwrap().as_str(), "+84834567890");
        assert_eq!(Phone::parse("01681234567").unwrap().as_str(), "+84381234567");
        assert_eq!(Phone::parse("+84 168 123 4567").unwrap().as_str(), "+84381234567");
        assert_eq!(Phone::parse("841681234567").unwrap().as_str(), "+84381234567");
        for (old, new) in OLD_PREFIXES {
            // The converted number is one that today's networks have.
            assert_eq!(
                Phone::parse(&format!("0{old} 234 5678")).map(|phone| phone.to_string()),
                Ok(format!("+84{new}2345678")),
                "{old}"
            );
        }
        // No network had these.
        assert_eq!(Phone::parse("0130 123 4567"), Err(TextError::PhoneUnknown));
    }

    #[test]
    fn wrong_numbers_are_refused_with_the_reason() {
        let cases = [
            ("", TextError::Empty { what: Phone::WHAT }),
            ("--", TextError::Empty { what: Phone::WHAT }),
            ("113", TextError::PhoneService),
            ("1900 1234", TextError::PhoneService),
            ("1800 1091", TextError::PhoneService),
            ("19001234", TextError::PhoneService),
            ("+84 1900 1234", TextError::PhoneService),
            ("912000001", TextError::PhonePrefix),
            ("38251234", TextError::PhonePrefix),
            ("0912 000 00", TextError::PhoneDigits { digits: 9 }),
            ("0912 000 0012 3", TextError::PhoneDigits { digits: 12 }),
            ("0412 000 001", TextError::PhoneUnknown),
            ("0912 000 00123456789", TextError::PhoneDigits { digits: 18 }),
            ("+999 123 456", TextError::PhoneUnknown),
            ("+1 234", TextError::PhoneUnknown),
        ];
        for (input, error) in cases {
            assert_eq!(Phone::parse(input), Err(error), "{input}");
        }
        for (input, at) in [("0912 000 00a", 12), ("09+12000001", 3), ("tel:0912000001", 1), ("０912000001", 1)] {
            assert!(
                matches!(Phone::parse(input), Err(TextError::Character { position, .. }) if position == at),
                "{input}"
            );
        }
    }

    #[test]
    fn typed_length_is_bounded() {
        let dotted = |count: usize| format!("0912000001{}", "-".repeat(count - 10));
        assert!(Phone::parse(&dotted(PHONE_CHARS_MAX)).is_ok());
        assert_eq!(
            Phone::parse(&dotted(PHONE_CHARS_MAX + 1)),
            Err(TextError::TooLong { what: Phone::WHAT, length: 41, max: 40 })
        );
    }

    #[test]
    fn people_see_the_number_they_dial_and_logs_none() {
        let phone = Phone::parse("+84912000001").unwrap();
        assert_eq!(phone.display_vi(), "0912000001");
        assert_eq!(format!("{phone:?}"), "Phone(…)");
        assert_eq!(Phone::parse("+8562055551234").unwrap().display_vi(), "+8562055551234");
    }

    proptest! {
        #[test]
        fn no_input_panics_and_the_stored_form_reads_back(text in "\\+?[0-9 .()-]{0,20}") {
            if let Ok(phone) = Phone::parse(&text) {
                prop_assert_eq!(Phone::parse(phone.as_str()).unwrap(), phone.clone());
                prop_assert_eq!(Phone::parse(&phone.display_vi()).unwrap(), phone);
            }
        }
    }
}
