//! The target `dht_nodes` for libFuzzer.
#![no_main]

#[path = "../targets/dht_nodes.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
