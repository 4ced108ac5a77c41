//! What the fuzz targets share.

#[path = "../../tests/src/hostile_input.rs"]
pub mod hostile_input;

/// The corpus folder to put seeds into, set by `cargo xtask fuzz`.
const CORPUS: &str = "TOSO_FUZZ_CORPUS";

/// Prepares a target's process.
pub fn begin(target: &str) {
    // The fuzzer's own hook aborts on every panic. Merging runs under `catch_unwind`, since Automerge panics on some
    // changes; a panic that leaves the target is still a crash.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(folder) = std::env::var_os(CORPUS) {
        for (number, seed) in hostile_input::seeds(target).iter().enumerate() {
            let path = std::path::Path::new(&folder).join(format!("seed-{number}"));
            std::fs::write(path, seed).expect("the corpus folder is writable");
        }
    }
}
