//! Numbers and signs of official documents.

use std::sync::LazyLock;

use regex::Regex;

use super::limits::{DOCUMENT_NUMBER_CHARS_MAX, check_input, check_length};
use super::{TextError, canonical_name};

text_value!(
    /// The number and sign of an official document: of the state (Decree 30/2020) `103/QĐ-UBND`, `13/2023/NĐ-CP`; of
    /// Party and Union `557-KH/TWĐTN-BTTTT`.
    ///
    /// Never a key: each body begins at 1 every year.
    DocumentNumber,
    shown
);

/// Number, letter of an inserted one, Party's kind; year; signs of kind, body and unit.
static FORM: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("^[0-9]{1,6}[a-z]?(?:-[A-ZĐ]{1,4})?/(?:[0-9]{4}/)?[A-ZĐ][A-Za-zĐđ0-9]*(?:-[A-ZĐ][A-Za-zĐđ0-9]*)*$")
        .expect("the expression is a constant and every test compiles it")
});

impl DocumentNumber {
    const WHAT: &str = "the document number";

    /// Reads a number and sign; blanks are dropped, dashes become hyphens, leading zeros stay.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        check_input(Self::WHAT, text)?;
        let text: String = canonical_name(text).chars().filter(|&c| c != ' ').collect();
        check_length(Self::WHAT, &text, DOCUMENT_NUMBER_CHARS_MAX, DOCUMENT_NUMBER_CHARS_MAX * 4)?;
        if FORM.is_match(&text) { Ok(Self(text)) } else { Err(TextError::DocumentNumber) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::samples::nfd;

    #[test]
    fn real_numbers_pass_unchanged() {
        for number in [
            "793/BTTTT-THH",
            "4509/BTTTT-CĐSQG",
            "103/QĐ-UBND",
            "13/2023/NĐ-CP",
            "91/2025/QH15",
            "60/2022/NQ-HĐND",
            "469/NQ-UBTVQH15",
            "10528-CV/TWĐTN-KHQN",
            "557-KH/TWĐTN-BTTTT",
            "749/QĐ-TTg",
            "03/QĐ-UBND",
            "12a/QĐ-UBND",
        ] {
            assert_eq!(DocumentNumber::parse(number).unwrap().as_str(), number);
            assert_eq!(DocumentNumber::parse(&nfd(number)).unwrap().as_str(), number);
        }
    }

    #[test]
    fn typing_habits_are_mended() {
        for dash in ['\u{2013}', '\u{2011}', '\u{FF0D}', '\u{FE63}', '\u{2212}', '\u{AD}'] {
            let typed = format!(" 103 / Q\u{D0} {dash} UBND ");
            assert_eq!(DocumentNumber::parse(&typed).unwrap().as_str(), "103/QĐ-UBND", "U+{:04X}", u32::from(dash));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for input in
            ["103", "QĐ-UBND", "103/", "103/qđ-ubnd", "1234567/QĐ-UBND", "103/QĐ-UBND/", "103/23/NĐ-CP", "số 103/QĐ"]
        {
            assert_eq!(DocumentNumber::parse(input), Err(TextError::DocumentNumber), "{input}");
        }
        assert_eq!(DocumentNumber::parse(""), Err(TextError::Empty { what: "the document number" }));
    }

    #[test]
    fn length_is_bounded() {
        let number = |count: usize| format!("1/{}", "Đ".repeat(count - 2));
        assert!(DocumentNumber::parse(&number(DOCUMENT_NUMBER_CHARS_MAX)).is_ok());
        assert_eq!(
            DocumentNumber::parse(&number(DOCUMENT_NUMBER_CHARS_MAX + 1)),
            Err(TextError::TooLong { what: "the document number", length: 61, max: 60 })
        );
    }
}
