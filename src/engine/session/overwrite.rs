//! Existing files in the way of a torrent: the torrent stops and the user is asked whether to overwrite them.

use std::time::Instant;

use super::Session;
use super::entry::{DesiredState, TorrentError};
use crate::api::{Event, TorrentId};
use crate::swarm::job::{DiskFault, FaultKind};

impl Session {
    /// Stops a torrent whose paths hold files of something else.
    ///
    /// Reports [`Event::Occupied`]; not repeated until the user acts on the torrent.
    pub(super) fn occupied(&mut self, id: TorrentId, mut fault: DiskFault) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        if fault.kind == FaultKind::NameRefused {
            if !std::mem::replace(&mut entry.mend_names, true) {
                self.write_log(Some(id), format!("{}: such names are written in another way", fault.text));
                // It stops by itself, and is opened again with other names.
                return self.advance(id);
            }
            fault.kind = FaultKind::Other;
            return self.failed(id, fault);
        }
        let (name, text, ask) = (entry.saved.name.clone(), fault.text.clone(), fault.kind == FaultKind::Occupied);
        entry.error = Some(TorrentError::new(fault, None, Instant::now()));
        let again = std::mem::replace(&mut entry.asked, true);
        self.write_log(Some(id), text.clone());
        if !again {
            self.event(Event::Occupied { id, name, text, ask });
        }
        self.advance(id);
    }

    /// Allows the torrent to overwrite existing files and resumes it.
    pub(super) fn overwrite(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        entry.overwrite = true;
        let text = format!("{}: files that are in its way may be overwritten, says the user", entry.saved.name);
        self.write_log(Some(id), text);
        self.set_desired(id, DesiredState::Run);
    }
}
