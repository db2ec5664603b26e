//! How the interface was left: sort orders, tab, graph and log. Kept in the config as words such as `sort=-size`.

use crate::ui::keys::context::Tab;
use crate::ui::state::app::AppState;
use crate::ui::state::columns::{self, PEER_COLUMNS, TORRENT_COLUMNS};
use crate::ui::state::rate_history::Span;
use crate::ui::state::settings::VIEW_KEY;

const SPANS: [(Span, &str); 3] = [(Span::Minute, "1m"), (Span::FiveMinutes, "5m"), (Span::Hour, "1h")];

/// Returns what differs from a fresh start.
pub fn words(state: &AppState) -> Vec<String> {
    let usual = AppState::default();
    let sort = |name: Vec<&str>, reverse: bool| format!("{}{}", if reverse { "-" } else { "" }, name.concat());
    let whose = |all: bool| if all { "all" } else { "torrent" }.to_owned();
    let all = |state: &AppState| {
        let span = SPANS.iter().find(|(span, _)| *span == state.panes.span).map_or("", |(_, word)| word);
        [
            ("sort", sort(columns::names(&[state.sort], TORRENT_COLUMNS), state.reverse)),
            ("peer-sort", sort(columns::names(&[state.peer_sort], PEER_COLUMNS), state.peer_reverse)),
            ("tab", state.tab.title().to_lowercase()),
            ("span", span.to_owned()),
            ("graph", whose(state.panes.graph_all)),
            ("log", whose(state.panes.log_all)),
        ]
    };
    let differ = all(state).into_iter().zip(all(&usual)).filter(|(now, usual)| now != usual);
    differ.map(|((key, value), _)| format!("{key}={value}")).collect()
}

/// Sets the view as these words say. Returns a sentence for each that cannot be used.
pub fn restore(state: &mut AppState, words: &[String]) -> Vec<String> {
    let unusable = words.iter().filter(|word| set(state, word).is_none());
    unusable.map(|word| format!("{VIEW_KEY}: {word} cannot be used")).collect::<Vec<_>>()
}

fn set(state: &mut AppState, word: &str) -> Option<()> {
    let (key, value) = word.split_once('=')?;
    let column = |value: &str| (vec![value.trim_start_matches('-').to_owned()], value.starts_with('-'));
    match key {
        "sort" => {
            let (name, reverse) = column(value);
            (state.sort, state.reverse) = (*columns::parse(VIEW_KEY, &name, TORRENT_COLUMNS).ok()?.first()?, reverse);
        }
        "peer-sort" => {
            let (name, reverse) = column(value);
            (state.peer_sort, state.peer_reverse) =
                (*columns::parse(VIEW_KEY, &name, PEER_COLUMNS).ok()?.first()?, reverse);
        }
        "tab" => state.tab = Tab::ALL.into_iter().find(|tab| tab.title().to_lowercase() == value)?,
        "span" => state.panes.span = SPANS.iter().find(|(_, word)| *word == value)?.0,
        "graph" => state.panes.graph_all = all_or_one(value)?,
        "log" => state.panes.log_all = all_or_one(value)?,
        _ => return None,
    }
    Some(())
}

fn all_or_one(value: &str) -> Option<bool> {
    match value {
        "all" => Some(true),
        "torrent" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::state::columns::{PeerColumn, TorrentColumn};

    #[test]
    fn what_was_left_comes_back() {
        let mut state = AppState::default();
        (state.sort, state.reverse, state.tab) = (TorrentColumn::Size, true, Tab::Files);
        (state.peer_sort, state.panes.span, state.panes.log_all) = (PeerColumn::Client, Span::Hour, true);
        let kept = words(&state);
        assert_eq!(kept, ["sort=-size", "peer-sort=client", "tab=files", "span=1h", "log=all"]);
        let mut other = AppState::default();
        assert_eq!(restore(&mut other, &kept), Vec::<String>::new());
        assert_eq!(words(&other), kept);
        let odd = ["sort=colour".to_owned(), "x".to_owned(), "tab=peers".to_owned()];
        let faults = ["view: sort=colour cannot be used", "view: x cannot be used"];
        assert_eq!(restore(&mut other, &odd), faults);
        assert_eq!((other.tab, other.sort), (Tab::Peers, TorrentColumn::Size), "the others hold");
    }
}
