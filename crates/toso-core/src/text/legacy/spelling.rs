//! Which words are Vietnamese syllables: an initial, a rime and a tone that go together.

use std::collections::HashSet;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

use super::super::syllable::even_tones;

/// Grave, hook above, tilde, acute, dot below.
const TONES: [char; 5] = ['\u{300}', '\u{309}', '\u{303}', '\u{301}', '\u{323}'];
/// The tones that a syllable ending in a stop can have.
const STOP_TONES: [char; 2] = ['\u{301}', '\u{323}'];

/// The longest first, so that `ngh` is not read as `ng`.
const INITIALS: [&str; 28] = [
    "ngh", "ch", "gh", "gi", "kh", "ng", "nh", "ph", "qu", "th", "tr", "b", "c", "d", "đ", "g", "h", "k", "l", "m",
    "n", "p", "r", "s", "t", "v", "x", "",
];

/// The vowels and what may follow them, without tone.
const RIMES: &str = "a ac ach ai am an ang anh ao ap at au ay ăc ăk ăm ăn ăng ăp ăt âc âm ân âng âp ât âu ây \
    e ec em en eng eo ep et ê êch êm ên ênh êp êt êu i ia ich im in inh ip it iu iê iêc iêm iên iêng iêp iêt iêu \
    o oa oac oach oai oam oan oang oanh oao oap oat oay oăc oăm oăn oăng oăt oc oe oen oeo oet oi om on ong ooc oong \
    op ot ô ôc ôi ôm ôn ông ôp ôt ơ ơi ơm ơn ơp ơt u ua uân uâng uât uây uc uê uêch uênh ui um un ung uôc uôi uôm \
    uôn uông uôt uơ up ut uy uya uych uyên uyêt uyn uynh uyp uyt uyu ư ưa ưc ưi ưm ưn ưng ưt ưu ươc ươi ươm ươn \
    ương ươp ươt ươu y ych ym yn ynh yt yêm yên yêng yêt yêu";

static KNOWN_RIMES: LazyLock<HashSet<&'static str>> = LazyLock::new(|| RIMES.split_whitespace().collect());
static UNMARKED_RIMES: LazyLock<HashSet<String>> =
    LazyLock::new(|| RIMES.split_whitespace().map(|rime| rime.nfd().filter(char::is_ascii).collect()).collect());

/// How strictly a word is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// As spelling has it: what a conversion must give.
    Strict,
    /// As people write it: the tone on another vowel of the syllable, or left out.
    Loose,
}

/// True for one Vietnamese syllable, in any case.
pub(super) fn is_syllable(word: &str, strictness: Strictness) -> bool {
    let word: String = word.nfc().collect::<String>().to_lowercase();
    let mut tone = None;
    let mut plain = String::with_capacity(word.len());
    let mut letter = None;
    for c in word.nfd() {
        if !TONES.contains(&c) {
            plain.push(c);
            letter = if unicode_normalization::char::is_combining_mark(c) { letter } else { Some(c) };
        } else if tone.replace(c).is_some() || !letter.is_some_and(is_vowel) {
            return false;
        }
    }
    let plain: String = plain.nfc().collect();
    INITIALS.iter().any(|initial| {
        let Some(rime) = plain.strip_prefix(initial) else { return false };
        KNOWN_RIMES.contains(rime)
            && (strictness == Strictness::Loose
                || stop_has_its_tone(rime, tone) && tone_is_placed(&word, initial, rime))
    })
}

/// True for a word without marks that is a syllable once its marks are added: `Nguyen`.
pub(super) fn is_unmarked_syllable(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    INITIALS.iter().any(|initial| {
        let initial = if *initial == "đ" { "d" } else { initial };
        word.strip_prefix(initial).is_some_and(|rime| UNMARKED_RIMES.contains(rime))
    })
}

/// One of the letters that bear a tone, without marks.
pub(super) fn is_vowel(c: char) -> bool {
    matches!(c.to_ascii_lowercase(), 'a' | 'e' | 'i' | 'o' | 'u' | 'y')
}

fn stop_has_its_tone(rime: &str, tone: Option<char>) -> bool {
    !rime.ends_with(['c', 'k', 'p', 't']) && !rime.ends_with("ch")
        || tone.is_some_and(|tone| STOP_TONES.contains(&tone))
}

/// The tone stands where today's spelling or the older one has it.
fn tone_is_placed(word: &str, initial: &str, rime: &str) -> bool {
    matches!(rime, "oa" | "oe" | "uy") || initial == "qu" || even_tones(word) == word
}

/// Takes a text apart into words and what stands between them.
pub(super) fn words(text: &str, is_part: impl Fn(char) -> bool) -> Vec<(bool, &str)> {
    let mut pieces: Vec<(bool, &str)> = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (at, c) in text.char_indices() {
        let part = is_part(c);
        if last.is_some_and(|last| last != part) {
            pieces.extend(text.get(start..at).map(|piece| (!part, piece)));
            start = at;
        }
        last = Some(part);
    }
    pieces.extend(last.zip(text.get(start..)));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syllables_are_what_spelling_allows() {
        for word in
            ["Nguyễn", "Thử", "hòa", "hoà", "thủy", "quý", "giếng", "gì", "ương", "Đức", "NGHĨA", "Yến", "a", "khuỷu"]
        {
            assert!(is_syllable(word, Strictness::Strict), "{word}");
        }
        for word in ["Franỗois", "lơ\u{301}p\u{300}", "tòan", "đưc", "Muệ1", "Josộ", "", "ngcb", "Bjứrn"] {
            assert!(!is_syllable(word, Strictness::Strict), "{word}");
        }
        assert!(is_syllable("tòan", Strictness::Loose) && is_syllable("đưc", Strictness::Loose));
        assert!(is_unmarked_syllable("Nguyen") && is_unmarked_syllable("Duc") && !is_unmarked_syllable("Dubois"));
    }

    #[test]
    fn words_and_what_stands_between_them_make_the_text() {
        let pieces = words("a-b  1", |c| c.is_ascii_alphabetic());
        assert_eq!(pieces, [(true, "a"), (false, "-"), (true, "b"), (false, "  1")]);
        assert!(words("", |_| true).is_empty());
    }
}
