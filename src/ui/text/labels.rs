//! Labels that several panes show: peer sources, priorities, client names.

use crate::api::{Priority, Source};
use crate::ui::text::format::{cells, clean_within, prefix};

/// Returns the label of a peer source.
pub(crate) const fn source(source: Source) -> &'static str {
    match source {
        Source::Manual => "manual",
        Source::Incoming => "incoming",
        Source::Lan => "local network",
        Source::Tracker => "trackers",
        Source::Link => "magnet link",
        Source::Pex => "peer exchange",
        Source::Dht => "DHT",
        Source::Resume => "resume data",
        Source::Web => "web seeds",
    }
}

/// Returns the label of a bandwidth priority.
pub(crate) const fn bandwidth_priority(rank: Priority) -> &'static str {
    match rank {
        Priority::Skip => "none",
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
    }
}

/// Returns the label of a priority; `None` is a directory with mixed priorities.
pub(crate) const fn file_priority(priority: Option<Priority>) -> &'static str {
    match priority {
        Some(Priority::Skip) => "skip",
        Some(Priority::Low) => "low",
        Some(Priority::Normal) => "normal",
        Some(Priority::High) => "high",
        None => "mixed",
    }
}

/// Shortens the name of a peer's client to `width` cells, first the version, then the name: `Deluge 2.2`, `Transm 4.1.3`.
pub(crate) fn client(client: &str, width: u16) -> String {
    let measured = |text: &str| cells(&clean_within(text, false, width));
    // Some clients separate name and version by a slash, as in HTTP: `libtorrent/2.0.11`.
    let Some((name, version)) =
        client.rsplit_once([' ', '/']).filter(|(_, v)| v.starts_with(|c: char| c.is_ascii_digit()))
    else {
        return client.to_owned();
    };
    let mut shorter = version;
    loop {
        if measured(name) + 1 + measured(shorter) <= width {
            return format!("{name} {shorter}");
        }
        match shorter.rsplit_once('.') {
            Some((head, _)) => shorter = head,
            None => break,
        }
    }
    let room = width.saturating_sub(measured(version) + 1);
    if room >= 4 {
        let name = clean_within(name, false, room);
        return format!("{} {version}", prefix(&name, room).0.trim_end());
    }
    // A complete name is more useful than a name that is cut before its version.
    if measured(name) <= width { name.to_owned() } else { client.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::client;

    #[test]
    fn a_client_keeps_what_tells_it_from_others() {
        let table = [
            ("qBittorrent 5.2.3", 17, "qBittorrent 5.2.3"),
            ("Transmission 4.1.3", 12, "Transm 4.1.3"),
            ("Deluge 2.2.0", 11, "Deluge 2.2"),
            ("libtorrent 2.0.11", 12, "libtorrent 2"),
            ("libtorrent 2.0.11", 10, "libtorrent"),
            ("libtorrent/2.0.11.0", 10, "libtorrent"),
            ("libtorrent/2.0.11.0", 17, "libtorrent 2.0.11"),
            ("Unknown", 4, "Unknown"),
            ("a-program-without-version 9", 3, "a-program-without-version 9"),
        ];
        for (name, width, shown) in table {
            assert_eq!(client(name, width), shown);
        }
    }
}
