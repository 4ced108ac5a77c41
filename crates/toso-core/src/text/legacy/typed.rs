//! What Vietnamese typing leaves when no program has turned it into letters: `Nguyeenx` (Telex), `Nguye64n` (VNI),
//! `Nguye^~n` (VIQR).

use unicode_normalization::UnicodeNormalization;

use super::super::syllable::even_tones;
use super::spelling::{Strictness, is_syllable, is_unmarked_syllable, is_vowel, words};

/// Signs of VIQR and keys of VNI, and the marks they stand for.
const SIGNS: [(char, char, char); 8] = [
    ('\'', '1', '\u{301}'),
    ('`', '2', '\u{300}'),
    ('?', '3', '\u{309}'),
    ('~', '4', '\u{303}'),
    ('.', '5', '\u{323}'),
    ('^', '6', '\u{302}'),
    ('+', '7', '\u{31B}'),
    ('(', '8', '\u{306}'),
];
/// Keys of Telex for tones.
const TONE_KEYS: [(char, char); 5] =
    [('s', '\u{301}'), ('f', '\u{300}'), ('r', '\u{309}'), ('x', '\u{303}'), ('j', '\u{323}')];

pub(super) fn convert(text: &str) -> Option<String> {
    signs(text).or_else(|| telex_text(text))
}

/// One word of Telex; `None` for one that stands as it is.
pub(super) fn telex(word: &str) -> Option<String> {
    telex_word(word).map(|meant| meant.text)
}

/// A word as it was typed and as it was meant.
struct Meant {
    text: String,
    /// Marks typed.
    marks: usize,
    /// A sign of a vowel's shape stands inside the word: `Tho^n`, `Tho6n`.
    inner: bool,
}

fn signs(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_alphanumeric() || SIGNS.iter().any(|(sign, _, _)| *sign == c);
    convert_words(text, is_part, sign_word, |meant| meant.inner)
}

/// Two marks in one word and nothing but Vietnamese beside it: `Hans Max` has one in each.
fn telex_text(text: &str) -> Option<String> {
    let others = |word: &str| is_unmarked_syllable(word) || is_syllable(word, Strictness::Loose);
    let pieces = words(text, char::is_alphabetic);
    let all = pieces.iter().filter(|(is_word, _)| *is_word).all(|(_, word)| others(word) || telex_word(word).is_some());
    let several = pieces.iter().filter(|(is_word, _)| *is_word).count() > 1;
    if !all || !several {
        return None;
    }
    convert_words(text, char::is_alphabetic, telex_word, |meant| meant.marks > 1)
}

fn convert_words(
    text: &str,
    is_part: impl Fn(char) -> bool,
    convert: fn(&str) -> Option<Meant>,
    is_enough: fn(&Meant) -> bool,
) -> Option<String> {
    let mut enough = false;
    let mut out = String::with_capacity(text.len());
    for (is_word, piece) in words(text, is_part) {
        match convert(piece).filter(|_| is_word) {
            Some(meant) => {
                enough |= is_enough(&meant);
                out.push_str(&meant.text);
            }
            None => out.push_str(piece),
        }
    }
    enough.then_some(out)
}

fn sign_word(word: &str) -> Option<Meant> {
    if !word.is_ascii() || !word.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let chars: Vec<char> = word.chars().collect();
    let mut out = String::with_capacity(word.len());
    let (mut marks, mut inner, mut tone) = (0, false, None);
    let mut last = None;
    for (at, c) in chars.iter().enumerate() {
        let small = c.to_ascii_lowercase();
        let mark = SIGNS.iter().find(|(sign, key, _)| c == sign || c == key).map(|(_, _, mark)| *mark);
        let bears = |vowels: &str| last.is_some_and(|last| vowels.contains(last));
        match mark {
            Some(mark) => {
                let shape = match mark {
                    '\u{302}' => Some("aeo"),
                    '\u{31B}' => Some("ou"),
                    '\u{306}' => Some("a"),
                    _ => None,
                };
                marks += 1;
                match shape {
                    // A tone may be typed at the end of the word; a shape stands at its vowel.
                    None if tone.replace(mark).is_some() => return None,
                    None => {}
                    Some(vowels) if bears(vowels) => {
                        inner |= chars.iter().skip(at + 1).any(char::is_ascii_alphabetic);
                        out.push(mark);
                    }
                    Some(_) => return None,
                }
            }
            None if *c == '9' || small == 'd' && last == Some('d') => {
                if last != Some('d') {
                    return None;
                }
                let capital = out.pop() == Some('D');
                out.push(if capital { 'Đ' } else { 'đ' });
                marks += 1;
                last = Some('đ');
            }
            None if c.is_ascii_alphabetic() => {
                out.push(*c);
                last = Some(small);
            }
            None => return None,
        }
    }
    let text = with_tone(&out, tone)?;
    (marks > 0 && is_syllable(&text, Strictness::Strict)).then_some(Meant { text, marks, inner })
}

fn telex_word(word: &str) -> Option<Meant> {
    if !word.is_ascii() || is_unmarked_syllable(word) {
        return None;
    }
    let mut out = String::with_capacity(word.len());
    let mut marks = 0;
    let mut tone = None;
    let mut vowel_seen = false;
    for c in word.chars() {
        let small = c.to_ascii_lowercase();
        let last = out.chars().next_back().map(|c| c.to_ascii_lowercase());
        let key = TONE_KEYS.iter().find(|(key, _)| *key == small).filter(|_| vowel_seen && tone.is_none());
        if small == 'd' && last == Some('d') && out.len() == 1 {
            let capital = out.pop() == Some('D');
            out.push(if capital { 'Đ' } else { 'đ' });
            marks += 1;
        } else if matches!(small, 'a' | 'e' | 'o') && last == Some(small) {
            out.push('\u{302}');
            marks += 1;
        } else if small == 'w' && matches!(last, Some('a' | 'o' | 'u')) {
            if last == Some('o') && out.chars().rev().nth(1).is_some_and(|c| c.eq_ignore_ascii_case(&'u')) {
                // uow stands for ươ.
                let o = out.pop();
                out.push('\u{31B}');
                out.extend(o);
            }
            out.push(if last == Some('a') { '\u{306}' } else { '\u{31B}' });
            marks += 1;
        } else if let Some((_, mark)) = key {
            tone = Some(*mark);
            marks += 1;
        } else {
            vowel_seen |= is_vowel(small);
            out.push(c);
        }
    }
    let text = with_tone(&out, tone)?;
    (marks > 0 && is_syllable(&text, Strictness::Strict)).then_some(Meant { text, marks, inner: false })
}

/// The word with the tone on its vowel. `None` without a vowel.
fn with_tone(word: &str, tone: Option<char>) -> Option<String> {
    let Some(tone) = tone else { return Some(tone_in_place(word)) };
    let (before, after) = word.split_at_checked(word.rfind(is_vowel)? + 1)?;
    let shape_ends = after.find(|c: char| !unicode_normalization::char::is_combining_mark(c));
    let (shape, rest) = after.split_at_checked(shape_ends.unwrap_or(after.len()))?;
    Some(tone_in_place(&format!("{before}{shape}{tone}{rest}")))
}

/// The tone where spelling has it, the case kept.
fn tone_in_place(word: &str) -> String {
    let word: String = word.nfc().collect();
    let small = even_tones(&word.to_lowercase());
    let letters = || word.chars().filter(|c| c.is_alphabetic());
    if letters().count() > 1 && letters().all(char::is_uppercase) {
        small.to_uppercase()
    } else if word.starts_with(char::is_uppercase) {
        let mut chars = small.chars();
        chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
    } else {
        small
    }
}
