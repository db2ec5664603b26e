//! The reader of peer exchange: it takes no more than it is told to, nobody whom nobody can be, and what it took survives
//! being written.

use ttui::wire::extension::pex::Pex;
use ttui::wire::tracker::can_be_peer;

/// One input.
pub fn run(bytes: &[u8]) {
    let Some((&most, bytes)) = bytes.split_first() else { return };
    let most = usize::from(most);
    let Ok(mut it) = Pex::decode(bytes, most) else { return };
    assert!(it.added.len() <= most && it.dropped.len() <= most);
    assert!(it.added.iter().all(|(addr, _)| can_be_peer(addr)) && it.dropped.iter().all(can_be_peer));
    let mut again = Pex::decode(&it.encode(), most).unwrap();
    // IPv4 comes first, also what stood among IPv6.
    for it in [&mut it, &mut again] {
        it.added.sort_unstable();
        it.dropped.sort_unstable();
    }
    assert_eq!(again, it);
}
