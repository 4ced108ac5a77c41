//! Numbers as Vietnam writes them: dots between thousands, a comma before decimals.

/// `48538` as `48.538`.
pub fn format_number(n: u64) -> String {
    group(&n.to_string())
}

/// `numerator / denominator` with one decimal, half rounded up: 225417 and 48538 as `4,6`. `–` when there is nothing to
/// divide by.
///
/// Takes the two counts, not their quotient, so that rounding is exact and the same on every machine.
pub fn format_decimal_1(numerator: u64, denominator: u64) -> String {
    if denominator == 0 {
        return "–".to_owned();
    }
    let (numerator, denominator) = (u128::from(numerator), u128::from(denominator));
    let tenths = (numerator * 20 + denominator) / (denominator * 2);
    format!("{},{}", group(&(tenths / 10).to_string()), tenths % 10)
}

fn group(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('.');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_have_dots() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1.000"),
            (48_538, "48.538"),
            (225_417, "225.417"),
            (1_000_000, "1.000.000"),
            (u64::MAX, "18.446.744.073.709.551.615"),
        ] {
            assert_eq!(format_number(n), text);
        }
    }

    #[test]
    fn decimals_have_a_comma() {
        for (numerator, denominator, text) in [
            (225_417, 48_538, "4,6"),
            (5_200, 63, "82,5"),
            (0, 5, "0,0"),
            (1, 20, "0,1"),
            (49, 1_000, "0,0"),
            (9_996, 100, "100,0"),
            (12_345, 1, "12.345,0"),
            (u64::MAX, 1, "18.446.744.073.709.551.615,0"),
            (1, u64::MAX, "0,0"),
            (1, 0, "–"),
        ] {
            assert_eq!(format_decimal_1(numerator, denominator), text);
        }
    }
}
