//! The control socket of a running interface, in the state directory: a second `ttui TORRENT` passes its torrents on.
//!
//! A request and its answer are one line of JSON each. Only the user can connect: the state directory is private to
//! the user, and on Unix so is the socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::api::{AddTorrent, Command};
#[cfg(unix)]
use unix::{Listener, connect};
#[cfg(windows)]
use windows::{Listener, connect};

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

/// Version of the requests; both sides must agree.
const VERSION: u32 = 1;
/// Maximum length of a request or an answer, in bytes.
const LONGEST: u64 = 4 << 20;
/// Time for a request and its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Wait after a failed accept, such as one for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// Torrents that a second process passes to the running one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct AddRequest {
    version: u32,
    /// Absolute paths, links and info-hashes.
    torrents: Vec<String>,
    /// Download folder; `None` for the one of the running process.
    dir: Option<PathBuf>,
}

#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Answer {
    Taken,
    Refused(String),
}

impl AddRequest {
    /// Creates a request. Paths of files become absolute: the running process has another current directory.
    pub(crate) fn new(torrents: &[String], dir: Option<&Path>) -> Self {
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let named = |what: &String| match Path::new(what) {
            path if path.exists() => whole(path).to_string_lossy().into_owned(),
            _ => what.clone(),
        };
        AddRequest { version: VERSION, torrents: torrents.iter().map(named).collect(), dir: dir.map(whole) }
    }

    /// Passes the torrents to the process that runs on `state_dir`.
    ///
    /// # Errors
    /// Nobody listens there, or the request is refused.
    pub(crate) fn send(&self, state_dir: &Path) -> io::Result<()> {
        let mut stream = connect(state_dir, PATIENCE)?;
        let line = serde_json::to_string(self)? + "\n";
        stream.write_all(line.as_bytes())?;
        let mut answer = String::new();
        BufReader::new(stream).take(LONGEST).read_line(&mut answer)?;
        match serde_json::from_str(&answer)? {
            Answer::Taken => Ok(()),
            Answer::Refused(why) => Err(io::Error::other(why)),
        }
    }
}

/// Listens on the control socket of `state_dir` until the process ends, on a thread of its own.
///
/// # Errors
/// The socket or the thread cannot be created.
pub(crate) fn listen(state_dir: &Path, engine: impl Fn(Command) + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _context = runtime.enter();
        Listener::bind(state_dir)?
    };
    std::thread::Builder::new().name("control".into()).spawn(move || runtime.block_on(serve(listener, engine)))?;
    Ok(())
}

/// Serves one connection after the other, which bounds what clients can cost.
async fn serve(mut listener: Listener, engine: impl Fn(Command)) {
    loop {
        match listener.accept().await {
            // A client that is slow or gone costs only itself.
            Ok(stream) => drop(timeout(PATIENCE, answer(stream, &engine)).await),
            Err(error) => {
                tracing::debug!("control socket: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite, engine: &impl Fn(Command)) -> io::Result<()> {
    let (read, mut write) = tokio::io::split(stream);
    let mut line = String::new();
    tokio::io::BufReader::new(read.take(LONGEST)).read_line(&mut line).await?;
    let answer = match serde_json::from_str::<AddRequest>(&line) {
        Ok(request) if request.version == VERSION => {
            for what in request.torrents {
                engine(Command::Add(AddTorrent { what, dir: request.dir.clone(), ..AddTorrent::default() }));
            }
            Answer::Taken
        }
        Ok(_) => Answer::Refused("the running ttui is of another version: stop it first".into()),
        Err(_) => Answer::Refused("the running ttui does not understand the request: stop it first".into()),
    };
    write.write_all((serde_json::to_string(&answer)? + "\n").as_bytes()).await?;
    write.shutdown().await
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use crossbeam_channel::{Receiver, unbounded};

    use super::*;

    fn listening(dir: &Path) -> io::Result<Receiver<Command>> {
        let (send, commands) = unbounded();
        listen(dir, move |command| drop(send.send(command)))?;
        Ok(commands)
    }

    #[test]
    fn what_a_second_process_names_reaches_the_running_one_with_whole_paths() {
        let dir = tempfile::tempdir().unwrap();
        let commands = listening(dir.path()).unwrap();
        let socket = dir.path().join("control.sock");
        assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        let link = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567".to_owned();
        let request = AddRequest::new(&["Cargo.toml".to_owned(), link.clone()], Some(Path::new("data")));
        request.send(dir.path()).unwrap();
        let here = std::env::current_dir().unwrap();
        for wanted in [here.join("Cargo.toml").to_string_lossy().into_owned(), link] {
            let Ok(Command::Add(add)) = commands.try_recv() else { panic!("{wanted} was not added") };
            assert_eq!((add.what, add.dir), (wanted, Some(here.join("data"))));
        }
        assert!(commands.try_recv().is_err());
    }

    #[test]
    fn garbage_and_other_versions_are_refused_and_cost_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let commands = listening(dir.path()).unwrap();
        for garbage in
            [&b"\n"[..], b"GET / HTTP/1.1\r\n\r\n", b"{\"version\":1}\n", b"\xff\xfe\n", &vec![b'['; 100_000]]
        {
            let mut stream = UnixStream::connect(dir.path().join("control.sock")).unwrap();
            stream.write_all(garbage).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            assert!(!answer.contains("Taken"), "{answer}");
        }
        let newer = AddRequest { version: VERSION + 1, ..AddRequest::new(&["x".to_owned()], None) };
        assert!(newer.send(dir.path()).unwrap_err().to_string().contains("another version"));
        assert!(commands.try_recv().is_err());
        AddRequest::new(&["y".to_owned()], None).send(dir.path()).unwrap();
        assert!(matches!(commands.recv().unwrap(), Command::Add(add) if add.what == "y"));
    }

    #[test]
    fn a_socket_that_was_left_over_is_replaced_and_none_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let request = AddRequest::new(&["x".to_owned()], None);
        assert!(request.send(dir.path()).is_err());
        drop(std::os::unix::net::UnixListener::bind(dir.path().join("control.sock")).unwrap());
        assert!(request.send(dir.path()).is_err());
        let commands = listening(dir.path()).unwrap();
        request.send(dir.path()).unwrap();
        assert!(commands.recv().is_ok());
    }
}
