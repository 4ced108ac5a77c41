//! See `toso_fuzz::hostile_input::session`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: toso_fuzz::begin("session"), |bytes: &[u8]| toso_fuzz::hostile_input::session(bytes));
