//! The Vietnamese syllable: where its tone mark stands.
//!
//! Two schools write *hòa* and *hoà*, *thủy* and *thuỷ*, and hurried typists write *qúy*. The tone belongs to the whole
//! syllable, so moving it to one fixed place loses nothing, while *hoa* and *hòa* stay apart.

use unicode_normalization::UnicodeNormalization;

/// Grave (huyền), hook above (hỏi), tilde (ngã), acute (sắc), dot below (nặng).
const TONES: [char; 5] = ['\u{300}', '\u{309}', '\u{303}', '\u{301}', '\u{323}'];
/// Circumflex (â ê ô), breve (ă), horn (ơ ư).
const SHAPES: [char; 3] = ['\u{302}', '\u{306}', '\u{31B}'];

/// A letter taken apart.
struct Letter {
    base: char,
    /// Base and every mark but the tone, decomposed.
    text: String,
    shaped: bool,
    tone: Option<char>,
    /// Two tones on one letter: no Vietnamese; both are in `text`, in their order.
    doubled: bool,
}

impl Letter {
    fn is_vowel(&self) -> bool {
        matches!(self.base, 'a' | 'e' | 'i' | 'o' | 'u' | 'y')
    }
    fn is_plain(&self, base: char) -> bool {
        self.base == base && !self.shaped
    }
}

/// The word with each tone on the vowel where today's school spelling has it: thủy → thuỷ, qúy → quý.
///
/// Takes lower case, gives NFC. Works by group of vowels, so that syllables written together (Đắkmil) keep their own
/// tones; a group with two tones is no Vietnamese syllable and stays as it is.
pub(super) fn even_tones(word: &str) -> String {
    let mut letters = letters(word);
    let mut start = 0;
    while start < letters.len() {
        let group = letters.iter().skip(start).take_while(|letter| letter.is_vowel()).count();
        even_group(&mut letters, start, start + group);
        start += group.max(1);
    }
    join(&letters)
}

/// The word without its tones; the shapes of vowels (ô, ơ, ă) stay. Takes lower case, gives NFC.
pub(super) fn drop_tones(word: &str) -> String {
    word.nfd().filter(|c| !TONES.contains(c)).nfc().collect()
}

fn letters(word: &str) -> Vec<Letter> {
    let mut letters: Vec<Letter> = Vec::with_capacity(word.len());
    for c in word.nfd() {
        match letters.last_mut() {
            Some(letter) if TONES.contains(&c) && !letter.doubled => match letter.tone.take() {
                None => letter.tone = Some(c),
                Some(first) => {
                    letter.text.extend([first, c]);
                    letter.doubled = true;
                }
            },
            Some(letter) if unicode_normalization::char::is_combining_mark(c) => {
                letter.shaped |= SHAPES.contains(&c);
                letter.text.push(c);
            }
            _ => letters.push(Letter { base: c, text: c.to_string(), shaped: false, tone: None, doubled: false }),
        }
    }
    letters
}

fn join(letters: &[Letter]) -> String {
    letters.iter().flat_map(|letter| letter.text.chars().chain(letter.tone)).nfc().collect()
}

/// Moves the only tone of the vowels `start..end` to its place.
fn even_group(letters: &mut [Letter], start: usize, end: usize) {
    let place = tone_place(letters, start, end);
    let Some(group) = letters.get_mut(start..end) else { return };
    if group.iter().any(|letter| letter.doubled) || group.iter().filter(|letter| letter.tone.is_some()).count() != 1 {
        return;
    }
    let tone = group.iter_mut().find_map(|letter| letter.tone.take());
    if let Some(letter) = letters.get_mut(place) {
        letter.tone = tone;
    }
}

/// Where the tone of the vowels `start..end` belongs; looks at everything but tones.
fn tone_place(letters: &[Letter], start: usize, end: usize) -> usize {
    let before = start.checked_sub(1).and_then(|at| letters.get(at)).map(|letter| letter.base);
    let is_plain = |at: usize, base: char| letters.get(at).is_some_and(|letter| letter.is_plain(base));
    // The u of qu and the i of gi belong to the consonant.
    let glide =
        end - start > 1 && (before == Some('q') && is_plain(start, 'u') || before == Some('g') && is_plain(start, 'i'));
    let start = start + usize::from(glide);
    let shaped = (start..end).rev().find(|&at| letters.get(at).is_some_and(|letter| letter.shaped));
    let closed = letters.get(end).is_some_and(|letter| letter.base.is_alphabetic());
    let second = is_plain(start, 'o') && (is_plain(start + 1, 'a') || is_plain(start + 1, 'e'))
        || is_plain(start, 'u') && is_plain(start + 1, 'y');
    match (shaped, end - start) {
        (Some(at), _) => at,
        (None, 0 | 1) => start,
        (None, _) if closed => end - 1,
        (None, 2) if !second => start,
        (None, _) => start + 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tones_go_where_school_spelling_has_them() {
        let cases = [
            ("hòa", "hoà"),
            ("hoà", "hoà"),
            ("hóe", "hoé"),
            ("thủy", "thuỷ"),
            ("thuỷ", "thuỷ"),
            ("quý", "quý"),
            ("qúy", "quý"),
            ("quỳ", "quỳ"),
            ("gìa", "già"),
            ("gì", "gì"),
            ("giếng", "giếng"),
            ("hoàn", "hoàn"),
            ("hòan", "hoàn"),
            ("khuỷu", "khuỷu"),
            ("ngoài", "ngoài"),
            ("ngòai", "ngoài"),
            ("mía", "mía"),
            ("của", "của"),
            ("cửa", "cửa"),
            ("cưả", "cửa"),
            ("đường", "đường"),
            ("đừơng", "đường"),
            ("tiến", "tiến"),
            ("tíên", "tiến"),
            ("thuở", "thuở"),
            ("khóai", "khoái"),
            ("bài", "bài"),
            ("huyện", "huyện"),
            ("huỵên", "huyện"),
            ("đắkmil", "đắkmil"),
            ("đắkrôông", "đắkrôông"),
            ("pàcò", "pàcò"),
            ("pàò", "pàò"),
            ("ṹ", "ṹ"),
            ("ṹá", "ṹá"),
            ("hoa", "hoa"),
            ("", ""),
        ];
        for (input, expected) in cases {
            assert_eq!(even_tones(input), expected, "{input}");
        }
    }

    #[test]
    fn marks_typed_tone_first_are_cured() {
        // e, acute, circumflex: NFC alone would keep é with a circumflex on top.
        assert_eq!(even_tones("tie\u{301}\u{302}n"), "tiến");
    }

    #[test]
    fn toneless_words_keep_their_shapes() {
        assert_eq!(drop_tones("đường"), "đương");
        assert_eq!(drop_tones("nguyễn"), "nguyên");
    }

    proptest! {
        /// Where the tone was typed never matters.
        #[test]
        fn the_place_of_the_tone_is_forgotten(
            initial in "(|b|gi|qu|ng|th|đ)",
            vowels in "[aăâeêioôơuưy]{1,3}",
            last in "(|n|ng|t|ch)",
            tone in prop::sample::select(TONES.to_vec()),
            a in 0_usize..3,
            b in 0_usize..3,
        ) {
            let with_tone_at = |at: usize| -> String {
                let count = vowels.chars().count();
                let toned = vowels.chars().enumerate().flat_map(|(i, c)| {
                    [Some(c), (i == at % count).then_some(tone)].into_iter().flatten()
                });
                initial.chars().chain(toned).chain(last.chars()).collect()
            };
            let evened = even_tones(&with_tone_at(a));
            prop_assert_eq!(&evened, &even_tones(&with_tone_at(b)));
            prop_assert_eq!(even_tones(&evened), evened.clone());
            prop_assert_eq!(drop_tones(&evened), drop_tones(&with_tone_at(a)));
            prop_assert_ne!(evened, drop_tones(&with_tone_at(a)));
        }
    }
}
