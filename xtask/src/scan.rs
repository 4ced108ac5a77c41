//! Just enough reading of Rust to tell code from comments, literals and tests.
//!
//! A full parser would be a large dependency for rules as plain as "this crate does not name `std::fs`". Everything that
//! is not code is blanked with spaces, so that line numbers stay true.

use std::ops::Range;

/// The text with comments and literals blanked.
pub(crate) fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&this) = chars.get(at) {
        if let Some(end) = skipped_until(&chars, at) {
            let end = end.min(chars.len());
            out.extend(chars.get(at..end).unwrap_or_default().iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(this);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `None` when none begins there.
fn skipped_until(chars: &[char], at: usize) -> Option<usize> {
    let char_at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let find = |from: usize, wanted: char| (from..chars.len()).find(|index| char_at(*index) == wanted);
    match (char_at(at), char_at(at + 1)) {
        ('/', '/') => Some(find(at, '\n').unwrap_or(chars.len())),
        ('/', '*') => Some(block_comment_end(chars, at)),
        ('"', _) => Some(string_end(chars, at)),
        ('r', '"' | '#') if begins_literal(chars, at) => {
            let hashes = (at + 1..chars.len()).take_while(|index| char_at(*index) == '#').count();
            let quote = at + 1 + hashes;
            (char_at(quote) == '"').then(|| {
                let closes = |index: &usize| {
                    char_at(*index) == '"' && (1..=hashes).all(|further| char_at(index + further) == '#')
                };
                (quote + 1..chars.len()).find(closes).map_or(chars.len(), |index| index + 1 + hashes)
            })
        }
        ('\'', '\\') => Some(find(at + 3, '\'').map_or(chars.len(), |index| index + 1)),
        ('\'', _) if char_at(at + 2) == '\'' => Some(at + 3),
        _ => None,
    }
}

fn begins_literal(chars: &[char], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|index| chars.get(index)).copied().unwrap_or(' ');
    !is_word(before(1)) || (matches!(before(1), 'b' | 'c') && !is_word(before(2)))
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut index = at;
    while index < chars.len() {
        match (chars.get(index), chars.get(index + 1)) {
            (Some('/'), Some('*')) => (depth, index) = (depth + 1, index + 2),
            (Some('*'), Some('/')) => {
                (depth, index) = (depth - 1, index + 2);
                if depth == 0 {
                    return index;
                }
            }
            _ => index += 1,
        }
    }
    chars.len()
}

fn string_end(chars: &[char], at: usize) -> usize {
    let mut index = at + 1;
    while let Some(&this) = chars.get(index) {
        match this {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    chars.len()
}

/// Code without its tests.
pub(crate) struct Shipped {
    /// The code, with `#[cfg(test)]` items blanked.
    pub(crate) code: String,
    /// Names of test modules that live in files of their own (`#[cfg(test)] mod tests;`).
    pub(crate) test_modules: Vec<String>,
}

/// Takes the tests out of what [`code_only`] returned.
pub(crate) fn shipped(code: &str) -> Shipped {
    if code.contains("#![cfg(test)]") {
        return Shipped { code: blank(code, 0..code.len()), test_modules: Vec::new() };
    }
    let mut shipped = Shipped { code: code.to_owned(), test_modules: Vec::new() };
    for marker in ["#[cfg(test)]", "#[cfg(all(test"] {
        while let Some(start) = shipped.code.find(marker) {
            let end = item_end(&shipped.code, start);
            let item = shipped.code.get(start..end).unwrap_or_default();
            if let Some(name) = item.strip_suffix(';').and_then(|item| item.rsplit_once("mod ")) {
                shipped.test_modules.push(name.1.trim().to_owned());
            }
            shipped.code = blank(&shipped.code, start..end);
        }
    }
    shipped
}

/// The end of the item whose attribute begins at `start`: its closing brace, or its semicolon when it has no braces.
fn item_end(code: &str, start: usize) -> usize {
    let mut round_or_square = 0_i32;
    let mut curly = 0_i32;
    for (offset, this) in code.get(start..).unwrap_or_default().char_indices() {
        match this {
            '(' | '[' => round_or_square += 1,
            ')' | ']' => round_or_square -= 1,
            '{' => curly += 1,
            '}' => {
                curly -= 1;
                if curly <= 0 && round_or_square == 0 {
                    return start + offset + 1;
                }
            }
            ';' if curly == 0 && round_or_square == 0 => return start + offset + 1,
            _ => {}
        }
    }
    code.len()
}

fn blank(code: &str, range: Range<usize>) -> String {
    let spaces = |part: &str| part.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect::<String>();
    let part = |range: Range<usize>| code.get(range).unwrap_or_default();
    format!("{}{}{}", part(0..range.start), spaces(part(range.clone())), part(range.end..code.len()))
}

/// Lines (from 1) where `code` has `needle` as whole words. Paths in braces (`use std::{fs, io}`) are seen too.
pub(crate) fn lines_with(code: &str, needle: &str) -> Vec<usize> {
    let mut lines: Vec<usize> = word_offsets(code, needle).map(|offset| line_of(code, offset)).collect();
    for (offset, path) in grouped_imports(code) {
        if word_offsets(&path, needle).next().is_some() {
            lines.push(line_of(code, offset));
        }
    }
    lines.sort_unstable();
    lines.dedup();
    lines
}

pub(crate) fn word_offsets<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(needle).map(|(offset, _)| offset).filter(move |offset| {
        let before = text.get(..*offset).and_then(|part| part.chars().next_back()).unwrap_or(' ');
        let after = text.get(offset + needle.len()..).and_then(|part| part.chars().next()).unwrap_or(' ');
        let open = |inside: Option<char>, outside: char| inside.is_some_and(is_word) && is_word(outside);
        !open(needle.chars().next(), before) && !open(needle.chars().next_back(), after)
    })
}

/// Every path that a `use` with braces brings in, spelled out, with the place of its `use`.
pub(crate) fn grouped_imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for offset in word_offsets(code, "use") {
        let statement = code.get(offset + "use".len()..).unwrap_or_default();
        let tree = statement.split(';').next().unwrap_or_default();
        if tree.contains('{') {
            let tree: String = tree.split_whitespace().collect::<Vec<_>>().join(" ");
            let mut paths = Vec::new();
            spell_out("", &tree, &mut paths);
            found.extend(paths.into_iter().map(|path| (offset, path)));
        }
    }
    found
}

fn spell_out(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    match tree.split_once('{').and_then(|(head, rest)| rest.rsplit_once('}').map(|(inner, _)| (head, inner))) {
        None if tree.is_empty() => {}
        None => paths.push(format!("{prefix}{tree}")),
        Some((head, inner)) => {
            let prefix = format!("{prefix}{}", head.trim());
            let mut depth = 0_i32;
            let parts = inner.split(|c| {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                c == ',' && depth == 0
            });
            for part in parts {
                spell_out(&prefix, part, paths);
            }
        }
    }
}

pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.get(..offset).unwrap_or_default().matches('\n').count() + 1
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        let text = "a // std::fs\n/* x /* std::fs */ y */ b \"std::fs \\\" \" c\nr#\"std::fs \" \"# d br\"std::fs\" 'e' '\\'' f";
        let code = code_only(text);
        assert_eq!(code.split_whitespace().collect::<String>(), "abcdbf");
        assert_eq!(code.matches('\n').count(), text.matches('\n').count());
    }

    #[test]
    fn lifetimes_and_raw_names_are_code() {
        assert_eq!(code_only("fn f<'a>(x: &'a str, r#type: u8)"), "fn f<'a>(x: &'a str, r#type: u8)");
    }

    #[test]
    fn unterminated_literals_end_with_the_file() {
        for text in ["\"abc", "r#\"abc", "/* abc", "'\\", "// abc", "\"\\"] {
            assert_eq!(code_only(text).trim(), "", "{text}");
        }
    }

    #[test]
    fn tests_are_taken_out_and_the_rest_stays() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { if x { std::fs::read() } }\n}\nfn c() {}";
        let shipped = shipped(code);
        assert!(shipped.code.contains("fn a()") && shipped.code.contains("fn c()"));
        assert!(!shipped.code.contains("std::fs"));
        assert_eq!(line_of(&shipped.code, shipped.code.find("fn c").unwrap()), 6);
    }

    #[test]
    fn test_modules_in_files_of_their_own_are_named() {
        let shipped = shipped("#[cfg(test)]\nmod tests;\n#[cfg(all(test, unix))] mod more;\nfn a() {}");
        assert_eq!(shipped.test_modules, ["tests", "more"]);
        assert!(shipped.code.contains("fn a()"));
    }

    #[test]
    fn code_for_a_feature_is_not_a_test() {
        assert!(shipped("#[cfg(any(test, feature = \"x\"))] fn a() { b() }").code.contains("b()"));
    }

    #[test]
    fn whole_words_only() {
        assert_eq!(lines_with("let tokio_like = 1;\nmytokio;\ntokio::spawn();", "tokio"), [3]);
        assert_eq!(lines_with("std::fs4\nstd::fs::read", "std::fs"), [2]);
        assert_eq!(lines_with("eprintln!()\nprintln!()", "println!"), [2]);
    }

    #[test]
    fn imports_in_braces_are_spelled_out() {
        let code = "fn a() {}\nuse std::{\n  collections::BTreeMap,\n  time::{Duration, SystemTime as Now},\n  fs,\n};";
        assert_eq!(lines_with(code, "std::fs"), [2]);
        assert_eq!(lines_with(code, "std::time::SystemTime"), [2]);
        assert!(lines_with(code, "std::env").is_empty());
    }
}
