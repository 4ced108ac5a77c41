//! Vietnamese text of the time before Unicode, pasted as it is: recognised, so that it is not stored as rubbish.
//!
//! Offices still keep documents in fonts that draw a Latin letter or sign as a Vietnamese one. Copied, `Nguyễn Văn Thử` is
//! `NguyÔn V¨n Thö` (TCVN3, the fonts `.VnTime`) or `Nguyeãn Vaên Thöû` (the fonts `VNI-Times`). UTF-8 that a program has
//! read as Windows-1252 or 1258 is `Nguyá»…n`, and a keyboard whose Vietnamese mode was off leaves `Nguyeenx`,
//! `Nguye^~n` or `Nguye64n`.
//!
//! The rule: a word is *suspicious* when it is no Vietnamese syllable as it stands and one that spelling allows once it is
//! read in such an encoding. Names of other languages do not become Vietnamese syllables that way (François → *Franỗois*),
//! but for some words, which [`FOREIGN`] lists. One suspicious word is not enough unless it holds a sign that no
//! name has, or every other word is Vietnamese.
//!
//! What cannot be told:
//! - a word that is Vietnamese both ways, in a text without a suspicious one (TCVN3 `Dòng`, for Dũng);
//! - whether text was meant in capitals: the fonts `.VnTimeH` draw them over the codes of small letters. What is proposed
//!   has the case of the letters that are not encoded;
//! - letters that were lost on the way, as soft hyphens (TCVN3's ư) that a program removed;
//! - other encodings (VPS, VISCII, VNI for DOS).

mod misread;
mod single_byte;
mod spelling;
mod typed;

use super::canonical;
use super::keys::is_place_kind;

/// What a text was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LegacyEncoding {
    /// TCVN 5712 as the fonts `.VnTime` have it (ABC).
    Tcvn3,
    /// The fonts `VNI-Times` and their like.
    Vni,
    /// UTF-8 read as Windows-1252 or Windows-1258.
    Misread,
    /// What Telex, VNI or VIQR typing leaves when it is not turned into letters.
    Typed,
}

impl LegacyEncoding {
    /// In words, for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcvn3 => "TCVN3 (fonts .VnTime)",
            Self::Vni => "VNI (fonts VNI-Times)",
            Self::Misread => "UTF-8 that a program misread",
            Self::Typed => "Vietnamese typing (Telex, VNI, VIQR) that was not turned into letters",
        }
    }
}

/// What is probably meant. It may be a person's name, so `{:?}` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proposal(String);

impl Proposal {
    /// The text in Unicode. To be shown to its writer, never to be logged.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Proposal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proposal(…)")
    }
}

/// A text that was recognised as one of an older encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyText {
    /// Which.
    pub encoding: LegacyEncoding,
    /// What is probably meant.
    pub proposal: Proposal,
}

/// Recognises a text of an older encoding and proposes what is meant. `None` for every other text.
///
/// Takes the text as it was typed or pasted: [`canonical`] removes soft hyphens, which are letters in TCVN3.
pub fn legacy_text(text: &str) -> Option<LegacyText> {
    let found = |encoding, proposal: String| LegacyText { encoding, proposal: Proposal(tidy(&proposal)) };
    if let Some(proposal) = misread::convert(text) {
        return Some(found(LegacyEncoding::Misread, proposal));
    }
    if text.is_ascii() {
        return typed::convert(text).map(|proposal| found(LegacyEncoding::Typed, proposal));
    }
    single_byte::convert(text)
        .map(|(encoding, proposal)| found(encoding, proposal))
        .or_else(|| typed::convert(text).map(|proposal| found(LegacyEncoding::Typed, proposal)))
}

/// [`legacy_text`], also of a place's name whose only word that can tell is the kind of place: `Thoân 2` (VNI), `Thoon 2` (Telex).
pub fn legacy_place(text: &str) -> Option<LegacyText> {
    legacy_text(text).or_else(|| of_kind(text))
}

/// A name whose first word is a kind of place once it is read in an older encoding, and none as it stands.
fn of_kind(text: &str) -> Option<LegacyText> {
    type Read = fn(&str) -> Option<String>;
    let small = |word: &str| canonical(word).to_lowercase();
    let first = text.split_whitespace().next()?;
    if is_place_kind(&small(first)) {
        return None;
    }
    let ways: [(LegacyEncoding, Read); 3] = [
        (LegacyEncoding::Vni, single_byte::vni_word),
        (LegacyEncoding::Tcvn3, single_byte::tcvn3_word),
        (LegacyEncoding::Typed, typed::telex),
    ];
    ways.into_iter().find_map(|(encoding, read)| {
        let kind = read(first).filter(|kind| is_place_kind(&small(kind)))?;
        let rest = text.split_whitespace().skip(1).map(|word| read(word).unwrap_or_else(|| word.to_owned()));
        let proposal: Vec<String> = std::iter::once(kind).chain(rest).collect();
        Some(LegacyText { encoding, proposal: Proposal(tidy(&proposal.join(" "))) })
    })
}

/// True for one syllable as Vietnamese spells it.
pub(super) fn is_vietnamese_syllable(word: &str) -> bool {
    spelling::is_syllable(word, spelling::Strictness::Loose)
}

/// Canonical, line by line.
fn tidy(text: &str) -> String {
    super::canonical_lines(text)
}

/// Words of other languages that would be Vietnamese syllables in an older encoding: Loïc in VNI is Lọc.
const FOREIGN: [&str; 15] =
    ["loïc", "seán", "haïm", "chaïm", "naïm", "caïn", "thaï", "maï", "lü", "nü", "søn", "söng", "jürn", "µm", "naïn"];

fn is_foreign(word: &str) -> bool {
    let word = canonical(word).to_lowercase();
    FOREIGN.contains(&word.as_str())
}

#[cfg(test)]
mod tests;
