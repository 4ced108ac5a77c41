//! See `toso_fuzz::hostile_input::vietnamese`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: toso_fuzz::begin("text"), |bytes: &[u8]| toso_fuzz::hostile_input::vietnamese(bytes));
