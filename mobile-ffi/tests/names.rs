//! No public type of the library is called like something that an app has in scope anyway.
//!
//! `Bundle` of this library and `Bundle` of Foundation could not be named in any Swift file that imports both, and `Toso.Bundle`
//! was looked for inside a class `Toso`, since the class was named as its module. The names of the platforms are in
//! `taken_names.txt`.

use std::collections::BTreeMap;
use std::path::Path;

/// What the module is called in Swift, Kotlin's package and Python.
const MODULES: [&str; 2] = ["Toso", "toso"];
/// What UniFFI turns into a public type of the other languages.
const MARKS: [&str; 5] =
    ["uniffi::Record", "uniffi::Enum", "uniffi::Object", "uniffi::Error", "uniffi::export(foreign)"];

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
