//! Writes the sources of the mobile bindings: `cargo run -p toso-bindgen -- generate LIBRARY --language kotlin --out-dir DIR`.
//! `cargo xtask bindings` runs it and mends what it writes (`xtask/src/mobile/text.rs`): apps take the sources from there.
//!
//! A package of its own, so that neither the library nor those who build it for a phone pay for the generator.

fn main() {
    uniffi::uniffi_bindgen_main();
}
