//! The generator as a command. What it writes is tried by the mobile library's tests in Kotlin, Python and Swift, for which
//! `cargo test --workspace` has to build it: it builds a package's commands only where there are tests of this kind.

use std::process::{Command, Output};

fn generator(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_toso-bindgen")).args(arguments).output().expect("the generator runs")
}

#[test]
fn it_knows_the_languages_of_phones_and_scripts() {
    let help = generator(&["generate", "--help"]);
    assert!(help.status.success());
    let help = String::from_utf8_lossy(&help.stdout).to_lowercase();
    for language in ["kotlin", "swift", "python"] {
        assert!(help.contains(language), "{language}: {help}");
    }
}

#[test]
fn from_a_library_that_is_not_there_nothing_is_written() {
    let folder = std::env::temp_dir().join(format!("toso-bindgen-{}", std::process::id()));
    let out = folder.to_string_lossy();
    let output = generator(&["generate", "libabsent.so", "--language", "kotlin", "--no-format", "--out-dir", &out]);
    assert!(!output.status.success());
    assert!(!output.stderr.is_empty(), "it says why");
    // Whatever UniFFI makes of the folder, no source is in it.
    let written = std::fs::read_dir(&folder).map(Iterator::count);
    let _ = std::fs::remove_dir_all(&folder);
    assert!(matches!(written, Ok(0) | Err(_)), "{written:?}");
}
