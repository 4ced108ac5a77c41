//! Signs that stand where a character was: U+FFFD, which programs write for what they cannot read, and the mobile library for
//! half an emoji.

use super::TextError;

/// Refuses a text that has lost a character. What it was, only its writer knows.
pub fn check_whole(what: &'static str, text: &str) -> Result<(), TextError> {
    match text.chars().position(|c| c == char::REPLACEMENT_CHARACTER) {
        Some(at) => Err(TextError::LostCharacter { what, position: at + 1 }),
        None => Ok(()),
    }
}
