//! The target `message` for libFuzzer.
#![no_main]

#[path = "../targets/message.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
