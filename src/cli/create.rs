//! `ttui create`: creates a `.torrent` from a file or directory.

use std::io::{self, IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, select, tick};
use serde_json::json;

use super::args::{Common, CreateArgs};
use super::engine_run::on_signal;
use super::exit_status::{FAILED, STOPPED};
use super::output;
use crate::clock::unix_seconds;
use crate::disk::create::hashing::Progress;
use crate::disk::create::scan::{FileScan, ScanOptions, real, scan_files};
use crate::disk::create::{BuiltTorrent, CreateError, CreateOptions, make, piece_length, torrent_writer, unreadable};
use crate::format::{self, counted};
use crate::wire::magnet::Magnet;
use crate::wire::sanitize::sanitize;

/// Maximum columns of a printed sentence.
const TEXT: usize = 4000;
/// Interval between progress lines.
const TICK: Duration = Duration::from_millis(200);

/// Creates the `.torrent` and prints its magnet link and info-hash.
///
/// # Errors
/// A file cannot be read or written, or changed while it was hashed.
pub(crate) fn run(args: &CreateArgs, _: &Common) -> color_eyre::Result<ExitCode> {
    let stop = on_signal()?;
    let progress = Progress::default();
    let began = Instant::now();
    let target = args.output.clone().map_or_else(|| default_output(args), Ok)?;
    // Fails before hours of hashing rather than after; checked again when the file is written.
    torrent_writer::may_write(&target, args.force)?;
    let work = || -> Result<(FileScan, BuiltTorrent), CreateError> {
        let choice = ScanOptions { hidden: args.include_hidden, except: Some(place(&target)) };
        let mut found = scan_files(&args.path, &choice, &|| progress.is_stopped())?;
        torrent_writer::spares(&target, &found)?;
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
    torrent_writer::write(&target, &made.bytes, args.force)?;
    tell(args, &found, &made, &target, began.elapsed())?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the [`CreateOptions`] from the arguments.
fn terms(args: &CreateArgs) -> CreateOptions {
    CreateOptions {
        trackers: args.tracker.clone(),
        web_seeds: args.web_seed.clone(),
        private: args.private,
        comment: args.comment.clone(),
        source: args.source.clone(),
        date: now().filter(|_| !args.no_date),
    }
}

/// Returns the current time in seconds since 1970, for the creation date.
pub(super) fn now() -> Option<i64> {
    unix_seconds().and_then(|now| i64::try_from(now).ok())
}

/// Returns the default output path: the current directory, or beside the data if the current directory is part of the
/// data.
fn default_output(args: &CreateArgs) -> color_eyre::Result<PathBuf> {
    let whole = real(&args.path).map_err(|why| unreadable(&args.path, &why))?;
    let name = args.name.clone().or_else(|| whole.file_name().map(|name| name.to_string_lossy().into_owned()));
    let file = torrent_writer::file_name(&name.unwrap_or_default(), 1);
    let inside = real(Path::new(".")).is_ok_and(|here| here.starts_with(&whole));
    Ok(match whole.parent().filter(|_| inside) {
        Some(folder) => folder.join(file),
        None => PathBuf::from(file),
    })
}

/// Returns the path of a file that may not exist yet, in the form in which the directory scan reports it.
fn place(target: &Path) -> PathBuf {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = real(folder).unwrap_or_else(|_| folder.to_path_buf());
    folder.join(target.file_name().unwrap_or_default())
}

/// Warns about files that the scan skipped.
pub(super) fn tell_left_out(found: &FileScan) {
    if let Some(words) = found.left_out.words() {
        output::warn(&sanitize(&format!("ttui: {words} (hidden files are taken with --include-hidden)"), TEXT));
    }
}

/// Runs `work` on a thread while this thread shows its progress and handles signals.
pub(super) fn watched<T: Send>(work: impl FnOnce() -> T + Send, progress: &Progress, stop: &Receiver<()>) -> T {
    let shown = stderr().is_terminal();
    let began = Instant::now();
    let (tell, done) = bounded(1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The receiver outlives this thread.
            let _ = tell.send(work());
        });
        let ticks = tick(TICK);
        loop {
            select! {
                recv(done) -> result => {
                    if shown {
                        output::status("");
                    }
                    match result {
                        Ok(result) => return result,
                        // The worker panicked: the panic message is already printed.
                        Err(_) => std::process::exit(i32::from(FAILED)),
                    }
                }
                recv(stop) -> _ => progress.stop(),
                recv(ticks) -> _ => if shown {
                    let (done, all) = progress.bytes();
                    output::status(&line(done, all, began.elapsed()));
                },
            }
        }
    })
}

/// Formats a progress line: percentage, rate, time left.
fn line(done: u64, total: u64, took: Duration) -> String {
    if total == 0 {
        return "looking for files".to_owned();
    }
    let rate = done as f64 / took.as_secs_f64().max(0.001);
    let left = total.saturating_sub(done) as f64 / rate.max(1.0);
    let share = format::percent(done, total);
    format!("{share:>3}% of {} hashed, {}, {left:.0} s left", format::size(total), format::rate(rate as u64))
}

/// Prints the result, as text or as JSON.
fn tell(args: &CreateArgs, found: &FileScan, made: &BuiltTorrent, target: &Path, took: Duration) -> io::Result<()> {
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
            "remarks": made.meta.warnings,
            "seconds": seconds,
        });
        return output::print_json(&value);
    }
    let (files, pieces) = (counted(found.files.len() as u64, "file"), counted(pieces as u64, "piece"));
    let remarks: String =
        made.meta.warnings.iter().map(|remark| format!("remark     {}\n", sanitize(remark, TEXT))).collect();
    output::print(&format!(
        "wrote      {}\ncontent    {files}, {}, {pieces} of {}, hashed in {seconds:.1} s\n{remarks}info-hash  {}\nmagnet     {magnet}\n",
        sanitize(&target.display().to_string(), TEXT),
        format::size(found.total),
        format::binary_size(piece.into()),
        made.meta.info_hash,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_tells_share_rate_and_time() {
        assert_eq!(line(0, 0, Duration::ZERO), "looking for files");
        let half = line(500_000_000, 1_000_000_000, Duration::from_secs(2));
        assert_eq!(half, " 50% of 1 GB hashed, 250 MB/s, 2 s left");
    }
}
