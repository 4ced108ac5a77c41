//! Codes (tokens, keys, invites) as they arrive: from files of any editor, and from chats that wrap, quote and decorate them.
//!
//! A code is letters, digits, `-` and `_`. Everything else around and within it is the way it came by.

use std::borrow::Cow;

use super::canonical::{is_invisible, is_line_end};

/// The text of a file as editors write it: UTF-8 with or without a byte order mark, or UTF-16 of either order, which is what
/// Windows' own editor and shell make. `None` when it is neither.
pub fn file_text(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16(&units).ok().filter(|_| rest.is_empty()).map(Cow::Owned)
    };
    match bytes {
        [0xFF, 0xFE, text @ ..] => wide(text, u16::from_le_bytes),
        [0xFE, 0xFF, text @ ..] => wide(text, u16::from_be_bytes),
        // Without a mark: codes are ASCII, whose every other byte is zero then.
        [first, 0, ..] if *first != 0 => wide(bytes, u16::from_le_bytes),
        [0, second, ..] if *second != 0 => wide(bytes, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, text @ ..] | text => std::str::from_utf8(text).ok().map(Cow::Borrowed),
    }
}

/// A text without what nobody sees, and with the hyphens that keyboards and editors have made prettier put back.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2010}' | '\u{2011}' | '\u{2013}' | '\u{2212}' => out.push('-'),
            '\u{2014}' => out.push_str("--"),
            c if is_line_end(c) || c == '\t' => out.push('\n'),
            c if is_invisible(c) => {}
            c if c.is_whitespace() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A code that stands at the beginning of a text, in pieces as blanks and line ends have cut it, and what stands behind it.
/// The code is the first pieces joined; how many only the code itself can tell, since words may follow.
pub fn pieces(text: &str) -> Vec<&str> {
    let end = text.find(|c: char| !is_code(c) && !c.is_whitespace()).unwrap_or(text.len());
    text.get(..end).unwrap_or_default().split_whitespace().collect()
}

/// A code that is everything a text says, but for blanks, line ends, quotes, brackets and stops: from the first of its
/// characters to the last. `None` when something else is in it.
pub fn whole(text: &str) -> Option<String> {
    let text = plain(text);
    let text = text.trim_matches(|c: char| !is_code(c));
    let code: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    (!code.is_empty() && code.chars().all(is_code)).then_some(code)
}

fn is_code(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_out_of_any_editors_file() {
        let utf16 = |text: &str, big: bool| -> Vec<u8> {
            text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        for bytes in [
            b"En0-_9".to_vec(),
            b"\xEF\xBB\xBFEn0-_9\r\n".to_vec(),
            utf16("\u{FEFF}En0-_9\r\n", false),
            utf16("\u{FEFF}En0-_9\r\n", true),
            utf16("En0-_9", false),
            utf16("En0-_9", true),
            b"\"En0-\r\n_9\"".to_vec(),
            "« En0\u{200B}-\u{A0}_9 ».".as_bytes().to_vec(),
            "“En0\u{2011}_9”".as_bytes().to_vec(),
            b"<En0-_9>".to_vec(),
        ] {
            let text = file_text(&bytes).expect("it is text");
            assert_eq!(whole(&text).as_deref(), Some("En0-_9"), "{bytes:?}");
        }
        for bytes in [&b"\xFF\xFEa"[..], b"\xC3\x28", b"\x80"] {
            assert!(file_text(bytes).is_none(), "{bytes:?}");
        }
        for none in ["", " \u{200B}\n", "\"\"", "En0:_9", "mã En0"] {
            assert_eq!(whole(none), None, "{none:?}");
        }
    }

    #[test]
    fn pieces_end_where_no_code_can_go_on() {
        assert_eq!(pieces("ab\n cd ef. gh"), ["ab", "cd", "ef"]);
        assert_eq!(pieces("ab\" cd"), ["ab"]);
        assert!(pieces("…").is_empty());
        assert_eq!(plain("a\u{2014}b\u{2013}\u{FEFF}c\u{A0}d\r"), "a--b-c d\n");
    }
}
