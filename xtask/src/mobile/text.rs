//! Text that is none: half of a surrogate pair, as an emoji becomes when an app cuts a text at a length. The generators' encoders throw
//! at it in the midst of a call, when the object's handle is cloned already, so that the object could never be freed again. Here
//! each half becomes U+FFFD, which the library refuses by its place, in both languages. Swift's own strings do the same.

use super::Language;

/// One encoder of Kotlin: as it is generated, and with whole text in it.
const ENCODER_IN_KOTLIN: [&str; 2] = ["encode(CharBuffer.wrap(value))", "encode(CharBuffer.wrap(wholeText(value)))"];

/// What Kotlin's encoder is given. It is as long as before, since the buffers' sizes follow from the length.
const WHOLE_IN_KOTLIN: &str = r"
/** The text with U+FFFD in the place of each half of a surrogate pair that stands alone. */
private fun wholeText(text: String): String {
    if (text.none { it.isSurrogate() }) return text
    val whole = StringBuilder(text)
    var at = 0
    while (at < whole.length) {
        val isPair = whole[at].isHighSurrogate() && at + 1 < whole.length && whole[at + 1].isLowSurrogate()
        if (whole[at].isSurrogate() && !isPair) whole.setCharAt(at, '\uFFFD')
        at += if (isPair) 2 else 1
    }
    return whole.toString()
}
";

/// Each encoder of Python: as it is generated, and total.
const ENCODER_IN_PYTHON: [&str; 2] = [r#"value.encode("utf-8")"#, "_uniffi_whole_text(value)"];

/// What stands in its place. Two halves that belong together become one character again.
const WHOLE_IN_PYTHON: &str = r#"

def _uniffi_whole_text(text):
    """In UTF-8, with U+FFFD in the place of each half of a surrogate pair that stands alone."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")
"#;

/// A generated source whose calls take any text; an error when the generator encodes otherwise than it did.
pub(super) fn made_whole(language: Language, source: &str) -> Result<String, String> {
    match language {
        Language::Kotlin => {
            let encoders = ["newEncoder", "toByteArray(", "encodeToByteArray("];
            let encoders = encoders.iter().map(|encoder| source.matches(encoder).count()).sum();
            replaced(source, ENCODER_IN_KOTLIN, encoders, 1).map(|source| source + WHOLE_IN_KOTLIN)
        }
        Language::Python => {
            let encoders = source.matches(".encode(").count();
            replaced(source, ENCODER_IN_PYTHON, encoders, 2).map(|source| source + WHOLE_IN_PYTHON)
        }
        Language::Swift => Ok(source.to_owned()),
    }
}

/// Replaces each of the encoders, which must be all that there are.
fn replaced(source: &str, [old, new]: [&str; 2], encoders: usize, expected: usize) -> Result<String, String> {
    let known = source.matches(old).count();
    if known == expected && encoders == expected {
        return Ok(source.replace(old, new));
    }
    Err(format!(
        "the generator encodes text otherwise than before: {encoders} encoders, of which {known} are known, instead of {expected}; \
         mend xtask/src/mobile/text.rs"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KOTLIN: &str =
        "return Charsets.UTF_8.newEncoder().run {\n    encode(CharBuffer.wrap(value))\n}\nByteArray(3)\n";
    const PYTHON: &str = "utf8_bytes = value.encode(\"utf-8\")\nbuilder.write(value.encode(\"utf-8\"))\n";

    #[test]
    fn every_encoder_is_given_whole_text() {
        let kotlin = made_whole(Language::Kotlin, KOTLIN).unwrap();
        assert!(kotlin.contains("encode(CharBuffer.wrap(wholeText(value)))"), "{kotlin}");
        assert_eq!(kotlin.matches("fun wholeText(").count(), 1);
        let python = made_whole(Language::Python, PYTHON).unwrap();
        assert!(
            python.starts_with("utf8_bytes = _uniffi_whole_text(value)\nbuilder.write(_uniffi_whole_text(value))\n")
        );
        assert_eq!(python.matches("def _uniffi_whole_text(").count(), 1);
        assert_eq!(made_whole(Language::Swift, "as it is").unwrap(), "as it is");
    }

    #[test]
    fn a_generator_that_encodes_otherwise_is_noticed() {
        let once = PYTHON.lines().next().unwrap();
        let cases = [
            (Language::Kotlin, "value.toByteArray(Charsets.UTF_8)".to_owned(), "1 encoders, of which 0"),
            (Language::Kotlin, KOTLIN.repeat(2), "2 encoders, of which 2"),
            (Language::Kotlin, format!("{KOTLIN}text.encodeToByteArray()"), "2 encoders, of which 1"),
            (Language::Python, String::new(), "0 encoders, of which 0"),
            (Language::Python, once.to_owned(), "1 encoders, of which 1"),
            (Language::Python, format!("{PYTHON}name.encode(\"utf-8\")"), "3 encoders, of which 2"),
        ];
        for (language, source, told) in cases {
            let error = made_whole(language, &source).unwrap_err();
            assert!(error.contains(told) && error.ends_with("mend xtask/src/mobile/text.rs"), "{error}");
        }
    }
}
