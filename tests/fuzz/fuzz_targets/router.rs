//! The target `router` for libFuzzer.
#![no_main]

#[path = "../targets/router.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
