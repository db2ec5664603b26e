//! The one place where the interface meets the world: the terminal, the keyboard, the clock.
//!
//! ```text
//!  input thread --keys--+
//!  engine -----events---+--> drain all -> update(model) -> draw once, at most 30 times a second
//!  picker ----folders---+                     |
//!  a tick a second -----+                     +--> commands to the engine, the outbox to terminal and picker
//! ```
//!
//! The terminal is put back whatever happens: when the guard is dropped, and by a panic hook before the message is
//! printed. A frame is drawn only if something that is seen has changed.

use std::io::{self, IsTerminal, Stdout, Write};
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
use ratatui::layout::{Position, Rect};

use crate::api::{Command, Event, Snapshot, State};
use crate::ui::create::Making;
use crate::ui::few;
pub use crate::ui::look::UiOptions;
use crate::ui::model::{Model, Msg};
use crate::ui::outward::{BRING_TITLE, KEEP_TITLE, Outward};
use crate::ui::picker::Picker;
use crate::ui::style::Colours;
use crate::ui::terminal_input;
use crate::ui::translate::{msg_of, unmarked_pastes};
use crate::ui::update::update;
use crate::ui::view::view;

/// The time between two ticks.
const TICK: Duration = Duration::from_secs(1);
/// How often the input thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// Messages handled between two frames; more wait, so that a flood of them cannot keep the screen from being drawn.
const BATCH: usize = 4096;

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
/// Whether the title of before is kept by the terminal, and is to come back.
static TITLED: AtomicBool = AtomicBool::new(false);

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
        let _ = execute!(io::stdout(), DisableMouseCapture);
        terminal_input::discard(io::stdout());
        restore();
        set_drawing(None);
    }
}

/// Puts the terminal back. Goes on after an error: what can be put back is.
fn restore() {
    let mut out = io::stdout();
    if TITLED.swap(false, Ordering::Relaxed) {
        let _ = write!(out, "{BRING_TITLE}");
    }
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
    let few = options.options.colours != Colours::Many;
    let mut model = options.model(size);
    let _guard = Guard::enter(model.options.mouse)?;
    let mut screen = Screen::new(few)?;
    let mut snapshot = Arc::new(Snapshot::default());
    screen.draw(&mut model, &snapshot)?;
    let picker = Picker::start()?;
    let input = Input::start()?;
    let started = Instant::now();
    // The consoles of Windows and of Linux know no bracketed paste. Elsewhere a flood of keys was typed by a script.
    let marks_pastes = !cfg!(windows) && std::env::var("TERM").is_ok_and(|term| term != "linux");
    let shown = Arc::clone(&snapshot);
    let mut world = World { model, snapshot: shown, started, touched: started, marks_pastes, ended: None };
    let mut next_tick = world.started + TICK;
    loop {
        let deadline = if world.model.dirty { next_tick.min(world.next_frame(&screen)) } else { next_tick };
        select! {
            recv(picker.listings()) -> got => {
                if let Ok(listing) = got {
                    world.touched = Instant::now();
                    world.tell(Msg::Listing(listing), &mut commands);
                }
            }
            recv(input.events) -> got => world.input(got.unwrap_or_else(|_| Err(lost())), &input, &mut commands)?,
            recv(events) -> got => world.events(got.ok(), events, &mut commands),
            recv(stop) -> _ => return Ok(Outcome::Stopped),
            default(deadline.saturating_duration_since(Instant::now())) => {}
        }
        let now = Instant::now();
        if now >= next_tick {
            next_tick = now + TICK;
            // Not every terminal that is gone has a signal sent, and what reads its keys may never say so.
            if !io::stdout().is_terminal() {
                return Err(lost());
            }
            world.tell(Msg::Tick(now - world.started), &mut commands);
        }
        world.send_out(&mut screen, &picker)?;
        if let Some(outcome) = world.outcome() {
            return Ok(outcome);
        }
        if world.model.dirty && now >= world.next_frame(&screen) {
            snapshot.clone_from(&world.snapshot);
            screen.draw(&mut world.model, &snapshot)?;
        }
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal is gone")
}

type Drawn = Terminal<CrosstermBackend<Out>>;

/// One write a frame, so that no half frame is seen.
struct Out {
    frame: Vec<u8>,
    /// The terminal has so few colours that it does not know the codes for many.
    few: bool,
    stdout: Stdout,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let frame = std::mem::take(&mut self.frame);
        let written = match self.few {
            true => self.stdout.write_all(&few::translated(&frame)),
            false => self.stdout.write_all(&frame),
        };
        self.frame = frame;
        self.frame.clear();
        written?;
        self.stdout.flush()
    }
}

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
    fn new(few: bool) -> io::Result<Self> {
        let out = Out { frame: Vec::with_capacity(256 * 1024), few, stdout: io::stdout() };
        Ok(Screen { terminal: Some(Terminal::new(CrosstermBackend::new(out))?), drawn: None })
    }

    /// Tells the terminal something between two frames.
    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(terminal) = &mut self.terminal else { return Ok(()) };
        terminal.backend_mut().write_all(bytes)?;
        io::Write::flush(terminal.backend_mut())
    }

    fn draw(&mut self, model: &mut Model, snapshot: &Snapshot) -> io::Result<()> {
        let Some(terminal) = &mut self.terminal else { return Ok(()) };
        if std::mem::take(&mut model.redraw) {
            // `clear` would ask the terminal where its cursor is, and wait for the answer behind the thread that reads
            // the keyboard: for ever, when the terminal has gone meanwhile. A resize to the same size asks nothing.
            let size = terminal.size()?;
            terminal.resize(Rect::from((Position::ORIGIN, size)))?;
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
    /// When the user did something last.
    touched: Instant,
    /// The terminal says of a paste that it is one; else floods of keys are taken for one.
    marks_pastes: bool,
    ended: Option<Outcome>,
}

impl World {
    fn tell(&mut self, msg: Msg, commands: &mut impl FnMut(Command)) {
        for command in update(&mut self.model, msg, &self.snapshot) {
            commands(command);
        }
    }

    /// When a change may be drawn: as often as the config allows, and once a second while nothing moves.
    fn next_frame(&self, screen: &Screen) -> Instant {
        let Some(drawn) = screen.drawn else { return Instant::now() };
        let still = self.snapshot.down + self.snapshot.up == 0
            && self.snapshot.torrents.iter().all(|(_, view)| !matches!(view.state, State::Checking | State::Moving));
        drawn + self.model.options.pause(still, self.touched.elapsed())
    }

    /// Does what the interface asks of the world beside the engine.
    fn send_out(&mut self, screen: &mut Screen, picker: &Picker) -> io::Result<()> {
        for outward in std::mem::take(&mut self.model.outbox) {
            if matches!(outward, Outward::Title(_)) && !TITLED.swap(true, Ordering::Relaxed) {
                screen.say(KEEP_TITLE.as_bytes())?;
            }
            screen.say(&outward.bytes(self.model.options.ways()))?;
            match outward {
                Outward::List(folder) => picker.ask(folder, false),
                Outward::ListAll(folder) => picker.ask(folder, true),
                Outward::Mouse(true) => execute!(io::stdout(), EnableMouseCapture)?,
                Outward::Mouse(false) => execute!(io::stdout(), DisableMouseCapture)?,
                _ => {}
            }
        }
        Ok(())
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
        self.touched = Instant::now();
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
        let msgs = if self.marks_pastes { msgs } else { unmarked_pastes(msgs) };
        msgs.into_iter().for_each(|msg| self.tell(msg, commands));
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
                Event::Known { id, text, .. } => Msg::Known(id, text),
                Event::Refused { what, why } => Msg::Refused(what, why),
                Event::Complete(id) => Msg::Complete(id),
                Event::Notice { id, text } => Msg::Notice(id, text),
                Event::Magnets { asked, links } => Msg::Magnets(asked, links),
                Event::Inspected { what, contents } => Msg::Inspected(what, contents),
                Event::Surveyed { of, planned } => Msg::Creating(Making::Surveyed(of, planned)),
                Event::Creating { what, done, total, rate } => Msg::Creating(Making::Hashed(what, (done, total), rate)),
                Event::Created { what, made } => Msg::Creating(Making::Made(what, made)),
                Event::Choose { id, contents } => Msg::Choose(id, contents),
                Event::Occupied { id, name, text, ask } => Msg::Occupied(id, name, text, ask),
                Event::Ready(_) => continue,
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
