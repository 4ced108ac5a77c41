//! Names and free texts.

use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

use super::keys::names_a_place;
use super::limits::{
    LABEL_BYTES_MAX, LABEL_CHARS_MAX, NOTE_BYTES_MAX, NOTE_CHARS_MAX, PERSON_NAME_BYTES_MAX, PERSON_NAME_CHARS_MAX,
    PLACE_NAME_BYTES_MAX, PLACE_NAME_CHARS_MAX, check_input, check_length,
};
use super::{
    LegacyEncoding, LegacyText, TextError, canonical, canonical_lines, canonical_name, check_whole, legacy_place,
    legacy_text, stray_soft_hyphen,
};

text_value!(
    /// A person's full name: 1 to 80 characters a person sees: letters of any script, blanks, apostrophes, hyphens,
    /// dots; at least one letter. One string, family name first, since no rule splits all of Vietnam's peoples' names.
    PersonName,
    hidden
);
text_value!(
    /// A hamlet's or team's name: 1 to 120 characters a person sees, at least one letter or digit beside the kind of place.
    PlaceName,
    shown
);
text_value!(
    /// A short free text (a body, a place): 1 to 200 characters a person sees, on one line.
    Label,
    shown
);
text_value!(
    /// A note: 1 to 2,000 characters a person sees; lines end in `\n`.
    Note,
    hidden
);

impl PersonName {
    const WHAT: &str = "the person's name";

    /// Canonicalises and checks a person's input.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        check_input(Self::WHAT, text)?;
        check_encoding(Self::WHAT, text)?;
        let text = canonical_name(text);
        check_length(Self::WHAT, &text, PERSON_NAME_CHARS_MAX, PERSON_NAME_BYTES_MAX)?;
        if let Some(at) = text.graphemes(true).position(|grapheme| !is_name_character(grapheme)) {
            let allowed = "letters, blanks, apostrophes, hyphens and dots";
            return Err(TextError::Character { what: Self::WHAT, position: at + 1, allowed });
        }
        if !text.contains(char::is_alphabetic) {
            return Err(TextError::NoLetter { what: Self::WHAT });
        }
        Ok(Self(text))
    }
}

/// Refuses text of an older encoding, and text that has lost letters to one.
fn check_encoding(what: &'static str, text: &str) -> Result<(), TextError> {
    if let Some(found) = legacy_text(text) {
        return Err(TextError::Legacy { what, found });
    }
    check_soft_hyphens(what, text)?;
    check_whole(what, text)
}

/// Refuses what [`stray_soft_hyphen`] finds.
fn check_soft_hyphens(what: &'static str, text: &str) -> Result<(), TextError> {
    stray_soft_hyphen(text).map_or(Ok(()), |at| Err(TextError::Hidden { what, position: at + 1 }))
}

/// Checks what people call a device, as it was typed. The name may be a model's (`Bee 3`), so Vietnamese typing that was not
/// turned into letters is not looked for.
pub fn check_device_name(name: &str) -> Result<(), TextError> {
    const WHAT: &str = "the device's name";
    let is_pasted = |found: &LegacyText| match found.encoding {
        LegacyEncoding::Tcvn3 | LegacyEncoding::Vni | LegacyEncoding::Misread => true,
        LegacyEncoding::Typed => false,
    };
    if let Some(found) = legacy_text(name).filter(is_pasted) {
        return Err(TextError::Legacy { what: WHAT, found });
    }
    check_soft_hyphens(WHAT, name)?;
    check_whole(WHAT, name)
}

/// A letter with its marks, or one of the signs of names.
fn is_name_character(grapheme: &str) -> bool {
    let mut chars = grapheme.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() && !is_combining_mark(c) || matches!(c, ' ' | '\'' | '-' | '.'))
        && chars.all(|c| c.is_alphabetic() || is_combining_mark(c))
}

impl PlaceName {
    const WHAT: &str = "the name of the place or team";

    /// Canonicalises and checks a person's input.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        check_input(Self::WHAT, text)?;
        if let Some(found) = legacy_place(text) {
            return Err(TextError::Legacy { what: Self::WHAT, found });
        }
        check_soft_hyphens(Self::WHAT, text)?;
        check_whole(Self::WHAT, text)?;
        let text = canonical_name(text);
        check_length(Self::WHAT, &text, PLACE_NAME_CHARS_MAX, PLACE_NAME_BYTES_MAX)?;
        if !names_a_place(&text) {
            return Err(TextError::OnlyAKind { what: Self::WHAT });
        }
        Ok(Self(text))
    }
}

impl Label {
    const WHAT: &str = "the text";

    /// Canonicalises and checks a person's input.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        check_input(Self::WHAT, text)?;
        check_encoding(Self::WHAT, text)?;
        let text = canonical(text);
        check_length(Self::WHAT, &text, LABEL_CHARS_MAX, LABEL_BYTES_MAX)?;
        Ok(Self(text))
    }
}

impl Note {
    const WHAT: &str = "the note";

    /// Canonicalises and checks a person's input.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        check_input(Self::WHAT, text)?;
        check_encoding(Self::WHAT, text)?;
        let text = canonical_lines(text);
        check_length(Self::WHAT, &text, NOTE_CHARS_MAX, NOTE_BYTES_MAX)?;
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::samples::{nfd, vietnamese};

    #[test]
    fn names_are_stored_canonically() {
        assert_eq!(PersonName::parse(" Nguyễn  Văn\u{A0}Thử ").unwrap().as_str(), "Nguyễn Văn Thử");
        assert_eq!(PersonName::parse(&nfd("Nguyễn Văn Thử")).unwrap().as_str(), "Nguyễn Văn Thử");
        for name in ["H’Thử Niê", "Y-Thử Ê\u{306}ban", "Thử", "Lê Thử Jr.", "ចាន់ ធី", "Ka Thử"]
        {
            assert!(PersonName::parse(name).is_ok(), "{name}");
        }
    }

    /// The story: names copied from documents in VNI and .VnTime fonts were stored as rubbish, and TCVN3's ư vanished as a
    /// soft hyphen; hyphens from Word and PDFs were refused.
    #[test]
    fn names_copied_from_old_documents_are_refused_with_what_is_meant() {
        let proposal = |error| {
            let TextError::Legacy { found, .. } = error else { panic!("{error}") };
            found.proposal.as_str().to_owned()
        };
        for pasted in ["NguyÔn V¨n Thö", "Nguyeãn Vaên Thöû", "Nguyá»…n VÄƒn Thá»\u{AD}", "Nguyeenx Vawn Thuwr"]
        {
            assert_eq!(proposal(PersonName::parse(pasted).unwrap_err()), "Nguyễn Văn Thử");
        }
        assert_eq!(proposal(PersonName::parse("Phan L\u{AD}").unwrap_err()), "Phan Lư");
        assert_eq!(proposal(PlaceName::parse("Th«n H\u{AD}ng §¹o").unwrap_err()), "Thôn Hưng Đạo");
        assert_eq!(proposal(Label::parse("UBND x· T©n LËp").unwrap_err()), "UBND xã Tân Lập");
        assert_eq!(proposal(Note::parse("Häp\ntæ c«ng nghÖ").unwrap_err()), "Họp\ntổ công nghệ");
        let error = PersonName::parse("NguyÔn V¨n Thö").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("Nguy"), "errors are logged");
        // What is left of TCVN3 once its other letters are lost: the name became "Th", the label too.
        let hidden = |what, position| TextError::Hidden { what, position };
        assert_eq!(PersonName::parse("Th\u{AD}\u{AD}").unwrap_err(), hidden(PersonName::WHAT, 3));
        assert_eq!(PlaceName::parse("Thôn Th\u{AD}\u{AD}").unwrap_err(), hidden(PlaceName::WHAT, 8));
        assert_eq!(Label::parse("Th\u{AD}\u{AD}").unwrap_err(), hidden(Label::WHAT, 3));
        assert_eq!(Note::parse("Họp\n\u{AD} Th").unwrap_err(), hidden(Note::WHAT, 5));
        for (dashed, stored) in
            [("Y\u{2011}Thử Niê", "Y-Thử Niê"), ("Y\u{AD}Thử Niê", "Y-Thử Niê"), ("H\u{A78C}Thử", "H'Thử")]
        {
            assert_eq!(PersonName::parse(dashed).unwrap().as_str(), stored);
        }
        // A word that was divided at a line's end is whole again; TCVN3's ư is recognised before.
        assert_eq!(PersonName::parse("Ngu\u{AD}yễn Văn Thử").unwrap().as_str(), "Nguyễn Văn Thử");
        assert_eq!(proposal(PersonName::parse("Ph\u{AD}\u{AC}ng Thử").unwrap_err()), "Phương Thử");
        for (typed, meant) in [("Thoân 2", "Thôn 2"), ("Thoon 2", "Thôn 2"), ("Banr 7", "Bản 7"), ("Th«n 2", "Thôn 2")]
        {
            assert_eq!(proposal(PlaceName::parse(typed).unwrap_err()), meant, "{typed}");
        }
        assert_eq!(PlaceName::parse("Khu phố 3\u{2013}4").unwrap().as_str(), "Khu phố 3-4");
        assert_eq!(
            PlaceName::parse("Th\u{FFFD}n 1").unwrap_err(),
            TextError::LostCharacter { what: PlaceName::WHAT, position: 3 }
        );
    }

    #[test]
    fn names_that_are_none_are_refused_without_being_quoted() {
        let what = "the person's name";
        let allowed = "letters, blanks, apostrophes, hyphens and dots";
        let wrong = |position| TextError::Character { what, position, allowed };
        let cases = [
            ("", TextError::Empty { what }),
            (" \u{200B}\u{3164}", TextError::Empty { what }),
            ("-.'", TextError::NoLetter { what }),
            ("Thử 2", wrong(5)),
            ("Thử@", wrong(4)),
            ("\u{301}Thử", wrong(1)),
            ("<b>Thử", wrong(1)),
            ("Thử 😀", wrong(5)),
            ("Thử, Lê", wrong(4)),
        ];
        for (input, error) in cases {
            assert_eq!(PersonName::parse(input).unwrap_err(), error, "{input:?}");
            assert!(!error.to_string().contains("Thử"));
        }
    }

    #[test]
    fn limits_count_what_a_person_sees() {
        // Each ậ is one character, three code points when decomposed.
        let name = |count: usize| nfd(&"ậ".repeat(count));
        let too_long = |error, length, max| matches!(error, TextError::TooLong { length: l, max: m, .. } if (l, m) == (length, max));

        assert!(PersonName::parse(&name(PERSON_NAME_CHARS_MAX)).is_ok());
        assert!(too_long(PersonName::parse(&name(81)).unwrap_err(), 81, 80));
        assert!(PlaceName::parse(&name(PLACE_NAME_CHARS_MAX)).is_ok());
        assert!(too_long(PlaceName::parse(&name(121)).unwrap_err(), 121, 120));
        assert!(Label::parse(&name(LABEL_CHARS_MAX)).is_ok());
        assert!(too_long(Label::parse(&name(201)).unwrap_err(), 201, 200));
        assert!(Note::parse(&name(NOTE_CHARS_MAX)).is_ok());
        assert!(too_long(Note::parse(&name(2_001)).unwrap_err(), 2_001, 2_000));
    }

    #[test]
    fn limits_count_bytes_too() {
        // b, then b under a heap of marks of 2 bytes each: two characters, an even number of bytes.
        let heap = |bytes: usize| format!("bb{}", "\u{302}".repeat((bytes - 2) / 2));
        for (limit, parse) in [
            (PERSON_NAME_BYTES_MAX, (|t| PersonName::parse(t).map(drop)) as fn(&str) -> Result<(), TextError>),
            (PLACE_NAME_BYTES_MAX, |t| PlaceName::parse(t).map(drop)),
            (LABEL_BYTES_MAX, |t| Label::parse(t).map(drop)),
            (NOTE_BYTES_MAX, |t| Note::parse(t).map(drop)),
        ] {
            let (exact, over) = (heap(limit), format!("b{}", heap(limit)));
            assert_eq!((exact.len(), over.len()), (limit, limit + 1));
            assert_eq!(parse(&exact), Ok(()));
            assert!(
                matches!(parse(&over), Err(TextError::TooManyBytes { bytes, max, .. }) if (bytes, max) == (limit + 1, limit))
            );
        }
    }

    #[test]
    fn places_need_something_to_be_called_by() {
        assert_eq!(PlaceName::parse("Thôn 01").unwrap().as_str(), "Thôn 01");
        assert_eq!(PlaceName::parse("7").unwrap().as_str(), "7");
        for name in ["—/-", "Thôn ’", "Thôn 😀", "Thôn", "Tổ dân phố -"] {
            assert!(matches!(PlaceName::parse(name), Err(TextError::OnlyAKind { .. })), "{name}");
        }
        for name in ["Thôn Phố", "Bản I", "Thôn ２", "Tổ 1"] {
            assert!(PlaceName::parse(name).is_ok(), "{name}");
        }
        assert!(matches!(PlaceName::parse("\n"), Err(TextError::Empty { .. })));
    }

    /// The story: a phone enrolled as `M¸y cña Lª`, and its officer saw that.
    #[test]
    fn a_devices_name_is_no_text_of_old_fonts() {
        for (pasted, meant) in
            [("M¸y cña chÞ Lª", "Máy của chị Lê"), ("Maùy cuûa Nguyeãn", "Máy của Nguyễn"), ("Phan L\u{AD}", "Phan Lư")]
        {
            let Err(TextError::Legacy { found, .. }) = check_device_name(pasted) else { panic!("{pasted}") };
            assert_eq!(found.proposal.as_str(), meant);
        }
        assert!(matches!(check_device_name("Máy\u{AD}"), Err(TextError::Hidden { position: 4, .. })));
        assert!(matches!(check_device_name("M\u{FFFD}y"), Err(TextError::LostCharacter { position: 2, .. })));
        for name in
            ["Máy của chị Lan", "Vsmart Bee 3", "Redmi Note 9S", "OPPO A5s", "moto g6", "Galaxy A14 – Lan", "iPhone 🍎"]
        {
            assert_eq!(check_device_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn labels_have_one_line_and_notes_many() {
        assert_eq!(Label::parse("UBND\nxã").unwrap().as_str(), "UBND xã");
        assert_eq!(Note::parse("một\r\nhai").unwrap().as_str(), "một\nhai");
        assert!(matches!(Note::parse("\n \n"), Err(TextError::Empty { .. })));
    }

    #[test]
    fn debug_hides_personal_data_and_json_shows_text() {
        let name = PersonName::parse("Nguyễn Văn Thử").unwrap();
        assert_eq!(format!("{name:?}"), "PersonName(…)");
        assert_eq!(format!("{:?}", Label::parse("x").unwrap()), "Label(\"x\")");
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"Nguyễn Văn Thử\"");
        assert_eq!(name.to_string(), "Nguyễn Văn Thử");
    }

    proptest! {
        #[test]
        fn parsing_the_stored_form_changes_nothing(text in "\\PC{0,40}", name in vietnamese()) {
            for text in [text, name] {
                if let Ok(name) = PersonName::parse(&text) {
                    prop_assert_eq!(PersonName::parse(name.as_str()).unwrap(), name);
                }
                if let Ok(name) = PlaceName::parse(&text) {
                    prop_assert_eq!(PlaceName::parse(name.as_str()).unwrap(), name);
                }
                if let Ok(note) = Note::parse(&text) {
                    prop_assert_eq!(Note::parse(note.as_str()).unwrap(), note);
                }
            }
        }
    }
}
