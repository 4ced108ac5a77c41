//! UTF-8 that a program has read as Windows-1252 or Windows-1258: `Nguyá»…n`.
//!
//! Bytes of UTF-8 follow rules that no text in another encoding keeps by chance, so this is the surest of all.

/// What Windows-1252 and Windows-1258 show for bytes that Latin-1 shows otherwise.
#[rustfmt::skip]
pub(super) const WINDOWS: [(char, u8); 38] = [
    ('€', 0x80), ('‚', 0x82), ('ƒ', 0x83), ('„', 0x84), ('…', 0x85), ('†', 0x86), ('‡', 0x87), ('ˆ', 0x88),
    ('‰', 0x89), ('Š', 0x8A), ('‹', 0x8B), ('Œ', 0x8C), ('Ž', 0x8E), ('‘', 0x91), ('’', 0x92), ('“', 0x93),
    ('”', 0x94), ('•', 0x95), ('–', 0x96), ('—', 0x97), ('˜', 0x98), ('™', 0x99), ('š', 0x9A), ('›', 0x9B),
    ('œ', 0x9C), ('ž', 0x9E), ('Ÿ', 0x9F),
    // Windows-1258 alone.
    ('Ă', 0xC3), ('Đ', 0xD0), ('Ơ', 0xD5), ('Ư', 0xDD), ('ă', 0xE3), ('đ', 0xF0), ('ơ', 0xF5), ('ư', 0xFD),
    ('\u{300}', 0xCC), ('\u{309}', 0xD2), ('\u{303}', 0xDE),
];
/// Texts that were misread twice, or three times, are seen; more are not.
const ROUNDS_MAX: usize = 3;
/// The first byte of most small letters with a tone, and of Ă, Đ, ă, đ, ĩ, ũ (before another).
const LEAD_LATIN_1: u8 = 0xC3;
const LEAD_EXTENDED: u8 = 0xC4;
/// The last byte of à, which shows as a blank that does not break and is often replaced by one that does; and of Đ, which
/// shows as a control character and is often removed.
const LAST_OF_A_GRAVE: u8 = 0xA0;
const LAST_OF_D_STROKE: u8 = 0x90;

pub(super) fn convert(text: &str) -> Option<String> {
    let mut read = once(text)?;
    for _ in 1..ROUNDS_MAX {
        match once(&read) {
            Some(again) => read = again,
            None => break,
        }
    }
    Some(read)
}

fn once(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    if let Some(whole) = utf8(text) {
        return Some(whole);
    }
    // Some of its words only.
    let pieces: Vec<_> = text.split(' ').map(|piece| (piece, utf8(piece))).collect();
    let read = pieces.iter().map(|(piece, read)| read.as_deref().unwrap_or(piece)).collect::<Vec<_>>().join(" ");
    pieces.iter().any(|(_, read)| read.is_some()).then_some(read)
}

/// The text whose UTF-8 shows as `text`.
fn utf8(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let shown: Vec<u8> = text.chars().map(byte_of).collect::<Option<_>>()?;
    let mut bytes = Vec::with_capacity(shown.len() + 4);
    for (at, byte) in shown.iter().enumerate() {
        bytes.push(*byte);
        let next = shown.get(at + 1).copied();
        let is_continued = next.is_some_and(|next| (0x80..0xC0).contains(&next));
        if *byte == LEAD_LATIN_1 && matches!(next, Some(b' ') | None) {
            bytes.push(LAST_OF_A_GRAVE);
        } else if *byte == LEAD_EXTENDED && !is_continued {
            bytes.push(LAST_OF_D_STROKE);
        }
    }
    let read = String::from_utf8(bytes).ok()?;
    let is_text = read.contains(|c: char| !c.is_ascii() && c.is_alphabetic());
    let repaired_only = shown.iter().all(|byte| byte.is_ascii() || matches!(*byte, LEAD_LATIN_1 | LEAD_EXTENDED));
    // A lone Ã or Ä was mended into a letter; that alone says nothing.
    (is_text && !repaired_only).then_some(read)
}

fn byte_of(c: char) -> Option<u8> {
    WINDOWS.iter().find(|(shown, _)| *shown == c).map(|(_, byte)| *byte).or_else(|| u8::try_from(u32::from(c)).ok())
}
