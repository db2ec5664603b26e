//! The target `metainfo` for libFuzzer.
#![no_main]

#[path = "../targets/metainfo.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
