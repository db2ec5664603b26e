//! The one place where the interface meets the world: the terminal, the keyboard, the clock.
//!
//! ```text
//!  input thread --keys--+
//!  engine -----events---+--> drain all -> update(model) -> draw once, at most 30 times a second
//!  a tick a second -----+                     |
//!                                             +--> commands to the engine
//! ```
//!
//! The terminal is put back whatever happens: when the guard is dropped, and by a panic hook before the message is
//! printed. A frame is drawn only if something that is seen has changed.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select};
use crossterm::event::{
    self, DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event as TerminalEvent,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use crate::api::{Command, Event, Snapshot};
use crate::ui::model::{Model, Msg};
use crate::ui::style::ThemeName;
use crate::ui::translate::{msg_of, unmarked_pastes};
use crate::ui::update::update;
use crate::ui::view::view;

/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(33);
/// The time between two ticks.
const TICK: Duration = Duration::from_secs(1);
/// How often the input thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// Messages handled between two frames; more wait, so that a flood of them cannot keep the screen from being drawn.
const BATCH: usize = 4096;

/// How the interface is to look.
#[derive(Clone, Debug)]
pub struct UiOptions {
    /// The colours.
    pub theme: ThemeName,
    /// Write only ASCII.
    pub ascii: bool,
    /// Take the mouse.
    pub mouse: bool,
    /// The user's home folder, for `~/` in what is typed.
    pub home: Option<String>,
}

impl UiOptions {
    /// What the environment says: `NO_COLOR`, the locale, `COLORFGBG`, `HOME`.
    #[must_use]
    pub fn from_env() -> Self {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        UiOptions {
            theme: theme_of(var("NO_COLOR").is_some(), var("TERM").as_deref(), var("COLORFGBG").as_deref()),
            ascii: !cfg!(windows) && ascii_locale(var("LC_ALL").or_else(|| var("LC_CTYPE")).or_else(|| var("LANG"))),
            mouse: true,
            home: var(if cfg!(windows) { "USERPROFILE" } else { "HOME" }),
        }
    }
}

fn theme_of(no_color: bool, term: Option<&str>, ground: Option<&str>) -> ThemeName {
    if no_color || matches!(term, Some("vt100" | "vt102" | "vt220" | "xterm-mono")) {
        return ThemeName::Plain;
    }
    // `COLORFGBG` is `foreground;background`, where 7 and 15 are the light grounds.
    match ground.and_then(|ground| ground.rsplit(';').next()) {
        Some("7" | "15") => ThemeName::Light,
        _ => ThemeName::Dark,
    }
}

fn ascii_locale(locale: Option<String>) -> bool {
    locale.is_none_or(|locale| {
        let locale = locale.to_lowercase();
        !locale.contains("utf-8") && !locale.contains("utf8")
    })
}

/// Why the interface ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The user quit.
    Quit,
    /// It was told to stop, by a signal for one.
    Stopped,
    /// The engine has stopped.
    EngineStopped,
}

/// The screen as it was before is put back when this is dropped.
struct Guard;

/// The thread that draws, while it draws.
static DRAWING: Mutex<Option<ThreadId>> = Mutex::new(None);
static HOOK: Once = Once::new();

fn drawing() -> Option<ThreadId> {
    *DRAWING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set_drawing(thread: Option<ThreadId>) {
    *DRAWING.lock().unwrap_or_else(PoisonError::into_inner) = thread;
}

impl Guard {
    fn enter(mouse: bool) -> io::Result<Self> {
        HOOK.call_once(chain_hook);
        set_drawing(Some(thread::current().id()));
        let guard = Guard;
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
        if mouse {
            execute!(io::stdout(), EnableMouseCapture)?;
        }
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
        set_drawing(None);
    }
}

/// Puts the terminal back. Goes on after an error: what can be put back is.
fn restore() {
    let mut out = io::stdout();
    let _ = execute!(out, DisableMouseCapture);
    let _ = execute!(out, EndSynchronizedUpdate, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
    let _ = out.flush();
}

/// A panic in the drawing thread puts the terminal back before its message is printed. One in another thread is that
/// thread's: while the screen is drawn it goes to the log and not over the screen.
fn chain_hook() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| match drawing() {
        Some(thread) if thread != thread::current().id() => {
            log::error!("a thread ended by a fault in the program: {info}");
        }
        Some(_) => {
            restore();
            set_drawing(None);
            before(info);
        }
        None => before(info),
    }));
}

/// The keyboard: a thread that reads the terminal until it is dropped.
struct Input {
    events: Receiver<io::Result<TerminalEvent>>,
    /// Nothing is ever sent: it is disconnected when the thread has ended.
    ended: Receiver<()>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Input {
    fn start() -> io::Result<Self> {
        let (sender, events) = bounded(1024);
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let (ending, ended) = bounded(0);
        let thread = thread::Builder::new().name("input".into()).spawn(move || {
            let _ending: Sender<()> = ending;
            read_keys(&sender, &flag);
        })?;
        Ok(Input { events, ended, stop, thread: Some(thread) })
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Where the terminal has hung up, crossterm's `poll` turns for ever without an answer. Such a thread is left to
        // the end of the process, which must not wait for it.
        if self.ended.recv_timeout(LOOK * 5) == Err(RecvTimeoutError::Timeout) {
            log::warn!("the terminal is gone, and with it the thread that reads it");
            return;
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread that reads the keyboard ended by a fault in the program");
        }
    }
}

fn read_keys(sender: &Sender<io::Result<TerminalEvent>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let event = match event::poll(LOOK) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        let last = event.is_err();
        let mut unsent = event;
        loop {
            match sender.send_timeout(unsent, LOOK) {
                Ok(()) => break,
                Err(back) if back.is_timeout() && !stop.load(Ordering::Relaxed) => unsent = back.into_inner(),
                Err(_) => return,
            }
        }
        if last {
            return;
        }
    }
}

/// Shows the interface until the user quits, `stop` says so or its sender is gone, or the engine has stopped.
///
/// Blocks the calling thread, which must be the only one that writes to the terminal. `commands` must not block.
///
/// # Errors
/// The terminal is none, or cannot be read or written.
pub fn run(
    mut commands: impl FnMut(Command),
    events: &Receiver<Event>,
    options: UiOptions,
    stop: &Receiver<()>,
) -> io::Result<Outcome> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(io::Error::other(
            "the interface needs a terminal; without one, use `ttui download` or `ttui seed` with --headless",
        ));
    }
    if std::env::var("TERM").is_ok_and(|term| term == "dumb") {
        return Err(io::Error::other(
            "the terminal (TERM=dumb) cannot place the cursor; use `ttui download` or `ttui seed` with --headless",
        ));
    }
    let size = crossterm::terminal::size()?;
    let mut model = Model::new(size, options.theme, options.ascii);
    model.home = options.home;
    let _guard = Guard::enter(options.mouse)?;
    let mut screen = Screen::new()?;
    let mut snapshot = Arc::new(Snapshot::default());
    screen.draw(&mut model, &snapshot)?;
    let input = Input::start()?;
    let mut world = World { model, snapshot: Arc::clone(&snapshot), started: Instant::now(), ended: None };
    let mut next_tick = world.started + TICK;
    loop {
        let deadline = if world.model.dirty { next_tick.min(screen.next_frame()) } else { next_tick };
        select! {
            recv(input.events) -> got => world.input(got.unwrap_or_else(|_| Err(lost())), &input, &mut commands)?,
            recv(events) -> got => world.events(got.ok(), events, &mut commands),
            recv(stop) -> _ => return Ok(Outcome::Stopped),
            default(deadline.saturating_duration_since(Instant::now())) => {}
        }
        let now = Instant::now();
        if now >= next_tick {
            next_tick = now + TICK;
            world.tell(Msg::Tick(now - world.started), &mut commands);
        }
        if let Some(outcome) = world.outcome() {
            return Ok(outcome);
        }
        if world.model.dirty && now >= screen.next_frame() {
            snapshot.clone_from(&world.snapshot);
            screen.draw(&mut world.model, &snapshot)?;
        }
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the keyboard is gone")
}

type Drawn = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// The terminal to draw on.
struct Screen {
    /// Always there until it is dropped.
    terminal: Option<Drawn>,
    drawn: Option<Instant>,
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that has hung up cannot show its cursor; ratatui would say so on it, and that would be a panic.
        if let Some(mut terminal) = self.terminal.take()
            && terminal.show_cursor().is_err()
        {
            std::mem::forget(terminal);
        }
    }
}

impl Screen {
    fn new() -> io::Result<Self> {
        // One write a frame, so that no half frame is seen.
        let out = BufWriter::with_capacity(256 * 1024, io::stdout());
        Ok(Screen { terminal: Some(Terminal::new(CrosstermBackend::new(out))?), drawn: None })
    }

    fn next_frame(&self) -> Instant {
        self.drawn.map_or_else(Instant::now, |drawn| drawn + FRAME)
    }

    fn draw(&mut self, model: &mut Model, snapshot: &Snapshot) -> io::Result<()> {
        let Some(terminal) = &mut self.terminal else { return Ok(()) };
        if std::mem::take(&mut model.redraw) {
            terminal.clear()?;
        }
        queue!(terminal.backend_mut(), BeginSynchronizedUpdate)?;
        terminal.draw(|frame| view(model, snapshot, frame))?;
        execute!(terminal.backend_mut(), EndSynchronizedUpdate)?;
        model.dirty = false;
        self.drawn = Some(Instant::now());
        Ok(())
    }
}

/// The model and what it is about.
struct World {
    model: Model,
    snapshot: Arc<Snapshot>,
    started: Instant,
    ended: Option<Outcome>,
}

impl World {
    fn tell(&mut self, msg: Msg, commands: &mut impl FnMut(Command)) {
        for command in update(&mut self.model, msg, &self.snapshot) {
            commands(command);
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        if self.model.quit { Some(Outcome::Quit) } else { self.ended }
    }

    /// Handles a terminal event and all that wait behind it.
    fn input(
        &mut self,
        first: io::Result<TerminalEvent>,
        input: &Input,
        commands: &mut impl FnMut(Command),
    ) -> io::Result<()> {
        let mut msgs = Vec::new();
        let mut size = None;
        for event in std::iter::once(first).chain(input.events.try_iter()).take(BATCH) {
            match event? {
                // Of a storm of resizes only the last counts.
                TerminalEvent::Resize(width, height) => size = Some((width, height)),
                event => msgs.extend(msg_of(event)),
            }
        }
        if let Some((width, height)) = size {
            self.tell(Msg::Resize(width, height), commands);
        }
        for msg in unmarked_pastes(msgs) {
            self.tell(msg, commands);
        }
        Ok(())
    }

    /// Handles an event of the engine and all that wait behind it; of several snapshots, only the last.
    fn events(&mut self, first: Option<Event>, events: &Receiver<Event>, commands: &mut impl FnMut(Command)) {
        if first.is_none() {
            self.ended = Some(Outcome::EngineStopped);
            return;
        }
        let mut newest = None;
        for event in first.into_iter().chain(events.try_iter()).take(BATCH) {
            let msg = match event {
                Event::Snapshot(snapshot) => {
                    newest = Some(snapshot);
                    continue;
                }
                Event::Added { id, .. } => Msg::Added(id),
                Event::Refused { what, why } => Msg::Refused(what, why),
                Event::Complete(id) => Msg::Complete(id),
                Event::Notice { text, .. } => Msg::Notice(text),
                Event::Ready(_) | Event::Inspected { .. } => continue,
                Event::Stopped => {
                    self.ended = Some(Outcome::EngineStopped);
                    continue;
                }
            };
            self.tell(msg, commands);
        }
        if let Some(snapshot) = newest {
            self.snapshot = snapshot;
            self.tell(Msg::Snapshot, commands);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_the_look() {
        assert_eq!(theme_of(true, Some("xterm-256color"), None), ThemeName::Plain);
        assert_eq!(theme_of(false, Some("xterm-256color"), Some("0;15")), ThemeName::Light);
        assert_eq!(theme_of(false, None, Some("15;0")), ThemeName::Dark);
        assert!(ascii_locale(Some("C".into())) && ascii_locale(None));
        assert!(!ascii_locale(Some("de_DE.UTF-8".into())) && !ascii_locale(Some("C.utf8".into())));
    }
}
