//! Torrents in whose way files lie that are not theirs: they stop, and the user is asked.

use std::time::Instant;

use super::Desk;
use super::entry::{Goal, Halt};
use crate::api::{Event, TorrentId};
use crate::swarm::job::{DiskFault, FaultKind};

impl Desk {
    /// Files are in the way of a torrent, which stops. Where the user may let them be overwritten he is asked, once until he
    /// says something of the torrent.
    pub(super) fn occupied(&mut self, id: TorrentId, fault: DiskFault) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let (name, text, ask) = (entry.kept.name.clone(), fault.text.clone(), fault.kind == FaultKind::Occupied);
        entry.error = Some(Halt::new(fault, None, Instant::now()));
        let again = std::mem::replace(&mut entry.asked, true);
        self.note(Some(id), text.clone());
        if !again {
            self.event(Event::Occupied { id, name, text, ask });
        }
        self.settle(id);
    }

    /// The user lets a torrent overwrite what is in its way.
    pub(super) fn overwrite(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        entry.overwrite = true;
        let text = format!("{}: files that are in its way may be overwritten, says the user", entry.kept.name);
        self.note(Some(id), text);
        self.wished(id, Goal::Run);
    }
}
