//! What people read, in Vietnamese and English, by key: errors, findings, states, the words of the register (`role.leader`) and
//! the names of its fields (`field.member.full_name`).
//!
//! The texts are compiled in, so that every app says the same. A place in braces stands for an argument: `{max}`.

mod table;
mod words;

use std::collections::HashMap;
use std::sync::LazyLock;

use toso_core::kind::{self, Wording};

/// The languages that the library speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, uniffi::Enum)]
pub enum Language {
    /// Tiếng Việt.
    Vietnamese,
    /// English.
    English,
}

/// A text in both languages.
#[derive(Clone, Copy)]
struct Message {
    key: &'static str,
    vi: &'static str,
    en: &'static str,
}

/// The text of a key, with its places filled. A key that this version does not know is shown as it is.
#[uniffi::export]
pub fn message(key: &str, args: &HashMap<String, String>, language: Language) -> String {
    let Some(found) = all().find(|message| message.key == key) else { return key.to_owned() };
    let text = match language {
        Language::Vietnamese => found.vi,
        Language::English => found.en,
    };
    fill(text, args)
}

/// Every key that [`message`] knows, sorted: for apps that bring translations of their own.
#[uniffi::export]
pub fn message_keys() -> Vec<String> {
    let mut keys: Vec<String> = all().map(|message| message.key.to_owned()).collect();
    keys.sort_unstable();
    keys
}

fn all() -> impl Iterator<Item = Message> {
    static FIELDS: LazyLock<Vec<Wording>> = LazyLock::new(|| kind::field_wordings().collect());
    let of_register = |found: &'static Wording| Message { key: &found.key, vi: found.vi, en: found.en };
    let own = table::MESSAGES.iter().chain(words::UNIT_LEVELS).copied();
    own.chain(kind::WORDS.iter().map(of_register)).chain(FIELDS.iter().map(of_register))
}

/// Fills the places in one pass, so that a value which looks like a place stays a value.
fn fill(text: &str, args: &HashMap<String, String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            continue;
        };
        match args.get(name) {
            Some(value) => filled.push_str(value),
            None => filled.push('…'),
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests;
