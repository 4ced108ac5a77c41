//! See `toso_fuzz::hostile_input::snapshot`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: toso_fuzz::begin("snapshot"), |bytes: &[u8]| toso_fuzz::hostile_input::snapshot(bytes));
