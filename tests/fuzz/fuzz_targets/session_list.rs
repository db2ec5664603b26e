//! The target `session_list` for libFuzzer.
#![no_main]

#[path = "../targets/session_list.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
