//! Sample data in a temporary directory, for `ttui demo` and `ttui bench`.

use std::fs;
use std::io::{self, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use color_eyre::eyre::WrapErr;

use crate::limits::MIB;

/// A temporary directory, removed with its contents on drop.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Creates the directory; `verb` becomes part of its name.
    ///
    /// # Errors
    /// The temporary directory cannot be written to.
    pub(crate) fn new(verb: &str) -> color_eyre::Result<Scratch> {
        let name = format!("ttui-{verb}-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let all = std::env::temp_dir();
        let path = all.join(name);
        fs::create_dir(&path).wrap_err_with(|| {
            format!("no folder can be made in {}; TMPDIR names another place for temporary files", all.display())
        })?;
        Ok(Scratch(path))
    }
}

impl Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!("the temporary folder {} stays behind: {error}", self.0.display());
        }
    }
}

/// Writes a new file of `size` incompressible bytes, the same for the same `seed`. `saw` is called with each chunk in
/// order and returns whether to continue; returns `false` if `saw` stopped the write.
///
/// # Errors
/// An I/O error, such as a full disk.
pub(crate) fn write(path: &Path, size: u64, seed: u64, mut saw: impl FnMut(&[u8]) -> bool) -> io::Result<bool> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::File::create_new(path)?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut chunk = vec![0; MIB];
    let mut left = size;
    while left > 0 {
        let now = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
        rng.fill(&mut chunk[..now]);
        if !saw(&chunk[..now]) {
            return Ok(false);
        }
        file.write_all(&chunk[..now])?;
        left -= now as u64;
    }
    Ok(true)
}
