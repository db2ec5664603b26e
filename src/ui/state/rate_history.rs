//! Rate history of the last hour: one sample per second for five minutes, one per ten seconds before that. Samples are
//! aggregated at fixed moments, so a graph column does not change once it is past.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::api::{Snapshot, TorrentId};

/// Time range of a graph.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Span {
    #[default]
    Minute,
    FiveMinutes,
    Hour,
}

impl Span {
    /// Returns the next time range, cyclically.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Span::Minute => Span::FiveMinutes,
            Span::FiveMinutes => Span::Hour,
            Span::Hour => Span::Minute,
        }
    }

    /// Returns the label of the time range.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Span::Minute => "1 min",
            Span::FiveMinutes => "5 min",
            Span::Hour => "1 h",
        }
    }

    /// Returns the number of samples, and the seconds per sample.
    const fn samples(self) -> (u64, u64) {
        match self {
            Span::Minute => (60, 1),
            Span::FiveMinutes => (RateHistory::SECONDS as u64, 1),
            Span::Hour => (RateHistory::TENS as u64, 10),
        }
    }
}

/// Download and upload rate in bytes per second; `u32` covers 4 GB/s.
type Sample = (u32, u32);

/// Rate history of the last hour.
#[derive(Clone, Debug, Default)]
pub struct RateHistory {
    /// One sample per second, the newest last.
    seconds: VecDeque<Sample>,
    /// Means of ten seconds each, the newest last; the last one covers the current ten seconds.
    tens: VecDeque<Sample>,
    /// Sums of both rates and the number of samples in the current ten seconds.
    sum: (u64, u64, u64),
    /// Second of the newest sample.
    second: u64,
    /// Second of the last nonzero sample.
    moved: Option<u64>,
}

impl RateHistory {
    /// Maximum number of one-second samples.
    pub const SECONDS: usize = 300;
    /// Maximum number of ten-second samples.
    pub const TENS: usize = 360;

    /// Records both rates at `clock`; missed seconds repeat the previous sample.
    pub fn note(&mut self, clock: Duration, down: u64, up: u64) {
        let second = clock.as_secs();
        let short = |rate: u64| u32::try_from(rate).unwrap_or(u32::MAX);
        let sample = (short(down), short(up));
        if self.seconds.is_empty() {
            self.push(second, sample);
            return;
        }
        let hour = (Self::TENS * 10) as u64;
        let last = self.seconds.back().copied().unwrap_or_default();
        let from = (self.second + 1).max(second.saturating_sub(hour));
        for missed in from..second {
            self.push(missed, last);
        }
        if second > self.second {
            self.push(second, sample);
        }
    }

    fn push(&mut self, second: u64, sample: Sample) {
        let new_ten = self.tens.is_empty() || second / 10 != self.second / 10;
        self.second = second;
        if sample != (0, 0) {
            self.moved = Some(second);
        }
        self.seconds.push_back(sample);
        if self.seconds.len() > Self::SECONDS {
            self.seconds.pop_front();
        }
        let (down, up, count) = if new_ten { (0, 0, 0) } else { self.sum };
        self.sum = (down + u64::from(sample.0), up + u64::from(sample.1), count + 1);
        let mean = |sum: u64| u32::try_from(sum / self.sum.2.max(1)).unwrap_or(u32::MAX);
        let ten = (mean(self.sum.0), mean(self.sum.1));
        match self.tens.back_mut() {
            Some(last) if !new_ten => *last = ten,
            _ => self.tens.push_back(ten),
        }
        if self.tens.len() > Self::TENS {
            self.tens.pop_front();
        }
    }

    /// Returns whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seconds.is_empty()
    }

    /// Returns whether any rate was nonzero within `span`.
    #[must_use]
    pub fn moved(&self, span: Span) -> bool {
        let (count, length) = span.samples();
        self.moved.is_some_and(|moved| self.second.saturating_sub(moved) <= count * length)
    }

    /// Returns the samples for a time range, and the index of the newest one counted from time zero.
    fn of(&self, span: Span) -> (&VecDeque<Sample>, u64) {
        let (_, length) = span.samples();
        (if length == 1 { &self.seconds } else { &self.tens }, self.second / length)
    }

    /// Folds the last `span` into `columns` pairs of rates, oldest first; `None` where there is no sample.
    #[must_use]
    pub fn columns(&self, span: Span, columns: usize) -> Vec<Option<(u64, u64)>> {
        let (samples, newest) = self.of(span);
        let (count, _) = span.samples();
        let width = columns.max(1) as u64;
        let sample = |number: u64| {
            let back = usize::try_from(newest.checked_sub(number)?).ok()?;
            samples.get(samples.len().checked_sub(back + 1)?).copied()
        };
        // Columns are counted from time zero as well: the last one contains the newest sample.
        let last = ((newest + 1) * width).div_ceil(count).saturating_sub(1);
        let fold = |column: u64| {
            let from = column * count / width;
            let to = ((column + 1) * count / width).max(from + 1);
            let (mut down, mut up, mut met) = (0, 0, 0);
            for (one_down, one_up) in (from..to).filter_map(sample) {
                down += u64::from(one_down);
                up += u64::from(one_up);
                met += 1;
            }
            (met > 0).then(|| (down / met, up / met))
        };
        (0..width).map(|column| fold((last + 1 + column).checked_sub(width)?)).collect()
    }

    /// Returns the maximum rates of the last `span`, at least five minutes, so that a graph's scale stays stable.
    #[must_use]
    pub fn most(&self, span: Span) -> (u64, u64) {
        let span = if span == Span::Minute { Span::FiveMinutes } else { span };
        let (samples, _) = self.of(span);
        let most = |of: fn(&Sample) -> u32| samples.iter().map(of).max().map_or(0, u64::from);
        (most(|sample| sample.0), most(|sample| sample.1))
    }
}

/// Rate history of each torrent that was active within the hour.
#[derive(Clone, Debug, Default)]
pub struct TorrentRates(BTreeMap<TorrentId, RateHistory>);

impl TorrentRates {
    /// Records the rates of all torrents at `clock`; drops torrents that were removed or idle for an hour.
    pub fn note(&mut self, clock: Duration, snapshot: &Snapshot) {
        for (id, view) in &snapshot.torrents {
            if view.down + view.up > 0 {
                self.0.entry(*id).or_default().note(clock, view.down, view.up);
            } else if let Some(history) = self.0.get_mut(id) {
                history.note(clock, 0, 0);
            }
        }
        if clock.as_secs().is_multiple_of(60) {
            let known = |id: &TorrentId| snapshot.torrents.iter().any(|(other, _)| other == id);
            self.0.retain(|id, history| history.moved(Span::Hour) && known(id));
        }
    }

    /// Returns the history of a torrent, if it was active.
    #[must_use]
    pub fn get(&self, id: TorrentId) -> Option<&RateHistory> {
        self.0.get(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::TorrentView;

    fn noted(seconds: u64) -> RateHistory {
        let mut history = RateHistory::default();
        for second in 1..=seconds {
            history.note(Duration::from_secs(second), second, second * 2);
        }
        history
    }

    #[test]
    fn a_minute_is_shown_second_by_second() {
        let shown = noted(100).columns(Span::Minute, 60);
        assert_eq!(shown.len(), 60);
        assert_eq!((shown[0], shown[59]), (Some((41, 82)), Some((100, 200))));
        let shown = noted(10).columns(Span::Minute, 60);
        assert_eq!(shown.iter().filter(|value| value.is_none()).count(), 50);
        assert_eq!(noted(100).columns(Span::Minute, 120)[118..], [Some((100, 200)); 2]);
    }

    #[test]
    fn what_is_past_does_not_change() {
        for (span, columns) in [(Span::FiveMinutes, 80), (Span::Hour, 77), (Span::Minute, 37)] {
            let mut history = noted(4000);
            let mut before = history.columns(span, columns);
            for second in 4001..4100 {
                history.note(Duration::from_secs(second), second, 0);
                let now = history.columns(span, columns);
                let moved = (0..4).find(|by| now[1..columns - 1 - by] == before[1 + by..columns - 1]);
                assert!(moved.is_some(), "{span:?} at {second}:\n{before:?}\n{now:?}");
                before = now;
            }
        }
    }

    #[test]
    fn an_hour_costs_little_and_is_bounded() {
        let history = noted(10_000);
        assert_eq!((history.seconds.len(), history.tens.len()), (RateHistory::SECONDS, RateHistory::TENS));
        let mut asleep = noted(10);
        asleep.note(Duration::from_secs(1 << 40), 7, 7);
        assert_eq!((asleep.seconds.len(), asleep.tens.len()), (RateHistory::SECONDS, RateHistory::TENS));
        assert_eq!(history.most(Span::Minute), (10_000, 20_000));
    }

    #[test]
    fn only_what_moves_is_kept() {
        let view = |down| TorrentView { down, ..TorrentView::default() };
        let mut rates = TorrentRates::default();
        let mut snapshot =
            Snapshot { torrents: vec![(TorrentId(1), view(5)), (TorrentId(2), view(0))], ..Snapshot::default() };
        rates.note(Duration::from_secs(1), &snapshot);
        assert!(rates.get(TorrentId(1)).is_some() && rates.get(TorrentId(2)).is_none());
        snapshot.torrents[0].1.down = 0;
        for second in 2..3700 {
            rates.note(Duration::from_secs(second), &snapshot);
        }
        assert!(rates.get(TorrentId(1)).is_none());
    }
}
