//! See `toso_fuzz::hostile_input::invite`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: toso_fuzz::begin("invite"), |bytes: &[u8]| toso_fuzz::hostile_input::invite(bytes));
