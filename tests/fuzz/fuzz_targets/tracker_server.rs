//! The target `tracker_server` for libFuzzer.
#![no_main]

#[path = "../targets/tracker_server.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &str| target::run(input));
