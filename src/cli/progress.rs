//! Downloads and seeds without the interface: lines for scripts, a bar for people.
//!
//! The lines are a contract: `progress name="..." done=12.3% ..` once a second and at each change of state,
//! `complete name="..." bytes=N seconds=S` in the end, each flushed at once.

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

/// When a run without interface is over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Until {
    /// As soon as everything wanted is there.
    pub complete: bool,
    /// When this many times the size has been sent.
    pub ratio: Option<f64>,
    /// When it has been seeded for so long.
    pub seeded: Option<Duration>,
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

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// All there was to do is done.
    Done,
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
    refused: Vec<String>,
    complete: BTreeSet<TorrentId>,
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
            refused: Vec::new(),
            complete: BTreeSet::new(),
        }
    }

    /// Blocks until the end.
    ///
    /// # Errors
    /// When a torrent is refused and no other goes on, or when one cannot go on: one sentence.
    pub fn run(mut self) -> color_eyre::Result<End> {
        let second = tick(Duration::from_secs(1));
        loop {
            let mut seen = true;
            select! {
                recv(self.stop) -> _ => return Ok(self.ended(End::Stopped)),
                recv(self.events) -> event => match event {
                    Ok(event) => {
                        // What an event tells is in the snapshot before it, but for what is added.
                        seen = !matches!(event, Event::Notice { .. } | Event::Added { .. } | Event::Ready(_));
                        self.event(event);
                    }
                    Err(_) => bail!("the engine has stopped; its log says why"),
                },
                recv(second) -> _ => self.progress(),
            }
            if self.pending == 0 && self.known.is_empty() {
                bail!("{}", self.refused.join("; "));
            }
            if seen {
                self.look();
            }
            if self.pending == 0 && self.known.values().all(|k| k.over) {
                if !self.refused.is_empty() {
                    bail!("{}", self.refused.join("; "));
                }
                return Ok(self.ended(End::Done));
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
            Event::Added { id, .. } => {
                self.pending = self.pending.saturating_sub(1);
                self.known.insert(id, Known { state: State::Queued, whole: None, told: false, over: false });
            }
            Event::Refused { what, why } => {
                self.pending = self.pending.saturating_sub(1);
                let text = if why.contains(&what) { why } else { format!("{what}: {why}") };
                out::warn(&format!("ttui: {text}"));
                self.refused.push(text);
            }
            Event::Complete(id) => _ = self.complete.insert(id),
            Event::Notice { text, .. } => log::info!("{text}"),
            Event::Choose { .. } | Event::Ready(_) | Event::Inspected { .. } | Event::Stopped => {}
            Event::Magnets { .. } => {}
            Event::Surveyed { .. } | Event::Creating { .. } | Event::Created { .. } => {}
        }
    }

    /// Tells changes of state at once.
    fn changes(&mut self) {
        let snapshot = Arc::clone(&self.snapshot);
        for (id, view) in &snapshot.torrents {
            if let Some(known) = self.known.get_mut(id)
                && known.state != view.state
            {
                known.state = view.state;
                // Metadata that cannot be used will be the same the next time.
                known.over |= view.state == State::Error && view.pieces == 0;
                let over = known.over;
                self.print(view);
                if let (State::Error, Some(why)) = (view.state, &view.error) {
                    let text = format!("{}: {why}", view.name);
                    out::warn(&format!("ttui: {text}"));
                    self.refused.extend(over.then_some(text));
                }
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
            let sent = view.uploaded as f64 / view.size.max(1) as f64;
            known.over = self.until.complete
                || self.until.ratio.is_some_and(|ratio| sent >= ratio)
                || self.until.seeded.is_some_and(|time| now - since >= time);
            if first {
                self.tell_complete(view);
            }
        }
    }

    fn tell_complete(&self, view: &TorrentView) {
        let seconds = self.began.elapsed().as_secs_f64();
        match self.show {
            Show::Json => {
                let event = json!({ "event": "complete", "name": view.name, "bytes": view.wanted, "seconds": seconds });
                out::line(&event.to_string());
            }
            Show::Lines => {
                out::line(&format!("complete name={:?} bytes={} seconds={seconds:.1}", view.name, view.wanted));
            }
            Show::Bar => out::line(&format!("\r\x1b[Kcomplete: {} in {seconds:.1} s", view.name)),
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
            Show::Json => out::line(&object(view).to_string()),
            Show::Bar => out::part(&format!("\r\x1b[K{}", bar(view))),
        }
    }
}

/// The share that is there, in percent.
fn percent(view: &TorrentView) -> f64 {
    match view.state {
        State::Checking => 100.0 * f64::from(view.checked) / f64::from(view.pieces.max(1)),
        State::Metadata => 100.0 * f64::from(view.metadata.0) / f64::from(view.metadata.1.max(1)),
        // Nothing is known of a magnet before its metadata are here.
        _ if view.pieces == 0 => 0.0,
        _ if view.wanted == 0 => 100.0,
        // Never 100 before it is.
        _ => (1000.0 * view.done as f64 / view.wanted as f64).floor() / 10.0,
    }
}

fn line(v: &TorrentView) -> String {
    let eta = v.eta.map_or_else(|| "-".to_owned(), |eta| eta.as_secs().to_string());
    format!(
        "progress name={:?} done={:.1}% have={}/{} down={} up={} peers={}/{} state={} eta={eta}",
        v.name,
        percent(v),
        v.have,
        v.pieces,
        v.down,
        v.up,
        v.peers,
        v.known,
        v.state.word(),
    )
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
    })
}

fn bar(v: &TorrentView) -> String {
    const WIDTH: usize = 24;
    let full = (percent(v) / 100.0 * WIDTH as f64) as usize;
    let name: String = v.name.chars().take(24).collect();
    format!(
        "{name} [{}{}] {:5.1}%  down {}/s  up {}/s  {} peers  {}",
        "#".repeat(full.min(WIDTH)),
        ".".repeat(WIDTH - full.min(WIDTH)),
        percent(v),
        format_size(v.down, BINARY),
        format_size(v.up, BINARY),
        v.peers,
        v.state.word(),
    )
}
