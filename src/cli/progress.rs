//! Downloads and seeds without the interface: lines for scripts, a bar for people.
//!
//! The lines are a contract: `progress name="..." done=12.3% ..` once a second and at each change of state,
//! `complete name="..." bytes=N seconds=S` in the end, each flushed at once. Texts in them are quoted as JSON quotes
//! strings. What a person should hear goes to standard error, each sentence once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, Instant};

use color_eyre::eyre::bail;
use crossbeam_channel::{Receiver, select, tick};
use humansize::{BINARY, format_size};
use serde_json::json;

use super::out;
use crate::api::{Event, Snapshot, State, TorrentId, TorrentView};
use crate::engine::handle::Engine;
use crate::wire::text::{counted, harmless_json};

/// When a run without interface is over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Until {
    /// As soon as everything wanted is there.
    pub complete: bool,
    /// When this many times the wanted bytes have been sent, over all runs.
    pub ratio: Option<f64>,
    /// When it has been seeded for so long.
    pub seeded: Option<Duration>,
    /// Nothing is fetched: torrents of which nothing is there have failed.
    pub seed_only: bool,
}

/// How progress is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Show {
    /// A line a second.
    Lines,
    /// A JSON object a second.
    Json,
    /// One line that is written over.
    Bar,
}

impl Show {
    /// What fits: a bar on a terminal, lines otherwise or when asked for.
    #[must_use]
    pub fn fitting(headless: bool, json: bool) -> Show {
        match (json, headless || !io::stdout().is_terminal()) {
            (true, _) => Show::Json,
            (false, true) => Show::Lines,
            (false, false) => Show::Bar,
        }
    }
}

/// How long a fault that may pass by itself is waited for, where the run is to end one day.
const PATIENCE: Duration = Duration::from_secs(600);
/// The most sentences of which it is remembered that they were said.
const SAID: usize = 10_000;

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// All there was to do is done.
    Done,
    /// Some of it could not be done, and why has been said.
    Failed,
    /// The user stopped it.
    Stopped,
}

/// What is known of one torrent.
struct Known {
    state: State,
    /// Since when everything is there.
    whole: Option<Instant>,
    told: bool,
    over: bool,
    /// Since when a fault keeps it from going on.
    faulty: Option<Instant>,
    /// The fault will not pass while this run lasts.
    given_up: bool,
}

impl Until {
    /// Whether the run ends by itself.
    const fn ends(&self) -> bool {
        self.complete || self.ratio.is_some() || self.seeded.is_some()
    }
}

/// Follows an engine until the torrents that were added to it are done, or `stop` says so.
pub struct Watch<'a> {
    events: Receiver<Event>,
    stop: &'a Receiver<()>,
    show: Show,
    until: Until,
    began: Instant,
    snapshot: Arc<Snapshot>,
    known: BTreeMap<TorrentId, Known>,
    /// Torrents named and neither added nor refused yet.
    pending: usize,
    refused: bool,
    complete: BTreeSet<TorrentId>,
    /// What has been said, and of which torrent.
    said: BTreeSet<(Option<TorrentId>, String)>,
}

impl<'a> Watch<'a> {
    /// Follows `engine`, to which `torrents` torrents are being added.
    #[must_use]
    pub fn new(engine: &Engine, torrents: usize, show: Show, until: Until, stop: &'a Receiver<()>) -> Self {
        Watch {
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

    /// Blocks until the end.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub fn run(mut self) -> color_eyre::Result<End> {
        let second = tick(Duration::from_secs(1));
        loop {
            let mut seen = true;
            select! {
                recv(self.stop) -> _ => return Ok(self.ended(End::Stopped)),
                recv(self.events) -> event => match event {
                    Ok(event) => {
                        // What an event tells is in the snapshot before it, but for what is added.
                        let early = matches!(event, Event::Added { .. } | Event::Known { .. });
                        seen = !early && !matches!(event, Event::Notice { .. } | Event::Ready(_));
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
                return Ok(self.ended(if failed { End::Failed } else { End::Done }));
            }
        }
    }

    fn ended(&self, end: End) -> End {
        if self.show == Show::Bar {
            out::line("");
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
            Event::Refused { what, why } => {
                self.pending = self.pending.saturating_sub(1);
                self.refused = true;
                self.say(None, &if why.contains(&what) { why } else { format!("{what}: {why}") });
            }
            Event::Occupied { id, text, .. } => self.say(Some(id), &text),
            Event::Complete(id) => _ = self.complete.insert(id),
            Event::Notice { id, text } => {
                log::info!("{text}");
                self.say(id, &text);
            }
            Event::Choose { .. } | Event::Ready(_) | Event::Inspected { .. } | Event::Stopped => {}
            Event::Magnets { .. } => {}
            Event::Surveyed { .. } | Event::Creating { .. } | Event::Created { .. } => {}
        }
    }

    /// Says something on standard error, once.
    fn say(&mut self, id: Option<TorrentId>, text: &str) {
        if self.said.len() >= SAID || !self.said.insert((id, text.to_owned())) {
            return;
        }
        let view = id.and_then(|id| self.snapshot.torrents.iter().find(|(other, _)| *other == id));
        let of = view.map(|(_, view)| view.name.as_str()).filter(|name| !text.contains(name));
        // The bar is written over, and drawn again below.
        if self.show == Show::Bar {
            out::rewrite("");
        }
        out::warn(&format!("ttui: {}{}{text}", of.unwrap_or_default(), if of.is_some() { ": " } else { "" }));
    }

    /// A torrent that was named is in the list.
    fn follow(&mut self, id: TorrentId) {
        self.pending = self.pending.saturating_sub(1);
        let known =
            Known { state: State::Queued, whole: None, told: false, over: false, faulty: None, given_up: false };
        self.known.entry(id).or_insert(known);
    }

    /// Tells changes of state at once.
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

    /// Looks which torrents a fault keeps from ever being done: where the run is to end one day, it does not wait for what
    /// only a person can put right, and for what may pass by itself not for ever.
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

    /// Looks which torrents are whole by now, and which of them have been seeded enough.
    fn look(&mut self) {
        let now = Instant::now();
        let snapshot = Arc::clone(&self.snapshot);
        for (id, view) in &snapshot.torrents {
            // The state also tells of data that were found whole.
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
        let bytes = if self.until.seed_only { view.size } else { view.wanted };
        match self.show {
            Show::Json => {
                let event = json!({ "event": "complete", "name": view.name, "bytes": bytes, "seconds": seconds });
                out::json(&event);
            }
            Show::Lines => {
                let name = quoted(&view.name);
                out::line(&format!("complete name={name} bytes={bytes} seconds={seconds:.1}"));
            }
            Show::Bar => {
                out::rewrite(&format!("complete: {} in {seconds:.1} s", view.name));
                out::line("");
            }
        }
    }

    /// Tells how far all are that are not over.
    fn progress(&self) {
        let mine = |id: &TorrentId| self.known.get(id).is_some_and(|known| !known.over);
        self.snapshot.torrents.iter().filter(|(id, _)| mine(id)).for_each(|(_, view)| self.print(view));
    }

    fn print(&self, view: &TorrentView) {
        match self.show {
            Show::Lines => out::line(&line(view)),
            Show::Json => out::json(&object(view)),
            Show::Bar => out::rewrite(&bar(view)),
        }
    }
}

/// The share that is there, in percent.
fn percent(view: &TorrentView) -> f64 {
    match view.state {
        State::Checking => 100.0 * f64::from(view.checked) / f64::from(view.pieces.max(1)),
        State::Metadata => 100.0 * f64::from(view.metadata.0) / f64::from(view.metadata.1.max(1)),
        // Nothing is known of a magnet before its metadata are here. Files without bytes are complete when they are seeded.
        _ if view.pieces == 0 && view.state != State::Seeding => 0.0,
        // Nothing of it is wanted: it seeds what is there.
        _ if view.wanted == 0 && view.pieces > 0 => {
            (1000.0 * f64::from(view.have) / f64::from(view.pieces)).floor() / 10.0
        }
        _ if view.wanted == 0 => 100.0,
        // Never 100 before it is.
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

/// A text as JSON writes it, between quotes. What a terminal might obey stands in it as an escape.
fn quoted(text: &str) -> String {
    harmless_json(&json!(text).to_string()).into_owned()
}

fn object(v: &TorrentView) -> serde_json::Value {
    json!({
        "event": "progress",
        "name": v.name,
        "done": percent(v),
        "have": v.have,
        "pieces": v.pieces,
        "metadata": (v.state == State::Metadata).then(|| json!({ "have": v.metadata.0, "pieces": v.metadata.1 })),
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
        "{name} [{}{}] {:5.1}%  down {}/s  up {}/s  {}  {}",
        "#".repeat(full.min(WIDTH)),
        ".".repeat(WIDTH - full.min(WIDTH)),
        percent(v),
        format_size(v.down, BINARY),
        format_size(v.up, BINARY),
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
