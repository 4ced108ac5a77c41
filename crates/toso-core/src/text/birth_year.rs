//! Years of birth.

use super::{BIRTH_YEARS, TextError, canonical};

/// Checks a year of birth against [`BIRTH_YEARS`].
pub fn check_birth_year(year: u16) -> Result<u16, TextError> {
    if BIRTH_YEARS.contains(&year) { Ok(year) } else { Err(TextError::BirthYear) }
}

/// Reads a year of birth of four digits.
pub fn parse_birth_year(text: &str) -> Result<u16, TextError> {
    super::limits::check_input("the birth year", text)?;
    let text = canonical(text);
    if text.is_empty() {
        return Err(TextError::Empty { what: "the birth year" });
    }
    let digits = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
    check_birth_year(text.parse().ok().filter(|_| digits).ok_or(TextError::BirthYear)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_pass_at_the_limits_and_not_beyond() {
        assert_eq!(parse_birth_year(" 1900 "), Ok(1900));
        assert_eq!(parse_birth_year("2100"), Ok(2100));
        for input in ["1899", "2101", "90", "+190", "01990", "19/9/1990", "năm 1990"] {
            assert_eq!(parse_birth_year(input), Err(TextError::BirthYear), "{input}");
        }
        assert_eq!(parse_birth_year(""), Err(TextError::Empty { what: "the birth year" }));
    }
}
