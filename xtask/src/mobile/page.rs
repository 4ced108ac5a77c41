//! The code on the page for app developers: `docs/mobile.md` is the one place where it stands, and the stories of each language are
//! compiled with it.
//!
//! A language's blocks become one source in which every line is where it is on the page, so that a compiler names the page's
//! own line. What needs Android's or Apple's frameworks, or is a build file, says so behind the language, and stays out:
//! ` ```kotlin android `.

use super::Language;
use crate::tree::Tree;

/// The page.
const PAGE: &str = "docs/mobile.md";

/// What may stand behind a language, and names of which a block that says so has at least one: what is compilable anywhere must not
/// hide behind the word.
const ELSEWHERE: [(Language, &str, &[&str]); 3] = [
    (Language::Kotlin, "android", &["Context", "Application", "ViewModel", "ConnectivityManager"]),
    (Language::Kotlin, "gradle", &["dependencies"]),
    (Language::Swift, "apple", &["View", "BGTaskScheduler", "SecItem"]),
];

/// The page's blocks of a language as one source. `head` stands on the first line, which the page has for its title.
pub(super) fn source(tree: &Tree, language: Language, head: &str) -> Result<String, String> {
    extracted(&tree.text(PAGE)?, language, head).map_err(|(line, what)| format!("{PAGE}:{line}: {what}"))
}

/// A block that is open while its lines are read.
struct Open<'a> {
    line: usize,
    indent: &'a str,
    compiled: bool,
    /// Names of which one must come, when it is compiled elsewhere.
    wanted: &'a [&'a str],
}

fn extracted(page: &str, language: Language, head: &str) -> Result<String, (usize, String)> {
    let (mut out, mut open, mut blocks) = (head.to_owned(), None::<Open<'_>>, 0);
    for (number, line) in (1..).zip(page.lines()) {
        let code = line.trim_start();
        let fence = code.strip_prefix("```");
        let mut kept = "";
        match (&mut open, fence) {
            (None, Some(info)) => {
                let (compiled, wanted) = kind(info, language).map_err(|what| (number, what))?;
                blocks += usize::from(compiled);
                let indent = line.strip_suffix(code).unwrap_or_default();
                open = Some(Open { line: number, indent, compiled, wanted });
            }
            (Some(block), Some(_)) => {
                if !block.wanted.is_empty() {
                    let names = block.wanted.join(", ");
                    return Err((
                        block.line,
                        format!("none of {names} in it: it can be compiled anywhere, so say the language alone"),
                    ));
                }
                open = None;
            }
            (Some(block), None) => {
                if block.compiled {
                    kept = line.strip_prefix(block.indent).unwrap_or(code);
                }
                if block.wanted.iter().any(|name| line.contains(name)) {
                    block.wanted = &[];
                }
            }
            (None, None) => {}
        }
        if number > 1 {
            out.push_str(kept);
        }
        out.push('\n');
    }
    if let Some(block) = open {
        return Err((block.line, "the block has no end".to_owned()));
    }
    if blocks == 0 {
        return Err((1, format!("no block in {} that can be compiled anywhere", language.name())));
    }
    Ok(out)
}

/// Whether a block is compiled with the language's stories, and what it must name when it says that it cannot be.
fn kind(info: &str, language: Language) -> Result<(bool, &'static [&'static str]), String> {
    let mut words = info.split_whitespace();
    if words.next() != Some(language.name()) {
        return Ok((false, &[]));
    }
    let Some(word) = words.next() else { return Ok((true, &[])) };
    let found = ELSEWHERE.iter().find(|(of, known, _)| *of == language && *known == word && words.next().is_none());
    found.map(|(.., names)| (false, *names)).ok_or_else(|| format!("`{info}` is no language with a word that is known"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_languages_blocks_keep_their_lines_and_lose_their_indent() {
        let page = "# Title\n\n1. Do\n\n   ```python\n   def a():\n       pass\n   ```\n\n```kotlin\nfun b() {}\n```\n```sh\nls\n```\n";
        let python = extracted(page, Language::Python, "import x").unwrap();
        assert_eq!(python, format!("import x\n\n\n\n\ndef a():\n    pass\n{}", "\n".repeat(8)));
        let kotlin = extracted(page, Language::Kotlin, "package x").unwrap();
        assert_eq!(kotlin.lines().nth(10), Some("fun b() {}"));
        assert_eq!(kotlin.lines().filter(|line| !line.is_empty()).count(), 2);
        assert_eq!(extracted(page, Language::Swift, "").unwrap_err().0, 1, "nothing to compile is told");
    }

    #[test]
    fn a_block_of_a_platform_stays_out_and_must_be_one() {
        let page = |info: &str, code: &str| format!("# T\n```swift\nlet a = 1\n```\n```{info}\n{code}\n```\n");
        let out = extracted(&page("swift apple", "struct Screen: View {}"), Language::Swift, "").unwrap();
        assert!(out.contains("let a = 1") && !out.contains("Screen"), "{out}");
        let hidden = extracted(&page("swift apple", "let b = 2"), Language::Swift, "").unwrap_err();
        assert!(hidden.0 == 5 && hidden.1.contains("it can be compiled anywhere"), "{hidden:?}");
        for info in ["swift android", "swift apple twice", "swift Apple"] {
            assert_eq!(extracted(&page(info, "View"), Language::Swift, "").unwrap_err().0, 5, "{info}");
        }
        assert_eq!(
            extracted("# T\n```swift\n", Language::Swift, "").unwrap_err(),
            (2, "the block has no end".to_owned())
        );
    }

    #[test]
    fn the_page_has_something_to_compile_in_every_language() {
        let tree = Tree::open().unwrap();
        for language in Language::ALL {
            source(&tree, language, "").unwrap();
        }
    }
}
