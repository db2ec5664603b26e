//! Sorting of the torrent and peer lists. Lists are sorted every few seconds only, so that rows stay readable.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::{PeerRow, Snapshot, TorrentView};
use crate::ui::state::app::AppState;
use crate::ui::state::columns::{PeerColumn, SortBy, TorrentColumn};
use crate::ui::text::format::cells;
use crate::ui::text::pattern;

/// Minimum time between two sorts.
const HOLD: Duration = Duration::from_secs(3);

impl AppState {
    /// Updates both lists from the snapshot; with `anew`, sorts them even before the next sort is due.
    pub fn refresh_rows(&mut self, snapshot: &Snapshot, anew: bool) {
        let anew = anew || self.clock.saturating_sub(self.sorted) >= HOLD;
        if anew {
            self.sorted = self.clock;
        }
        self.refresh_torrents(snapshot, anew);
        self.refresh_peers(snapshot, anew);
    }

    /// Sorts a list by a column; the same again reverses the order.
    pub fn sort_by(&mut self, by: SortBy, snapshot: &Snapshot) {
        match by {
            SortBy::Torrents(column) => {
                self.reverse = column == self.sort && !self.reverse;
                self.sort = column;
            }
            SortBy::Peers(column) => {
                self.peer_reverse = column == self.peer_sort && !self.peer_reverse;
                self.peer_sort = column;
            }
        }
        self.refresh_rows(snapshot, true);
    }

    fn refresh_torrents(&mut self, snapshot: &Snapshot, anew: bool) {
        let names = snapshot.torrents.iter().map(|(_, view)| view.name.as_str());
        let meant = pattern::found(names, self.filter.text());
        let all = snapshot.torrents.iter().zip(meant).enumerate();
        let shown = all.filter(|(_, ((_, view), meant))| *meant && self.panes.only.matches(view));
        let mut rows: Vec<usize> = shown.map(|(at, _)| at).collect();
        if self.sort != TorrentColumn::Queue && !anew {
            rows = keep_order(&self.row_ids, &rows, |at| u64::from(snapshot.torrents[at].0.0));
        } else if self.sort != TorrentColumn::Queue {
            rows.sort_by(|a, b| compare(&snapshot.torrents[*a].1, &snapshot.torrents[*b].1, self.sort));
        }
        if self.reverse && (anew || self.sort == TorrentColumn::Queue) {
            rows.reverse();
        }
        let shown = || rows.iter().map(|at| &snapshot.torrents[*at].1);
        self.longest_name = shown().map(|view| cells(&view.name)).max().unwrap_or(0);
        let limits = || snapshot.torrents.iter().map(|(_, view)| view.limits);
        self.limited = (limits().any(|limits| limits.down.is_some()), limits().any(|limits| limits.up.is_some()));
        self.row_ids = rows.iter().map(|at| u64::from(snapshot.torrents[*at].0.0)).collect();
        self.rows = rows;
    }

    fn refresh_peers(&mut self, snapshot: &Snapshot, anew: bool) {
        let Some(detail) = self.detail(snapshot) else {
            self.peers.clear();
            self.peer_keys.clear();
            return;
        };
        let anew = anew || self.peer_keys.is_empty();
        let mut rows: Vec<usize> = (0..detail.peers.len()).collect();
        if anew {
            rows.sort_by(|a, b| compare_peers(&detail.peers[*a], &detail.peers[*b], self.peer_sort));
            if self.peer_reverse {
                rows.reverse();
            }
        } else {
            rows = keep_order(&self.peer_keys, &rows, |at| detail.peers[at].key);
        }
        self.peer_keys = rows.iter().map(|at| detail.peers[*at].key).collect();
        self.peers = rows;
    }
}

/// Returns `rows` in the order of their keys in `before`; new rows come last.
fn keep_order(before: &[u64], rows: &[usize], key: impl Fn(usize) -> u64) -> Vec<usize> {
    let places: BTreeMap<u64, usize> = before.iter().enumerate().map(|(place, key)| (*key, place)).collect();
    let mut rows = rows.to_vec();
    rows.sort_by_key(|at| places.get(&key(*at)).copied().unwrap_or(usize::MAX));
    rows
}

fn compare(a: &TorrentView, b: &TorrentView, sort: TorrentColumn) -> Ordering {
    let share = |v: &TorrentView| v.done.saturating_mul(1000).checked_div(v.wanted).unwrap_or(u64::MAX);
    let ratio = |v: &TorrentView| u128::from(v.uploaded) * 1000 / u128::from(v.ratio_of().max(1));
    let limit = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    match sort {
        TorrentColumn::Queue | TorrentColumn::Progress => Ordering::Equal,
        TorrentColumn::Name => a.name.to_lowercase().cmp(&b.name.to_lowercase()),
        TorrentColumn::Size => b.size.cmp(&a.size),
        TorrentColumn::Done => share(a).cmp(&share(b)),
        TorrentColumn::Down => b.down.cmp(&a.down),
        TorrentColumn::Up => b.up.cmp(&a.up),
        TorrentColumn::Peers => b.peers.cmp(&a.peers),
        TorrentColumn::Eta => a.eta.unwrap_or(Duration::MAX).cmp(&b.eta.unwrap_or(Duration::MAX)),
        TorrentColumn::State => (a.state as u8).cmp(&(b.state as u8)),
        TorrentColumn::Ratio => ratio(b).cmp(&ratio(a)),
        TorrentColumn::Received => b.downloaded.cmp(&a.downloaded),
        TorrentColumn::Sent => b.uploaded.cmp(&a.uploaded),
        TorrentColumn::Active => b.active.cmp(&a.active),
        TorrentColumn::Priority => b.rank.cmp(&a.rank),
        TorrentColumn::DownLimit => limit(a.limits.down).cmp(&limit(b.limits.down)),
        TorrentColumn::UpLimit => limit(a.limits.up).cmp(&limit(b.limits.up)),
    }
}

/// Ranks a direction of a connection: interested and unchoked, interested and choked, not interested.
const fn direction_rank(wants: bool, choked: bool) -> u8 {
    match (wants, choked) {
        (true, false) => 2,
        (true, true) => 1,
        (false, _) => 0,
    }
}

fn compare_peers(a: &PeerRow, b: &PeerRow, sort: PeerColumn) -> Ordering {
    let order = match sort {
        PeerColumn::Rate => (b.down + b.up).cmp(&(a.down + a.up)),
        PeerColumn::Down => b.down.cmp(&a.down),
        PeerColumn::Up => b.up.cmp(&a.up),
        PeerColumn::Done => b.done.total_cmp(&a.done),
        PeerColumn::Client => a.client.cmp(&b.client),
        PeerColumn::Address => Ordering::Equal,
        PeerColumn::Age => b.age.cmp(&a.age),
        PeerColumn::Flags => a.flags.cmp(&b.flags),
        PeerColumn::Requests => (b.requests_out + b.requests_in).cmp(&(a.requests_out + a.requests_in)),
        PeerColumn::Source => a.source.cmp(&b.source),
        PeerColumn::Download => {
            direction_rank(b.am_interested, b.peer_choking).cmp(&direction_rank(a.am_interested, a.peer_choking))
        }
        PeerColumn::Upload => {
            direction_rank(b.peer_interested, b.am_choking).cmp(&direction_rank(a.peer_interested, a.am_choking))
        }
        PeerColumn::Received => b.downloaded.cmp(&a.downloaded),
        PeerColumn::Sent => b.uploaded.cmp(&a.uploaded),
        PeerColumn::Failed => b.failed.cmp(&a.failed),
    };
    order.then_with(|| a.addr.cmp(&b.addr)).then_with(|| Reverse(a.key).cmp(&Reverse(b.key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::TorrentId;
    use crate::ui::theme::style::ThemeName;

    fn snapshot(rates: &[u64]) -> Snapshot {
        let view = |(at, rate): (usize, &u64)| {
            (TorrentId(at as u32), TorrentView { name: format!("t{at}"), down: *rate, ..TorrentView::default() })
        };
        Snapshot { torrents: rates.iter().enumerate().map(view).collect(), ..Snapshot::default() }
    }

    #[test]
    fn rows_hold_still_for_a_while() {
        let mut model = AppState::new((80, 24), ThemeName::Dark, false);
        model.sort = TorrentColumn::Down;
        model.refresh_rows(&snapshot(&[1, 3, 2]), true);
        assert_eq!(model.rows, [1, 2, 0]);
        model.refresh_rows(&snapshot(&[9, 3, 2]), false);
        assert_eq!(model.rows, [1, 2, 0], "too soon to sort again");
        model.refresh_rows(&snapshot(&[9, 3, 2, 5]), false);
        assert_eq!(model.rows, [1, 2, 0, 3], "a new one comes last");
        model.clock = HOLD;
        model.refresh_rows(&snapshot(&[9, 3, 2, 5]), false);
        assert_eq!(model.rows, [0, 3, 1, 2]);
        model.reverse = true;
        model.filter = crate::ui::widgets::text_input::TextInput::new("T1");
        model.refresh_rows(&snapshot(&[9, 3, 2, 5]), true);
        assert_eq!(model.rows, [1]);
    }
}
