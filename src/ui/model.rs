//! What the interface remembers between two frames: what is chosen, open, sorted and typed. No torrent's numbers are
//! kept here but the short history that the graph draws.

use std::time::Duration;

use crate::api::{Contents, Detail, Snapshot, TorrentId, TorrentView};
use crate::ui::create::Making;
pub use crate::ui::dialog::Dialog;
use crate::ui::edit::Edit;
use crate::ui::history::History;
use crate::ui::keymap::Keymap;
use crate::ui::keys::{Key, Place, Tab};
use crate::ui::options::Options;
use crate::ui::outward::Outward;
use crate::ui::panes::Panes;
use crate::ui::path::Listing;
use crate::ui::style::{Theme, ThemeName};

/// Everything that can happen to the interface.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The left button was pressed on this cell.
    Click(u16, u16),
    /// The wheel was turned over this cell; up is negative.
    Wheel(u16, u16, i32),
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
    /// Time went by: time since the interface began.
    Tick(Duration),
    /// There is a new snapshot: the one that comes with this message.
    Snapshot,
    /// This was added.
    Added(TorrentId),
    /// This was there already, and what was made of its being named once more.
    Known(TorrentId, String),
    /// This was not added: what, and why not.
    Refused(String, String),
    /// Everything wanted of it is there.
    Complete(TorrentId),
    /// The files of this magnet are known, and to be chosen.
    Choose(TorrentId, Box<Contents>),
    /// Files are in the way of a torrent: its name, which they are, and whether they may be overwritten.
    Occupied(TorrentId, String, String, bool),
    /// Something to be told to the user, and which torrent says it.
    Notice(Option<TorrentId>, String),
    /// Magnet links to be copied, and of how many torrents they were asked.
    Magnets(usize, Vec<String>),
    /// What is in a folder that was asked for.
    Listing(Listing),
    /// A torrent of one's own data has come further.
    Creating(Making),
    /// What is inside something that could be added, or why not.
    Inspected(String, Result<Box<Contents>, String>),
}

/// Which pane the keys go to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pane {
    /// The list of torrents.
    #[default]
    List,
    /// The pane with the tabs.
    Detail,
}

/// By what the torrents are sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the names of the columns")]
pub enum Sort {
    /// As they stand in the queue.
    #[default]
    Added,
    Name,
    Size,
    Done,
    Down,
    Up,
    Peers,
    Eta,
    State,
    Ratio,
    Received,
    Sent,
    Active,
    Rank,
    DownLimit,
    UpLimit,
}

/// By what the peers are sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the names of the columns")]
pub enum PeerSort {
    /// The sum of both rates.
    #[default]
    Rate,
    Down,
    Up,
    Done,
    Client,
    Address,
    Age,
    Flags,
    Requests,
    Source,
    Gives,
    Gets,
    Received,
    Sent,
    Failed,
}

/// A sentence in the status line, for a while.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// The sentence.
    pub text: String,
    /// When it goes.
    pub until: Duration,
}

/// What the interface remembers.
#[derive(Clone, Debug)]
pub struct Model {
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Time since the interface began.
    pub clock: Duration,
    /// The look.
    pub theme: Theme,
    /// The user's home folder, for `~/`.
    pub home: Option<String>,
    /// The chosen torrent.
    pub selected: Option<TorrentId>,
    /// How many torrents were asked for in the add box and are not answered yet.
    pub adding: usize,
    /// A torrent to choose as soon as the snapshot has it.
    pub wanted: Option<TorrentId>,
    /// The row that the chosen torrent had last.
    pub last_row: usize,
    /// The torrents to show, as places in the snapshot, in the order in which they are shown.
    pub rows: Vec<usize>,
    /// The same by their ids, to keep the order when the places change.
    pub row_ids: Vec<u64>,
    /// The first row shown.
    pub top: usize,
    /// By what they are sorted.
    pub sort: Sort,
    /// Whether the other way round.
    pub reverse: bool,
    /// Only names with this in them are shown.
    pub filter: Edit,
    /// Whether the filter is being typed.
    pub filtering: bool,
    /// Which pane the keys go to.
    pub pane: Pane,
    /// The open tab.
    pub tab: Tab,
    /// Whether that pane has the whole screen.
    pub zoom: bool,
    /// The peers of the focused torrent, as places in its detail, in the order in which they are shown.
    pub peers: Vec<usize>,
    /// The same by their keys, to keep the order when the places change.
    pub peer_keys: Vec<u64>,
    /// The chosen peer.
    pub peer: Option<u64>,
    /// By what they are sorted.
    pub peer_sort: PeerSort,
    /// Whether the other way round.
    pub peer_reverse: bool,
    /// When the two lists were last sorted: often enough to be true, seldom enough to be read.
    pub sorted: Duration,
    /// The first peer shown.
    pub peers_top: usize,
    /// The chosen line of each tab, where lines can be chosen; the distance from the newest line in the log.
    pub cursor: [usize; Tab::ALL.len()],
    /// The keys of this run.
    pub keymap: Keymap,
    /// What the config says of the interface.
    pub options: Options,
    /// What is asked of the world beside the engine, until `run.rs` takes it.
    pub outbox: Vec<Outward>,
    /// The layers in front, the last on top.
    pub dialogs: Vec<Dialog>,
    /// The sentence in the status line.
    pub notice: Option<Notice>,
    /// What the panes remember.
    pub panes: Panes,
    /// Rates of all torrents together.
    pub history: History,
    /// The user wants to go.
    pub quit: bool,
    /// Something that is seen has changed since the last frame.
    pub dirty: bool,
    /// Everything is to be drawn anew.
    pub redraw: bool,
}

impl Model {
    /// Where keys hold now, the narrowest place first.
    #[must_use]
    pub fn places(&self) -> [Place; 3] {
        let narrow = Place::of(self.tab).filter(|_| self.pane == Pane::Detail);
        [narrow.unwrap_or(Place::Torrents), Place::Torrents, Place::Everywhere]
    }

    /// How it begins.
    #[must_use]
    pub fn new(size: (u16, u16), theme: ThemeName, ascii: bool) -> Self {
        Model {
            size,
            clock: Duration::ZERO,
            theme: Theme::new(theme, ascii),
            home: None,
            selected: None,
            adding: 0,
            wanted: None,
            last_row: 0,
            rows: Vec::new(),
            row_ids: Vec::new(),
            top: 0,
            sort: Sort::default(),
            reverse: false,
            filter: Edit::default(),
            filtering: false,
            pane: Pane::default(),
            tab: Tab::default(),
            zoom: false,
            peers: Vec::new(),
            peer_keys: Vec::new(),
            peer: None,
            peer_sort: PeerSort::default(),
            peer_reverse: false,
            sorted: Duration::ZERO,
            peers_top: 0,
            cursor: [0; Tab::ALL.len()],
            keymap: Keymap::default(),
            options: Options::default(),
            outbox: Vec::new(),
            dialogs: Vec::new(),
            notice: None,
            panes: Panes::default(),
            history: History::default(),
            quit: false,
            dirty: true,
            redraw: false,
        }
    }

    /// The chosen torrent as the snapshot has it.
    #[must_use]
    pub fn chosen<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a TorrentView> {
        find(snapshot, self.selected?)
    }

    /// What only the focused torrent carries, if that is the chosen one.
    #[must_use]
    pub fn detail<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a Detail> {
        self.chosen(snapshot)?.detail.as_deref()
    }

    /// The row of the chosen torrent.
    #[must_use]
    pub fn row(&self, snapshot: &Snapshot) -> Option<usize> {
        let selected = self.selected?;
        self.rows.iter().position(|at| snapshot.torrents.get(*at).is_some_and(|(id, _)| *id == selected))
    }

    /// The row of the chosen peer.
    #[must_use]
    pub fn peer_row(&self, detail: &Detail) -> Option<usize> {
        let peer = self.peer?;
        self.peers.iter().position(|at| detail.peers.get(*at).is_some_and(|row| row.key == peer))
    }
}

/// A torrent of the snapshot.
#[must_use]
pub fn find(snapshot: &Snapshot, id: TorrentId) -> Option<&TorrentView> {
    snapshot.torrents.iter().find(|(other, _)| *other == id).map(|(_, view)| view)
}

/// The first line to show so that `chosen` is among `height` lines of `count`, as near to `top` as can be.
#[must_use]
pub fn scroll(top: usize, chosen: Option<usize>, height: usize, count: usize) -> usize {
    let top = top.min(count.saturating_sub(height));
    match chosen {
        Some(at) if at < top => at,
        Some(at) if height > 0 && at >= top + height => at + 1 - height,
        _ => top,
    }
}
