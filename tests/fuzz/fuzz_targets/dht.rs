//! The target `dht` for libFuzzer.
#![no_main]

#[path = "../targets/dht.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
