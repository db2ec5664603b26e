//! The control socket on Unix: a socket in the state directory.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("control.sock")
}

/// Connects; reading and writing fail after `patience`.
pub(super) fn connect(state_dir: &Path, patience: Duration) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path(state_dir))?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}

/// A Unix socket. The caller holds the lock of the state directory, so one that is there is left over.
pub(super) struct Listener(tokio::net::UnixListener);

impl Listener {
    pub(super) fn bind(state_dir: &Path) -> io::Result<Self> {
        let path = path(state_dir);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = tokio::net::UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Listener(listener))
    }

    pub(super) async fn accept(&mut self) -> io::Result<tokio::net::UnixStream> {
        let (stream, _) = self.0.accept().await?;
        let ours = rustix::process::geteuid().as_raw();
        match stream.peer_cred()?.uid() {
            uid if uid == ours || uid == 0 => Ok(stream),
            uid => Err(io::Error::other(format!("user {uid} may not use it"))),
        }
    }
}
