//! Characters that nobody sees and that do something: drive a terminal, turn text around, end a line, hide words.
//!
//! What people record is cleaned of them by [`canonical`](super::canonical). What comes from elsewhere (a device's name, an
//! officer's note, a record that another program wrote) is refused where it enters ([`check_visible`]) and shown so that it
//! does nothing ([`inert`]).

use std::borrow::Cow;
use std::fmt::Write as _;

use super::TextError;
use super::canonical::{is_invisible, is_line_end};

/// True for a character that cannot be seen and that does something: controls (C0, C1, line ends, tab), direction marks,
/// zero-width characters, fillers, tags. Variation selectors of emoji are none: they change only how the character before
/// them looks.
pub fn is_hidden(c: char) -> bool {
    is_line_end(c)
        || is_invisible(c) && !matches!(c, '\u{FE00}'..='\u{FE0F}')
        || matches!(c,
            '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{2800}' | '\u{3164}' | '\u{FFA0}' // drawn as nothing
            | '\u{180B}'..='\u{180F}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{13430}'..='\u{1343F}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' // formats of scripts
            | '\u{E0000}'..='\u{E0FFF}')
        // Noncharacters: the last two of each plane, and 32 of the first.
        || u32::from(c) & 0xFFFE == 0xFFFE
        || matches!(c, '\u{FDD0}'..='\u{FDEF}')
}

/// Refuses a text of one line in which something is hidden.
pub fn check_visible(what: &'static str, text: &str) -> Result<(), TextError> {
    match text.chars().position(is_hidden) {
        None => Ok(()),
        Some(at) => Err(TextError::Hidden { what, position: at + 1 }),
    }
}

/// The text as it can be shown anywhere, on one line: what is hidden in it is written out, `\u{1b}`.
pub fn inert(text: &str) -> Cow<'_, str> {
    inert_but(text, |_| false)
}

/// [`inert`], with the hidden characters that `kept` names left as they are.
pub fn inert_but(text: &str, kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let acts = |c: char| is_hidden(c) && !kept(c);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A phone's name wiped an officer's screen, another forged a further line of the list.
    #[test]
    fn whatever_acts_unseen_is_refused_by_its_place_and_shown_as_a_number() {
        let hidden = [
            '\0',
            '\u{7}',
            '\t',
            '\n',
            '\r',
            '\u{1B}',
            '\u{7F}',
            '\u{85}',
            '\u{9B}',
            '\u{AD}',
            '\u{34F}',
            '\u{61C}',
            '\u{180E}',
            '\u{200B}',
            '\u{200D}',
            '\u{200E}',
            '\u{200F}',
            '\u{2028}',
            '\u{2029}',
            '\u{202A}',
            '\u{202E}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{3164}',
            '\u{FEFF}',
            '\u{FFF9}',
            '\u{FFFE}',
            '\u{1D173}',
            '\u{E0001}',
            '\u{E0041}',
            '\u{E0100}',
            '\u{10FFFF}',
        ];
        for c in hidden {
            let text = format!("Máy{c}1");
            assert_eq!(check_visible("x", &text), Err(TextError::Hidden { what: "x", position: 4 }), "{c:?}");
            assert_eq!(inert(&text), format!("Máy\\u{{{:x}}}1", u32::from(c)));
            assert!(!inert(&text).contains(is_hidden));
        }
        for text in ["Máy của chị Lan", "ចាន់ ធី", "H'Thử Ê\u{306}ban", "❤\u{FE0F} 😀", "a\u{A0}b", "العربية"]
        {
            assert_eq!(check_visible("x", text), Ok(()));
            assert!(matches!(inert(text), Cow::Borrowed(shown) if shown == text));
        }
        assert_eq!(inert_but("a\nb\u{1B}", |c| c == '\n'), "a\nb\\u{1b}");
    }
}
