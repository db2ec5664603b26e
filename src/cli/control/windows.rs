//! The control socket on Windows: a named pipe.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use sha1::{Digest, Sha1};
use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};

/// Returns the name of the pipe. Pipes are not files: the name is made of the path of the state directory.
fn name(state_dir: &Path) -> String {
    let path = std::path::absolute(state_dir).unwrap_or_else(|_| state_dir.to_owned());
    let digest = Sha1::digest(path.to_string_lossy().to_lowercase().as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(r"\\.\pipe\ttui-{hex}")
}

/// Connects. Reading waits as long as the server does.
pub(super) fn connect(state_dir: &Path, _patience: Duration) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(name(state_dir))
}

/// A named pipe. Its default access rights admit the user and administrators for writing.
pub(super) struct Listener {
    name: String,
    next: NamedPipeServer,
}

impl Listener {
    pub(super) fn bind(state_dir: &Path) -> io::Result<Self> {
        let name = name(state_dir);
        let next = ServerOptions::new().first_pipe_instance(true).create(&name)?;
        Ok(Listener { name, next })
    }

    pub(super) async fn accept(&mut self) -> io::Result<NamedPipeServer> {
        self.next.connect().await?;
        // The next client needs an instance of its own.
        let next = ServerOptions::new().create(&self.name)?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}
