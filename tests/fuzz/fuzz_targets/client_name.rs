//! The target `client_name` for libFuzzer.
#![no_main]

#[path = "../targets/client_name.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: [u8; 20]| target::run(input));
