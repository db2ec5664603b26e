//! The target `bencode` for libFuzzer.
#![no_main]

#[path = "../targets/bencode.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
