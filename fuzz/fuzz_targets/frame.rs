//! See `toso_fuzz::hostile_input::frame`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: toso_fuzz::begin("frame"), |bytes: &[u8]| toso_fuzz::hostile_input::frame(bytes));
