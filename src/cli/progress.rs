//! Headless progress reporting for `download`, `seed`, `share` and `demo`: lines for scripts, a progress bar for
//! people.
//!
//! The lines are a stable contract: `progress name="..." done=12.3% ..` once a second and at each change of state,
//! `complete name="..." bytes=N seconds=S` at the end, each flushed immediately. Texts in them are quoted as JSON
//! strings. Notices and errors go to standard error, each sentence once.

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
use crate::format;
use crate::wire::sanitize::{counted, escape_json_for_terminal};

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
    /// One line per second.
    Lines,
    /// One JSON object per second.
    Json,
    /// A progress bar: one line that is overwritten.
    Bar,
}

impl OutputMode {
    /// Returns the mode for these flags: a bar on a terminal, lines otherwise or with `headless`.
    #[must_use]
    pub(crate) fn fitting(headless: bool, json: bool) -> OutputMode {
        match (json, headless || !io::stdout().is_terminal()) {
            (true, _) => OutputMode::Json,
            (false, true) => OutputMode::Lines,
            (false, false) => OutputMode::Bar,
        }
    }
}

/// How long to wait for a temporary error to pass, in a run that has a stop condition.
const PATIENCE: Duration = Duration::from_secs(600);
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
        }
        .begin(engine)
    }

    fn begin(mut self, engine: &Engine) -> Self {
        if let Some(text) = engine.port_trouble() {
            self.say(None, text);
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

    fn ended(&self, end: ExitReason) -> ExitReason {
        if self.show == OutputMode::Bar {
            output::line("");
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
                self.say(None, &if why.contains(&what) { why } else { format!("{what}: {why}") });
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
        // Clears the progress bar, which is redrawn below.
        if self.show == OutputMode::Bar {
            output::rewrite("");
        }
        output::warn(&format!("ttui: {}{}{text}", of.unwrap_or_default(), if of.is_some() { ": " } else { "" }));
    }

    /// Starts to track a torrent that the engine has added.
    fn follow(&mut self, id: TorrentId) {
        self.pending = self.pending.saturating_sub(1);
        let known =
            Known { state: State::Queued, whole: None, told: false, over: false, faulty: None, given_up: false };
        self.known.entry(id).or_insert(known);
    }

    /// Prints torrents whose state has changed.
    fn changes(&mut self) {
        let snapshot = Arc::clone(&self.snapshot);
        for (id, view) in &snapshot.torrents {
            if let Some(known) = self.known.get_mut(id)
                && known.state != view.state
            {
                known.state = view.state;
                self.print(view);
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

    fn tell_complete(&self, view: &TorrentView) {
        let seconds = self.began.elapsed().as_secs_f64();
        let bytes = view.wanted;
        match self.show {
            OutputMode::Json => {
                let event = json!({ "event": "complete", "name": view.name, "bytes": bytes, "seconds": seconds });
                output::json(&event);
            }
            OutputMode::Lines => {
                let name = quoted(&view.name);
                output::line(&format!("complete name={name} bytes={bytes} seconds={seconds:.1}"));
            }
            OutputMode::Bar => {
                output::rewrite(&format!("complete: {} in {seconds:.1} s", view.name));
                output::line("");
            }
        }
    }

    /// Prints the progress of every torrent that is not over.
    fn progress(&self) {
        let mine = |id: &TorrentId| self.known.get(id).is_some_and(|known| !known.over);
        self.snapshot.torrents.iter().filter(|(id, _)| mine(id)).for_each(|(_, view)| self.print(view));
    }

    fn print(&self, view: &TorrentView) {
        match self.show {
            OutputMode::Lines => output::line(&line(view)),
            OutputMode::Json => output::json(&object(view)),
            OutputMode::Bar => output::rewrite(&bar(view)),
        }
    }
}

/// Returns the complete share in percent.
fn percent(view: &TorrentView) -> f64 {
    match view.state {
        State::Checking => 100.0 * f64::from(view.checked) / f64::from(view.pieces.max(1)),
        State::Metadata => 100.0 * f64::from(view.metadata.done) / f64::from(view.metadata.total.max(1)),
        // A magnet link has no pieces before its metadata arrive. Empty torrents are complete once they are seeding.
        _ if view.pieces == 0 && view.state != State::Seeding => 0.0,
        _ if view.wanted == 0 => 100.0,
        // Rounded down: 100 is shown only when the torrent is complete.
        _ => (1000.0 * view.done as f64 / view.wanted as f64).floor() / 10.0,
    }
}

fn line(v: &TorrentView) -> String {
    let eta = v.eta.map_or_else(|| "-".to_owned(), |eta| eta.as_secs().to_string());
    format!(
        "progress name={} done={:.1}% have={}/{} down={} up={} peers={}/{} state={} eta={eta} why={}",
        quoted(&v.name),
        percent(v),
        v.have,
        v.pieces,
        v.down,
        v.up,
        v.peers,
        v.known,
        v.state.word(),
        quoted(&v.why.sentence),
    )
}

/// Quotes a text as a JSON string, with control characters escaped.
fn quoted(text: &str) -> String {
    escape_json_for_terminal(&json!(text).to_string()).into_owned()
}

fn object(v: &TorrentView) -> serde_json::Value {
    json!({
        "event": "progress",
        "name": v.name,
        "done": percent(v),
        "have": v.have,
        "pieces": v.pieces,
        "metadata": (v.state == State::Metadata).then(|| json!({ "have": v.metadata.done, "pieces": v.metadata.total })),
        "down": v.down,
        "up": v.up,
        "downloaded": v.downloaded,
        "uploaded": v.uploaded,
        "peers": v.peers,
        "known": v.known,
        "state": v.state.word(),
        "eta": v.eta.map(|eta| eta.as_secs()),
        "error": v.error,
        "why": v.why.sentence,
    })
}

fn bar(v: &TorrentView) -> String {
    const WIDTH: usize = 24;
    let full = (percent(v) / 100.0 * WIDTH as f64) as usize;
    let name: String = v.name.chars().take(24).collect();
    format!(
        "{name} [{}{}] {:5.1}%  down {}  up {}  {}  {}",
        "#".repeat(full.min(WIDTH)),
        ".".repeat(WIDTH - full.min(WIDTH)),
        percent(v),
        format::rate(v.down),
        format::rate(v.up),
        counted(v.peers, "peer"),
        v.state.word(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;

    #[test]
    fn names_stand_in_lines_as_json_writes_them() {
        for (name, wanted) in [
            ("film.mkv", r#""film.mkv""#),
            ("cafe\u{301} नि 日本", "\"cafe\u{301} नि 日本\""),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("a\tb\u{1}", r#""a\tb\u0001""#),
            ("\u{7f}\u{9b}m\u{202e}\u{e0001}", r#""\u007f\u009bm\u202e\udb40\udc01""#),
        ] {
            assert_eq!(quoted(name), wanted);
            assert_eq!(serde_json::from_str::<String>(wanted).unwrap(), name);
        }
    }

    #[test]
    fn a_line_says_why_at_its_end() {
        let why = Reason { sentence: "no peers: \"x\" refuses".into(), numbers: Vec::new() };
        let view =
            TorrentView { name: "a b".into(), pieces: 4, have: 1, wanted: 8, done: 2, why, ..TorrentView::default() };
        let told = line(&view);
        let head = "progress name=\"a b\" done=25.0% have=1/4 down=0 up=0 peers=0/0 state=downloading eta=- why=";
        assert_eq!(told, format!("{head}{}", r#""no peers: \"x\" refuses""#));
        assert_eq!(object(&view)["why"], "no peers: \"x\" refuses");
    }
}
