//! See `toso_fuzz::hostile_input::unit_text`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: toso_fuzz::begin("unit"), |bytes: &[u8]| toso_fuzz::hostile_input::unit_text(bytes));
