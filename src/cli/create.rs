//! `ttui create`: a `.torrent` of a file or a folder.

use std::io::{self, IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, bounded, select, tick};
use humansize::{BINARY, format_size};
use serde_json::json;

use super::interface::on_signal;
use super::{Common, CreateArgs, STOPPED, out};
use crate::config::size;
use crate::disk::create::hashing::Progress;
use crate::disk::create::walk::{Choice, Survey, real, survey};
use crate::disk::create::{CreateError, Made, PIECE_LEAST, PIECE_MOST, Terms, make, output, piece_length, unreadable};
use crate::limits;
use crate::wire::magnet::Magnet;
use crate::wire::metainfo::urls;
use crate::wire::text::{clean, counted};

/// The most columns of a sentence.
const TEXT: usize = 4000;
/// The time between two lines of progress.
const TICK: Duration = Duration::from_millis(200);

/// The length of a piece as it is written on the command line.
///
/// # Errors
/// What it may be.
pub fn piece(text: &str) -> Result<u32, String> {
    let wanted = size::size(text).map_err(|why| why.to_string())?;
    let fits = wanted.is_power_of_two() && (u64::from(PIECE_LEAST)..=u64::from(PIECE_MOST)).contains(&wanted);
    u32::try_from(wanted)
        .ok()
        .filter(|_| fits)
        .ok_or_else(|| "it needs a power of two from 16K to 128M, such as 256K or 4M".to_owned())
}

/// The tracker, or the trackers with commas between that are asked at random.
///
/// # Errors
/// Which is none, and why.
pub fn trackers(text: &str) -> Result<Vec<String>, String> {
    let one = |url: &str| urls::tracker(url.as_bytes()).map_err(|why| format!("{url}: {why}"));
    let several: Result<Vec<String>, String> = text.split(',').map(|url| one(url.trim())).collect();
    // A comma may be a part of an address.
    several.or_else(|why| one(text).map(|url| vec![url]).map_err(|_| why))
}

/// The address of a web seed.
///
/// # Errors
/// Why it is none.
pub fn web_seed(text: &str) -> Result<String, String> {
    urls::web_seed(text.as_bytes()).map_err(|why| why.to_string())
}

/// A name that a torrent may have.
///
/// # Errors
/// What it may not hold.
pub fn name(text: &str) -> Result<String, &'static str> {
    let plain = !matches!(text, "" | "." | "..") && !text.contains(['/', '\0']);
    let fits = plain && text.len() <= limits::PATH_COMPONENT;
    fits.then(|| text.to_owned()).ok_or("it needs the name of a file or a folder, without slashes")
}

/// Makes the `.torrent`, and prints its magnet link and its info-hash.
///
/// # Errors
/// One sentence: what cannot be read or written, or has changed meanwhile.
pub fn run(args: &CreateArgs, _: &Common) -> color_eyre::Result<ExitCode> {
    let stop = on_signal()?;
    let progress = Progress::default();
    let began = Instant::now();
    let target = args.output.clone().map_or_else(|| default_output(args), Ok)?;
    // Before hours of hashing, not after them; it is looked at again when it is written.
    output::may_write(&target, args.force)?;
    let work = || -> Result<(Survey, Made), CreateError> {
        let choice = Choice { hidden: args.include_hidden, except: Some(place(&target)) };
        let mut found = survey(&args.path, &choice, &|| progress.is_stopped())?;
        output::spares(&target, &found)?;
        if let Some(name) = &args.name {
            found.name = name.into();
        }
        let piece = args.piece_length.unwrap_or_else(|| piece_length(found.total));
        tell_left_out(&found);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        make(&found, piece, &terms(args), threads, &progress).map(|made| (found, made))
    };
    let (found, made) = match watched(work, &progress, &stop) {
        Err(CreateError::Stopped) => return Ok(ExitCode::from(STOPPED)),
        done => done?,
    };
    output::write(&target, &made.bytes, args.force)?;
    tell(args, &found, &made, &target, began.elapsed())?;
    Ok(ExitCode::SUCCESS)
}

/// What the arguments say beside the data.
fn terms(args: &CreateArgs) -> Terms {
    Terms {
        trackers: args.tracker.clone(),
        web_seeds: args.web_seed.clone(),
        private: args.private,
        comment: args.comment.clone(),
        source: args.source.clone(),
        date: now().filter(|_| !args.no_date),
    }
}

/// Seconds since 1970, by the system's clock.
pub(super) fn now() -> Option<i64> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok())
}

/// The `.torrent` goes to the current folder; where that is a part of what is shared, beside it.
fn default_output(args: &CreateArgs) -> color_eyre::Result<PathBuf> {
    let whole = real(&args.path).map_err(|why| unreadable(&args.path, &why))?;
    let name = args.name.clone().or_else(|| whole.file_name().map(|name| name.to_string_lossy().into_owned()));
    let file = output::file_name(&name.unwrap_or_default(), 1);
    let inside = real(Path::new(".")).is_ok_and(|here| here.starts_with(&whole));
    Ok(match whole.parent().filter(|_| inside) {
        Some(folder) => folder.join(file),
        None => PathBuf::from(file),
    })
}

/// Where a file that need not be there is, as the walk finds it.
fn place(target: &Path) -> PathBuf {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = real(folder).unwrap_or_else(|_| folder.to_path_buf());
    folder.join(target.file_name().unwrap_or_default())
}

/// Says what was left out.
pub(super) fn tell_left_out(found: &Survey) {
    if let Some(words) = found.left_out.words() {
        out::warn(&clean(&format!("ttui: {words} (hidden files are taken with --include-hidden)"), TEXT));
    }
}

/// Works on a thread, while this one shows how far it is and hears of signals.
pub(super) fn watched<T: Send>(work: impl FnOnce() -> T + Send, progress: &Progress, stop: &Receiver<()>) -> T {
    let shown = stderr().is_terminal();
    let began = Instant::now();
    let (tell, done) = bounded(1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The other end waits for this.
            let _ = tell.send(work());
        });
        let ticks = tick(TICK);
        loop {
            select! {
                recv(done) -> result => {
                    if shown {
                        out::status("");
                    }
                    match result {
                        Ok(result) => return result,
                        // The thread is gone without a word: its panic goes on here.
                        Err(_) => std::process::exit(i32::from(super::FAILED)),
                    }
                }
                recv(stop) -> _ => progress.stop(),
                recv(ticks) -> _ => if shown {
                    let (done, all) = progress.bytes();
                    out::status(&line(done, all, began.elapsed()));
                },
            }
        }
    })
}

/// How far it is: share, rate, time left.
fn line(done: u64, total: u64, took: Duration) -> String {
    if total == 0 {
        return "looking for files".to_owned();
    }
    let rate = done as f64 / took.as_secs_f64().max(0.001);
    let left = total.saturating_sub(done) as f64 / rate.max(1.0);
    let share = u128::from(done) * 100 / u128::from(total);
    format!(
        "{share:>3}% of {} hashed, {}/s, {left:.0} s left",
        format_size(total, BINARY),
        format_size(rate as u64, BINARY)
    )
}

/// Prints what was made, for people or for programs.
fn tell(args: &CreateArgs, found: &Survey, made: &Made, target: &Path, took: Duration) -> io::Result<()> {
    let magnet = Magnet::from(&made.meta).to_string();
    let (pieces, piece) = (made.meta.hashes.len(), made.meta.piece_length);
    let seconds = took.as_secs_f64();
    if args.json {
        let value = json!({
            "path": target.to_string_lossy(),
            "name": made.meta.name,
            "info_hash": made.meta.info_hash.to_string(),
            "magnet": magnet,
            "size": found.total,
            "files": found.files.len(),
            "pieces": pieces,
            "piece_length": piece,
            "private": made.meta.private,
            "torrent_size": made.bytes.len(),
            "left_out": found.left_out.words(),
            "remarks": made.meta.remarks,
            "seconds": seconds,
        });
        return out::print_json(&value);
    }
    let (files, pieces) = (counted(found.files.len() as u64, "file"), counted(pieces as u64, "piece"));
    let remarks: String =
        made.meta.remarks.iter().map(|remark| format!("remark     {}\n", clean(remark, TEXT))).collect();
    out::print(&format!(
        "wrote      {}\ncontent    {files}, {}, {pieces} of {}, hashed in {seconds:.1} s\n{remarks}info-hash  {}\nmagnet     {magnet}\n",
        clean(&target.display().to_string(), TEXT),
        format_size(found.total, BINARY),
        format_size(piece, BINARY),
        made.meta.info_hash,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_a_wrong_call() {
        assert_eq!((piece("16K"), piece("4M"), piece("131072")), (Ok(16 << 10), Ok(4 << 20), Ok(1 << 17)));
        for wrong in ["3", "8K", "100K", "256M", "x", "0"] {
            assert!(piece(wrong).is_err(), "{wrong}");
        }
        assert_eq!(trackers("http://a.example.org/announce,udp://b.example.org:1").map(|all| all.len()), Ok(2));
        assert_eq!(trackers("http://a.example.org/announce?a=1,2").map(|all| all.len()), Ok(1));
        for wrong in ["a", "ftp://a.example.org", "http://", "udp://a.example.org", ""] {
            assert!(trackers(wrong).is_err(), "{wrong}");
        }
        assert!(web_seed("udp://a.example.org:1").is_err() && web_seed("https://a.example.org/x").is_ok());
        assert!(name("a b").is_ok() && name("..").is_err() && name("a/b").is_err() && name("").is_err());
    }

    #[test]
    fn progress_tells_share_rate_and_time() {
        assert_eq!(line(0, 0, Duration::ZERO), "looking for files");
        let half = line(512 << 20, 1 << 30, Duration::from_secs(2));
        assert_eq!(half, " 50% of 1 GiB hashed, 256 MiB/s, 2 s left");
    }
}
