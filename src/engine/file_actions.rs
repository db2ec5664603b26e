//! Blocking file operations for user commands: writing the config file, exporting `.torrent` files, opening a folder in
//! the system's file manager. They run on the task pool.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::error::EngineError;
use crate::api::Setting;
use crate::config::{Settings, edit, keys, parse, text};
use crate::disk::atomic_file;
use crate::disk::torrent_file::read_torrent;
use crate::wire::metainfo::paths::{PathRules, printable};

/// A file manager that has not failed after this time counts as successful.
const SHOWS: Duration = Duration::from_secs(2);
/// Polling interval for the exit of the file manager.
const LOOK: Duration = Duration::from_millis(20);

/// Writes settings into a config file, creating it if needed. Returns all settings in the file.
///
/// # Errors
/// Fails if the file or a value is invalid. The file is unchanged then.
pub(crate) fn write_settings(path: &Path, settings: &[Setting]) -> Result<Settings, EngineError> {
    let old = if path.exists() { text(path)? } else { String::new() };
    // Checked first, so that an existing error is not blamed on the new value.
    parse(path, &old)?;
    if let Some(unknown) = settings.iter().find(|setting| keys::expected_value(&setting.key).is_none()) {
        return Err(EngineError::NoSetting { path: path.to_owned(), key: unknown.key.clone() });
    }
    let new = edit::edit(&old, settings).map_err(|source| EngineError::EditConfig { path: path.to_owned(), source })?;
    let now = parse(path, &new).map_err(EngineError::RejectedSetting)?;
    atomic_file::rewrite(path, new.as_bytes())
        .map_err(|source| EngineError::WriteConfig { path: path.to_owned(), source })?;
    Ok(now)
}

/// Copies a `.torrent` file as received, from memory or from the state folder, to a path. Returns the path written.
///
/// If `to` is a folder, the file is named after the torrent.
///
/// # Errors
/// Fails if there is no saved file, the path exists already, or it cannot be written.
pub(crate) fn export(held: Option<Bytes>, kept: Option<&Path>, name: &str, to: &Path) -> Result<PathBuf, EngineError> {
    let bytes = match (held, kept) {
        (Some(bytes), _) => bytes,
        (None, Some(path)) => Bytes::from(read_torrent(path)?),
        (None, None) => return Err(EngineError::NotKept),
    };
    let as_folder = to.as_os_str().as_encoded_bytes().ends_with(b"/") || to.is_dir();
    let path = match as_folder {
        true => {
            fs::create_dir_all(to).map_err(|source| EngineError::MakeFolder { path: to.to_owned(), source })?;
            to.join(file_name(name))
        }
        false => to.to_path_buf(),
    };
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => EngineError::Exists(path.clone()),
        io::ErrorKind::NotFound => EngineError::NoFolder(path.clone()),
        _ => EngineError::Write { path: path.clone(), source },
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    if let Err(why) = file.write_all(&bytes).and_then(|()| file.sync_all()) {
        let _ = fs::remove_file(&path);
        return Err(failed(why));
    }
    Ok(path)
}

/// Returns the file name of the `.torrent` file for a torrent name.
fn file_name(name: &str) -> String {
    const ENDING: &str = ".torrent";
    let name = printable(name.as_bytes(), PathRules::NATIVE).unwrap_or_else(|| "_".to_owned());
    let mut end = name.len().min(crate::limits::PATH_COMPONENT - ENDING.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ENDING}", &name[..end])
}

/// Opens a folder, or its nearest existing ancestor, in the system's file manager.
///
/// # Errors
/// Fails if no file manager can be started.
pub(crate) fn open_folder(folder: &Path) -> Result<(), EngineError> {
    let there = folder.ancestors().find(|path| path.is_dir()).unwrap_or(folder);
    let mut absent = Vec::new();
    let mut last = None;
    for command in open::commands(there) {
        let program = command.get_program().to_string_lossy().into_owned();
        match shows(command) {
            Ok(()) => return Ok(()),
            Err(why) if why.kind() == io::ErrorKind::NotFound => absent.push(program),
            Err(why) => last = Some(format!("{program}: {why}")),
        }
    }
    let why = last.unwrap_or_else(|| format!("none of {} is installed", absent.join(", ")));
    Err(EngineError::FileManager { path: there.to_owned(), why })
}

/// Starts a file manager and waits briefly for a failure.
fn shows(mut command: Command) -> io::Result<()> {
    // Its output would corrupt the terminal interface.
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let until = Instant::now() + SHOWS;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(io::Error::other(format!("it ended with {status}"))),
            None if Instant::now() < until => std::thread::sleep(LOOK),
            // Some file managers keep running while the folder is open.
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(key: &str, value: &str) -> Vec<Setting> {
        vec![Setting { key: key.to_owned(), value: Some(value.to_owned()) }]
    }

    #[test]
    fn a_file_is_made_and_what_is_wrong_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ttui/config.toml");
        assert_eq!(write_settings(&path, &setting("port", "7000")).unwrap().port, Some(7000));
        for (key, value, words) in [
            ("port", "70000", "0 to 65535"),
            ("prot", "7", "no key prot"),
            ("theme", "dark", "theme cannot be dark"),
            ("theme", "\"blue\"", "\"contrast\""),
        ] {
            let why = write_settings(&path, &setting(key, value)).unwrap_err();
            assert!(
                why.to_string().contains(words)
                    && why.to_string().contains("config.toml")
                    && !why.to_string().contains('\n'),
                "{why}"
            );
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "port = 7000\n");
        fs::write(&path, "port = = 1\n# mine\n").unwrap();
        assert!(write_settings(&path, &setting("port", "7000")).unwrap_err().to_string().contains("line 1"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "port = = 1\n# mine\n");
    }

    #[test]
    fn an_export_never_writes_over_anything() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = || Some(Bytes::from_static(b"d4:infode"));
        let path = export(bytes(), None, "a film", dir.path()).unwrap();
        assert_eq!(path, dir.path().join("a film.torrent"));
        assert_eq!(fs::read(&path).unwrap(), b"d4:infode");
        assert!(export(bytes(), None, "a film", dir.path()).unwrap_err().to_string().contains("already"));
        let other = export(None, Some(&path), "x", &dir.path().join("other")).unwrap();
        assert_eq!(fs::read(other).unwrap(), b"d4:infode");
        assert!(export(bytes(), None, "x", &dir.path().join("no/where")).unwrap_err().to_string().contains("folder"));
        assert!(export(None, None, "x", dir.path()).is_err());
        assert_eq!(file_name(&"é".repeat(300)).len(), 255 - 1);
    }
}
