//! No public type of the library is called like something that an app has in scope anyway.
//!
//! `Bundle` of this library and `Bundle` of Foundation could not be named in any Swift file that imports both, and `Toso.Bundle`
//! was looked for inside a class `Toso`, since the class was named as its module. The names of the platforms are in
//! `taken_names.txt`.
//!
//! And no time crosses as a bare number alone: where a record counts milliseconds, Swift's hand-written layer has a date or a duration.

use std::collections::BTreeMap;
use std::path::Path;

/// What the module is called in Swift, Kotlin's package and Python.
const MODULES: [&str; 2] = ["Toso", "toso"];
/// What UniFFI turns into a public type of the other languages.
const MARKS: [&str; 6] =
    ["uniffi::Record", "uniffi::Enum", "uniffi::Object", "uniffi::Error", "uniffi::export(foreign)", "uniffi::remote"];

/// Public type → file, of everything that crosses.
fn public_types(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            public_types(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source is text");
        let mut marked = false;
        for line in text.lines() {
            marked |= line.starts_with("#[") && MARKS.iter().any(|mark| line.contains(mark));
            let name = ["pub struct ", "pub enum ", "pub trait "].iter().find_map(|kind| line.strip_prefix(kind));
            if let Some(name) = name
                && std::mem::take(&mut marked)
            {
                let name: String = name.chars().take_while(|of| of.is_alphanumeric()).collect();
                found.insert(name, path.display().to_string());
            }
        }
    }
}

/// Public type → file, of what is made from the tables of the register.
fn types_of_tables(found: &mut BTreeMap<String, String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/toso-core/src/kind");
    for file in ["commune.rs", "team.rs", "member.rs", "words.rs"] {
        let text = std::fs::read_to_string(folder.join(file)).expect("the table can be read");
        for line in text.lines().map(str::trim) {
            let words: Vec<&str> = line.split(' ').collect();
            let name = match words.as_slice() {
                [.., _, "as", name] | ["edit", name] | [_, "as", name, "{"] => name,
                [name, key, capitals, "{"] if key.starts_with('"') && capitals.starts_with('"') => name,
                _ => continue,
            };
            let name = name.trim_end_matches(';');
            if name.starts_with(char::is_uppercase) {
                found.insert(name.to_owned(), file.to_owned());
            }
        }
    }
}

fn taken() -> BTreeMap<&'static str, &'static str> {
    let lines = include_str!("taken_names.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .flat_map(|line| {
            let (platform, names) = line.split_once(": ").expect("platform: names");
            names.split(' ').map(move |name| (name, platform))
        })
        .collect()
}

#[test]
fn no_type_is_called_like_one_of_a_platform_or_like_its_module() {
    let mut types = BTreeMap::new();
    public_types(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut types);
    types_of_tables(&mut types);
    for made in ["Team", "TeamEdit", "TeamActivity", "Hamlet", "Consent", "HamletKind", "CourseStatus"] {
        assert!(types.contains_key(made), "{made} is made from a table");
    }
    assert!(types.len() > 40 && types.contains_key("TosoError") && types.contains_key("TosoObserver"), "{types:?}");
    let taken = taken();
    assert_eq!((taken.get("Parcel"), taken.get("Subscription")), (Some(&"android"), Some(&"Combine")));
    let meeting: Vec<_> = types
        .iter()
        .filter_map(|(name, file)| {
            let platform = taken.get(name.as_str()).copied();
            platform.or_else(|| MODULES.contains(&name.as_str()).then_some("its module")).map(|of| (name, of, file))
        })
        .collect();
    assert!(meeting.is_empty(), "choose other names: {meeting:?}");
}

/// Fields of records and errors that count milliseconds, in all files of a folder.
fn millisecond_fields(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            millisecond_fields(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source is text");
        let fields = text.lines().filter_map(|line| line.trim_start().strip_suffix(',')?.split_once(": "));
        let times = fields.filter(|(name, kind)| name.ends_with("_ms") && ["u64", "i64", "Option<i64>"].contains(kind));
        found.extend(times.map(|(name, _)| name.trim_start_matches("pub ").to_owned()));
    }
}

#[test]
fn every_time_has_a_date_or_a_duration_in_swift() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut fields = Vec::new();
    millisecond_fields(&root.join("src"), &mut fields);
    // The deadline is an argument, which `Waiting.swift` takes as a duration.
    fields.retain(|field| field != "deadline_ms");
    assert!(fields.len() >= 6 && fields.contains(&"retry_after_ms".to_owned()), "{fields:?}");
    let swift = std::fs::read_to_string(root.join("swift/Sources/Toso/Times.swift")).expect("it is text");
    let in_swift = |field: &str| {
        let mut words = field.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
    };
    let bare: Vec<_> = fields.iter().filter(|field| !swift.contains(&in_swift(field))).collect();
    assert!(bare.is_empty(), "give them a date or a duration in Times.swift: {bare:?}");
}
