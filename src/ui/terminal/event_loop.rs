//! The UI event loop: terminal, keyboard input, timers and engine events.
//!
//! ```text
//!  input thread --keys--+
//!  engine -----events---+--> drain all -> update(state) -> draw once per frame
//!  dir reader -listings-+           |
//!  a tick a second -----+           +--> commands to the engine, effects to the terminal and the dir reader
//! ```
//!
//! The terminal is always restored: when the guard is dropped, and by a panic hook before the panic message is
//! printed. A frame is drawn only after a visible change.

use std::io::{self, IsTerminal, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select};
use crossterm::event::{
    self, DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event as TerminalEvent,
    KeyCode, KeyEvent,
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
use crate::ui::app::model::App;
pub(crate) use crate::ui::app::setup::UiOptions;
use crate::ui::app::update::update;
use crate::ui::app::view::view;
use crate::ui::effect::{Effect, RESTORE_TITLE, SAVE_TITLE};
use crate::ui::state::app::{AppState, Message};
use crate::ui::terminal::ansi16;
use crate::ui::terminal::dir_reader::DirReader;
use crate::ui::terminal::drain;
use crate::ui::terminal::input::{detect_pastes, msg_of};
use crate::ui::theme::style::ColorDepth;

/// Interval of [`Message::Tick`].
const TICK: Duration = Duration::from_secs(1);
/// How often the input thread checks its stop flag.
const LOOK: Duration = Duration::from_millis(100);
/// How long to wait after a first character for a second one of the same burst.
const FIRST_GAP: Duration = Duration::from_millis(3);
/// How long to wait for the next character of a burst.
const BURST_GAP: Duration = Duration::from_millis(10);
/// Maximum number of messages handled between two frames, so that a flood of messages cannot starve drawing.
const BATCH: usize = 4096;

/// Why the UI ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The user quit.
    Quit,
    /// The user wants to see the demo again.
    Again,
    /// The stop channel fired, for example on a signal.
    Stopped,
    /// The engine has stopped.
    EngineStopped,
}

/// Restores the terminal on drop.
struct Guard;

/// The thread that draws, while the UI runs.
static DRAWING: Mutex<Option<ThreadId>> = Mutex::new(None);
static HOOK: Once = Once::new();
/// Whether the terminal has saved the previous window title, to be restored at the end.
static TITLE_SAVED: AtomicBool = AtomicBool::new(false);

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
        prepare(mouse)?;
        Ok(guard)
    }
}

/// Prepares the terminal for frames.
fn prepare(mouse: bool) -> io::Result<()> {
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
    if mouse {
        execute!(io::stdout(), EnableMouseCapture)?;
    }
    Ok(())
}

/// Gives the terminal back to the shell and stops the process, until the shell continues it.
fn suspend(state: &mut AppState) -> io::Result<()> {
    restore();
    #[cfg(unix)]
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP)?;
    prepare(state.options.mouse)?;
    // The title is saved and set anew, and all of the screen is drawn.
    state.options.window_title.clear();
    (state.redraw, state.dirty) = (true, true);
    Ok(())
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = execute!(io::stdout(), DisableMouseCapture);
        drain::discard(io::stdout());
        restore();
        set_drawing(None);
    }
}

/// Restores the terminal. Errors are ignored, so that one failed step does not skip the others.
fn restore() {
    let mut out = io::stdout();
    if TITLE_SAVED.swap(false, Ordering::Relaxed) {
        let _ = write!(out, "{RESTORE_TITLE}");
    }
    let _ = execute!(out, DisableMouseCapture);
    let _ = execute!(out, EndSynchronizedUpdate, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
    let _ = out.flush();
}

/// Installs a panic hook. A panic in the drawing thread restores the terminal before its message is printed; a panic
/// in another thread goes to the log while the UI is drawn, not over the screen.
fn chain_hook() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| match drawing() {
        Some(thread) if thread != thread::current().id() => {
            tracing::error!("thread panicked: {info}");
        }
        Some(_) => {
            restore();
            set_drawing(None);
            before(info);
        }
        None => before(info),
    }));
}

/// The input thread, which reads the terminal until this is dropped.
struct Input {
    events: Receiver<io::Result<TerminalEvent>>,
    /// Carries no messages: disconnected when the thread has ended.
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
        // After a hang-up, crossterm's `poll` spins without returning. Such a thread is left running until process
        // exit, which must not wait for the thread.
        if self.ended.recv_timeout(LOOK * 5) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the terminal is gone, and with it the thread that reads it");
            return;
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that reads the keyboard ended by a fault in the program");
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

/// Runs the UI until the user quits, `stop` fires or is disconnected, or the engine has stopped.
///
/// Blocks the calling thread, which must be the only one that writes to the terminal. `commands` must not block.
///
/// # Errors
/// Standard output is not a terminal, or the terminal cannot be read or written.
pub(crate) fn run(
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
    let few = options.options.colours != ColorDepth::Many;
    let offset = options.utc_offset;
    let mut app = options.model(size);
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    app.state.local_start = i64::try_from(unix).ok().map(|seconds| seconds + offset);
    let _guard = Guard::enter(app.state.options.mouse)?;
    let mut screen = Screen::new(few)?;
    let mut snapshot = Arc::new(Snapshot::default());
    screen.draw(&mut app, &snapshot)?;
    let picker = DirReader::start()?;
    let input = Input::start()?;
    let started = Instant::now();
    let shown = Arc::clone(&snapshot);
    let mut world = EventLoop { app, snapshot: shown, started, last_input: started, ended: None };
    let mut next_tick = world.started + TICK;
    loop {
        let deadline = if world.app.state.dirty { next_tick.min(world.next_frame(&screen)) } else { next_tick };
        select! {
            recv(picker.listings()) -> got => {
                if let Ok(listing) = got {
                    world.last_input = Instant::now();
                    world.dispatch(Message::Listing(listing), &mut commands);
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
            // Not every closed terminal sends SIGHUP, and reading keys may never return an error.
            if !io::stdout().is_terminal() {
                return Err(lost());
            }
            world.dispatch(Message::Tick(now - world.started), &mut commands);
        }
        world.execute_effects(&mut screen, &picker)?;
        if let Some(outcome) = world.outcome() {
            return Ok(outcome);
        }
        if world.app.state.dirty && now >= world.next_frame(&screen) {
            snapshot.clone_from(&world.snapshot);
            screen.draw(&mut world.app, &snapshot)?;
        }
    }
}

/// Returns an event and those that come with it: text that a terminal or a multiplexer passes on without marking it as a
/// paste comes faster than keys are pressed, but not in one piece.
fn burst(
    first: io::Result<TerminalEvent>,
    events: &Receiver<io::Result<TerminalEvent>>,
) -> Vec<io::Result<TerminalEvent>> {
    let is_text = |event: &io::Result<TerminalEvent>| {
        matches!(event, Ok(TerminalEvent::Key(KeyEvent { code: KeyCode::Char(_) | KeyCode::Enter, .. })))
    };
    let mut burst = vec![first];
    loop {
        burst.extend(events.try_iter().take(BATCH - burst.len()));
        if burst.len() >= BATCH || !burst.last().is_some_and(is_text) {
            return burst;
        }
        match events.recv_timeout(if burst.len() == 1 { FIRST_GAP } else { BURST_GAP }) {
            Ok(event) => burst.push(event),
            Err(_) => return burst,
        }
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal is gone")
}

type Drawn = Terminal<CrosstermBackend<FrameWriter>>;

/// Buffers a frame and writes it at once, so that no partial frame is visible.
struct FrameWriter {
    frame: Vec<u8>,
    /// The terminal has 8 or 16 colors and does not know the codes for 256.
    few: bool,
    stdout: Stdout,
}

impl Write for FrameWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let frame = std::mem::take(&mut self.frame);
        let written = match self.few {
            true => self.stdout.write_all(&ansi16::downgrade_colors(&frame)),
            false => self.stdout.write_all(&frame),
        };
        self.frame = frame;
        self.frame.clear();
        written?;
        self.stdout.flush()
    }
}

/// The terminal that is drawn on.
struct Screen {
    /// `None` only during drop.
    terminal: Option<Drawn>,
    drawn: Option<Instant>,
}

impl Drop for Screen {
    fn drop(&mut self) {
        // After a hang-up the cursor cannot be shown; ratatui would report that on the terminal, which would panic.
        if let Some(mut terminal) = self.terminal.take()
            && terminal.show_cursor().is_err()
        {
            std::mem::forget(terminal);
        }
    }
}

impl Screen {
    fn new(few: bool) -> io::Result<Self> {
        let out = FrameWriter { frame: Vec::with_capacity(256 * 1024), few, stdout: io::stdout() };
        Ok(Screen { terminal: Some(Terminal::new(CrosstermBackend::new(out))?), drawn: None })
    }

    /// Writes an escape sequence between two frames.
    fn write_escape(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(terminal) = &mut self.terminal else { return Ok(()) };
        terminal.backend_mut().write_all(bytes)?;
        io::Write::flush(terminal.backend_mut())
    }

    fn draw(&mut self, app: &mut App, snapshot: &Snapshot) -> io::Result<()> {
        let Some(terminal) = &mut self.terminal else { return Ok(()) };
        if std::mem::take(&mut app.state.redraw) {
            // `clear` would query the cursor position and wait for a reply that the input thread may consume:
            // forever, after a hang-up. A resize to the same size queries nothing.
            let size = terminal.size()?;
            terminal.resize(Rect::from((Position::ORIGIN, size)))?;
        }
        queue!(terminal.backend_mut(), BeginSynchronizedUpdate)?;
        terminal.draw(|frame| view(app, snapshot, frame))?;
        execute!(terminal.backend_mut(), EndSynchronizedUpdate)?;
        app.state.dirty = false;
        self.drawn = Some(Instant::now());
        Ok(())
    }
}

/// UI state, latest snapshot and timing.
struct EventLoop {
    app: App,
    snapshot: Arc<Snapshot>,
    started: Instant,
    /// Time of the last user input.
    last_input: Instant,
    ended: Option<Outcome>,
}

impl EventLoop {
    fn dispatch(&mut self, msg: Message, commands: &mut impl FnMut(Command)) {
        for command in update(&mut self.app, msg, &self.snapshot) {
            commands(command);
        }
    }

    /// Returns when the next frame may be drawn: limited by the configured frame rate, and to one per second while
    /// idle.
    fn next_frame(&self, screen: &Screen) -> Instant {
        let Some(drawn) = screen.drawn else { return Instant::now() };
        let still = self.snapshot.down + self.snapshot.up == 0
            && self.snapshot.torrents.iter().all(|(_, view)| !matches!(view.state, State::Checking | State::Moving));
        drawn + self.app.state.options.min_frame_interval(still, self.last_input.elapsed())
    }

    /// Executes the effects that the UI has queued.
    fn execute_effects(&mut self, screen: &mut Screen, picker: &DirReader) -> io::Result<()> {
        for outward in std::mem::take(&mut self.app.state.outbox) {
            if matches!(outward, Effect::Title(_)) && !TITLE_SAVED.swap(true, Ordering::Relaxed) {
                screen.write_escape(SAVE_TITLE.as_bytes())?;
            }
            screen.write_escape(&outward.bytes(self.app.state.options.notify_channels()))?;
            match outward {
                Effect::List(folder) => picker.ask(folder, false),
                Effect::ListAll(folder) => picker.ask(folder, true),
                Effect::Mouse(true) => execute!(io::stdout(), EnableMouseCapture)?,
                Effect::Mouse(false) => execute!(io::stdout(), DisableMouseCapture)?,
                Effect::Suspend => suspend(&mut self.app.state)?,
                // Only written.
                Effect::Copy(_) | Effect::Notify { .. } | Effect::Title(_) => {}
            }
        }
        Ok(())
    }

    fn outcome(&self) -> Option<Outcome> {
        match (self.app.state.quit, self.app.state.again) {
            (true, true) => Some(Outcome::Again),
            (true, false) => Some(Outcome::Quit),
            (false, _) => self.ended,
        }
    }

    /// Handles a terminal event and all pending ones.
    fn input(
        &mut self,
        first: io::Result<TerminalEvent>,
        input: &Input,
        commands: &mut impl FnMut(Command),
    ) -> io::Result<()> {
        self.last_input = Instant::now();
        let mut msgs = Vec::new();
        let mut size = None;
        for event in burst(first, &input.events) {
            match event? {
                // Only the last of several resizes counts.
                TerminalEvent::Resize(width, height) => size = Some((width, height)),
                event => msgs.extend(msg_of(event)),
            }
        }
        if let Some((width, height)) = size {
            self.dispatch(Message::Resize(width, height), commands);
        }
        detect_pastes(msgs).into_iter().for_each(|msg| self.dispatch(msg, commands));
        Ok(())
    }

    /// Handles an engine event and all pending ones; of several snapshots, only the last.
    fn events(&mut self, first: Option<Event>, events: &Receiver<Event>, commands: &mut impl FnMut(Command)) {
        if first.is_none() {
            self.ended = Some(Outcome::EngineStopped);
            return;
        }
        let mut newest = None;
        for event in first.into_iter().chain(events.try_iter()).take(BATCH) {
            match event {
                Event::Snapshot(snapshot) => newest = Some(snapshot),
                Event::Stopped => self.ended = Some(Outcome::EngineStopped),
                event => self.dispatch(Message::Event(event), commands),
            }
        }
        if let Some(snapshot) = newest {
            self.snapshot = snapshot;
            self.dispatch(Message::Snapshot, commands);
        }
    }
}
