//! Errors that speak to people: what Kotlin calls `message` and Python prints of an error are the person's words, in the phone's
//! language. The generators write a dump of the error's fields there instead, and have no setting for it. Swift's has one
//! (`mobile-ffi/uniffi.toml`), and `Words.swift` stands beside what it writes. The dump stays in the debug form.

use super::Language;

/// The language that a phone is set to, for Kotlin.
const LANGUAGE_IN_KOTLIN: &str = r#"
/** The language of the texts on a phone that is set to Vietnamese, and the one on all others. */
public fun languageOfThisPhone(): Language =
    if (java.util.Locale.getDefault().language == "vi") Language.VIETNAMESE else Language.ENGLISH
"#;

/// The same for Python, where the environment says it.
const LANGUAGE_IN_PYTHON: &str = r#"

def language_of_this_phone():
    """The language of the texts on a machine that is set to Vietnamese, and the one on all others."""
    import os

    settings = (os.environ.get(name) for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"))
    preferred = next((setting for setting in settings if setting), "")
    return Language.VIETNAMESE if preferred.startswith("vi") else Language.ENGLISH
"#;

/// A generated source with the words in the place of the dumps; an error when the generator wrote otherwise than it did.
pub(super) fn in_place_of_dumps(language: Language, source: &str) -> Result<String, String> {
    match language {
        Language::Kotlin => in_kotlin(source),
        Language::Python => in_python(source),
        Language::Swift => Ok(source.to_owned()),
    }
}

/// Of each case `override val message` and, on the next line, `get() = "info=${ `info` }"`.
fn in_kotlin(source: &str) -> Result<String, String> {
    let mut out = String::with_capacity(source.len());
    let (mut of_message, mut replaced) = (false, 0);
    for line in source.lines() {
        let dump = line.trim().strip_prefix("get() = ").filter(|dump| of_message && dump.starts_with("\"info=${"));
        if let Some(dump) = dump {
            replaced += 1;
            out.push_str("            get() = errorText(this, languageOfThisPhone())\n");
            out.push_str("        override fun toString() = \"TosoException.${javaClass.simpleName}(\" + ");
            out.push_str(dump);
            out.push_str(" + \")\"\n");
        } else {
            out.push_str(line);
            out.push('\n');
        }
        of_message = line.trim() == "override val message";
    }
    every_case(replaced, source.matches(": TosoException() {").count())?;
    Ok(out + LANGUAGE_IN_KOTLIN)
}

/// Of each case `def __repr__(self)`, which takes the dump from `str`.
fn in_python(source: &str) -> Result<String, String> {
    const DUMP: &str = "({})\".format(str(self))";
    let mut out = String::with_capacity(source.len());
    let mut replaced = 0;
    for line in source.lines() {
        if line.trim_start().starts_with("return \"TosoError.") && line.ends_with(DUMP) {
            replaced += 1;
            out.push_str(&line.replace(DUMP, "({})\".format(super().__str__())"));
            out.push_str("\n\n        def __str__(self):\n");
            out.push_str("            return error_text(self, language_of_this_phone())\n");
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    every_case(replaced, source.matches("(_UniffiTempTosoError):").count())?;
    Ok(out + LANGUAGE_IN_PYTHON)
}

fn every_case(replaced: usize, cases: usize) -> Result<(), String> {
    if replaced > 0 && replaced == cases {
        return Ok(());
    }
    Err(format!(
        "the generator writes errors otherwise than before: {replaced} of {cases} cases speak to people; mend xtask/src/mobile/words.rs"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kotlins_message_speaks_and_its_debug_form_dumps() {
        let source = "    class A(val `info`: ErrorInfo) : TosoException() {\n        override val message\n            get() = \"info=${ `info` }, id=${ `id` }\"\n    }\n";
        let words = in_place_of_dumps(Language::Kotlin, source).unwrap();
        assert!(words.contains("get() = errorText(this, languageOfThisPhone())"), "{words}");
        assert!(words.contains("simpleName}(\" + \"info=${ `info` }, id=${ `id` }\" + \")\""), "{words}");
        assert!(words.contains("fun languageOfThisPhone(): Language"));
    }

    #[test]
    fn pythons_str_speaks_and_its_repr_dumps() {
        let source = "    class A(_UniffiTempTosoError):\n        def __repr__(self):\n            return \"TosoError.A({})\".format(str(self))\n";
        let words = in_place_of_dumps(Language::Python, source).unwrap();
        assert!(words.contains("return \"TosoError.A({})\".format(super().__str__())"), "{words}");
        assert!(words.contains("return error_text(self, language_of_this_phone())"), "{words}");
    }

    #[test]
    fn a_generator_that_writes_otherwise_is_noticed() {
        let unknown =
            "    class A(val `info`: ErrorInfo) : TosoException() {\n        override val message = \"\"\n    }\n";
        assert!(in_place_of_dumps(Language::Kotlin, unknown).unwrap_err().contains("0 of 1 cases"));
        assert!(in_place_of_dumps(Language::Python, "").unwrap_err().contains("0 of 0 cases"));
        assert_eq!(in_place_of_dumps(Language::Swift, "as it is").unwrap(), "as it is");
    }
}
