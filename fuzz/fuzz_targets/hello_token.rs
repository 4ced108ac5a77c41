//! See `toso_fuzz::hostile_input::token`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: toso_fuzz::begin("hello_token"), |bytes: &[u8]| toso_fuzz::hostile_input::token(bytes));
