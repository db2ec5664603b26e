//! The columns of the torrent list and of the peer list: what can be shown and sorted by, and what the user chose.

use crate::ui::widgets::table::Column;

/// Config key of the columns of the torrent list.
pub const TORRENT_KEY: &str = "torrent-columns";
/// Config key of the columns of the peer list.
pub const PEER_KEY: &str = "peer-columns";

/// A column of the torrent list, and the sort order by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TorrentColumn {
    #[default]
    Queue,
    Name,
    Size,
    Progress,
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
    Priority,
    DownLimit,
    UpLimit,
}

/// A column of the peer list, and the sort order by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PeerColumn {
    Address,
    Client,
    Flags,
    Done,
    Down,
    Up,
    Requests,
    Source,
    /// Whether we are interested and may request.
    Download,
    /// Whether the peer is interested and may request.
    Upload,
    Received,
    Sent,
    Age,
    Failed,
    /// Sum of both rates.
    #[default]
    Rate,
}

/// A sort order of one of the two lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SortBy {
    Torrents(TorrentColumn),
    Peers(PeerColumn),
}

/// The columns of the torrent list, in their usual order.
pub const TORRENT_COLUMNS: &[Column<TorrentColumn>] = {
    use TorrentColumn as C;
    &[
        Column::right(C::Queue, "#", 3, 15).named("queue", "position in the queue"),
        Column::left(C::Name, "Name", 16, 0).up_to(60).named("name", "name of the torrent"),
        Column::right(C::Size, "Size", 5, 7).named("size", "size of all files"),
        Column::left(C::Progress, "", 12, 9).unsorted().named("progress", "progress bar"),
        Column::right(C::Done, "Done", 4, 1).named("done", "verified part of the selected files"),
        Column::right(C::Down, "↓/s", 5, 2).named("download-rate", "bytes received per second"),
        Column::right(C::Up, "↑/s", 5, 4).named("upload-rate", "bytes sent per second"),
        Column::right(C::Peers, "Peers", 7, 6).named("peers", "connected and known peers"),
        Column::right(C::Eta, "ETA", 5, 5).named("eta", "estimated time until complete"),
        Column::left(C::State, "State", 8, 3).named("state", "what the torrent does"),
        Column::right(C::Ratio, "Ratio", 5, 8).named("ratio", "share ratio: bytes sent by size"),
        Column::right(C::Received, "↓", 5, 10).named("received", "bytes received in total"),
        Column::right(C::Sent, "↑", 5, 11).named("sent", "bytes sent in total"),
        Column::right(C::Active, "Active", 6, 13).named("active", "time that the torrent was active"),
        Column::left(C::Priority, "Prio", 6, 12).named("priority", "bandwidth priority"),
        Column::right(C::DownLimit, "↓max", 5, 14).named("download-limit", "download limit of the torrent"),
        Column::right(C::UpLimit, "↑max", 5, 14).named("upload-limit", "upload limit of the torrent"),
    ]
};

/// The columns of the peer list, in their usual order.
pub const PEER_COLUMNS: &[Column<PeerColumn>] = {
    use PeerColumn as C;
    &[
        Column::left(C::Address, "Address", 19, 0).named("address", "address and port"),
        Column::left(C::Client, "Client", 10, 4).up_to(28).named("client", "program and version"),
        Column::left(C::Flags, "Flags", 6, 5).named("flags", "flags as in other clients"),
        Column::right(C::Done, "Done", 4, 3).named("done", "part of the torrent that the peer has"),
        Column::right(C::Down, "↓/s", 5, 1).named("download-rate", "bytes received per second"),
        Column::right(C::Up, "↑/s", 5, 2).named("upload-rate", "bytes sent per second"),
        Column::right(C::Requests, "Reqs", 6, 6).named("requests", "open requests: sent and received"),
        Column::left(C::Source, "Src", 4, 7).named("source", "where the address is from"),
        Column::left(C::Download, "Down", 5, 10).named("download", "whether we want pieces and may request them"),
        Column::left(C::Upload, "Up", 5, 11).named("upload", "whether the peer wants pieces and may request them"),
        Column::right(C::Received, "↓", 5, 8).named("received", "bytes received in total"),
        Column::right(C::Sent, "↑", 5, 9).named("sent", "bytes sent in total"),
        Column::right(C::Age, "Age", 5, 12).named("age", "time since the connection"),
        Column::right(C::Failed, "Bad", 3, 13).named("bad", "blocks in pieces that failed the hash check"),
        Column::right(C::Rate, "Rate", 5, 14).unusual().named("rate", "bytes per second in both directions"),
    ]
};

/// Returns the columns that are shown unless the config says otherwise.
#[must_use]
pub fn usual<K: Copy>(all: &[Column<K>]) -> Vec<K> {
    all.iter().filter(|column| column.usual).map(|column| column.key).collect()
}

/// Returns the columns with these names, in this order.
///
/// # Errors
/// Returns a sentence that says what is wrong, with the names that there are.
pub fn parse<K: Copy + PartialEq>(key: &str, names: &[String], all: &[Column<K>]) -> Result<Vec<K>, String> {
    let mut chosen = Vec::with_capacity(names.len());
    let wrong = |what: &str| {
        let names: Vec<&str> = all.iter().map(|column| column.name).collect();
        Err(format!("{key}: {what}; the columns are {}", names.join(", ")))
    };
    for name in names {
        match all.iter().find(|column| column.name == name) {
            None => return wrong(&format!("unknown column {name}")),
            Some(column) if chosen.contains(&column.key) => return wrong(&format!("{name} is named twice")),
            Some(column) => chosen.push(column.key),
        }
    }
    if chosen.is_empty() { wrong("name at least one column") } else { Ok(chosen) }
}

/// Returns the columns with these names, or the usual ones if there are none or one cannot be used.
#[must_use]
pub fn parse_or_usual<K: Copy + PartialEq>(names: Option<&[String]>, all: &[Column<K>]) -> Vec<K> {
    names.and_then(|names| parse("", names, all).ok()).unwrap_or_else(|| usual(all))
}

/// Returns the names of the chosen columns.
#[must_use]
pub fn names<K: Copy + PartialEq>(chosen: &[K], all: &[Column<K>]) -> Vec<&'static str> {
    let name = |key: &K| all.iter().find(|column| column.key == *key).map(|column| column.name);
    chosen.iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_name_of_its_own() {
        fn check<K: Copy + PartialEq + std::fmt::Debug>(all: &[Column<K>]) {
            for (at, column) in all.iter().enumerate() {
                assert!(!column.name.is_empty() && !column.help.is_empty(), "{column:?}");
                let same = |other: &Column<K>| other.name == column.name || other.key == column.key;
                assert!(!all[..at].iter().any(same), "{column:?}");
            }
            let names: Vec<String> = all.iter().map(|column| column.name.to_owned()).collect();
            let keys: Vec<K> = all.iter().map(|column| column.key).collect();
            assert_eq!(parse("key", &names, all), Ok(keys));
        }
        check(TORRENT_COLUMNS);
        check(PEER_COLUMNS);
    }

    #[test]
    fn names_that_cannot_be_columns_are_told_with_those_that_can() {
        let chosen = [PeerColumn::Client, PeerColumn::Address, PeerColumn::Rate];
        assert_eq!(names(&chosen, PEER_COLUMNS), ["client", "address", "rate"]);
        let says = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            parse("peer-columns", &names, PEER_COLUMNS).unwrap_err()
        };
        let unknown = says(&["client", "colour"]);
        assert!(unknown.starts_with("peer-columns: unknown column colour; the columns are address,"), "{unknown}");
        assert!(says(&["client", "client"]).starts_with("peer-columns: client is named twice; "));
        assert!(says(&[]).starts_with("peer-columns: name at least one column; "));
    }
}
