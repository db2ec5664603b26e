//! The reader of `ut_holepunch` messages (BEP 55): what it accepts survives being written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ttui::wire::extension::holepunch::Holepunch;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(it) = Holepunch::decode(bytes) {
        assert_eq!(Holepunch::decode(&it.encode()), Ok(it));
    }
});
