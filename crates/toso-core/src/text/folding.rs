//! Letters and digits that are others in another drawing: full-width letters, digits of other scripts, digits in circles.
//!
//! Ids hang on [`folded`] (through [`super::hamlet_key`]), so its tables stay as they are: they are those of Unicode 15, written
//! out, and not those of a library that a later Unicode changes.

/// The zeros of Unicode's decimal digits in the basic plane; nine more digits follow each.
#[rustfmt::skip]
const ZEROS: [u32; 36] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66,
    0x0DE6, 0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90,
    0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
];
/// Numbers in circles, from 1: the first, and how many.
const CIRCLED: [(u32, u32); 4] = [(0x2460, 20), (0x2776, 10), (0x2780, 10), (0x278A, 10)];

/// A text with those as they are in ASCII. A number in a circle stands apart from its neighbours.
pub(super) fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let number = u32::from(c);
        let ascii = |code: u32| u8::try_from(code).ok().map(char::from);
        let digit = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&number));
        let circled = CIRCLED.iter().find(|(first, count)| (*first..first + count).contains(&number));
        if let Some(digit) = digit.and_then(|zero| ascii(number - zero + u32::from(b'0'))) {
            out.push(digit);
        } else if let Some((first, _)) = circled {
            out.push(' ');
            out.push_str(&(number - first + 1).to_string());
            out.push(' ');
        } else if let Some(wide) =
            matches!(number, 0xFF21..=0xFF3A | 0xFF41..=0xFF5A).then(|| ascii(number - 0xFEE0)).flatten()
        {
            out.push(wide);
        } else {
            out.push(c);
        }
    }
    out
}
