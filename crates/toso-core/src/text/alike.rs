//! Names of places that are probably one name: for findings, which a person judges. Ids do not hang on this.

use super::place_key;

/// Cyrillic letters that are drawn as Latin ones, in lower case.
const CYRILLIC: [(char, char); 13] = [
    ('а', 'a'),
    ('в', 'b'),
    ('е', 'e'),
    ('і', 'i'),
    ('к', 'k'),
    ('м', 'm'),
    ('н', 'h'),
    ('о', 'o'),
    ('р', 'p'),
    ('с', 'c'),
    ('т', 't'),
    ('у', 'y'),
    ('х', 'x'),
];
/// Numbers in words, from 1.
const NUMBERS: [&str; 10] = ["một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín", "mười"];
/// Roman numerals of hamlets, from 1.
#[rustfmt::skip]
const ROMAN: [&str; 20] = [
    "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x",
    "xi", "xii", "xiii", "xiv", "xv", "xvi", "xvii", "xviii", "xix", "xx",
];

/// The key under which two hamlets are probably one: [`super::hamlet_key`], with numbers in one writing (`Thôn II`, `Thôn Hai`,
/// `Thôn số 2`, `Thôn 2`) and letters that only look Latin as the Latin ones.
pub(crate) fn alike_place_key(name: &str) -> String {
    let latin = |c: char| {
        let small = c.to_lowercase().next().unwrap_or(c);
        CYRILLIC.iter().find(|(cyrillic, _)| *cyrillic == small).map_or(c, |(_, latin)| *latin)
    };
    let key = place_key(&name.chars().map(latin).collect::<String>());
    let words: Vec<&str> = key.split(' ').collect();
    // The first word is the kind, or the whole name.
    let number = |word: &str| {
        let among = |list: &[&str]| list.iter().position(|of| *of == word);
        among(&NUMBERS).or_else(|| among(&ROMAN)).map(|at| (at + 1).to_string())
    };
    let rest = words.iter().skip(1).filter(|word| **word != "số");
    let rest = rest.map(|word| number(word).unwrap_or_else(|| (*word).to_owned()));
    words.first().map(|first| (*first).to_owned()).into_iter().chain(rest).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_however_it_is_written_and_other_names_stay_apart() {
        for name in ["Thôn 2", "Thôn II", "thôn hai", "Thôn số 2", "Thôn 02", "Thôn ２", "Thôn ②", "Тhôn 2"]
        {
            assert_eq!(alike_place_key(name), "thôn 2", "{name}");
        }
        for (one, other) in [("Thôn 2", "Bản 2"), ("Thôn Hai Bà", "Thôn Ba Bà"), ("I", "1"), ("Thôn Nam", "Thôn 5")]
        {
            assert_ne!(alike_place_key(one), alike_place_key(other));
        }
    }
}
