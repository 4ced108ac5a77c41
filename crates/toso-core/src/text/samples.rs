//! Random Vietnamese for the property tests of this folder.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

const CHARS: &str = "aàảãáạăằẳẵắặâầẩẫấậbcdđeèẻẽéẹêềểễếệghiìỉĩíịklmnoòỏõóọôồổỗốộơờởỡớợpqrstuùủũúụưừửữứựvxyỳỷỹýỵ\
    AÀẢÃÁẠĂẰẲẴẮẶÂẦẨẪẤẬBCDĐEÈẺẼÉẸÊỀỂỄẾỆGHIÌỈĨÍỊKLMNOÒỎÕÓỌÔỒỔỖỐỘƠỜỞỠỚỢPQRSTUÙỦŨÚỤƯỪỬỮỨỰVXYỲỶỸÝỴ     0123456789'-.";

/// Up to 24 characters of the Vietnamese alphabet, blanks, digits and the punctuation of names.
pub(super) fn vietnamese() -> impl Strategy<Value = String> {
    let chars: Vec<char> = CHARS.chars().collect();
    prop::collection::vec(prop::sample::select(chars), 0..24).prop_map(|chars| chars.into_iter().collect())
}

/// Text as macOS file names and some keyboards give it.
pub(super) fn nfd(text: &str) -> String {
    text.nfd().collect()
}
