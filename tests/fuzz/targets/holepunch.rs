//! The reader of `ut_holepunch` messages (BEP 55): what it accepts survives being written.

use ttui::wire::extension::holepunch::Holepunch;

/// One input.
pub fn run(bytes: &[u8]) {
    if let Ok(it) = Holepunch::decode(bytes) {
        assert_eq!(Holepunch::decode(&it.encode()), Ok(it));
    }
}
