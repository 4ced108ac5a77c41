//! TCVN3 and VNI: Latin letters and signs that a font draws as Vietnamese ones.

use unicode_normalization::UnicodeNormalization;

use super::super::canonical;
use super::spelling::{Strictness, is_syllable, is_unmarked_syllable, words};
use super::{LegacyEncoding, is_foreign};

/// TCVN3: the letter and its sign, as Windows-1252 and Latin-1 show it. Capitals with a tone have no sign.
#[rustfmt::skip]
pub(super) const TCVN3: [(char, char); 74] = [
    ('à', 'µ'), ('ả', '¶'), ('ã', '·'), ('á', '¸'), ('ạ', '¹'),
    ('ă', '¨'), ('ằ', '»'), ('ẳ', '¼'), ('ẵ', '½'), ('ắ', '¾'), ('ặ', 'Æ'),
    ('â', '©'), ('ầ', 'Ç'), ('ẩ', 'È'), ('ẫ', 'É'), ('ấ', 'Ê'), ('ậ', 'Ë'),
    ('đ', '®'),
    ('è', 'Ì'), ('ẻ', 'Î'), ('ẽ', 'Ï'), ('é', 'Ð'), ('ẹ', 'Ñ'),
    ('ê', 'ª'), ('ề', 'Ò'), ('ể', 'Ó'), ('ễ', 'Ô'), ('ế', 'Õ'), ('ệ', 'Ö'),
    ('ì', '×'), ('ỉ', 'Ø'), ('ĩ', 'Ü'), ('í', 'Ý'), ('ị', 'Þ'),
    ('ò', 'ß'), ('ỏ', 'á'), ('õ', 'â'), ('ó', 'ã'), ('ọ', 'ä'),
    ('ô', '«'), ('ồ', 'å'), ('ổ', 'æ'), ('ỗ', 'ç'), ('ố', 'è'), ('ộ', 'é'),
    ('ơ', '¬'), ('ờ', 'ê'), ('ở', 'ë'), ('ỡ', 'ì'), ('ớ', 'í'), ('ợ', 'î'),
    ('ù', 'ï'), ('ủ', 'ñ'), ('ũ', 'ò'), ('ú', 'ó'), ('ụ', 'ô'),
    ('ư', '\u{AD}'), ('ừ', 'õ'), ('ử', 'ö'), ('ữ', '÷'), ('ứ', 'ø'), ('ự', 'ù'),
    ('ỳ', 'ú'), ('ỷ', 'û'), ('ỹ', 'ü'), ('ý', 'ý'), ('ỵ', 'þ'),
    ('Ă', '¡'), ('Â', '¢'), ('Ê', '£'), ('Ô', '¤'), ('Ơ', '¥'), ('Ư', '¦'), ('Đ', '§'),
];

/// VNI: what stands after a vowel, the shape it gives (if any), the tone it gives (if any), and after which vowels.
#[rustfmt::skip]
pub(super) const VNI_MARKS: [(char, Option<char>, Option<char>, &str); 17] = [
    ('ù', None, Some('\u{301}'), "aeouyôö"), ('ø', None, Some('\u{300}'), "aeouyôö"),
    ('û', None, Some('\u{309}'), "aeouyôö"), ('õ', None, Some('\u{303}'), "aeouyôö"),
    ('ï', None, Some('\u{323}'), "aeouyôö"),
    ('â', Some('\u{302}'), None, "aeo"), ('á', Some('\u{302}'), Some('\u{301}'), "aeo"),
    ('à', Some('\u{302}'), Some('\u{300}'), "aeo"), ('å', Some('\u{302}'), Some('\u{309}'), "aeo"),
    ('ã', Some('\u{302}'), Some('\u{303}'), "aeo"), ('ä', Some('\u{302}'), Some('\u{323}'), "aeo"),
    ('ê', Some('\u{306}'), None, "a"), ('é', Some('\u{306}'), Some('\u{301}'), "a"),
    ('è', Some('\u{306}'), Some('\u{300}'), "a"), ('ú', Some('\u{306}'), Some('\u{309}'), "a"),
    ('ü', Some('\u{306}'), Some('\u{303}'), "a"), ('ë', Some('\u{306}'), Some('\u{323}'), "a"),
];

/// VNI: letters of one sign.
#[rustfmt::skip]
pub(super) const VNI_LETTERS: [(char, char); 9] = [
    ('í', 'í'), ('ì', 'ì'), ('æ', 'ỉ'), ('ó', 'ĩ'), ('ò', 'ị'), ('ô', 'ơ'), ('ö', 'ư'), ('î', 'ỵ'), ('ñ', 'đ'),
];

/// A text in one of the two encodings, and what it means.
pub(super) fn convert(text: &str) -> Option<(LegacyEncoding, String)> {
    let text: String = text.nfc().collect();
    if words(&text, is_part).iter().all(|(is_word, piece)| !is_word || piece.is_ascii() || stands(piece)) {
        return None;
    }
    // Programs that turn soft hyphens into hyphens leave `Ph-¬ng`.
    let with_hyphens = || (text.contains('-') && has_sign(&text)).then(|| text.replace('-', "\u{AD}"));
    let tcvn3 = judge(&text, tcvn3_word)
        .or_else(|| with_hyphens().and_then(|text| judge(&text, tcvn3_word)).filter(|judged| judged.all));
    let vni = judge(&text, vni_word);
    let better_vni = match (&tcvn3, &vni) {
        // `Lö` is Lư in VNI and Lử in TCVN3; the letter that a font puts to other use more often wins.
        (Some(tcvn3), Some(vni)) => {
            let (ours, theirs) = ((vni.all, vni.suspicious), (tcvn3.all, tcvn3.suspicious));
            ours > theirs || ours == theirs && tcvn3.strong == 0
        }
        (None, Some(_)) => true,
        (_, None) => false,
    };
    if better_vni {
        vni.map(|judged| (LegacyEncoding::Vni, judged.proposal))
    } else {
        tcvn3.map(|judged| (LegacyEncoding::Tcvn3, judged.proposal))
    }
}

/// How a text reads in an encoding.
struct Judged {
    /// Words that are Vietnamese only this way.
    suspicious: usize,
    /// Of them those with a sign that no name has.
    strong: usize,
    /// Every word is Vietnamese.
    all: bool,
    proposal: String,
}

/// `None` when the text is not in the encoding.
fn judge(text: &str, convert: fn(&str) -> Option<String>) -> Option<Judged> {
    let pieces = words(text, is_part);
    let read: Vec<Word<'_>> = pieces.iter().map(|(is_word, piece)| Word::read(*is_word, piece, convert)).collect();
    let count = |reading| read.iter().filter(|word| word.reading == reading).count();
    let suspicious = count(Reading::Suspicious);
    let strong = read.iter().filter(|word| word.reading == Reading::Suspicious && has_sign(word.text)).count();
    let all = count(Reading::Foreign) == 0;
    let enough = strong > 0 || suspicious > 1 || suspicious == 1 && all && read.len() > count(Reading::Between) + 1;
    if !enough {
        return None;
    }
    // Words of Unicode beside others: then those that are Vietnamese as they stand stay.
    let stays = |word: &Word<'_>| word.reading == Reading::Stands && !word.text.is_ascii();
    let mixed = read.iter().any(|word| stays(word) && word.converted.is_none());
    let starting =
        |test: fn(&char) -> bool| read.iter().filter(|word| word.text.chars().next().is_some_and(|c| test(&c))).count();
    let (capitals, small) = (starting(char::is_ascii_uppercase), starting(char::is_ascii_lowercase));
    let proposal = read.iter().map(|word| match &word.converted {
        Some(converted) if !(mixed && stays(word)) => {
            let first = word.text.chars().next().is_some_and(|c| !c.is_ascii());
            if first && capitals > small { capitalised(converted) } else { converted.clone() }
        }
        _ => word.text.to_owned(),
    });
    Some(Judged { suspicious, strong, all, proposal: proposal.collect() })
}

/// A piece of a text.
struct Word<'a> {
    text: &'a str,
    /// What it is in the encoding, when it is written in it.
    converted: Option<String>,
    reading: Reading,
}

/// What a piece of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// What stands between two words.
    Between,
    /// Vietnamese as it is.
    Stands,
    /// Vietnamese in the encoding only.
    Suspicious,
    /// The same, but all signs: a middle dot, a copyright sign.
    Signs,
    /// Neither.
    Foreign,
}

impl<'a> Word<'a> {
    fn read(is_word: bool, text: &'a str, convert: fn(&str) -> Option<String>) -> Self {
        if !is_word {
            return Self { text, converted: None, reading: Reading::Between };
        }
        let converted = (!text.is_ascii()).then(|| convert(text)).flatten().map(|made| in_case_of(text, made));
        let is_meant = || {
            converted.as_deref().is_some_and(|made| {
                let one_case = made.chars().skip(1).all(char::is_lowercase) || made.to_uppercase() == made;
                one_case && !is_foreign(text) && is_syllable(made, Strictness::Strict)
            })
        };
        let reading = if stands(text) {
            Reading::Stands
        } else if !is_meant() {
            Reading::Foreign
        } else if text.contains(|c: char| c.is_ascii_alphabetic()) {
            Reading::Suspicious
        } else {
            Reading::Signs
        };
        Self { text, converted, reading }
    }
}

/// True for a word that is Vietnamese as it is, or of a people whose names the register sees every day.
fn stands(word: &str) -> bool {
    if word.is_ascii() {
        is_unmarked_syllable(word) || is_of_a_minority(word)
    } else {
        !has_sign(word) && (is_syllable(&canonical(word), Strictness::Loose) || is_of_a_minority(word))
    }
}

/// What Ê-đê, Gia-rai and Ba-na names begin with (`Y`, `H'Hen`, `K'Brể`), and their clans that are no Vietnamese syllables.
fn is_of_a_minority(word: &str) -> bool {
    let letters = word.trim_matches('\'');
    letters.len() == 1
        || word.chars().nth(1) == Some('\'')
        || matches!(letters.to_lowercase().as_str(), "niê" | "mlô" | "êban" | "siu" | "ksor" | "kbuor" | "plei" | "kon")
}

/// Signs, and capitals inside a word: no name has them.
fn has_sign(word: &str) -> bool {
    let is_sign = |c: char| !c.is_ascii() && (!c.is_alphabetic() || matches!(c, 'ª' | 'µ' | 'º'));
    let mut last_is_small = false;
    word.chars().any(|c| {
        let inner_capital = last_is_small && !c.is_ascii() && c.is_uppercase();
        last_is_small = c.is_lowercase();
        is_sign(c) || inner_capital
    })
}

/// A letter, or a sign that is one in either encoding.
fn is_part(c: char) -> bool {
    let is_between = || {
        c.is_whitespace() || c > '\u{FF}' && !c.is_alphabetic() && !unicode_normalization::char::is_combining_mark(c)
    };
    c == '\'' || c.is_ascii_alphabetic() || !c.is_ascii() && !is_between()
}

pub(super) fn tcvn3_word(word: &str) -> Option<String> {
    let letter =
        |c: char| if c.is_ascii() { Some(c) } else { TCVN3.iter().find(|(_, sign)| *sign == c).map(|of| of.0) };
    word.chars().map(letter).collect()
}

/// TCVN3's signs are of small letters; in a word of capitals they were drawn as capitals.
fn in_case_of(word: &str, converted: String) -> String {
    let letters = || word.chars().filter(char::is_ascii_alphabetic);
    if letters().count() > 1 && letters().all(|c| c.is_ascii_uppercase()) {
        converted.to_uppercase()
    } else {
        converted
    }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

pub(super) fn vni_word(word: &str) -> Option<String> {
    let mut out = String::with_capacity(word.len());
    let mut chars = word.chars().peekable();
    while let Some(c) = chars.next() {
        let small = lower(c);
        let base = match VNI_LETTERS.iter().find(|(sign, _)| *sign == small) {
            Some((_, letter)) => *letter,
            None if c.is_ascii() => small,
            None => return None,
        };
        let mark = chars.peek().map(|next| lower(*next));
        let mark = VNI_MARKS.iter().find(|(sign, _, _, after)| Some(*sign) == mark && after.contains(small));
        let letter = [Some(base), mark.and_then(|mark| mark.1), mark.and_then(|mark| mark.2)];
        let letter: String = letter.into_iter().flatten().nfc().collect();
        out.push_str(&if c.is_uppercase() { letter.to_uppercase() } else { letter });
        if mark.is_some() {
            chars.next();
        }
    }
    Some(out)
}

fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}
