//! Packs each CSV file of `data/` into a zstd frame, so that the crate carries 130 KB instead of 710 KB and the CSV stays the
//! only source. One frame for each: a phone that asks for one list unpacks no other.

use std::path::Path;
use std::{env, fs, io};

/// The files that `src/embedded.rs` reads back.
const FILES: [&str; 6] = [
    "units-2022.csv",
    "units-2025.csv",
    "map-2022-2025.csv",
    "map-provinces.csv",
    "dispatch-provinces.csv",
    "changes-2026.csv",
];

/// The highest ordinary level; packing costs a fraction of a second, and only when the data change.
const LEVEL: i32 = 19;

fn main() -> io::Result<()> {
    let folder = env::var_os("CARGO_MANIFEST_DIR").ok_or_else(|| io::Error::other("CARGO_MANIFEST_DIR is not set"))?;
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    println!("cargo::rerun-if-changed=build.rs");
    for file in FILES {
        println!("cargo::rerun-if-changed=data/{file}");
        let text = fs::read(Path::new(&folder).join("data").join(file))?;
        fs::write(Path::new(&out).join(file).with_extension("zst"), zstd::bulk::compress(&text, LEVEL)?)?;
    }
    Ok(())
}
