//! See `toso_fuzz::hostile_input::change`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: toso_fuzz::begin("change"), |bytes: &[u8]| toso_fuzz::hostile_input::change(bytes));
