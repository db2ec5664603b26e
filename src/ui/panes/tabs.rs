//! The pane of each tab.

use crate::ui::keys::context::Tab;
use crate::ui::panes::files::FilesPane;
use crate::ui::panes::info::InfoPane;
use crate::ui::panes::log::LogPane;
use crate::ui::panes::pane::Pane;
use crate::ui::panes::peers::PeersPane;
use crate::ui::panes::pieces::PiecesPane;
use crate::ui::panes::trackers::TrackersPane;

/// The panes, in the order of their tabs.
const PANES: [&dyn Pane; Tab::ALL.len()] = [&InfoPane, &PiecesPane, &PeersPane, &FilesPane, &TrackersPane, &LogPane];

/// Returns the pane of a tab.
pub(crate) fn pane(tab: Tab) -> &'static dyn Pane {
    PANES[tab as usize]
}
