//! What is left behind when the time for a shutdown is over.

use std::fmt;

use crate::format::counted;

/// What had not ended when the time for a shutdown was over.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Unfinished {
    /// Number of torrents that had not ended; `None` if the session did not end either.
    pub torrents: Option<u64>,
    /// Names of threads, for the log.
    pub threads: Vec<String>,
}

impl Unfinished {
    /// Takes over the number of torrents that still run, if the session has not ended and so did not count them.
    pub fn count_torrents(&mut self, running: usize) {
        self.torrents = self.torrents.or((running > 0).then_some(running as u64));
    }

    /// Returns a sentence for the user; `None` if no torrent is affected.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        match self.torrents {
            Some(0) => None,
            Some(1) => Some("stopped before 1 torrent had ended: it is checked at the next start".to_owned()),
            Some(n) => {
                Some(format!("stopped before {} had ended: they are checked at the next start", counted(n, "torrent")))
            }
            None => Some("stopped before its torrents had ended: they are checked at the next start".to_owned()),
        }
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let torrents = self.torrents.map_or_else(|| "all torrents".to_owned(), |n| counted(n, "torrent"));
        write!(f, "did not stop in time: {torrents}; threads: {}", self.threads.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_counts_torrents_and_names_no_threads() {
        let threads = vec!["udp".to_owned(), "torrents0".to_owned()];
        for (torrents, told) in [
            (Some(0), None),
            (Some(1), Some("stopped before 1 torrent had ended: it is checked at the next start")),
            (Some(1595), Some("stopped before 1595 torrents had ended: they are checked at the next start")),
            (None, Some("stopped before its torrents had ended: they are checked at the next start")),
        ] {
            let unfinished = Unfinished { torrents, threads: threads.clone() };
            assert_eq!(unfinished.sentence().as_deref(), told);
            assert!(unfinished.to_string().ends_with("threads: udp, torrents0"));
        }
        for (torrents, running, counted) in [(None, 2, Some(2)), (None, 0, None), (Some(3), 1, Some(3))] {
            let mut it = Unfinished { torrents, threads: vec!["session".to_owned()] };
            it.count_torrents(running);
            assert_eq!(it.torrents, counted, "{it}");
        }
    }
}
