//! Headless progress reporting for `download`, `seed`, `share` and `demo`: lines for scripts, progress bars for people.
//!
//! The lines are a stable contract: `progress name="..." done=12.3% ..` at each change of state, once a second while
//! something in the line changes, and once a minute otherwise; `complete name="..." bytes=N seconds=S` at the end. Each
//! is flushed immediately. Texts in them are quoted as JSON strings. Notices and errors go to standard error, each
//! sentence once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, Instant};

use color_eyre::eyre::bail;
use crossbeam_channel::{Receiver, select, tick};
use serde_json::json;

use super::output;
use crate::api::{Event, Snapshot, State, TorrentId, TorrentView};
use crate::engine::handle::Engine;
use crate::format::{self, counted};
use crate::ui::app::setup::ascii_environment;
use crate::wire::sanitize::sanitize;
use crate::words::port;
use bars::Bars;

mod bars;
mod lines;

/// When a headless run ends; the default never ends by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StopCondition {
    /// As soon as every selected file is complete.
    pub complete: bool,
    /// At this upload ratio: bytes sent in all runs divided by the selected bytes.
    pub ratio: Option<f64>,
    /// After seeding for this long.
    pub seeded: Option<Duration>,
    /// Nothing is fetched: torrents of which nothing is there have failed.
    pub seed_only: bool,
}

/// Output format of a headless run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OutputMode {
    /// Lines of `key=value` fields.
    Lines,
    /// Lines of JSON.
    Json,
    /// A progress bar for each torrent, redrawn in place.
    Bars,
}

impl OutputMode {
    /// Returns the mode for these flags: bars on a terminal, lines otherwise or with `headless`.
    #[must_use]
    pub(crate) fn fitting(headless: bool, json: bool) -> OutputMode {
        match (json, headless || !io::stdout().is_terminal()) {
            (true, _) => OutputMode::Json,
            (false, true) => OutputMode::Lines,
            (false, false) => OutputMode::Bars,
        }
    }
}

/// How long to wait for a temporary error to pass, in a run that has a stop condition.
const PATIENCE: Duration = Duration::from_secs(600);
/// Interval between two lines of a torrent of which nothing changes.
const UNCHANGED: Duration = Duration::from_secs(60);
/// Maximum number of torrents that the last words name one by one.
const NAMED: usize = 10;
/// Maximum columns of a name in a sentence.
const NAME: usize = 200;
/// Maximum number of printed sentences that are remembered for deduplication.
const SAID: usize = 10_000;

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ExitReason {
    /// Every torrent reached its stop condition.
    Done,
    /// At least one torrent failed; the cause has been printed.
    Failed,
    /// Interrupted by the user.
    Stopped,
}

/// Progress of one torrent.
struct Known {
    state: State,
    /// When the torrent became complete.
    whole: Option<Instant>,
    told: bool,
    over: bool,
    /// Since when an error has kept the torrent from continuing.
    faulty: Option<Instant>,
    /// The error will not pass during this run.
    given_up: bool,
    /// The last line printed about the torrent, and when.
    line: Option<(String, Instant)>,
}

impl StopCondition {
    /// Returns whether the run ends by itself.
    const fn ends(&self) -> bool {
        self.complete || self.ratio.is_some() || self.seeded.is_some()
    }
}

/// Reports the progress of an engine until the added torrents are done or `stop` receives a signal.
pub(crate) struct ProgressReporter<'a> {
    events: Receiver<Event>,
    stop: &'a Receiver<()>,
    show: OutputMode,
    until: StopCondition,
    began: Instant,
    snapshot: Arc<Snapshot>,
    known: BTreeMap<TorrentId, Known>,
    /// Torrents on the command line that the engine has neither added nor refused yet.
    pending: usize,
    refused: bool,
    complete: BTreeSet<TorrentId>,
    /// Sentences printed so far, each with the torrent that it is about.
    said: BTreeSet<(Option<TorrentId>, String)>,
    bars: Option<Bars>,
}

impl<'a> ProgressReporter<'a> {
    /// Creates a reporter for `engine`, to which `torrents` torrents are being added.
    #[must_use]
    pub(crate) fn new(
        engine: &Engine,
        torrents: usize,
        show: OutputMode,
        until: StopCondition,
        stop: &'a Receiver<()>,
    ) -> Self {
        let ascii = ascii_environment();
        ProgressReporter {
            events: engine.events(),
            stop,
            show,
            until,
            began: Instant::now(),
            snapshot: Arc::default(),
            known: BTreeMap::new(),
            pending: torrents,
            refused: false,
            complete: BTreeSet::new(),
            said: BTreeSet::new(),
            bars: (show == OutputMode::Bars).then(|| Bars::new(ascii)),
        }
        .begin(engine)
    }

    fn begin(mut self, engine: &Engine) -> Self {
        if engine.listening().is_degraded() {
            self.say(None, &port::listening(engine.listening()));
        }
        self
    }

    /// Blocks until the run ends.
    ///
    /// # Errors
    /// The engine has stopped.
    pub(crate) fn run(mut self) -> color_eyre::Result<ExitReason> {
        let second = tick(Duration::from_secs(1));
        loop {
            let mut seen = true;
            select! {
                recv(self.stop) -> _ => return Ok(self.ended(ExitReason::Stopped)),
                recv(self.events) -> event => match event {
                    Ok(event) => {
                        // Every other event is already reflected in the snapshot sent before it.
                        let early = matches!(event, Event::Added { .. } | Event::Known { .. });
                        seen = !early && !matches!(event, Event::Notice { .. } | Event::Checked(_));
                        self.event(event);
                    }
                    Err(_) => bail!("the engine has stopped; its log says why"),
                },
                recv(second) -> _ => self.progress(),
            }
            if seen {
                self.look();
                self.give_up();
            }
            if self.pending == 0 && self.known.values().all(|known| known.over || known.given_up) {
                let failed = self.refused || self.known.values().any(|known| !known.over);
                return Ok(self.ended(if failed { ExitReason::Failed } else { ExitReason::Done }));
            }
        }
    }

    /// Ends the display; on a terminal, with a last word about each torrent that is not over.
    fn ended(&mut self, end: ExitReason) -> ExitReason {
        let Some(mut bars) = self.bars.take() else { return end };
        bars.clear();
        let mine = |id: &TorrentId| self.known.get(id).is_some_and(|known| !known.over);
        let open: Vec<&TorrentView> =
            self.snapshot.torrents.iter().filter(|(id, _)| mine(id)).map(|(_, view)| view).collect();
        if end == ExitReason::Stopped && open.len() > NAMED {
            output::line(&format!("stopped: {}; the same command goes on", counted(open.len() as u64, "torrent")));
        } else if end == ExitReason::Stopped {
            open.iter().for_each(|view| output::line(&last_words(view)));
        }
        end
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Snapshot(snapshot) => {
                self.snapshot = snapshot;
                self.changes();
            }
            Event::Added { id, .. } => self.follow(id),
            Event::Known { id, text, .. } => {
                self.say(Some(id), &text);
                self.follow(id);
            }
            Event::AddFailed { what, why } => {
                self.pending = self.pending.saturating_sub(1);
                self.refused = true;
                let plain: String = what.chars().filter(|c| !c.is_control()).collect();
                self.say(None, &if why.contains(&plain) { why } else { format!("{what}: {why}") });
            }
            Event::Occupied { id, text, .. } => self.say(Some(id), &text),
            Event::Complete(id) => _ = self.complete.insert(id),
            Event::Notice { id, text } => {
                tracing::info!("{text}");
                self.say(id, &text);
            }
            Event::FilesKnown { .. } | Event::Checked(_) | Event::Inspected { .. } | Event::Stopped => {}
            Event::MagnetLinks { .. } => {}
            Event::CreatePreview { .. } | Event::CreateProgress { .. } | Event::Created { .. } => {}
        }
    }

    /// Prints a sentence to standard error, once.
    fn say(&mut self, id: Option<TorrentId>, text: &str) {
        if self.said.len() >= SAID || !self.said.insert((id, text.to_owned())) {
            return;
        }
        let view = id.and_then(|id| self.snapshot.torrents.iter().find(|(other, _)| *other == id));
        let of = view.map(|(_, view)| view.name.as_str()).filter(|name| !text.contains(name));
        let sentence = format!("ttui: {}{}{text}", of.unwrap_or_default(), if of.is_some() { ": " } else { "" });
        self.above(|| output::warn(&sentence));
    }

    /// Prints above the progress bars, if there are any.
    fn above(&self, print: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.above(print),
            None => print(),
        }
    }

    /// Starts to track a torrent that the engine has added.
    fn follow(&mut self, id: TorrentId) {
        self.pending = self.pending.saturating_sub(1);
        self.known.entry(id).or_insert(Known {
            state: State::Queued,
            whole: None,
            told: false,
            over: false,
            faulty: None,
            given_up: false,
            line: None,
        });
    }

    /// Prints torrents whose state has changed.
    fn changes(&mut self) {
        let snapshot = Arc::clone(&self.snapshot);
        self.draw();
        for (id, view) in &snapshot.torrents {
            if let Some(known) = self.known.get_mut(id)
                && known.state != view.state
            {
                known.state = view.state;
                self.print(*id, view);
            }
            if let (State::Error, Some(why), true) = (view.state, &view.error, self.known.contains_key(id)) {
                self.say(Some(*id), why);
            }
        }
    }

    /// Gives up on torrents that an error keeps from completing. In a run with a stop condition, an error that needs
    /// a person is not waited for, and an error that may pass by itself only for a limited time.
    fn give_up(&mut self) {
        let now = Instant::now();
        let snapshot = Arc::clone(&self.snapshot);
        for (id, view) in &snapshot.torrents {
            let Some(known) = self.known.get_mut(id).filter(|known| !known.over) else { continue };
            let Some(fault) = view.fault.filter(|_| view.state == State::Error) else {
                (known.faulty, known.given_up) = (None, false);
                continue;
            };
            let since = *known.faulty.get_or_insert(now);
            let late = fault.may_pass() && now - since >= PATIENCE;
            known.given_up = fault.is_final() || (self.until.ends() && (late || !fault.may_pass()));
            if known.given_up && late {
                let text = format!("given up after {} minutes", PATIENCE.as_secs() / 60);
                self.say(Some(*id), &format!("{text}: {}", view.error.as_deref().unwrap_or_default()));
            }
        }
    }

    /// Updates which torrents are complete, and which of them have met the stop condition.
    fn look(&mut self) {
        let now = Instant::now();
        let snapshot = Arc::clone(&self.snapshot);
        for (id, view) in &snapshot.torrents {
            // `Seeding` covers torrents whose data were already complete when added.
            let whole = view.state == State::Seeding || self.complete.contains(id);
            let Some(known) = self.known.get_mut(id).filter(|known| whole && !known.over) else { continue };
            let since = *known.whole.get_or_insert(now);
            let first = !std::mem::replace(&mut known.told, true);
            known.over = self.until.complete
                || self.until.ratio.is_some_and(|ratio| view.ratio() >= ratio)
                || self.until.seeded.is_some_and(|time| now - since >= time);
            let (have, all) = (view.have, view.pieces);
            if first && self.until.seed_only && have == 0 && all > 0 {
                known.over = true;
                self.refused = true;
                let text = "none of its pieces is there: name the folder of its data with --dir, or fetch it with \
                            ttui download";
                self.say(Some(*id), text);
            } else if first && self.until.seed_only && have < all {
                let text = format!(
                    "{have} of {all} pieces are good, and only they are seeded: ttui download fetches the rest"
                );
                self.say(Some(*id), &text);
            } else if first {
                self.tell_complete(view);
            }
        }
    }

    fn tell_complete(&mut self, view: &TorrentView) {
        let seconds = self.began.elapsed().as_secs_f64();
        let bytes = view.wanted;
        match self.show {
            OutputMode::Json => {
                let event =
                    json!({ "event": "complete", "name": lines::name(view), "bytes": bytes, "seconds": seconds });
                output::json(&event);
            }
            OutputMode::Lines => {
                let name = lines::quoted(lines::name(view));
                output::line(&format!("complete name={name} bytes={bytes} seconds={seconds:.1}"));
            }
            OutputMode::Bars => {
                let (name, size) = (sanitize(&view.name, NAME), format::size(bytes));
                self.above(|| output::line(&format!("complete: {name}, {size} in {seconds:.1} s")));
            }
        }
    }

    /// Prints the progress of every torrent that is not over.
    fn progress(&mut self) {
        let snapshot = Arc::clone(&self.snapshot);
        self.draw();
        for (id, view) in &snapshot.torrents {
            if self.known.get(id).is_some_and(|known| !known.over) {
                self.print(*id, view);
            }
        }
    }

    /// Draws the progress bars, if there are any.
    fn draw(&mut self) {
        if let Some(bars) = &mut self.bars {
            let mine = |id: &TorrentId| self.known.get(id).is_some_and(|known| !known.over);
            let views: Vec<&TorrentView> =
                self.snapshot.torrents.iter().filter(|(id, _)| mine(id)).map(|(_, view)| view).collect();
            bars.draw(&views);
        }
    }

    /// Prints the line of a torrent, unless nothing has changed since the last one and that is not long ago.
    fn print(&mut self, id: TorrentId, view: &TorrentView) {
        let Some(known) = self.known.get_mut(&id) else { return };
        let line = match self.show {
            OutputMode::Lines => lines::line(view),
            OutputMode::Json => lines::object(view).to_string(),
            OutputMode::Bars => return,
        };
        let now = Instant::now();
        if known.line.as_ref().is_some_and(|(last, at)| *last == line && now - *at < UNCHANGED) {
            return;
        }
        match self.show {
            OutputMode::Json => output::json_line(&line),
            _ => output::line(&line),
        }
        known.line = Some((line, now));
    }
}

/// Returns what a user should know about a torrent that was stopped before it was over.
fn last_words(view: &TorrentView) -> String {
    let name = sanitize(&view.name, NAME);
    match view.state {
        State::Seeding => {
            format!("stopped: {name}, {} sent, ratio {:.2}", format::size(view.uploaded), view.ratio())
        }
        _ => {
            let (share, wanted) = (lines::percent(view), format::size(view.wanted));
            format!("stopped: {name}, {share:.1}% of {wanted} is here; the same command goes on")
        }
    }
}
