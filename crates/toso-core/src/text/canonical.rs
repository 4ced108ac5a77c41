//! The canonical form of a text: one sequence of bytes for everything that looks the same.
//!
//! Document ids hang on [`canonical`] (through [`super::hamlet_key`]), so its tables stay as they are. What names need
//! beyond it, [`canonical_name`] does first.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::legacy::is_vietnamese_syllable;

/// The canonical form every text of one line is stored in.
///
/// - NFC, which also cures half-composed input of CP1258 times (ê + U+0301 → ế)
/// - look-alikes: Ð, Ɖ → Đ; ð, ɖ → đ; typographic apostrophes, primes and accents that stand alone → '
/// - every kind of blank, also tab and line end → one blank; runs collapse; none at the ends
/// - invisible characters (zero width, direction, variation, tags) and controls are removed
///
/// Idempotent. Decomposed and composed input give the same result.
pub fn canonical(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text) {
        if !is_blank(c) {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out.truncate(out.trim_end_matches(' ').len());
    out
}

/// [`canonical`] for names and numbers: what is drawn as a hyphen is one, and what is drawn as an apostrophe is one.
///
/// - a soft hyphen within a Vietnamese syllable, where a line may end, goes (`Ngu\u{AD}yễn`)
/// - every dash → -; also every other soft hyphen, which Word and PDF readers put where people see a hyphen (`Y-Thử`)
/// - prime and saltillo letters, Armenian, Hebrew, full-width and ornamental apostrophes → '
///
/// Idempotent, and `canonical` changes nothing in its result.
pub fn canonical_name(text: &str) -> String {
    let text: String = joined(text)
        .chars()
        .map(|c| match c {
            c if is_dash(c) => '-',
            '\u{2B9}' | '\u{2BD}' | '\u{2C8}' | '\u{2CA}' | '\u{2CB}' | '\u{374}' | '\u{55A}' | '\u{5F3}'
            | '\u{2035}' | '\u{275B}' | '\u{275C}' | '\u{A78B}' | '\u{A78C}' | '\u{FF40}' => '\'',
            c => c,
        })
        .collect();
    canonical(&text)
}

/// Without the soft hyphens at which a Vietnamese syllable may be divided. Those that join two words are hyphens.
fn joined(text: &str) -> String {
    let mut out = text.to_owned();
    let mut from = 0;
    while let Some(at) = out.get(from..).and_then(|rest| rest.find(SOFT_HYPHEN)).map(|at| at + from) {
        let (before, after) =
            (out.get(..at).unwrap_or_default(), out.get(at + SOFT_HYPHEN.len_utf8()..).unwrap_or_default());
        let is_part = |c: char| c.is_alphabetic() || is_combining_mark(c) || c == SOFT_HYPHEN;
        let start = before.char_indices().rev().take_while(|(_, c)| is_part(*c)).last().map_or(at, |(start, _)| start);
        let end = after.find(|c: char| !is_part(c)).unwrap_or(after.len());
        let parts = [before.get(start..), after.get(..end)];
        let divided = parts.iter().all(|part| part.is_some_and(|part| !part.is_empty()));
        let word: String = parts.into_iter().flatten().collect::<String>().replace(SOFT_HYPHEN, "");
        if divided && is_vietnamese_syllable(&word) {
            out.replace_range(at..at + SOFT_HYPHEN.len_utf8(), "");
        } else {
            from = at + SOFT_HYPHEN.len_utf8();
        }
    }
    out
}

/// Where a soft hyphen stands that divides no word: before or behind a blank, a sign, an end, another one. Nobody types one
/// there; it is TCVN3's ư, and [`canonical`] would remove it. Counted in characters from 0.
pub fn stray_soft_hyphen(text: &str) -> Option<usize> {
    let is_of_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || is_combining_mark(c));
    let mut before = None;
    let mut chars = text.chars().enumerate().peekable();
    while let Some((at, c)) = chars.next() {
        let after = chars.peek().map(|(_, c)| *c);
        if c == SOFT_HYPHEN && !(is_of_word(before) && is_of_word(after)) {
            return Some(at);
        }
        before = Some(c);
    }
    None
}

const SOFT_HYPHEN: char = '\u{AD}';

/// What is drawn as a hyphen, a dash or a minus, or stands for a hyphen that a line end would show.
fn is_dash(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{2D7}' | '\u{58A}' | '\u{5BE}' | '\u{1806}' // soft, modifier, Armenian, Hebrew, Mongolian
        | '\u{2010}'
            ..='\u{2015}'
                | '\u{2043}'
                | '\u{207B}'
                | '\u{208B}'
                | '\u{2212}'
                | '\u{2796}'
                | '\u{2E3A}'
                | '\u{2E3B}'
                | '\u{FE58}'
                | '\u{FE63}'
                | '\u{FF0D}'
    )
}

/// [`canonical`] for texts of many lines: each line is canonical, line ends are `\n`, at most one empty line stands
/// between two others, none at the ends.
pub fn canonical_lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let mut out = String::with_capacity(text.len());
    let mut empty_lines = 0;
    for line in text.split(is_line_end).map(canonical) {
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        if !out.is_empty() {
            out.push_str(if empty_lines == 0 { "\n" } else { "\n\n" });
        }
        out.push_str(&line);
        empty_lines = 0;
    }
    out
}

/// NFC of what can be seen, look-alikes replaced. Invisible characters go first, since one between a letter and its mark
/// would keep them apart; look-alikes go last, since NFC makes some (U+1FEF → `).
fn visible(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|&c| is_blank(c) || !is_invisible(c)).nfc().map(replace_look_alike)
}

fn replace_look_alike(c: char) -> char {
    match c {
        // Eth and African D are drawn as Đ is.
        '\u{D0}' | '\u{189}' => 'Đ',
        '\u{F0}' | '\u{256}' => 'đ',
        '`' | '\u{B4}' | '\u{2BB}' | '\u{2BC}' | '\u{2018}' | '\u{2019}' | '\u{201B}' | '\u{2032}' | '\u{FF07}' => '\'',
        c => c,
    }
}

/// Unicode's white space, and letters that are drawn as blanks (Hangul fillers, the empty Braille pattern).
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{115F}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{FFA0}')
}

pub(super) fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\u{B}' | '\u{C}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180E}'   // soft hyphen, joiner, marks
            | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' // zero width, direction
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' // variation selectors
            | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}') // annotation, tags
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::samples::{nfd, vietnamese};

    #[test]
    fn every_spelling_of_a_name_is_stored_as_one() {
        let cases = [
            ("Hoàng Sa", "Hoàng Sa"),
            ("  Hoa\u{300}ng\u{A0}\u{2003} Sa\t\n", "Hoàng Sa"),
            ("Ti\u{EA}\u{301}n", "Tiến"),
            ("Ti\u{EA}\u{200B}\u{301}n", "Tiến"),
            ("\u{D0}\u{E0} N\u{1EB5}ng, \u{189}ông \u{F0}ô \u{256}ô", "Đà Nẵng, Đông đô đô"),
            ("M\u{2019}gar M\u{2018}gar M\u{2BC}gar M\u{1FEF}gar", "M'gar M'gar M'gar M'gar"),
            ("\u{FEFF}A\u{202E}n\u{2066} \u{2060}G\u{0}i\u{9F}ang\u{200F}", "An Giang"),
            ("Thôn\u{3164}\u{2800}1", "Thôn 1"),
            ("a\r\nb", "a b"),
            (" \u{200B} ", ""),
        ];
        for (input, expected) in cases {
            assert_eq!(canonical(input), expected, "{input:?}");
        }
    }

    #[test]
    fn a_name_has_one_hyphen_and_one_apostrophe() {
        for dash in [
            '-', '\u{AD}', '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2212}',
            '\u{2043}', '\u{FE58}', '\u{FE63}', '\u{FF0D}', '\u{2D7}',
        ] {
            assert_eq!(canonical_name(&format!("Y{dash}Thử")), "Y-Thử", "U+{:04X}", u32::from(dash));
        }
        for apostrophe in ['\'', '\u{2019}', '\u{2BC}', '\u{2B9}', '\u{A78C}', '\u{2032}', '\u{FF07}', '\u{FF40}'] {
            assert_eq!(canonical_name(&format!("H{apostrophe}Thử")), "H'Thử", "U+{:04X}", u32::from(apostrophe));
        }
        // A note keeps its dashes, and ids hang on texts as they were.
        assert_eq!(canonical("a – b\u{FF0D}c\u{AD}d"), "a – b\u{FF0D}cd");
    }

    #[test]
    fn decomposed_input_is_longer_and_stored_alike() {
        assert_eq!(("Hoàng Sa".len(), nfd("Hoàng Sa").len()), (9, 10));
        assert_eq!(canonical(&nfd("Hoàng Sa")), "Hoàng Sa");
    }

    #[test]
    fn notes_keep_their_lines() {
        assert_eq!(canonical_lines("\r\n một  hai \r\n\r\n\n\nba\rbốn\u{2028}năm \n "), "một hai\n\nba\nbốn\nnăm");
    }

    proptest! {
        #[test]
        fn canonical_is_idempotent(text in "\\PC{0,40}|[\\x00-\\u{FFFF}]{0,40}") {
            let once = canonical(&text);
            prop_assert_eq!(canonical(&once), once.clone());
            let name = canonical_name(&text);
            prop_assert_eq!((canonical(&name), canonical_name(&name)), (name.clone(), name));
            let lines = canonical_lines(&text);
            prop_assert_eq!(canonical_lines(&lines), lines);
            prop_assert!(!once.contains("  ") && once.trim() == once);
        }

        #[test]
        fn composed_and_decomposed_agree(text in vietnamese()) {
            prop_assert_eq!(canonical(&nfd(&text)), canonical(&text));
        }
    }
}
