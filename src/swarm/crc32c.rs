//! CRC-32C (Castagnoli), which DHT node ids (BEP 42) and canonical peer priorities (BEP 40) are made with.

use crc::{CRC_32_ISCSI, Crc};

const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Returns the checksum of the bytes.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    CASTAGNOLI.checksum(bytes)
}

#[test]
fn the_check_value_of_the_algorithm() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
