//! Client names from peer ids: short, one line and safe to print.

use ttui::limits;
use ttui::wire::client::name;
use ttui::wire::message::PeerId;
use ttui::wire::text::{Harm, harm};

/// One input.
pub fn run(id: [u8; 20]) {
    let name = name(&PeerId(id));
    assert!(!name.is_empty() && name.chars().count() <= limits::CLIENT_NAME * 5);
    assert!(name.chars().all(|c| harm(c) == Harm::None), "{name:?}");
}
