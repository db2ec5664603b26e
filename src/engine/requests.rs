//! What the user asks for that touches files outside the downloads: the config file, exported `.torrent` files, and the
//! system's file manager. Done on threads for errands, since all of it may wait.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::api::Setting;
use crate::config::{Settings, edit, keys, text, understand};
use crate::disk::atomic;
use crate::disk::open::read_torrent;
use crate::wire::metainfo::paths::{Rules, printable};

/// A program that shows a folder and has not failed after this time shows it.
const SHOWS: Duration = Duration::from_secs(2);
/// The time between two looks whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// Writes settings into a config file, which is made if there is none. Returns all that stands in it then.
///
/// # Errors
/// One sentence: what is wrong with the file or with a value. The file is then as it was.
pub fn write_settings(path: &Path, settings: &[Setting]) -> Result<Settings, String> {
    let old = if path.exists() { text(path)? } else { String::new() };
    // A file that is wrong already is told as that, not as if the new value were.
    understand(path, &old)?;
    if let Some((key, _)) = settings.iter().find(|(key, _)| keys::wanted(key).is_none()) {
        return Err(format!("there is no key {key} of the config file {}", path.display()));
    }
    let new = edit::edit(&old, settings)
        .map_err(|why| format!("the config file {} cannot be changed: {why}", path.display()))?;
    let now = understand(path, &new).map_err(|why| format!("nothing was changed: with that, {why}"))?;
    atomic::rewrite(path, new.as_bytes())
        .map_err(|why| format!("the config file {} cannot be written: {why}", path.display()))?;
    Ok(now)
}

/// Writes a `.torrent` as it was received, from memory or from where it is kept, to a path; a folder takes it under the
/// torrent's name. Returns where it is.
///
/// # Errors
/// One part of a sentence: it is not there, or cannot be written, or there is a file of that name already.
pub fn export(held: Option<Bytes>, kept: Option<&Path>, name: &str, to: &Path) -> Result<PathBuf, String> {
    let bytes = match (held, kept) {
        (Some(bytes), _) => bytes,
        (None, Some(path)) => Bytes::from(read_torrent(path).map_err(|why| why.to_string())?),
        (None, None) => return Err("it was not kept".to_owned()),
    };
    let as_folder = to.as_os_str().as_encoded_bytes().ends_with(b"/") || to.is_dir();
    let path = match as_folder {
        true => {
            fs::create_dir_all(to).map_err(|why| format!("the folder {} cannot be made: {why}", to.display()))?;
            to.join(file_name(name))
        }
        false => to.to_path_buf(),
    };
    let failed = |why: io::Error| match why.kind() {
        io::ErrorKind::AlreadyExists => format!("{} is there already; name another file", path.display()),
        io::ErrorKind::NotFound => format!("{} cannot be written: its folder is not there", path.display()),
        _ => format!("{} cannot be written: {why}", path.display()),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    if let Err(why) = file.write_all(&bytes).and_then(|()| file.sync_all()) {
        let _ = fs::remove_file(&path);
        return Err(failed(why));
    }
    Ok(path)
}

/// The torrent's name as the name of its `.torrent`.
fn file_name(name: &str) -> String {
    const ENDING: &str = ".torrent";
    let name = printable(name.as_bytes(), Rules::HERE).unwrap_or_else(|| "_".to_owned());
    let mut end = name.len().min(crate::limits::PATH_COMPONENT - ENDING.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ENDING}", &name[..end])
}

/// Shows a folder, or the nearest one above it that is there, in the system's file manager.
///
/// # Errors
/// One sentence: why it cannot be shown.
pub fn open_folder(folder: &Path) -> Result<(), String> {
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
    Err(format!("{} cannot be shown: {why}", there.display()))
}

/// Starts a program that shows something, and waits until it has done so.
fn shows(mut command: Command) -> io::Result<()> {
    // Whatever it prints would end up in the middle of the interface.
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let until = Instant::now() + SHOWS;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(io::Error::other(format!("it ended with {status}"))),
            None if Instant::now() < until => std::thread::sleep(LOOK),
            // Some stay as long as the folder is shown.
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(key: &str, value: &str) -> Vec<Setting> {
        vec![(key.to_owned(), Some(value.to_owned()))]
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
            assert!(why.contains(words) && why.contains("config.toml") && !why.contains('\n'), "{why}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "port = 7000\n");
        fs::write(&path, "port = = 1\n# mine\n").unwrap();
        assert!(write_settings(&path, &setting("port", "7000")).unwrap_err().contains("line 1"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "port = = 1\n# mine\n");
    }

    #[test]
    fn an_export_never_writes_over_anything() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = || Some(Bytes::from_static(b"d4:infode"));
        let path = export(bytes(), None, "a film", dir.path()).unwrap();
        assert_eq!(path, dir.path().join("a film.torrent"));
        assert_eq!(fs::read(&path).unwrap(), b"d4:infode");
        assert!(export(bytes(), None, "a film", dir.path()).unwrap_err().contains("already"));
        let other = export(None, Some(&path), "x", &dir.path().join("other")).unwrap();
        assert_eq!(fs::read(other).unwrap(), b"d4:infode");
        assert!(export(bytes(), None, "x", &dir.path().join("no/where")).unwrap_err().contains("folder"));
        assert!(export(None, None, "x", dir.path()).is_err());
        assert_eq!(file_name(&"é".repeat(300)).len(), 255 - 1);
    }
}
