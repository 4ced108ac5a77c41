//! Vietnamese text rules: canonical form, keys for comparing and searching, collation, and the checked texts of the
//! register.
//!
//! One name has many spellings in bytes: composed or not, typed with look-alike letters, the tone of *hòa* on the o or
//! on the a. So every text a person enters passes [`canonical`] once, on the way in, by the `parse` of a checked type
//! ([`PersonName`], [`Phone`], …), and is compared afterwards by a key that forgets just what does not matter:
//!
//! | key | marks | tones | case | used for | stored |
//! | --- | --- | --- | --- | --- | --- |
//! | [`canonical`], of names [`canonical_name`] | kept | kept | kept | storage, exact match | yes |
//! | [`hamlet_key`] | kept | placement evened | folded | one hamlet, one team id | yes, pinned |
//! | [`same_name_key`] | kept | placement evened | folded | suspected duplicates of a person | no |
//! | [`toneless_key`] | kept | dropped | folded | second rank of a search | no |
//! | [`search_key`] | dropped | dropped | folded | finding, however it is typed | no |
//!
//! Text of an older encoding (TCVN3, VNI) passes none of them unseen: the `parse` of every name and free text looks with
//! [`legacy_text`] first and refuses with what is probably meant.
//!
//! What is not stored may follow newer Unicode tables; [`canonical`] and [`hamlet_key`] may not, since document ids
//! hang on them (NFC is stable for assigned characters by Unicode's own policy).

/// Defines a checked text. `parse` stands beside each type with its rule. `hidden` keeps personal data out of `{:?}`,
/// and so out of logs and panic messages.
macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, shown) => {
        text_value!(@type $(#[$doc])* $name);
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0).finish()
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, hidden) => {
        text_value!(@type $(#[$doc])* $name);
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
    (@type $(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The stored form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

mod alike;
mod birth_year;
mod canonical;
mod collation;
mod date;
mod document_number;
mod error;
mod folding;
mod hidden;
mod keys;
mod legacy;
mod limits;
mod link;
mod lost;
mod names;
mod number;
pub mod pasted;
mod phone;
#[cfg(test)]
mod samples;
mod syllable;

pub(crate) use alike::alike_place_key;
pub use birth_year::{check_birth_year, parse_birth_year};
pub use canonical::{canonical, canonical_lines, canonical_name, stray_soft_hyphen};
pub use collation::Collator;
pub use date::Date;
pub use document_number::DocumentNumber;
pub use error::TextError;
pub use hidden::{check_visible, inert, inert_but, is_hidden};
pub use keys::{former_hamlet_key, hamlet_key, same_name_key, search_key, search_key_without_kind, toneless_key};
pub(crate) use keys::{is_hamlet_key, place_key};
pub use legacy::{LegacyEncoding, LegacyText, Proposal, legacy_place, legacy_text};
pub use limits::{
    AGES, BIRTH_YEARS, DATE_YEARS, DAYS_AHEAD_MAX, DOCUMENT_NUMBER_CHARS_MAX, INPUT_BYTES_MAX, LABEL_BYTES_MAX,
    LABEL_CHARS_MAX, LINK_BYTES_MAX, NOTE_BYTES_MAX, NOTE_CHARS_MAX, PERSON_NAME_BYTES_MAX, PERSON_NAME_CHARS_MAX,
    PHONE_CHARS_MAX, PLACE_NAME_BYTES_MAX, PLACE_NAME_CHARS_MAX, PROGRAMME_FIRST_DAY,
};
pub use link::Link;
pub use lost::check_whole;
pub use names::{Label, Note, PersonName, PlaceName, check_device_name};
pub use number::{format_decimal_1, format_number};
pub use phone::Phone;
