//! What a key action applies to: the marked torrents or the selected one, the selected peer, the open peer.

use crate::api::{Detail, Snapshot, TorrentId, TorrentView};
use crate::ui::keys::context::Tab;
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::detail::OpenPeer;
use crate::ui::state::layout::LayoutInput;

impl AppState {
    /// Returns what the layout of the screen depends on.
    #[must_use]
    pub fn layout_input(&self, snapshot: &Snapshot) -> LayoutInput {
        let (torrents, rows) = (snapshot.torrents.len(), self.pane_rows[self.tab as usize]);
        let pane_rows = (rows > 0).then_some(rows);
        LayoutInput { torrents, focus: self.pane, tab: self.tab, zoom: self.zoom, pane_rows }
    }

    /// Returns the selected torrent.
    #[must_use]
    pub fn chosen<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a TorrentView> {
        snapshot.torrent(self.selected?)
    }

    /// Returns the detail of the selected torrent; `None` until the engine has sent the detail of this torrent.
    #[must_use]
    pub fn detail<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a Detail> {
        self.chosen(snapshot)?.detail.as_deref()
    }

    /// Returns the row of the selected torrent.
    #[must_use]
    pub fn row(&self, snapshot: &Snapshot) -> Option<usize> {
        let selected = self.selected?;
        self.rows.iter().position(|at| snapshot.torrents.get(*at).is_some_and(|(id, _)| *id == selected))
    }

    /// Returns the row of the selected peer.
    #[must_use]
    pub fn peer_row(&self, detail: &Detail) -> Option<usize> {
        let peer = self.peer?;
        self.peers.iter().position(|at| detail.peers.get(*at).is_some_and(|row| row.key == peer))
    }

    /// Returns the ids of the visible torrents in display order.
    fn visible<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = TorrentId> + 'a {
        self.rows.iter().filter_map(|at| snapshot.torrents.get(*at)).map(|(id, _)| *id)
    }

    /// Returns the target torrents of a key action in display order: the marked ones, or else the selected one. Marked
    /// torrents that the filter hides are excluded: an action must not change what is not visible.
    #[must_use]
    pub fn targets(&self, snapshot: &Snapshot) -> Vec<TorrentId> {
        let marked = self.marked(snapshot);
        if marked.is_empty() {
            self.selected.filter(|id| snapshot.torrent(*id).is_some()).into_iter().collect()
        } else {
            marked
        }
    }

    /// Returns the marked visible torrents in display order.
    #[must_use]
    pub fn marked(&self, snapshot: &Snapshot) -> Vec<TorrentId> {
        if self.panes.marks.is_empty() {
            return Vec::new();
        }
        self.visible(snapshot).filter(|id| self.panes.marks.contains(id)).collect()
    }

    /// Names torrents in a sentence: one by its name, several by their count.
    #[must_use]
    pub fn target_label(&self, snapshot: &Snapshot, targets: &[TorrentId]) -> String {
        match targets {
            [id] => snapshot.torrent(*id).map_or_else(String::new, |view| self.panes.hidden.name(*id, &view.name)),
            several => format!("{} torrents", several.len()),
        }
    }

    /// Marks or unmarks the selected torrent; in the list, moves on to the next one.
    pub fn toggle_mark(&mut self, snapshot: &Snapshot) {
        let Some(id) = self.selected else { return };
        if !self.panes.marks.remove(&id) {
            self.panes.marks.insert(id);
        }
        if self.pane == Focus::List
            && let Some(row) = self.row(snapshot)
            && let Some((next, _)) = self.rows.get(row + 1).and_then(|at| snapshot.torrents.get(*at))
        {
            self.selected = Some(*next);
        }
        self.notify_marks(snapshot);
    }

    /// Marks all visible torrents, or unmarks them if all are marked.
    pub fn toggle_all_marks(&mut self, snapshot: &Snapshot) {
        let visible: Vec<TorrentId> = self.visible(snapshot).collect();
        if visible.iter().all(|id| self.panes.marks.contains(id)) {
            self.panes.marks.clear();
        } else {
            self.panes.marks.extend(visible);
        }
        self.notify_marks(snapshot);
    }

    fn notify_marks(&mut self, snapshot: &Snapshot) {
        match self.marked(snapshot).len() {
            0 => self.notify("no torrents marked"),
            1 => self.notify("1 torrent marked: actions apply to it"),
            n => self.notify(&format!("{n} torrents marked: actions apply to all of them")),
        }
    }

    /// Opens the detail view of the selected peer, or closes the open one.
    pub fn toggle_peer_detail(&mut self, snapshot: &Snapshot) {
        if self.panes.open.take().is_some() {
            return;
        }
        if self.peer.is_none() {
            // Without a selection, opens the first peer.
            self.peer = self.peer_keys.first().copied();
        }
        self.open_selected_peer(snapshot);
        if self.panes.open.is_none() {
            self.notify("no peers connected");
        }
    }

    /// Opens the detail view of the selected peer, replacing the open one.
    pub fn open_selected_peer(&mut self, snapshot: &Snapshot) {
        let row = self.detail(snapshot).and_then(|detail| {
            let key = self.peer?;
            detail.peers.iter().find(|row| row.key == key)
        });
        if let Some(row) = row {
            self.panes.open = Some(OpenPeer { key: row.key, addr: row.addr });
        }
    }

    /// Returns whether a peer's detail view is open.
    #[must_use]
    pub fn shows_peer_detail(&self) -> bool {
        self.panes.open.is_some() && self.pane == Focus::Detail && self.tab == Tab::Peers
    }
}
