//! Keys under which texts are the same: for ids, for duplicates, for search.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::folding::folded;
use super::syllable::{drop_tones, even_tones};
use super::{canonical, canonical_name};

/// The key under which two phones name the same hamlet.
///
/// It goes into team ids, so it must never change: it rests on fixed tables (below) and on NFC, and is pinned by tests.
///
/// - full-width signs, digits of other scripts and numbers in circles are those of ASCII
/// - [`canonical`], lower case (Latin letters; their pairs are frozen), diacritics kept: đ ≠ d, ô ≠ o, hoa ≠ hòa
/// - the tone in its one place: hòa = hoà, qúy = quý
/// - no leading zeros, digits apart from letters: Thôn 01 = Thôn 1 = Thôn1, Khu 2A = Khu 2 A
/// - dot, comma, hyphen, slash, brackets, quotes = blank, since they join words that others write apart: Pa-Tần =
///   Pa Tần, but Tổ 1-2 ≠ Tổ 12; apostrophes vanish: H'leo = Hleo
/// - the abbreviations TDP, KP and KDC in front are written out
/// - the kind of hamlet stays: a commune formed by a merger has both a Thôn 1 and a Bản 1
/// - Roman numerals stay letters: I may be the name of a hamlet as well
///
/// Never empty for a [`super::PlaceName`]. Contains no slash, so it can be a step of a field path.
pub fn hamlet_key(name: &str) -> String {
    former_hamlet_key(&folded(name))
}

/// [`hamlet_key`] as it was before digits of other scripts were those of ASCII: ids and hamlets of that time have it.
pub fn former_hamlet_key(name: &str) -> String {
    let lower: String = canonical(name).chars().flat_map(lower_latin).collect();
    let words: Vec<String> = words(&lower, hamlet_class).iter().map(|word| even_tones(word)).collect();
    match words.split_first() {
        Some((first, rest)) if !rest.is_empty() => {
            let first = HAMLET_ABBREVIATIONS.iter().find(|(short, _)| first == short).map_or(first.as_str(), |a| a.1);
            format!("{first} {}", rest.join(" "))
        }
        _ => words.join(" "),
    }
}

/// [`hamlet_key`] of a name as it is stored today: joins what older builds stored with dashes that only look like a hyphen.
/// Not for ids.
pub(crate) fn place_key(name: &str) -> String {
    hamlet_key(&canonical_name(name))
}

/// True for what [`hamlet_key`] makes, or made before.
pub(crate) fn is_hamlet_key(key: &str) -> bool {
    !key.is_empty() && (hamlet_key(key) == key || former_hamlet_key(key) == key)
}

/// True when a name says more than a kind of place: `Thôn 2` and `7`, not `Thôn`, `Thôn ’` or `Tổ dân phố 😀`.
pub(super) fn names_a_place(name: &str) -> bool {
    let key = hamlet_key(name);
    let after = |kind: &&str| key.strip_prefix(*kind).filter(|rest| rest.is_empty() || rest.starts_with(' '));
    let own = PLACE_KINDS.iter().filter_map(after).min_by_key(|rest| rest.len()).unwrap_or(&key);
    own.contains(char::is_alphanumeric)
}

/// True for a word by which names of hamlets begin, in lower case.
pub(super) fn is_place_kind(word: &str) -> bool {
    PLACE_KINDS.contains(&word)
}

/// Kinds of hamlets and their parts, as [`hamlet_key`] writes them.
const PLACE_KINDS: [&str; 22] = [
    "thôn",
    "bản",
    "ấp",
    "xóm",
    "làng",
    "buôn",
    "bon",
    "phum",
    "sóc",
    "khóm",
    "plei",
    "tổ",
    "khu",
    "khối",
    "đội",
    "cụm",
    "tiểu khu",
    "tổ dân phố",
    "tổ nhân dân",
    "khu phố",
    "khu dân cư",
    "khu vực",
];

/// The key that finds a text however it is typed: no marks, đ → d, lower case, one blank between words, no leading
/// zeros, quý = quí. Apostrophes vanish (Cư M'gar = cu mgar).
///
/// Depends on Unicode tables: computed at each replica, never stored in documents.
pub fn search_key(text: &str) -> String {
    join(&accented_words(text), fold)
}

/// [`search_key`] without the kind of unit in front, written out or short: `Thành phố Hồ Chí Minh`, `TP. Hồ Chí Minh`
/// and `ho chi minh` agree. A text that is nothing but a kind stays whole.
///
/// A kind typed without its marks is only taken for one when the whole text is without marks; even then `xa phien` may
/// be the commune Xà Phiên. So a search tries [`search_key`] as well.
pub fn search_key_without_kind(text: &str) -> String {
    let words = accented_words(text);
    let unmarked = words.iter().all(|word| word.is_ascii());
    let matches = |kind: &[&str]| {
        let pairs = || words.iter().zip(kind);
        words.len() > kind.len()
            && (pairs().all(|(word, kind)| word == kind) || unmarked && pairs().all(|(word, kind)| *word == fold(kind)))
    };
    let skip = UNIT_KINDS.iter().find(|kind| matches(kind)).map_or(0, |kind| kind.len());
    join(words.get(skip..).unwrap_or_default(), fold)
}

/// The same-name key for suspected duplicates: lower case, the tone of each syllable in its one place, so hòa = hoà but
/// hoa ≠ hòa. Punctuation as in [`hamlet_key`].
pub fn same_name_key(name: &str) -> String {
    accented_words(name).join(" ")
}

/// The tone-insensitive key: vowels keep their shape (ô, ơ, ă, đ), tones are gone.
pub fn toneless_key(name: &str) -> String {
    join(&accented_words(name), drop_tones)
}

/// Frozen: ids hang on it.
const HAMLET_ABBREVIATIONS: [(&str, &str); 3] = [("tdp", "tổ dân phố"), ("kp", "khu phố"), ("kdc", "khu dân cư")];

/// Kinds of units and their abbreviations, as words of [`accented_words`].
const UNIT_KINDS: [&[&str]; 16] = [
    &["thành", "phố"],
    &["tỉnh"],
    &["quận"],
    &["huyện"],
    &["thị", "xã"],
    &["thị", "trấn"],
    &["phường"],
    &["xã"],
    &["đặc", "khu"],
    &["tp"],
    &["q"],
    &["h"],
    &["tx"],
    &["tt"],
    &["p"],
    &["x"],
];

/// What a character does in a key.
enum Class {
    Keep,
    Separate,
    Drop,
}

/// A fixed table, unlike [`text_class`]: what it does not name is kept.
fn hamlet_class(c: char) -> Class {
    match c {
        '\'' => Class::Drop,
        ' '
        | '.'
        | ','
        | ';'
        | ':'
        | '-'
        | '_'
        | '/'
        | '\\'
        | '('
        | ')'
        | '['
        | ']'
        | '{'
        | '}'
        | '<'
        | '>'
        | '"'
        | '|'
        | '!'
        | '?'
        | '\u{AB}'
        | '\u{B7}'
        | '\u{BB}'
        | '\u{2010}'..='\u{2015}'
        | '\u{201C}'..='\u{201F}'
        | '\u{2022}'
        | '\u{2026}'
        | '\u{2212}' => Class::Separate,
        _ => Class::Keep,
    }
}

fn text_class(c: char) -> Class {
    if c.is_alphanumeric() || is_combining_mark(c) {
        Class::Keep
    } else if c == '\'' {
        Class::Drop
    } else {
        Class::Separate
    }
}

/// Lower case inside Basic Latin to Latin Extended-B and Latin Extended Additional, where Vietnam's languages live and
/// no pair will be added; other letters stay, since a later Unicode may give them a lower case.
fn lower_latin(c: char) -> impl Iterator<Item = char> {
    let (lower, same) = match c {
        ..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' => (Some(c.to_lowercase()), None),
        _ => (None, Some(c)),
    };
    lower.into_iter().flatten().chain(same)
}

/// The words of a text in lower case, tones in place.
fn accented_words(text: &str) -> Vec<String> {
    words(&canonical_name(text).to_lowercase(), text_class).iter().map(|word| even_tones(word)).collect()
}

/// Cuts at separators and between digits and letters; numbers lose leading zeros.
fn words(text: &str, class: impl Fn(char) -> Class) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    // Whether the word being built is a number; `None` between words.
    let mut number = None;
    for c in text.chars() {
        match class(c) {
            Class::Drop => {}
            Class::Separate => number = None,
            Class::Keep => {
                let digit = c.is_ascii_digit();
                match words.last_mut() {
                    Some(word) if number == Some(digit) => {
                        if word == "0" && digit {
                            word.clear();
                        }
                        word.push(c);
                    }
                    _ => words.push(c.to_string()),
                }
                number = Some(digit);
            }
        }
    }
    words
}

fn join(words: &[String], key: impl Fn(&str) -> String) -> String {
    let words: Vec<String> = words.iter().map(|word| key(word)).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// A word without marks, đ as d, y as i where both are written: after a consonant (Lý, Lí) and after qu (quý, quí).
fn fold(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    for c in word.nfd().filter(|&c| !is_combining_mark(c)) {
        let interchangeable = || out.ends_with("qu") || out.ends_with(is_consonant);
        let c = match c {
            'đ' => 'd',
            'y' if interchangeable() => 'i',
            c => c,
        };
        out.push(c);
    }
    out.nfc().collect()
}

fn is_consonant(c: char) -> bool {
    c.is_ascii_lowercase() && !matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::PlaceName;
    use crate::text::samples::{nfd, vietnamese};

    /// The story: `Thôn ２` from a keyboard in full width was another hamlet than `Thôn 2`, with a team of its own.
    #[test]
    fn digits_of_other_scripts_are_digits_and_what_was_made_before_stays_a_key() {
        for name in ["Thôn ２", "Ｔｈôn 2", "Thôn ②", "Thôn❷", "Thôn २", "Thôn ٢", "Thôn 2", "THÔN 02"]
        {
            assert_eq!(hamlet_key(name), "thôn 2", "{name}");
        }
        assert_eq!(former_hamlet_key("Thôn ２"), "thôn ２");
        assert!(is_hamlet_key("thôn 2") && is_hamlet_key("thôn ２") && !is_hamlet_key("Thôn 2") && !is_hamlet_key(""));
    }

    /// Golden values: team ids in the field are derived from them. A failure here means that phones of two versions
    /// would register one hamlet's team twice; mend the code, never the values.
    #[test]
    fn hamlet_keys_never_change() {
        let cases = [
            ("Thôn 1", "thôn 1"),
            ("THÔN 01", "thôn 1"),
            ("thôn1", "thôn 1"),
            ("  Thôn\u{A0}\u{A0}001 ", "thôn 1"),
            ("Thôn 10", "thôn 10"),
            ("Thôn 0", "thôn 0"),
            ("Thôn 00", "thôn 0"),
            ("Bản 1", "bản 1"),
            ("Hòa Bình", "hoà bình"),
            ("Hoà Bình", "hoà bình"),
            ("Hoa Bình", "hoa bình"),
            ("Thủy Xuân", "thuỷ xuân"),
            ("Thuỷ Xuân", "thuỷ xuân"),
            ("Phú Quý", "phú quý"),
            ("Phú Quí", "phú quí"),
            ("\u{D0}ông Hà", "đông hà"),
            ("Dông Hà", "dông hà"),
            ("Cô Tô", "cô tô"),
            ("Co To", "co to"),
            ("Tổ dân phố số 05", "tổ dân phố số 5"),
            ("TDP số 5", "tổ dân phố số 5"),
            ("KP. 3", "khu phố 3"),
            ("KDC Bắc Sơn", "khu dân cư bắc sơn"),
            ("TDP", "tdp"),
            ("Khu 2A", "khu 2 a"),
            ("Khu 2 a", "khu 2 a"),
            ("Pa-Tần", "pa tần"),
            ("Tổ 1-2", "tổ 1 2"),
            ("Tổ 12", "tổ 12"),
            ("Xóm 3 (Đồi)", "xóm 3 đồi"),
            ("Khu 3/2", "khu 3 2"),
            ("Buôn Ea H\u{2019}leo", "buôn ea hleo"),
            ("Buôn Êđê", "buôn êđê"),
            ("Thôn II", "thôn ii"),
            ("Khu A+", "khu a+"),
            // As they come; a name is stored with hyphens before its key is taken, see `canonical_name`.
            ("Pa\u{2011}Tần", "pa tần"),
            ("Pa\u{2013}Tần", "pa tần"),
            ("Pa\u{2212}Tần", "pa tần"),
            ("Pa\u{FF0D}Tần", "pa\u{FF0D}tần"),
            ("Pa\u{FE63}Tần", "pa\u{FE63}tần"),
            ("Pa\u{AD}Tần", "patần"),
            ("Buôn H\u{A78C}leo", "buôn h\u{A78C}leo"),
            ("Ê\u{306}a", "ê\u{306}a"),
            ("Ả\u{411}", "ả\u{411}"),
            ("", ""),
        ];
        for (name, key) in cases {
            assert_eq!(hamlet_key(name), key, "{name:?}");
            assert_eq!(hamlet_key(&nfd(name)), key, "{name:?}, decomposed");
        }
    }

    #[test]
    fn a_place_stored_today_has_one_key_whatever_its_dash() {
        for dash in ['-', '\u{AD}', '\u{2010}', '\u{2011}', '\u{2013}', '\u{2212}', '\u{FE63}', '\u{FF0D}', ' '] {
            let name = PlaceName::parse(&format!("Bản Pa{dash}Tần")).unwrap();
            assert_eq!(hamlet_key(name.as_str()), "bản pa tần", "U+{:04X}", u32::from(dash));
        }
        assert_eq!(place_key("Pa\u{FF0D}Tần"), hamlet_key("Pa-Tần"));
        assert_eq!(search_key("Cư M\u{A78C}gar"), search_key("Cư M'gar"));
    }

    #[test]
    fn search_finds_however_it_is_typed() {
        let cases = [
            ("Phường 01", "phuong 1"),
            ("Phường 1", "phuong 1"),
            ("Đắk Lắk", "dak lak"),
            ("ĐẮK LẮK", "dak lak"),
            ("Quý", "qui"),
            ("Quí", "qui"),
            ("Lý Thường Kiệt", "li thuong kiet"),
            ("Lí Thường Kiệt", "li thuong kiet"),
            ("Tây Ninh", "tay ninh"),
            ("Yên Bái", "yen bai"),
            ("Thủy Nguyên", "thuy nguyen"),
            ("Cư M'gar", "cu mgar"),
            ("Văn Lãng", "van lang"),
            ("  a/b—c ", "a b c"),
        ];
        for (text, key) in cases {
            assert_eq!(search_key(text), key, "{text}");
        }
    }

    #[test]
    fn kinds_in_front_are_optional() {
        let cases = [
            ("Tỉnh Cao Bằng", "cao bang"),
            ("Thành phố Hồ Chí Minh", "ho chi minh"),
            ("TP. Hồ Chí Minh", "ho chi minh"),
            ("TP.HCM", "hcm"),
            ("thanh pho ho chi minh", "ho chi minh"),
            ("Quận 01", "1"),
            ("Q.1", "1"),
            ("Q1", "1"),
            ("Huyện Ba Vì", "ba vi"),
            ("Huỵên Ba Vì", "ba vi"),
            ("H. Ba Vì", "ba vi"),
            ("Thị xã Sơn Tây", "son tay"),
            ("TX Sơn Tây", "son tay"),
            ("Phường Tân An", "tan an"),
            ("P. Tân An", "tan an"),
            ("Xã Tân An", "tan an"),
            ("X. Tân An", "tan an"),
            ("Thị trấn Sa Pa", "sa pa"),
            ("TT. Sa Pa", "sa pa"),
            ("Đặc khu Phú Quốc", "phu quoc"),
            ("dac khu phu quoc", "phu quoc"),
            // Names that only look like kinds once their marks are gone.
            ("Xã Xà Phiên", "xa phien"),
            ("Xà Phiên", "xa phien"),
            ("Quan Hóa", "quan hoa"),
            ("Phương Thiện", "phuong thien"),
            ("Xã", "xa"),
            ("Thành phố", "thanh pho"),
        ];
        for (text, key) in cases {
            assert_eq!(search_key_without_kind(text), key, "{text}");
        }
    }

    #[test]
    fn same_name_keys_forget_the_place_of_the_tone_and_nothing_more() {
        assert_eq!(same_name_key("Nguyễn Thị Hòa"), same_name_key("NGUYỄN  THỊ HOÀ"));
        assert_eq!(same_name_key("Lê Thủy"), same_name_key("Lê Thuỷ"));
        assert_ne!(same_name_key("Hoa"), same_name_key("Hòa"));
        assert_ne!(same_name_key("Quý"), same_name_key("Quí"));
        assert_ne!(same_name_key("Dung"), same_name_key("Đung"));
        assert_eq!(same_name_key("H’Hen Niê"), "hhen niê");
    }

    #[test]
    fn toneless_keys_keep_shapes() {
        assert_eq!(toneless_key("Đặng Thị Hường"), "đăng thi hương");
        assert_eq!(toneless_key("Văn Lãng"), toneless_key("Văn Lang"));
        assert_ne!(toneless_key("Văn Lăng"), toneless_key("Văn Lang"));
    }

    proptest! {
        #[test]
        fn keys_agree_for_composed_and_decomposed(text in vietnamese()) {
            let decomposed = nfd(&text);
            prop_assert_eq!(hamlet_key(&text), hamlet_key(&decomposed));
            prop_assert_eq!(search_key(&text), search_key(&decomposed));
            prop_assert_eq!(search_key_without_kind(&text), search_key_without_kind(&decomposed));
            prop_assert_eq!(same_name_key(&text), same_name_key(&decomposed));
            prop_assert_eq!(toneless_key(&text), toneless_key(&decomposed));
        }

        #[test]
        fn keys_are_idempotent(text in "\\PC{0,24}|[\\x00-\\u{2FF}\\u{1E00}-\\u{2100}]{0,24}") {
            for key in [hamlet_key, search_key, same_name_key, toneless_key] {
                let once = key(&text);
                prop_assert_eq!(key(&once), once.clone());
            }
        }

        /// Coarser keys never part what finer keys join.
        #[test]
        fn keys_form_a_ladder(a in vietnamese(), b in vietnamese()) {
            for text in [&a, &b] {
                prop_assert_eq!(toneless_key(&same_name_key(text)), toneless_key(text));
                prop_assert_eq!(search_key(&toneless_key(text)), search_key(text));
            }
        }

        #[test]
        fn a_place_always_has_a_key_that_fits_a_field_path(text in "\\PC{0,24}") {
            if let Ok(name) = PlaceName::parse(&text) {
                let key = hamlet_key(name.as_str());
                prop_assert!(!key.is_empty() && !key.contains('/'));
            }
        }
    }
}
