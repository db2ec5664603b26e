//! Client names from peer ids: short, one line and safe to print.

use ttui::limits;
use ttui::wire::message::PeerId;
use ttui::wire::peer_id::client_name;
use ttui::wire::sanitize::{CharHazard, hazard};

/// One input.
pub fn run(id: [u8; 20]) {
    let name = client_name(&PeerId(id));
    assert!(!name.is_empty() && name.chars().count() <= limits::CLIENT_NAME * 5);
    assert!(name.chars().all(|c| hazard(c) == CharHazard::None), "{name:?}");
}
